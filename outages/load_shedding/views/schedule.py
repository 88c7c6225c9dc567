"""The published schedule: which stage until when, how sure, and what that means for each block."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from accounts.actor import Actor
from accounts.pages import csv_response
from outages.load_shedding import policies, schedule, selectors
from outages.load_shedding.forms.plans import PublishForm, WithdrawForm, refused
from outages.load_shedding.models import PlanState, SheddingBlock, SheddingPlan, StageWindow
from outages.load_shedding.schedule import Known, PublishedSpan
from outages.load_shedding.services import schedule as services
from outages.load_shedding.views.plans import TONES, reader
from standards.errors import DomainError

DAYS: Final = 7


@dataclass
class Day:
    """One day of the page: which stages are published, and whether something is not known."""

    day: date
    windows: list[tuple[str, str, Known]]
    is_known: bool  # of the whole of it


@require_GET
@login_required
@never_cache
def index(request: HttpRequest) -> HttpResponse:
    """The coming days, block by block."""
    actor = reader(request)
    in_force = schedule.plans_in_force(selectors.plans_visible_to(actor).filter(state=PlanState.APPROVED))
    asked = request.GET.get("plan", "")
    plan = next((plan for plan in in_force if str(plan.pk) == asked), in_force[0] if in_force else None)
    if plan is None:
        return render(request, "load_shedding/schedule.html", {"plan": None})
    return _show(request, actor, plan, in_force=in_force)


def _show(
    request: HttpRequest,
    actor: Actor,
    plan: SheddingPlan,
    *,
    in_force: list[SheddingPlan] | None = None,
    publish: PublishForm | None = None,
    withdraw: WithdrawForm | None = None,
    status: int = 200,
) -> HttpResponse:
    with timezone.override(ZoneInfo(plan.branch.time_zone)):
        now = timezone.now()
        first = _asked_day(request) or timezone.localdate(now)
        days = _days(plan, [first + timedelta(days=n) for n in range(DAYS)])
        may_publish = policies.may(actor=actor, action="publish", branch=plan.branch)
        running_out = schedule.running_out([plan], now)
        stages = {stage.number: stage for stage in plan.stages.all()}
        context = {
            "plan": plan,
            "plans": in_force or [plan],
            "days": days,
            "rows": _rows(plan, days),
            "windows": [
                (window, TONES[stages[window.stage].colour] if window.stage in stages else "quiet")
                for window in StageWindow.objects.filter(plan__branch=plan.branch, until__gt=now).order_by("begins")
            ],
            "running_out": running_out[0] if running_out else None,
            "runs_out_at": schedule.runs_out_at(plan, now),
            "earlier": first - timedelta(days=DAYS),
            "later": first + timedelta(days=DAYS),
            "publish": (publish or _publish_form(plan, now)) if may_publish else None,
            "withdraw": (withdraw or WithdrawForm(prefix="withdraw")) if may_publish else None,
        }
        return render(request, "load_shedding/schedule.html", context, status=status)


def _asked_day(request: HttpRequest) -> date | None:
    try:
        day = parse_date(request.GET.get("from", ""))
    except ValueError:
        return None
    return day if day and 2000 <= day.year <= 2100 else None


def _publish_form(plan: SheddingPlan, now: datetime, data: Any = None) -> PublishForm:
    """From where what is published ends, to the end of that day."""
    begins = timezone.localtime(schedule.runs_out_at(plan, now) or now).replace(second=0, microsecond=0)
    until = datetime.combine(begins.date() + timedelta(days=1), time(0), begins.tzinfo)
    stages = list(plan.stages.values_list("number", flat=True))
    return PublishForm(data, stages=stages, initial={"begins": begins, "until": until, "certainty": "forecast"})


def _bounds(day: date) -> tuple[datetime, datetime]:
    zone = timezone.get_current_timezone()
    return datetime.combine(day, time(0), zone), datetime.combine(day + timedelta(days=1), time(0), zone)


def _days(plan: SheddingPlan, days: list[date]) -> list[Day]:
    begins, until = _bounds(days[0])[0], _bounds(days[-1])[1]
    known = schedule.known(plan, begins, until)
    ahead = max(begins, timezone.now())  # what has passed need not be known any more
    unknown = schedule.unknown(plan, ahead, until) if ahead < until else []
    found = []
    for day in days:
        first, last = _bounds(day)
        windows = [
            (_clock(max(window.begins, first)), _clock(min(window.until, last), is_end=True), window)
            for window in known
            if window.begins < last and window.until > first
        ]
        found.append(Day(day, windows, not any(a < last and b > first for a, b in unknown)))
    return found


def _clock(moment: datetime, *, is_end: bool = False) -> str:
    text = f"{timezone.localtime(moment):%H:%M}"
    return "24:00" if is_end and text == "00:00" else text


@dataclass(frozen=True)
class Cell:
    """One block's turns on one day; nothing known about the day is not the same as no turn."""

    turns: list[tuple[str, str, PublishedSpan]]
    is_unknown: bool


