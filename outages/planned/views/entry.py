"""The form of a work: typed, checked while it is typed, kept while it is, and sent once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Any, Final

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.datastructures import MultiValueDict
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.actor import Actor
from accounts.policies import require
from accounts.requests import actor_of
from accounts.scope import visible_to
from grid import topology
from grid.models import GridElement
from outages.lifecycle import IllegalTransition
from outages.planned import dossier, lifecycle, policies, selectors, services
from outages.planned.forms.works import (
    CHANGES,
    GROUPS,
    Typed,
    WindowRows,
    WorkForm,
    initial_of,
    minute,
    reason_follows,
    typed_anew,
    typed_of,
)
from outages.planned.models import PlannedWork, PlanPeriod, WorkSketch
from outages.planned.views.sidebar import sidebar_of
from standards.errors import Conflict, DomainError, NotFound

_HELD: Final = frozenset({"starts", "ends", "element", "token", "version", "seen", "repeat_days", "q"})
_KEPT: Final = _HELD | {name for fields in GROUPS.values() for name in fields}
_WORKDAY: Final = (time(8), time(17))  # of a link that names only the day


@require_http_methods(["GET", "POST"])
@login_required
@never_cache
def new(request: HttpRequest) -> HttpResponse:
    """Enter a work: into a plan, or as temporary or emergency work outside one."""
    actor = actor_of(request)
    require(actor, "plan.submit")
    if request.method == "POST":
        return _posted(request, actor, None)
    sketch = _sketch_asked(request, actor, about="")
    typed = typed_anew(**_from_link(request, actor)) if sketch is None else _typed_again(sketch)
    return _show(request, actor, typed, unsent=selectors.sketch_unsent(actor=actor, about="") if not sketch else None)


@require_http_methods(["GET", "POST"])
@login_required
@never_cache
def edit(request: HttpRequest, reference: str) -> HttpResponse:
    """Change a work that nobody is deciding about yet."""
    actor = actor_of(request)
    work = selectors.work_by_reference(actor=actor, reference=reference)
    policies.require(actor=actor, action="edit", branch=work.branch)
    if request.method == "POST":
        return _posted(request, actor, work)
    if work.state not in lifecycle.EDITABLE:
        raise IllegalTransition(action="edit", current=work.state)
    sketch = _sketch_asked(request, actor, about=work.reference)
    typed = typed_of(work) if sketch is None else _typed_again(sketch)
    unsent = selectors.sketch_unsent(actor=actor, about=work.reference) if not sketch else None
    return _show(request, actor, typed, work=work, unsent=unsent)


def _posted(request: HttpRequest, actor: Actor, work: PlannedWork | None) -> HttpResponse:
    """One of the form's own buttons changes what stands in it; every other button sends it."""
    typed: Typed = request.POST.copy()
    if "throw_away" in typed:
        services.sketch_discard(actor=actor, token=typed.get("throw_away", ""))
        return redirect(request.get_full_path())
    for name, change in CHANGES.items():
        if name in typed:
            return _show(request, actor, typed, work=work, notice=change(typed, typed.get(name, "")))
    # Enter sends the form's first button: with something in the search box it means "find"
    if "find" in typed or ("enter" in typed and typed.get("q", "").strip()):
        return _show(request, actor, typed, work=work)
    return _send(request, actor, typed, work)


def _send(request: HttpRequest, actor: Actor, typed: Typed, work: PlannedWork | None) -> HttpResponse:
    reason_follows(typed)
    elements = _elements(actor, typed)
    transfers = topology.transfer_options([element.pk for element in elements]) if elements else []
    form = WorkForm(typed, actor=actor, transfers=transfers, work=work)
    rows = WindowRows(typed, is_bound=True)
    form_valid, rows_valid = form.is_valid(), rows.is_valid()
    if not form_valid or not rows_valid:
        return _show(request, actor, typed, work=work, form=form, rows=rows, status=422)
    try:
        saved = _save(actor, form, rows, work)
    except Conflict:
        return _collided(request, actor, typed, work, form)
    except DomainError as refusal:
        _refuse(form, refusal)
        status = refusal.status if refusal.status in (409, 422) else 422
        return _show(request, actor, typed, work=work, form=form, rows=rows, status=status)
    messages.success(request, _("%(reference)s is saved as a draft.") % {"reference": saved.reference})
    return redirect("planned:work", saved.reference)


