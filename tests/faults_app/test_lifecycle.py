"""Every cell of both tables, and that the fault's table lies inside the outage's."""

from __future__ import annotations

import pytest

from outages import lifecycle as envelope
from outages.faults import lifecycle
from outages.faults.models import CAUSE_CLASS_OF, CauseCode, CrewState, FaultState

NEW_STATES = ("new", *lifecycle.STATES)

# action: state -> state; whatever is not here is refused
_UNCONFIRMED = ("reported", "predicted")
_OFF = ("confirmed", "isolated", "partially_restored")
_BACK = ("restored", "verified")
ALLOWED: dict[str, dict[str, str]] = {
    "suspect": {"new": "reported"},
    "start": dict.fromkeys(("new", *_UNCONFIRMED), "confirmed"),
    "set_etr": {state: state for state in (*_UNCONFIRMED, *_OFF)},
    "change_extent": {state: state for state in (*_UNCONFIRMED, *_OFF)},
    "restore_part": dict.fromkeys(_OFF, "partially_restored"),
    "restore": dict.fromkeys(_OFF, "restored"),
    "reopen": dict.fromkeys(_BACK, "confirmed"),
    "close": dict.fromkeys(_BACK, "closed"),
    "cancel": dict.fromkeys(_UNCONFIRMED, "dismissed"),
    "void": dict.fromkeys((*_UNCONFIRMED, *_OFF, *_BACK), "dismissed"),
    "merge": dict.fromkeys((*_UNCONFIRMED, *_OFF), "merged"),
    "predict": {"reported": "predicted"},
    "isolate": {"confirmed": "isolated"},
    "verify": {"restored": "verified"},
}

# which status of the outage each state lies in (domain.md 5.1)
STATUS_OF = {
    "new": "new", "reported": "suspected", "predicted": "suspected", "confirmed": "active", "isolated": "active",
    "partially_restored": "partially_restored", "restored": "restored", "verified": "restored", "closed": "closed",
    "dismissed": "cancelled", "merged": "cancelled",
}  # fmt: skip


@pytest.mark.parametrize("state", NEW_STATES)
@pytest.mark.parametrize("action", [*ALLOWED, "schedule", "reschedule", "extend", "nonsense"])
def test_every_cell_of_the_fault(action: str, state: str) -> None:
    target = ALLOWED.get(action, {}).get(state)
    if target is not None:
        assert lifecycle.state_after(action=action, state=state) == target
        return
    with pytest.raises(envelope.IllegalTransition):
        lifecycle.state_after(action=action, state=state)


@pytest.mark.parametrize(("action", "cells"), ALLOWED.items())
def test_a_fault_stays_inside_its_outages_envelope(action: str, cells: dict[str, str]) -> None:
    for state, target in cells.items():
        if action in ("predict", "isolate", "verify"):
            assert STATUS_OF[state] == STATUS_OF[target]
            continue
        rule = envelope.TRANSITIONS[action]
        assert STATUS_OF[state] in rule.sources
        assert STATUS_OF[target] == (rule.target or STATUS_OF[state])


def test_the_tables_name_the_states_of_the_models() -> None:
    assert set(lifecycle.STATES) == set(FaultState.values)
    assert set(lifecycle.CREW_STATES) == set(CrewState.values) == set(lifecycle.CREW_SOURCES)
    assert set(CAUSE_CLASS_OF) == set(CauseCode.values)


CREW_ALLOWED = {
    ("awaiting", "assigned"), ("assigned", "en_route"), ("assigned", "arrived"), ("en_route", "arrived"),
    ("arrived", "working"), ("arrived", "field_complete"), ("working", "field_complete"),
    ("assigned", "awaiting"), ("en_route", "awaiting"), ("arrived", "awaiting"), ("working", "awaiting"),
    ("awaiting", "released"), ("assigned", "released"), ("en_route", "released"), ("arrived", "released"),
    ("working", "released"), ("field_complete", "released"),
}  # fmt: skip


@pytest.mark.parametrize("current", lifecycle.CREW_STATES)
@pytest.mark.parametrize("target", lifecycle.CREW_STATES)
def test_every_cell_of_a_crew(current: str, target: str) -> None:
    if (current, target) in CREW_ALLOWED:
        lifecycle.crew_step(current=current, target=target, reason="because")
        assert target in lifecycle.crew_states_from(current)
        return
    with pytest.raises(lifecycle.IllegalCrewState):
        lifecycle.crew_step(current=current, target=target, reason="because")
    assert target not in lifecycle.crew_states_from(current)


def test_a_crew_is_taken_off_with_a_reason() -> None:
    with pytest.raises(lifecycle.ReasonMissing):
        lifecycle.crew_step(current="working", target="awaiting", reason=" ")
