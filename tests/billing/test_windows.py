"""When a batch may cut: within the hours of one day, not before a day off, and after its letters have arrived."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from billing_cutoffs.services.windows import BadWindow, BarredDay, WindowTooSoon, day_possible, window_require
from grid.models import CalendarDay, DayKind
from tests.factories.grid import SmallCity

SHANGHAI = ZoneInfo("Asia/Shanghai")
HOME = {("residential", "normal")}


def at(day: date, hour: int, minute: int = 0) -> datetime:
    return datetime.combine(day, time(hour, minute), SHANGHAI)


@pytest.mark.parametrize(
    ("begins", "ends"),
    [((8, 59), (15, 0)), ((9, 0), (16, 1)), ((15, 0), (9, 0)), ((10, 0), (10, 0)), ((9, 0), (33, 0))],
)
def test_a_window_lies_within_the_hours_of_one_day(
    city: SmallCity, begins: tuple[int, int], ends: tuple[int, int]
) -> None:
    day = day_possible(branch=city.east, earliest=timezone.now() + timedelta(days=9))
    assert day is not None
    until = at(day, ends[0] % 24, ends[1]) + timedelta(days=ends[0] // 24)

    with pytest.raises(BadWindow) as refused:
        window_require(
            branch=city.east, window_from=at(day, *begins), window_until=until, told=HOME, now=timezone.now()
        )

    assert str(refused.value) == "A window lies within one day, between 09:00 and 16:00."


MONDAY = date(2026, 3, 2)


@pytest.mark.parametrize(
    ("told", "first"),
    [
        (HOME, "Mon 9 Mar"),  # three days and one for serving: Friday, on which nobody is cut
        ({("commercial", "normal")}, "Mon 9 Mar"),
        ({("residential", "normal"), ("industrial", "important_1")}, "Wed 11 Mar"),  # from Tuesday, 10:00 on
    ],
)
def test_a_window_leaves_time_for_the_letters_of_the_strictest_class(
    city: SmallCity, told: set[tuple[str, str]], first: str
) -> None:
    now = at(MONDAY, 10)
    tuesday = MONDAY + timedelta(days=1)

    with pytest.raises(WindowTooSoon) as refused:
        window_require(branch=city.east, window_from=at(tuesday, 9), window_until=at(tuesday, 15), told=told, now=now)

    assert first in str(refused.value)


@pytest.mark.parametrize(
    ("day", "why", "first"),
    [
        (date(2026, 3, 13), "the next day is not worked", "Mon 16 Mar"),  # a Friday
        (date(2026, 3, 14), "it is a weekend", "Mon 16 Mar"),
        (date(2026, 3, 18), "the next day is not worked", "Mon 23 Mar"),  # before the holiday, then a Friday
        (date(2026, 3, 19), "it is a holiday", "Mon 23 Mar"),
    ],
)
def test_nobody_is_cut_on_a_day_off_or_before_one(city: SmallCity, day: date, why: str, first: str) -> None:
    CalendarDay.objects.create(day=date(2026, 3, 19), kind=DayKind.HOLIDAY, name="节", branch=city.bureau)

    with pytest.raises(BarredDay) as refused:
        window_require(
            branch=city.east, window_from=at(day, 9), window_until=at(day, 15), told=HOME, now=at(MONDAY, 10)
        )

    assert why in str(refused.value)
    assert first in str(refused.value)


def test_no_cut_on_a_friday_although_saturday_is_worked(city: SmallCity) -> None:
    CalendarDay.objects.create(day=date(2026, 3, 14), kind=DayKind.WORKING, name="调休")

    with pytest.raises(BarredDay, match="no cuts on this day of the week"):
        window_require(
            branch=city.east, window_from=at(date(2026, 3, 13), 9), window_until=at(date(2026, 3, 13), 15), told=HOME,
            now=at(MONDAY, 10),
        )  # fmt: skip
