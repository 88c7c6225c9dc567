"""The execution report: every figure by hand on a small month, and all of them against a naive recount."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.actor import Actor
from grid.models import Branch
from outages.models import Interruption
from outages.planned.models import PlannedWork, PlanPeriod, PlanStep, WorkWindow
from outages.planned.reports import (
    Asked,
    Outcome,
    Rate,
    Report,
    Timeliness,
    hit_twice_of,
    often_off,
    timeliness_of,
)
from tests.factories.grid import SmallCity
from tests.planned.past import APRIL_BEGINS, LONDON, MARCH, MINUTE, SHANGHAI, happened, march, report
from tests.planned.subjects import was_off


def hours(*, of: int, lasting: float) -> timedelta:
    """So many customers, off so many hours each."""
    return of * timedelta(hours=lasting)


def times(day: int, begins: float = 8, ends: float = 12) -> tuple[datetime, datetime]:
    return march(day, begins), march(day, ends)


def outcomes(found: Report) -> list[Outcome]:
    return [line.outcome for line in found.lines]


# --- one window -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("begins", "ends", "outcome"),
    [
        (0, 0, Outcome.EXECUTED),
        (30, 30, Outcome.EXECUTED),  # the tolerance itself is inside
        (-30, -180, Outcome.EXECUTED),  # sooner back is as announced
        (31, 0, Outcome.BEGAN_LATE),
        (-31, 0, Outcome.BEGAN_EARLY),
        (0, 31, Outcome.ENDED_LATE),
        (45, 90, Outcome.BEGAN_LATE),
    ],
)
def test_a_window_is_measured_against_its_first_announcement(
    city: SmallCity, pia: Actor, begins: int, ends: int, outcome: Outcome
) -> None:
    start, end = times(10)
    happened(city, "T11", announced=(start, end), off=(start + begins * MINUTE, end + ends * MINUTE))

    assert outcomes(report(pia)) == [outcome]


def test_a_window_that_moved_is_not_as_announced_however_punctual_it_was(city: SmallCity, pia: Actor) -> None:
    happened(city, "T11", announced=times(10), now=times(12), off=times(12), moves=1)

    (line,) = report(pia).lines

    assert line.outcome == Outcome.MOVED
    assert (line.began_on_time, line.ended_on_time) == (False, False)


def test_nothing_is_guessed_about_what_has_not_ended(city: SmallCity, pia: Actor) -> None:
    happened(city, "T11", announced=times(20))
    happened(city, "T12", announced=times(21), off=(march(21, 10), None))

    found = report(pia)

    assert outcomes(found) == [Outcome.OPEN, Outcome.OPEN]
    assert found.total.count["open"] == 2
    assert found.total.execution == Rate(0, 0)
    assert found.total.execution.share is None
    assert found.total.start == Rate(0, 1), "that it began late is known"
    assert found.total.end == Rate(0, 0)
    assert (found.total.planned, found.total.actual) == (timedelta(), timedelta())


def test_what_was_entered_in_error_never_counts(city: SmallCity, pia: Actor) -> None:
    happened(city, "T11", announced=times(10), state="cancelled", is_void=True)

    assert report(pia).lines == ()


def test_a_window_that_moved_out_of_the_month_stays_in_it(city: SmallCity, pia: Actor) -> None:
    april = (datetime(2026, 4, 7, tzinfo=UTC), datetime(2026, 4, 7, 4, tzinfo=UTC))
    happened(city, "T11", announced=times(31), now=april, moves=1)

    assert len(report(pia).lines) == 1
    assert report(pia, Asked(date(2026, 4, 1), date(2026, 4, 30))).lines == ()


# --- notice -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("work_class", "published", "told", "in_time"),
    [
        ("planned", timedelta(days=7), timedelta(days=7), True),
        ("planned", timedelta(days=6, hours=23), timedelta(days=6, hours=23), False),
        ("planned", timedelta(days=8), timedelta(days=6), False),  # published in time, told too late
        ("temporary", timedelta(hours=24), timedelta(hours=24), True),
        ("temporary", timedelta(hours=23), timedelta(hours=23), False),
        ("emergency", timedelta(hours=1), timedelta(hours=1), None),  # no notice is asked of it
    ],
)
def test_notice_is_measured_by_the_class_of_the_work(
    city: SmallCity, pia: Actor, work_class: str, published: timedelta, told: timedelta, in_time: bool | None
) -> None:
    start, end = times(20)
    happened(
        city, "T11", announced=(start, end), off=(start, end), work_class=work_class, published_at=start - published,
        notified_at=start - told,
    )  # fmt: skip

    (line,) = report(pia).lines

    assert line.told_in_time is in_time
    late = {True: timedelta(), None: timedelta()}.get(
        in_time, timedelta(days=7 if work_class == "planned" else 1) - told
    )
    assert line.notice_late_by == late


def test_customers_who_were_never_told_are_late_once_it_was_due(city: SmallCity, pia: Actor) -> None:
    start, end = times(20)
    happened(city, "T11", announced=(start, end), published_at=start - timedelta(days=8), notified_at=None)
    due = start - timedelta(days=7)

    before = report(pia, at=due - MINUTE).total.notice
    after = report(pia, at=due + 5 * MINUTE)

    assert (before, after.total.notice) == (Rate(0, 0), Rate(0, 1))
    assert after.lines[0].notice_late_by == 5 * MINUTE


def test_a_move_starts_a_new_notice(city: SmallCity, pia: Actor) -> None:
    first, now = times(20), times(28)
    published = first[0] - timedelta(days=8)
    happened(
        city, "T11", announced=first, now=now, off=now, moves=1, published_at=published,
        notified_at=now[0] - timedelta(days=7, hours=1),
    )  # fmt: skip
    happened(
        city, "T12", announced=first, now=now, off=now, moves=1, published_at=published,
        notified_at=now[0] - timedelta(days=6),
    )  # fmt: skip

    assert [line.told_in_time for line in report(pia).lines] == [True, False]


def test_what_was_called_off_before_anybody_was_due_to_hear_is_not_late(city: SmallCity, pia: Actor) -> None:
    happened(city, "T11", announced=times(20), state="cancelled", notified_at=None)

    assert report(pia).total.notice == Rate(0, 0)


def test_very_short_windows_need_no_notice_where_the_law_says_so(city: SmallCity, pia: Actor) -> None:
    city.east.rule_pack = "au"
    city.east.save(update_fields=["rule_pack"])
    start = march(20)
    for minutes in (14, 15):
        happened(
            city, "T11", announced=(start, start + minutes * MINUTE), off=(start, start + minutes * MINUTE),
            published_at=start - MINUTE,
        )  # fmt: skip

    assert [line.told_in_time for line in report(pia).lines] == [None, False]


# --- clocks -----------------------------------------------------------------------------------------


def test_a_window_belongs_to_the_day_of_its_own_branch(city: SmallCity, otto: Actor, london: Branch) -> None:
    last_hour = march(31, 23, zone=SHANGHAI)  # the afternoon of that day in London
    first_hour = march(1, 0.5, zone=LONDON)
    too_soon = march(1, 0.5, zone=SHANGHAI)  # still February in London
    too_late = march(31, 24.5, zone=SHANGHAI)  # April in Shanghai, March in London
    for start in (last_hour, first_hour, too_soon, too_late):
        for branch, area in ((city.east, "T11"), (london, "T21")):
            happened(city, area, branch=branch, announced=(start, start + timedelta(hours=1)))

    found = report(otto)

    starts = {
        branch: [line.announced_start for line in found.lines if line.branch_id == branch.pk]
        for branch in found.branches
    }
    assert starts[city.east] == [too_soon, first_hour, last_hour]
    assert starts[london] == [first_hour, last_hour, too_late]


def test_notice_and_weeks_keep_the_clock_over_its_change(city: SmallCity, otto: Actor, london: Branch) -> None:
    start = datetime(2026, 3, 30, 8, 0, tzinfo=UTC)  # nine in London, the day after its clocks went forward
    told = datetime(2026, 3, 28, 8, 50, tzinfo=UTC)  # ten to nine: two days by the clock, though an hour less by time
    monday = datetime(2026, 3, 29, 23, 30, tzinfo=UTC)  # half past midnight in London
    for begins in (start, monday):
        happened(
            city, "T21", branch=london, announced=(begins, begins + timedelta(hours=1)), published_at=told,
            off=(begins, begins + timedelta(hours=1)),
        )  # fmt: skip

    by_start = {line.announced_start: line for line in report(otto).lines}

    assert by_start[start].told_in_time is True
    assert by_start[monday].told_in_time is False
    assert {line.week for line in by_start.values()} == {date(2026, 3, 30)}


# --- a month by hand ----------------------------------------------------------------------------------


@pytest.fixture
def month(city: SmallCity) -> dict[str, WorkWindow]:
    """The east's March: T11 has two customers, T12 one."""
    return {
        "executed": happened(city, "T11", announced=times(3), off=(march(3, 8.25), march(3, 11))),
        "late": happened(city, "T11", "T12", announced=times(4), off=(march(4, 9), march(4, 12.5))),
        "long": happened(
            city, "T12", announced=times(10), now=times(10, 8, 14), off=(march(10), march(10, 13)), extensions=1
        ),
        "moved": happened(city, "T11", announced=times(11), now=times(12), off=times(12), moves=1),
        "cancelled": happened(city, "T12", announced=times(17), state="cancelled"),
        "temporary": happened(
            city, "T12", announced=times(18), off=times(18), work_class="temporary",
            published_at=march(17, 20), notified_at=march(17, 20),
        ),
        "open": happened(city, "T11", announced=times(31), off=(march(31), None)),
    }  # fmt: skip


