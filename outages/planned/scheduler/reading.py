"""A plan as the scheduler sees it, read from the database: the number of statements does not depend on the works."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.db import connection
from django.db.models import QuerySet

import standards
from grid.calendar import days_of
from grid.models import DayKind
from outages.planned import lifecycle
from outages.planned.checks.budget import longest_momentary
from outages.planned.checks.question import ENDS_ONLY, feeders_of
from outages.planned.models import PlannedWork, PlanPeriod, WindowState, WorkClass
from outages.planned.scheduler.problem import DAY, Job, Problem
from outages.planned.spans import Window
from standards.schema import RulePack


def problem_of(period: PlanPeriod, *, at: datetime) -> Problem:
    """The works of a plan that can still be changed, and around them whatever stands already."""
    branch, zone = period.branch, ZoneInfo(period.branch.time_zone)
    pack = standards.pack(branch.rule_pack)
    begins = datetime.combine(period.starts_on, time(0), zone)
    ends = datetime.combine(period.ends_on + DAY, time(0), zone)
    ours = list(period.works.filter(state__in=lifecycle.EDITABLE).order_by("pk"))
    others = list(_standing_beside(period, begins=begins, ends=ends, works=ours))
    ids = [work.pk for work in (*ours, *others)]
    windows, places, feeders = _windows(ids), _places(ids), _feeders(ids)
    foreign = _with_foreign_elements(ours, period)
    jobs = [
        Job(
            key=work.pk,
            reference=work.reference,
            windows=tuple(windows[work.pk]),
            crews=work.crews if work.branch_id == branch.pk else 0,
            places=frozenset(places[work.pk]),
            feeders=frozenset(feeders[work.pk]),
            # the windows of a joint outage over two branches are not one branch's to move
            is_fixed=work.is_fixed or work.pk in foreign,
            is_other=work.period_id != period.pk or work.state not in lifecycle.EDITABLE,
            earliest=_earliest(work, pack, at),
        )
        for work in (*ours, *others)
        if windows[work.pk]
    ]
    customers = {place: count for found in places.values() for place, count in found.items()}
    days = list(days_of(branch, begins.date(), ends.date()).values_list("day", "kind"))
    return Problem(
        zone=zone,
        first=period.starts_on,
        last=period.ends_on,
        capacity=period.crew_capacity,
        jobs=tuple(jobs),
        customers=customers,
        forbidden=frozenset(day for day, kind in days if kind in (DayKind.BLACKOUT, DayKind.EXAM)),
        holidays=frozenset(day for day, kind in days if kind == DayKind.HOLIDAY),
        backups=_backups({feeder for found in feeders.values() for feeder in found}),
        calm_from=_calm_from(customers, pack, zone, begins=begins, at=at),
    )


def _earliest(work: PlannedWork, pack: RulePack, at: datetime) -> datetime:
    """Planned work is announced in time; work that cannot wait has said so."""
    return pack.notice.planned.after(at) if work.work_class == WorkClass.PLANNED else at


_BESIDE_SQL: Final = """
SELECT DISTINCT w.id FROM planned_plannedwork w JOIN planned_workwindow x ON x.work_id = w.id
WHERE w.state = ANY(%(standing)s) AND x.state <> %(cancelled)s AND x.starts_at < %(ends)s AND x.ends_at > %(begins)s
  AND (w.branch_id = %(branch)s
       OR EXISTS (SELECT FROM planned_workplace theirs JOIN planned_workplace mine USING (element_id)
                  WHERE theirs.work_id = w.id AND mine.work_id = ANY(%(works)s))
       OR EXISTS (SELECT FROM planned_plannedwork_elements m JOIN grid_gridelement e ON e.id = m.gridelement_id
                  WHERE m.plannedwork_id = w.id AND e.feeder_id = ANY(%(near)s)))
