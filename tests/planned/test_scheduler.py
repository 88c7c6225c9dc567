"""The scheduler against an independent account of the same plans, kept minute by minute."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import product
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from outages.planned.scheduler import Job, Problem, Proposal, measure, reasons_of, schedule
from outages.planned.spans import Window

SHANGHAI = ZoneInfo("Asia/Shanghai")
LONDON = ZoneInfo("Europe/London")
FIRST = date(2026, 12, 7)
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
SECONDS = 60.0  # far more than any of these small plans needs for its proof

Windows = tuple[Window, ...]
Plan = Mapping[int, Windows]


def at(day: int, hour: float = 8, hours: float = 4, *, zone: ZoneInfo = SHANGHAI, first: date = FIRST) -> Window:
    """A window on the n-th day of the plan, by the branch's clock."""
    midnight = datetime.combine(first + day * DAY, time(0), zone)
    starts = (midnight + timedelta(hours=hour)).astimezone(UTC)
    return starts, starts + timedelta(hours=hours)


def job(key: int, *windows: Window, places: tuple[int, ...] = (), **facts: Any) -> Job:
    return Job(
        key=key, reference=f"W-{key}", windows=windows, crews=facts.pop("crews", 1), places=frozenset(places),
        feeders=frozenset(facts.pop("feeders", ())), **facts,
    )  # fmt: skip


def problem(*jobs: Job, days: int = 5, capacity: int = 9, **facts: Any) -> Problem:
    facts.setdefault("customers", {place: 10 for one in jobs for place in one.places})
    facts.setdefault("zone", SHANGHAI)
    first = facts.pop("first", FIRST)
    return Problem(first=first, last=first + (days - 1) * DAY, capacity=capacity, jobs=jobs, **facts)


# --- the independent account ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Account:
    """What a plan breaks and what it costs, counted without the scheduler's own means."""

    broken: Counter[str]
    customer_minutes: int
    customers_again: int
    holiday_customers: int

    @property
    def weight(self) -> tuple[int, int]:
        return self.broken.total(), self.customer_minutes + 240 * self.customers_again + 60 * self.holiday_customers


def minutes_off(windows: Windows) -> set[datetime]:
    found = set()
    for starts, ends in windows:
        while starts < ends:
            found.add(starts)
            starts += MINUTE
    return found


def account_of(plan: Plan, asked: Problem) -> Account:
    minutes = again = holiday = 0
    off = {one.key: minutes_off(plan[one.key]) for one in asked.jobs}
    days = {key: {minute.astimezone(asked.zone).date() for minute in found} for key, found in off.items()}
    for place, customers in asked.customers.items():
        here = set().union(*(off[one.key] for one in asked.jobs if place in one.places))
        if not here:
            continue
        minutes += customers * len(here)
        cuts = sum(minute - MINUTE not in here for minute in here)
        calm = asked.calm_from.get(place)
        was_cut_before = calm is not None and min(here).astimezone(asked.zone).date() < calm
        again += customers * (cuts - 1 + was_cut_before)
        holiday += customers * len({minute.astimezone(asked.zone).date() for minute in here} & asked.holidays)
    broken: Counter[str] = Counter()
    for n in range((asked.last - asked.first).days + 1):
        needed = sum(one.crews for one in asked.jobs if asked.first + n * DAY in days[one.key])
        broken["crews"] += max(0, needed - asked.capacity)
    for one in asked.jobs:
        broken.update(broken_alone(one, plan[one.key], asked))
        for two in asked.jobs:
            if one.key < two.key and not (one.is_other and two.is_other) and off[one.key] & off[two.key]:
                broken["backup"] += any({a, b} in asked.backups for a in one.feeders for b in two.feeders)
    return Account(+broken, minutes, again, holiday)


def broken_alone(one: Job, windows: Windows, asked: Problem) -> set[str]:
    if one.is_other:
        return set()
    starts = [moment for moment, _ends in windows]
    days = {minute.astimezone(asked.zone).date() for minute in minutes_off(windows)}
    return {
        rule
        for rule, is_broken in (
            ("forbidden", bool(days & asked.forbidden)),
            (
                "outside",
                any(not asked.first <= moment.astimezone(asked.zone).date() <= asked.last for moment in starts),
            ),
            ("early", one.earliest is not None and min(starts) < one.earliest),
        )
        if is_broken
    }


