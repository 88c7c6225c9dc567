"""Versions of plans: the list, one version with everything in it, and what is done with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import Count, Sum
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import pgettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.actor import Actor
from accounts.pages import csv_response
from accounts.policies import require
from accounts.requests import actor_of
from outages.load_shedding import checks, policies, schedule, selectors
from outages.load_shedding.forms.plans import (
    ApproveForm,
    CopyForm,
    PlanChangeForm,
    PlanOpenForm,
    StagesForm,
    refused,
    renewed,
)
from outages.load_shedding.models import PlanState, SheddingPlan
from outages.load_shedding.services import drafts, plans
from standards.errors import DomainError

LOOK = {PlanState.DRAFT: ("planned", "quiet"), PlanState.APPROVED: ("restored", "green")}
NO_LOOK = ("closed", "quiet")
TONES = {"blue": "blue", "yellow": "amber", "orange": "amber", "red": "red"}


def reader(request: HttpRequest) -> Actor:
    """Whoever may read the record may read what is planned to be shed."""
    actor = actor_of(request)
    require(actor, "outage.read")
    return actor


# --- the list -----------------------------------------------------------------------------------------


@require_http_methods(["GET", "POST"])
@login_required
@never_cache
def index(request: HttpRequest) -> HttpResponse:
    """Every version of the person's branches, and the form for a new one."""
    actor = reader(request)
    form = None
    if policies.may_somewhere(actor=actor, action="edit_plan"):
        tomorrow = timezone.localdate() + timedelta(days=1)
        form = PlanOpenForm(request.POST or None, actor=actor, initial={"effective_from": tomorrow})
    if request.method == "POST":
        require(actor, "shedding.write")
        assert form is not None
        if form.is_valid():
            try:
                made = plans.plan_create(actor=actor, **form.cleaned_data)
            except DomainError as refusal:
                return _list(request, actor, form, status=refused(form, refusal))
            return redirect("load_shedding:plan", made.pk)
        return _list(request, actor, form, status=422)
    return _list(request, actor, form)


def _list(request: HttpRequest, actor: Actor, form: PlanOpenForm | None, *, status: int = 200) -> HttpResponse:
    found = selectors.plans_visible_to(actor).order_by("branch__pos", "-effective_from", "-number")
    counted = found.annotate(blocks_count=Count("blocks"), customers_sum=Sum("blocks__customers"))
    page = Paginator(counted, 50).get_page(request.GET.get("page"))
    in_force = {plan.pk for plan in schedule.plans_in_force(found.filter(state=PlanState.APPROVED))}
    rows = [(plan, LOOK.get(PlanState(plan.state), NO_LOOK), plan.pk in in_force) for plan in page]
    return render(request, "load_shedding/plans.html", {"form": form, "page_obj": page, "rows": rows}, status=status)


# --- one version --------------------------------------------------------------------------------------


@require_GET
@login_required
@never_cache
def detail(request: HttpRequest, pk: int) -> HttpResponse:
    """One version: its limits, stages and blocks, what stands against it and what it changes."""
    actor = reader(request)
    plan = selectors.plan_by_id(actor=actor, plan_id=pk)
    return render(request, "load_shedding/plan.html", context_of(plan, actor))


