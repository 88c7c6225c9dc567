"""The fairness ledger: how many hours each block was off, and why it is, or is not, its turn again.

Told from what really was off (the interruptions of the record), wherever a block's places stood in older plans. A
place cannot be off twice at once: hours shed count first, planned work and faults add what is left of theirs, by the
weight of the branch's rule pack. Hours of a block are those of its average customer. Cut-offs for debt say nothing
about supply and do not count.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import connection
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

import standards
from outages.load_shedding.models import SheddingBlock, SheddingPlan
from outages.models import OutageKind

DAYS: Final = (30, 90, 365)
WHY_DAYS: Final = 30

_SECONDS = "(SELECT coalesce(sum(extract(epoch FROM upper(r) - lower(r))), 0) FROM unnest({}) r)"

# A customer with rows of its own follows what happens to its area as well, and is taken out of the area's number.
# Materialized, because nothing tells the planner how many rows a range meets: what it takes for one row is computed
# once, and not once for every block.
_HOURS_SQL: Final = f"""
WITH place AS MATERIALIZED (
    SELECT p.block_id, p.element_id AS place, p.customers
    FROM load_shedding_blockplace p JOIN load_shedding_sheddingblock b ON b.id = p.block_id
    WHERE b.plan_id = %(plan)s
),
gone AS MATERIALIZED (
    SELECT coalesce(i.element_id, s.element_id) AS place, s.id AS point, o.id AS outage, o.kind = %(shed)s AS is_shed,
           i.actual * tstzrange(%(since)s, %(at)s) AS span
    FROM outages_outage o JOIN outages_interruption i ON i.outage_id = o.id
    LEFT JOIN grid_servicepoint s ON s.id = i.service_point_id
    WHERE NOT o.is_void AND o.kind <> %(debt)s AND (o.restored_at IS NULL OR o.restored_at > %(since)s)
      AND i.actual && tstzrange(%(since)s, %(at)s)
),
off AS MATERIALIZED (
    SELECT p.block_id, p.place, p.customers, g.point,
           coalesce(range_agg(g.span) FILTER (WHERE g.is_shed), '{{}}'::tstzmultirange) AS shed,
           range_agg(g.span) AS whole
    FROM place p JOIN gone g USING (place) GROUP BY p.block_id, p.place, p.customers, g.point
),
unit AS (
    SELECT block_id, CASE WHEN point IS NULL THEN customers - points ELSE 1 END AS customers,
           shed + coalesce(area_shed, '{{}}'::tstzmultirange) AS shed,
           whole + coalesce(area_whole, '{{}}'::tstzmultirange) AS whole
    FROM (
        SELECT *, count(point) OVER area AS points, range_agg(shed) FILTER (WHERE point IS NULL) OVER area AS area_shed,
               range_agg(whole) FILTER (WHERE point IS NULL) OVER area AS area_whole
        FROM off WINDOW area AS (PARTITION BY block_id, place)
    ) o
),
hours AS MATERIALIZED (
    SELECT block_id, sum(customers * {_SECONDS.format("shed")}) AS shed,
           sum(customers * {_SECONDS.format("whole - shed")}) AS other
    FROM unit GROUP BY block_id
),
size AS MATERIALIZED (SELECT block_id, greatest(1, sum(customers)) AS customers FROM place GROUP BY block_id),
turn AS MATERIALIZED (
    SELECT p.block_id, count(DISTINCT g.outage)::int AS turns
    FROM place p JOIN gone g USING (place) WHERE g.is_shed GROUP BY p.block_id
)
SELECT b.id, (coalesce(h.shed, 0) / 3600 / coalesce(size.customers, 1))::float8,
       (coalesce(h.other, 0) / 3600 / coalesce(size.customers, 1))::float8, coalesce(turn.turns, 0)
