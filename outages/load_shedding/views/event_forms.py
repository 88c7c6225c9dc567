"""What is entered on an event's own page: measures, order, proposals, the choice, the decision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from accounts.actor import Actor
from outages.load_shedding import policies, selectors
from outages.load_shedding.forms import events as forms
from outages.load_shedding.forms.plans import refused, renewed
from outages.load_shedding.models import SheddingEvent
from outages.load_shedding.services import choices, events
from outages.load_shedding.views.events import measure_form, order_form, shown
from outages.load_shedding.views.hand import BY_HAND, Hand
from outages.load_shedding.views.plans import reader
from standards.errors import DomainError


def event_for(request: HttpRequest, reference: str, action: str) -> tuple[Actor, SheddingEvent]:
    """The event that somebody is about to change; whether it can be changed is the service's to say."""
    actor = reader(request)
    event = selectors.event_by_reference(actor=actor, reference=reference)
    policies.require(actor=actor, action=action, branch=event.branch)
    return actor, event


def _taken(
    request: HttpRequest, actor: Actor, event: SheddingEvent, name: str, form: Any,
    take: Callable[[dict[str, Any], int], object], said: str | Promise,
) -> HttpResponse:  # fmt: skip
    """Take a step with what the form says. Refused, the page shows what was typed beside what holds now."""
    status = 422
    if form.is_valid():
        facts = dict(form.cleaned_data)
        facts.pop("seen", None)
        try:
            take(facts, facts.pop("version"))
        except DomainError as refusal:
            status = refused(form, refusal)
        else:
            messages.success(request, str(said))
            return redirect("load_shedding:event", event.reference)
    fresh = selectors.event_by_reference(actor=actor, reference=event.reference)
    renewed(form, fresh.version)
    return shown(request, actor, fresh, status=status, **{name: form, "asked": request.POST})


# --- target -------------------------------------------------------------------------------------------


@require_POST
@login_required
def measure(request: HttpRequest, reference: str) -> HttpResponse:
    """A measure before disconnection was asked for, or what it brought is known."""
    actor, event = event_for(request, reference, "order")
    with timezone.override(ZoneInfo(event.branch.time_zone)):
        form = measure_form(event, actor, request.POST.get("measure", ""), request.POST)

        def take(facts: dict[str, Any], _version: int) -> object:
            held = form.known or facts.pop("agreement")
            return events.measure_record(
                actor=actor, event_id=event.pk, customer=held.customer if held else None,
                measure_id=facts.pop("measure"), **facts,
            )  # fmt: skip

        return _taken(request, actor, event, "measure_form", form, take, _("The measure is recorded."))


@require_POST
@login_required
def order(request: HttpRequest, reference: str) -> HttpResponse:
    """So many MW less, from then to then."""
    actor, event = event_for(request, reference, "order")
    with timezone.override(ZoneInfo(event.branch.time_zone)):
        return _taken(
            request, actor, event, "order_form", order_form(event, request.POST),
            lambda facts, version: events.event_order(
                actor=actor, event_id=event.pk, expected_version=version, **facts
            ),
            _("The order is recorded."),
        )  # fmt: skip


# --- choice -------------------------------------------------------------------------------------------


@require_POST
@login_required
def compute(request: HttpRequest, reference: str) -> HttpResponse:
    """Have the three proposals computed."""
    actor, event = event_for(request, reference, "propose")
    events.proposals_make(actor=actor, event_id=event.pk)
    return redirect(f"{reverse('load_shedding:event', args=[reference])}#choice")


@require_POST
@login_required
def propose(request: HttpRequest, reference: str) -> HttpResponse:
    """Put a proposal, or turns by hand, to the second person."""
    actor, event = event_for(request, reference, "propose")
    letter = request.POST.get("choice", "")

    def take(facts: dict[str, Any], version: int) -> object:
        spans = None
        if letter == BY_HAND:
            spans = Hand.of(choices.question_for(event), request.POST.getlist("turn")).spans
        reason = " · ".join(words for words in (facts["reason"], facts.get("why_now")) if words)
        return events.event_propose(
            actor=actor, event_id=event.pk, letter=letter, reason=reason, spans=spans, expected_version=version
        )

    with timezone.override(ZoneInfo(event.branch.time_zone)):
        form = forms.ProposeForm(request.POST, untried=forms.untried(event.measures.all()))
        said = _("Handed to the second person. Nothing is switched or sent before they confirm.")
        return _taken(request, actor, event, "propose_form", form, take, said)


# --- decision -----------------------------------------------------------------------------------------


@require_POST
@login_required
def confirm(request: HttpRequest, reference: str) -> HttpResponse:
    """The second person agrees: ten seconds later it is announced."""
    actor, event = event_for(request, reference, "confirm")
    with timezone.override(ZoneInfo(event.branch.time_zone)):
        return _taken(
            request, actor, event, "confirm_form", forms.ConfirmForm(request.POST),
            lambda facts, version: events.event_confirm(
                actor=actor, event_id=event.pk, expected_version=version, **facts
            ),
            _("Confirmed."),
        )  # fmt: skip


@require_POST
@login_required
def send_back(request: HttpRequest, reference: str) -> HttpResponse:
    """The second person does not agree."""
    actor, event = event_for(request, reference, "confirm")
    with timezone.override(ZoneInfo(event.branch.time_zone)):
        return _taken(
            request, actor, event, "return_form", forms.ReasonForm(request.POST, prefix="return"),
            lambda facts, version: events.event_return(
                actor=actor, event_id=event.pk, expected_version=version, **facts
            ),
            _("Sent back with your reason."),
        )  # fmt: skip


@require_POST
@login_required
def withdraw(request: HttpRequest, reference: str) -> HttpResponse:
    """Whoever proposed takes it back."""
    actor, event = event_for(request, reference, "propose")
    events.event_withdraw(actor=actor, event_id=event.pk)
    messages.success(request, _("Taken back: choose again."))
    return redirect("load_shedding:event", reference)


@require_POST
@login_required
def undo(request: HttpRequest, reference: str) -> HttpResponse:
    """One key, ten seconds."""
    actor, event = event_for(request, reference, "undo")
    events.event_undo(actor=actor, event_id=event.pk)
    messages.success(request, _("Taken back: nothing was announced or switched."))
    return redirect("load_shedding:event", reference)
