"""Faults and trouble reports by REST: every refusal has a stable code and the right status, and writes nothing."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.actor import Actor
from outages.faults import services
from outages.faults.models import Crew, CrewAssignment, Fault, TroubleReport
from outages.models import Interruption, Outage, OutageEvent
from tests.api.clients import Machine, machine, refused
from tests.factories import accounts
from tests.factories.grid import SmallCity, small_city


@pytest.fixture
def city(db: None) -> SmallCity:
    return small_city()


@pytest.fixture
def asha(city: SmallCity) -> Actor:
    return accounts.actor_of(accounts.asha(city.bureau))


@pytest.fixture
def crew(city: SmallCity) -> Crew:
    return Crew.objects.create(code="C12", name="李工", branch=city.east)


@pytest.fixture
def now() -> datetime:
    return timezone.now()


@pytest.fixture
def post(city: SmallCity) -> Machine:
    """The dispatch system of the bureau."""
    return machine("outage:write", branch=city.bureau)


@pytest.fixture
def full(city: SmallCity) -> Machine:
    """A dispatch system that also enters what is only suspected: that is a report, and needs its scope."""
    return machine("outage:write", "report:create", branch=city.bureau)


@pytest.fixture
def send(city: SmallCity) -> Machine:
    """A head-end that may only report."""
    return machine("report:create", branch=city.bureau)


@pytest.fixture
def fault(city: SmallCity, asha: Actor, now: datetime) -> Outage:
    return services.fault_log(actor=asha, element_ids=city.ids("L11"), started_at=now - timedelta(hours=1))


def everything() -> dict[str, Any]:
    models = (Outage, Fault, Interruption, OutageEvent, TroubleReport, CrewAssignment)
    return {model.__name__: list(model._default_manager.order_by("pk").values()) for model in models}


# --- the way of a fault -----------------------------------------------------------------------------


def test_a_fault_goes_its_whole_way(full: Machine, city: SmallCity, crew: Crew, now: datetime) -> None:
    answer = full("faults/", {"elements": ["L11"], "confirmed": False, "cause_code": "wind"})
    assert answer.status_code == 201
    made = answer.json()
    assert (made["state"], made["element"], made["outage"]["customers_affected"]) == ("reported", "L11", 3)
    at = f"faults/{made['reference']}/"
    assert answer["Location"].endswith(f"/api/v1/{at}")

    start = (now - timedelta(hours=1)).isoformat()
    assert full(at + "confirm/", {"started_at": start}).json()["outage"]["customers_out"] == 3
    etr = (now + timedelta(hours=2)).isoformat()
    assert full(at + "set-etr/", {"etr": etr, "etr_source": "crew"}).json()["outage"]["etr_confidence"] == "high"
    assert full(at + "assign/", {"crew": "C12"}).json()["crews"][0]["state"] == "assigned"
    assert full(at + "crew-state/", {"crew": "C12", "state": "arrived"}).json()["crews"][0]["state"] == "arrived"
    part = full(at + "restore-part/", {"at": now.isoformat(), "elements": ["T12"]}).json()
    assert (part["state"], part["outage"]["customers_out"]) == ("partially_restored", 2)
    single = full(at + "restore-part/", {"at": now.isoformat(), "service_points": ["SP0001"]}).json()
    assert single["outage"]["customers_out"] == 1
    assert full(at + "restore/", {"restored_at": now.isoformat()}).json()["state"] == "restored"
    closed = full(
        at + "close/",
        {"cause_class": "weather", "cause_code": "wind", "equipment_code": "pole", "remedy_code": "replaced"},
    ).json()
    assert (closed["state"], closed["outage"]["status"], closed["remedy_code"]) == ("closed", "closed", "replaced")


def test_a_suspicion_is_dismissed_or_merged(full: Machine, fault: Outage) -> None:
    one = full("faults/", {"elements": ["T21"], "confirmed": False}).json()["reference"]
    two = full("faults/", {"elements": ["T22"], "confirmed": False}).json()["reference"]

    assert full(f"faults/{one}/dismiss/", {"reason": "in the house"}).json()["state"] == "dismissed"
    assert (
        full(f"faults/{two}/merge/", {"survivor": fault.reference}).json()["outage"]["merged_into"] == fault.reference
    )


# --- refusals ---------------------------------------------------------------------------------------


def test_an_unknown_element_is_refused(post: Machine) -> None:
    assert refused(post("faults/", {"elements": ["L99"]}), 422, "unknown_code", "elements")
    assert not Outage.objects.exists()


def test_an_unknown_cause_is_refused(post: Machine) -> None:
    assert refused(post("faults/", {"elements": ["L11"], "cause_code": "gremlins"}), 400, "invalid", "cause_code")
    assert not Outage.objects.exists()


def test_a_cause_of_another_class_is_refused(post: Machine) -> None:
    body = {"elements": ["L11"], "cause_class": "weather", "cause_code": "bird"}
    assert refused(post("faults/", body), 422, "cause_mismatch", "cause_code")
    assert not Outage.objects.exists()


def test_no_place_is_refused(post: Machine) -> None:
    assert refused(post("faults/", {}), 422, "no_place")
    assert not Outage.objects.exists()


def test_reversed_times_are_refused(post: Machine, fault: Outage, now: datetime) -> None:
    before = everything()
    early = (now - timedelta(hours=2)).isoformat()

    assert refused(post(f"faults/{fault.reference}/restore/", {"restored_at": early}), 422, "bad_time", "restored_at")
    assert everything() == before


def test_an_estimate_in_the_past_is_refused(post: Machine, fault: Outage, now: datetime) -> None:
    before = everything()
    body = {"etr": (now - timedelta(minutes=1)).isoformat(), "etr_source": "operator"}

    assert refused(post(f"faults/{fault.reference}/set-etr/", body), 422, "bad_time", "etr")
    assert refused(post("faults/", {"elements": ["T21"], "etr": body["etr"]}), 422, "bad_time", "etr")
    assert everything() == before


def test_restoring_what_is_not_off_is_refused(post: Machine, fault: Outage, now: datetime) -> None:
    before = everything()
    body = {"at": now.isoformat(), "elements": ["T22"]}

    assert refused(post(f"faults/{fault.reference}/restore-part/", body), 409, "not_off")
    assert everything() == before


def test_an_illegal_transition_is_refused(post: Machine, fault: Outage) -> None:
    before = everything()

    assert refused(post(f"faults/{fault.reference}/dismiss/", {"reason": "no"}), 409, "illegal_transition")
    assert everything() == before


def test_closing_without_the_facts_is_refused(post: Machine, fault: Outage, asha: Actor, now: datetime) -> None:
    services.fault_restore(outage_id=fault.pk, actor=asha, restored_at=now)
    before = everything()

    body = {"cause_class": "weather", "cause_code": "wind", "equipment_code": "pole"}
    assert refused(post(f"faults/{fault.reference}/close/", body), 400, "invalid", "remedy_code")
    assert everything() == before


def test_a_decision_on_an_old_version_is_refused(post: Machine, fault: Outage, now: datetime) -> None:
    body = {"etr": (now + timedelta(hours=1)).isoformat(), "etr_source": "crew", "version": fault.version}
    assert post(f"faults/{fault.reference}/set-etr/", body).status_code == 200
    before = everything()

    assert refused(post(f"faults/{fault.reference}/set-etr/", body), 409, "conflict", "version")
    assert everything() == before


def test_a_crew_that_was_not_sent_has_no_state(post: Machine, fault: Outage, crew: Crew) -> None:
    before = everything()

    sent = post(f"faults/{fault.reference}/crew-state/", {"crew": "C12", "state": "arrived"})
    assert refused(sent, 422, "unknown_code", "crew")
    assert refused(post(f"faults/{fault.reference}/assign/", {"crew": "C99"}), 422, "unknown_code", "crew")
    assert everything() == before


def test_another_branch_is_as_missing_as_none(city: SmallCity, fault: Outage, now: datetime) -> None:
    west = machine("outage:write", branch=city.west)
    before = everything()
    body = {"restored_at": now.isoformat()}

    assert refused(west(f"faults/{fault.reference}/restore/", body), 404, "not_found")
    assert refused(west("faults/F-2026-999999/restore/", body), 404, "not_found")
    assert refused(west("faults/", {"elements": ["L11"]}), 422, "unknown_code")
    assert everything() == before


def test_a_scope_too_few_is_refused(send: Machine, post: Machine, fault: Outage, now: datetime) -> None:
    before = everything()

    assert send(f"faults/{fault.reference}/restore/", {"restored_at": now.isoformat()}).status_code == 403
    assert send("faults/", {"elements": ["L11"]}).status_code == 403
    assert post("trouble-reports/", {"service_point": "SP0001"}).status_code == 403
    assert Client().post("/api/v1/faults/").status_code == 401
    assert everything() == before


# --- doing it once ----------------------------------------------------------------------------------


def test_a_replayed_post_happens_once(post: Machine) -> None:
    first = post("faults/", {"elements": ["L11"]}, HTTP_IDEMPOTENCY_KEY="k1")
    before = everything()
    second = post("faults/", {"elements": ["L11"]}, HTTP_IDEMPOTENCY_KEY="k1")

    assert (first.status_code, second.status_code) == (201, 201)
    assert second.json() == first.json()
    assert second["Idempotency-Replayed"] == "true"
    assert everything() == before


def test_a_key_is_not_used_for_something_else(post: Machine) -> None:
    post("faults/", {"elements": ["L11"]}, HTTP_IDEMPOTENCY_KEY="k1")
    before = everything()

    other = post("faults/", {"elements": ["L21"]}, HTTP_IDEMPOTENCY_KEY="k1")

    assert refused(other, 422, "idempotency_key_reused")
    assert everything() == before


def test_the_same_reference_of_a_source_finds_the_first(post: Machine) -> None:
    first = post("faults/", {"elements": ["L11"], "source_ref": "scada-7"}).json()
    second = post("faults/", {"elements": ["L11"], "source_ref": "scada-7"}).json()

    assert second["reference"] == first["reference"]
    assert OutageEvent.objects.count() == 1


# --- trouble reports --------------------------------------------------------------------------------


def test_a_report_says_what_became_of_it(send: Machine, fault: Outage) -> None:
    joined = send("trouble-reports/", {"service_point": "SP0001", "external_id": "1"})
    opened = send("trouble-reports/", {"service_point": "SP0004", "channel": "ivr"})
    extended = send("trouble-reports/", {"service_point": "SP0005"})
    unplaced = send("trouble-reports/", {"place": "学校旁", "branch": "0101", "wire_down": True})
    again = send("trouble-reports/", {"service_point": "SP0001", "external_id": "1"})

    assert joined.status_code == 201
    assert (joined.json()["action"], joined.json()["outage"]) == ("joined", fault.reference)
    assert opened.json()["action"] == "opened"
    assert (extended.json()["action"], extended.json()["outage"]) == ("extended", opened.json()["outage"])
    assert (unplaced.json()["action"], unplaced.json()["outage"]) == ("unplaced", None)
    assert (again.status_code, again.json()["action"], again.json()["id"]) == (200, "repeated", joined.json()["id"])


def test_a_report_after_restoration_is_flagged(send: Machine, fault: Outage, asha: Actor) -> None:
    services.fault_restore(outage_id=fault.pk, actor=asha, restored_at=timezone.now())

    answer = send("trouble-reports/", {"service_point": "SP0001"}).json()

    assert (answer["still_out"], answer["restored_outage"]) == (True, fault.reference)
    assert answer["outage"] != fault.reference


def test_a_report_without_a_place_or_with_an_unknown_one_is_refused(send: Machine) -> None:
    assert refused(send("trouble-reports/", {}), 422, "no_place", "service_point")
    assert refused(send("trouble-reports/", {"service_point": "SP9"}), 422, "unknown_code", "service_point")
    assert not TroubleReport.objects.exists()


def test_a_batch_answers_item_by_item(send: Machine, fault: Outage) -> None:
    answer = send(
        "trouble-reports/batch/",
        {
            "reports": [
                {"service_point": "SP0001", "external_id": "a"},
                {"service_point": "SP9", "external_id": "b"},
                {"service_point": "SP0002", "channel": "pigeon"},
                {"service_point": "SP0004", "external_id": "c"},
                {"service_point": "SP0001", "external_id": "a"},
                "nonsense",
            ]
        },
    )

    body = answer.json()
    assert (answer.status_code, body["accepted"], body["refused"]) == (200, 3, 3)
    assert [item["index"] for item in body["items"]] == [0, 1, 2, 3, 4, 5]
    assert [item["status"] for item in body["items"]] == [201, 422, 400, 201, 200, 400]
    assert [(item["error"] or {}).get("field") for item in body["items"]] == [
        None, "service_point", "channel", None, None, "",
    ]  # fmt: skip
    assert body["items"][0]["result"]["outage"] == fault.reference
    assert body["items"][4]["result"]["id"] == body["items"][0]["result"]["id"]
    assert TroubleReport.objects.count() == 2


@pytest.mark.parametrize("body", [{}, {"reports": []}, {"reports": "x"}, {"reports": [{}] * 1001}, []])
def test_a_batch_of_the_wrong_shape_is_refused(send: Machine, body: Any) -> None:
    assert refused(send("trouble-reports/batch/", body), 400, "invalid")
    assert not TroubleReport.objects.exists()


def test_a_replayed_batch_happens_once(send: Machine, city: SmallCity) -> None:
    body = {"reports": [{"service_point": code} for code in city.service_points]}
    first = send("trouble-reports/batch/", body, HTTP_IDEMPOTENCY_KEY="b1")
    before = everything()
    second = send("trouble-reports/batch/", body, HTTP_IDEMPOTENCY_KEY="b1")

    assert second.json() == first.json()
    assert everything() == before
