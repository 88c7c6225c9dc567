"""The small funnel of an outage's notices, a fragment of the outage page."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from accounts.requests import actor_of
from notifications.selectors import outage_funnels
from outages.selectors import outage_by_reference


@require_GET
@never_cache
@login_required
def outage_notices(request: HttpRequest, reference: str) -> HttpResponse:
    """What was said about one outage, and how far each message has come."""
    actor = actor_of(request)
    outage = outage_by_reference(actor=actor, reference=reference)
    return render(
        request,
        "notifications/partials/_outage_notices.html",
        {"outage": outage, "funnels": outage_funnels(actor=actor, outage=outage)},
    )
