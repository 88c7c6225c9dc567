"""The live board's read model: what is off now, in the order in which it needs a person.

Two thousand open outages are a few hundred kilobytes: they are read once, thin, ordered here, and only the rows
of the page are read whole. The statements do not grow with the number of outages.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from django.db import connection
from django.db.models import Max, Q, QuerySet

from outages import impact, kinds
from outages.kinds import BoardFacts
from outages.models import OFF_STATUSES, EtrConfidence, Outage, OutageKind, OutageStatus

RESTORED_STAYS: Final = timedelta(hours=2)
SCHEDULED_SHOWS: Final = timedelta(hours=24)
REPORTS_WINDOW: Final = timedelta(minutes=10)
LARGE: Final = 1000  # customers from which an outage is of the first priority on the board
SMALL: Final = 50

NOBODY: Final = BoardFacts()
_UNDER_WAY: Final = (OutageStatus.SUSPECTED, *OFF_STATUSES)


class Thin(NamedTuple):
    """As much of an outage as totals and order need."""

    id: int
    kind: str
    status: str
    customers_out: int
    critical_out: int
    etr: datetime | None
    planned_start: datetime | None
    planned_end: datetime | None
    started_at: datetime | None
    restored_at: datetime | None

    @property
    def is_under_way(self) -> bool:
        return self.status in _UNDER_WAY

    def is_overdue(self, now: datetime) -> bool:
        promised = self.etr or self.planned_end
        return self.is_under_way and promised is not None and promised < now


@dataclass(frozen=True)
class Totals:
    """The strip over the board; each figure is also a filter."""

    outages: int
    customers_off: int
    critical_off: int
    overdue: int
    unassigned: int
    reports: int | None


@dataclass(frozen=True)
class Row:
    """One line of the board: the record, what its kind adds, and how loud it is."""

    outage: Outage
    facts: BoardFacts
    priority: int
    is_overdue: bool
    kind_label: str
    status_label: str
    confidence_label: str

    @property
    def shape(self) -> str:
        status, kind = self.outage.status, self.outage.kind
        if status in (OutageStatus.RESTORED, OutageStatus.CLOSED, OutageStatus.CANCELLED):
            return str(status)
        if kind == OutageKind.FAULT:
            return "p2" if status == OutageStatus.SUSPECTED and self.priority > 1 else f"p{self.priority}"
        return {OutageKind.PLANNED: "planned", OutageKind.LOAD_SHEDDING: "shedding"}.get(OutageKind(kind), "cutoff")

    @property
    def is_loud(self) -> bool:
        """Nobody has taken a first-priority fault yet, or what we promised has passed."""
        return self.is_overdue or self.facts.late or (self.priority == 1 and self.facts.unassigned_since is not None)

    @property
    def tone(self) -> str:
        if self.is_loud:
            return "red"
        if self.outage.status == OutageStatus.RESTORED:
            return "green"
        needs_a_look = self.facts.soon or self.facts.unassigned_since is not None
        if self.outage.status == OutageStatus.SUSPECTED or needs_a_look:
            return "amber"
        return "quiet" if self.outage.kind != OutageKind.FAULT or self.priority == 3 else "ink"

    @property
    def quoted(self) -> datetime | None:
        return self.outage.etr or self.outage.planned_end


def for_the_board(outages: QuerySet[Outage], *, now: datetime) -> QuerySet[Outage]:
    """What the kinds put there. Of debts it is who has paid and still waits, for those who may read of debts at all."""
    for handler in kinds.all_handlers():
        wanted = handler.on_board(now)
        if wanted is not None:
            outages = outages.filter(~Q(kind=handler.kind) | wanted)
    return outages


def current(outages: QuerySet[Outage], *, now: datetime) -> QuerySet[Outage]:
    """What the board shows unasked: open, due within a day, or restored in the last two hours."""
    return outages.filter(
        Q(status__in=_UNDER_WAY)
        | Q(status=OutageStatus.SCHEDULED, planned_start__lt=now + SCHEDULED_SHOWS)
        | Q(status=OutageStatus.RESTORED, restored_at__gt=now - RESTORED_STAYS)
    )


def overdue(outages: QuerySet[Outage], *, now: datetime) -> QuerySet[Outage]:
    """The estimate, or without one the planned end, has passed and supply is not back."""
    return outages.filter(
        Q(etr__lt=now) | Q(etr__isnull=True, planned_end__lt=now),
        status__in=_UNDER_WAY,
    )


def thin(outages: QuerySet[Outage]) -> list[Thin]:
    """One narrow statement."""
    fields = Thin._fields
    return [Thin(*values) for values in outages.order_by().select_related(None).values_list(*fields)]


def facts_of(rows: Iterable[Thin]) -> dict[int, BoardFacts]:
    """What the kinds add, asked once per kind."""
    by_kind: defaultdict[str, list[int]] = defaultdict(list)
    for row in rows:
        by_kind[row.kind].append(row.id)
    facts: dict[int, BoardFacts] = {}
    for handler in kinds.all_handlers():
        if handler.kind in by_kind:
            facts.update(handler.board_facts(by_kind[handler.kind]))
    return facts


def unassigned_among(outages: QuerySet[Outage]) -> list[int]:
    """Ids of those to which nobody has been sent."""
    rows = thin(outages.filter(status__in=_UNDER_WAY))
    facts = facts_of(rows)
    return [row.id for row in rows if facts.get(row.id, NOBODY).unassigned_since is not None]


def totals(rows: Collection[Thin], facts: dict[int, BoardFacts], *, now: datetime) -> Totals:
    """The figures of the strip; customers count once however many outages hold them."""
    off = [row.id for row in rows if row.status in OFF_STATUSES]
    customers, critical = impact.customers_off(off) if off else (0, 0)
    return Totals(
        outages=sum(row.is_under_way for row in rows),
        customers_off=customers,
        critical_off=critical,
        overdue=sum(row.is_overdue(now) for row in rows),
        unassigned=sum(row.is_under_way and facts.get(row.id, NOBODY).unassigned_since is not None for row in rows),
        reports=_reports(now),
    )


def _reports(now: datetime) -> int | None:
    counts = [handler.reports_since(now - REPORTS_WINDOW) for handler in kinds.all_handlers()]
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def by_attention(rows: Iterable[Thin], facts: dict[int, BoardFacts], *, now: datetime) -> list[Thin]:
    """Safety, broken promises, critical customers, the longest without a crew, overdue, size."""

    def key(row: Thin) -> tuple[float, ...]:
        own = facts.get(row.id, NOBODY)
        waiting = (now - own.unassigned_since).total_seconds() if own.unassigned_since else -1.0
        return (
            0 if row.is_under_way or own.late else 1 if row.status == OutageStatus.SCHEDULED else 2,
            not own.safety,
            not own.first,
            not row.critical_out,
            -waiting if row.is_under_way else 0,
            not (row.is_overdue(now) or own.late),
            -row.customers_out,
            -row.id if row.is_under_way else (row.planned_start or row.restored_at or now).timestamp(),
        )

    return sorted(rows, key=key)


def rows_of(page: list[Thin], outages: QuerySet[Outage], facts: dict[int, BoardFacts], *, now: datetime) -> list[Row]:
    """The page's records whole, in the page's order."""
    records = outages.in_bulk([row.id for row in page])
    labels = _labels()
    return [_row(row, records[row.id], facts.get(row.id, NOBODY), labels, now=now) for row in page if row.id in records]


def _row(row: Thin, outage: Outage, facts: BoardFacts, labels: dict[str, str], *, now: datetime) -> Row:
    if not row.is_under_way:
        facts = replace(facts, unassigned_since=None)  # nobody needs to be sent any more
    return Row(
        outage=outage,
        facts=facts,
        priority=_priority(row, facts),
        is_overdue=row.is_overdue(now),
        kind_label=labels[outage.kind],
        status_label=labels[outage.status],
        confidence_label=labels.get(outage.etr_confidence, ""),
    )


def _labels() -> dict[str, str]:
    """The words of the reader's language, looked up once and not once a row."""
    return {
        value: str(label) for choices in (OutageKind, OutageStatus, EtrConfidence) for value, label in choices.choices
    }


def _priority(row: Thin, facts: BoardFacts) -> int:
    if facts.safety or row.critical_out or row.customers_out >= LARGE:
        return 1
    return 2 if row.customers_out >= SMALL else 3


def last_restored_at(outages: QuerySet[Outage]) -> datetime | None:
    """For the empty board: when the last one ended."""
    at: datetime | None = outages.aggregate(at=Max("restored_at"))["at"]
    return at


_VERSION_SQL = """
WITH newest AS (SELECT coalesce(max(id), 0) AS id FROM outages_outageevent)
SELECT newest.id, (SELECT count(*) FROM outages_outageevent e WHERE e.id > newest.id - 500) FROM newest
"""


def version() -> tuple[int, int]:
    """The newest event's number, and a count that also moves when an older number commits late."""
    with connection.cursor() as db:
        db.execute(_VERSION_SQL)
        newest, recent = db.fetchone()
    return newest, recent
