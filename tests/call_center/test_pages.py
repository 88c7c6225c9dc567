"""The pages of the desk answer in every state of the supply, and refuse whom they must."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.actor import Actor
from accounts.pages import moment
from call_center.models import Call
from outages.faults.services import fault_restore, fault_set_etr
from outages.models import Outage
from tests.factories import accounts
from tests.factories.grid import SmallCity

FaultAt = Callable[..., Outage]


def card(client: Client, call: Call) -> Any:
    return client.get(reverse("call_center:call", args=[call.key]))


def state_of(response: Any) -> str:
    assert response.status_code == 200
    return str(response.context["answer"].state)


def test_the_console_opens_with_the_search_box(client: Client) -> None:
    page = client.get("/console/").content.decode()

    assert 'id="console-search"' in page
    assert "Type what the caller says." in page


def test_a_query_never_stays_in_the_address(client: Client) -> None:
    response = client.get("/console/?q=13800138002")

    assert (response.status_code, response["Location"]) == (302, "/console/?found")
    assert "138****8002" in client.get(response["Location"]).content.decode()


def test_while_typing_the_hits_come_as_a_fragment(client: Client) -> None:
    page = client.post("/console/search/", {"q": "王伟"}, headers={"hx-request": "true"}).content.decode()

    assert "<html" not in page
    assert "王*" in page


def test_enter_opens_the_one_premises_meant(client: Client, city: SmallCity) -> None:
    response = client.post("/console/search/", {"q": "13800138002", "start_token": "t1"})

    call = Call.objects.get()
    assert response["Location"] == reverse("call_center:call", args=[call.key])
    assert call.service_point == city.service_points["SP0002"]


def test_enter_on_several_premises_shows_the_chooser(client: Client) -> None:
    response = client.post("/console/search/", {"q": "13800138001", "start_token": "t1"})
    page = client.get(response["Location"]).content.decode()

    assert Call.objects.count() == 0
    assert 'data-key="1"' in page
    assert 'data-key="2"' in page


def test_a_mistyped_number_stays_in_the_box(client: Client) -> None:
    page = client.get(client.post("/console/search/", {"q": "138001380022"})["Location"]).content.decode()

    assert 'value="138001380022"' in page
    assert "This is not a complete telephone number." in page


# --- the card in every state ------------------------------------------------------------------------


def test_nothing_known(client: Client, call: Call) -> None:
    response = card(client, call)

    assert state_of(response) == "on"
    page = response.content.decode()
    assert "目前没有影响您这里的停电记录" in page
    assert "We know of no outage at your premises." in page
    assert response.context["form"].initial["reason"] == "no_supply"


def test_a_fault_with_an_estimate(client: Client, call: Call, fault_at: FaultAt) -> None:
    outage = fault_at("F1", etr=timezone.now() + timedelta(hours=2), etr_source="operator", cause_class="vegetation")

    response = card(client, call)

    assert state_of(response) == "off"
    page = response.content.decode()
    assert "a tree touching the line" in page
    assert "树木碰触线路" in page
    assert outage.reference in page
    assert "assessed" in page
    assert f"live:outage:{outage.pk} from:body" in page


def test_a_fault_without_an_estimate(client: Client, call: Call, fault_at: FaultAt) -> None:
    fault_at("F1")

    assert state_of(card(client, call)) == "no_etr"


def test_an_estimate_that_has_passed(client: Client, call: Call, fault_at: FaultAt) -> None:
    outage = fault_at("F1", etr=timezone.now() + timedelta(hours=1), etr_source="operator")
    Outage.objects.filter(pk=outage.pk).update(etr=timezone.now() - timedelta(minutes=10))

    response = card(client, call)

    assert state_of(response) == "overdue"
    assert "It is taking longer than we said" in response.content.decode()


def test_a_suspected_outage(client: Client, call: Call, fault_at: FaultAt) -> None:
    fault_at("T11", is_confirmed=False, started_at=None)

    assert state_of(card(client, call)) == "suspected"


def test_a_restored_outage_offers_still_off(client: Client, call: Call, fault_at: FaultAt, asha: Actor) -> None:
    outage = fault_at("F1")
    fault_restore(outage_id=outage.pk, actor=asha, restored_at=timezone.now())

    response = card(client, call)

    assert state_of(response) == "restored"
    assert response.context["form"].initial["reason"] == "still_out"
    assert 'value="still_out">' in response.content.decode()


def test_announced_work(client: Client, call: Call, city: SmallCity, asha: Actor) -> None:
    from outages.services import outage_open

    begins = timezone.now() + timedelta(hours=20)
    outage_open(
        kind="planned", action="schedule", actor=asha, element_ids=city.ids("F1"),
        planned_start=begins, planned_end=begins + timedelta(hours=4),
    )  # fmt: skip

    response = card(client, call)

    assert state_of(response) == "on"
    assert len(response.context["answer"].announced) == 1
    assert response.context["form"].initial["reason"] == "planned"


def test_announced_work_that_moved_or_was_called_off(client: Client, call: Call, city: SmallCity, asha: Actor) -> None:
    from outages.services import outage_cancel, outage_open, outage_reschedule

    begins = timezone.now() + timedelta(hours=20)
    outage = outage_open(
        kind="planned", action="schedule", actor=asha, element_ids=city.ids("F1"),
        planned_start=begins, planned_end=begins + timedelta(hours=4),
    )  # fmt: skip
    later = begins + timedelta(days=20)
    outage_reschedule(
        outage_id=outage.pk, actor=asha, planned_start=later, planned_end=later + timedelta(hours=4), reason="rain"
    )

    moved = card(client, call)
    assert [evidence.is_called_off for evidence in moved.context["answer"].announced] == [False]
    assert f"moved from {moment(begins)}" in moved.content.decode()
    assert moved.context["form"].initial["reason"] == "planned"

    outage_reschedule(
        outage_id=outage.pk, actor=asha, planned_start=begins, planned_end=begins + timedelta(hours=4), reason="sun"
    )
    outage_cancel(outage_id=outage.pk, actor=asha, reason="no crew")

    cancelled = card(client, call)
    assert [evidence.is_called_off for evidence in cancelled.context["answer"].announced] == [True]
    assert f"cancelled <strong>{moment(begins)}" in cancelled.content.decode()
    assert state_of(cancelled) == "on"


def test_a_danger_at_the_premises_leads(client: Client, call: Call, mei: Actor, city: SmallCity) -> None:
    from outages.faults.services import ReportRequest, report_create

    report_create(actor=mei, request=ReportRequest(service_point_id=city.service_points["SP0001"].pk, wire_down=True))

    response = card(client, call)

    assert state_of(response) == "safety"
    assert "script-block--safety" in response.content.decode()
    assert response.context["form"].initial["reason"] == "hazard"


def test_the_neighbours_who_reported_are_counted(client: Client, call: Call, mei: Actor, city: SmallCity) -> None:
    from outages.faults.services import ReportRequest, report_create

    report_create(actor=mei, request=ReportRequest(service_point_id=city.service_points["SP0002"].pk))
    report_create(actor=mei, request=ReportRequest(service_point_id=city.service_points["SP0002"].pk))
    report_create(actor=mei, request=ReportRequest(service_point_id=city.service_points["SP0001"].pk))

    answer = card(client, call).context["answer"]

    assert answer.neighbours == 1


def test_a_debt_is_locked_whatever_is_true(client: Client, call: Call) -> None:
    assert "verify identity first" in card(client, call).content.decode()


# --- promises ---------------------------------------------------------------------------------------


def test_who_was_told_another_time_hears_that_first(
    client: Client, call: Call, fault_at: FaultAt, asha: Actor, city: SmallCity, mei: Actor
) -> None:
    from call_center import services

    now = timezone.now()
    outage = fault_at("F1", etr=now + timedelta(hours=1), etr_source="operator")
    page = card(client, call)
    client.post(
        reverse("call_center:log", args=[call.key]),
        {"reason": "no_supply", "scope": "unknown", "told": page.context["answer"].told},
    )
    fault_set_etr(outage_id=outage.pk, actor=asha, etr=now + timedelta(hours=5), etr_source="operator")

    again = services.call_start(actor=mei, service_point_id=city.service_points["SP0001"].pk)
    answer = card(client, again).context["answer"]

    assert answer.promise_en.startswith("When you called at ")
    assert "it is now" in answer.promise_en


def test_who_was_told_the_same_time_hears_nothing_of_it(
    client: Client, call: Call, fault_at: FaultAt, city: SmallCity, mei: Actor
) -> None:
    from call_center import services

    fault_at("F1", etr=timezone.now() + timedelta(hours=1), etr_source="operator")
    told = card(client, call).context["answer"].told
    client.post(reverse("call_center:log", args=[call.key]), {"reason": "no_supply", "scope": "unknown", "told": told})

    again = services.call_start(actor=mei, service_point_id=city.service_points["SP0001"].pk)

    assert card(client, again).context["answer"].promise_en == ""


# --- whom it shows ----------------------------------------------------------------------------------


def test_the_caller_is_in_clear_during_the_call_and_in_part_afterwards(client: Client, call: Call) -> None:
    assert "陈静" in card(client, call).content.decode()

    client.post(reverse("call_center:log", args=[call.key]), {"reason": "other", "scope": "unknown"})

    page = card(client, call).content.decode()
    assert "陈静" not in page
    assert "陈*" in page
    assert "501室" not in page


def test_another_agents_call_is_not_there(client: Client, call: Call, city: SmallCity) -> None:
    other = accounts.user_with("agent", city.bureau, username="lan")
    client.force_login(other, backend="django.contrib.auth.backends.ModelBackend")

    assert card(client, call).status_code == 404
    assert client.post(reverse("call_center:draft", args=[call.key]), {"note": "x"}).status_code == 404
    assert client.post(reverse("call_center:log", args=[call.key]), {"reason": "other"}).status_code == 404
    call.refresh_from_db()
    assert call.is_open
    assert call.draft == {}


@pytest.mark.parametrize("name", ["console", "calls", "callbacks"])
def test_an_outsider_is_refused(client: Client, name: str) -> None:
    client.force_login(accounts.dora(), backend="django.contrib.auth.backends.ModelBackend")

    assert client.get(reverse(f"call_center:{name}")).status_code == 403


def test_nobody_comes_in_without_a_login(db: None) -> None:
    assert Client().get("/console/")["Location"].startswith("/accounts/login/")


# --- what it costs ----------------------------------------------------------------------------------


def statements(client: Client, path: str) -> list[str]:
    """The statements of the desk itself: session and login are those of every page."""
    with CaptureQueriesContext(connection) as captured:
        assert client.get(path).status_code == 200
    frame = ("django_session", "accounts_user", "accounts_rolegrant")
    return [
        s["sql"] for s in captured.captured_queries if not any(name in s["sql"].split("WHERE")[0] for name in frame)
    ]


def test_a_card_costs_the_same_whatever_is_true(client: Client, call: Call, fault_at: FaultAt) -> None:
    path = reverse("call_center:call", args=[call.key])
    quiet = statements(client, path)
    fault_at("F1")
    fault_at("T11")

    assert len(quiet) == 9
    # who else reported, and what was promised before
    assert len(statements(client, path)) == 11


def test_a_live_refresh_costs_seven(client: Client, call: Call, fault_at: FaultAt) -> None:
    fault_at("F1")

    assert len(statements(client, reverse("call_center:card", args=[call.key]))) == 7


def test_the_desk_costs_the_same_however_much_was_done(
    client: Client, mei: Actor, city: SmallCity, fault_at: FaultAt
) -> None:
    from call_center import services

    fault_at("F1")
    for point in city.service_points.values():
        call = services.call_start(actor=mei, service_point_id=point.pk)
        services.call_log(actor=mei, key=call.key, reason="no_supply")

    assert len(statements(client, "/console/")) <= 8
    assert len(statements(client, "/console/calls/")) <= 3


def test_a_dispatcher_may_look_but_opens_no_card(client: Client, city: SmallCity, fault_at: FaultAt) -> None:
    outage = fault_at("T11")
    client.force_login(accounts.asha(city.bureau), backend="django.contrib.auth.backends.ModelBackend")

    page = client.get(client.post("/console/search/", {"q": "13800138002"})["Location"]).content.decode()

    assert "王*" in page
    assert outage.reference in page
    assert 'name="service_point"' not in page
    assert Call.objects.count() == 0
