"""What the agent may tell a caller whose identity is checked: how much, since when, how to pay, when it is back.

The console asks here and nowhere else; who may ask is decided by the console's policy for this one call.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from django.db.models import Q, QuerySet
from django.utils.functional import Promise
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

import standards
from billing_cutoffs import lifecycle
from billing_cutoffs.models import (
    AccountHold,
    Bill,
    BillingAccount,
    CutoffOrder,
    DebtNotice,
    HoldKind,
    OrderState,
    Payment,
    PaymentStatus,
    ReconnectMode,
)
from billing_cutoffs.services.reconnection import deadline_of
from billing_cutoffs.texts import money
from grid.models import ServicePoint
from outages.causes import RECENTLY_RESTORED
from outages.wording import rounded_etr, spoken_time
from standards.schema import Arrears

NOTICES_SHOWN: Final = 5

# what happens next without anybody doing anything, by where the order stands
_NEXT: Final[dict[str, str | Promise]] = {
    OrderState.ELIGIBLE: _("Proposed for a cut; nothing is decided."),
    OrderState.APPROVED: _("The cut-off letter is on its way."),
    OrderState.NOTICED: _("A last warning follows, then the cut inside the window."),
    OrderState.WARNED: _("The cut follows inside the window."),
    OrderState.COMMANDED: _("The supply is being switched off now."),
    OrderState.DISCONNECTED: _("A payment switches it on again; nobody needs to call."),
    OrderState.PAID: _("Paid: it is switched on as soon as the customer says that it is safe."),
    OrderState.RECONNECT_COMMANDED: _("Paid: it is being switched on."),
    OrderState.RECONNECT_FAILED: _("Paid: it could not be switched on from afar, somebody goes there."),
    OrderState.RECONNECTED: _("It is on again. Still off? Log a fault."),
    OrderState.HELD: _("The cut is held; it does not happen while that stands."),
    OrderState.FAILED: _("It could not be switched off; somebody may go there."),
}


@dataclass(frozen=True)
class HoldShown:
    """A hold as the agent may see it: a medical need is not named."""

    label: str | Promise
    until: datetime | None


@dataclass(frozen=True)
class CallerDebt:
    """The caller's account, and the order of these premises if there is one."""

    account: BillingAccount
    bills: tuple[Bill, ...]
    order: CutoffOrder | None
    holds: tuple[HoldShown, ...]
    notices: tuple[DebtNotice, ...]
    in_flight: Payment | None
    last_paid: Payment | None
    back_by: datetime | None  # if it were paid now, or, once it is, what was promised
    at: datetime

    @property
    def owes(self) -> bool:
        return self.account.overdue > 0

    @property
    def amount(self) -> str:
        return self._money(self.account.overdue, get_language() or "en")

    @property
    def is_off(self) -> bool:
        return self.order is not None and self.order.state in lifecycle.OFF

    @property
    def is_to_be_cut(self) -> bool:
        return self.order is not None and self.order.state in (*lifecycle.BEFORE_COMMAND, lifecycle.COMMANDED)

    @property
    def is_paid(self) -> bool:
        return self.order is not None and self.order.state in lifecycle.TO_RECONNECT

    @property
    def is_overdue(self) -> bool:
        return self.is_paid and self.back_by is not None and self.back_by < self.at

    @property
    def asks_whether_safe(self) -> bool:
        """It comes back only after the customer says that it may."""
        order = self.order
        if order is None or order.is_safe_at is not None:
            return False
        if order.state == lifecycle.PAID:
            return order.reconnect_mode == ReconnectMode.SAFE
        is_safe_mode = str(self._arrears.reconnect_mode.value) == ReconnectMode.SAFE
        return order.state == lifecycle.DISCONNECTED and is_safe_mode

    @property
    def next_step(self) -> str | Promise:
        if self.order is not None:
            return _NEXT[self.order.state]
        return _("Reminders; no cut is planned.") if self.owes else _("Nothing is owed.")

    @property
    def script_zh(self) -> list[str]:
        return [line for line in (self._zh_debt(), self._zh_cut(), self._zh_pay(), self._zh_back()) if line]

    @property
    def script_en(self) -> list[str]:
        return [line for line in (self._en_debt(), self._en_cut(), self._en_pay(), self._en_back()) if line]

    # the words

    def _zh_debt(self) -> str:
        due = self.account.oldest_due_on
        if due is None:
            return "您的账户目前没有欠费。"
        amount = self._money(self.account.overdue, "zh")
        return f"您的账户目前欠费{amount}，最早一笔应在{due.year}年{due.month}月{due.day}日前缴清。"

    def _zh_cut(self) -> str:
        if not self._names_a_window or self.order is None:
            return ""
        first, last = (self._t(moment, "zh") for moment in self._window)
        return f"如果没有缴清，{first}到{last}之间可能停电。"

    def _zh_pay(self) -> str:
        if not self.owes or self.is_paid:
            return ""
        if self.in_flight is not None:
            return f"我们看到有一笔{self._money(self.in_flight.amount, 'zh')}的付款正在处理，到账后会自动登记。"
        return "请用您平时的方式缴清；到账后系统会自动登记，不需要再打电话。"

    def _zh_back(self) -> str:
        if not self.is_off or self.back_by is None:
            return ""
        safe = "恢复前请把家里的电器都关掉，并告诉我们现场安全。" if self.asks_whether_safe else ""
        if self.is_overdue:
            return f"账户手续已经办妥，复电比原先说的要晚，我们正在加紧处理。{safe}"
        by = self._t(self._rounded(self.back_by), "zh")
        said = f"账户手续已经办妥，最迟{by}前恢复供电。" if self.is_paid else f"现在缴清，最迟{by}前恢复供电。"
        return f"{said}{safe}"

    def _en_debt(self) -> str:
        due = self.account.oldest_due_on
        if due is None:
            return "Nothing is overdue on your account."
        amount = self._money(self.account.overdue, "en")
        return f"Your account is overdue by {amount}; the oldest bill was due on {due.day} {due:%B %Y}."

    def _en_cut(self) -> str:
        if not self._names_a_window or self.order is None:
            return ""
        first, last = (self._t(moment, "en") for moment in self._window)
        return f"Unless it is paid, your supply may be cut off between {first} and {last}."

    def _en_pay(self) -> str:
        if not self.owes or self.is_paid:
            return ""
        if self.in_flight is not None:
            amount = self._money(self.in_flight.amount, "en")
            return f"We see a payment of {amount} on its way; it counts by itself as soon as it is booked."
        return "Please pay in the way you usually do; it counts by itself as soon as it is booked, no call is needed."

    def _en_back(self) -> str:
        if not self.is_off or self.back_by is None:
            return ""
        safe = " Before that, please switch everything off and tell us that it is safe." * self.asks_whether_safe
        if self.is_overdue:
            return f"The account is settled, and reconnecting you takes longer than we said; we press on with it.{safe}"
        by = self._t(self._rounded(self.back_by), "en")
        said = "The account is settled; the power is back" if self.is_paid else "Paid now, the power is back"
        return f"{said} by {by} at the latest.{safe}"

    @property
    def _names_a_window(self) -> bool:
        """A letter has told them when; before that the window is ours to change."""
        return self.order is not None and self.order.state in (lifecycle.NOTICED, lifecycle.WARNED, lifecycle.COMMANDED)

    @property
    def _window(self) -> tuple[datetime, ...]:
        return () if self.order is None else (self.order.batch.window_from, self.order.batch.window_until)

    @property
    def _arrears(self) -> Arrears:
        return standards.pack(self.account.branch.rule_pack).arrears

    @property
    def _zone(self) -> ZoneInfo:
        return ZoneInfo(self.account.branch.time_zone)

    def _rounded(self, moment: datetime) -> datetime:
        return rounded_etr(moment, self.at, self._zone)

    def _t(self, moment: datetime, language: str) -> str:
        return spoken_time(moment, language, self.at, self._zone)

    def _money(self, amount: Decimal, language: str) -> str:
        return money(amount, rule_pack=self.account.branch.rule_pack, language=language)


