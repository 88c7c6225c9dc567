"""Better windows for a plan: the search is started, watched, and its lines are accepted or refused."""

from __future__ import annotations

from typing import Final

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.actor import Actor
from accounts.pages import page_or_fragment
from accounts.requests import actor_of
from outages.planned import dossier, lifecycle, policies, selectors, tasks
from outages.planned.models import ScheduleLine, ScheduleRun
from outages.planned.services import schedules
from outages.planned.views.proposal import context_of
from standards.errors import DomainError, NotFound

_RUNS_SHOWN: Final = 10


@require_GET
@login_required
@never_cache
def schedule(request: HttpRequest, pk: int) -> HttpResponse:
    """What a search would work with, and what came of the earlier ones."""
    actor = actor_of(request)
    period = selectors.period_by_id(actor=actor, period_id=pk)
    accepted = Count("lines", filter=Q(lines__decision=ScheduleLine.Decision.ACCEPTED))
    runs = period.schedule_runs.annotate(moves=Count("lines"), accepted=accepted).order_by("-pk")[:_RUNS_SHOWN]
    movable = Q(state__in=lifecycle.EDITABLE)
    context = {
        "period": period,
        "runs": runs,
        "is_running": any(run.state in schedules.UNFINISHED for run in runs),
        "works": period.works.aggregate(
            movable=Count("pk", filter=movable & Q(is_fixed=False)),
            fixed=Count("pk", filter=movable & Q(is_fixed=True)),
        ),
        "may_start": policies.may(actor=actor, action="edit", branch=period.branch) and dossier.is_editable(period),
    }
    return render(request, "planned/schedule.html", context)


@require_POST
@login_required
def start(request: HttpRequest, pk: int) -> HttpResponse:
    """Search in the background; a second click finds the first one's search."""
    actor = actor_of(request)
    period = selectors.period_by_id(actor=actor, period_id=pk)
    policies.require(actor=actor, action="edit", branch=period.branch)
    try:
        begun = schedules.schedule_run_start(actor=actor, period_id=pk)
    except DomainError as refused:
        messages.error(request, str(refused))
        return redirect("planned:schedule", pk)
    tasks.schedule_run.delay_on_commit(begun.pk)
    return redirect("planned:schedule-run", begun.pk)


@require_http_methods(["GET", "POST"])
@login_required
@never_cache
def run(request: HttpRequest, pk: int) -> HttpResponse:
    """Where a search stands and what it proposes; sent, it decides about every line that still waits."""
    actor = actor_of(request)
    found = selectors.schedule_run_by_id(actor=actor, run_id=pk)
    if request.method == "GET":
        return page_or_fragment(
            request, "planned/schedule_run.html", "planned/partials/_schedule_run.html", context_of(found, actor)
        )
    _require_edit(actor, found)
    wanted = _wants(request)
    try:
        lines = schedules.schedule_lines_decide(actor=actor, run_id=pk, accept=wanted == "accept")
    except DomainError as refused:
        messages.error(request, str(refused))
        return redirect("planned:schedule-run", pk)
    _tell(request, lines)
    return redirect("planned:schedule-run", pk)


def _tell(request: HttpRequest, lines: list[ScheduleLine]) -> None:
    """What was accepted, and what could not be any more."""
    counts = {decision: sum(line.decision == decision for line in lines) for decision in ScheduleLine.Decision}
    if accepted := counts[ScheduleLine.Decision.ACCEPTED]:
        words = ngettext("%(n)d work has its new windows.", "%(n)d works have their new windows.", accepted)
        messages.success(request, words % {"n": accepted})
    if stale := counts[ScheduleLine.Decision.STALE]:
        words = ngettext(
            "%(n)d work has changed meanwhile and stays where it is.",
            "%(n)d works have changed meanwhile and stay where they are.",
            stale,
        )
        messages.warning(request, words % {"n": stale})


@require_POST
@login_required
def line(request: HttpRequest, pk: int, line_id: int) -> HttpResponse:
    """One line is accepted or refused, or its decision taken back."""
    actor = actor_of(request)
    found = selectors.schedule_run_by_id(actor=actor, run_id=pk)
    kept = selectors.schedule_line_by_id(run=found, line_id=line_id)
    _require_edit(actor, found)
    wanted = _wants(request, "undo")
    try:
        if wanted == "undo":
            schedules.schedule_line_undo(actor=actor, line_id=kept.pk)
        else:
            decided = schedules.schedule_line_decide(actor=actor, line_id=kept.pk, accept=wanted == "accept")
            if decided.decision == ScheduleLine.Decision.STALE:
                messages.warning(request, _("The work has changed meanwhile and stays where it is."))
    except DomainError as refused:
        messages.error(request, str(refused))
    return redirect(f"{reverse('planned:schedule-run', args=[pk])}#line-{line_id}")


def _require_edit(actor: Actor, found: ScheduleRun) -> None:
    policies.require(actor=actor, action="edit", branch=found.period.branch)


def _wants(request: HttpRequest, *more: str) -> str:
    wanted = request.POST.get("decision", "")
    if wanted not in ("accept", "refuse", *more):
        raise NotFound(field="decision")
    return wanted
