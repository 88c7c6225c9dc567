"""Everything that changes an outage. Public verbs open the transaction; one function writes the status."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.db import IntegrityError, connection, transaction
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

import standards
from accounts.actor import Actor
from grid import topology
from grid.models import Branch, GridElement, ServicePoint
from outages import events, extent, impact, kinds, lifecycle, policies
from outages.extent import BadTime
from outages.models import EtrSource, Outage, OutageEvent, OutageNumber, OutageStatus
from standards.errors import Conflict, DomainError, NotFound

EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)  # older than any record a site would bring along; a slip of the year
CLOCK_SLACK: Final = timedelta(minutes=5)  # a watch beside the switch may run ahead of ours
ETR_RANK: Final = {"": 0, EtrSource.SYSTEM: 1, EtrSource.OPERATOR: 2, EtrSource.CREW: 3}

# facts that an action may write straight onto the record
FACT_FIELDS: Final = (
    "level", "place", "cause_class", "cause_code", "cause_text", "public_reason_zh", "public_reason_en",
    "planned_start", "planned_end", "started_at", "restored_at",
    "etr", "etr_source", "etr_confidence", "etr_reason", "next_update_by",
)  # fmt: skip
COUNT_FIELDS: Final = ("customers_affected", "customers_out", "critical_out", "load_kw")
LOGGED_FIELDS: Final = ("status", *FACT_FIELDS, *COUNT_FIELDS, "etr_changes", "is_void")


class NothingOff(DomainError):
    code = "not_off"
    status = 409
    message = _("Nothing of this is off in this outage.")


class NoPlace(DomainError):
    code = "no_place"
    message = _("Name at least one piece of the network or one service point.")


class EtrOutranked(DomainError):
    code = "etr_outranked"
    status = 409
    message = _("The estimate of the crew or operator stands; a weaker source cannot replace it.")


# --- opening ----------------------------------------------------------------------------------------


def outage_open(
    *,
    kind: str,
    action: str,
    actor: Actor,
    element_ids: Collection[int] = (),
    service_point_ids: Collection[int] = (),
    source_system: str = "",
    source_ref: str = "",
    note: str = "",
    **facts: Any,
) -> Outage:
    """Enter an outage into the record: suspected, scheduled, or off right now (``action`` suspect, schedule, start).

    Everyone who hangs on ``element_ids``, by the network as it is switched now, is counted at once. The same
    (source system, reference) finds the first record while it is open. Raises ``DomainError``.
    """
    with transaction.atomic(durable=True):
        return outage_create(
            kind=kind, action=action, actor=actor, element_ids=element_ids, service_point_ids=service_point_ids,
            source_system=source_system, source_ref=source_ref, note=note, **facts,
        )  # fmt: skip


def outage_create(
    *,
    kind: str,
    action: str,
    actor: Actor,
    element_ids: Collection[int] = (),
    service_point_ids: Collection[int] = (),
    source_system: str = "",
    source_ref: str = "",
    note: str = "",
    place_ids: Collection[int] | None = None,
    **facts: Any,
) -> Outage:
    """``outage_open`` inside the caller's transaction (a kind that writes its own record with it).

    ``place_ids`` are the elements it takes where that was settled before (a frozen list of a published plan);
    otherwise the network as it is switched now decides.
    """
    events.require_transaction()
    rule = lifecycle.rule_for(action=action, status=lifecycle.NEW, facts=facts)
    branch, feeder, place = _whereabouts(element_ids, service_point_ids)
    handler = kinds.handler_for(kind)
    policies.require_open(actor=actor, action=action, branch=branch, also=handler.also_by.get(action, ()))
    _check_times(facts, started_at=None)
    if source_ref:
        twin = _open_twin(source_system, source_ref)
        if twin is not None:
            return twin
    pack = standards.pack(branch.rule_pack)
    outage = Outage(
        reference=references_take(prefix=handler.prefix, branch=branch)[0],
        kind=kind,
        status=rule.target,
        branch=branch,
        feeder=feeder,
        is_public=handler.is_public,
        source_system=source_system,
        source_ref=source_ref,
        rule_pack=f"{pack.name}@{pack.version}",
        **{"place": place, **_writable(facts)},
    )
    if outage.etr is not None or outage.next_update_by is not None:
        outage.etr_set_at = timezone.now()
    handler.may(outage, action, actor, facts)
    try:
        with transaction.atomic():  # only the race for (source system, reference) may fail here
            outage.save(force_insert=True)
    except IntegrityError:
        twin = _open_twin(source_system, source_ref) if source_ref else None
        if twin is None:
            raise
        return twin
    outage.elements.set(element_ids)
    extent.rows_add(
        outage,
        element_ids=topology.isolated_by(element_ids) if place_ids is None else place_ids,
        service_point_ids=service_point_ids,
        off_since=facts["started_at"] if rule.target == OutageStatus.ACTIVE else None,
    )
    counts_refresh(outage)
    event = events.event_append(
        outage=outage, verb=action, actor=actor, after=outage_facts(outage), note=note, source=source_system,
        is_public=rule.is_public,
    )  # fmt: skip
    handler.after(outage, event, dict(facts))
    events.announce_on_commit(event)
    return outage


def _open_twin(source_system: str, source_ref: str) -> Outage | None:
    return (
        Outage.objects.filter(source_system=source_system, source_ref=source_ref)
        .exclude(status__in=[OutageStatus.CLOSED, OutageStatus.CANCELLED])
        .first()
    )


def _whereabouts(
    element_ids: Collection[int], service_point_ids: Collection[int]
) -> tuple[Branch, GridElement | None, str]:
    """The branch that owns the outage, its feeder if it has one, and words for the place."""
    elements = list(GridElement.objects.filter(pk__in=element_ids).select_related("branch", "feeder").order_by("pos"))
    points = list(ServicePoint.objects.filter(pk__in=service_point_ids).select_related("branch", "element__feeder"))
    if len(elements) != len(set(element_ids)) or len(points) != len(set(service_point_ids)):
        raise NotFound(field="elements")
    if elements:
        feeders = {element.feeder for element in elements}
        name = "、".join(str(element) for element in elements[:3])
        return elements[0].branch, feeders.pop() if len(feeders) == 1 else None, name[:200]
    if points:
        return points[0].branch, points[0].element.feeder, points[0].address[:200]
    raise NoPlace(field="elements")


def references_take(*, prefix: str, branch: Branch, count: int = 1) -> list[str]:
    """The next ``count`` public references of a prefix, in the year of the branch's own clock: F-2026-000123."""
    year = timezone.now().astimezone(ZoneInfo(branch.time_zone)).year
    with connection.cursor() as db:
        db.execute(
            f"""
            INSERT INTO {OutageNumber._meta.db_table} (prefix, year, number) VALUES (%(prefix)s, %(year)s, %(count)s)
            ON CONFLICT (prefix, year) DO UPDATE SET number = outages_outagenumber.number + %(count)s RETURNING number
            """,  # noqa: S608 - a table name of ours
            {"prefix": prefix, "year": year, "count": count},
        )
        last = db.fetchone()[0]
    return [f"{prefix}-{year}-{number:06d}" for number in range(last - count + 1, last + 1)]


