"""The interruption budget: who would be off too often, all four kinds of outage and what is planned taken together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.utils.translation import ngettext_lazy

from outages.planned.checks.question import ASKED, RIVALS, Question, array, pack_of
from outages.planned.findings import Finding, Weight
from outages.templatetags.pages import grouped
from standards.schema import RulePack

# Who is counted: a transformer area as a whole, and beside it each service point that has rows of its own (cut off for
# a debt, restored alone); those follow what happens to their area as well.
# What is counted: a row that is not momentary, a window that stands, and the work's own windows. What overlaps is one
# interruption (``domain.md`` 6): an event adds one where nothing before it lasts until its start.
# When: in the worst span of so many days that holds one of the work's own windows, with and without the work.
_FREQUENT_SQL: Final = f"""
WITH {ASKED}, {RIVALS},
of_pack AS (SELECT * FROM asked_place WHERE n = ANY(%(about)s::int[])),
spot AS (SELECT DISTINCT place FROM of_pack),
past AS (
    SELECT i.element_id AS place, NULL::bigint AS point, i.outage_id, i.actual
    FROM spot JOIN outages_interruption i ON i.element_id = spot.place
    WHERE i.actual && tstzrange(%(since)s, %(until)s)
    UNION ALL
    SELECT s.element_id, s.id, i.outage_id, i.actual
    FROM outages_interruption i JOIN grid_servicepoint s ON s.id = i.service_point_id
    JOIN spot ON spot.place = s.element_id
    WHERE i.service_point_id IS NOT NULL AND i.actual && tstzrange(%(since)s, %(until)s)
),
counted_past AS MATERIALIZED (
    SELECT p.place, p.point, p.outage_id, lower(p.actual) AS starts,
           CASE WHEN upper(p.actual) IS NOT NULL THEN upper(p.actual)
                WHEN coalesce(o.etr, o.planned_end) > %(at)s THEN coalesce(o.etr, o.planned_end)
                ELSE %(unknown_until)s END AS ends
    FROM past p JOIN outages_outage o ON o.id = p.outage_id
    WHERE upper(p.actual) IS NULL
       OR (upper(p.actual) - lower(p.actual) > %(momentary)s AND upper(p.actual) - lower(p.actual) >= %(shortest)s)
),
unit AS MATERIALIZED (
    SELECT place, point, 1 AS customers FROM counted_past WHERE point IS NOT NULL GROUP BY place, point
    UNION ALL
    SELECT e.id, NULL, e.own_customers - coalesce(single.points, 0)
    FROM spot JOIN grid_gridelement e ON e.id = spot.place
    LEFT JOIN (SELECT place, count(DISTINCT point)::int AS points FROM counted_past GROUP BY place) single
      ON single.place = e.id
),
own_outage AS (
    SELECT apart.n, x.outage_id FROM apart JOIN planned_workwindow x ON x.work_id = apart.key
    WHERE x.outage_id IS NOT NULL
),
standing AS (
    SELECT key, place, starts, ends FROM rival_place JOIN rival_window USING (key)
    WHERE ends - starts > %(momentary)s AND ends - starts >= %(shortest)s
),
event AS (
    SELECT p.n, u.place, u.point, u.customers, r.starts, r.ends, false AS own
    FROM of_pack p JOIN unit u USING (place)
    JOIN counted_past r ON r.place = u.place AND (r.point IS NULL OR r.point = u.point)
    WHERE NOT EXISTS (SELECT FROM own_outage o WHERE o.n = p.n AND o.outage_id = r.outage_id)
    UNION ALL
    SELECT p.n, u.place, u.point, u.customers, s.starts, s.ends, false
    FROM of_pack p JOIN unit u USING (place) JOIN standing s USING (place)
    WHERE NOT EXISTS (SELECT FROM apart WHERE apart.n = p.n AND apart.key = s.key)
    UNION ALL
    SELECT p.n, u.place, u.point, u.customers, w.starts, w.ends, true
    FROM of_pack p JOIN unit u USING (place) JOIN asked_window w USING (n)
    WHERE w.ends - w.starts > %(momentary)s AND w.ends - w.starts >= %(shortest)s
),
marked AS (
    SELECT n, place, point, customers, starts, own,
           starts > coalesce(max(ends) OVER earlier, '-infinity') AS adds,
           NOT own AND starts > coalesce(max(ends) FILTER (WHERE NOT own) OVER earlier, '-infinity') AS adds_without
    FROM event
    WINDOW earlier AS (
        PARTITION BY n, place, point ORDER BY starts, own ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    )
),
summed AS (
    SELECT n, place, point, customers, count(*) FILTER (WHERE own) OVER span AS windows,
           count(*) FILTER (WHERE adds) OVER span AS outages,
           count(*) FILTER (WHERE adds_without) OVER span AS outages_without
    FROM marked
    WINDOW span AS (
        PARTITION BY n, place, point ORDER BY starts RANGE BETWEEN %(span)s::interval PRECEDING AND CURRENT ROW
    )
),
worst AS (
    SELECT n, customers, max(outages) AS outages, max(outages_without) AS outages_without
    FROM summed WHERE windows > 0 GROUP BY n, place, point, customers
)
SELECT n, coalesce(sum(customers) FILTER (WHERE outages >= %(limit)s AND outages_without < %(limit)s), 0)::int,
       coalesce(sum(customers) FILTER (WHERE outages_without >= %(limit)s AND outages > outages_without), 0)::int
