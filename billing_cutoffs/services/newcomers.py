"""Whoever moves into premises that are off for somebody else's debt gets their supply."""

from __future__ import annotations

import logging
from typing import Final

from django.db import transaction
from django.db.models import F

from accounts.actor import Actor
from billing_cutoffs import lifecycle
from billing_cutoffs.models import CutoffOrder
from billing_cutoffs.services.reconnection import NothingToReconnect, reconnect_now

log = logging.getLogger(__name__)

A_TURN: Final = 200


def newcomers_reconnect(*, actor: Actor) -> int:
    """Nobody sits in the dark for another customer's debt: switched on at once, and it counts as wrongful.

    What has not left for the meter is the guards' (``place_unknown``). Returns how many orders moved.
    """
    strange = CutoffOrder.objects.filter(
        state__in=(lifecycle.COMMANDED, lifecycle.DISCONNECTED), reconnect_due_at=None
    ).exclude(service_point__customer=F("case__account"))  # fmt: skip
    with transaction.atomic(durable=True):
        try:
            moved = reconnect_now(
                order_ids=list(strange.order_by("pk").values_list("pk", flat=True)[:A_TURN]), actor=actor,
                reason="moved_in", is_wrongful=True,
            )  # fmt: skip
        except NothingToReconnect:
            return 0
    log.error("cut-offs: %s premises were off for the debt of somebody who has left", len(moved))
    return len(moved)
