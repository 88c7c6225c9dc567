"""Where an outage reaches: its interruption rows, always written set by set, never one by one."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.contrib.postgres.fields import DateTimeRangeField
from django.db import connection
from django.db.models import DateTimeField, Func, Value
from django.utils.translation import gettext_lazy as _

from outages.models import Interruption, Outage
from standards.errors import DomainError


class Lower(Func):
    function = "lower"
    output_field = DateTimeField()


class TstzRange(Func):
    function = "tstzrange"
    output_field = DateTimeRangeField()


class BadTime(DomainError):
    code = "bad_time"
    message = _("The time is not possible.")


def rows_add(
    outage: Outage,
    *,
    element_ids: Collection[int],
    service_point_ids: Collection[int],
    off_since: datetime | None = None,
) -> None:
    """One row per place, carrying what hangs there now: announced or suspected, or off since ``off_since``."""
    window = {"start": outage.planned_start, "end": outage.planned_end, "off": off_since, "outage": outage.pk}
    times = """CASE WHEN %(start)s::timestamptz IS NULL THEN NULL ELSE tstzrange(%(start)s, %(end)s) END,
               CASE WHEN %(off)s::timestamptz IS NULL THEN NULL ELSE tstzrange(%(off)s, NULL) END"""
    with connection.cursor() as db:
        db.execute(
            f"""
            INSERT INTO outages_interruption (outage_id, element_id, planned, actual, customers, critical, load_kw)
            SELECT %(outage)s, id, {times}, own_customers, own_critical, own_load_kw
            FROM grid_gridelement WHERE id = ANY(%(places)s) AND own_customers > 0
            ON CONFLICT DO NOTHING
            """,  # noqa: S608 - only our own expression is put in
            {**window, "places": list(element_ids)},
        )
        if not service_point_ids:
            return
        db.execute(
            f"""
            INSERT INTO outages_interruption
                (outage_id, service_point_id, planned, actual, customers, critical, load_kw)
            SELECT %(outage)s, s.id, {times}, 1, (c.importance <> 'normal')::int, s.average_kw
            FROM grid_servicepoint s JOIN grid_customer c ON c.id = s.customer_id WHERE s.id = ANY(%(places)s)
            ON CONFLICT DO NOTHING
            """,  # noqa: S608
            {**window, "places": list(service_point_ids)},
        )


def rows_start(outage: Outage, *, at: datetime) -> None:
    """Everything announced or suspected is off since ``at``."""
    Interruption.objects.filter(outage=outage, actual__isnull=True).update(actual=(at, None))


def rows_end(
    outage: Outage,
    *,
    at: datetime,
    element_ids: Collection[int] | None = None,
    service_point_ids: Collection[int] | None = None,
) -> int:
    """Supply is back at ``at`` for these places, or for all; returns how many rows ended."""
    rows = Interruption.objects.filter(outage=outage, actual__isnull=False, actual__endswith__isnull=True)
    if element_ids is not None:
        rows = rows.filter(element_id__in=element_ids)
    if service_point_ids is not None:
        rows = rows.filter(service_point_id__in=service_point_ids)
    if rows.filter(actual__startswith__gte=at).exists():
        raise BadTime(_("Supply cannot be back before it went off."), field="at")
    return rows.update(actual=TstzRange(Lower("actual"), Value(at)))


def rows_split(outage: Outage, service_point_ids: Collection[int]) -> None:
    """Where one customer of a transformer area comes back alone, the area's row becomes one row per customer."""
    with connection.cursor() as db:
        db.execute(
            """
            WITH area AS (
                DELETE FROM outages_interruption i
                WHERE i.outage_id = %s AND i.actual IS NOT NULL AND upper(i.actual) IS NULL
                  AND i.element_id IN (SELECT element_id FROM grid_servicepoint WHERE id = ANY(%s))
                RETURNING i.outage_id, i.element_id, i.planned, i.actual
            )
            INSERT INTO outages_interruption
                (outage_id, service_point_id, planned, actual, customers, critical, load_kw)
            SELECT area.outage_id, s.id, area.planned, area.actual, 1, (c.importance <> 'normal')::int, s.average_kw
            FROM area JOIN grid_servicepoint s ON s.element_id = area.element_id
            JOIN grid_customer c ON c.id = s.customer_id
            ON CONFLICT DO NOTHING
            """,
            [outage.pk, list(service_point_ids)],
        )


