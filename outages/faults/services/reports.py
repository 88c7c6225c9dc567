"""Trouble reports: each joins the outage that already covers its place, or opens a suspected one.

One report and a thousand go the same way, set by set. Reports about one transformer wait for each other (an
advisory lock per element), so two first callers never open two outages; the outages they join are locked in the
order of their keys before anything is written.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.actor import Actor
from grid.models import Branch, GridElement, ServicePoint
from outages import policies
from outages.events import require_transaction
from outages.extent import BadTime
from outages.faults.models import ReportChannel, TroubleReport
from outages.faults.selectors import Spot, outages_covering, outages_lately, suspicions_beside
from outages.faults.services.course import fault_create
from outages.faults.services.suspicions import Line, Suspicion, history_append, suspicions_open, suspicions_widen
from outages.models import Outage
from outages.services import CLOCK_SLACK, EARLIEST, NoPlace
from standards.errors import DomainError, NotFound

LOCK_CLASS: Final = 0x0F41  # of the advisory locks below; any constant of our own
ROLL_UP: Final = "trouble reports"  # who joins reports into one suspicion, as it stands in the history


@dataclass(frozen=True)
class ReportRequest:
    """What a caller, a meter or another system says."""

    service_point_id: int | None = None
    element_id: int | None = None
    place: str = ""
    branch_id: int | None = None  # only for a place in words
    channel: str = ReportChannel.AGENT
    source: str = ""
    external_id: str = ""
    caller_name: str = ""
    caller_phone: str = ""
    wants_callback: bool = False
    wire_down: bool = False
    fire: bool = False
    shock: bool = False
    flicker: bool = False
    note: str = ""
    reported_at: datetime | None = None


@dataclass
class ReportOutcome:
    """What became of one report."""

    action: str = ""  # joined | opened | extended | unplaced | repeated | refused
    report: TroubleReport | None = None
    outage: Outage | None = None
    restored_outage: Outage | None = None
    error: DomainError | None = None

    @property
    def still_out(self) -> bool:
        return self.report is not None and self.report.still_out


def report_create(*, actor: Actor, request: ReportRequest) -> ReportOutcome:
    """Take one report. The same external id of one source finds the first. Raises ``DomainError``."""
    with transaction.atomic(durable=True):
        return report_add(actor=actor, request=request)


def report_add(*, actor: Actor, request: ReportRequest) -> ReportOutcome:
    """``report_create`` inside the caller's transaction (a call that is logged with it)."""
    outcome = _take([request], actor)[0]
    if outcome.error is not None:
        raise outcome.error
    return outcome


def reports_create_batch(*, actor: Actor, requests: Sequence[ReportRequest]) -> list[ReportOutcome]:
    """Take many reports, each with its own outcome; what is refused stops no other."""
    try:
        with transaction.atomic(durable=True):
            return _take(requests, actor)
    except IntegrityError:  # the same external ids came in twice at one moment: now the first are there to be found
        with transaction.atomic(durable=True):
            return _take(requests, actor)


# --- taking -----------------------------------------------------------------------------------------


@dataclass
class _Item:
    request: ReportRequest
    outcome: ReportOutcome = field(default_factory=ReportOutcome)
    spot: Spot | None = None
    branch: Branch | None = None
    point: ServicePoint | None = None

    @property
    def is_open(self) -> bool:
        return not self.outcome.action


def _take(requests: Sequence[ReportRequest], actor: Actor) -> list[ReportOutcome]:
    require_transaction()
    items = [_Item(request) for request in requests]
    _place(items)
    _check(items, actor)
    _lock_elements(items)
    _find_repeated(items)
    placed = [item for item in items if item.is_open and item.spot is not None]
    covering, beside, outages = _settle([item.spot for item in placed if item.spot])
    free = [item for item in placed if item.spot not in covering]
    lately = outages_lately([item.spot for item in free if item.spot], at=timezone.now())
    if lately:
        outages |= Outage.objects.in_bulk(set(lately.values()) - set(outages))
    for item in placed:
        if item.spot in covering:
            item.outcome.action, item.outcome.outage = "joined", outages[covering[item.spot]]
    for item in free:
        if item.spot in lately:
            item.outcome.restored_outage = outages[lately[item.spot]]
    _open_or_extend(free, beside, outages, actor)
    _write(items, actor)
    _record(items, actor)
    return [item.outcome for item in items]


