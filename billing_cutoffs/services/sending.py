"""One turn of commands: claim, last gate, call, outcome; and the questions behind every doubt.

Each step is one short transaction, and the meter system is called outside of any. What is QUEUED was provably not
sent; only SENDING is in doubt after a crash, and nothing in doubt is sent again before its meter was asked: between
two sendings of one command there is a question, or an answer that it was not taken. ``CommandAttempt`` rows are
written before each call and prove it (``proofs``). Leases run by the database's clock.
"""

from __future__ import annotations

import logging
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from accounts.actor import Actor
from billing_cutoffs import lifecycle, switching
from billing_cutoffs.models import CommandAttempt, CommandState, CutoffOrder, MeterCommand, Purpose
from billing_cutoffs.services.gate import cuts_gate
from billing_cutoffs.services.orders import order_lock, orders_step
from billing_cutoffs.services.positions import QUESTIONS, Word, command_put, cut_failed, pause, word_take
from billing_cutoffs.simulator import Simulator
from billing_cutoffs.switching import Call, Question, Reading, RemoteSwitch, Reply
from standards import pack

log = logging.getLogger(__name__)

LEASE_S: Final = 60
ACCOUNT_PAUSE: Final = timedelta(seconds=60)
# seconds until what was provably not sent is tried again
NOT_SENT: Final = 15
A_TURN: Final = 400


def switch_in_use() -> RemoteSwitch | None:
    """What switches meters from afar here; without it every order is carried out by a person."""
    return Simulator() if settings.METER_GATEWAY == "simulator" else switching.switch_for(settings.METER_GATEWAY)


def commands_turn(*, actor: Actor, now: datetime | None = None, limit: int = A_TURN) -> dict[str, int]:
    """Send what is due and ask about what is in doubt: who waits for power first, then the questions, then cuts.

    Returns how many calls ended in which way.
    """
    switch = switch_in_use()
    done: Counter[str] = Counter()
    commands_reap()
    while switch is not None and sum(done.values()) < limit and not circuit_is_open():
        claim = next((claim for lane in _LANES if (claim := _claim(lane, switch.at_once))), None)
        if claim is None:
            break
        done += claim.lane.work(claim, switch, actor, now or timezone.now())
    return dict(done)


def circuit_is_open() -> bool:
    """Our login at the meter system does not work: sending pauses, so that nobody's order fails for it."""
    newest = CommandAttempt.objects.order_by("-pk").first()
    if newest is None or newest.result != "account" or newest.ended_at is None:
        return False
    return newest.ended_at > timezone.now() - ACCOUNT_PAUSE


def commands_reap() -> int:
    """What a dead worker was sending, and what nobody answered in time, is in doubt from now on."""
    with transaction.atomic(durable=True), connection.cursor() as db:
        db.execute(_REAP)
        return int(db.rowcount)


_REAP: Final = """
WITH late AS (
    SELECT id FROM billing_cutoffs_metercommand
    WHERE (state = 'sending' AND lease_until <= now()) OR (state = 'accepted' AND next_at <= now())
    ORDER BY id LIMIT 1000 FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE billing_cutoffs_metercommand c
SET state = 'uncertain', asked = 0, next_at = now(), lease_token = NULL, lease_until = NULL
FROM late WHERE c.id = late.id
"""

# --- claim ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Lane:
    """One kind of work; what is more urgent stands first in ``_LANES``."""

    state: str
    purposes: tuple[str, ...]
    work: Callable[[_Claim, RemoteSwitch, Actor, datetime], Counter[str]]


@dataclass(frozen=True)
class _Claim:
    lane: _Lane
    token: uuid.UUID
    command_ids: tuple[int, ...]


_TAKE: Final = """
WITH due AS (
    SELECT id FROM billing_cutoffs_metercommand
    WHERE state = %(state)s AND purpose = ANY(%(purposes)s) AND next_at <= now()
      AND (lease_until IS NULL OR lease_until <= now())
    ORDER BY next_at, id LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE billing_cutoffs_metercommand c
SET lease_token = %(token)s, lease_until = now() + %(lease)s * interval '1 s'
FROM due WHERE c.id = due.id RETURNING c.id
"""