def test_every_figure_of_a_month(city: SmallCity, pia: Actor, month: dict[str, WorkWindow]) -> None:
    found = report(pia)

    assert dict(found.total.count) == {
        "published": 7, "open": 1, "ended": 6, "executed": 2, "missed": 4, "cancelled": 1, "missed_moved": 1,
        "missed_began_early": 0, "missed_began_late": 1, "missed_ended_late": 1, "begun": 6, "began_on_time": 4,
        "finished": 5, "ended_on_time": 3, "moved": 1, "extended": 1, "early": 1, "temporary": 1, "noticed": 7,
        "noticed_in_time": 6, "noticed_late": 1,
    }  # fmt: skip
    assert found.total.execution == Rate(2, 6)
    assert found.total.start == Rate(4, 6)
    assert found.total.end == Rate(3, 5)
    assert found.total.temporary == Rate(1, 7)
    assert found.total.notice == Rate(6, 7)
    announced = [hours(of=customers, lasting=4) for customers in (2, 3, 1, 2, 1, 1)]
    assert found.total.planned == sum(announced, timedelta())
    actual = [
        hours(of=2, lasting=2.75), hours(of=3, lasting=3.5), hours(of=1, lasting=5), hours(of=2, lasting=4),
        hours(of=1, lasting=4),
    ]  # fmt: skip
    assert found.total.actual == sum(actual, timedelta())
    assert [(branch, figures) for branch, figures in found.by_branch] == [(city.east, found.total)]


