"""Several works under one outage: joined, decided about as one, published as one, or sent their own ways again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from accounts.actor import Actor
from outages.lifecycle import IllegalTransition
from outages.models import Interruption, Outage
from outages.planned import policies, services
from outages.planned.models import (
    CheckAnswer,
    PlannedWork,
    PlanPeriod,
    PlanStep,
    RiskSheet,
    WindowClaim,
    WorkPlace,
    WorkWindow,
)
from outages.planned.policies import OwnWork
from outages.planned.services import CannotJoin, Overlap, joint_create, joint_split
from outages.planned.services.gates import AnotherBranchToo
from standards.errors import Conflict, Forbidden, NotFound
from tests.factories import accounts
from tests.factories.grid import SmallCity
from tests.planned.world import answered, answered_all, draft, everything_planned, plan_of, window, work_in

LATE: dict[str, Any] = {"temporary_reason": "缺陷", "work_class": "temporary"}


@pytest.fixture
def plan(city: SmallCity, pia: Actor) -> PlanPeriod:
    """The east's plan: a line of three customers, and a day later an area of two that hangs on it."""
    period = plan_of(city, pia)
    work_in(city, pia, "L11", period=period, title="更换绝缘子", crews=2)
    work_in(city, pia, "T11", period=period, title="台区增容", windows=[window(21, 9, 2)], switching_note="断开D1")
    answer_all(period, pia)
    return period


@pytest.fixture
def line(plan: PlanPeriod) -> PlannedWork:
    return plan.works.get(title="更换绝缘子")


@pytest.fixture
def area(plan: PlanPeriod) -> PlannedWork:
    return plan.works.get(title="台区增容")


def answer_all(period: PlanPeriod, actor: Actor) -> None:
    going = period.works.exclude(state__in=("joined", "cancelled"))
    answered_all(going.select_related("branch").order_by("pk"), actor)


@pytest.fixture
def advance(plan: PlanPeriod, pia: Actor, lena: Actor, otto: Actor) -> Callable[[str], None]:
    """Bring the plan as far as a state, everything answered on the way."""
    steps: list[tuple[str, Callable[..., Any], Actor]] = [
        ("submitted", services.period_submit, pia),
        ("endorsed", services.period_endorse, lena),
        ("approved", services.period_approve, otto),
        ("published", services.period_publish, otto),
    ]

    def advance(target: str) -> None:
        names = [name for name, _step, _actor in steps]
        for name, step, actor in steps:
            plan.refresh_from_db()
            passed = names.index(plan.state) if plan.state in names else -1
            if target != "open" and passed < names.index(name) <= names.index(target):
                answer_all(plan, otto)
                step(actor=actor, period_id=plan.pk)
        plan.refresh_from_db()

    return advance


def joined(plan: PlanPeriod, actor: Actor, *works: PlannedWork, **more: Any) -> PlannedWork:
    return joint_create(actor=actor, period_id=plan.pk, work_ids=[work.pk for work in works], **more)


def all_about(*works: PlannedWork) -> dict[str, Any]:
    """All that an undo gives back: everything about the works but how often they were touched."""
    ids = [work.pk for work in works]
    rows = list(PlannedWork.objects.filter(pk__in=ids).order_by("pk").values())
    return {
        "works": [
            {name: value for name, value in row.items() if name not in ("version", "updated_at")} for row in rows
        ],
        "windows": list(WorkWindow.objects.filter(work__in=ids).order_by("pk").values()),
        "places": list(WorkPlace.objects.filter(work__in=ids).order_by("pk").values()),
        "answers": list(CheckAnswer.objects.filter(work__in=ids).order_by("pk").values()),
        "claims": list(
            WindowClaim.objects.order_by("window", "element").values("window", "element", "during", "reason")
        ),
    }


# --- joined -------------------------------------------------------------------------------------------


