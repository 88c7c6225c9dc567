"""What comes back while a block is off is counted for it, once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.actor import Actor
from outages.load_shedding.models import Reaction, SheddingEvent, SheddingPlan
from outages.load_shedding.services.changes import event_end, event_reconcile
from outages.load_shedding.services.reactions import faults_link_all, faults_linked, reaction_record
from outages.load_shedding.services.slots import slot_off, slot_on, slot_skip, slot_stuck
from tests.factories.grid import SmallCity
from tests.planned.clock import time_passes
from tests.shedding.happening import HOUR, MINUTE, announced, fresh, minute, plan_ready, slot_of
from tests.shedding.past import happened


@pytest.fixture
def made(city: SmallCity, asha: Actor, otto: Actor) -> SheddingPlan:
    return plan_ready(city, asha, otto)


@pytest.fixture
def event(made: SheddingPlan, asha: Actor, otto: Actor) -> SheddingEvent:
    """A (L11: T11, T12) and B (T21) are about to be switched off; C stays on."""
    return announced(asha, otto, made, blocks=["A", "B"], starts_at=minute() + MINUTE)


def found(event: SheddingEvent) -> list[tuple[str, str | None, str]]:
    rows = Reaction.objects.filter(event=event).order_by("pk").values_list("kind", "block__code", "source")
    return [(str(kind), code, source) for kind, code, source in rows]


def test_a_call_counts_for_the_block_of_the_premises(event: SheddingEvent, city: SmallCity) -> None:
    now = timezone.now()

    reaction_record(service_point=city.service_points["SP0001"], kind="call", source="call-1", at=now)
    reaction_record(service_point=city.service_points["SP0005"], kind="complaint", source="call-2", at=now)

    assert found(event) == [("call", "A", "call-1"), ("complaint", "B", "call-2")]


def test_the_same_call_counts_once(event: SheddingEvent, city: SmallCity) -> None:
    for _again in range(2):
        reaction_record(service_point=city.service_points["SP0001"], kind="call", source="call-1", at=timezone.now())

    assert found(event) == [("call", "A", "call-1")]


@pytest.mark.parametrize("code", ["SP0006"])  # behind C, which has no turn
def test_premises_without_a_turn_do_not_count(event: SheddingEvent, city: SmallCity, code: str) -> None:
    made = reaction_record(service_point=city.service_points[code], kind="call", source="call-1", at=timezone.now())

    assert made is None
    assert found(event) == []


def test_a_skipped_block_does_not_count(event: SheddingEvent, city: SmallCity, asha: Actor) -> None:
    slot_skip(actor=asha, slot_id=slot_of(event, "B").pk, reason="switch jammed")

    assert (
        reaction_record(service_point=city.service_points["SP0004"], kind="call", source="c", at=timezone.now()) is None
    )
    assert found(event) == []


def test_before_the_event_was_decided_nothing_counts(event: SheddingEvent, city: SmallCity) -> None:
    before = timezone.now() - HOUR

    assert reaction_record(service_point=city.service_points["SP0001"], kind="call", source="c", at=before) is None


def test_after_it_ended_only_what_came_in_its_time_counts(event: SheddingEvent, city: SmallCity) -> None:
    ended = timezone.now() + HOUR
    SheddingEvent.objects.filter(pk=event.pk).update(state="ended", ended_at=ended)
    point = city.service_points["SP0001"]

    reaction_record(service_point=point, kind="call", source="in time", at=ended - MINUTE)
    late = reaction_record(service_point=point, kind="call", source="too late", at=ended + MINUTE)

    assert late is None
    assert found(event) == [("call", "A", "in time")]


# --- faults -------------------------------------------------------------------------------------------


def test_faults_in_its_blocks_during_the_event_are_linked_once(event: SheddingEvent, city: SmallCity) -> None:
    assert event.starts_at is not None
    inside = happened(city, "fault", "T11", since=event.starts_at + timedelta(seconds=30), hours=None)
    happened(city, "fault", "T11", since=event.starts_at - HOUR, hours=None)  # before it
    happened(city, "fault", "T22", since=event.starts_at + MINUTE, hours=None)  # in C, which stays on
    happened(city, "planned", "T12", since=event.starts_at + MINUTE, hours=None)
    happened(city, "fault", "T12", since=event.starts_at + MINUTE, hours=None, is_void=True)
    single = happened(city, "fault", since=event.starts_at + MINUTE, hours=None, points=("SP0005",))
    at = event.starts_at + HOUR

    assert faults_linked(event, at=at) == 2
    assert faults_link_all(at=at) == 0

    assert sorted(found(event)) == [("fault", "A", inside.reference), ("fault", "B", single.reference)]


def test_a_stuck_turn_is_a_fault_of_the_event(event: SheddingEvent, asha: Actor) -> None:
    time_passes(10 * MINUTE)
    slot = slot_off(actor=asha, slot_id=slot_of(event, "A").pk)
    fault = slot_stuck(actor=asha, slot_id=slot.pk, reason="breaker").fault
    assert fault is not None

    faults_linked(event, at=timezone.now() + HOUR)

    assert found(event) == [("fault", "A", fault.reference)]


def test_reconciling_counts_the_faults_that_were_found_late(
    event: SheddingEvent, city: SmallCity, asha: Actor, otto: Actor
) -> None:
    time_passes(10 * MINUTE)
    slot_off(actor=asha, slot_id=slot_of(event, "A").pk)
    slot_skip(actor=asha, slot_id=slot_of(event, "B").pk, reason="switch jammed")
    time_passes(10 * MINUTE)
    slot_on(actor=asha, slot_id=slot_of(event, "A").pk)
    event_end(actor=asha, event_id=event.pk)
    time_passes(HOUR)
    begins = fresh(event).starts_at
    assert begins is not None
    inside = happened(city, "fault", "T11", since=begins + 5 * MINUTE, hours=None)
    happened(city, "fault", "T12", since=begins + 30 * MINUTE, hours=None)  # it was over

    event_reconcile(actor=otto, event_id=event.pk)

    assert found(event) == [("fault", "A", inside.reference)]


def test_one_statement_however_many_faults(event: SheddingEvent, city: SmallCity) -> None:
    assert event.starts_at is not None
    for n in range(5):
        happened(city, "fault", "T11", since=event.starts_at + n * MINUTE, hours=0.5)

    with CaptureQueriesContext(connection) as asked:
        assert faults_linked(event, at=event.starts_at + HOUR) == 5

    assert len(asked) == 1
