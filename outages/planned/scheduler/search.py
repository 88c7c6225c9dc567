"""The search for the best plan, by OR-Tools' CP-SAT."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import date, datetime
from time import monotonic
from typing import Final

from ortools.sat.python import cp_model

from outages.planned.scheduler.options import options_of
from outages.planned.scheduler.problem import (
    AGAIN,
    HOLIDAY,
    Job,
    Measure,
    Problem,
    Windows,
    borne_by,
    measure,
    minutes_of,
    overlap,
    rules_of_its_own,
)

SECONDS: Final = 40.0  # of search; the proof that nothing better exists may take longer than anybody waits
WORKERS: Final = 2
_TICK: Final = 1.0  # second between two words about the progress

Told = Callable[[int], None]


@dataclass(frozen=True)
class Proposal:
    """The plan that was found and the branch's own, by the same measure."""

    plan: Mapping[int, Windows]
    before: Measure
    after: Measure
    is_optimal: bool
    moved: tuple[int, ...] = ()


def schedule(problem: Problem, *, seconds: float = SECONDS, seed: int = 1, tell: Told | None = None) -> Proposal:
    """The best plan found in the time, never worse than the branch's own by ``measure``.

    ``tell`` hears how much of the time is used, on the caller's thread.
    """
    own = problem.own_plan
    before = measure(own, problem)
    if all(job.is_fixed or job.is_other for job in problem.jobs):
        return Proposal(own, before, before, is_optimal=True)
    model = _Model(problem)
    solver = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = seconds
    solver.parameters.num_workers = WORKERS
    solver.parameters.random_seed = seed
    status = _solved(solver, model.model, seconds, tell)
    plan = own
    if status in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        plan = _without_idle_moves(model.plan_of(solver), problem)
    after = measure(plan, problem)
    if after.weight >= before.weight:
        plan, after = own, before
    moved = tuple(key for key in plan if plan[key] != own[key])
    return Proposal(plan, before, after, is_optimal=status == cp_model.OPTIMAL, moved=moved)


def _solved(solver: cp_model.CpSolver, model: cp_model.CpModel, seconds: float, tell: Told | None) -> object:
    began = monotonic()
    with ThreadPoolExecutor(1) as pool:
        search = pool.submit(solver.solve, model)
        while not search.done():
            if tell is not None:
                tell(min(95, 1 + round(94 * (monotonic() - began) / seconds)))
            wait([search], timeout=_TICK)
        return search.result()


def _without_idle_moves(plan: dict[int, Windows], problem: Problem) -> dict[int, Windows]:
    """Nobody is asked to move a work for nothing: whatever can stay where it is without harm, stays."""
    while (calmer := _calmed(plan, problem)) != plan:
        plan = calmer
    return plan


def _calmed(plan: dict[int, Windows], problem: Problem) -> dict[int, Windows]:
    """Each work is asked once; one that stays may let another stay as well."""
    best = measure(plan, problem).weight
    for job in problem.jobs:
        if plan[job.key] != job.windows:
            stays = plan | {job.key: job.windows}
            if _costs(job, stays, problem) <= _costs(job, plan, problem):
                weight = measure(stays, problem).weight
                if weight <= best:
                    plan, best = stays, weight
    return plan


def _costs(job: Job, plan: Mapping[int, Windows], problem: Problem) -> int:
    """What the groups of one work bear: the quick half of the measure."""
    costs = 0
    for group, customers in problem.groups.items():
        if job.key in group[0]:
            minutes, again, holiday = borne_by(group, customers, plan, problem)
            costs += minutes + AGAIN * again + HOLIDAY * holiday
    return costs


