"""Debts and cut-offs of the demo city: whom billing names, who is protected, a batch at every gate, people on their way
back, each step made by its own person.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

import pgtrigger
from django.contrib.auth import get_user_model
from django.db import connection
from django.db.models import F
from django.utils import timezone

import standards
from accounts.actor import Actor
from billing_cutoffs.models import CutoffBatch, CutoffOrder, CutoffStep, DebtNotice, NoticeStage
from billing_cutoffs.protections import day_bars
from billing_cutoffs.services import batches, decisions, dunning, feed, field, grades, holds, running, serving
from billing_cutoffs.services.windows import day_possible
from grid.calendar import calendar_of
from grid.models import Branch, Importance, ServicePoint

# days overdue, what is owed, how often late in a year; one line a debtor, again and again
DEBTS: Final = (
    (4, "86.40", 0), (12, "152.75", 1), (38, "214.60", 2), (45, "389.10", 1), (52, "1278.00", 4), (33, "97.30", 0),
    (61, "645.25", 3), (74, "2210.80", 5), (41, "178.90", 1), (35, "18.50", 0), (90, "3105.45", 6), (47, "266.00", 2),
)  # fmt: skip
DEBTORS: Final = 132
BANK: Final = "bank"
BILLING: Final = "billing"
FAR: Final = timedelta(days=10)  # time for letters to everybody


class DemoCutoffs:
    """What the billing clerk and the approver of the first branch office have on their desks."""

    def __init__(self, office: Branch) -> None:
        people = get_user_model().objects
        self.clerk = Actor.for_user(people.get(username="billing"))
        self.approver = Actor.for_user(people.get(username="approver"))
        self.system = Actor.system("cut-offs")
        self.office = office
        self.zone = ZoneInfo(office.time_zone)
        self.now = timezone.now().astimezone(self.zone)
        self.pack = standards.pack(office.rule_pack)
        self.points = self._points()

    def run(self) -> None:
        self.statements()
        self.forecasts()
        grades.accounts_grade(actor=self.system)
        dunning.reminders_issue(actor=self.system)
        self.carried_out()
        self.protections()
        self.payments_under_way()
        self.waiting_for_the_approver()

    # --- what billing says ------------------------------------------------------------------------------

    def _points(self) -> list[ServicePoint]:
        """Debtors all over the office; some of them important, two on life support."""
        homes = ServicePoint.objects.filter(branch=self.office).select_related("customer").order_by("pk")
        normal = list(homes.filter(customer__importance=Importance.NORMAL))
        rare = list(homes.exclude(customer__importance=Importance.NORMAL)[:6])
        step = max(1, len(normal) // (DEBTORS - len(rare)))
        return [*rare, *normal[::step]][:DEBTORS]

    def statements(self) -> None:
        today = self.now.date()
        items = []
        for n, point in enumerate(self.points):
            days, _amount, late = DEBTS[n % len(DEBTS)]
            items.append(
                {
                    "account_number": point.customer.account_number,
                    "as_of": self.now - timedelta(days=4),
                    "service_point": point.code,
                    "late_payments_year": late,
                    "has_remote_switch": n % 4 != 0,
                    "bills": [
                        {
                            "number": f"{point.code}-{today - timedelta(days=days):%Y%m}",
                            "due_on": today - timedelta(days=days),
                            "open_amount": self.owed(n),
                        }
                    ],
                }
            )
        feed.arrears_receive(actor=self.system, source_system=BILLING, items=items)

    def owed(self, n: int) -> str:
        """What the debtor at place ``n`` owes: like the others of the same line, and not quite the same."""
        return str(Decimal(DEBTS[n % len(DEBTS)][1]) + n % 11 * Decimal("7.35"))

    def forecasts(self) -> None:
        """Mild days: the past week's, so that the batch carried out then knows its weather, and the coming ones."""
        feed.forecasts_receive(
            actor=self.system,
            source_system="weather",
            items=[
                {
                    "branch": self.office.code,
                    "day": self.now.date() + timedelta(days=n),
                    "low": 6 + n % 3,
                    "high": 14 + n % 4,
                    "issued_at": self.now - timedelta(hours=1),
                }
                for n in range(-8, 15)
            ],
        )

    def protections(self) -> None:
        """A medical need, a dispute, a promise to pay, and a site whose supply is kept."""
        debtors = [point for n, point in enumerate(self.points[6:], start=6) if DEBTS[n % len(DEBTS)][0] > 30]
        kinds: tuple[dict[str, Any], ...] = (
            {"kind": "medical", "reason": "家用制氧机，医院证明已登记", "until": self.now + timedelta(days=60)},
            {"kind": "dispute", "reason": "客户对上月抄表读数有异议", "until": self.now + timedelta(days=5)},
            {"kind": "promise", "amount": Decimal("389.10"), "until": self.now + timedelta(days=9)},
            {"kind": "keep_power", "reason": "考点保电", "until": self.now + timedelta(days=20)},
        )
        for point, hold in zip(debtors[-4:], kinds, strict=True):
            holds.hold_set(actor=self.clerk, account_id=point.customer_id, **hold)

    def payments_under_way(self) -> None:
        """Two payments that the bank has promised, and not booked yet."""
        debtors = [point for n, point in enumerate(self.points[6:], start=6) if DEBTS[n % len(DEBTS)][0] > 30]
        self._pay(debtors[-6:-4], status="in_flight", at=self.now - timedelta(hours=3))

    def _pay(self, points: list[ServicePoint], *, status: str = "settled", at: datetime, part: str = "") -> None:
        owed = {point.code: self.owed(self.points.index(point)) for point in points}
        feed.payments_receive(
            actor=self.system,
            source_system=BANK,
            items=[
                {
                    "payment_id": f"{self.now:%Y%m%d}-{point.code}",
                    "account_number": point.customer.account_number,
                    "amount": part or owed[point.code],
                    "paid_at": at,
                    "status": status,
                }
                for point in points
            ],
        )

    # --- batches ----------------------------------------------------------------------------------------

    def waiting_for_the_approver(self) -> None:
        batch = self._proposed(note="月末例行批次")
        batches.batch_submit(actor=self.clerk, reference=batch.reference)

    def carried_out(self) -> None:
        """The batch of last week: cut on site, some of them paid since, one of them too long ago."""
        debtors = [point for n, point in enumerate(self.points[6:], start=6) if DEBTS[n % len(DEBTS)][0] > 40][:14]
        batch = self._proposed(debtors, note="上周批次")
        batches.batch_submit(actor=self.clerk, reference=batch.reference)
        batch.refresh_from_db()
        executable = batch.orders.filter(state="eligible").count()
        decisions.batch_approve(
            actor=self.approver, reference=batch.reference, typed_count=executable, is_confirmed=True
        )
        dunning.letters_issue(batch_id=batch.pk, actor=self.system)
        self._serve(batch, NoticeStage.LETTER)
        serving.orders_notice(actor=self.system)
        dunning.warnings_issue(order_ids=list(batch.orders.values_list("pk", flat=True)), actor=self.system)
        self._serve(batch, NoticeStage.FINAL_WARNING)
        serving.orders_warn(actor=self.system)
        opens = self._set_back(batch)
        batch.refresh_from_db()
        CutoffOrder.objects.filter(batch=batch).update(method="field")
        for minutes in range(0, 420, 30):
            running.batches_turn(actor=self.system, now=opens + timedelta(minutes=minutes))
        for order in batch.orders.filter(state="commanded").order_by("pk"):
            at = (order.commanded_at or opens) + timedelta(minutes=12)
            field.confirm_off(order_id=order.pk, actor=self.clerk, at=at, note="现场确认已停电")
        running.batches_turn(actor=self.system, now=batch.window_until + timedelta(minutes=1))
        off = [order.service_point_id for order in batch.orders.filter(state="disconnected").order_by("pk")]
        cut = [point for point in self.points if point.pk in set(off)]
        self._pay(cut[:1], at=max(self.now - timedelta(hours=30), opens + timedelta(hours=5)))
        self._pay(cut[1:3], at=self.now - timedelta(hours=5))
        self._pay(cut[3:4], at=self.now - timedelta(minutes=40))
        done = batch.orders.filter(service_point__in=cut[3:4]).first()
        if done is not None:
            field.confirm_on(order_id=done.pk, actor=self.clerk, at=self.now - timedelta(minutes=5), note="已复电")

    def _proposed(self, points: list[ServicePoint] | None = None, *, note: str) -> CutoffBatch:
        opens, closes = self._window(day_possible(branch=self.office, earliest=self.now + FAR))
        proposed = batches.batch_propose(
            actor=self.clerk, branch_id=self.office.pk, window_from=opens, window_until=closes, note=note,
            account_numbers=[point.customer.account_number for point in points or ()],
        )  # fmt: skip
        return proposed.batch

    def _window(self, day: date | None) -> tuple[datetime, datetime]:
        hours = self.pack.arrears.cut_hours.value
        on = day or self.now.date()
        return tuple(datetime.combine(on, clock, self.zone) for clock in (hours.begins, hours.ends))  # type: ignore[return-value]

    def _serve(self, batch: CutoffBatch, stage: str) -> None:
        for notice in DebtNotice.objects.filter(order__batch=batch, stage=stage, served_at__isnull=True).order_by("pk"):
            serving.notice_serve(
                notice_id=notice.pk, actor=self.clerk, how="by_hand", served_at=timezone.now(), note="本人签收"
            )

    def _set_back(self, batch: CutoffBatch) -> datetime:
        """The demo is loaded in one moment: the batch grows older, as if everything had been done a week before."""
        opens, _closes = self._window(self._last_possible_day())
        older = batch.window_from - opens
        with pgtrigger.ignore("billing_cutoffs.CutoffStep:append_only"):
            CutoffStep.objects.filter(batch=batch).update(at=F("at") - older)
        with connection.cursor() as db:
            for sql in _OLDER:
                db.execute(
                    sql,
                    {
                        "span": f"{older.total_seconds()} seconds",
                        "batch": batch.pk,
                        "warned": opens - timedelta(minutes=45),
                    },
                )
        return opens

    def _last_possible_day(self) -> date:
        """The last day on which somebody could be cut off, two days ago or earlier."""
        first = self.now.date() - timedelta(days=30)
        calendar = calendar_of(self.office, first, self.now.date())
        days = (self.now.date() - timedelta(days=n) for n in range(2, 30))
        return next((day for day in days if not day_bars(self.pack, calendar, day)), first)


