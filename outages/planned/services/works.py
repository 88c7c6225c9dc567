"""Entering and changing works: always many at once, so that a form and a file of five thousand rows are one way."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.db import IntegrityError, connection, transaction
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.actor import Actor
from grid import topology
from grid.models import Branch, GridElement, GridTie
from outages.events import require_transaction
from outages.extent import BadTime
from outages.lifecycle import IllegalTransition
from outages.planned import lifecycle, policies
from outages.planned.lifecycle import EARLIEST, FARTHEST, LONGEST, MOST_WINDOWS
from outages.planned.models import (
    CheckAnswer,
    NoticeStage,
    PlannedWork,
    PlanPeriod,
    PlanStep,
    WorkState,
    WorkType,
    WorkWindow,
)
from outages.planned.spans import Window
from outages.planned.texts import public_reason
from outages.services import NoPlace, references_take
from standards.errors import Conflict, DomainError, NotFound

PREFIX: Final = "W"
BATCH: Final = 1000

WRITABLE: Final = (
    "key", "work_class", "title", "work_type", "scope", "reason_zh", "reason_en", "work_order", "contact_name",
    "contact_phone", "crews", "is_fixed", "switching_note", "customer_work", "note", "notice_plan", "live_line",
    "live_line_reason", "transfer", "transfer_reason", "transfer_tie_id", "temporary_reason",
)  # fmt: skip


class NoWindow(DomainError):
    code = "no_window"
    message = _("Say when the power goes off and when it is back.")


class WindowsOverlap(DomainError):
    code = "windows_overlap"
    message = _("Two windows of the same work overlap.")


class OutsidePeriod(DomainError):
    code = "outside_period"
    message = _("The work begins on %(day)s, outside this plan (%(first)s to %(last)s).")


class NotEditable(DomainError):
    code = "not_editable"
    status = 409
    message = _("This plan is with somebody else now: take it back before you change it.")


class NoTie(DomainError):
    code = "no_tie"
    message = _("That piece of the network is no tie: it cannot take over supply.")


class KeyTaken(DomainError):
    code = "key_taken"
    status = 409
    message = _("The branch already has a work with the number “%(key)s”.")


@dataclass(frozen=True)
class WorkDraft:
    """A work as somebody hands it in: what is opened, when, and the facts named in ``WRITABLE``."""

    element_ids: tuple[int, ...]
    windows: tuple[Window, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)


# --- entering ---------------------------------------------------------------------------------------


def work_create(
    *, actor: Actor, branch: Branch, draft: WorkDraft, period: PlanPeriod | None = None, source: str = "form"
) -> PlannedWork:
    """Enter one work, into a plan or (temporary and emergency work) outside one. Raises ``DomainError``."""
    return works_create(actor=actor, branch=branch, drafts=[draft], period=period, source=source)[0]


def works_create(
    *,
    actor: Actor,
    branch: Branch,
    drafts: Sequence[WorkDraft],
    period: PlanPeriod | None = None,
    source: str = "form",
) -> list[PlannedWork]:
    """Enter works as drafts of one branch: all of them or none. Statements grow with batches, not with works."""
    with transaction.atomic():
        period = _period_open_for(period, branch)
        policies.require(actor=actor, action="edit", branch=branch)
        elements_check(branch=branch, element_ids={pk for draft in drafts for pk in draft.element_ids})
        ties_check(drafts)
        for draft in drafts:
            windows_check(draft.windows, period=period, branch=branch)
        references = references_take(prefix=PREFIX, branch=branch, count=len(drafts))
        works = [
            _formed(actor, branch, period, draft, reference)
            for draft, reference in zip(drafts, references, strict=True)
        ]
        try:
            with transaction.atomic():
                PlannedWork.objects.bulk_create(works, batch_size=BATCH)
        except IntegrityError as taken:
            raise _taken(branch, works) from taken
        _windows_write(list(zip(works, drafts, strict=True)))
        _elements_write(list(zip(works, drafts, strict=True)))
        works_measure(work_ids=[work.pk for work in works])
        steps_append(actor=actor, verb="create", works=works, note=source)
        return works


def _formed(actor: Actor, branch: Branch, period: PlanPeriod | None, draft: WorkDraft, reference: str) -> PlannedWork:
    facts = completed({"work_type": WorkType.MAINTENANCE, **draft.facts})
    now = timezone.now()  # the database's own default would be an expression a row, which is slow for thousands
    return PlannedWork(
        reference=reference, branch=branch, period=period, author_id=actor.user_id, author_name=actor.name,
        created_at=now, updated_at=now, **facts,
    )  # fmt: skip


def completed(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Only what may be written, with the public words that follow from the type unless somebody worded them."""
    known = {name: facts[name] for name in WRITABLE if name in facts}
    if known.get("work_type") and not known.get("reason_zh") and not known.get("reason_en"):
        known["reason_zh"], known["reason_en"] = public_reason(known["work_type"])
    if "notice_plan" in known:
        # the law's announcement is not a matter of taste
        known["notice_plan"] = [
            stage for stage in NoticeStage.values if stage in {NoticeStage.ANNOUNCED, *known["notice_plan"]}
        ]
    return known


