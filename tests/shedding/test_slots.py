"""Off, on again, skipped, not coming back on: as a person or SCADA says, and once only."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from accounts.actor import Actor
from outages.extent import BadTime
from outages.faults.models import Fault
from outages.lifecycle import IllegalTransition
from outages.load_shedding.kinds import LoadSheddingHandler, SteeredByEvent
from outages.load_shedding.models import SheddingEvent, SheddingPlan, Slot
from outages.load_shedding.services import clock, slots
from outages.load_shedding.services.steps import NeedsReason
from outages.models import Interruption, Outage
from outages.services import outage_note, outage_restore, outage_start, outage_void
from standards.errors import Conflict, DomainError, Forbidden
from tests.factories import accounts
from tests.factories.grid import SmallCity
from tests.shedding.happening import CLOCK, HOUR, MINUTE, announced, fresh, minute, plan_ready, slot_of
from tests.shedding.world import everything_shed


@pytest.fixture
def made(city: SmallCity, asha: Actor, otto: Actor) -> SheddingPlan:
    return plan_ready(city, asha, otto)


@pytest.fixture
def event(made: SheddingPlan, asha: Actor, otto: Actor) -> SheddingEvent:
    """A and B are to be off since half an hour ago, for two hours."""
    begins = minute() - HOUR / 2
    return announced(asha, otto, made, blocks=["A", "B"], starts_at=begins - MINUTE, is_emergency=True)


def since(event: SheddingEvent) -> datetime:
    """When its slots began: the minute in which it was announced."""
    return slot_of(event, "A").starts_at


def ended(slot: Slot, *, ago: timedelta) -> None:
    """The slot's time is brought back, so that it is over for so long."""
    shift = timezone.now() - ago - slot.ends_at
    Slot.objects.filter(pk=slot.pk).update(
        starts_at=slot.starts_at + shift, ends_at=slot.ends_at + shift,
        off_at=None if slot.off_at is None else slot.off_at + shift,
    )  # fmt: skip
    off_at = None if slot.off_at is None else slot.off_at + shift
    Outage.objects.filter(shedding_slot=slot).update(
        planned_start=slot.starts_at + shift, planned_end=slot.ends_at + shift, started_at=off_at
    )
    if off_at is not None:
        Interruption.objects.filter(outage=slot.outage_id).update(actual=(off_at, None))


def test_off_and_on_with_what_was_measured(event: SheddingEvent, asha: Actor) -> None:
    begins = since(event)
    off = slots.slot_off(actor=asha, slot_id=slot_of(event, "A").pk, at=begins, mw=0.9, is_measured=True)
    assert (off.state, off.off_at, off.mw_off, off.is_measured) == ("off", begins, 0.9, True)
    assert fresh(event).state == "shedding"
    outage = slot_of(event, "A").outage
    assert outage is not None
    assert (outage.status, outage.started_at, outage.customers_out) == ("active", begins, 3)

    later = timezone.now()
    on = slots.slot_on(actor=asha, slot_id=off.pk, at=later)

    assert (on.state, on.on_at, on.mw_off) == ("on", later, 0.9)
    outage.refresh_from_db()
    assert (outage.status, outage.restored_at, outage.customers_out) == ("restored", later, 0)
    assert list(on.steps.order_by("pk").values_list("verb", "before", "after")) == [
        ("off", "planned", "off"),
        ("on", "off", "on"),
    ]


def test_nobody_measured_it_stays_an_estimate(event: SheddingEvent, asha: Actor) -> None:
    slot = slots.slot_off(actor=asha, slot_id=slot_of(event, "B").pk, is_measured=True)

    assert (slot.mw_off, slot.is_measured) == (2.0, False)
    on = slots.slot_on(actor=asha, slot_id=slot.pk, at=timezone.now() + MINUTE, mw=1.8)
    assert (on.mw_off, on.is_measured) == (1.8, True)


