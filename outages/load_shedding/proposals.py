"""Which blocks, when: three proposals, each the exact optimum of its measure under the plan's limits.

Every proposal first sheds as much of the ordered load as the limits allow; then comes its own measure; then the least
load beyond the target. Loads are whole kilowatts, so that sums are exact.

A *fair*: the hours off that the worst-off of the chosen blocks will have are as few as possible, then their squares
(max-min over the fairness ledger). B *fewest customers*: customers times minutes. C *fastest*: switching operations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from ortools.sat.python import cp_model

SECONDS: Final = 1.5  # of one search; what is best by then is said to be no more than that
LETTERS: Final = ("A", "B", "C")


@dataclass(frozen=True)
class Period:
    begins: datetime
    until: datetime

    @property
    def minutes(self) -> int:
        return int((self.until - self.begins).total_seconds() // 60)


@dataclass(frozen=True)
class Candidate:
    """One block that may be shed: its load in each period (kW, without what is off anyway), and its past."""

    code: str
    kw: tuple[int, ...]
    customers: int
    switchings: int
    ledger_minutes: int  # hours off already, as the fairness ledger weighs them
    day_minutes: int = 0  # off today already
    rested_minutes: int | None = None  # since its last turn; None: long ago
    barred: frozenset[int] = frozenset()  # periods in which it must stay on
    fixed: frozenset[int] = frozenset()  # periods in which it is off already


@dataclass(frozen=True)
class Limits:
    target_kw: int
    max_run_minutes: int
    max_day_minutes: int
    min_rest_minutes: int


@dataclass(frozen=True)
class Choice:
    """A proposal: the periods of each chosen block, and how it measures."""

    letter: str
    turns: Mapping[str, tuple[int, ...]]
    shed_kw: tuple[int, ...]
    shortfall_kw: tuple[int, ...]
    is_optimal: bool

    @property
    def meets_target(self) -> bool:
        return not any(self.shortfall_kw)


def propose(
    letter: str, candidates: Sequence[Candidate], periods: Sequence[Period], limits: Limits, *, seconds: float = SECONDS
) -> Choice:
    """The best choice by one measure."""
    from ortools.sat.python import cp_model  # costs a process a lot; the web never needs it

    model = _Model(cp_model, candidates, periods, limits)
    return model.solve(letter, seconds)


class _Model:
    def __init__(self, cp: Any, candidates: Sequence[Candidate], periods: Sequence[Period], limits: Limits) -> None:
        self.cp, self.candidates, self.periods, self.limits = cp, candidates, periods, limits
        self.model: cp_model.CpModel = cp.CpModel()
        self.off = {
            (i, p): self.model.new_bool_var("")
            for i, one in enumerate(candidates)
            for p in range(len(periods))
            if p not in one.barred and (one.kw[p] > 0 or p in one.fixed)
        }
        self.short = [self.model.new_int_var(0, limits.target_kw, "") for _ in periods]
        for p in range(len(periods)):
            shed = sum(one.kw[p] * self.off[i, p] for i, one in enumerate(candidates) if (i, p) in self.off)
            self.model.add(shed + self.short[p] >= limits.target_kw)
        for i, one in enumerate(candidates):
            self._limit(i, one)

    def _limit(self, i: int, one: Candidate) -> None:
        lengths = [period.minutes for period in self.periods]
        for p in one.fixed:
            self.model.add(self.off[i, p] == 1)
        mine = {p: self.off[i, p] for p in range(len(lengths)) if (i, p) in self.off}
        free_minutes = max(self.limits.max_day_minutes - one.day_minutes, sum(lengths[p] for p in one.fixed))
        self.model.add(sum(lengths[p] * x for p, x in mine.items()) <= free_minutes)
        if one.rested_minutes is not None:
            waited = one.rested_minutes
            for p, length in enumerate(lengths):
                if waited < self.limits.min_rest_minutes and p in mine and p not in one.fixed:
                    self.model.add(mine[p] == 0)
                waited += length
        for p in range(len(lengths)):
            self._no_longer_than_a_run(mine, p, lengths)
            self._rest_after(mine, p, lengths)

    def _no_longer_than_a_run(self, mine: Mapping[int, Any], first: int, lengths: Sequence[int]) -> None:
        total, run = 0, []
        for p in range(first, len(lengths)):
            if p not in mine:
                return
            run.append(mine[p])
            total += lengths[p]
            if total > self.limits.max_run_minutes:
                self.model.add(sum(run) < len(run))
                return

    def _rest_after(self, mine: Mapping[int, Any], p: int, lengths: Sequence[int]) -> None:
        """Off, on, and off again only after the rest: whoever ends at ``p`` starts no sooner."""
        if p not in mine:
            return
        rested = 0
        for later in range(p + 2, len(lengths)):
            rested += lengths[later - 1]
            if rested >= self.limits.min_rest_minutes:
                return
            if later in mine:
                between = mine.get(p + 1)
                # off at p, on at p+1, off at later: not enough rest
                self.model.add_bool_or([mine[p].Not(), *([between] if between is not None else []), mine[later].Not()])

    def solve(self, letter: str, seconds: float) -> Choice:
        """Shortfall first, then the measure, then what is beyond the target: each fixed before the next."""
        cp, model = self.cp, self.model
        solver = cp.CpSolver()
        solver.parameters.num_workers = 1
        solver.parameters.random_seed = 1
        left, optimal, hint = seconds, True, None
        goals = [sum(self.short[p] * period.minutes for p, period in enumerate(self.periods)), *self._measure(letter)]
        for goal in goals:
            model.minimize(goal)
            if hint is not None:
                model.clear_hints()  # type: ignore[no-untyped-call]  # their stub errs
                for key, value in hint.items():
                    model.add_hint(self.off[key], value)
            solver.parameters.max_time_in_seconds = max(left, 0.05)
            status = solver.solve(model)
            left -= solver.wall_time
            if status not in (cp.OPTIMAL, cp.FEASIBLE):
                optimal = False
                break
            optimal = optimal and status == cp.OPTIMAL
            hint = {key: solver.value(var) for key, var in self.off.items()}
            model.add(goal <= int(solver.objective_value))
        assert hint is not None, "nothing shed is always a solution"
        return self._choice(letter, hint, optimal)

    def _measure(self, letter: str) -> list[Any]:
        if letter == "A":
            return [*self._fair(), self._beyond()]
        if letter == "B":
            return [
                sum(self.candidates[i].customers * self.periods[p].minutes * x for (i, p), x in self.off.items()),
                self._beyond(),
            ]
        return [self._operations(), self._beyond()]

    def _fair(self) -> list[Any]:
        """Hours are counted in steps of the shortest period, so that squares stay small."""
        step = min(period.minutes for period in self.periods)
        worst = self.model.new_int_var(0, 10**7, "")
        squares = []
        for i, one in enumerate(self.candidates):
            mine = [(p, x) for (k, p), x in self.off.items() if k == i]
            if not mine:
                continue
            used = self.model.new_bool_var("")
            self.model.add_max_equality(used, [x for _p, x in mine])
            after = one.ledger_minutes + sum(self.periods[p].minutes * x for p, x in mine)
            self.model.add(worst >= after).only_enforce_if(used)
            for n, (_p, x) in enumerate(mine):
                del n, x
            count = sum(x for _p, x in mine)
            past = one.ledger_minutes // step
            # (past + k)^2 - past^2 as a table of k
            cost = self.model.new_int_var(0, (2 * past + len(mine)) * len(mine), "")
            turns = self.model.new_int_var(0, len(mine), "")
            self.model.add(turns == count)
            self.model.add_element(turns, [k * (2 * past + k) for k in range(len(mine) + 1)], cost)
            squares.append(cost)
        return [worst, sum(squares)]

    def _operations(self) -> Any:
        """Every block switched off and on again, for each of its turns."""
        starts = []
        for (i, p), x in self.off.items():
            before = self.off.get((i, p - 1))
            if before is None:
                starts.append(self.candidates[i].switchings * x)
                continue
            begun = self.model.new_bool_var("")
            self.model.add(begun >= x - before)
            starts.append(self.candidates[i].switchings * begun)
        return sum(starts)

    def _beyond(self) -> Any:
        return sum(self.candidates[i].kw[p] * self.periods[p].minutes * x for (i, p), x in self.off.items())

    def _choice(self, letter: str, values: Mapping[tuple[int, int], int], optimal: bool) -> Choice:
        turns: dict[str, list[int]] = {}
        shed = [0] * len(self.periods)
        for (i, p), value in sorted(values.items()):
            if value:
                turns.setdefault(self.candidates[i].code, []).append(p)
                shed[p] += self.candidates[i].kw[p]
        return Choice(
            letter,
            {code: tuple(mine) for code, mine in turns.items()},
            tuple(shed),
            tuple(max(0, self.limits.target_kw - kw) for kw in shed),
            optimal,
        )
