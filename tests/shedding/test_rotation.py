"""From a rotation table to turns: published answers, the month's last day, midnight, the nights of the clocks."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outages.load_shedding.rotation import (
    LAST_DAY,
    Announced,
    BadRow,
    Row,
    Span,
    cycle_of,
    expand,
    gaps_and_overlaps,
    halves,
    merged,
    replaced,
)
from tests.conftest import DATA

SAST = ZoneInfo("Africa/Johannesburg")
KYIV = ZoneInfo("Europe/Kyiv")
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)

FOLDER = DATA / "load_shedding"
needs_answers = pytest.mark.skipif(not FOLDER.exists(), reason=f"no published answers found in {FOLDER}")


def answers(name: str) -> Any:
    path = FOLDER / name
    return json.loads(path.read_text()) if path.exists() else {}


MONTHS = answers("za_gen_datetimes.json")
HALVES = answers("ua_known_formats_and_answers.json")


def row(starts: str, ends: str, *, day: int = 1, recurrence: str = "monthly", block: str = "A", **facts: Any) -> Row:
    return Row(1, block, recurrence, day, time.fromisoformat(starts), time.fromisoformat(ends), **facts)


def turns(rows: Iterable[Row], begins: str, until: str, zone: ZoneInfo = SAST) -> list[tuple[str, str]]:
    """The turns while stage 1 is published, on the local clock."""
    window = Announced(1, *(datetime.fromisoformat(text).replace(tzinfo=zone) for text in (begins, until)))
    return [
        (f"{span.begins.astimezone(zone):%m-%d %H:%M}", f"{span.until.astimezone(zone):%m-%d %H:%M}")
        for span in expand(rows, [window], zone)
    ]


# --- published answers ------------------------------------------------------------------------------------


@needs_answers
@pytest.mark.parametrize("name", [case["name"] for case in MONTHS.get("cases", ()) if "expected" in case])
def test_a_published_table_gives_the_published_turns(name: str) -> None:
    case = next(case for case in MONTHS["cases"] if case["name"] == name)
    table = row(
        case["local_start"], case["local_finish"], day=case["day"], recurrence=case["recurrence"],
        period=case["period"], counts_from=date.fromisoformat(case["offset"]) if case["offset"] else None,
    )  # fmt: skip
    window = Announced(1, *(datetime.fromisoformat(case[key]) for key in ("national_start", "national_finish")))

    spans = expand([table], [window], SAST)

    expected = [tuple(map(datetime.fromisoformat, pair)) for pair in case["expected"]]
    assert [(span.begins, span.until) for span in spans] == expected


def test_a_day_beyond_its_cycle_is_refused() -> None:
    with pytest.raises(BadRow) as refused:
        row("12:00", "14:00", day=2, recurrence="periodic", period=1, counts_from=date(2023, 2, 18))

    assert refused.value.field == "day"


def told(hours: dict[str, str]) -> list[list[str]]:
    return [
        [f"{begins // 60:02}:{begins % 60:02}", f"{until // 60:02}:{until % 60:02}", "possible" if maybe else "off"]
        for begins, until, maybe in halves({int(hour): code for hour, code in hours.items()})
    ]


@needs_answers
def test_a_published_table_of_half_hours_is_understood() -> None:
    assert told(HALVES["preset_dnipro_GPV1_1_monday"]) == HALVES["preset_expected"]


@needs_answers
def test_a_published_day_of_half_hours_is_understood() -> None:
    day = HALVES["fact_kyiv_region_2025_10_29"]
    assert told(day["hours"]) == day["expected"]


@needs_answers
@pytest.mark.parametrize("number", range(len(HALVES.get("normalizer_cases", {}).get("cases", ()))))
def test_what_is_published_for_a_day_replaces_the_table_on_that_day(number: int) -> None:
    cases = HALVES["normalizer_cases"]
    case, now = cases["cases"][number], datetime.fromisoformat(cases["now"])
    midnight = datetime.combine(now.astimezone(KYIV).date(), time(0), KYIV)

    def spans(hours: dict[str, str]) -> list[Span]:
        return [
            Span("A", midnight + begins * MINUTE, midnight + until * MINUTE, maybe)
            for begins, until, maybe in halves({int(hour): code for hour, code in hours.items()})
        ]

    covered = {"A": [(midnight, midnight + 24 * HOUR)]} if "fact_today" in case else {}
    day = replaced(spans(case["preset"]), covered) + spans(case.get("fact_today", {}))

    shown = [[f"{s.begins:%H:%M}", f"{s.until:%H:%M}", "possible" if s.is_possible else "off"] for s in day]
    assert shown == case["expected"]


def test_an_unknown_code_means_nothing() -> None:
    assert halves({9: "bogus", 10: "", 11: "yes"}) == []


def test_the_last_half_hour_ends_at_midnight() -> None:
    assert halves({24: "second", 1: "first"}) == [(0, 30, False), (1410, 1440, False)]


# --- days -----------------------------------------------------------------------------------------------


def test_the_last_day_of_every_month_is_meant() -> None:
    found = turns([row("08:00", "10:00", day=LAST_DAY)], "2028-01-01", "2028-05-01")
    assert [begins for begins, _until in found] == ["01-31 08:00", "02-29 08:00", "03-31 08:00", "04-30 08:00"]


def test_a_day_that_a_month_does_not_have_is_left_out() -> None:
    found = turns([row("08:00", "10:00", day=31)], "2026-01-01", "2026-05-01")
    assert [begins for begins, _until in found] == ["01-31 08:00", "03-31 08:00"]


def test_a_turn_over_midnight_reaches_into_the_next_day() -> None:
    late = row("22:00", "00:30", day=LAST_DAY)
    assert turns([late], "2026-02-02", "2026-03-02") == [("02-28 22:00", "03-01 00:30")]
    # also when the window begins after its day
    assert turns([late], "2026-03-01", "2026-03-02") == [("03-01 00:00", "03-01 00:30")]


def test_a_cycle_begins_on_the_day_it_is_counted_from() -> None:
    third = row("08:00", "10:00", day=3, recurrence="periodic", period=4, counts_from=date(2026, 3, 1))
    found = turns([third], "2026-02-01", "2026-03-12")
    assert [begins for begins, _until in found] == ["03-03 08:00", "03-07 08:00", "03-11 08:00"]


def test_only_the_rows_of_the_published_stage_hold() -> None:
    rows = [Row(stage, f"B{stage}", "weekly", 1, time(8), time(10)) for stage in (1, 2)]
    monday = datetime(2026, 3, 2, tzinfo=SAST)
    windows = [Announced(2, monday, monday + 9 * HOUR), Announced(1, monday + 9 * HOUR, monday + 24 * HOUR)]

    assert expand(rows, windows, SAST) == [
        Span("B1", monday + 9 * HOUR, monday + 10 * HOUR),
        Span("B2", monday + 8 * HOUR, monday + 9 * HOUR),
    ]


# --- the nights in which the clocks change ----------------------------------------------------------------


def lengths(rows: list[Row], day: str) -> dict[str, timedelta]:
    begins = datetime.fromisoformat(day).replace(tzinfo=KYIV)
    until = (begins + timedelta(days=1)).replace(tzinfo=KYIV)
    return {span.block: span.until - span.begins for span in expand(rows, [Announced(1, begins, until)], KYIV)}


NIGHT = [
    row("01:00", "03:00", block="A", recurrence="weekly", day=7),
    row("03:00", "04:00", block="B", recurrence="weekly", day=7),
    row("03:30", "05:00", block="C", recurrence="weekly", day=7),
]


def test_an_hour_that_the_clocks_skip_is_not_in_any_turn() -> None:
    assert lengths(NIGHT, "2026-03-29") == {"A": 2 * HOUR, "C": HOUR}


def test_an_hour_that_the_clocks_repeat_belongs_to_the_turn_twice() -> None:
    assert lengths(NIGHT, "2026-10-25") == {"A": 2 * HOUR, "B": 2 * HOUR, "C": 2.5 * HOUR}


@pytest.mark.parametrize(("day", "hours"), [("2026-03-28", 24), ("2026-03-29", 23), ("2026-10-25", 25)])
@pytest.mark.parametrize("minutes", [30, 45, 60, 120, 150])
def test_turns_that_follow_each_other_leave_no_gap_when_the_clocks_change(day: str, hours: int, minutes: int) -> None:
    edges = [*range(0, 1440, minutes), 1440]
    rows = [
        row(f"{a // 60:02}:{a % 60:02}", f"{b // 60 % 24:02}:{b % 60:02}", block=f"B{n:02}", recurrence="weekly", day=d)
        for n, (a, b) in enumerate(pairwise(edges)) for d in range(1, 8)
    ]  # fmt: skip
    begins = datetime.fromisoformat(day).replace(tzinfo=KYIV).astimezone(UTC)
    until = begins + hours * HOUR

    spans = expand(rows, [Announced(1, begins, until)], KYIV)

    assert gaps_and_overlaps(spans, begins=begins, until=until) == ([], [])
    assert sum((span.until - span.begins for span in spans), timedelta()) == hours * HOUR


# --- against an expansion minute by minute ------------------------------------------------------------------

clocks = st.integers(0, 95).map(lambda quarter: time(quarter // 4, quarter % 4 * 15))


@st.composite
def tables(draw: st.DrawFn) -> list[Row]:
    rows = []
    for _n in range(draw(st.integers(1, 5))):
        recurrence = draw(st.sampled_from(["monthly", "weekly", "periodic"]))
        period = draw(st.integers(1, 6)) if recurrence == "periodic" else None
        counts_from = date(2026, 1, draw(st.integers(1, 31))) if period else None
        most = {"monthly": 31, "weekly": 7}.get(recurrence, period or 1)
        day = draw(st.integers(0 if recurrence == "monthly" else 1, most))
        stage, block = draw(st.integers(1, 2)), draw(st.sampled_from("AB"))
        rows.append(Row(stage, block, recurrence, day, draw(clocks), draw(clocks), period, counts_from))
    return rows


def naive(rows: list[Row], windows: list[Announced]) -> set[tuple[str, datetime]]:
    """Every quarter of an hour asks every row whether it is inside, today or since yesterday."""
    off = set()
    for window in windows:
        moment = window.begins
        while moment < window.until:
            for one in rows:
                for day in (moment.date(), moment.date() - timedelta(days=1)):
                    begins = datetime.combine(day, one.starts, SAST)
                    ends = datetime.combine(day, one.ends, SAST)
                    if one.ends <= one.starts:
                        ends += timedelta(days=1)
                    if one.stage == window.stage and holds(one, day) and begins <= moment < ends:
                        off.add((one.block, moment.astimezone(UTC)))
            moment += 15 * MINUTE
    return off


def holds(one: Row, day: date) -> bool:
    if one.recurrence == "weekly":
        return day.weekday() + 1 == one.day
    if one.recurrence == "periodic":
        assert one.counts_from is not None
        days = [one.counts_from + timedelta(days=one.day - 1 + n * (one.period or 1)) for n in range(80)]
        return day in days
    return (day + timedelta(days=1)).day == 1 if one.day == LAST_DAY else day.day == one.day


@given(rows=tables(), first=st.integers(0, 70 * 96), lasts=st.lists(st.integers(1, 3 * 96), min_size=1, max_size=3))
def test_expanding_is_asking_minute_by_minute(rows: list[Row], first: int, lasts: list[int]) -> None:
    begins = datetime(2026, 1, 20, tzinfo=SAST) + first % 960 * 15 * MINUTE
    windows = []
    for n, quarters in enumerate(lasts):
        windows.append(Announced(n % 2 + 1, begins, begins + quarters * 15 * MINUTE))
        begins += quarters * 15 * MINUTE

    spans = expand(rows, windows, SAST)

    off = set()
    for span in spans:
        moment = span.begins
        while moment < span.until:
            off.add((span.block, moment))
            moment += 15 * MINUTE
    assert off == naive(rows, windows)
    assert all(any(w.begins <= s.begins and s.until <= w.until for w in windows) for s in spans)


# --- what is told, and what a table leaves open -----------------------------------------------------------

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)


def span(begins: float, until: float, block: str = "A") -> Span:
    return Span(block, MONDAY + begins * HOUR, MONDAY + until * HOUR)


def test_turns_that_touch_are_told_as_one_and_fragments_not_at_all() -> None:
    assert merged([span(2, 4), span(0, 2), span(4.2, 6), span(9, 9.2), span(0, 1, "B")]) == [
        span(0, 6),
        span(0, 1, "B"),
    ]


def test_gaps_are_between_all_blocks_and_overlaps_within_one() -> None:
    spans = [span(0, 4), span(3, 5), span(4, 6, "B"), span(8, 24, "B")]

    gaps, overlaps = gaps_and_overlaps(spans, begins=MONDAY, until=MONDAY + 25 * HOUR)

    assert gaps == [span(6, 8, ""), span(24, 25, "")]
    assert overlaps == [span(3, 4)]


def test_a_fact_cuts_what_the_table_says() -> None:
    fact = (MONDAY + 2 * HOUR, MONDAY + 3 * HOUR)
    assert replaced([span(0, 4), span(0, 4, "B")], {"A": [fact]}) == [span(0, 2), span(3, 4), span(0, 4, "B")]


@pytest.mark.parametrize(
    ("rows", "days"),
    [
        ([row("08:00", "10:00", recurrence="weekly")], 7),
        ([row("08:00", "10:00")], 31),
        ([row("08:00", "10:00", recurrence="periodic", period=4, counts_from=date(2026, 3, 1))], 4),
        ([row("08:00", "10:00", recurrence="weekly"), row("08:00", "10:00")], 31),
    ],
)
def test_a_cycle_is_as_long_as_the_table_needs(rows: list[Row], days: int) -> None:
    assert cycle_of(rows).days == days