def test_said_twice_it_stands_once_and_said_otherwise_it_is_refused(event: SheddingEvent, asha: Actor) -> None:
    slot, begins = slot_of(event, "A"), since(event)
    scada = accounts.actor_of(accounts.user_with("dispatcher", event.branch, username="scada"))
    slots.slot_off(actor=asha, slot_id=slot.pk, at=begins, mw=0.9)
    before = everything_shed()

    slots.slot_off(actor=scada, slot_id=slot.pk, at=begins, mw=0.9)
    slots.slot_off(actor=scada, slot_id=slot.pk)
    for other in ({"at": begins + MINUTE}, {"at": begins, "mw": 1.1}):
        with pytest.raises(slots.SaidOtherwise):
            slots.slot_off(actor=scada, slot_id=slot.pk, **other)
    assert everything_shed() == before

    back = timezone.now()
    slots.slot_on(actor=asha, slot_id=slot.pk, at=back)
    before = everything_shed()
    slots.slot_on(actor=scada, slot_id=slot.pk, at=back)
    with pytest.raises(slots.SaidOtherwise):
        slots.slot_on(actor=scada, slot_id=slot.pk, at=back - MINUTE)
    assert everything_shed() == before


def test_what_cannot_be_is_refused(event: SheddingEvent, asha: Actor, mei: Actor, otto: Actor, dora: Actor) -> None:
    slot, begins = slot_of(event, "A"), since(event)
    before = everything_shed()

    with pytest.raises(IllegalTransition):
        slots.slot_on(actor=asha, slot_id=slot.pk)
    for wrong in (begins - 2 * HOUR, slot.ends_at, timezone.now() + HOUR):
        with pytest.raises(BadTime):
            slots.slot_off(actor=asha, slot_id=slot.pk, at=wrong)
    for load in (-1.0, float("nan"), float("inf")):
        with pytest.raises(DomainError):
            slots.slot_off(actor=asha, slot_id=slot.pk, mw=load)
    for stranger in (mei, otto, dora):
        with pytest.raises(Forbidden):
            slots.slot_off(actor=stranger, slot_id=slot.pk)
    with pytest.raises(Conflict):
        slots.slot_off(actor=asha, slot_id=slot.pk, expected_version=slot.version + 1)
    with pytest.raises(NeedsReason):
        slots.slot_skip(actor=asha, slot_id=slot.pk, reason=" ")
    assert everything_shed() == before

    slots.slot_off(actor=asha, slot_id=slot.pk, at=begins)
    before = everything_shed()
    with pytest.raises(BadTime):
        slots.slot_on(actor=asha, slot_id=slot.pk, at=begins)
    with pytest.raises(IllegalTransition):
        slots.slot_skip(actor=asha, slot_id=slot.pk, reason="医院")
    assert everything_shed() == before


def test_skipped_with_the_reason(event: SheddingEvent, asha: Actor) -> None:
    slot = slots.slot_skip(actor=asha, slot_id=slot_of(event, "A").pk, reason="医院手术")

    assert (slot.state, slot.skip_reason) == ("skipped", "医院手术")
    assert Outage.objects.get(shedding_slot=slot).status == "cancelled"


def test_a_slot_and_its_outage_are_steered_together(event: SheddingEvent, asha: Actor) -> None:
    slot = slot_of(event, "A")
    assert slot.outage_id is not None
    before = everything_shed()
    with pytest.raises(SteeredByEvent, match=event.reference):
        outage_start(outage_id=slot.outage_id, actor=asha, started_at=since(event))
    with pytest.raises(SteeredByEvent):
        outage_void(outage_id=slot.outage_id, actor=asha, reason="错")
    assert everything_shed() == before
    outage_note(outage_id=slot.outage_id, actor=asha, text="看一下")

    slots.slot_skip(actor=asha, slot_id=slot.pk, reason="医院手术")
    slots.slot_off(actor=asha, slot_id=slot_of(event, "B").pk)
    slots.slot_on(actor=asha, slot_id=slot_of(event, "B").pk, at=timezone.now() + MINUTE)
    done = slot_of(event, "B").outage_id
    assert done is not None
    assert outage_void(outage_id=done, actor=asha, reason="错报").is_void


# --- not coming back on -----------------------------------------------------------------------------------


