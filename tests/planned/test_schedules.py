"""Better windows for a plan: read from the database, searched once, accepted line by line, and the pages around it."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks

from accounts.actor import Actor
from accounts.models import User
from grid.models import Branch, CalendarDay
from outages.planned import services, tasks
from outages.planned.models import PlannedWork, PlanPeriod, ScheduleLine, ScheduleRun
from outages.planned.scheduler import problem_of
from outages.planned.services import schedules
from outages.planned.spans import Window
from standards.errors import Conflict, DomainError, Forbidden
from tests.factories import accounts
from tests.factories.grid import SmallCity
from tests.planned.pages import text_of
from tests.planned.subjects import was_off, work
from tests.planned.world import answered_all, draft, everything_planned, plan_of, work_in

SHANGHAI = ZoneInfo("Asia/Shanghai")


def on(period: PlanPeriod, day: int, hour: int = 8, hours: float = 4) -> Window:
    """A window on the n-th day of a plan that begins ten days ahead or later."""
    begins = datetime.combine(period.starts_on + timedelta(days=day), time(hour), SHANGHAI)
    return begins, begins + timedelta(hours=hours)


@pytest.fixture
def plan(city: SmallCity, pia: Actor) -> PlanPeriod:
    """The east's plan of a month that lies ahead: the same customers are off on two days."""
    period = plan_of(city, pia, 40)
    work_in(city, pia, "L11", period=period, windows=[on(period, 2)])
    work_in(city, pia, "T11", period=period, windows=[on(period, 9, 13, 2)])
    return period


@pytest.fixture
def run(plan: PlanPeriod, pia: Actor) -> ScheduleRun:
    """What was found: the second work goes along with the first."""
    return searched(plan, pia)


@pytest.fixture
def line(run: ScheduleRun) -> ScheduleLine:
    return run.lines.select_related("work").get()


def searched(period: PlanPeriod, actor: Actor) -> ScheduleRun:
    begun = schedules.schedule_run_start(actor=actor, period_id=period.pk)
    assert schedules.schedule_run_work(run_id=begun.pk)["run"] == 1
    begun.refresh_from_db()
    return begun


def windows_of(planned: PlannedWork) -> list[Window]:
    return list(planned.windows.order_by("starts_at").values_list("starts_at", "ends_at"))


def everything(run: ScheduleRun) -> dict[str, Any]:
    return {**everything_planned(), "lines": list(run.lines.values())}


# --- reading --------------------------------------------------------------------------------------------


def test_a_plan_is_read_with_all_that_stands_around_it(city: SmallCity, plan: PlanPeriod, pia: Actor) -> None:
    day = plan.starts_on
    for offset, kind, branch in (
        (3, "blackout", None),
        (4, "exam", city.east),
        (5, "holiday", None),
        (6, "exam", city.west),
        (7, "working", None),
    ):
        CalendarDay.objects.create(day=day + timedelta(days=offset), kind=kind, name="x", branch=branch)
    was_off(city, "T12", begins=on(plan, -30)[0])
    fixed = work_in(city, pia, "T12", period=plan, windows=[on(plan, 7)], is_fixed=True, crews=2)
    beside = work(city, "T21", branch=city.west, windows=[on(plan, 1)], crews=5)
    work(city, "T22", branch=city.west, windows=[on(plan, 1)], state="draft")
    at = timezone.now()

    problem = problem_of(plan, at=at)

    first, second = plan.works.exclude(pk=fixed.pk).order_by("pk")
    jobs = {job.key: job for job in problem.jobs}
    assert sorted(jobs) == sorted([first.pk, second.pk, fixed.pk, beside.pk])
    assert jobs[first.pk].places == frozenset(city.ids("T11", "T12"))
    assert jobs[first.pk].windows == (on(plan, 2),)
    assert (jobs[first.pk].is_fixed, jobs[fixed.pk].is_fixed, jobs[beside.pk].is_other) == (False, True, True)
    assert (jobs[fixed.pk].crews, jobs[beside.pk].crews) == (2, 0)
    assert {pk: set(job.feeders) for pk, job in jobs.items()} == {
        first.pk: {city.id("F1")}, second.pk: set(), fixed.pk: set(), beside.pk: set()
    }  # fmt: skip
    assert problem.customers == {city.id("T11"): 2, city.id("T12"): 1, city.id("T21"): 2}
    assert problem.backups == frozenset({frozenset(city.ids("F1", "F2"))})
    assert problem.forbidden == frozenset({day + timedelta(days=3), day + timedelta(days=4)})
    assert problem.holidays == frozenset({day + timedelta(days=5)})
    assert problem.calm_from == {city.id("T12"): day + timedelta(days=30)}
    assert (problem.first, problem.last, problem.capacity) == (plan.starts_on, plan.ends_on, plan.crew_capacity)
    assert (jobs[first.pk].earliest or at) > at


