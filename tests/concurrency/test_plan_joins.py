"""Several people join, split and decide about the same works at once: each work stands in one joint outage."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.actor import Actor
from outages.planned import services
from outages.planned.models import PlannedWork, PlanPeriod, WindowClaim
from standards.errors import Forbidden, NotFound
from tests.concurrency.test_outage_writers import refusals, together
from tests.factories.grid import SmallCity
from tests.planned.world import answered_all, plan_of, window, work_in

pytestmark = [pytest.mark.concurrency, pytest.mark.django_db(transaction=True)]

PEOPLE = 6


@pytest.fixture
def plan(city: SmallCity, pia: Actor) -> PlanPeriod:
    """Three works on one line, a day apart from each other."""
    period = plan_of(city, pia)
    for n, element in enumerate(("L11", "T11", "L11")):
        work_in(city, pia, element, period=period, windows=[window(20 + n)])
    answered_all(period.works.order_by("pk"), pia)
    return period


def join(plan: PlanPeriod, actor: Actor, *works: PlannedWork) -> Any:
    return lambda: services.joint_create(actor=actor, period_id=plan.pk, work_ids=[work.pk for work in works])


def test_the_same_works_are_joined_once(plan: PlanPeriod, pia: Actor, lena: Actor) -> None:
    first, second, third = plan.works.order_by("pk")

    # the second work is wanted by both; whoever comes later is told that it is part of a joint outage
    results = together(*[join(plan, pia, first, second), join(plan, lena, second, third)] * (PEOPLE // 2))

    (joint,) = PlannedWork.objects.filter(children__isnull=False).distinct()
    assert refusals(results) == [services.CannotJoin] * (PEOPLE - 1)
    assert set(joint.children.values_list("pk", flat=True)) in ({first.pk, second.pk}, {second.pk, third.pk})
    assert plan.works.filter(state="joined").count() == 2


def test_a_joint_work_is_split_once(plan: PlanPeriod, pia: Actor) -> None:
    first, second, _third = plan.works.order_by("pk")
    joint = join(plan, pia, first, second)()

    results = together(*[lambda: services.joint_split(actor=pia, work_id=joint.pk)] * PEOPLE)

    assert refusals(results) == [NotFound] * (PEOPLE - 1)
    assert list(plan.works.values_list("state", flat=True)) == ["draft"] * 3


def test_a_plan_is_handed_in_with_or_without_the_joint_work_never_with_both(plan: PlanPeriod, pia: Actor) -> None:
    first, second, _third = plan.works.order_by("pk")
    joint = join(plan, pia, first, second)()
    answered_all(plan.works.exclude(state="joined").order_by("pk"), pia)

    results = together(
        lambda: services.joint_split(actor=pia, work_id=joint.pk),
        lambda: services.period_submit(actor=pia, period_id=plan.pk),
    )

    going = plan.works.exclude(state="joined")
    assert set(going.values_list("state", flat=True)) == {"submitted"}
    assert set(WindowClaim.objects.values_list("window__work", flat=True)) == {work.pk for work in going}
    # whoever splits after the plan was handed in is no longer the one who may
    assert (going.count(), refusals(results)) in ((3, []), (2, [Forbidden]))
