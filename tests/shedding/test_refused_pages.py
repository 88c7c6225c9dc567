"""Forms that were refused: the reason is read, and what is sent again is about what holds now."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils.html import escape
from pytest_django import Settings

from accounts.actor import Actor
from accounts.models import User
from outages.load_shedding.models import SheddingPlan
from tests.factories.grid import SmallCity
from tests.planned.pages import client_of, text_of
from tests.shedding.event_pages import order_of
from tests.shedding.event_pages import url as event_url
from tests.shedding.happening import plan_ready, proposed
from tests.shedding.test_plan_pages import LIMITS, upload, url, version
from tests.shedding.world import block, draft, every_day, everything_shed, plan


@pytest.fixture
def desk(asha_user: User) -> Client:
    return client_of(asha_user)


@pytest.mark.parametrize(
    ("step", "form", "facts"),
    [
        ("order/", "order_form", {"target_mw": "2"}),
        ("propose/", "propose_form", {"choice": "A", "reason": "peak", "why_now": "no time"}),
    ],
)
def test_a_refusal_is_said_where_the_page_has_no_place_for_its_form_any_more(
    city: SmallCity, desk: Client, asha: Actor, otto: Actor, step: str, form: str, facts: dict[str, str]
) -> None:
    event = proposed(asha, plan_ready(city, asha, otto))
    typed = order_of(event, **facts) if form == "order_form" else {"version": event.version, **facts}
    before = everything_shed()

    answer = desk.post(event_url(event, step), typed)

    (words,) = answer.context[form].non_field_errors()
    assert answer.status_code == 409
    assert [str(one) for one in answer.context["messages"]] == [words]
    assert escape(words) in text_of(answer)
    assert everything_shed() == before


def test_a_stale_form_is_a_conflict(city: SmallCity, desk: Client, asha: Actor) -> None:
    made = draft(city, asha)
    typed = {"version": 1, "code": "A", "elements": "T11", "switchings": 1}
    answer = desk.post(url(made, f"blocks/{block(made, 'A').pk}/"), typed)
    assert (answer.status_code, block(made, "A").customers) == (409, 3)
    again = desk.post(url(made, f"blocks/{block(made, 'A').pk}/"), {**typed, "version": renewed(answer)})
    assert (again.status_code, block(made, "A").customers) == (302, 2)


def renewed(answer: Any) -> str:
    """The version that a refused form sends when it is sent again."""
    assert answer.status_code == 409
    return str(answer.context["form"]["version"].value())


def test_every_refused_form_can_be_sent_again(
    city: SmallCity, desk: Client, asha: Actor, settings: Settings, tmp_path: Path
) -> None:
    settings.MEDIA_ROOT = tmp_path
    made = draft(city, asha, turns=every_day("A", "08:00", "10:00"))
    turn = {"block": "B", "recurrence": "weekly", "days": "1", "hours": "12:00-14:00"}
    stages = {f"colour_{n}": "blue" for n in range(1, 9)} | {"mw_1": "0.1"}
    checked = upload(desk, made, "stage,day,from,until,block\n1,1-31,00:00,12:00,A\n")["Location"]
    limits = {**LIMITS, "name": "x", "effective_from": "2030-01-01"}
    forms: dict[str, dict[str, Any]] = {
        url(made, "turns/?stage=1"): turn,
        checked: {},
        url(made, "stages/"): stages,
        url(made, "change/"): limits,
    }
    for address, typed in forms.items():
        refused = desk.post(address, {**typed, "version": 1})
        assert desk.post(address, {**typed, "version": renewed(refused)}).status_code == 302, address


def test_a_refusal_is_read_though_the_version_is_no_draft_any_more(city: SmallCity, desk: Client, asha: Actor) -> None:
    made = plan(city, asha, turns=every_day("A", "08:00", "10:00"))
    before = everything_shed()
    typed = {"version": version(made), "code": "A", "elements": "T11", "switchings": 1}
    turn = {"version": version(made), "block": "B", "recurrence": "weekly", "days": "1", "hours": "12:00-14:00"}

    for address, facts in (("turns/?stage=1", turn), (f"blocks/{block(made, 'A').pk}/", typed)):
        answer = desk.post(url(made, address), facts)
        assert answer.status_code == 409
        (words,) = answer.context["form"].non_field_errors()
        assert escape(words) in text_of(answer)
    assert everything_shed() == before


def test_a_turn_is_not_deleted_from_a_table_that_changed_meanwhile(city: SmallCity, desk: Client, asha: Actor) -> None:
    made = draft(city, asha, turns=every_day("A", "08:00", "10:00"))
    gone = made.turns.get(day=3)

    def somebody_else_writes(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        found = execute(sql, params, many, context)
        if 'FROM "load_shedding_turn"' in sql and version(made) == made.version:
            SheddingPlan.objects.filter(pk=made.pk).update(version=made.version + 1)
        return found

    with connection.execute_wrapper(somebody_else_writes):
        answer = desk.post(url(made, f"turns/{gone.pk}/delete/"))

    assert (answer.status_code, made.turns.count()) == (409, 7)
