"""送达: what proves that a notice arrived, by receipt or by a person's word, and what follows from it.

Only what provably arrived moves an order on, and a letter only if it arrived early enough for the window it names.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

import standards
from accounts.actor import Actor
from accounts.scope import visible_to
from billing_cutoffs import lifecycle, policies
from billing_cutoffs.models import CutoffOrder, CutoffStep, DebtNotice, NoticeStage, ServedHow
from billing_cutoffs.services import record
from billing_cutoffs.services.dunning import letter_span, reminders_void
from billing_cutoffs.services.orders import order_lock, order_step, orders_step
from grid.calendar import deadline_after
from notifications.letters import LetterProof, LetterState, letters_proof
from standards.errors import Conflict, DomainError, NotFound

log = logging.getLogger(__name__)

CHUNK: Final = 1_000
A_TURN: Final = 200  # orders brought on in one turn: each has a record of its own to write
# no receipt by then means that there will be none; a person serves it by hand
NO_RECEIPT_AFTER: Final = timedelta(hours=24)
BY_A_PERSON: Final = (ServedHow.BY_HAND, ServedHow.POSTED, ServedHow.AFFIXED)
_OF_ORDERS: Final = (NoticeStage.LETTER, NoticeStage.FINAL_WARNING)


class AlreadyServed(Conflict):
    code = "already_served"
    message = _("This notice has arrived already.")


class NoticeVoid(Conflict):
    code = "notice_void"
    message = _("This notice no longer holds: it is not to be served.")


class BadServing(DomainError):
    code = "bad_serving"
    message = _("A notice is served after it was written and not in the future.")


class NoWitness(DomainError):
    code = "no_witness"
    message = _("Say to whom it was given, or who witnessed it.")


# --- receipts -----------------------------------------------------------------------------------------


def notices_settle(*, actor: Actor) -> dict[str, int]:
    """Read what became of cut-off letters and last warnings, and bring on the orders whose notice has arrived."""
    settled = _settle((NoticeStage.LETTER, NoticeStage.FINAL_WARNING))
    return {"settled": settled, "noticed": orders_notice(actor=actor), "warned": orders_warn(actor=actor)}


def reminders_settle() -> dict[str, int]:
    """Read what became of reminders, and take back those of debts that are paid."""
    voided = reminders_void()
    return {"voided": voided, "settled": _settle((NoticeStage.REMINDER, NoticeStage.RECONNECTED))}


_SETTLE: Final = """
UPDATE billing_cutoffs_debtnotice n
SET served_at = s.served_at, served_how = CASE WHEN s.served_at IS NULL THEN '' ELSE 'sms' END,
    failed_at = CASE WHEN s.served_at IS NULL THEN now() END, failure = s.failure
FROM unnest(%(ids)s::bigint[], %(served)s::timestamptz[], %(failures)s::text[]) AS s(id, served_at, failure)
WHERE n.id = s.id AND n.served_at IS NULL AND n.failed_at IS NULL AND n.void_at IS NULL
"""


def _settle(stages: Collection[str]) -> int:
    settled, last = 0, 0
    while True:
        unsettled = DebtNotice.objects.filter(
            served_at=None, failed_at=None, void_at=None, letter_id__isnull=False, stage__in=stages, pk__gt=last
        )
        waiting = list(unsettled.order_by("pk").values_list("pk", "letter_id", "issued_at")[:CHUNK])
        if not waiting:
            return settled
        last = waiting[-1][0]
        settled += _settle_chunk(waiting, timezone.now())


def _settle_chunk(waiting: Collection[tuple[int, int | None, datetime]], now: datetime) -> int:
    proofs = letters_proof(letter_ids=[letter_id for _pk, letter_id, _at in waiting if letter_id is not None])
    known = [
        (pk, proof.delivered_at, failure)
        for pk, letter_id, issued_at in waiting
        if letter_id is not None and (proof := proofs.get(letter_id)) is not None
        and (failure := _outcome(proof, is_old=issued_at + NO_RECEIPT_AFTER < now)) is not None
    ]  # fmt: skip
    if not known:
        return 0
    ids, served, failures = zip(*known, strict=True)
    with connection.cursor() as db:
        db.execute(_SETTLE, {"ids": list(ids), "served": list(served), "failures": list(failures)})
        return int(db.rowcount)


def _outcome(proof: LetterProof, *, is_old: bool) -> str | None:
    """Why it did not arrive; empty if it did, ``None`` while nobody knows."""
    match proof.state:
        case LetterState.DELIVERED:
            return ""
        case LetterState.FAILED:
            return proof.failure or "failed"
        case LetterState.NO_ADDRESS | LetterState.WITHDRAWN:
            return str(proof.state)
    return "no_receipt" if is_old else None


# --- what follows -------------------------------------------------------------------------------------


def orders_notice(*, actor: Actor, order_ids: Collection[int] | None = None) -> int:
    """The letter has arrived in time: the cut stands in the record, for whoever verifies the caller."""
    done = 0
    # those whose letter came too late stay where they are, and in nobody's way
    letters = _served(NoticeStage.LETTER, lifecycle.APPROVED, order_ids)
    ready = (letter.order for letter in letters if letter.order is not None and is_in_time(letter, letter.order))
    for order_id in [order.pk for order in islice(ready, A_TURN)]:
        try:
            with transaction.atomic():
                done += _order_notice(order_id, actor)
        except DomainError:
            log.exception("cut-offs: order %s cannot be entered in the record", order_id)
    return done


def _order_notice(order_id: int, actor: Actor) -> bool:
    order = order_lock(order_id)
    letter = order.notices.filter(stage=NoticeStage.LETTER, void_at=None, served_at__isnull=False).first()
    if order.state != lifecycle.APPROVED or letter is None or not is_in_time(letter, order):
        return False
    facts = {"notice": letter.pk, "served_at": letter.served_at, "how": letter.served_how}
    order_step(order=order, action="notice", actor=actor, facts=facts)
    record.record_schedule(order=order, actor=actor)
    return True


def is_in_time(letter: DebtNotice, order: CutoffOrder) -> bool:
    """Did the letter arrive long enough before the window that it names, and is that still the order's window?"""
    if letter.served_at is None or letter.window_from != order.batch.window_from:
        return False
    customer = order.service_point.customer
    span = letter_span(standards.pack(order.branch.rule_pack), customer.customer_class, customer.importance)
    return deadline_after(order.branch, letter.served_at, span) <= order.batch.window_from


