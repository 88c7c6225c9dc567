"""The page of an account: what is owed and why it is graded so, what was said and done, and what comes next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from django.db.models import Q, Sum
from django.utils import timezone
from django.utils.translation import gettext as _

import standards
from billing_cutoffs import lifecycle
from billing_cutoffs.dossier.debtors import days_overdue
from billing_cutoffs.dossier.notices import NoticeShown, notices_of
from billing_cutoffs.grading import Reason, reasons_of
from billing_cutoffs.models import (
    AccountHold,
    ArrearsCase,
    Bill,
    BillingAccount,
    CutoffOrder,
    GradeChange,
    Payment,
    PaymentStatus,
)

SHOWN: Final = 100  # of each list on a page; the evidence has all


@dataclass(frozen=True)
class Next:
    """What happens without anybody doing anything, and when; a missing time means as soon as it is due."""

    text: str
    on: date | None = None
    at: datetime | None = None


@dataclass(frozen=True)
class AccountFile:
    account: BillingAccount
    days: int | None
    case: ArrearsCase | None
    bills: Sequence[tuple[Bill, int]]  # with the days since it was due
    payments: Sequence[Payment]
    in_flight: Decimal
    reasons: Sequence[Reason]
    changes: Sequence[GradeChange]
    notices: Sequence[NoticeShown]
    holds: Sequence[tuple[AccountHold, bool]]  # with: does it stand?
    orders: Sequence[CutoffOrder]
    nexts: Sequence[Next]


def account_file(account: BillingAccount) -> AccountFile:
    """Everything about one account; statements do not grow with its history."""
    now = timezone.now()
    today = now.astimezone(ZoneInfo(account.branch.time_zone)).date()
    case = account.cases.filter(closed_at=None).first()
    orders = list(
        CutoffOrder.objects.filter(case__account=account).select_related("batch", "outage").order_by("-pk")[:SHOWN]
    )
    flying = account.payments.filter(status=PaymentStatus.IN_FLIGHT).aggregate(sum=Sum("amount"))["sum"]
    days = days_overdue(account, now)
    holds = [(hold, _stands(hold, now)) for hold in account.holds.order_by("-pk")[:SHOWN]]
    notices = notices_of(Q(case__account=account), most=SHOWN)
    return AccountFile(
        account=account,
        days=days,
        case=case,
        bills=[(bill, (today - bill.due_on).days) for bill in account.bills.all()[:SHOWN]],
        payments=list(account.payments.all()[:SHOWN]),
        in_flight=flying or Decimal(0),
        reasons=reasons_of(account.grade_why),
        changes=list(account.grade_changes.select_related("before", "after").order_by("-pk")[:SHOWN]),
        notices=notices,
        holds=holds,
        orders=orders,
        nexts=_nexts(account, case, orders, notices, holds, days=days, today=today),
    )


def _stands(hold: AccountHold, now: datetime) -> bool:
    return hold.released_at is None and hold.since <= now and (hold.until is None or hold.until > now)


def _nexts(
    account: BillingAccount, case: ArrearsCase | None, orders: Sequence[CutoffOrder],
    notices: Iterable[NoticeShown], holds: Iterable[tuple[AccountHold, bool]], *, days: int | None, today: date,
) -> list[Next]:  # fmt: skip
    """What comes by itself, in the order of time."""
    order = next((order for order in orders if order.state not in lifecycle.ENDED), None)
    if order is not None:
        return _order_nexts(order)
    if days is None or account.oldest_due_on is None:
        return [Next(_("Nothing is overdue: nothing follows."))]
    if case is None or account.grade is None:
        return [Next(_("The next grading opens the case and gives the account its grade."))]
    waits = [hold for hold, stands in holds if stands and hold.kind in ("dispute", "promise")]
    found = [
        Next(_("No reminders while this stands: %(hold)s.") % {"hold": hold.get_kind_display()}, at=hold.until)
        for hold in waits
    ]
    sent = [n.notice.after_days or 0 for n in notices if n.notice.case_id == case.pk and n.notice.stage == "reminder"]
    coming = [step for step in account.grade.steps.all() if step.after_days > max(sent, default=0)]
    due = [step for step in coming if step.after_days <= days][-1:]  # only the latest of several is sent
    for step in [*due, *(step for step in coming if step.after_days > days)]:
        on = max(account.oldest_due_on + timedelta(days=step.after_days), today)
        found.append(Next(_("Reminder of day %(days)d.") % {"days": step.after_days}, on=on))
    earliest = account.oldest_due_on + timedelta(days=cut_after(account) + 1)
    found.append(Next(_("From then on it may be proposed for a cut, which a person decides."), on=max(earliest, today)))
    return sorted(found, key=lambda n: n.on or (n.at.date() if n.at else today))


def cut_after(account: BillingAccount) -> int:
    """More days overdue than this, and the account may be proposed for a cut."""
    rule = standards.pack(account.branch.rule_pack).arrears.earliest_cut_after
    own = account.grade.cut_after_days if account.grade else None
    return max(rule.delta.days if rule else 0, own or 0)


def _order_nexts(order: CutoffOrder) -> list[Next]:
    batch = order.batch
    window = Next(_("The window of the cut opens; a payment before it ends the order."), at=batch.window_from)
    match order.state:
        case lifecycle.ELIGIBLE:
            return [Next(_("Another person decides about the batch %(batch)s.") % {"batch": batch.reference})]
        case lifecycle.APPROVED:
            return [Next(_("The letter must provably arrive; without proof it is served by hand.")), window]
        case lifecycle.NOTICED:
            warned = Next(_("The last warning, then its turn in the window."), at=order.scheduled_at)
            return [warned if order.scheduled_at else window]
        case lifecycle.WARNED:
            return [Next(_("Its turn in the window, unless it is paid before."), at=order.scheduled_at)]
        case lifecycle.HELD:
            return [Next(_("Held: it goes on only when nothing stands against it any more."))]
        case lifecycle.DISCONNECTED:
            return [Next(_("A payment orders the reconnection at once."))]
        case lifecycle.PAID | lifecycle.RECONNECT_COMMANDED | lifecycle.RECONNECT_FAILED:
            return [Next(_("The supply must be back."), at=order.reconnect_due_at)]
    return [Next(_("The answer of the meter, or of whoever goes there."))]