FROM worst GROUP BY n ORDER BY n
"""  # noqa: S608 - only our own relations are put in


@dataclass(frozen=True)
class Crossing:
    """How many customers a work brings to the line, and to how many beyond it it adds another outage."""

    reach: int
    beyond: int


def frequent(question: Question) -> Iterator[tuple[int, Finding]]:
    """Customers who would have their third outage in sixty days, or whatever the rule pack calls too often."""
    for number, crossing in crossings(question).items():
        if crossing.reach or crossing.beyond:
            yield number, _frequent(crossing, pack_of(question.by_number[number]))


def crossings(question: Question) -> dict[int, Crossing]:
    """For each work the customers who are off too often with it: one statement for each rule pack in question."""
    by_pack: defaultdict[str, list[int]] = defaultdict(list)
    for subject in question.subjects:
        by_pack[subject.rule_pack].append(subject.number)
    found: dict[int, Crossing] = {}
    for numbers in by_pack.values():
        found.update(_crossings(question, numbers, pack_of(question.by_number[numbers[0]])))
    return found


def _crossings(question: Question, numbers: list[int], pack: RulePack) -> dict[int, Crossing]:
    rule = pack.reliability.frequent.value
    span = timedelta(days=rule.days)
    rows = question.rows(
        _FREQUENT_SQL,
        margin=span,
        about=array(numbers),
        span=span,
        limit=rule.count,
        momentary=longest_momentary(pack),
        shortest=timedelta(hours=rule.min_hours),
    )
    return {number: Crossing(reach, beyond) for number, reach, beyond in rows}


def longest_momentary(pack: RulePack) -> timedelta:
    """The longest time that still is momentary, to the clock's own step."""
    limit = timedelta(minutes=pack.reliability.momentary.value)
    return limit if pack.is_momentary(limit) else limit - timedelta.resolution


def _frequent(crossing: Crossing, pack: RulePack) -> Finding:
    rule = pack.reliability.frequent
    if not crossing.reach:
        text = ngettext_lazy(
            "%(beyond)s customer already has %(count)s outages or more in %(days)s days and would have another.",
            "%(beyond)s customers already have %(count)s outages or more in %(days)s days and would have another.",
            crossing.beyond,
        )
    elif not crossing.beyond:
        text = ngettext_lazy(
            "%(customers)s customer would have outage no. %(count)s in %(days)s days: choose a calmer day.",
            "%(customers)s customers would have outage no. %(count)s in %(days)s days: choose a calmer day.",
            crossing.reach,
        )
    else:
        text = ngettext_lazy(
            "%(customers)s customer would have outage no. %(count)s in %(days)s days, %(beyond)s already have as many:"
            " choose a calmer day.",
            "%(customers)s customers would have outage no. %(count)s in %(days)s days, %(beyond)s already have as many:"
            " choose a calmer day.",
            crossing.reach,
        )
    return Finding(
        code="frequent",
        weight=Weight.ASKS,
        text=text,
        params={
            "customers": grouped(crossing.reach),
            "beyond": grouped(crossing.beyond),
            "count": rule.value.count,
            "days": rule.value.days,
        },
        rule_path="reliability.frequent",
        rule=rule,
        customers=crossing.reach + crossing.beyond,
    )
