"""Who may do what to an outage. Pages, API, admin and services ask here and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from accounts.policies import actor_may
from standards.errors import Forbidden

if TYPE_CHECKING:
    from accounts.actor import Actor
    from grid.models import Branch
    from outages.models import Outage

# every other action of the life cycle needs "outage.write"
_CAPABILITY: Final = {"suspect": "report.create", "note": "outage.note", "reopen": "outage.reopen"}


def capability_for(action: str, *, is_closed: bool = False) -> str:
    if action == "void" and is_closed:
        return "outage.reopen"
    return _CAPABILITY.get(action, "outage.write")


def may(*, actor: Actor, action: str, outage: Outage) -> bool:
    return actor_may(actor, capability_for(action, is_closed=outage.status == "restored"), outage.branch.pos)


def require(*, actor: Actor, action: str, outage: Outage) -> None:
    """Raises ``Forbidden``."""
    if not may(actor=actor, action=action, outage=outage):
        raise Forbidden()


def require_open(*, actor: Actor, action: str, branch: Branch) -> None:
    """May ``actor`` open a record in ``branch``? Raises ``Forbidden``."""
    if not actor_may(actor, capability_for(action), branch.pos):
        raise Forbidden()