def _save(actor: Actor, form: WorkForm, rows: WindowRows, work: PlannedWork | None) -> PlannedWork:
    facts = form.cleaned_data
    draft = form.draft(rows.windows())
    if work is not None:
        return services.work_revise(
            actor=actor, token=facts["token"], work_id=work.pk, draft=draft, expected_version=facts["version"]
        )
    period: PlanPeriod | None = facts["plan"]
    branch = period.branch if period is not None else selectors.branch_of_elements(draft.element_ids)
    if branch is None:
        raise NotFound(field="element")
    return services.work_enter(actor=actor, token=facts["token"], branch=branch, draft=draft, period=period)


def _refuse(form: WorkForm, refusal: DomainError) -> None:
    """Put the refusal beside the field it is about; what is about the windows stands above them."""
    field = {"elements": "element", "period": "plan"}.get(refusal.field, refusal.field)
    form.add_error(field if field in form.fields else None, str(refusal))


def _collided(
    request: HttpRequest, actor: Actor, typed: Typed, work: PlannedWork | None, form: WorkForm
) -> HttpResponse:
    """Somebody was faster: what is saved now beside what was typed here, ready to be sent again."""
    assert work is not None
    fresh = selectors.work_by_reference(actor=actor, reference=work.reference)
    saved = typed_of(fresh)
    fields = [bound for group in form.groups().values() for bound in group]
    theirs = [
        (bound.label, _shown(bound, saved), _shown(bound, typed))
        for bound in fields
        if saved.getlist(bound.name) != typed.getlist(bound.name) and (saved.get(bound.name) or typed.get(bound.name))
    ]
    since = fresh.steps.filter(pk__gt=form.cleaned_data["seen"] or 0).order_by("pk")
    typed["version"], typed["seen"] = saved.get("version", ""), saved.get("seen", "")
    typed["token"] = saved.get("token", "")  # of a form of its own: the old one may have been sent
    return _show(
        request, actor, typed, work=fresh, status=Conflict.status, theirs=theirs,
        since=[(step, dossier.word_of(step.verb)) for step in since], their_windows=list(fresh.windows.all()),
    )  # fmt: skip


def _shown(bound: Any, typed: Typed) -> str:
    words = {str(key): str(label) for key, label in getattr(bound.field, "choices", ()) or ()}
    return ", ".join(words.get(value, value) for value in typed.getlist(bound.name) if value) or "–"


def _show(
    request: HttpRequest,
    actor: Actor,
    typed: Typed,
    *,
    work: PlannedWork | None = None,
    form: WorkForm | None = None,
    rows: WindowRows | None = None,
    status: int = 200,
    **more: Any,
) -> HttpResponse:
    """The page with what was typed; a search without scripts finds its answer here as well."""
    context = _context(actor, typed, work, form, rows)
    about = reverse("planned:work-edit", args=[work.reference]) if work else reverse("planned:work-new")
    context |= {"q": typed.get("q", ""), "action": about, "repeat_days": typed.get("repeat_days", ""), **more}
    if context["q"].strip():
        found = selectors.elements_found(actor=actor, text=context["q"])
        context |= {"found": found, "searched": True}
    return render(request, "planned/work_form.html", context, status=status)


def _context(
    actor: Actor, typed: Typed, work: PlannedWork | None, form: WorkForm | None = None, rows: WindowRows | None = None
) -> dict[str, Any]:
    """Form, rows and the panel beside them, from the same typed values."""
    elements = _elements(actor, typed)
    judged = WorkForm(typed, actor=actor, work=work)
    judged.is_valid()
    facts = judged.cleaned_data
    windows = WindowRows(typed, is_bound=True).windows()
    tie = facts.get("transfer_tie") or _pk(typed.get("transfer_tie", ""))
    sidebar = sidebar_of(
        actor=actor, elements=elements, windows=windows, facts={**facts, "transfer_tie_id": tie},
        work=work, period=facts.get("plan"),
    )  # fmt: skip
    transfers = sidebar.impact.transfers if sidebar.impact else ()
    shown = form or WorkForm(initial=initial_of(typed), actor=actor, transfers=transfers, work=work)
    return {
        "work": work,
        "form": shown,
        "groups": shown.groups(),
        "ties": ties_of(shown),
        "rows": rows or WindowRows(typed, is_bound=False),
        "elements": elements,
        "sidebar": sidebar,
        "period": work.period if work else facts.get("plan"),
    }


