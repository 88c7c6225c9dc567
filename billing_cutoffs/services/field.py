"""What a person on site does and sees: it is off, it is on, it could not be done. A slip of paper is their command."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.actor import Actor
from billing_cutoffs import lifecycle, policies, protections
from billing_cutoffs.models import CutoffOrder, Method
from billing_cutoffs.services.commands import IN_FLIGHT, NO_READING, commands_finish
from billing_cutoffs.services.ending import orders_end, orders_stay_on
from billing_cutoffs.services.orders import Moved, order_lock, order_step
from billing_cutoffs.services.reconnection import off_now, on_now
from standards.errors import Conflict, DomainError

CLOCKS_DIFFER: Final = timedelta(minutes=5)


class BadMoment(DomainError):
    code = "bad_moment"
    message = _("This cannot be the time: not in the future, and not before the order was given.")


class StillInFlight(Conflict):
    code = "still_in_flight"
    message = _("The command is still on its way to the meter: wait for its answer.")


class PerhapsOff(Conflict):
    """The meter was silent: an order that is forgotten now may leave somebody in the dark."""

    code = "perhaps_off"
    message = _("It is not known whether this was switched off: send somebody to look before the order ends.")


class Protected(Conflict):
    """Nobody is sent out to cut what must not be cut."""

    code = "protected"
    message = _("This must not be cut now: %(reasons)s.")


def confirm_off(
    *, order_id: int, actor: Actor, at: datetime, reading: str = "", note: str = "", expected_version: int | None = None
) -> CutoffOrder:
    """A person on site says that it is off since ``at``. Whoever has paid in the meantime comes back at once."""
    with transaction.atomic(durable=True):
        order = _order(order_id, actor, expected_version)
        if order.state not in (lifecycle.COMMANDED, lifecycle.FAILED):
            raise Moved(state=order.get_state_display())
        _plausible(at, order.commanded_at)
        commands_finish(order_ids=[order.pk], answer="seen_on_site")
        return off_now(order=order, actor=actor, at=at, note=note, facts=_seen(reading))


def confirm_on(
    *, order_id: int, actor: Actor, at: datetime, reading: str = "", note: str = "", expected_version: int | None = None
) -> CutoffOrder:
    """A person on site says that it is on: again, or still, because it was not cut.

    Raises ``StillInFlight`` while a command to switch it off may yet be carried out.
    """
    with transaction.atomic(durable=True):
        order = _order(order_id, actor, expected_version)
        _plausible(at, order.off_at)
        if order.state in lifecycle.OFF:
            return on_now(order=order, actor=actor, at=at, note=note, facts=_seen(reading))
        if order.state not in (lifecycle.COMMANDED, lifecycle.FAILED):
            raise Moved(state=order.get_state_display())
        if order.state == lifecycle.COMMANDED and order.commands.filter(state__in=IN_FLIGHT).exists():
            raise StillInFlight()
        orders_stay_on(order_ids=[order.pk], actor=actor, reason="paid" if order.paid_at else "not_cut", note=note)
        order.refresh_from_db()
        return order


def visit_failed(
    *, order_id: int, actor: Actor, note: str, expected_version: int | None = None
) -> CutoffOrder:  # fmt: skip
    """A person was there and could not switch it off: nobody opened, the meter is out of reach."""
    with transaction.atomic(durable=True):
        order = _order(order_id, actor, expected_version)
        if order.method != Method.FIELD:
            raise Moved(state=order.get_state_display())
        if order.reconnect_due_at is not None and order.state == lifecycle.COMMANDED:
            orders_stay_on(order_ids=[order.pk], actor=actor, reason="paid", note=note)
            order.refresh_from_db()
            return order
        return order_step(order=order, action="fail", actor=actor, note=note, state_reason="visit_failed")


def send_out(*, order_id: int, actor: Actor, note: str = "", expected_version: int | None = None,
             now: datetime | None = None) -> CutoffOrder:  # fmt: skip
    """The meter could not be switched off from afar: a person goes there, if it may still be cut now.

    Everything that may stand against a cut is looked at once more. Raises ``Protected``.
    """
    now = now or timezone.now()
    with transaction.atomic(durable=True):
        order = _order(order_id, actor, expected_version)
        if order.reconnect_due_at is not None:
            raise Moved(state=order.get_state_display())
        held = protections.findings(order_ids=[order.pk], stage="command", at=now).get(order.pk, ())
        if held:
            reasons = ", ".join(str(protections.finding_text(finding)) for finding in held)
            raise Protected(reasons=reasons)
        commands_finish(order_ids=[order.pk], answer="sent_out")
        return order_step(
            order=order, action="send_out", actor=actor, note=note, method=Method.FIELD, state_reason="",
            commanded_at=now,
        )  # fmt: skip


def order_cancel(*, order_id: int, actor: Actor, reason: str, expected_version: int | None = None) -> CutoffOrder:
    """A person ends one order before anything is switched off, and says why."""
    with transaction.atomic(durable=True):
        order = _order(order_id, actor, expected_version, action="stop")
        if order.state == lifecycle.FAILED and order.state_reason == NO_READING:
            raise PerhapsOff()
        if not orders_end(order_ids=[order.pk], actor=actor, reason="withdrawn", note=reason):
            raise Moved(state=order.get_state_display())
        order.refresh_from_db()
        return order


def _order(order_id: int, actor: Actor, expected_version: int | None, action: str = "confirm") -> CutoffOrder:
    order = order_lock(order_id, expected_version=expected_version)
    policies.require(actor=actor, action=action, branch=order.branch)
    return order


def _plausible(at: datetime, after: datetime | None) -> None:
    if at > timezone.now() + CLOCKS_DIFFER or (after is not None and at < after - CLOCKS_DIFFER):
        raise BadMoment(field="at")


def _seen(reading: str) -> dict[str, str]:
    return {"by": "person", **({"reading": reading} if reading else {})}
