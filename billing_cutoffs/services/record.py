"""An order in the unified record: scheduled once its letter has arrived, off, and on again. Private at every moment."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

import standards
from accounts.actor import Actor
from billing_cutoffs import lifecycle
from billing_cutoffs.kinds import BY_ORDER
from billing_cutoffs.models import CutoffOrder
from billing_cutoffs.services.orders import order_lock
from outages.causes import RECENTLY_RESTORED
from outages.models import CauseClass, EtrConfidence, EtrSource, Outage, OutageKind, OutageLevel, OutageStatus
from outages.services import outage_create, outage_transition


def record_schedule(*, order: CutoffOrder, actor: Actor) -> Outage:
    """The letter names a window: whoever verifies the caller may now say that a cut is coming."""
    outage = outage_create(
        kind=OutageKind.NON_PAYMENT,
        action="schedule",
        actor=actor,
        service_point_ids=[order.service_point_id],
        source_system="billing_cutoffs",
        source_ref=order.reference,
        level=OutageLevel.SERVICE,
        cause_class=CauseClass.OTHER,
        planned_start=order.batch.window_from,
        planned_end=order.batch.window_until,
        **_by(order),
    )
    _attach(order, outage)
    return outage


def record_off(*, order: CutoffOrder, actor: Actor, at: datetime) -> Outage:
    """The meter, or the person there, says that it is off. No end is promised: that depends on the payment."""
    standing = order.outage
    if standing is not None and standing.status == OutageStatus.SCHEDULED:
        order.outage = outage_transition(
            outage_id=standing.pk, action="start", actor=actor, started_at=at, planned_start=None, planned_end=None,
            **_by(order),
        )  # fmt: skip
        return order.outage
    outage = outage_create(
        kind=OutageKind.NON_PAYMENT,
        action="start",
        actor=actor,
        service_point_ids=[order.service_point_id],
        level=OutageLevel.SERVICE,
        cause_class=CauseClass.OTHER,
        started_at=at,
        **_by(order),
    )
    _attach(order, outage)
    return outage


def record_promise(*, order: CutoffOrder, actor: Actor, due_at: datetime) -> None:
    """Settled: the deadline of the rule pack is what may be promised; once that has passed, news is.

    Whoever should never have been off is not told of an unpaid account.
    """
    if order.outage_id is None:
        return
    promise: dict[str, Any] = {"etr": due_at, "etr_confidence": EtrConfidence.MEDIUM}
    now = timezone.now()
    if due_at <= now:
        promise = {"next_update_by": now + standards.pack(order.branch.rule_pack).estimate.next_update.delta}
        order.refresh_from_db(fields=["is_wrongful"])
    if order.is_wrongful:
        promise |= {"public_reason_zh": "我们的差错", "public_reason_en": "a mistake of ours"}
    outage_transition(
        outage_id=order.outage_id, action="set_etr", actor=actor, etr_source=EtrSource.SYSTEM,
        **promise, **_by(order),
    )  # fmt: skip


def record_on(*, order: CutoffOrder, actor: Actor, at: datetime) -> None:
    """Power is back."""
    outage = order.outage
    if outage is not None and outage.is_off:
        at = max(at, outage.started_at or at)
        outage_transition(
            outage_id=outage.pk, action="restore", actor=actor, restored_at=at, **_by(order)
        )  # fmt: skip


def record_cancel(*, order: CutoffOrder, actor: Actor, reason: str) -> None:
    """It will not be cut."""
    outage = order.outage
    if outage is not None and outage.status == OutageStatus.SCHEDULED:
        outage_transition(
            outage_id=outage.pk, action="cancel", actor=actor, reason=reason, **_by(order)
        )  # fmt: skip


def _by(order: CutoffOrder) -> dict[str, Any]:
    """The word that ``kinds`` asks for: this change of the record is the order's."""
    return {BY_ORDER: order.pk}


def _attach(order: CutoffOrder, outage: Outage) -> None:
    order.outage = outage
    order.save(update_fields=["outage"])


def records_follow(*, actor: Actor, limit: int = 200) -> int:
    """Bring the record after orders that one statement has ended by the thousand, and close what is long back on.

    Returns how many records moved.
    """
    return _cancel_owed(actor, limit) + _close_owed(actor, limit)


def _cancel_owed(actor: Actor, limit: int) -> int:
    owed = CutoffOrder.objects.filter(state=lifecycle.CANCELLED, outage__status=OutageStatus.SCHEDULED)
    done = 0
    for order_id in list(owed.order_by("pk").values_list("pk", flat=True)[:limit]):
        with transaction.atomic(durable=True):
            order = order_lock(order_id)
            if order.state == lifecycle.CANCELLED:
                record_cancel(order=order, actor=actor, reason=order.state_reason or "cancelled")
                done += 1
    return done


def _close_owed(actor: Actor, limit: int) -> int:
    """Until then the answer still says "restored; still off?"."""
    owed = CutoffOrder.objects.filter(
        state=lifecycle.RECONNECTED,
        outage__status=OutageStatus.RESTORED,
        outage__restored_at__lt=timezone.now() - RECENTLY_RESTORED,
    )
    done = 0
    for order_id in list(owed.order_by("pk").values_list("pk", flat=True)[:limit]):
        with transaction.atomic(durable=True):
            order = order_lock(order_id)
            if order.state == lifecycle.RECONNECTED and order.outage_id is not None:
                outage_transition(
                    outage_id=order.outage_id, action="close", actor=actor, cause_class=CauseClass.OTHER,
                    **_by(order),
                )  # fmt: skip
                done += 1
    return done