# --- public verbs -----------------------------------------------------------------------------------


def outage_start(*, outage_id: int, actor: Actor, started_at: datetime, **facts: Any) -> Outage:
    """Supply is off: a suspicion is confirmed, or scheduled work has switched off."""
    return _verb("start", outage_id, actor, started_at=started_at, **facts)


def outage_reschedule(
    *, outage_id: int, actor: Actor, planned_start: datetime, planned_end: datetime, reason: str, **facts: Any
) -> Outage:
    """The announced window moves."""
    return _verb(
        "reschedule", outage_id, actor, planned_start=planned_start, planned_end=planned_end, reason=reason, **facts
    )


def outage_notified(*, outage_id: int, actor: Actor) -> Outage:
    """Everybody whom a scheduled outage concerns has a message on its way. Said again, it changes nothing.

    It can be said anew once the window has moved or more of the network has joined.
    """
    with transaction.atomic(durable=True):
        outage = _locked(outage_id)
        if _last_verb(outage, "schedule", "reschedule", "change_extent", "notify") == "notify":
            return outage
        return outage_transition(outage_id=outage_id, action="notify", actor=actor)


def outage_extend(*, outage_id: int, actor: Actor, planned_end: datetime, reason: str, **facts: Any) -> Outage:
    """Work takes longer than announced."""
    return _verb("extend", outage_id, actor, planned_end=planned_end, reason=reason, **facts)


