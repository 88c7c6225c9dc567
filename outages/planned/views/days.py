"""The work calendar: days on which planned outages are unwelcome, and weekends that are worked."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts.actor import Actor
from accounts.policies import actor_may, require
from accounts.requests import actor_of
from grid.models import CalendarDay
from outages.planned import agenda, policies
from outages.planned.forms.plans import CalendarDayForm
from outages.planned.lifecycle import YEARS
from outages.planned.services.days import calendar_day_add, calendar_day_delete
from standards.errors import DomainError, Forbidden, NotFound


@require_http_methods(["GET", "POST"])
@login_required
@never_cache
def days(request: HttpRequest) -> HttpResponse:
    """The days of a year that are not like others, and a form for one more."""
    actor = actor_of(request)
    require(actor, "outage.read")
    if request.method == "POST":
        return _add(request, actor)
    return _show(request, actor, _form(actor))


def _form(actor: Actor, data: Any = None) -> CalendarDayForm | None:
    capability = next((c for c in policies.CAPABILITIES["calendar"] if actor_may(actor, c)), None)
    if capability is None:
        return None
    for_all = policies.may_everywhere(actor=actor, action="calendar")
    return CalendarDayForm(data, actor=actor, capability=capability, for_all=for_all)


def _add(request: HttpRequest, actor: Actor) -> HttpResponse:
    form = _form(actor, request.POST)
    if form is None:
        raise Forbidden()
    if not form.is_valid():
        return _show(request, actor, form, status=422)
    try:
        added = calendar_day_add(actor=actor, **form.cleaned_data)
    except DomainError as refusal:
        form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
        return _show(request, actor, form, status=refusal.status if refusal.status in (409, 422) else 422)
    messages.success(request, _("%(day)s is in the work calendar.") % {"day": added})
    return redirect(f"{reverse('planned:days')}?year={added.day.year}")


def _show(request: HttpRequest, actor: Actor, form: CalendarDayForm | None, *, status: int = 200) -> HttpResponse:
    asked = request.GET.get("year", "")
    year = int(asked) if asked.isascii() and asked.isdigit() and len(asked) == 4 else timezone.localdate().year
    year = min(max(year, YEARS[0]), YEARS[-1])
    found = agenda.days_visible_to(actor, first=date(year, 1, 1), last=date(year, 12, 31))
    context = {
        "year": year,
        "before": year - 1 if year > YEARS[0] else None,
        "after": year + 1 if year < YEARS[-1] else None,
        "rows": [(day, day.local_name, _may_delete(actor, day)) for day in found],
        "form": form,
    }
    return render(request, "planned/days.html", context, status=status)


def _may_delete(actor: Actor, day: CalendarDay) -> bool:
    if day.branch is None:
        return policies.may_everywhere(actor=actor, action="calendar")
    return policies.may(actor=actor, action="calendar", branch=day.branch)


@require_POST
@login_required
def day_delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Take a day out of the work calendar."""
    actor = actor_of(request)
    require(actor, "outage.read")
    day = agenda.day_visible_to(actor, day_id=pk)
    if day is None:
        raise NotFound(field="day")
    calendar_day_delete(actor=actor, day_id=day.pk)
    messages.success(request, _("%(day)s is no longer in the work calendar.") % {"day": day})
    return redirect(f"{reverse('planned:days')}?year={day.day.year}")
