"""What an outage takes away: who would be off, and the figures kept about who is."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from django.db import connection

from grid import topology
from grid.models import Customer, Importance


@dataclass(frozen=True)
class Impact:
    """What opening some elements would take away. Customers are service points (户)."""

    element_ids: tuple[int, ...]  # every element without supply
    places: int  # transformer areas with customers
    customers: int
    critical: int
    load_kw: float
    already_off: int  # of these customers, how many are off already for another reason
    transfers: tuple[topology.TransferOption, ...]


_PREVIEW_SQL = """
WITH place AS (
    SELECT id, own_customers, own_critical, own_load_kw FROM grid_gridelement
    WHERE id = ANY(%(ids)s) AND own_customers > 0
), off AS (
    SELECT DISTINCT i.element_id FROM outages_interruption i
    WHERE i.element_id = ANY(%(ids)s) AND i.actual IS NOT NULL AND upper(i.actual) IS NULL
)
SELECT count(*), coalesce(sum(own_customers), 0), coalesce(sum(own_critical), 0), coalesce(sum(own_load_kw), 0),
       coalesce(sum(own_customers) FILTER (WHERE id IN (SELECT element_id FROM off)), 0)
FROM place
"""


def preview(element_ids: Collection[int]) -> Impact:
    """Who would be off if these elements were opened or failed now."""
    isolated = topology.isolated_by(element_ids)
    with connection.cursor() as db:
        db.execute(_PREVIEW_SQL, {"ids": isolated})
        places, customers, critical, load_kw, already_off = db.fetchone()
    return Impact(
        element_ids=tuple(isolated),
        places=places,
        customers=customers,
        critical=critical,
        load_kw=load_kw,
        already_off=already_off,
        transfers=tuple(topology.transfer_options(element_ids)),
    )


def important_customers(element_ids: Collection[int], *, limit: int = 50) -> list[Customer]:
    """The important and life-support customers on these elements, the most vulnerable first."""
    return list(
        Customer.objects.filter(service_points__element_id__in=list(element_ids))
        .exclude(importance=Importance.NORMAL)
        .distinct()
        .order_by("-importance", "account_number")[:limit]
    )


# One statement says what the rows say: a place counts once however many rows it has, and a single service
# point does not count beside the transformer that already includes it.
COUNTS_SQL = """
WITH row AS (
    SELECT outage_id, element_id, service_point_id, customers, critical, load_kw,
           (actual IS NOT NULL AND upper(actual) IS NULL) AS off
    FROM outages_interruption WHERE {where}
), el AS (
    SELECT outage_id, element_id, max(customers) AS customers,
           max(customers) FILTER (WHERE off) AS out, max(critical) FILTER (WHERE off) AS critical_out,
           max(load_kw) FILTER (WHERE off) AS kw_out
    FROM row WHERE element_id IS NOT NULL GROUP BY outage_id, element_id
), sp AS (
    SELECT r.outage_id, s.element_id, r.service_point_id, max(r.customers) AS customers,
           max(r.customers) FILTER (WHERE off) AS out, max(r.critical) FILTER (WHERE off) AS critical_out,
           max(r.load_kw) FILTER (WHERE off) AS kw_out
    FROM row r JOIN grid_servicepoint s ON s.id = r.service_point_id
    GROUP BY r.outage_id, s.element_id, r.service_point_id
), place AS (
    SELECT outage_id, customers, out, critical_out, kw_out FROM el
    UNION ALL
    SELECT sp.outage_id, CASE WHEN el.element_id IS NULL THEN sp.customers END,
           CASE WHEN el.out IS NULL THEN sp.out END,
           CASE WHEN el.out IS NULL THEN sp.critical_out END,
           CASE WHEN el.out IS NULL THEN sp.kw_out END
    FROM sp LEFT JOIN el ON el.outage_id = sp.outage_id AND el.element_id = sp.element_id
)
SELECT outage_id, coalesce(sum(customers), 0)::int AS customers_affected, coalesce(sum(out), 0)::int AS customers_out,
       coalesce(sum(critical_out), 0)::int AS critical_out, coalesce(sum(kw_out), 0)::float8 AS load_kw
FROM place GROUP BY outage_id
"""

TOTALS_SQL = """
WITH off AS (
    SELECT i.element_id, i.service_point_id, i.customers, i.critical
    FROM outages_interruption i JOIN outages_outage o ON o.id = i.outage_id
    WHERE i.actual IS NOT NULL AND upper(i.actual) IS NULL AND o.id = ANY(%(outages)s)
), el AS (
    SELECT element_id, max(customers) AS customers, max(critical) AS critical
    FROM off WHERE element_id IS NOT NULL GROUP BY element_id
), sp AS (
    SELECT off.service_point_id, max(off.customers) AS customers, max(off.critical) AS critical
    FROM off JOIN grid_servicepoint s ON s.id = off.service_point_id
    WHERE NOT EXISTS (SELECT FROM el WHERE el.element_id = s.element_id)
    GROUP BY off.service_point_id
)
SELECT coalesce(sum(customers), 0)::int, coalesce(sum(critical), 0)::int
FROM (SELECT customers, critical FROM el UNION ALL SELECT customers, critical FROM sp) place
"""


def customers_off(outage_ids: Collection[int]) -> tuple[int, int]:
    """(customers, critical customers) off now in these outages together, nobody counted twice."""
    with connection.cursor() as db:
        db.execute(TOTALS_SQL, {"outages": list(outage_ids)})
        customers, critical = db.fetchone()
    return customers, critical


def counts_by_rows(outage_id: int | None = None) -> dict[int, dict[str, Any]]:
    """What the interruptions say about one outage, or about all of them."""
    where = "outage_id = %(outage)s" if outage_id is not None else "true"
    with connection.cursor() as db:
        db.execute(COUNTS_SQL.format(where=where), {"outage": outage_id})
        return {
            row[0]: {"customers_affected": row[1], "customers_out": row[2], "critical_out": row[3], "load_kw": row[4]}
            for row in db.fetchall()
        }


def customer_minutes(outage_id: int) -> float:
    """Customer-minutes without supply so far: the sum over rows of customers times minutes off."""
    with connection.cursor() as db:
        db.execute(
            """
            SELECT coalesce(sum(customers * extract(epoch FROM coalesce(upper(actual), now()) - lower(actual)) / 60), 0)
            FROM outages_interruption WHERE outage_id = %s AND actual IS NOT NULL
            """,
            [outage_id],
        )
        return float(db.fetchone()[0])