def outage_set_etr(
    *,
    outage_id: int,
    actor: Actor,
    etr: datetime | None,
    etr_source: str,
    etr_reason: str = "",
    etr_confidence: str = "",
    next_update_by: datetime | None = None,
    **facts: Any,
) -> Outage:
    """Somebody says when supply will be back, or until when there will be news if that is not known."""
    return _verb(
        "set_etr", outage_id, actor, etr=etr, etr_source=etr_source, etr_reason=etr_reason,
        etr_confidence=etr_confidence, next_update_by=next_update_by, **facts,
    )  # fmt: skip


def outage_change_extent(
    *,
    outage_id: int,
    actor: Actor,
    add_element_ids: Collection[int] = (),
    add_service_point_ids: Collection[int] = (),
    at: datetime | None = None,
    **facts: Any,
) -> Outage:
    """More of the network turns out to be off than was known."""
    return _verb(
        "change_extent", outage_id, actor, add_element_ids=add_element_ids,
        add_service_point_ids=add_service_point_ids, at=at, **facts,
    )  # fmt: skip


def outage_restore_part(
    *,
    outage_id: int,
    actor: Actor,
    at: datetime,
    element_ids: Collection[int] = (),
    service_point_ids: Collection[int] = (),
    **facts: Any,
) -> Outage:
    """Supply is back below some elements, or for single customers; the last part restores the whole."""
    return _verb(
        "restore_part", outage_id, actor, at=at, element_ids=element_ids, service_point_ids=service_point_ids, **facts
    )


def outage_restore(*, outage_id: int, actor: Actor, restored_at: datetime, **facts: Any) -> Outage:
    """Supply is back everywhere this outage had taken it."""
    return _verb("restore", outage_id, actor, restored_at=restored_at, **facts)


def outage_reopen(*, outage_id: int, actor: Actor, reason: str, at: datetime | None = None, **facts: Any) -> Outage:
    """Supply is off again where it was restored last."""
    return _verb("reopen", outage_id, actor, reason=reason, at=at or timezone.now(), **facts)


def outage_close(*, outage_id: int, actor: Actor, cause_class: str, **facts: Any) -> Outage:
    """The record is complete."""
    return _verb("close", outage_id, actor, cause_class=cause_class, **facts)


def outage_cancel(*, outage_id: int, actor: Actor, reason: str, **facts: Any) -> Outage:
    """It will not happen, or was only suspected."""
    return _verb("cancel", outage_id, actor, reason=reason, **facts)


def outage_void(*, outage_id: int, actor: Actor, reason: str, **facts: Any) -> Outage:
    """Entered in error: kept in the history, never counted."""
    return _verb("void", outage_id, actor, reason=reason, **facts)


def outage_merge(*, outage_id: int, survivor_id: int, actor: Actor, **facts: Any) -> Outage:
    """Two records are one event: the survivor takes over every place, the other one ends."""
    with transaction.atomic(durable=True):
        # both rows are locked in the order of their keys, so two opposite merges cannot deadlock
        pair = list(
            Outage.objects.select_for_update(no_key=True, of=("self",))
            .filter(pk__in=[outage_id, survivor_id])
            .order_by("pk")
        )
        if len(pair) != 2:
            raise NotFound(field="survivor")
        survivor = next(outage for outage in pair if outage.pk == survivor_id)
        return outage_transition(outage_id=outage_id, action="merge", actor=actor, survivor=survivor, **facts)


