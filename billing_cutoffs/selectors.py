"""Reading what everybody may see of debts and cut-offs; every read for a person starts here."""

from __future__ import annotations

from collections.abc import Collection

from django.db.models import Exists, OuterRef, QuerySet

from accounts.actor import Actor
from accounts.scope import read_capability, visible_to
from billing_cutoffs.models import (
    AccountHold,
    BillingAccount,
    BillingFile,
    CutoffBatch,
    CutoffOrder,
    TemperatureForecast,
)
from grid.models import Branch, ServicePoint
from standards.errors import NotFound


def accounts_visible_to(actor: Actor) -> QuerySet[BillingAccount]:
    """Accounts of the branches where the actor may read arrears."""
    return visible_to(actor, BillingAccount.objects.select_related("customer", "branch", "grade", "service_point"))


def batches_visible_to(actor: Actor) -> QuerySet[CutoffBatch]:
    """Batches of the actor's branches."""
    return visible_to(actor, CutoffBatch.objects.select_related("branch"))


def orders_visible_to(actor: Actor) -> QuerySet[CutoffOrder]:
    """Orders of the actor's branches."""
    return visible_to(
        actor,
        CutoffOrder.objects.select_related(
            "branch", "batch", "service_point__customer", "outage", "case__account__customer"
        ),
    )


def files_visible_to(actor: Actor) -> QuerySet[BillingFile]:
    """Files handed in for the actor's branches."""
    return visible_to(actor, BillingFile.objects.select_related("branch"))


def holds_visible_to(actor: Actor) -> QuerySet[AccountHold]:
    """What bars cuts in the actor's branches, over or not."""
    return visible_to(actor, AccountHold.objects.select_related("account__customer", "account__branch"))


def hold_by_key(*, actor: Actor, pk: int) -> AccountHold:
    """One hold. Raises ``NotFound``."""
    hold = holds_visible_to(actor).filter(pk=pk).first()
    if hold is None:
        raise NotFound()
    return hold


def forecasts_visible_to(actor: Actor) -> QuerySet[TemperatureForecast]:
    """What is forecast for the actor's branches, and for those above them: it holds below as well."""
    branches = visible_to(actor, Branch.objects.all(), read_capability(TemperatureForecast))
    below = branches.filter(pos__gte=OuterRef("branch__pos"), pos__lte=OuterRef("branch__last"))
    return TemperatureForecast.objects.select_related("branch").filter(Exists(below))


def account_by_number(*, actor: Actor, number: str) -> BillingAccount:
    """One account by its public number; foreign and missing are the same ``NotFound``."""
    account = accounts_visible_to(actor).filter(customer__account_number=number).first()
    if account is None:
        raise NotFound()
    return account


def batch_by_reference(*, actor: Actor, reference: str) -> CutoffBatch:
    """One batch by its number. Raises ``NotFound``."""
    batch = batches_visible_to(actor).filter(reference=reference).first()
    if batch is None:
        raise NotFound()
    return batch


def order_by_reference(*, actor: Actor, reference: str) -> CutoffOrder:
    """One order by its number. Raises ``NotFound``."""
    order = orders_visible_to(actor).filter(reference=reference).first()
    if order is None:
        raise NotFound()
    return order


def meters_known(*, actor: Actor, numbers: Collection[str]) -> set[str]:
    """Those of the meter numbers that belong to the branches for which the actor tells of meters."""
    points = ServicePoint.objects.filter(meter_number__in=list(numbers))
    return set(visible_to(actor, points, "meter_event.create").values_list("meter_number", flat=True))
