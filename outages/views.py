"""The board, the map beside it, and the page of one outage."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any, Final

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.cache import cache
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse, StreamingHttpResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from accounts.actor import Actor
from accounts.pages import csv_response, page_or_fragment, wants_fragment
from accounts.policies import actor_may
from accounts.requests import actor_of
from accounts.scope import visible_to
from grid.models import Branch
from outages import board, kinds, places, policies, selectors
from outages.filters import BoardFilter
from outages.forms import NoteForm
from outages.models import Outage, OutageStatus
from outages.services import outage_note
from outages.timeline import Entry, entries_of, estimates_of, label_of
from standards.errors import DomainError, Forbidden, NotFound

PAGE_SIZE: Final = 100
BOARD_AGES_EVERY: Final = 30  # seconds; "41 min" on a row is at most this old
PLACES_SHOWN: Final = 100
VIEWS: Final = ("list", "map", "split")


@require_GET
@login_required
def home(request: HttpRequest) -> HttpResponse:
    """An agent starts at the console, everybody else at the board."""
    actor = actor_of(request)
    answers_calls = actor_may(actor, "call.log") and not actor_may(actor, "outage.write")
    return redirect("/console/" if answers_calls else "outages:board")


@require_GET
@login_required
@never_cache
def board_page(request: HttpRequest) -> HttpResponse:
    """What is off now, in the order in which it needs a person."""
    actor = _reader(request)
    live = _board_live(request, actor)
    if wants_fragment(request):
        return page_or_fragment(request, "", "outages/partials/_board_fragment.html", live)
    view = request.GET.get("view", "list")
    context = {
        **live,
        "view": view if view in VIEWS else "list",
        "is_kiosk": request.GET.get("kiosk") == "1",
        "chosen": _chosen(request),
        "is_narrowed": _is_narrowed(request),
        "branches": visible_to(actor, Branch.objects.all(), "outage.read"),
        "kind_choices": [(handler.kind, handler.label) for handler in kinds.all_handlers() if handler.is_public],
        "status_choices": OutageStatus.choices,
        "map_query": _query_without(request, "page", "view"),
    }
    return page_or_fragment(request, "outages/board.html", "", context)


def _board_live(request: HttpRequest, actor: Actor) -> dict[str, Any]:
    """Figures and list as HTML: rendered once per version of the record for everybody who sees the same branches."""
    now = timezone.now()
    newest, recent = board.version()
    sees = sorted((grant.role, grant.pos or 0, grant.last or 0) for grant in actor.grants)
    asked = [newest, recent, sees, request.GET.urlencode(), get_language(), int(now.timestamp()) // BOARD_AGES_EVERY]
    key = "board:" + hashlib.sha256(repr(asked).encode()).hexdigest()
    html: dict[str, Any] | None = cache.get(key)
    if html is None:
        context = {**_board(request, actor, now=now), "live_version": newest}
        html = {
            "totals_html": render_to_string("outages/partials/_totals.html", context),
            "live_html": render_to_string("outages/partials/_board_live.html", context, request),
        }
        cache.set(key, html, BOARD_AGES_EVERY)
    return html


def _board(request: HttpRequest, actor: Actor, *, now: datetime) -> dict[str, Any]:
    everything = board.for_the_board(selectors.outages_visible_to(actor), now=now)
    is_narrowed = _is_narrowed(request)
    whole = board.thin(board.current(everything, now=now))
    shown = board.thin(BoardFilter(request.GET, queryset=everything).qs) if is_narrowed else whole
    facts = board.facts_of({row.id: row for row in [*whole, *shown]}.values())
    page = Paginator(board.by_attention(shown, facts, now=now), PAGE_SIZE).get_page(request.GET.get("page"))
    return {
        "chosen": _chosen(request),
        "is_narrowed": is_narrowed,
        "totals": board.totals(whole, facts, now=now),
        "page_obj": page,
        "rows": board.rows_of(list(page.object_list), everything, facts, now=now),
        "shown": len(shown),
        "last_restored": None if whole else board.last_restored_at(everything),
        "query": _query_without(request, "view", "kiosk"),
    }


def _chosen(request: HttpRequest) -> dict[str, str]:
    return {name: request.GET.get(name, "") for name in BoardFilter.base_filters}


def _is_narrowed(request: HttpRequest) -> bool:
    return any(_chosen(request).values())


def _query_without(request: HttpRequest, *names: str) -> str:
    query = request.GET.copy()
    for name in names:
        query.pop(name, None)
    return query.urlencode()


def _reader(request: HttpRequest) -> Actor:
    actor = actor_of(request)
    if not actor_may(actor, "outage.read"):
        raise Forbidden()
    return actor


# --- export and map -----------------------------------------------------------------------------------


@require_GET
@login_required
def board_csv(request: HttpRequest) -> StreamingHttpResponse:
    """The filtered list as a spreadsheet would want it."""
    actor = _reader(request)
    everything = board.for_the_board(selectors.outages_visible_to(actor), now=timezone.now())
    filterset = BoardFilter(request.GET, queryset=everything)
    rows = filterset.qs.order_by("-started_at", "-id").iterator(chunk_size=1000)
    heads = [label_of(name) for name in _COLUMNS]
    return csv_response("outages", heads, ([_cell(outage, name) for name in _COLUMNS] for outage in rows))


_COLUMNS: Final = (
    "reference", "kind", "status", "branch", "feeder", "place", "customers_out", "critical_out", "customers_affected",
    "load_kw", "planned_start", "planned_end", "started_at", "etr", "restored_at", "cause_class",
)  # fmt: skip


def _cell(outage: Outage, name: str) -> Any:
    display = getattr(outage, f"get_{name}_display", None)
    return display() if display else getattr(outage, name)


@require_GET
@login_required
@never_cache
def board_geojson(request: HttpRequest) -> JsonResponse:
    """Where the outages of the list are: a point each, sized by customers. No personal data."""
    actor = _reader(request)
    now = timezone.now()
    # nobody's unpaid bill is on a map
    everything = selectors.outages_visible_to(actor).filter(is_public=True)
    shown = board.thin(BoardFilter(request.GET, queryset=everything).qs)
    facts = board.facts_of(shown)
    rows = board.rows_of(board.by_attention(shown, facts, now=now), everything, facts, now=now)
    positions = places.outage_positions([row.outage.pk for row in rows])
    labels = {handler.kind: str(handler.label) for handler in kinds.all_handlers()}
    features = [
        {
            "type": "Feature",
            "id": row.outage.reference,
            "geometry": {"type": "Point", "coordinates": positions[row.outage.pk]},
            "properties": {
                "reference": row.outage.reference,
                "kind": row.outage.kind,
                "label": labels[row.outage.kind],
                "status": row.outage.get_status_display(),
                "shape": row.shape,
                "tone": row.tone,
                "place": row.outage.place,
                "customers": row.outage.customers_out,
                "url": reverse("outages:detail", args=[row.outage.reference]),
            },
        }
        for row in rows
        if row.outage.pk in positions
    ]
    return JsonResponse({"type": "FeatureCollection", "features": features})


@require_GET
@login_required
def network_geojson(request: HttpRequest) -> HttpResponse:
    """The lines of the branches this person may see, in grey under the outages. Changes with the network only."""
    actor = _reader(request)
    version = f'"{places.network_revision()}"'
    if request.headers.get("If-None-Match") == version:
        return HttpResponse(status=304, headers={"ETag": version, "Cache-Control": "private, no-cache"})
    lines = places.network_lines(actor)
    document = {
        "type": "FeatureCollection",
        "features": [
            {"type": "Feature", "properties": {}, "geometry": {"type": "MultiLineString", "coordinates": lines}}
        ],
    }
    return JsonResponse(document, headers={"ETag": version, "Cache-Control": "private, no-cache"})


# --- one outage -----------------------------------------------------------------------------------------


@require_GET
@login_required
@never_cache
def detail(request: HttpRequest, reference: str) -> HttpResponse:
    """Everything about one outage; the fragment is what changes while somebody looks at it."""
    actor = _reader(request)
    outage = _outage(actor, reference)
    context = {**_detail(outage, actor), "note_form": NoteForm()}
    return page_or_fragment(request, "outages/detail.html", "outages/partials/_detail_live.html", context)


def _outage(actor: Actor, reference: str) -> Outage:
    try:
        return selectors.outage_by_reference(actor=actor, reference=reference)
    except NotFound as missing:
        raise Http404(str(missing)) from missing


def _detail(outage: Outage, actor: Actor) -> dict[str, Any]:
    now = timezone.now()
    handler = kinds.handler_for(outage.kind)
    alone = selectors.outage_alone(outage)
    thin = board.thin(alone)
    facts = board.facts_of(thin)
    row = board.rows_of(thin, alone, facts, now=now)[0]
    history = list(selectors.outage_timeline(outage))
    entries = entries_of(history, kind=outage.kind)
    areas = places.places_of(outage, limit=PLACES_SHOWN)
    may_see_customers = actor_may(actor, "customer.read_masked", outage.branch.pos)
    return {
        "now": now,
        "outage": outage,
        "row": row,
        "handler": handler,
        "steps": _steps(handler, outage),
        "days": _by_day(entries),
        "estimates": estimates_of(history),
        "paths": places.supply_paths(outage),
        "areas": areas,
        "restoration_steps": places.restoration_steps(outage),
        "peak": areas.peak,
        "critical": places.critical_customers(outage) if may_see_customers else [],
        "may_see_customers": may_see_customers,
        "may_note": policies.may(actor=actor, action="note", outage=outage),
        "panel": handler.panel(outage, actor) if handler.panel_template else {},
        "live_version": board.version()[0],
    }


def _steps(handler: kinds.KindHandler, outage: Outage) -> list[dict[str, Any]]:
    """The kind's own steps with the one reached; an ended side path shows none as reached."""
    reached = handler.step(outage)
    names = [name for name, _label in handler.steps]
    here = names.index(reached) if reached in names else -1
    return [
        {"label": label, "state": "now" if i == here else "done" if i < here else "todo"}
        for i, (_name, label) in enumerate(handler.steps)
    ]


def _by_day(entries: list[Entry]) -> list[tuple[datetime, list[Entry]]]:
    days: list[tuple[datetime, list[Entry]]] = []
    for entry in entries:
        if not days or timezone.localtime(days[-1][0]).date() != timezone.localtime(entry.at).date():
            days.append((entry.at, []))
        days[-1][1].append(entry)
    return days


@require_POST
@login_required
def note_create(request: HttpRequest, reference: str) -> HttpResponse:
    """Write a remark into the history."""
    actor = _reader(request)
    outage = _outage(actor, reference)
    form = NoteForm(request.POST)
    if form.is_valid():
        try:
            outage_note(outage_id=outage.pk, actor=actor, **form.cleaned_data)
        except DomainError as refused:
            form.add_error(None, str(refused))
    if not form.is_valid():
        context = {**_detail(outage, actor), "note_form": form}
        return page_or_fragment(request, "outages/detail.html", "outages/detail.html", context, status=422)
    messages.success(request, _("The note is in the history."))
    return HttpResponseRedirect(f"{reverse('outages:detail', args=[reference])}#timeline")
