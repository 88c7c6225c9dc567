"""Plans: the list, one plan with its works and what was found, and every step from handing in to closing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
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
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.actor import Actor
from accounts.policies import actor_may
from accounts.requests import actor_of
from accounts.scope import visible_to
from grid.models import Branch
from outages.forms import ActionForm
from outages.lifecycle import IllegalTransition
from outages.planned import dossier, lifecycle, policies, revisions, selectors, services
from outages.planned.dossier import Line
from outages.planned.filters import PeriodFilter
from outages.planned.forms.plans import ApproveForm, CapacityForm, PlanOpenForm, ReturnForm
from outages.planned.models import PeriodKind, PeriodState, PlanPeriod, WorkState
from outages.planned.policies import OwnWork
from outages.planned.services import ChecksOpen
from standards.errors import Conflict, DomainError, Forbidden, NotFound

PLANS_A_PAGE: Final = 50
_STATE_TONES: Final = {PeriodState.RETURNED: ("p2", "amber"), PeriodState.PUBLISHED: ("restored", "quiet")}


# --- the list ---------------------------------------------------------------------------------------


@require_GET
@login_required
@never_cache
def plans(request: HttpRequest) -> HttpResponse:
    """Every branch's plans, the newest first."""
    actor = _planner(request)
    return _show_plans(request, actor, _open_form(actor))


def _planner(request: HttpRequest) -> Actor:
    """Who is not in planning reads the calendar, not the plans."""
    actor = actor_of(request)
    if not selectors.sees_plans(actor):
        raise Forbidden()
    return actor


def _open_form(actor: Actor, data: Any = None) -> PlanOpenForm | None:
    if not actor_may(actor, "plan.submit"):
        return None
    next_month = (timezone.localdate().replace(day=1) + timedelta(days=32)).replace(day=1)
    return PlanOpenForm(data, actor=actor, initial={"day": next_month})


def _show_plans(request: HttpRequest, actor: Actor, form: PlanOpenForm | None, *, status: int = 200) -> HttpResponse:
    now = timezone.now()
    found = PeriodFilter(request.GET, queryset=selectors.periods_visible_to(actor)).qs
    page = Paginator(dossier.periods_summed(found.order_by("-starts_on", "kind", "branch__pos")), PLANS_A_PAGE)
    shown = page.get_page(request.GET.get("page"))
    chosen = {name: request.GET.get(name, "") for name in PeriodFilter.base_filters}
    context = {
        "page_obj": shown,
        "rows": [(period, dossier.timeliness_of(period, now=now), _look(period)) for period in shown],
        "form": form,
        "chosen": chosen,
        "is_narrowed": any(chosen.values()),
        "branches": visible_to(actor, Branch.objects.all(), "outage.read"),
        "state_choices": PeriodState.choices,
        "kind_choices": PeriodKind.choices,
    }
    return render(request, "planned/plans.html", context, status=status)


def _look(period: PlanPeriod) -> tuple[str, str]:
    return _STATE_TONES.get(PeriodState(period.state), ("planned", "quiet"))


@require_POST
@login_required
def plan_open(request: HttpRequest) -> HttpResponse:
    """Open the plan of a month or week; the one that is there already is shown."""
    actor = _planner(request)
    form = _open_form(actor, request.POST)
    if form is None:
        raise Forbidden()
    if not form.is_valid():
        return _show_plans(request, actor, form, status=422)
    facts = form.cleaned_data
    try:
        period = services.period_open(actor=actor, branch=facts["branch"], kind=facts["kind"], day=facts["day"])
    except DomainError as refusal:
        form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
        return _show_plans(request, actor, form, status=refusal.status)
    return redirect("planned:plan", period.pk)


# --- one plan ---------------------------------------------------------------------------------------


@require_GET
@login_required
@never_cache
def plan(request: HttpRequest, pk: int) -> HttpResponse:
    """One plan: how far it is, its works, and what the checks say about them."""
    actor = _planner(request)
    period = selectors.period_by_id(actor=actor, period_id=pk)
    return render(request, "planned/plan.html", _plan(period, actor))