def _taken(branch: Branch, works: Sequence[PlannedWork]) -> KeyTaken:
    keys = [work.key for work in works if work.key]
    there = PlannedWork.objects.filter(branch=branch, key__in=keys).exclude(state=WorkState.CANCELLED)
    known = there.values_list("key", flat=True).first()
    return KeyTaken(field="key", key=known or next((key for key in keys if keys.count(key) > 1), ""))


# --- changing ---------------------------------------------------------------------------------------


def work_change(*, actor: Actor, work_id: int, draft: WorkDraft, expected_version: int | None = None) -> PlannedWork:
    """Change a draft or returned work. Raises ``Conflict`` when somebody else changed it meanwhile."""
    with transaction.atomic():
        plans_locked(Q(works=work_id))
        work = work_locked(work_id)
        policies.require(actor=actor, action="edit", branch=work.branch)
        version_check(work, expected_version)
        return works_change(actor=actor, changes=[(work, draft)])[0]


def works_change(*, actor: Actor, changes: Sequence[tuple[PlannedWork, WorkDraft]]) -> list[PlannedWork]:
    """The same for many works of one branch that the caller has locked, all or none (a file that came again)."""
    require_transaction()
    now = timezone.now()
    named: defaultdict[Branch, set[int]] = defaultdict(set)
    for work, draft in changes:
        if work.state not in lifecycle.EDITABLE:
            raise IllegalTransition(action="edit", current=work.state)
        if not draft.element_ids:
            raise NoPlace(field="elements")
        named[work.branch].update(draft.element_ids)
    for branch, element_ids in named.items():
        elements_check(branch=branch, element_ids=element_ids)
    ties_check([draft for _work, draft in changes])
    for period, branch in {work.period_id: (work.period, work.branch) for work, _draft in changes}.values():
        _period_open_for(period, branch)
    for work, draft in changes:
        windows_check(draft.windows, period=work.period, branch=work.branch)
        for name, value in completed(draft.facts).items():
            setattr(work, name, value)
        work.version += 1
        work.updated_at = now
    works = [work for work, _draft in changes]
    ids = [work.pk for work in works]
    try:
        with transaction.atomic():
            PlannedWork.objects.bulk_update(works, [*_COLUMNS, "version", "updated_at"], batch_size=BATCH)
    except IntegrityError as taken:
        raise _taken(works[0].branch, works) from taken
    WorkWindow.objects.filter(work__in=ids).delete()
    PlannedWork.elements.through.objects.filter(plannedwork__in=ids).delete()
    _windows_write(changes)
    _elements_write(changes)
    works_measure(work_ids=ids)
    # an answer was given to a finding about other facts
    CheckAnswer.objects.filter(work__in=ids).delete()
    steps_append(actor=actor, verb="change", works=works)
    return works


_COLUMNS: Final = tuple(name.removesuffix("_id") for name in WRITABLE)


def works_windows_set(
    *, actor: Actor, changes: Sequence[tuple[PlannedWork, Sequence[Window]]], note: str = ""
) -> list[PlannedWork]:
    """Give undecided works of one branch, which the caller has locked, other windows (proposals that are accepted)."""
    elements: defaultdict[int, list[int]] = defaultdict(list)
    through = PlannedWork.elements.through.objects.filter(plannedwork__in=[work for work, _windows in changes])
    for work_id, element_id in through.values_list("plannedwork", "gridelement"):
        elements[work_id].append(element_id)
    drafts = [(work, WorkDraft(tuple(elements[work.pk]), tuple(windows))) for work, windows in changes]
    works = works_change(actor=actor, changes=drafts)
    steps_append(actor=actor, verb="windows", works=works, note=note)
    return works


