"""Who may do what with debts and cut-offs. Services ask to decide, pages to show the button."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from django.utils.translation import gettext_lazy as _

from accounts.policies import actor_may, intervals_of
from standards.errors import DomainError, Forbidden

if TYPE_CHECKING:
    from accounts.actor import Actor
    from billing_cutoffs.models import CutoffBatch
    from grid.models import Branch

# any one of the capabilities is enough
CAPABILITIES: Final[Mapping[str, tuple[str, ...]]] = {
    "read_arrears": ("arrears.read",),
    "read_orders": ("cutoff.read",),
    "feed_arrears": ("arrears.write", "cutoff.propose"),
    "feed_payments": ("payment.write", "cutoff.propose"),
    "configure": ("cutoff.approve",),  # grades and their paths
    "propose": ("cutoff.propose", "cutoff.draft"),
    "submit": ("cutoff.propose",),
    "approve": ("cutoff.approve",),
    "return": ("cutoff.approve",),
    "stop": ("cutoff.propose", "cutoff.approve"),
    "resume": ("cutoff.approve",),
    "undo": ("cutoff.propose", "cutoff.approve"),
    "serve": ("cutoff.propose",),  # a notice handed over
    "confirm": ("cutoff.propose",),  # on site: off, on
    "reconnect": ("cutoff.propose", "cutoff.approve"),
    # what the customer says during a call counts as well
    "say_safe": ("cutoff.propose", "cutoff.approve", "arrears.read_call"),
    "set_hold": ("protection.set",),
    "release_hold": ("protection.release",),
}


class OwnBatch(DomainError):
    """Two people decide, never one."""

    code = "own_batch"
    status = 403
    message = _("Nobody approves their own batch: somebody else must do this.")


class WrongLevel(DomainError):
    """Important customers are the company's decision."""

    code = "company_level"
    status = 403
    message = _("This batch is approved for the whole company, not in one branch.")


def may(*, actor: Actor, action: str, branch: Branch) -> bool:
    """May this actor do that with the debts and cut-offs of the branch?"""
    return any(actor_may(actor, capability, branch.pos) for capability in CAPABILITIES[action])


def may_somewhere(*, actor: Actor, action: str) -> bool:
    """In any branch at all; for menus."""
    return any(actor_may(actor, capability) for capability in CAPABILITIES[action])


def sql_condition(*, actor: Actor, action: str, pos: str) -> tuple[str, dict[str, Any]]:
    """The same question in plain SQL: a condition on the column ``pos`` of a branch, and its parameters."""
    everywhere: list[tuple[int, int]] = []
    for capability in CAPABILITIES[action]:
        intervals = intervals_of(actor, capability)
        if intervals is None:
            return "TRUE", {}
        everywhere += intervals
    condition = (
        f"EXISTS (SELECT FROM unnest(%(firsts)s::bigint[], %(lasts)s::bigint[]) s(a, z) WHERE {pos} BETWEEN a AND z)"
    )
    return condition, {"firsts": [first for first, _last in everywhere], "lasts": [last for _first, last in everywhere]}


def require(*, actor: Actor, action: str, branch: Branch) -> None:
    """Raises ``Forbidden``."""
    if not may(actor=actor, action=action, branch=branch):
        raise Forbidden()


def is_own_batch(*, actor: Actor, batch: CutoffBatch) -> bool:
    """Has the actor already had a hand in this batch, so that the decision is another person's?"""
    hands = (batch.author_id, batch.submitted_by_id, batch.approved_by_id)
    return actor.user_id is not None and actor.user_id in hands


def may_approve_level(*, actor: Actor, batch: CutoffBatch, company: Branch) -> bool:
    """A batch of company level is approved by somebody who approves for ``company``, the topmost branch."""
    return batch.level != "company" or actor_may(actor, "cutoff.approve", company.pos)