def context_of(plan: SheddingPlan, actor: Actor) -> dict[str, Any]:
    """What every page about one version shows."""
    is_draft = plan.state == PlanState.DRAFT
    elements = selectors.elements_by_block(plan)
    blocks = [(block, elements.get(block.pk, []), max(block.mw_by_hour, default=0.0)) for block in plan.blocks.all()]
    turns = Counter(plan.turns.values_list("stage", flat=True))
    before = _before(plan, actor)
    is_own = selectors.had_a_hand_in(plan, actor)
    may_approve = policies.may(actor=actor, action="approve_plan", branch=plan.branch)
    return {
        "plan": plan,
        "look": LOOK.get(PlanState(plan.state), NO_LOOK),
        "is_draft": is_draft,
        "blocks": blocks,
        "totals": {
            "customers": sum(block.customers for block, _elements, _peak in blocks),
            "life_support": sum(block.life_support for block, _elements, _peak in blocks),
            "mw": sum(peak for block, _elements, peak in blocks if not block.is_protected),
        },
        "stages": [(stage, TONES[stage.colour], turns[stage.number]) for stage in plan.stages.all()],
        "findings": checks.findings_of(plan) if is_draft else [],
        "before": before,
        "changes": checks.changes_between(before, plan) if before is not None else None,
        "versions": selectors.plans_visible_to(actor).filter(branch=plan.branch).order_by("-number")[:20],
        "may_edit": is_draft and policies.may(actor=actor, action="edit_plan", branch=plan.branch),
        "may_copy": policies.may(actor=actor, action="edit_plan", branch=plan.branch),
        "may_approve": may_approve and is_draft and not is_own,
        "may_retire": may_approve and plan.state == PlanState.APPROVED,
        "copy_form": CopyForm(initial={"effective_from": timezone.localdate() + timedelta(days=1)}),
    }


def _before(plan: SheddingPlan, actor: Actor) -> SheddingPlan | None:
    """The version that is or was in force before this one."""
    older = selectors.plans_visible_to(actor).filter(branch=plan.branch, number__lt=plan.number)
    return older.exclude(state=PlanState.DRAFT).order_by("-number").first()


@require_GET
@login_required
def blocks_csv(request: HttpRequest, pk: int) -> StreamingHttpResponse:
    """The blocks of a version for a spreadsheet."""
    plan = selectors.plan_by_id(actor=reader(request), plan_id=pk)
    elements = selectors.elements_by_block(plan)
    heads = (
        _("Block"), pgettext("thing", "Name"), _("English name"), _("Elements"), _("Customers"),
        _("Important customers"), _("Life support"), _("Load (kW)"), _("Measured"), _("Protected"), _("Why protected"),
        *(f"{hour:02d}:00 MW" for hour in range(24)),
    )  # fmt: skip
    rows = (
        (
            block.code, block.name, block.name_en, ", ".join(one.code for one in elements.get(block.pk, ())),
            block.customers, block.critical_customers, block.life_support, round(block.load_kw, 1),
            _("yes") if block.is_measured else _("no"), _("yes") if block.is_protected else _("no"),
            block.protected_reason, *(round(load, 4) for load in block.mw_by_hour),
        )
        for block in plan.blocks.all()
    )  # fmt: skip
    return csv_response(f"shedding-blocks-{plan.number}", heads, rows)


# --- changing a draft ---------------------------------------------------------------------------------


def draft_of(request: HttpRequest, pk: int) -> tuple[Actor, SheddingPlan]:
    """The version that somebody is about to change; whether it still can be is the service's to say."""
    actor = reader(request)
    plan = selectors.plan_by_id(actor=actor, plan_id=pk)
    policies.require(actor=actor, action="edit_plan", branch=plan.branch)
    return actor, plan


@require_http_methods(["GET", "POST"])
@login_required
@never_cache
def change(request: HttpRequest, pk: int) -> HttpResponse:
    """The name of a draft, its day and its limits."""
    actor, plan = draft_of(request, pk)
    initial = {name: getattr(plan, name) for name in (*plans.FACTS, "version")}
    form = PlanChangeForm(request.POST or None, initial=initial)
    return _entered(
        request, plan, form, _("Name, day and limits"),
        lambda facts, version: plans.plan_change(
            actor=actor, plan_id=pk, facts={name: facts[name] for name in plans.FACTS}, expected_version=version
        ),
    )  # fmt: skip


@require_http_methods(["GET", "POST"])
@login_required
@never_cache
def stages(request: HttpRequest, pk: int) -> HttpResponse:
    """The stages of a draft."""
    actor, plan = draft_of(request, pk)
    form = StagesForm(request.POST or None, stages=list(plan.stages.all()), initial={"version": plan.version})
    return _entered(
        request, plan, form, _("Stages"),
        lambda _facts, version: drafts.stages_set(
            actor=actor, plan_id=pk, stages=form.stages(), expected_version=version
        ),
        template="load_shedding/plan_stages.html",
    )  # fmt: skip


