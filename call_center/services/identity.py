"""Who is calling: what they have confirmed, for this call and these premises only. Every check is kept."""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.actor import Actor
from accounts.models import AccessOutcome, AccessVerb
from accounts.services import access_record
from billing_cutoffs.caller import last_payment_is
from call_center import policies, selectors
from call_center.models import IdentityCheck, IdentityItem
from call_center.services.calls import NoPremises, call_locked
from grid.models import ServicePoint
from standards.errors import Conflict, DomainError


class TooFewItems(DomainError):
    code = "too_few_items"
    message = _("The caller must confirm at least %(minimum)s of these.")


class PaymentDiffers(DomainError):
    code = "payment_differs"
    message = _("That is not the amount last paid. The caller may confirm something else.")


def identity_confirm(*, actor: Actor, key: UUID, items: Collection[str], paid: Decimal | None = None) -> IdentityCheck:
    """The caller has confirmed enough: in this call, for these premises, the account may be spoken of.

    Raises ``TooFewItems``, and ``PaymentDiffers`` where the amount they named is not the one last paid.
    """
    call = selectors.call_by_key(actor=actor, key=key)
    policies.require_ask_identity(actor=actor, call=call)
    point = call.service_point
    if point is None:
        raise NoPremises()
    confirmed = [item for item in IdentityItem.values if item in items]
    if len(confirmed) < settings.IDENTITY_ITEMS:
        raise TooFewItems(field="items", minimum=settings.IDENTITY_ITEMS)
    if IdentityItem.PAYMENT in confirmed and not (
        paid is not None and last_payment_is(service_point=point, amount=paid)
    ):
        _identity_recorded(actor, point, confirmed, AccessOutcome.REFUSED)
        raise PaymentDiffers(field="paid")
    with transaction.atomic(durable=True):
        call = call_locked(actor=actor, key=key)
        if not call.is_open or call.service_point_id != point.pk:
            raise Conflict()
        standing = selectors.identity_standing(actor=actor, call=call)
        if standing is not None:
            return standing
        # the check of whoever put the call through does not count for the next agent
        IdentityCheck.objects.filter(call=call, withdrawn_at__isnull=True).update(withdrawn_at=timezone.now())
        _identity_recorded(actor, point, confirmed, AccessOutcome.DONE)
        return IdentityCheck.objects.create(
            call=call, service_point=point, items=confirmed, by_id=policies.agent_id(actor)
        )


def _identity_recorded(actor: Actor, point: ServicePoint, confirmed: list[str], outcome: str) -> None:
    access_record(
        actor=actor,
        verb=AccessVerb.REVEAL,
        object_type="arrears",
        object_ref=point.code,
        branch_pos=point.branch.pos,
        reason="identity checked in a call",
        outcome=outcome,
        detail={"items": confirmed},
    )


def identity_withdraw(*, actor: Actor, key: UUID) -> None:
    """It is not the customer after all: from now on nothing of the account is said."""
    with transaction.atomic(durable=True):
        call = call_locked(actor=actor, key=key)
        IdentityCheck.objects.filter(call=call, withdrawn_at__isnull=True).update(withdrawn_at=timezone.now())
