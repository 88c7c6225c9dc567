"""What stands in the calendar: windows laid over the days they touch, what a day adds up to, and what is wrong.

A day is a day of the branch that plans the work, so a window keeps its day whoever looks at it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from typing import Final
from zoneinfo import ZoneInfo

from django.db import connection
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.dates import WEEKDAYS_ABBR
from django.utils.translation import gettext as _

from accounts.actor import Actor
from accounts.policies import intervals_of
from grid.models import Branch, CalendarDay, DayKind
from outages.planned import selectors
from outages.planned.checks.question import LIVE_WINDOWS, Question
from outages.planned.checks.rules import WORST_FIRST, notice_short
from outages.planned.findings import Subject
from outages.planned.lifecycle import OVER, STANDING
from outages.planned.models import (
    CheckAnswer,
    PlannedWork,
    WindowState,
    WorkState,
    WorkWindow,
)

A_DAY: Final = timedelta(days=1)

# Grey until wrong: (shape, tone) of a work's or a window's state
STATE_LOOK: Final[dict[str, tuple[str, str]]] = {
    WorkState.RETURNED: ("p2", "amber"),
    WorkState.IN_PROGRESS: ("p3", "ink"),
    WorkState.PARTIALLY_RESTORED: ("p3", "blue"),
    WorkState.RESTORED: ("restored", "green"),
    WorkState.CLOSED: ("closed", "quiet"),
    WorkState.CANCELLED: ("cancelled", "quiet"),
}
_ORDINARY: Final = ("planned", "quiet")

# two drafts that collide are worth seeing before either is handed in
_RIVALS: Final = (WorkState.DRAFT, WorkState.RETURNED, *STANDING)


def look_of(state: str) -> tuple[str, str]:
    """The shape and the tone of a state."""
    return STATE_LOOK.get(state, _ORDINARY)


# --- windows ----------------------------------------------------------------------------------------


@dataclass(frozen=True, order=True)
class Feeder:
    """A feeder as the calendar names it."""

    code: str
    name: str = ""

    def __str__(self) -> str:
        return self.name or self.code


@dataclass(frozen=True)
class Entry:
    """One window as it stands in the calendar, by its branch's own clock."""

    window: WorkWindow
    work: PlannedWork
    starts: datetime
    ends: datetime
    place: str
    feeders: tuple[Feeder, ...]
    is_clash: bool = False
    is_late: bool = False

    @property
    def state(self) -> str:
        """The work's until it is published, then the window's own."""
        return self.work.state if self.window.state == WindowState.PLANNED else self.window.state

    @property
    def state_label(self) -> str:
        return str(WorkState(self.state).label)

    @property
    def shape(self) -> str:
        return "p1" if self.is_clash else "p2" if self.is_late else look_of(self.state)[0]

    @property
    def tone(self) -> str:
        return "red" if self.is_clash else "amber" if self.is_late else look_of(self.state)[1]

    @property
    def is_over(self) -> bool:
        return self.state in OVER

    @cached_property
    def days(self) -> tuple[date, ...]:
        """Every day it touches; back at midnight is back the day before."""
        final = (self.ends - timedelta(microseconds=1)).date()
        return tuple(self.starts.date() + n * A_DAY for n in range((final - self.starts.date()).days + 1))

    def hours_on(self, day: date) -> str:
        """When it is off on one of its days: 08–17, 08:30–17:00, and arrows where it goes on."""
        begins, ends = self.days[0] == day, self.days[-1] == day
        if not begins and not ends:
            return _("all day")
        final = "24:00" if self.ends.date() > self.days[-1] else f"{self.ends:%H:%M}"
        first, last = f"{self.starts:%H:%M}" if begins else "", final if ends else ""
        if first[-3:] in ("", ":00") and last[-3:] in ("", ":00"):
            first, last = first[:2], last[:2]
        return f"{first}–{last}" if begins and ends else f"{first}→{last}"


def windows_visible_to(actor: Actor) -> QuerySet[WorkWindow]:
    """The windows of the works this actor may see; a work that became part of a joint one stands in that one."""
    works = selectors.works_visible_to(actor).exclude(state=WorkState.JOINED)
    return WorkWindow.objects.filter(work__in=works.order_by().values("pk"))


def touching(windows: QuerySet[WorkWindow], *, first: date, last: date) -> QuerySet[WorkWindow]:
    """Windows that may touch these days on some branch's clock; ``days_laid`` decides by each branch's own."""
    begin = datetime.combine(first - A_DAY, time(0), UTC)
    return windows.filter(ends_at__gt=begin, starts_at__lt=begin + (last - first + 4 * A_DAY))


