"""Which blocks, when: three proposals, each the optimum of its own measure under the plan's limits. No database.

Every proposal sheds as much of the ordered load as the limits allow (the least kilowatt-minutes short); among all ways
to do that it takes the best by its measure; among those the one that sheds least beyond the order.

* **A fair** (max-min): the worst-off of the blocks it sheds is as well off as can be, by its turns in this event and
  then by its hours in the fairness ledger, this event included. Then turns are repeated as little and as late as can
  be: each counts as many as its block had before it, times the periods left. Then the squares of all blocks' hours
  add up to as little as can be. Hours are compared in quarters of an hour.
* **B fewest customers**: customers times minutes.
* **C fastest**: switching operations; then customers times minutes.

A block stays as it is or takes one of its *options*, the sets of periods that its limits allow, so that every limit is
checked by one plain function and every measure is one number for each option. One period is solved outright by a
table over kilowatts. Several are first decided one after the other; a search then finds what is better, until nothing
is (``is_optimal``) or its time is over. Beyond ``AT_ONCE`` periods what was decided one after the other stands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from outages.load_shedding.proposals.case import Candidate, Case, Limits, Period, Window, length_of
from outages.load_shedding.proposals.search import by_search
from outages.load_shedding.proposals.table import by_table

__all__ = ["LETTERS", "Candidate", "Choice", "Limits", "Period", "Window", "propose"]

SECONDS: Final = 0.4  # of one search
LETTERS: Final = ("A", "B", "C")
AT_ONCE: Final = 4
CELLS: Final = 200_000_000  # of the table over kilowatts: half a second
CELLS_OF_A_DRAFT: Final = 3_000_000


@dataclass(frozen=True)
class Choice:
    """A proposal: the periods of each block that is off, and how it measures."""

    letter: str
    turns: Mapping[str, tuple[int, ...]]
    shed_kw: tuple[int, ...]
    shortfall_kw: tuple[int, ...]
    is_optimal: bool  # nothing is short that could be shed, and no choice is better by the measure
    is_tightest: bool  # and none of the best sheds less beyond the order

    @property
    def meets_target(self) -> bool:
        return not any(self.shortfall_kw)


def propose(
    letter: str, candidates: Sequence[Candidate], periods: Sequence[Period], limits: Limits, *, seconds: float = SECONDS
) -> Choice:
    """The best choice by one measure."""
    if len(periods) == 1:
        case = Case(letter, candidates, periods, limits)
        found = by_table(case, CELLS)
        if not found.is_tightest:
            found = by_search(case, found.options, seconds)
    else:
        turns = _one_after_the_other(letter, candidates, periods, limits)
        if len(periods) > AT_ONCE:
            return _choice(letter, candidates, periods, limits, turns, is_optimal=False, is_tightest=False)
        case = Case(letter, candidates, periods, limits)
        start = [o for options in case.options for o in options if o.periods == turns[candidates[o.block].code]]
        found = by_search(case, start, seconds)
    turns = {candidates[option.block].code: option.periods for option in found.options}
    return _choice(
        letter, candidates, periods, limits, turns, is_optimal=found.is_optimal, is_tightest=found.is_tightest
    )


def _choice(
    letter: str, candidates: Sequence[Candidate], periods: Sequence[Period], limits: Limits,
    turns: Mapping[str, tuple[int, ...]], *, is_optimal: bool, is_tightest: bool,
) -> Choice:  # fmt: skip
    off = {code: mine for code, mine in sorted(turns.items()) if mine}
    shed = tuple(sum(one.kw[p] for one in candidates if p in off.get(one.code, ())) for p in range(len(periods)))
    return Choice(letter, off, shed, tuple(max(0, limits.target_kw - kw) for kw in shed), is_optimal, is_tightest)


def _one_after_the_other(
    letter: str, candidates: Sequence[Candidate], periods: Sequence[Period], limits: Limits
) -> dict[str, tuple[int, ...]]:
    """Each period decided well, though not with an eye on those that follow."""
    turns: dict[str, tuple[int, ...]] = {one.code: () for one in candidates}
    for p, period in enumerate(periods):
        blocks = [_at(p, one, turns[one.code], periods) for one in candidates]
        for option in by_table(Case(letter, blocks, [period], limits), CELLS_OF_A_DRAFT).options:
            turns[candidates[option.block].code] += (p,)
    return turns


def _at(p: int, one: Candidate, had: Sequence[int], periods: Sequence[Period]) -> Candidate:
    """A block as one period finds it: with its turns before, and with those that stand after."""
    elsewhere = [periods[q].window for q in sorted({*had, *one.fixed} - {p})]
    return replace(
        one,
        kw=one.kw[p : p + 1],
        ledger_minutes=one.ledger_minutes + length_of([periods[q].window for q in had]),
        off=(*one.off, *elsewhere),
        turns=one.turns + len(had),
        barred=frozenset({0} if p in one.barred else ()),
        fixed=frozenset({0} if p in one.fixed else ()),
    )
