"""Answers of meters: kept first, exactly as they came, and then applied, one by one, each under its order's lock."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.actor import Actor
from billing_cutoffs import lifecycle, simulator
from billing_cutoffs.intake.items import BadItem, Outcome, Refusals, choice, flag, moment, text
from billing_cutoffs.models import CutoffOrder, MeterAnswer, MeterCommand, SwitchPosition
from billing_cutoffs.services.orders import order_lock
from billing_cutoffs.services.positions import Word, word_take
from standards.doorbell import ring_on_commit
from standards.errors import DomainError

A_TURN: Final = 500
METERS: Final = Actor.system("meters")

APPLY: Final = "billing_cutoffs.tasks.answers_apply"


class BadKey(BadItem):
    code = "bad_key"
    message = _("A command is named by its key, as it was sent to the meter.")


def answers_store(*, source_system: str, items: Sequence[Any]) -> list[Outcome]:
    """Keep what the meter system says; the same answer twice is kept once.

    An item: ``answer_id``, ``meter_number``, ``position``, ``read_at``, and for the answer to a command its
    ``command_key``, ``is_failure``, ``detail``. Outcomes: stored, already_known, or why an item is refused. What it
    does to an order is the next step's (``answers_apply``), so nothing that comes here waits for a lock.
    """
    source = source_system[:64]
    answers = Refusals(items, lambda item: str(item.get("answer_id", "")))
    now = timezone.now()
    told = answers.read(items, lambda item: _read(item, source, now))
    with transaction.atomic():
        ids = [answer.answer_id for answer in told.values()]
        known = set(
            MeterAnswer.objects.filter(source_system=source, answer_id__in=ids).values_list("answer_id", flat=True)
        )
        fresh: dict[str, MeterAnswer] = {}
        for at, answer in told.items():
            is_new = answer.answer_id not in known and answer.answer_id not in fresh
            answers.settle(at, "stored" if is_new else "already_known")
            if is_new:
                fresh[answer.answer_id] = answer
        MeterAnswer.objects.bulk_create(fresh.values(), ignore_conflicts=True)
        if fresh:
            ring_on_commit(APPLY)
    return answers.in_order()


def _read(item: Mapping[str, Any], source: str, now: datetime) -> MeterAnswer:
    return MeterAnswer(
        source_system=source,
        answer_id=text(item, "answer_id", most=128),
        command_key=_key(item),
        meter_number=text(item, "meter_number", most=64),
        position=choice(item, "position", SwitchPosition.values),
        is_failure=bool(flag(item, "is_failure")),
        detail=text(item, "detail", most=200, is_needed=False),
        read_at=moment(item, "read_at", now=now),
    )


def _key(item: Mapping[str, Any]) -> uuid.UUID | None:
    named = text(item, "command_key", most=64, is_needed=False)
    try:
        return uuid.UUID(named) if named else None
    except ValueError as wrong:
        raise BadKey(field="command_key") from wrong


def answers_apply(*, actor: Actor = METERS, now: datetime | None = None, limit: int = A_TURN) -> dict[str, int]:
    """Let every answer that was kept do what it says, in the order in which they came. Returns what became of them.

    A killed worker leaves the answer open, and the next one takes it.
    """
    done: dict[str, int] = {}
    waiting = MeterAnswer.objects.filter(applied_at__isnull=True).order_by("pk").values_list("pk", flat=True)
    for pk in list(waiting[:limit]):
        with transaction.atomic(durable=True):
            row = MeterAnswer.objects.select_for_update(skip_locked=True).filter(pk=pk, applied_at__isnull=True)
            answer = row.first()
            if answer is None:
                continue
            outcome = _apply(answer, actor, now or timezone.now())
            MeterAnswer.objects.filter(pk=pk).update(applied_at=Now(), outcome=outcome)
        done[outcome] = done.get(outcome, 0) + 1
    return done


def _apply(answer: MeterAnswer, actor: Actor, now: datetime) -> str:
    command = MeterCommand.objects.filter(key=answer.command_key).first() if answer.command_key else None
    if command is not None and command.meter_number != answer.meter_number:
        return "wrong_meter"
    order_id = _order_of(answer.meter_number, command)
    if order_id is None:
        return "no_order"
    word = Word(
        answer.position, answer.read_at, answer.is_failure,
        key=str(answer.command_key or ""), detail=answer.detail,
    )  # fmt: skip
    try:
        with transaction.atomic():
            return word_take(order=order_lock(order_id), word=word, actor=actor, now=now)
    except DomainError as refused:
        return refused.code[:24]


def _order_of(meter_number: str, command: MeterCommand | None) -> int | None:
    """The newest order of this premises that a meter could speak about: whatever a switch says is about that one."""
    orders = CutoffOrder.objects.filter(commanded_at__isnull=False)
    if command is not None:
        orders = orders.filter(service_point=command.order.service_point_id)
    else:
        orders = orders.filter(service_point__meter_number=meter_number)
    newest = orders.order_by("-commanded_at", "-pk").values_list("pk", flat=True).first()
    if newest is None and command is None:
        begun = CutoffOrder.objects.filter(service_point__meter_number=meter_number).exclude(
            state__in=lifecycle.ENDED
        )  # fmt: skip
        return begun.values_list("pk", flat=True).first()
    return newest if newest is not None else command.order_id if command else None


def simulator_turn(*, now: datetime | None = None) -> int:
    """The simulated meters answer what they owe by now, in the same way as real ones. Returns how many did."""
    items = simulator.answers_due(now=now or timezone.now())
    answers_store(source_system=simulator.ACCOUNT, items=items)
    return len(items)
