"""The merge adviser: which works are worth one outage, what that saves, what it needs, and who must agree."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from grid.models import Branch
from outages.planned.adviser import Consent, MergeProposal, Saving, proposals_for
from outages.planned.models import PlannedWork, PlanPeriod
from outages.planned.spans import joined
from tests.factories.grid import SmallCity
from tests.planned.subjects import AT, on, work

DAY = timedelta(days=1)


def plan_of(branch: Branch, first: date = date(2026, 3, 1), last: date = date(2026, 3, 31), **facts: Any) -> PlanPeriod:
    return PlanPeriod.objects.create(
        branch=branch, kind="month", starts_on=first, ends_on=last, deadline=AT, **{"crew_capacity": 9} | facts
    )


@pytest.fixture
def plan(city: SmallCity) -> PlanPeriod:
    """The east's plan of the month in which ``AT`` lies."""
    return plan_of(city.east)


def draft(city: SmallCity, plan: PlanPeriod | None, *elements: str, **facts: Any) -> PlannedWork:
    return work(city, *elements, period=plan, **{"state": "draft"} | facts)


def proposed(plan: PlanPeriod, **asked: Any) -> MergeProposal:
    (proposal,) = proposals_for(plan, at=AT, **asked)
    return proposal


# --- what is proposed, and what it saves ----------------------------------------------------------------


def test_three_works_on_one_feeder_are_one_proposal(city: SmallCity, plan: PlanPeriod) -> None:
    line = draft(city, plan, "L11", window=on(10, 8, 6))  # 3 customers, 18 customer-hours
    area = draft(city, plan, "T11", window=on(12, 9, 2), crews=2)  # 2 customers, 4
    other = draft(city, plan, "T12", window=on(13, 8, 3))  # 1 customer, 3

    proposal = proposed(plan)

    assert proposal.works == (line, area, other)
    assert proposal.window == on(10, 8, 6)
    assert proposal.saving == Saving(hours_now=25, hours_joint=18, hit_twice=3)
    assert proposal.saving.hours_saved == 7
    assert (proposal.crews, proposal.crews_that_day, proposal.capacity) == (4, 4, 9)
    assert not proposal.needs_more_crews
    assert (proposal.device, proposal.shared_places, proposal.shared_customers) == (city.elements["L11"], 2, 3)
    assert proposal.consents == (
        Consent(area, is_other_branch=False, moves_from=on(12, 9)[0]),
        Consent(other, is_other_branch=False, moves_from=on(13, 8)[0]),
    )


def test_the_longest_work_says_how_long_and_the_largest_when(city: SmallCity, plan: PlanPeriod) -> None:
    draft(city, plan, "T11", window=on(12, 9, 5))  # 10 customer-hours
    draft(city, plan, "L11", window=on(10, 8, 4))  # 12

    proposal = proposed(plan)

    assert proposal.window == on(10, 8, 5)
    assert proposal.saving == Saving(hours_now=22, hours_joint=15, hit_twice=2)


def test_what_is_off_at_once_already_counts_once(city: SmallCity, plan: PlanPeriod) -> None:
    draft(city, plan, "L11", window=on(10, 8, 4))
    draft(city, plan, "T11", window=on(10, 10, 4))  # two customers are off from 8 to 14

    assert proposed(plan).saving == Saving(hours_now=2 * 6 + 1 * 4, hours_joint=12, hit_twice=0)


@pytest.mark.parametrize(
    ("windows", "together"),
    [
        ([], []),
        ([on(2, 8, 2), on(1, 8, 2)], [on(1, 8, 2), on(2, 8, 2)]),
        ([on(1, 8, 2), on(1, 10, 2)], [on(1, 8, 4)]),
        ([on(1, 8, 6), on(1, 9, 1), on(1, 13, 2)], [on(1, 8, 7)]),
    ],
)
def test_windows_that_touch_are_one(windows: Any, together: Any) -> None:
    assert joined(windows) == together


def test_each_work_stands_in_one_proposal_and_the_greatest_saving_comes_first(
    city: SmallCity, plan: PlanPeriod
) -> None:
    small = [draft(city, plan, "T12", window=on(day, 8, 2)) for day in (20, 21)]
    large = [draft(city, plan, "L11", window=on(day, 8, 6)) for day in (3, 4)]

    proposals = proposals_for(plan, at=AT)

    assert [proposal.works for proposal in proposals] == [tuple(large), tuple(small)]
    assert [proposal.saving.hours_saved for proposal in proposals] == [18, 2]


def test_crews_of_the_same_day_count(city: SmallCity, plan: PlanPeriod) -> None:
    draft(city, plan, "L11", window=on(10, 8), crews=4)
    draft(city, plan, "T11", window=on(12), crews=3)
    draft(city, plan, "K", window=on(10, 20, 2), crews=2)
    draft(city, None, "K", window=on(10, 6, 1), crews=1, state="approved")
    draft(city, plan, "K", window=on(11), crews=50)
    draft(city, plan, "K", window=on(10), crews=50, state="cancelled")
    work(city, "T21", branch=city.west, window=on(10), crews=50)

    proposal = proposed(plan)

    assert (proposal.crews, proposal.crews_that_day, proposal.needs_more_crews) == (7, 10, True)


# --- what is near enough --------------------------------------------------------------------------------


def test_within_the_packs_seven_days(city: SmallCity, plan: PlanPeriod) -> None:
    draft(city, plan, "L11", window=on(10, 8))
    late = draft(city, plan, "T11", window=on(17, 8))
    assert len(proposals_for(plan, at=AT)) == 1

    late.windows.update(starts_at=on(17, 9)[0])

    assert proposals_for(plan, at=AT) == []
    assert len(proposals_for(plan, at=AT, within=8 * DAY)) == 1


