"""The list of debtors: what stands in a row, what is counted above it, and how it is searched."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Subquery, Sum
from django.utils import timezone

from billing_cutoffs import lifecycle
from billing_cutoffs.models import AccountHold, BillingAccount, CutoffOrder, DebtNotice, OrderState

SEARCHED_LENGTH: Final = 64
TO_BE_CUT: Final = (*lifecycle.BEFORE_COMMAND, OrderState.COMMANDED)


def holds_standing() -> QuerySet[AccountHold]:
    """Bars that stand now."""
    now = timezone.now()
    return AccountHold.objects.filter(Q(until=None) | Q(until__gt=now), released_at=None, since__lte=now)


def condition_of(state: str) -> Q:
    """An account in this state of the list; an order that is over says nothing."""
    orders = CutoffOrder.objects.filter(case__account=OuterRef("pk"))
    conditions: Mapping[str, Q] = {
        "not_graded": Q(grade=None),
        "barred": Q(Exists(holds_standing().filter(account=OuterRef("pk")))),
        "off": Q(Exists(orders.filter(state__in=lifecycle.OFF))),
        "ordered": Q(Exists(orders.filter(state__in=TO_BE_CUT))),
        "none": ~Q(Exists(orders.exclude(state__in=lifecycle.ENDED))),
    }
    return conditions[state]


def searched(accounts: QuerySet[BillingAccount], typed: str) -> QuerySet[BillingAccount]:
    """By the end or the whole of the account number, or by a part of the name."""
    text = typed.strip()[:SEARCHED_LENGTH]
    if not text:
        return accounts
    found = Q(customer__name__icontains=text)
    if text.isascii() and text.isdigit():
        found |= Q(customer__account_number__endswith=text)
    return accounts.filter(found)


def debtors_counted(accounts: QuerySet[BillingAccount]) -> dict[str, Any]:
    """How many owe how much, and how many of them are in each state of the list: one statement."""
    counts = {state: Count("pk", filter=condition_of(state)) for state in ("ordered", "off", "barred", "not_graded")}
    return accounts.filter(overdue__gt=0).order_by().aggregate(all=Count("pk"), amount=Sum("overdue"), **counts)


def days_overdue(account: BillingAccount, now: datetime) -> int | None:
    """By the calendar of the account's own branch."""
    if account.oldest_due_on is None:
        return None
    return (now.astimezone(ZoneInfo(account.branch.time_zone)).date() - account.oldest_due_on).days


def debtors_listed(accounts: QuerySet[BillingAccount]) -> QuerySet[Any]:
    """The oldest debt first, each with its latest notice and its open order."""
    orders = CutoffOrder.objects.filter(case__account=OuterRef("pk")).exclude(state__in=lifecycle.ENDED).order_by("-pk")
    notices = DebtNotice.objects.filter(case__account=OuterRef("pk"), void_at=None).order_by("-issued_at")
    return (
        accounts.filter(overdue__gt=0)
        .annotate(
            order_state=Subquery(orders.values("state")[:1]),
            order_reference=Subquery(orders.values("reference")[:1]),
            last_notice=Subquery(notices.values("stage")[:1]),
            last_notice_at=Subquery(notices.values("issued_at")[:1]),
            is_barred=Exists(holds_standing().filter(account=OuterRef("pk"))),
        )
        .order_by("oldest_due_on", "-overdue", "pk")
    )