def work_delete(*, actor: Actor, work_id: int, expected_version: int | None = None) -> None:
    """Throw away a draft that nobody has handed in yet."""
    with transaction.atomic():
        plans_locked(Q(works=work_id))
        work = work_locked(work_id)
        policies.require(actor=actor, action="edit", branch=work.branch)
        version_check(work, expected_version)
        if work.state != WorkState.DRAFT or work.children.exists():
            raise IllegalTransition(action="delete", current=work.state)
        work.delete()


# --- rules of shape ---------------------------------------------------------------------------------


def windows_check(windows: Sequence[Window], *, period: PlanPeriod | None, branch: Branch) -> None:
    """Windows have a zone, run forward, lie apart and within the plan. Raises ``DomainError`` naming ``windows``."""
    if not windows:
        raise NoWindow(field="windows")
    if len(windows) > MOST_WINDOWS:
        raise DomainError(_("A work has at most %(n)d windows."), field="windows", n=MOST_WINDOWS)
    limit = timezone.now() + FARTHEST
    for starts_at, ends_at in windows:
        if timezone.is_naive(starts_at) or timezone.is_naive(ends_at):
            raise BadTime(_("A time needs its zone."), field="windows")
        if ends_at <= starts_at:
            raise BadTime(_("The end must be later than the start."), field="windows")
        if ends_at - starts_at > LONGEST:
            raise BadTime(_("A window of more than %(days)d days is not possible."), field="windows", days=LONGEST.days)
        if not EARLIEST < starts_at < limit:
            raise BadTime(_("The date is not plausible."), field="windows")
    ordered = sorted(windows)
    if any(later[0] < earlier[1] for earlier, later in pairwise(ordered)):
        raise WindowsOverlap(field="windows")
    if period is not None:
        zone = ZoneInfo(branch.time_zone)
        for starts_at, _ends_at in ordered:
            day = starts_at.astimezone(zone).date()
            if not period.starts_on <= day <= period.ends_on:
                raise OutsidePeriod(field="windows", day=day, first=period.starts_on, last=period.ends_on)


def ties_check(drafts: Sequence[WorkDraft]) -> None:
    """What is to take over supply is an end of a tie. Raises ``NoTie``."""
    named = {draft.facts.get("transfer_tie_id") for draft in drafts} - {None}
    if named:
        ties = GridTie.objects.filter(Q(a__in=named) | Q(b__in=named)).values_list("a", "b")
        if not named <= {end for tie in ties for end in tie}:
            raise NoTie(field="transfer_tie")


def elements_check(*, branch: Branch, element_ids: Collection[int]) -> None:
    """Something is opened, and all of it is the branch's own; a foreign element is the same as a missing one."""
    if not element_ids:
        raise NoPlace(field="elements")
    inside = (branch.pos, branch.last)
    if GridElement.objects.filter(pk__in=element_ids, branch__pos__range=inside).count() != len(element_ids):
        raise NotFound(field="elements")


def _period_open_for(period: PlanPeriod | None, branch: Branch) -> PlanPeriod | None:
    """The plan, locked against being handed in meanwhile."""
    if period is None:
        return None
    locked = PlanPeriod.objects.select_for_update(no_key=True).get(pk=period.pk)
    if locked.branch_id != branch.pk:
        raise NotFound(field="period")
    if locked.state not in lifecycle.WITH_THE_BRANCH:
        raise NotEditable(field="period")
    return locked


# --- rows beside the work ---------------------------------------------------------------------------


def _windows_write(pairs: Sequence[tuple[PlannedWork, WorkDraft]]) -> None:
    WorkWindow.objects.bulk_create(
        [
            WorkWindow(work=work, starts_at=starts_at, ends_at=ends_at)
            for work, draft in pairs
            for starts_at, ends_at in sorted(draft.windows)
        ],
        batch_size=BATCH,
    )


def _elements_write(pairs: Sequence[tuple[PlannedWork, WorkDraft]]) -> None:
    through = PlannedWork.elements.through
    through.objects.bulk_create(
        [
            through(plannedwork_id=work.pk, gridelement_id=element_id)
            for work, draft in pairs
            for element_id in sorted(set(draft.element_ids))
        ],
        batch_size=10 * BATCH,
    )


