"""The one writer of the state of events and slots, each step with its line in the history."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.actor import Actor
from outages.events import require_transaction
from outages.load_shedding import lifecycle
from outages.load_shedding.models import SheddingEvent, SheddingStep, Slot
from standards.errors import Conflict, DomainError, NotFound


class Moved(Conflict):
    code = "shedding_moved"
    message = _("This has moved on in the meantime: it is now “%(state)s”.")


class NeedsReason(DomainError):
    code = "needs_reason"
    message = _("Say why.")


def said(reason: str) -> str:
    """A decision comes with its reason. Raises ``NeedsReason``."""
    words = reason.strip()[:500]
    if not words:
        raise NeedsReason(field="reason")
    return words


def event_lock(event_id: int, *, expected_version: int | None = None) -> SheddingEvent:
    """The event, its row locked until the transaction ends. Raises ``NotFound``, ``Moved``."""
    require_transaction()
    event = (
        SheddingEvent.objects.select_for_update(no_key=True, of=("self",))
        .select_related("branch", "plan__branch")
        .filter(pk=event_id)
        .first()
    )
    if event is None:
        raise NotFound()
    if expected_version is not None and expected_version != event.version:
        raise Moved(state=event.get_state_display())
    return event


def event_read(event_id: int) -> SheddingEvent:
    """The event as it is now, for what is computed before it is locked. Raises ``NotFound``."""
    event = SheddingEvent.objects.select_related("branch", "plan__branch").filter(pk=event_id).first()
    if event is None:
        raise NotFound()
    return event


def slot_read(slot_id: int) -> Slot:
    """The slot as it is now, unlocked. Raises ``NotFound``."""
    slot = Slot.objects.filter(pk=slot_id).first()
    if slot is None:
        raise NotFound()
    return slot


def slot_lock(slot_id: int) -> Slot:
    """The slot and its event, both locked, the event first."""
    require_transaction()
    event_id = Slot.objects.filter(pk=slot_id).values_list("event_id", flat=True).first()
    if event_id is None:
        raise NotFound()
    event = event_lock(event_id)
    slot = Slot.objects.select_for_update(no_key=True, of=("self",)).select_related("block", "outage").get(pk=slot_id)
    slot.event = event
    return slot


def check_load(mw: float | None, *, field: str = "mw") -> None:
    """A load that somebody gives, where one is given. Raises ``DomainError``."""
    if mw is not None and not (math.isfinite(mw) and mw >= 0):
        raise DomainError(_("A load is a number of MW, not below zero."), field=field)


def event_step(
    *, event: SheddingEvent, action: str, actor: Actor, note: str = "", facts: Mapping[str, Any] | None = None,
    **fields: Any,
) -> SheddingEvent:  # fmt: skip
    """Take one step of the table with an event that the caller has locked. Raises ``IllegalTransition``."""
    before, event.state = event.state, lifecycle.event_after(action=action, state=event.state)
    for name, value in fields.items():
        setattr(event, name, value)
    event.version += 1
    event.updated_at = timezone.now()
    event.save(update_fields=["state", "version", "updated_at", *fields])
    _write(event, None, action, before, event.state, actor, note, facts)
    return event


def slot_step(
    *, slot: Slot, action: str, actor: Actor, note: str = "", facts: Mapping[str, Any] | None = None, **fields: Any
) -> Slot:
    """The same for a slot whose event the caller has locked."""
    before, slot.state = slot.state, lifecycle.slot_after(action=action, state=slot.state)
    for name, value in fields.items():
        setattr(slot, name, value)
    slot.version += 1
    slot.save(update_fields=["state", "version", *fields])
    _write(slot.event, slot, action, before, slot.state, actor, note, facts)
    return slot


def _write(
    event: SheddingEvent, slot: Slot | None, verb: str, before: str, after: str, actor: Actor, note: str,
    facts: Mapping[str, Any] | None,
) -> None:  # fmt: skip
    SheddingStep.objects.create(
        event=event, slot=slot, verb=verb, before=before, after=after, actor_kind=actor.kind, actor_name=actor.name,
        actor_id=actor.user_id, note=note[:500], facts=dict(facts or {}),
    )  # fmt: skip
