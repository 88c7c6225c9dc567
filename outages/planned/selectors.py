"""Reading plans and works. Every read for a person starts from ``periods_visible_to`` or ``works_visible_to``."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection
from django.db.models import Max, Min, Prefetch, Q, QuerySet
from django.db.models.functions import Length

from accounts.actor import Actor
from accounts.policies import actor_may
from accounts.scope import visible_to
from grid import topology
from grid.models import Branch, Customer, ElementKind, GridElement, Importance
from grid.topology import TransferOption
from outages import impact
from outages.models import Outage, OutageKind
from outages.planned.findings import Subject
from outages.planned.lifecycle import UNDECIDED
from outages.planned.models import (
    PlannedWork,
    PlanPeriod,
    PlanSheet,
    ScheduleLine,
    ScheduleRun,
    SheetState,
    WindowState,
    WorkPlace,
    WorkSketch,
    WorkState,
    WorkWindow,
)
from outages.selectors import outage_by_reference
from standards.errors import NotFound, UnknownCode

# who plans sees plans; everybody else sees what was published
_SEES_PLANS = ("plan.submit", "plan.endorse", "plan.approve", "outage.write", "audit.read")


def sees_plans(actor: Actor) -> bool:
    """Does this actor see what is still being planned?"""
    return any(actor_may(actor, capability) for capability in _SEES_PLANS)


def periods_visible_to(actor: Actor) -> QuerySet[PlanPeriod]:
    """The plans of the branches this actor may see."""
    if not sees_plans(actor):
        return PlanPeriod.objects.none()
    return visible_to(actor, PlanPeriod.objects.all()).select_related("branch")


def period_by_id(*, actor: Actor, period_id: int) -> PlanPeriod:
    """One plan; a foreign one and a missing one are the same ``NotFound``."""
    period = periods_visible_to(actor).filter(pk=period_id).first()
    if period is None:
        raise NotFound(field="period")
    return period


def periods_known(*, actor: Actor, ids: Collection[int]) -> set[int]:
    """Those of the ids that are plans this actor may see."""
    return set(periods_visible_to(actor).filter(pk__in=ids).values_list("pk", flat=True)) if ids else set()


def branch_to_plan(*, actor: Actor, code: str) -> Branch:
    """A branch for which this actor plans. Raises ``UnknownCode``."""
    branch = visible_to(actor, Branch.objects.all(), "plan.submit").filter(code=code).first()
    if branch is None:
        raise UnknownCode(field="branch", value=code)
    return branch


def works_visible_to(actor: Actor) -> QuerySet[PlannedWork]:
    """The works of the branches this actor may see: all of them for whoever plans, else what was published."""
    if not actor_may(actor, "outage.read"):
        return PlannedWork.objects.none()
    works = visible_to(actor, PlannedWork.objects.all()).select_related("branch", "period")
    return works if sees_plans(actor) else works.filter(published_at__isnull=False)


def works_in_full(actor: Actor) -> QuerySet[PlannedWork]:
    """The same with their windows and elements, in as many statements for one as for many."""
    return works_visible_to(actor).select_related("transfer_tie", "joint", "approved_by").prefetch_related(
        Prefetch("windows", WorkWindow.objects.select_related("outage__branch").order_by("starts_at")),
        Prefetch("elements", GridElement.objects.select_related("feeder").order_by("pos")),
    )  # fmt: skip


def work_by_reference(*, actor: Actor, reference: str) -> PlannedWork:
    """One work with its windows and elements; foreign is the same as missing. Raises ``NotFound``."""
    work = None if "\x00" in reference else works_in_full(actor).filter(reference=reference).first()
    if work is None:
        raise NotFound(field="reference")
    return work


def is_decided(work: PlannedWork) -> bool:
    """Has an outage, or ended without one."""
    return work.state not in UNDECIDED


def window_by_outage(outage: Outage) -> WorkWindow | None:
    """The window whose outage this is; a planned outage entered by hand has none."""
    return WorkWindow.objects.select_related("work__branch", "work__period").filter(outage=outage).first()


def window_by_reference(*, actor: Actor, reference: str) -> WorkWindow:
    """The window behind a planned outage's reference. Raises ``NotFound``."""
    outage = outage_by_reference(actor=actor, reference=reference)
    window = window_by_outage(outage) if outage.kind == OutageKind.PLANNED else None
    if window is None:
        raise NotFound(field="reference")
    return window


# --- a work that is being typed -----------------------------------------------------------------------

_FOUND_AT_MOST = 12


