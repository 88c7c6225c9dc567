"""A plan from opened to closed: deadlines, two other people, revisions, all or nothing."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.actor import Actor
from accounts.models import User
from grid.models import Branch
from outages.lifecycle import IllegalTransition
from outages.models import Interruption, Outage
from outages.planned import services
from outages.planned.models import PlannedWork, PlanPeriod, WindowClaim, WorkWindow
from outages.planned.policies import OwnWork
from outages.planned.services.periods import period_bounds, period_deadline
from standards.errors import Conflict, DomainError, Forbidden
from tests.factories import accounts
from tests.factories.grid import SmallCity
from tests.planned.world import ahead, answered, answered_all, draft, everything_planned, plan_of, window, work_in


@pytest.fixture
def plan(city: SmallCity, pia: Actor) -> PlanPeriod:
    """The east's plan with two works on different lines, every finding answered."""
    period = plan_of(city, pia, 20)
    for element, days in (("T11", 20.0), ("T12", 20.0)):
        answered(work_in(city, pia, element, period=period, windows=[window(days, 8 if element == "T11" else 15)]), pia)
    return period


def fresh(period: PlanPeriod) -> PlanPeriod:
    return PlanPeriod.objects.get(pk=period.pk)


def answer_all(period: PlanPeriod, actor: Actor) -> None:
    answered_all(period.works.select_related("branch").order_by("pk"), actor)


# --- opening ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "day", "bounds"),
    [
        ("month", date(2026, 12, 14), (date(2026, 12, 1), date(2026, 12, 31))),
        ("month", date(2028, 2, 29), (date(2028, 2, 1), date(2028, 2, 29))),
        ("week", date(2026, 12, 31), (date(2026, 12, 28), date(2027, 1, 3))),
        ("week", date(2027, 1, 4), (date(2027, 1, 4), date(2027, 1, 10))),
    ],
)
def test_a_plan_covers_its_month_or_week(kind: str, day: date, bounds: tuple[date, date]) -> None:
    assert period_bounds(kind, day) == bounds


def test_the_deadline_is_the_packs_and_falls_on_the_branchs_midnight(city: SmallCity) -> None:
    assert period_deadline("month", date(2026, 12, 1), city.east) == datetime(
        2026, 11, 21, tzinfo=ZoneInfo("Asia/Shanghai")
    )
    city.east.time_zone = "Europe/London"
    assert period_deadline("month", date(2026, 4, 1), city.east) == datetime(2026, 3, 22, tzinfo=UTC)


def test_a_second_asker_finds_the_first_ones_plan(city: SmallCity, pia: Actor) -> None:
    first = plan_of(city, pia)
    again = plan_of(city, pia)

    assert (again.pk, again.steps.count()) == (first.pk, 1)


def test_plans_are_opened_ahead_for_every_branch_with_a_network(city: SmallCity) -> None:
    clock = Actor.system("clock")

    assert services.periods_open_ahead(actor=clock) == 6
    assert services.periods_open_ahead(actor=clock) == 0
    assert set(PlanPeriod.objects.values_list("branch__code", "kind")) == {
        ("0101", "month"), ("0101", "week"), ("0102", "month"), ("0102", "week"),
    }  # fmt: skip


# --- the way through the gates --------------------------------------------------------------------------


def test_from_the_branch_to_the_public(plan: PlanPeriod, pia: Actor, lena: Actor, otto: Actor, otto_user: User) -> None:
    services.period_submit(actor=pia, period_id=plan.pk)
    assert (fresh(plan).state, fresh(plan).revision) == ("submitted", 1)
    answer_all(plan, lena)
    services.period_endorse(actor=lena, period_id=plan.pk)
    answer_all(plan, otto)
    services.period_approve(actor=otto, period_id=plan.pk)
    assert not Outage.objects.exists()
    answer_all(plan, otto)
    services.period_publish(actor=otto, period_id=plan.pk)

    period = fresh(plan)
    assert (period.state, period.approved_by, period.published_at is not None) == ("published", otto_user, True)
    assert [step.verb for step in period.steps.order_by("pk")] == ["open", "submit", "endorse", "approve", "publish"]
    for work in PlannedWork.objects.all():
        assert (work.state, work.checked_by_id, work.approved_by_id) == ("published", lena.user_id, otto.user_id)
        planned = work.windows.get()
        outage = planned.outage
        assert outage is not None
        assert (planned.state, outage.status, outage.is_public) == ("published", "scheduled", True)
        assert (outage.planned_start, outage.planned_end) == (planned.starts_at, planned.ends_at)
        assert (planned.announced_start, planned.announced_end) == (planned.starts_at, planned.ends_at)
        assert outage.customers_affected == work.customers
        row = Interruption.objects.get(outage=outage)
        assert (row.planned.lower, row.planned.upper) == (planned.starts_at, planned.ends_at)
        assert row.actual is None


