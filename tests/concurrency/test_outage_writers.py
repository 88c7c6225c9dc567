"""Real threads on a real PostgreSQL: one event for each allowed transition, nothing lost, nothing skipped."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from accounts.actor import Actor
from outages.events import Cursor, event_append, events_after
from outages.faults import services
from outages.faults.models import Crew, CrewAssignment, TroubleReport
from outages.faults.services import ReportRequest
from outages.lifecycle import IllegalTransition
from outages.models import Interruption, Outage, OutageEvent
from outages.services import NothingOff, outage_note, outage_reopen, outage_void
from standards.errors import Conflict, DomainError
from tests.factories import accounts
from tests.factories.grid import SmallCity

pytestmark = [pytest.mark.concurrency, pytest.mark.django_db(transaction=True)]

WRITERS = 8


def together(*acts: Callable[[], Any]) -> list[Any]:
    """Let every act start at the same moment in a thread of its own; its result, or what it raised."""
    start = threading.Barrier(len(acts))

    def run(act: Callable[[], Any]) -> Any:
        try:
            connection.ensure_connection()
            start.wait(timeout=20)
            return act()
        except DomainError as refusal:
            return refusal
        finally:
            connection.close()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(run, acts))


@pytest.fixture
def asha(city: SmallCity) -> Actor:
    return accounts.actor_of(accounts.asha(city.bureau))


@pytest.fixture
def now() -> datetime:
    return timezone.now()


@pytest.fixture
def fault(city: SmallCity, asha: Actor, now: datetime) -> Outage:
    return services.fault_log(actor=asha, element_ids=city.ids("L11"), started_at=now - timedelta(hours=1))


@pytest.fixture
def suspicion(city: SmallCity, asha: Actor) -> Outage:
    return services.fault_log(actor=asha, element_ids=city.ids("L11"), is_confirmed=False)


def refusals(results: list[Any]) -> list[type[DomainError]]:
    return [type(result) for result in results if isinstance(result, DomainError)]


def history(outage: Outage) -> list[str]:
    events = list(OutageEvent.objects.filter(outage=outage).order_by("sequence"))
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    return [event.verb for event in events]


# --- eight writers on one outage --------------------------------------------------------------------


def test_a_suspicion_is_confirmed_once(suspicion: Outage, asha: Actor, now: datetime) -> None:
    def confirm() -> Outage:
        return services.fault_confirm(outage_id=suspicion.pk, actor=asha, started_at=now)

    results = together(*[confirm] * WRITERS)

    assert refusals(results) == [IllegalTransition] * (WRITERS - 1)
    assert history(suspicion) == ["suspect", "start"]


def test_a_suspicion_is_either_confirmed_or_dismissed(suspicion: Outage, asha: Actor, now: datetime) -> None:
    def confirm() -> Outage:
        return services.fault_confirm(outage_id=suspicion.pk, actor=asha, started_at=now)

    def dismiss() -> Outage:
        return services.fault_dismiss(outage_id=suspicion.pk, actor=asha, reason="in the house")

    results = together(*[confirm, dismiss] * (WRITERS // 2))

    assert refusals(results) == [IllegalTransition] * (WRITERS - 1)
    suspicion.refresh_from_db()
    assert history(suspicion) == ["suspect", {"active": "start", "cancelled": "cancel"}[suspicion.status]]


def test_an_outage_is_restored_once(fault: Outage, asha: Actor, now: datetime) -> None:
    def restore() -> Outage:
        return services.fault_restore(outage_id=fault.pk, actor=asha, restored_at=now)

    results = together(*[restore] * WRITERS)

    assert refusals(results) == [IllegalTransition] * (WRITERS - 1)
    assert history(fault) == ["start", "restore"]
    assert Interruption.objects.filter(outage=fault, actual__endswith=now).count() == 2


def test_a_part_comes_back_once(fault: Outage, city: SmallCity, asha: Actor, now: datetime) -> None:
    def restore_part() -> Outage:
        return services.fault_restore_part(outage_id=fault.pk, actor=asha, at=now, element_ids=city.ids("T12"))

    results = together(*[restore_part] * WRITERS)

    assert refusals(results) == [NothingOff] * (WRITERS - 1)
    assert history(fault) == ["start", "restore_part"]


def test_two_parts_at_once_restore_the_whole(fault: Outage, city: SmallCity, asha: Actor, now: datetime) -> None:
    def restore_part(name: str) -> Callable[[], Outage]:
        return lambda: services.fault_restore_part(outage_id=fault.pk, actor=asha, at=now, element_ids=city.ids(name))

    assert refusals(together(restore_part("T11"), restore_part("T12"))) == []

    fault.refresh_from_db()
    assert (fault.status, fault.customers_out) == ("restored", 0)
    assert history(fault) == ["start", "restore_part", "restore"]


def test_an_outage_is_closed_once(fault: Outage, asha: Actor, now: datetime) -> None:
    services.fault_restore(outage_id=fault.pk, actor=asha, restored_at=now)

    def close() -> Outage:
        return services.fault_close(
            outage_id=fault.pk, actor=asha, cause_class="weather", cause_code="wind", equipment_code="pole",
            remedy_code="replaced",
        )  # fmt: skip

    results = together(*[close] * WRITERS)

    assert refusals(results) == [IllegalTransition] * (WRITERS - 1)
    assert history(fault) == ["start", "restore", "close", "findings"]


def test_an_outage_is_opened_again_once(fault: Outage, asha: Actor, now: datetime) -> None:
    services.fault_restore(outage_id=fault.pk, actor=asha, restored_at=now)

    def reopen() -> Outage:
        return outage_reopen(outage_id=fault.pk, actor=asha, reason="off again")

    results = together(*[reopen] * WRITERS)

    assert refusals(results) == [IllegalTransition] * (WRITERS - 1)
    assert history(fault) == ["start", "restore", "reopen"]
    fault.refresh_from_db()
    assert fault.customers_out == 3


def test_an_outage_is_voided_once(fault: Outage, asha: Actor) -> None:
    def void() -> Outage:
        return outage_void(outage_id=fault.pk, actor=asha, reason="typed twice")

    results = together(*[void] * WRITERS)

    assert refusals(results) == [IllegalTransition] * (WRITERS - 1)
    assert history(fault) == ["start", "void"]


def test_no_estimate_and_no_note_is_lost(fault: Outage, asha: Actor, now: datetime) -> None:
    def estimate(i: int) -> Callable[[], Any]:
        return lambda: services.fault_set_etr(outage_id=fault.pk, actor=asha, etr=now + timedelta(hours=i + 1))

    def note(i: int) -> Callable[[], Any]:
        return lambda: outage_note(outage_id=fault.pk, actor=asha, text=f"note {i}")

    results = together(*[estimate(i) for i in range(WRITERS)], *[note(i) for i in range(WRITERS)])

    assert refusals(results) == []
    assert sorted(history(fault)) == ["note"] * WRITERS + ["set_etr"] * WRITERS + ["start"]
    fault.refresh_from_db()
    assert (fault.version, fault.etr_changes) == (1 + WRITERS, WRITERS - 1)


def test_of_two_dispatchers_on_one_version_one_is_told(fault: Outage, asha: Actor, now: datetime) -> None:
    def estimate(i: int) -> Callable[[], Any]:
        return lambda: services.fault_set_etr(
            outage_id=fault.pk, actor=asha, etr=now + timedelta(hours=i), expected_version=fault.version
        )

    results = together(estimate(1), estimate(2))

    assert refusals(results) == [Conflict]
    assert history(fault) == ["start", "set_etr"]


def test_two_dispatchers_send_the_same_crew_once(fault: Outage, city: SmallCity, asha: Actor) -> None:
    crew = Crew.objects.create(code="C12", name="李工", branch=city.east)

    def assign() -> Any:
        return services.crew_assign(outage_id=fault.pk, crew_id=crew.pk, actor=asha)

    results = together(*[assign] * WRITERS)

    assert refusals(results) == []
    assert len({row.pk for row in results}) == CrewAssignment.objects.count() == 1
    assert history(fault) == ["start", "crew_assigned"]


def test_opposite_merges_do_not_wait_for_each_other(fault: Outage, city: SmallCity, asha: Actor, now: datetime) -> None:
    other = services.fault_log(actor=asha, element_ids=city.ids("T21"), started_at=now)

    def merge(loser: Outage, survivor: Outage) -> Callable[[], Any]:
        return lambda: services.fault_merge(outage_id=loser.pk, survivor_id=survivor.pk, actor=asha)

    results = together(merge(fault, other), merge(other, fault))

    assert refusals(results) == [IllegalTransition]
    assert sorted(Outage.objects.values_list("status", flat=True)) == ["active", "cancelled"]
    assert Outage.objects.get(status="active").customers_out == 5


def test_a_fault_fed_by_many_clicks_is_one(city: SmallCity, asha: Actor) -> None:
    def log() -> Outage:
        return services.fault_log(actor=asha, element_ids=city.ids("L11"), source_ref="form-1")

    results = together(*[log] * WRITERS)

    assert refusals(results) == []
    assert len({outage.pk for outage in results}) == Outage.objects.count() == 1
    assert history(results[0]) == ["start"]


# --- reports ----------------------------------------------------------------------------------------


def test_many_first_callers_on_one_transformer_open_one_suspicion(city: SmallCity, asha: Actor) -> None:
    def report(code: str) -> Callable[[], Any]:
        request = ReportRequest(service_point_id=city.service_points[code].pk)
        return lambda: services.report_create(actor=asha, request=request)

    results = together(*[report("SP0001"), report("SP0002")] * (WRITERS // 2))

    assert refusals(results) == []
    assert sorted(outcome.action for outcome in results) == ["extended", *["joined"] * (WRITERS - 2), "opened"]
    outage = Outage.objects.get()
    assert outage.customers_affected == 2
    assert TroubleReport.objects.filter(outage=outage).count() == WRITERS


def test_a_report_that_is_sent_by_eight_is_one(city: SmallCity, asha: Actor) -> None:
    request = ReportRequest(service_point_id=city.service_points["SP0001"].pk, source="m", external_id="1")

    results = together(*[lambda: services.reports_create_batch(actor=asha, requests=[request])] * WRITERS)

    assert sorted(outcomes[0].action for outcomes in results) == ["opened", *["repeated"] * (WRITERS - 1)]
    assert TroubleReport.objects.count() == 1


def test_a_report_does_not_join_what_is_being_dismissed(suspicion: Outage, city: SmallCity, asha: Actor) -> None:
    request = ReportRequest(service_point_id=city.service_points["SP0001"].pk)

    results = together(
        lambda: services.fault_dismiss(outage_id=suspicion.pk, actor=asha, reason="power is on"),
        lambda: services.report_create(actor=asha, request=request),
    )

    assert refusals(results) == []
    joined = TroubleReport.objects.get().outage
    assert joined is not None
    # either the report came first and was dismissed with the rest, or it opened a suspicion of its own
    verbs = history(suspicion)
    if joined.pk == suspicion.pk:
        assert verbs == ["suspect", "report", "cancel"]
    else:
        assert verbs == ["suspect", "cancel"]
        assert joined.status == "suspected"


# --- the reader -------------------------------------------------------------------------------------


@pytest.fixture
def slow_writer(fault: Outage, asha: Actor) -> Iterator[tuple[threading.Event, threading.Event]]:
    """Another connection that has written an event and does not commit until it is told to."""
    written, commit = threading.Event(), threading.Event()

    def write() -> None:
        try:
            with transaction.atomic():
                event_append(outage=fault, verb="note", actor=asha, note="late")
                written.set()
                commit.wait(timeout=20)
        finally:
            connection.close()

    thread = threading.Thread(target=write)
    thread.start()
    yield written, commit
    commit.set()
    thread.join()


def test_a_late_commit_is_never_skipped(
    fault: Outage, city: SmallCity, asha: Actor, slow_writer: tuple[threading.Event, threading.Event]
) -> None:
    written, commit = slow_writer
    cursor = Cursor()
    first = events_after(cursor)
    assert [event.verb for event in first] == ["start"]
    cursor = first[-1].cursor
    assert written.wait(timeout=20)

    # a later transaction commits first: the reader must not run past the one that is still open
    services.fault_log(actor=asha, element_ids=city.ids("T22"), is_confirmed=False)
    assert OutageEvent.objects.filter(verb="suspect").exists()
    assert events_after(cursor) == []

    commit.set()
    deadline = threading.Event()
    seen: list[str] = []
    for _attempt in range(200):
        read = events_after(cursor)
        seen += [event.verb for event in read]
        cursor = read[-1].cursor if read else cursor
        if len(seen) == 2:
            break
        deadline.wait(0.05)
    assert seen == ["note", "suspect"]
    assert events_after(cursor) == []


def test_a_reader_beside_eight_writers_sees_everything_once(fault: Outage, asha: Actor, now: datetime) -> None:
    done = threading.Event()
    seen: list[tuple[int, int]] = []

    def read() -> None:
        cursor = Cursor()
        while True:
            was_done = done.is_set()
            batch = events_after(cursor, limit=3)
            seen.extend((event.outage_id, event.sequence) for event in batch)
            cursor = batch[-1].cursor if batch else cursor
            if was_done and not batch:
                connection.close()
                return

    reader = threading.Thread(target=read)
    reader.start()
    try:
        together(
            *[
                lambda: [outage_note(outage_id=fault.pk, actor=asha, text=f"{i}") for i in range(5)]
                for _writer in range(WRITERS)
            ]
        )
    finally:
        done.set()
        reader.join()

    assert seen == [(fault.pk, n) for n in range(1, 2 + 5 * WRITERS)]
