"""Reading plans and events; every read for a person starts here."""

from __future__ import annotations

from datetime import datetime

from django.db.models import QuerySet
from django.utils import timezone

from accounts.actor import Actor
from accounts.scope import visible_to
from grid.models import Branch
from outages.load_shedding.models import PlanState, SheddingEvent, SheddingPlan, Slot
from standards.errors import NotFound


def plans_visible_to(actor: Actor) -> QuerySet[SheddingPlan]:
    """Plans of the actor's branches."""
    return visible_to(actor, SheddingPlan.objects.select_related("branch"))


def events_visible_to(actor: Actor) -> QuerySet[SheddingEvent]:
    """Events of the actor's branches."""
    return visible_to(actor, SheddingEvent.objects.select_related("branch", "plan"))


def slots_visible_to(actor: Actor) -> QuerySet[Slot]:
    """Slots of the actor's branches."""
    return visible_to(actor, Slot.objects.select_related("block", "event__branch", "outage"))


def event_by_reference(*, actor: Actor, reference: str) -> SheddingEvent:
    """One event by its number; foreign and missing are the same ``NotFound``."""
    event = events_visible_to(actor).filter(reference=reference).first()
    if event is None:
        raise NotFound()
    return event


def plan_in_force(branch: Branch, at: datetime | None = None) -> SheddingPlan | None:
    """The approved plan whose day has come, of the branch or the nearest one above it."""
    day = timezone.localdate(at or timezone.now())
    return (
        SheddingPlan.objects.filter(
            branch__pos__lte=branch.pos,
            branch__last__gte=branch.pos,
            state=PlanState.APPROVED,
            effective_from__lte=day,
        )
        .order_by("-branch__pos", "-effective_from", "-number")
        .select_related("branch")
        .first()
    )
