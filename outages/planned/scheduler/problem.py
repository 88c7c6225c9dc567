"""What a plan has to respect, and the one measure by which two plans are compared.

What customers bear is counted per transformer area over time: two works that keep an area off at once count once, an
area that comes back and goes off again has been cut again. Areas that the same works take off are one *group*.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cached_property
from itertools import combinations
from typing import Final
from zoneinfo import ZoneInfo

from outages.planned.spans import Window, joined

Windows = tuple[Window, ...]
Plan = Mapping[int, Windows]  # by the key of the work
Group = tuple[frozenset[int], date | None]  # the works that take it off, and until when a cut would be a repeated one

AGAIN: Final = 240  # customer-minutes that one customer's further cut weighs as much as
HOLIDAY: Final = 60  # the same for being off on a holiday
DAY: Final = timedelta(days=1)


@dataclass(frozen=True)
class Job:
    """A work as the scheduler moves it: as a whole, by days, or to the time of day of a work it shares supply with.

    ``is_other``: of another plan. It stands where it stands, needs crews and takes customers off, and is not judged.
    """

    key: int
    reference: str
    windows: Windows
    crews: int
    places: frozenset[int]
    feeders: frozenset[int] = frozenset()
    is_fixed: bool = False
    is_other: bool = False
    earliest: datetime | None = None  # before which customers cannot be told in time


@dataclass(frozen=True)
class Problem:
    """What a plan has to respect. Days are the branch's own."""

    zone: ZoneInfo
    first: date
    last: date
    capacity: int
    jobs: tuple[Job, ...]
    customers: Mapping[int, int]  # by transformer area
    forbidden: frozenset[date] = frozenset()
    holidays: frozenset[date] = frozenset()
    backups: frozenset[frozenset[int]] = frozenset()  # pairs of feeders that a tie joins
    calm_from: Mapping[int, date] = field(default_factory=dict)  # area -> the first day its last cut is forgotten

    @cached_property
    def own_plan(self) -> dict[int, Windows]:
        return {job.key: job.windows for job in self.jobs}

    @cached_property
    def groups(self) -> dict[Group, int]:
        """The customers of all areas that the same works take off and that were last cut alike."""
        hit: defaultdict[int, set[int]] = defaultdict(set)
        for job in self.jobs:
            for place in job.places:
                hit[place].add(job.key)
        groups: defaultdict[Group, int] = defaultdict(int)
        for place, keys in hit.items():
            groups[frozenset(keys), self.calm_from.get(place)] += self.customers.get(place, 0)
        return {group: customers for group, customers in groups.items() if customers}

    @cached_property
    def backed_pairs(self) -> list[tuple[Job, Job]]:
        """Works on feeders that back each other up: off at once, neither could help the other."""
        return [
            (one, two)
            for one, two in combinations(self.jobs, 2)
            if not (one.is_other and two.is_other)
            and any(frozenset((a, b)) in self.backups for a in one.feeders for b in two.feeders if a != b)
        ]

    def day_of(self, moment: datetime) -> date:
        return moment.astimezone(self.zone).date()

    def days_of(self, windows: Iterable[Window]) -> frozenset[date]:
        """The local days that windows touch; back at midnight is back the day before."""
        days: set[date] = set()
        for starts_at, ends_at in windows:
            day, last = self.day_of(starts_at), self.day_of(ends_at - timedelta.resolution)
            while day <= last:
                days.add(day)
                day += DAY
        return frozenset(days)


@dataclass(frozen=True)
class Broken:
    """A rule that a plan breaks: which, on which day or between which works, and by how much."""

    rule: str  # crews, forbidden, backup, outside, early
    references: tuple[str, ...] = ()
    day: date | None = None
    by: int = 1


@dataclass(frozen=True)
class Measure:
    """How good a plan is. ``weight`` orders plans: the smaller is the better one."""

    broken: tuple[Broken, ...]
    customer_minutes: int
    customers_again: int  # customers cut again, each further time
    holiday_customers: int  # customer-days on holidays

    @property
    def rules_broken(self) -> int:
        return sum(one.by for one in self.broken)

    @property
    def burden(self) -> int:
        return self.customer_minutes + AGAIN * self.customers_again + HOLIDAY * self.holiday_customers

    @property
    def weight(self) -> tuple[int, int]:
        return self.rules_broken, self.burden


def measure(plan: Plan, problem: Problem) -> Measure:
    """What a plan breaks, and what its customers bear."""
    borne = [borne_by(group, customers, plan, problem) for group, customers in problem.groups.items()]
    minutes, again, holiday = (sum(column) for column in zip(*borne, strict=True)) if borne else (0, 0, 0)
    return Measure(tuple(broken_by(plan, problem)), minutes, again, holiday)


def borne_by(group: Group, customers: int, plan: Plan, problem: Problem) -> tuple[int, int, int]:
    """Customer-minutes off, customers cut again, customer-days off on holidays: of one group."""
    keys, calm_from = group
    periods = joined(window for key in keys for window in plan[key])
    again = len(periods) - 1
    if calm_from is not None and problem.day_of(periods[0][0]) < calm_from:
        again += 1
    holidays = len(problem.days_of(periods) & problem.holidays) if problem.holidays else 0
    return customers * sum(map(minutes_of, periods)), customers * again, customers * holidays


def minutes_of(window: Window) -> int:
    """How long it is off."""
    return round((window[1] - window[0]) / timedelta(minutes=1))


def overlap(ours: Sequence[Window], theirs: Sequence[Window]) -> bool:
    """Are two works off at once? Windows that touch are not."""
    return any(a[0] < b[1] and b[0] < a[1] for a in ours for b in theirs)


# --- rules --------------------------------------------------------------------------------------------


def broken_by(plan: Plan, problem: Problem) -> list[Broken]:
    """Every rule that a plan breaks."""
    found: list[Broken] = []
    crews: defaultdict[date, int] = defaultdict(int)
    busy: defaultdict[date, list[str]] = defaultdict(list)
    for job in problem.jobs:
        for day in problem.days_of(plan[job.key]):
            crews[day] += job.crews
            busy[day].append(job.reference)
        found += [Broken(rule, (job.reference,)) for rule in rules_of_its_own(job, plan[job.key], problem)]
    found += [
        Broken("crews", tuple(busy[day]), day, by=needed - problem.capacity)
        for day, needed in sorted(crews.items())
        if needed > problem.capacity and problem.first <= day <= problem.last
    ]
    found += [
        Broken("backup", (one.reference, two.reference))
        for one, two in problem.backed_pairs
        if overlap(plan[one.key], plan[two.key])
    ]
    return found


def rules_of_its_own(job: Job, windows: Windows, problem: Problem) -> list[str]:
    """The rules that one work breaks by itself."""
    if job.is_other:
        return []
    rules = []
    if not problem.forbidden.isdisjoint(problem.days_of(windows)):
        rules.append("forbidden")
    if any(not problem.first <= problem.day_of(starts_at) <= problem.last for starts_at, _ends_at in windows):
        rules.append("outside")
    if job.earliest is not None and any(starts_at < job.earliest for starts_at, _ends_at in windows):
        rules.append("early")
    return rules
