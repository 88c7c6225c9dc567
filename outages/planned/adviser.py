"""The merge adviser (一停多用): works that take the same customers off within a few days, worth one joint outage.

Greedy and explained: the pair that saves most customer-hours is taken first and grows by whichever work raises the
saving most; then the next pair among the works that are left. Each work stands in one proposal at most.

A joint outage takes everybody off for as long as its longest work, beginning when its most constrained work begins.
Works with several windows are left out: their windows depend on each other (a generator car is plugged in and out
again), and joining one would drag the others along.
"""

from __future__ import annotations

from collections import defaultdict
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
from grid.models import Branch, GridElement
from outages.planned.lifecycle import WORK_STEPS
from outages.planned.models import PlannedWork, PlanPeriod, WindowState

Window = tuple[datetime, datetime]

JOINABLE: Final = tuple(sorted(WORK_STEPS["join"].sources))
_HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True)
class Candidate:
    """A work as the adviser weighs it: when, for whom (transformer area -> customers), and whether it can move."""

    work: PlannedWork
    window: Window
    places: Mapping[int, int]

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
    capacity: int
    device: GridElement | None  # the lowest element above everything that is off more than once
    shared_places: int
    shared_customers: int
    consents: tuple[Consent, ...]

    @property
    def works(self) -> tuple[PlannedWork, ...]:
        return tuple(candidate.work for candidate in self.candidates)

    @property
    def branches(self) -> tuple[Branch, ...]:
        return tuple({work.branch_id: work.branch for work in self.works}.values())

    @property
    def lead(self) -> PlannedWork:
        return self.candidates[0].work

    @property
    def needs_more_crews(self) -> bool:
        return self.crews > self.capacity


def proposals_for(period: PlanPeriod, *, at: datetime, within: timedelta | None = None) -> list[MergeProposal]:
    """What this plan could do with one outage instead of several, the greatest saving first.

    Looked at are its own works and every undecided work of any branch that shares supply with one of them and lies
    within ``within`` (the rule pack's days) of it. The number of statements does not depend on the works.
    """
    reach = within if within is not None else standards.pack(period.branch.rule_pack).planning.merge_within.delta
    candidates = _candidates(period, at=at, reach=reach)
    own = {number for number, candidate in enumerate(candidates) if candidate.work.period_id == period.pk}
    groups = _groups(candidates, own, reach)
    devices = _devices([_shared(group) for group in groups])
    return [_proposal(period, group, device) for group, device in zip(groups, devices, strict=True)]


# --- what a joint outage would be ---------------------------------------------------------------------


def lead_of(candidates: Sequence[Candidate]) -> Candidate:
    """The work whose date is kept: one that cannot move, else the one with most customers."""
    return min(candidates, key=lambda c: (not c.work.is_fixed, -c.customers, c.window[0], c.work.pk))


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


def saving_of(candidates: Sequence[Candidate]) -> Saving:
    """Customer-hours now (off at any time, per place), and with one outage for all."""
    hours_now, hit_twice, customers = 0.0, 0, 0
    periods: dict[tuple[int, ...], list[Window]] = {}
    for place, members in _members(candidates).items():
        here = candidates[members[0]].places[place]
        if members not in periods:
            periods[members] = joined(candidates[number].window for number in members)
        hours_now += here * _hours(periods[members])
        hit_twice += here if len(periods[members]) > 1 else 0
        customers += here
    length = max(candidate.length for candidate in candidates)
    return Saving(hours_now, customers * (length / _HOUR), hit_twice)


def joined(windows: Iterable[Window]) -> list[Window]:
    """The times in which at least one of the windows is off; windows that touch are one."""
    periods: list[Window] = []
    for starts_at, ends_at in sorted(windows):
        if periods and starts_at <= periods[-1][1]:
            periods[-1] = (periods[-1][0], max(periods[-1][1], ends_at))
        else:
            periods.append((starts_at, ends_at))
    return periods


def _hours(periods: Iterable[Window]) -> float:
    return sum((ends_at - starts_at) / _HOUR for starts_at, ends_at in periods)


def _members(candidates: Sequence[Candidate]) -> dict[int, tuple[int, ...]]:
    """Which of the works take each place off."""
    members: defaultdict[int, list[int]] = defaultdict(list)
    for number, candidate in enumerate(candidates):
        for place in candidate.places:
            members[place].append(number)
    return {place: tuple(numbers) for place, numbers in members.items()}


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
        members = [candidates[number] for number in group]
        lead = lead_of(members)
        ordered = [lead, *sorted((m for m in members if m is not lead), key=lambda m: (m.window[0], m.work.pk))]
        found.append((saving_of(ordered).hours_saved, ordered))
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
    saved = saving_of([candidates[number] for number in group]).hours_saved
    while True:
        around = {n for number in group for n in neighbours.get(number, ())} - set(group) - set(taken)
        tried = []
        for number in sorted(around):
            members = [candidates[n] for n in (*group, number)]
            if _is_near(members, reach) and dates_agree(members):
                tried.append((saving_of(members).hours_saved, number))
        best = max(tried, key=lambda item: (item[0], -item[1]), default=None)
        if best is None or best[0] <= saved:
            return group
        saved, group = best[0], [*group, best[1]]


def _is_near(members: Sequence[Candidate], reach: timedelta) -> bool:
    starts = [member.window[0] for member in members]
    return max(starts) - min(starts) <= reach


def _proposal(period: PlanPeriod, group: Sequence[Candidate], device: GridElement | None) -> MergeProposal:
    window = joint_window(group)
    shared = _shared(group)
    customers = {place: count for candidate in group for place, count in candidate.places.items()}
    return MergeProposal(
        candidates=tuple(group),
        window=window,
        saving=saving_of(group),
        crews=sum(candidate.work.crews for candidate in group),
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
    return sorted(place for place, members in _members(group).items() if len(members) > 1)


# --- reading ------------------------------------------------------------------------------------------

# one window, undecided, in no joint outage; of the plan itself, or sharing a transformer area with the plan's works
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
    zone = ZoneInfo(period.branch.time_zone)
    with connection.cursor() as db:
        db.execute(
            _CANDIDATES_SQL,
            {
                "period": period.pk,
                "states": list(JOINABLE),
                "cancelled": WindowState.CANCELLED,
                "at": at,
                "since": datetime.combine(period.starts_on, time(0), zone) - reach,
                "until": datetime.combine(period.ends_on + timedelta(days=1), time(0), zone) + reach,
            },
        )
        windows = {work_id: (starts_at, ends_at) for work_id, starts_at, ends_at in db.fetchall()}
    return candidates_of(
        PlannedWork.objects.select_related("branch", "period").filter(pk__in=list(windows)).order_by("pk"), windows
    )


def candidates_of(works: Iterable[PlannedWork], windows: Mapping[int, Window]) -> list[Candidate]:
    """Works with the places that they were measured to take off, in one statement. Works without places stay out."""
    places: defaultdict[int, dict[int, int]] = defaultdict(dict)
    with connection.cursor() as db:
        db.execute(
            "SELECT work_id, element_id, customers FROM planned_workplace WHERE work_id = ANY(%s) ORDER BY element_id",
            [list(windows)],
        )
        for work_id, element_id, customers in db.fetchall():
            places[work_id][element_id] = customers
    return [Candidate(work, windows[work.pk], places[work.pk]) for work in works if places[work.pk]]


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
