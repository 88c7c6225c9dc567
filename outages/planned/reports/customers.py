"""Customers whom planned work took off twice, and those who were off too often, whatever the kind of outage."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from django.db import connection

import standards
from grid.models import Branch
from outages.planned.checks.budget import longest_momentary
from outages.planned.reports.figures import Report
from outages.planned.reports.windows import Asked
from standards.schema import RulePack

# Who is counted: a transformer area as a whole, and beside it each service point with rows of its own; those follow
# what happens to their area as well. Figures are those of the rows, so that a later import does not rewrite history.
_UNITS: Final = """
unit AS MATERIALIZED (
    SELECT place, point, 1 AS customers FROM off WHERE point IS NOT NULL GROUP BY place, point
    UNION ALL
    SELECT area.place, NULL, greatest(0, area.customers - coalesce(single.points, 0))
    FROM (SELECT place, max(customers) AS customers FROM off WHERE point IS NULL GROUP BY place) area
    LEFT JOIN (
        SELECT place, count(DISTINCT point)::int AS points FROM off WHERE point IS NOT NULL GROUP BY place
    ) single USING (place)
),
hit AS (
    SELECT off.branch, u.place, u.point, u.customers, off.outage, off.starts, off.ends
    FROM unit u JOIN off ON off.place = u.place AND (off.point IS NULL OR off.point = u.point)
)
"""
_TWICE_SQL: Final = f"""
WITH asked AS (SELECT * FROM unnest(%(outages)s::bigint[], %(branches)s::bigint[]) AS t(outage, branch)),
off AS MATERIALIZED (
    SELECT asked.branch, asked.outage, coalesce(i.element_id, s.element_id) AS place, s.id AS point, i.customers,
           lower(i.actual) AS starts, upper(i.actual) AS ends
    FROM asked JOIN outages_interruption i ON i.outage_id = asked.outage AND i.actual IS NOT NULL
    LEFT JOIN grid_servicepoint s ON s.id = i.service_point_id
), {_UNITS},
twice AS (
    SELECT branch, place, point, customers FROM hit
    GROUP BY GROUPING SETS ((branch, place, point, customers), (place, point, customers))
    HAVING count(DISTINCT outage) > 1
)
SELECT branch, sum(customers)::int FROM twice GROUP BY branch
"""  # noqa: S608 - only our own relations are put in

# What is counted: all four kinds, unless momentary. What overlaps is one interruption (``domain.md`` 6), and counts
# where it begins. A customer is off too often where one that began in the days asked about was the one too many.
_OFTEN_SQL: Final = f"""
WITH asked AS (
    SELECT * FROM unnest(%(branches)s::bigint[], %(begins)s::timestamptz[], %(overs)s::timestamptz[])
        AS t(branch, begins, over)
),
gone AS (
    SELECT coalesce(i.element_id, s.element_id) AS place, s.id AS point, i.outage_id AS outage, i.customers,
           lower(i.actual) AS starts, coalesce(upper(i.actual), 'infinity') AS ends
    FROM outages_outage o JOIN outages_interruption i ON i.outage_id = o.id
    LEFT JOIN grid_servicepoint s ON s.id = i.service_point_id
    WHERE NOT o.is_void AND (o.restored_at IS NULL OR o.restored_at > %(since)s)
      AND i.actual && tstzrange(%(since)s, %(until)s)
      AND (upper(i.actual) IS NULL OR (
          upper(i.actual) - lower(i.actual) > %(momentary)s AND upper(i.actual) - lower(i.actual) >= %(shortest)s))
),
off AS MATERIALIZED (
    SELECT e.branch_id AS branch, gone.* FROM gone JOIN grid_gridelement e ON e.id = gone.place
    WHERE e.branch_id = ANY(%(branches)s)
), {_UNITS},
marked AS (
    SELECT branch, place, point, customers, starts, starts > coalesce(max(ends) OVER earlier, '-infinity') AS adds
    FROM hit
    WINDOW earlier AS (PARTITION BY place, point ORDER BY starts ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
),
summed AS (
    SELECT branch, place, point, customers, starts, adds, count(*) FILTER (WHERE adds) OVER span AS times
    FROM marked
    WINDOW span AS (
        PARTITION BY place, point ORDER BY starts RANGE BETWEEN %(span)s::interval PRECEDING AND CURRENT ROW
    )
),
often AS (
    SELECT branch, place, point, customers, max(times) AS times
    FROM summed JOIN asked USING (branch)
    WHERE adds AND starts >= begins AND starts < over AND customers > 0
    GROUP BY branch, place, point, customers HAVING max(times) >= %(limit)s
)
SELECT often.branch, e.code, e.name, sum(often.customers)::int, max(often.times)
FROM often JOIN grid_gridelement e ON e.id = often.place GROUP BY often.branch, e.id, e.code, e.name
"""  # noqa: S608


@dataclass(frozen=True)
class Often:
    """A transformer area with customers who were off too often by their branch's rule pack."""

    branch_id: int
    code: str
    name: str
    customers: int
    times: int  # the most that one of them had in the pack's window


def hit_twice_of(report: Report) -> dict[int | None, int]:
    """Customers whom more than one window took off: per branch that planned them, and (``None``) altogether.

    Altogether there are more than in the branches where two of them each took the same customers off once.
    """
    asked = {"outages": [x.outage_id for x in report.lines], "branches": [x.branch_id for x in report.lines]}
    with connection.cursor() as db:
        db.execute(_TWICE_SQL, asked)
        return dict(db.fetchall())


def often_off(report: Report) -> list[Often]:
    """Where customers were off too often, whatever the kind of outage, the worst first: one statement a rule pack."""
    by_pack: defaultdict[str, list[Branch]] = defaultdict(list)
    for branch in report.branches:
        by_pack[branch.rule_pack].append(branch)
    found = [
        place for key, branches in by_pack.items() for place in _often(report.asked, branches, standards.pack(key))
    ]
    return sorted(found, key=lambda place: (-place.times, -place.customers, place.code))


def _often(asked: Asked, branches: Sequence[Branch], pack: RulePack) -> list[Often]:
    bounds = [asked.bounds(branch.time_zone) for branch in branches]
    rule = pack.reliability.frequent.value
    span = timedelta(days=rule.days)
    asks: dict[str, Any] = {
        "branches": [branch.pk for branch in branches],
        "begins": [begin for begin, _over in bounds],
        "overs": [over for _begin, over in bounds],
        "since": min(begin for begin, _over in bounds) - span,
        "until": max(over for _begin, over in bounds),
        "span": span,
        "limit": rule.count,
        "momentary": longest_momentary(pack),
        "shortest": timedelta(hours=rule.min_hours),
    }
    with connection.cursor() as db:
        db.execute(_OFTEN_SQL, asks)
        return [Often(*row) for row in db.fetchall()]