def test_a_joint_work_takes_the_place_of_its_works(
    city: SmallCity, plan: PlanPeriod, line: PlannedWork, area: PlannedWork, pia: Actor
) -> None:
    joint = joined(plan, pia, area, line)

    assert (joint.branch, joint.period, joint.state, joint.author, joint.author_name) == (
        city.east, plan, "draft", None, pia.name
    )  # fmt: skip
    assert (joint.title, joint.crews, joint.switching_note) == ("更换绝缘子；台区增容", 3, "断开D1")
    assert (joint.places, joint.customers, joint.life_support) == (2, 3, 1)
    assert set(joint.elements.all()) == {city.elements["L11"], city.elements["T11"]}
    assert joint.windows.values_list("starts_at", "ends_at").get() == window(20)
    for work in (line, area):
        work.refresh_from_db()
        assert (work.state, work.state_before_joint, work.joint) == ("joined", "draft", joint)
        assert work.steps.values_list("verb", "note").first() == ("join", joint.reference)
    assert joint.steps.values_list("verb", "note").get() == ("join", f"{line.reference}, {area.reference}")


def test_another_window_can_be_chosen(plan: PlanPeriod, line: PlannedWork, area: PlannedWork, pia: Actor) -> None:
    joint = joined(plan, pia, line, area, window=window(22, 7, 8))

    assert joint.windows.values_list("starts_at", "ends_at").get() == window(22, 7, 8)


def test_the_most_urgent_class_and_every_reason_for_it_hold(city: SmallCity, plan: PlanPeriod, pia: Actor) -> None:
    facts: list[dict[str, Any]] = [
        {},
        {"work_class": "emergency", "temporary_reason": "绝缘子破损"},
        {"work_class": "temporary", "temporary_reason": "接头发热"},
    ]
    works = [work_in(city, pia, "T12", period=plan, windows=[window(23 + n)], **more) for n, more in enumerate(facts)]

    joint = joined(plan, pia, *works)

    assert (joint.work_class, joint.temporary_reason) == ("emergency", "绝缘子破损；接头发热")


def test_what_was_answered_and_agreed_holds_for_the_joint_work(
    city: SmallCity, plan: PlanPeriod, line: PlannedWork, area: PlannedWork, pia: Actor
) -> None:
    services.risk_sheet_write(
        actor=pia, work_id=line.pk, customer=city.customers["life_support"], measures="发电机", agreed_with="李桂英"
    )
    services.answer_give(actor=pia, work_id=line.pk, code="overlap", reason="同日")
    given = set(CheckAnswer.objects.filter(work__in=[line, area]).values_list("code", flat=True))
    assert "overlap" in given

    joint = joined(plan, pia, line, area)

    assert set(joint.answers.values_list("code", flat=True)) == given - {"overlap", "merge_candidate"}
    assert RiskSheet.objects.get(work=joint).customer == city.customers["life_support"]


@pytest.mark.parametrize(("stage", "state"), [("open", "draft"), ("submitted", "submitted"), ("endorsed", "checked")])
def test_a_joint_work_stands_where_its_plan_stands_and_claims_what_its_works_claimed(
    plan: PlanPeriod, line: PlannedWork, area: PlannedWork, otto: Actor, advance: Callable[[str], None],
    stage: str, state: str,
) -> None:  # fmt: skip
    advance(stage)

    joint = joined(plan, otto, line, area)

    assert joint.state == state
    claims = WindowClaim.objects.values_list("window__work", "element__code").order_by("element__code")
    assert list(claims) == ([] if stage == "open" else [(joint.pk, "L11"), (joint.pk, "T11")])


def test_whoever_decides_about_the_plan_as_it_was_is_told(
    plan: PlanPeriod, line: PlannedWork, area: PlannedWork, otto: Actor, advance: Callable[[str], None]
) -> None:
    advance("endorsed")
    seen = plan.version
    joint = joined(plan, otto, line, area)

    with pytest.raises(Conflict):
        services.period_approve(actor=otto, period_id=plan.pk, expected_version=seen)

    joint_split(actor=otto, work_id=joint.pk)
    plan.refresh_from_db()
    assert plan.version == seen + 2


# --- undone -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", ["open", "submitted", "endorsed"])
def test_an_undo_restores_exactly_what_was(
    plan: PlanPeriod, line: PlannedWork, area: PlannedWork, otto: Actor, advance: Callable[[str], None], stage: str
) -> None:
    advance(stage)
    before = all_about(line, area)
    joint = joined(plan, otto, line, area)
    assert all_about(line, area) != before

    parts = joint_split(actor=otto, work_id=joint.pk)

    assert {part.pk for part in parts} == {line.pk, area.pk}
    assert all_about(line, area) == before
    for work in (line, area):
        assert work.steps.values_list("verb", "note").first() == ("split", joint.reference)