def entries_of(
    windows: Iterable[WorkWindow] | QuerySet[WorkWindow], *, actor: Actor, now: datetime | None = None
) -> list[Entry]:
    """Windows with place and feeders, in the order of their starts; what is wrong only for who plans."""
    if isinstance(windows, QuerySet):
        windows = with_work(windows)
    rows = sorted(windows, key=lambda window: (window.starts_at, window.pk))
    elements = _elements_of({window.work_id for window in rows})
    clashes, late = _wrong(rows, now or timezone.now()) if selectors.sees_plans(actor) else (set(), set())
    return [
        Entry(
            window=window,
            work=window.work,
            starts=window.starts_at.astimezone(ZoneInfo(window.work.branch.time_zone)),
            ends=window.ends_at.astimezone(ZoneInfo(window.work.branch.time_zone)),
            place=window.work.scope or _place(elements[window.work_id]),
            feeders=tuple(dict.fromkeys(feeder for _name, feeder in elements[window.work_id])),
            is_clash=window.pk in clashes,
            is_late=window.pk in late,
        )
        for window in rows
    ]


_COLUMNS: Final = (
    "starts_at", "ends_at", "state", "work_id", "outage_id", "moves", "extensions", "published_at",
    "outage__reference", "outage__started_at", "outage__restored_at", "outage__updated_at",
    *(f"work__{name}" for name in (
        "reference", "title", "scope", "state", "work_class", "work_type", "temporary_reason", "key", "crews",
        "customers", "critical_customers", "life_support", "load_kw", "published_at", "reason_zh", "reason_en",
        "period_id", "branch_id",
    )),
    *(f"work__branch__{name}" for name in ("code", "name", "name_en", "pos", "time_zone", "rule_pack")),
    *(f"work__period__{name}" for name in ("kind", "starts_on")),
)  # fmt: skip


def with_work(windows: QuerySet[WorkWindow]) -> QuerySet[WorkWindow]:
    """With what an entry shows of the work, in one statement and without the rest of it."""
    return windows.select_related("work__branch", "work__period", "outage").only(*_COLUMNS)


def _elements_of(work_ids: Iterable[int]) -> dict[int, list[tuple[str, Feeder]]]:
    found: defaultdict[int, list[tuple[str, Feeder]]] = defaultdict(list)
    through = PlannedWork.elements.through.objects.filter(plannedwork__in=list(work_ids))
    rows = through.order_by("gridelement__pos").values_list(
        "plannedwork", "gridelement__name", "gridelement__code", "gridelement__feeder__code",
        "gridelement__feeder__name",
    )  # fmt: skip
    for work_id, name, code, feeder_code, feeder_name in rows:
        found[work_id].append((name or code, Feeder(feeder_code or "", feeder_name or "")))
    return found


def _place(elements: Sequence[tuple[str, Feeder]]) -> str:
    if not elements:
        return "–"
    others = len(elements) - 1
    return f"{elements[0][0]} +{others}" if others else elements[0][0]


# --- what is wrong ----------------------------------------------------------------------------------

_CLASH_SQL: Final = """
SELECT DISTINCT mine.id
FROM planned_workwindow mine
JOIN planned_plannedwork w ON w.id = mine.work_id
JOIN planned_workplace p ON p.work_id = mine.work_id
JOIN planned_workplace q ON q.element_id = p.element_id AND q.work_id <> p.work_id
JOIN planned_plannedwork o ON o.id = q.work_id AND o.state = ANY(%(rivals)s)
JOIN planned_workwindow theirs ON theirs.work_id = q.work_id AND theirs.state = ANY(%(live)s)
     AND theirs.starts_at < mine.ends_at AND theirs.ends_at > mine.starts_at
WHERE mine.id = ANY(%(windows)s) AND w.joint_id IS DISTINCT FROM o.id AND o.joint_id IS DISTINCT FROM w.id
"""


def _wrong(windows: Sequence[WorkWindow], now: datetime) -> tuple[set[int], set[int]]:
    """The windows that clash with another and those that come too late to be announced, unless it was answered for."""
    ahead = [window for window in windows if window.state in LIVE_WINDOWS and window.ends_at > now]
    ahead = [window for window in ahead if window.work.state in _RIVALS]
    if not ahead:
        return set(), set()
    codes = ("overlap", "notice_short")
    rows = CheckAnswer.objects.filter(work__in={window.work_id for window in ahead}, code__in=codes)
    answered = set(rows.values_list("work", "code"))
    with connection.cursor() as db:
        db.execute(_CLASH_SQL, {"windows": [w.pk for w in ahead], "rivals": list(_RIVALS), "live": list(LIVE_WINDOWS)})
        clashing = {pk for (pk,) in db.fetchall()}
    clashes = {w.pk for w in ahead if w.pk in clashing and (w.work_id, "overlap") not in answered}
    question = Question([_as_asked(number, window) for number, window in enumerate(ahead)], now)
    short = {ahead[number] for number, _finding in notice_short(question)}
    return clashes, {w.pk for w in short if (w.work_id, "notice_short") not in answered}


