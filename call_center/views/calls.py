"""The agent's pages: search, the card of one call, the own list, the callbacks to make."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from accounts.actor import Actor
from accounts.pages import wants_fragment
from accounts.requests import actor_of
from billing_cutoffs.caller import debt_of
from call_center import policies, selectors, services
from call_center.forms import (
    CallbackForm,
    ComplaintForm,
    HoldForm,
    IdentityForm,
    LogForm,
    PremisesForm,
    SearchForm,
    draft_from,
)
from call_center.models import Call, CallbackResult
from call_center.search import Results, premises_hits, search
from standards.errors import DomainError

# how switchboards and softphones name the caller's number, in the order of preference
ANI_NAMES = ("ani", "cli", "from", "caller", "phone")
CALL_ID_NAMES = ("callid", "callId", "call_id")
PAGE_SIZE = 50


# --- search -----------------------------------------------------------------------------------------

# what was typed waits here for the page that answers it: a name or a number never stands in an address
_TYPED: Final = "console.typed"


@require_GET
@login_required
@never_cache
def console(request: HttpRequest) -> HttpResponse:
    """The search box and what it found; before anything is typed, what was at hand last."""
    actor = actor_of(request)
    policies.require_search(actor)
    typed = request.GET.get("q", "").strip()
    if typed:
        return _typed(request, typed, reverse("call_center:console"))
    query = request.session.get(_TYPED, "") if "found" in request.GET else ""
    context = _search_context(actor, search(actor=actor, query=query))
    if not query:
        context |= _at_hand(actor)
    context["receipt"] = selectors.call_last_logged(actor=actor) if "done" in request.GET else None
    return render(request, "call_center/console.html", context)


@require_POST
@login_required
@never_cache
def find(request: HttpRequest) -> HttpResponse:
    """Search. While typing the hits come at once; Enter opens the one premises meant, or shows the hits as a page."""
    actor = actor_of(request)
    form = SearchForm(request.POST)
    form.is_valid()
    query, key = form.cleaned_data.get("q", ""), form.cleaned_data.get("call")
    if wants_fragment(request):
        context = _search_context(actor, search(actor=actor, query=query))
        context["call"] = selectors.call_by_key(actor=actor, key=key) if key else None
        # Enter while the hits are still on their way opens the card twice: the same token makes it one
        context["start_token"] = form.cleaned_data.get("start_token") or context["start_token"]
        return render(request, "call_center/partials/_results.html", context)
    only = search(actor=actor, query=query).only
    if key and only is not None:
        services.call_choose_premises(actor=actor, key=key, service_point_id=only.service_point.pk)
        return redirect("call_center:call", key=key)
    if only is not None and policies.may_take_calls(actor):
        token = form.cleaned_data.get("start_token", "")
        call = services.call_start(actor=actor, service_point_id=only.service_point.pk, start_token=token)
        return redirect("call_center:call", key=call.key)
    return _typed(request, query, reverse("call_center:call", args=[key]) if key else reverse("call_center:console"))


def _typed(request: HttpRequest, query: str, page: str) -> HttpResponse:
    request.session[_TYPED] = query[:100]
    return redirect(f"{page}?found")


def _search_context(actor: Actor, results: Results) -> dict[str, Any]:
    return {
        "results": results,
        "query": results.query,
        "call": None,
        "recent": (),
        "pinned": (),
        "outages": (),
        "callbacks_due": 0,
        "may_take_calls": policies.may_take_calls(actor),
        "start_token": services.start_token_new(),
    }


def _at_hand(actor: Actor) -> dict[str, Any]:
    """The last premises and outages, those that are pinned, and how many people wait to be called back."""
    pinned = selectors.pinned_service_points(actor=actor)
    recent = [pk for pk in selectors.recent_service_points(actor=actor) if pk not in pinned]
    hits = premises_hits(actor=actor, matched=dict.fromkeys([*pinned, *recent], ("recent", "")))
    by_id = {hit.service_point.pk: hit for hit in hits}
    return {
        "pinned": [by_id[pk] for pk in pinned if pk in by_id],
        "recent": [by_id[pk] for pk in recent if pk in by_id],
        "outages": selectors.recent_outages(actor=actor),
        "callbacks_due": selectors.callbacks_due(actor=actor).count(),
    }


@require_POST
@login_required
@never_cache
def start(request: HttpRequest) -> HttpResponse:
    """Open a card for the premises chosen."""
    form = PremisesForm(request.POST)
    if not form.is_valid():
        return redirect("call_center:console")
    call = services.call_start(
        actor=actor_of(request),
        service_point_id=form.cleaned_data["service_point"],
        start_token=form.cleaned_data["start_token"],
    )
    return redirect("call_center:call", key=call.key)


@require_GET
@login_required
@never_cache
def pop(request: HttpRequest) -> HttpResponse:
    """The softphone opens the caller's card; the number leaves the address bar at once."""
    ani = _first(request, ANI_NAMES)
    call_id = _first(request, CALL_ID_NAMES)
    if not ani and not call_id:
        return redirect("call_center:console")
    call = services.call_pop(actor=actor_of(request), ani=ani, call_id=call_id, queue=request.GET.get("queue", ""))
    return redirect("call_center:call", key=call.key)