def test_customer_hours_stand_in_the_week_of_the_announcement(pia: Actor, month: dict[str, WorkWindow]) -> None:
    weeks = {monday: (figures.planned, figures.actual) for monday, figures in report(pia).by_week}

    assert weeks == {
        date(2026, 2, 23): (timedelta(), timedelta()),
        date(2026, 3, 2): (hours(of=5, lasting=4), hours(of=2, lasting=2.75) + hours(of=3, lasting=3.5)),
        date(2026, 3, 9): (hours(of=3, lasting=4), hours(of=1, lasting=5) + hours(of=2, lasting=4)),
        date(2026, 3, 16): (hours(of=2, lasting=4), hours(of=1, lasting=4)),
        date(2026, 3, 23): (timedelta(), timedelta()),
        date(2026, 3, 30): (timedelta(), timedelta()),
    }


def test_customers_hit_twice_are_counted_once_each(city: SmallCity, pia: Actor, month: dict[str, WorkWindow]) -> None:
    # T11 was off on the 3rd, 4th, 12th and 31st, T12 on the 4th, 10th and 18th
    assert hit_twice_of(report(pia)) == {city.east.pk: 3, None: 3}


def test_a_place_that_goes_off_again_in_one_window_is_off_longer_but_not_hit_twice(city: SmallCity, pia: Actor) -> None:
    window = happened(city, "T11", announced=times(3), off=times(3))
    assert window.outage is not None
    Interruption.objects.create(
        outage=window.outage, element=city.elements["T11"], actual=(march(3, 13), march(3, 14)), customers=2
    )

    found = report(pia)

    assert hit_twice_of(found) == {}
    assert (found.total.planned, found.total.actual) == (hours(of=2, lasting=4), hours(of=2, lasting=5))


