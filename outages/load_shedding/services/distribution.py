"""The difference between the slots there are and the turns wanted: a change concerns nobody whose times stay.

Every distribution, the first one and each change of stage, of the end or of a block, goes through here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.actor import Actor
from outages.events import require_transaction
from outages.load_shedding import selectors
from outages.load_shedding.models import (
    BlockPlace,
    SheddingBlock,
    SheddingEvent,
    SheddingPlan,
    Slot,
    SlotState,
)
from outages.load_shedding.question import mw_in, overlaps_of
from outages.load_shedding.rotation import SHORTEST, Span, merged
from outages.load_shedding.services.steps import slot_step
from outages.models import CauseClass, EtrSource, Outage, OutageKind
from outages.services import outage_create, outage_transition
from standards.errors import Conflict, UnknownCode

STANDING = (SlotState.PLANNED, SlotState.OFF)


class SlotThere(Conflict):
    code = "slot_there"
    message = _("Block %(block)s has its turn at that time already, or was skipped.")


@dataclass(frozen=True)
class Difference:
    """What became of the slots."""

    kept: list[Slot] = field(default_factory=list)
    moved: list[Slot] = field(default_factory=list)
    added: list[Slot] = field(default_factory=list)
    dropped: list[Slot] = field(default_factory=list)

    @property
    def facts(self) -> dict[str, Any]:
        """For the history: how many stayed, and which blocks did not."""
        changed = {name: sorted({slot.block.code for slot in getattr(self, name)}) for name in _CHANGES}
        return {"kept": len(self.kept), **{name: codes for name, codes in changed.items() if codes}}


_CHANGES = ("moved", "added", "dropped")


def slots_distribute(
    *, event: SheddingEvent, wanted: Sequence[Span], actor: Actor, reason: str, at: datetime | None = None
) -> Difference:
    """Bring the event's slots to what is wanted; each added one becomes an outage of its own.

    The caller holds the event's lock. A turn that is off and not wanted any more ends as soon as it can be switched;
    one that would not come back on is a fault and stays as it is. Fragments too short to matter are left out.
    """
    require_transaction()
    at = (at or timezone.now()).replace(second=0, microsecond=0)
    blocks = {block.code: block for block in event.plan.blocks.all()}
    spans = _spans_by_block(wanted, blocks, at)
    standing: dict[str, list[Slot]] = {}
    others: list[Slot] = []
    slots = event.slots.select_for_update(no_key=True, of=("self",)).exclude(state=SlotState.DROPPED)
    for slot in slots.select_related("block", "outage").order_by("pk"):
        slot.event = event
        if slot.state in STANDING:
            standing.setdefault(slot.block.code, []).append(slot)
            continue
        others.append(slot)
        if slot.state == SlotState.STUCK:
            spans.pop(slot.block.code, None)
    difference, moves, adds = Difference(), [], []
    for code in sorted({*standing, *spans}):
        pairs, left, new = _paired(standing.get(code, []), spans.get(code, []), at)
        for slot in left:
            if slot.state == SlotState.PLANNED:
                difference.dropped.append(slot_drop(slot=slot, actor=actor, reason=reason))
            else:
                moves.append((slot, slot.starts_at, _soonest_end(slot, event.plan, at)))
        moves += [(slot, *_times(slot, span, at)) for slot, span in pairs]
        adds += new
    for slot, begins, until in moves:
        if (begins, until) == (slot.starts_at, slot.ends_at):
            difference.kept.append(slot)
        else:
            difference.moved.append(_move(slot, begins, until, actor, reason))
    for span in adds:
        if any(_had(slot, span) for slot in others):
            raise SlotThere(block=span.block)
    difference.added.extend(_add(event, adds, blocks, actor, at))
    return difference


def mw_of(plan: SheddingPlan, spans: Sequence[Span], *, at: datetime, apart_from: Sequence[int] = ()) -> list[float]:
    """The load that each turn takes off, without what is off anyway."""
    zone = ZoneInfo(plan.branch.time_zone)
    blocks = {block.code: block for block in plan.blocks.filter(code__in={span.block for span in spans})}
    asked = [(blocks[span.block].pk, (span.begins, span.until)) for span in spans]
    overlaps = overlaps_of(asked, at=at, apart_from=apart_from)
    return [
        round(mw_in(blocks[span.block], (span.begins, span.until), zone) * (1 - overlap.share), 6)
        for span, overlap in zip(spans, overlaps, strict=True)
    ]


# --- comparing ----------------------------------------------------------------------------------------


def _spans_by_block(wanted: Sequence[Span], blocks: Mapping[str, SheddingBlock], at: datetime) -> dict[str, list[Span]]:
    """What of the turns lies ahead, in order."""
    found: dict[str, list[Span]] = {}
    ahead = [replace(span, begins=max(span.begins, at)) for span in wanted if span.until > at]
    for span in merged(ahead):
        if span.block not in blocks:
            raise UnknownCode(field="block", value=span.block)
        found.setdefault(span.block, []).append(span)
    return found


def _paired(
    slots: Sequence[Slot], spans: Sequence[Span], at: datetime
) -> tuple[list[tuple[Slot, Span]], list[Slot], list[Span]]:
    """One block's slots with the turns that they become; the slots and the turns left over.

    A turn belongs to the slot that it overlaps, else to one whose time was another: a move is told in one message.
    """
    pairs: list[tuple[Slot, Span]] = []
    left, new = [], list(spans)
    for slot in sorted(slots, key=lambda slot: slot.starts_at):
        hit = next((span for span in new if _meets(slot, span, at)), None)
        if hit is None:
            left.append(slot)
        else:
            new.remove(hit)
            pairs.append((slot, hit))
    movable = [slot for slot in left if slot.state == SlotState.PLANNED][: len(new)]
    pairs += zip(movable, new, strict=False)
    return pairs, [slot for slot in left if slot not in movable], new[len(movable) :]


def _meets(slot: Slot, span: Span, at: datetime) -> bool:
    if slot.state == SlotState.OFF:  # nobody has said that it is on again, whatever its time
        return span.begins <= max(slot.ends_at, at)
    return span.begins < slot.ends_at and slot.starts_at < span.until


def _had(slot: Slot, span: Span) -> bool:
    """Did the block have this turn already, or was it said that it cannot be switched off then?"""
    is_skipped = slot.state == SlotState.SKIPPED and slot.starts_at < span.until and span.begins < slot.ends_at
    return slot.block.code == span.block and (is_skipped or slot.starts_at == span.begins)


def _times(slot: Slot, span: Span, at: datetime) -> tuple[datetime, datetime]:
    """The slot's times as they are wanted; what should have begun already keeps its beginning."""
    has_begun = slot.state == SlotState.OFF or (slot.starts_at <= at and span.begins <= at)
    return slot.starts_at if has_begun else span.begins, span.until


