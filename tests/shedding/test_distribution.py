"""The difference between the slots there are and the turns wanted: nobody is touched whose times stay."""

from __future__ import annotations

import pytest
from django.db import transaction
from django.utils import timezone

from accounts.actor import Actor
from outages.load_shedding.models import SheddingPlan
from outages.load_shedding.policies import OwnDecision
from outages.load_shedding.rotation import Span
from outages.load_shedding.services import changes, choices, clock, events, slots
from outages.load_shedding.services.distribution import SlotThere, slots_distribute
from outages.load_shedding.services.steps import NeedsReason, event_lock
from outages.models import Outage, OutageEvent
from standards.errors import DomainError, Forbidden
from tests.factories import accounts
from tests.factories.grid import SmallCity
from tests.shedding.happening import (
    CLOCK,
    HOUR,
    MINUTE,
    announced,
    confirmed,
    fresh,
    minute,
    plan_ready,
    slot_of,
    turns,
)
from tests.shedding.world import everything_shed


@pytest.fixture
def made(city: SmallCity, asha: Actor, otto: Actor) -> SheddingPlan:
    return plan_ready(city, asha, otto)


def later_than_announced() -> set[str]:
    """The places of which anything was said after they were announced."""
    return set(OutageEvent.objects.exclude(verb__in=["schedule", "start"]).values_list("outage__place", flat=True))


# --- less -------------------------------------------------------------------------------------------------


def test_less_load_drops_what_is_too_much_and_touches_nobody_else(made: SheddingPlan, asha: Actor, otto: Actor) -> None:
    event = announced(asha, otto, made, blocks=["A", "B"], mw=3.0)

    changed = changes.event_change(actor=asha, event_id=event.pk, target_mw=2.0, reason="需求减少")

    assert (changed.target_mw, changed.generation) == (2.0, 2)
    assert turns(changed) == [("B", 0.0, 2.0, "planned")]
    assert later_than_announced() == {"A区块"}
    step = changed.steps.get(verb="change")
    assert (step.note, step.facts) == ("需求减少", {"kept": 1, "dropped": ["A"], "target_mw": 2.0})


def test_what_is_off_and_not_wanted_any_more_ends_as_soon_as_it_can_be_switched(
    made: SheddingPlan, asha: Actor, otto: Actor
) -> None:
    event = announced(asha, otto, made, blocks=["A", "B"], mw=3.0, starts_at=minute(), is_emergency=True)
    for code in ("A", "B"):
        slots.slot_off(actor=asha, slot_id=slot_of(event, code).pk)

    changes.event_change(actor=asha, event_id=event.pk, target_mw=2.0, reason="需求减少")

    slot, now = slot_of(event, "A"), timezone.now()
    assert (slot.state, slot.ends_at > now, slot.ends_at - now <= 2 * MINUTE) == ("off", True, True)
    assert slot.outage is not None
    assert (slot.outage.status, slot.outage.etr) == ("active", slot.ends_at)
    assert later_than_announced() == {"A区块"}


def test_an_earlier_end_shortens_and_a_later_one_within_what_was_confirmed_lengthens_again(
    made: SheddingPlan, asha: Actor, otto: Actor
) -> None:
    event = announced(asha, otto, made, blocks=["B"], mw=2.0, hours=2)
    assert event.ends_at is not None

    changes.event_change(actor=asha, event_id=event.pk, until=event.ends_at - HOUR, reason="提前")
    assert turns(event) == [("B", 0.0, 1.0, "planned")]
    outage = slot_of(event, "B").outage
    assert outage is not None
    assert outage.planned_end == event.ends_at - HOUR


def test_replaced_early_the_rest_of_the_time_is_another_blocks(made: SheddingPlan, asha: Actor, otto: Actor) -> None:
    event = announced(asha, otto, made, blocks=["A", "B"], mw=3.0)
    before = everything_shed()
    with pytest.raises(SlotThere):
        changes.event_replace(actor=asha, slot_id=slot_of(event, "A").pk, block="B", reason="手术")
    with pytest.raises(NeedsReason):
        changes.event_replace(actor=asha, slot_id=slot_of(event, "A").pk, block="C", reason="")
    assert everything_shed() == before

    changes.event_replace(actor=asha, slot_id=slot_of(event, "A").pk, block="C", reason="手术")

    assert turns(event) == [("B", 0.0, 2.0, "planned"), ("C", 0.0, 2.0, "planned")]
    assert later_than_announced() == {"A区块"}


# --- more ---------------------------------------------------------------------------------------------------


