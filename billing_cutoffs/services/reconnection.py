"""Back on, in time: what a payment sets off, at whatever moment it comes, and who watches that it happens."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Literal

from django.db import transaction
from django.db.models import F, Max, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.actor import Actor
from billing_cutoffs import lifecycle, policies
from billing_cutoffs.models import (
    AccountHold,
    CutoffOrder,
    CutoffStep,
    PaymentStatus,
    ReconnectMode,
)
from billing_cutoffs.services import commands, dunning, record
from billing_cutoffs.services.ending import orders_end, orders_stay_on
from billing_cutoffs.services.orders import order_lock, orders_step
from grid.calendar import working_days_after
from grid.models import AreaClass, CustomerClass
from outages.events import require_transaction
from standards import pack
from standards.errors import DomainError

log = logging.getLogger(__name__)

# so many promises are entered into the record at once; more are left to the watch, and the payment goes through
AT_ONCE: Final = 20
A_TURN: Final = 200


class NothingToReconnect(DomainError):
    code = "nothing_to_reconnect"
    status = 409
    message = _("None of these orders is off: there is nothing to switch on.")


def accounts_paid(*, account_ids: Collection[int], actor: Actor, now: datetime | None = None) -> list[int]:
    """Whoever has paid is not cut, and whoever was cut comes back: at once, or when they say that it is safe.

    Called in the transaction that wrote the payments, the statement or the agreement, after the debts are reckoned
    anew. It locks the open orders of the accounts, so it comes either before the gate of a command or after it:
    nothing has left -> the order ends; it is on its way -> noted, and brought back as soon as it is known to be off;
    it is off -> reconnected. Returns the orders that this moved.
    """
    require_transaction()
    now = now or timezone.now()
    orders = _locked(Q(case__account__in=list(account_ids)))
    paid, agreed = _settled(orders)
    back = [order for order in orders if order.pk in paid | agreed]
    reason: dict[int, Reason] = {order.pk: "paid" if order.pk in paid else "agreed" for order in back}

    not_begun = [o for o in back if (o.pk in paid and o.state in lifecycle.BEFORE_COMMAND) or _is_known_on(o)]
    moved = orders_end(order_ids=[o.pk for o in not_begun if o.pk in paid], actor=actor, reason="paid")
    moved += orders_end(order_ids=[o.pk for o in not_begun if o.pk in agreed], actor=actor, reason="agreed")
    under_way = [o for o in back if o.pk not in set(moved) and o.state in (lifecycle.COMMANDED, lifecycle.FAILED)]
    off = [order for order in back if order.state == lifecycle.DISCONNECTED]
    moments = _paid_at(under_way + off, now)
    moved += _note(under_way, actor=actor, wanted=[_wanted(o, moments[o.pk], reason[o.pk]) for o in under_way])
    moved += _bring_back(off, actor=actor, now=now, wanted=[_wanted(o, moments[o.pk], reason[o.pk]) for o in off])
    return sorted(moved)


def reconnect_now(
    *, order_ids: Collection[int], actor: Actor, reason: str, is_wrongful: bool = False, now: datetime | None = None
) -> list[int]:
    """Switch these on again whether or not anybody paid: the cut was wrong, or somebody decides so and says why.

    Inside the caller's transaction. Raises ``NothingToReconnect``, ``Forbidden``.
    """
    require_transaction()
    now = now or timezone.now()
    orders = _locked(Q(pk__in=list(order_ids)))
    for branch in {order.branch for order in orders}:
        policies.require(actor=actor, action="reconnect", branch=branch)
    off = [order for order in orders if order.state in (lifecycle.DISCONNECTED, lifecycle.PAID)]
    under_way = [
        order
        for order in orders
        if order.state == lifecycle.COMMANDED or (order.state == lifecycle.FAILED and not _is_known_on(order))
    ]
    failed = [order.pk for order in orders if order.state == lifecycle.RECONNECT_FAILED]

    def wanted(order: CutoffOrder) -> _Wanted:
        due = order.reconnect_due_at or (now if is_wrongful else deadline_of(order, now))
        return _Wanted(
            order.pk, order.paid_at, due, ReconnectMode.AUTOMATIC, is_wrongful or order.is_wrongful, reason="ordered"
        )

    moved = _note(under_way, actor=actor, wanted=[wanted(o) for o in under_way], note=reason)
    moved += _bring_back(off, actor=actor, now=now, wanted=[wanted(o) for o in off], note=reason)
    again = orders_step(
        order_ids=failed, action="reconnect", actor=actor, note=reason, reconnect_commanded_at=now
    )  # fmt: skip
    commands.commands_queue(order_ids=again, purpose="reconnect", actor=actor)
    moved += again
    if not moved:
        raise NothingToReconnect()
    return sorted(moved)


def order_is_safe(*, order_id: int, actor: Actor, how: str = "") -> CutoffOrder:
    """The customer says that everything is switched off there and somebody is at home: it may come back.

    ``how`` they said so. Said before the payment it counts as well. An agent may take it down during a call.
    """
    with transaction.atomic(durable=True):
        order = order_lock(order_id)
        policies.require(actor=actor, action="say_safe", branch=order.branch)
        if order.state not in (lifecycle.DISCONNECTED, lifecycle.PAID):
            raise NothingToReconnect()
        now = timezone.now()
        CutoffOrder.objects.filter(pk=order.pk).update(is_safe_at=now, version=F("version") + 1)
        _history(order, verb="safe", actor=actor, note=how)
        if order.state == lifecycle.PAID:
            _reconnect([order.pk], actor=actor, now=now)
        order.refresh_from_db()
        return order


def off_now(*, order: CutoffOrder, actor: Actor, at: datetime, action: str = "confirm_off", note: str = "",
            now: datetime | None = None, **written: Any) -> CutoffOrder:  # fmt: skip
    """It is off: into the record; and whoever has paid in the meantime comes back at once. The order is locked."""
    now = now or timezone.now()
    record.record_off(order=order, actor=actor, at=at)
    orders_step(order_ids=[order.pk], action=action, actor=actor, note=note, off_at=at, on_at=None, **written)
    order.refresh_from_db()
    if order.reconnect_due_at is not None:
        reason: Reason = "paid" if order.paid_at else "ordered"
        wanted = _Wanted(
            order.pk, order.paid_at, order.reconnect_due_at, _mode(order), order.is_wrongful, reason=reason
        )
        _bring_back([order], actor=actor, now=now, wanted=[wanted])
        order.refresh_from_db()
    return order


def found_off(*, order: CutoffOrder, actor: Actor, at: datetime, now: datetime | None = None) -> CutoffOrder:
    """It is off although its order had ended: nobody may be cut like that. On again at once, and it is escalated."""
    now = now or timezone.now()
    log.error("cut-offs: the order %s had ended and its supply is off", order.reference)
    return off_now(
        order=order, actor=actor, at=at, action="found_off", now=now,
        is_wrongful=True, reconnect_due_at=now, escalated_at=now, reconnect_mode=ReconnectMode.AUTOMATIC,
    )  # fmt: skip


def on_now(
    *, order: CutoffOrder, actor: Actor, at: datetime, note: str = "", facts: Mapping[str, object] | None = None
) -> CutoffOrder:
    """It is on again: into the record, commands are done with, and the customer is told. The order is locked."""
    record.record_on(order=order, actor=actor, at=at)
    orders_step(order_ids=[order.pk], action="confirm_on", actor=actor, note=note, on_at=at, facts=facts)
    commands.commands_finish(order_ids=[order.pk], answer="on")
    dunning.reconnected_tell(order_ids=[order.pk], actor=actor)
    order.refresh_from_db()
    return order


# --- deadlines --------------------------------------------------------------------------------------


def deadline_of(order: CutoffOrder, since: datetime) -> datetime:
    """By when the rule pack wants it on again, in working days of the branch where the rule counts those."""
    branch = order.branch
    arrears = pack(branch.rule_pack).arrears
    span = arrears.reconnect
    if branch.area_class == AreaClass.REMOTE:
        is_home = order.service_point.customer.customer_class == CustomerClass.RESIDENTIAL
        span = (arrears.reconnect_remote_residential if is_home else arrears.reconnect_remote_other) or span
    if span.unit == "business_days":
        return working_days_after(branch, since, int(span.value))
    return since + span.delta


def deadlines_watch(*, actor: Actor, now: datetime | None = None) -> dict[str, int]:
    """Warn the owner before a reconnection is due, escalate it once it is late; nobody who paid is forgotten.

    It never gives up on an order: the command goes on being tried, and the alarm stands until the supply is back.
    """
    now = now or timezone.now()
    waiting = CutoffOrder.objects.filter(
        Q(state__in=lifecycle.TO_RECONNECT) | Q(state__in=(lifecycle.COMMANDED, lifecycle.FAILED)),
        reconnect_due_at__isnull=False,
    )
    packs = set(waiting.filter(warned_owner_at=None).values_list("branch__rule_pack", flat=True).distinct())
    warned = 0
    for name in packs:
        soon = Q(branch__rule_pack=name, reconnect_due_at__lte=now + pack(name).arrears.reconnect_warn.delta)
        warned += _stamp(waiting.filter(soon), "warned_owner_at", "warn_owner", actor, now)
    late = _stamp(waiting.filter(reconnect_due_at__lt=now), "escalated_at", "escalate", actor, now)
    if late:
        log.error("cut-offs: %s reconnections are overdue", late)
    return {"warned": warned, "escalated": late, "promised": _promises_follow(actor, now)}


def _stamp(orders: object, field: str, verb: str, actor: Actor, now: datetime) -> int:
    """Note once for each of these orders that the clock has spoken."""
    with transaction.atomic(durable=True):
        rows = list(
            orders.filter(**{field: None}).order_by("pk").select_for_update(no_key=True, of=("self",))[:A_TURN]  # type: ignore[attr-defined]
        )
        CutoffOrder.objects.filter(pk__in=[row.pk for row in rows]).update(**{field: now, "version": F("version") + 1})
        _histories(rows, verb=verb, actor=actor)
    return len(rows)


def _promises_follow(actor: Actor, now: datetime) -> int:
    """The record promises the deadline, also for those who were too many to enter with the payment."""
    owed = CutoffOrder.objects.filter(
        state__in=lifecycle.TO_RECONNECT, reconnect_due_at__gt=now, outage__etr__isnull=True
    ).order_by("reconnect_due_at")  # fmt: skip
    done = 0
    for order_id in list(owed.values_list("pk", flat=True)[:A_TURN]):
        with transaction.atomic(durable=True):
            order = order_lock(order_id)
            if order.state in lifecycle.TO_RECONNECT and order.reconnect_due_at is not None:
                record.record_promise(order=order, actor=actor, due_at=order.reconnect_due_at)
                done += 1
    return done


# --- the parts --------------------------------------------------------------------------------------

Reason = Literal["paid", "agreed", "ordered"]


@dataclass(frozen=True)
class _Wanted:
    """Why and by when an order comes back."""

    order_id: int
    paid_at: datetime | None
    due_at: datetime
    mode: str
    is_wrongful: bool
    reason: Reason

    @property
    def fields(self) -> dict[str, Any]:
        return {
            "paid_at": self.paid_at, "reconnect_due_at": self.due_at, "reconnect_mode": self.mode,
            "is_wrongful": self.is_wrongful,
        }  # fmt: skip


def _locked(which: Q) -> list[CutoffOrder]:
    """Orders that are not over, their rows locked in the order of their keys."""
    orders = CutoffOrder.objects.filter(which).exclude(state__in=lifecycle.ENDED).order_by("pk")
    return list(
        orders.select_for_update(no_key=True, of=("self",)).select_related(
            "branch", "case__account", "service_point__customer", "outage"
        )
    )


def _settled(orders: Collection[CutoffOrder]) -> tuple[set[int], set[int]]:
    """Whose debt is paid (or paid as far as the rule pack asks), and whose agreement stands instead."""
    paid = set()
    for order in orders:
        open_share = 100 - pack(order.branch.rule_pack).arrears.reconnect_share.amount
        if order.case.account.overdue <= order.amount * max(open_share, Decimal(0)) / 100:
            paid.add(order.pk)
    if len(paid) == len(orders):
        return paid, set()
    standing = AccountHold.objects.filter(
        Q(until__isnull=True) | Q(until__gt=timezone.now()),
        account__in=[order.case.account_id for order in orders], orders_reconnection=True, released_at__isnull=True,
    )  # fmt: skip
    accounts = set(standing.values_list("account_id", flat=True))
    return paid, {order.pk for order in orders if order.case.account_id in accounts} - paid


def _is_known_on(order: CutoffOrder) -> bool:
    """It could not be switched off, and that is known: the meter said so. A silent meter is no proof."""
    if order.state != lifecycle.FAILED:
        return False
    newest = order.commands.order_by("-pk").first()
    return newest is None or newest.answer != commands.NO_READING


def _paid_at(orders: Collection[CutoffOrder], now: datetime) -> dict[int, datetime]:
    """When they paid, as the collecting system says; the deadline runs from there."""
    settled = Q(
        case__account__payments__status=PaymentStatus.SETTLED, case__account__payments__paid_at__gt=F("created_at")
    )
    latest = CutoffOrder.objects.filter(pk__in=[order.pk for order in orders]).annotate(
        paid=Max("case__account__payments__paid_at", filter=settled)
    )
    return {pk: min(paid, now) if paid else now for pk, paid in latest.values_list("pk", "paid")}


def _wanted(order: CutoffOrder, paid_at: datetime, reason: Reason) -> _Wanted:
    due = deadline_of(order, max(paid_at, order.off_at or paid_at))
    return _Wanted(order.pk, paid_at if reason == "paid" else None, due, _mode(order), order.is_wrongful, reason)


def _mode(order: CutoffOrder) -> str:
    modes = {order.reconnect_mode, str(pack(order.branch.rule_pack).arrears.reconnect_mode.value)}
    return ReconnectMode.SAFE if ReconnectMode.SAFE in modes else ReconnectMode.AUTOMATIC


def _note(orders: Collection[CutoffOrder], *, actor: Actor, wanted: Sequence[_Wanted], note: str = "") -> list[int]:
    """It is on its way to the meter: what has not left stays here, the rest comes back once it is known to be off."""
    fresh = [order for order in orders if order.reconnect_due_at is None]
    if not fresh:
        return []
    _write([w for w in wanted if w.order_id in {order.pk for order in fresh}])
    _histories(fresh, verb="want_back", actor=actor, note=note)
    here = commands.commands_withdraw(order_ids=[order.pk for order in fresh])
    orders_stay_on(order_ids=here, actor=actor, reason=next(w.reason for w in wanted), note=note)
    commands.commands_ask(order_ids=[order.pk for order in fresh if order.state == lifecycle.FAILED])
    return [order.pk for order in fresh]


def _bring_back(
    orders: Collection[CutoffOrder], *, actor: Actor, now: datetime, wanted: Sequence[_Wanted], note: str = ""
) -> list[int]:
    """They are off: the deadline runs, and the command goes out unless the customer must say first that it is safe."""
    if not orders:
        return []
    first, *others = wanted
    own = first.fields if not others else {}
    if others:
        _write(wanted)
    ids = [order.pk for order in orders]
    orders_step(order_ids=ids, action="pay", actor=actor, note=note, facts={"reason": first.reason}, **own)
    modes = {w.order_id: w.mode for w in wanted}
    ready = [o.pk for o in orders if modes[o.pk] == ReconnectMode.AUTOMATIC or o.is_safe_at]
    _reconnect(ready, actor=actor, now=now)
    for order in orders if len(orders) <= AT_ONCE else ():
        record.record_promise(order=order, actor=actor, due_at=next(w.due_at for w in wanted if w.order_id == order.pk))
    return ids


def _reconnect(order_ids: Collection[int], *, actor: Actor, now: datetime) -> None:
    going = orders_step(order_ids=order_ids, action="reconnect", actor=actor, reconnect_commanded_at=now)
    commands.commands_queue(order_ids=going, purpose="reconnect", actor=actor)


def _write(wanted: Iterable[_Wanted]) -> None:
    """Each order's own payment and deadline; what follows is the same step for all."""
    rows = [CutoffOrder(pk=w.order_id, **w.fields) for w in wanted]
    CutoffOrder.objects.bulk_update(rows, ["paid_at", "reconnect_due_at", "reconnect_mode", "is_wrongful"])


def _history(order: CutoffOrder, *, verb: str, actor: Actor, note: str = "") -> None:
    _histories([order], verb=verb, actor=actor, note=note)


def _histories(orders: Collection[CutoffOrder], *, verb: str, actor: Actor, note: str = "") -> None:
    """A line in the history of each order whose state stays what it is."""
    CutoffStep.objects.bulk_create(
        CutoffStep(
            batch_id=order.batch_id, order=order, verb=verb, before=order.state, after=order.state, note=note[:500],
            actor_kind=actor.kind, actor_name=actor.name, actor_id=actor.user_id,
        )
        for order in orders
    )  # fmt: skip
