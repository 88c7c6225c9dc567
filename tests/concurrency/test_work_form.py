"""An impatient finger, a retrying browser: the form of a work is one work, however often and together it is sent."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.actor import Actor
from outages.planned import services
from outages.planned.models import PlannedWork, PlanStep, WorkSketch
from standards.errors import Conflict
from tests.concurrency.test_outage_writers import together
from tests.factories.grid import SmallCity
from tests.planned.world import draft, work_in

pytestmark = [pytest.mark.concurrency, pytest.mark.django_db(transaction=True)]

CLICKS = 6
LATE: dict[str, Any] = {"work_class": "temporary", "temporary_reason": "缺陷"}


def test_one_form_sent_together_is_one_work(city: SmallCity, pia: Actor) -> None:
    def send() -> int:
        typed = draft(city, "L11", **LATE)
        return services.work_enter(actor=pia, token="same", branch=city.east, draft=typed).pk

    sent = together(*[send] * CLICKS)

    assert {*sent} == {PlannedWork.objects.get().pk}
    assert (WorkSketch.objects.count(), PlanStep.objects.filter(verb="create").count()) == (1, 1)


def test_one_change_sent_together_is_one_change(city: SmallCity, pia: Actor) -> None:
    work = work_in(city, pia, "L11", **LATE)

    def send() -> int:
        typed = draft(city, "L11", **LATE, note="围栏已借")
        return services.work_revise(
            actor=pia, token="same", work_id=work.pk, draft=typed, expected_version=work.version
        ).version

    assert {*together(*[send] * CLICKS)} == {work.version + 1}
    assert PlanStep.objects.filter(verb="change").count() == 1


def test_of_two_forms_over_the_same_work_one_is_told(city: SmallCity, pia: Actor) -> None:
    work = work_in(city, pia, "L11", **LATE)

    def send(token: str) -> str:
        typed = draft(city, "L11", **LATE, note=token)
        return services.work_revise(
            actor=pia, token=token, work_id=work.pk, draft=typed, expected_version=work.version
        ).note

    results = together(lambda: send("one"), lambda: send("two"))

    assert [type(result) for result in results].count(Conflict) == 1
    assert PlannedWork.objects.get().note in results
