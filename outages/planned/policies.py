"""Who may do what with plans and works. Services ask to decide, pages to show the button."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext_lazy as _

from accounts.policies import actor_may, intervals_of
from standards.errors import DomainError, Forbidden

if TYPE_CHECKING:
    from accounts.actor import Actor
    from grid.models import Branch
    from outages.planned.models import PlannedWork, PlanPeriod

# any one of the capabilities is enough
CAPABILITIES: Final[Mapping[str, tuple[str, ...]]] = {
    "edit": ("plan.submit",),
    "submit": ("plan.submit",),
    "withdraw": ("plan.submit",),
    "answer": ("plan.submit", "plan.endorse", "plan.approve"),
    "check": ("plan.endorse",),
    "endorse": ("plan.endorse",),
    "return": ("plan.endorse", "plan.approve"),
    "join": ("plan.submit", "plan.endorse", "plan.approve"),
    # what is handed in belongs to those who decide about it
    "join_handed_in": ("plan.endorse", "plan.approve"),
    "approve": ("plan.approve",),
    "publish": ("plan.approve",),
    "close": ("plan.submit", "plan.endorse", "plan.approve"),
    "cancel": ("plan.submit", "outage.write"),
    "run": ("plan.submit", "outage.write"),  # start, extend, move, restore what is published
    "calendar": ("plan.endorse", "plan.approve"),
}


class OwnWork(DomainError):
    """Two people decide, never one."""

    code = "own_work"
    status = 403
    message = _("Nobody decides about their own plan: somebody else must do this.")


def may(*, actor: Actor, action: str, branch: Branch) -> bool:
    """May this actor do that with the plans and works of the branch?"""
    return any(actor_may(actor, capability, branch.pos) for capability in CAPABILITIES[action])


def may_everywhere(*, actor: Actor, action: str) -> bool:
    """In every branch there is: what concerns all of them is not decided in one."""
    return any(intervals_of(actor, capability) is None for capability in CAPABILITIES[action])


def require(*, actor: Actor, action: str, branch: Branch) -> None:
    """Raises ``Forbidden``."""
    if not may(actor=actor, action=action, branch=branch):
        raise Forbidden()


def is_own_period(*, actor: Actor, period: PlanPeriod, action: str) -> bool:
    """Has the actor already had a hand in this plan, so that the decision is another person's?"""
    hands = [period.submitted_by_id]
    if action == "approve":
        hands.append(period.endorsed_by_id)
    return actor.user_id is not None and actor.user_id in hands


def is_own_work(*, actor: Actor, work: PlannedWork, action: str) -> bool:
    """The same for one work; a joint outage was written, and may have been checked, by the people of its works."""
    works = [work] if work.author_id is not None else [work, *work.children.all()]
    hands = [one.author_id for one in works]
    if action == "approve":
        hands += [one.checked_by_id for one in works]
    return actor.user_id is not None and actor.user_id in hands