def _place(items: Iterable[_Item]) -> None:
    """Which element each report is about, and whose it is."""
    wanted = {i.request.service_point_id for i in items if i.request.service_point_id is not None}
    points = ServicePoint.objects.only("element_id", "branch_id", "address").in_bulk(wanted) if wanted else {}
    named = {i.request.element_id for i in items if i.request.element_id is not None}
    elements = GridElement.objects.only("branch_id").in_bulk(named) if named else {}
    branches = Branch.objects.in_bulk(
        {point.branch_id for point in points.values()}
        | {element.branch_id for element in elements.values()}
        | {i.request.branch_id for i in items if i.request.branch_id is not None}
    )
    for known in points.values():
        known.branch = branches[known.branch_id]  # one object for all of a branch
    for item in items:
        asked = item.request
        if asked.service_point_id is not None:
            point = points.get(asked.service_point_id)
            if point is not None:
                item.spot, item.branch, item.point = Spot(point.element_id, point.pk), point.branch, point
        elif asked.element_id is not None:
            element = elements.get(asked.element_id)
            if element is not None:
                item.spot, item.branch = Spot(element.pk), branches[element.branch_id]
        elif asked.branch_id is not None:
            item.branch = branches.get(asked.branch_id)


def _check(items: Iterable[_Item], actor: Actor) -> None:
    horizon = timezone.now() + CLOCK_SLACK
    for item in items:
        try:
            _check_one(item, actor, horizon)
        except DomainError as refusal:
            item.outcome.action, item.outcome.error = "refused", refusal


def _check_one(item: _Item, actor: Actor, horizon: datetime) -> None:
    asked = item.request
    if asked.channel not in ReportChannel.values:
        raise NotFound(field="channel")
    if asked.service_point_id is None and asked.element_id is None and not asked.place.strip():
        raise NoPlace(field="service_point")
    if item.branch is None:
        raise NotFound(field="branch" if asked.place and item.spot is None else "service_point")
    policies.require_open(actor=actor, action="suspect", branch=item.branch)
    if asked.reported_at is not None and (timezone.is_naive(asked.reported_at) or asked.reported_at > horizon):
        raise BadTime(_("What has happened cannot lie in the future."), field="reported_at")
    if asked.reported_at is not None and asked.reported_at < EARLIEST:
        raise BadTime(_("This is too long ago."), field="reported_at")


def _lock_elements(items: Iterable[_Item]) -> None:
    """From here on no other report opens or extends anything on these elements until we commit."""
    ids = sorted({item.spot.element_id for item in items if item.spot and item.is_open})
    if ids:
        with connection.cursor() as db:
            db.execute(
                "SELECT pg_advisory_xact_lock(%s, (id %% 2147483647)::int) FROM unnest(%s::bigint[]) AS id",
                [LOCK_CLASS, ids],
            )


def _find_repeated(items: Iterable[_Item]) -> None:
    """What this source has sent before, earlier or in this very batch, is answered as the first time."""
    named = {(i.request.source, i.request.external_id): i for i in items if i.request.external_id and i.is_open}
    if not named:
        return
    known = {
        (report.source, report.external_id): report
        for report in TroubleReport.objects.filter(
            source__in={source for source, _id in named}, external_id__in=[key for _source, key in named]
        ).select_related("outage", "restored_outage")
    }
    seen: set[tuple[str, str]] = set()
    for item in items:
        key = (item.request.source, item.request.external_id)
        if not item.is_open or not key[1]:
            continue
        if key in known:
            report = known[key]
            item.outcome.action, item.outcome.report = "repeated", report
            item.outcome.outage, item.outcome.restored_outage = report.outage, report.restored_outage
        elif key in seen:
            item.outcome.action = "repeated"  # its report follows in _write
        seen.add(key)


def _settle(spots: Sequence[Spot]) -> tuple[dict[Spot, int], dict[Spot, int], dict[int, Outage]]:
    """What covers each place, whose suspicion is next door, and all those outages, locked."""
    outages: dict[int, Outage] = {}
    while True:
        covering = outages_covering(spots)
        beside = suspicions_beside([spot for spot in spots if spot not in covering and spot.service_point_id])
        fresh = {*covering.values(), *beside.values()} - set(outages)
        if not fresh:
            return covering, beside, outages
        # ordered, so two batches cannot wait for each other; found again afterwards, as they may have ended meanwhile
        locked = Outage.objects.select_for_update(no_key=True, of=("self",)).filter(pk__in=fresh)
        outages |= {outage.pk: outage for outage in locked.order_by("pk")}