@pytest.mark.parametrize(("pack", "is_forgotten"), [("cn-sgcc", True), ("gb", False)])
def test_what_is_momentary_by_the_rule_pack_is_no_cut(
    city: SmallCity, plan: PlanPeriod, pack: str, is_forgotten: bool
) -> None:
    Branch.objects.filter(pk=city.east.pk).update(rule_pack=pack)
    plan.branch.refresh_from_db()
    was_off(city, "T12", begins=on(plan, -5)[0], hours=3 / 60)  # "up to three minutes", and "less than three minutes"

    assert (city.id("T12") not in problem_of(plan, at=timezone.now()).calm_from) is is_forgotten


def test_statements_do_not_grow_with_works(city: SmallCity, plan: PlanPeriod, pia: Actor) -> None:
    few = _statements(plan)
    for n in range(10):
        work_in(city, pia, "T12", period=plan, windows=[on(plan, 12 + n)])

    assert _statements(plan) == few


def _statements(plan: PlanPeriod) -> int:
    with CaptureQueriesContext(connection) as queries:
        problem_of(plan, at=timezone.now())
    return len(queries)


# --- searching ------------------------------------------------------------------------------------------


def test_two_outages_become_one(plan: PlanPeriod, run: ScheduleRun, line: ScheduleLine) -> None:
    kept, moved = plan.works.order_by("pk")

    assert (run.state, run.progress, run.is_optimal, run.message) == ("done", 100, True, "")
    assert run.before == {
        "rules_broken": 0, "broken": [], "customer_minutes": 3 * 240 + 2 * 120, "customers_again": 2,
        "holiday_customers": 0,
    }  # fmt: skip
    assert run.after == {**run.before, "customer_minutes": 3 * 240, "customers_again": 0}
    assert (line.work, line.decision, line.work_version) == (moved, "open", moved.version)
    assert schedules.windows_of(line.before) == windows_of(moved)
    (starts, ends), (begins, finishes) = schedules.windows_of(line.after)[0], windows_of(kept)[0]
    assert begins <= starts < ends <= finishes
    assert line.after[0][0].endswith("+08:00")
    assert line.reasons == [
        {"code": "cuts", "customers": 2, "with": [kept.reference]},
        {"code": "hours", "hours": 4.0, "with": []},
    ]


def test_the_search_alone_moves_nothing(plan: PlanPeriod, pia: Actor) -> None:
    before = everything_planned()

    searched(plan, pia)

    assert everything_planned() == before


def test_a_plan_that_is_good_has_no_lines(plan: PlanPeriod, pia: Actor) -> None:
    plan.works.order_by("pk")[1].delete()

    run = searched(plan, pia)

    assert (run.state, run.lines.count(), run.before) == ("done", 0, run.after)


def test_a_second_click_finds_the_first_search(plan: PlanPeriod, pia: Actor) -> None:
    first = schedules.schedule_run_start(actor=pia, period_id=plan.pk)

    assert schedules.schedule_run_start(actor=pia, period_id=plan.pk) == first

    schedules.schedule_run_work(run_id=first.pk)
    assert schedules.schedule_run_start(actor=pia, period_id=plan.pk) != first


