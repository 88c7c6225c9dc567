"""A fault from the first word to the closed record."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from accounts.actor import Actor
from outages.extent import BadTime
from outages.faults import services
from outages.faults.kinds import CauseMismatch
from outages.faults.lifecycle import IllegalCrewState
from outages.faults.models import Crew, CrewAssignment, Fault, TroubleReport
from outages.kinds import handler_for
from outages.lifecycle import IllegalTransition, MissingFact
from outages.models import Outage
from outages.services import NothingOff
from outages.supply_status import supply_status
from standards.errors import Conflict, DomainError, Forbidden, NotFound, UnknownCode
from tests.factories.grid import SmallCity
from tests.faults_app.conftest import everything_about

CLOSING: dict[str, Any] = {
    "cause_class": "weather",
    "cause_code": "wind",
    "equipment_code": "pole",
    "remedy_code": "replaced",
}


def verbs(outage: Outage) -> list[str]:
    return list(outage.events.order_by("sequence").values_list("verb", flat=True))


# --- logging ----------------------------------------------------------------------------------------


def test_a_logged_fault_counts_everybody_below_at_once(feeder_fault: Outage, city: SmallCity) -> None:
    assert feeder_fault.reference.startswith("F-")
    assert (feeder_fault.status, feeder_fault.customers_out, feeder_fault.critical_out) == ("active", 3, 1)
    assert (feeder_fault.level, feeder_fault.public_reason_zh, feeder_fault.public_reason_en) == (
        "distribution", "恶劣天气", "bad weather",
    )  # fmt: skip
    fault = Fault.objects.get(outage=feeder_fault)
    assert (fault.state, fault.origin, fault.element_id) == ("confirmed", "distribution", city.id("L11"))


def test_without_an_estimate_there_is_a_time_for_the_next_news(feeder_fault: Outage, now: datetime) -> None:
    assert feeder_fault.etr is None
    assert feeder_fault.next_update_by is not None
    assert timedelta(minutes=29) < feeder_fault.next_update_by - now < timedelta(minutes=31)


def test_an_estimate_says_who_gave_it(city: SmallCity, asha: Actor, now: datetime) -> None:
    outage = services.fault_log(
        actor=asha, element_ids=city.ids("L11"), etr=now + timedelta(hours=2), etr_reason="a pole is down"
    )

    assert (outage.etr_source, outage.etr_confidence, outage.etr_reason) == ("operator", "medium", "a pole is down")


def test_a_single_customers_fault_has_the_level_of_a_service(city: SmallCity, asha: Actor) -> None:
    outage = services.fault_log(actor=asha, service_point_ids=[city.service_points["SP0001"].pk])

    assert (outage.level, outage.customers_out, outage.place) == ("service", 1, "东风路12号3单元501室")
    assert Fault.objects.get(outage=outage).origin == "low_voltage"
    assert outage.next_update_by is not None


def test_a_second_click_finds_the_first_record(city: SmallCity, asha: Actor) -> None:
    first = services.fault_log(actor=asha, element_ids=city.ids("L11"), source_ref="form-1")
    second = services.fault_log(actor=asha, element_ids=city.ids("L11"), source_ref="form-1")

    assert second.pk == first.pk
    assert verbs(first) == ["start"]


@pytest.mark.parametrize(
    ("facts", "error"),
    [
        ({"cause_code": "gremlins"}, UnknownCode),
        ({"cause_class": "weather", "cause_code": "bird"}, CauseMismatch),
        ({"origin": "moon"}, UnknownCode),
    ],
)
def test_an_unknown_code_is_refused(
    city: SmallCity, asha: Actor, facts: dict[str, Any], error: type[DomainError]
) -> None:
    with pytest.raises(error):
        services.fault_log(actor=asha, element_ids=city.ids("L11"), **facts)
    assert not Outage.objects.exists()


def test_an_estimate_in_the_past_is_refused(city: SmallCity, asha: Actor, now: datetime) -> None:
    with pytest.raises(BadTime):
        services.fault_log(actor=asha, element_ids=city.ids("L11"), etr=now - timedelta(minutes=1))
    assert not Outage.objects.exists()


def test_an_agent_may_suspect_but_not_confirm(city: SmallCity, mei: Actor) -> None:
    with pytest.raises(Forbidden):
        services.fault_log(actor=mei, element_ids=city.ids("L11"))
    assert not Outage.objects.exists()

    outage = services.fault_log(actor=mei, element_ids=city.ids("L11"), is_confirmed=False)

    assert outage.status == "suspected"


# --- the course -------------------------------------------------------------------------------------


def test_confirming_may_name_the_device_above(suspicion: Outage, city: SmallCity, asha: Actor, now: datetime) -> None:
    outage = services.fault_confirm(
        outage_id=suspicion.pk, actor=asha, started_at=now - timedelta(minutes=5), element_ids=city.ids("B2"),
        cause_code="tree_fall",
    )  # fmt: skip

    assert (outage.status, outage.customers_out, outage.cause_class) == ("active", 3, "vegetation")
    fault = Fault.objects.get(outage=outage)
    assert (fault.state, fault.element_id) == ("confirmed", city.id("B2"))
    assert verbs(outage) == ["suspect", "change_extent", "start"]


def test_a_confirmed_fault_cannot_be_dismissed(feeder_fault: Outage, asha: Actor) -> None:
    before = everything_about(feeder_fault)

    with pytest.raises(IllegalTransition):
        services.fault_dismiss(outage_id=feeder_fault.pk, actor=asha, reason="power is on")

    assert everything_about(feeder_fault) == before


def test_a_suspicion_is_dismissed_with_a_reason(suspicion: Outage, asha: Actor) -> None:
    with pytest.raises(MissingFact):
        services.fault_dismiss(outage_id=suspicion.pk, actor=asha, reason="  ")

    outage = services.fault_dismiss(outage_id=suspicion.pk, actor=asha, reason="main switch in the house")

    assert outage.status == "cancelled"
    assert Fault.objects.get(outage=outage).state == "dismissed"


def test_supply_comes_back_part_by_part(feeder_fault: Outage, city: SmallCity, asha: Actor, now: datetime) -> None:
    part = services.fault_restore_part(outage_id=feeder_fault.pk, actor=asha, at=now, element_ids=city.ids("L12"))
    assert (part.status, part.customers_out) == ("partially_restored", 2)

    single = services.fault_restore_part(
        outage_id=feeder_fault.pk, actor=asha, at=now, service_point_ids=[city.service_points["SP0001"].pk]
    )
    assert (single.status, single.customers_out) == ("partially_restored", 1)
    assert Fault.objects.get(outage=single).state == "partially_restored"

    whole = services.fault_restore(outage_id=feeder_fault.pk, actor=asha, restored_at=now)
    assert (whole.status, whole.customers_out) == ("restored", 0)
    assert Fault.objects.get(outage=whole).state == "restored"


def test_what_is_not_off_cannot_be_restored(feeder_fault: Outage, city: SmallCity, asha: Actor, now: datetime) -> None:
    before = everything_about(feeder_fault)

    with pytest.raises(NothingOff):
        services.fault_restore_part(outage_id=feeder_fault.pk, actor=asha, at=now, element_ids=city.ids("T22"))

    assert everything_about(feeder_fault) == before


def test_supply_is_not_back_before_it_went(feeder_fault: Outage, asha: Actor, now: datetime) -> None:
    before = everything_about(feeder_fault)

    with pytest.raises(BadTime):
        services.fault_restore(outage_id=feeder_fault.pk, actor=asha, restored_at=now - timedelta(hours=2))

    assert everything_about(feeder_fault) == before


@pytest.mark.parametrize("missing", ["cause_class", "cause_code", "equipment_code", "remedy_code"])
def test_closing_needs_cause_equipment_and_remedy(suspicion: Outage, asha: Actor, now: datetime, missing: str) -> None:
    services.fault_confirm(outage_id=suspicion.pk, actor=asha, started_at=now - timedelta(minutes=9))
    services.fault_restore(outage_id=suspicion.pk, actor=asha, restored_at=now)
    before = everything_about(suspicion)

    with pytest.raises(MissingFact):
        services.fault_close(outage_id=suspicion.pk, actor=asha, **{**CLOSING, missing: ""})

    assert everything_about(suspicion) == before


def test_a_closed_fault_tells_what_was_found(feeder_fault: Outage, asha: Actor, crew: Crew, now: datetime) -> None:
    services.crew_assign(outage_id=feeder_fault.pk, crew_id=crew.pk, actor=asha)
    services.fault_restore(outage_id=feeder_fault.pk, actor=asha, restored_at=now)

    outage = services.fault_close(outage_id=feeder_fault.pk, actor=asha, **CLOSING, cause_text="gust of wind")

    fault = Fault.objects.get(outage=outage)
    assert (outage.status, outage.cause_text, fault.state) == ("closed", "gust of wind", "closed")
    assert (fault.equipment_code, fault.remedy_code) == ("pole", "replaced")
    assert outage.events.get(verb="findings").after == {"equipment_code": "pole", "remedy_code": "replaced"}
    assert CrewAssignment.objects.get().state == "released"


def test_two_dispatchers_with_the_same_page(feeder_fault: Outage, asha: Actor, now: datetime) -> None:
    seen = feeder_fault.version
    services.fault_set_etr(outage_id=feeder_fault.pk, actor=asha, etr=now + timedelta(hours=1), expected_version=seen)
    before = everything_about(feeder_fault)

    with pytest.raises(Conflict):
        services.fault_restore(outage_id=feeder_fault.pk, actor=asha, restored_at=now, expected_version=seen)

    assert everything_about(feeder_fault) == before


def test_another_kind_of_outage_is_no_fault(city: SmallCity, asha: Actor, now: datetime) -> None:
    from outages.services import outage_open

    shed = outage_open(kind="load_shedding", action="start", actor=asha, element_ids=city.ids("F1"), started_at=now)

    with pytest.raises(NotFound):
        services.fault_restore(outage_id=shed.pk, actor=asha, restored_at=now)


def test_merging_moves_reports_and_crews(
    feeder_fault: Outage, city: SmallCity, asha: Actor, crew: Crew, now: datetime
) -> None:
    other = services.fault_log(actor=asha, element_ids=city.ids("T21"), started_at=now - timedelta(minutes=30))
    services.report_create(
        actor=asha, request=services.ReportRequest(service_point_id=city.service_points["SP0004"].pk)
    )
    services.crew_assign(outage_id=other.pk, crew_id=crew.pk, actor=asha)

    services.fault_merge(outage_id=other.pk, survivor_id=feeder_fault.pk, actor=asha)

    feeder_fault.refresh_from_db()
    assert feeder_fault.customers_out == 5
    assert TroubleReport.objects.get().outage_id == feeder_fault.pk
    assert CrewAssignment.objects.get().fault.outage_id == feeder_fault.pk
    assert Fault.objects.get(outage=other).state == "merged"


def test_a_suspicion_that_is_merged_into_a_known_fault_is_off(
    feeder_fault: Outage, suspicion: Outage, city: SmallCity, asha: Actor
) -> None:
    services.fault_merge(outage_id=suspicion.pk, survivor_id=feeder_fault.pk, actor=asha)

    feeder_fault.refresh_from_db()
    assert (feeder_fault.customers_affected, feeder_fault.customers_out) == (5, 5)
    assert supply_status(city.service_points["SP0004"]).state == "off"


# --- crews ------------------------------------------------------------------------------------------


def test_a_crew_goes_its_way_into_the_history(feeder_fault: Outage, asha: Actor, crew: Crew) -> None:
    row = services.crew_assign(outage_id=feeder_fault.pk, crew_id=crew.pk, actor=asha)
    for state in ("en_route", "arrived", "working", "field_complete", "released"):
        row = services.crew_state_set(assignment_id=row.pk, state=state, actor=asha)

    assert row.state == "released"
    assert None not in (row.en_route_at, row.arrived_at, row.working_at, row.field_complete_at, row.released_at)
    steps = feeder_fault.events.filter(verb__in=["crew_assigned", "crew_state"]).order_by("sequence")
    assert [event.after["crew_state"] for event in steps] == [
        "assigned", "en_route", "arrived", "working", "field_complete", "released",
    ]  # fmt: skip
    assert steps[0].after["crew"] == "C12"


def test_the_same_crew_is_sent_once(feeder_fault: Outage, asha: Actor, crew: Crew) -> None:
    first = services.crew_assign(outage_id=feeder_fault.pk, crew_id=crew.pk, actor=asha)
    second = services.crew_assign(outage_id=feeder_fault.pk, crew_id=crew.pk, actor=asha)

    assert first.pk == second.pk
    assert feeder_fault.events.filter(verb="crew_assigned").count() == 1


def test_on_a_race_the_second_dispatcher_sees_who_won(feeder_fault: Outage, asha: Actor, crew: Crew) -> None:
    seen = feeder_fault.version
    services.crew_assign(outage_id=feeder_fault.pk, crew_id=crew.pk, actor=asha, expected_version=seen)
    before = everything_about(feeder_fault)

    with pytest.raises(Conflict):
        services.crew_assign(outage_id=feeder_fault.pk, crew_id=crew.pk, actor=asha, expected_version=seen)

    assert everything_about(feeder_fault) == before


def test_a_crew_does_not_jump(feeder_fault: Outage, asha: Actor, crew: Crew, now: datetime) -> None:
    row = services.crew_assign(outage_id=feeder_fault.pk, crew_id=crew.pk, actor=asha)
    before = everything_about(feeder_fault)

    with pytest.raises(IllegalCrewState):
        services.crew_state_set(assignment_id=row.pk, state="working", actor=asha)
    with pytest.raises(BadTime):
        services.crew_state_set(assignment_id=row.pk, state="arrived", actor=asha, at=now - timedelta(days=1))
    with pytest.raises(BadTime):
        services.crew_state_set(assignment_id=row.pk, state="arrived", actor=asha, at=now + timedelta(days=1))

    assert everything_about(feeder_fault) == before


def test_nobody_is_sent_to_a_restored_fault(feeder_fault: Outage, asha: Actor, crew: Crew, now: datetime) -> None:
    services.fault_restore(outage_id=feeder_fault.pk, actor=asha, restored_at=now)

    with pytest.raises(IllegalTransition):
        services.crew_assign(outage_id=feeder_fault.pk, crew_id=crew.pk, actor=asha)
    assert not CrewAssignment.objects.exists()


def test_an_agent_sends_nobody(feeder_fault: Outage, mei: Actor, crew: Crew) -> None:
    with pytest.raises(Forbidden):
        services.crew_assign(outage_id=feeder_fault.pk, crew_id=crew.pk, actor=mei)
    assert not CrewAssignment.objects.exists()


# --- what pages show --------------------------------------------------------------------------------


def test_the_stepper_follows_the_crew(feeder_fault: Outage, asha: Actor, crew: Crew) -> None:
    handler = handler_for("fault")
    assert handler.step(feeder_fault) == "confirmed"
    row = services.crew_assign(outage_id=feeder_fault.pk, crew_id=crew.pk, actor=asha)
    assert handler.step(feeder_fault) == "assigned"
    services.crew_state_set(assignment_id=row.pk, state="arrived", actor=asha)
    assert handler.step(feeder_fault) == "arrived"


def test_the_board_learns_crew_reports_and_danger(
    feeder_fault: Outage, city: SmallCity, asha: Actor, crew: Crew
) -> None:
    handler = handler_for("fault")
    waiting = handler.board_facts([feeder_fault.pk])[feeder_fault.pk]
    assert (waiting.crew, waiting.reports, waiting.safety) == ("", 0, False)
    assert waiting.unassigned_since is not None

    services.crew_assign(outage_id=feeder_fault.pk, crew_id=crew.pk, actor=asha)
    services.report_create(
        actor=asha,
        request=services.ReportRequest(service_point_id=city.service_points["SP0001"].pk, wire_down=True),
    )

    row = handler.board_facts([feeder_fault.pk])[feeder_fault.pk]
    assert (row.crew, row.reports, row.safety, row.unassigned_since) == ("C12 · assigned", 1, True, None)


def test_the_panel_offers_only_what_can_be_done(feeder_fault: Outage, asha: Actor, mei: Actor) -> None:
    handler = handler_for("fault")

    panel = handler.panel(feeder_fault, asha)

    assert panel["actions"] == ["etr", "assign", "restore-part", "restore", "merge"]
    assert panel["arrival_due"] is not None
    assert handler.panel(feeder_fault, mei)["actions"] == []
