"""Measuring blocks: what goes off with their elements, and whether somebody is among it who must not.

Told from the network as it is switched normally (``grid.topology``), for all blocks of a plan in a few statements.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from django.db import connection

from grid.models import Customer, GridElement, ServicePoint
from grid.topology import places_isolated_normally
from outages.load_shedding.models import BlockElement, BlockPlace, KeptOut, SheddingBlock, SheddingPlan

HOURS = 24

_PLACES_SQL = f"""
INSERT INTO {BlockPlace._meta.db_table} (block_id, element_id, customers, critical, life_support, load_kw)
SELECT p.block, e.id, e.own_customers, e.own_critical, coalesce(l.n, 0), e.own_load_kw
FROM unnest(%(blocks)s::bigint[], %(places)s::bigint[]) p(block, place)
JOIN {GridElement._meta.db_table} e ON e.id = p.place
LEFT JOIN (
    SELECT s.element_id, count(*) AS n
    FROM {Customer._meta.db_table} c JOIN {ServicePoint._meta.db_table} s ON s.customer_id = c.id
    WHERE c.importance = 'life_support' GROUP BY 1
) l ON l.element_id = e.id
"""  # noqa: S608 - only tables' names

# a load that nobody measured is what the customers take on average, at every hour
_TOTALS_SQL = f"""
UPDATE {SheddingBlock._meta.db_table} b
SET customers = t.customers, critical_customers = t.critical, life_support = t.life_support, load_kw = t.kw,
    mw_by_hour = CASE WHEN b.is_measured THEN b.mw_by_hour ELSE array_fill(t.kw / 1000, ARRAY[{HOURS}]) END
FROM (
    SELECT b.id, coalesce(sum(p.customers), 0) AS customers, coalesce(sum(p.critical), 0) AS critical,
           coalesce(sum(p.life_support), 0) AS life_support,
           coalesce(sum(round(p.load_kw * 1000)), 0)::float8 / 1000 AS kw
    FROM {SheddingBlock._meta.db_table} b LEFT JOIN {BlockPlace._meta.db_table} p ON p.block_id = b.id
    WHERE b.id = ANY(%(blocks)s) GROUP BY b.id
) t WHERE t.id = b.id
"""  # noqa: S608


@dataclass(frozen=True)
class KeptOutside:
    """An element that is never shed, and which of a group's elements it would go off with."""

    code: str
    name: str
    why: str


def elements_of(plan: SheddingPlan) -> dict[int, list[int]]:
    """The elements of each block of a plan, by the blocks' keys."""
    found: dict[int, list[int]] = {pk: [] for pk in plan.blocks.values_list("pk", flat=True)}
    for block_id, element_id in BlockElement.objects.filter(plan=plan).values_list("block_id", "element_id"):
        found[block_id].append(element_id)
    return found


def places_measure(elements: Mapping[int, Collection[int]]) -> None:
    """Write what goes off with each block (by its key), and the block's totals from it."""
    keys = list(elements)
    places = places_isolated_normally([elements[key] for key in keys])
    pairs = [(key, place) for key, mine in zip(keys, places, strict=True) for place in mine]
    BlockPlace.objects.filter(block__in=keys).delete()
    with connection.cursor() as db:
        db.execute(_PLACES_SQL, {"blocks": [key for key, _p in pairs], "places": [place for _k, place in pairs]})
        db.execute(_TOTALS_SQL, {"blocks": keys})


def outdated(plan: SheddingPlan) -> list[str]:
    """The blocks behind which there is something else by now than when they were measured."""
    elements = elements_of(plan)
    now = dict(zip(elements, places_isolated_normally(list(elements.values())), strict=True))
    then: dict[int, set[int]] = {key: set() for key in elements}
    for block_id, element_id in BlockPlace.objects.filter(block__plan=plan).values_list("block_id", "element_id"):
        then[block_id].add(element_id)
    changed = [key for key in elements if set(now[key]) != then[key]]
    return sorted(SheddingBlock.objects.filter(pk__in=changed).values_list("code", flat=True))


def kept_outside(groups: Sequence[Collection[int]]) -> list[list[KeptOutside]]:
    """For each group of elements, those kept out of shedding that would go off with it, or with part of it."""
    kept = list(KeptOut.objects.select_related("element").order_by("element__code"))
    if not kept:
        return [[] for _group in groups]
    reach = _reach([*groups, *([one.element_id] for one in kept)])
    theirs = reach[len(groups) :]
    return [
        [
            KeptOutside(one.element.code, one.element.name, one.get_why_display())
            for one, their in zip(kept, theirs, strict=True)
            if mine & their
        ]
        for mine in reach[: len(groups)]
    ]


def sharing(element_ids: Collection[int], others: Mapping[str, Collection[int]]) -> dict[str, set[int]]:
    """The other blocks (by their code) that would take off some of the same places, and which."""
    mine, *theirs = _reach([element_ids, *others.values()])
    return {code: mine & their for code, their in zip(others, theirs, strict=True) if mine & their}


def _reach(groups: Sequence[Collection[int]]) -> list[set[int]]:
    """The places that go off with each group, and its elements themselves, which may have no customers."""
    return [{*places, *group} for group, places in zip(groups, places_isolated_normally(groups), strict=True)]
