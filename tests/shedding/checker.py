"""Whether a choice of turns keeps the limits: minute by minute, written without looking at how choices are made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby, product
from typing import Any

from outages.load_shedding.proposals import Candidate, Choice, Limits, Period, Window


def minutes_in(windows: Sequence[Window]) -> set[int]:
    """Every minute of some windows, counted from 1970."""
    return {
        minute
        for begins, until in windows
        for minute in range(int(begins.timestamp()) // 60, int(until.timestamp()) // 60)
    }


def broken_by(
    turns: Mapping[str, Sequence[int]], candidates: Sequence[Candidate], periods: Sequence[Period], limits: Limits
) -> list[str]:
    """Every limit that the turns break, in words."""
    found = []
    for one in candidates:
        mine = set(turns.get(one.code, ()))
        found += [f"{one.code} must be off in {p}" for p in one.fixed - mine]
        found += [f"{one.code} must stay on in {p}" for p in mine - one.fixed if p in one.barred]
        found += [f"{one.code} has no load in {p}" for p in mine - one.fixed if not one.kw[p]]
        standing = minutes_in([*one.off, *(periods[p].window for p in one.fixed)])
        added = minutes_in([periods[p].window for p in mine - one.fixed])
        found += [f"{one.code} {words}" for words in _in_time(standing, added, limits)]
    return found


def _in_time(standing: set[int], added: set[int], limits: Limits) -> list[str]:
    if not added:
        return []
    found = []
    off = standing | added
    first, last = min(off), max(off)
    stretches = [
        (is_off, [minute for minute, _off in group])
        for is_off, group in groupby(((m, m in off) for m in range(first, last + 1)), key=lambda pair: pair[1])
    ]
    for n, (is_off, minutes) in enumerate(stretches):
        if is_off and added & set(minutes) and len(minutes) > limits.max_run_minutes:
            found.append(f"is off for {len(minutes)} minutes")
        if not is_off and len(minutes) < limits.min_rest_minutes:
            around = {*stretches[n - 1][1], *stretches[n + 1][1]}
            if around & added:
                found.append(f"rests for {len(minutes)} minutes")
    zone = limits.zone
    days = Counter(datetime.fromtimestamp(minute * 60, UTC).astimezone(zone).date() for minute in off)
    touched = {datetime.fromtimestamp(minute * 60, UTC).astimezone(zone).date() for minute in added}
    found += [f"is off for {days[day]} minutes on {day}" for day in touched if days[day] > limits.max_day_minutes]
    return found


def shed_in(turns: Mapping[str, Sequence[int]], candidates: Sequence[Candidate], periods: int) -> tuple[int, ...]:
    return tuple(sum(one.kw[p] for one in candidates if p in turns.get(one.code, ())) for p in range(periods))


def measured(
    letter: str,
    turns: Mapping[str, Sequence[int]],
    candidates: Sequence[Candidate],
    periods: Sequence[Period],
    limits: Limits,
) -> tuple[Any, ...]:
    """What the proposal of this letter makes as small as possible, the most important first."""
    shed = shed_in(turns, candidates, len(periods))
    lengths = [len(minutes_in([period.window])) for period in periods]
    short = sum(max(0, limits.target_kw - kw) * minutes for kw, minutes in zip(shed, lengths, strict=True))
    beyond = sum(kw * minutes for kw, minutes in zip(shed, lengths, strict=True))
    of = {one.code: sorted(turns.get(one.code, ())) for one in candidates}
    off = {code: len(minutes_in([periods[p].window for p in mine])) for code, mine in of.items()}
    customer_minutes = sum(one.customers * off[one.code] for one in candidates)
    if letter == "B":
        return short, customer_minutes, beyond
    if letter == "C":
        return short, _operations(of, candidates, periods), customer_minutes, beyond
    after = {one.code: (one.ledger_minutes + off[one.code]) // 15 for one in candidates}
    burdens = [(one.turns + len(of[one.code]), after[one.code]) for one in candidates if set(of[one.code]) - one.fixed]
    least = min(one.turns for one in candidates)
    repeats = sum(
        one.turns - least + had
        for one in candidates
        for so_far in range(len(periods))
        for had in range(sum(p <= so_far for p in of[one.code]))
    )
    squares = sum(hours**2 for hours in after.values())
    return short, max(burdens, default=(0, 0)), repeats, squares, beyond


def _operations(of: Mapping[str, Sequence[int]], candidates: Sequence[Candidate], periods: Sequence[Period]) -> int:
    """How often something is switched off that was not off the minute before, nor is off the minute after."""
    total = 0
    for one in candidates:
        standing = minutes_in([*one.off, *(periods[p].window for p in one.fixed)])
        minutes = sorted(standing | minutes_in([periods[p].window for p in of[one.code]]))
        runs: list[set[int]] = []
        for minute in minutes:
            if runs and minute - 1 in runs[-1]:
                runs[-1].add(minute)
            else:
                runs.append({minute})
        total += one.switchings * sum(not run & standing for run in runs)
    return total


def best_of_all(
    letter: str, candidates: Sequence[Candidate], periods: Sequence[Period], limits: Limits
) -> tuple[Any, ...]:
    """The best measure of every choice there is."""
    subsets = [tuple(p for p in range(len(periods)) if bits >> p & 1) for bits in range(2 ** len(periods))]
    allowed = [
        [mine for mine in subsets if not broken_by({one.code: mine}, [one], periods, limits)] for one in candidates
    ]
    return min(
        measured(letter, dict(zip([one.code for one in candidates], picked, strict=True)), candidates, periods, limits)
        for picked in product(*allowed)
    )


def agrees(choice: Choice, candidates: Sequence[Candidate], periods: Sequence[Period], limits: Limits) -> None:
    """The choice keeps every limit, and what it says about itself is so."""
    assert broken_by(choice.turns, candidates, periods, limits) == []
    shed = shed_in(choice.turns, candidates, len(periods))
    assert choice.shed_kw == shed
    assert choice.shortfall_kw == tuple(max(0, limits.target_kw - kw) for kw in shed)


def periods_from(begins: datetime, count: int, *, minutes: int = 120, margin: int = 0) -> list[Period]:
    """So many slots one after the other, each overlapping the next by the margin."""
    step = timedelta(minutes=minutes - margin)
    zone = begins.tzinfo
    starts = [(begins.astimezone(UTC) + n * step) for n in range(count)]
    return [Period(s.astimezone(zone), (s + timedelta(minutes=minutes)).astimezone(zone)) for s in starts]