FROM load_shedding_sheddingblock b LEFT JOIN size ON size.block_id = b.id
LEFT JOIN hours h ON h.block_id = b.id LEFT JOIN turn ON turn.block_id = b.id
WHERE b.plan_id = %(plan)s
"""  # noqa: S608 - only our own expression is put in


@dataclass(frozen=True)
class BlockHours:
    """Hours off of a block's average customer."""

    shedding: float
    other: float  # planned work and faults, while it was not shed
    weighted: float  # both, the other ones by their weight: by this blocks are compared
    turns: int  # how often it was shed

    @property
    def weighted_minutes(self) -> int:
        return round(60 * self.weighted)


def hours(*, plan: SheddingPlan, at: datetime | None = None, days: int | None = None) -> dict[int, BlockHours]:
    """Hours off of every block of a plan, by its key, in so many days; without them in the rule pack's own span."""
    at = at or timezone.now()
    rules = standards.pack(plan.branch.rule_pack).shedding
    span = rules.ledger_window.delta if days is None else timedelta(days=days)
    weight = rules.ledger_weight.value
    with connection.cursor() as db:
        db.execute(
            _HOURS_SQL,
            {
                "plan": plan.pk, "since": at - span, "at": at, "shed": OutageKind.LOAD_SHEDDING,
                "debt": OutageKind.NON_PAYMENT,
            },
        )  # fmt: skip
        return {
            block_id: BlockHours(shed, other, shed + weight * other, turns)
            for block_id, shed, other, turns in db.fetchall()
        }


def spread(values: Iterable[float]) -> float:
    """From the best-off to the worst-off."""
    some = list(values)
    return max(some) - min(some) if some else 0.0


def gini(values: Collection[float]) -> float:
    """How unevenly hours are spread: 0 where all blocks have the same, towards 1 where one has them all."""
    total = sum(values)
    if not total:
        return 0.0
    count = len(values)
    return sum((2 * n - count - 1) * value for n, value in enumerate(sorted(values), start=1)) / (count * total)


# --- why this block again -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Why:
    """How often a block had its turn, beside all blocks that can have one."""

    block: str
    days: int
    turns: int
    average_turns: float
    hours: float
    average_hours: float
    rank: int  # 1 has been off longest
    blocks: int

    @property
    def words(self) -> str:
        """What the agent reads out, in the reader's language."""
        facts = {
            "block": self.block,
            "days": self.days,
            "turns": self.turns,
            "average": f"{self.average_turns:.1f}",
            "hours": f"{self.hours:.1f}",
            "average_hours": f"{self.average_hours:.1f}",
            "rank": self.rank,
            "blocks": self.blocks,
        }
        had = ngettext(
            "%(block)s had %(turns)s turn in the last %(days)s days, a block on average %(average)s.",
            "%(block)s had %(turns)s turns in the last %(days)s days, a block on average %(average)s.",
            self.turns,
        )
        off = _(
            "Its hours off come to %(hours)s, the average to %(average_hours)s: no. %(rank)s of %(blocks)s blocks,"
            " counted from the one off longest."
        )
        return f"{had % facts} {off % facts}"


def why(block: SheddingBlock, *, at: datetime | None = None) -> Why:
    """Why it is this block's turn again: its turns and hours in the last days beside everybody's."""
    plan = SheddingPlan.objects.select_related("branch").get(pk=block.plan_id)
    found = hours(plan=plan, at=at, days=WHY_DAYS)
    could = {pk: found[pk] for pk in plan.blocks.filter(is_protected=False).values_list("pk", flat=True)} | {
        block.pk: found[block.pk]
    }
    mine = found[block.pk]
    return Why(
        block=block.local_name,
        days=WHY_DAYS,
        turns=mine.turns,
        average_turns=sum(one.turns for one in could.values()) / len(could),
        hours=mine.weighted,
        average_hours=sum(one.weighted for one in could.values()) / len(could),
        rank=1 + sum(one.weighted > mine.weighted for one in could.values()),
        blocks=len(could),
    )
