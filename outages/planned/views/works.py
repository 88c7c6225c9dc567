"""The page of a work, the answers to its findings, its risk sheets, and its steps where it stands outside a plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.actor import Actor
from accounts.policies import actor_may
from accounts.requests import actor_of
from grid.models import Customer
from outages import places
from outages.forms import now_to_the_minute
from outages.places import RestorationStep, masked
from outages.planned import checks, dossier, kinds, lifecycle, policies, selectors, services
from outages.planned.agenda import look_of
from outages.planned.findings import Finding
from outages.planned.forms.steps import AnswerForm, CancelWorkForm, GateForm, ReturnForm, RiskSheetForm
from outages.planned.models import CheckAnswer, NoticeStage, PlannedWork, RiskSheet, WorkState, WorkWindow
from outages.planned.services import ChecksOpen
from outages.planned.views.sidebar import groups_of, lead_of
from standards.errors import Conflict, DomainError, Forbidden, NotFound

PLACES_SHOWN: Final = 100
STEPS_SHOWN: Final = 100


# --- the page of a work -------------------------------------------------------------------------------


@require_GET
@login_required
@never_cache
def work(request: HttpRequest, reference: str) -> HttpResponse:
    """Everything about one work: what, when, for whom, what the checks say, who did what."""
    actor = actor_of(request)
    found = selectors.work_by_reference(actor=actor, reference=reference)
    return render(request, "planned/work.html", _context(found, actor))


@dataclass(frozen=True)
class WindowLine:
    """One window: as planned, as it went, and what can be done with it next."""

    window: WorkWindow
    steps_back: Sequence[RestorationStep]
    actions: Sequence[str]


def _context(work: PlannedWork, actor: Actor) -> dict[str, Any]:
    windows = list(work.windows.all())
    back = places.restoration_steps_of([window.outage_id for window in windows if window.outage_id])
    may_see = actor_may(actor, "customer.read_masked", work.branch.pos)
    is_undecided = not selectors.is_decided(work)
    subject = selectors.subjects_of([work])[0]
    findings = checks.findings_of([subject], at=timezone.now())[subject.number] if is_undecided else []
    actions, own = actions_of(work, actor)
    children = list(work.children.select_related("branch").order_by("pk"))
    return {
        "work": work,
        "period": work.period,
        "look": look_of(work.state),
        "lines": [_line(window, back.get(window.outage_id or 0, ()), actor) for window in windows],
        "elements": list(work.elements.all()),
        "groups": groups_of(findings),
        "lead": lead_of(work.branch, subject.windows, told_at=timezone.now()) if is_undecided else None,
        "is_undecided": is_undecided,
        "answers": [] if is_undecided else _answers(work),
        "may_answer": is_undecided and policies.may(actor=actor, action="answer", branch=work.branch),
        "areas": list(work.work_places.select_related("element").order_by("-customers")[:PLACES_SHOWN]),
        "may_see_customers": may_see,
        "critical": _critical(work) if may_see and work.critical_customers else [],
        "children": children,
        "history": [(step, dossier.word_of(step.verb)) for step in work.steps.order_by("-pk")[:STEPS_SHOWN]],
        "notice_stages": _stages(work),
        "actions": [name for name in actions if not (name == "delete" and children)],  # a joint work is split
        "own": own,
        "may_edit": work.state in lifecycle.EDITABLE and policies.may(actor=actor, action="edit", branch=work.branch),
        "may_split": dossier.may_split(work, children, actor=actor),
    }


def _line(window: WorkWindow, steps_back: Sequence[RestorationStep], actor: Actor) -> WindowLine:
    outage = window.outage
    return WindowLine(window, steps_back, kinds.window_actions(outage, window, actor) if outage is not None else ())


def _answers(work: PlannedWork) -> list[tuple[CheckAnswer, str]]:
    """What was answered, and to what."""
    return [(given, dossier.check_name(given.code)) for given in work.answers.order_by("pk")]


def _stages(work: PlannedWork) -> list[str | Promise]:
    return [NoticeStage(stage).label for stage in work.notice_plan]


def _critical(work: PlannedWork) -> list[tuple[Customer, str, RiskSheet | None]]:
    """Who depends on supply there, by a masked name, with what was agreed."""
    sheets = {sheet.customer_id: sheet for sheet in work.risk_sheets.all()}
    return [(customer, masked(customer.name), sheets.get(customer.pk)) for customer in selectors.important_of(work)]


def actions_of(work: PlannedWork, actor: Actor) -> tuple[list[str], list[str]]:
    """What this person can do next; and what somebody else must do, because this person had a hand in it."""
    possible = [name for name in STEPS if _is_possible(work, name)]
    allowed = [name for name in possible if policies.may(actor=actor, action=STEPS[name].policy, branch=work.branch)]
    own = [
        name
        for name in allowed
        if name in ("check", "approve") and policies.is_own_work(actor=actor, work=work, action=name)
    ]
    return [name for name in allowed if name not in own], own


def _is_possible(work: PlannedWork, name: str) -> bool:
    if name == "delete":
        return work.state == WorkState.DRAFT
    if work.state not in lifecycle.WORK_STEPS[name].sources:
        return False
    if name == "cancel":
        return work.state != WorkState.DRAFT
    return work.period_id is None


# --- answers ------------------------------------------------------------------------------------------


@require_POST
@login_required
@never_cache
def answer(request: HttpRequest, reference: str) -> HttpResponse:
    """Say why a finding does not stand in the way."""
    actor = actor_of(request)
    found = selectors.work_by_reference(actor=actor, reference=reference)
    policies.require(actor=actor, action="answer", branch=found.branch)
    form = AnswerForm(request.POST)
    if form.is_valid():
        facts = form.cleaned_data
        try:
            services.answer_give(actor=actor, work_id=found.pk, code=facts["code"], reason=facts["reason"])
        except DomainError as refusal:
            form.add_error("reason", str(refusal))
    if not form.is_valid():
        return render(request, "planned/work.html", {**_context(found, actor), "answer_form": form}, status=422)
    messages.success(request, _("The answer is saved."))
    if facts["step"] in STEPS:
        return redirect("planned:work-step", reference, facts["step"])
    if facts["step"] == "plan" and found.period_id:
        return HttpResponseRedirect(f"{reverse('planned:plan', args=[found.period_id])}#concern-{facts['code']}")
    return HttpResponseRedirect(f"{reverse('planned:work', args=[reference])}#finding-{facts['code']}")


# --- risk sheets --------------------------------------------------------------------------------------


@require_http_methods(["GET", "POST"])
@login_required
@never_cache
def risk_sheets(request: HttpRequest, reference: str) -> HttpResponse:
    """What was agreed with those who depend on supply: one sheet each."""
    actor = actor_of(request)
    found = selectors.work_by_reference(actor=actor, reference=reference)
    if not actor_may(actor, "customer.read_masked", found.branch.pos):
        raise Forbidden()
    customers = selectors.important_of(found)
    may_write = policies.may(actor=actor, action="answer", branch=found.branch)
    if request.method == "POST":
        policies.require(actor=actor, action="answer", branch=found.branch)
        form = RiskSheetForm(request.POST, customers=customers)
        if form.is_valid() and _sheet_written(actor, found, customers, form):
            messages.success(request, _("The risk sheet is saved."))
            return redirect("planned:risk-sheets", reference)
        return _show_sheets(request, found, form, may_write=may_write, status=422)
    form = RiskSheetForm(customers=customers, initial=_sheet_initial(request, found))
    return _show_sheets(request, found, form, may_write=may_write)


def _sheet_written(actor: Actor, work: PlannedWork, customers: list[Customer], form: RiskSheetForm) -> bool:
    facts = form.cleaned_data
    customer = next(customer for customer in customers if customer.pk == facts.pop("customer"))
    try:
        services.risk_sheet_write(actor=actor, work_id=work.pk, customer=customer, **facts)
    except DomainError as refusal:
        form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
        return False
    return True


def _sheet_initial(request: HttpRequest, work: PlannedWork) -> dict[str, Any]:
    """The sheet of one customer to be changed, or an empty one."""
    asked = request.GET.get("customer", "")
    number = int(asked) if asked.isascii() and asked.isdigit() and len(asked) <= 18 else 0
    sheet = work.risk_sheets.filter(customer=number).first()
    initial: dict[str, Any] = {"customer": number, "agreed_at": now_to_the_minute()}
    if sheet is not None:
        kept = ("measures", "own_generator", "agreed_with", "agreed_at")
        initial |= {name: getattr(sheet, name) for name in kept}
    return initial


def _show_sheets(
    request: HttpRequest, work: PlannedWork, form: RiskSheetForm, *, may_write: bool, status: int = 200
) -> HttpResponse:
    context = {"work": work, "form": form, "critical": _critical(work), "may_write": may_write}
    return render(request, "planned/work_risk_sheets.html", context, status=status)


# --- steps --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """One step of a work: its words, who may, its form, and what it does."""

    title: str | Promise
    button: str | Promise
    policy: str
    run: Callable[[Actor, PlannedWork, dict[str, Any]], object]
    done: str | Promise
    form: type[GateForm] = GateForm
    is_danger: bool = False
    is_gate: bool = False  # the checks are asked


def _gate(verb: Callable[..., PlannedWork]) -> Callable[[Actor, PlannedWork, dict[str, Any]], object]:
    def run(actor: Actor, work: PlannedWork, facts: dict[str, Any]) -> object:
        return verb(actor=actor, work_id=work.pk, expected_version=facts["version"])

    return run


def _return(actor: Actor, work: PlannedWork, facts: dict[str, Any]) -> object:
    return services.work_return(actor=actor, work_id=work.pk, reason=facts["reason"], expected_version=facts["version"])


def _cancel(actor: Actor, work: PlannedWork, facts: dict[str, Any]) -> object:
    return services.work_cancel(
        actor=actor, work_id=work.pk, reason=facts["reason"], tell=facts.get("tell", True),
        expected_version=facts["version"],
    )  # fmt: skip


def _delete(actor: Actor, work: PlannedWork, facts: dict[str, Any]) -> object:
    services.work_delete(actor=actor, work_id=work.pk, expected_version=facts["version"])
    return None


# in the order in which a work passes them
STEPS: Final[dict[str, Step]] = {
    "submit": Step(
        gettext_lazy("Hand it in"), gettext_lazy("Hand it in"), "submit", _gate(services.work_submit),
        gettext_lazy("It is handed in; the branch lead looks at it next."), is_gate=True,
    ),
    "check": Step(
        gettext_lazy("Check it"), gettext_lazy("Checked: pass it on"), "check", _gate(services.work_check),
        gettext_lazy("It is checked; the approver decides next."), is_gate=True,
    ),
    "approve": Step(
        gettext_lazy("Approve it"), gettext_lazy("Approve it"), "approve", _gate(services.work_approve),
        gettext_lazy("It is approved; it is not public yet."), is_gate=True,
    ),
    "publish": Step(
        gettext_lazy("Publish it"), gettext_lazy("Publish it and start the notice"), "publish",
        _gate(services.work_publish), gettext_lazy("It is public, and the notice has started."), is_gate=True,
    ),
    "return": Step(
        gettext_lazy("Send it back"), gettext_lazy("Send it back"), "return", _return,
        gettext_lazy("It is sent back with your reason."), ReturnForm,
    ),
    "withdraw": Step(
        gettext_lazy("Take it back"), gettext_lazy("Take it back"), "withdraw", _gate(services.work_withdraw),
        gettext_lazy("It is a draft again."),
    ),
    "cancel": Step(
        gettext_lazy("Cancel it"), gettext_lazy("Cancel the work"), "cancel", _cancel,
        gettext_lazy("The work is cancelled."), CancelWorkForm, is_danger=True,
    ),
    "delete": Step(
        gettext_lazy("Delete the draft"), gettext_lazy("Delete it"), "edit", _delete,
        gettext_lazy("The draft is deleted."), is_danger=True,
    ),
}  # fmt: skip


@require_http_methods(["GET", "POST"])
@login_required
@never_cache
def step(request: HttpRequest, reference: str, step: str) -> HttpResponse:
    """Show one step of a work with what it will make true, or take it."""
    actor = actor_of(request)
    found = selectors.work_by_reference(actor=actor, reference=reference)
    kind = STEPS.get(step)
    if kind is None:
        raise NotFound()
    policies.require(actor=actor, action=kind.policy, branch=found.branch)
    if request.method == "GET":
        return _show(request, actor, found, step, _form(found, kind, None))
    form = _form(found, kind, request.POST)
    if not form.is_valid():
        return _show(request, actor, found, step, form, status=422)
    try:
        kind.run(actor, found, form.cleaned_data)
    except Conflict:
        return _collided(request, actor, reference, step)
    except ChecksOpen as refusal:
        form.add_error(None, _("Something must be answered first."))
        return _show(request, actor, found, step, form, status=refusal.status, stopped=refusal.stopped[0].findings)
    except DomainError as refusal:
        form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
        status = refusal.status if refusal.status in (403, 409, 422) else 422
        return _show(request, actor, found, step, form, status=status)
    messages.success(request, str(kind.done))
    if step == "delete":
        return redirect("planned:plan", found.period_id) if found.period_id else redirect("planned:list")
    return redirect("planned:work", reference)


def _form(work: PlannedWork, kind: Step, data: Any) -> GateForm:
    initial = {"version": work.version, "tell": True}
    if kind.form is CancelWorkForm:
        return CancelWorkForm(data, initial=initial, is_published=work.published_at is not None)
    return kind.form(data, initial=initial)


def _show(
    request: HttpRequest,
    actor: Actor,
    work: PlannedWork,
    name: str,
    form: GateForm,
    *,
    status: int = 200,
    stopped: Sequence[Finding] | None = None,
    since: Sequence[Any] = (),
) -> HttpResponse:
    kind = STEPS[name]
    if stopped is None and kind.is_gate and not selectors.is_decided(work):
        subject = selectors.subjects_of([work])[0]
        stopped = checks.findings_of([subject], at=timezone.now())[subject.number]
    context = {
        "work": work,
        "period": work.period,
        "name": name,
        "step": kind,
        "form": form,
        "since": since,
        "groups": groups_of(stopped or ()),
        "may_answer": policies.may(actor=actor, action="answer", branch=work.branch),
        "windows": list(work.windows.all()),
        "elements": list(work.elements.all()),
        "notice_stages": _stages(work),
        "own": actions_of(work, actor)[1],
    }
    return render(request, "planned/work_step.html", context, status=status)


def _collided(request: HttpRequest, actor: Actor, reference: str, name: str) -> HttpResponse:
    """Somebody was faster: what they did, beside what was typed here, ready to be sent again."""
    fresh = selectors.work_by_reference(actor=actor, reference=reference)
    data = request.POST.copy()
    data["version"] = str(fresh.version)
    form = _form(fresh, STEPS[name], data)
    form.is_valid()
    since = [(other, dossier.word_of(other.verb)) for other in fresh.steps.order_by("-pk")[:3]]
    return _show(request, actor, fresh, name, form, status=Conflict.status, since=since)
