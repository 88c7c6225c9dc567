"""Who may see what was said to whom, and stop it; and what an outage wants said. Asked here and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accounts.policies import actor_may
from outages import kinds
from standards.errors import Forbidden

if TYPE_CHECKING:
    from accounts.actor import Actor
    from grid.models import Branch
    from outages.models import Outage


def may_read_deliveries(*, actor: Actor, branch: Branch) -> bool:
    return actor_may(actor, "delivery.read", branch.pos)


def require_read_deliveries(*, actor: Actor, branch: Branch) -> None:
    """Raises ``Forbidden``."""
    if not may_read_deliveries(actor=actor, branch=branch):
        raise Forbidden()


def require_pause(*, actor: Actor, branch: Branch) -> None:
    """Raises ``Forbidden``."""
    if not actor_may(actor, "notice.pause", branch.pos):
        raise Forbidden()


def is_wanted(*, outage: Outage, message: str) -> bool:
    """Does this outage want customers to be told of ``message``? Announced, moved and cancelled always are."""
    wanted = kinds.handler_for(outage.kind).tells(outage)
    return wanted is None or message in wanted
