"""Which days are worked: weekends, holidays, worked weekends, by branch; and deadlines in working days."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import IntegrityError, transaction
from pytest_django import DjangoAssertNumQueries

from grid.calendar import Calendar, calendar_of, calendars_of, days_of, deadline_after, working_days_after
from grid.models import Branch, CalendarDay, DayKind
from standards.values import Span
from tests.factories.grid import SmallCity

NEW_YEAR = date(2027, 1, 1)  # a Friday
WORKED = date(2027, 1, 10)  # a Sunday
THURSDAY = datetime(2026, 12, 31, 15, 0, tzinfo=ZoneInfo("Asia/Shanghai"))


def day(at: date, kind: DayKind = DayKind.HOLIDAY, branch: Branch | None = None) -> CalendarDay:
    return CalendarDay.objects.create(day=at, kind=kind, name="x", branch=branch)


def span(value: float, unit: str) -> Span:
    return Span.model_validate(
        {"value": value, "unit": unit, "citation": "test", "effective": NEW_YEAR, "verified": False}
    )


# --- what a day is ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "reason"),
    [
        (date(2026, 12, 30), None),
        (date(2026, 12, 31), "eve"),
        (date(2027, 1, 1), "holiday"),
        (date(2027, 1, 2), "weekend"),
        (date(2027, 1, 3), "weekend"),
        (date(2027, 1, 4), None),
        (date(2027, 1, 8), "eve"),  # an ordinary Friday
        (date(2027, 1, 9), "weekend"),
        (date(2027, 1, 10), None),  # the worked Sunday, with a worked Monday after it
    ],
)
def test_new_year_and_a_worked_sunday(at: date, reason: str | None) -> None:
    calendar = Calendar(holidays=frozenset({NEW_YEAR}), worked=frozenset({WORKED}))

    assert calendar.non_working_reason(at) == reason
    assert calendar.is_working_day(at) is (reason in (None, "eve"))


def test_a_worked_saturday_is_the_eve_of_its_sunday_and_its_friday_is_none() -> None:
    calendar = Calendar(worked=frozenset({date(2027, 1, 9)}))

    assert [calendar.non_working_reason(date(2027, 1, d)) for d in (8, 9, 10)] == [None, "eve", "weekend"]


def test_a_holiday_is_not_worked_whoever_says_so() -> None:
    calendar = Calendar(holidays=frozenset({WORKED}), worked=frozenset({WORKED}))

    assert calendar.non_working_reason(WORKED) == "holiday"


# --- for whom it holds --------------------------------------------------------------------------------


def test_a_branch_has_its_own_days_those_above_and_those_of_all(city: SmallCity) -> None:
    everybody = day(date(2027, 1, 4))
    bureau = day(date(2027, 1, 5), branch=city.bureau)
    east = day(date(2027, 1, 6), branch=city.east)
    west = day(date(2027, 1, 7), branch=city.west)
    first, last = date(2027, 1, 4), date(2027, 1, 8)

    assert list(days_of(city.east, first, last)) == [everybody, bureau, east]
    assert list(days_of(city.west, first, last)) == [everybody, bureau, west]
    assert list(days_of(city.bureau, first, last)) == [everybody, bureau]
    assert list(days_of(city.east, bureau.day, bureau.day)) == [bureau]


def test_many_branches_are_answered_as_one_by_one(
    city: SmallCity, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    day(NEW_YEAR)
    day(date(2027, 1, 5), branch=city.bureau)
    day(date(2027, 1, 6), branch=city.east)
    day(WORKED, DayKind.WORKING, city.west)
    branches = [city.bureau, city.east, city.west]

    with django_assert_num_queries(1):
        found = calendars_of(branches, NEW_YEAR, WORKED)

    assert found == {branch.pk: calendar_of(branch, NEW_YEAR, WORKED) for branch in branches}
    assert found[city.east.pk].holidays == {NEW_YEAR, date(2027, 1, 5), date(2027, 1, 6)}
    assert [found[branch.pk].worked for branch in branches] == [set(), set(), {WORKED}]


def test_examinations_and_days_without_works_are_worked(city: SmallCity) -> None:
    for kind in (DayKind.EXAM, DayKind.BLACKOUT):
        day(date(2027, 1, 6), kind)

    assert calendar_of(city.east, date(2027, 1, 6), date(2027, 1, 6)) == Calendar()


def test_the_last_day_knows_that_it_is_an_eve(city: SmallCity) -> None:
    day(NEW_YEAR)

    assert calendar_of(city.east, THURSDAY.date(), THURSDAY.date()).non_working_reason(THURSDAY.date()) == "eve"


def test_a_day_is_one_thing_once_for_a_branch(city: SmallCity) -> None:
    day(NEW_YEAR)

    with pytest.raises(IntegrityError, match="calendar_day_once"), transaction.atomic():
        day(NEW_YEAR)
    assert CalendarDay.objects.count() == 1


# --- deadlines ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("days", "due"), [(0, (2026, 12, 31)), (1, (2027, 1, 4)), (5, (2027, 1, 8)), (6, (2027, 1, 10)), (7, (2027, 1, 11))]
)
def test_working_days_leave_out_holidays_and_weekends_and_count_worked_ones(
    city: SmallCity, days: int, due: tuple[int, int, int]
) -> None:
    day(NEW_YEAR)
    day(WORKED, DayKind.WORKING, city.bureau)

    assert working_days_after(city.east, THURSDAY, days) == THURSDAY.replace(year=due[0], month=due[1], day=due[2])


def test_another_branchs_day_moves_no_deadline(city: SmallCity) -> None:
    day(date(2027, 1, 4), branch=city.west)

    assert working_days_after(city.east, THURSDAY, 2) == THURSDAY.replace(year=2027, month=1, day=4)
    assert working_days_after(city.west, THURSDAY, 2) == THURSDAY.replace(year=2027, month=1, day=5)


def test_a_day_is_a_day_by_the_branchs_own_clock(city: SmallCity) -> None:
    friday_here = datetime(2027, 1, 7, 23, 0, tzinfo=UTC)  # Friday 07:00 in Shanghai

    assert working_days_after(city.east, friday_here, 1) == datetime(2027, 1, 10, 23, 0, tzinfo=UTC)


def test_a_deadline_in_hours_knows_no_calendar(city: SmallCity) -> None:
    day(NEW_YEAR)

    assert deadline_after(city.east, THURSDAY, span(24, "hours")) == THURSDAY + timedelta(hours=24)
    assert deadline_after(city.east, THURSDAY, span(1, "business_days")) == THURSDAY + timedelta(days=4)


@pytest.mark.parametrize("many", [0, 40])
def test_one_statement_however_many_days(
    city: SmallCity, django_assert_num_queries: DjangoAssertNumQueries, many: int
) -> None:
    CalendarDay.objects.bulk_create(
        CalendarDay(day=NEW_YEAR + timedelta(days=n), kind="holiday", name="x") for n in range(many)
    )

    with django_assert_num_queries(1):
        calendar = calendar_of(city.east, NEW_YEAR, NEW_YEAR + timedelta(days=60))
    assert len(calendar.holidays) == many
    with django_assert_num_queries(1):
        working_days_after(city.east, THURSDAY, 10)