def outage_note(*, outage_id: int, actor: Actor, text: str, is_public: bool = False) -> OutageEvent:
    """Write a remark into the history."""
    if not text.strip():
        raise DomainError(_("A note needs words."), field="text")
    with transaction.atomic(durable=True):
        outage = _locked(outage_id)
        policies.require(actor=actor, action="note", outage=outage)
        event = events.event_append(outage=outage, verb="note", actor=actor, note=text.strip(), is_public=is_public)
        events.announce_on_commit(event)
        return event


def outage_record(*, outage: Outage, verb: str, actor: Actor, after: Mapping[str, Any], note: str = "") -> OutageEvent:
    """A kind's own step (a crew assigned, a report linked) as a line of the outage's history.

    Inside the caller's transaction, which holds the outage's row lock.
    """
    event = events.event_append(outage=outage, verb=verb, actor=actor, after=dict(after), note=note)
    events.announce_on_commit(event)
    return event


def _verb(action: str, outage_id: int, actor: Actor, **facts: Any) -> Outage:
    with transaction.atomic(durable=True):
        return outage_transition(outage_id=outage_id, action=action, actor=actor, **facts)


def _locked(outage_id: int) -> Outage:
    outage = (
        Outage.objects.select_for_update(no_key=True, of=("self",))
        .select_related("branch")
        .filter(pk=outage_id)
        .first()
    )
    if outage is None:
        raise NotFound()
    return outage


outage_lock = _locked


# --- the one transition -----------------------------------------------------------------------------


def outage_transition(
    *, outage_id: int, action: str, actor: Actor, note: str = "", source: str = "", expected_version: int | None = None,
    **facts: Any,
) -> Outage:  # fmt: skip
    """Apply one row of the transition table. The only writer of ``Outage.status``.

    Lock, re-read, check table, policy and kind, write, append the event, ring the bell on commit.
    ``expected_version`` is what the caller had on screen; a mismatch is a ``Conflict``.
    """
    events.require_transaction()
    outage = _locked(outage_id)
    if expected_version is not None and expected_version != outage.version:
        raise Conflict(field="version")
    if action == "restore_part":
        action, facts = _part_or_whole(outage, facts)
    rule = lifecycle.rule_for(action=action, status=outage.status, facts=facts)
    handler = kinds.handler_for(outage.kind)
    policies.require(actor=actor, action=action, outage=outage, also=handler.also_by.get(action, ()))
    _check_times(facts, started_at=outage.started_at)
    handler.may(outage, action, actor, facts)
    before = outage_facts(outage)
    _EFFECTS.get(action, _no_effect)(outage, facts)
    for name, value in _writable(facts).items():
        setattr(outage, name, value)
    if rule.target:
        outage.status = rule.target
    outage.version += 1
    outage.updated_at = timezone.now()
    outage.save(
        update_fields=[
            *FACT_FIELDS, "status", "version", "updated_at", "etr_set_at", "etr_changes", "closed_at", "merged_into",
            "is_void", "moved_from",
        ]
    )  # fmt: skip
    counts_refresh(outage)
    event = events.event_append(
        outage=outage, verb=action, actor=actor, source=source, note=note or str(facts.get("reason", "")),
        is_public=rule.is_public, **_difference(before, outage_facts(outage)),
    )  # fmt: skip
    handler.after(outage, event, facts)
    events.announce_on_commit(event)
    return outage


