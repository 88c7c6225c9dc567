"""Every step of a published window is a small form of its own: shown by GET, taken by POST with the version seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.actor import Actor
from accounts.pages import moment
from accounts.requests import actor_of
from outages import impact, places, policies, timeline
from outages.forms import ActionForm, RestoreForm, RestorePartForm, now_to_the_minute
from outages.models import Outage
from outages.planned import kinds, selectors, services
from outages.planned.forms.windows import CancelForm, CloseForm, ExtendForm, MoveForm, OnTimeForm, StartForm
from outages.planned.models import WorkWindow
from standards.errors import Conflict, DomainError, Forbidden, NotFound


@dataclass(frozen=True)
class Step:
    """One kind of step: its words, the action behind it, its form, and what it does."""

    title: str | Promise
    button: str | Promise
    action: str
    form: Callable[[WorkWindow, Any], ActionForm]
    run: Callable[[WorkWindow, Actor, dict[str, Any]], str]
    is_danger: bool = False
    # whose time changes: those who are off, or everybody who was announced to
    tells: str = ""


def _outage(window: WorkWindow) -> Outage:
    if window.outage is None:
        raise NotFound(field="reference")
    return window.outage


def _seen(window: WorkWindow) -> dict[str, Any]:
    outage = _outage(window)
    newest = outage.events.order_by("-sequence").values_list("sequence", flat=True).first()
    return {"version": outage.version, "seen": newest or 0}


def _start_form(window: WorkWindow, data: Any) -> ActionForm:
    return StartForm(data, initial={**_seen(window), "started_at": now_to_the_minute()})


def _start(window: WorkWindow, actor: Actor, facts: dict[str, Any]) -> str:
    outage = services.window_start(
        window_id=window.pk, actor=actor, started_at=facts["started_at"], expected_version=facts["version"],
        note=facts["note"],
    )  # fmt: skip
    return ngettext(
        "Supply is off for %(customers)d customer.", "Supply is off for %(customers)d customers.", outage.customers_out
    ) % {"customers": outage.customers_out}


def _extend_form(window: WorkWindow, data: Any) -> ActionForm:
    return ExtendForm(data, initial={**_seen(window), "planned_end": _outage(window).planned_end})


def _extend(window: WorkWindow, actor: Actor, facts: dict[str, Any]) -> str:
    outage = services.window_extend(
        window_id=window.pk, actor=actor, planned_end=facts["planned_end"], reason=facts["reason"],
        expected_version=facts["version"],
    )  # fmt: skip
    return _("It lasts until %(end)s now; customers are being told.") % {"end": moment(outage.planned_end)}


def _on_time_form(window: WorkWindow, data: Any) -> ActionForm:
    return OnTimeForm(data, initial=_seen(window))


def _on_time(window: WorkWindow, actor: Actor, facts: dict[str, Any]) -> str:
    outage = services.window_on_time(window_id=window.pk, actor=actor, expected_version=facts["version"])
    return _("Noted: it will be finished by %(end)s.") % {"end": moment(outage.planned_end)}


def _restore_part_form(window: WorkWindow, data: Any) -> ActionForm:
    choices = places.tree_choices(_outage(window))
    return RestorePartForm(data, elements=choices, initial={**_seen(window), "at": now_to_the_minute()})


def _restore_part(window: WorkWindow, actor: Actor, facts: dict[str, Any]) -> str:
    points = places.customer_points(_outage(window), text=facts["customer"])
    outage = services.window_restore_part(
        window_id=window.pk, actor=actor, at=facts["at"], element_ids=[int(pk) for pk in facts["elements"]],
        service_point_ids=points, expected_version=facts["version"], note=facts["note"],
    )  # fmt: skip
    return ngettext(
        "Supply is back; %(customers)d customer is still off.",
        "Supply is back; %(customers)d customers are still off.",
        outage.customers_out,
    ) % {"customers": outage.customers_out}


def _restore_form(window: WorkWindow, data: Any) -> ActionForm:
    return RestoreForm(data, initial={**_seen(window), "restored_at": now_to_the_minute()})


def _restore(window: WorkWindow, actor: Actor, facts: dict[str, Any]) -> str:
    services.window_restore(
        window_id=window.pk, actor=actor, restored_at=facts["restored_at"], expected_version=facts["version"],
        note=facts["note"],
    )  # fmt: skip
    return _("Supply is back everywhere.")


def _close_form(window: WorkWindow, data: Any) -> ActionForm:
    return CloseForm(data, initial={**_seen(window), "remedy": window.work.title})


def _close(window: WorkWindow, actor: Actor, facts: dict[str, Any]) -> str:
    services.window_close(
        window_id=window.pk, actor=actor, remedy=facts["remedy"], expected_version=facts["version"],
        note=facts["note"],
    )  # fmt: skip
    return _("The planned outage is closed.")


def _move_form(window: WorkWindow, data: Any) -> ActionForm:
    outage = _outage(window)
    times = {"planned_start": outage.planned_start, "planned_end": outage.planned_end}
    return MoveForm(data, initial={**_seen(window), **times, "tell": True})


def _move(window: WorkWindow, actor: Actor, facts: dict[str, Any]) -> str:
    outage = services.window_move(
        window_id=window.pk, actor=actor, planned_start=facts["planned_start"], planned_end=facts["planned_end"],
        reason=facts["reason"], tell=facts["tell"], expected_version=facts["version"],
    )  # fmt: skip
    return _("It is moved to %(start)s; the notice starts again.") % {"start": moment(outage.planned_start)}


def _cancel_form(window: WorkWindow, data: Any) -> ActionForm:
    return CancelForm(data, initial={**_seen(window), "tell": True})


def _cancel(window: WorkWindow, actor: Actor, facts: dict[str, Any]) -> str:
    services.window_cancel(
        window_id=window.pk, actor=actor, reason=facts["reason"], tell=facts["tell"],
        expected_version=facts["version"],
    )  # fmt: skip
    return _("The planned outage is cancelled.")


STEPS: Final[dict[str, Step]] = {
    "start": Step(gettext_lazy("Supply is switched off"), gettext_lazy("It is off"), "start", _start_form, _start),
    "extend": Step(
        gettext_lazy("It takes longer"), gettext_lazy("Extend and tell customers"), "extend", _extend_form, _extend,
        tells="off",
    ),
    "on-time": Step(
        gettext_lazy("It will be on time"), gettext_lazy("It will be on time"), "extend", _on_time_form, _on_time
    ),
    "restore-part": Step(
        gettext_lazy("Restore a part"), gettext_lazy("Supply is back there"), "restore_part", _restore_part_form,
        _restore_part,
    ),
    "restore": Step(
        gettext_lazy("Restore all"), gettext_lazy("Supply is back"), "restore", _restore_form, _restore
    ),
    "close": Step(
        gettext_lazy("Close the planned outage"), gettext_lazy("Check the answers"), "close", _close_form, _close
    ),
    "move": Step(
        gettext_lazy("Move to another time"), gettext_lazy("Move it"), "reschedule", _move_form, _move,
        is_danger=True, tells="announced",
    ),
    "cancel": Step(
        gettext_lazy("Cancel the planned outage"), gettext_lazy("Cancel it"), "cancel", _cancel_form, _cancel,
        is_danger=True, tells="announced",
    ),
}  # fmt: skip


@require_http_methods(["GET", "POST"])
@login_required
@never_cache
def step(request: HttpRequest, reference: str, step: str) -> HttpResponse:
    """Show one step of a window, or take it."""
    actor = actor_of(request)
    window = selectors.window_by_reference(actor=actor, reference=reference)
    kind = STEPS.get(step)
    if kind is None:
        raise NotFound()
    also = kinds.PlannedHandler.also_by.get(kind.action, ())
    if not policies.may(actor=actor, action=kind.action, outage=_outage(window), also=also):
        raise Forbidden()
    if request.method == "GET":
        return _show(request, window, step, kind.form(window, None))
    form = kind.form(window, request.POST)
    if not form.is_valid():
        return _show(request, window, step, form, status=422)
    if step == "close" and "checked" not in request.POST:
        return _check_answers(request, window, form)
    try:
        done = kind.run(window, actor, form.cleaned_data)
    except Conflict:
        return _collided(request, window, step, form)
    except DomainError as refusal:
        form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
        return _show(request, window, step, form, status=refusal.status if refusal.status in (409, 422) else 422)
    messages.success(request, done)
    return redirect("outages:detail", reference)


def _show(
    request: HttpRequest, window: WorkWindow, step: str, form: ActionForm, *, status: int = 200, **more: Any
) -> HttpResponse:
    context = {
        "window": window,
        "work": window.work,
        "outage": window.outage,
        "name": step,
        "step": STEPS[step],
        "form": form,
        "since": [],
        **more,
    }
    return render(request, "planned/window_step.html", context, status=status)


def _collided(request: HttpRequest, window: WorkWindow, step: str, form: ActionForm) -> HttpResponse:
    """Somebody was faster: what they changed, beside what was typed here, ready to be sent again."""
    outage = _outage(window)
    outage.refresh_from_db()
    window.refresh_from_db()
    window.outage = outage
    newer = outage.events.filter(sequence__gt=form.cleaned_data.get("seen") or 0).order_by("sequence")
    since = timeline.entries_of(newer, kind=outage.kind)
    data = request.POST.copy()
    for key, value in _seen(window).items():
        data[key] = str(value)
    fresh = STEPS[step].form(window, data)
    fresh.is_valid()
    return _show(request, window, step, fresh, status=Conflict.status, since=since)


def _check_answers(request: HttpRequest, window: WorkWindow, form: ActionForm) -> HttpResponse:
    """Everything that closing will make final, planned beside actual, once more on one page."""
    if "change" in request.POST:
        return _show(request, window, "close", form)
    outage = _outage(window)
    context = {
        "window": window,
        "outage": outage,
        "answers": [(field.label, form.cleaned_data[field.name] or "–") for field in form if not field.is_hidden],
        "typed": [(key, value) for key, value in request.POST.items() if key not in ("csrfmiddlewaretoken", "change")],
        "steps_back": places.restoration_steps(outage),
        "customer_minutes": round(impact.customer_minutes(outage.pk)),
    }
    return render(request, "planned/window_close_check.html", context)
