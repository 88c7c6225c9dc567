"""The life of a batch and of an order as tables: action -> allowed sources, target. Pure data, no models.

``domain.md`` 5.5 with its order of steps: somebody approves who is cut and when, the letter names that window, the
last warning follows, and only then a command (ADR 0025).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from outages.lifecycle import IllegalTransition


@dataclass(frozen=True)
class Step:
    """One row of a table; an empty target leaves the state as it is."""

    sources: frozenset[str]
    target: str


def _row(sources: Collection[str], target: str) -> Step:
    return Step(frozenset(sources), target)


SAME: Final = ""

# --- batches ------------------------------------------------------------------------------------------

DRAFT: Final = "draft"
SUBMITTED: Final = "submitted"
RETURNED: Final = "returned"
BATCH_APPROVED: Final = "approved"
RUNNING: Final = "running"
STOPPED: Final = "stopped"
DONE: Final = "done"
UNDONE: Final = "undone"

BATCH_STATES: Final = (DRAFT, SUBMITTED, RETURNED, BATCH_APPROVED, RUNNING, STOPPED, DONE, UNDONE)
BATCH_EDITABLE: Final = (DRAFT, RETURNED)
BATCH_OVER: Final = (DONE, UNDONE)

BATCH_STEPS: Final[Mapping[str, Step]] = {
    "submit": _row(BATCH_EDITABLE, SUBMITTED),
    "withdraw": _row([SUBMITTED], DRAFT),
    "return": _row([SUBMITTED], RETURNED),
    "approve": _row([SUBMITTED], BATCH_APPROVED),
    "run": _row([BATCH_APPROVED], RUNNING),
    "stop": _row([BATCH_APPROVED, RUNNING], STOPPED),
    "resume": _row([STOPPED], RUNNING),
    "finish": _row([BATCH_APPROVED, RUNNING, STOPPED], DONE),
    "undo": _row([DRAFT, SUBMITTED, RETURNED, BATCH_APPROVED, RUNNING, STOPPED], UNDONE),
}

# --- orders -------------------------------------------------------------------------------------------

ELIGIBLE: Final = "eligible"
APPROVED: Final = "approved"
NOTICED: Final = "noticed"
WARNED: Final = "warned"
COMMANDED: Final = "commanded"
DISCONNECTED: Final = "disconnected"
PAID: Final = "paid"
RECONNECT_COMMANDED: Final = "reconnect_commanded"
RECONNECT_FAILED: Final = "reconnect_failed"
RECONNECTED: Final = "reconnected"
HELD: Final = "held"
FAILED: Final = "failed"
CANCELLED: Final = "cancelled"

ORDER_STATES: Final = (
    ELIGIBLE, APPROVED, NOTICED, WARNED, COMMANDED, DISCONNECTED, PAID, RECONNECT_COMMANDED, RECONNECT_FAILED,
    RECONNECTED, HELD, FAILED, CANCELLED,
)  # fmt: skip
# nothing has been switched, and nothing is on its way to the meter
BEFORE_COMMAND: Final = (ELIGIBLE, APPROVED, NOTICED, WARNED, HELD)
# the supply is off, as far as anybody knows
OFF: Final = (DISCONNECTED, PAID, RECONNECT_COMMANDED, RECONNECT_FAILED)
# somebody waits for power: the deadline clock runs
TO_RECONNECT: Final = (PAID, RECONNECT_COMMANDED, RECONNECT_FAILED)
ENDED: Final = (RECONNECTED, CANCELLED)

ORDER_STEPS: Final[Mapping[str, Step]] = {
    "approve": _row([ELIGIBLE], APPROVED),
    "notice": _row([APPROVED], NOTICED),
    "warn": _row([NOTICED], WARNED),
    "command": _row([WARNED], COMMANDED),
    "confirm_off": _row([COMMANDED, FAILED], DISCONNECTED),
    "fail": _row([COMMANDED], FAILED),
    "send_out": _row([FAILED], COMMANDED),  # a person goes there
    # the batch went back to its author: what was held or approved is proposed again
    "reopen": _row([APPROVED, HELD], ELIGIBLE),
    "hold": _row([ELIGIBLE, APPROVED, NOTICED, WARNED], HELD),
    "cancel": _row([*BEFORE_COMMAND, FAILED], CANCELLED),
    # the command was withdrawn before it left, or the meter says that it never went off
    "stay_on": _row([COMMANDED, FAILED], CANCELLED),
    "pay": _row([DISCONNECTED], PAID),
    "reconnect": _row([PAID, RECONNECT_FAILED], RECONNECT_COMMANDED),
    "reconnect_fail": _row([RECONNECT_COMMANDED], RECONNECT_FAILED),
    "confirm_on": _row([PAID, RECONNECT_COMMANDED, RECONNECT_FAILED, DISCONNECTED], RECONNECTED),
    # a late answer: it is off although this order had ended
    "found_off": _row([CANCELLED, RECONNECTED], DISCONNECTED),
}


def batch_after(*, action: str, state: str) -> str:
    """The batch's state once ``action`` has happened. Raises ``IllegalTransition``."""
    return _after(BATCH_STEPS, action, state)


def order_after(*, action: str, state: str, state_before_hold: str = "") -> str:
    """The order's state once ``action`` has happened; "release" leads back to where it was held.

    Raises ``IllegalTransition``.
    """
    if action == "release":
        if state != HELD or not state_before_hold:
            raise IllegalTransition(action=action, current=state)
        return state_before_hold
    return _after(ORDER_STEPS, action, state)


def sources_of(action: str) -> list[str]:
    """From where an order may take this step; for set-based updates."""
    return [HELD] if action == "release" else sorted(ORDER_STEPS[action].sources)


def _after(table: Mapping[str, Step], action: str, state: str) -> str:
    step = table.get(action)
    if step is None or state not in step.sources:
        raise IllegalTransition(action=action, current=state)
    return step.target or state
