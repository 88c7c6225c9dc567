"""Everything that is done about a fault: log it, send crews, bring supply back, close it; and trouble reports."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, Final

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

import standards
from accounts.actor import Actor
from grid.models import ElementKind, GridElement, ServicePoint
from outages import policies
from outages.extent import BadTime
from outages.faults import lifecycle
from outages.faults.kinds import codes_check
from outages.faults.models import Crew, CrewAssignment, CrewState, Fault, FaultOrigin
from outages.faults.texts import public_reason
from outages.lifecycle import IllegalTransition
from outages.models import EtrConfidence, EtrSource, Outage, OutageKind, OutageLevel, OutageStatus
from outages.services import (
    CLOCK_SLACK,
    outage_create,
    outage_lock,
    outage_merge,
    outage_note,
    outage_record,
    outage_transition,
)
from standards.errors import Conflict, NotFound

CONFIDENCE_OF: Final[dict[str, str]] = {
    EtrSource.SYSTEM: EtrConfidence.LOW,
    EtrSource.OPERATOR: EtrConfidence.MEDIUM,
    EtrSource.CREW: EtrConfidence.HIGH,
}
_ORIGIN_OF: Final[dict[str, str]] = {
    ElementKind.SUBSTATION: FaultOrigin.MAIN_GRID,
    ElementKind.BUSBAR: FaultOrigin.MAIN_GRID,
    ElementKind.LV_CIRCUIT: FaultOrigin.LOW_VOLTAGE,
}
_LEVEL_OF: Final[dict[str, str]] = {
    FaultOrigin.MAIN_GRID: OutageLevel.MAIN_GRID,
    FaultOrigin.DISTRIBUTION: OutageLevel.DISTRIBUTION,
    FaultOrigin.LOW_VOLTAGE: OutageLevel.LOW_VOLTAGE,
    FaultOrigin.CUSTOMER: OutageLevel.SERVICE,
}
OPEN: Final = (OutageStatus.SUSPECTED, OutageStatus.ACTIVE, OutageStatus.PARTIALLY_RESTORED)


# --- logging ----------------------------------------------------------------------------------------


def fault_log(
    *,
    actor: Actor,
    element_ids: Collection[int] = (),
    service_point_ids: Collection[int] = (),
    is_confirmed: bool = True,
    started_at: datetime | None = None,
    source_system: str = "faults",
    source_ref: str = "",
    note: str = "",
    **facts: Any,
) -> Outage:
    """Enter a fault: who is off is known at once. Confirmed it is off from ``started_at``, else only suspected.

    ``source_ref`` (the form's token, the client's id) makes a second click find the first record. Origin, level,
    public reason and the next promised news follow from the place, the cause and the rule pack unless given.
    """
    with transaction.atomic(durable=True):
        return fault_create(
            actor=actor, element_ids=element_ids, service_point_ids=service_point_ids, is_confirmed=is_confirmed,
            started_at=started_at, source_system=source_system, source_ref=source_ref, note=note, **facts,
        )  # fmt: skip


def fault_create(
    *,
    actor: Actor,
    element_ids: Collection[int] = (),
    service_point_ids: Collection[int] = (),
    is_confirmed: bool = True,
    started_at: datetime | None = None,
    source_system: str = "faults",
    source_ref: str = "",
    note: str = "",
    **facts: Any,
) -> Outage:
    """``fault_log`` inside the caller's transaction."""
    now = timezone.now()
    elements = list(GridElement.objects.filter(pk__in=element_ids).select_related("branch").order_by("pos"))
    codes_check(facts)
    _complete_place(facts, elements, is_single=not elements and len(service_point_ids) > 0)
    _complete_reason(facts)
    _complete_estimate(facts, elements, service_point_ids, is_confirmed=is_confirmed, now=now)
    if is_confirmed:
        facts["started_at"] = started_at or now
    return outage_create(
        kind=OutageKind.FAULT, action="start" if is_confirmed else "suspect", actor=actor,
        element_ids=list(element_ids), service_point_ids=list(service_point_ids), source_system=source_system,
        source_ref=source_ref, note=note, **facts,
    )  # fmt: skip


def _complete_place(facts: dict[str, Any], elements: list[GridElement], *, is_single: bool) -> None:
    device = elements[0] if elements else None
    if not facts.get("origin"):
        default = FaultOrigin.LOW_VOLTAGE if is_single else FaultOrigin.DISTRIBUTION
        facts["origin"] = _ORIGIN_OF.get(device.kind, default) if device else default
    if not facts.get("level"):
        facts["level"] = OutageLevel.SERVICE if is_single else _LEVEL_OF[facts["origin"]]
    facts.setdefault("element_id", device.pk if device else None)
    if not facts.get("place"):
        facts.pop("place", None)


