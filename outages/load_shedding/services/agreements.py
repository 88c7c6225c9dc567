"""What customers have agreed to take off on request, so that it is asked for before anybody is switched off."""

from __future__ import annotations

from datetime import date
from typing import Final

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from accounts.actor import Actor
from grid.models import Customer
from outages.load_shedding import policies
from outages.load_shedding.models import Agreement
from standards.errors import DomainError, NotFound, UnknownCode

LARGEST_MW: Final = 100_000.0
LONGEST_NOTICE_MIN: Final = 7 * 24 * 60


class BadRelief(DomainError):
    code = "bad_relief"
    message = _("The relief is a number of megawatts above 0 and at most %(most)s.")


class BadNotice(DomainError):
    code = "bad_notice"
    message = _("The notice is a number of minutes from 0 to %(most)s.")


def agreement_set(
    *, actor: Actor, customer_id: int, kind: str, mw: float, notice_minutes: int = 60, valid_until: date | None = None
) -> Agreement:
    """Enter an agreement, or its new terms: a customer has one of each kind.

    ``mw`` is what the customer takes off, ``notice_minutes`` how long before it has to be asked, ``valid_until`` the
    last day. Measures that were recorded by it stay as they are. Raises ``UnknownCode``, ``BadRelief``,
    ``BadNotice``, ``Forbidden``, ``NotFound``.
    """
    if kind not in Agreement.Kind.values:
        raise UnknownCode(field="kind", value=kind)
    if not 0 < mw <= LARGEST_MW:
        raise BadRelief(field="mw", most=f"{LARGEST_MW:,.0f}")
    if not 0 <= notice_minutes <= LONGEST_NOTICE_MIN:
        raise BadNotice(field="notice_minutes", most=f"{LONGEST_NOTICE_MIN:,}")
    with transaction.atomic(durable=True):
        customer = Customer.objects.select_related("branch").filter(pk=customer_id).first()
        if customer is None:
            raise NotFound(field="customer")
        policies.require(actor=actor, action="edit_plan", branch=customer.branch)
        terms = {
            "branch": customer.branch, "mw": mw, "notice_minutes": notice_minutes, "valid_until": valid_until
        }  # fmt: skip
        return Agreement.objects.update_or_create(customer=customer, kind=kind, defaults=terms)[0]


def agreement_end(*, actor: Actor, agreement_id: int) -> None:
    """Nobody is asked by it any more. Raises ``Forbidden``, ``NotFound``."""
    with transaction.atomic(durable=True):
        agreement = Agreement.objects.select_related("branch").filter(pk=agreement_id).first()
        if agreement is None:
            raise NotFound()
        policies.require(actor=actor, action="edit_plan", branch=agreement.branch)
        agreement.delete()
