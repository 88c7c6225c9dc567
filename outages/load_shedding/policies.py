"""Who may do what with shedding plans and events. Services ask to decide, pages to show the button."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext_lazy as _

from accounts.policies import actor_may
from standards.errors import DomainError, Forbidden

if TYPE_CHECKING:
    from accounts.actor import Actor
    from grid.models import Branch
    from outages.load_shedding.models import SheddingEvent, SheddingPlan

CAPABILITIES: Final[Mapping[str, tuple[str, ...]]] = {
    "edit_plan": ("shedding.write",),
    "approve_plan": ("shedding.approve",),
    "read_agreements": ("shedding.write", "shedding.approve"),
    "publish": ("shedding.write", "shedding.approve"),  # stages of the schedule, as they are announced
    "alert": ("shedding.write",),
    "order": ("shedding.write",),
    "propose": ("shedding.write",),
    "confirm": ("shedding.approve",),
    "undo": ("shedding.write", "shedding.approve"),
    "change": ("shedding.write", "shedding.approve"),
    "switch": ("shedding.write",),  # off, on, skipped, stuck
    "reconcile": ("shedding.write", "shedding.approve"),
}


class OwnDecision(DomainError):
    """Two people decide, never one."""

    code = "own_decision"
    status = 403
    message = _("Nobody decides about their own proposal: somebody else must do this.")


def may(*, actor: Actor, action: str, branch: Branch) -> bool:
    """May this actor do that with the shedding of the branch?"""
    return any(actor_may(actor, capability, branch.pos) for capability in CAPABILITIES[action])


def may_somewhere(*, actor: Actor, action: str) -> bool:
    """In any branch at all; for menus."""
    return any(actor_may(actor, capability) for capability in CAPABILITIES[action])


def require(*, actor: Actor, action: str, branch: Branch) -> None:
    """Raises ``Forbidden``."""
    if not may(actor=actor, action=action, branch=branch):
        raise Forbidden()


def is_own(*, actor: Actor, thing: SheddingEvent | SheddingPlan) -> bool:
    """Did the actor propose this, so that the decision is another person's?"""
    return actor.user_id is not None and actor.user_id == thing.author_id
