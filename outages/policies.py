"""Who may do what to an outage. Pages, API, admin and services ask here and nowhere else."""

from __future__ import annotations

from collections.abc import Collection
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


def may(*, actor: Actor, action: str, outage: Outage, also: Collection[str] = ()) -> bool:
    """``also`` names capabilities that the outage's kind accepts as well (``KindHandler.also_by``)."""
    needed = (capability_for(action, is_closed=outage.status == "restored"), *also)
    return any(actor_may(actor, capability, outage.branch.pos) for capability in needed)


def require(*, actor: Actor, action: str, outage: Outage, also: Collection[str] = ()) -> None:
    """Raises ``Forbidden``."""
    if not may(actor=actor, action=action, outage=outage, also=also):
        raise Forbidden()


def require_open(*, actor: Actor, action: str, branch: Branch, also: Collection[str] = ()) -> None:
    """May ``actor`` open a record in ``branch``? Raises ``Forbidden``."""
    if not any(actor_may(actor, capability, branch.pos) for capability in (capability_for(action), *also)):
        raise Forbidden()
