"""One block of a plan: what goes off with it, hour by hour, and its form while the version is a draft."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts.actor import Actor
from accounts.scope import ids_by_code
from grid.models import GridElement
from outages.load_shedding import policies, selectors
from outages.load_shedding.forms.plans import BlockForm, refused, renewed
from outages.load_shedding.models import PlanState, SheddingBlock, SheddingPlan
from outages.load_shedding.services import drafts
from outages.load_shedding.texts import day_words
from outages.load_shedding.views.plans import draft_of, reader
from standards.errors import DomainError, NotFound


@require_http_methods(["GET", "POST"])
@login_required
@never_cache
def new(request: HttpRequest, pk: int) -> HttpResponse:
    """A further block of a draft."""
    actor, plan = draft_of(request, pk)
    return _entered(request, actor, plan, None)


@require_http_methods(["GET", "POST"])
@login_required
@never_cache
def detail(request: HttpRequest, pk: int, block_pk: int) -> HttpResponse:
    """One block; in a draft, for those who may, with its form."""
    actor = reader(request)
    plan = selectors.plan_by_id(actor=actor, plan_id=pk)
    block = plan.blocks.filter(pk=block_pk).first()
    if block is None:
        raise NotFound()
    if request.method == "POST":
        policies.require(actor=actor, action="edit_plan", branch=plan.branch)
    return _entered(request, actor, plan, block)


def _entered(request: HttpRequest, actor: Actor, plan: SheddingPlan, block: SheddingBlock | None) -> HttpResponse:
    elements = selectors.elements_by_block(plan).get(block.pk, []) if block else []
    known = BlockForm.facts_of(block, [one.code for one in elements]) if block else {}
    form = BlockForm(request.POST or None, initial={"version": plan.version, **known})
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            try:
                saved = _save(actor, plan, block, dict(form.cleaned_data))
            except DomainError as refusal:
                status = refused(form, refusal)
            else:
                messages.success(request, _("Block %(block)s is saved and measured.") % {"block": saved.code})
                return redirect("load_shedding:plan", plan.pk)
        renewed(form, plan.version)
    may_edit = plan.state == PlanState.DRAFT and policies.may(actor=actor, action="edit_plan", branch=plan.branch)
    context = {
        "plan": plan,
        "shed": block,  # a template has its own word for block
        "elements": elements,
        "form": form if may_edit or form.is_bound else None,  # a refusal is read
        "hours": _hours(block) if block else [],
        "turns": _turns(block) if block else [],
    }
    return render(request, "load_shedding/block.html", context, status=status)


def _save(actor: Actor, plan: SheddingPlan, block: SheddingBlock | None, facts: dict[str, Any]) -> SheddingBlock:
    codes = facts.pop("elements")
    ids = ids_by_code(actor=actor, model=GridElement, codes=codes, field="elements", capability="shedding.write")
    version, _seen = facts.pop("version"), facts.pop("seen")
    return drafts.block_save(
        actor=actor, plan_id=plan.pk, block_id=block.pk if block else None, element_ids=ids, expected_version=version,
        **facts,
    )  # fmt: skip


def _hours(block: SheddingBlock) -> list[tuple[int, float]]:
    return list(enumerate(block.mw_by_hour))


def _turns(block: SheddingBlock) -> list[tuple[int, str, str]]:
    """Its rows of the rotation table, to read."""
    return [
        (turn.stage, day_words(turn.recurrence, turn.day), f"{turn.starts:%H:%M}–{turn.ends:%H:%M}")
        for turn in block.turns.all()[:200]
    ]


@require_POST
@login_required
def delete(request: HttpRequest, pk: int, block_pk: int) -> HttpResponse:
    """Take a block out of a draft."""
    actor, plan = draft_of(request, pk)
    drafts.block_delete(actor=actor, plan_id=plan.pk, block_id=block_pk)
    messages.success(request, _("The block is deleted, with its turns."))
    return redirect("load_shedding:plan", pk)
