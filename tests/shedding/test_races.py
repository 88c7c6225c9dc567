"""Several people and turns of the clock at one event; a worker that dies; Redis that is gone."""

from __future__ import annotations

import subprocess
from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from accounts.actor import Actor
from outages.load_shedding.models import SheddingEvent, SheddingPlan, Slot
from outages.load_shedding.services import clock, events, slots
from outages.load_shedding.services.changes import event_announce
from outages.load_shedding.services.steps import event_lock
from outages.models import Outage, SystemState
from standards.errors import DomainError
from tests.concurrency.test_outage_writers import together
from tests.factories.grid import SmallCity, small_city
from tests.faults.test_redis_gone import mortal_redis
from tests.shedding.happening import CLOCK, MINUTE, announced, confirmed, fresh, minute, ordered, plan_ready, slot_of
from tests.shedding.world import everything_shed

__all__ = ["mortal_redis"]

pytestmark = [pytest.mark.concurrency, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def city(transactional_db: None) -> SmallCity:
    SystemState.objects.get_or_create(pk=1)
    return small_city()


@pytest.fixture
def made(city: SmallCity, asha: Actor, otto: Actor) -> SheddingPlan:
    return plan_ready(city, asha, otto)


def due(asha: Actor, otto: Actor, made: SheddingPlan) -> SheddingEvent:
    """Confirmed a minute ago and not announced: whoever should have done it is gone."""
    return confirmed(asha, otto, made, blocks=["A", "B"], at=timezone.now() - MINUTE)


def announce_and_die(event: SheddingEvent) -> None:
    with transaction.atomic():
        event_announce(actor=CLOCK, event=event_lock(event.pk), at=timezone.now())
        assert Outage.objects.count() == 2
        raise KeyboardInterrupt


def test_turns_at_once_announce_once(made: SheddingPlan, asha: Actor, otto: Actor) -> None:
    event = due(asha, otto, made)

    turns = together(*[lambda: clock.events_turn(actor=CLOCK)] * 6)

    assert sum(turn["announced"] for turn in turns) == 1
    assert (event.slots.count(), Outage.objects.count(), fresh(event).generation) == (2, 2, 1)


def test_undone_and_announced_at_once_one_of_them_holds(made: SheddingPlan, asha: Actor, otto: Actor) -> None:
    event = confirmed(asha, otto, made, blocks=["A", "B"])
    assert event.undo_until is not None
    last = event.undo_until - timedelta(seconds=1)

    undone, turn = together(
        lambda: events.event_undo(actor=otto, event_id=event.pk, at=last),
        lambda: clock.events_turn(actor=CLOCK, at=event.undo_until),
    )

    if isinstance(undone, events.TooLate):
        assert (turn["announced"], fresh(event).state, Outage.objects.count()) == (1, "confirmed", 2)
    else:
        assert (turn["announced"], fresh(event).state, Outage.objects.count()) == (0, "proposed", 0)


def test_ordered_by_two_at_once_there_is_one_event(made: SheddingPlan, asha: Actor) -> None:
    answers = together(*[lambda: ordered(asha, made)] * 4)

    assert sum(isinstance(answer, events.EventsOverlap) for answer in answers) == 3
    assert SheddingEvent.objects.count() == 1


def test_reported_off_by_two_at_once_the_first_stands(made: SheddingPlan, asha: Actor, otto: Actor) -> None:
    event = announced(asha, otto, made, blocks=["A"], mw=1.0, starts_at=minute(), is_emergency=True)
    slot, now = slot_of(event, "A"), timezone.now()

    answers = together(*[lambda n=n: slots.slot_off(actor=asha, slot_id=slot.pk, at=now, mw=1.0 + n) for n in range(4)])

    stood = [answer for answer in answers if isinstance(answer, Slot)]
    assert len(stood) == 1
    assert slot_of(event, "A").mw_off == stood[0].mw_off
    assert event.steps.filter(verb="off").count() == 1


def test_two_slots_switched_at_once_do_not_wait_for_each_other_for_ever(
    made: SheddingPlan, asha: Actor, otto: Actor
) -> None:
    event = announced(asha, otto, made, blocks=["A", "B"], mw=3.0, starts_at=minute(), is_emergency=True)
    keys = [slot_of(event, code).pk for code in ("A", "B")]

    answers = together(*[lambda key=key: slots.slot_off(actor=asha, slot_id=key) for key in keys])

    assert not any(isinstance(answer, DomainError) for answer in answers)
    assert (fresh(event).state, event.steps.filter(verb="begin").count()) == ("shedding", 1)


def test_a_worker_that_dies_while_it_announces_leaves_nothing_half_done(
    made: SheddingPlan, asha: Actor, otto: Actor
) -> None:
    event = due(asha, otto, made)
    before = everything_shed()
    with pytest.raises(KeyboardInterrupt):
        announce_and_die(event)
    assert everything_shed() == before
    assert Outage.objects.count() == 0

    assert clock.events_turn(actor=CLOCK)["announced"] == 1
    assert (event.slots.count(), Outage.objects.count()) == (2, 2)


def test_without_redis_it_is_confirmed_announced_and_switched(
    made: SheddingPlan, asha: Actor, otto: Actor, mortal_redis: subprocess.Popen[bytes]
) -> None:
    mortal_redis.kill()
    mortal_redis.wait()

    event = announced(asha, otto, made, blocks=["A"], mw=1.0, starts_at=minute(), is_emergency=True)
    slots.slot_off(actor=asha, slot_id=slot_of(event, "A").pk)

    assert (fresh(event).state, slot_of(event, "A").state) == ("shedding", "off")