def test_a_task_that_comes_twice_searches_once(run: ScheduleRun) -> None:
    before = everything(run)

    assert tasks.schedule_run.run(run.pk, later="x") == {"run": 0}

    assert everything(run) == before


def test_a_plan_in_which_nothing_can_move_is_not_searched(city: SmallCity, pia: Actor) -> None:
    period = plan_of(city, pia, 40)
    work_in(city, pia, "T11", period=period, windows=[on(period, 2)], is_fixed=True)

    with pytest.raises(schedules.NothingToMove):
        schedules.schedule_run_start(actor=pia, period_id=period.pk)

    assert ScheduleRun.objects.count() == 0


def test_a_search_that_fails_says_so_and_can_be_started_again(plan: PlanPeriod, pia: Actor) -> None:
    run = schedules.schedule_run_start(actor=pia, period_id=plan.pk)
    Branch.objects.filter(pk=plan.branch_id).update(time_zone="Nowhere/Else")

    with pytest.raises(ZoneInfoNotFoundError):
        schedules.schedule_run_work(run_id=run.pk)

    run.refresh_from_db()
    assert (run.state, run.message, run.lines.count()) == ("failed", "broken", 0)
    assert run.finished_at is not None
    Branch.objects.filter(pk=plan.branch_id).update(time_zone="Asia/Shanghai")
    assert searched(plan, pia).state == "done"


def test_a_search_whose_worker_died_is_given_up(plan: PlanPeriod, pia: Actor) -> None:
    run = schedules.schedule_run_start(actor=pia, period_id=plan.pk)
    alive = timezone.now() - schedules.LIFETIME / 2
    ScheduleRun.objects.update(state="running", started_at=alive)
    assert schedules.schedule_runs_left_behind() == []
    assert ScheduleRun.objects.get().state == "running"

    ScheduleRun.objects.update(started_at=timezone.now() - 2 * schedules.LIFETIME)
    assert schedules.schedule_runs_left_behind() == []

    run.refresh_from_db()
    assert (run.state, run.message) == ("failed", "died")
    assert schedules.schedule_run_start(actor=pia, period_id=plan.pk) != run