def test_a_customer_who_came_back_alone_is_counted_apart_from_the_area(city: SmallCity, pia: Actor) -> None:
    happened(city, "T11", announced=times(3), off=times(3))
    happened(city, announced=times(5), off=times(5), points=("SP0001",))  # the other one of the area is untouched

    assert hit_twice_of(report(pia)) == {city.east.pk: 1, None: 1}

    happened(city, "T11", announced=times(7), off=times(7))
    assert hit_twice_of(report(pia)) == {city.east.pk: 2, None: 2}


def test_customers_hit_by_two_branches_are_hit_twice_altogether(city: SmallCity, otto: Actor) -> None:
    happened(city, "T11", announced=times(3), off=times(3))
    happened(city, "T11", "T21", branch=city.west, announced=times(5), off=times(5))
    happened(city, branch=city.west, announced=times(6), off=times(6), points=("SP0004",))

    assert hit_twice_of(report(otto)) == {city.west.pk: 1, None: 3}


def test_a_report_may_be_narrowed_to_a_branch_and_to_a_kind_of_plan(city: SmallCity, otto: Actor) -> None:
    plans = {
        kind: PlanPeriod.objects.create(
            branch=city.east, kind=kind, starts_on=date(2026, 3, 2), ends_on=date(2026, 3, 8), deadline=march(1)
        )
        for kind in ("month", "week")
    }
    windows = {kind: happened(city, "T11", announced=times(3), period=plan) for kind, plan in plans.items()}
    windows["none"] = happened(city, "T11", announced=times(4))
    windows["west"] = happened(city, "T21", branch=city.west, announced=times(4))

    def asked(branch: Branch | None, kind: str) -> set[int]:
        return {line.window_id for line in report(otto, Asked(MARCH.first, MARCH.last, branch, kind)).lines}

    assert asked(city.east, "month") == {windows["month"].pk}
    assert asked(None, "week") == {windows["week"].pk}
    assert asked(None, "none") == {windows["none"].pk, windows["west"].pk}
    assert asked(city.west, "") == {windows["west"].pk}
    assert asked(city.bureau, "") == {window.pk for window in windows.values()}


def test_everybody_sees_the_own_branch_and_what_is_below(city: SmallCity, pia: Actor, otto: Actor, dora: Actor) -> None:
    happened(city, "T11", announced=times(3))
    happened(city, "T21", branch=city.west, announced=times(3))

    def seen(actor: Actor) -> list[Branch]:
        return [branch for branch, _figures in report(actor).by_branch]

    assert seen(pia) == [city.east]
    assert seen(otto) == [city.east, city.west]
    assert seen(dora) == []
    assert report(dora).branches == ()


# --- off too often ------------------------------------------------------------------------------------


def test_all_four_kinds_make_up_the_one_too_many(city: SmallCity, pia: Actor) -> None:
    for kind, day in (("fault", 2), ("load_shedding", 5)):
        was_off(city, "T11", begins=march(day), kind=kind)
    happened(city, "T11", announced=times(9), off=times(9))
    was_off(city, begins=march(20), kind="non_payment", points=["SP0003"])

    found = often_off(report(pia))

    assert [(place.code, place.customers, place.times) for place in found] == [("T11", 2, 3)]


def test_a_cut_for_a_debt_is_the_third_of_one_customer(city: SmallCity, pia: Actor) -> None:
    was_off(city, "T11", begins=march(2))
    was_off(city, "T11", begins=march(5), kind="load_shedding")
    was_off(city, begins=march(20), kind="non_payment", points=["SP0001"])

    found = often_off(report(pia))

    assert [(place.code, place.customers, place.times) for place in found] == [("T11", 1, 3)]


