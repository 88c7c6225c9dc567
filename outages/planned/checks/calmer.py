"""Better days for a work: the same hours on another day, when fewer customers would be off too often."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from grid.models import DayKind
from outages.planned.checks.budget import Crossing, crossings
from outages.planned.checks.question import Question
from outages.planned.checks.rules import days_touched, notice_short, window_past
from outages.planned.checks.together import overlaps
from outages.planned.findings import Subject

_NOBODY: Final = Crossing(reach=0, beyond=0)


@dataclass(frozen=True)
class CalmerWindow:
    """A day that is better than the one asked for: its windows, and how many customers it brings to the line."""

    windows: tuple[tuple[datetime, datetime], ...]
    days: int  # later than asked for; below zero: earlier
    reach: int
    beyond: int


def calmer_windows(subject: Subject, *, at: datetime, count: int = 3, horizon_days: int = 30) -> list[CalmerWindow]:
    """The best other days at the same hours, the calmest and then the nearest first: free of whatever is in the way."""
    if not subject.windows:
        return []
    moved = {0: subject} | {
        days: replace(subject, windows=windows)
        for days in range(-horizon_days, horizon_days + 1)
        if days and (windows := _moved(subject, days))
    }
    shift_of = dict(enumerate(moved))
    question = Question([replace(moved[days], number=n) for n, days in shift_of.items()], at, are_rivals=False)
    blocked = _blocked(question)
    crossed = crossings(question)
    options = {
        days: CalmerWindow(
            windows=moved[days].windows,
            days=days,
            reach=crossed.get(n, _NOBODY).reach,
            beyond=crossed.get(n, _NOBODY).beyond,
        )
        for n, days in shift_of.items()
        if days == 0 or n not in blocked
    }
    asked = options.pop(0)
    asked_is_blocked = 0 in blocked
    better = [o for o in options.values() if asked_is_blocked or (o.reach, o.beyond) < (asked.reach, asked.beyond)]
    return sorted(better, key=lambda o: (o.reach, o.beyond, abs(o.days), o.days))[:count]


def _blocked(question: Question) -> set[int]:
    """Candidates that something forbids: another outage, the work calendar, the notice."""
    unwelcome = {
        number
        for number, days in days_touched(question).items()
        if any(day.kind in (DayKind.BLACKOUT, DayKind.EXAM) for day in days)
    }
    return unwelcome | set(overlaps(question)) | _numbers(window_past(question)) | _numbers(notice_short(question))


def _numbers(found: Iterable[tuple[int, object]]) -> set[int]:
    return {number for number, _finding in found}


def _moved(subject: Subject, days: int) -> tuple[tuple[datetime, datetime], ...]:
    """The windows so many days later by the branch's clock; none where the clock is changed within them."""
    zone, shift = ZoneInfo(subject.time_zone), timedelta(days=days)
    moved = tuple(
        ((starts.astimezone(zone) + shift).astimezone(UTC), (ends.astimezone(zone) + shift).astimezone(UTC))
        for starts, ends in subject.windows
    )
    as_long = all(
        later[1] - later[0] == ends - starts for later, (starts, ends) in zip(moved, subject.windows, strict=True)
    )
    return moved if as_long else ()
