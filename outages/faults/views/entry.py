"""The dispatcher's room and the page on which a fault is logged."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from accounts.actor import Actor
from accounts.policies import actor_may, require
from accounts.requests import actor_of
from outages import board, impact, selectors
from outages.faults import selectors as fault_selectors
from outages.faults.forms import FaultForm
from outages.faults.selectors import Place
from outages.faults.services import fault_log
from outages.models import OPEN_STATUSES, OutageKind
from outages.places import masked
from standards.errors import DomainError

ROWS = 200


@require_GET
@login_required
@never_cache
def dispatch(request: HttpRequest) -> HttpResponse:
    """Faults that need somebody, crews and what they are on, reports that nobody has placed yet."""
    actor = actor_of(request)
    require(actor, "outage.write")
    now = timezone.now()
    faults = selectors.outages_visible_to(actor).filter(kind=OutageKind.FAULT, status__in=OPEN_STATUSES)
    thin = board.thin(faults)
    facts = board.facts_of(thin)
    page = board.by_attention(thin, facts, now=now)[:ROWS]
    context = {
        "rows": board.rows_of(page, faults, facts, now=now),
        "count": len(thin),
        "crews": fault_selectors.crews_today(actor),
        "unplaced": list(fault_selectors.reports_unplaced(actor)[:50]),
    }
    return render(request, "faults/dispatch.html", context)


@require_http_methods(["GET", "POST"])
@login_required
@never_cache
def new(request: HttpRequest) -> HttpResponse:
    """Log a fault: find the place, see who is off, say what is known."""
    actor = actor_of(request)
    require(actor, "outage.write" if request.method == "POST" else "report.create")
    if request.method == "POST":
        return _log(request, actor)
    # a search without scripts sends the whole form along, so nothing typed is lost
    typed = {name: request.GET[name] for name in FaultForm.base_fields if request.GET.get(name)}
    token = typed.get("token") or uuid.uuid4().hex
    form = FaultForm(initial={"started_at": None, **typed, "token": token})
    context = {"form": form, **_place_context(request.GET.get("q", ""), request.GET.get("place", ""), actor)}
    return render(request, "faults/new.html", context)


def _log(request: HttpRequest, actor: Actor) -> HttpResponse:
    form = FaultForm(request.POST)
    key = request.POST.get("place", "")
    place = fault_selectors.place_by_key(actor=actor, key=key)
    valid = form.is_valid()
    if place is None:
        form.add_error(None, _("Choose the place of the fault."))
    elif valid:
        facts = dict(form.cleaned_data)
        token = facts.pop("token")
        facts = {name: value for name, value in facts.items() if value not in ("", None)}
        note = facts.pop("note", "")
        if "etr" not in facts:
            facts = {name: value for name, value in facts.items() if not name.startswith("etr")}
        try:
            outage = fault_log(
                actor=actor,
                element_ids=[place.element.pk] if place.element else [],
                service_point_ids=[place.service_point.pk] if place.service_point else [],
                source_system="faults",
                source_ref=f"{actor.user_id}:{token}",
                note=note,
                **facts,
            )
        except DomainError as refusal:
            form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
        else:
            messages.success(request, _("%(reference)s is logged.") % {"reference": outage.reference})
            return redirect("outages:detail", outage.reference)
    context = {"form": form, **_place_context(request.POST.get("q", ""), key, actor)}
    return render(request, "faults/new.html", context, status=422)


@require_GET
@login_required
@never_cache
def place(request: HttpRequest) -> HttpResponse:
    """The part of the page beside the form: what was found, or who would be off (for htmx)."""
    actor = actor_of(request)
    require(actor, "report.create")
    context = _place_context(request.GET.get("q", ""), request.GET.get("place", ""), actor)
    return render(request, "faults/partials/_place.html", context)


def _place_context(text: str, key: str, actor: Actor) -> dict[str, Any]:
    """What the search found, and what the chosen place would take away."""
    chosen = fault_selectors.place_by_key(actor=actor, key=key) if key else None
    found = fault_selectors.places_search(actor=actor, text=text) if text and chosen is None else []
    if len(found) == 1:
        chosen = found[0]
    context: dict[str, Any] = {"q": text, "found": found, "place": chosen, "searched": bool(text.strip())}
    if chosen is not None:
        context |= _impact_context(chosen, actor)
    return context


def _impact_context(chosen: Place, actor: Actor) -> dict[str, Any]:
    off = fault_selectors.place_impact(chosen)
    point = chosen.service_point
    ids = list(off.element_ids) or ([point.element_id] if point else [])
    may_see = actor_may(actor, "customer.read_masked", (chosen.element or point).branch.pos)  # type: ignore[union-attr]
    important = impact.important_customers(off.element_ids) if may_see and off.critical else []
    return {
        "impact": off,
        "important": [(masked(customer.name), customer.get_importance_display()) for customer in important],
        "duplicates": fault_selectors.outages_touching(element_ids=ids, service_point_id=point.pk if point else None),
    }
