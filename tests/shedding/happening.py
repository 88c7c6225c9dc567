"""An event of load shedding brought as far as a test needs it, by the same services as everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from accounts.actor import Actor
from outages.load_shedding.models import SheddingEvent, SheddingPlan, Slot
from outages.load_shedding.rotation import Span
from outages.load_shedding.services import choices, clock, events
from tests.factories.grid import SmallCity
from tests.shedding.world import plan

CLOCK = Actor.system("clock")
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
MW = {"A": 1.0, "B": 2.0, "C": 4.0}


def minute() -> datetime:
    """Now, as orders are given: to the minute."""
    return timezone.now().replace(second=0, microsecond=0)


def plan_ready(city: SmallCity, asha: Actor, otto: Actor, **facts: Any) -> SheddingPlan:
    """Blocks A (3 customers, 1 MW), B (2, 2 MW) and C (1, 4 MW), in slots of two hours without a margin."""
    facts = {"mw": MW, "stages": [(1, "blue", 1.0), (2, "yellow", 3.0)], "margin_minutes": 0, **facts}
    return plan(city, asha, otto, **facts)


def ordered(asha: Actor, made: SheddingPlan, *, mw: float = 3.0, hours: float = 2, **facts: Any) -> SheddingEvent:
    """So many MW less, from in two hours for so many hours."""
    starts = facts.pop("starts_at", minute() + 2 * HOUR)
    return events.event_order(
        actor=asha, branch=made.branch, target_mw=mw, starts_at=starts, ends_at=starts + hours * HOUR,
        order_number="省调令 7", authority="省调", **facts,
    )  # fmt: skip


def proposed(
    asha: Actor, made: SheddingPlan, *, letter: str = "A", blocks: Sequence[str] = (), **facts: Any
) -> SheddingEvent:
    """Put to the second person: a computed proposal, or these blocks by hand for the whole time."""
    event = ordered(asha, made, **facts)
    assert event.starts_at is not None
    assert event.ends_at is not None
    spans = [Span(code, event.starts_at, event.ends_at) for code in blocks] or None
    if spans is None:
        events.proposals_make(actor=asha, event_id=event.pk)
    return events.event_propose(actor=asha, event_id=event.pk, letter=letter, reason="缺电", spans=spans)


def confirmed(
    asha: Actor, otto: Actor, made: SheddingPlan, *, at: datetime | None = None, **facts: Any
) -> SheddingEvent:
    """Otto has agreed (now, or ``at``); it can still be undone."""
    event = proposed(asha, made, **facts)
    blocks = choices.blocks_of(event.proposals.get(letter=event.chosen))
    return events.event_confirm(actor=otto, event_id=event.pk, is_checked=True, typed_blocks=len(blocks), at=at)


def announced(asha: Actor, otto: Actor, made: SheddingPlan, **facts: Any) -> SheddingEvent:
    """The ten seconds are over: its slots are outages."""
    event = confirmed(asha, otto, made, at=timezone.now() - MINUTE, **facts)
    clock.events_turn(actor=CLOCK)
    return fresh(event)


def fresh(event: SheddingEvent) -> SheddingEvent:
    return SheddingEvent.objects.select_related("plan__branch", "branch").get(pk=event.pk)


def turns(event: SheddingEvent) -> list[tuple[str, float, float, str]]:
    """Each slot that is not dropped: block, begin and end in hours after the event's own begin, state."""
    assert event.starts_at is not None
    begins = event.starts_at
    return [
        (slot.block.code, (slot.starts_at - begins) / HOUR, (slot.ends_at - begins) / HOUR, str(slot.state))
        for slot in event.slots.exclude(state="dropped").select_related("block").order_by("starts_at", "block__code")
    ]


def slot_of(event: SheddingEvent, code: str) -> Slot:
    """The block's first slot that is not dropped, with its outage."""
    slots = Slot.objects.filter(event=event, block__code=code).exclude(state="dropped")
    return slots.select_related("outage", "block", "event", "fault").order_by("starts_at")[0]
