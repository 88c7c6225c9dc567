"""Several periods at once: a search for what is better than a choice that keeps the limits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any

from outages.load_shedding.proposals.case import Case, Found, Option

if TYPE_CHECKING:
    from ortools.sat.python.cp_model import CpModel, CpSolver

    LinearExpr = Any  # what its sums are, the solver's own types do not say


def by_search(case: Case, start: Sequence[Option], seconds: float) -> Found:
    """One goal after the other, from a choice that keeps the limits; each is held fast before the next."""
    from ortools.sat.python import cp_model  # dear to load, and only whoever proposes needs it

    search = _Search(case, start, cp_model.CpModel(), cp_model.CpSolver(), seconds)
    search.least_short()
    if case.letter == "A":
        search.least_burden()
    for measure in case.measures:
        search.least(measure)
    is_optimal = search.is_proven
    search.least(lambda option: option.kw_minutes)
    return Found(search.chosen, is_optimal, search.is_proven)


class _Search:
    def __init__(self, case: Case, start: Sequence[Option], model: CpModel, solver: CpSolver, seconds: float) -> None:
        self.case, self.model, self.solver = case, model, solver
        self.ends = monotonic() + seconds
        self.is_proven = True
        self.chosen = list(start)
        self.takes = {option: model.new_bool_var("") for options in case.options for option in options}
        for options in case.options:
            model.add_exactly_one(self.takes[option] for option in options)
        solver.parameters.num_workers = 1
        solver.parameters.random_seed = 1
        # so many alike rows of plain sums: simplifying them costs more than it saves, their relaxation is nearly exact
        solver.parameters.cp_model_presolve = False
        solver.parameters.linearization_level = 2

    def least_short(self) -> None:
        """Kilowatt-minutes that are missing."""
        target, missing, known, bound = self.case.limits.target_kw, [], 0, 0
        for p, (period, most) in enumerate(zip(self.case.periods, self.case.most_kw, strict=True)):
            kw = {option: self.case.candidates[option.block].kw[p] for option in self.takes if p in option.periods}
            short = self.model.new_int_var(max(0, target - most), target, "")
            self.model.add(sum(load * self.takes[option] for option, load in kw.items()) + short >= target)
            missing.append(period.minutes * short)
            bound += period.minutes * max(0, target - most)
            known += period.minutes * max(0, target - sum(kw.get(option, 0) for option in self.chosen))
        self._least(sum(missing), known, bound)

    def least_burden(self) -> None:
        """Of the worst-off block that is newly shed."""
        changes = [option for option in self.takes if option.is_change]
        rank = {burden: n for n, burden in enumerate(sorted({option.burden for option in changes}), start=1)}
        worst = self.model.new_int_var(0, len(rank), "")
        for option in changes:
            self.model.add(worst >= rank[option.burden] * self.takes[option])
        self._least(worst, max((rank[option.burden] for option in self.chosen if option.is_change), default=0), 0)

    def least(self, measure: Callable[[Option], int]) -> None:
        """Of what is measured for each option."""
        goal = sum(measure(option) * takes for option, takes in self.takes.items())
        as_it_stands = {options[0].block: options[0] for options in self.case.options}
        standing = as_it_stands | {option.block: option for option in self.chosen}
        bound = sum(min(map(measure, options)) for options in self.case.options)
        self._least(goal, sum(map(measure, standing.values())), bound)

    def _least(self, goal: LinearExpr, known: int, bound: int) -> None:
        """The least of this goal becomes a condition of whatever is asked next; never more than what is ``known``."""
        self.model.add(goal <= known)
        if known == bound:
            return
        left = self.ends - monotonic()
        status = ""
        if left > 0:
            chosen = set(self.chosen)
            self.model.clear_hints()  # type: ignore[no-untyped-call]
            for option, takes in self.takes.items():
                self.model.add_hint(takes, option in chosen)
            self.model.minimize(goal)
            self.solver.parameters.max_time_in_seconds = left
            status = self.solver.solve(self.model).name
        if status in ("OPTIMAL", "FEASIBLE"):
            self.model.add(goal <= round(self.solver.objective_value))
            self.chosen = [option for option, takes in self.takes.items() if self.solver.value(takes)]
        self.is_proven = self.is_proven and status == "OPTIMAL"
