"""One period: a table over kilowatts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from outages.load_shedding.proposals.case import Case, Found, Option

if TYPE_CHECKING:
    from numpy.typing import NDArray


def by_table(case: Case, cells: int) -> Found:
    """One period: for every sum of kilowatts the least that it costs.

    Outright, unless the table would have more than so many cells: then by coarser steps of load, rounded down.
    """
    kw = [one.kw[0] for one in case.candidates]
    off = [options[0] for options in case.options if options[0].periods]
    could = [options[1] for options in case.options if len(options) > 1]
    needed = min(case.limits.target_kw, case.most_kw[0]) - sum(kw[option.block] for option in off)
    if needed <= 0:
        return Found(off, True, True)
    if case.letter == "A":
        could = _no_worse_than_needed(could, kw, needed)
    costs = _as_one_number(case.measures, could)
    loads = [kw[option.block] for option in could]
    step = 1 + (needed + max(loads)) * len(could) // cells
    chosen = _cheapest([load // step for load in loads], costs, -(-needed // step))
    if chosen is None:  # so little is to spare that the steps are too coarse
        chosen = range(len(could))
    is_exact = step == 1 and sum(costs) < 2**53
    return Found(sorted([*off, *(could[n] for n in chosen)], key=lambda option: option.block), is_exact, is_exact)


def _cheapest(loads: Sequence[int], costs: Sequence[int], needed: int) -> Sequence[int] | None:
    """The cheapest that together reach what is needed, of these the ones that exceed it least. ``None``: too few."""
    # taking one away from a cheapest set that is so much too large would leave a better one
    size = needed + max(loads)
    best = np.full(size, np.inf)
    best[0] = 0
    taken: list[NDArray[np.uint8]] = []
    reached = 1
    for load, cost in zip(loads, costs, strict=True):
        reached = min(reached + load, size)
        with_it = best[: reached - load] + cost
        taken.append(np.packbits(with_it < best[load:reached]))
        np.minimum(best[load:reached], with_it, out=best[load:reached])
    total = needed + int(np.argmin(best[needed:]))  # the first of the cheapest: the least beyond
    if np.isinf(best[total]):
        return None
    chosen = []
    for n in reversed(range(len(loads))):
        before = total - loads[n]
        if before >= 0 and before >> 3 < len(taken[n]) and taken[n][before >> 3] >> (7 - (before & 7)) & 1:
            chosen.append(n)
            total = before
    return chosen


def _as_one_number(measures: Sequence[Callable[[Option], int]], options: Sequence[Option]) -> list[int]:
    """Measures one after the other as one: a step of an earlier one outweighs all of the later ones."""
    costs = [0] * len(options)
    for measure in measures:
        weight = sum(map(measure, options)) + 1
        costs = [cost * weight + measure(option) for cost, option in zip(costs, options, strict=True)]
    return costs


def _no_worse_than_needed(could: Sequence[Option], kw: Sequence[int], needed: int) -> list[Option]:
    """Without the blocks that are worse off than anybody needs to be."""
    available, worst = 0, (0, 0)
    for option in sorted(could, key=lambda option: option.burden):
        if available < needed:
            available, worst = available + kw[option.block], option.burden
    return [option for option in could if option.burden <= worst]