def _plan(period: PlanPeriod, actor: Actor) -> dict[str, Any]:
    now = timezone.now()
    history = dossier.history_of(period)
    lines = dossier.lines_of(period, actor=actor, now=now)
    may = {name: policies.may(actor=actor, action=name, branch=period.branch) for name in ("edit", "answer", "join")}
    doors = dossier.doors_of(period, actor)
    return {
        "period": period,
        "look": _look(period),
        "stations": dossier.stations_of(period, history),
        "history": [(step, dossier.word_of(step.verb)) for step in history],
        "timeliness": dossier.timeliness_of(period, now=now),
        "lines": lines,
        "concerns": dossier.concerns_of(lines),
        "totals": dossier.totals_of(lines),
        "doors": [(name, STEPS[name]) for name in doors.steps],
        "anothers": doors.anothers,
        "may_edit": may["edit"] and dossier.is_editable(period),
        "may_answer": may["answer"],
        "may_join": may["join"],
    }


# --- the steps --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """One step of a plan: its words, its form, what it does, and what its page shows before."""

    title: str | Promise
    button: str | Promise
    run: Callable[[PlanPeriod, Actor, Any], str]
    form: Callable[[PlanPeriod, Sequence[Line], Any], ActionForm]
    template: str = "planned/plan_step.html"
    # a page that decides nothing about the works does not ask the checks
    with_works: bool = True
    is_danger: bool = False


def _seen(period: PlanPeriod) -> dict[str, Any]:
    return {"version": period.version, "seen": dossier.newest_step(period)}


def _plain_form(period: PlanPeriod, _lines: Sequence[Line], data: Any) -> ActionForm:
    return ActionForm(data, initial=_seen(period))


def _submit(period: PlanPeriod, actor: Actor, form: Any) -> str:
    after = services.period_submit(actor=actor, period_id=period.pk, expected_version=form.cleaned_data["version"])
    return _("The plan is handed in, revision %(revision)d.") % {"revision": after.revision}


def _withdraw(period: PlanPeriod, actor: Actor, form: Any) -> str:
    services.period_withdraw(actor=actor, period_id=period.pk, expected_version=form.cleaned_data["version"])
    return _("The plan is taken back and can be changed.")


def _endorse(period: PlanPeriod, actor: Actor, form: Any) -> str:
    services.period_endorse(actor=actor, period_id=period.pk, expected_version=form.cleaned_data["version"])
    return _("The plan is endorsed and waits for the approver.")


def _return_form(period: PlanPeriod, lines: Sequence[Line], data: Any) -> ActionForm:
    works = [line.work for line in lines if line.work.state in (WorkState.SUBMITTED, WorkState.CHECKED)]
    return ReturnForm(data, works=works, initial=_seen(period))


def _return(period: PlanPeriod, actor: Actor, form: Any) -> str:
    services.period_return(
        actor=actor, period_id=period.pk, reasons=form.reasons(), note=form.cleaned_data["note"],
        expected_version=form.cleaned_data["version"],
    )  # fmt: skip
    return _("The plan goes back to the branch.")


def _approve_form(period: PlanPeriod, lines: Sequence[Line], data: Any) -> ActionForm:
    return ApproveForm(data, expected=dossier.totals_of(lines).works, initial=_seen(period))


def _approve(period: PlanPeriod, actor: Actor, form: Any) -> str:
    services.period_approve(actor=actor, period_id=period.pk, expected_version=form.cleaned_data["version"])
    return _("The plan is approved. It is not public yet: publish it next.")


def _publish(period: PlanPeriod, actor: Actor, form: Any) -> str:
    services.period_publish(actor=actor, period_id=period.pk, expected_version=form.cleaned_data["version"])
    return _("The plan is public and customers are being told.")


def _close(period: PlanPeriod, actor: Actor, form: Any) -> str:
    services.period_close(actor=actor, period_id=period.pk, expected_version=form.cleaned_data["version"])
    return _("The plan is closed.")


def _capacity_form(period: PlanPeriod, _lines: Sequence[Line], data: Any) -> ActionForm:
    return CapacityForm(data, initial={**_seen(period), "crew_capacity": period.crew_capacity})


def _capacity(period: PlanPeriod, actor: Actor, form: Any) -> str:
    crews = form.cleaned_data["crew_capacity"]
    services.period_capacity_set(
        actor=actor, period_id=period.pk, crews=crews, expected_version=form.cleaned_data["version"]
    )
    return ngettext("The plan counts with %(n)d crew a day.", "The plan counts with %(n)d crews a day.", crews) % {
        "n": crews
    }


