"""The life of a plan, an event and a slot as tables: action -> allowed sources, target. Pure data, no models.

``domain.md`` 5.3. An event's slots have a life of their own; once confirmed each is one ``Outage``.
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
NEW: Final = "new"

# --- events -------------------------------------------------------------------------------------------

ALERT: Final = "alert"
ORDERED: Final = "ordered"
PROPOSED: Final = "proposed"
CONFIRMED: Final = "confirmed"
SHEDDING: Final = "shedding"
RESTORING: Final = "restoring"
ENDED: Final = "ended"
RECONCILED: Final = "reconciled"
CANCELLED: Final = "cancelled"

EVENT_STATES: Final = (ALERT, ORDERED, PROPOSED, CONFIRMED, SHEDDING, RESTORING, ENDED, RECONCILED, CANCELLED)
UNDECIDED: Final = (ALERT, ORDERED, PROPOSED)
RUNNING: Final = (CONFIRMED, SHEDDING, RESTORING)
OVER: Final = (ENDED, RECONCILED, CANCELLED)

EVENT_STEPS: Final[Mapping[str, Step]] = {
    "alert": _row([NEW], ALERT),
    "order": _row([NEW, ALERT, ORDERED], ORDERED),
    "relieve": _row([*UNDECIDED, *RUNNING], SAME),  # a measure was asked for, or what it brought is known
    "propose": _row([ORDERED], PROPOSED),
    "withdraw": _row([PROPOSED], ORDERED),
    "return": _row([PROPOSED], ORDERED),
    "confirm": _row([PROPOSED], CONFIRMED),
    "undo": _row([CONFIRMED], PROPOSED),  # before anything was announced
    "announce": _row([CONFIRMED], SAME),  # its slots are outages from now on
    "begin": _row([CONFIRMED], SHEDDING),
    "ask_change": _row(RUNNING, SAME),  # more than was confirmed: another person decides
    "reject_change": _row(RUNNING, SAME),
    "change": _row(RUNNING, SAME),  # stage, end, a block in another's place
    "restore": _row([CONFIRMED, SHEDDING], RESTORING),
    "end": _row(RUNNING, ENDED),
    "reconcile": _row([ENDED], RECONCILED),
    "cancel": _row([ALERT, ORDERED, PROPOSED, CONFIRMED], CANCELLED),
}

# --- slots --------------------------------------------------------------------------------------------

PLANNED: Final = "planned"
OFF: Final = "off"
STUCK: Final = "stuck"
ON: Final = "on"
SKIPPED: Final = "skipped"
DROPPED: Final = "dropped"

SLOT_STATES: Final = (PLANNED, OFF, STUCK, ON, SKIPPED, DROPPED)
SLOT_OVER: Final = (ON, SKIPPED, DROPPED)

SLOT_STEPS: Final[Mapping[str, Step]] = {
    "off": _row([PLANNED], OFF),
    "on": _row([OFF, STUCK], ON),
    "skip": _row([PLANNED], SKIPPED),
    "stick": _row([OFF], STUCK),
    "move": _row([PLANNED, OFF], SAME),  # earlier or later, as the stage or the end changes
    "late": _row([PLANNED, OFF], SAME),  # it should be off, or on again, and nobody has said so
    "measure": _row([OFF, STUCK, ON], SAME),  # what it relieved is known better
    "drop": _row([PLANNED], DROPPED),
}


def event_after(*, action: str, state: str) -> str:
    """The event's state once ``action`` has happened. Raises ``IllegalTransition``."""
    return _after(EVENT_STEPS, action, state)


def slot_after(*, action: str, state: str) -> str:
    """The slot's state once ``action`` has happened. Raises ``IllegalTransition``."""
    return _after(SLOT_STEPS, action, state)


def _after(table: Mapping[str, Step], action: str, state: str) -> str:
    step = table.get(action)
    if step is None or state not in step.sources:
        raise IllegalTransition(action=action, current=state)
    return step.target or state
