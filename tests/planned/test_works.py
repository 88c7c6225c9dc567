"""Entering and changing works: many at once, all or none, measured by the network."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.actor import Actor
from grid.models import Customer
from outages.lifecycle import IllegalTransition
from outages.planned import services
from outages.planned.models import PlannedWork, WorkPlace
from outages.planned.services import WorkDraft
from outages.services import NoPlace
from standards.errors import Conflict, DomainError, Forbidden, NotFound
from tests.factories.grid import SmallCity
from tests.planned.world import ahead, draft, everything_planned, plan_of, window, work_in


def test_a_work_knows_who_would_be_off(city: SmallCity, pia: Actor) -> None:
    work = work_in(city, pia, "L11")

    assert (work.reference[:2], work.state, work.author_id) == ("W-", "draft", pia.user_id)
    work.refresh_from_db()
    assert (work.places, work.customers, work.critical_customers, work.life_support) == (2, 3, 1, 1)
    assert work.load_kw == 4.5
    assert set(WorkPlace.objects.values_list("element__code", flat=True)) == {"T11", "T12"}
    assert (work.reason_zh, work.reason_en) == ("线路检修", "line maintenance")


def test_an_open_switch_today_does_not_change_next_weeks_plan(city: SmallCity, pia: Actor) -> None:
    breaker = city.elements["B1"]
    breaker.is_open = True
    breaker.save(update_fields=["is_open"])

    work = work_in(city, pia, "L11")

    work.refresh_from_db()
    assert work.customers == 3


@pytest.mark.parametrize(
    ("windows", "refusal"),
    [
        ([], "no_window"),
        ([(ahead(20), ahead(20))], "bad_time"),
        ([(ahead(21), ahead(20))], "bad_time"),
        ([(ahead(20), ahead(60))], "bad_time"),
        ([(ahead(900), ahead(901))], "bad_time"),
        ([window(20), window(20, hour=10)], "windows_overlap"),
        ([(ahead(20).replace(tzinfo=None), ahead(20, 12).replace(tzinfo=None))], "bad_time"),
    ],
)
def test_windows_that_cannot_be_are_refused(city: SmallCity, pia: Actor, windows: Any, refusal: str) -> None:
    before = everything_planned()

    with pytest.raises(DomainError) as refused:
        services.work_create(
            actor=pia, branch=city.east, draft=WorkDraft(tuple(city.ids("L11")), tuple(windows), {"title": "x"})
        )

    assert (refused.value.code, refused.value.field) == (refusal, "windows")
    assert everything_planned() == before


def test_touching_windows_are_one_work(city: SmallCity, pia: Actor) -> None:
    start = ahead(20)
    work = work_in(
        city, pia, "L11", windows=[(start, start + timedelta(hours=2)), (start + timedelta(hours=2), ahead(20, 14))]
    )

    assert work.windows.count() == 2


def test_nothing_to_open_is_refused(city: SmallCity, pia: Actor) -> None:
    with pytest.raises(NoPlace):
        work_in(city, pia)


def test_another_branchs_element_is_as_missing_as_none(city: SmallCity, pia: Actor) -> None:
    before = everything_planned()

    with pytest.raises(NotFound):
        work_in(city, pia, "L21")

    assert everything_planned() == before


def test_only_the_branchs_planner_plans(city: SmallCity, pia: Actor, lena: Actor, dora: Actor, mei: Actor) -> None:
    before = everything_planned()

    for actor in (lena, dora, mei):
        with pytest.raises(Forbidden):
            work_in(city, actor, "L11")
    with pytest.raises(Forbidden):
        work_in(city, pia, "L21", branch=city.west)
    assert everything_planned() == before


def test_a_number_of_the_branch_is_used_once(city: SmallCity, pia: Actor) -> None:
    work_in(city, pia, "T11", key="2026-12-01")
    before = everything_planned()

    with pytest.raises(services.KeyTaken) as refused:
        work_in(city, pia, "T12", key="2026-12-01")

    assert "2026-12-01" in str(refused.value)
    assert everything_planned() == before


def test_a_work_of_a_plan_lies_within_it(city: SmallCity, pia: Actor) -> None:
    period = plan_of(city, pia, 20)
    late = ahead(20).replace(day=1) + timedelta(days=40)

    with pytest.raises(services.OutsidePeriod):
        work_in(city, pia, "L11", period=period, windows=[(late, late + timedelta(hours=2))])


def test_the_announcement_cannot_be_switched_off(city: SmallCity, pia: Actor) -> None:
    work = work_in(city, pia, "L11", notice_plan=["reminder_late"])

    assert work.notice_plan == ["announced", "reminder_late"]


def test_a_change_measures_again_and_forgets_the_answers(city: SmallCity, pia: Actor) -> None:
    work = work_in(city, pia, "L11")
    services.answer_give(actor=pia, work_id=work.pk, code="life_support", reason="已安排发电车")

    changed = services.work_change(
        actor=pia, work_id=work.pk, draft=draft(city, "T11", title="更换熔断器"), expected_version=1
    )

    changed.refresh_from_db()
    assert (changed.title, changed.customers, changed.version) == ("更换熔断器", 2, 2)
    assert changed.answers.count() == 0
    assert [step.verb for step in changed.steps.order_by("pk")] == ["create", "answer", "change"]


def test_who_changes_what_somebody_else_changed_is_told(city: SmallCity, pia: Actor) -> None:
    work = work_in(city, pia, "L11")
    services.work_change(actor=pia, work_id=work.pk, draft=draft(city, "T11"), expected_version=1)
    before = everything_planned()

    with pytest.raises(Conflict):
        services.work_change(actor=pia, work_id=work.pk, draft=draft(city, "T12"), expected_version=1)

    assert everything_planned() == before


def test_a_draft_can_be_thrown_away_and_nothing_else(city: SmallCity, pia: Actor) -> None:
    work = work_in(city, pia, "L11")
    services.work_delete(actor=pia, work_id=work.pk)
    assert not PlannedWork.objects.exists()

    other = work_in(city, pia, "T11", work_class="temporary", temporary_reason="缺陷")
    PlannedWork.objects.filter(pk=other.pk).update(state="submitted")
    with pytest.raises(IllegalTransition):
        services.work_delete(actor=pia, work_id=other.pk)
    assert PlannedWork.objects.filter(pk=other.pk).exists()


def test_statements_do_not_grow_with_works(city: SmallCity, pia: Actor) -> None:
    def statements(count: int) -> int:
        drafts = [draft(city, "L11" if n % 2 else "T12", windows=[window(10 + n)]) for n in range(count)]
        with CaptureQueriesContext(
            connection,
        ) as queries:
            services.works_create(actor=pia, branch=city.east, drafts=drafts)
        return len(queries)

    statements(1)
    assert statements(2) == statements(60)


def test_a_risk_sheet_belongs_to_a_customer_of_the_work(city: SmallCity, pia: Actor) -> None:
    work = work_in(city, pia, "L12")
    patient: Customer = city.customers["life_support"]

    services.risk_sheet_write(
        actor=pia,
        work_id=work.pk,
        customer=patient,
        measures="社区提供备用电源",
        agreed_with="李桂英",
        own_generator=False,
    )
    with pytest.raises(NotFound):
        services.risk_sheet_write(
            actor=pia, work_id=work.pk, customer=city.customers["chen"], measures="x", agreed_with="y"
        )
    with pytest.raises(DomainError):
        services.risk_sheet_write(actor=pia, work_id=work.pk, customer=patient, measures=" ", agreed_with="y")

    assert work.risk_sheets.get().agreed_with == "李桂英"