def _soonest_end(slot: Slot, plan: SheddingPlan, at: datetime) -> datetime:
    if slot.ends_at - at < SHORTEST:
        return slot.ends_at
    soonest = at + timedelta(minutes=max(plan.margin_minutes, 2))  # at is the minute begun
    return min(slot.ends_at, soonest)


# --- carrying out -------------------------------------------------------------------------------------


def slot_drop(*, slot: Slot, actor: Actor, reason: str) -> Slot:
    """A turn that lies ahead is not needed any more; whoever was told is told. The caller has locked both."""
    if slot.outage_id is not None:
        outage_transition(outage_id=slot.outage_id, action="cancel", actor=actor, reason=reason, slot=slot)
    return slot_step(slot=slot, action="drop", actor=actor, note=reason)


def _move(slot: Slot, begins: datetime, until: datetime, actor: Actor, reason: str) -> Slot:
    if slot.outage is not None and slot.state == SlotState.PLANNED:
        outage_transition(
            outage_id=slot.outage.pk, action="reschedule", actor=actor, planned_start=begins, planned_end=until,
            reason=reason, slot=slot,
        )  # fmt: skip
    elif slot.outage is not None:
        _end_moves(slot, slot.outage, until, actor, reason)
    facts = {
        "from": [slot.starts_at.isoformat(), slot.ends_at.isoformat()],
        "to": [begins.isoformat(), until.isoformat()],
    }
    fields = {"starts_at": begins, "ends_at": until, "generation": slot.event.generation + 1}
    return slot_step(slot=slot, action="move", actor=actor, note=reason, facts=facts, **fields)


def _end_moves(slot: Slot, outage: Outage, until: datetime, actor: Actor, reason: str) -> None:
    """Of what is off only the end can change: later than announced is longer, sooner is an estimate."""
    assert outage.planned_end is not None
    if until > outage.planned_end:
        outage_transition(
            outage_id=outage.pk, action="extend", actor=actor, planned_end=until, reason=reason, slot=slot,
            etr=None, etr_source="",
        )  # fmt: skip
    else:
        outage_transition(
            outage_id=outage.pk, action="set_etr", actor=actor, etr=until, etr_source=EtrSource.OPERATOR,
            etr_reason=reason[:200], slot=slot,
        )  # fmt: skip


def _add(
    event: SheddingEvent, spans: Sequence[Span], blocks: Mapping[str, SheddingBlock], actor: Actor, at: datetime
) -> list[Slot]:
    if not spans:
        return []
    own = [pk for pk in event.slots.values_list("outage_id", flat=True) if pk is not None]
    loads = mw_of(event.plan, spans, at=at, apart_from=own)
    elements = selectors.elements_by_block(event.plan)
    # frozen with the plan: the network as it is switched today does not decide who was told
    places: dict[int, list[int]] = {}
    wanted = {blocks[span.block].pk for span in spans}
    for block_id, place in BlockPlace.objects.filter(block__in=wanted).values_list("block_id", "element_id"):
        places.setdefault(block_id, []).append(place)
    made = []
    for span, mw in zip(spans, loads, strict=True):
        block = blocks[span.block]
        outage = outage_create(
            kind=OutageKind.LOAD_SHEDDING, action="schedule", actor=actor, note=event.reference,
            element_ids=[element.pk for element in elements.get(block.pk, ())], place_ids=places.get(block.pk, []),
            planned_start=span.begins, planned_end=span.until, cause_class=CauseClass.POWER_SUPPLY,
            place=(block.name or block.code)[:200],
            public_reason_zh=f"有序用电（{block.name or block.code}）",
            public_reason_en=f"load shedding, {block.name_en or block.code}",
        )  # fmt: skip
        made.append(
            Slot(
                event=event, block=block, starts_at=span.begins, ends_at=span.until, outage=outage, mw_planned=mw,
                generation=event.generation + 1,
            )
        )  # fmt: skip
    return Slot.objects.bulk_create(made)
