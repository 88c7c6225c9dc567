"""What the guards look at, read for all orders at once: the number of statements does not grow with the orders."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from django.db import connection

from billing_cutoffs.protections.guards import AT_THE_END, Stage
from grid.calendar import Calendar, calendar_of
from grid.models import Branch
from standards import RulePack, pack

# a letter may have arrived so long ago, and a bar of the calendar is looked for so far ahead
_DAYS_BACK: Final = timedelta(days=100)
DAYS_AHEAD: Final = 31

_ORDERS: Final = """
SELECT o.id, o.branch_id, o.amount, o.scheduled_at, b.window_from, b.window_until, b.level, b.state AS batch_state,
       c.closed_at IS NOT NULL AS is_settled, a.customer_id AS account_id, a.overdue, a.oldest_due_on, a.statement_at,
       u.customer_class, u.importance,
       p.customer_id <> a.customer_id AS is_anothers,
       CASE WHEN a.service_point_id IS NOT NULL THEN a.service_point_id <> o.service_point_id
            ELSE EXISTS (SELECT FROM grid_servicepoint q WHERE q.customer_id = u.id AND q.id <> o.service_point_id)
       END AS is_place_unknown,
       CASE WHEN p.meter_number = '' THEN 0
            ELSE (SELECT count(DISTINCT q.customer_id) FROM grid_servicepoint q
                  WHERE q.meter_number = p.meter_number AND q.customer_id <> p.customer_id)
       END AS sharers,
       coalesce(g.level = 'company', FALSE) AS is_company_grade
