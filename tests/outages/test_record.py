"""The record: who is off, part by part, and that the kept counts always say what the rows say."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction

from accounts.actor import Actor
from grid.models import GridElement
from outages import impact, services
from outages.extent import BadTime
from outages.lifecycle import IllegalTransition
from outages.models import Interruption, Outage, OutageEvent
from outages.services import EtrOutranked, NoPlace, NothingOff
from standards.errors import Conflict, Forbidden, NotFound
from tests.factories import accounts
from tests.factories.grid import SmallCity

Unchanged = Callable[[Outage], dict[str, Any]]


def places(outage: Outage) -> set[str]:
    rows = outage.interruptions.filter(actual__isnull=False, actual__endswith__isnull=True)
    return {row.element.code if row.element else row.service_point.code for row in rows}  # type: ignore[union-attr]


def test_everyone_below_the_feeder_is_off_at_once(feeder_off: Outage) -> None:
    assert places(feeder_off) == {"T11", "T12"}
    assert (feeder_off.customers_affected, feeder_off.customers_out, feeder_off.critical_out) == (3, 3, 1)
    assert feeder_off.load_kw == pytest.approx(4.5)
    assert feeder_off.feeder is not None
    assert feeder_off.feeder.code == "F1"
    assert feeder_off.rule_pack.startswith("cn-sgcc@")


def test_the_first_event_tells_who_opened_it(feeder_off: Outage, asha: Actor) -> None:
    event = feeder_off.events.get()

    assert (event.sequence, event.verb, event.actor_name, event.is_public) == (1, "start", asha.name, True)
    assert event.after["status"] == "active"
    assert event.after["customers_out"] == 3


def test_references_run_on_without_a_gap(city: SmallCity, asha: Actor, now: datetime) -> None:
    made = [
        services.outage_open(
            kind="load_shedding", action="start", actor=asha, element_ids=city.ids(name), started_at=now
        ).reference
        for name in ("T11", "T12", "T21")
    ]

    assert made == [f"S-{now.year}-{n:06d}" for n in (1, 2, 3)]


def test_a_closed_tie_keeps_the_far_end_on(city: SmallCity, asha: Actor, now: datetime) -> None:
    GridElement.objects.filter(code="K").update(is_open=False)

    outage = services.outage_open(
        kind="load_shedding", action="start", actor=asha, element_ids=city.ids("L11"), started_at=now
    )

    assert places(outage) == {"T11"}


def test_power_comes_back_in_steps(feeder_off: Outage, city: SmallCity, asha: Actor, now: datetime) -> None:
    part = services.outage_restore_part(
        outage_id=feeder_off.pk, actor=asha, at=now - timedelta(minutes=30), element_ids=city.ids("L12")
    )
    assert (part.status, part.customers_out, part.customers_affected, part.critical_out) == (
        "partially_restored",
        2,
        3,
        0,
    )

    whole = services.outage_restore(outage_id=feeder_off.pk, actor=asha, restored_at=now)
    assert (whole.status, whole.customers_out, whole.customers_affected) == ("restored", 0, 3)
    assert [e.verb for e in feeder_off.events.order_by("sequence")] == ["start", "restore_part", "restore"]
    # 1 customer for 30 minutes and 2 for 60
    assert impact.customer_minutes(feeder_off.pk) == pytest.approx(150, abs=0.1)


def test_the_last_part_restores_the_whole(feeder_off: Outage, city: SmallCity, asha: Actor, now: datetime) -> None:
    outage = services.outage_restore_part(outage_id=feeder_off.pk, actor=asha, at=now, element_ids=city.ids("L11"))

    assert (outage.status, outage.restored_at) == ("restored", now)


def test_one_customer_back_alone_does_not_count_the_neighbours_twice(
    feeder_off: Outage, city: SmallCity, asha: Actor, now: datetime
) -> None:
    chen = city.service_points["SP0001"].pk

    outage = services.outage_restore_part(outage_id=feeder_off.pk, actor=asha, at=now, service_point_ids=[chen])

    assert places(outage) == {"SP0002", "T12"}
    assert (outage.customers_out, outage.customers_affected) == (2, 3)
    call_command("verify_counts", verbosity=0)


def test_restoring_what_is_not_off_is_refused(
    feeder_off: Outage, city: SmallCity, asha: Actor, now: datetime, unchanged: Unchanged
) -> None:
    before = unchanged(feeder_off)

    with pytest.raises(NothingOff) as refused:
        services.outage_restore_part(outage_id=feeder_off.pk, actor=asha, at=now, element_ids=city.ids("F2"))

    assert (refused.value.code, refused.value.status) == ("not_off", 409)
    assert unchanged(feeder_off) == before


@pytest.mark.parametrize("at", [timedelta(hours=-2), timedelta(hours=1)])
def test_restoring_before_the_start_or_in_the_future_is_refused(
    feeder_off: Outage, asha: Actor, now: datetime, at: timedelta, unchanged: Unchanged
) -> None:
    before = unchanged(feeder_off)

    with pytest.raises(BadTime):
        services.outage_restore(outage_id=feeder_off.pk, actor=asha, restored_at=now + at)

    assert unchanged(feeder_off) == before


def test_a_restored_outage_cannot_be_restored_again(
    feeder_off: Outage, asha: Actor, now: datetime, unchanged: Unchanged
) -> None:
    services.outage_restore(outage_id=feeder_off.pk, actor=asha, restored_at=now)
    before = unchanged(feeder_off)

    with pytest.raises(IllegalTransition):
        services.outage_restore(outage_id=feeder_off.pk, actor=asha, restored_at=now)

    assert unchanged(feeder_off) == before


def test_a_place_that_goes_off_again_counts_again(feeder_off: Outage, asha: Actor, now: datetime) -> None:
    services.outage_restore(outage_id=feeder_off.pk, actor=asha, restored_at=now - timedelta(minutes=10))

    outage = services.outage_reopen(outage_id=feeder_off.pk, actor=asha, reason="the fuse blew again", at=now)

    assert (outage.status, outage.restored_at, outage.customers_out) == ("active", None, 3)
    assert outage.interruptions.count() == 4
    assert outage.customers_affected == 3


def test_a_suspicion_affects_nobody_for_certain_until_it_is_confirmed(
    city: SmallCity, asha: Actor, now: datetime
) -> None:
    outage = services.outage_open(kind="load_shedding", action="suspect", actor=asha, element_ids=city.ids("T11"))
    assert (outage.status, outage.customers_out, outage.customers_affected) == ("suspected", 0, 2)

    outage = services.outage_start(outage_id=outage.pk, actor=asha, started_at=now)
    assert (outage.status, outage.customers_out) == ("active", 2)


def test_planned_work_keeps_both_pairs_of_times(city: SmallCity, asha: Actor, now: datetime) -> None:
    start, end = now - timedelta(minutes=20), now + timedelta(hours=3)
    outage = services.outage_open(
        kind="planned", action="schedule", actor=asha, element_ids=city.ids("T11"), planned_start=start, planned_end=end
    )
    services.outage_start(outage_id=outage.pk, actor=asha, started_at=now)

    row = outage.interruptions.get()
    assert (row.planned.lower, row.planned.upper) == (start, end)
    assert (row.actual.lower, row.actual.upper) == (now, None)


def test_feeding_the_same_source_reference_twice_finds_the_first(city: SmallCity, asha: Actor, now: datetime) -> None:
    facts: dict[str, Any] = {"kind": "load_shedding", "action": "start", "actor": asha, "started_at": now}
    first = services.outage_open(element_ids=city.ids("F1"), source_system="scada", source_ref="77", **facts)
    second = services.outage_open(element_ids=city.ids("F2"), source_system="scada", source_ref="77", **facts)

    assert first.pk == second.pk
    assert OutageEvent.objects.filter(outage=first).count() == 1


def test_overlapping_outages_never_count_a_customer_twice(
    feeder_off: Outage, city: SmallCity, asha: Actor, now: datetime
) -> None:
    deeper = services.outage_open(
        kind="planned", action="start", actor=asha, element_ids=city.ids("L12"), started_at=now
    )
    single = services.outage_open(
        kind="planned", action="start", actor=asha, service_point_ids=[city.service_points["SP0001"].pk], started_at=now
    )

    assert (deeper.customers_out, single.customers_out) == (1, 1)
    assert impact.customers_off([feeder_off.pk, deeper.pk, single.pk]) == (3, 1)


def test_merging_hands_every_place_to_the_survivor(
    feeder_off: Outage, city: SmallCity, asha: Actor, now: datetime
) -> None:
    other = services.outage_open(
        kind="load_shedding", action="start", actor=asha, element_ids=city.ids("T12", "T21"),
        started_at=now - timedelta(hours=3),
    )  # fmt: skip

    loser = services.outage_merge(outage_id=other.pk, survivor_id=feeder_off.pk, actor=asha)

    feeder_off.refresh_from_db()
    assert (loser.status, loser.merged_into_id, loser.customers_out) == ("cancelled", feeder_off.pk, 0)
    assert places(feeder_off) == {"T11", "T12", "T21"}
    assert feeder_off.customers_out == 5
    assert feeder_off.started_at == now - timedelta(hours=3)
    assert feeder_off.interruptions.get(element__code="T12").actual.lower == now - timedelta(hours=3)


def test_what_was_entered_in_error_stays_readable_and_counts_nothing(feeder_off: Outage, asha: Actor) -> None:
    outage = services.outage_void(outage_id=feeder_off.pk, actor=asha, reason="wrong feeder")

    assert (outage.status, outage.is_void, outage.customers_out) == ("cancelled", True, 0)
    assert outage.interruptions.filter(actual__isnull=False).count() == 0
    assert impact.customer_minutes(outage.pk) == 0


# --- estimates --------------------------------------------------------------------------------------


def test_the_crew_beats_the_operator_and_the_operator_does_not_beat_the_crew(
    feeder_off: Outage, asha: Actor, now: datetime, unchanged: Unchanged
) -> None:
    for hours, source in ((3, "system"), (2, "operator"), (1, "crew")):
        services.outage_set_etr(
            outage_id=feeder_off.pk, actor=asha, etr=now + timedelta(hours=hours), etr_source=source
        )
    before = unchanged(feeder_off)
    assert before["outage"]["etr_changes"] == 2

    with pytest.raises(EtrOutranked):
        services.outage_set_etr(
            outage_id=feeder_off.pk, actor=asha, etr=now + timedelta(hours=5), etr_source="operator"
        )

    assert unchanged(feeder_off) == before


def test_an_estimate_in_the_past_is_refused(
    feeder_off: Outage, asha: Actor, now: datetime, unchanged: Unchanged
) -> None:
    before = unchanged(feeder_off)

    with pytest.raises(BadTime) as refused:
        services.outage_set_etr(
            outage_id=feeder_off.pk, actor=asha, etr=now - timedelta(minutes=1), etr_source="operator"
        )

    assert refused.value.field == "etr"
    assert unchanged(feeder_off) == before


def test_an_unknown_estimate_needs_the_time_of_the_next_news(feeder_off: Outage, asha: Actor, now: datetime) -> None:
    with pytest.raises(BadTime):
        services.outage_set_etr(outage_id=feeder_off.pk, actor=asha, etr=None, etr_source="operator")

    outage = services.outage_set_etr(
        outage_id=feeder_off.pk, actor=asha, etr=None, etr_source="operator", next_update_by=now + timedelta(hours=1)
    )
    assert (outage.etr, outage.next_update_by) == (None, now + timedelta(hours=1))


# --- refusals ---------------------------------------------------------------------------------------


def test_a_stale_page_does_not_overwrite_a_newer_change(
    feeder_off: Outage, asha: Actor, now: datetime, unchanged: Unchanged
) -> None:
    services.outage_set_etr(outage_id=feeder_off.pk, actor=asha, etr=now + timedelta(hours=1), etr_source="crew")
    before = unchanged(feeder_off)

    with pytest.raises(Conflict):
        services.outage_restore(outage_id=feeder_off.pk, actor=asha, restored_at=now, expected_version=1)

    assert unchanged(feeder_off) == before


def test_an_agent_may_not_restore(feeder_off: Outage, city: SmallCity, now: datetime, unchanged: Unchanged) -> None:
    mei = accounts.actor_of(accounts.mei(city.bureau))
    before = unchanged(feeder_off)

    with pytest.raises(Forbidden):
        services.outage_restore(outage_id=feeder_off.pk, actor=mei, restored_at=now)

    assert unchanged(feeder_off) == before


def test_the_dispatcher_of_another_branch_may_not_touch_it(
    feeder_off: Outage, city: SmallCity, now: datetime, unchanged: Unchanged
) -> None:
    stranger = accounts.actor_of(accounts.user_with("dispatcher", city.west, username="wes"))
    before = unchanged(feeder_off)

    with pytest.raises(Forbidden):
        services.outage_restore(outage_id=feeder_off.pk, actor=stranger, restored_at=now)

    assert unchanged(feeder_off) == before


def test_an_outage_needs_a_place(asha: Actor, now: datetime) -> None:
    with pytest.raises(NoPlace):
        services.outage_open(kind="load_shedding", action="start", actor=asha, started_at=now)

    assert Outage.objects.count() == 0


def test_unknown_elements_are_refused(asha: Actor, now: datetime) -> None:
    with pytest.raises(NotFound):
        services.outage_open(kind="load_shedding", action="start", actor=asha, element_ids=[987654], started_at=now)

    assert Outage.objects.count() == 0


def test_a_window_that_runs_backwards_is_refused(city: SmallCity, asha: Actor, now: datetime) -> None:
    with pytest.raises(BadTime) as refused:
        services.outage_open(
            kind="planned", action="schedule", actor=asha, element_ids=city.ids("T11"),
            planned_start=now, planned_end=now - timedelta(hours=1),
        )  # fmt: skip

    assert refused.value.field == "planned_end"
    assert Outage.objects.count() == 0


@pytest.mark.parametrize("statement", ["UPDATE outages_outageevent SET verb = 'x'", "DELETE FROM outages_outageevent"])
def test_the_database_itself_refuses_to_change_history(feeder_off: Outage, statement: str) -> None:
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as db:
        db.execute(statement)

    assert feeder_off.events.get().verb == "start"


@pytest.mark.counts_made_wrong
def test_verify_counts_names_what_differs(feeder_off: Outage) -> None:
    Interruption.objects.filter(outage=feeder_off).update(customers=50)

    with pytest.raises(CommandError, match=rf"{feeder_off.reference}: customers_affected kept 3, rows say 100"):
        call_command("verify_counts")