def test_a_joint_work_that_was_never_handed_in_leaves_no_trace(
    plan: PlanPeriod, line: PlannedWork, area: PlannedWork, pia: Actor
) -> None:
    joint = joined(plan, pia, line, area)
    services.answer_give(actor=pia, work_id=joint.pk, code="frequent", reason="必须停电")

    joint_split(actor=pia, work_id=joint.pk)

    assert set(plan.works.all()) == {line, area}


def test_one_that_was_handed_in_stays_as_cancelled(
    plan: PlanPeriod, line: PlannedWork, area: PlannedWork, otto: Actor, advance: Callable[[str], None]
) -> None:
    advance("submitted")
    joint = joined(plan, otto, line, area)

    joint_split(actor=otto, work_id=joint.pk)

    joint.refresh_from_db()
    assert (joint.state, joint.children.count()) == ("cancelled", 0)
    assert joint.steps.values_list("verb", "note").first() == ("split", f"{line.reference}, {area.reference}")


def test_works_that_were_joined_as_drafts_have_passed_the_gate_that_their_joint_work_passed(
    plan: PlanPeriod, line: PlannedWork, area: PlannedWork, pia: Actor, lena: Actor, otto: Actor,
    advance: Callable[[str], None],
) -> None:  # fmt: skip
    joint = joined(plan, pia, line, area)
    advance("endorsed")

    joint_split(actor=otto, work_id=joint.pk)

    for work in (line, area):
        work.refresh_from_db()
        assert (work.state, work.checked_by_id, work.joint) == ("checked", lena.user_id, None)
    assert set(WindowClaim.objects.values_list("window__work", flat=True)) == {line.pk, area.pk}
    answer_all(plan, otto)
    services.period_approve(actor=otto, period_id=plan.pk)
    assert set(plan.works.exclude(pk=joint.pk).values_list("state", flat=True)) == {"approved"}


def test_works_of_a_plan_that_was_returned_meanwhile_are_drafts(
    plan: PlanPeriod, line: PlannedWork, area: PlannedWork, pia: Actor, lena: Actor, otto: Actor,
    advance: Callable[[str], None],
) -> None:  # fmt: skip
    advance("endorsed")
    joint = joined(plan, otto, line, area)
    services.period_return(actor=lena, period_id=plan.pk, reasons={}, note="改期")

    joint_split(actor=pia, work_id=joint.pk)

    for work in (line, area):
        work.refresh_from_db()
        assert (work.state, work.checked_by_id) == ("draft", None)
    assert not WindowClaim.objects.exists()
    answer_all(plan, pia)
    services.period_submit(actor=pia, period_id=plan.pk)


@pytest.fixture
def week(city: SmallCity, pia: Actor) -> PlanPeriod:
    """The week plan beside the month plan, with a work on the same line."""
    day = window(20)[0].date()
    week = services.period_open(actor=pia, branch=city.east, kind="week", day=day)
    for element in ("L12", "T11"):
        work_in(city, pia, element, period=week, windows=[window(20, 16, 2)], title=f"消缺{element}")
    return week


def test_a_work_whose_plan_went_on_without_it_stands_alone(
    plan: PlanPeriod, week: PlanPeriod, line: PlannedWork, pia: Actor
) -> None:
    taken = week.works.get(title="消缺L12")
    joint = joined(plan, pia, line, taken)
    answer_all(week, pia)
    services.period_submit(actor=pia, period_id=week.pk)

    joint_split(actor=pia, work_id=joint.pk)

    taken.refresh_from_db()
    line.refresh_from_db()
    assert (taken.state, taken.period) == ("draft", None)
    assert (line.state, line.period) == ("draft", plan)
    services.work_submit(actor=pia, work_id=answered(taken, pia).pk)


def test_a_work_goes_back_to_its_own_plan(plan: PlanPeriod, week: PlanPeriod, line: PlannedWork, pia: Actor) -> None:
    taken = week.works.get(title="消缺L12")
    before = all_about(line, taken)
    joint = joined(plan, pia, line, taken)

    joint_split(actor=pia, work_id=joint.pk)

    assert all_about(line, taken) == before