class _Model:
    """The plan as CP-SAT sees it: one choice a work, and what follows from the choices."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.model = cp_model.CpModel()
        self.options = {job.key: options_of(job, problem) for job in problem.jobs}
        self.days = {key: [problem.days_of(windows) for windows in options] for key, options in self.options.items()}
        self.chosen = {
            key: [self.model.new_bool_var(f"x{key}_{n}") for n in range(len(options))]
            for key, options in self.options.items()
        }
        self.costs: list[tuple[int, cp_model.IntVar]] = []
        self.broken: list[tuple[int, cp_model.IntVar]] = []
        for choices in self.chosen.values():
            self.model.add_exactly_one(choices)
            for n, choice in enumerate(choices):  # the own plan is where the search begins
                self.model.add_hint(choice, n == 0)
        self._own_rules()
        self._crews()
        self._backups()
        self._groups()
        self._aim()

    def plan_of(self, solver: cp_model.CpSolver) -> dict[int, Windows]:
        """What the solver chose."""
        return {
            key: self.options[key][next(n for n, choice in enumerate(choices) if solver.value(choice))]
            for key, choices in self.chosen.items()
        }

    def _aim(self) -> None:
        """Rules first, then what customers bear, then as few moves as possible."""
        moves = [choice for choices in self.chosen.values() for choice in choices[1:]]
        scale = len(self.chosen) + 1  # of works: all moves together weigh less than one customer-minute
        rule = 1 + sum(  # more than everything that customers could bear
            customers * (minutes_of(window) + 2 * AGAIN + HOLIDAY * (1 + minutes_of(window) // 1440 + 1))
            for (keys, _calm_from), customers in self.problem.groups.items()
            for key in keys
            for window in self.problem.own_plan[key]
        )
        self.model.minimize(
            sum(scale * rule * by * var for by, var in self.broken)
            + sum(scale * cost * var for cost, var in self.costs)
            + sum(moves)
        )

    # --- rules

    def _own_rules(self) -> None:
        """Only the own windows may break a rule by themselves: the others were left out."""
        for job in self.problem.jobs:
            rules = rules_of_its_own(job, job.windows, self.problem)
            if rules:
                self.broken.append((len(rules), self.chosen[job.key][0]))

    def _crews(self) -> None:
        needed: defaultdict[date, list[tuple[int, cp_model.IntVar]]] = defaultdict(list)
        for job in self.problem.jobs:
            if job.crews:
                for choice, days in zip(self.chosen[job.key], self.days[job.key], strict=True):
                    for day in days:
                        needed[day].append((job.crews, choice))
        for day, terms in needed.items():
            most = sum(crews for crews, _choice in terms)
            if most > self.problem.capacity and self.problem.first <= day <= self.problem.last:
                excess = self.model.new_int_var(0, most, f"crews{day}")
                self.model.add(sum(crews * choice for crews, choice in terms) <= self.problem.capacity + excess)
                self.broken.append((1, excess))

    def _backups(self) -> None:
        by_day = {key: self._by_day(key) for pair in self.problem.backed_pairs for key in (pair[0].key, pair[1].key)}
        for one, two in self.problem.backed_pairs:
            together = self.model.new_bool_var(f"b{one.key}_{two.key}")
            self.broken.append((1, together))
            for n, mine in enumerate(self.chosen[one.key]):
                near = {m for day in self.days[one.key][n] for m in by_day[two.key].get(day, ())}
                clashing = [
                    self.chosen[two.key][m]
                    for m in sorted(near)
                    if overlap(self.options[one.key][n], self.options[two.key][m])
                ]
                if clashing:
                    self.model.add(sum(clashing) <= together).only_enforce_if(mine)

    def _by_day(self, key: int) -> dict[date, list[int]]:
        found: defaultdict[date, list[int]] = defaultdict(list)
        for n, days in enumerate(self.days[key]):
            for day in days:
                found[day].append(n)
        return found

    # --- what customers bear

    def _groups(self) -> None:
        together: defaultdict[frozenset[int], int] = defaultdict(int)
        for (keys, calm_from), customers in self.problem.groups.items():
            together[keys] += customers
            if calm_from is not None:
                self._soon_again(keys, calm_from, customers)
        for keys, customers in together.items():
            if len(keys) == 1:
                self._holidays_alone(next(iter(keys)), customers)
            else:
                self._company(sorted(keys), customers)

    def _soon_again(self, keys: Iterable[int], calm_from: date, customers: int) -> None:
        """Off before the last cut is forgotten is cut again."""
        near = self.model.new_bool_var("")
        for key in keys:
            for choice, windows in zip(self.chosen[key], self.options[key], strict=True):
                if any(self.problem.day_of(starts_at) < calm_from for starts_at, _ends_at in windows):
                    self.model.add_implication(choice, near)
        self.costs.append((customers * AGAIN, near))

    def _holidays_alone(self, key: int, customers: int) -> None:
        """Nothing to gain by company: only holidays tell the options apart."""
        for choice, days in zip(self.chosen[key], self.days[key], strict=True):
            dear = len(days & self.problem.holidays)
            if dear:
                self.costs.append((HOLIDAY * customers * dear, choice))

    def _company(self, keys: Sequence[int], customers: int) -> None:
        """The minutes that these customers are off, how often, and on which holidays."""
        pairs = [pair for key in keys for pair in zip(self.chosen[key], self.options[key], strict=True)]
        edges = sorted({moment for _choice, windows in pairs for window in windows for moment in window})
        place = {moment: n for n, moment in enumerate(edges)}
        covering: defaultdict[int, list[cp_model.IntVar]] = defaultdict(list)
        for choice, windows in pairs:
            for starts_at, ends_at in windows:
                for segment in range(place[starts_at], place[ends_at]):
                    covering[segment].append(choice)
        off: dict[int, cp_model.IntVar] = {}
        for segment, choices in covering.items():
            here = off[segment] = self.model.new_bool_var("")
            self.model.add_max_equality(here, choices)
            self.costs.append((customers * minutes_of((edges[segment], edges[segment + 1])), here))
        for segment, here in off.items():
            rises = self.model.new_bool_var("")
            before = off.get(segment - 1)
            self.model.add(rises >= (here if before is None else here - before))
            self.costs.append((customers * AGAIN, rises))
        self._holidays(edges, off, customers)

    def _holidays(self, edges: Sequence[datetime], off: Mapping[int, cp_model.IntVar], customers: int) -> None:
        on: defaultdict[date, list[cp_model.IntVar]] = defaultdict(list)
        for segment, here in off.items():
            for day in self.problem.days_of([(edges[segment], edges[segment + 1])]) & self.problem.holidays:
                on[day].append(here)
        for segments in on.values():
            day_off = self.model.new_bool_var("")
            for here in segments:
                self.model.add_implication(here, day_off)
            self.costs.append((customers * HOLIDAY, day_off))