def test_a_chain_of_works_does_not_reach_farther_than_its_ends(city: SmallCity, plan: PlanPeriod) -> None:
    first, second = (draft(city, plan, "L11", window=on(day, 8, 6)) for day in (5, 10))
    draft(city, plan, "L11", window=on(15, 8, 2))

    assert proposed(plan, within=5 * DAY).works == (first, second)


def test_fixed_dates_are_kept(city: SmallCity, plan: PlanPeriod) -> None:
    draft(city, plan, "L11", window=on(10, 8, 6))
    fixed = draft(city, plan, "T12", window=on(12, 14, 1), is_fixed=True)

    proposal = proposed(plan)

    assert proposal.works[0] == fixed
    assert proposal.window == on(12, 14, 6)


def test_two_fixed_dates_are_not_joined_unless_they_agree(city: SmallCity, plan: PlanPeriod) -> None:
    draft(city, plan, "L11", window=on(10, 8, 6), is_fixed=True)
    second = draft(city, plan, "T11", window=on(10, 9, 2), is_fixed=True)
    assert proposals_for(plan, at=AT) == []

    second.windows.update(starts_at=on(10, 8)[0])

    assert proposed(plan).window == on(10, 8, 6)


# --- whose works ----------------------------------------------------------------------------------------


def test_a_neighbouring_plans_work_comes_into_this_one(city: SmallCity, plan: PlanPeriod) -> None:
    april = plan_of(city.east, date(2026, 4, 1), date(2026, 4, 30))
    ours = draft(city, plan, "T11", window=on(29, 8, 2))  # 31 March
    theirs = draft(city, april, "L11", window=on(30, 8, 6))  # 1 April, and the larger one

    here, there = proposed(plan), proposed(april)

    assert (here.works, here.window) == ((ours, theirs), on(29, 8, 6))
    assert (there.works, there.window) == ((theirs, ours), on(30, 8, 6))


def test_a_fixed_date_outside_the_plan_is_left_alone(city: SmallCity, plan: PlanPeriod) -> None:
    april = plan_of(city.east, date(2026, 4, 1), date(2026, 4, 30))
    draft(city, plan, "T11", window=on(29, 8, 2))
    draft(city, april, "L11", window=on(30, 8, 6), is_fixed=True)

    assert proposals_for(plan, at=AT) == []
    assert len(proposals_for(april, at=AT)) == 1


def test_another_branch_must_agree(city: SmallCity, plan: PlanPeriod) -> None:
    ours = draft(city, plan, "L11", window=on(10, 8, 6))
    theirs = draft(city, None, "BUS1", window=on(10, 8, 2), branch=city.bureau, places=["T12"])

    proposal = proposed(plan)

    assert proposal.works == (ours, theirs)
    assert proposal.consents == (Consent(theirs, is_other_branch=True, moves_from=None),)


@pytest.mark.parametrize(
    ("period_state", "work_states"),
    [
        ("open", {"draft", "returned", "submitted", "checked"}),
        ("returned", {"draft", "returned", "submitted", "checked"}),
        ("submitted", {"submitted", "checked"}),
        ("endorsed", {"checked"}),
        ("approved", set()),
        ("published", set()),
        ("closed", set()),
    ],
)
def test_only_what_has_come_as_far_as_the_plan(
    city: SmallCity, plan: PlanPeriod, period_state: str, work_states: set[str]
) -> None:
    PlanPeriod.objects.filter(pk=plan.pk).update(state=period_state)
    plan.refresh_from_db()
    ours = draft(city, plan, "L11", window=on(10))
    found = set()
    for state in ("draft", "returned", "submitted", "checked", "approved", "published", "closed", "cancelled"):
        other = draft(city, None, "T11", window=on(11), state=state)
        PlannedWork.objects.filter(pk=ours.pk).update(state=min(work_states, default="draft"))
        found |= {state for proposal in proposals_for(plan, at=AT) if other in proposal.works}
        other.delete()

    assert found == work_states


@pytest.mark.parametrize("why", ["apart", "several windows", "past", "joint", "a part", "without customers"])
def test_nothing_to_join(city: SmallCity, plan: PlanPeriod, why: str) -> None:
    draft(city, plan, "T11", window=on(10))
    window = {"window": on(11)}
    match why:
        case "apart":
            draft(city, plan, "T12", **window)
        case "several windows":
            draft(city, plan, "L11", windows=[on(11, 8, 1), on(11, 12, 1)])
        case "past":
            draft(city, plan, "L11", window=on(0, 8))
        case "joint":
            joint = draft(city, plan, "L11", **window)
            draft(city, plan, "T12", window=on(20), state="joined", joint=joint)
        case "a part":
            joint = draft(city, plan, "T12", window=on(25))
            draft(city, plan, "L11", **window, state="joined", joint=joint)
        case "without customers":
            draft(city, plan, "L11", **window, places=[])

    assert proposals_for(plan, at=AT, within=5 * DAY) == []


def test_an_empty_plan_has_nothing_to_join(city: SmallCity, plan: PlanPeriod) -> None:
    draft(city, None, "L11", window=on(10))
    draft(city, None, "T11", window=on(11))

    assert proposals_for(plan, at=AT) == []


def test_statements_do_not_grow_with_works(city: SmallCity, plan: PlanPeriod) -> None:
    draft(city, plan, "L11", window=on(10))
    draft(city, plan, "T11", window=on(11))
    few = _statements(plan)
    for day in range(4, 24):
        draft(city, plan, "L12", window=on(day, 20, 2))

    assert _statements(plan) == few


def _statements(plan: PlanPeriod) -> int:
    with CaptureQueriesContext(connection) as queries:
        assert proposals_for(plan, at=AT)
    return len(queries)