def _complete_reason(facts: dict[str, Any]) -> None:
    """What customers are told follows from the cause class, unless the dispatcher words it."""
    if facts.get("cause_class") and not facts.get("public_reason_zh") and not facts.get("public_reason_en"):
        facts["public_reason_zh"], facts["public_reason_en"] = public_reason(facts["cause_class"])


def _complete_estimate(
    facts: dict[str, Any],
    elements: list[GridElement],
    service_point_ids: Collection[int],
    *,
    is_confirmed: bool,
    now: datetime,
) -> None:
    """A first estimate lies ahead and says who gave it; without one there is a time for the next news."""
    news = facts.get("next_update_by")
    if news is not None and timezone.is_aware(news) and news <= now:
        raise BadTime(_("The next update must lie in the future."), field="next_update_by")
    if facts.get("etr") is None:
        for name in ("etr", "etr_source", "etr_reason", "etr_confidence"):
            facts.pop(name, None)
        if is_confirmed and facts.get("next_update_by") is None:
            point = ServicePoint.objects.select_related("branch").filter(pk__in=service_point_ids).first()
            branch = elements[0].branch if elements else point.branch if point else None
            if branch is not None:
                facts["next_update_by"] = standards.pack(branch.rule_pack).estimate.next_update.after(now)
        return
    if timezone.is_aware(facts["etr"]) and facts["etr"] <= now:
        raise BadTime(_("An estimate must lie in the future."), field="etr")
    facts["etr_source"] = facts.get("etr_source") or EtrSource.OPERATOR
    facts["etr_confidence"] = facts.get("etr_confidence") or CONFIDENCE_OF.get(facts["etr_source"], "")


# --- the fault's course -----------------------------------------------------------------------------


def fault_confirm(
    *,
    outage_id: int,
    actor: Actor,
    started_at: datetime | None = None,
    element_ids: Collection[int] = (),
    expected_version: int | None = None,
    **facts: Any,
) -> Outage:
    """A person, crew or telemetry vouches for a suspected fault; from then on reports no longer move it.

    ``element_ids`` name the device when it turned out to lie higher than the reports suggested.
    """
    with transaction.atomic(durable=True):
        outage = fault_locked(outage_id, expected_version=expected_version)
        codes_check(facts)
        _complete_reason(facts)
        if not outage.etr and facts.get("next_update_by") is None:
            facts["next_update_by"] = standards.pack(outage.rule_pack).estimate.next_update.after(timezone.now())
        if element_ids:
            outage_transition(
                outage_id=outage_id, action="change_extent", actor=actor, add_element_ids=list(element_ids),
                element_id=next(iter(element_ids)),
            )  # fmt: skip
        return outage_transition(
            outage_id=outage_id, action="start", actor=actor, started_at=started_at or timezone.now(), **facts
        )


def fault_set_etr(
    *,
    outage_id: int,
    actor: Actor,
    etr: datetime | None,
    etr_source: str = EtrSource.OPERATOR,
    etr_reason: str = "",
    etr_confidence: str = "",
    next_update_by: datetime | None = None,
    expected_version: int | None = None,
) -> Outage:
    """Say when supply will be back, who says so and why; or until when there will be news."""
    if etr is not None and not etr_confidence:
        etr_confidence = CONFIDENCE_OF.get(etr_source, "")
    return _act(
        "set_etr", outage_id, actor, expected_version, etr=etr, etr_source=etr_source, etr_reason=etr_reason,
        etr_confidence=etr_confidence, next_update_by=next_update_by,
    )  # fmt: skip


def fault_restore_part(
    *,
    outage_id: int,
    actor: Actor,
    at: datetime,
    element_ids: Collection[int] = (),
    service_point_ids: Collection[int] = (),
    expected_version: int | None = None,
    note: str = "",
) -> Outage:
    """Supply is back below some elements, or for single customers."""
    return _act(
        "restore_part", outage_id, actor, expected_version, at=at, element_ids=list(element_ids),
        service_point_ids=list(service_point_ids), note=note,
    )  # fmt: skip


def fault_restore(
    *, outage_id: int, actor: Actor, restored_at: datetime, expected_version: int | None = None, note: str = ""
) -> Outage:
    """Supply is back everywhere."""
    return _act("restore", outage_id, actor, expected_version, restored_at=restored_at, note=note)


def fault_close(
    *,
    outage_id: int,
    actor: Actor,
    cause_class: str,
    cause_code: str,
    equipment_code: str,
    remedy_code: str,
    cause_text: str = "",
    expected_version: int | None = None,
    note: str = "",
) -> Outage:
    """The record is complete: what it was, what was damaged, what was done."""
    words = {"cause_text": cause_text} if cause_text else {}
    return _act(
        "close", outage_id, actor, expected_version, cause_class=cause_class, cause_code=cause_code,
        equipment_code=equipment_code, remedy_code=remedy_code, note=note, **words,
    )  # fmt: skip