def test_a_time_that_another_took_meanwhile_is_not_given_back(
    city: SmallCity, plan: PlanPeriod, line: PlannedWork, area: PlannedWork, pia: Actor, otto: Actor,
    advance: Callable[[str], None],
) -> None:  # fmt: skip
    advance("submitted")
    joint = joined(plan, otto, line, area)
    late = work_in(city, pia, "T11", windows=[window(21, 9, 2)], **LATE)
    services.work_submit(actor=pia, work_id=answered(late, pia).pk)
    WindowClaim.objects.filter(window__work=late).update(reason="")
    before = everything_planned()

    with pytest.raises(Overlap) as refusal:
        joint_split(actor=otto, work_id=joint.pk)

    assert late.reference in str(refusal.value)
    assert everything_planned() == before


# --- who ----------------------------------------------------------------------------------------------


def test_the_approver_who_joins_may_approve(
    plan: PlanPeriod, line: PlannedWork, area: PlannedWork, otto: Actor, advance: Callable[[str], None]
) -> None:
    advance("endorsed")
    joint = joined(plan, otto, line, area)

    advance("approved")

    joint.refresh_from_db()
    assert (joint.state, joint.approved_by_id) == ("approved", otto.user_id)


def test_nobody_approves_the_joint_work_of_their_own_work(
    city: SmallCity, plan: PlanPeriod, line: PlannedWork, area: PlannedWork, otto: Actor,
    advance: Callable[[str], None],
) -> None:  # fmt: skip
    user = accounts.user_with("approver", city.bureau, username="paul")
    paul = accounts.actor_of(user)
    PlannedWork.objects.filter(pk=area.pk).update(author=user)
    advance("endorsed")
    joined(plan, otto, line, area)
    answer_all(plan, otto)
    before = everything_planned()

    with pytest.raises(OwnWork):
        services.period_approve(actor=paul, period_id=plan.pk)

    assert everything_planned() == before


def test_who_checked_a_work_does_not_approve_its_joint_work(
    city: SmallCity, plan: PlanPeriod, line: PlannedWork, area: PlannedWork, otto: Actor,
    advance: Callable[[str], None],
) -> None:  # fmt: skip
    user = accounts.user_with("approver", city.bureau, username="paul")
    advance("endorsed")
    PlannedWork.objects.filter(pk=area.pk).update(checked_by=user)

    joint = joined(plan, otto, line, area)

    paul = accounts.actor_of(user)
    assert policies.is_own_work(actor=paul, work=joint, action="approve")
    assert not policies.is_own_work(actor=paul, work=joint, action="check")
    assert not policies.is_own_work(actor=otto, work=joint, action="approve")


def test_what_is_handed_in_is_joined_and_split_by_those_who_decide(
    plan: PlanPeriod, line: PlannedWork, area: PlannedWork, pia: Actor, lena: Actor, advance: Callable[[str], None]
) -> None:
    advance("submitted")
    before = everything_planned()
    with pytest.raises(Forbidden):
        joined(plan, pia, line, area)
    assert everything_planned() == before

    joint = joined(plan, lena, line, area)

    before = everything_planned()
    with pytest.raises(Forbidden):
        joint_split(actor=pia, work_id=joint.pk)
    assert everything_planned() == before


def test_who_does_not_plan_joins_nothing(
    city: SmallCity, plan: PlanPeriod, line: PlannedWork, area: PlannedWork, asha: Actor, mei: Actor, dora: Actor,
    pia: Actor,
) -> None:  # fmt: skip
    west = accounts.actor_of(accounts.user_with("planner", city.west))
    before = everything_planned()
    for actor in (asha, mei, dora, west):
        with pytest.raises(Forbidden):
            joined(plan, actor, line, area)
    assert everything_planned() == before

    joint = joined(plan, pia, line, area)

    before = everything_planned()
    for actor in (asha, mei, dora, west):
        with pytest.raises(Forbidden):
            joint_split(actor=actor, work_id=joint.pk)
    assert everything_planned() == before


def test_the_work_of_another_branch_needs_somebody_who_plans_there_too(
    city: SmallCity, plan: PlanPeriod, line: PlannedWork, pia: Actor, otto: Actor
) -> None:
    bea = accounts.actor_of(accounts.user_with("planner", city.bureau, username="bea"))
    theirs = work_in(city, bea, "BUS1", branch=city.bureau, windows=[window(22)])
    before = everything_planned()
    with pytest.raises(Forbidden):
        joined(plan, pia, line, theirs)
    assert everything_planned() == before

    joint = joined(plan, otto, line, theirs)

    assert (joint.branch, joint.customers) == (city.east, 3)
    before = everything_planned()
    with pytest.raises(Forbidden):
        joint_split(actor=pia, work_id=joint.pk)
    assert everything_planned() == before
    joint_split(actor=otto, work_id=joint.pk)
    assert not PlannedWork.objects.filter(pk=joint.pk).exists()


