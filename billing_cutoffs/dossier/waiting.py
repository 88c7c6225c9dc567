"""Who waits: for power, for a person to decide, for somebody to go there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from accounts.actor import Actor
from billing_cutoffs import lifecycle, policies, progress, selectors
from billing_cutoffs.dossier.orders import NEXT_STEPS
from billing_cutoffs.models import CommandState, CutoffOrder, MeterCommand, Method
from outages.places import masked

_OPEN_COMMAND = MeterCommand.objects.filter(
    order=OuterRef("pk"),
    state__in=[CommandState.QUEUED, CommandState.SENDING, CommandState.ACCEPTED, CommandState.UNCERTAIN],
)
# paid, and perhaps off: the deadline runs as for those that are known to be
_PERHAPS_OFF = Q(state__in=[lifecycle.COMMANDED, lifecycle.FAILED], reconnect_due_at__isnull=False)


@dataclass(frozen=True)
class Waiting:
    """One order somebody waits for."""

    order: CutoffOrder
    customer: str
    account_number: str
    reason: str
    late: timedelta | None  # how late, if it is
    next_step: Any
    may_say_safe: bool = False


def reconnections(actor: Actor) -> QuerySet[CutoffOrder]:
    """Everybody who paid and has no power yet, the most urgent first."""
    waiting = Q(state__in=lifecycle.TO_RECONNECT) | _PERHAPS_OFF
    return selectors.orders_visible_to(actor).filter(waiting).order_by("reconnect_due_at", "pk")


def failures(actor: Actor) -> QuerySet[CutoffOrder]:
    """What a person has to decide: cuts that did not succeed, and commands nobody knows the outcome of."""
    in_doubt = Exists(_OPEN_COMMAND.filter(state=CommandState.UNCERTAIN))
    stuck = Q(state__in=[lifecycle.FAILED, lifecycle.RECONNECT_FAILED]) | Q(in_doubt=True)
    return (
        selectors.orders_visible_to(actor)
        .annotate(in_doubt=in_doubt)
        .filter(stuck)
        .order_by(F("reconnect_due_at").asc(nulls_last=True), "pk")
    )


def slips(actor: Actor) -> QuerySet[CutoffOrder]:
    """What is done by a person on site: cuts without a remote switch, and whatever cannot be switched on from afar."""
    by_hand = Q(method=Method.FIELD, state=lifecycle.COMMANDED, batch__window_until__gt=timezone.now()) | Q(
        method=Method.FIELD, state=lifecycle.RECONNECT_COMMANDED
    )
    no_way = Q(state=lifecycle.RECONNECT_COMMANDED, has_command=False) | Q(state=lifecycle.RECONNECT_FAILED)
    to_check = Q(state=lifecycle.FAILED, reconnect_due_at__isnull=False)
    return (
        selectors.orders_visible_to(actor)
        .annotate(has_command=Exists(_OPEN_COMMAND))
        .filter(by_hand | no_way | to_check)
        .order_by(F("reconnect_due_at").asc(nulls_last=True), "service_point__element", "service_point__address", "pk")
    )


def waiting_rows(*, actor: Actor, orders: Iterable[CutoffOrder], now: datetime) -> list[Waiting]:
    """A page of them in words, names masked."""
    return [
        Waiting(
            order=order,
            customer=masked(order.case.account.customer.name),
            account_number=order.case.account.customer.account_number,
            reason=progress.reason_text(order.state_reason),
            late=now - order.reconnect_due_at if order.reconnect_due_at and order.reconnect_due_at < now else None,
            next_step=_next_step(order),
            may_say_safe=_waits_for_word(order) and policies.may(actor=actor, action="say_safe", branch=order.branch),
        )
        for order in orders
    ]


def _waits_for_word(order: CutoffOrder) -> bool:
    return order.state == lifecycle.PAID and order.is_safe_at is None


def _next_step(order: CutoffOrder) -> Any:
    if order.state == lifecycle.FAILED:
        return NEXT_STEPS["check" if order.reconnect_due_at else "send-out"]
    if order.state == lifecycle.RECONNECT_FAILED or order.method == Method.FIELD:
        return NEXT_STEPS["by_hand"]
    return NEXT_STEPS["wait"]
