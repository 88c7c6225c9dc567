"""Versions of a plan: drawn up, approved by another person, in force from a day on, retired.

An approved plan does not change: its next version is a copy. What a draft holds is written by ``drafts``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import Max, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.actor import Actor
from grid.models import Branch
from outages.load_shedding import blocks, checks, lifecycle, policies, selectors
from outages.load_shedding.models import (
    BlockElement,
    PlanState,
    SheddingBlock,
    SheddingEvent,
    SheddingPlan,
    SheddingStage,
    Slot,
    StageWindow,
    Turn,
)
from standards.errors import Conflict, DomainError, NotFound

LIMITS: Final = ("slot_minutes", "margin_minutes", "max_run_minutes", "max_day_minutes", "min_rest_minutes")
FACTS: Final = ("name", "effective_from", "note", *LIMITS)


class NotADraft(DomainError):
    code = "not_a_draft"
    status = 409
    message = _("This version is %(state)s and does not change any more: copy it into a new version.")


class InRunningEvent(DomainError):
    code = "in_running_event"
    status = 409
    message = _("%(what)s is part of a shedding event that is running: wait until it has ended.")


class LimitsContradict(DomainError):
    code = "limits_contradict"
    message = _(
        "The limits contradict each other: margin below slot, slot at most the longest stretch, that at most the day's."
    )


class PlanIncomplete(DomainError):
    """What stands against the version stops its approval, or has not been accepted yet."""

    code = "plan_incomplete"
    message = _("The checks of this version say something that must be put right, or accepted.")


# --- drawing up ---------------------------------------------------------------------------------------


def plan_create(*, actor: Actor, branch: Branch, **facts: Any) -> SheddingPlan:
    """Begin the first or a further version of a branch's plan, empty."""
    policies.require(actor=actor, action="edit_plan", branch=branch)
    _check_facts(facts)
    with transaction.atomic(durable=True):
        return _created(actor, branch, facts)


def plan_copy(*, actor: Actor, plan_id: int, effective_from: date) -> SheddingPlan:
    """The next version of a plan: all of it, its blocks measured anew."""
    with transaction.atomic(durable=True):
        source = plan_lock(plan_id)
        policies.require(actor=actor, action="edit_plan", branch=source.branch)
        facts = {name: getattr(source, name) for name in FACTS} | {"effective_from": effective_from}
        copy = _created(actor, source.branch, facts)
        SheddingStage.objects.bulk_create(
            SheddingStage(plan=copy, number=one.number, colour=one.colour, mw=one.mw) for one in source.stages.all()
        )
        ours = _blocks_copied(source, copy)
        turns = list(source.turns.all())
        for turn in turns:
            turn.pk, turn.plan, turn.block = None, copy, ours[turn.block_id]
        Turn.objects.bulk_create(turns, batch_size=5000)
        blocks.places_measure(blocks.elements_of(copy))
        return copy


def _created(actor: Actor, branch: Branch, facts: Mapping[str, Any]) -> SheddingPlan:
    Branch.objects.select_for_update(no_key=True).get(pk=branch.pk)  # versions are numbered one after the other
    last = SheddingPlan.objects.filter(branch=branch).aggregate(last=Max("number"))["last"]
    return SheddingPlan.objects.create(
        branch=branch, number=(last or 0) + 1, author_id=actor.user_id, author_name=actor.name, **facts
    )


def _blocks_copied(source: SheddingPlan, copy: SheddingPlan) -> dict[int, SheddingBlock]:
    old = list(source.blocks.all())
    keys = [block.pk for block in old]
    for block in old:
        block.pk, block.plan = None, copy
    ours = dict(zip(keys, SheddingBlock.objects.bulk_create(old), strict=True))
    members = BlockElement.objects.filter(block__in=keys)
    BlockElement.objects.bulk_create(
        BlockElement(plan=copy, block=ours[one.block_id], element_id=one.element_id) for one in members
    )
    return ours


