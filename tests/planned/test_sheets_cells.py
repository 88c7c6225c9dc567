"""Days and times in the many ways people write them; what could mean two things is never guessed."""

from __future__ import annotations

from datetime import date
from zoneinfo import ZoneInfo

import pytest

from outages.planned.intake import cells, columns
from outages.planned.intake.cells import Clock, Stamp
from outages.planned.intake.problems import CellProblem

CLOCK = Clock(ZoneInfo("Asia/Shanghai"), date(2026, 12, 1), date(2026, 12, 31))
LONDON = Clock(ZoneInfo("Europe/London"), date(2026, 3, 1), date(2026, 10, 31))
DAY = date(2026, 12, 3)


@pytest.mark.parametrize(
    ("text", "day", "clock"),
    [
        ("2026-12-03 08:00", DAY, "08:00"),
        ("2026-12-03T08:00", DAY, "08:00"),
        ("2026/12/3 8:00", DAY, "08:00"),
        ("2026.12.3 8:00:00", DAY, "08:00"),
        ("２０２６年１２月３日８时３０分", DAY, "08:30"),
        ("2026年12月3日 8点半", DAY, "08:30"),
        ("12月3日8时", DAY, "08:00"),
        ("12/3 18:00", DAY, "18:00"),
        ("12-3 9:05", DAY, "09:05"),
        ("3日 8:00", DAY, "08:00"),
        ("12月3日下午2点", DAY, "14:00"),
        ("12月3日 晚上12点", DAY, "24:00"),
        ("12月3日（周四）上午8:00", DAY, "08:00"),
        ("12月3日 24:00", DAY, "24:00"),
        ("46359.333333", DAY, "08:00"),
        ("20261203", DAY, None),
        ("202612030800", DAY, "08:00"),
        ("46359", DAY, None),
        ("3 Dec 2026 08:00", DAY, "08:00"),
        ("Dec 3, 2026 8:00", DAY, "08:00"),
        ("8:00", None, "08:00"),
        ("0830", None, "08:30"),
        ("0.5", None, "12:00"),
        ("下午3点", None, "15:00"),
        ("13/12/2026", date(2026, 12, 13), None),
        ("2027-01-02 08:00", date(2027, 1, 2), "08:00"),
    ],
)
def test_a_time_is_read(text: str, day: date | None, clock: str | None) -> None:
    minute = None if clock is None else int(clock[:2]) * 60 + int(clock[3:])

    assert cells.stamp(text, CLOCK) == Stamp(day, minute)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("soon", "bad_date"),
        ("", "bad_date"),
        ("05/06/2026", "ambiguous_date"),
        ("26-12-03", "ambiguous_date"),
        ("2026-02-30 08:00", "no_such_day"),
        ("2026-12-03 25:00", "no_such_time"),
        ("2026-12-03 08:61", "no_such_time"),
        ("99999999", "no_such_day"),
        ("2026-12-03 08:00 or so", "bad_date"),
        ("#VALUE!", "formula_error"),
        ("ƒ=A1", "formula"),
    ],
)
def test_what_cannot_be_read_says_why(text: str, code: str) -> None:
    with pytest.raises(CellProblem) as told:
        cells.stamp(text, CLOCK)

    assert told.value.code == code


def test_workbooks_of_1904_count_from_another_day() -> None:
    clock = Clock(CLOCK.zone, CLOCK.first, CLOCK.last, is_1904=True)

    assert cells.stamp("44897.333333", clock) == Stamp(DAY, 480)


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("8:00-17:00", Stamp(None, 480), Stamp(None, 1020)),
        ("12月3日 08:00至17:00", Stamp(DAY, 480), Stamp(None, 1020)),
        ("2026-12-03 22:00 ~ 次日 6:00", Stamp(DAY, 1320), Stamp(date(2026, 12, 4), 360)),
        ("2026-12-03 08:00 - 2026-12-03 12:00", Stamp(DAY, 480), Stamp(DAY, 720)),
        ("上午8点—下午5点", Stamp(None, 480), Stamp(None, 1020)),
    ],
)
def test_from_and_to_in_one_cell(text: str, start: Stamp, end: Stamp) -> None:
    assert cells.window(text, CLOCK) == (start, end)


def test_an_hour_that_does_not_exist_is_refused() -> None:
    with pytest.raises(CellProblem) as told:
        cells.instant(Stamp(date(2026, 3, 29), 90), LONDON)

    assert told.value.code == "clock_gap"


def test_an_hour_that_exists_twice_must_say_which() -> None:
    with pytest.raises(CellProblem) as told:
        cells.instant(Stamp(date(2026, 10, 25), 90), LONDON)
    assert told.value.code == "clock_twice"

    said = cells.stamp("2026-10-25 01:30+00:00", LONDON)
    assert cells.instant(said, LONDON).isoformat() == "2026-10-25T01:30:00+00:00"


@pytest.mark.parametrize(
    ("text", "minutes"), [("8", 480), ("8.5", 510), ("8小时", 480), ("08:30", 510), ("2 h", 120), ("１０", 600)]
)
def test_hours(text: str, minutes: int) -> None:
    assert cells.duration(text) == minutes


@pytest.mark.parametrize(
    ("heading", "name"),
    [
        ("停电开始时间", "starts_at"),
        ("停电时间\n起", "starts_at"),
        ("停电时间\n止", "ends_at"),
        ("计划停电结束时间", "ends_at"),
        ("停电线路名称", "feeder"),
        ("10kV停电线路名称（全称）", "feeder"),
        ("停电设备名称", "elements"),
        ("检修内容", "title"),
        ("编  号", "key"),
        ("负责人", "contact_name"),
        ("poweroffstart_time", "starts_at"),
        ("填报人", ""),
        ("影响用户数", ""),
        ("序号", ""),
    ],
)
def test_headings_of_branches(heading: str, name: str) -> None:
    assert columns.field_of(heading) == name