def possible(one: Job, asked: Problem) -> Iterator[Windows]:
    """Every place in time that a work may be moved to, spelled out."""
    yield one.windows
    if one.is_fixed or one.is_other:
        return
    clocks = {one.windows[0][0].astimezone(asked.zone).time()}
    if len(one.windows) == 1:
        clocks |= {
            other.windows[0][0].astimezone(asked.zone).time()
            for other in asked.jobs
            if len(other.windows) == 1 and one.places & other.places
        }
    origin = one.windows[0][0].astimezone(asked.zone).date()
    for n in range((asked.last - asked.first).days + 1):
        for clock in clocks:
            moved = []
            for starts, ends in one.windows:
                local = starts.astimezone(asked.zone)
                day = local.date() + (asked.first + n * DAY - origin)
                new = datetime.combine(day, clock if len(one.windows) == 1 else local.time(), asked.zone).astimezone(
                    UTC
                )
                moved.append((new, new + (ends - starts)))
            if not broken_alone(one, tuple(moved), asked):
                yield tuple(moved)


def best_weight(asked: Problem) -> tuple[int, int]:
    choices = [list(possible(one, asked)) for one in asked.jobs]
    keys = [one.key for one in asked.jobs]
    return min(account_of(dict(zip(keys, chosen, strict=True)), asked).weight for chosen in product(*choices))


def agrees(asked: Problem, proposal: Proposal) -> None:
    """The proposal is what it says, keeps what it must, and is never worse than the own plan."""
    own = {one.key: one.windows for one in asked.jobs}
    for plan, said in ((own, proposal.before), (proposal.plan, proposal.after)):
        counted = account_of(plan, asked)
        assert said.weight == counted.weight
        assert rules_of(said) == counted.broken
        assert said.customer_minutes == counted.customer_minutes
        assert said.customers_again == counted.customers_again
        assert said.holiday_customers == counted.holiday_customers
    assert proposal.after.weight <= proposal.before.weight
    for one in asked.jobs:
        assert proposal.plan[one.key] in list(possible(one, asked))
        assert (one.key in proposal.moved) == (proposal.plan[one.key] != one.windows)


def rules_of(measured: Any) -> Counter[str]:
    counts: Counter[str] = Counter()
    for one in measured.broken:
        counts[one.rule] += one.by
    return counts


def proposed(asked: Problem) -> Proposal:
    proposal = schedule(asked, seconds=SECONDS)
    agrees(asked, proposal)
    return proposal


# --- random plans ---------------------------------------------------------------------------------------


@st.composite
def problems(draw: st.DrawFn, *, jobs: int, days: int) -> Problem:
    """A few works over a few areas and feeders, some fixed, some of another plan, with every rule in play."""
    places = st.frozensets(st.integers(1, 4), min_size=1, max_size=3)
    feeders = st.frozensets(st.integers(1, 3), max_size=2)
    offsets = st.frozensets(st.integers(0, days - 1), max_size=1)
    found = []
    for key in range(1, draw(st.integers(1, jobs)) + 1):
        begins = [draw(st.integers(0, days - 1))]
        if draw(st.booleans()) and begins[0] + 1 < days:
            begins += [begins[0] + 1] * draw(st.integers(0, 1))
        hour, hours = draw(st.sampled_from([8, 9, 22])), draw(st.sampled_from([1, 3, 5]))
        found.append(
            job(
                key,
                *(at(day, hour, hours) for day in begins),
                places=tuple(draw(places)),
                feeders=tuple(draw(feeders)),
                crews=draw(st.integers(0, 2)),
                is_fixed=draw(st.sampled_from([False, False, True])),
                is_other=draw(st.sampled_from([False, False, False, True])),
                earliest=draw(st.sampled_from([None, at(1, 8.5)[0]])),
            )
        )
    return problem(
        *found,
        days=days,
        capacity=draw(st.integers(1, 2)),
        customers={place: draw(st.integers(0, 50)) for place in range(1, 5)},
        forbidden=frozenset(FIRST + n * DAY for n in draw(offsets)),
        holidays=frozenset(FIRST + n * DAY for n in draw(offsets)),
        backups=frozenset({frozenset({1, 2})}),
        calm_from={place: FIRST + n * DAY for place, n in draw(st.dictionaries(st.integers(1, 4), st.integers(0, days)))
                   .items()},
    )  # fmt: skip