def debt_of(*, service_point: ServicePoint, at: datetime) -> CallerDebt | None:
    """The account behind these premises; ``None`` where billing has told us nothing of it."""
    account = _accounts_of(service_point).first()
    if account is None:
        return None
    order = _order_of(service_point, at)
    payments = list(account.payments.exclude(status=PaymentStatus.RETURNED)[:20])
    notices = DebtNotice.objects.filter(case__account=account, case__closed_at__isnull=True, void_at__isnull=True)
    return CallerDebt(
        account=account,
        bills=tuple(account.bills.all()),
        order=order,
        holds=tuple(_hold(hold) for hold in _holds_of(account, at)),
        notices=tuple(notices.order_by("-issued_at", "-pk")[:NOTICES_SHOWN]),
        in_flight=next((paid for paid in payments if paid.status == PaymentStatus.IN_FLIGHT), None),
        last_paid=next((paid for paid in payments if paid.status == PaymentStatus.SETTLED), None),
        back_by=_back_by(order, at),
        at=at,
    )


def last_payment_is(*, service_point: ServicePoint, amount: Decimal) -> bool:
    """Has the caller named the amount last paid? The agent sees neither the amount nor whether anything is owed."""
    account = _accounts_of(service_point).first()
    last = None if account is None else account.payments.filter(status=PaymentStatus.SETTLED).first()
    return last is not None and last.amount == amount


def _accounts_of(service_point: ServicePoint) -> QuerySet[BillingAccount]:
    """Of a customer with several premises only the account that is about these, or about all of them."""
    about = Q(service_point=service_point) | Q(service_point__isnull=True)
    return BillingAccount.objects.select_related("branch", "customer").filter(
        about, customer_id=service_point.customer_id
    )


def _order_of(service_point: ServicePoint, at: datetime) -> CutoffOrder | None:
    """The open order, or the one after which the supply came back just now."""
    open_or_recent = ~Q(state__in=lifecycle.ENDED) | Q(state=OrderState.RECONNECTED, on_at__gt=at - RECENTLY_RESTORED)
    orders = CutoffOrder.objects.select_related("batch", "branch", "service_point__customer")
    return orders.filter(open_or_recent, service_point=service_point).order_by("-pk").first()


def _holds_of(account: BillingAccount, at: datetime) -> QuerySet[AccountHold]:
    standing = Q(until__isnull=True) | Q(until__gt=at)
    return AccountHold.objects.filter(standing, account=account, since__lte=at, released_at__isnull=True)


def _hold(hold: AccountHold) -> HoldShown:
    label = _("protected from a cut") if hold.kind == HoldKind.MEDICAL else HoldKind(hold.kind).label
    return HoldShown(label=label, until=hold.until)


def _back_by(order: CutoffOrder | None, at: datetime) -> datetime | None:
    if order is None or order.state not in lifecycle.OFF:
        return None
    return order.reconnect_due_at or deadline_of(order, at)
