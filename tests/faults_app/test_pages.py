"""The pages of dispatch, over HTTP: what is shown, what is taken, what is refused without losing a word."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.actor import Actor
from outages.faults import services
from outages.faults.models import Crew, CrewAssignment, Fault, TroubleReport
from outages.faults.services import ReportRequest
from outages.models import Outage
from tests.factories import accounts
from tests.factories.grid import SmallCity
from tests.faults_app.conftest import everything_about


@pytest.fixture
def browser(city: SmallCity) -> Client:
    """Asha's."""
    client = Client()
    client.force_login(accounts.asha(city.bureau))
    return client


@pytest.fixture
def agent(city: SmallCity) -> Client:
    """Mei's."""
    client = Client()
    client.force_login(accounts.mei(city.bureau))
    return client


def minute(moment: datetime) -> str:
    return timezone.localtime(moment).strftime("%Y-%m-%dT%H:%M")


def step_url(outage: Outage, name: str) -> str:
    return f"/faults/{outage.reference}/{name}/"


def filled(outage: Outage, **typed: Any) -> dict[str, Any]:
    newest = outage.events.order_by("-sequence").values_list("sequence", flat=True).first()
    return {"version": outage.version, "seen": newest, **typed}


def text_of(response: Any) -> str:
    return response.content.decode()  # type: ignore[no-any-return]


# --- logging ----------------------------------------------------------------------------------------


def test_the_place_shows_who_would_be_off(browser: Client, city: SmallCity) -> None:
    page = text_of(browser.get("/faults/new/", {"q": "L11"}))

    assert f'name="place" value="e{city.id("L11")}"' in page
    assert "<dd>3<small>2 places</small></dd>" in page
    assert "李*英" in page  # life support, masked
    assert "K号设备" in page  # the tie that could feed a part


@pytest.mark.parametrize(
    ("words", "found"),
    [("13800138003", "SP0003"), ("1000000003", "SP0003"), ("M0003", "SP0003"), ("建设路", "SP0003"), ("t12", "T12")],
)
def test_the_place_is_found_by(browser: Client, words: str, found: str) -> None:
    page = text_of(browser.get("/faults/new/place/", {"q": words}))

    assert f'<span class="mono">{found}</span>' in page


def test_a_part_of_a_phone_number_finds_nobody(browser: Client) -> None:
    assert "Nothing is found" in text_of(browser.get("/faults/new/place/", {"q": "0138003"}))


def test_several_hits_are_offered(browser: Client) -> None:
    page = text_of(browser.get("/faults/new/place/", {"q": "13800138001"}))

    assert page.count('type="radio"') == 2


def test_an_open_outage_at_the_place_is_told(browser: Client, feeder_fault: Outage, city: SmallCity) -> None:
    page = text_of(browser.get("/faults/new/place/", {"place": f"e{city.id('T11')}"}))

    assert feeder_fault.reference in page
    assert "There is something already" in page


def test_a_fault_is_logged_and_a_double_click_logs_one(browser: Client, city: SmallCity, now: datetime) -> None:
    typed = {
        "place": f"e{city.id('L11')}", "token": "abc", "is_confirmed": "yes", "cause_code": "wind",
        "started_at": minute(now - timedelta(minutes=30)), "etr": minute(now + timedelta(hours=3)),
        "etr_source": "operator", "etr_reason": "pole down",
    }  # fmt: skip
    first = browser.post("/faults/new/", typed)
    second = browser.post("/faults/new/", typed)

    outage = Outage.objects.get()
    assert first.status_code == second.status_code == 302
    assert first["Location"] == second["Location"] == f"/outages/{outage.reference}/"
    assert (outage.status, outage.cause_class, outage.etr_reason) == ("active", "weather", "pole down")
    assert outage.events.count() == 1


def test_nothing_typed_is_lost_on_a_mistake(browser: Client, city: SmallCity, now: datetime) -> None:
    typed = {
        "place": f"e{city.id('L11')}", "token": "abc", "is_confirmed": "no", "cause_text": "ein alter Baum",
        "etr": minute(now - timedelta(hours=3)), "note": "called twice",
    }  # fmt: skip
    response = browser.post("/faults/new/", typed)

    page = text_of(response)
    assert response.status_code == 422
    assert "An estimate must lie in the future." in page
    assert "ein alter Baum" in page
    assert "called twice" in page
    assert 'value="abc"' in page
    assert f'name="place" value="e{city.id("L11")}"' in page
    assert not Outage.objects.exists()


def test_a_search_without_scripts_keeps_the_form(browser: Client) -> None:
    page = text_of(browser.get("/faults/new/", {"q": "L11", "cause_text": "ein alter Baum", "token": "abc"}))

    assert "ein alter Baum" in page
    assert 'value="abc"' in page


def test_without_a_place_nothing_is_logged(browser: Client) -> None:
    response = browser.post("/faults/new/", {"token": "abc", "is_confirmed": "yes"})

    assert response.status_code == 422
    assert "Choose the place of the fault." in text_of(response)
    assert not Outage.objects.exists()