def test_an_empty_plan_cannot_be_handed_in(city: SmallCity, pia: Actor) -> None:
    period = plan_of(city, pia)

    with pytest.raises(services.NothingToDecide):
        services.period_submit(actor=pia, period_id=period.pk)

    assert fresh(period).state == "open"


def test_what_waits_for_an_answer_stops_the_whole_plan(city: SmallCity, pia: Actor) -> None:
    period = plan_of(city, pia)
    answered(work_in(city, pia, "T11", period=period), pia)
    work_in(city, pia, "T12", period=period, windows=[window(20, 15)], live_line="")
    before = everything_planned()

    with pytest.raises(services.ChecksOpen) as refused:
        services.period_submit(actor=pia, period_id=period.pk)

    (stopped,) = refused.value.stopped
    assert {finding.code for finding in stopped.findings} >= {"alternatives", "life_support"}
    assert everything_planned() == before


def test_a_handed_in_plan_takes_no_more_works(city: SmallCity, plan: PlanPeriod, pia: Actor) -> None:
    services.period_submit(actor=pia, period_id=plan.pk)
    before = everything_planned()

    with pytest.raises(services.NotEditable):
        work_in(city, pia, "L12", period=plan, windows=[window(20, 15)])
    work = plan.works.order_by("pk")[0]
    with pytest.raises(IllegalTransition):
        services.work_change(actor=pia, work_id=work.pk, draft=draft(city, "T11"))
    with pytest.raises(services.DecidedWithItsPlan):
        services.work_withdraw(actor=pia, work_id=work.pk)
    assert everything_planned() == before

    services.period_withdraw(actor=pia, period_id=plan.pk)
    assert (fresh(plan).state, set(plan.works.values_list("state", flat=True))) == ("open", {"draft"})
    assert not WindowClaim.objects.exists()


# --- nobody decides about their own ---------------------------------------------------------------------


@pytest.fixture
def everything_user(city: SmallCity) -> User:
    """Holds every role there is over the bureau."""
    user = accounts.user_with("planner", city.bureau, username="omni")
    for role in ("branch_lead", "approver", "dispatcher"):
        accounts.user_with(role, city.bureau, username="omni")
    return user


def test_who_handed_in_neither_endorses_nor_approves(
    city: SmallCity, everything_user: User, lena: Actor, pia: Actor
) -> None:
    omni = accounts.actor_of(everything_user)
    period = plan_of(city, omni)
    answered(work_in(city, omni, "T11", period=period), omni)
    services.period_submit(actor=omni, period_id=period.pk)
    before = everything_planned()
    with pytest.raises(OwnWork):
        services.period_endorse(actor=omni, period_id=period.pk)
    assert everything_planned() == before

    answer_all(period, lena)
    services.period_endorse(actor=lena, period_id=period.pk)
    before = everything_planned()
    with pytest.raises(OwnWork):
        services.period_approve(actor=omni, period_id=period.pk)
    assert everything_planned() == before


def test_who_wrote_one_work_does_not_endorse_the_plan(
    city: SmallCity, plan: PlanPeriod, everything_user: User, pia: Actor
) -> None:
    omni = accounts.actor_of(everything_user)
    answered(work_in(city, omni, "L12", period=plan, windows=[window(20, 15)]), omni)
    answer_all(plan, pia)
    services.period_submit(actor=pia, period_id=plan.pk)
    answer_all(plan, omni)
    before = everything_planned()

    with pytest.raises(OwnWork):
        services.period_endorse(actor=omni, period_id=plan.pk)

    assert everything_planned() == before


