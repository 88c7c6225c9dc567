"""The monitor of an event: each turn as it stands, the course of the load, what is late, what comes back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from accounts.actor import Actor
from outages.load_shedding import charts, lifecycle, policies, report, selectors
from outages.load_shedding.models import SheddingEvent, Slot, SlotState
from outages.load_shedding.services import changes
from outages.load_shedding.services.choices import blocks_of
from outages.load_shedding.views.console import late_slots
from outages.load_shedding.views.plans import reader

SLOT_LOOK: Final = {
    SlotState.PLANNED: ("planned", "quiet"),
    SlotState.OFF: ("shedding", "violet"),
    SlotState.STUCK: ("p1", "red"),
    SlotState.ON: ("restored", "green"),
    SlotState.SKIPPED: ("cancelled", "quiet"),
    SlotState.DROPPED: ("cancelled", "quiet"),
}
_ACTIONS: Final = ("order", "propose", "confirm", "undo", "change", "switch", "reconcile")


def is_undoable(event: SheddingEvent, now: datetime | None = None) -> bool:
    """Was it confirmed so lately that one key takes it back?"""
    if event.state != lifecycle.CONFIRMED or event.generation or event.undo_until is None:
        return False
    return (now or timezone.now()) < event.undo_until


@dataclass(frozen=True)
class Waiting:
    """A change of more load or a later end, which another person decides."""

    asked: Mapping[str, Any]
    until: datetime
    blocks: list[str]
    is_own: bool


def waiting_of(event: SheddingEvent, actor: Actor) -> Waiting | None:
    """The change that waits for the second person."""
    row = changes.change_waiting(event)
    if row is None:
        return None
    asked = row.figures["change"]
    return Waiting(
        asked, datetime.fromisoformat(asked["ends_at"]), sorted(blocks_of(row)), asked["author_id"] == actor.user_id
    )


def allowed(event: SheddingEvent, actor: Actor) -> dict[str, bool]:
    """What this person may do with the event, by the names that templates ask."""
    return {f"may_{action}": policies.may(actor=actor, action=action, branch=event.branch) for action in _ACTIONS}


@dataclass(frozen=True)
class Row:
    """A turn on the monitor: how it stands and what can be done with it."""

    slot: Slot
    look: tuple[str, str]
    is_late: bool
    bar: charts.Bar
    reactions: Mapping[str, int]
    is_long: bool = False  # off so long that the load comes back higher than it went


COLD_AFTER: Final = timedelta(minutes=30)


def monitor_of(event: SheddingEvent, actor: Actor, now: datetime) -> dict[str, Any]:
    """The turns as they stand, the course of the load, what is late and what comes back."""
    slots = list(
        event.slots.exclude(state=lifecycle.DROPPED).select_related("block", "outage", "fault").order_by(
            "starts_at", "block__code", "pk"
        )
    )  # fmt: skip
    course = report.course_of(event, slots, at=now)
    reactions = report.reactions_by_block(event)
    late = late_slots(Slot.objects.filter(event=event).select_related("block", "event", "fault"), now)
    late_keys = {slot.pk for slot in late}
    rows: list[Row] = []
    if slots:
        scale = charts.Scale(min(slot.starts_at for slot in slots), max(slot.ends_at for slot in slots))
        rows = [
            Row(
                slot,
                SLOT_LOOK[SlotState(slot.state)],
                slot.pk in late_keys,
                charts.bar(scale, slot.starts_at, slot.ends_at, tone=slot.state),
                reactions.get(slot.block_id, {}),
                slot.off_at is not None and now - slot.off_at >= COLD_AFTER,
            )
            for slot in slots
        ]
    off = sorted((row for row in rows if row.slot.state == lifecycle.OFF), key=_restore_order)
    achieved = next((one.achieved_mw for one in reversed(course) if one.achieved_mw is not None), 0.0)
    ordered = next((one.ordered_mw for one in reversed(course) if one.at <= now), 0.0)
    return {
        "is_over": event.state in lifecycle.OVER,
        "is_undoable": is_undoable(event, now),
        "undo_left": max(0, round((event.undo_until - now).total_seconds())) if event.undo_until else 0,
        "rows": rows,
        "restore": off,
        "restore_together": len([row for row in off if row.slot.ends_at - now <= timedelta(minutes=30)]),
        "late": late,
        "change": waiting_of(event, actor) if event.state in lifecycle.RUNNING else None,
        "course": charts.course(course, at=now),
        "achieved_mw": achieved,
        "ordered_mw": ordered,
        "reactions": reactions,
        "counts": {state: sum(row.slot.state == state for row in rows) for state in lifecycle.SLOT_STATES},
    }


def _restore_order(row: Row) -> tuple[Any, ...]:
    """By what is due first; of what is due together life support first, then the smaller load."""
    slot = row.slot
    return slot.ends_at, not slot.block.life_support, slot.mw_off or slot.mw_planned, slot.block.code


@require_GET
@login_required
@never_cache
def monitor(request: HttpRequest, reference: str) -> HttpResponse:
    """The monitor alone, as the page asks for it again and again."""
    actor = reader(request)
    event = selectors.event_by_reference(actor=actor, reference=reference)
    with timezone.override(ZoneInfo(event.branch.time_zone)):
        now = timezone.now()
        context = {"event": event, "now": now, **allowed(event, actor), **monitor_of(event, actor, now)}
        return render(request, "load_shedding/partials/_event_monitor.html", context)