def _rows(plan: SheddingPlan, days: list[Day]) -> list[tuple[SheddingBlock, list[Cell]]]:
    """Each block with its turns of each day; a turn stands on the day on which it begins."""
    first, last = days[0].day, days[-1].day
    turns: defaultdict[tuple[str, date], list[tuple[str, str, PublishedSpan]]] = defaultdict(list)
    for span in schedule.published(plan, _bounds(first)[0], _bounds(last)[1]):
        day = max(timezone.localtime(span.begins).date(), first)
        is_longer = span.until > _bounds(day)[1]
        turns[span.block, day].append((_clock(span.begins), _clock(span.until, is_end=not is_longer), span))
    return [
        (
            block,
            [Cell(turns[block.code, one.day], is_unknown=not (one.windows or one.is_known)) for one in days],
        )
        for block in plan.blocks.all()
    ]


# --- publishing ---------------------------------------------------------------------------------------


@require_POST
@login_required
def publish(request: HttpRequest, pk: int) -> HttpResponse:
    """Publish a stage from then to then."""
    actor, plan = _publisher(request, pk)
    with timezone.override(ZoneInfo(plan.branch.time_zone)):
        form = _publish_form(plan, timezone.now(), request.POST)
        if not form.is_valid():
            return _show(request, actor, plan, publish=form, status=422)
        try:
            services.stage_publish(actor=actor, plan_id=pk, **form.cleaned_data)
        except DomainError as refusal:
            return _show(request, actor, plan, publish=form, status=refused(form, refusal))
    messages.success(request, _("The stage is published."))
    return redirect(f"{reverse('load_shedding:schedule')}?plan={pk}")


@require_POST
@login_required
def withdraw(request: HttpRequest, pk: int) -> HttpResponse:
    """Take back what is published from then to then."""
    actor, plan = _publisher(request, pk)
    with timezone.override(ZoneInfo(plan.branch.time_zone)):
        form = WithdrawForm(request.POST, prefix="withdraw")
        if not form.is_valid():
            return _show(request, actor, plan, withdraw=form, status=422)
        try:
            services.stage_withdraw(actor=actor, plan_id=pk, **form.cleaned_data)
        except DomainError as refusal:
            return _show(request, actor, plan, withdraw=form, status=refused(form, refusal))
    messages.success(request, _("Withdrawn: for that time nothing is known any more."))
    return redirect(f"{reverse('load_shedding:schedule')}?plan={pk}")


def _publisher(request: HttpRequest, pk: int) -> tuple[Actor, SheddingPlan]:
    actor = reader(request)
    plan = selectors.plan_by_id(actor=actor, plan_id=pk)
    policies.require(actor=actor, action="publish", branch=plan.branch)
    return actor, plan


@require_GET
@login_required
def export(request: HttpRequest, pk: int) -> StreamingHttpResponse:
    """The published turns of the coming month for a spreadsheet."""
    plan = selectors.plan_by_id(actor=reader(request), plan_id=pk)
    now = timezone.now()
    heads = (_("Block"), _("Off from"), _("Back by"), _("Certainty"), _("Stage"), _("Only possible"))
    rows = (
        (span.block, span.begins, span.until, span.certainty.label, span.stage, _("yes") if span.is_possible else "")
        for span in schedule.published(plan, now, now + timedelta(days=31))
    )
    return csv_response("shedding-schedule", heads, rows)