def orders_warn(*, actor: Actor, order_ids: Collection[int] | None = None) -> int:
    """The last warning has arrived."""
    with transaction.atomic():
        warnings = _served(NoticeStage.FINAL_WARNING, lifecycle.NOTICED, order_ids)
        ready = list(warnings.values_list("order", flat=True))
        return len(orders_step(order_ids=ready, action="warn", actor=actor))


def _served(stage: str, state: str, order_ids: Collection[int] | None) -> QuerySet[DebtNotice]:
    """What has arrived for orders in this state whose window is not over."""
    notices = DebtNotice.objects.filter(
        stage=stage, void_at=None, served_at__isnull=False, order__state=state,
        order__batch__window_until__gt=timezone.now(),
    ).select_related("order__batch", "order__branch", "order__service_point__customer")  # fmt: skip
    if order_ids is not None:
        notices = notices.filter(order__in=order_ids)
    return notices.order_by("order")


# --- by hand ------------------------------------------------------------------------------------------


def notice_serve(*, notice_id: int, actor: Actor, how: str, served_at: datetime, note: str) -> DebtNotice:
    """Somebody handed the notice over, posted it or left it at the door before witnesses. It moves the order on."""
    note = note.strip()
    if not note:
        raise NoWitness(field="note")
    if how not in BY_A_PERSON:
        raise BadServing(field="how")
    with transaction.atomic(durable=True):
        notice = _locked(notice_id, actor)
        # a person names the minute
        if not notice.issued_at.replace(second=0, microsecond=0) <= served_at <= timezone.now():
            raise BadServing(field="served_at")
        notice.served_at, notice.served_how = served_at, how
        notice.served_by, notice.served_note = actor.name[:150], note[:300]
        notice.save(update_fields=["served_at", "served_how", "served_by", "served_note"])
        if notice.order is not None:
            _history(notice.order, notice, actor)
            orders_notice(actor=actor, order_ids=[notice.order.pk])
            orders_warn(actor=actor, order_ids=[notice.order.pk])
    return notice


def _locked(notice_id: int, actor: Actor) -> DebtNotice:
    """The notice, its order locked before it, as whatever ends the order does. Raises ``NotFound``, ``Conflict``."""
    known = visible_to(actor, DebtNotice.objects.select_related("case__branch")).filter(pk=notice_id).first()
    if known is None:
        raise NotFound()
    policies.require(actor=actor, action="serve", branch=known.case.branch)
    order = order_lock(known.order_id) if known.order_id is not None else None
    notice = DebtNotice.objects.select_for_update(no_key=True).get(pk=notice_id)
    if notice.void_at is not None:
        raise NoticeVoid()
    if notice.served_at is not None:
        raise AlreadyServed()
    if order is not None:
        notice.order = order
    return notice


def _history(order: CutoffOrder, notice: DebtNotice, actor: Actor) -> None:
    CutoffStep.objects.create(
        batch_id=order.batch_id, order=order, verb="serve", before=order.state, after=order.state,
        actor_kind=actor.kind, actor_name=actor.name, actor_id=actor.user_id, note=notice.served_note,
        facts={
            "notice": notice.pk, "stage": notice.stage, "how": notice.served_how,
            "served_at": notice.served_at.isoformat() if notice.served_at else "",
        },
    )  # fmt: skip