@given(problems(jobs=3, days=3))
@settings(max_examples=80, deadline=None)
def test_the_proposal_is_the_best_there_is(asked: Problem) -> None:
    proposal = proposed(asked)

    assert (proposal.is_optimal, proposal.after.weight) == (True, best_weight(asked))


@given(problems(jobs=7, days=6))
@settings(max_examples=40, deadline=None)
def test_a_proposal_is_never_worse_and_says_what_is_true(asked: Problem) -> None:
    proposed(asked)


# --- what it must respect -------------------------------------------------------------------------------


def test_works_for_the_same_customers_become_one_outage() -> None:
    asked = problem(job(1, at(0, 8, 4), places=(1, 2)), job(2, at(3, 13, 2), places=(1,)))

    proposal = proposed(asked)

    assert proposal.before.weight == (0, 10 * 240 + 10 * 240 + 10 * 120 + 240 * 10)
    assert proposal.after.weight == (0, 10 * 240 + 10 * 240)
    (moved,) = proposal.moved
    other = 3 - moved
    assert reasons_of(proposal, asked) == {
        moved: [
            {"code": "cuts", "customers": 10, "with": [f"W-{other}"]},
            {"code": "hours", "hours": 20.0, "with": []},
        ]
    }


def test_a_fixed_date_and_another_plan_stay_where_they_are() -> None:
    asked = problem(
        job(1, at(0), places=(1,), is_fixed=True),
        job(2, at(3), places=(1, 2), is_other=True),
        job(3, at(4), places=(2,)),
    )

    proposal = proposed(asked)

    assert (proposal.plan[1], proposal.plan[2], proposal.plan[3]) == ((at(0),), (at(3),), (at(3),))


def test_nothing_goes_to_a_day_without_planned_outages() -> None:
    closed = frozenset({FIRST + n * DAY for n in (0, 1, 3)})
    asked = problem(job(1, at(1), places=(1,)), job(2, at(3), places=(2,)), days=4, forbidden=closed)

    proposal = proposed(asked)

    assert proposal.before.rules_broken == 2
    assert (proposal.plan, proposal.after.rules_broken) == ({1: (at(2),), 2: (at(2),)}, 0)
    assert reasons_of(proposal, asked)[1] == [{"code": "mends", "rule": "forbidden", "day": "", "with": []}]


def test_an_outage_over_midnight_needs_both_days() -> None:
    closed = frozenset({FIRST + DAY})
    asked = problem(job(1, at(0, 22, 4), places=(1,)), days=3, forbidden=closed)

    proposal = proposed(asked)

    assert proposal.plan[1] == (at(2, 22, 4),)


def test_back_at_midnight_is_back_the_day_before() -> None:
    asked = problem(job(1, at(0, 20, 4), places=(1,)), days=2, forbidden=frozenset({FIRST + DAY}))

    proposal = proposed(asked)

    assert (proposal.before.rules_broken, proposal.moved) == (0, ())


def test_feeders_that_back_each_other_up_are_never_off_together() -> None:
    asked = problem(
        job(1, at(1, 8, 4), places=(1,), feeders=(1,)),
        job(2, at(1, 10, 4), places=(2,), feeders=(2,)),
        backups=frozenset({frozenset({1, 2})}),
    )

    proposal = proposed(asked)

    assert (proposal.before.rules_broken, proposal.after.rules_broken) == (1, 0)
    assert len(proposal.moved) == 1
    assert [reason["code"] for reason in reasons_of(proposal, asked)[proposal.moved[0]]] == ["mends"]