def fault_dismiss(*, outage_id: int, actor: Actor, reason: str, expected_version: int | None = None) -> Outage:
    """There is no fault of ours: in the house, arrears, or power is on."""
    return _act("cancel", outage_id, actor, expected_version, reason=reason.strip())


def fault_merge(*, outage_id: int, survivor_id: int, actor: Actor, expected_version: int | None = None) -> Outage:
    """Two records are one fault: places, reports and crews go on with the survivor."""
    Fault.objects.get(outage_id=outage_id)  # another kind has no business here
    return outage_merge(outage_id=outage_id, survivor_id=survivor_id, actor=actor, expected_version=expected_version)


def fault_note(*, outage_id: int, actor: Actor, text: str) -> None:
    """Write a remark into the history."""
    outage_note(outage_id=outage_id, actor=actor, text=text)


def fault_locked(outage_id: int, *, expected_version: int | None = None) -> Outage:
    """The fault's outage under its row lock, as the caller saw it. Raises ``NotFound`` or ``Conflict``."""
    outage = outage_lock(outage_id)
    if outage.kind != OutageKind.FAULT:
        raise NotFound()
    if expected_version is not None and expected_version != outage.version:
        raise Conflict(field="version")
    return outage


def _act(action: str, outage_id: int, actor: Actor, expected_version: int | None, **facts: Any) -> Outage:
    with transaction.atomic(durable=True):
        fault_locked(outage_id, expected_version=expected_version)
        return outage_transition(outage_id=outage_id, action=action, actor=actor, **facts)


# --- crews ------------------------------------------------------------------------------------------


def crew_assign(
    *, outage_id: int, crew_id: int, actor: Actor, expected_version: int | None = None, note: str = ""
) -> CrewAssignment:
    """Send a crew; a fault may have several. Sending the same one twice finds the first."""
    with transaction.atomic(durable=True):
        outage = fault_locked(outage_id, expected_version=expected_version)
        policies.require(actor=actor, action="assign", outage=outage)
        if outage.status not in OPEN:
            raise IllegalTransition(action="assign", current=outage.status)
        crew = Crew.objects.filter(pk=crew_id, is_active=True).first()
        if crew is None:
            raise NotFound(field="crew")
        fault = Fault.objects.get(outage=outage)
        there = CrewAssignment.objects.filter(fault=fault, crew=crew).exclude(state=CrewState.RELEASED).first()
        if there is not None and there.state != CrewState.AWAITING:
            return there
        if there is None:
            there = CrewAssignment.objects.create(fault=fault, crew=crew, assigned_at=timezone.now())
        else:
            there.state, there.reason, there.assigned_at = CrewState.ASSIGNED, "", timezone.now()
            there.save(update_fields=["state", "reason", "assigned_at"])
        _crew_record(outage, there, actor=actor, verb="crew_assigned", note=note)
        return there


def crew_state_set(
    *,
    assignment_id: int,
    state: str,
    actor: Actor,
    at: datetime | None = None,
    reason: str = "",
    expected_version: int | None = None,
) -> CrewAssignment:
    """A crew is on its way, has arrived, works, is done; or is taken off, with the reason."""
    with transaction.atomic(durable=True):
        outage_id = CrewAssignment.objects.filter(pk=assignment_id).values_list("fault__outage", flat=True).first()
        if outage_id is None:
            raise NotFound(field="assignment")
        outage = fault_locked(outage_id, expected_version=expected_version)
        policies.require(actor=actor, action="assign", outage=outage)
        row = CrewAssignment.objects.select_related("crew").get(pk=assignment_id)
        lifecycle.crew_step(current=row.state, target=state, reason=reason)
        now = timezone.now()
        moment = at or now
        if moment > now + CLOCK_SLACK:
            raise BadTime(_("What has happened cannot lie in the future."), field="at")
        if moment < row.assigned_at:
            raise BadTime(_("A crew cannot be there before it was sent."), field="at")
        fields = ["state", "reason"]
        row.state, row.reason = CrewState(state), reason.strip()[:200]
        if state not in (CrewState.AWAITING, CrewState.ASSIGNED):
            setattr(row, f"{state}_at", moment)
            fields.append(f"{state}_at")
        row.save(update_fields=fields)
        _crew_record(outage, row, actor=actor, verb="crew_state", note=reason)
        return row


def _crew_record(outage: Outage, row: CrewAssignment, *, actor: Actor, verb: str, note: str) -> None:
    """A crew's step is a line of the history and changes what everybody has on screen."""
    outage.version += 1
    outage.updated_at = timezone.now()
    outage.save(update_fields=["version", "updated_at"])
    after = {"crew": row.crew.code, "crew_name": row.crew.name, "crew_state": row.state}
    outage_record(outage=outage, verb=verb, actor=actor, after=after, note=note)
