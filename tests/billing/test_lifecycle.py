"""The two tables of cut-offs, cell by cell."""

from __future__ import annotations

import pytest

from billing_cutoffs import lifecycle
from billing_cutoffs.models import BatchState, OrderState
from outages.lifecycle import IllegalTransition

ORDERS = {
    # action: {from: to}
    "approve": {"eligible": "approved"},
    "notice": {"approved": "noticed"},
    "warn": {"noticed": "warned"},
    "command": {"warned": "commanded"},
    "confirm_off": {"commanded": "disconnected", "failed": "disconnected"},
    "fail": {"commanded": "failed"},
    "send_out": {"failed": "commanded"},
    "reopen": {"approved": "eligible", "held": "eligible"},
    "hold": {"eligible": "held", "approved": "held", "noticed": "held", "warned": "held"},
    "cancel": dict.fromkeys(["eligible", "approved", "noticed", "warned", "held", "failed"], "cancelled"),
    "stay_on": {"commanded": "cancelled", "failed": "cancelled"},
    "pay": {"disconnected": "paid"},
    "reconnect": {"paid": "reconnect_commanded", "reconnect_failed": "reconnect_commanded"},
    "reconnect_fail": {"reconnect_commanded": "reconnect_failed"},
    "confirm_on": dict.fromkeys(["paid", "reconnect_commanded", "reconnect_failed", "disconnected"], "reconnected"),
    "found_off": {"cancelled": "disconnected", "reconnected": "disconnected"},
}
BATCHES = {
    "submit": {"draft": "submitted", "returned": "submitted"},
    "withdraw": {"submitted": "draft"},
    "return": {"submitted": "returned"},
    "approve": {"submitted": "approved"},
    "run": {"approved": "running"},
    "stop": {"approved": "stopped", "running": "stopped"},
    "resume": {"stopped": "running"},
    "finish": {"approved": "done", "running": "done", "stopped": "done"},
    "undo": dict.fromkeys(["draft", "submitted", "returned", "approved", "running", "stopped"], "undone"),
}


@pytest.mark.parametrize("action", lifecycle.ORDER_STEPS)
@pytest.mark.parametrize("state", lifecycle.ORDER_STATES)
def test_an_order_takes_exactly_the_steps_of_its_table(action: str, state: str) -> None:
    expected = ORDERS[action].get(state)
    if expected is None:
        with pytest.raises(IllegalTransition):
            lifecycle.order_after(action=action, state=state)
    else:
        assert lifecycle.order_after(action=action, state=state) == expected


@pytest.mark.parametrize("action", lifecycle.BATCH_STEPS)
@pytest.mark.parametrize("state", lifecycle.BATCH_STATES)
def test_a_batch_takes_exactly_the_steps_of_its_table(action: str, state: str) -> None:
    expected = BATCHES[action].get(state)
    if expected is None:
        with pytest.raises(IllegalTransition):
            lifecycle.batch_after(action=action, state=state)
    else:
        assert lifecycle.batch_after(action=action, state=state) == expected


@pytest.mark.parametrize("state", lifecycle.ORDER_STATES)
def test_a_release_leads_back_to_where_it_was_held(state: str) -> None:
    if state == "held":
        assert lifecycle.order_after(action="release", state=state, state_before_hold="noticed") == "noticed"
    else:
        with pytest.raises(IllegalTransition):
            lifecycle.order_after(action="release", state=state, state_before_hold="noticed")


def test_no_table_forgets_an_action_or_a_state() -> None:
    assert set(ORDERS) == set(lifecycle.ORDER_STEPS)
    assert set(BATCHES) == set(lifecycle.BATCH_STEPS)
    assert set(lifecycle.ORDER_STATES) == set(OrderState.values)
    assert set(lifecycle.BATCH_STATES) == set(BatchState.values)


def test_nothing_is_switched_off_without_the_steps_before_it() -> None:
    """Backwards from "commanded" there is one way only: warned, noticed, approved, eligible."""
    sources = {row.target: row.sources for name, row in lifecycle.ORDER_STEPS.items() if name in ORDERS}
    assert sources["warned"] == {"noticed"}
    assert sources["noticed"] == {"approved"}
    assert lifecycle.ORDER_STEPS["command"].sources == {"warned"}