def test_the_work_of_another_branch_is_approved_by_somebody_who_approves_there_too(
    city: SmallCity, plan: PlanPeriod, line: PlannedWork, otto: Actor, advance: Callable[[str], None]
) -> None:
    bea = accounts.actor_of(accounts.user_with("planner", city.bureau, username="bea"))
    eve = accounts.actor_of(accounts.user_with("approver", city.east, username="eve"))
    joint = joined(plan, bea, line, work_in(city, bea, "BUS1", branch=city.bureau, windows=[window(22)]))
    advance("endorsed")
    answer_all(plan, otto)
    before = everything_planned()

    with pytest.raises(AnotherBranchToo) as refusal:
        services.period_approve(actor=eve, period_id=plan.pk)

    assert joint.reference in str(refusal.value)
    assert city.bureau.name in str(refusal.value)
    assert everything_planned() == before
    advance("approved")
    joint.refresh_from_db()
    assert joint.state == "approved"


# --- refused ------------------------------------------------------------------------------------------

CANNOT = {
    "one": "Choose at least two works.",
    "elsewhere": "None of these works stands in this plan.",
    "ended": "{other} is cancelled.",
    "a part": "{other} is part of a joint outage.",
    "joint": "{other} is a joint outage already.",
    "several windows": "{other} has several windows, which depend on each other.",
    "apart": "These works take no customers off together.",
    "unexplained": "{other} does not say yet why it cannot wait.",
    "fixed": "Two of these dates cannot move, and they differ.",
}


@pytest.mark.parametrize("why", CANNOT)
def test_what_cannot_be_joined(
    city: SmallCity, plan: PlanPeriod, line: PlannedWork, area: PlannedWork, pia: Actor, why: str
) -> None:
    works = [line, area]
    match why:
        case "one":
            works = [line]
        case "elsewhere":
            works = [work_in(city, pia, "T11", windows=[window(day)], **LATE) for day in (22, 23)]
        case "ended":
            services.work_cancel(actor=pia, work_id=area.pk, reason="物资未到")
        case "a part":
            third = work_in(city, pia, "T11", period=plan, windows=[window(22)])
            joined(plan, pia, area, third)
        case "joint":
            third = work_in(city, pia, "T11", period=plan, windows=[window(22)])
            works = [line, joined(plan, pia, area, third)]
        case "several windows":
            works = [line, work_in(city, pia, "T11", period=plan, windows=[window(22, 8, 1), window(22, 12, 1)])]
        case "apart":
            works = [area, work_in(city, pia, "T12", period=plan, windows=[window(22)])]
        case "unexplained":
            works = [line, work_in(city, pia, "T11", work_class="temporary", windows=[window(22)])]
        case "fixed":
            PlannedWork.objects.update(is_fixed=True)
    before = everything_planned()

    with pytest.raises(CannotJoin) as refusal:
        joined(plan, pia, *works)

    assert str(refusal.value) == CANNOT[why].format(other=works[-1].reference)
    assert everything_planned() == before


def test_a_work_that_has_not_come_as_far_as_the_plan_is_refused(
    city: SmallCity, plan: PlanPeriod, line: PlannedWork, pia: Actor, otto: Actor, advance: Callable[[str], None]
) -> None:
    advance("endorsed")
    late = work_in(city, pia, "T11", windows=[window(23)], **LATE)
    services.work_submit(actor=pia, work_id=answered(late, pia).pk)
    before = everything_planned()

    with pytest.raises(CannotJoin, match="has not come as far as this plan"):
        joined(plan, otto, line, late)

    assert everything_planned() == before