def test_crews_are_shared_out_over_the_days() -> None:
    asked = problem(*(job(key, at(0), places=(key,)) for key in range(1, 6)), days=5, capacity=1)

    proposal = proposed(asked)

    assert (proposal.before.rules_broken, proposal.after.rules_broken) == (4, 0)
    assert len(set(proposal.plan.values())) == 5


def test_what_cannot_be_done_stays_named() -> None:
    asked = problem(job(1, at(0), places=(1,), crews=3), job(2, at(0), places=(2,), crews=2), days=2, capacity=2)

    proposal = proposed(asked)

    (left,) = proposal.after.broken
    assert (left.rule, left.by, left.references) == ("crews", 1, ("W-1",))


def test_nobody_is_cut_again_before_the_last_time_is_forgotten() -> None:
    asked = problem(job(1, at(0), places=(1,)), calm_from={1: FIRST + 3 * DAY})

    proposal = proposed(asked)

    assert proposal.plan[1] in ((at(3),), (at(4),))
    assert reasons_of(proposal, asked)[1] == [{"code": "cuts", "customers": 10, "with": []}]


def test_a_holiday_is_spared() -> None:
    asked = problem(job(1, at(1), places=(1,)), days=3, holidays=frozenset({FIRST + DAY}))

    proposal = proposed(asked)

    assert (proposal.before.holiday_customers, proposal.after.holiday_customers) == (10, 0)


def test_nothing_moves_before_customers_can_be_told() -> None:
    asked = problem(job(1, at(4), places=(1,), earliest=at(3)[0]), job(2, at(0), places=(1, 2), is_fixed=True))

    proposal = proposed(asked)

    assert proposal.moved == ()
    assert proposal.after == proposal.before


def test_a_plan_that_is_good_stays_as_it_is() -> None:
    asked = problem(job(1, at(1), places=(1,)), job(2, at(2), places=(2,)), capacity=1)

    proposal = proposed(asked)

    assert (proposal.moved, proposal.is_optimal, reasons_of(proposal, asked)) == ((), True, {})


def test_several_windows_move_as_one() -> None:
    asked = problem(job(1, at(0, 8, 1), at(1, 16, 1), places=(1,)), forbidden=frozenset({FIRST}), days=3)

    proposal = proposed(asked)

    assert proposal.plan[1] == (at(1, 8, 1), at(2, 16, 1))


def test_the_clock_is_kept_when_it_changes() -> None:
    sunday = date(2026, 3, 29)  # 01:00 becomes 02:00 in London
    early, late = (at(n, 8, 4, zone=LONDON, first=sunday - DAY) for n in (0, 1))
    asked = problem(
        job(1, early, places=(1,)), zone=LONDON, first=sunday - DAY, days=2, forbidden=frozenset({sunday - DAY})
    )

    proposal = proposed(asked)

    assert proposal.plan[1] == (late,)
    assert late[0] - early[0] == timedelta(hours=23)
    assert [moment.astimezone(LONDON).hour for moment in late] == [8, 12]


def month() -> Problem:
    """More than can be proved to be best in a few seconds."""
    jobs = [job(key, at(key % 7, 8 + key % 5, 3 + key % 4), places=(key % 9, key % 11 + 9)) for key in range(1, 60)]
    return problem(*jobs, days=20, capacity=4)


def test_the_progress_is_told_and_nothing_moves_for_nothing() -> None:
    asked = month()
    told: list[int] = []

    proposal = schedule(asked, seconds=2.5, tell=told.append)

    assert told == sorted(told)
    assert told
    assert all(0 < percent <= 95 for percent in told)
    assert proposal.after.weight <= proposal.before.weight
    for key in proposal.moved:
        assert measure({**proposal.plan, key: asked.own_plan[key]}, asked).weight > proposal.after.weight


def test_a_search_that_had_no_time_proposes_nothing_worse() -> None:
    asked = month()

    for seconds in (0.001, 0.1):
        agrees(asked, schedule(asked, seconds=seconds))


def test_a_plan_without_anything_to_move_is_not_searched() -> None:
    asked = problem(job(1, at(0), places=(1,), is_fixed=True))

    assert schedule(asked, seconds=0.001).plan == {1: (at(0),)}
    assert measure(asked.own_plan, replace(asked, jobs=())).weight == (0, 0)