def _elements(actor: Actor, typed: Typed) -> list[GridElement]:
    """What was chosen and may be, in the order in which it was chosen."""
    ids = [pk for pk in map(_pk, typed.getlist("element")) if pk is not None]
    own = visible_to(actor, GridElement.objects.select_related("branch", "feeder"), "plan.submit").in_bulk(ids)
    return [own[pk] for pk in dict.fromkeys(ids) if pk in own]


def _pk(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None


# --- beside the form ------------------------------------------------------------------------------------


@require_GET
@login_required
@never_cache
def place(request: HttpRequest) -> HttpResponse:
    """What the search found (for htmx)."""
    actor = actor_of(request)
    require(actor, "plan.submit")
    text = request.GET.get("q", "")
    context = {"found": selectors.elements_found(actor=actor, text=text), "searched": bool(text.strip())}
    return render(request, "planned/partials/_work_found.html", context)


@require_POST
@login_required
@never_cache
def panel(request: HttpRequest) -> HttpResponse:
    """The panel worked out again from what stands in the form now (for htmx). Writes nothing."""
    actor = actor_of(request)
    require(actor, "plan.submit")
    typed: Typed = request.POST.copy()
    reference = typed.get("about", "")
    work = selectors.work_by_reference(actor=actor, reference=reference) if reference else None
    before = (typed.get("reason_zh", ""), typed.get("reason_en", ""))
    reason_follows(typed)
    context = _context(actor, typed, work)
    context["reason_changed"] = before != (typed.get("reason_zh", ""), typed.get("reason_en", ""))
    context["ties_changed"] = typed.get("ties", "") != context["ties"]
    return render(request, "planned/partials/_work_panel.html", context)


def ties_of(form: WorkForm) -> str:
    """Which ties the form offers now: the list is replaced only when they are others."""
    choices: Sequence[tuple[str, str]] = form.fields["transfer_tie"].choices  # type: ignore[attr-defined]
    return ",".join(str(value) for value, _label in choices)


@require_POST
@login_required
def sketch(request: HttpRequest) -> HttpResponse:
    """Keep what has been typed so far (for the page's script)."""
    actor = actor_of(request)
    require(actor, "plan.submit")
    token = request.POST.get("token", "")
    if not token:
        raise NotFound(field="token")
    typed = {name: request.POST.getlist(name) for name in request.POST if name in _KEPT}
    services.sketch_keep(actor=actor, token=token, about=request.POST.get("about", ""), typed=typed)
    return HttpResponse(status=204)


def _sketch_asked(request: HttpRequest, actor: Actor, *, about: str) -> WorkSketch | None:
    found = selectors.sketch_by_token(actor=actor, token=request.GET.get("go_on", ""))
    return found if found is not None and found.about == about else None


def _typed_again(sketch: WorkSketch) -> Typed:
    return MultiValueDict({name: list(values) for name, values in sketch.typed.items()} | {"token": [sketch.token]})


# --- what a link to the form says -----------------------------------------------------------------------


def _from_link(request: HttpRequest, actor: Actor) -> dict[str, str]:
    """``?plan=&element=&start=&end=``: an element by code or id, times or a day."""
    known = {"plan": request.GET.get("plan", "")}
    wanted = request.GET.get("element", "")
    if wanted and "\x00" not in wanted:
        own = visible_to(actor, GridElement.objects.all(), "plan.submit")
        element = own.filter(code=wanted).first() or own.filter(pk=_pk(wanted) or 0).first()
        known["element"] = str(element.pk) if element else ""
    starts = _moment(request.GET.get("start", ""), _WORKDAY[0])
    ends = _moment(request.GET.get("end", ""), _WORKDAY[1])
    if starts is not None:
        known["starts"] = minute(starts)
        known["ends"] = minute(ends or starts + timedelta(hours=6))
    return known


def _moment(text: str, at: time) -> datetime | None:
    try:
        parsed: datetime | date | None = parse_date(text) or parse_datetime(text)
    except ValueError:
        return None
    if parsed is None:
        return None
    if not isinstance(parsed, datetime):
        parsed = datetime.combine(parsed, at)
    return timezone.make_aware(parsed) if timezone.is_naive(parsed) else parsed