def test_the_database_refuses_it_too(plan: PlanPeriod, pia_user: User) -> None:
    period = fresh(plan)
    for fields in (
        {"submitted_by": pia_user, "endorsed_by": pia_user},
        {"submitted_by": pia_user, "approved_by": pia_user},
        {"endorsed_by": pia_user, "approved_by": pia_user},
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            PlanPeriod.objects.filter(pk=period.pk).update(**fields)
    with pytest.raises(IntegrityError), transaction.atomic():
        PlannedWork.objects.update(author=pia_user, approved_by=pia_user)


@pytest.mark.parametrize("role", ["agent", "dispatcher", "auditor", "administrator", "billing_clerk"])
def test_other_roles_decide_nothing(city: SmallCity, plan: PlanPeriod, role: str) -> None:
    actor = accounts.actor_of(accounts.user_with(role, city.bureau))
    before = everything_planned()

    for verb in (services.period_submit, services.period_endorse, services.period_approve, services.period_publish):
        with pytest.raises(Forbidden):
            verb(actor=actor, period_id=plan.pk)
    assert everything_planned() == before


def test_another_branchs_lead_decides_nothing(city: SmallCity, plan: PlanPeriod, pia: Actor) -> None:
    services.period_submit(actor=pia, period_id=plan.pk)
    stranger = accounts.actor_of(accounts.user_with("branch_lead", city.west))

    with pytest.raises(Forbidden):
        services.period_endorse(actor=stranger, period_id=plan.pk)


# --- returned -------------------------------------------------------------------------------------------


def test_returned_lines_say_why_and_the_next_hand_in_is_a_revision(
    plan: PlanPeriod, pia: Actor, lena: Actor, otto: Actor
) -> None:
    services.period_submit(actor=pia, period_id=plan.pk)
    first, second = plan.works.order_by("pk")
    services.period_return(actor=lena, period_id=plan.pk, reasons={first.pk: "请与城西错开"})

    first.refresh_from_db()
    second.refresh_from_db()
    assert (fresh(plan).state, first.state, first.state_reason) == ("returned", "returned", "请与城西错开")
    assert second.state == "returned"
    assert not WindowClaim.objects.exists()

    answer_all(plan, pia)
    services.period_submit(actor=pia, period_id=plan.pk)
    period = fresh(plan)
    assert (period.revision, period.first_submitted_at != period.submitted_at) == (2, True)


def test_a_return_without_a_word_is_refused(plan: PlanPeriod, pia: Actor, lena: Actor) -> None:
    services.period_submit(actor=pia, period_id=plan.pk)
    before = everything_planned()

    with pytest.raises(DomainError):
        services.period_return(actor=lena, period_id=plan.pk, reasons={})

    assert everything_planned() == before


def test_lateness_is_kept(city: SmallCity, pia: Actor) -> None:
    period = plan_of(city, pia, 20)
    answered(work_in(city, pia, "T11", period=period), pia)
    PlanPeriod.objects.filter(pk=period.pk).update(deadline=timezone.now() - timedelta(minutes=90))

    services.period_submit(actor=pia, period_id=period.pk)

    assert period.steps.get(verb="submit").facts["late_minutes"] == 90


def test_two_tabs_do_not_decide_twice(plan: PlanPeriod, pia: Actor) -> None:
    version = fresh(plan).version
    services.period_submit(actor=pia, period_id=plan.pk, expected_version=version)
    before = everything_planned()

    with pytest.raises(Conflict):
        services.period_withdraw(actor=pia, period_id=plan.pk, expected_version=version)
    with pytest.raises(IllegalTransition):
        services.period_submit(actor=pia, period_id=plan.pk)
    assert everything_planned() == before


# --- late work ------------------------------------------------------------------------------------------


def test_late_work_whose_lateness_is_answered_becomes_temporary(city: SmallCity, pia: Actor) -> None:
    day = ahead(3)
    period = services.period_open(actor=pia, branch=city.east, kind="week", day=day.date())
    work = answered(work_in(city, pia, "T11", period=period, windows=[(day, day + timedelta(hours=3))]), pia)

    services.period_submit(actor=pia, period_id=period.pk)

    work.refresh_from_db()
    assert (work.work_class, work.temporary_reason) == ("temporary", "已核实，按要求执行")


# --- closed -----------------------------------------------------------------------------------------------


def test_a_plan_is_closed_when_all_its_works_have_ended(plan: PlanPeriod, pia: Actor, lena: Actor, otto: Actor) -> None:
    services.period_submit(actor=pia, period_id=plan.pk)
    answer_all(plan, lena)
    services.period_endorse(actor=lena, period_id=plan.pk)
    answer_all(plan, otto)
    services.period_approve(actor=otto, period_id=plan.pk)
    answer_all(plan, otto)
    services.period_publish(actor=otto, period_id=plan.pk)
    with pytest.raises(services.StillRunning):
        services.period_close(actor=pia, period_id=plan.pk)
    assert services.periods_close_ended(actor=Actor.system("clock")) == 0

    for work in plan.works.all():
        services.work_cancel(actor=pia, work_id=work.pk, reason="雨天")
    PlanPeriod.objects.filter(pk=plan.pk).update(
        starts_on=date(2026, 1, 1), ends_on=timezone.localdate() - timedelta(days=1)
    )

    assert services.periods_close_ended(actor=Actor.system("clock")) == 1
    assert fresh(plan).state == "closed"
    assert set(Outage.objects.values_list("status", flat=True)) == {"cancelled"}
    assert set(WorkWindow.objects.values_list("state", flat=True)) == {"cancelled"}


def test_the_branch_of_a_plan_is_its_own(city: SmallCity, plan: PlanPeriod, pia: Actor) -> None:
    boss = accounts.actor_of(accounts.user_with("planner", city.bureau))
    before = everything_planned()

    with pytest.raises(DomainError):
        work_in(city, boss, "L21", branch=Branch.objects.get(code="0102"), period=plan)

    assert everything_planned() == before
