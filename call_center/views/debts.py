"""The small forms of a call's card about a debt: who is calling, and what they ask for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from accounts.actor import Actor
from accounts.requests import actor_of
from call_center import selectors, services
from call_center.forms import ComplaintForm, HoldForm, IdentityForm
from call_center.views.calls import card_context, script_of
from standards.errors import DomainError


@require_POST
@login_required
@never_cache
def identity(request: HttpRequest, key: UUID) -> HttpResponse:
    """What the caller has confirmed; from then on the card speaks of the account."""
    form = IdentityForm(request.POST)

    def confirm(actor: Actor, answers: dict[str, Any]) -> None:
        services.identity_confirm(actor=actor, key=key, items=answers["items"], paid=answers["paid"])

    return _asked(request, key, form, "identity_form", confirm)


@require_POST
@login_required
@never_cache
def identity_withdraw(request: HttpRequest, key: UUID) -> HttpResponse:
    """It is not the customer."""
    services.identity_withdraw(actor=actor_of(request), key=key)
    return _back(request, key)


@require_POST
@login_required
@never_cache
def hold(request: HttpRequest, key: UUID) -> HttpResponse:
    """The caller promises to pay, or disputes the bill."""

    def ask(actor: Actor, answers: dict[str, Any]) -> None:
        services.hold_request(actor=actor, key=key, **answers)
        messages.success(request, _("The hold stands: nothing is cut until then."))

    return _asked(request, key, HoldForm(request.POST), "hold_form", ask)


@require_POST
@login_required
@never_cache
def complaint(request: HttpRequest, key: UUID) -> HttpResponse:
    """The caller complains about the cut."""

    def record(actor: Actor, answers: dict[str, Any]) -> None:
        if services.complaint_record(actor=actor, key=key, text=answers["text"]):
            messages.success(request, _("The complaint is recorded."))
        else:
            messages.warning(request, _("Nothing is cut here, so this is no complaint about a cut."))

    return _asked(request, key, ComplaintForm(request.POST), "complaint_form", record)


@require_POST
@login_required
@never_cache
def safe(request: HttpRequest, key: UUID) -> HttpResponse:
    """The caller says that everything is switched off there."""
    actor = actor_of(request)
    selectors.call_by_key(actor=actor, key=key)  # NotFound for somebody else's
    try:
        services.safe_record(actor=actor, key=key)
    except DomainError as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, _("Noted: the supply may come back."))
    return _back(request, key)


def _asked(
    request: HttpRequest, key: UUID, form: Form, name: str, do: Callable[[Actor, dict[str, Any]], None]
) -> HttpResponse:
    """Do what one of the small forms of the card asks for, or show the card again with what is wrong."""
    actor = actor_of(request)
    found, status = selectors.call_by_key(actor=actor, key=key), 422
    if form.is_valid():
        try:
            do(actor, form.cleaned_data)
            return _back(request, key)
        except DomainError as refusal:
            form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
            status = refusal.status
    context = card_context(request, actor, found) | {name: form}
    return render(request, "call_center/call.html", context, status=status)


def _back(request: HttpRequest, key: UUID) -> HttpResponse:
    """To the card, which goes on in the language that was being read out."""
    query = {"script": script_of(request)} if script_of(request) else None
    return redirect(reverse("call_center:call", args=[key], query=query))