def test_more_or_longer_waits_for_another_person(made: SheddingPlan, asha: Actor, otto: Actor) -> None:
    event = announced(asha, otto, made, blocks=["B"], mw=2.0)
    asked = changes.event_change(actor=asha, event_id=event.pk, target_mw=3.0, reason="缺口扩大")

    assert (asked.target_mw, asked.generation, turns(asked)) == (2.0, 1, [("B", 0.0, 2.0, "planned")])
    waiting = changes.change_waiting(asked)
    assert waiting is not None
    assert sorted(choices.blocks_of(waiting)) == ["A", "B"]
    both = accounts.actor_of(accounts.user_with("approver", made.branch, username="both"))
    before = everything_shed()
    assert len(events.proposals_make(actor=asha, event_id=event.pk, target_mw=1.0)) == 3  # only looked at
    with pytest.raises(Forbidden):
        changes.event_change_confirm(actor=asha, event_id=event.pk, is_checked=True, typed_blocks=2)
    with pytest.raises(events.WrongCount):
        changes.event_change_confirm(actor=both, event_id=event.pk, is_checked=True, typed_blocks=1)
    with pytest.raises(events.NotChecked):
        changes.event_change_confirm(actor=both, event_id=event.pk, is_checked=False, typed_blocks=2)
    assert everything_shed() == before

    changed = changes.event_change_confirm(actor=both, event_id=event.pk, is_checked=True, typed_blocks=2)

    assert (changed.target_mw, changed.generation, changed.confirmed_by_id) == (3.0, 2, both.user_id)
    assert turns(changed) == [("A", 0.0, 2.0, "planned"), ("B", 0.0, 2.0, "planned")]
    assert later_than_announced() == set()
    assert changes.change_waiting(changed) is None
    with pytest.raises(changes.NothingWaits):
        changes.event_change_confirm(actor=both, event_id=event.pk, is_checked=True, typed_blocks=2)


def test_whoever_asked_for_more_does_not_confirm_it(made: SheddingPlan, asha: Actor, otto: Actor) -> None:
    event = announced(asha, otto, made, blocks=["B"], mw=2.0)
    changes.event_change(actor=otto, event_id=event.pk, target_mw=3.0, reason="缺口扩大")
    before = everything_shed()

    with pytest.raises(OwnDecision):
        changes.event_change_confirm(actor=otto, event_id=event.pk, is_checked=True, typed_blocks=2)
    assert everything_shed() == before

    rejected = changes.event_change_reject(actor=asha, event_id=event.pk, reason="不必")
    assert (changes.change_waiting(rejected), rejected.target_mw) == (None, 2.0)


def test_longer_while_it_is_off_is_extended(made: SheddingPlan, asha: Actor, otto: Actor) -> None:
    event = announced(asha, otto, made, blocks=["B"], mw=2.0, hours=2, starts_at=minute(), is_emergency=True)
    slots.slot_off(actor=asha, slot_id=slot_of(event, "B").pk)
    assert event.ends_at is not None
    both = accounts.actor_of(accounts.user_with("approver", made.branch, username="both"))

    changes.event_change(actor=asha, event_id=event.pk, until=event.ends_at + HOUR, reason="延长")
    waiting = changes.change_waiting(fresh(event))
    assert waiting is not None
    changed = changes.event_change_confirm(
        actor=both, event_id=event.pk, is_checked=True, typed_blocks=len(choices.blocks_of(waiting))
    )

    assert changed.ends_at == event.ends_at + HOUR
    # the two hours that stand are kept; whether the hour more is B's again or another's is the proposal's
    assert slot_of(event, "B").ends_at >= event.ends_at
    assert max(end for _code, _begin, end, _state in turns(changed)) == 3.0


# --- nothing twice -------------------------------------------------------------------------------------------


def test_the_same_order_again_changes_nothing(made: SheddingPlan, asha: Actor, otto: Actor) -> None:
    event = announced(asha, otto, made, blocks=["A", "B"], mw=3.0)
    outages = list(Outage.objects.order_by("pk").values())

    changes.event_change(actor=asha, event_id=event.pk, target_mw=3.0, reason="重复")

    assert list(Outage.objects.order_by("pk").values()) == outages
    assert fresh(event).steps.get(verb="change").facts == {"kept": 2, "target_mw": 3.0}


def test_a_skipped_turn_is_not_given_again(made: SheddingPlan, asha: Actor, otto: Actor) -> None:
    event = announced(asha, otto, made, blocks=["A", "B"], mw=3.0)
    slots.slot_skip(actor=asha, slot_id=slot_of(event, "A").pk, reason="手术")
    before = everything_shed()

    with pytest.raises(SlotThere):
        changes.event_replace(actor=asha, slot_id=slot_of(event, "B").pk, block="A", reason="换回")

    assert everything_shed() == before