def rows_repeat(outage: Outage, *, ended_at: datetime | None, at: datetime) -> None:
    """A place that was back and goes off again counts again: new rows for what came back last, the old ones stay."""
    with connection.cursor() as db:
        db.execute(
            """
            INSERT INTO outages_interruption
                (outage_id, element_id, service_point_id, actual, customers, critical, load_kw)
            SELECT outage_id, element_id, service_point_id, tstzrange(%s, NULL), customers, critical, load_kw
            FROM outages_interruption WHERE outage_id = %s AND upper(actual) = %s
            ON CONFLICT DO NOTHING
            """,
            [at, outage.pk, ended_at],
        )


def rows_disclaim(outage: Outage) -> None:
    """What was claimed in error stays readable as planned; nothing of it counts as having been off."""
    with connection.cursor() as db:
        db.execute(
            """
            DELETE FROM outages_interruption i USING outages_interruption newer
            WHERE i.outage_id = %(outage)s AND newer.outage_id = %(outage)s AND newer.id > i.id
              AND newer.element_id IS NOT DISTINCT FROM i.element_id
              AND newer.service_point_id IS NOT DISTINCT FROM i.service_point_id
            """,
            {"outage": outage.pk},
        )
        db.execute(
            """
            UPDATE outages_interruption
            SET planned = coalesce(planned, tstzrange(lower(actual), coalesce(
                    upper(actual), greatest(now(), lower(actual) + interval '1 s')))),
                actual = NULL
            WHERE outage_id = %(outage)s AND actual IS NOT NULL
            """,
            {"outage": outage.pk},
        )


def rows_hand_over(*, loser: Outage, survivor: Outage) -> None:
    """Every place of ``loser`` is now told by ``survivor``; a place in both is off since the earlier of the two."""
    pair = {"survivor": survivor.pk, "loser": loser.pk}
    same_place = """s.outage_id = %(survivor)s AND l.outage_id = %(loser)s
              AND s.element_id IS NOT DISTINCT FROM l.element_id
              AND s.service_point_id IS NOT DISTINCT FROM l.service_point_id"""
    with connection.cursor() as db:
        db.execute(
            f"""
            UPDATE outages_interruption s
            SET actual = tstzrange(least(lower(s.actual), lower(l.actual)), NULL)
            FROM outages_interruption l
            WHERE {same_place} AND upper(s.actual) IS NULL AND upper(l.actual) IS NULL AND l.actual IS NOT NULL
            """,  # noqa: S608
            pair,
        )
        db.execute(
            f"""
            DELETE FROM outages_interruption l USING outages_interruption s
            WHERE {same_place} AND (upper(s.actual) IS NULL OR s.actual && l.actual)
            """,  # noqa: S608
            pair,
        )
        db.execute("UPDATE outages_interruption SET outage_id = %(survivor)s WHERE outage_id = %(loser)s", pair)


def places_below(outage: Outage, element_ids: Collection[int]) -> set[int]:
    """The elements of this outage's open rows that hang below ``element_ids``."""
    if not element_ids:
        return set()
    with connection.cursor() as db:
        db.execute(
            """
            SELECT DISTINCT i.element_id
            FROM grid_gridelement top
            JOIN grid_gridelement e ON e.pos BETWEEN top.pos AND top.last
            JOIN outages_interruption i ON i.element_id = e.id
            WHERE top.id = ANY(%s) AND i.outage_id = %s AND i.actual IS NOT NULL AND upper(i.actual) IS NULL
            """,
            [list(element_ids), outage.pk],
        )
        return {row[0] for row in db.fetchall()}


def places_off(outage: Outage) -> set[tuple[int | None, int | None]]:
    """(element, service point) of every place that is off now."""
    open_rows = Interruption.objects.filter(outage=outage, actual__isnull=False, actual__endswith__isnull=True)
    return set(open_rows.values_list("element_id", "service_point_id"))
