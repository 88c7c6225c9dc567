"""Suspected faults opened and widened many at a time: a storm brings a thousand reports in one request.

The same records as ``outages.services.outage_create`` and ``change_extent`` would write one by one (a test
compares them), in a fixed number of statements. Nothing here changes a status: these records begin as suspected.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection
from django.utils import timezone

import standards
from accounts.actor import Actor
from grid import topology
from grid.models import Branch, ElementKind, GridElement, ServicePoint
from outages import impact
from outages.events import announce_on_commit
from outages.faults.models import Fault, FaultOrigin, FaultState
from outages.kinds import handler_for
from outages.models import Outage, OutageEvent, OutageKind, OutageLevel, OutageStatus
from outages.services import outage_facts


@dataclass(frozen=True)
class Suspicion:
    """What is to be suspected: single premises, or everything on one element."""

    element: GridElement  # with its branch and feeder
    service_point: ServicePoint | None
    note: str

    @property
    def branch(self) -> Branch:
        return self.service_point.branch if self.service_point else self.element.branch


@dataclass(frozen=True)
class Line:
    """One line for the history of one outage, whose row lock the caller holds."""

    outage: Outage
    verb: str
    after: dict[str, Any]
    before: dict[str, Any]
    note: str = ""
    is_public: bool = False


def suspicions_open(*, suspicions: Sequence[Suspicion], actor: Actor) -> list[Outage]:
    """Enter suspected faults into the record, in the order given; inside the caller's transaction."""
    if not suspicions:
        return []
    references = _references([suspicion.branch for suspicion in suspicions])
    outages = Outage.objects.bulk_create([_outage(s, next(references[s.branch.time_zone])) for s in suspicions])
    Fault.objects.bulk_create(
        Fault(
            outage=outage,
            state=FaultState.REPORTED,
            origin=_origin(suspicion),
            element_id=None if suspicion.service_point else suspicion.element.pk,
        )
        for outage, suspicion in zip(outages, suspicions, strict=True)
    )
    pairs = list(zip(outages, suspicions, strict=True))
    _points_add([(outage.pk, s.service_point.pk) for outage, s in pairs if s.service_point])
    _areas_add([(outage, s.element) for outage, s in pairs if s.service_point is None])
    _counts_refresh(outages)
    history_append(
        [Line(outage, "suspect", outage_facts(outage), {}, s.note, outage.is_public) for outage, s in pairs], actor
    )
    return outages


def suspicions_widen(*, widened: Sequence[tuple[Outage, GridElement, str]], actor: Actor) -> None:
    """Turn suspicions of single premises into ones of whole areas; each with the note that says why."""
    if not widened:
        return
    before = [outage_facts(outage) for outage, _element, _note in widened]
    now = timezone.now()
    for outage, element, _note in widened:
        outage.level, outage.place = OutageLevel.LOW_VOLTAGE, str(element)[:200]
        outage.version, outage.updated_at = outage.version + 1, now
    outages = [outage for outage, _element, _note in widened]
    _areas_add([(outage, element) for outage, element, _note in widened])
    with connection.cursor() as db:
        db.execute(
            """
            UPDATE outages_outage o SET level = %s, place = w.place, version = w.version, updated_at = %s
            FROM unnest(%s::bigint[], %s::text[], %s::int[]) AS w(outage, place, version) WHERE o.id = w.outage
            """,
            [
                OutageLevel.LOW_VOLTAGE.value,
                now,
                [outage.pk for outage in outages],
                [outage.place for outage in outages],
                [outage.version for outage in outages],
            ],
        )
        db.execute(
            """
            UPDATE faults_fault f SET element_id = w.element
            FROM unnest(%s::bigint[], %s::bigint[]) AS w(outage, element) WHERE f.outage_id = w.outage
            """,
            [[outage.pk for outage in outages], [element.pk for _outage, element, _note in widened]],
        )
    _counts_refresh(outages)
    lines = []
    for (outage, _element, note), old in zip(widened, before, strict=True):
        new = outage_facts(outage)
        changed = [name for name in {**old, **new} if old.get(name) != new.get(name)]
        after, was = {n: new.get(n) for n in changed}, {n: old.get(n) for n in changed}
        lines.append(Line(outage, "change_extent", after, was, note))
    history_append(lines, actor)


def history_append(lines: Sequence[Line], actor: Actor) -> None:
    """Append one line to each of many histories in one statement, and ring for each on commit."""
    if not lines:
        return
    with connection.cursor() as db:
        db.execute(
            """
            INSERT INTO outages_outageevent (epoch, outage_id, sequence, verb, actor_kind, actor_name, actor_id,
                                             source, before, after, note, is_public)
            SELECT coalesce((SELECT epoch FROM outages_systemstate WHERE id = 1), 1), line.outage,
                   coalesce((SELECT max(sequence) FROM outages_outageevent e WHERE e.outage_id = line.outage), 0) + 1,
                   line.verb, %(kind)s, %(name)s, %(id)s, '', line.before, line.after, line.note, line.is_public
            FROM unnest(%(outages)s::bigint[], %(verbs)s::text[], %(before)s::jsonb[], %(after)s::jsonb[],
                        %(notes)s::text[], %(public)s::boolean[])
                 AS line(outage, verb, before, after, note, is_public)
            RETURNING id, outage_id, sequence
            """,
            {
                "kind": actor.kind,
                "name": actor.name,
                "id": actor.user_id,
                "outages": [line.outage.pk for line in lines],
                "verbs": [line.verb for line in lines],
                "before": [json.dumps(line.before) for line in lines],
                "after": [json.dumps(line.after) for line in lines],
                "notes": [line.note for line in lines],
                "public": [line.is_public for line in lines],
            },
        )
        rung = [OutageEvent(pk=pk, outage_id=outage_id, sequence=n) for pk, outage_id, n in db.fetchall()]
    announce_on_commit(*rung)


