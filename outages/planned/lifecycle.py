"""The life of a plan, of a work and of its windows as tables (``domain.md`` 5.2). Pure data, no models.

A plan is decided as a whole; a work is decided with its plan, or alone when it stands outside one. From publication
on each window has an outage and follows what is done with it, and the work follows its windows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from outages.lifecycle import IllegalTransition

# --- plans ------------------------------------------------------------------------------------------

OPEN: Final = "open"
SUBMITTED: Final = "submitted"
ENDORSED: Final = "endorsed"
RETURNED: Final = "returned"
APPROVED: Final = "approved"
PUBLISHED: Final = "published"
CLOSED: Final = "closed"

PERIOD_STATES: Final = (OPEN, SUBMITTED, ENDORSED, RETURNED, APPROVED, PUBLISHED, CLOSED)
WITH_THE_BRANCH: Final = (OPEN, RETURNED)  # not with those who decide


@dataclass(frozen=True)
class Step:
    """One row of a table: from which states an action leads where."""

    sources: frozenset[str]
    target: str


def _row(sources: Collection[str], target: str) -> Step:
    return Step(frozenset(sources), target)


PERIOD_STEPS: Final[Mapping[str, Step]] = {
    "submit": _row(WITH_THE_BRANCH, SUBMITTED),
    "withdraw": _row([SUBMITTED], OPEN),
    "endorse": _row([SUBMITTED], ENDORSED),
    "return": _row([SUBMITTED, ENDORSED], RETURNED),
    "approve": _row([ENDORSED], APPROVED),
    "publish": _row([APPROVED], PUBLISHED),
    "close": _row([PUBLISHED], CLOSED),
}

# --- works ------------------------------------------------------------------------------------------

DRAFT: Final = "draft"
CHECKED: Final = "checked"
JOINED: Final = "joined"
NOTIFIED: Final = "notified"
IN_PROGRESS: Final = "in_progress"
PARTIALLY_RESTORED: Final = "partially_restored"
RESTORED: Final = "restored"
CANCELLED: Final = "cancelled"

WORK_STATES: Final = (
    DRAFT, SUBMITTED, RETURNED, CHECKED, APPROVED, JOINED, PUBLISHED, NOTIFIED, IN_PROGRESS, PARTIALLY_RESTORED,
    RESTORED, CLOSED, CANCELLED,
)  # fmt: skip
EDITABLE: Final = (DRAFT, RETURNED)
UNDECIDED: Final = (DRAFT, SUBMITTED, RETURNED, CHECKED, APPROVED)  # no outage yet
UNDER_WAY: Final = (IN_PROGRESS, PARTIALLY_RESTORED)
GONE: Final = (CANCELLED, JOINED)  # no part any more of what its plan will do
# counts against others in every check: what was handed in, and has not ended
STANDING: Final = (SUBMITTED, CHECKED, APPROVED, PUBLISHED, NOTIFIED, IN_PROGRESS, PARTIALLY_RESTORED)

WORK_STEPS: Final[Mapping[str, Step]] = {
    "submit": _row(EDITABLE, SUBMITTED),
    "withdraw": _row([SUBMITTED], DRAFT),
    "return": _row([SUBMITTED, CHECKED], RETURNED),
    "check": _row([SUBMITTED], CHECKED),
    "approve": _row([CHECKED], APPROVED),
    "publish": _row([APPROVED], PUBLISHED),
    "join": _row([DRAFT, SUBMITTED, RETURNED, CHECKED], JOINED),
    "cancel": _row([DRAFT, SUBMITTED, RETURNED, CHECKED, APPROVED, PUBLISHED, NOTIFIED], CANCELLED),
}

# --- joint works --------------------------------------------------------------------------------------

# where a joint work stands, by where its plan stands
JOINT_STATES: Final[Mapping[str, str]] = {OPEN: DRAFT, RETURNED: DRAFT, SUBMITTED: SUBMITTED, ENDORSED: CHECKED}
_GATES_PASSED: Final[Mapping[str, int]] = {DRAFT: 0, RETURNED: 0, SUBMITTED: 1, CHECKED: 2}


def joinable_in(period_state: str) -> tuple[str, ...]:
    """The states of works that can become one outage in such a plan: none has passed fewer gates than the plan."""
    stage = JOINT_STATES.get(period_state)
    if stage is None:
        return ()
    return tuple(state for state, passed in _GATES_PASSED.items() if passed >= _GATES_PASSED[stage])


def join_action(state: str) -> str:
    """What ``policies`` are asked for before a work in this state is joined or split."""
    return "join_handed_in" if _GATES_PASSED.get(state) else "join"


def state_after_split(*, before: str, period_state: str) -> str | None:
    """What a part of a joint work is again in its plan; ``None`` where the plan has passed gates without it.

    It is what it was, unless the plan was returned meanwhile and lies open again.
    """
    stage = JOINT_STATES.get(period_state)
    if stage is None or _GATES_PASSED[stage] > _GATES_PASSED[before]:
        return None
    return before if _GATES_PASSED[stage] == _GATES_PASSED[before] else stage


# --- windows: by the names of the outage's actions ---------------------------------------------------

SAME: Final = ""
PLANNED: Final = "planned"
WINDOW_STATES: Final = (
    PLANNED, PUBLISHED, NOTIFIED, IN_PROGRESS, PARTIALLY_RESTORED, RESTORED, CLOSED, CANCELLED,
)  # fmt: skip
_AHEAD: Final = (PUBLISHED, NOTIFIED)
OVER: Final = (RESTORED, CLOSED, CANCELLED)  # takes nobody's time any more

WINDOW_STEPS: Final[Mapping[str, Step]] = {
    "schedule": _row([PLANNED], PUBLISHED),
    "notify": _row(_AHEAD, NOTIFIED),
    "reschedule": _row(_AHEAD, PUBLISHED),  # the notice clock starts again
    "start": _row(_AHEAD, IN_PROGRESS),
    "extend": _row(UNDER_WAY, SAME),
    "set_etr": _row(UNDER_WAY, SAME),
    "change_extent": _row(UNDER_WAY, SAME),
    "restore_part": _row(UNDER_WAY, PARTIALLY_RESTORED),
    "restore": _row(UNDER_WAY, RESTORED),
    "reopen": _row([RESTORED], IN_PROGRESS),
    "close": _row([RESTORED], CLOSED),
    "cancel": _row(_AHEAD, CANCELLED),
    "void": _row([*_AHEAD, *UNDER_WAY, RESTORED], CANCELLED),
}

# what a plan's window can be at all; anything else is a slip of the pen
MOST_WINDOWS: Final = 31  # of one work
LONGEST: Final = timedelta(days=31)
EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
FARTHEST: Final = timedelta(days=2 * 366)
YEARS: Final = range(2000, 2101)  # of a plan, a day of the work calendar, a page of either


def _after(table: Mapping[str, Step], action: str, state: str) -> str:
    step = table.get(action)
    if step is None or state not in step.sources:
        raise IllegalTransition(action=action, current=state)
    return step.target or state


def period_after(*, action: str, state: str) -> str:
    """The plan's state once ``action`` has happened. Raises ``IllegalTransition``."""
    return _after(PERIOD_STEPS, action, state)


def work_after(*, action: str, state: str) -> str:
    """The work's state once ``action`` has happened. Raises ``IllegalTransition``."""
    return _after(WORK_STEPS, action, state)


def window_after(*, action: str, state: str) -> str:
    """The window's state once its outage's ``action`` has happened. Raises ``IllegalTransition``."""
    return _after(WINDOW_STEPS, action, state)


def work_state_of(windows: Iterable[str]) -> str:
    """Where a published work stands: what is off now, else what is still ahead, else how it ended."""
    states = list(windows)
    for state in (PARTIALLY_RESTORED, IN_PROGRESS, PUBLISHED, NOTIFIED, RESTORED, CLOSED):
        if state in states:
            return state
    return CANCELLED
