"""Every state and every action of events and slots: what the table does not name is refused."""

from __future__ import annotations

from itertools import product

import pytest

from outages.lifecycle import IllegalTransition
from outages.load_shedding import lifecycle
from outages.load_shedding.models import EventState, SlotState

EVENTS = {
    "alert": {"new": "alert"},
    "order": {"new": "ordered", "alert": "ordered", "ordered": "ordered"},
    "relieve": {state: state for state in ("alert", "ordered", "proposed", "confirmed", "shedding", "restoring")},
    "propose": {"ordered": "proposed"},
    "withdraw": {"proposed": "ordered"},
    "return": {"proposed": "ordered"},
    "confirm": {"proposed": "confirmed"},
    "undo": {"confirmed": "proposed"},
    "announce": {"confirmed": "confirmed"},
    "begin": {"confirmed": "shedding"},
    "ask_change": {"confirmed": "confirmed", "shedding": "shedding", "restoring": "restoring"},
    "reject_change": {"confirmed": "confirmed", "shedding": "shedding", "restoring": "restoring"},
    "change": {"confirmed": "confirmed", "shedding": "shedding", "restoring": "restoring"},
    "restore": {"confirmed": "restoring", "shedding": "restoring"},
    "end": {"confirmed": "ended", "shedding": "ended", "restoring": "ended"},
    "reconcile": {"ended": "reconciled"},
    "cancel": {"alert": "cancelled", "ordered": "cancelled", "proposed": "cancelled", "confirmed": "cancelled"},
}
SLOTS = {
    "off": {"planned": "off"},
    "on": {"off": "on", "stuck": "on"},
    "skip": {"planned": "skipped"},
    "stick": {"off": "stuck"},
    "move": {"planned": "planned", "off": "off"},
    "late": {"planned": "planned", "off": "off"},
    "measure": {"off": "off", "stuck": "stuck", "on": "on"},
    "drop": {"planned": "dropped"},
}


def test_the_tables_name_the_states_of_the_models() -> None:
    assert set(lifecycle.EVENT_STATES) == set(EventState.values)
    assert set(lifecycle.SLOT_STATES) == set(SlotState.values)
    assert set(lifecycle.EVENT_STEPS) == set(EVENTS)
    assert set(lifecycle.SLOT_STEPS) == set(SLOTS)
    assert {*lifecycle.UNDECIDED, *lifecycle.RUNNING, *lifecycle.OVER} == set(lifecycle.EVENT_STATES)


@pytest.mark.parametrize(("action", "state"), list(product(EVENTS, ("new", *lifecycle.EVENT_STATES))))
def test_events(action: str, state: str) -> None:
    after = EVENTS[action].get(state)
    if after is not None:
        assert lifecycle.event_after(action=action, state=state) == after
        return
    with pytest.raises(IllegalTransition):
        lifecycle.event_after(action=action, state=state)


@pytest.mark.parametrize(("action", "state"), list(product(SLOTS, lifecycle.SLOT_STATES)))
def test_slots(action: str, state: str) -> None:
    after = SLOTS[action].get(state)
    if after is not None:
        assert lifecycle.slot_after(action=action, state=state) == after
        return
    with pytest.raises(IllegalTransition):
        lifecycle.slot_after(action=action, state=state)
