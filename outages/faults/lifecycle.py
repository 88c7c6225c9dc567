"""The life of a fault and of a crew's assignment as tables (``domain.md`` 5.4). Pure data, no models.

A fault's state never moves by itself: it follows the action on its outage, and this table refuses what the
fault does not allow. ``predict``, ``isolate`` and ``verify`` are the fault's own and leave the outage's status.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from django.utils.translation import gettext_lazy as _

from outages.lifecycle import IllegalTransition
from standards.errors import DomainError

NEW: Final = "new"
REPORTED: Final = "reported"
PREDICTED: Final = "predicted"
CONFIRMED: Final = "confirmed"
ISOLATED: Final = "isolated"
PARTIALLY_RESTORED: Final = "partially_restored"
RESTORED: Final = "restored"
VERIFIED: Final = "verified"
CLOSED: Final = "closed"
DISMISSED: Final = "dismissed"
MERGED: Final = "merged"

STATES: Final = (
    REPORTED, PREDICTED, CONFIRMED, ISOLATED, PARTIALLY_RESTORED, RESTORED, VERIFIED, CLOSED, DISMISSED, MERGED,
)  # fmt: skip
SAME: Final = ""

_UNCONFIRMED = (REPORTED, PREDICTED)
_OFF = (CONFIRMED, ISOLATED, PARTIALLY_RESTORED)
_BACK = (RESTORED, VERIFIED)


@dataclass(frozen=True)
class Step:
    sources: frozenset[str]
    target: str


def _row(sources: Collection[str], target: str) -> Step:
    return Step(frozenset(sources), target)


# by the names of the outage's actions, then the fault's own
TRANSITIONS: Final[Mapping[str, Step]] = {
    "suspect": _row([NEW], REPORTED),
    "start": _row([NEW, *_UNCONFIRMED], CONFIRMED),
    "set_etr": _row([*_UNCONFIRMED, *_OFF], SAME),
    "change_extent": _row([*_UNCONFIRMED, *_OFF], SAME),
    "restore_part": _row(_OFF, PARTIALLY_RESTORED),
    "restore": _row(_OFF, RESTORED),
    "reopen": _row(_BACK, CONFIRMED),
    "close": _row(_BACK, CLOSED),
    "cancel": _row(_UNCONFIRMED, DISMISSED),
    "void": _row([*_UNCONFIRMED, *_OFF, *_BACK], DISMISSED),
    "merge": _row([*_UNCONFIRMED, *_OFF], MERGED),
    "predict": _row([REPORTED], PREDICTED),
    "isolate": _row([CONFIRMED], ISOLATED),
    "verify": _row([RESTORED], VERIFIED),
}


def state_after(*, action: str, state: str) -> str:
    """The fault's state once ``action`` has happened. Raises ``IllegalTransition``."""
    step = TRANSITIONS.get(action)
    if step is None or state not in step.sources:
        raise IllegalTransition(action=action, current=state)
    return step.target or state


# --- crews ------------------------------------------------------------------------------------------

AWAITING: Final = "awaiting"
ASSIGNED: Final = "assigned"
EN_ROUTE: Final = "en_route"
ARRIVED: Final = "arrived"
WORKING: Final = "working"
FIELD_COMPLETE: Final = "field_complete"
RELEASED: Final = "released"

CREW_STATES: Final = (AWAITING, ASSIGNED, EN_ROUTE, ARRIVED, WORKING, FIELD_COMPLETE, RELEASED)

# state -> the states it may be entered from; a crew in the field often skips a button
CREW_SOURCES: Final[Mapping[str, frozenset[str]]] = {
    AWAITING: frozenset({ASSIGNED, EN_ROUTE, ARRIVED, WORKING}),  # taken off, with a reason
    ASSIGNED: frozenset({AWAITING}),
    EN_ROUTE: frozenset({ASSIGNED}),
    ARRIVED: frozenset({ASSIGNED, EN_ROUTE}),
    WORKING: frozenset({ARRIVED}),
    FIELD_COMPLETE: frozenset({ARRIVED, WORKING}),
    RELEASED: frozenset({AWAITING, ASSIGNED, EN_ROUTE, ARRIVED, WORKING, FIELD_COMPLETE}),
}


class IllegalCrewState(DomainError):
    code = "illegal_crew_state"
    status = 409
    message = _("A crew that is “%(current)s” cannot become “%(target)s”.")


class ReasonMissing(DomainError):
    code = "missing_fact"
    message = _("Give the reason for taking the crew off.")


def crew_step(*, current: str, target: str, reason: str = "") -> None:
    """May an assignment go from ``current`` to ``target``? Raises ``IllegalCrewState`` or ``ReasonMissing``."""
    if current not in CREW_SOURCES.get(target, frozenset()):
        raise IllegalCrewState(current=current, target=target)
    if target == AWAITING and not reason.strip():
        raise ReasonMissing(field="reason")


def crew_states_from(current: str) -> list[str]:
    """What a crew can do next, in the table's order."""
    return [target for target, sources in CREW_SOURCES.items() if current in sources]