def elements_found(*, actor: Actor, text: str) -> list[GridElement]:
    """Pieces of the network in the branches the actor plans for, by code or name; an exact code is alone."""
    text = text.replace("\x00", "").strip()
    if not text:
        return []
    own = visible_to(actor, GridElement.objects.exclude(kind=ElementKind.NODE), "plan.submit").select_related("branch")
    exact = own.filter(code__iexact=text).first()
    if exact is not None:
        return [exact]
    return list(
        own.filter(Q(code__icontains=text) | Q(name__icontains=text)).order_by(Length("code"), "code")[:_FOUND_AT_MOST]
    )


def branch_of_elements(element_ids: Collection[int]) -> Branch | None:
    """The smallest branch that owns all of these elements."""
    ends = GridElement.objects.filter(pk__in=element_ids).aggregate(low=Min("branch__pos"), high=Max("branch__pos"))
    if ends["low"] is None:
        return None
    return Branch.objects.filter(pos__lte=ends["low"], last__gte=ends["high"]).order_by("-pos").first()


def sketch_unsent(*, actor: Actor, about: str) -> WorkSketch | None:
    """What this person typed last and did not send: into a new work, or into the work ``about``."""
    unsent = WorkSketch.objects.filter(author=actor.user_id, about=about, work__isnull=True)
    return unsent.exclude(typed={}).order_by("-at").first()


def sketch_by_token(*, actor: Actor, token: str) -> WorkSketch | None:
    """What this person typed into that form and did not send."""
    return WorkSketch.objects.filter(author=actor.user_id, token=token, work__isnull=True).first()


# --- what would be off ------------------------------------------------------------------------------


@dataclass(frozen=True)
class DraftImpact:
    """Who would be off while a work lasts, told from the network's normal state."""

    place_ids: tuple[int, ...]
    customers: int
    critical: int
    life_support: int
    load_kw: float
    important: tuple[Customer, ...]
    transfers: tuple[TransferOption, ...]


_TOTALS_SQL = """
SELECT coalesce(sum(e.own_customers), 0)::int, coalesce(sum(e.own_critical), 0)::int,
       coalesce(sum(e.own_load_kw), 0)::float8,
       (SELECT count(*) FROM grid_servicepoint s JOIN grid_customer c ON c.id = s.customer_id
        WHERE s.element_id = ANY(%(ids)s) AND c.importance = 'life_support')::int
FROM grid_gridelement e WHERE e.id = ANY(%(ids)s)
"""


def draft_impact(element_ids: Collection[int], *, with_customers: bool) -> DraftImpact:
    """Who would be off if these elements were opened; names only for whoever may see customers."""
    (places,) = topology.places_isolated_normally([element_ids])
    with connection.cursor() as db:
        db.execute(_TOTALS_SQL, {"ids": places})
        customers, critical, load_kw, life_support = db.fetchone()
    important = impact.important_customers(places) if with_customers and critical else []
    return DraftImpact(
        place_ids=tuple(places),
        customers=customers,
        critical=critical,
        life_support=life_support,
        load_kw=load_kw,
        important=tuple(important),
        transfers=tuple(topology.transfer_options(element_ids)) if element_ids else (),
    )


def important_of(work: PlannedWork) -> list[Customer]:
    """The important and life-support customers of a measured work, the most vulnerable first."""
    return list(
        Customer.objects.filter(service_points__element__in=work.work_places.values("element"))
        .exclude(importance=Importance.NORMAL)
        .distinct()
        .order_by("-importance", "account_number")[:200]
    )


# --- what the checks ask about ----------------------------------------------------------------------


def subjects_of(works: Sequence[PlannedWork]) -> list[Subject]:
    """Saved works as the checks see them, in three statements however many there are."""
    ids = [work.pk for work in works]
    windows: dict[int, list[tuple[datetime, datetime]]] = {pk: [] for pk in ids}
    standing = WorkWindow.objects.filter(work__in=ids).exclude(state=WindowState.CANCELLED)
    for work_id, starts_at, ends_at in standing.order_by("starts_at").values_list("work", "starts_at", "ends_at"):
        windows[work_id].append((starts_at, ends_at))
    elements: dict[int, list[int]] = {pk: [] for pk in ids}
    through = PlannedWork.elements.through.objects.filter(plannedwork__in=ids)
    for work_id, element_id in through.order_by("gridelement").values_list("plannedwork", "gridelement"):
        elements[work_id].append(element_id)
    places: dict[int, list[int]] = {pk: [] for pk in ids}
    for work_id, element_id in WorkPlace.objects.filter(work__in=ids).values_list("work", "element"):
        places[work_id].append(element_id)
    children: dict[int, set[int]] = {pk: set() for pk in ids}
    for child_id, joint_id in PlannedWork.objects.filter(joint__in=ids).values_list("pk", "joint"):
        children[joint_id or 0].add(child_id)
    return [
        Subject(
            number=number,
            branch_id=work.branch_id,
            branch_pos=work.branch.pos,
            time_zone=work.branch.time_zone,
            rule_pack=work.branch.rule_pack,
            element_ids=tuple(elements[work.pk]),
            place_ids=tuple(places[work.pk]),
            windows=tuple(windows[work.pk]),
            work_class=work.work_class,
            temporary_reason=work.temporary_reason,
            live_line=work.live_line,
            transfer=work.transfer,
            transfer_tie_id=work.transfer_tie_id,
            work_id=work.pk,
            reference=work.reference,
            apart_from=frozenset(children[work.pk] | ({work.joint_id} if work.joint_id else set())),
            published_at=work.published_at,
        )
        for number, work in enumerate(works)
    ]