"""


def _standing_beside(
    period: PlanPeriod, *, begins: datetime, ends: datetime, works: Collection[PlannedWork]
) -> QuerySet[PlannedWork]:
    """What stands already in these days: of the same branch, for the same customers, or on a feeder that backs up."""
    ids = [work.pk for work in works]
    own = {feeder for found in _feeders(ids).values() for feeder in found}
    near = {feeder for pair in _backups(own) for feeder in pair}
    with connection.cursor() as db:
        db.execute(
            _BESIDE_SQL,
            {
                "standing": list(lifecycle.STANDING), "cancelled": WindowState.CANCELLED, "begins": begins,
                "ends": ends, "branch": period.branch_id, "works": ids, "near": list(near),
            },
        )  # fmt: skip
        found = [row[0] for row in db.fetchall()]
    return PlannedWork.objects.filter(pk__in=found).order_by("pk")


def _windows(ids: Collection[int]) -> dict[int, list[Window]]:
    found: defaultdict[int, list[Window]] = defaultdict(list)
    for work_id, starts_at, ends_at in _rows(
        "SELECT work_id, starts_at, ends_at FROM planned_workwindow"
        " WHERE work_id = ANY(%s) AND state <> 'cancelled' ORDER BY starts_at",
        [list(ids)],
    ):
        found[work_id].append((starts_at.astimezone(UTC), ends_at.astimezone(UTC)))
    return found


def _places(ids: Collection[int]) -> dict[int, dict[int, int]]:
    found: defaultdict[int, dict[int, int]] = defaultdict(dict)
    for work_id, element_id, customers in _rows(
        "SELECT work_id, element_id, customers FROM planned_workplace WHERE work_id = ANY(%s)", [list(ids)]
    ):
        found[work_id][element_id] = customers
    return found


_FEEDERS_SQL: Final = f"""
WITH opened AS (
    SELECT m.plannedwork_id AS work, e.kind, e.feeder_id, e.pos, e.last
    FROM planned_plannedwork_elements m JOIN grid_gridelement e ON e.id = m.gridelement_id
    WHERE m.plannedwork_id = ANY(%(works)s)
)
{feeders_of("opened", key="work")}
"""  # noqa: S608 - only our own relations are put in


def _feeders(ids: Collection[int]) -> dict[int, set[int]]:
    found: defaultdict[int, set[int]] = defaultdict(set)
    for work_id, feeder_id in _rows(_FEEDERS_SQL, {"works": list(ids), "ends_only": list(ENDS_ONLY)}):
        found[work_id].add(feeder_id)
    return found


def _backups(feeders: Collection[int]) -> frozenset[frozenset[int]]:
    """The pairs of feeders, at least one of them among these, that a tie joins."""
    rows = _rows(
        "SELECT DISTINCT a.feeder_id, b.feeder_id FROM grid_gridtie t"
        " JOIN grid_gridelement a ON a.id = t.a_id JOIN grid_gridelement b ON b.id = t.b_id"
        " WHERE a.feeder_id <> b.feeder_id AND (a.feeder_id = ANY(%(f)s) OR b.feeder_id = ANY(%(f)s))",
        {"f": list(feeders)},
    )
    return frozenset(frozenset(pair) for pair in rows)


def _with_foreign_elements(works: Collection[PlannedWork], period: PlanPeriod) -> set[int]:
    rows = _rows(
        "SELECT DISTINCT m.plannedwork_id FROM planned_plannedwork_elements m"
        " JOIN grid_gridelement e ON e.id = m.gridelement_id JOIN grid_branch b ON b.id = e.branch_id"
        " WHERE m.plannedwork_id = ANY(%s) AND NOT b.pos BETWEEN %s AND %s",
        [[work.pk for work in works], period.branch.pos, period.branch.last],
    )
    return {work_id for (work_id,) in rows}


# the last time that each area was off before the plan, or will have been by what stands already
_LAST_CUT_SQL: Final = """
SELECT place, max(off_until) FROM (
    SELECT i.element_id AS place, coalesce(upper(i.actual), %(at)s) AS off_until
    FROM outages_interruption i
    WHERE i.element_id = ANY(%(places)s) AND i.actual && tstzrange(%(since)s, %(begins)s)
      AND coalesce(upper(i.actual), %(at)s) - lower(i.actual) > %(momentary)s
    UNION ALL
    SELECT p.element_id, x.ends_at
    FROM planned_workplace p JOIN planned_plannedwork w ON w.id = p.work_id
    JOIN planned_workwindow x ON x.work_id = w.id
    WHERE p.element_id = ANY(%(places)s) AND w.state = ANY(%(standing)s) AND x.state <> 'cancelled'
      AND x.ends_at > %(since)s AND x.ends_at <= %(begins)s
) cut GROUP BY place
"""


def _calm_from(
    places: Iterable[int], pack: RulePack, zone: ZoneInfo, *, begins: datetime, at: datetime
) -> dict[int, date]:
    """Until when another cut would be a repeated one, by the rule pack's span."""
    span = timedelta(days=pack.reliability.frequent.value.days)
    rows = _rows(
        _LAST_CUT_SQL,
        {
            "places": list(places), "at": at, "since": begins - span, "begins": begins,
            "standing": list(lifecycle.STANDING), "momentary": longest_momentary(pack),
        },
    )  # fmt: skip
    return {place: (off_until + span).astimezone(zone).date() for place, off_until in rows}


def _rows(sql: str, parameters: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as db:
        db.execute(sql, parameters)
        rows: list[tuple[Any, ...]] = db.fetchall()
    return rows
