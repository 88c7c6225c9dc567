"""The merge adviser (一停多用): works that take the same customers off within a few days, worth one joint outage.

Greedy and explained: the pair that saves most customer-hours is taken first and grows by whichever work raises the
saving most; then the next pair among the works that are left. Each work stands in one proposal at most.

A joint outage takes everybody off for as long as its longest work, beginning when its most constrained work begins;
it stands in the plan that is asked about, so it begins on one of its days.
Works with several windows are left out: their windows depend on each other (a generator car is plugged in and out
again), and joining one would drag the others along.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from functools import cached_property
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from django.db import connection
from scipy.sparse import csr_array

import standards
from grid.models import GridElement
from outages.planned import lifecycle
from outages.planned.models import PlannedWork, PlanPeriod, WindowState, WorkWindow
from outages.planned.spans import Window, joined

_HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True)
class Candidate:
    """A work as the adviser weighs it: when, for whom (transformer area -> customers), and what could be kept of it."""

    work: PlannedWork
    window: Window
    places: Mapping[int, int]
    begins_inside: bool  # on a day of the plan, so that its date can be kept

    @property
    def length(self) -> timedelta:
        return self.window[1] - self.window[0]

    @cached_property
    def customers(self) -> int:
        return sum(self.places.values())


@dataclass(frozen=True)
class Saving:
    """What a joint outage spares the customers of some works. Customer-hours are unions, a place counts once."""

    hours_now: float
    hours_joint: float
    hit_twice: int  # customers who are off at least twice now, and would be once

    @property
    def hours_saved(self) -> float:
        return self.hours_now - self.hours_joint


@dataclass(frozen=True)
class Consent:
    """Somebody who must agree: the works of another branch, and every work that would move."""

    work: PlannedWork
    is_other_branch: bool
    moves_from: datetime | None


@dataclass(frozen=True)
class MergeProposal:
    """Works worth one outage: when, what is saved, what it needs, who must agree and why."""

    candidates: tuple[Candidate, ...]  # the one whose date is kept comes first
    window: Window
    saving: Saving
    crews: int
    crews_that_day: int  # with everything else that the branch does on the day on which it begins
    capacity: int
    device: GridElement | None  # the lowest element above everything that is off more than once
    shared_places: int
    shared_customers: int
    consents: tuple[Consent, ...]

    @property
    def works(self) -> tuple[PlannedWork, ...]:
        return tuple(candidate.work for candidate in self.candidates)

    @property
    def needs_more_crews(self) -> bool:
        return self.crews_that_day > self.capacity


def proposals_for(period: PlanPeriod, *, at: datetime, within: timedelta | None = None) -> list[MergeProposal]:
    """What this plan could do with one outage instead of several, the greatest saving first.

    Looked at are its own works and every undecided work of any branch that shares supply with one of them, has come
    as far as this plan and lies within ``within`` (the rule pack's days) of it. The number of statements does not
    depend on the works.
    """
    reach = standards.pack(period.branch.rule_pack).planning.merge_within.delta if within is None else within
    candidates = _candidates(period, at=at, reach=reach)
    own = {number for number, candidate in enumerate(candidates) if candidate.work.period_id == period.pk}
    groups = _groups(candidates, own, reach)
    devices = _devices([_shared(group) for group in groups])
    crews = _crews_beside(period, groups)
    return [_proposal(period, *found) for found in zip(groups, devices, crews, strict=True)]


# --- what a joint outage would be ---------------------------------------------------------------------


def lead_of(candidates: Sequence[Candidate]) -> Candidate:
    """The work whose date is kept: one that cannot move, else the one with most customers that begins in the plan."""
    return min(
        candidates, key=lambda c: (not c.work.is_fixed, not c.begins_inside, -c.customers, c.window[0], c.work.pk)
    )


def lead_first(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The work whose date is kept, then the others in the order of their times."""
    lead = lead_of(candidates)
    return sorted(candidates, key=lambda c: (c is not lead, c.window[0], c.work.pk))


def joint_window(candidates: Sequence[Candidate]) -> Window:
    """Everybody off once: from the start that is kept, for as long as the longest work."""
    starts_at = lead_of(candidates).window[0]
    return starts_at, starts_at + max(candidate.length for candidate in candidates)


def dates_agree(candidates: Sequence[Candidate]) -> bool:
    """Works that cannot move all begin at the same moment."""
    return len({candidate.window[0] for candidate in candidates if candidate.work.is_fixed}) <= 1


def supply_is_shared(candidates: Sequence[Candidate]) -> bool:
    """Every work is linked to every other by customers that both (or works between them) take off."""
    left = list(candidates[1:])
    reached = set(candidates[0].places)
    while left:
        linked = [candidate for candidate in left if not reached.isdisjoint(candidate.places)]
        if not linked:
            return False
        for candidate in linked:
            reached |= candidate.places.keys()
            left.remove(candidate)
    return True


class Together:
    """Works as one group: what is off now, place by place, so that one work more costs only its own places."""

    def __init__(self, candidates: Iterable[Candidate]) -> None:
        self.off: dict[int, list[Window]] = {}
        self.customers: dict[int, int] = {}
        self.hours_now = 0.0
        self.length = timedelta()
        for candidate in candidates:
            self.add(candidate)

    def add(self, one: Candidate) -> None:
        self.hours_now += self._hours_added(one)
        self.length = max(self.length, one.length)
        for place, customers in one.places.items():
            self.off[place] = joined([*self.off.get(place, ()), one.window])
            self.customers[place] = customers

    def saving(self) -> Saving:
        """Customer-hours now (off at any time, per place), and with one outage for all."""
        hit_twice = sum(self.customers[place] for place, periods in self.off.items() if len(periods) > 1)
        return Saving(self.hours_now, self._hours_joint(sum(self.customers.values()), self.length), hit_twice)

    def saved_with(self, one: Candidate) -> float:
        """The customer-hours that one outage would save if this work belonged to it too."""
        customers = sum({**self.customers, **one.places}.values())
        joint = self._hours_joint(customers, max(self.length, one.length))
        return self.hours_now + self._hours_added(one) - joint

    def _hours_added(self, one: Candidate) -> float:
        added = 0.0
        for place, customers in one.places.items():
            periods = self.off.get(place, [])
            added += customers * (_hours(joined([*periods, one.window])) - _hours(periods))
        return added

    @staticmethod
    def _hours_joint(customers: int, length: timedelta) -> float:
        return customers * (length / _HOUR)


def _hours(periods: Iterable[Window]) -> float:
    return sum((ends_at - starts_at) / _HOUR for starts_at, ends_at in periods)


# --- greedy -------------------------------------------------------------------------------------------


def _groups(candidates: Sequence[Candidate], own: set[int], reach: timedelta) -> list[list[Candidate]]:
    """Disjoint groups, each with a work of the plan, by falling saving."""
    pairs = _pairs(candidates, reach)
    neighbours: defaultdict[int, set[int]] = defaultdict(set)
    for first, second, _saved in pairs:
        neighbours[first].add(second)
        neighbours[second].add(first)
    taken: set[int] = set()
    found: list[tuple[float, list[Candidate]]] = []
    for first, second, _saved in pairs:
        if taken & {first, second} or not own & {first, second}:
            continue
        group = _grown([first, second], candidates, neighbours, taken, reach)
        taken |= set(group)
        members = lead_first([candidates[number] for number in group])
        found.append((Together(members).saving().hours_saved, members))
    return [group for _saved, group in sorted(found, key=lambda item: (-item[0], item[1][0].work.pk))]


def _pairs(candidates: Sequence[Candidate], reach: timedelta) -> list[tuple[int, int, float]]:
    """Every two works that share places and would gain, the greatest saving first."""
    if len(candidates) < 2:
        return []
    shared = _shared_customers(candidates)
    starts = np.array([c.window[0].timestamp() for c in candidates])
    lengths = np.array([c.length.total_seconds() for c in candidates])
    customers = np.array([c.customers for c in candidates], dtype=float)
    fixed = np.array([c.work.is_fixed for c in candidates])
    i, j = shared.row, shared.col
    ends = starts + lengths
    overlap = np.minimum(ends[i], ends[j]) - np.maximum(starts[i], starts[j])
    now = customers[i] * lengths[i] + customers[j] * lengths[j] - shared.data * np.maximum(overlap, 0)
    joint = (customers[i] + customers[j] - shared.data) * np.maximum(lengths[i], lengths[j])
    saved = now - joint
    # what overlaps already gains nothing in hours, but is one outage that two works claim
    worth = (saved > 0) | ((saved >= 0) & (overlap > 0))
    possible = (np.abs(starts[i] - starts[j]) <= reach.total_seconds()) & ~(
        fixed[i] & fixed[j] & (starts[i] != starts[j])
    )
    chosen = np.flatnonzero(worth & possible)
    order = chosen[np.lexsort((j[chosen], i[chosen], -saved[chosen]))]
    return [(int(i[n]), int(j[n]), float(saved[n])) for n in order]


@dataclass(frozen=True)
class _Shared:
    row: np.ndarray
    col: np.ndarray
    data: np.ndarray


def _shared_customers(candidates: Sequence[Candidate]) -> _Shared:
    """How many customers each two works (the first before the second) have in common."""
    numbers = {place: n for n, place in enumerate(sorted({p for c in candidates for p in c.places}))}
    rows = np.repeat(np.arange(len(candidates)), [len(c.places) for c in candidates])
    columns = np.array([numbers[place] for c in candidates for place in c.places], dtype=np.int64)
    weights = np.array([customers for c in candidates for customers in c.places.values()], dtype=float)
    shape = (len(candidates), len(numbers))
    hits = csr_array((np.ones(len(rows)), (rows, columns)), shape=shape)
    common = (hits @ csr_array((weights, (rows, columns)), shape=shape).T).tocoo()
    upper = common.row < common.col
    return _Shared(common.row[upper], common.col[upper], common.data[upper])


def _grown(
    group: list[int],
    candidates: Sequence[Candidate],
    neighbours: Mapping[int, Collection[int]],
    taken: Collection[int],
    reach: timedelta,
) -> list[int]:
    """The pair with every further work that raises what is saved, the best first."""
    together = Together(candidates[number] for number in group)
    saved = together.saving().hours_saved
    while True:
        around = {n for number in group for n in neighbours.get(number, ())} - set(group) - set(taken)
        tried = []
        for number in sorted(around):
            members = [candidates[n] for n in (*group, number)]
            if _is_near(members, reach) and dates_agree(members):
                tried.append((together.saved_with(candidates[number]), number))
        best = max(tried, key=lambda item: (item[0], -item[1]), default=None)
        if best is None or best[0] <= saved:
            return group
        saved, group = best[0], [*group, best[1]]
        together.add(candidates[best[1]])


def _is_near(members: Sequence[Candidate], reach: timedelta) -> bool:
    starts = [member.window[0] for member in members]
    return max(starts) - min(starts) <= reach


def _proposal(
    period: PlanPeriod, group: Sequence[Candidate], device: GridElement | None, crews_beside: int
) -> MergeProposal:
    window = joint_window(group)
    crews = sum(candidate.work.crews for candidate in group)
    shared = _shared(group)
    customers = {place: count for candidate in group for place, count in candidate.places.items()}
    return MergeProposal(
        candidates=tuple(group),
        window=window,
        saving=Together(group).saving(),
        crews=crews,
        crews_that_day=crews + crews_beside,
        capacity=period.crew_capacity,
        device=device,
        shared_places=len(shared),
        shared_customers=sum(customers[place] for place in shared),
        consents=tuple(
            Consent(
                work=candidate.work,
                is_other_branch=candidate.work.branch_id != period.branch_id,
                moves_from=candidate.window[0] if candidate.window[0] != window[0] else None,
            )
            for candidate in group
            if candidate.work.branch_id != period.branch_id or candidate.window[0] != window[0]
        ),
    )


def _shared(group: Sequence[Candidate]) -> list[int]:
    """The places that at least two works of a group take off."""
    works = Counter(place for candidate in group for place in candidate.places)
    return sorted(place for place, number in works.items() if number > 1)


# --- reading ------------------------------------------------------------------------------------------

# one window ahead, as far as the plan, in no joint outage; of the plan itself or sharing an area with one of its works
_CANDIDATES_SQL: Final = """
WITH open_work AS (
    SELECT w.id, w.period_id, min(x.starts_at) AS starts_at, min(x.ends_at) AS ends_at
    FROM planned_plannedwork w
    JOIN planned_workwindow x ON x.work_id = w.id AND x.state <> %(cancelled)s
    WHERE w.state = ANY(%(states)s) AND w.joint_id IS NULL
      AND NOT EXISTS (SELECT FROM planned_plannedwork child WHERE child.joint_id = w.id)
    GROUP BY w.id
    HAVING count(*) = 1 AND min(x.starts_at) > %(at)s
       AND min(x.starts_at) < %(until)s AND min(x.starts_at) >= %(since)s
), own_place AS (
    SELECT DISTINCT p.element_id FROM open_work o JOIN planned_workplace p ON p.work_id = o.id
    WHERE o.period_id = %(period)s
)
SELECT o.id, o.starts_at, o.ends_at FROM open_work o
WHERE o.period_id = %(period)s
   OR EXISTS (SELECT FROM planned_workplace p JOIN own_place USING (element_id) WHERE p.work_id = o.id)
ORDER BY o.id
"""


def _candidates(period: PlanPeriod, *, at: datetime, reach: timedelta) -> list[Candidate]:
    """Without works that cannot move and begin outside the plan: no outage of this plan could be theirs."""
    zone = ZoneInfo(period.branch.time_zone)
    with connection.cursor() as db:
        db.execute(
            _CANDIDATES_SQL,
            {
                "period": period.pk,
                "states": list(lifecycle.joinable_in(period.state)),
                "cancelled": WindowState.CANCELLED,
                "at": at,
                "since": datetime.combine(period.starts_on, time(0), zone) - reach,
                "until": datetime.combine(period.ends_on + timedelta(days=1), time(0), zone) + reach,
            },
        )
        windows = {work_id: (starts_at, ends_at) for work_id, starts_at, ends_at in db.fetchall()}
    works = PlannedWork.objects.select_related("branch", "period").filter(pk__in=list(windows)).order_by("pk")
    found = candidates_of(works, windows, period)
    return [candidate for candidate in found if candidate.begins_inside or not candidate.work.is_fixed]


def candidates_of(works: Iterable[PlannedWork], windows: Mapping[int, Window], period: PlanPeriod) -> list[Candidate]:
    """Works with the places that they were measured to take off, in one statement. Works without places stay out."""
    zone = ZoneInfo(period.branch.time_zone)
    places: defaultdict[int, dict[int, int]] = defaultdict(dict)
    with connection.cursor() as db:
        db.execute(
            "SELECT work_id, element_id, customers FROM planned_workplace WHERE work_id = ANY(%s) ORDER BY element_id",
            [list(windows)],
        )
        for work_id, element_id, customers in db.fetchall():
            places[work_id][element_id] = customers
    return [
        Candidate(
            work,
            windows[work.pk],
            places[work.pk],
            period.starts_on <= windows[work.pk][0].astimezone(zone).date() <= period.ends_on,
        )
        for work in works
        if places[work.pk]
    ]


def _crews_beside(period: PlanPeriod, groups: Sequence[Sequence[Candidate]]) -> list[int]:
    """For each group the crews of whatever else the branch does on the day on which it would begin."""
    if not groups:
        return []
    zone = ZoneInfo(period.branch.time_zone)
    days = [joint_window(group)[0].astimezone(zone).date() for group in groups]
    spans = [
        (datetime.combine(day, time(0), zone), datetime.combine(day + timedelta(days=1), time(0), zone)) for day in days
    ]
    windows = WorkWindow.objects.filter(
        work__branch=period.branch_id,
        work__state__in=(*lifecycle.EDITABLE, *lifecycle.STANDING),
        starts_at__lt=max(spans)[1],
        ends_at__gt=min(spans)[0],
    ).exclude(state=WindowState.CANCELLED)
    rows = list(windows.values_list("work", "work__crews", "starts_at", "ends_at"))
    found = []
    for group, (since, until) in zip(groups, spans, strict=True):
        ours = {member.work.pk for member in group}
        busy = {pk: crews for pk, crews, starts_at, ends_at in rows if starts_at < until and ends_at > since}
        found.append(sum(crews for pk, crews in busy.items() if pk not in ours))
    return found


# up the tree from the first shared place of each group until the last one lies below too
_DEVICES_SQL: Final = """
WITH RECURSIVE shared AS (
    SELECT t.n, min(e.pos) AS first, max(e.pos) AS final, count(DISTINCT e.id) AS places
    FROM unnest(%(n)s::int[], %(place)s::bigint[]) AS t(n, place) JOIN grid_gridelement e ON e.id = t.place
    GROUP BY t.n
), climb AS (
    SELECT s.n, s.final, e.id, e.parent_id, e.last FROM shared s JOIN grid_gridelement e ON e.pos = s.first
    UNION ALL
    SELECT c.n, c.final, e.id, e.parent_id, e.last FROM climb c JOIN grid_gridelement e ON e.id = c.parent_id
    WHERE c.last < c.final
)
SELECT n, id FROM climb WHERE last >= final
"""


def _devices(shared: Sequence[Sequence[int]]) -> list[GridElement | None]:
    """For each set of places, the lowest element that they all hang on."""
    pairs = [(n, place) for n, places in enumerate(shared) for place in places]
    with connection.cursor() as db:
        db.execute(_DEVICES_SQL, {"n": [n for n, _place in pairs], "place": [place for _n, place in pairs]})
        found = dict(db.fetchall())
    elements = GridElement.objects.select_related("feeder").in_bulk(list(found.values()))
    return [elements.get(found.get(n, 0)) for n in range(len(shared))]
