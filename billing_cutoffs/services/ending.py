"""An order that ends without a cut: the same for the payer of this minute and for a batch taken back."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from accounts.actor import Actor
from billing_cutoffs.models import CutoffOrder
from billing_cutoffs.services import dunning, record
from billing_cutoffs.services.commands import commands_finish, commands_withdraw
from billing_cutoffs.services.orders import orders_step
from standards.doorbell import ring_on_commit

__all__ = ["commands_withdraw", "orders_end", "orders_stay_on"]

# so many records are brought after their orders at once; more are left to the sweep, and the statements stay few
AT_ONCE: Final = 20


def orders_end(*, order_ids: Collection[int], actor: Actor, reason: str, note: str = "") -> list[int]:
    """These orders end without a cut: commands that have not left are withdrawn, letters are void.

    Inside the caller's transaction. ``reason`` is a short code ("paid", "undone", "window_missed") that stands with
    the order, ``note`` what a person said. Orders whose command has left do not end here. Returns the keys of those
    that did.
    """
    return _end("cancel", order_ids, actor, reason, note)


def orders_stay_on(*, order_ids: Collection[int], actor: Actor, reason: str, note: str = "") -> list[int]:
    """Commanded, but it never went off: the command did not leave, or whoever was there says so."""
    return _end("stay_on", order_ids, actor, reason, note)


def _end(action: str, order_ids: Collection[int], actor: Actor, reason: str, note: str) -> list[int]:
    ended = orders_step(order_ids=order_ids, action=action, actor=actor, note=note or reason, state_reason=reason)
    if not ended:
        return []
    commands_finish(order_ids=ended, answer=reason)
    dunning.notices_void(order_ids=ended)
    if len(ended) > AT_ONCE:
        ring_on_commit("billing_cutoffs.tasks.records_follow")
        return ended
    for order in CutoffOrder.objects.select_related("outage").filter(pk__in=ended).order_by("pk"):
        record.record_cancel(order=order, actor=actor, reason=reason)
    return ended
