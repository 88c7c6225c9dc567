"""Reading what everybody may see of debts and cut-offs; every read for a person starts here."""

from __future__ import annotations

from django.db.models import QuerySet

from accounts.actor import Actor
from accounts.scope import visible_to
from billing_cutoffs.models import BillingAccount, BillingFile, CutoffBatch, CutoffOrder
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
        actor, CutoffOrder.objects.select_related("branch", "batch", "service_point__customer", "outage", "case")
    )


def files_visible_to(actor: Actor) -> QuerySet[BillingFile]:
    """Files handed in for the actor's branches."""
    return visible_to(actor, BillingFile.objects.select_related("branch"))


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