def test_a_fragment_is_nobodys_turn(made: SheddingPlan, asha: Actor, otto: Actor) -> None:
    event = confirmed(asha, otto, made, blocks=["A"], mw=1.0)
    assert event.ends_at is not None

    clock.events_turn(actor=CLOCK, at=event.ends_at - 10 * MINUTE)

    assert (event.slots.count(), Outage.objects.count()) == (0, 0)


def test_changes_need_a_running_event_a_reason_and_the_right(
    made: SheddingPlan, asha: Actor, otto: Actor, dora: Actor, mei: Actor
) -> None:
    undecided = confirmed(asha, otto, made, blocks=["A"], mw=1.0)
    before = everything_shed()
    with pytest.raises(DomainError):
        changes.event_change(actor=asha, event_id=undecided.pk, target_mw=2.0, reason="早")
    assert everything_shed() == before
    event = fresh(undecided)
    clock.events_turn(actor=CLOCK, at=event.undo_until)
    before = everything_shed()
    for stranger in (dora, mei):
        with pytest.raises(Forbidden):
            changes.event_change(actor=stranger, event_id=event.pk, target_mw=0.5, reason="x")
    with pytest.raises(NeedsReason):
        changes.event_change(actor=asha, event_id=event.pk, target_mw=0.5, reason="")
    with pytest.raises(choices.BadOrder):
        changes.event_change(actor=asha, event_id=event.pk, until=timezone.now() - MINUTE, reason="x")
    assert everything_shed() == before


def test_a_turn_at_another_time_is_moved_not_cancelled(made: SheddingPlan, asha: Actor, otto: Actor) -> None:
    event = announced(asha, otto, made, blocks=["A"], mw=1.0)
    assert event.ends_at is not None
    with transaction.atomic():
        difference = slots_distribute(
            event=event_lock(event.pk), wanted=[Span("A", event.ends_at, event.ends_at + HOUR)], actor=asha,
            reason="移后",
        )  # fmt: skip

    assert [slot.block.code for slot in difference.moved] == ["A"]
    assert turns(event) == [("A", 2.0, 3.0, "planned")]
    outage = slot_of(event, "A").outage
    assert outage is not None
    assert (outage.planned_start, outage.planned_end) == (event.ends_at, event.ends_at + HOUR)


# --- the end -------------------------------------------------------------------------------------------------


def test_restored_early_nothing_more_is_switched_off_and_it_ends_when_all_are_on(
    made: SheddingPlan, asha: Actor, otto: Actor
) -> None:
    event = announced(asha, otto, made, blocks=["A", "B"], mw=3.0, starts_at=minute(), is_emergency=True)
    slots.slot_off(actor=asha, slot_id=slot_of(event, "A").pk)

    restoring = changes.event_restore(actor=asha, event_id=event.pk, reason="缺口消除")

    assert restoring.state == "restoring"
    assert [(code, state) for code, _begin, _end, state in turns(event)] == [("A", "off")]
    with pytest.raises(changes.SlotsOpen, match="A"):
        changes.event_end(actor=asha, event_id=event.pk)
    assert clock.events_turn(actor=CLOCK)["ended"] == 0
    slots.slot_on(actor=asha, slot_id=slot_of(event, "A").pk, at=timezone.now() + MINUTE)
    assert clock.events_turn(actor=CLOCK)["ended"] == 1
    assert fresh(event).state == "ended"


def test_reconciled_with_what_was_measured_its_outages_are_closed(made: SheddingPlan, asha: Actor, otto: Actor) -> None:
    event = announced(asha, otto, made, blocks=["A", "B"], mw=3.0, starts_at=minute(), is_emergency=True)
    for code in ("A", "B"):
        slots.slot_off(actor=asha, slot_id=slot_of(event, code).pk)
        slots.slot_on(actor=asha, slot_id=slot_of(event, code).pk, at=timezone.now() + MINUTE)
    before = everything_shed()
    with pytest.raises(DomainError):
        changes.event_reconcile(actor=asha, event_id=event.pk)
    assert everything_shed() == before
    changes.event_end(actor=asha, event_id=event.pk)

    done = changes.event_reconcile(actor=otto, event_id=event.pk, measured={slot_of(event, "A").pk: 0.8}, note="已核")

    assert done.state == "reconciled"
    slot = slot_of(event, "A")
    assert (slot.mw_off, slot.is_measured, slot_of(event, "B").is_measured) == (0.8, True, False)
    assert set(Outage.objects.values_list("status", "cause_class")) == {("closed", "power_supply")}