FROM billing_cutoffs_cutofforder o
JOIN billing_cutoffs_cutoffbatch b ON b.id = o.batch_id
JOIN billing_cutoffs_arrearscase c ON c.id = o.case_id
JOIN billing_cutoffs_billingaccount a ON a.customer_id = c.account_id
JOIN grid_customer u ON u.id = a.customer_id
JOIN grid_servicepoint p ON p.id = o.service_point_id
LEFT JOIN billing_cutoffs_grade g ON g.id = a.grade_id
WHERE o.id = ANY(%(ids)s)
"""

_HOLDS: Final = """
SELECT account_id, kind, since, until, amount FROM billing_cutoffs_accounthold
WHERE account_id = ANY(%(accounts)s) AND released_at IS NULL AND since <= %(at)s AND (until IS NULL OR until > %(at)s)
"""

_IN_FLIGHT: Final = """
SELECT account_id, sum(amount), max(paid_at) FROM billing_cutoffs_payment
WHERE account_id = ANY(%(accounts)s) AND status = 'in_flight' GROUP BY account_id
"""

_NOTICES: Final = """
SELECT order_id, stage, window_from, window_until, served_at FROM billing_cutoffs_debtnotice
WHERE order_id = ANY(%(ids)s) AND stage IN ('letter', 'final_warning') AND void_at IS NULL AND served_at IS NOT NULL
"""

_CLEARANCES: Final = "SELECT order_id, code, at FROM billing_cutoffs_clearance WHERE order_id = ANY(%(ids)s)"

# off now, if the cut is now or nobody expects it back before; or announced for the moment of the cut
_OUTAGES: Final = """
SELECT asked.id, o.reference, o.kind, coalesce(o.etr, o.planned_end)
FROM unnest(%(ids)s::bigint[], %(moments)s::timestamptz[]) AS asked(id, moment)
JOIN billing_cutoffs_cutofforder t ON t.id = asked.id
JOIN grid_servicepoint p ON p.id = t.service_point_id
CROSS JOIN LATERAL (
    SELECT outage_id, bool_or(actual IS NOT NULL AND upper(actual) IS NULL) AS is_off FROM outages_interruption
    WHERE element_id = p.element_id OR service_point_id = p.id GROUP BY outage_id
) i
JOIN outages_outage o ON o.id = i.outage_id
WHERE o.id IS DISTINCT FROM t.outage_id AND (
    o.status IN ('active', 'partially_restored') AND i.is_off
        AND (%(is_near)s OR coalesce(o.etr, o.planned_end) > asked.moment)
    OR o.status = 'scheduled' AND o.planned_start <= asked.moment AND o.planned_end > asked.moment
)
ORDER BY asked.id, coalesce(o.etr, o.planned_end) DESC NULLS FIRST, o.id
"""

# for each day the forecast of the branch itself or of the nearest above it; one that is too old is none
_FORECASTS: Final = """
SELECT DISTINCT ON (asked.id, f.day) asked.id, f.day, f.low, f.high
FROM unnest(%(ids)s::bigint[], %(oldest)s::timestamptz[]) AS asked(id, oldest)
JOIN grid_branch b ON b.id = asked.id
JOIN grid_branch a ON b.pos BETWEEN a.pos AND a.last
JOIN billing_cutoffs_temperatureforecast f ON f.branch_id = a.id AND f.issued_at >= asked.oldest
WHERE f.day BETWEEN %(first)s AND %(last)s
ORDER BY asked.id, f.day, a.pos DESC
"""


class Order(NamedTuple):
    """One order with its batch, its account and its premises."""

    id: int
    branch_id: int
    amount: Decimal
    scheduled_at: datetime | None
    window_from: datetime
    window_until: datetime
    level: str
    batch_state: str
    is_settled: bool
    account_id: int
    overdue: Decimal
    oldest_due_on: date | None
    statement_at: datetime
    customer_class: str
    importance: str
    is_anothers: bool
    is_place_unknown: bool
    sharers: int
    is_company_grade: bool = False


class Hold(NamedTuple):
    kind: str
    since: datetime
    until: datetime | None
    amount: Decimal | None


class InFlight(NamedTuple):
    amount: Decimal
    latest: datetime


class Served(NamedTuple):
    window_from: datetime
    window_until: datetime
    at: datetime


class Off(NamedTuple):
    reference: str
    kind: str
    until: datetime | None


class Degrees(NamedTuple):
    low: float
    high: float


@dataclass(frozen=True)
class Place:
    """A branch as the guards see it: its rules, its clock, its calendar and its weather."""

    pack: RulePack
    zone: ZoneInfo
    calendar: Calendar
    weather: Mapping[date, Degrees]


@dataclass(frozen=True)
class Facts:
    """Everything about the orders that is asked."""

    orders: list[Order]
    places: Mapping[int, Place]
    holds: Mapping[int, list[Hold]] = field(default_factory=dict)
    in_flight: Mapping[int, InFlight] = field(default_factory=dict)
    notices: Mapping[tuple[int, str], Served] = field(default_factory=dict)
    clearances: Mapping[tuple[int, str], datetime] = field(default_factory=dict)
    outages: Mapping[int, Off] = field(default_factory=dict)


def moment_of(order: Order, *, stage: Stage, at: datetime) -> datetime:
    """When it would be cut: now, at its turn, or from when the window opens."""
    return at if stage == "command" else order.scheduled_at or order.window_from


def facts_read(*, order_ids: Collection[int], stage: Stage, at: datetime) -> Facts:
    """Read what the guards look at."""
    orders = [Order(*row) for row in _rows(_ORDERS, ids=list(order_ids))]
    if not orders:
        return Facts([], {})
    ids = [order.id for order in orders]
    accounts = list({order.account_id for order in orders})
    moments = [moment_of(order, stage=stage, at=at) for order in orders]
    holds: dict[int, list[Hold]] = defaultdict(list)
    for account_id, *hold in _rows(_HOLDS, accounts=accounts, at=at):
        holds[account_id].append(Hold(*hold))
    outages: dict[int, Off] = {}
    for order_id, *off in _rows(_OUTAGES, ids=ids, moments=moments, is_near=stage in AT_THE_END):
        outages.setdefault(order_id, Off(*off))
    return Facts(
        orders,
        _places(orders, moments, at),
        holds,
        {account_id: InFlight(*sums) for account_id, *sums in _rows(_IN_FLIGHT, accounts=accounts)},
        {(order_id, step): Served(*served) for order_id, step, *served in _rows(_NOTICES, ids=ids)},
        {(order_id, code): cleared_at for order_id, code, cleared_at in _rows(_CLEARANCES, ids=ids)},
        outages,
    )


def _places(orders: list[Order], moments: list[datetime], at: datetime) -> dict[int, Place]:
    branches = list(Branch.objects.filter(pk__in={order.branch_id for order in orders}).order_by("pk"))
    packs = {branch.pk: pack(branch.rule_pack) for branch in branches}
    # a day more on either side: days are the branch's own
    first = min(at, *moments).date() - timedelta(days=1)
    last = max(at, *moments).date() + timedelta(days=DAYS_AHEAD + 1)
    weather: dict[int, dict[date, Degrees]] = defaultdict(dict)
    oldest = [at - packs[branch.pk].protections.forecast_age.delta for branch in branches]
    for branch_id, day, *degrees in _rows(
        _FORECASTS, ids=[b.pk for b in branches], oldest=oldest, first=first, last=last
    ):
        weather[branch_id][day] = Degrees(*degrees)
    return {
        branch.pk: Place(
            packs[branch.pk],
            ZoneInfo(branch.time_zone),
            calendar_of(branch, first - _DAYS_BACK, last),
            weather[branch.pk],
        )
        for branch in branches
    }


def _rows(sql: str, **asked: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as db:
        db.execute(sql, asked)
        rows: list[tuple[Any, ...]] = db.fetchall()
        return rows
