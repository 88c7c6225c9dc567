"""A running event: another stage, another end, a block in another's place, restored early, ended, reconciled.

What stays within that which was confirmed is the desk's own decision and holds at once. More load or a later end is
asked for by one person and confirmed by another, like the event itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.actor import Actor
from outages.lifecycle import IllegalTransition
from outages.load_shedding import lifecycle, policies, proposals
from outages.load_shedding.models import Proposal, SheddingEvent, Slot, SlotState
from outages.load_shedding.rotation import Span
from outages.load_shedding.services.choices import (
    LONGEST,
    BadOrder,
    proposal_of,
    question_for,
    spans_checked,
    spans_of,
)
from outages.load_shedding.services.distribution import SlotThere, slots_distribute
from outages.load_shedding.services.events import check_alone, check_second
from outages.load_shedding.services.plans import branch_lock
from outages.load_shedding.services.reactions import faults_linked
from outages.load_shedding.services.steps import (
    Moved,
    check_load,
    event_lock,
    event_read,
    event_step,
    said,
    slot_lock,
    slot_read,
    slot_step,
)
from outages.models import CauseClass, OutageStatus
from outages.services import outage_transition
from standards.errors import Conflict, NotFound, UnknownCode


class SlotsOpen(Conflict):
    code = "slots_open"
    message = _("Not every slot is on again, skipped or handed over: %(blocks)s.")


class NothingWaits(Conflict):
    code = "nothing_waits"
    message = _("No change waits for a decision.")


# --- another stage, another end -----------------------------------------------------------------------


def event_change(
    *, actor: Actor, event_id: int, reason: str, target_mw: float | None = None, stage: int | None = None,
    until: datetime | None = None, letter: str = "", expected_version: int | None = None, at: datetime | None = None,
) -> SheddingEvent:  # fmt: skip
    """Another load, stage or end: what stands is kept wherever it can be, and only the difference is told.

    More or longer than was confirmed waits for another person (``change_waiting``).
    """
    words = said(reason)
    event = event_read(event_id)
    policies.require(actor=actor, action="change", branch=event.branch)
    _check_running(event)
    order = _order(event, target_mw, until, stage)
    now = at or timezone.now()
    question = question_for(event, target_mw=order["target_mw"], until=order["ends_at"], at=now)
    letter = letter or (event.chosen if event.chosen in proposals.LETTERS else proposals.LETTERS[0])
    if letter not in proposals.LETTERS:
        raise UnknownCode(field="letter", value=letter)
    choice = proposals.propose(letter, question.candidates, question.periods, question.limits)
    row = proposal_of(event, question, choice, question.spans_of(choice), now)
    with transaction.atomic(durable=True):
        if order["ends_at"] > (event.ends_at or now):
            branch_lock(event.branch)
            check_alone(event.plan, now, order["ends_at"], event.pk)
        event = event_lock(event_id, expected_version=expected_version or event.version)
        _check_running(event)
        if not _is_more(event, order):
            return _apply(event, spans_of(row), actor, words, now, chosen=letter, **order)
        row.figures = {**row.figures, "change": _asked(order, words, actor)}
        event.proposals.filter(generation=row.generation).delete()
        row.save(force_insert=True)
        facts = {"target_mw": order["target_mw"], "ends_at": order["ends_at"].isoformat()}
        return event_step(event=event, action="ask_change", actor=actor, note=words, facts=facts)


def change_waiting(event: SheddingEvent) -> Proposal | None:
    """The change that waits for the second person; ``figures["change"]`` says what is asked, by whom and why."""
    rows = event.proposals.filter(generation=event.generation + 1, figures__has_key="change")
    return rows.first() if event.generation else None


def event_change_confirm(
    *, actor: Actor, event_id: int, is_checked: bool, typed_blocks: int, expected_version: int | None = None,
    at: datetime | None = None,
) -> SheddingEvent:  # fmt: skip
    """Another person agrees that more is shed, or for longer, and types how many blocks are off then."""
    with transaction.atomic(durable=True):
        branch_lock(event_read(event_id).branch)
        event = event_lock(event_id, expected_version=expected_version)
        _check_running(event)
        row = change_waiting(event)
        if row is None:
            raise NothingWaits()
        asked = row.figures["change"]
        check_second(actor, event, row, asked["author_id"], is_checked, typed_blocks)
        now, ends_at = at or timezone.now(), datetime.fromisoformat(asked["ends_at"])
        if ends_at > (event.ends_at or now):  # another event may have been ordered since this was asked
            check_alone(event.plan, now, ends_at, event.pk)
        return _apply(
            event, spans_of(row), actor, asked["reason"], now, chosen=row.letter, target_mw=asked["target_mw"],
            ends_at=ends_at, stage=asked["stage"], colour=asked["colour"],
            author_id=asked["author_id"], author_name=asked["author_name"], confirmed_by_id=actor.user_id,
            confirmed_at=now,
        )  # fmt: skip


def event_change_reject(*, actor: Actor, event_id: int, reason: str) -> SheddingEvent:
    """The change that waits is not made: taken back, or refused by the second person."""
    words = said(reason)
    with transaction.atomic(durable=True):
        event = event_lock(event_id)
        policies.require(actor=actor, action="change", branch=event.branch)
        row = change_waiting(event)
        if row is None:
            raise NothingWaits()
        row.delete()
        return event_step(event=event, action="reject_change", actor=actor, note=words)


def event_replace(
    *, actor: Actor, slot_id: int, block: str, reason: str, expected_version: int | None = None,
    at: datetime | None = None,
) -> SheddingEvent:  # fmt: skip
    """Another block takes a slot's place for the rest of its time, under the same limits as any other."""
    words = said(reason)
    event = event_read(slot_read(slot_id).event_id)
    policies.require(actor=actor, action="change", branch=event.branch)
    _check_running(event)
    question = question_for(event, at=at)
    with transaction.atomic(durable=True):
        slot = slot_lock(slot_id)
        if slot.event.version != event.version:
            raise Moved(state=slot.event.get_state_display())
        event = slot.event
        if expected_version is not None and expected_version != slot.version:
            raise Conflict(field="version")
        _check_running(event)
        if slot.state not in (SlotState.PLANNED, SlotState.OFF):
            raise IllegalTransition(action="change", current=slot.state)
        now = (at or timezone.now()).replace(second=0, microsecond=0)
        new = Span(block, max(now, slot.starts_at), slot.ends_at)
        open_slots = event.slots.filter(state__in=[SlotState.PLANNED, SlotState.OFF]).select_related("block")
        standing = {one.pk: Span(one.block.code, one.starts_at, one.ends_at) for one in open_slots}
        if any(one.block == block and one.begins < new.until and new.begins < one.until for one in standing.values()):
            raise SlotThere(block=block, field="block")
        rest = [span for pk, span in standing.items() if pk != slot.pk]
        added = spans_checked(event, question, [new], standing=rest)
        return _apply(event, [*rest, *added], actor, words, now)