STEPS: Final[dict[str, Step]] = {
    "submit": Step(gettext_lazy("Hand the plan in"), gettext_lazy("Hand in"), _submit, _plain_form),
    "withdraw": Step(
        gettext_lazy("Take the plan back"), gettext_lazy("Take back"), _withdraw, _plain_form, with_works=False
    ),
    "endorse": Step(gettext_lazy("Endorse the plan"), gettext_lazy("Endorse"), _endorse, _plain_form),
    "approve": Step(gettext_lazy("Approve the plan"), gettext_lazy("Approve"), _approve, _approve_form),
    "publish": Step(gettext_lazy("Publish the plan"), gettext_lazy("Publish"), _publish, _plain_form),
    "return": Step(
        gettext_lazy("Send the plan back"), gettext_lazy("Send back"), _return, _return_form,
        template="planned/plan_return.html", is_danger=True,
    ),
    "close": Step(gettext_lazy("Close the plan"), gettext_lazy("Close"), _close, _plain_form),
    "capacity": Step(
        gettext_lazy("Crews a day"), gettext_lazy("Save"), _capacity, _capacity_form, with_works=False
    ),
}  # fmt: skip


@require_http_methods(["GET", "POST"])
@login_required
@never_cache
def plan_step(request: HttpRequest, pk: int, step: str) -> HttpResponse:
    """Show what a step of a plan will do, or take it."""
    actor = _planner(request)
    period = selectors.period_by_id(actor=actor, period_id=pk)
    kind = STEPS.get(step)
    if kind is None:
        raise NotFound()
    policies.require(actor=actor, action="edit" if step == "capacity" else step, branch=period.branch)
    if step in ("endorse", "approve") and policies.is_own_period(actor=actor, period=period, action=step):
        raise OwnWork()
    lines = dossier.lines_of(period, actor=actor) if kind.with_works else []
    if request.method == "GET":
        if not _is_open(period, step):
            messages.warning(
                request,
                _("That is not possible any more: the plan is %(state)s.") % {"state": period.get_state_display()},
            )
            return redirect("planned:plan", pk)
        return _show(request, actor, period, step, lines, kind.form(period, lines, None))
    form = kind.form(period, lines, request.POST)
    if not form.is_valid():
        return _show(request, actor, period, step, lines, form, status=422)
    try:
        done = kind.run(period, actor, form)
    except (Conflict, IllegalTransition):
        return _collided(request, actor, period, step, form)
    except ChecksOpen as refusal:
        by_reference = {line.work.reference: line for line in lines}
        stopped = [(by_reference.get(one.reference), one) for one in refusal.stopped]
        return _show(request, actor, period, step, lines, form, status=refusal.status, stopped=stopped)
    except DomainError as refusal:
        form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
        status = refusal.status if refusal.status in (409, 422) else 422
        return _show(request, actor, period, step, lines, form, status=status)
    messages.success(request, done)
    return redirect("planned:plan", pk)


def _is_open(period: PlanPeriod, step: str) -> bool:
    if step == "capacity":
        return dossier.is_editable(period)
    return period.state in lifecycle.PERIOD_STEPS[step].sources


def _show(
    request: HttpRequest,
    actor: Actor,
    period: PlanPeriod,
    name: str,
    lines: Sequence[Line],
    form: ActionForm,
    *,
    status: int = 200,
    **more: Any,
) -> HttpResponse:
    kind = STEPS[name]
    context = {
        "period": period,
        "look": _look(period),
        "name": name,
        "step": kind,
        "form": form,
        "lines": lines,
        "totals": dossier.totals_of(lines),
        "concerns": dossier.concerns_of(lines),
        "timeliness": dossier.timeliness_of(period, now=timezone.now()),
        "changes": revisions.changes_since_last(period) if name in ("endorse", "approve") else None,
        "announcement": dossier.announcement_of(lines, now=timezone.now()) if name == "publish" else None,
        "unfinished": [line for line in lines if line.counts and line.work.state != WorkState.CLOSED],
        "since": [],
        "stopped": [],
        "is_open": _is_open(period, name),
        **more,
    }
    return render(request, kind.template, context, status=status)


def _collided(request: HttpRequest, actor: Actor, period: PlanPeriod, name: str, form: ActionForm) -> HttpResponse:
    """Somebody was faster: what they did, beside what was typed here, ready to be sent again."""
    fresh = selectors.period_by_id(actor=actor, period_id=period.pk)
    since = dossier.steps_since(fresh, form.cleaned_data.get("seen") or 0)
    data = request.POST.copy()
    for key, value in _seen(fresh).items():
        data[key] = str(value)
    lines = dossier.lines_of(fresh, actor=actor) if STEPS[name].with_works else []
    again = STEPS[name].form(fresh, lines, data)
    again.is_valid()
    told = [(step, dossier.word_of(step.verb)) for step in since]
    return _show(request, actor, fresh, name, lines, again, status=Conflict.status, since=told, is_conflict=True)
