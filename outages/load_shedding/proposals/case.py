"""What is to be decided: blocks with their load and their past, periods, limits, and the options these leave."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from itertools import combinations, pairwise
from typing import Final
from zoneinfo import ZoneInfo

QUARTER: Final = 15  # minutes; a smaller difference of hours in the ledger is none

Window = tuple[datetime, datetime]  # in UTC: within one zone Python compares clocks, not instants


@dataclass(frozen=True)
class Period:
    """A slot of the event; the next one may begin by the switching margin before it ends."""

    begins: datetime
    until: datetime

    @cached_property
    def window(self) -> Window:
        return self.begins.astimezone(UTC), self.until.astimezone(UTC)

    @property
    def minutes(self) -> int:
        return minutes_of(self.window)


@dataclass(frozen=True)
class Candidate:
    """One block that may be shed: its load in each period (kW, without what is off anyway), and its past."""

    code: str
    kw: tuple[int, ...]
    customers: int
    switchings: int
    ledger_minutes: int  # hours off already, as the fairness ledger weighs them
    off: tuple[Window, ...] = ()  # its turns before and after these periods, as far as the limits reach
    turns: int = 0  # that it had in this event already
    barred: frozenset[int] = frozenset()  # periods in which it must stay on
    fixed: frozenset[int] = frozenset()  # periods in which it is off already


@dataclass(frozen=True)
class Limits:
    target_kw: int
    max_run_minutes: int
    max_day_minutes: int
    min_rest_minutes: int
    zone: ZoneInfo  # whose days are meant


# --- limits -----------------------------------------------------------------------------------------------------------


def minutes_of(window: Window) -> int:
    return round((window[1] - window[0]) / timedelta(minutes=1))


def joined(windows: Sequence[Window]) -> list[Window]:
    """The times covered; what touches or overlaps is one."""
    runs: list[Window] = []
    for window in sorted(windows):
        if runs and window[0] <= runs[-1][1]:
            runs[-1] = (runs[-1][0], max(runs[-1][1], window[1]))
        else:
            runs.append(window)
    return runs


def length_of(windows: Sequence[Window]) -> int:
    return sum(map(minutes_of, joined(windows)))


def _days_of(window: Window, zone: ZoneInfo) -> dict[date, int]:
    """The minutes on each day of the zone."""
    begins, until = window
    days: dict[date, int] = {}
    while begins < until:
        day = begins.astimezone(zone).date()
        ends = min(until, datetime.combine(day + timedelta(days=1), time(0), zone).astimezone(UTC))
        days[day] = minutes_of((begins, ends))
        begins = ends
    return days


def is_within(limits: Limits, standing: Sequence[Window], added: Sequence[Window]) -> bool:
    """May these turns be added to those that stand? What stands is a fact: only what is added can break a limit."""
    runs = joined([*standing, *added])
    is_new = [any(run[0] <= window[0] < run[1] for window in added) for run in runs]
    if any(new and minutes_of(run) > limits.max_run_minutes for run, new in zip(runs, is_new, strict=True)):
        return False
    minutes: Counter[date] = Counter()
    for run in runs:
        minutes.update(_days_of(run, limits.zone))
    days = {day for window in added for day in _days_of(window, limits.zone)}
    if any(minutes[day] > limits.max_day_minutes for day in days):
        return False
    return all(
        minutes_of((before[1], after[0])) >= limits.min_rest_minutes
        for n, (before, after) in enumerate(pairwise(runs))
        if is_new[n] or is_new[n + 1]
    )


# --- options ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)  # there is one of each
class Option:
    """The periods in which a block is off, and what that measures."""

    block: int
    periods: tuple[int, ...]
    is_change: bool  # not only what is off already
    turns: int  # in this event
    repeats: int
    after: int  # quarters of an hour in the ledger, this event included
    squares: int
    operations: int
    customer_minutes: int
    kw_minutes: int

    @property
    def burden(self) -> tuple[int, int]:
        """By which the worst-off of the blocks shed is found."""
        return self.turns, self.after


class Case:
    """The blocks with their options, the periods and the limits."""

    def __init__(self, letter: str, candidates: Sequence[Candidate], periods: Sequence[Period], limits: Limits) -> None:
        self.letter, self.candidates, self.periods, self.limits = letter, candidates, periods, limits
        self._had_least = min((one.turns for one in candidates), default=0)
        self._known: dict[tuple[object, ...], list[tuple[tuple[int, ...], int, int]]] = {}
        self.options = [self._options(n, one) for n, one in enumerate(candidates)]  # the first: as it stands

    def _options(self, n: int, one: Candidate) -> list[Option]:
        could = tuple(p for p, kw in enumerate(one.kw) if kw > 0 and p not in one.barred and p not in one.fixed)
        key = (could, one.fixed, one.off)
        if key not in self._known:
            self._known[key] = list(self._allowed(could, one))
        return [self._measured(n, one, *found) for found in self._known[key]]

    def _allowed(self, could: tuple[int, ...], one: Candidate) -> list[tuple[tuple[int, ...], int, int]]:
        """Every set of periods within the limits: the periods, their minutes, how often the block is switched."""
        standing = [*one.off, *(self.periods[p].window for p in sorted(one.fixed))]
        runs_standing = joined(standing)
        found = []
        for count in range(len(could) + 1):
            for added in combinations(could, count):
                windows = [self.periods[p].window for p in added]
                if added and not is_within(self.limits, standing, windows):
                    continue
                periods = tuple(sorted((*added, *one.fixed)))
                runs = joined([*standing, *windows])
                switched = sum(not any(run[0] <= old[0] < run[1] for old in runs_standing) for run in runs)
                found.append((periods, length_of([self.periods[p].window for p in periods]), switched))
        return found

    def _measured(self, n: int, one: Candidate, periods: tuple[int, ...], minutes: int, switched: int) -> Option:
        past, after = one.ledger_minutes // QUARTER, (one.ledger_minutes + minutes) // QUARTER
        return Option(
            block=n,
            periods=periods,
            is_change=len(periods) > len(one.fixed),
            turns=one.turns + len(periods),
            repeats=sum((one.turns - self._had_least + k) * (len(self.periods) - p) for k, p in enumerate(periods)),
            after=after,
            squares=after**2 - past**2,
            operations=one.switchings * switched,
            customer_minutes=one.customers * minutes,
            kw_minutes=sum(one.kw[p] * self.periods[p].minutes for p in periods),
        )

    @property
    def measures(self) -> list[Callable[[Option], int]]:
        """What is made as little as possible, one after the other, before the load beyond the order."""
        if self.letter == "A":
            return [lambda option: option.repeats, lambda option: option.squares]
        if self.letter == "B":
            return [lambda option: option.customer_minutes]
        return [lambda option: option.operations, lambda option: option.customer_minutes]

    @cached_property
    def most_kw(self) -> list[int]:
        """What all blocks together take off in each period if nothing else mattered."""
        most = [0] * len(self.periods)
        for one, options in zip(self.candidates, self.options, strict=True):
            for p in {p for option in options for p in option.periods}:
                most[p] += one.kw[p]
        return most


@dataclass(frozen=True)
class Found:
    options: list[Option]  # of the blocks that are off
    is_optimal: bool
    is_tightest: bool
