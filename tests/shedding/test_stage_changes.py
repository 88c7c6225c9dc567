"""Another stage while an event runs: it brings its load and its colour, on the page as in the services."""

from __future__ import annotations

import pytest
from django.test import Client
from django.utils import timezone

from accounts.actor import Actor
from accounts.models import User
from outages.load_shedding.models import SheddingEvent, SheddingPlan
from outages.load_shedding.rotation import Span
from outages.load_shedding.services import changes, clock, events
from outages.load_shedding.services.choices import LimitBroken, blocks_of
from outages.load_shedding.services.events import EventsOverlap
from outages.load_shedding.services.slots import slot_off
from standards.errors import UnknownCode
from tests.factories.grid import SmallCity
from tests.planned.pages import client_of
from tests.shedding.happening import CLOCK, HOUR, MINUTE, announced, fresh, minute, ordered, plan_ready, slot_of, turns
from tests.shedding.world import refused


@pytest.fixture
def made(city: SmallCity, asha: Actor, otto: Actor) -> SheddingPlan:
    """Stage 1 is blue and 1 MW, stage 2 yellow and 3 MW."""
    return plan_ready(city, asha, otto)


@pytest.fixture
def event(made: SheddingPlan, asha: Actor, otto: Actor) -> SheddingEvent:
    """Stage 2, with A and B."""
    return announced(asha, otto, made, blocks=["A", "B"], stage=2, mw=3.0)


def order(event: SheddingEvent) -> tuple[int | None, float | None, str]:
    return event.stage, event.target_mw, event.colour


def test_a_smaller_stage_holds_at_once(event: SheddingEvent, asha: Actor) -> None:
    assert order(event) == (2, 3.0, "yellow")

    changed = changes.event_change(actor=asha, event_id=event.pk, stage=1, reason="降级")

    assert order(changed) == (1, 1.0, "blue")
    assert [turn[0] for turn in turns(changed)] == ["A"]


def test_a_larger_stage_waits_for_the_second_person_with_its_colour(
    made: SheddingPlan, asha: Actor, otto: Actor
) -> None:
    event = announced(asha, otto, made, blocks=["A"], stage=1, mw=1.0)

    asked = changes.event_change(actor=asha, event_id=event.pk, stage=2, reason="升级")
    assert order(asked) == (1, 1.0, "blue")
    changed = changes.event_change_confirm(actor=otto, event_id=event.pk, is_checked=True, typed_blocks=2)

    assert order(changed) == (2, 3.0, "yellow")


def test_a_later_end_is_not_confirmed_into_another_event(made: SheddingPlan, asha: Actor, otto: Actor) -> None:
    event = announced(asha, otto, made, blocks=["A"], stage=1, mw=1.0)
    assert event.ends_at is not None
    changes.event_change(actor=asha, event_id=event.pk, until=event.ends_at + HOUR, reason="缺口持续")
    other = ordered(asha, made, starts_at=event.ends_at)
    waiting = changes.change_waiting(fresh(event))
    assert waiting is not None

    error = refused(
        EventsOverlap, changes.event_change_confirm, actor=otto, event_id=event.pk, is_checked=True,
        typed_blocks=len(blocks_of(waiting)),
    )  # fmt: skip

    assert error.params["reference"] == other.reference
    assert fresh(event).ends_at == event.ends_at


def test_restored_early_nothing_is_off_for_longer_than_was_said(city: SmallCity, asha: Actor, otto: Actor) -> None:
    wide = plan_ready(city, asha, otto, margin_minutes=45)
    event = announced(asha, otto, wide, blocks=["A"], mw=1.0, starts_at=minute(), is_emergency=True)
    slot = slot_of(event, "A")
    slot_off(actor=asha, slot_id=slot.pk)

    changes.event_restore(actor=asha, event_id=event.pk, reason="缺口消除", at=slot.ends_at - 20 * MINUTE)

    assert slot_of(event, "A").ends_at == slot.ends_at


def test_in_anothers_place_a_block_has_its_rest_beside_its_own_turns(city: SmallCity, asha: Actor, otto: Actor) -> None:
    strict = plan_ready(city, asha, otto, max_run_minutes=120, max_day_minutes=600, min_rest_minutes=240)
    begins = minute() + 2 * HOUR
    spans = [Span("A", begins, begins + 2 * HOUR), Span("B", begins + 2 * HOUR, begins + 4 * HOUR)]
    event = ordered(asha, strict, mw=0.5, hours=4, starts_at=begins)
    event = events.event_propose(actor=asha, event_id=event.pk, letter="", reason="缺电", spans=spans)
    events.event_confirm(actor=otto, event_id=event.pk, is_checked=True, typed_blocks=2, at=timezone.now() - MINUTE)
    clock.events_turn(actor=CLOCK)

    refused(LimitBroken, changes.event_replace, actor=asha, slot_id=slot_of(event, "A").pk, block="B", reason="手术")

    assert {turn[0] for turn in turns(fresh(event))} == {"A", "B"}


def test_a_stage_stands_when_the_end_changes_and_falls_when_the_load_does(event: SheddingEvent, asha: Actor) -> None:
    assert event.ends_at is not None
    shorter = changes.event_change(actor=asha, event_id=event.pk, until=event.ends_at - HOUR, reason="缩短")
    assert order(shorter) == (2, 3.0, "yellow")

    by_load = changes.event_change(actor=asha, event_id=event.pk, target_mw=2.0, reason="需求减少")

    assert order(by_load) == (None, 2.0, "yellow")


def test_there_is_no_such_stage(event: SheddingEvent, asha: Actor) -> None:
    error = refused(UnknownCode, changes.event_change, actor=asha, event_id=event.pk, stage=9, reason="升级")

    assert error.field == "stage"


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ({"stage": "1"}, (1, 1.0, "blue")),  # the load that stood in the form was that of stage 2
        ({"target_mw": "2"}, (None, 2.0, "yellow")),
        ({"stage": "1", "target_mw": "2"}, (1, 2.0, "blue")),
        ({}, (2, 3.0, "yellow")),
    ],
)
def test_on_the_page_that_counts_which_was_changed(
    event: SheddingEvent, asha_user: User, typed: dict[str, str], expected: tuple[int | None, float, str]
) -> None:
    client: Client = client_of(asha_user)
    address = f"/shedding/events/{event.reference}/step/change/"
    form = client.get(address).context["form"]
    assert event.ends_at is not None
    shown = {
        "version": event.version, "target_mw": form.initial["target_mw"], "stage": form.initial["stage"],
        "until": f"{timezone.localtime(event.ends_at):%Y-%m-%dT%H:%M}", "reason": "变更",
    }  # fmt: skip

    assert client.post(address, shown | typed).status_code == 302

    assert order(fresh(event)) == expected