def test_a_search_whose_task_was_lost_is_queued_again(
    plan: PlanPeriod, pia: Actor, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    run = schedules.schedule_run_start(actor=pia, period_id=plan.pk)
    assert tasks.schedules_sweep.run() == {"runs": 0}
    ScheduleRun.objects.update(started_at=timezone.now() - 2 * schedules.LATER)

    with django_capture_on_commit_callbacks() as queued:
        assert tasks.schedules_sweep.run() == {"runs": 1}

    assert len(queued) == 1
    assert schedules.schedule_run_work(run_id=run.pk)["run"] == 1


def test_what_a_search_finds_after_it_was_given_up_is_dropped(plan: PlanPeriod, pia: Actor) -> None:
    run = schedules.schedule_run_start(actor=pia, period_id=plan.pk)

    def gives_up(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        """The sweep comes while this run is being read."""
        result = execute(sql, params, many, context)
        if "planned_workplace" in sql:
            ScheduleRun.objects.filter(pk=run.pk).update(state="failed", message="died")
        return result

    with connection.execute_wrapper(gives_up):
        assert schedules.schedule_run_work(run_id=run.pk) == {"run": 0}

    run.refresh_from_db()
    assert (run.state, run.message, run.lines.count()) == ("failed", "died", 0)


def test_nobody_but_the_branchs_planner_searches(
    city: SmallCity, plan: PlanPeriod, lena: Actor, otto: Actor, mei: Actor
) -> None:
    west = accounts.actor_of(accounts.user_with("planner", city.west))

    for actor in (lena, otto, mei, west):
        with pytest.raises(Forbidden):
            schedules.schedule_run_start(actor=actor, period_id=plan.pk)

    assert ScheduleRun.objects.count() == 0


# --- deciding -------------------------------------------------------------------------------------------


def test_an_accepted_line_moves_its_work(line: ScheduleLine, pia: Actor) -> None:
    decided = schedules.schedule_line_decide(actor=pia, line_id=line.pk, accept=True)

    moved = PlannedWork.objects.get(pk=line.work_id)
    assert windows_of(moved) == schedules.windows_of(line.after)
    assert list(moved.elements.values_list("code", flat=True)) == ["T11"]
    assert moved.work_places.count() == 1
    assert (decided.decision, decided.decided_by, decided.work_version) == ("accepted", pia.name, moved.version)
    assert moved.version == line.work_version + 1
    assert list(moved.steps.values_list("verb", flat=True)) == ["windows", "change", "create"]


def test_accepting_twice_moves_once(run: ScheduleRun, line: ScheduleLine, pia: Actor) -> None:
    schedules.schedule_line_decide(actor=pia, line_id=line.pk, accept=True)
    before = everything(run)

    schedules.schedule_line_decide(actor=pia, line_id=line.pk, accept=True)
    with pytest.raises(schedules.LineDecided):
        schedules.schedule_line_decide(actor=pia, line_id=line.pk, accept=False)

    assert everything(run) == before


def test_a_refused_line_leaves_its_work_alone(line: ScheduleLine, pia: Actor) -> None:
    before = everything_planned()

    decided = schedules.schedule_line_decide(actor=pia, line_id=line.pk, accept=False)

    assert (decided.decision, everything_planned()) == ("refused", before)


def test_an_accepted_line_is_undone(line: ScheduleLine, pia: Actor) -> None:
    schedules.schedule_line_decide(actor=pia, line_id=line.pk, accept=True)

    undone = schedules.schedule_line_undo(actor=pia, line_id=line.pk)

    assert windows_of(line.work) == schedules.windows_of(line.before)
    assert (undone.decision, undone.decided_by) == ("open", "")
    assert schedules.schedule_line_decide(actor=pia, line_id=line.pk, accept=True).decision == "accepted"
    assert windows_of(line.work) == schedules.windows_of(line.after)


def test_a_refusal_is_undone_without_touching_the_work(line: ScheduleLine, pia: Actor) -> None:
    schedules.schedule_line_decide(actor=pia, line_id=line.pk, accept=False)
    before = everything_planned()

    assert schedules.schedule_line_undo(actor=pia, line_id=line.pk).decision == "open"
    assert schedules.schedule_line_undo(actor=pia, line_id=line.pk).decision == "open"

    assert everything_planned() == before


def changed(city: SmallCity, actor: Actor, planned: PlannedWork, period: PlanPeriod) -> None:
    services.work_change(actor=actor, work_id=planned.pk, draft=draft(city, "T11", windows=[on(period, 20)]))


def test_a_work_that_was_changed_meanwhile_stays(
    city: SmallCity, plan: PlanPeriod, line: ScheduleLine, pia: Actor
) -> None:
    changed(city, pia, line.work, plan)
    before = everything_planned()

    decided = schedules.schedule_line_decide(actor=pia, line_id=line.pk, accept=True)

    assert (decided.decision, everything_planned()) == ("stale", before)


def test_a_work_that_was_called_off_meanwhile_stays(line: ScheduleLine, pia: Actor) -> None:
    services.work_cancel(actor=pia, work_id=line.work_id, reason="物资未到")
    before = everything_planned()

    assert schedules.schedule_line_decide(actor=pia, line_id=line.pk, accept=True).decision == "stale"

    assert everything_planned() == before


def test_what_was_changed_after_it_was_accepted_is_not_undone(
    city: SmallCity, plan: PlanPeriod, run: ScheduleRun, line: ScheduleLine, pia: Actor
) -> None:
    schedules.schedule_line_decide(actor=pia, line_id=line.pk, accept=True)
    changed(city, pia, line.work, plan)
    before = everything(run)

    with pytest.raises(Conflict):
        schedules.schedule_line_undo(actor=pia, line_id=line.pk)

    assert everything(run) == before


@pytest.fixture
def wide(city: SmallCity, pia: Actor) -> PlanPeriod:
    """A plan in which many works go along with one."""
    period = plan_of(city, pia, 40)
    work_in(city, pia, "L11", period=period, windows=[on(period, 2, 8, 8)], is_fixed=True)
    for n in range(4):
        work_in(city, pia, "T11", period=period, windows=[on(period, 10 + n, 8, 1 + n)])
    services.period_capacity_set(actor=pia, period_id=period.pk, crews=9)
    return PlanPeriod.objects.get(pk=period.pk)


def test_all_lines_are_accepted_at_once(city: SmallCity, wide: PlanPeriod, pia: Actor) -> None:
    run = searched(wide, pia)
    lines = list(run.lines.all())
    assert len(lines) == 4
    schedules.schedule_line_decide(actor=pia, line_id=lines[0].pk, accept=False)
    changed(city, pia, lines[1].work, wide)

    decided = schedules.schedule_lines_decide(actor=pia, run_id=run.pk, accept=True)

    assert [one.decision for one in decided] == ["stale", "accepted", "accepted"]
    assert [one.decision for one in run.lines.all()] == ["refused", "stale", "accepted", "accepted"]
    for one in lines[2:]:
        assert windows_of(one.work) == schedules.windows_of(one.after)
    assert windows_of(lines[0].work) == schedules.windows_of(lines[0].before)


def test_the_rest_is_refused_at_once(wide: PlanPeriod, pia: Actor) -> None:
    run = searched(wide, pia)
    before = everything_planned()

    schedules.schedule_lines_decide(actor=pia, run_id=run.pk, accept=False)

    assert set(run.lines.values_list("decision", flat=True)) == {"refused"}
    assert everything_planned() == before


def test_accepting_many_lines_takes_as_many_statements_as_one(wide: PlanPeriod, pia: Actor) -> None:
    run = searched(wide, pia)
    one, *_others = run.lines.all()
    schedules.schedule_lines_decide(actor=pia, run_id=run.pk, accept=False)
    counts = []
    for ids in ([one.pk], list(run.lines.exclude(pk=one.pk).values_list("pk", flat=True))):
        ScheduleLine.objects.filter(pk__in=ids).update(decision="open")
        with CaptureQueriesContext(connection) as queries:
            assert len(schedules.schedule_lines_decide(actor=pia, run_id=run.pk, accept=True)) == len(ids)
        counts.append(len(queries))

    assert counts[0] == counts[1]


def test_nobody_decides_for_another_branch_or_about_a_plan_that_was_handed_in(
    city: SmallCity, plan: PlanPeriod, run: ScheduleRun, line: ScheduleLine, pia: Actor, lena: Actor
) -> None:
    west = accounts.actor_of(accounts.user_with("planner", city.west))
    answered_all(plan.works.select_related("branch").order_by("pk"), pia)
    before = everything(run)

    for actor in (west, lena):
        for refused in _decisions(actor, run, line):
            with pytest.raises(Forbidden):
                refused()
    assert everything(run) == before

    services.period_submit(actor=pia, period_id=plan.pk)
    before = everything(run)
    for refused in _decisions(pia, run, line):
        with pytest.raises(services.NotEditable):
            refused()
    with pytest.raises(services.NotEditable):
        schedules.schedule_run_start(actor=pia, period_id=plan.pk)
    assert everything(run) == before


def _decisions(actor: Actor, run: ScheduleRun, line: ScheduleLine) -> list[Any]:
    return [
        lambda: schedules.schedule_line_decide(actor=actor, line_id=line.pk, accept=True),
        lambda: schedules.schedule_line_undo(actor=actor, line_id=line.pk),
        lambda: schedules.schedule_lines_decide(actor=actor, run_id=run.pk, accept=True),
    ]


def test_what_is_not_there_is_not_found(pia: Actor) -> None:
    for missing in (
        lambda: schedules.schedule_run_start(actor=pia, period_id=0),
        lambda: schedules.schedule_line_decide(actor=pia, line_id=0, accept=True),
        lambda: schedules.schedule_line_undo(actor=pia, line_id=0),
        lambda: schedules.schedule_lines_decide(actor=pia, run_id=0, accept=True),
    ):
        with pytest.raises(DomainError) as refused:
            missing()
        assert refused.value.status == 404
    assert schedules.schedule_run_work(run_id=0) == {"run": 0}


# --- pages ----------------------------------------------------------------------------------------------


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def browser(pia_user: User) -> Client:
    """Pia's, the planner of the east."""
    return signed_in(pia_user)


def start_page(period: PlanPeriod) -> str:
    return f"/planned/plans/{period.pk}/schedule/"


def run_page(run: ScheduleRun) -> str:
    return f"/planned/schedules/{run.pk}/"


def line_address(line: ScheduleLine) -> str:
    return f"{run_page(line.run)}lines/{line.pk}/"


def test_a_search_is_started_and_watched(
    browser: Client, plan: PlanPeriod, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    assert "Nobody has searched yet." in text_of(browser.get(start_page(plan)))
    for _click in range(2):
        with django_capture_on_commit_callbacks() as queued:
            response = browser.post(f"{start_page(plan)}start/")
        assert len(queued) == 1
    run = ScheduleRun.objects.get()
    assert response.headers["Location"] == run_page(run)
    assert "Watch the search" in text_of(browser.get(start_page(plan)))

    waiting = text_of(browser.get(run_page(run)))
    assert 'hx-trigger="every 2s"' in waiting
    assert "Refresh" in waiting
    fragment = browser.get(run_page(run), headers={"HX-Request": "true"})
    assert "<html" not in text_of(fragment)

    schedules.schedule_run_work(run_id=run.pk)
    assert "every 2s" not in text_of(browser.get(run_page(run)))
    browser.post(f"{start_page(plan)}start/")
    page = text_of(browser.get(start_page(plan)))
    newest, first = ScheduleRun.objects.order_by("-pk")
    assert 0 < page.index(f'href="{run_page(newest)}"') < page.index(f'href="{run_page(first)}"')


def test_the_proposal_says_what_it_is_good_for(browser: Client, plan: PlanPeriod, run: ScheduleRun) -> None:
    kept = plan.works.order_by("pk")[0].reference

    english = text_of(browser.get(run_page(run)))
    chinese = text_of(browser.get(run_page(run), headers={"Accept-Language": "zh-hans"}))

    for words in (
        "1 work would move", "4 customer-hours less",
        f"with {kept} one outage instead of two for 2 customers", "Customers cut again", "no better plan exists",
    ):  # fmt: skip
        assert words in english
    assert ("计划" in chinese, kept in chinese) == (True, True)


def test_a_line_is_accepted_refused_and_undone_on_the_page(browser: Client, line: ScheduleLine) -> None:
    for decision, kept, offered in (
        ("refuse", "refused", "undo"),
        ("undo", "open", "accept"),
        ("accept", "accepted", "undo"),
        ("undo", "open", "accept"),
    ):
        response = browser.post(line_address(line), {"decision": decision})

        assert response.headers["Location"] == f"{run_page(line.run)}#line-{line.pk}"
        line.refresh_from_db()
        assert line.decision == kept
        assert f'value="{offered}" aria-label' in text_of(browser.get(run_page(line.run)))


def test_all_lines_are_decided_on_the_page(browser: Client, wide: PlanPeriod, pia: Actor) -> None:
    run = searched(wide, pia)
    assert "Accept all 4 lines" in text_of(browser.get(run_page(run)))

    page = text_of(browser.post(run_page(run), {"decision": "accept"}, follow=True))

    assert "4 works have their new windows." in page
    assert set(run.lines.values_list("decision", flat=True)) == {"accepted"}


def test_a_line_whose_work_has_changed_offers_nothing(
    browser: Client, city: SmallCity, plan: PlanPeriod, line: ScheduleLine, pia: Actor
) -> None:
    changed(city, pia, line.work, plan)

    page = text_of(browser.get(run_page(line.run)))
    assert "the work has changed meanwhile" in page
    assert 'value="accept" aria-label' not in page

    response = browser.post(line_address(line), {"decision": "accept"}, follow=True)
    assert "The work has changed meanwhile and stays where it is." in text_of(response)


def test_a_plan_that_was_handed_in_is_read_only(
    browser: Client, plan: PlanPeriod, run: ScheduleRun, line: ScheduleLine, pia: Actor
) -> None:
    answered_all(plan.works.select_related("branch").order_by("pk"), pia)
    services.period_submit(actor=pia, period_id=plan.pk)
    before = everything(run)

    assert "<button" not in text_of(browser.get(run_page(run))).split('id="schedule-run"')[1].split("</main>")[0]
    for address in (run_page(run), line_address(line)):
        refused = browser.post(address, {"decision": "accept"}, follow=True)
        assert "take it back before you change it" in text_of(refused)
    refused = browser.post(f"{start_page(plan)}start/", follow=True)
    assert "take it back before you change it" in text_of(refused)
    assert everything(run) == before


def test_a_failed_search_and_an_empty_one_say_so(browser: Client, plan: PlanPeriod, run: ScheduleRun) -> None:
    run.lines.all().delete()
    assert "There is nothing better than the plan as it is." in text_of(browser.get(run_page(run)))

    ScheduleRun.objects.update(state="failed", message="died")

    page = text_of(browser.get(run_page(run)))
    assert "broken off before it ended" in page
    assert "Search again" in page


def test_the_lead_reads_and_does_not_decide(lena_user: User, line: ScheduleLine) -> None:
    lead = signed_in(lena_user)
    page = text_of(lead.get(run_page(line.run)))

    assert "1 work would move" in page
    assert 'name="decision"' not in page
    assert lead.post(line_address(line), {"decision": "accept"}).status_code == 403
    assert lead.post(run_page(line.run), {"decision": "accept"}).status_code == 403
    assert lead.post(f"{start_page(line.run.period)}start/").status_code == 403


def test_a_foreign_plan_and_a_strange_word_are_not_found(
    browser: Client, city: SmallCity, plan: PlanPeriod, run: ScheduleRun, line: ScheduleLine
) -> None:
    before = everything(run)
    stranger = signed_in(accounts.user_with("planner", city.west))

    pages = {stranger.get(page).status_code for page in (start_page(plan), run_page(run))}
    posts = {
        stranger.post(address, {"decision": "accept"}).status_code
        for address in (run_page(run), line_address(line), f"{start_page(plan)}start/")
    }
    strange = {browser.post(address, {"decision": "x"}).status_code for address in (run_page(run), line_address(line))}
    missing = browser.post(f"{run_page(run)}lines/{line.pk + 1}/", {"decision": "accept"}).status_code

    assert (pages, posts, strange, missing) == ({404}, {404}, {404}, 404)
    assert everything(run) == before


def test_statements_of_the_page_do_not_grow_with_lines(browser: Client, wide: PlanPeriod, pia: Actor) -> None:
    run = searched(wide, pia)
    many = _statements_of(browser, run)
    run.lines.exclude(pk=run.lines.first().pk).delete()  # type: ignore[union-attr]

    assert _statements_of(browser, run) == many


def _statements_of(browser: Client, run: ScheduleRun) -> int:
    with CaptureQueriesContext(connection) as queries:
        assert browser.get(run_page(run)).status_code == 200
    return len(queries)