def _first(request: HttpRequest, names: tuple[str, ...]) -> str:
    for name in names:
        value = request.GET.get(name, "")
        if value:
            # an unescaped + of +86 arrives as a space
            return f"+{value.strip()}" if value.startswith(" ") else value.strip()
    return ""


# --- one call ---------------------------------------------------------------------------------------


@require_GET
@login_required
@never_cache
def call(request: HttpRequest, key: UUID) -> HttpResponse:
    """One call: the chooser until the premises are known, then the answer and the log."""
    actor = actor_of(request)
    policies.require_take_calls(actor)
    found = selectors.call_by_key(actor=actor, key=key)
    if found.service_point is None or (found.is_open and {"choose", "found"} & set(request.GET)):
        return _choose(request, actor, found)
    return render(request, "call_center/call.html", card_context(request, actor, found))


def _choose(request: HttpRequest, actor: Actor, found: Call) -> HttpResponse:
    query = request.session.get(_TYPED, "") if "found" in request.GET else found.ani
    context = {**_search_context(actor, search(actor=actor, query=query)), "call": found}
    return render(request, "call_center/choose.html", context)


def card_context(request: HttpRequest, actor: Actor, found: Call, form: LogForm | None = None) -> dict[str, Any]:
    """All that the page of one call shows."""
    point = found.service_point
    if point is None:
        raise services.NoPremises()
    shown = _answer_context(request, actor, found)
    check, answer = shown["check"], shown["answer"]
    return {
        **shown,
        "panel": selectors.panel(actor=actor, call=found, service_point=point),
        "shedding": selectors.shedding(service_point=point, verdict=answer.verdict),
        "form": form or LogForm.for_call(found, reason=answer.preset_reason, language=shown["script"]),
        "safety_script": selectors.SAFETY_SCRIPT,
        "may_ask_identity": policies.may_ask_identity(actor=actor, call=found),
        "debt": None if check is None else debt_of(service_point=point, at=answer.verdict.at),
        "identity_form": IdentityForm(),
        "hold_form": HoldForm(),
        "complaint_form": ComplaintForm(),
    }


def _answer_context(request: HttpRequest, actor: Actor, found: Call) -> dict[str, Any]:
    if found.service_point is None:
        raise services.NoPremises()
    check = selectors.identity_standing(actor=actor, call=found)
    return {
        "call": found,
        "check": check,
        "answer": selectors.answer(service_point=found.service_point, call=found, verified=check is not None),
        "script": "en" if (script_of(request) or found.language) == "en" else "zh-hans",
    }


def script_of(request: HttpRequest) -> str:
    """The language in which the agent reads out, as far as this page has been told."""
    return request.POST.get("script") or request.GET.get("script", "")


@require_GET
@login_required
@never_cache
def card(request: HttpRequest, key: UUID) -> HttpResponse:
    """The answer card alone, for a live refresh."""
    actor = actor_of(request)
    found = selectors.call_by_key(actor=actor, key=key)
    return render(request, "call_center/partials/_answer.html", _answer_context(request, actor, found))


@require_POST
@login_required
@never_cache
def choose(request: HttpRequest, key: UUID) -> HttpResponse:
    """The premises this call is about."""
    form = PremisesForm(request.POST)
    if form.is_valid():
        services.call_choose_premises(
            actor=actor_of(request), key=key, service_point_id=form.cleaned_data["service_point"]
        )
    return redirect("call_center:call", key=key)


