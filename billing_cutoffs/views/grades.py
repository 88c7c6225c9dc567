"""The grades: how debtors are told apart, who changed that, and the grading of all accounts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.actor import Actor
from accounts.requests import actor_of
from billing_cutoffs import grading, policies
from billing_cutoffs.forms.grades import GradeForm, StepFormSet
from billing_cutoffs.grading import Fallen, Rule, fallen_under, rule_of, shadows
from billing_cutoffs.models import Grade
from billing_cutoffs.services.grades import company_require, grade_save, grade_switch, grading_ask, may_configure
from standards.doorbell import ring_on_commit
from standards.errors import DomainError, Forbidden


@dataclass(frozen=True)
class Line:
    """One grade with how many are in it now, and the earlier one that leaves nobody for it."""

    grade: Grade
    accounts: int
    shadow: str


@require_GET
@login_required
@never_cache
def grades(request: HttpRequest) -> HttpResponse:
    """Every grade in the order in which it is asked."""
    actor = _reader(request)
    known = grading.grades_all()
    counts = grading.accounts_by_grade(actor)
    names = {grade.pk: str(grade) for grade in known}
    hidden = shadows([rule_of(grade) for grade in known if grade.is_active])
    lines = [Line(g, counts.get(g.pk, 0), names[hidden[g.pk].key] if g.pk in hidden else "") for g in known]
    context = {
        "lines": lines,
        "ungraded": counts.get(None, 0),
        "run": grading.grading_last(),
        "may_configure": may_configure(actor),
    }
    return render(request, "billing_cutoffs/grades.html", context)


def _reader(request: HttpRequest) -> Actor:
    actor = actor_of(request)
    if not policies.may_somewhere(actor=actor, action="read_arrears"):
        raise Forbidden()
    return actor


@require_http_methods(["GET", "POST"])
@login_required
@never_cache
def grade_new(request: HttpRequest) -> HttpResponse:
    """Add a grade."""
    return _edit(request, None)


@require_http_methods(["GET", "POST"])
@login_required
@never_cache
def grade_edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change a grade; who may not reads it."""
    return _edit(request, grading.grade_by_key(pk))


def _edit(request: HttpRequest, grade: Grade | None) -> HttpResponse:
    actor = _reader(request)
    if request.method == "GET":
        if grade is None:
            company_require(actor)
        return _show(request, actor, grade, GradeForm.of(grade), StepFormSet.of(grade))
    company_require(actor)
    form, steps = GradeForm.of(grade, request.POST), StepFormSet.of(grade, request.POST)
    if not (form.is_valid() & steps.is_valid()):
        return _show(request, actor, grade, form, steps, status=422)
    if "preview" in request.POST:
        return _show(request, actor, grade, form, steps, preview=_preview(actor, form, grade))
    try:
        saved = grade_save(
            actor=actor, facts=form.facts, steps=steps.drafts, grade_id=grade.pk if grade is not None else None
        )
    except DomainError as refusal:
        form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
        return _show(request, actor, grade, form, steps, status=refusal.status if refusal.status == 409 else 422)
    messages.success(request, _("%(grade)s is saved. It counts from the next grading on.") % {"grade": saved})
    return redirect("billing_cutoffs:grades")


def _show(
    request: HttpRequest, actor: Actor, grade: Grade | None, form: GradeForm, steps: StepFormSet, *,
    preview: list[tuple[str, Fallen | None]] | None = None, status: int = 200,
) -> HttpResponse:  # fmt: skip
    context = {
        "grade": grade,
        "form": form,
        "steps": steps,
        "preview": preview,
        "shadow": _shadow(form, grade),
        "history": grading.grade_history(grade) if grade is not None else (),
        "may_configure": may_configure(actor),
    }
    return render(request, "billing_cutoffs/grade_form.html", context, status=status)


def _rules_with(form: GradeForm, grade: Grade | None) -> list[Rule]:
    """The grades in use as they would be once this form is saved; the new one has the key 0."""
    key = grade.pk if grade is not None else 0
    others = [rule_of(other) for other in grading.grades_all() if other.is_active and other.pk != key]
    return [*others, form.rule(key)] if form.cleaned_data["is_active"] else others


def _shadow(form: GradeForm, grade: Grade | None) -> Grade | None:
    """The earlier grade that would leave nobody for this one."""
    if not form.is_bound or not form.is_valid():
        return None
    hidden = shadows(_rules_with(form, grade)).get(grade.pk if grade is not None else 0)
    return grading.grade_by_key(hidden.key) if hidden is not None else None


def _preview(actor: Actor, form: GradeForm, grade: Grade | None) -> list[tuple[str, Fallen | None]]:
    """Every grade with how many accounts would fall into it, in the actor's branches."""
    rules = _rules_with(form, grade)
    found = {fallen.key: fallen for fallen in fallen_under(actor=actor, rules=rules)}
    own = replace(form.rule(0), key=grade.pk) if grade is not None else form.rule(0)
    named = Grade(name_zh=form.cleaned_data["name_zh"], name_en=form.cleaned_data["name_en"])
    names = {other.pk: str(other) for other in grading.grades_all()} | {own.key: str(named)}
    ordered: Sequence[Rule] = sorted(rules, key=lambda rule: rule.rank)
    lines = [(names[rule.key], found.get(rule.key)) for rule in ordered]
    return [*lines, (_("in no grade"), found.get(None))]


@require_POST
@login_required
def grade_use(request: HttpRequest, pk: int) -> HttpResponse:
    """Take a grade out of use, or into use again."""
    actor = _reader(request)
    grade = grade_switch(actor=actor, grade_id=pk, is_active=request.POST.get("is_active") == "1")
    text = _("%(grade)s is in use.") if grade.is_active else _("%(grade)s is out of use.")
    messages.success(request, text % {"grade": grade})
    return redirect("billing_cutoffs:grades")


@require_POST
@login_required
def grading_start(request: HttpRequest) -> HttpResponse:
    """Grade all accounts now instead of tonight."""
    actor = _reader(request)
    grading_ask(actor=actor)
    ring_on_commit("billing_cutoffs.tasks.accounts_grade_asked")
    messages.info(request, _("All accounts are being graded; this page says when it is done."))
    return redirect("billing_cutoffs:grades")