def _as_asked(number: int, window: WorkWindow) -> Subject:
    """The window alone as the rule about notice sees it: no place is needed for that."""
    work = window.work
    return Subject(
        number=number, branch_id=work.branch_id, branch_pos=work.branch.pos, time_zone=work.branch.time_zone,
        rule_pack=work.branch.rule_pack, element_ids=(), place_ids=(), windows=((window.starts_at, window.ends_at),),
        work_class=work.work_class, temporary_reason=work.temporary_reason, published_at=work.published_at,
    )  # fmt: skip


# --- days -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DayTotals:
    """What is off on one day; a place that two works take off counts once."""

    customers: int = 0
    load_kw: float = 0.0
    crews: int = 0


@dataclass
class Day:
    """One day with its windows, what they add up to, and what the work calendar says of it."""

    day: date
    entries: list[Entry] = field(default_factory=list)
    names: list[CalendarDay] = field(default_factory=list)
    totals: DayTotals = DayTotals()

    @property
    def is_weekend(self) -> bool:
        return self.day.weekday() >= 5 and all(name.kind != DayKind.WORKING for name in self.names)

    @property
    def weekday(self) -> str:
        """As short as the language has it: Mon, 一."""
        return str(WEEKDAYS_ABBR[self.day.weekday()]).removeprefix("星期")

    @property
    def kind(self) -> str:
        """The most forbidding of its names; that a weekend is worked forbids nothing."""
        kinds = {name.kind for name in self.names}
        return next((kind for kind in WORST_FIRST if kind in kinds), "")

    def hours(self) -> Iterator[tuple[str, Entry]]:
        for entry in self.entries:
            yield entry.hours_on(self.day), entry


def days_between(first: date, last: date) -> list[date]:
    """Every day from the first to the last, both included."""
    return [first + n * A_DAY for n in range((last - first).days + 1)]


def days_laid(entries: Sequence[Entry], *, first: date, last: date, names: Iterable[CalendarDay] = ()) -> list[Day]:
    """The days from ``first`` to ``last`` with every window on each day it touches; what is wrong comes first."""
    days = {day: Day(day) for day in days_between(first, last)}
    for entry in sorted(entries, key=lambda entry: not entry.is_clash and not entry.is_late):
        for day in entry.days:
            if day in days:
                days[day].entries.append(entry)
    for name in names:
        if name.day in days:
            days[name.day].names.append(name)
    laid = list(days.values())
    totals = _totals_of((entry, cell.day) for cell in laid for entry in cell.entries)
    for cell in laid:
        cell.totals = totals.get(cell.day, DayTotals())
    return laid


_TOTALS_SQL: Final = """
SELECT day, sum(customers)::int, sum(load_kw)::float8
FROM (
    SELECT asked.day, p.element_id, max(p.customers) AS customers, max(p.load_kw) AS load_kw
    FROM unnest(%(works)s::bigint[], %(days)s::date[]) asked(work, day)
    JOIN planned_workplace p ON p.work_id = asked.work
    GROUP BY asked.day, p.element_id
) once
GROUP BY day
"""


def _totals_of(pairs: Iterable[tuple[Entry, date]]) -> dict[date, DayTotals]:
    standing = {(e.work.pk, day): e.work.crews for e, day in pairs if e.state != WorkState.CANCELLED}
    if not standing:
        return {}
    crews: defaultdict[date, int] = defaultdict(int)
    for (_work, day), needed in standing.items():
        crews[day] += needed
    with connection.cursor() as db:
        db.execute(_TOTALS_SQL, {"works": [work for work, _d in standing], "days": [day for _w, day in standing]})
        sums = {day: (customers, load_kw) for day, customers, load_kw in db.fetchall()}
    return {day: DayTotals(*sums.get(day, (0, 0.0)), needed) for day, needed in crews.items()}


# --- the work calendar ------------------------------------------------------------------------------


def days_visible_to(actor: Actor, *, first: date, last: date, branch: Branch | None = None) -> QuerySet[CalendarDay]:
    """The work calendar's days for everybody, or in a branch this actor may see: its own, below, or above."""
    days = _days_of(((branch.pos, branch.last),) if branch is not None else intervals_of(actor, "outage.read"))
    return days.filter(day__range=(first, last)).select_related("branch").order_by("day", "kind", "pk")


def day_visible_to(actor: Actor, *, day_id: int) -> CalendarDay | None:
    """One of those days."""
    return _days_of(intervals_of(actor, "outage.read")).filter(pk=day_id).first()


def _days_of(intervals: tuple[tuple[int, int], ...] | None) -> QuerySet[CalendarDay]:
    if intervals is None:
        return CalendarDay.objects.all()
    here = Q(branch__isnull=True)
    for begin, end in intervals:
        here |= Q(branch__pos__lte=end, branch__last__gte=begin)
    return CalendarDay.objects.filter(here)
