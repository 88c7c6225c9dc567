"""The calendar and the notices counted a second time, in minutes and sets, over worlds that nobody thought of."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

import standards
from billing_cutoffs.protections.judging import judge
from billing_cutoffs.protections.reading import Degrees, Facts, Order, Place, Served
from grid.calendar import Calendar

CHINA = ZoneInfo("Asia/Shanghai")  # eight hours ahead of the world's clock all year round
EIGHT_HOURS = timedelta(hours=8)
DAY = timedelta(days=1)
FIRST = date(2024, 2, 1)
DAYS = [FIRST + n * DAY for n in range(90)]
CALENDAR = {"holiday", "weekend", "eve", "weekday", "outside_hours"}

days = st.sampled_from(DAYS)
moments = st.integers(0, 70 * 24 * 60).map(
    lambda minutes: datetime(2024, 2, 1, tzinfo=UTC) + timedelta(minutes=minutes)
)
minutes_before = st.integers(0, 40 * 24 * 60)


def order_of(window_from: datetime, *, customer_class: str = "residential", importance: str = "normal") -> Order:
    return Order(
        id=1, branch_id=1, amount=Decimal("320.00"), scheduled_at=window_from, window_from=window_from,
        window_until=window_from + timedelta(hours=5), level="company", batch_state="running", is_settled=False,
        account_id=1, overdue=Decimal("320.00"), oldest_due_on=date(2023, 1, 1), statement_at=window_from,
        customer_class=customer_class, importance=importance, is_anothers=False, is_place_unknown=False, sharers=0,
    )  # fmt: skip


def place_of(calendar: Calendar) -> Place:
    mild = {day: Degrees(10, 20) for day in [*DAYS, *(DAYS[-1] + n * DAY for n in range(1, 10))]}
    return Place(standards.pack("cn-sgcc"), CHINA, calendar, mild)


@settings(max_examples=300)
@given(moment=moments, holidays=st.sets(days, max_size=12), worked=st.sets(days, max_size=8))
def test_the_calendar_and_the_hours(moment: datetime, holidays: set[date], worked: set[date]) -> None:
    place = place_of(Calendar(holidays=frozenset(holidays), worked=frozenset(worked)))

    found = judge(Facts([order_of(moment)], {1: place}), stage="propose", at=moment).get(1, ())

    clock = (moment + EIGHT_HOURS).replace(tzinfo=None)
    off = holidays | {day for day in DAYS if day.isoweekday() > 5} - worked
    today, tomorrow = clock.date(), clock.date() + DAY
    expected = set()
    if today in off:
        expected.add("holiday" if today in holidays else "weekend")
    elif tomorrow in off:
        expected.add("eve")
    if today.isoweekday() == 5:
        expected.add("weekday")
    if not 9 <= clock.hour < 16:
        expected.add("outside_hours")
    assert {finding.code for finding in found} == expected
    free = next(d for d in DAYS if d > today and d not in off and d + DAY not in off and d.isoweekday() != 5)
    for finding in found:
        if finding.code != "outside_hours":
            assert finding.until == datetime(free.year, free.month, free.day, tzinfo=CHINA)


@settings(max_examples=300)
@given(
    letter=minutes_before,
    warning=st.none() | st.integers(-60, 120),
    turn=st.integers(0, 299),
    is_important=st.booleans(),
    is_other_window=st.booleans(),
    stage=st.sampled_from(["notice", "warn", "command"]),
)
def test_the_letter_and_the_last_warning(
    letter: int, warning: int | None, turn: int, is_important: bool, is_other_window: bool, stage: str
) -> None:
    opens = datetime(2024, 3, 13, 1, 0, tzinfo=UTC)  # nine o'clock on a Wednesday
    at = opens + timedelta(minutes=turn)
    order = order_of(opens, importance="important_1" if is_important else "normal")._replace(scheduled_at=at)
    window = (opens, order.window_until)
    named = (opens + DAY, order.window_until + DAY) if is_other_window else window
    notices = {(1, "letter"): Served(*named, opens - timedelta(minutes=letter))}
    if warning is not None:
        notices[1, "final_warning"] = Served(*window, at - timedelta(minutes=warning))

    found = judge(Facts([order], {1: place_of(Calendar())}, notices=notices), stage=stage, at=at).get(1, ())  # type: ignore[arg-type]

    days_needed = 7 if is_important else 3
    is_served = not is_other_window and letter >= days_needed * 1440 and letter + turn <= 30 * 1440
    expected = set()
    if stage != "notice" and not is_served:
        expected.add("notice_missing")
    if stage == "command" and (warning is None or warning < 30):
        expected.add("warning_missing")
    assert {finding.code for finding in found} - CALENDAR == expected
