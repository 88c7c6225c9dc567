"""What the clock does with events: announce what can no longer be undone, alarm, and end what is over.

Every turn finds its work in the rows, so a worker that dies between confirming and announcing costs seconds.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from datetime import datetime

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

import standards
from accounts.actor import Actor
from outages.load_shedding import lifecycle
from outages.load_shedding.models import EventState, SheddingEvent, SheddingStep, Slot, SlotState
from outages.load_shedding.services.changes import event_announce, event_end
from outages.load_shedding.services.slots import slot_skip
from outages.load_shedding.services.steps import event_lock, slot_lock, slot_step
from outages.services import outage_record
from standards.errors import DomainError

log = logging.getLogger(__name__)


def events_turn(*, actor: Actor, at: datetime | None = None) -> dict[str, int]:
    """One turn over all events that are confirmed or running."""
    now = at or timezone.now()
    return {
        "announced": _each("announcing", _to_announce(now), lambda pk: _announce(pk, actor, now)),
        "handed_back": _each("switching on", _handed_back(), lambda pk: _follow_fault(pk, actor)),
        "passed": _each("skipping", _passed(now), lambda pk: _pass(pk, actor)),
        "late": _each("alarming", _late(now), lambda pk: _alarm(pk, actor, now)),
        "ended": _each("ending", _to_end(now), lambda pk: _end(pk, actor, now)),
    }


def _each(what: str, keys: Collection[int], act: Callable[[int], int]) -> int:
    """One that cannot be done is reported and does not hold up the others."""
    done = 0
    for key in keys:
        try:
            done += act(key)
        except DomainError as refusal:
            log.error("load shedding: %s %s was refused: %s", what, key, refusal)
    return done


# --- announcing ---------------------------------------------------------------------------------------


def _to_announce(now: datetime) -> list[int]:
    waiting = SheddingEvent.objects.filter(state=EventState.CONFIRMED, generation=0, undo_until__lte=now)
    return list(waiting.order_by("undo_until", "pk").values_list("pk", flat=True))


def _announce(event_id: int, actor: Actor, now: datetime) -> int:
    with transaction.atomic(durable=True):
        event = event_lock(event_id)
        is_due = event.undo_until is not None and event.undo_until <= now
        if event.state != EventState.CONFIRMED or event.generation or not is_due:
            return 0  # undone, or announced by another turn
        event_announce(actor=actor, event=event, at=now)
        return 1


# --- slots --------------------------------------------------------------------------------------------


def _handed_back() -> list[int]:
    stuck = Slot.objects.filter(state=SlotState.STUCK, fault__restored_at__isnull=False)
    return list(stuck.order_by("pk").values_list("pk", flat=True))


def _follow_fault(slot_id: int, actor: Actor) -> int:
    """The fault is restored, and with it what the slot had left off."""
    with transaction.atomic(durable=True):
        slot = slot_lock(slot_id)
        back = slot.fault.restored_at if slot.fault is not None else None
        if slot.state != SlotState.STUCK or back is None:
            return 0
        slot_step(slot=slot, action="on", actor=actor, on_at=back, facts={"fault": str(slot.fault)})
        return 1


def _passed(now: datetime) -> list[int]:
    missed = Slot.objects.filter(state=SlotState.PLANNED, ends_at__lte=now)
    return list(missed.order_by("event", "pk").values_list("pk", flat=True))


def _pass(slot_id: int, actor: Actor) -> int:
    slot_skip(actor=actor, slot_id=slot_id, reason=_("its time has passed and nobody reported it off"))
    return 1


def _late(now: datetime) -> list[int]:
    """What should be off, or on again, for longer than the rule pack allows, and has not been reported yet."""
    standing = Slot.objects.filter(state__in=[SlotState.PLANNED, SlotState.OFF], starts_at__lte=now)
    late = {
        slot.pk: _alarm_for(slot)
        for slot in standing.select_related("event__branch").order_by("pk")
        if _is_late(slot, now)
    }
    steps = SheddingStep.objects.filter(slot__in=late, verb="late").values_list("slot", "before", "facts__due")
    alarmed = {(slot_id, (before, due)) for slot_id, before, due in steps}
    return [pk for pk, alarm in late.items() if (pk, alarm) not in alarmed]


def _is_late(slot: Slot, now: datetime) -> bool:
    return due_at(slot) + standards.pack(slot.event.branch.rule_pack).shedding.stuck_after.delta <= now


def due_at(slot: Slot) -> datetime:
    """When the next thing should happen to the slot."""
    return slot.starts_at if slot.state == SlotState.PLANNED else slot.ends_at


def _alarm_for(slot: Slot) -> tuple[str, str]:
    """By which an alarm is told from another: a slot that is moved can be late again."""
    return str(slot.state), due_at(slot).isoformat()


def _alarm(slot_id: int, actor: Actor, now: datetime) -> int:
    """Once for each time that passes: a line of both histories, which open pages show at once."""
    with transaction.atomic(durable=True):
        slot = slot_lock(slot_id)
        state, due = _alarm_for(slot)
        has_alarmed = slot.steps.filter(verb="late", before=state, facts__due=due).exists()
        if state not in (SlotState.PLANNED, SlotState.OFF) or has_alarmed or not _is_late(slot, now):
            return 0  # reported, moved or alarmed since it was found
        if slot.outage is not None:
            outage_record(outage=slot.outage, verb="late", actor=actor, after={"due": due})
        slot_step(slot=slot, action="late", actor=actor, facts={"due": due})
        log.warning("block %s of %s is late: due %s", slot.block.code, slot.event.reference, due)
        return 1


# --- ending -------------------------------------------------------------------------------------------


def _to_end(now: datetime) -> list[int]:
    """Nothing is off or ahead any more, and its time is over or it is being restored."""
    running = SheddingEvent.objects.filter(state__in=lifecycle.RUNNING, generation__gt=0)
    over = running.filter(ends_at__lte=now) | running.filter(state=EventState.RESTORING)
    open_slots = Slot.objects.filter(state__in=[SlotState.PLANNED, SlotState.OFF]).values("event")
    return list(over.exclude(pk__in=open_slots).order_by("pk").values_list("pk", flat=True))


def _end(event_id: int, actor: Actor, now: datetime) -> int:
    event_end(actor=actor, event_id=event_id, at=now)
    return 1