@pytest.mark.parametrize("stage", ["approved", "published"])
def test_after_the_approval_nothing_is_joined_and_nothing_split(
    city: SmallCity, plan: PlanPeriod, line: PlannedWork, area: PlannedWork, pia: Actor, otto: Actor,
    advance: Callable[[str], None], stage: str,
) -> None:  # fmt: skip
    others = [work_in(city, pia, "T12", period=plan, windows=[window(24 + n, 8, 1)]) for n in range(2)]
    joint = joined(plan, pia, *others)
    advance(stage)
    before = everything_planned()

    with pytest.raises(IllegalTransition):
        joined(plan, otto, line, area)
    with pytest.raises(IllegalTransition):
        joint_split(actor=otto, work_id=joint.pk)

    assert everything_planned() == before


def test_a_work_that_was_changed_meanwhile_is_a_conflict(
    city: SmallCity, plan: PlanPeriod, line: PlannedWork, area: PlannedWork, pia: Actor
) -> None:
    seen = {line.pk: line.version, area.pk: area.version}
    services.work_change(actor=pia, work_id=area.pk, draft=draft(city, "T11", windows=[window(23)]))
    before = everything_planned()

    with pytest.raises(Conflict):
        joined(plan, pia, line, area, expected_versions=seen)

    assert everything_planned() == before


def test_a_joint_work_that_was_changed_meanwhile_is_a_conflict(
    city: SmallCity, plan: PlanPeriod, line: PlannedWork, area: PlannedWork, pia: Actor
) -> None:
    joint = joined(plan, pia, line, area)
    services.work_change(actor=pia, work_id=joint.pk, draft=draft(city, "L11", "T11", windows=[window(23)]))
    before = everything_planned()

    with pytest.raises(Conflict):
        joint_split(actor=pia, work_id=joint.pk, expected_version=joint.version)

    assert everything_planned() == before


def test_what_does_not_exist_is_refused(plan: PlanPeriod, line: PlannedWork, area: PlannedWork, pia: Actor) -> None:
    before = everything_planned()

    with pytest.raises(NotFound):
        joint_create(actor=pia, period_id=plan.pk, work_ids=[line.pk, 10**9])
    with pytest.raises(NotFound):
        joint_create(actor=pia, period_id=10**9, work_ids=[line.pk, area.pk])
    with pytest.raises(NotFound):
        joint_split(actor=pia, work_id=10**9)
    with pytest.raises(IllegalTransition):
        joint_split(actor=pia, work_id=line.pk)

    assert everything_planned() == before


def test_a_time_that_another_claims_is_refused(
    city: SmallCity, plan: PlanPeriod, line: PlannedWork, area: PlannedWork, pia: Actor, otto: Actor,
    advance: Callable[[str], None],
) -> None:  # fmt: skip
    other = work_in(city, pia, "T11", windows=[window(20, 15, 1)], **LATE)
    services.work_submit(actor=pia, work_id=answered(other, pia).pk)
    advance("submitted")
    before = everything_planned()

    with pytest.raises(Overlap) as refusal:
        joined(plan, otto, line, area, window=window(20, 8, 8))

    assert other.reference in str(refusal.value)
    assert everything_planned() == before


# --- published, called off ------------------------------------------------------------------------------


def test_a_joint_work_is_published_as_one_outage_for_all_its_customers(
    city: SmallCity, plan: PlanPeriod, line: PlannedWork, area: PlannedWork, otto: Actor,
    advance: Callable[[str], None],
) -> None:  # fmt: skip
    advance("endorsed")
    joint = joined(plan, otto, line, area)

    advance("published")

    outage = Outage.objects.get()
    assert (outage.status, outage.planned_start, outage.planned_end) == ("scheduled", *window(20))
    assert outage.customers_affected == 3
    assert set(outage.elements.values_list("code", flat=True)) == {"L11", "T11"}
    assert set(Interruption.objects.values_list("element__code", flat=True)) == {"T11", "T12"}
    assert set(PlannedWork.objects.filter(joint=joint).values_list("state", flat=True)) == {"joined"}
    joint.refresh_from_db()
    assert (joint.state, joint.windows.get().outage) == ("published", outage)


def test_calling_off_a_joint_work_calls_off_its_works(
    plan: PlanPeriod, line: PlannedWork, area: PlannedWork, pia: Actor
) -> None:
    joint = joined(plan, pia, line, area)

    services.work_cancel(actor=pia, work_id=joint.pk, reason="雨天")

    states = PlannedWork.objects.values_list("state", "state_reason")
    assert set(states) == {("cancelled", "雨天")}
    assert PlanStep.objects.filter(verb="cancel").count() == 3