def _entered(
    request: HttpRequest,
    plan: SheddingPlan,
    form: Any,
    title: str,
    save: Callable[[dict[str, Any], int], object],
    *,
    template: str = "load_shedding/plan_form.html",
) -> HttpResponse:
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            facts = dict(form.cleaned_data)
            try:
                save(facts, facts.pop("version"))
            except DomainError as refusal:
                status = refused(form, refusal)
            else:
                messages.success(request, _("Saved."))
                return redirect("load_shedding:plan", plan.pk)
        renewed(form, plan.version)
    return render(request, template, {"plan": plan, "form": form, "title": title}, status=status)


@require_POST
@login_required
def measure(request: HttpRequest, pk: int) -> HttpResponse:
    """Measure the blocks of a draft again."""
    actor, plan = draft_of(request, pk)
    drafts.blocks_measure(actor=actor, plan_id=plan.pk)
    messages.success(request, _("All blocks are measured from the network as it is now."))
    return redirect("load_shedding:plan", pk)


@require_POST
@login_required
def copy(request: HttpRequest, pk: int) -> HttpResponse:
    """Begin the next version as a copy."""
    actor, plan = draft_of(request, pk)
    form = CopyForm(request.POST)
    if not form.is_valid():
        context = context_of(plan, actor) | {"copy_form": form}
        return render(request, "load_shedding/plan.html", context, status=422)
    made = plans.plan_copy(actor=actor, plan_id=pk, effective_from=form.cleaned_data["effective_from"])
    messages.success(request, _("This is the draft of version %(number)d.") % {"number": made.number})
    return redirect("load_shedding:plan", made.pk)


@require_POST
@login_required
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Throw a draft away."""
    actor, plan = draft_of(request, pk)
    plans.plan_delete(actor=actor, plan_id=pk)
    messages.success(request, _("The draft of version %(number)d is deleted.") % {"number": plan.number})
    return redirect("load_shedding:plans")


# --- deciding -----------------------------------------------------------------------------------------


@require_http_methods(["GET", "POST"])
@login_required
@never_cache
def approve(request: HttpRequest, pk: int) -> HttpResponse:
    """What another person must have read before a version comes into force."""
    actor = reader(request)
    plan = selectors.plan_by_id(actor=actor, plan_id=pk)
    policies.require(actor=actor, action="approve_plan", branch=plan.branch)
    if selectors.had_a_hand_in(plan, actor):
        raise policies.OwnDecision()
    form = ApproveForm(request.POST or None, expected=plan.blocks.count(), initial={"version": plan.version})
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            facts = form.cleaned_data
            try:
                plans.plan_approve(
                    actor=actor, plan_id=pk, is_accepted=facts["is_accepted"], expected_version=facts["version"]
                )
            except DomainError as refusal:
                status = refused(form, refusal)
            else:
                messages.success(
                    request, _("The version is in force from %(day)s.") % {"day": plan.effective_from.isoformat()}
                )
                return redirect("load_shedding:plan", pk)
        renewed(form, plan.version)
    context = context_of(plan, actor) | {"form": form}
    return render(request, "load_shedding/plan_approve.html", context, status=status)


@require_http_methods(["GET", "POST"])
@login_required
@never_cache
def retire(request: HttpRequest, pk: int) -> HttpResponse:
    """What taking a version out of force means, and doing it."""
    actor = reader(request)
    plan = selectors.plan_by_id(actor=actor, plan_id=pk)
    policies.require(actor=actor, action="approve_plan", branch=plan.branch)
    if request.method == "POST":
        plans.plan_retire(actor=actor, plan_id=pk)
        messages.success(request, _("The version is out of force; nothing is published by it any more."))
        return redirect("load_shedding:plan", pk)
    context = {"plan": plan, "runs_out_at": schedule.runs_out_at(plan)}
    return render(request, "load_shedding/plan_retire.html", context)