def _claim(lane: _Lane, limit: int) -> _Claim | None:
    token = uuid.uuid4()
    facts: dict[str, Any] = {
        "state": lane.state,
        "purposes": list(lane.purposes),
        "limit": limit,
        "token": token,
        "lease": LEASE_S,
    }
    with transaction.atomic(durable=True), connection.cursor() as db:
        db.execute(_TAKE, facts)
        ids = tuple(sorted(row[0] for row in db.fetchall()))
    return _Claim(lane, token, ids) if ids else None


# --- gate, call -------------------------------------------------------------------------------------


def _send(claim: _Claim, switch: RemoteSwitch, actor: Actor, now: datetime) -> Counter[str]:
    with transaction.atomic(durable=True):
        held = CutoffOrder.objects.filter(commands__in=claim.command_ids).values_list("pk", flat=True)
        if claim.lane.purposes == (Purpose.DISCONNECT,):
            passed = cuts_gate(order_ids=list(held), token=claim.token, actor=actor, now=now)
        else:
            passed = _reconnections_gate(list(held), claim.token)
        attempts = _attempts(passed, claim.token, is_question=False)
        MeterCommand.objects.filter(pk__in=attempts).update(
            state=CommandState.SENDING, tries=F("tries") + 1, asked=0, lease_until=Now() + timedelta(seconds=LEASE_S)
        )
    calls = [
        Call(
            key=str(command.key), purpose=command.purpose, meter_number=command.meter_number,
            expires_at=command.expires_at, answer_url=f"{settings.SITE_URL}/api/v1/cutoff-results/",
        )
        for command in passed
    ]  # fmt: skip
    replies = switch.send(calls)
    for command, reply in zip(passed, replies, strict=True):
        _reply_take(command, attempts[command.pk], claim.token, reply, actor, now)
    return Counter(reply.result for reply in replies) + Counter(refused=len(claim.command_ids) - len(passed))


def _reconnections_gate(order_ids: Sequence[int], token: uuid.UUID) -> list[MeterCommand]:
    """Whoever waits for power, and nobody else: the command of an order that is on by now is withdrawn."""
    orders = CutoffOrder.objects.filter(pk__in=order_ids).order_by("pk").select_for_update(no_key=True)
    waiting = {o.pk for o in orders if o.state in (lifecycle.RECONNECT_COMMANDED, lifecycle.RECONNECT_FAILED)}
    ours = MeterCommand.objects.filter(lease_token=token, state=CommandState.QUEUED).order_by("pk")
    commands = list(ours.select_for_update(no_key=True, of=("self",)).select_related("order__branch"))
    for command in commands:
        if command.order_id not in waiting:
            command_put(command, CommandState.WITHDRAWN)
    return [command for command in commands if command.order_id in waiting]


def _ask(claim: _Claim, switch: RemoteSwitch, actor: Actor, now: datetime) -> Counter[str]:
    with transaction.atomic(durable=True):
        ours = MeterCommand.objects.filter(lease_token=claim.token, state=CommandState.UNCERTAIN).order_by("pk")
        commands = list(ours.select_for_update(no_key=True))
        attempts = _attempts(commands, claim.token, is_question=True)
    questions = [Question(key=str(command.key), meter_number=command.meter_number) for command in commands]
    readings = switch.ask(questions)
    for command, reading in zip(commands, readings, strict=True):
        _reading_take(command, attempts[command.pk], claim.token, reading, actor, now)
    return Counter(f"asked_{reading.position}" for reading in readings)


_LANES: Final = (
    _Lane(CommandState.QUEUED, (Purpose.RECONNECT,), _send),
    _Lane(CommandState.UNCERTAIN, (Purpose.RECONNECT, Purpose.DISCONNECT), _ask),
    _Lane(CommandState.QUEUED, (Purpose.DISCONNECT,), _send),
)