def plan_change(
    *, actor: Actor, plan_id: int, facts: Mapping[str, Any], expected_version: int | None = None
) -> SheddingPlan:
    """Change a draft's name, its day and its limits."""
    with transaction.atomic(durable=True):
        plan = plan_editable(actor, plan_id, expected_version)
        _check_facts({name: getattr(plan, name) for name in LIMITS} | dict(facts))
        for name, value in facts.items():
            setattr(plan, name, value)
        return plan_touch(plan, actor, *facts)


def _check_facts(facts: Mapping[str, Any]) -> None:
    of = SheddingPlan(**{name: facts[name] for name in LIMITS if name in facts})
    in_order = 15 <= of.slot_minutes <= of.max_run_minutes <= of.max_day_minutes
    if not in_order or of.margin_minutes >= of.slot_minutes:
        raise LimitsContradict(field="slot_minutes")


def plan_delete(*, actor: Actor, plan_id: int) -> None:
    """Throw a draft away."""
    with transaction.atomic(durable=True):
        plan_editable(actor, plan_id, None).delete()


# --- deciding -----------------------------------------------------------------------------------------


def plan_approve(
    *, actor: Actor, plan_id: int, is_accepted: bool = False, expected_version: int | None = None
) -> SheddingPlan:
    """Another person agrees: the version is in force from its day on, with what is published from then.

    ``is_accepted`` says that the person has read what the checks say; what must be put right stops it all the same.
    """
    with transaction.atomic(durable=True):
        branch_lock(plan_branch(plan_id))
        plan = _locked_in(plan_id, PlanState.DRAFT, expected_version)
        policies.require(actor=actor, action="approve_plan", branch=plan.branch)
        if selectors.had_a_hand_in(plan, actor):
            raise policies.OwnDecision()
        if plan.effective_from < _today(plan.branch):
            raise DomainError(_("The day from which it is in force has passed."), field="effective_from")
        _check_running(plan)
        found = checks.findings_of(plan)
        if any(one.stops for one in found) or (found and not is_accepted):
            raise PlanIncomplete(field="is_accepted")
        plan.state, plan.approved_at, plan.approved_by_id = PlanState.APPROVED, timezone.now(), actor.user_id
        plan.version += 1
        plan.save(update_fields=["state", "approved_at", "approved_by", "version"])
        _take_over_windows(plan)
        return plan


def plan_retire(*, actor: Actor, plan_id: int, expected_version: int | None = None) -> SheddingPlan:
    """Take an approved version out of force; what it has published from now on is withdrawn."""
    with transaction.atomic(durable=True):
        branch_lock(plan_branch(plan_id))
        plan = _locked_in(plan_id, PlanState.APPROVED, expected_version)
        policies.require(actor=actor, action="approve_plan", branch=plan.branch)
        running = plan.shedding_events.exclude(state__in=lifecycle.OVER).first()
        if running is not None:
            raise InRunningEvent(what=running.reference)
        windows_cut(plan, begins=timezone.now(), until=None)
        plan.state = PlanState.RETIRED
        plan.version += 1
        plan.save(update_fields=["state", "version"])
        return plan


def _check_running(plan: SheddingPlan) -> None:
    """No element changes its block while a turn of its old one is still open. Raises ``InRunningEvent``."""
    events = SheddingEvent.objects.filter(
        Q(ends_at__isnull=True) | Q(ends_at__gt=midnight(plan)), plan__branch=plan.branch, state__in=lifecycle.RUNNING
    )
    still = Slot.objects.filter(event__in=events).exclude(state__in=lifecycle.SLOT_OVER)
    held = BlockElement.objects.filter(block__in=still.values("block")).values_list(
        "element_id", "element__code", "block__code"
    )
    ours = dict(plan_elements(plan))
    for element_id, code, block in held:
        if ours.get(element_id) != block:
            raise InRunningEvent(what=code, field="effective_from")


def _take_over_windows(plan: SheddingPlan) -> None:
    """What is published from the version's day on holds with its turns: it becomes the version's own."""
    begins = midnight(plan)
    stages = {0, *plan.stages.values_list("number", flat=True)}
    older = SheddingPlan.objects.filter(branch=plan.branch, state=PlanState.APPROVED, effective_from__lte=begins.date())
    for other in older.exclude(pk=plan.pk):
        for window in windows_cut(other, begins=begins, until=None):
            if window.stage in stages:
                window.pk, window.plan, window.begins = None, plan, max(window.begins, begins)
                window.save(force_insert=True)