def _order(event: SheddingEvent, target_mw: float | None, until: datetime | None, stage: int | None) -> dict[str, Any]:
    """The order as it would be: a stage brings its load and its colour, and stands as long as its load does."""
    ends_at, colour = until or event.ends_at, event.colour
    if stage is not None:
        of_stage = event.plan.stages.filter(number=stage).first()
        if of_stage is None:
            raise UnknownCode(field="stage", value=stage)
        target_mw, colour = target_mw or of_stage.mw, of_stage.colour
    elif target_mw in (None, event.target_mw):
        target_mw, stage = event.target_mw, event.stage
    assert event.starts_at is not None
    if ends_at is None or target_mw is None or not target_mw > 0:
        raise BadOrder(days=LONGEST.days, field="target_mw")
    if not max(event.starts_at, timezone.now()) < ends_at <= event.starts_at + LONGEST:
        raise BadOrder(days=LONGEST.days, field="until")
    return {"target_mw": target_mw, "ends_at": ends_at, "stage": stage, "colour": colour}


def _is_more(event: SheddingEvent, order: Mapping[str, Any]) -> bool:
    assert event.target_mw is not None
    assert event.ends_at is not None
    return bool(order["target_mw"] > event.target_mw or order["ends_at"] > event.ends_at)


def _asked(order: Mapping[str, Any], reason: str, actor: Actor) -> dict[str, Any]:
    return {
        **order, "ends_at": order["ends_at"].isoformat(), "reason": reason, "author_id": actor.user_id,
        "author_name": actor.name,
    }  # fmt: skip