def _attempts(commands: Sequence[MeterCommand], token: uuid.UUID, *, is_question: bool) -> dict[int, int]:
    """One line for each call that is about to be made, so that a crash leaves a trace."""
    rows = CommandAttempt.objects.bulk_create(
        CommandAttempt(command=command, token=token, question=is_question) for command in commands
    )
    return {row.command_id: row.pk for row in rows}


# --- outcome ----------------------------------------------------------------------------------------


def _reply_take(
    command: MeterCommand, attempt_id: int, token: uuid.UUID, reply: Reply, actor: Actor, now: datetime
) -> None:
    """Write what became of a call, if the command is still ours and no answer was quicker."""
    if reply.result == "accepted":
        _accepted(command, attempt_id, token, reply)
        return
    with transaction.atomic(durable=True):
        order = order_lock(command.order_id)
        _attempt_end(attempt_id, reply.result, reply.detail)
        mine = MeterCommand.objects.select_for_update(no_key=True).filter(
            pk=command.pk, lease_token=token, state=CommandState.SENDING
        )
        row = mine.first()
        if row is None:
            return
        if reply.result == "done":
            is_off = row.purpose == Purpose.DISCONNECT
            # in doubt until its own word is taken: what is said of another time changes nothing
            command_put(row, CommandState.UNCERTAIN, wait=QUESTIONS[0], external_id=reply.external_id)
            said = Word("disconnected" if is_off else "connected", reply.at or timezone.now(), detail=reply.detail)
            word_take(order=order, word=said, actor=actor, now=now)
        elif reply.result == "doubt":
            command_put(row, CommandState.UNCERTAIN, wait=QUESTIONS[0])
        elif reply.result == "refused" and row.purpose == Purpose.DISCONNECT:
            cut_failed(order=order, command=row, actor=actor, answer=reply.detail or "refused")
        elif reply.result == "refused":
            orders_step(order_ids=[order.pk], action="reconnect_fail", actor=actor, note=reply.detail)
            command_put(row, CommandState.QUEUED, wait=pause(row), answer=reply.detail)
        else:  # unsent, account: provably not taken, so the try does not count
            command_put(row, CommandState.QUEUED, wait=NOT_SENT, tries=row.tries - 1)
    if reply.result == "account":
        log.error("cut-offs: the meter system refuses our login: %s", reply.detail)


def _accepted(command: MeterCommand, attempt_id: int, token: uuid.UUID, reply: Reply) -> None:
    """The meter system has it: the order waits for the answer, and so does this command, for so long."""
    wait = pack(command.order.branch.rule_pack).arrears.answer_within.delta
    with transaction.atomic(durable=True):
        _attempt_end(attempt_id, reply.result, reply.detail)
        MeterCommand.objects.filter(pk=command.pk, lease_token=token, state=CommandState.SENDING).update(
            state=CommandState.ACCEPTED, external_id=reply.external_id, next_at=Now() + wait, lease_token=None,
            lease_until=None,
        )  # fmt: skip


def _reading_take(
    command: MeterCommand, attempt_id: int, token: uuid.UUID, reading: Reading, actor: Actor, now: datetime
) -> None:
    with transaction.atomic(durable=True):
        order = order_lock(command.order_id)
        _attempt_end(attempt_id, reading.position, reading.detail)
        mine = MeterCommand.objects.select_for_update(no_key=True).filter(
            pk=command.pk, lease_token=token, state=CommandState.UNCERTAIN
        )
        row = mine.first()
        if row is None:
            return
        command_put(row, CommandState.UNCERTAIN, wait=QUESTIONS[min(row.asked, len(QUESTIONS) - 1)])
        word = Word(reading.position, reading.at or timezone.now(), was_asked=True, detail=reading.detail)
        word_take(order=order, word=word, actor=actor, now=now)


def _attempt_end(attempt_id: int, result: str, detail: str) -> None:
    CommandAttempt.objects.filter(pk=attempt_id).update(ended_at=Now(), result=result, answer=detail[:200])