def test_a_foreign_place_is_as_missing_as_none(city: SmallCity) -> None:
    client = Client()
    client.force_login(accounts.user_with("dispatcher", city.west, username="west"))

    response = client.post("/faults/new/", {"place": f"e{city.id('L11')}", "token": "abc", "is_confirmed": "yes"})

    assert response.status_code == 422
    assert not Outage.objects.exists()


# --- steps ------------------------------------------------------------------------------------------


def test_the_panel_shows_the_steps_to_a_dispatcher_only(browser: Client, agent: Client, feeder_fault: Outage) -> None:
    url = f"/outages/{feeder_fault.reference}/"

    assert step_url(feeder_fault, "restore") in text_of(browser.get(url))
    assert step_url(feeder_fault, "confirm") not in text_of(browser.get(url))
    assert step_url(feeder_fault, "restore") not in text_of(agent.get(url))


@pytest.mark.parametrize("name", ["etr", "assign", "restore-part", "restore", "merge"])
def test_every_step_has_its_page(browser: Client, agent: Client, feeder_fault: Outage, name: str) -> None:
    assert browser.get(step_url(feeder_fault, name)).status_code == 200
    assert agent.get(step_url(feeder_fault, name)).status_code == 403


def test_an_unknown_step_is_missing(browser: Client, feeder_fault: Outage) -> None:
    assert browser.get(step_url(feeder_fault, "explode")).status_code == 404


def test_a_suspicion_is_confirmed(browser: Client, suspicion: Outage, now: datetime) -> None:
    typed = filled(suspicion, started_at=minute(now - timedelta(minutes=9)), element="b2", cause_code="bird")

    assert browser.post(step_url(suspicion, "confirm"), typed).status_code == 302

    suspicion.refresh_from_db()
    assert (suspicion.status, suspicion.customers_out, suspicion.public_reason_en) == (
        "active", 3, "an animal touching the line",
    )  # fmt: skip


def test_the_public_text_is_shown_before_saving(browser: Client, feeder_fault: Outage, now: datetime) -> None:
    before = everything_about(feeder_fault)
    typed = filled(feeder_fault, etr=minute(now + timedelta(minutes=70)), etr_source="crew", preview="1")

    page = text_of(browser.post(step_url(feeder_fault, "etr"), typed))

    assert "前恢复供电。" in page
    assert "We expect it back by" in page
    assert everything_about(feeder_fault) == before


def test_an_estimate_in_the_past_is_refused_beside_its_field(
    browser: Client, feeder_fault: Outage, now: datetime
) -> None:
    before = everything_about(feeder_fault)
    typed = filled(feeder_fault, etr=minute(now - timedelta(minutes=70)), etr_source="crew", etr_reason="soon")

    response = browser.post(step_url(feeder_fault, "etr"), typed)

    assert response.status_code == 422
    assert "An estimate must lie in the future." in text_of(response)
    assert "soon" in text_of(response)
    assert everything_about(feeder_fault) == before


def test_a_crew_is_sent_and_pressed_on(browser: Client, feeder_fault: Outage, crew: Crew) -> None:
    assert browser.post(step_url(feeder_fault, "assign"), filled(feeder_fault, crew=crew.pk)).status_code == 302
    row = CrewAssignment.objects.get()
    feeder_fault.refresh_from_db()
    url = f"/faults/{feeder_fault.reference}/crews/{row.pk}/"
    assert url in text_of(browser.get(f"/outages/{feeder_fault.reference}/"))

    assert browser.post(url, {"version": feeder_fault.version, "state": "en_route"}).status_code == 302

    row.refresh_from_db()
    assert row.state == "en_route"


def test_a_crew_is_taken_off_only_with_a_reason(browser: Client, asha: Actor, feeder_fault: Outage, crew: Crew) -> None:
    row = services.crew_assign(outage_id=feeder_fault.pk, crew_id=crew.pk, actor=asha)
    feeder_fault.refresh_from_db()
    url = f"/faults/{feeder_fault.reference}/crews/{row.pk}/"
    assert browser.get(f"{url}?state=awaiting").status_code == 200

    refused = browser.post(url, {"version": feeder_fault.version, "state": "awaiting"})

    row.refresh_from_db()
    assert (refused.status_code, row.state) == (422, "assigned")


def test_parts_come_back_from_the_tree_and_by_customer(
    browser: Client, feeder_fault: Outage, city: SmallCity, now: datetime
) -> None:
    url = step_url(feeder_fault, "restore-part")
    page = text_of(browser.get(url))
    assert f'value="{city.id("T12")}"' in page
    assert f'value="{city.id("T21")}"' not in page

    assert browser.post(url, filled(feeder_fault, at=minute(now), elements=[city.id("T12")])).status_code == 302
    feeder_fault.refresh_from_db()
    assert browser.post(url, filled(feeder_fault, at=minute(now), customer="1000000001")).status_code == 302

    feeder_fault.refresh_from_db()
    assert (feeder_fault.status, feeder_fault.customers_out) == ("partially_restored", 1)


