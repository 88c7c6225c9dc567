"""Every cell of status x action: what the table allows, and that everything else is refused."""

from __future__ import annotations

import itertools

import pytest

from outages import lifecycle
from outages.lifecycle import NEW, STATUSES, TRANSITIONS, IllegalTransition, MissingFact, rule_for
from outages.models import OutageStatus

# written out by hand from domain.md 5.1: (status, action) -> status afterwards
ALLOWED = {
    ("new", "suspect"): "suspected",
    ("new", "schedule"): "scheduled",
    ("new", "start"): "active",
    ("suspected", "start"): "active",
    ("suspected", "set_etr"): "suspected",
    ("suspected", "change_extent"): "suspected",
    ("suspected", "cancel"): "cancelled",
    ("suspected", "void"): "cancelled",
    ("suspected", "merge"): "cancelled",
    ("scheduled", "reschedule"): "scheduled",
    ("scheduled", "notify"): "scheduled",
    ("scheduled", "start"): "active",
    ("scheduled", "change_extent"): "scheduled",
    ("scheduled", "cancel"): "cancelled",
    ("scheduled", "void"): "cancelled",
    ("active", "extend"): "active",
    ("active", "set_etr"): "active",
    ("active", "change_extent"): "active",
    ("active", "restore_part"): "partially_restored",
    ("active", "restore"): "restored",
    ("active", "void"): "cancelled",
    ("active", "merge"): "cancelled",
    ("partially_restored", "extend"): "partially_restored",
    ("partially_restored", "set_etr"): "partially_restored",
    ("partially_restored", "change_extent"): "partially_restored",
    ("partially_restored", "restore_part"): "partially_restored",
    ("partially_restored", "restore"): "restored",
    ("partially_restored", "void"): "cancelled",
    ("partially_restored", "merge"): "cancelled",
    ("restored", "reopen"): "active",
    ("restored", "close"): "closed",
    ("restored", "void"): "cancelled",
}
EVERYTHING = dict.fromkeys({name for rule in TRANSITIONS.values() for name in rule.requires}, "given")
CELLS = list(itertools.product([NEW, *STATUSES], TRANSITIONS))


@pytest.mark.parametrize(("status", "action"), CELLS)
def test_every_cell_of_the_table(status: str, action: str) -> None:
    if (status, action) in ALLOWED:
        rule = rule_for(action=action, status=status, facts=EVERYTHING)
        assert (rule.target or status) == ALLOWED[status, action]
    else:
        with pytest.raises(IllegalTransition) as refused:
            rule_for(action=action, status=status, facts=EVERYTHING)
        assert (refused.value.code, refused.value.status) == ("illegal_transition", 409)


@pytest.mark.parametrize(
    ("action", "fact"), [(action, fact) for action, rule in TRANSITIONS.items() for fact in rule.requires]
)
@pytest.mark.parametrize("empty", [None, ""])
def test_every_required_fact_is_demanded(action: str, fact: str, empty: str | None) -> None:
    status = min(TRANSITIONS[action].sources)

    with pytest.raises(MissingFact) as refused:
        rule_for(action=action, status=status, facts={**EVERYTHING, fact: empty})

    assert fact in str(refused.value)


def test_the_pure_table_and_the_model_name_the_same_statuses() -> None:
    assert set(STATUSES) == set(OutageStatus.values)


def test_closed_and_cancelled_are_the_end() -> None:
    assert lifecycle.actions_from("closed") == []
    assert lifecycle.actions_from("cancelled") == []
