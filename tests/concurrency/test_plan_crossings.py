"""Two steps that cross each other: one waits for the other, none is lost, nothing is written over what was decided."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction
from pytest_django import Settings

from accounts.actor import Actor
from outages.planned import services
from outages.planned.models import PlannedWork, PlanPeriod, PlanSheet, ScheduleRun, WindowClaim
from outages.planned.services import schedules, sheets
from outages.planned.services.gates import works_step
from outages.planned.services.periods import period_locked
from outages.planned.services.works import works_locked
from standards.errors import Conflict
from tests.factories import accounts
from tests.factories.grid import SmallCity
from tests.planned.books import HEADINGS, book, good, imported, uploaded
from tests.planned.world import answered, draft, plan_of, window, work_in

pytestmark = [pytest.mark.concurrency, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def _own_media(settings: Settings, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def plan(city: SmallCity, pia: Actor) -> PlanPeriod:
    return plan_of(city, pia)


Beside = Callable[[Callable[[], Any]], "Future[Any]"]


@pytest.fixture
def beside() -> Iterator[Beside]:
    """Start an act in a thread of its own, and go on once it waits for what this thread holds."""
    with ThreadPoolExecutor(2) as pool:

        def run(act: Callable[[], Any]) -> Any:
            try:
                return act()
            finally:
                connection.close()

        def begin(act: Callable[[], Any]) -> Future[Any]:
            begun = pool.submit(run, act)
            deadline = time.monotonic() + 20
            while not begun.done() and not somebody_waits():
                assert time.monotonic() < deadline, "it neither waits nor ends"
                time.sleep(0.02)
            return begun

        yield begin


def somebody_waits() -> bool:
    with connection.cursor() as db:
        db.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
        return bool(db.fetchone()[0])


# --- one order of locks: the plan, then its works ------------------------------------------------------


@pytest.mark.parametrize("name", ["change", "delete", "cancel", "import"])
def test_whoever_touches_a_work_waits_for_its_plan_first(
    name: str, city: SmallCity, plan: PlanPeriod, pia: Actor, beside: Beside
) -> None:
    imported(pia, uploaded(pia, book(HEADINGS, good("1")), branch=city.east, period=plan))
    work = PlannedWork.objects.get()
    again = uploaded(pia, book(HEADINGS, good("1", end=13)), branch=city.east, period=plan, form="again")
    sheets.sheet_import_start(actor=pia, sheet_id=again.pk)
    acts: dict[str, Callable[[], Any]] = {
        "change": lambda: services.work_change(actor=pia, work_id=work.pk, draft=draft(city, "T12")),
        "delete": lambda: services.work_delete(actor=pia, work_id=work.pk),
        "cancel": lambda: services.work_cancel(actor=pia, work_id=work.pk, reason="雨天"),
        "import": lambda: sheets.sheet_import(sheet_id=again.pk),
    }

    with transaction.atomic():
        period_locked(plan.pk)  # as every gate begins
        other = beside(acts[name])
        with connection.cursor() as db:
            db.execute("SET LOCAL lock_timeout = '1s'")
        (locked,) = works_locked([work.pk])  # as every gate goes on; who held the work would stop both

    other.result(timeout=20)
    assert locked.state == "draft"


def test_what_was_handed_in_meanwhile_is_not_taken_out_by_an_import(
    city: SmallCity, plan: PlanPeriod, pia: Actor, beside: Beside
) -> None:
    imported(pia, uploaded(pia, book(HEADINGS, good("1"), good("2", days=21)), branch=city.east, period=plan))
    again = uploaded(pia, book(HEADINGS, good("1")), branch=city.east, period=plan, form="again")
    sheets.sheet_import_start(actor=pia, sheet_id=again.pk, remove=True)

    with transaction.atomic():
        held = period_locked(plan.pk)
        works_locked(list(plan.works.values_list("pk", flat=True)))
        importing = beside(lambda: sheets.sheet_import(sheet_id=again.pk))
        plan.works.update(state="submitted")
        held.state = "submitted"
        held.save(update_fields=["state"])

    importing.result(timeout=20)
    assert list(plan.works.values_list("state", flat=True)) == ["submitted"] * 2
    again.refresh_from_db()
    assert (again.state, again.error["code"]) == ("checked", "not_editable")


def test_who_calls_off_a_work_that_is_being_published_is_told(city: SmallCity, pia: Actor, beside: Beside) -> None:
    lena = accounts.actor_of(accounts.user_with("branch_lead", city.east, username="lena"))
    otto = accounts.actor_of(accounts.user_with("approver", city.bureau, username="otto"))
    work = answered(work_in(city, pia, "T11", work_class="temporary", temporary_reason="缺陷"), pia)
    services.work_submit(actor=pia, work_id=work.pk)
    services.work_check(actor=lena, work_id=answered(work, lena).pk)
    services.work_approve(actor=otto, work_id=answered(work, otto).pk)
    answered(work, otto)

    with transaction.atomic():
        works_step(actor=otto, works=works_locked([work.pk]), action="publish")
        cancelling = beside(lambda: services.work_cancel(actor=pia, work_id=work.pk, reason="雨天"))

    with pytest.raises(Conflict):
        cancelling.result(timeout=20)
    assert PlannedWork.objects.get().state == "published"
    assert WindowClaim.objects.count() == 1


# --- long steps in the background ------------------------------------------------------------------------


def test_a_file_that_is_thrown_away_while_it_is_read_stays_away(
    city: SmallCity, plan: PlanPeriod, pia: Actor, beside: Beside
) -> None:
    sheet = uploaded(pia, book(HEADINGS, good("1")), branch=city.east, period=plan)
    PlanSheet.objects.filter(pk=sheet.pk).update(state="queued")

    with transaction.atomic():
        list(sheet.rows.select_for_update())  # the reader replaces them
        reading = beside(lambda: sheets.sheet_read(sheet_id=sheet.pk))
        sheets.sheet_discard(actor=pia, sheet_id=sheet.pk)

    assert reading.result(timeout=20) == {"run": 0}
    assert PlanSheet.objects.get().state == "discarded"
    assert not sheets.path_of(sheet).exists()


def test_a_draft_that_is_thrown_away_does_not_break_the_search(
    city: SmallCity, plan: PlanPeriod, pia: Actor, beside: Beside
) -> None:
    work_in(city, pia, "L11", period=plan, windows=[window(20, 8)], is_fixed=True)
    gone = work_in(city, pia, "T11", period=plan, windows=[window(20, 16, 2)])
    run = schedules.schedule_run_start(actor=pia, period_id=plan.pk)

    with transaction.atomic():
        services.work_delete(actor=pia, work_id=gone.pk)
        searching = beside(lambda: schedules.schedule_run_work(run_id=run.pk))  # it still reads the draft

    assert searching.result(timeout=60) == {"run": 1, "moved": 0}
    assert (ScheduleRun.objects.get().state, run.lines.count()) == ("done", 0)
