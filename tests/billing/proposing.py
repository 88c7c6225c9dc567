"""Windows that are possible whatever day it is, and batches that have come so far through the services."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.utils import timezone

from accounts.actor import Actor
from billing_cutoffs.models import ArrearsCase, Bill, BillingAccount, CutoffBatch, CutoffOrder, CutoffStep
from billing_cutoffs.services.batches import batch_propose, batch_submit
from billing_cutoffs.services.decisions import batch_approve
from billing_cutoffs.services.windows import day_possible
from grid.models import Branch


def window(branch: Branch, *, days: int = 9, begins: time = time(9), ends: time = time(15)) -> dict[str, Any]:
    """From nine to three on the first possible day that lies so far ahead."""
    day = day_possible(branch=branch, earliest=timezone.now() + timedelta(days=days))
    assert day is not None
    zone = ZoneInfo(branch.time_zone)
    return {
        "window_from": datetime.combine(day, begins, zone),
        "window_until": datetime.combine(day, ends, zone),
    }


def proposed(branch: Branch, actor: Actor, **facts: Any) -> CutoffBatch:
    return batch_propose(actor=actor, branch_id=branch.pk, **{**window(branch), **facts}).batch


def submitted(branch: Branch, actor: Actor, **facts: Any) -> CutoffBatch:
    return batch_submit(actor=actor, reference=proposed(branch, actor, **facts).reference)


def approved(branch: Branch, author: Actor, approver: Actor, **facts: Any) -> CutoffBatch:
    batch = submitted(branch, author, **facts)
    count = batch.orders.filter(state="eligible").count()
    return batch_approve(actor=approver, reference=batch.reference, typed_count=count, is_confirmed=True)


def states(batch: CutoffBatch) -> dict[str, str]:
    """The state of each order, by account number."""
    orders = CutoffOrder.objects.filter(batch=batch)
    return dict(orders.values_list("service_point__customer__account_number", "state"))


def steps(batch: CutoffBatch) -> list[str]:
    """What was done with the batch as a whole."""
    return list(CutoffStep.objects.filter(batch=batch, order=None).values_list("verb", flat=True))


def everything(batch: CutoffBatch) -> dict[str, Any]:
    """What a refusal must leave as it is."""
    rows = CutoffBatch.objects.filter(pk=batch.pk).values()
    orders = CutoffOrder.objects.filter(batch=batch).order_by("pk").values()
    return {"batch": list(rows), "orders": list(orders), "steps": CutoffStep.objects.filter(batch=batch).count()}


def settled(*numbers: str) -> None:
    """These customers have paid, and billing says so; nobody has looked at their orders yet."""
    accounts = BillingAccount.objects.filter(customer__account_number__in=numbers)
    Bill.objects.filter(account__in=accounts).delete()
    ArrearsCase.objects.filter(account__in=accounts).update(closed_at=timezone.now())
    accounts.update(overdue=0, oldest_due_on=None, bills_overdue=0)