def subject_of_draft(
    *,
    branch: Branch,
    element_ids: Collection[int],
    place_ids: Collection[int],
    windows: Sequence[tuple[datetime, datetime]],
    work: PlannedWork | None = None,
    **facts: object,
) -> Subject:
    """A work that is still being typed; ``work`` is the saved one that is being changed."""
    return Subject(
        number=0,
        branch_id=branch.pk,
        branch_pos=branch.pos,
        time_zone=branch.time_zone,
        rule_pack=branch.rule_pack,
        element_ids=tuple(element_ids),
        place_ids=tuple(place_ids),
        windows=tuple(windows),
        work_class=str(facts.get("work_class") or "planned"),
        temporary_reason=str(facts.get("temporary_reason") or ""),
        live_line=str(facts.get("live_line") or ""),
        transfer=str(facts.get("transfer") or ""),
        transfer_tie_id=facts.get("transfer_tie_id") if isinstance(facts.get("transfer_tie_id"), int) else None,  # type: ignore[arg-type]
        work_id=work.pk if work else None,
        reference=work.reference if work else "",
    )


# --- spreadsheets -----------------------------------------------------------------------------------


def sheets_visible_to(actor: Actor) -> QuerySet[PlanSheet]:
    """The uploaded files of the branches for which this actor plans, the newest first."""
    if not sees_plans(actor):
        return PlanSheet.objects.none()
    sheets = visible_to(actor, PlanSheet.objects.all()).exclude(state=SheetState.DISCARDED)
    return sheets.select_related("branch", "period").order_by("-pk")


def sheet_by_id(*, actor: Actor, sheet_id: int) -> PlanSheet:
    """One file; a foreign one and a missing one are the same ``NotFound``."""
    if not sees_plans(actor):
        raise NotFound(field="sheet")
    sheets = visible_to(actor, PlanSheet.objects.all()).select_related("branch", "period__branch")
    sheet = sheets.filter(pk=sheet_id).first()
    if sheet is None:
        raise NotFound(field="sheet")
    return sheet


def feeders_to_plan(actor: Actor) -> list[tuple[str, str]]:
    """(code, name) of the feeders in the branches for which this actor plans."""
    feeders = visible_to(actor, GridElement.objects.filter(kind=ElementKind.FEEDER), "plan.submit")
    return list(feeders.order_by("code").values_list("code", "name")[:2000])


# --- joint works --------------------------------------------------------------------------------------


def joints_of(period: PlanPeriod) -> list[PlannedWork]:
    """The joint works of a plan with their windows and their parts."""
    joints = period.works.filter(children__isnull=False).exclude(state=WorkState.CANCELLED).distinct()
    return list(
        joints.select_related("branch")
        .prefetch_related("windows", Prefetch("children", PlannedWork.objects.select_related("branch").order_by("pk")))
        .order_by("-pk")
    )


def works_known(*, actor: Actor, ids: Collection[int]) -> set[int]:
    """Those of the ids that are works this actor may see."""
    return set(works_visible_to(actor).filter(pk__in=ids).values_list("pk", flat=True)) if ids else set()


# --- better windows ---------------------------------------------------------------------------------


def schedule_run_by_id(*, actor: Actor, run_id: int) -> ScheduleRun:
    """One search for better windows; a foreign one and a missing one are the same ``NotFound``."""
    if not sees_plans(actor):
        raise NotFound(field="run")
    run = visible_to(actor, ScheduleRun.objects.all()).select_related("period__branch").filter(pk=run_id).first()
    if run is None:
        raise NotFound(field="run")
    return run


def schedule_line_by_id(*, run: ScheduleRun, line_id: int) -> ScheduleLine:
    """One line of a search that the actor has been found to see. Raises ``NotFound``."""
    line = run.lines.filter(pk=line_id).first()
    if line is None:
        raise NotFound(field="line")
    return line