def _open_or_extend(items: Sequence[_Item], beside: dict[Spot, int], outages: dict[int, Outage], actor: Actor) -> None:
    """One report suspects its own premises; a second one on the same transformer suspects the whole area."""
    groups: dict[int, list[_Item]] = defaultdict(list)
    for item in items:
        if item.spot is not None:
            groups[item.spot.element_id].append(item)
    if not groups:
        return
    elements = GridElement.objects.select_related("branch").in_bulk(groups)
    opening: list[tuple[Suspicion, list[_Item]]] = []
    widening: list[tuple[Outage, GridElement, str]] = []
    for element_id, group in sorted(groups.items()):
        element = elements[element_id]
        neighbour = next((beside[i.spot] for i in group if i.spot in beside), None)
        if neighbour is not None:
            widening.append((outages[neighbour], element, _roll_up_note(element)))
            _belong(group, outages[neighbour], "extended")
        elif any(item.point is None for item in group):
            _belong(group, _suspect_below(group, element, actor), "opened")
        else:
            opening.append((_suspicion(group, element), group))
    suspicions_widen(widened=widening, actor=Actor.system(ROLL_UP))
    opened = suspicions_open(suspicions=[suspicion for suspicion, _group in opening], actor=actor)
    for outage, (_suspected, group) in zip(opened, opening, strict=True):
        _belong(group, outage, "opened")


def _belong(group: Sequence[_Item], outage: Outage, action: str) -> None:
    """The first report of a group did it, the others joined."""
    for item in group:
        item.outcome.outage, item.outcome.action = outage, action
        action = "joined"


def _suspicion(group: Sequence[_Item], element: GridElement) -> Suspicion:
    points = {item.point.pk: item.point for item in group if item.point}
    if len(points) > 1:
        return Suspicion(element, None, _why(group) or _roll_up_note(element))
    return Suspicion(element, next(iter(points.values())), _why(group) or _("From a trouble report."))


def _suspect_below(group: Sequence[_Item], element: GridElement, actor: Actor) -> Outage:
    """Somebody names a piece of the network: everything that it feeds is suspected, ties and all."""
    note = _why(group) or _("From a trouble report.")
    return fault_create(actor=actor, is_confirmed=False, element_ids=[element.pk], source_system="", note=note)


def _why(group: Sequence[_Item]) -> str:
    restored = next((item.outcome.restored_outage for item in group if item.outcome.restored_outage), None)
    if restored is None:
        return ""
    return _("Still off after %(reference)s was restored.") % {"reference": restored.reference}


def _roll_up_note(element: GridElement) -> str:
    return _("A second report on %(element)s: the whole area is suspected.") % {"element": element}


# --- writing ----------------------------------------------------------------------------------------


def _write(items: Sequence[_Item], actor: Actor) -> None:
    now = timezone.now()
    new = [item for item in items if item.is_open or item.outcome.action in ("joined", "opened", "extended")]
    reports = TroubleReport.objects.bulk_create([_report_of(item, actor, now) for item in new])
    by_key = {}
    for item, report in zip(new, reports, strict=True):
        item.outcome.report = report
        item.outcome.action = item.outcome.action or "unplaced"
        by_key[(report.source, report.external_id)] = item.outcome
    for item in items:
        if item.outcome.action == "repeated" and item.outcome.report is None:
            first = by_key[(item.request.source, item.request.external_id)]
            item.outcome.report, item.outcome.outage = first.report, first.outage


def _report_of(item: _Item, actor: Actor, now: datetime) -> TroubleReport:
    asked = item.request
    return TroubleReport(
        outage=item.outcome.outage,
        restored_outage=item.outcome.restored_outage,
        branch=item.branch,
        service_point_id=asked.service_point_id,
        element_id=None if asked.service_point_id is not None else asked.element_id,
        place=asked.place.strip()[:254],
        channel=asked.channel,
        source=asked.source,
        external_id=asked.external_id,
        caller_name=asked.caller_name[:128],
        caller_phone=asked.caller_phone[:32],
        wants_callback=asked.wants_callback,
        wire_down=asked.wire_down,
        fire=asked.fire,
        shock=asked.shock,
        flicker=asked.flicker,
        still_out=item.outcome.restored_outage is not None,
        note=asked.note,
        reported_at=asked.reported_at or now,
        actor_kind=actor.kind,
        actor_name=actor.name,
    )


def _record(items: Collection[_Item], actor: Actor) -> None:
    """One line in the history of each outage that got reports now, however many; dangers are counted apart."""
    outages: dict[int, Outage] = {}
    touched: dict[int, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for item in items:
        report, outage = item.outcome.report, item.outcome.outage
        if report is None or outage is None or item.outcome.action == "repeated":
            continue
        outages[outage.pk] = outage
        counts = touched[outage.pk]
        counts["new_reports"] += 1
        counts["still_out"] += report.still_out
        counts["dangers"] += report.wire_down or report.fire or report.shock
    history_append(
        [
            Line(outages[pk], "report", {name: n for name, n in counts.items() if n}, {})
            for pk, counts in sorted(touched.items())
        ],
        actor,
    )
