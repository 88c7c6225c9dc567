"""From the warning to the announcement: ordered, proposed by one person, confirmed by another, undone in time."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import IntegrityError, transaction

from accounts.actor import Actor
from outages.lifecycle import IllegalTransition
from outages.load_shedding import policies
from outages.load_shedding.models import KeptOut, Measure, SheddingEvent, SheddingPlan
from outages.load_shedding.rotation import Span
from outages.load_shedding.services import choices, clock, drafts, events
from outages.load_shedding.services.plans import InRunningEvent
from outages.load_shedding.services.steps import Moved, NeedsReason
from outages.models import Interruption, Outage
from standards.errors import DomainError, Forbidden, UnknownCode
from tests.factories import accounts
from tests.factories.grid import SmallCity
from tests.shedding.happening import (
    CLOCK,
    HOUR,
    announced,
    confirmed,
    fresh,
    minute,
    ordered,
    plan_ready,
    proposed,
    slot_of,
    turns,
)
from tests.shedding.world import everything_shed


@pytest.fixture
def made(city: SmallCity, asha: Actor, otto: Actor) -> SheddingPlan:
    return plan_ready(city, asha, otto)


def steps(event: SheddingEvent) -> list[tuple[str, str, str, str]]:
    return list(event.steps.order_by("pk").values_list("verb", "before", "after", "actor_name"))


# --- warning and order ------------------------------------------------------------------------------------


def test_a_warning_becomes_an_order_of_the_branch_whose_plan_it_is(
    city: SmallCity, made: SheddingPlan, asha: Actor
) -> None:
    warned = events.event_alert(actor=asha, branch=city.east, colour="yellow", authority="省调", reason="寒潮")
    begins = minute() + HOUR

    event = events.event_order(
        actor=asha, event_id=warned.pk, target_mw=2.0, starts_at=begins, ends_at=begins + HOUR, order_number="7",
        authority="省调",
    )  # fmt: skip

    assert (event.pk, event.state, event.branch, event.plan) == (warned.pk, "ordered", city.bureau, made)
    assert (event.colour, event.target_mw, event.ends_at) == ("yellow", 2.0, begins + HOUR)
    assert event.reference.startswith("LS-")
    assert [step[:3] for step in steps(event)] == [("alert", "new", "alert"), ("order", "alert", "ordered")]


def test_a_stage_orders_its_load_and_a_load_has_the_colour_of_its_stage(made: SheddingPlan, asha: Actor) -> None:
    begins = minute() + HOUR
    facts: dict[str, Any] = {"actor": asha, "branch": made.branch, "order_number": "7", "authority": "省调"}

    by_stage = events.event_order(**facts, stage=2, starts_at=begins, ends_at=begins + HOUR)
    by_load = events.event_order(**facts, target_mw=0.5, starts_at=begins + HOUR, ends_at=begins + 2 * HOUR)

    assert (by_stage.target_mw, by_stage.colour, by_load.colour) == (3.0, "yellow", "blue")


@pytest.mark.parametrize(
    ("mw", "begins", "lasts"),
    [(0, 1, 1), (-1, 1, 1), (math.nan, 1, 1), (math.inf, 1, 1), (1, 1, -1), (1, 1, 0), (1, -3, 1), (1, 1, 24 * 8)],
)
def test_an_order_that_cannot_be_is_refused(
    made: SheddingPlan, asha: Actor, mw: float, begins: float, lasts: float
) -> None:
    before = everything_shed()

    with pytest.raises(DomainError):
        ordered(asha, made, mw=mw, hours=lasts, starts_at=minute() + begins * HOUR)

    assert everything_shed() == before


def test_two_events_of_one_plan_do_not_overlap_and_the_other_is_named(
    city: SmallCity, made: SheddingPlan, asha: Actor
) -> None:
    first = ordered(asha, made)
    before = everything_shed()

    with pytest.raises(events.EventsOverlap, match=first.reference):
        ordered(asha, made, starts_at=minute() + 3 * HOUR)
    assert everything_shed() == before

    after = ordered(asha, made, starts_at=minute() + 4 * HOUR)
    assert after.state == "ordered"


def test_without_a_plan_or_the_right_nothing_is_ordered(
    city: SmallCity, asha: Actor, otto: Actor, mei: Actor, dora: Actor
) -> None:
    with pytest.raises(events.NoPlan):
        events.event_alert(actor=asha, branch=city.bureau, colour="red", authority="省调")
    made = plan_ready(city, asha, otto)
    before = everything_shed()
    for stranger in (mei, dora, otto):
        with pytest.raises(Forbidden):
            ordered(stranger, made)
    with pytest.raises(UnknownCode):
        ordered(asha, made, colour="pink")
    assert everything_shed() == before


def test_what_earlier_measures_relieve_is_not_shed(city: SmallCity, made: SheddingPlan, asha: Actor) -> None:
    event = ordered(asha, made, mw=3.0)
    smith = city.customers["smith"]
    asked = events.measure_record(actor=asha, event_id=event.pk, kind="shift", asked_mw=2.0, customer=smith)
    known = events.measure_record(
        actor=asha, event_id=event.pk, measure_id=asked.pk, kind="shift", asked_mw=2.0, relief_mw=1.0,
        is_measured=True, customer=smith,
    )  # fmt: skip

    rows = events.proposals_make(actor=asha, event_id=event.pk)

    assert (Measure.objects.count(), known.relief_mw, known.is_measured) == (1, 1.0, True)
    assert fresh(event).version == event.version + 2  # whoever decides about the order as it was is told so
    assert list(event.steps.filter(verb="relieve").values_list("actor_name", flat=True)) == [asha.name] * 2
    assert [sorted(choices.blocks_of(row)) for row in rows if row.letter == "A"] == [["B"]]


# --- proposals ------------------------------------------------------------------------------------------


def test_what_was_put_forward_or_confirmed_is_not_computed_again(made: SheddingPlan, asha: Actor, otto: Actor) -> None:
    event = proposed(asha, made)
    before = everything_shed()

    with pytest.raises(IllegalTransition):
        events.proposals_make(actor=asha, event_id=event.pk, target_mw=1.0)
    assert everything_shed() == before

    chosen = event.proposals.get(letter=event.chosen)
    events.event_confirm(actor=otto, event_id=event.pk, is_checked=True, typed_blocks=len(choices.blocks_of(chosen)))
    with pytest.raises(IllegalTransition):
        events.proposals_make(actor=asha, event_id=event.pk, target_mw=1.0)
    assert event.proposals.get(letter=event.chosen).lines == chosen.lines


def test_three_proposals_are_kept_and_a_new_order_throws_them_away(made: SheddingPlan, asha: Actor) -> None:
    event = ordered(asha, made, mw=3.0)
    events.proposals_make(actor=asha, event_id=event.pk)
    rows = events.proposals_make(actor=asha, event_id=event.pk)

    assert [(row.letter, row.generation, row.shortfall_mw) for row in event.proposals.order_by("letter")] == [
        ("A", 1, 0.0),
        ("B", 1, 0.0),
        ("C", 1, 0.0),
    ]
    assert rows[1].lines[0]["block"] == "C"  # the hospital alone: one customer
    assert rows[1].figures["customers"] == 1

    begins = minute() + 5 * HOUR
    events.event_order(
        actor=asha, event_id=event.pk, target_mw=1.0, starts_at=begins, ends_at=begins + HOUR, order_number="8",
        authority="省调",
    )  # fmt: skip
    assert event.proposals.count() == 0


def test_more_than_there_is_may_be_proposed_and_says_what_is_short(made: SheddingPlan, asha: Actor) -> None:
    event = proposed(asha, made, mw=10.0)

    assert event.state == "proposed"
    assert event.proposals.get(letter="A").shortfall_mw == 3.0
    step = event.steps.get(verb="propose")
    assert (step.note, step.facts) == ("缺电", {"blocks": 3, "shortfall_mw": 3.0})


def test_nothing_is_proposed_without_a_proposal_or_a_reason(made: SheddingPlan, asha: Actor) -> None:
    event = ordered(asha, made)
    before = everything_shed()
    with pytest.raises(choices.NothingProposed):
        events.event_propose(actor=asha, event_id=event.pk, letter="A", reason="缺电")
    with pytest.raises(NeedsReason):
        events.event_propose(actor=asha, event_id=event.pk, letter="A", reason="  ")
    assert everything_shed() == before


def test_a_block_without_load_is_not_shed(city: SmallCity, asha: Actor, otto: Actor) -> None:
    made = plan_ready(city, asha, otto)
    made.blocks.filter(code="A").update(mw_by_hour=[0.0] * 24)
    event = ordered(asha, made, mw=10.0)
    assert event.starts_at is not None

    rows = events.proposals_make(actor=asha, event_id=event.pk)

    assert {code for row in rows for code in choices.blocks_of(row)} == {"B", "C"}
    with pytest.raises(choices.BlockLeftOut, match="A"):
        events.event_propose(
            actor=asha, event_id=event.pk, letter="M", reason="缺电",
            spans=[Span("A", event.starts_at, event.starts_at + HOUR)],
        )  # fmt: skip


def test_by_hand_the_same_limits_hold(city: SmallCity, made: SheddingPlan, asha: Actor) -> None:
    event = ordered(asha, made, mw=3.0, hours=6)
    begins = event.starts_at
    assert begins is not None
    KeptOut.objects.create(element=city.elements["T22"], why="protected")
    before = everything_shed()

    def by_hand(*spans: Span) -> SheddingEvent:
        return events.event_propose(actor=asha, event_id=event.pk, letter="M", reason="缺电", spans=spans)

    with pytest.raises(choices.BlockLeftOut, match="T22"):
        by_hand(Span("C", begins, begins + HOUR))
    with pytest.raises(choices.LimitBroken, match="A"):
        by_hand(Span("A", begins, begins + 5 * HOUR))
    with pytest.raises(UnknownCode):
        by_hand(Span("Z", begins, begins + HOUR))
    with pytest.raises(choices.BadOrder):
        by_hand(Span("A", begins - HOUR, begins + HOUR))
    with pytest.raises(choices.NothingProposed):
        by_hand()
    assert everything_shed() == before

    chosen = by_hand(Span("A", begins, begins + 2 * HOUR), Span("B", begins, begins + 2 * HOUR))
    row = chosen.proposals.get(letter="M")
    assert (chosen.chosen, row.figures["customers"], row.figures["mw"]) == ("M", 5, [3.0, 0.0, 0.0])
    assert [line["mw"] for line in row.lines] == [1.0, 2.0]


# --- two people -------------------------------------------------------------------------------------------


def test_another_person_confirms_and_after_ten_seconds_it_is_announced(
    city: SmallCity, made: SheddingPlan, asha: Actor, otto: Actor
) -> None:
    event = confirmed(asha, otto, made, blocks=["A", "B"])
    assert (event.state, event.generation, Outage.objects.count()) == ("confirmed", 0, 0)
    assert event.undo_until is not None
    assert event.confirmed_at is not None
    assert event.undo_until - event.confirmed_at == timedelta(seconds=10)

    assert clock.events_turn(actor=CLOCK, at=event.undo_until - timedelta(seconds=1))["announced"] == 0
    assert clock.events_turn(actor=CLOCK, at=event.undo_until)["announced"] == 1
    assert clock.events_turn(actor=CLOCK, at=event.undo_until)["announced"] == 0

    event = fresh(event)
    assert (event.state, event.generation) == ("confirmed", 1)
    assert turns(event) == [("A", 0.0, 2.0, "planned"), ("B", 0.0, 2.0, "planned")]
    outage = slot_of(event, "A").outage
    assert outage is not None
    assert (outage.kind, outage.status, outage.planned_start) == ("load_shedding", "scheduled", event.starts_at)
    assert (outage.customers_affected, outage.place, outage.public_reason_zh) == (3, "A区块", "有序用电（A区块）")
    assert outage.public_reason_en == "load shedding, Block A"
    assert set(Interruption.objects.filter(outage=outage).values_list("element__code", flat=True)) == {"T11", "T12"}
    assert [step[0] for step in steps(event)] == ["order", "propose", "confirm", "announce"]


def test_nobody_confirms_their_own_not_even_past_the_services(made: SheddingPlan, asha: Actor, otto: Actor) -> None:
    both = accounts.actor_of(accounts.user_with("approver", made.branch, username="both"))
    event = proposed(asha, made)
    SheddingEvent.objects.filter(pk=event.pk).update(author_id=both.user_id)
    before = everything_shed()

    with pytest.raises(policies.OwnDecision):
        events.event_confirm(actor=both, event_id=event.pk, is_checked=True, typed_blocks=2)
    with pytest.raises(Forbidden):
        events.event_confirm(actor=asha, event_id=event.pk, is_checked=True, typed_blocks=2)
    with pytest.raises(IntegrityError), transaction.atomic():
        SheddingEvent.objects.filter(pk=event.pk).update(confirmed_by_id=both.user_id)

    assert everything_shed() == before


def test_confirming_asks_for_the_tick_and_the_number_of_blocks(made: SheddingPlan, asha: Actor, otto: Actor) -> None:
    event = proposed(asha, made, mw=3.0)
    before = everything_shed()

    with pytest.raises(events.NotChecked):
        events.event_confirm(actor=otto, event_id=event.pk, is_checked=False, typed_blocks=2)
    with pytest.raises(events.WrongCount):
        events.event_confirm(actor=otto, event_id=event.pk, is_checked=True, typed_blocks=3)
    with pytest.raises(Moved):
        events.event_confirm(
            actor=otto, event_id=event.pk, is_checked=True, typed_blocks=2, expected_version=event.version - 1
        )

    assert everything_shed() == before


def test_withdrawn_or_returned_it_can_be_chosen_again(made: SheddingPlan, asha: Actor, otto: Actor) -> None:
    event = proposed(asha, made)
    assert events.event_withdraw(actor=asha, event_id=event.pk).state == "ordered"
    events.event_propose(actor=asha, event_id=event.pk, letter="B", reason="改选")
    returned = events.event_return(actor=otto, event_id=event.pk, reason="区块不对")
    assert (returned.state, returned.state_reason, returned.chosen) == ("ordered", "区块不对", "")


def test_within_ten_seconds_it_is_undone_and_afterwards_not(made: SheddingPlan, asha: Actor, otto: Actor) -> None:
    event = confirmed(asha, otto, made)
    assert event.undo_until is not None
    before = everything_shed()
    with pytest.raises(events.TooLate):
        events.event_undo(actor=otto, event_id=event.pk, at=event.undo_until)
    assert everything_shed() == before

    undone = events.event_undo(actor=otto, event_id=event.pk)

    assert (undone.state, undone.confirmed_by, undone.undo_until) == ("proposed", None, None)
    assert clock.events_turn(actor=CLOCK, at=minute() + HOUR)["announced"] == 0
    again = events.event_confirm(actor=otto, event_id=event.pk, is_checked=True, typed_blocks=1)
    clock.events_turn(actor=CLOCK, at=again.undo_until)
    with pytest.raises(events.TooLate):
        events.event_undo(actor=otto, event_id=event.pk)


def test_called_off_after_it_was_announced_everything_is_cancelled(
    made: SheddingPlan, asha: Actor, otto: Actor
) -> None:
    event = announced(asha, otto, made)

    events.event_cancel(actor=otto, event_id=event.pk, reason="供电恢复")

    assert (fresh(event).state, turns(event)) == ("cancelled", [])
    assert set(Outage.objects.values_list("status", flat=True)) == {"cancelled"}
    with pytest.raises(IllegalTransition):
        events.event_cancel(actor=otto, event_id=event.pk, reason="供电恢复")


def test_confirmed_when_half_the_slot_is_over_it_begins_now(made: SheddingPlan, asha: Actor, otto: Actor) -> None:
    event = confirmed(asha, otto, made, mw=1.0, starts_at=minute() + HOUR, is_emergency=True)

    at = minute() + 2 * HOUR
    clock.events_turn(actor=CLOCK, at=at)

    (slot,) = event.slots.all()
    assert (slot.starts_at, slot.ends_at) == (at, minute() + 3 * HOUR)


def test_a_plan_in_an_event_is_not_changed(city: SmallCity, made: SheddingPlan, asha: Actor, otto: Actor) -> None:
    announced(asha, otto, made)
    before = everything_shed()

    with pytest.raises(InRunningEvent):
        drafts.block_save(actor=asha, plan_id=made.pk, code="A", element_ids=city.ids("T11"))

    assert everything_shed() == before


@pytest.mark.parametrize("local", ["2030-03-31T01:00", "2030-10-27T01:00", "2030-06-30T23:00"])
def test_turns_over_midnight_and_days_that_are_not_24_hours_are_as_long_as_ordered(
    made: SheddingPlan, asha: Actor, otto: Actor, local: str
) -> None:
    type(made.branch).objects.update(time_zone="Europe/Berlin")
    begins = datetime.fromisoformat(local).replace(tzinfo=ZoneInfo("Europe/Berlin"))
    event = announced(asha, otto, made, mw=1.0, starts_at=begins.astimezone(UTC), hours=4)

    assert {(begin, end) for _code, begin, end, _state in turns(event)} == {(0.0, 2.0), (2.0, 4.0)}
