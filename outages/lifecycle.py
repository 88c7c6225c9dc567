"""The life of an outage as one table: action -> allowed sources, target, required facts. Pure data, no models.

Every kind lives inside this envelope (``domain.md`` 5.1); a kind may refuse more, never allow more.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from django.utils.translation import gettext_lazy as _

from standards.errors import DomainError

SUSPECTED: Final = "suspected"
SCHEDULED: Final = "scheduled"
ACTIVE: Final = "active"
PARTIALLY_RESTORED: Final = "partially_restored"
RESTORED: Final = "restored"
CLOSED: Final = "closed"
CANCELLED: Final = "cancelled"

STATUSES: Final = (SUSPECTED, SCHEDULED, ACTIVE, PARTIALLY_RESTORED, RESTORED, CLOSED, CANCELLED)
NEW: Final = "new"  # before the record exists

SAME: Final = ""  # the action leaves the status as it is


@dataclass(frozen=True)
class Transition:
    """One row of the table. ``requires`` names facts that must be given and not empty."""

    sources: frozenset[str]
    target: str
    requires: frozenset[str] = field(default_factory=frozenset)
    is_public: bool = True


def _row(sources: Collection[str], target: str, *requires: str, is_public: bool = True) -> Transition:
    return Transition(frozenset(sources), target, frozenset(requires), is_public)


_OPEN = (SUSPECTED, SCHEDULED, ACTIVE, PARTIALLY_RESTORED)
_OFF = (ACTIVE, PARTIALLY_RESTORED)

TRANSITIONS: Final[Mapping[str, Transition]] = {
    "suspect": _row([NEW], SUSPECTED),
    "schedule": _row([NEW], SCHEDULED, "planned_start", "planned_end"),
    "reschedule": _row([SCHEDULED], SAME, "planned_start", "planned_end", "reason"),
    "notify": _row([SCHEDULED], SAME, is_public=False),
    "start": _row([NEW, SUSPECTED, SCHEDULED], ACTIVE, "started_at"),
    "extend": _row(_OFF, SAME, "planned_end", "reason"),
    "set_etr": _row([SUSPECTED, *_OFF], SAME, "etr_source"),
    "change_extent": _row([SUSPECTED, SCHEDULED, *_OFF], SAME, is_public=False),
    "restore_part": _row(_OFF, PARTIALLY_RESTORED, "at"),
    "restore": _row(_OFF, RESTORED, "restored_at"),
    "reopen": _row([RESTORED], ACTIVE, "reason"),
    "close": _row([RESTORED], CLOSED, "cause_class", is_public=False),
    "cancel": _row([SUSPECTED, SCHEDULED], CANCELLED, "reason"),
    "void": _row([*_OPEN, RESTORED], CANCELLED, "reason", is_public=False),
    "merge": _row([SUSPECTED, *_OFF], CANCELLED, "survivor", is_public=False),
}


class IllegalTransition(DomainError):
    """The action is not possible in the outage's present status."""

    code = "illegal_transition"
    status = 409
    message = _("“%(action)s” is not possible while the outage is %(current)s.")


class MissingFact(DomainError):
    code = "missing_fact"
    message = _("“%(action)s” needs: %(missing)s.")


def rule_for(*, action: str, status: str, facts: Mapping[str, object]) -> Transition:
    """The row for ``action`` from ``status``.

    Raises ``IllegalTransition`` for a cell that the table does not allow, ``MissingFact`` when a required
    fact is absent.
    """
    rule = TRANSITIONS.get(action)
    if rule is None or status not in rule.sources:
        raise IllegalTransition(action=action, current=status)
    missing = sorted(name for name in rule.requires if facts.get(name) in (None, ""))
    if missing:
        raise MissingFact(field=missing[0], action=action, missing=", ".join(missing))
    return rule


def actions_from(status: str) -> list[str]:
    """What can be done next, in the table's order."""
    return [action for action, rule in TRANSITIONS.items() if status in rule.sources]
