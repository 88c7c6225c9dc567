"""What each kind of feed consists of: one item, read and typed. ``amount`` of money is always a ``Decimal``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from django.utils.translation import gettext_lazy as _

from billing_cutoffs.intake import items
from billing_cutoffs.intake.items import BadItem, BadTemperature, Item
from billing_cutoffs.models import HoldKind, PaymentStatus

MOST_BILLS: Final = 500  # of one account
MOST_NUMBER: Final = 64


class TooManyBills(BadItem):
    code = "too_many_bills"
    message = _("At most %(most)d open bills of one account are taken.")


class DuplicateBill(BadItem):
    code = "duplicate_bill"
    message = _("This bill stands here twice.")


@dataclass(frozen=True, slots=True)
class BillTold:
    number: str
    due_on: date
    open_amount: Decimal


@dataclass(frozen=True, slots=True)
class Statement:
    """How billing says that one account stands: every bill that is not wholly paid. None: nothing is owed."""

    account_number: str
    as_of: datetime
    bills: tuple[BillTold, ...]
    service_point: str = ""
    late_payments_year: int | None = None
    has_remote_switch: bool | None = None


@dataclass(frozen=True, slots=True)
class PaymentTold:
    payment_id: str
    account_number: str
    amount: Decimal
    paid_at: datetime
    status: str


@dataclass(frozen=True, slots=True)
class ForecastTold:
    branch: str
    day: date
    low: float
    high: float
    issued_at: datetime


@dataclass(frozen=True, slots=True)
class ComplaintTold:
    account_number: str
    at: datetime
    text: str
    ref: str


@dataclass(frozen=True, slots=True)
class HoldTold:
    """What bars the cut of one account, as its source tells it: again with the same reference, it is the same hold."""

    ref: str
    account_number: str
    kind: str
    since: datetime
    until: datetime | None
    amount: Decimal | None
    reason: str
    orders_reconnection: bool
    ended_at: datetime | None


def statement_reader(now: datetime) -> Callable[[Item], Statement]:
    """Reads one statement of an account; ``now`` is what lies ahead is judged by. The reader raises ``BadItem``."""

    def read(item: Item) -> Statement:
        return Statement(
            account_number=items.text(item, "account_number", most=MOST_NUMBER),
            as_of=items.moment(item, "as_of", now=now),
            bills=_bills(item.get("bills")),
            service_point=items.text(item, "service_point", most=128, is_needed=False),
            late_payments_year=items.whole(item, "late_payments_year", most=1000),
            has_remote_switch=items.flag(item, "has_remote_switch"),
        )

    return read


def _bills(told: Any) -> tuple[BillTold, ...]:
    """Left out is a mistake, empty is a statement: nothing is owed. A bill of nothing is paid."""
    if told is None:
        raise items.Missing(field="bills")
    if not isinstance(told, list | tuple):
        raise BadItem(field="bills")
    if len(told) > MOST_BILLS:
        raise TooManyBills(field="bills", most=MOST_BILLS)
    bills: dict[str, BillTold] = {}
    for at, item in enumerate(told):
        try:
            if not isinstance(item, dict):
                raise BadItem()
            bill = BillTold(
                number=items.text(item, "number", most=MOST_NUMBER),
                due_on=items.day(item, "due_on"),
                open_amount=items.amount(item, "open_amount"),
            )
            if bill.number in bills:
                raise DuplicateBill(field="number")
        except BadItem as wrong:
            wrong.field = f"bills.{at}.{wrong.field}".rstrip(".")
            raise
        bills[bill.number] = bill
    return tuple(bill for bill in bills.values() if bill.open_amount)


def payment_reader(now: datetime) -> Callable[[Item], PaymentTold]:
    """Reads one payment. The reader raises ``BadItem``."""

    def read(item: Item) -> PaymentTold:
        told = PaymentTold(
            payment_id=items.text(item, "payment_id", most=128),
            account_number=items.text(item, "account_number", most=MOST_NUMBER),
            amount=items.amount(item, "amount"),
            paid_at=items.moment(item, "paid_at", now=now),
            status=items.choice(item, "status", PaymentStatus.values),
        )
        if not told.amount:
            raise items.NotPositive(field="amount")
        return told

    return read


def forecast_reader(now: datetime) -> Callable[[Item], ForecastTold]:
    """Reads what is forecast for one day of one branch. The reader raises ``BadItem``."""

    def read(item: Item) -> ForecastTold:
        told = ForecastTold(
            branch=items.text(item, "branch", most=MOST_NUMBER),
            day=items.day(item, "day"),
            low=items.temperature(item, "low"),
            high=items.temperature(item, "high"),
            issued_at=items.moment(item, "issued_at", now=now),
        )
        if told.low > told.high:
            raise BadTemperature(field="low")
        return told

    return read


def complaint_reader(now: datetime) -> Callable[[Item], ComplaintTold]:
    """Reads one complaint about a cut. The reader raises ``BadItem``."""

    def read(item: Item) -> ComplaintTold:
        return ComplaintTold(
            account_number=items.text(item, "account_number", most=MOST_NUMBER),
            at=items.moment(item, "at", now=now, default=now),
            text=items.text(item, "text", most=500, is_needed=False),
            ref=items.text(item, "ref", most=128, is_needed=False),
        )

    return read


def hold_reader(now: datetime) -> Callable[[Item], HoldTold]:
    """Reads one hold on an account. The reader raises ``BadItem``."""

    def when(item: Item, name: str) -> datetime | None:
        return items.any_moment(item, name) if item.get(name) else None

    def read(item: Item) -> HoldTold:
        told = HoldTold(
            ref=items.text(item, "ref", most=128),
            account_number=items.text(item, "account_number", most=MOST_NUMBER),
            kind=items.choice(item, "kind", HoldKind.values),
            since=when(item, "since") or now,
            until=when(item, "until"),
            amount=items.amount(item, "amount") if item.get("amount") else None,
            reason=items.text(item, "reason", most=500, is_needed=False),
            orders_reconnection=items.flag(item, "orders_reconnection") or False,
            ended_at=items.moment(item, "ended_at", now=now) if item.get("ended_at") else None,
        )
        if told.until is not None and told.until <= told.since:
            raise items.BadTime(field="until")
        return told

    return read
