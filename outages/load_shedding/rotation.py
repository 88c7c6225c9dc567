"""From a rotation table to slots: pure arithmetic of days, halves of hours, and windows. No database.

Windows are half-open. A row belongs to one stage and holds while that stage is announced; a row whose end is not later
than its start runs into the next day. Local times are those of the branch: on the night in which the clocks change a
slot is as long as its two times lie apart on that night.
"""

from __future__ import annotations

from calendar import monthrange
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import chain, groupby
from operator import attrgetter
from typing import Final

LAST_DAY: Final = 0  # of the month
SHORTEST: Final = timedelta(minutes=15)
_DAY: Final = timedelta(days=1)
_MINUTE: Final = timedelta(minutes=1)


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


@dataclass(frozen=True, slots=True)
class Cycle:
    """After how many days a table repeats, and an example of it: days that no change of the clocks touches."""

    recurrence: str
    begins: date
    days: int

    @property
    def bounds(self) -> tuple[datetime, datetime]:
        start = datetime.combine(self.begins, time(0), UTC)
        return start, start + self.days * _DAY


def cycle_of(rows: Iterable[Row]) -> Cycle:
    """The shortest stretch of days in which every row of the table has its day.

    A month of 31 days that begins on a Monday serves for days of the month and for mixed tables, its second week for
    weekdays; of a cycle it is the second turn, so that a slot over midnight from its last day is there too.
    """
    cycles = {(row.recurrence, row.period, row.counts_from) for row in rows}
    if len(cycles) == 1:
        recurrence, period, counts_from = next(iter(cycles))
        if recurrence == "weekly":
            return Cycle(recurrence, date(2024, 1, 8), 7)
        if period and counts_from:
            return Cycle(recurrence, counts_from + period * _DAY, period)
    return Cycle("monthly", date(2024, 1, 1), 31)


def expand(rows: Iterable[Row], announced: Iterable[Announced], zone: tzinfo) -> list[Span]:
    """Every slot of these rows inside what is announced, cut to it, in order of block and time."""
    return Table(rows).expand(announced, zone)


class Table:
    """Rows by the stage and the day on which they fall: a day asks for its own, not for all."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._rows: defaultdict[tuple[object, ...], list[Row]] = defaultdict(list)
        self._cycles: set[tuple[int, date]] = set()
        for row in rows:
            if row.period and row.counts_from:
                self._cycles.add((row.period, row.counts_from))
                self._rows[row.stage, row.period, row.counts_from, row.day].append(row)
            else:
                self._rows[row.stage, row.recurrence, row.day].append(row)

    def on(self, stage: int, day: date) -> Iterator[Row]:
        """The rows of a stage that hold on a day."""
        keys: list[tuple[object, ...]] = [(stage, "monthly", day.day), (stage, "weekly", day.isoweekday())]
        if day.day == monthrange(day.year, day.month)[1]:
            keys.append((stage, "monthly", LAST_DAY))
        for period, counts_from in self._cycles:
            since = (day - counts_from).days
            if since >= 0:
                keys.append((stage, period, counts_from, since % period + 1))
        return chain.from_iterable(self._rows.get(key, ()) for key in keys)

    def expand(self, announced: Iterable[Announced], zone: tzinfo) -> list[Span]:
        """Every slot inside what is announced, cut to it, in order of block and time."""
        spans = [span for window in announced for span in self._in_window(window, zone)]
        spans.sort(key=attrgetter("block", "begins", "until"))
        return spans

    def _in_window(self, window: Announced, zone: tzinfo) -> Iterator[Span]:
        begins, until = window.begins.astimezone(UTC), window.until.astimezone(UTC)
        # the evening before may run into the window
        day, last = window.begins.astimezone(zone).date() - _DAY, window.until.astimezone(zone).date()
        while day <= last:
            hours: dict[tuple[time, time], tuple[datetime, datetime]] = {}
            for row in self.on(window.stage, day):
                clocks = row.starts, row.ends
                if clocks not in hours:
                    ends_on = day if row.ends > row.starts else day + _DAY
                    start, end = instant(day, row.starts, zone), instant(ends_on, row.ends, zone)
                    hours[clocks] = max(start, begins), min(end, until)
                start, end = hours[clocks]
                if start < end:
                    yield Span(row.block, start, end, row.is_possible)
            day += _DAY


def instant(day: date, clock: time, zone: tzinfo) -> datetime:
    """A local time as an instant: the first of two when the clocks go back, the change itself when they skip it."""
    local = datetime.combine(day, clock, zone)
    moment = local.astimezone(UTC)
    if moment.astimezone(zone).time() == clock:
        return moment
    # the two readings of a skipped time lie before and after the change
    return _change_between(local.replace(fold=1).astimezone(UTC), moment, zone)


def _change_between(low: datetime, high: datetime, zone: tzinfo) -> datetime:
    """The minute in which the zone's offset changes."""
    before = low.astimezone(zone).utcoffset()
    while high - low > _MINUTE:
        middle = low + (high - low) // _MINUTE // 2 * _MINUTE
        if middle.astimezone(zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high


def replaced(spans: Iterable[Span], covered: Mapping[str, Sequence[tuple[datetime, datetime]]]) -> list[Span]:
    """What is left of the table's turns where facts hold instead: ``covered`` says from when until when, by block."""
    left = []
    for span in spans:
        pieces = [span]
        for begins, until in covered.get(span.block, ()):
            pieces = [part for piece in pieces for part in _outside(piece, begins, until)]
        left += pieces
    return left


def _outside(span: Span, begins: datetime, until: datetime) -> Iterator[Span]:
    if begins >= span.until or until <= span.begins:
        yield span
        return
    if span.begins < begins:
        yield replace(span, until=begins)
    if until < span.until:
        yield replace(span, begins=until)


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


def is_half_hour_code(code: str) -> bool:
    return code == "yes" or code in _HALVES


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