def _check_running(event: SheddingEvent) -> None:
    """Until it is announced it is undone, not changed."""
    lifecycle.event_after(action="change", state=event.state)
    if not event.generation:
        raise IllegalTransition(action="change", current=event.state)


def _apply(
    event: SheddingEvent, wanted: Sequence[Span], actor: Actor, reason: str, at: datetime, *, action: str = "change",
    **fields: Any,
) -> SheddingEvent:  # fmt: skip
    difference = slots_distribute(event=event, wanted=wanted, actor=actor, reason=reason, at=at)
    facts = {**difference.facts, "target_mw": fields.get("target_mw", event.target_mw)}
    return event_step(
        event=event, action=action, actor=actor, note=reason, facts=facts,
        generation=event.generation + 1, **fields,
    )  # fmt: skip


# --- the end ------------------------------------------------------------------------------------------


def event_announce(*, actor: Actor, event: SheddingEvent, at: datetime) -> SheddingEvent:
    """What was confirmed becomes slots and outages, which announces it. The caller holds the event's lock."""
    chosen = event.proposals.get(letter=event.chosen, generation=event.generation + 1)
    return _apply(event, spans_of(chosen), actor, event.reason, at, action="announce")


def event_restore(
    *, actor: Actor, event_id: int, reason: str, expected_version: int | None = None, at: datetime | None = None
) -> SheddingEvent:
    """Everybody is switched on again before the announced end: nothing more is switched off."""
    words = said(reason)
    with transaction.atomic(durable=True):
        event = event_lock(event_id, expected_version=expected_version)
        policies.require(actor=actor, action="change", branch=event.branch)
        _check_running(event)
        return _apply(event, [], actor, words, at or timezone.now(), action="restore")


def event_end(
    *, actor: Actor, event_id: int, expected_version: int | None = None, at: datetime | None = None
) -> SheddingEvent:
    """Every slot is on again, skipped, or handed over to a fault."""
    with transaction.atomic(durable=True):
        event = event_lock(event_id, expected_version=expected_version)
        policies.require(actor=actor, action="change", branch=event.branch)
        _check_running(event)
        still = event.slots.filter(state__in=[SlotState.PLANNED, SlotState.OFF])
        blocks = list(still.order_by("block__code").values_list("block__code", flat=True))
        if blocks:
            raise SlotsOpen(blocks=", ".join(blocks))
        return event_step(event=event, action="end", actor=actor, ended_at=at or timezone.now())


def event_reconcile(
    *, actor: Actor, event_id: int, measured: Mapping[int, float] | None = None, note: str = "",
    expected_version: int | None = None,
) -> SheddingEvent:  # fmt: skip
    """What each slot relieved is known for good (``measured``: MW by slot), and its outage's record is complete.

    Faults of its time are counted once more: one may have been found after the event had ended.
    """
    with transaction.atomic(durable=True):
        event = event_lock(event_id, expected_version=expected_version)
        policies.require(actor=actor, action="reconcile", branch=event.branch)
        lifecycle.event_after(action="reconcile", state=event.state)
        slots = {slot.pk: slot for slot in _locked_slots(event)}
        for slot_id, mw in (measured or {}).items():
            if slot_id not in slots:
                raise NotFound(field="measured")
            check_load(mw)
            slot_step(slot=slots[slot_id], action="measure", actor=actor, facts={"mw": mw}, mw_off=mw, is_measured=True)
        for slot in slots.values():
            if slot.outage is not None and slot.outage.status == OutageStatus.RESTORED:
                outage_transition(
                    outage_id=slot.outage.pk, action="close", actor=actor, cause_class=CauseClass.POWER_SUPPLY,
                    slot=slot,
                )  # fmt: skip
        faults_linked(event)
        return event_step(event=event, action="reconcile", actor=actor, note=note)


def _locked_slots(event: SheddingEvent) -> list[Slot]:
    slots = list(event.slots.select_for_update(no_key=True, of=("self",)).select_related("outage").order_by("pk"))
    for slot in slots:
        slot.event = event
    return slots
