"""From a rotation table to slots: pure arithmetic of days, halves of hours, and windows. No database.

Windows are half-open. A row belongs to one stage and holds while that stage is announced; a row whose end is not later
than its start runs into the next day. Local times are those of the branch: on the night in which the clocks change a
slot is as long as its two times lie apart on that night.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import groupby
from typing import Final
from zoneinfo import ZoneInfo

LAST_DAY: Final = 0  # of the month
SHORTEST: Final = timedelta(minutes=15)
_DAY: Final = timedelta(days=1)


class BadRow(ValueError):
    """A row of the table that cannot mean anything; ``field`` says where."""

    def __init__(self, field: str, message: str) -> None:
        self.field = field
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Row:
    """On such days, from ``starts`` to ``ends``, ``block`` is off while ``stage`` is announced."""

    stage: int
    block: str
    recurrence: str  # monthly, weekly, periodic
    day: int
    starts: time
    ends: time
    period: int | None = None
    counts_from: date | None = None
    is_possible: bool = False

    def __post_init__(self) -> None:
        if self.recurrence == "monthly":
            if not 0 <= self.day <= 31:
                raise BadRow("day", "a day of the month is 1 to 31, or 0 for the last one")
        elif self.recurrence == "weekly":
            if not 1 <= self.day <= 7:
                raise BadRow("day", "a weekday is 1 (Monday) to 7")
        elif self.recurrence == "periodic":
            if not self.period or self.counts_from is None:
                raise BadRow("period", "a cycle needs its number of days and the day it is counted from")
            if not 1 <= self.day <= self.period:
                raise BadRow("day", "the day lies outside its cycle")
        else:
            raise BadRow("recurrence", "a row repeats monthly, weekly or every n days")

    def falls_on(self, day: date) -> bool:
        if self.recurrence == "monthly":
            return day.day == (self.day or monthrange(day.year, day.month)[1])
        if self.recurrence == "weekly":
            return day.isoweekday() == self.day
        assert self.period is not None
        assert self.counts_from is not None
        since = (day - self.counts_from).days
        return since >= 0 and since % self.period == self.day - 1


@dataclass(frozen=True, slots=True)
class Announced:
    """From when until when a stage holds."""

    stage: int
    begins: datetime
    until: datetime


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A block off from ``begins`` to ``until``."""

    block: str
    begins: datetime
    until: datetime
    is_possible: bool = False


def expand(rows: Iterable[Row], announced: Sequence[Announced], zone: ZoneInfo) -> list[Span]:
    """Every slot of these rows inside what is announced, cut to it, in order of block and time."""
    by_stage: dict[int, list[Row]] = {}
    for row in rows:
        by_stage.setdefault(row.stage, []).append(row)
    spans = [span for window in announced for span in _in_window(by_stage.get(window.stage, ()), window, zone)]
    return sorted(spans)


def _in_window(rows: Sequence[Row], window: Announced, zone: ZoneInfo) -> Iterator[Span]:
    begins, until = window.begins.astimezone(UTC), window.until.astimezone(UTC)
    # the evening before may run into the window
    day, last = window.begins.astimezone(zone).date() - _DAY, window.until.astimezone(zone).date()
    while day <= last:
        for row in rows:
            if not row.falls_on(day):
                continue
            ends_on = day if row.ends > row.starts else day + _DAY
            start, end = max(_instant(day, row.starts, zone), begins), min(_instant(ends_on, row.ends, zone), until)
            if start < end:
                yield Span(row.block, start, end, row.is_possible)
        day += _DAY


@lru_cache(maxsize=16_384)
def _instant(day: date, clock: time, zone: ZoneInfo) -> datetime:
    """A local time that the change of the clocks skips is the instant it would have been."""
    return datetime.combine(day, clock, zone).astimezone(UTC)


def merged(spans: Iterable[Span], *, shortest: timedelta = SHORTEST) -> list[Span]:
    """What is told: turns that touch (or nearly do) are one, and a fragment too short to matter is none.

    A change of stage in mid-slot leaves fragments; nobody is sent out, or told, for less than ``shortest``.
    """
    told: list[Span] = []
    for _block, group in groupby(sorted(spans), key=lambda span: span.block):
        standing: Span | None = None
        for span in group:
            if standing and span.is_possible == standing.is_possible and span.begins - standing.until < shortest:
                standing = Span(standing.block, standing.begins, max(standing.until, span.until), standing.is_possible)
                continue
            if standing and standing.until - standing.begins >= shortest:
                told.append(standing)
            standing = span
        if standing and standing.until - standing.begins >= shortest:
            told.append(standing)
    return told


# --- half-hour tables ----------------------------------------------------------------------------------------------

# code of one hour -> its halves that are off, and whether that is only possible; an unknown code means nothing
_HALVES: Final[Mapping[str, tuple[tuple[int, ...], bool]]] = {
    "no": ((0, 30), False),
    "first": ((0,), False),
    "second": ((30,), False),
    "maybe": ((0, 30), True),
    "mfirst": ((0,), True),
    "msecond": ((30,), True),
}


def halves(hours: Mapping[int, str]) -> list[tuple[int, int, bool]]:
    """A day of codes by the hour (1 is midnight to one o'clock) as (from, until, is possible), minutes from midnight.

    Halves that touch and are equally certain are one.
    """
    off = sorted(
        ((hour - 1) * 60 + half, possible)
        for hour, code in hours.items()
        for half in _HALVES.get(code, ((), False))[0]
        for possible in (_HALVES[code][1],)
    )
    spans: list[tuple[int, int, bool]] = []
    for minute, possible in off:
        if spans and spans[-1][1] == minute and spans[-1][2] == possible:
            spans[-1] = (spans[-1][0], minute + 30, possible)
        else:
            spans.append((minute, minute + 30, possible))
    return spans


# --- what a table leaves open ----------------------------------------------------------------------------------------


def gaps_and_overlaps(spans: Sequence[Span], *, begins: datetime, until: datetime) -> tuple[list[Span], list[Span]]:
    """Where no block has its turn, and where one block's turns overlap themselves, inside a window."""
    by_time = sorted(spans, key=lambda span: (span.begins, span.until))
    gaps, covered = [], begins
    for span in by_time:
        if span.begins > covered:
            gaps.append(Span("", covered, min(span.begins, until)))
        covered = max(covered, span.until)
    if covered < until:
        gaps.append(Span("", covered, until))
    overlaps = []
    for block, group in groupby(sorted(spans), key=lambda span: span.block):
        standing: Span | None = None
        for span in group:
            if standing and span.begins < standing.until:
                overlaps.append(Span(block, span.begins, min(span.until, standing.until)))
            standing = span if standing is None or span.until > standing.until else standing
    return gaps, overlaps
