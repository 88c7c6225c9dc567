"""What a verified caller asks for about a debt: time, a look at the bill, power that is safe to come back."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.actor import Actor
from billing_cutoffs.caller import CallerDebt, debt_of
from billing_cutoffs.models import HoldKind
from billing_cutoffs.services.complaints import complaint_from_call
from billing_cutoffs.services.holds import hold_set
from billing_cutoffs.services.reconnection import order_is_safe
from call_center import selectors
from call_center.services.calls import call_locked
from standards.errors import DomainError, NotFound


class NotVerified(DomainError):
    code = "not_verified"
    status = 403
    message = _("Check the caller's identity first.")


def hold_request(*, actor: Actor, key: UUID, kind: str, until: date, reason: str = "") -> None:
    """A verified caller promises to pay, or disputes a bill: nothing is cut until that day is over."""
    debt = _debt_spoken_of(actor, key)
    zone = ZoneInfo(debt.account.branch.time_zone)
    hold_set(
        actor=actor,
        account_id=debt.account.pk,
        kind=HoldKind(kind),
        until=datetime.combine(until + timedelta(days=1), time(), zone),
        reason=reason,
    )


def safe_record(*, actor: Actor, key: UUID) -> None:
    """A verified caller says that everything is switched off there: the supply may come back."""
    debt = _debt_spoken_of(actor, key)
    if debt.order is None:
        raise NotFound()
    order_is_safe(order_id=debt.order.pk, actor=actor, how=f"call {key}")


def complaint_record(*, actor: Actor, key: UUID, text: str) -> bool:
    """A caller complains about the cut; False if nothing is cut there."""
    with transaction.atomic(durable=True):
        call = call_locked(actor=actor, key=key)
        if selectors.identity_standing(actor=actor, call=call) is None or call.service_point_id is None:
            raise NotVerified()
        made = complaint_from_call(service_point_id=call.service_point_id, actor=actor, text=text, ref=str(call.key))
        return made is not None


def _debt_spoken_of(actor: Actor, key: UUID) -> CallerDebt:
    call = selectors.call_by_key(actor=actor, key=key)
    point = call.service_point
    if point is None or selectors.identity_standing(actor=actor, call=call) is None:
        raise NotVerified()
    debt = debt_of(service_point=point, at=timezone.now())
    if debt is None:
        raise NotFound()
    return debt