# --- shared -------------------------------------------------------------------------------------------


def windows_cut(plan: SheddingPlan, *, begins: datetime, until: datetime | None) -> list[StageWindow]:
    """Clear the published stages of a span, keeping what lies before and after; what was there is returned."""
    windows = StageWindow.objects.filter(plan=plan, until__gt=begins)
    touched = list(windows if until is None else windows.filter(begins__lt=until))
    StageWindow.objects.filter(pk__in=[window.pk for window in touched]).delete()
    rest = [(window, window.begins, begins) for window in touched if window.begins < begins]
    if until is not None:
        rest += [(window, until, window.until) for window in touched if window.until > until]
    StageWindow.objects.bulk_create(
        StageWindow(
            plan=plan, stage=window.stage, begins=first, until=last, certainty=window.certainty,
            published_by=window.published_by, published_at=window.published_at,
        )
        for window, first, last in rest
    )  # fmt: skip
    return touched


def midnight(plan: SheddingPlan) -> datetime:
    """The first moment of the version's first day."""
    return datetime.combine(plan.effective_from, time(0), ZoneInfo(plan.branch.time_zone))


def plan_elements(plan: SheddingPlan) -> list[tuple[int, str]]:
    """Each element of the plan with the code of its block."""
    return list(BlockElement.objects.filter(plan=plan).values_list("element_id", "block__code"))


def _today(branch: Branch) -> date:
    return timezone.now().astimezone(ZoneInfo(branch.time_zone)).date()


def branch_lock(branch: Branch) -> None:
    """Whoever decides about the same part of a network queues here: nested branches share the one on top.

    Taken before any plan or event, in the order of the tree. Plans of branches above and below, and all versions of
    one, answer together who is off and what is published.
    """
    chain = Branch.objects.filter(pos__lte=branch.pos, last__gte=branch.pos).order_by("pos")
    list(chain.select_for_update(no_key=True).values_list("pk", flat=True))


def plan_branch(plan_id: int) -> Branch:
    """Whose plan it is, before anything is locked. Raises ``NotFound``."""
    plan = SheddingPlan.objects.select_related("branch").filter(pk=plan_id).first()
    if plan is None:
        raise NotFound(field="plan")
    return plan.branch


def plan_lock(plan_id: int) -> SheddingPlan:
    """The plan, its row locked until the transaction ends. Raises ``NotFound``."""
    plan = (
        SheddingPlan.objects.select_for_update(no_key=True, of=("self",))
        .select_related("branch")
        .filter(pk=plan_id)
        .first()
    )
    if plan is None:
        raise NotFound(field="plan")
    return plan


def _locked_in(plan_id: int, state: str, expected_version: int | None) -> SheddingPlan:
    plan = plan_lock(plan_id)
    if expected_version is not None and plan.version != expected_version:
        raise Conflict()
    if plan.state != state:
        raise NotADraft(state=plan.get_state_display()) if state == PlanState.DRAFT else Conflict()
    return plan


def plan_editable(actor: Actor, plan_id: int, expected_version: int | None) -> SheddingPlan:
    """The draft, locked, for somebody who may change it. Raises ``NotADraft``, ``InRunningEvent``, ``Conflict``."""
    plan = plan_lock(plan_id)
    policies.require(actor=actor, action="edit_plan", branch=plan.branch)
    running = plan.shedding_events.filter(state__in=lifecycle.RUNNING).first()
    if running is not None:
        raise InRunningEvent(what=running.reference)
    return _locked_in(plan_id, PlanState.DRAFT, expected_version)


def plan_touch(plan: SheddingPlan, actor: Actor, *fields: str) -> SheddingPlan:
    """The draft has changed, and whoever changed it has a hand in it: its history keeps all of them."""
    plan.version += 1
    plan.author_id, plan.author_name = actor.user_id, actor.name
    plan.save(update_fields=["version", "author", "author_name", *fields])
    return plan
