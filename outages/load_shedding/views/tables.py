"""The rotation table of a version: stage by stage, from a file, and for a spreadsheet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import content_disposition_header
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.actor import Actor
from accounts.pages import csv_response
from grid.spreadsheets.files import FileRefused
from outages.forms import ActionForm
from outages.load_shedding import policies, selectors
from outages.load_shedding.forms.plans import TableForm, TurnForm, refused, renewed
from outages.load_shedding.intake import workbooks
from outages.load_shedding.intake.coverage import coverage_of
from outages.load_shedding.models import PlanState, SheddingPlan, Turn
from outages.load_shedding.rotation import Row
from outages.load_shedding.services import drafts, tables
from outages.load_shedding.texts import day_words
from outages.load_shedding.views.plans import draft_of, reader
from standards.errors import DomainError, NotFound

SHOWN: Final = 50  # of what is wrong, open or double
_XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


# --- stage by stage -----------------------------------------------------------------------------------


@require_http_methods(["GET", "POST"])
@login_required
@never_cache
def turns(request: HttpRequest, pk: int) -> HttpResponse:
    """The turns of one stage; in a draft, for those who may, with a form for more."""
    actor = reader(request)
    plan = selectors.plan_by_id(actor=actor, plan_id=pk)
    stage, stages = _stage(request, plan)
    may_edit = plan.state == PlanState.DRAFT and policies.may(actor=actor, action="edit_plan", branch=plan.branch)
    blocks = list(plan.blocks.values_list("code", flat=True))
    form = TurnForm(request.POST or None, stage=stage, blocks=blocks, initial={"version": plan.version})
    status = 200
    if request.method == "POST":
        policies.require(actor=actor, action="edit_plan", branch=plan.branch)
        status = 422
        if form.is_valid():
            rows = [*selectors.rows_of(plan, {stage}), *form.cleaned_data["rows"]]
            status = _set(actor, plan, stage, rows, form)
            if status == 200:
                return redirect(f"{reverse('load_shedding:turns', args=[pk])}?stage={stage}")
        renewed(form, plan.version)
    found = plan.turns.filter(stage=stage).select_related("block")
    context = {
        "plan": plan,
        "stage": stage,
        "stages": stages,
        "grid": _grid(list(found)),
        "coverage": _coverage(selectors.rows_of(plan, {stage})),
        "form": form if stage and (may_edit or form.is_bound) else None,  # a refusal is read
        "shown": SHOWN,
    }
    return render(request, "load_shedding/turns.html", context, status=status)


def _stage(request: HttpRequest, plan: SheddingPlan) -> tuple[int, list[int]]:
    stages = list(plan.stages.values_list("number", flat=True))
    asked = request.GET.get("stage", "")
    stage = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 3 else 0
    return stage if stage in stages else (stages[0] if stages else 0), stages


def _set(actor: Actor, plan: SheddingPlan, stage: int, rows: Sequence[Row], form: ActionForm) -> int:
    try:
        drafts.turns_set(
            actor=actor, plan_id=plan.pk, rows=rows, stages={stage}, expected_version=form.cleaned_data["version"]
        )
    except DomainError as refusal:
        return refused(form, refusal)
    return 200


def _grid(found: Sequence[Turn]) -> dict[str, Any]:
    """A line for each span of the day, a column for each day, the blocks in the cells."""
    days = sorted({(turn.recurrence, turn.day or 32, turn.day) for turn in found})
    spans = sorted({(turn.starts, turn.ends) for turn in found})
    cells: dict[tuple[Any, ...], list[Turn]] = {}
    for turn in found:
        cells.setdefault((turn.starts, turn.ends, turn.recurrence, turn.day), []).append(turn)
    return {
        "heads": [day_words(recurrence, day) for recurrence, _order, day in days],
        "lines": [
            (f"{starts:%H:%M}–{ends:%H:%M}", [cells.get((starts, ends, recurrence, day), ())
                                              for recurrence, _order, day in days])
            for starts, ends in spans
        ],
    }  # fmt: skip


def _coverage(rows: Sequence[Row]) -> Any:
    return coverage_of(rows) if rows else None


@require_POST
@login_required
def turn_delete(request: HttpRequest, pk: int, turn_pk: int) -> HttpResponse:
    """Take one turn out of a draft."""
    actor, plan = draft_of(request, pk)
    turn = plan.turns.filter(pk=turn_pk).select_related("block").first()
    if turn is None:
        raise NotFound()
    gone = Row(
        turn.stage, turn.block.code, turn.recurrence, turn.day, turn.starts, turn.ends, turn.period, turn.counts_from,
        turn.is_possible,
    )  # fmt: skip
    rows = [row for row in selectors.rows_of(plan, {turn.stage}) if row != gone]
    drafts.turns_set(actor=actor, plan_id=pk, rows=rows, stages={turn.stage}, expected_version=plan.version)
    messages.success(request, _("The turn is deleted."))
    return redirect(f"{reverse('load_shedding:turns', args=[pk])}?stage={turn.stage}")


# --- from a file --------------------------------------------------------------------------------------


@require_http_methods(["GET", "POST"])
@login_required
@never_cache
def upload(request: HttpRequest, pk: int) -> HttpResponse:
    """A file with a rotation table: looked at first."""
    actor, plan = draft_of(request, pk)
    stages = list(plan.stages.values_list("number", flat=True))
    form = TableForm(request.POST or None, request.FILES or None, stages=stages)
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            try:
                digest = tables.table_keep(actor=actor, plan=plan, chunks=form.cleaned_data["file"].chunks())
                tables.table_check(plan=plan, digest=digest, stage=form.cleaned_data["stage"])
            except FileRefused as refusal:
                form.add_error("file", str(refusal))
            else:
                return redirect(f"{_check_url(pk, digest)}?stage={form.cleaned_data['stage']}")
    return render(request, "load_shedding/table.html", {"plan": plan, "form": form, "stages": stages}, status=status)


def _check_url(pk: int, digest: str) -> str:
    return reverse("load_shedding:table-check", args=[pk, digest])


@require_http_methods(["GET", "POST"])
@login_required
@never_cache
def check(request: HttpRequest, pk: int, digest: str) -> HttpResponse:
    """What the file says, what is wrong with it, what it leaves open; and taking it."""
    actor, plan = draft_of(request, pk)
    stage, _stages = _stage(request, plan)
    checked = tables.table_check(plan=plan, digest=digest, stage=stage)
    form = ActionForm(request.POST or None, initial={"version": plan.version})
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            try:
                tables.table_take(
                    actor=actor, plan=plan, digest=digest, stage=stage, expected_version=form.cleaned_data["version"]
                )
            except DomainError as refusal:
                status = refused(form, refusal)
            else:
                n = len(checked.found.rows)
                words = ngettext("%(n)d turn is in the plan.", "%(n)d turns are in the plan.", n)
                messages.success(request, words % {"n": n})
                return redirect("load_shedding:plan", pk)
        renewed(form, plan.version)
    found = checked.found
    known = set(plan.stages.values_list("number", flat=True))
    context = {
        "plan": plan,
        "form": form,
        "found": found,
        "coverage": checked.coverage,
        "shown": SHOWN,
        "stages": [
            (one, sum(row.stage == one for row in found.rows), plan.turns.filter(stage=one).count())
            for one in found.stages
        ],
        "untouched": sorted(known - set(found.stages)),
    }
    return render(request, "load_shedding/table_check.html", context, status=status)


# --- for a spreadsheet --------------------------------------------------------------------------------


@require_GET
@login_required
def export(request: HttpRequest, pk: int) -> StreamingHttpResponse:
    """The whole rotation table, in a form that can be read again."""
    plan = selectors.plan_by_id(actor=reader(request), plan_id=pk)
    return csv_response(f"rotation-{plan.number}", workbooks.headings(), workbooks.lines(selectors.rows_of(plan)))


@require_GET
@login_required
def template(request: HttpRequest, pk: int) -> HttpResponse:
    """An empty table with the plan's blocks and the length of its slots."""
    plan = selectors.plan_by_id(actor=reader(request), plan_id=pk)
    codes = list(plan.blocks.values_list("code", flat=True))
    data = workbooks.template(blocks=codes, slot_minutes=plan.slot_minutes)
    header = content_disposition_header(as_attachment=True, filename="rotation-table.xlsx")
    return HttpResponse(data, content_type=_XLSX, headers={"Content-Disposition": header or ""})