def test_a_customer_who_is_not_off_cannot_come_back(browser: Client, feeder_fault: Outage, now: datetime) -> None:
    response = browser.post(
        step_url(feeder_fault, "restore-part"), filled(feeder_fault, at=minute(now), customer="M0006")
    )

    assert response.status_code == 422
    assert "No customer of this outage" in text_of(response)


def test_closing_shows_the_answers_first(browser: Client, asha: Actor, feeder_fault: Outage, now: datetime) -> None:
    services.fault_restore(outage_id=feeder_fault.pk, actor=asha, restored_at=now)
    feeder_fault.refresh_from_db()
    typed = filled(feeder_fault, cause_code="wind", equipment_code="pole", remedy_code="replaced")
    url = step_url(feeder_fault, "close")

    check = browser.post(url, typed)
    feeder_fault.refresh_from_db()
    assert (check.status_code, feeder_fault.status) == (200, "restored")
    assert "pole or tower" in text_of(check)
    assert ">180</dd>" in text_of(check)  # three customers for an hour

    assert browser.post(url, {**typed, "checked": "1"}).status_code == 302
    feeder_fault.refresh_from_db()
    assert feeder_fault.status == "closed"


def test_closing_without_the_remedy_is_refused(
    browser: Client, asha: Actor, feeder_fault: Outage, now: datetime
) -> None:
    services.fault_restore(outage_id=feeder_fault.pk, actor=asha, restored_at=now)
    feeder_fault.refresh_from_db()
    typed = filled(feeder_fault, cause_code="wind", equipment_code="pole", remedy_code="", checked="1")

    assert browser.post(step_url(feeder_fault, "close"), typed).status_code == 422

    feeder_fault.refresh_from_db()
    assert feeder_fault.status == "restored"


def test_a_suspicion_is_dismissed_in_words(browser: Client, suspicion: Outage) -> None:
    url = step_url(suspicion, "dismiss")
    assert browser.post(url, filled(suspicion, why="other")).status_code == 422

    assert browser.post(url, filled(suspicion, why="in_house", reason="main switch")).status_code == 302

    assert suspicion.events.get(verb="cancel").note == "the fault is in the house: main switch"
    assert Fault.objects.get(outage=suspicion).state == "dismissed"


def test_two_faults_become_one(browser: Client, asha: Actor, feeder_fault: Outage, suspicion: Outage) -> None:
    typed = filled(suspicion, survivor=feeder_fault.pk)

    assert browser.post(step_url(suspicion, "merge"), typed).status_code == 302

    suspicion.refresh_from_db()
    assert suspicion.merged_into == feeder_fault


def test_the_second_of_two_sees_what_changed_and_keeps_what_was_typed(
    browser: Client, asha: Actor, feeder_fault: Outage, now: datetime
) -> None:
    typed = filled(feeder_fault, etr=minute(now + timedelta(hours=5)), etr_source="operator", etr_reason="mine")
    services.fault_set_etr(
        outage_id=feeder_fault.pk, actor=asha, etr=now + timedelta(hours=2), etr_reason="the other one"
    )
    before = everything_about(feeder_fault)
    url = step_url(feeder_fault, "etr")

    response = browser.post(url, typed)

    page = text_of(response)
    assert response.status_code == 409
    assert "Somebody else changed this" in page
    assert "the other one" in page
    assert 'value="mine"' in page
    assert everything_about(feeder_fault) == before
    # the same form again now knows the new version
    feeder_fault.refresh_from_db()
    assert f'name="version" value="{feeder_fault.version}"' in page


# --- lists ------------------------------------------------------------------------------------------


def test_dispatch_lists_faults_crews_and_reports_without_a_place(
    browser: Client, agent: Client, asha: Actor, feeder_fault: Outage, crew: Crew, city: SmallCity
) -> None:
    services.crew_assign(outage_id=feeder_fault.pk, crew_id=crew.pk, actor=asha)
    services.report_create(actor=asha, request=ReportRequest(place="学校旁", branch_id=city.east.pk, wire_down=True))

    page = text_of(browser.get("/faults/"))

    assert feeder_fault.reference in page
    assert "C12 李工" in page
    assert "学校旁" in page
    assert agent.get("/faults/").status_code == 403


def test_reports_are_listed_masked(browser: Client, asha: Actor, feeder_fault: Outage, city: SmallCity) -> None:
    services.report_create(
        actor=asha,
        request=ReportRequest(
            service_point_id=city.service_points["SP0001"].pk, caller_name="陈静", caller_phone="+8613800138001"
        ),
    )

    page = text_of(browser.get(f"/faults/{feeder_fault.reference}/reports/"))

    assert "陈*" in page
    assert "+86138****8001" in page
    assert "13800138001" not in page
    assert TroubleReport.objects.count() == 1