_OLDER: Final = (
    """
    UPDATE billing_cutoffs_cutoffbatch
    SET window_from = window_from - %(span)s::interval, window_until = window_until - %(span)s::interval,
        submitted_at = submitted_at - %(span)s::interval, approved_at = approved_at - %(span)s::interval,
        created_at = created_at - %(span)s::interval
    WHERE id = %(batch)s
    """,
    """
    UPDATE billing_cutoffs_cutofforder SET created_at = created_at - %(span)s::interval WHERE batch_id = %(batch)s
    """,
    """
    UPDATE billing_cutoffs_debtnotice n
    SET issued_at = n.issued_at - %(span)s::interval, served_at = n.served_at - %(span)s::interval,
        window_from = n.window_from - %(span)s::interval, window_until = n.window_until - %(span)s::interval
    FROM billing_cutoffs_cutofforder o WHERE o.id = n.order_id AND o.batch_id = %(batch)s
    """,
    """
    UPDATE billing_cutoffs_debtnotice n SET issued_at = %(warned)s, served_at = %(warned)s
    FROM billing_cutoffs_cutofforder o
    WHERE o.id = n.order_id AND o.batch_id = %(batch)s AND n.stage = 'final_warning'
    """,
    """
    UPDATE outages_outage u
    SET planned_start = u.planned_start - %(span)s::interval, planned_end = u.planned_end - %(span)s::interval,
        created_at = u.created_at - %(span)s::interval
    FROM billing_cutoffs_cutofforder o WHERE o.outage_id = u.id AND o.batch_id = %(batch)s
    """,
    """
    UPDATE outages_interruption i
    SET planned = tstzrange(lower(i.planned) - %(span)s::interval, upper(i.planned) - %(span)s::interval)
    FROM billing_cutoffs_cutofforder o WHERE o.outage_id = i.outage_id AND o.batch_id = %(batch)s
    """,
)