# --- parts ------------------------------------------------------------------------------------------


def _outage(suspicion: Suspicion, reference: str) -> Outage:
    point, element, branch = suspicion.service_point, suspicion.element, suspicion.branch
    pack = standards.pack(branch.rule_pack)
    return Outage(
        reference=reference,
        kind=OutageKind.FAULT,
        status=OutageStatus.SUSPECTED,
        level=OutageLevel.SERVICE if point else OutageLevel.LOW_VOLTAGE,
        branch=branch,
        feeder_id=element.feeder_id,
        place=(point.address if point else str(element))[:200],
        rule_pack=f"{pack.name}@{pack.version}",
    )


def _origin(suspicion: Suspicion) -> FaultOrigin:
    is_low = suspicion.service_point is not None or suspicion.element.kind == ElementKind.LV_CIRCUIT
    return FaultOrigin.LOW_VOLTAGE if is_low else FaultOrigin.DISTRIBUTION


def _references(branches: Sequence[Branch]) -> dict[str, Iterator[str]]:
    """As many running numbers as are needed, in one statement per year; by the branch's time zone."""
    now = timezone.now()
    year_of = {zone: now.astimezone(ZoneInfo(zone)).year for zone in {branch.time_zone for branch in branches}}
    wanted: dict[int, int] = defaultdict(int)
    for branch in branches:
        wanted[year_of[branch.time_zone]] += 1
    prefix = handler_for(OutageKind.FAULT).prefix
    numbers: dict[int, Iterator[str]] = {}
    for year, count in sorted(wanted.items()):
        with connection.cursor() as db:
            db.execute(
                """
                INSERT INTO outages_outagenumber (prefix, year, number) VALUES (%(prefix)s, %(year)s, %(count)s)
                ON CONFLICT (prefix, year) DO UPDATE SET number = outages_outagenumber.number + %(count)s
                RETURNING number
                """,
                {"prefix": prefix, "year": year, "count": count},
            )
            newest = db.fetchone()[0]
        numbers[year] = (f"{prefix}-{year}-{number:06d}" for number in range(newest - count + 1, newest + 1))
    return {zone: numbers[year] for zone, year in year_of.items()}


def _points_add(pairs: Sequence[tuple[int, int]]) -> None:
    if not pairs:
        return
    with connection.cursor() as db:
        db.execute(
            """
            INSERT INTO outages_interruption (outage_id, service_point_id, customers, critical, load_kw)
            SELECT p.outage, s.id, 1, (c.importance <> 'normal')::int, s.average_kw
            FROM unnest(%s::bigint[], %s::bigint[]) AS p(outage, point)
            JOIN grid_servicepoint s ON s.id = p.point JOIN grid_customer c ON c.id = s.customer_id
            """,
            [[outage for outage, _point in pairs], [point for _outage, point in pairs]],
        )


def _areas_add(pairs: Sequence[tuple[Outage, GridElement]]) -> None:
    """What hangs below each element and would be off with it, as rows of its outage."""
    if not pairs:
        return
    through = Outage.elements.through
    through.objects.bulk_create(
        [through(outage_id=outage.pk, gridelement_id=element.pk) for outage, element in pairs], ignore_conflicts=True
    )
    isolated = topology.isolated_by([element.pk for _outage, element in pairs])
    with connection.cursor() as db:
        db.execute(
            """
            INSERT INTO outages_interruption (outage_id, element_id, customers, critical, load_kw)
            SELECT area.outage, e.id, e.own_customers, e.own_critical, e.own_load_kw
            FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[]) AS area(outage, pos, last)
            JOIN grid_gridelement e ON e.pos BETWEEN area.pos AND area.last
            WHERE e.id = ANY(%s) AND e.own_customers > 0
            ON CONFLICT DO NOTHING
            """,
            [
                [outage.pk for outage, _element in pairs],
                [element.pos for _outage, element in pairs],
                [element.last for _outage, element in pairs],
                isolated,
            ],
        )


def _counts_refresh(outages: Sequence[Outage]) -> None:
    """Make the kept counts of all these say what their rows say."""
    by_id = {outage.pk: outage for outage in outages}
    counts = impact.COUNTS_SQL.format(where="outage_id = ANY(%(outages)s)")
    with connection.cursor() as db:
        db.execute(
            f"""
            UPDATE outages_outage o
            SET customers_affected = c.customers_affected, customers_out = c.customers_out,
                critical_out = c.critical_out, load_kw = c.load_kw
            FROM ({counts}) c WHERE o.id = c.outage_id
            RETURNING o.id, o.customers_affected, o.customers_out, o.critical_out, o.load_kw
            """,  # noqa: S608 - a statement of ours
            {"outages": list(by_id)},
        )
        for pk, affected, out, critical, load in db.fetchall():
            outage = by_id[pk]
            outage.customers_affected, outage.customers_out = affected, out
            outage.critical_out, outage.load_kw = critical, load
