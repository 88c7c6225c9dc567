"""The measurements, in the order in which each leaves behind what the next one needs."""

from __future__ import annotations

import tempfile
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
from django.db import connection, transaction
from django.utils import timezone
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order

from accounts.actor import Actor
from accounts.models import User
from accounts.services import token_create
from benchmarks import cutoffs, load, planned, shedding
from benchmarks.machine import median_of, timed
from benchmarks.report import Result
from grid import topology
from grid.models import GridElement, ServicePoint
from grid.services import grid_generate, import_create, import_run
from notifications import fanout, router
from outages.models import Outage
from outages.services import outage_open, outage_restore

ME = Actor.system("bench")


@dataclass(frozen=True)
class City:
    service_points: int


@dataclass(frozen=True)
class Measurement:
    name: str
    run: Callable[[City], Result]


def city(service_points: int) -> City:
    """The city that all measurements are about; made once."""
    if not GridElement.objects.exists():
        with timed() as watch:
            grid_generate(service_points=service_points, seed=1, prefix="0856", by="bench")
        print(f"  a city of {ServicePoint.objects.count():,} service points made in {watch.seconds:.0f} s", flush=True)
        _sql("VACUUM ANALYZE")
    return City(ServicePoint.objects.count())


def _sql(statement: str, parameters: object = None) -> int:
    with connection.cursor() as db:
        db.execute("SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0")
        db.execute(statement, parameters)  # type: ignore[arg-type]
        return int(db.rowcount)


def _bare(statement: str, parameters: object = None) -> float:
    """Seconds of one statement and its commit."""
    with timed() as watch, transaction.atomic():
        _sql(statement, parameters)
    return watch.seconds


# --- grid import ------------------------------------------------------------------------------------

# the tables as the four files of an import
FILES = {
    "branches": """SELECT b.code, b.name, b.name_en, p.code AS parent, b.area_class, b.time_zone, b.phone
        FROM grid_branch b LEFT JOIN grid_branch p ON p.id = b.parent_id""",
    "elements": """SELECT e.code, e.kind, e.name, b.code AS branch, p.code AS parent,
            (SELECT string_agg(o.code, ' ') FROM grid_gridtie t JOIN grid_gridelement o ON o.id = t.b_id
             WHERE t.a_id = e.id) AS ties,
            e.is_source, e.normally_open, e.lon, e.lat, e.geometry
        FROM grid_gridelement e JOIN grid_branch b ON b.id = e.branch_id
        LEFT JOIN grid_gridelement p ON p.id = e.parent_id""",
    "customers": """SELECT c.account_number, c.name, c.initials, c.customer_class, c.importance, c.language,
            b.code AS branch,
            (SELECT value FROM grid_contactpoint k WHERE k.customer_id = c.id AND k.kind = 'phone' LIMIT 1) AS phone,
            (SELECT value FROM grid_contactpoint k WHERE k.customer_id = c.id AND k.kind = 'email' LIMIT 1) AS email
        FROM grid_customer c JOIN grid_branch b ON b.id = c.branch_id""",
    "service_points": """SELECT s.code, s.meter_number, c.account_number, e.code AS element, s.address, s.lon, s.lat,
            s.contracted_kw, s.average_kw
        FROM grid_servicepoint s JOIN grid_customer c ON c.id = s.customer_id
        JOIN grid_gridelement e ON e.id = s.element_id""",
}
TABLES = ["grid_branch", "grid_gridelement", "grid_gridtie", "grid_customer", "grid_contactpoint", "grid_servicepoint"]