_PLACES_SQL = """
INSERT INTO planned_workplace (work_id, element_id, customers, critical, life_support, load_kw)
SELECT a.work, e.id, e.own_customers, e.own_critical,
       CASE WHEN e.own_critical = 0 THEN 0 ELSE (
           SELECT count(*) FROM grid_servicepoint s JOIN grid_customer c ON c.id = s.customer_id
           WHERE s.element_id = e.id AND c.importance = 'life_support') END,
       e.own_load_kw
FROM unnest(%(works)s::bigint[], %(places)s::bigint[]) a(work, element) JOIN grid_gridelement e ON e.id = a.element
"""
_TOTALS_SQL = """
UPDATE planned_plannedwork w
SET places = coalesce(t.places, 0), customers = coalesce(t.customers, 0), critical_customers = coalesce(t.critical, 0),
    life_support = coalesce(t.life_support, 0), load_kw = coalesce(t.load_kw, 0), impact_at = now()
FROM unnest(%(ids)s::bigint[]) asked(id)
LEFT JOIN LATERAL (
    SELECT count(*) AS places, sum(customers) AS customers, sum(critical) AS critical,
           sum(life_support) AS life_support, sum(load_kw) AS load_kw
    FROM planned_workplace p WHERE p.work_id = asked.id
) t ON true
WHERE w.id = asked.id
"""


def works_measure(*, work_ids: Collection[int]) -> None:
    """Write down who would be off while these works last, by the network's normal state."""
    ids = list(work_ids)
    elements: dict[int, list[int]] = {pk: [] for pk in ids}
    through = PlannedWork.elements.through.objects.filter(plannedwork__in=ids)
    for work_id, element_id in through.values_list("plannedwork", "gridelement"):
        elements[work_id].append(element_id)
    places = topology.places_isolated_normally([elements[pk] for pk in ids])
    pairs = [(pk, place) for pk, found in zip(ids, places, strict=True) for place in found]
    with connection.cursor() as db:
        db.execute("DELETE FROM planned_workplace WHERE work_id = ANY(%s)", [ids])
        db.execute(_PLACES_SQL, {"works": [pk for pk, _place in pairs], "places": [place for _pk, place in pairs]})
        db.execute(_TOTALS_SQL, {"ids": ids})


# --- shared by every step ----------------------------------------------------------------------------


def plans_locked(which: Q) -> dict[int, PlanPeriod]:
    """The plans of some works by ascending key: plans are locked before works, here as at every gate."""
    ids = PlanPeriod.objects.filter(which).values("pk")
    plans = PlanPeriod.objects.select_for_update(no_key=True, of=("self",)).select_related("branch")
    return {plan.pk: plan for plan in plans.filter(pk__in=ids).order_by("pk")}


def plans_changed(plans: Collection[int]) -> None:
    """Whoever decides about a plan as it was before is told."""
    PlanPeriod.objects.filter(pk__in=list(plans)).update(version=F("version") + 1)


def work_locked(work_id: int) -> PlannedWork:
    """The work's row, held until the transaction ends. Raises ``NotFound``."""
    return works_locked([work_id])[0]


def works_locked(work_ids: Collection[int]) -> list[PlannedWork]:
    """Several works by ascending key, so that two askers never wait for each other. Raises ``NotFound``."""
    works = list(
        PlannedWork.objects.select_for_update(no_key=True, of=("self",))
        .select_related("branch", "period")
        .filter(pk__in=work_ids)
        .order_by("pk")
    )
    if len(works) != len(set(work_ids)):
        raise NotFound(field="work")
    return works


def version_check(work: PlannedWork, expected_version: int | None) -> None:
    """``expected_version`` is what the caller had on screen. Raises ``Conflict``."""
    if expected_version is not None and expected_version != work.version:
        raise Conflict(field="version")


def steps_append(
    *,
    actor: Actor,
    verb: str,
    works: Sequence[PlannedWork] = (),
    period: PlanPeriod | None = None,
    note: str = "",
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Write a line into the history of a plan, or of each of these works, in the transaction that made it true."""
    row: dict[str, Any] = {
        "verb": verb, "actor_kind": actor.kind, "actor_name": actor.name, "actor_id": actor.user_id,
        "note": note[:500], "facts": dict(facts or {}), "at": timezone.now(),
    }  # fmt: skip
    rows = [PlanStep(period=period, **row)] if period is not None else []
    PlanStep.objects.bulk_create([*rows, *(PlanStep(work=work, **row) for work in works)], batch_size=BATCH)
