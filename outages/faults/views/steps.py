"""Every step of a fault is a small form of its own: shown by GET, taken by POST with the version it was made from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from accounts.actor import Actor
from accounts.policies import actor_may
from accounts.requests import actor_of
from accounts.scope import visible_to
from grid.models import GridElement
from outages import impact, places, policies, selectors, timeline
from outages.causes import Cause
from outages.faults import selectors as fault_selectors
from outages.faults import services
from outages.faults.forms import (
    AssignForm,
    CloseForm,
    ConfirmForm,
    CrewStateForm,
    DismissForm,
    EtrForm,
    MergeForm,
)
from outages.faults.models import CAUSE_CLASS_OF, CrewAssignment, EquipmentCode, RemedyCode
from outages.faults.texts import UNKNOWN_REASON
from outages.forms import ActionForm, RestoreForm, RestorePartForm, now_to_the_minute
from outages.models import OFF_STATUSES, OPEN_STATUSES, Outage, OutageKind
from outages.supply_status import judge
from standards.errors import Conflict, DomainError, Forbidden, NotFound

REPORTS_A_PAGE: Final = 50


# --- the steps --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """One kind of step: its words, its form, and what it does."""

    title: str | Promise
    button: str | Promise
    form: Callable[[Outage, Actor, Any], ActionForm]
    run: Callable[[Outage, Actor, Any], str]
    template: str = "faults/step.html"
    is_danger: bool = False


def _seen(outage: Outage) -> dict[str, Any]:
    newest = outage.events.order_by("-sequence").values_list("sequence", flat=True).first()
    return {"version": outage.version, "seen": newest or 0}


def _confirm_form(outage: Outage, _actor: Actor, data: Any) -> ActionForm:
    reports = outage.reports.order_by("reported_at")
    first = reports.values_list("reported_at", flat=True).first()
    start = timezone.localtime(first) if first else now_to_the_minute()
    return ConfirmForm(data, initial={**_seen(outage), "started_at": start, "cause_code": outage.cause_code})


def _confirm(outage: Outage, actor: Actor, form: Any) -> str:
    facts = form.cleaned_data
    named: list[int] = []
    if facts["element"]:
        element = visible_to(actor, GridElement.objects.all()).filter(code__iexact=facts["element"].strip()).first()
        if element is None:
            raise NotFound(field="element")
        named = [element.pk]
    known = {name: facts[name] for name in ("cause_code", "cause_text") if facts[name]}
    services.fault_confirm(
        outage_id=outage.pk, actor=actor, started_at=facts["started_at"], element_ids=named,
        expected_version=facts["version"], **known,
    )  # fmt: skip
    return _("The fault is confirmed.")


def _etr_form(outage: Outage, _actor: Actor, data: Any) -> ActionForm:
    known = {"etr": outage.etr, "etr_source": outage.etr_source or "operator", "next_update_by": outage.next_update_by}
    ahead = {name: value for name, value in known.items() if not isinstance(value, datetime) or value > timezone.now()}
    return EtrForm(data, initial={**_seen(outage), **ahead})


def _etr(outage: Outage, actor: Actor, form: Any) -> str:
    facts = form.cleaned_data
    services.fault_set_etr(
        outage_id=outage.pk, actor=actor, etr=facts["etr"], etr_source=facts["etr_source"],
        etr_reason=facts["etr_reason"], next_update_by=facts["next_update_by"], expected_version=facts["version"],
    )  # fmt: skip
    return _("The estimate is given.")


def _assign_form(outage: Outage, _actor: Actor, data: Any) -> ActionForm:
    crews = []
    for crew in fault_selectors.crews_for(outage):
        busy = getattr(crew, "busy", 0)
        where = _("own branch") if crew.branch_id == outage.branch_id else crew.branch.name
        load = ngettext("on %(jobs)d job", "on %(jobs)d jobs", busy) % {"jobs": busy} if busy else _("free")
        words = " · ".join([str(crew), where, load, *crew.skills])
        crews.append((str(crew.pk), words))
    return AssignForm(data, crews=crews, initial=_seen(outage))


def _assign(outage: Outage, actor: Actor, form: Any) -> str:
    facts = form.cleaned_data
    row = services.crew_assign(
        outage_id=outage.pk, crew_id=int(facts["crew"]), actor=actor, expected_version=facts["version"],
        note=facts["note"],
    )  # fmt: skip
    return _("%(crew)s is sent.") % {"crew": row.crew}


def _restore_part_form(outage: Outage, _actor: Actor, data: Any) -> ActionForm:
    choices = places.tree_choices(outage)
    return RestorePartForm(data, elements=choices, initial={**_seen(outage), "at": now_to_the_minute()})


def _restore_part(outage: Outage, actor: Actor, form: Any) -> str:
    facts = form.cleaned_data
    points = places.customer_points(outage, text=facts["customer"])
    after = services.fault_restore_part(
        outage_id=outage.pk, actor=actor, at=facts["at"], element_ids=[int(pk) for pk in facts["elements"]],
        service_point_ids=points, expected_version=facts["version"], note=facts["note"],
    )  # fmt: skip
    return ngettext(
        "Supply is back; %(customers)d customer is still off.",
        "Supply is back; %(customers)d customers are still off.",
        after.customers_out,
    ) % {"customers": after.customers_out}


def _restore_form(outage: Outage, _actor: Actor, data: Any) -> ActionForm:
    return RestoreForm(data, initial={**_seen(outage), "restored_at": now_to_the_minute()})


def _restore(outage: Outage, actor: Actor, form: Any) -> str:
    facts = form.cleaned_data
    services.fault_restore(
        outage_id=outage.pk, actor=actor, restored_at=facts["restored_at"], expected_version=facts["version"],
        note=facts["note"],
    )  # fmt: skip
    return _("Supply is back everywhere.")


def _close_form(outage: Outage, _actor: Actor, data: Any) -> ActionForm:
    return CloseForm(data, initial={**_seen(outage), "cause_code": outage.cause_code, "cause_text": outage.cause_text})


def _close(outage: Outage, actor: Actor, form: Any) -> str:
    facts = form.cleaned_data
    services.fault_close(
        outage_id=outage.pk, actor=actor, cause_class=CAUSE_CLASS_OF[facts["cause_code"]],
        cause_code=facts["cause_code"], cause_text=facts["cause_text"], equipment_code=facts["equipment_code"],
        remedy_code=facts["remedy_code"], expected_version=facts["version"], note=facts["note"],
    )  # fmt: skip
    return _("The fault is closed.")


def _dismiss_form(outage: Outage, _actor: Actor, data: Any) -> ActionForm:
    return DismissForm(data, initial=_seen(outage))


def _dismiss(outage: Outage, actor: Actor, form: Any) -> str:
    services.fault_dismiss(
        outage_id=outage.pk, actor=actor, reason=form.words(), expected_version=form.cleaned_data["version"]
    )
    return _("The suspicion is dismissed.")


def _survivors(outage: Outage, actor: Actor) -> list[Outage]:
    """Open faults this one could go on as, those on the same feeder first."""
    others = selectors.outages_visible_to(actor).filter(kind=OutageKind.FAULT, status__in=OPEN_STATUSES)
    if outage.is_off:
        others = others.filter(status__in=OFF_STATUSES)
    found = list(others.exclude(pk=outage.pk).order_by("-created_at")[:100])
    return sorted(found, key=lambda other: other.feeder_id is None or other.feeder_id != outage.feeder_id)[:30]


def _merge_form(outage: Outage, actor: Actor, data: Any) -> ActionForm:
    survivors = [
        (str(other.pk), f"{other.reference} · {other.place} · {other.get_status_display()}")
        for other in _survivors(outage, actor)
    ]
    return MergeForm(data, survivors=survivors, initial=_seen(outage))


def _merge(outage: Outage, actor: Actor, form: Any) -> str:
    facts = form.cleaned_data
    services.fault_merge(
        outage_id=outage.pk, survivor_id=int(facts["survivor"]), actor=actor, expected_version=facts["version"]
    )
    return _("The two are one fault now.")


STEPS: Final[dict[str, Step]] = {
    "confirm": Step(gettext_lazy("Confirm the fault"), gettext_lazy("Confirm"), _confirm_form, _confirm),
    "etr": Step(
        gettext_lazy("Estimated restoration"), gettext_lazy("Save the estimate"), _etr_form, _etr, "faults/etr.html"
    ),
    "assign": Step(gettext_lazy("Send a crew"), gettext_lazy("Send"), _assign_form, _assign),
    "restore-part": Step(
        gettext_lazy("Restore a part"), gettext_lazy("Supply is back there"), _restore_part_form, _restore_part
    ),
    "restore": Step(gettext_lazy("Restore all"), gettext_lazy("Supply is back"), _restore_form, _restore),
    "close": Step(
        gettext_lazy("Close the fault"), gettext_lazy("Check the answers"), _close_form, _close, "faults/close.html"
    ),
    "dismiss": Step(
        gettext_lazy("Dismiss the suspicion"), gettext_lazy("Dismiss"), _dismiss_form, _dismiss, is_danger=True
    ),
    "merge": Step(gettext_lazy("Merge into another fault"), gettext_lazy("Merge"), _merge_form, _merge),
}


@require_http_methods(["GET", "POST"])
@login_required
@never_cache
def step(request: HttpRequest, reference: str, name: str) -> HttpResponse:
    """Show one step of a fault, or take it."""
    actor = actor_of(request)
    outage = fault_selectors.outage_by_fault(actor=actor, reference=reference)
    kind = STEPS.get(name)
    if kind is None:
        raise NotFound()
    if not policies.may(actor=actor, action="start", outage=outage):
        raise Forbidden()
    if request.method == "GET":
        return _show(request, outage, name, kind.form(outage, actor, None))
    form = kind.form(outage, actor, request.POST)
    if not form.is_valid():
        return _show(request, outage, name, form, status=422)
    if name == "etr" and "preview" in request.POST:
        return _show(request, outage, name, form, preview=_public_text(outage, form.cleaned_data))
    if name == "close" and "checked" not in request.POST:
        return _check_answers(request, outage, form)
    try:
        done = kind.run(outage, actor, form)
    except Conflict:
        return _collided(request, outage, name, form, actor)
    except DomainError as refusal:
        form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
        return _show(request, outage, name, form, status=refusal.status if refusal.status in (409, 422) else 422)
    messages.success(request, done)
    return redirect("outages:detail", reference)


def _show(
    request: HttpRequest, outage: Outage, name: str, form: ActionForm, *, status: int = 200, **more: Any
) -> HttpResponse:
    kind = STEPS[name]
    context = {"outage": outage, "name": name, "step": kind, "form": form, "preview": None, "since": [], **more}
    return render(request, kind.template, context, status=status)


def _collided(request: HttpRequest, outage: Outage, name: str, form: ActionForm, actor: Actor) -> HttpResponse:
    """Somebody was faster: what they changed, beside what was typed here, ready to be sent again."""
    outage.refresh_from_db()
    seen = form.cleaned_data.get("seen") or 0
    since = timeline.entries_of(outage.events.filter(sequence__gt=seen).order_by("sequence"), kind=outage.kind)
    data = request.POST.copy()
    for key, value in _seen(outage).items():
        data[key] = str(value)
    fresh = STEPS[name].form(outage, actor, data)
    fresh.is_valid()
    return _show(request, outage, name, fresh, status=Conflict.status, since=since)


def _check_answers(request: HttpRequest, outage: Outage, form: ActionForm) -> HttpResponse:
    """Everything that closing will make final, once more on one page."""
    facts = form.cleaned_data
    labels = {
        "cause_code": dict(_flat(form.fields["cause_code"].choices)).get(facts["cause_code"], ""),  # type: ignore[attr-defined]
        "equipment_code": EquipmentCode(facts["equipment_code"]).label,
        "remedy_code": RemedyCode(facts["remedy_code"]).label,
    }
    answers = [(field.label, labels.get(field.name, facts[field.name]) or "–") for field in form if not field.is_hidden]
    context = {
        "outage": outage,
        "form": form,
        "answers": answers,
        "typed": [(key, value) for key, value in request.POST.items() if key not in ("csrfmiddlewaretoken", "change")],
        "steps_back": places.restoration_steps(outage),
        "customer_minutes": round(impact.customer_minutes(outage.pk)),
    }
    if "change" in request.POST:
        return _show(request, outage, "close", form)
    return render(request, "faults/close_check.html", context)


def _flat(choices: Any) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for value, label in choices:
        found += _flat(label) if isinstance(label, list | tuple) else [(value, label)]
    return found


def _public_text(outage: Outage, facts: dict[str, Any]) -> dict[str, str] | None:
    """What customers would be told with this estimate: rounded, in both languages."""
    point = fault_selectors.point_inside(outage)
    if point is None:
        return None
    is_off = outage.is_off
    cause = Cause(
        rank=2 if is_off else 6,
        kind=OutageKind.FAULT,
        blocks=is_off,
        place=outage.place,
        reason_zh=outage.public_reason_zh or UNKNOWN_REASON[0],
        reason_en=outage.public_reason_en or UNKNOWN_REASON[1],
        since=outage.started_at,
        until=facts["etr"],
        next_update_by=facts["next_update_by"],
        known_at=timezone.now(),
    )
    verdict = judge(point, [cause], at=timezone.now(), verified=False)
    return {"zh": verdict.sentence_zh, "en": verdict.sentence_en}


# --- crews and reports ------------------------------------------------------------------------------


@require_http_methods(["GET", "POST"])
@login_required
@never_cache
def crew_state(request: HttpRequest, reference: str, assignment_id: int) -> HttpResponse:
    """A crew's next state: one button of the panel, or this page for another time or a reason."""
    actor = actor_of(request)
    outage = fault_selectors.outage_by_fault(actor=actor, reference=reference)
    row = fault_selectors.assignment_of(outage, assignment_id)
    if not policies.may(actor=actor, action="assign", outage=outage):
        raise Forbidden()
    if request.method == "GET":
        form = CrewStateForm(initial={**_seen(outage), "state": request.GET.get("state", row.state)})
        return _show_crew(request, outage, row, form)
    data = request.POST.copy()
    form = CrewStateForm(data)
    if not form.is_valid():
        return _show_crew(request, outage, row, form, status=422)
    facts = form.cleaned_data
    try:
        services.crew_state_set(
            assignment_id=row.pk, state=facts["state"], actor=actor, at=facts["at"], reason=facts["reason"],
            expected_version=facts["version"],
        )  # fmt: skip
    except DomainError as refusal:
        form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
        if isinstance(refusal, Conflict):
            outage.refresh_from_db()
            data["version"] = str(outage.version)
        return _show_crew(request, outage, row, form, status=refusal.status)
    return redirect("outages:detail", reference)


def _show_crew(
    request: HttpRequest, outage: Outage, row: CrewAssignment, form: CrewStateForm, *, status: int = 200
) -> HttpResponse:
    context = {"outage": outage, "assignment": row, "form": form}
    return render(request, "faults/crew_state.html", context, status=status)


@require_GET
@login_required
@never_cache
def reports(request: HttpRequest, reference: str) -> HttpResponse:
    """The trouble reports of one outage, newest first."""
    actor = actor_of(request)
    outage = selectors.outage_by_reference(actor=actor, reference=reference)
    found = fault_selectors.reports_visible_to(actor).filter(outage=outage).select_related("service_point__element")
    page = Paginator(found, REPORTS_A_PAGE).get_page(request.GET.get("page"))
    may_see = actor_may(actor, "customer.read_masked", outage.branch.pos)
    rows = [
        (
            report,
            places.masked(report.caller_name) if may_see and report.caller_name else "",
            fault_selectors.masked_phone(report.caller_phone) if may_see and report.caller_phone else "",
        )
        for report in page
    ]
    # a customer's door and the caller's own words are the business of those who may see the branch's customers
    context = {"outage": outage, "page_obj": page, "rows": rows, "may_see_customers": may_see}
    return render(request, "faults/reports.html", context)