def grid_import(city: City) -> Result:
    """The four files of the whole city into empty tables, against COPY of the same rows into the same tables."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = [folder / f"{table}.csv" for table in FILES]
        for path, query in zip(paths, FILES.values(), strict=True):
            _copy(f"COPY ({query}) TO STDOUT (FORMAT csv, HEADER)", path, "copy_to")
        _empty()
        record = import_create(file_names=[path.name for path in paths], source_format="csv", by="bench")
        with timed() as ours:
            import_run(grid_import=record, paths=paths, apply=True)
        if record.errors:
            raise RuntimeError(f"the import was refused: {record.errors[:3]}")
        dumps = {table: folder / f"{table}.copy" for table in TABLES}
        for table, path in dumps.items():
            _copy(f"COPY {table} TO STDOUT", path, "copy_to")
        _empty()
        with timed() as bare, transaction.atomic():
            for table, path in dumps.items():
                _copy(f"COPY {table} FROM STDIN", path, "copy_from")
    _sql("VACUUM ANALYZE")
    what = f"grid import of {city.service_points:,} service points"
    return Result(
        "grid-import", what, f"{ours.seconds:.1f} s", f"{bare.seconds:.1f} s", ours.seconds / bare.seconds, 2.5, True
    )


def _empty() -> None:
    # the history refuses to be emptied everywhere but here
    _sql("ALTER TABLE outages_outageevent DISABLE TRIGGER outages_event_no_truncate")
    _sql(f"TRUNCATE {', '.join(TABLES)} CASCADE")


def _copy(statement: str, path: Path, direction: str) -> None:
    connection.ensure_connection()
    with connection.cursor() as db:
        db.execute("SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0")
        with path.open("rb" if direction == "copy_from" else "wb") as file:
            db.copy_expert(statement, file)


# --- isolation --------------------------------------------------------------------------------------


def isolation(city: City) -> Result:
    """Whom does an open feeder take along, against one breadth-first search of scipy over the same graph."""
    topology.current_state()  # loaded once per process and revision, as in the site
    feeders = list(GridElement.objects.filter(kind="feeder").order_by("code").values_list("pk", flat=True))
    cases = feeders[:: max(1, len(feeders) // 50)]
    with connection.cursor() as db:
        db.execute("SELECT id, coalesce(parent_id, -1), is_source, is_open FROM grid_gridelement ORDER BY id")
        ids, parents, sources, opened = (np.array(column) for column in zip(*db.fetchall(), strict=True))
        db.execute("SELECT a_id, b_id FROM grid_gridtie")
        ties = np.array(db.fetchall() or np.empty((0, 2)), dtype=np.int64)
    child = np.flatnonzero(parents >= 0)
    a = np.concatenate((child, np.searchsorted(ids, ties[:, 0])))
    b = np.concatenate((np.searchsorted(ids, parents[child]), np.searchsorted(ids, ties[:, 1])))
    root, source = len(ids), np.flatnonzero(sources.astype(bool))

    def bare(case: int) -> float:
        closed = ~opened.astype(bool)
        closed[np.searchsorted(ids, case)] = False
        kept = closed[a] & closed[b]
        ends = np.concatenate((a[kept], source)), np.concatenate((b[kept], np.full(len(source), root)))
        graph = csr_array((np.ones(len(ends[0]), dtype=np.int8), ends), shape=(root + 1, root + 1))
        with timed() as watch:  # the search alone: building the graph is not csgraph's work
            breadth_first_order(graph, root, directed=False, return_predecessors=False)
        return watch.seconds

    def ours(case: int) -> float:
        with timed() as watch:
            topology.isolated_by([case])
        return watch.seconds

    mine, theirs = float(np.median([ours(case) for case in cases])), float(np.median([bare(case) for case in cases]))
    what = f"isolation on {len(a):,} edges (median of {len(cases)} feeders)"
    return Result("isolation", what, f"{mine * 1000:.1f} ms", f"{theirs * 1000:.1f} ms", mine / theirs, 2, True)


# --- outages ----------------------------------------------------------------------------------------

INSERT_ROWS = """
INSERT INTO outages_interruption (outage_id, element_id, actual, customers, critical, load_kw)
SELECT %s, id, tstzrange(now(), NULL), own_customers, own_critical, own_load_kw
FROM grid_gridelement WHERE own_customers > 0
"""
UPDATE_ROWS = """
UPDATE outages_interruption SET actual = tstzrange(lower(actual), now()) WHERE outage_id = %s AND upper_inf(actual)
"""


def _open_all() -> Outage:
    sources = list(GridElement.objects.filter(is_source=True).values_list("pk", flat=True))
    return outage_open(
        kind="fault", action="start", actor=ME, element_ids=sources, started_at=timezone.now() - timedelta(minutes=5)
    )


def _forget(outage: Outage) -> None:
    """Leave nothing behind that the next run would meet."""
    _sql("DELETE FROM outages_interruption WHERE outage_id = %s", [outage.pk])
    _sql("VACUUM ANALYZE outages_interruption")


def _start_seconds() -> float:
    with timed() as watch:
        outage = _open_all()
    _forget(outage)
    return watch.seconds


def _restore_seconds() -> float:
    outage = _open_all()
    with timed() as watch:
        outage_restore(outage_id=outage.pk, actor=ME, restored_at=timezone.now())
    _forget(outage)
    return watch.seconds


def _bare_rows_seconds() -> tuple[float, float]:
    outage = _open_all()
    _forget(outage)
    started = _bare(INSERT_ROWS, [outage.pk])
    restored = _bare(UPDATE_ROWS, [outage.pk])
    _forget(outage)
    return started, restored


def _transformers() -> int:
    return GridElement.objects.filter(own_customers__gt=0).count()


def start(city: City) -> Result:
    """The whole city goes off: record, places, counts, history."""
    mine = median_of(3, _start_seconds)
    bare = median_of(3, lambda: _bare_rows_seconds()[0])
    what = f"start over {_transformers():,} transformers ({city.service_points:,} service points)"
    return Result("start", what, f"{mine:.2f} s", f"{bare:.2f} s", mine / bare, 2, True, "bare: one INSERT..SELECT")


def restore(city: City) -> Result:
    """The whole city comes back."""
    mine = median_of(3, _restore_seconds)
    bare = median_of(3, lambda: _bare_rows_seconds()[1])
    what = f"restore over {_transformers():,} transformers"
    return Result("restore", what, f"{mine:.2f} s", f"{bare:.2f} s", mine / bare, 2, True, "bare: one UPDATE")


# --- messages ---------------------------------------------------------------------------------------


def fan_out(city: City) -> Result:
    """Everybody who is off is to be told, against one INSERT..SELECT of the same rows into the same table."""
    _settle()
    outage = _open_all()
    router.route_events()
    with timed() as ours:
        rows = fanout.fan_out(max_steps=100_000)
    _sql("CREATE TEMPORARY TABLE bench_rows AS SELECT * FROM notifications_delivery")
    _sql("TRUNCATE notifications_delivery")
    bare = _bare("INSERT INTO notifications_delivery SELECT * FROM bench_rows")
    _sql("DROP TABLE bench_rows")
    outage_restore(outage_id=outage.pk, actor=ME, restored_at=timezone.now())
    _settle()
    _forget(outage)
    what = f"fan-out of {rows:,} deliveries"
    return Result("fan-out", what, f"{ours.seconds:.1f} s", f"{bare:.1f} s", ours.seconds / bare, 1.5, True)


def _settle() -> None:
    """Events of other measurements make no messages here."""
    while router.route_events()[0]:
        pass
    _sql("TRUNCATE notifications_delivery, notifications_noticechunk, notifications_notice CASCADE")


# --- the one answer ---------------------------------------------------------------------------------


def supply_status(city: City) -> Result:
    """Why is this caller off: half of the city is, and telephones are drawn from all of it."""
    substations = list(GridElement.objects.filter(is_source=True).order_by("code").values_list("pk", flat=True))
    outage = outage_open(
        kind="fault", action="start", actor=ME, element_ids=substations[: max(1, len(substations) // 2)],
        started_at=timezone.now() - timedelta(minutes=5),
    )  # fmt: skip
    user = User.objects.create(username=f"bench-{timezone.now():%H%M%S%f}", is_service=True)  # a client has few tokens
    _token, key = token_create(actor=ME, user=user, name="bench", scopes=["supply:read"])
    phones = _phones(2_000)
    numbers = [f"/?{urllib.parse.urlencode({'phone': phone})}" for phone in phones]
    with load.served("benchmarks.bare:application", BENCH_BARE="1") as url:
        bare = load.rate(url, numbers, {})
    with load.served("outage_mgmt.asgi:application") as url:
        mine = load.rate(url, [f"/api/v1/supply-status{path}" for path in numbers], {"Authorization": f"Token {key}"})
    outage_restore(outage_id=outage.pk, actor=ME, restored_at=timezone.now())
    what = "supply status by phone over HTTP"
    return Result(
        "supply-status", what, f"{mine:.0f}/s", f"{bare:.0f}/s", mine / bare, 0.5, False, "bare: a view with one SQL"
    )


def _phones(count: int) -> list[str]:
    """Telephones spread over the whole city that belong to one person each."""
    with connection.cursor() as db:
        db.execute(
            """SELECT value FROM grid_contactpoint WHERE kind = 'phone'
               GROUP BY value HAVING count(*) = 1 ORDER BY md5(value) LIMIT %s""",
            [count],
        )
        return [row[0] for row in db.fetchall()]


MEASUREMENTS = [
    Measurement("grid-import", grid_import),
    Measurement("isolation", isolation),
    Measurement("start", start),
    Measurement("restore", restore),
    Measurement("fan-out", fan_out),
    Measurement("supply-status", supply_status),
    Measurement("plan-sheet", lambda city: planned.plan_sheet(city.service_points)),
    Measurement("plan-checks", lambda city: planned.plan_checks(city.service_points)),
    Measurement("schedule", lambda city: planned.schedule(city.service_points)),
    Measurement("grading", lambda city: cutoffs.grading(city.service_points)),
    Measurement("batch", lambda city: cutoffs.batch(city.service_points)),
    Measurement("execution", lambda city: cutoffs.execution(city.service_points)),
    Measurement("reconnect", lambda city: cutoffs.reconnect(city.service_points)),
    Measurement("shedding-proposals", lambda city: shedding.proposing(city.service_points)),
    Measurement("shedding-change", lambda city: shedding.changing(city.service_points)),
    Measurement("shedding-schedule", lambda _city: shedding.expanding()),
]
