"""A report joins what covers its place, or opens a suspicion; it is never lost and never counted twice."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.actor import Actor
from outages.extent import BadTime
from outages.faults import services
from outages.faults.models import Fault, TroubleReport
from outages.faults.services import ReportOutcome, ReportRequest
from outages.models import Outage
from outages.services import NoPlace, outage_cancel, outage_open
from outages.supply_status import supply_status
from standards.errors import Forbidden, NotFound
from tests.factories.grid import SmallCity


def report(city: SmallCity, actor: Actor, code: str, **facts: Any) -> ReportOutcome:
    return services.report_create(
        actor=actor, request=ReportRequest(service_point_id=city.service_points[code].pk, **facts)
    )


def rows(outage: Outage) -> set[str]:
    return {
        row.element.code if row.element else row.service_point.code  # type: ignore[union-attr]
        for row in outage.interruptions.select_related("element", "service_point")
    }


def test_the_first_report_suspects_its_own_premises(city: SmallCity, mei: Actor) -> None:
    outcome = report(city, mei, "SP0001", wants_callback=True, caller_name="陈静")

    assert outcome.action == "opened"
    assert outcome.outage is not None
    assert (outcome.outage.status, outcome.outage.customers_affected, outcome.outage.level) == (
        "suspected",
        1,
        "service",
    )
    assert rows(outcome.outage) == {"SP0001"}
    assert outcome.outage.fault.state == "reported"
    kept = TroubleReport.objects.get()
    assert (kept.wants_callback, kept.caller_name, kept.branch_id) == (True, "陈静", city.east.pk)


def test_a_second_report_on_the_transformer_suspects_the_area_and_says_why(city: SmallCity, mei: Actor) -> None:
    first = report(city, mei, "SP0001")
    second = report(city, mei, "SP0002")

    assert second.action == "extended"
    assert first.outage is not None
    assert second.outage is not None
    assert second.outage.pk == first.outage.pk
    assert rows(second.outage) == {"SP0001", "T11"}
    assert (second.outage.customers_affected, second.outage.place) == (2, "T11号设备")
    event = second.outage.events.get(verb="change_extent")
    assert event.note == "A second report on T11号设备: the whole area is suspected."
    assert event.actor_kind == "system"


def test_the_same_premises_twice_are_one_voice(city: SmallCity, mei: Actor) -> None:
    report(city, mei, "SP0001")
    again = report(city, mei, "SP0001")

    assert again.action == "joined"
    assert again.outage is not None
    assert rows(again.outage) == {"SP0001"}
    assert TroubleReport.objects.count() == 2


def test_a_report_joins_the_outage_that_covers_it(feeder_fault: Outage, city: SmallCity, mei: Actor) -> None:
    outcome = report(city, mei, "SP0003", channel="ivr")

    assert outcome.action == "joined"
    assert outcome.outage == feeder_fault
    assert Outage.objects.count() == 1
    event = feeder_fault.events.get(verb="report")
    assert event.after == {"new_reports": 1}


def test_a_report_joins_planned_work_too(city: SmallCity, asha: Actor, mei: Actor, now: datetime) -> None:
    shed = outage_open(kind="load_shedding", action="start", actor=asha, element_ids=city.ids("F2"), started_at=now)

    assert report(city, mei, "SP0004").outage == shed


def test_a_known_outage_is_joined_before_a_suspected_one(
    suspicion: Outage, city: SmallCity, asha: Actor, mei: Actor, now: datetime
) -> None:
    known = services.fault_log(actor=asha, element_ids=city.ids("L21"), started_at=now)

    assert report(city, mei, "SP0004").outage == known


def test_what_is_only_announced_explains_nothing(city: SmallCity, asha: Actor, mei: Actor, now: datetime) -> None:
    outage_open(
        kind="planned", action="schedule", actor=asha, element_ids=city.ids("T21"),
        planned_start=now + timedelta(hours=1), planned_end=now + timedelta(hours=2),
    )  # fmt: skip

    assert report(city, mei, "SP0004").action == "opened"


def test_a_confirmed_single_fault_is_not_rolled_up(city: SmallCity, asha: Actor, mei: Actor) -> None:
    confirmed = services.fault_log(actor=asha, service_point_ids=[city.service_points["SP0001"].pk])

    outcome = report(city, mei, "SP0002")

    assert outcome.action == "opened"
    assert outcome.outage != confirmed
    assert rows(confirmed) == {"SP0001"}


def test_still_off_after_restoration(feeder_fault: Outage, city: SmallCity, asha: Actor, mei: Actor) -> None:
    services.fault_restore(outage_id=feeder_fault.pk, actor=asha, restored_at=timezone.now())

    outcome = report(city, mei, "SP0001")

    assert (outcome.action, outcome.still_out, outcome.restored_outage) == ("opened", True, feeder_fault)
    assert outcome.outage is not None
    assert outcome.outage.events.get(verb="suspect").note == f"Still off after {feeder_fault.reference} was restored."


def test_still_off_after_its_part_came_back(
    feeder_fault: Outage, city: SmallCity, asha: Actor, mei: Actor, now: datetime
) -> None:
    services.fault_restore_part(outage_id=feeder_fault.pk, actor=asha, at=now, element_ids=city.ids("T12"))

    outcome = report(city, mei, "SP0003")

    assert (outcome.action, outcome.still_out, outcome.restored_outage) == ("opened", True, feeder_fault)


def test_a_dismissed_suspicion_is_not_joined(city: SmallCity, asha: Actor, mei: Actor) -> None:
    first = report(city, mei, "SP0001")
    assert first.outage is not None
    outage_cancel(outage_id=first.outage.pk, actor=asha, reason="main switch")

    again = report(city, mei, "SP0001")

    assert again.action == "opened"
    assert again.outage != first.outage
    assert again.still_out is False


def test_a_report_on_a_line_joins_what_is_off_below_it(feeder_fault: Outage, city: SmallCity, mei: Actor) -> None:
    outcome = services.report_create(actor=mei, request=ReportRequest(element_id=city.id("L12")))

    assert (outcome.action, outcome.outage) == ("joined", feeder_fault)


def test_a_report_on_a_line_suspects_all_below_it(city: SmallCity, mei: Actor) -> None:
    outcome = services.report_create(actor=mei, request=ReportRequest(element_id=city.id("L12")))

    assert outcome.outage is not None
    assert rows(outcome.outage) == {"T12"}


def test_a_place_in_words_waits_for_a_dispatcher(city: SmallCity, mei: Actor) -> None:
    outcome = services.report_create(
        actor=mei, request=ReportRequest(place="学校旁边的电杆", branch_id=city.east.pk, wire_down=True)
    )

    assert (outcome.action, outcome.outage) == ("unplaced", None)
    assert TroubleReport.objects.get().is_hazard is True


def test_a_danger_leads_the_answer(city: SmallCity, mei: Actor) -> None:
    report(city, mei, "SP0001", fire=True)

    verdict = supply_status(city.service_points["SP0001"])

    assert verdict.state == "safety"
    assert verdict.lead is not None
    assert verdict.lead.rank == 1
    # the neighbour behind the same transformer is not in that danger
    assert supply_status(city.service_points["SP0002"]).state == "on"


def test_flicker_is_no_danger(city: SmallCity, mei: Actor) -> None:
    report(city, mei, "SP0001", flicker=True)

    assert TroubleReport.objects.get().is_hazard is False


def test_the_same_external_id_finds_the_first(city: SmallCity, mei: Actor) -> None:
    first = report(city, mei, "SP0001", source="ivr-1", external_id="77")
    second = report(city, mei, "SP0001", source="ivr-1", external_id="77")
    other = report(city, mei, "SP0001", source="ivr-2", external_id="77")

    assert (second.action, second.report, second.outage) == ("repeated", first.report, first.outage)
    assert other.action == "joined"
    assert TroubleReport.objects.count() == 2


def test_refusals_write_nothing(city: SmallCity, mei: Actor, dora: Actor) -> None:
    far = timezone.now() + timedelta(hours=1)
    for actor, request, error in [
        (mei, ReportRequest(), NoPlace),
        (mei, ReportRequest(service_point_id=10**9), NotFound),
        (mei, ReportRequest(place="somewhere"), NotFound),
        (mei, ReportRequest(element_id=city.id("T11"), reported_at=far), BadTime),
        (mei, ReportRequest(element_id=city.id("T11"), channel="pigeon"), NotFound),
        (dora, ReportRequest(element_id=city.id("T11")), Forbidden),
    ]:
        with pytest.raises(error):
            services.report_create(actor=actor, request=request)
    assert not TroubleReport.objects.exists()
    assert not Outage.objects.exists()


# --- batches ----------------------------------------------------------------------------------------


def test_a_batch_answers_item_by_item(feeder_fault: Outage, city: SmallCity, mei: Actor) -> None:
    point = {code: city.service_points[code].pk for code in city.service_points}

    outcomes = services.reports_create_batch(
        actor=mei,
        requests=[
            ReportRequest(service_point_id=point["SP0001"], source="m", external_id="1", channel="meter"),
            ReportRequest(service_point_id=point["SP0004"], source="m", external_id="2", channel="meter"),
            ReportRequest(service_point_id=point["SP0005"], source="m", external_id="3", channel="meter"),
            ReportRequest(service_point_id=point["SP0006"], source="m", external_id="4", channel="meter"),
            ReportRequest(service_point_id=10**9, source="m", external_id="5", channel="meter"),
            ReportRequest(service_point_id=point["SP0006"], source="m", external_id="4", channel="meter"),
        ],
    )

    assert [o.action for o in outcomes] == ["joined", "opened", "joined", "opened", "refused", "repeated"]
    assert outcomes[0].outage == feeder_fault
    assert outcomes[1].outage == outcomes[2].outage
    assert outcomes[1].outage is not None
    assert rows(outcomes[1].outage) == {"T21"}
    assert outcomes[3].outage is not None
    assert rows(outcomes[3].outage) == {"SP0006"}
    assert isinstance(outcomes[4].error, NotFound)
    assert outcomes[5].report == outcomes[3].report
    assert TroubleReport.objects.count() == 4


def told(outage: Outage) -> dict[str, Any]:
    """What a record says, without what differs between any two."""
    never = {"id", "reference", "created_at", "updated_at", "etr_set_at"}
    facts = Outage.objects.filter(pk=outage.pk).values().get()
    event = outage.events.order_by("sequence").values("verb", "after", "before", "is_public", "sequence", "epoch")[0]
    row_facts = ("element", "service_point", "planned", "actual", "customers", "critical", "load_kw")
    return {
        "outage": {name: value for name, value in facts.items() if name not in never},
        "fault": Fault.objects.filter(outage=outage).values("state", "origin", "element", "confirmed_at").get(),
        "rows": list(outage.interruptions.order_by("element", "service_point").values(*row_facts)),
        "elements": list(outage.elements.values_list("code", flat=True)),
        "event": event,
    }


def test_what_a_report_opens_is_what_a_dispatcher_would_have_entered(city: SmallCity, asha: Actor, mei: Actor) -> None:
    point = city.service_points["SP0003"]
    by_hand = told(services.fault_log(actor=asha, service_point_ids=[point.pk], is_confirmed=False, source_system=""))
    outage_cancel(outage_id=Outage.objects.get().pk, actor=asha, reason="to compare")

    opened = report(city, mei, "SP0003").outage

    assert opened is not None
    assert told(opened) == by_hand


def test_what_two_reports_open_is_what_a_dispatcher_would_have_entered(
    city: SmallCity, asha: Actor, mei: Actor
) -> None:
    by_hand = told(
        services.fault_log(
            actor=asha, element_ids=city.ids("T21"), is_confirmed=False, level="low_voltage", source_system=""
        )
    )
    outage_cancel(outage_id=Outage.objects.get().pk, actor=asha, reason="to compare")

    outcomes = services.reports_create_batch(
        actor=mei,
        requests=[ReportRequest(service_point_id=city.service_points[code].pk) for code in ("SP0004", "SP0005")],
    )

    assert outcomes[0].outage is not None
    assert told(outcomes[0].outage) == by_hand


def test_counts_stay_true_after_any_reports(city: SmallCity, mei: Actor) -> None:
    for code in ("SP0001", "SP0002", "SP0003", "SP0004"):
        report(city, mei, code)

    call_command("verify_counts")  # exits with an error when a count differs


def test_a_repeated_batch_changes_nothing(city: SmallCity, mei: Actor) -> None:
    requests = [
        ReportRequest(service_point_id=point.pk, source="m", external_id=code)
        for code, point in city.service_points.items()
    ]
    first = services.reports_create_batch(actor=mei, requests=requests)
    events = Outage.objects.values_list("events", flat=True).count()

    second = services.reports_create_batch(actor=mei, requests=requests)

    assert {o.action for o in second} == {"repeated"}
    assert [o.report for o in second] == [o.report for o in first]
    assert Outage.objects.values_list("events", flat=True).count() == events


def test_a_batch_that_joins_costs_the_same_for_one_and_for_many(
    feeder_fault: Outage, city: SmallCity, mei: Actor
) -> None:
    point = city.service_points["SP0001"].pk

    def statements(n: int, start: int) -> int:
        requests = [ReportRequest(service_point_id=point, source="m", external_id=str(start + i)) for i in range(n)]
        with CaptureQueriesContext(
            connection,
        ) as queries:
            services.reports_create_batch(actor=mei, requests=requests)
        return len(queries)

    assert statements(50, 100) == statements(1, 0)
