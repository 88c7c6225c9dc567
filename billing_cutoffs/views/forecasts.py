"""The forecasts that bar cuts in cold and heat: seen by branch and day, entered or replaced by hand."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.actor import Actor
from accounts.requests import actor_of
from accounts.scope import visible_to
from billing_cutoffs import policies, selectors
from billing_cutoffs.forms.forecasts import ForecastForm
from billing_cutoffs.models import TemperatureForecast
from billing_cutoffs.services.feed import forecasts_receive
from grid.models import Branch
from standards import RulePack, pack
from standards.errors import Forbidden

DAYS_SHOWN: Final = 7


@dataclass(frozen=True)
class Cell:
    """What is forecast for one branch and day, and what it bars."""

    forecast: TemperatureForecast | None
    is_own: bool = False
    is_old: bool = False
    bar: str = ""  # cold, heat


@dataclass(frozen=True)
class Line:
    branch: Branch
    cold: float | None
    heat: float | None
    cells: list[Cell]


@require_http_methods(["GET", "POST"])
@login_required
@never_cache
def forecasts(request: HttpRequest) -> HttpResponse:
    """The coming days of every branch, and a form for one of them."""
    actor = actor_of(request)
    if not policies.may_somewhere(actor=actor, action="read_orders"):
        raise Forbidden()
    form = _form(actor, request.POST or None)
    if request.method == "POST":
        if form is None:
            raise Forbidden()
        if form.is_valid() and _received(form, actor):
            messages.success(request, _("The forecast is in: what is still to be cut is judged by it."))
            return redirect("billing_cutoffs:forecasts")
    days = [timezone.localdate() + timedelta(days=n) for n in range(DAYS_SHOWN)]
    context = {"days": days, "lines": _lines(actor, days, timezone.now()), "form": form}
    status = 422 if form is not None and form.errors else 200
    return render(request, "billing_cutoffs/forecasts.html", context, status=status)


def _form(actor: Actor, data: Any) -> ForecastForm | None:
    if not policies.may_somewhere(actor=actor, action="feed_arrears"):
        return None
    return ForecastForm(data, actor=actor, initial={"day": timezone.localdate()})


def _received(form: ForecastForm, actor: Actor) -> bool:
    """By the same way as the weather service's; a refusal stands beside its field."""
    facts = form.cleaned_data
    item = {**facts, "branch": facts["branch"].code, "issued_at": timezone.now()}
    [outcome] = forecasts_receive(actor=actor, source_system="", items=[item])
    if outcome.error is not None:
        field = outcome.error.field
        form.add_error(field if field in form.fields else None, str(outcome.error))
    return outcome.error is None


def _lines(actor: Actor, days: list[date], at: datetime) -> list[Line]:
    found = selectors.forecasts_visible_to(actor).filter(day__range=(days[0], days[-1]))
    by_day: dict[date, list[TemperatureForecast]] = defaultdict(list)
    for forecast in found:
        by_day[forecast.day].append(forecast)
    lines = []
    for branch in visible_to(actor, Branch.objects.all(), "cutoff.read"):
        rules = pack(branch.rule_pack)
        cold, heat = rules.protections.cold, rules.protections.heat
        cells = [_cell(branch, by_day[day], rules, at) for day in days]
        lines.append(Line(branch, cold.value if cold else None, heat.value if heat else None, cells))
    return lines


def _cell(branch: Branch, of_day: Iterable[TemperatureForecast], rules: RulePack, at: datetime) -> Cell:
    """The branch's own forecast or the nearest above it; an old one, which the guards do not take, only if no other."""
    oldest = at - rules.protections.forecast_age.delta
    above = [f for f in of_day if f.branch.pos <= branch.pos <= f.branch.last]
    nearest = max(above, key=lambda f: (f.issued_at >= oldest, f.branch.pos), default=None)
    if nearest is None:
        return Cell(None)
    cold, heat = rules.protections.cold, rules.protections.heat
    bar = "cold" if cold and nearest.low <= cold.value else "heat" if heat and nearest.high >= heat.value else ""
    is_old = nearest.issued_at < oldest
    return Cell(nearest, nearest.branch_id == branch.pk, is_old, "" if is_old else bar)
