"""An event on its page: five steps, each locked until the one before is valid, led by two people."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from accounts.actor import Actor
from accounts.models import User
from outages.load_shedding.models import Agreement, KeptOut, Measure, SheddingEvent, SheddingPlan
from outages.load_shedding.services import choices, clock, events
from tests.factories.grid import SmallCity
from tests.planned.pages import client_of, text_of
from tests.shedding.event_pages import EVENTS, key, local, order_of, page, steps, url
from tests.shedding.happening import (
    CLOCK,
    MINUTE,
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
    """A 1 MW, B 2 MW, C 4 MW; the hospital is in C."""
    return plan_ready(city, asha, otto)


@pytest.fixture
def desk(asha_user: User) -> Client:
    return client_of(asha_user)


@pytest.fixture
def second(otto_user: User) -> Client:
    return client_of(otto_user)


# --- the whole way ------------------------------------------------------------------------------------


def test_an_event_is_led_from_the_warning_to_the_monitor(made: SheddingPlan, desk: Client, second: Client) -> None:
    opened = desk.post(f"{EVENTS}new/", {"branch": made.branch_id, "colour": "yellow", "authority": "省调"})
    event = SheddingEvent.objects.get()
    assert (opened.status_code, opened["Location"]) == (302, url(event))
    assert steps(page(desk, event)) == ["now", "locked", "locked", "locked", "locked"]

    desk.post(url(event, "measures/"), {"version": event.version, "kind": "shift", "asked_mw": "0.5"})
    desk.post(url(event, "order/"), order_of(fresh(event)))
    assert steps(page(desk, event)) == ["done", "now", "locked", "locked", "locked"]

    desk.post(url(event, "compute/"))
    chosen = page(desk, event, "?choice=B")
    assert steps(chosen) == ["done", "done", "done", "now", "locked"]
    assert [column.letter for column in chosen.context["columns"]] == ["A", "B", "C"]
    desk.post(
        url(event, "propose/"),
        {"version": fresh(event).version, "choice": "B", "reason": "evening peak", "why_now": "no time"},
    )
    event = fresh(event)
    assert (event.state, event.chosen, event.reason) == ("proposed", "B", "evening peak · no time")

    blocks = page(second, event).context["blocks_chosen"]
    agreed = second.post(
        url(event, "confirm/"), {"version": event.version, "is_checked": "on", "typed_blocks": len(blocks)}
    )
    assert agreed.status_code == 302
    event = fresh(event)
    assert event.undo_until is not None
    assert "Undo" in text_of(page(second, event))

    clock.events_turn(actor=CLOCK, at=event.undo_until)
    monitored = page(desk, event)
    assert steps(monitored) == ["done", "done", "done", "done", "now"]
    assert [row.slot.block.code for row in monitored.context["rows"]] == blocks


@pytest.mark.parametrize(
    ("language", "words"),
    [
        (
            "en",
            ("Compute the proposals", "Hand to the second person", "Carry out</button>", "Confirmed.", "Turns ahead"),
        ),
        ("zh-hans", ("计算方案", "提交第二人", "执行</button>", "已确认。", "待停轮次")),
    ],
)
def test_the_page_reads_in_both_languages_at_every_step(
    made: SheddingPlan, desk: Client, second: Client, asha: Actor, otto: Actor, language: str, words: tuple[str, ...]
) -> None:
    for client in (desk, second):
        client.cookies["django_language"] = language
    event = ordered(asha, made)
    shown = [text_of(page(desk, event))]
    events.proposals_make(actor=asha, event_id=event.pk)
    shown.append(text_of(page(desk, event, "?choice=A")))
    events.event_propose(actor=asha, event_id=event.pk, letter="A", reason="缺电")
    shown.append(text_of(page(second, event)))
    blocks = choices.blocks_of(event.proposals.get(letter="A"))
    event = events.event_confirm(actor=otto, event_id=event.pk, is_checked=True, typed_blocks=len(blocks))
    shown.append(text_of(page(second, event)))
    clock.events_turn(actor=CLOCK, at=event.undo_until)
    shown.append(text_of(page(second, event)))

    for step, word in zip(shown, words, strict=True):
        assert word in step


# --- choosing -----------------------------------------------------------------------------------------


def test_by_hand_adds_up_what_is_ticked(made: SheddingPlan, desk: Client, asha: Actor) -> None:
    event = ordered(asha, made, mw=3.0)

    answer = page(desk, event, f"?choice=M&turn={key(event, 'A')}&turn={key(event, 'B')}")

    (sum_,) = answer.context["hand"].sums
    assert (sum_["mw"], sum_["target"], sum_["over"]) == (3.0, 3.0, 0.0)
    assert steps(answer) == ["done", "done", "done", "now", "locked"]
    assert answer.context["preview"].customers == 5


def test_what_is_protected_cannot_be_ticked_nor_sent(city: SmallCity, asha: Actor, otto: Actor, desk: Client) -> None:
    made = plan_ready(city, asha, otto)
    KeptOut.objects.create(element=city.elements["U22"], why="protected", note="市医院")
    event = ordered(asha, made)

    answer = page(desk, event, f"?choice=M&turn={key(event, 'C')}")

    line = next(line for line in answer.context["hand"].lines if line.block.code == "C")
    assert (bool(line.why_not), line.cells) == (True, ())
    assert answer.context["hand"].turns == {}
    assert f'value="{key(event, "C")}"' not in text_of(answer)
    before = everything_shed()
    refused = desk.post(
        url(event, "propose/"),
        {"version": event.version, "choice": "M", "turn": [key(event, "C")], "reason": "x", "why_now": "y"},
    )
    assert refused.status_code in (409, 422)
    assert everything_shed() == before


def test_turns_by_hand_are_proposed(made: SheddingPlan, desk: Client, asha: Actor) -> None:
    event = ordered(asha, made)

    answer = desk.post(
        url(event, "propose/"),
        {
            "version": event.version,
            "choice": "M",
            "turn": [key(event, "A"), key(event, "B")],
            "reason": "by hand",
            "why_now": "no time",
        },
    )

    assert answer.status_code == 302
    event = fresh(event)
    assert (event.state, event.chosen) == ("proposed", "M")
    assert choices.blocks_of(event.proposals.get(letter="M")) == {"A", "B"}


def test_disconnection_before_the_earlier_measures_needs_a_reason(
    made: SheddingPlan, desk: Client, asha: Actor
) -> None:
    event = ordered(asha, made)
    events.proposals_make(actor=asha, event_id=event.pk)
    before = everything_shed()

    answer = desk.post(url(event, "propose/"), {"version": event.version, "choice": "A", "reason": "peak"})

    assert answer.status_code == 422
    assert "why_now" in answer.context["propose_form"].errors
    assert everything_shed() == before
    for kind in Agreement.Kind:
        Measure.objects.create(event=event, kind=kind, asked_mw=0.1, by_name="Asha")
    assert "why_now" not in page(desk, event, "?choice=A").context["propose_form"].fields


def test_a_target_that_cannot_be_met_is_said_plainly(made: SheddingPlan, desk: Client, asha: Actor) -> None:
    event = ordered(asha, made, mw=50.0)
    events.proposals_make(actor=asha, event_id=event.pk)

    answer = page(desk, event, "?choice=A")

    assert "The target is not met." in text_of(answer)
    assert [round(one.mw, 1) for one in answer.context["short"]] == [7.0]


def test_an_agreement_brings_its_load_and_its_customer(
    city: SmallCity, made: SheddingPlan, desk: Client, asha: Actor
) -> None:
    agreement = Agreement.objects.create(branch=city.west, kind="avoid", customer=city.customers["smith"], mw=0.3)
    event = ordered(asha, made)

    wrong = desk.post(url(event, "measures/"), {"version": 1, "kind": "shift", "agreement": agreement.pk})
    desk.post(url(event, "measures/"), {"version": 1, "kind": "avoid", "agreement": agreement.pk, "relief_mw": "0.25"})

    assert wrong.status_code == 422
    (measure,) = event.measures.all()
    assert (measure.kind, measure.customer, measure.asked_mw, measure.relief_mw, measure.is_measured) == (
        "avoid", city.customers["smith"], 0.3, 0.25, False,
    )  # fmt: skip


# --- two people -----------------------------------------------------------------------------------------


def test_whoever_proposed_sees_no_button_and_is_refused(
    made: SheddingPlan, desk: Client, asha: Actor, otto: Actor
) -> None:
    event = proposed(asha, made)
    before = everything_shed()

    shown = text_of(page(desk, event))
    refused = desk.post(url(event, "confirm/"), {"version": event.version, "is_checked": "on", "typed_blocks": 1})

    assert "Waiting for the second person" in shown
    assert f'action="{url(event, "confirm/")}#execute"' not in shown
    assert refused.status_code == 403
    assert everything_shed() == before


@pytest.mark.parametrize(("tick", "typed"), [("", "1"), ("on", "99")])
def test_deciding_without_looking_is_refused(
    made: SheddingPlan, second: Client, asha: Actor, otto: Actor, tick: str, typed: str
) -> None:
    event = proposed(asha, made, blocks=["A"])
    before = everything_shed()

    answer = second.post(url(event, "confirm/"), {"version": event.version, "is_checked": tick, "typed_blocks": typed})

    assert answer.status_code == 422
    assert everything_shed() == before


def test_a_decision_about_an_older_proposal_is_a_conflict(
    made: SheddingPlan, second: Client, asha: Actor, otto: Actor
) -> None:
    event = proposed(asha, made, blocks=["A"])
    seen = event.version
    events.event_withdraw(actor=asha, event_id=event.pk)
    events.proposals_make(actor=asha, event_id=event.pk)
    events.event_propose(actor=asha, event_id=event.pk, letter="B", reason="changed")
    before = everything_shed()

    answer = second.post(url(event, "confirm/"), {"version": seen, "is_checked": "on", "typed_blocks": 1})

    assert answer.status_code == 409
    assert everything_shed() == before
    form = answer.context["confirm_form"]  # compared anew, it can be sent again
    assert [form[name].value() for name in ("version", "is_checked", "typed_blocks")] == [
        str(fresh(event).version), False, "",
    ]  # fmt: skip


def test_sent_back_with_a_reason(made: SheddingPlan, second: Client, asha: Actor, otto: Actor) -> None:
    event = proposed(asha, made)

    second.post(url(event, "return/"), {"return-version": event.version, "return-reason": "wrong evening"})

    event = fresh(event)
    assert (event.state, event.chosen, event.state_reason) == ("ordered", "", "wrong evening")


def test_undone_within_ten_seconds(made: SheddingPlan, second: Client, asha: Actor, otto: Actor) -> None:
    event = confirmed(asha, otto, made)

    answer = second.post(url(event, "undo/"))

    assert answer.status_code == 302
    assert (fresh(event).state, event.slots.count()) == ("proposed", 0)


# --- running ------------------------------------------------------------------------------------------


@pytest.fixture
def event(made: SheddingPlan, asha: Actor, otto: Actor) -> SheddingEvent:
    """A and B are about to be switched off."""
    return announced(asha, otto, made, blocks=["A", "B"], starts_at=minute() + MINUTE)


def slot_url(event: SheddingEvent, code: str, name: str) -> str:
    return url(event, f"slots/{slot_of(event, code).pk}/{name}/")


def take(client: Client, event: SheddingEvent, code: str, name: str, **facts: Any) -> Any:
    return client.post(slot_url(event, code, name), {"version": slot_of(event, code).version, **facts})


def test_each_turn_is_switched_off_measured_and_on_again(event: SheddingEvent, desk: Client) -> None:
    now = minute()
    assert take(desk, event, "A", "off", at=local(now - MINUTE), mw="0.9").status_code == 302
    slot = slot_of(event, "A")
    assert (slot.state, slot.mw_off, slot.is_measured) == ("off", 0.9, True)
    monitored = page(desk, event)
    assert [row.slot.block.code for row in monitored.context["restore"]] == ["A"]
    assert monitored.context["achieved_mw"] == 0.9

    assert take(desk, event, "A", "on", at=local(now)).status_code == 302
    assert (slot_of(event, "A").state, page(desk, event).context["counts"]["on"]) == ("on", 1)


def test_a_turn_is_skipped_only_with_a_reason(event: SheddingEvent, desk: Client) -> None:
    before = everything_shed()
    assert take(desk, event, "B", "skip").status_code == 422
    assert everything_shed() == before

    take(desk, event, "B", "skip", reason="switch jammed")

    assert (slot_of(event, "B").state, slot_of(event, "B").skip_reason) == ("skipped", "switch jammed")
    assert "switch jammed" in text_of(page(desk, event))


def test_a_stuck_turn_becomes_a_fault_that_the_monitor_shows(event: SheddingEvent, desk: Client) -> None:
    take(desk, event, "A", "off", at=local(minute()))

    take(desk, event, "A", "stuck", reason="breaker will not close")

    slot = slot_of(event, "A")
    assert slot.fault is not None
    shown = text_of(page(desk, event))
    assert slot.fault.reference in shown
    assert page(desk, event).context["counts"]["stuck"] == 1


def test_another_block_takes_over(event: SheddingEvent, desk: Client) -> None:
    offered = desk.get(slot_url(event, "B", "replace")).context["form"].fields["block"].choices
    assert [code for code, _name in offered] == ["C"]

    assert take(desk, event, "B", "replace", block="C", reason="B feeds a works").status_code == 302

    assert [turn[0] for turn in turns(event)] == ["A", "C"]


def test_more_load_waits_for_the_second_person(event: SheddingEvent, desk: Client, second: Client) -> None:
    event = fresh(event)
    asked = {"version": event.version, "target_mw": "7", "until": local(event.ends_at), "reason": "gap grows"}

    assert desk.post(url(event, "step/change/"), asked).status_code == 302

    assert [turn[0] for turn in turns(event)] == ["A", "B"]
    assert page(desk, event).context["change"].is_own
    assert desk.get(url(event, "step/change-confirm/")).status_code == 403
    compared = second.get(url(event, "step/change-confirm/"))
    blocks = compared.context["change"].blocks
    agreed = {"version": fresh(event).version, "is_checked": "on", "typed_blocks": len(blocks)}
    assert second.post(url(event, "step/change-confirm/"), agreed).status_code == 302
    assert sorted({turn[0] for turn in turns(event)}) == blocks == ["A", "B", "C"]


def test_everybody_is_restored_early_and_the_event_ends(event: SheddingEvent, desk: Client) -> None:
    desk.post(url(event, "step/restore/"), {"version": fresh(event).version, "reason": "gap closed"})
    assert (fresh(event).state, turns(event)) == ("restoring", [])

    assert desk.post(url(event, "step/end/"), {"version": fresh(event).version}).status_code == 302

    assert fresh(event).state == "ended"


def test_the_monitor_is_a_fragment_of_the_page(event: SheddingEvent, desk: Client) -> None:
    part = text_of(desk.get(url(event, "monitor/")))

    assert "<html" not in part
    assert re.search(r'id="monitor-live" hx-get="[^"]+/monitor/"', part)


def test_statements_do_not_grow_with_turns(
    event: SheddingEvent, desk: Client, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(40):
        desk.get(url(event))


# --- who may ------------------------------------------------------------------------------------------


def test_whoever_only_reads_sees_no_forms(event: SheddingEvent, mei: Actor, city: SmallCity) -> None:
    agent = client_of(User.objects.get(username="mei"))

    shown = text_of(page(agent, event))

    assert "/slots/" not in shown
    assert agent.get(url(event, "step/restore/")).status_code == 403
    assert agent.get(slot_url(event, "A", "off")).status_code == 403
