"""A slot as it is carried out: off, on again, skipped, or not coming back on. A person or SCADA says so.

What is said twice stands once; what is said differently the second time is refused and changes nothing.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.actor import Actor
from outages.extent import BadTime
from outages.lifecycle import IllegalTransition
from outages.load_shedding import lifecycle, policies
from outages.load_shedding.models import SheddingEvent, Slot, SlotState
from outages.load_shedding.services.steps import check_load, event_step, said, slot_lock, slot_step
from outages.models import CauseClass, OutageKind
from outages.services import outage_create, outage_record, outage_transition
from standards.errors import Conflict

EARLY: Final = timedelta(hours=1)  # so long before its time a switching off may be meant for this slot
SOURCE: Final = "shedding"


class SaidOtherwise(Conflict):
    code = "said_otherwise"
    message = _("Block %(block)s was reported before with another time or load: %(at)s, %(mw)s MW.")


class IsFault(Conflict):
    code = "is_fault"
    message = _("Block %(block)s did not come back on and is fault %(fault)s now: it is restored there.")


def slot_off(
    *, actor: Actor, slot_id: int, at: datetime | None = None, mw: float | None = None, is_measured: bool = False,
    source: str = "", expected_version: int | None = None,
) -> Slot:  # fmt: skip
    """The block is off since ``at``, which relieved so many MW (as planned, where nobody has measured)."""
    with transaction.atomic(durable=True):
        slot = _held(actor, slot_id, expected_version)
        check_load(mw)
        if slot.off_at is not None:
            return _as_before(slot, slot.off_at, at, mw)
        at = at or timezone.now()
        if not slot.starts_at - EARLY <= at < slot.ends_at:
            raise BadTime(_("This is not the time of the slot."), field="at")
        event = _running(slot)
        relieved = slot.mw_planned if mw is None else mw
        if slot.outage_id is not None:
            outage_transition(
                outage_id=slot.outage_id, action="start", actor=actor, started_at=at, source=source, slot=slot
            )
        slot_step(
            slot=slot, action="off", actor=actor, facts={"mw": relieved, "is_measured": is_measured, "source": source},
            off_at=at, mw_off=relieved, is_measured=is_measured and mw is not None,
        )  # fmt: skip
        if event.state == lifecycle.CONFIRMED:
            event_step(event=event, action="begin", actor=actor)
        return slot


def slot_on(
    *, actor: Actor, slot_id: int, at: datetime | None = None, mw: float | None = None, source: str = "",
    expected_version: int | None = None,
) -> Slot:  # fmt: skip
    """The block is on again since ``at``; ``mw`` is what it relieved as measured over its whole turn."""
    with transaction.atomic(durable=True):
        slot = _held(actor, slot_id, expected_version)
        check_load(mw)
        if slot.state == SlotState.STUCK:
            raise IsFault(block=slot.block.code, fault=str(slot.fault))
        if slot.on_at is not None:
            return _as_before(slot, slot.on_at, at, mw)
        lifecycle.slot_after(action="on", state=slot.state)
        at = at or timezone.now()
        if slot.off_at is None or at <= slot.off_at:
            raise BadTime(_("Supply cannot be back before it went off."), field="at")
        if slot.outage_id is not None:
            outage_transition(
                outage_id=slot.outage_id, action="restore", actor=actor, restored_at=at, source=source, slot=slot
            )
        measured: dict[str, Any] = {} if mw is None else {"mw_off": mw, "is_measured": True}
        return slot_step(
            slot=slot, action="on", actor=actor, facts={"source": source, **measured}, on_at=at, **measured
        )


def slot_skip(*, actor: Actor, slot_id: int, reason: str, expected_version: int | None = None) -> Slot:
    """The block is not switched off this time; whoever was told is told."""
    with transaction.atomic(durable=True):
        slot = _held(actor, slot_id, expected_version)
        words = said(reason)
        lifecycle.slot_after(action="skip", state=slot.state)
        if slot.outage_id is not None:
            outage_transition(outage_id=slot.outage_id, action="cancel", actor=actor, reason=words, slot=slot)
        return slot_step(slot=slot, action="skip", actor=actor, note=words, skip_reason=words[:300])


def slot_stuck(*, actor: Actor, slot_id: int, reason: str, expected_version: int | None = None) -> Slot:
    """The block will not come back on: from the end of its turn it is a fault, which crews are sent to.

    The slot's own outage ends at the moment at which the fault takes over, so that every minute counts once.
    """
    with transaction.atomic(durable=True):
        slot = _held(actor, slot_id, expected_version)
        if slot.state == SlotState.STUCK:
            return slot
        lifecycle.slot_after(action="stick", state=slot.state)
        outage = slot.outage
        if outage is None or slot.off_at is None:
            raise IllegalTransition(action="stick", current=slot.state)
        now = timezone.now()
        since = slot.ends_at if slot.off_at < slot.ends_at <= now else now
        words = reason.strip() or str(_("not restored after load shedding"))
        places = list(outage.interruptions.filter(element__isnull=False).values_list("element_id", flat=True))
        elements = list(outage.elements.values_list("pk", flat=True))
        fault = outage_create(
            kind=OutageKind.FAULT, action="start", actor=actor, element_ids=elements, place_ids=places,
            started_at=since, source_system=SOURCE, source_ref=outage.reference, cause_class=CauseClass.UNKNOWN,
            place=outage.place, note=f"{slot.event.reference} {outage.reference}: {words}",
        )  # fmt: skip
        outage_transition(
            outage_id=outage.pk, action="restore", actor=actor, restored_at=since, slot=slot, note=fault.reference
        )
        outage_record(outage=outage, verb="stuck", actor=actor, after={"fault": fault.reference}, note=words)
        return slot_step(
            slot=slot, action="stick", actor=actor, note=words, facts={"fault": fault.reference}, fault=fault
        )


def slot_measure(*, actor: Actor, slot_id: int, mw: float, expected_version: int | None = None) -> Slot:
    """What a slot relieved was measured, or measured better."""
    with transaction.atomic(durable=True):
        slot = _held(actor, slot_id, expected_version)
        check_load(mw)
        return slot_step(slot=slot, action="measure", actor=actor, facts={"mw": mw}, mw_off=mw, is_measured=True)


# --- one step -----------------------------------------------------------------------------------------


def _held(actor: Actor, slot_id: int, expected_version: int | None) -> Slot:
    slot = slot_lock(slot_id)
    policies.require(actor=actor, action="switch", branch=slot.event.branch)
    if expected_version is not None and expected_version != slot.version:
        raise Conflict(field="version")
    return slot


def _running(slot: Slot) -> SheddingEvent:
    lifecycle.slot_after(action="off", state=slot.state)
    if slot.event.state not in lifecycle.RUNNING:
        raise IllegalTransition(action="off", current=slot.event.state)
    return slot.event


def _as_before(slot: Slot, said: datetime, at: datetime | None, mw: float | None) -> Slot:
    """The same again changes nothing; anything else contradicts what stands."""
    if at not in (None, said) or mw not in (None, slot.mw_off):
        raise SaidOtherwise(block=slot.block.code, at=said.isoformat(), mw=slot.mw_off)
    return slot
