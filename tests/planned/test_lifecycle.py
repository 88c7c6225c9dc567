"""Every cell of the three tables: what a plan, a work and a window may do next, and what they may not."""

from __future__ import annotations

from itertools import product

import pytest

from outages.lifecycle import IllegalTransition
from outages.planned import lifecycle
from outages.planned.models import PeriodState, WindowState, WorkState

PERIOD = {
    ("open", "submit"): "submitted",
    ("returned", "submit"): "submitted",
    ("submitted", "withdraw"): "open",
    ("submitted", "endorse"): "endorsed",
    ("submitted", "return"): "returned",
    ("endorsed", "return"): "returned",
    ("endorsed", "approve"): "approved",
    ("approved", "publish"): "published",
    ("published", "close"): "closed",
}
WORK = {
    ("draft", "submit"): "submitted",
    ("returned", "submit"): "submitted",
    ("submitted", "withdraw"): "draft",
    ("submitted", "return"): "returned",
    ("checked", "return"): "returned",
    ("submitted", "check"): "checked",
    ("checked", "approve"): "approved",
    ("approved", "publish"): "published",
    **{(state, "join"): "joined" for state in ("draft", "submitted", "returned", "checked")},
    **{
        (state, "cancel"): "cancelled"
        for state in ("draft", "submitted", "returned", "checked", "approved", "published", "notified")
    },
}
WINDOW = {
    ("planned", "schedule"): "published",
    **{
        (state, action): target
        for state in ("published", "notified")
        for action, target in (
            ("notify", "notified"),
            ("reschedule", "published"),
            ("start", "in_progress"),
            ("cancel", "cancelled"),
            ("void", "cancelled"),
        )
    },
    **{
        (state, action): target or state
        for state in ("in_progress", "partially_restored")
        for action, target in (
            ("extend", ""),
            ("set_etr", ""),
            ("change_extent", ""),
            ("restore_part", "partially_restored"),
            ("restore", "restored"),
            ("void", "cancelled"),
        )
    },
    ("restored", "reopen"): "in_progress",
    ("restored", "close"): "closed",
    ("restored", "void"): "cancelled",
}


@pytest.mark.parametrize(("state", "action"), [*product(lifecycle.PERIOD_STATES, lifecycle.PERIOD_STEPS)])
def test_a_plan(state: str, action: str) -> None:
    if (state, action) in PERIOD:
        assert lifecycle.period_after(action=action, state=state) == PERIOD[state, action]
    else:
        with pytest.raises(IllegalTransition):
            lifecycle.period_after(action=action, state=state)


@pytest.mark.parametrize(("state", "action"), [*product(lifecycle.WORK_STATES, lifecycle.WORK_STEPS)])
def test_a_work(state: str, action: str) -> None:
    if (state, action) in WORK:
        assert lifecycle.work_after(action=action, state=state) == WORK[state, action]
    else:
        with pytest.raises(IllegalTransition):
            lifecycle.work_after(action=action, state=state)


@pytest.mark.parametrize(("state", "action"), [*product(lifecycle.WINDOW_STATES, lifecycle.WINDOW_STEPS)])
def test_a_window(state: str, action: str) -> None:
    if (state, action) in WINDOW:
        assert lifecycle.window_after(action=action, state=state) == WINDOW[state, action]
    else:
        with pytest.raises(IllegalTransition):
            lifecycle.window_after(action=action, state=state)


def test_the_tables_speak_of_the_models_states() -> None:
    assert set(lifecycle.PERIOD_STATES) == set(PeriodState.values)
    assert set(lifecycle.WORK_STATES) == set(WorkState.values)
    assert set(lifecycle.WINDOW_STATES) == set(WindowState.values)


@pytest.mark.parametrize(
    ("windows", "work"),
    [
        (["published"], "published"),
        (["notified", "published"], "published"),
        (["restored", "notified"], "notified"),
        (["restored", "in_progress"], "in_progress"),
        (["partially_restored", "in_progress"], "partially_restored"),
        (["restored", "closed"], "restored"),
        (["closed", "cancelled"], "closed"),
        (["cancelled", "cancelled"], "cancelled"),
    ],
)
def test_a_published_work_follows_its_windows(windows: list[str], work: str) -> None:
    assert lifecycle.work_state_of(windows) == work


# by where the plan stands: what a part of a joint work is after the split that it was before the joining
SPLIT: dict[str, dict[str, str | None]] = {
    "open": {"draft": "draft", "returned": "returned", "submitted": "draft", "checked": "draft"},
    "returned": {"draft": "draft", "returned": "returned", "submitted": "draft", "checked": "draft"},
    "submitted": {"draft": None, "returned": None, "submitted": "submitted", "checked": "submitted"},
    "endorsed": {"draft": None, "returned": None, "submitted": None, "checked": "checked"},
}


@pytest.mark.parametrize("period", lifecycle.PERIOD_STATES)
@pytest.mark.parametrize("before", ["draft", "returned", "submitted", "checked"])
def test_a_part_of_a_joint_work_goes_back_to_its_plan_or_stands_alone(period: str, before: str) -> None:
    after = lifecycle.state_after_split(before=before, period_state=period)

    assert after == SPLIT.get(period, {}).get(before)


@pytest.mark.parametrize("state", lifecycle.WORK_STATES)
def test_what_is_handed_in_is_joined_by_those_who_decide(state: str) -> None:
    assert lifecycle.join_action(state) == ("join_handed_in" if state in ("submitted", "checked") else "join")
