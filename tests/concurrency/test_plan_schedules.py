"""Several clicks, several workers, several people: one search for a plan, each line decided once."""

from __future__ import annotations

import pytest

from accounts.actor import Actor
from outages.planned.models import PlannedWork, PlanPeriod, ScheduleRun
from outages.planned.services import schedules
from tests.concurrency.test_outage_writers import together
from tests.factories.grid import SmallCity
from tests.planned.world import plan_of, window, work_in

pytestmark = [pytest.mark.concurrency, pytest.mark.django_db(transaction=True)]

WORKERS = 4


@pytest.fixture
def plan(city: SmallCity, pia: Actor) -> PlanPeriod:
    """The same customers are off twice on one day."""
    period = plan_of(city, pia, 20)
    work_in(city, pia, "L11", period=period, windows=[window(20, 8)], is_fixed=True)
    work_in(city, pia, "T11", period=period, windows=[window(20, 16, 2)])
    return period


def test_clicks_at_once_start_one_search(plan: PlanPeriod, pia: Actor) -> None:
    found = together(*[lambda: schedules.schedule_run_start(actor=pia, period_id=plan.pk).pk] * WORKERS)

    assert set(found) == {ScheduleRun.objects.get().pk}


def test_several_workers_search_once(plan: PlanPeriod, pia: Actor) -> None:
    run = schedules.schedule_run_start(actor=pia, period_id=plan.pk)

    runs = together(*[lambda: schedules.schedule_run_work(run_id=run.pk)["run"]] * WORKERS)

    assert sorted(runs) == [0, 0, 0, 1]
    assert (ScheduleRun.objects.get().state, run.lines.count()) == ("done", 1)


def test_several_people_accept_a_line_once(plan: PlanPeriod, pia: Actor) -> None:
    run = schedules.schedule_run_start(actor=pia, period_id=plan.pk)
    schedules.schedule_run_work(run_id=run.pk)
    line = run.lines.get()

    decided = together(
        *[lambda: schedules.schedule_line_decide(actor=pia, line_id=line.pk, accept=True).decision] * WORKERS
    )

    work = PlannedWork.objects.get(pk=line.work_id)
    assert set(decided) == {"accepted"}
    assert (work.version, run.lines.get().decision) == (line.work_version + 1, "accepted")