def test_what_does_not_come_back_on_is_a_fault_and_every_minute_counts_once(event: SheddingEvent, asha: Actor) -> None:
    slot = slot_of(event, "A")
    slots.slot_off(actor=asha, slot_id=slot.pk)
    ended(slot_of(event, "A"), ago=HOUR)
    end = slot_of(event, "A").ends_at

    stuck = slots.slot_stuck(actor=asha, slot_id=slot.pk, reason="断路器拒合")

    assert stuck.state == "stuck"
    fault = stuck.fault
    assert fault is not None
    assert (fault.kind, fault.status, fault.started_at, fault.customers_out) == ("fault", "active", end, 3)
    assert set(fault.elements.values_list("code", flat=True)) == {"L11"}
    assert Fault.objects.filter(outage=fault).count() == 1
    outage = Outage.objects.get(shedding_slot=slot)
    assert (outage.status, outage.restored_at, outage.customers_out) == ("restored", end, 0)
    # linked both ways
    assert fault.source_ref == outage.reference
    assert outage.events.get(verb="stuck").after == {"fault": fault.reference}
    assert outage.reference in fault.events.get(verb="start").note
    rows = Interruption.objects.filter(element__code="T11").order_by("pk")
    assert [row.actual.upper for row in rows] == [end, None]
    assert rows[1].actual.lower == end

    assert slots.slot_stuck(actor=asha, slot_id=slot.pk, reason="again").fault == fault
    before = everything_shed()
    with pytest.raises(slots.IsFault, match=fault.reference):
        slots.slot_on(actor=asha, slot_id=slot.pk)
    assert everything_shed() == before


def test_the_fault_restored_the_slot_is_on(event: SheddingEvent, asha: Actor) -> None:
    slot = slot_of(event, "A")
    slots.slot_off(actor=asha, slot_id=slot.pk)
    ended(slot_of(event, "A"), ago=HOUR)
    fault = slots.slot_stuck(actor=asha, slot_id=slot.pk, reason="拒合").fault
    assert fault is not None
    back = timezone.now()
    outage_restore(outage_id=fault.pk, actor=asha, restored_at=back)

    assert clock.events_turn(actor=CLOCK)["handed_back"] == 1

    again = slot_of(event, "A")
    assert (again.state, again.on_at) == ("on", back)
    assert clock.events_turn(actor=CLOCK)["handed_back"] == 0


def test_stuck_before_its_end_the_fault_begins_now(event: SheddingEvent, asha: Actor) -> None:
    slot = slots.slot_off(actor=asha, slot_id=slot_of(event, "A").pk, at=since(event))
    before = timezone.now()

    fault = slots.slot_stuck(actor=asha, slot_id=slot.pk, reason="电缆击穿").fault

    assert fault is not None
    assert fault.started_at is not None
    assert before <= fault.started_at <= timezone.now()
    with pytest.raises(IllegalTransition):
        slots.slot_stuck(actor=asha, slot_id=slot_of(event, "B").pk, reason="未停")


# --- late ---------------------------------------------------------------------------------------------------


def test_what_is_late_alarms_once_for_each_time(event: SheddingEvent, asha: Actor) -> None:
    begins = since(event)
    assert clock.events_turn(actor=CLOCK, at=begins + 14 * MINUTE)["late"] == 0
    assert clock.events_turn(actor=CLOCK, at=begins + 16 * MINUTE)["late"] == 2
    assert clock.events_turn(actor=CLOCK, at=begins + 17 * MINUTE)["late"] == 0

    slot = slots.slot_off(actor=asha, slot_id=slot_of(event, "A").pk)
    at = slot.ends_at + 16 * MINUTE
    assert clock.events_turn(actor=CLOCK, at=at) == {
        "announced": 0, "handed_back": 0, "passed": 1, "late": 1, "ended": 0,
    }  # fmt: skip
    assert clock.events_turn(actor=CLOCK, at=at)["late"] == 0
    assert [step.facts["due"] for step in slot.steps.filter(verb="late").order_by("pk")] == [
        begins.isoformat(),
        slot.ends_at.isoformat(),
    ]
    missed = slot_of(event, "B")
    assert (missed.state, bool(missed.skip_reason)) == ("skipped", True)


def test_what_was_reported_since_it_was_found_late_does_not_alarm(
    event: SheddingEvent, asha: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    slot = slot_of(event, "A")
    slots.slot_off(actor=asha, slot_id=slot.pk)
    monkeypatch.setattr(clock, "_late", lambda _now: [slot.pk])  # found before the report came in

    assert clock.events_turn(actor=CLOCK, at=since(event) + 16 * MINUTE)["late"] == 0
    assert not slot.steps.filter(verb="late").exists()


def test_the_board_says_what_is_due_and_late(event: SheddingEvent, asha: Actor) -> None:
    slots.slot_off(actor=asha, slot_id=slot_of(event, "A").pk)
    ended(slot_of(event, "A"), ago=HOUR)
    keys = {code: slot_of(event, code).outage_id or 0 for code in ("A", "B")}

    facts = LoadSheddingHandler().board_facts(keys.values())

    assert (facts[keys["A"]].late, facts[keys["A"]].stage) == (True, "overrunning by 1 h 00")
    assert facts[keys["B"]].late
