"""What the tests of cut-offs say to each other: a debtor, a batch, an order that has come so far."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.utils import timezone

from accounts.actor import Actor
from billing_cutoffs.models import (
    ArrearsCase,
    Bill,
    BillingAccount,
    CutoffBatch,
    CutoffOrder,
    DebtNotice,
    Method,
    NoticeStage,
    ServedHow,
)
from billing_cutoffs.services import record
from grid.models import Branch, Customer, ServicePoint
from outages.services import references_take
from tests.factories.grid import SmallCity, phone_create

CLOCK = Actor.system("cut-offs")


def today(branch: Branch) -> datetime:
    return timezone.now().astimezone(ZoneInfo(branch.time_zone))


def debtor(
    city: SmallCity, code: str = "SP0001", *, days: int = 45, amount: str = "320.00", **facts: Any
) -> BillingAccount:
    """The customer of this service point owes ``amount`` since ``days`` days past the due date, in one bill."""
    point = city.service_points[code]
    return debtor_at(point, days=days, amount=amount, **facts)


def debtor_at(point: ServicePoint, *, days: int = 45, amount: str = "320.00", **facts: Any) -> BillingAccount:
    due_on = today(point.branch).date() - timedelta(days=days)
    account = BillingAccount.objects.create(
        customer=point.customer,
        branch=point.branch,
        service_point=point,
        source_system="billing",
        statement_at=timezone.now() - timedelta(hours=1),
        overdue=Decimal(amount),
        oldest_due_on=due_on,
        bills_overdue=1,
        **{"has_remote_switch": True, **facts},
    )
    Bill.objects.create(account=account, number=f"B-{point.code}", due_on=due_on, open_amount=Decimal(amount))
    ArrearsCase.objects.create(account=account, branch=point.branch, oldest_due_on=due_on)
    return account


def crowd_of_debtors(city: SmallCity, number: int, *, transformer: str = "T11", days: int = 45) -> list[BillingAccount]:
    """Many more debtors behind one transformer, each with a meter of its own and a telephone."""
    made = []
    element = city.elements[transformer]
    for i in range(number):
        customer = Customer.objects.create(account_number=f"3{i:09d}", name=f"欠费户{i}", branch=element.branch)
        phone_create(customer, f"+86136{i:08d}")
        point = ServicePoint.objects.create(
            code=f"D{i:05d}",
            meter_number=f"MD{i:05d}",
            customer=customer,
            element=element,
            branch=element.branch,
            average_kw=1,
        )
        made.append(debtor_at(point, days=days))
    return made


def batch(
    branch: Branch, author: Actor, *, state: str = "draft", opens: datetime | None = None, **facts: Any
) -> CutoffBatch:
    """A batch of the branch; its window opened an hour ago and stays open for five, unless ``opens`` says when."""
    opens = opens or timezone.now() - timedelta(hours=1)
    return CutoffBatch.objects.create(
        reference=references_take(prefix="B", branch=branch)[0],
        branch=branch,
        state=state,
        author_id=author.user_id,
        author_name=author.name,
        rule_pack=branch.rule_pack,
        **{
            "window_from": opens,
            "window_until": opens + timedelta(hours=6),
            "rate_per_hour": 600,
            "rate_per_feeder_hour": 60,
            **facts,
        },
    )


def order(account: BillingAccount, of: CutoffBatch, *, state: str = "eligible", **facts: Any) -> CutoffOrder:
    """An order in ``state``, with the notices and the record that belong to that state."""
    assert account.service_point is not None
    now = timezone.now()
    case = account.cases.get(closed_at__isnull=True)
    made = CutoffOrder.objects.create(
        reference=references_take(prefix="N", branch=account.branch)[0],
        batch=of,
        case=case,
        branch=account.branch,
        service_point=account.service_point,
        feeder=account.service_point.element.feeder,
        amount=account.overdue,
        method=Method.REMOTE if account.has_remote_switch else Method.FIELD,
        scheduled_at=now,
        **facts,
    )
    if state in ("eligible", "approved", "cancelled"):
        return _put(made, state)
    served(made, NoticeStage.LETTER, at=of.window_from - timedelta(days=8))
    record.record_schedule(order=made, actor=CLOCK)
    if state == "noticed":
        return _put(made, state)
    served(made, NoticeStage.FINAL_WARNING, at=now - timedelta(minutes=45))
    if state == "warned":
        return _put(made, state)
    made.commanded_at = now - timedelta(minutes=10)
    if state in ("commanded", "failed"):
        return _put(made, state)
    made.off_at = now - timedelta(minutes=8)
    made.save(update_fields=["off_at"])
    record.record_off(order=made, actor=CLOCK, at=made.off_at)
    if state in ("paid", "reconnect_commanded", "reconnect_failed", "reconnected"):
        made.paid_at = now - timedelta(minutes=5)
        made.reconnect_due_at = made.paid_at + timedelta(hours=24)
    if state == "reconnected":
        made.on_at = now
        record.record_on(order=made, actor=CLOCK, at=now)
    return _put(made, state)


def served(made: CutoffOrder, stage: str, *, at: datetime) -> DebtNotice:
    """A notice of the order, handed over."""
    return DebtNotice.objects.create(
        case=made.case,
        order=made,
        stage=stage,
        amount=made.amount,
        window_from=made.batch.window_from,
        window_until=made.batch.window_until,
        issued_at=at,
        served_at=at,
        served_how=ServedHow.BY_HAND,
        served_by="ben",
        served_note="handed to the customer",
    )


def _put(made: CutoffOrder, state: str) -> CutoffOrder:
    made.state = state
    made.save()
    return made