def test_the_one_too_many_must_have_begun_in_the_days_asked_about(city: SmallCity, pia: Actor) -> None:
    for day in (2, 5, 9):
        was_off(city, "T11", begins=march(day))

    assert len(often_off(report(pia, Asked(date(2026, 3, 9), date(2026, 3, 9))))) == 1
    assert often_off(report(pia, Asked(date(2026, 3, 10), date(2026, 3, 31)))) == []


def test_momentary_and_overlapping_outages_do_not_add_up(city: SmallCity, pia: Actor) -> None:
    was_off(city, "T11", begins=march(2), hours=6)
    was_off(city, "T11", begins=march(2, 10), hours=1)  # within the first
    was_off(city, "T11", begins=march(5))
    was_off(city, "T11", begins=march(9), hours=0.05)  # three minutes

    assert often_off(report(pia)) == []

    was_off(city, "T11", begins=march(9, 10), hours=0.06)
    assert len(often_off(report(pia))) == 1


def test_what_only_goes_on_in_the_days_asked_about_began_before(city: SmallCity, pia: Actor) -> None:
    for day in (2, 5):
        was_off(city, "T11", begins=march(day))
    was_off(city, "T11", begins=march(9, 20), hours=12)
    was_off(city, "T11", begins=march(10, 1))  # within that

    assert often_off(report(pia, Asked(date(2026, 3, 10), date(2026, 3, 31)))) == []


def test_each_branch_has_its_own_idea_of_too_often(city: SmallCity, otto: Actor, london: Branch) -> None:
    for day in (2, 5, 9):
        was_off(city, "T11", "T21", begins=march(day), hours=4)
    assert [place.branch_id for place in often_off(report(otto))] == [city.east.pk]

    was_off(city, "T21", begins=march(12), hours=2)  # too short to count there
    assert [place.branch_id for place in often_off(report(otto))] == [city.east.pk]

    was_off(city, "T21", begins=march(15), hours=3)
    assert {place.branch_id for place in often_off(report(otto))} == {city.east.pk, london.pk}


# --- plans ------------------------------------------------------------------------------------------


def test_how_a_branch_handed_in_its_plans(city: SmallCity, pia: Actor, mei: Actor) -> None:
    def plan(day: int, **facts: Any) -> PlanPeriod:
        monday = date(2026, 3, day)
        made = PlanPeriod.objects.create(
            branch=city.east, kind="week", starts_on=monday, ends_on=monday + timedelta(days=6),
            deadline=facts.pop("deadline", march(1)), **facts,
        )  # fmt: skip
        PlannedWork.objects.create(reference=f"W-{made.pk}", branch=city.east, title="x", period=made)
        return made

    plan(2, first_submitted_at=march(1), revision=1)
    sent_back = plan(9, first_submitted_at=march(1, 9), revision=3)
    plan(16)
    plan(23, deadline=APRIL_BEGINS + MINUTE)
    empty = plan(30)
    empty.works.all().delete()
    for _n in range(2):
        PlanStep.objects.create(period=sent_back, verb="return", actor_kind="user", actor_name="lena")

    expected = Timeliness(plans=4, in_time=1, late=1, missing=1, waiting=1, again=2, returned=2)
    assert timeliness_of(actor=pia, report=report(pia)) == [(city.east, expected)]
    assert expected.rate == Rate(1, 3)
    assert timeliness_of(actor=mei, report=report(mei)) == [], "who plans nothing sees no plans"


# --- cost -------------------------------------------------------------------------------------------


def everything(actor: Actor) -> tuple[Any, ...]:
    found = report(actor)
    return (
        found.by_branch,
        found.by_week,
        hit_twice_of(found),
        often_off(found),
        timeliness_of(actor=actor, report=found),
    )


def test_statements_do_not_grow_with_windows(city: SmallCity, otto: Actor) -> None:
    counts = []
    for day in (2, 12):
        for n in range(day, day + 5):
            happened(city, "T11", "T12", announced=times(n), off=times(n))
            happened(city, "T21", branch=city.west, announced=times(n), off=times(n))
        with CaptureQueriesContext(connection) as queries:
            everything(otto)
        counts.append(len(queries))

    # zones, branches, windows, hours · twice · too often, one rule pack · plans
    assert counts == [7, 7]
