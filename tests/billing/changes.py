"""Questions to the guards about one order, and the changes of its world that they notice."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, get_args

from django.utils import timezone

from accounts.actor import Actor
from billing_cutoffs.models import (
    AccountHold,
    BillingAccount,
    CutoffOrder,
    DebtNotice,
    Payment,
    TemperatureForecast,
)
from billing_cutoffs.protections import Finding, Stage, findings
from grid.models import CalendarDay, Customer, ServicePoint
from outages.services import outage_open, outage_restore
from tests.billing.calm import AT, local

STAGES: tuple[Stage, ...] = get_args(Stage)
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)

Change = Callable[[CutoffOrder], object]


def of(order: CutoffOrder, *, stage: Stage = "command", at: datetime = AT) -> tuple[Finding, ...]:
    return findings(order_ids=[order.pk], stage=stage, at=at).get(order.pk, ())


def codes(order: CutoffOrder, *, stage: Stage = "command", at: datetime = AT) -> list[str]:
    return [finding.code for finding in of(order, stage=stage, at=at)]


def the(order: CutoffOrder, code: str, **asked: Any) -> Finding:
    [found] = [finding for finding in of(order, **asked) if finding.code == code]
    return found


def owes(amount: str) -> Change:
    return lambda order: BillingAccount.objects.filter(cases=order.case).update(
        overdue=Decimal(amount), **({"oldest_due_on": None} if amount == "0.00" else {})
    )


def customer_is(**facts: Any) -> Change:
    return lambda order: Customer.objects.filter(service_points=order.service_point).update(**facts)


def held(kind: str, **facts: Any) -> Change:
    return lambda order: AccountHold.objects.create(
        account=order.case.account, kind=kind, set_by_name="ben", **{"since": AT - DAY, **facts}
    )


def pays(status: str = "in_flight", *, ago: timedelta = timedelta(hours=3)) -> Change:
    return lambda order: Payment.objects.create(
        source_system="bank", payment_id="p1", account_number="1", account=order.case.account, amount=Decimal("100.00"),
        status=status, paid_at=AT - ago,
    )  # fmt: skip


def day_is(kind: str, day: int, *, of_branch: str | None = None) -> Change:
    return lambda order: CalendarDay.objects.create(
        day=local(day).date(), kind=kind, name="日", branch=order.branch if of_branch else None
    )


def weather(**facts: Any) -> Change:
    return lambda order: TemperatureForecast.objects.filter(day=local(14).date()).update(**facts)


def batch_is(**facts: Any) -> Change:
    def change(order: CutoffOrder) -> None:
        type(order.batch).objects.filter(pk=order.batch_id).update(**facts)

    return change


def notice_is(stage: str, **facts: Any) -> Change:
    return lambda order: DebtNotice.objects.filter(order=order, stage=stage).update(**facts)


def neighbour_shares_the_meter(order: CutoffOrder) -> None:
    ServicePoint.objects.filter(code="SP0002").update(meter_number=order.service_point.meter_number)


def own_second_place_shares_the_meter(order: CutoffOrder) -> None:
    ServicePoint.objects.filter(code="SP0004").update(meter_number=order.service_point.meter_number)


def no_meter_anywhere(order: CutoffOrder) -> None:
    ServicePoint.objects.update(meter_number="")


def place_is_not_said(order: CutoffOrder) -> None:
    BillingAccount.objects.filter(cases=order.case).update(service_point=None)


def only_place_is_not_said(order: CutoffOrder) -> None:
    place_is_not_said(order)
    ServicePoint.objects.filter(code="SP0004").update(customer=Customer.objects.get(account_number="1000000002"))


def tenant_has_moved(order: CutoffOrder) -> None:
    ServicePoint.objects.filter(pk=order.service_point_id).update(
        customer=Customer.objects.get(account_number="1000000002")
    )


def case_is_closed(order: CutoffOrder) -> None:
    type(order.case).objects.filter(pk=order.case_id).update(closed_at=AT)


def fault(order: CutoffOrder, *, restored: bool = False) -> None:
    outage = outage_open(
        kind="fault", action="start", actor=Actor.system("tests"), element_ids=[order.service_point.element_id],
        started_at=timezone.now() - timedelta(hours=1),
    )  # fmt: skip
    if restored:
        outage_restore(outage_id=outage.pk, actor=Actor.system("tests"), restored_at=timezone.now())


def fault_is_over(order: CutoffOrder) -> None:
    fault(order, restored=True)


def statement_is_old(by: timedelta) -> Change:
    return lambda order: BillingAccount.objects.filter(cases=order.case).update(statement_at=AT - by)


def owes_since(days: int) -> Change:
    return lambda order: BillingAccount.objects.filter(cases=order.case).update(
        oldest_due_on=AT.date() - timedelta(days=days)
    )