def _part_or_whole(outage: Outage, facts: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The last part to come back restores the whole outage."""
    if outage.status not in lifecycle.TRANSITIONS["restore_part"].sources or facts.get("at") is None:
        return "restore_part", facts  # the table refuses it with its own words
    places = extent.places_below(outage, facts.pop("element_ids", ()))
    points = set(facts.pop("service_point_ids", ()))
    still = extent.places_off(outage)
    named = {(place, None) for place in places} | {(None, point) for point in points}
    if still and still <= named:
        return "restore", {**facts, "restored_at": facts["at"]}
    return "restore_part", {**facts, "places": places, "points": points}


# --- what an action does to the rows ----------------------------------------------------------------


def _no_effect(outage: Outage, facts: dict[str, Any]) -> None:
    """The action only changes facts of the record."""


def _on_start(outage: Outage, facts: dict[str, Any]) -> None:
    extent.rows_start(outage, at=facts["started_at"])


def _on_reschedule(outage: Outage, facts: dict[str, Any]) -> None:
    outage.interruptions.update(planned=(facts["planned_start"], facts["planned_end"]))
    if outage.is_public:
        outage.moved_from = _window_left(outage, facts)


def _window_left(outage: Outage, facts: dict[str, Any]) -> DateTimeTZRange | None:
    """The window that people may still wait for: the one left now, unless nobody had been told of it yet."""
    left: DateTimeTZRange | None = outage.moved_from
    if left is None or _last_verb(outage, "schedule", "reschedule", "notify") == "notify":
        left = DateTimeTZRange(outage.planned_start, outage.planned_end)
    is_back = (left.lower, left.upper) == (facts["planned_start"], facts["planned_end"])
    return None if is_back else left


def _last_verb(outage: Outage, *verbs: str) -> str | None:
    """Which of these was done last."""
    return outage.events.filter(verb__in=verbs).order_by("-sequence").values_list("verb", flat=True).first()


def _on_extend(outage: Outage, facts: dict[str, Any]) -> None:
    if outage.planned_start is None:
        raise DomainError(_("Only planned work has an end that can be extended."), field="planned_end")
    if outage.planned_end is not None and facts["planned_end"] <= outage.planned_end:
        raise BadTime(_("The new end must be later than the old one."), field="planned_end")
    outage.interruptions.filter(planned__isnull=False).update(planned=(outage.planned_start, facts["planned_end"]))


def _on_set_etr(outage: Outage, facts: dict[str, Any]) -> None:
    etr, now = facts.get("etr"), timezone.now()
    if etr is None and facts.get("next_update_by") is None:
        raise BadTime(_("Say when supply will be back, or until when there will be news."), field="etr")
    if etr is not None and etr <= now:
        raise BadTime(_("An estimate must lie in the future."), field="etr")
    if facts.get("next_update_by") is not None and facts["next_update_by"] <= now:
        raise BadTime(_("The next update must lie in the future."), field="next_update_by")
    if facts["etr_source"] not in EtrSource.values:
        raise DomainError(_("Unknown source of the estimate."), field="etr_source")
    standing = outage.etr is not None and outage.etr > now
    if standing and ETR_RANK[facts["etr_source"]] < ETR_RANK[outage.etr_source]:
        raise EtrOutranked(field="etr_source")
    if outage.etr is not None and etr != outage.etr:
        outage.etr_changes += 1
    outage.etr_set_at = now
    facts.setdefault("etr", None)
    facts.setdefault("next_update_by", None)


def _on_change_extent(outage: Outage, facts: dict[str, Any]) -> None:
    elements, points = facts.get("add_element_ids", ()), facts.get("add_service_point_ids", ())
    if not elements and not points:
        raise NoPlace(field="elements")
    _whereabouts(elements, points)
    outage.elements.add(*elements)
    extent.rows_add(
        outage,
        element_ids=topology.isolated_by(elements),
        service_point_ids=points,
        off_since=(facts.get("at") or timezone.now()) if outage.is_off else None,
    )


def _on_restore_part(outage: Outage, facts: dict[str, Any]) -> None:
    at, places, points = facts["at"], facts["places"], facts["points"]
    ended = extent.rows_end(outage, at=at, element_ids=places) if places else 0
    if points:
        extent.rows_split(outage, points)
        ended += extent.rows_end(outage, at=at, service_point_ids=points)
    if not ended:
        raise NothingOff(field="elements")


def _on_restore(outage: Outage, facts: dict[str, Any]) -> None:
    extent.rows_end(outage, at=facts["restored_at"])


def _on_reopen(outage: Outage, facts: dict[str, Any]) -> None:
    """A place that was back and goes off again counts again: new rows, the old ones stay."""
    at = facts["at"]
    if outage.restored_at is not None and at < outage.restored_at:
        raise BadTime(_("It cannot be off again before it was restored."), field="at")
    extent.rows_repeat(outage, ended_at=outage.restored_at, at=at)
    outage.restored_at = None
    outage.etr = None


def _on_close(outage: Outage, facts: dict[str, Any]) -> None:
    outage.closed_at = timezone.now()


def _on_void(outage: Outage, facts: dict[str, Any]) -> None:
    outage.is_void = True
    extent.rows_disclaim(outage)


def _on_merge(outage: Outage, facts: dict[str, Any]) -> None:
    survivor: Outage = facts["survivor"]
    if survivor.pk == outage.pk or survivor.kind != outage.kind:
        raise DomainError(_("Choose another outage of the same kind as the survivor."), field="survivor")
    if survivor.status not in lifecycle.TRANSITIONS["merge"].sources:
        raise lifecycle.IllegalTransition(action="merge", current=survivor.status)
    if outage.is_off and not survivor.is_off:
        raise DomainError(_("Confirm the surviving outage first: the other one is known to be off."), field="survivor")
    extent.rows_hand_over(loser=outage, survivor=survivor)
    if survivor.is_off:
        # what was only suspected is now known to be part of it, since somebody first said so
        extent.rows_start(survivor, at=max(outage.created_at, survivor.started_at or outage.created_at))
    survivor.elements.add(*outage.elements.all())
    outage.merged_into = survivor
    if outage.started_at and survivor.started_at:
        survivor.started_at = min(outage.started_at, survivor.started_at)
    survivor.version += 1
    survivor.save(update_fields=["started_at", "version"])
    counts_refresh(survivor)


_EFFECTS: Final = {
    "start": _on_start,
    "reschedule": _on_reschedule,
    "extend": _on_extend,
    "set_etr": _on_set_etr,
    "change_extent": _on_change_extent,
    "restore_part": _on_restore_part,
    "restore": _on_restore,
    "reopen": _on_reopen,
    "close": _on_close,
    "void": _on_void,
    "merge": _on_merge,
}


# --- facts ------------------------------------------------------------------------------------------


def counts_refresh(outage: Outage) -> None:
    """Make the kept counts say what the interruptions say."""
    counts = impact.counts_by_rows(outage.pk).get(outage.pk) or dict.fromkeys(COUNT_FIELDS, 0)
    for name in COUNT_FIELDS:
        setattr(outage, name, counts[name])
    outage.save(update_fields=list(COUNT_FIELDS))


def _writable(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: facts[name] for name in FACT_FIELDS if name in facts}


def outage_facts(outage: Outage) -> dict[str, Any]:
    """The record's facts as they stand in the history: JSON, times in ISO 8601."""
    values = ((name, getattr(outage, name)) for name in LOGGED_FIELDS)
    return {name: v.isoformat() if isinstance(v, datetime) else v for name, v in values if v not in (None, "")}


def _difference(before: dict[str, Any], after: dict[str, Any]) -> dict[str, dict[str, Any]]:
    changed = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return {"before": {n: before.get(n) for n in changed}, "after": {n: after.get(n) for n in changed}}


def _check_times(facts: Mapping[str, Any], *, started_at: datetime | None) -> None:
    """Times carry a zone, run forward, and what has happened is not in the future."""
    for name in ("started_at", "restored_at", "at", "planned_start", "planned_end", "etr", "next_update_by"):
        value = facts.get(name)
        if value is not None and timezone.is_naive(value):
            raise BadTime(_("A time needs its zone."), field=name)
    horizon = timezone.now() + CLOCK_SLACK
    for name in ("started_at", "restored_at", "at"):
        value = facts.get(name)
        if value is not None and value > horizon:
            raise BadTime(_("What has happened cannot lie in the future."), field=name)
        if value is not None and value < EARLIEST:
            raise BadTime(_("This is too long ago."), field=name)
    start, end = facts.get("planned_start"), facts.get("planned_end")
    if start is not None and end is not None and end <= start:
        raise BadTime(_("The end must be later than the start."), field="planned_end")
    since = facts.get("started_at") or started_at
    for name in ("restored_at", "at"):
        value = facts.get(name)
        if value is not None and since is not None and value < since:
            raise BadTime(_("Supply cannot be back before it went off."), field=name)