@require_POST
@login_required
@never_cache
def draft(request: HttpRequest, key: UUID) -> HttpResponse:
    """Keep what is typed. Answers the time it was kept, or why it was not."""
    try:
        at = services.draft_save(actor=actor_of(request), key=key, draft=draft_from(request.POST))
    except DomainError as refusal:
        return JsonResponse({"code": refusal.code, "detail": str(refusal)}, status=refusal.status)
    return JsonResponse({"saved_at": timezone.localtime(at).strftime("%H:%M:%S")})


@require_POST
@login_required
@never_cache
def log(request: HttpRequest, key: UUID) -> HttpResponse:
    """Log the call, and show what became of it."""
    actor = actor_of(request)
    found = selectors.call_by_key(actor=actor, key=key)
    form = LogForm(request.POST)
    if not form.is_valid():
        return render(request, "call_center/call.html", card_context(request, actor, found, form), status=422)
    answers = form.cleaned_data
    try:
        services.call_log(
            actor=actor,
            key=key,
            reason=answers["reason"],
            scope=answers["scope"],
            language=answers["language"] or found.language,
            safety=form.safety(),
            note=answers["note"],
            callback_wanted=answers["callback_wanted"],
            told=selectors.told_read(answers["told"], service_point_id=found.service_point_id),
        )
    except DomainError as refusal:
        form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
        context = card_context(request, actor, found, form)
        return render(request, "call_center/call.html", context, status=refusal.status)
    if "ready" in request.POST:
        return redirect(f"{reverse('call_center:console')}?done")
    return redirect("call_center:call", key=key)


# --- lists ------------------------------------------------------------------------------------------


@require_GET
@login_required
@never_cache
def calls(request: HttpRequest) -> HttpResponse:
    """The agent's own calls, newest first."""
    actor = actor_of(request)
    policies.require_take_calls(actor)
    page = Paginator(selectors.calls_own(actor=actor), PAGE_SIZE).get_page(request.GET.get("page"))
    rows = [
        {
            "call": own,
            "person": own.service_point and selectors.person_in_part(call=own, service_point=own.service_point),
        }
        for own in page
    ]
    return render(request, "call_center/calls.html", {"page_obj": page, "rows": rows})


@require_GET
@login_required
@never_cache
def callbacks(request: HttpRequest) -> HttpResponse:
    """The promises that are due: their outage is over."""
    actor = actor_of(request)
    policies.require_take_calls(actor)
    page = Paginator(selectors.callbacks_due(actor=actor), PAGE_SIZE).get_page(request.GET.get("page"))
    rows = [selectors.callback_row(callback) for callback in page]
    context = {"page_obj": page, "rows": rows, "results": CallbackResult.choices}
    return render(request, "call_center/callbacks.html", context)


@require_POST
@login_required
@never_cache
def callback_record(request: HttpRequest, callback_id: int) -> HttpResponse:
    """What a callback brought; "still off" opens a card for it."""
    form = CallbackForm(request.POST)
    if not form.is_valid():
        return redirect("call_center:callbacks")
    actor = actor_of(request)
    result = form.cleaned_data["result"]
    done = services.callback_record(actor=actor, callback_id=callback_id, result=result)
    if result == CallbackResult.STILL_OUT:
        call = services.call_start(
            actor=actor, service_point_id=done.service_point_id, start_token=f"callback:{done.pk}"
        )
        return redirect("call_center:call", key=call.key)
    messages.success(request, _("Noted."))
    return redirect("call_center:callbacks")


@require_POST
@login_required
@never_cache
def pin(request: HttpRequest) -> HttpResponse:
    """Keep premises or an outage at hand, or let them go."""
    form = PremisesForm(request.POST)
    if form.is_valid():
        services.pin_toggle(actor=actor_of(request), service_point_id=form.cleaned_data["service_point"])
    elif request.POST.get("reference"):
        services.pin_toggle(actor=actor_of(request), reference=request.POST["reference"])
    back = form.cleaned_data.get("call")
    return redirect("call_center:call", key=back) if back else redirect("call_center:console")
