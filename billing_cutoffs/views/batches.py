"""Batches: the list, the proposal with its preview, one batch with its orders, and the trail of its decisions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

import standards
from accounts.actor import Actor
from accounts.models import AccessVerb
from accounts.pages import csv_response, page_or_fragment, wants_fragment
from accounts.policies import require
from accounts.requests import actor_of
from accounts.scope import visible_to
from accounts.services import access_record
from billing_cutoffs import lifecycle, policies, progress, selectors
from billing_cutoffs.filters.batches import BatchFilter, OrderFilter
from billing_cutoffs.forms.batches import ChoiceForm, ProposeForm
from billing_cutoffs.models import BatchState, CutoffBatch
from billing_cutoffs.protections import Finding, finding_text
from billing_cutoffs.services import batches as services
from billing_cutoffs.services.choices import WHY_NOT, Found
from billing_cutoffs.services.windows import day_possible, day_text, letters_arrive
from grid.models import Branch
from standards.errors import DomainError, Forbidden

ROWS_A_PAGE: Final = 50
# how a batch looks: its shape and its tone
LOOKS: Final = {
    BatchState.SUBMITTED: ("p2", "amber"),
    BatchState.RETURNED: ("p2", "amber"),
    BatchState.RUNNING: ("cutoff", "blue"),
    BatchState.STOPPED: ("p1", "red"),
    BatchState.DONE: ("restored", "quiet"),
}


def look_of(batch: CutoffBatch) -> tuple[str, str]:
    return LOOKS.get(BatchState(batch.state), ("cutoff", "quiet"))


def reader(request: HttpRequest) -> Actor:
    """Whoever has to do with cut-offs; an agent has not."""
    actor = actor_of(request)
    require(actor, "cutoff.read")
    return actor


# --- the list -----------------------------------------------------------------------------------------


@require_GET
@login_required
@never_cache
def batches(request: HttpRequest) -> HttpResponse:
    """Every batch of the branches, the newest first."""
    actor = reader(request)
    found = BatchFilter(request.GET, queryset=selectors.batches_visible_to(actor)).qs.order_by("-pk")
    shown = Paginator(found, ROWS_A_PAGE).get_page(request.GET.get("page"))
    counts = progress.counts_by_batch(list(shown))
    chosen = {name: request.GET.get(name, "") for name in BatchFilter.base_filters}
    context = {
        "page_obj": shown,
        "rows": [(batch, look_of(batch), counts[batch.pk], counts[batch.pk].total()) for batch in shown],
        "chosen": chosen,
        "is_narrowed": any(chosen.values()),
        "branches": visible_to(actor, Branch.objects.all(), "cutoff.read"),
        "state_choices": BatchState.choices,
        "may_propose": policies.may_somewhere(actor=actor, action="submit"),
    }
    return render(request, "billing_cutoffs/batches.html", context)


# --- proposing ----------------------------------------------------------------------------------------


@require_http_methods(["GET", "POST"])
@login_required
@never_cache
def batch_new(request: HttpRequest) -> HttpResponse:
    """Whom to propose, and when; the preview says how many that would be before anything is written."""
    actor = actor_of(request)
    if not policies.may_somewhere(actor=actor, action="submit"):
        raise Forbidden()
    if request.method == "GET":
        return _show_new(request, ProposeForm(actor=actor, initial=_initial(actor)))
    if "preview" in request.POST or wants_fragment(request):
        return _preview(request, actor)
    form = ProposeForm(request.POST, actor=actor)
    if not form.is_valid():
        return _show_new(request, form, status=422)
    try:
        made = services.batch_propose(actor=actor, **form.choice(), **form.window(form.cleaned_data["branch"]))
    except DomainError as refusal:
        field = {"window_from": "day", "window_until": "ends"}.get(refusal.field, refusal.field)
        form.add_error(field if field in form.fields else None, str(refusal))
        return _show_new(request, form, status=refusal.status if refusal.status in (409, 422) else 422)
    count = made.batch.orders.count()
    messages.success(
        request,
        ngettext("%(n)d order is proposed. Hand it in when it is right.",
                 "%(n)d orders are proposed. Hand them in when they are right.", count) % {"n": count},
    )  # fmt: skip
    for refused in made.refused[:20]:
        messages.warning(request, f"{refused.account_number}: {refused.words}")
    return redirect("billing_cutoffs:batch", made.batch.reference)


def _initial(actor: Actor) -> dict[str, Any]:
    """The first possible day for homes, and all the hours of the rule pack."""
    branch = visible_to(actor, Branch.objects.all(), "cutoff.propose").order_by("pos").first()
    if branch is None:
        return {}
    hours = standards.pack(branch.rule_pack).arrears.cut_hours.value
    earliest = letters_arrive(branch=branch, told={("residential", "normal")}, now=timezone.now())
    return {
        "branch": branch,
        "day": day_possible(branch=branch, earliest=earliest),
        "begins": hours.begins,
        "ends": hours.ends,
    }


def _preview(request: HttpRequest, actor: Actor) -> HttpResponse:
    asked = ChoiceForm(request.POST, actor=actor)
    preview = None
    if asked.is_valid():
        preview = _preview_of(asked.cleaned_data["branch"], services.batch_preview(actor=actor, **asked.choice()))
    if wants_fragment(request):
        return render(request, "billing_cutoffs/partials/_batch_preview.html", {"preview": preview})
    # what was typed is shown again; only the choice is judged yet
    form = ProposeForm(initial=request.POST.dict() | {"grades": request.POST.getlist("grades")}, actor=actor)
    return _show_new(request, form, preview=preview)


def _preview_of(branch: Branch, found: Found) -> dict[str, Any]:
    pack = standards.pack(branch.rule_pack)
    earliest = letters_arrive(branch=branch, told=found.told, now=timezone.now())
    return {
        "orders": found.orders,
        "amount": progress.amount_text(found.amount, branch.rule_pack),
        "left_out": [(WHY_NOT[code], number) for code, number in sorted(found.left_out.items())],
        "refused": found.refused[:50],
        "first_day": day_text(day_possible(branch=branch, earliest=earliest), branch) if found.orders else "–",
        "rate": pack.arrears.rate_per_hour.value,
        "needs_second": found.orders > pack.arrears.four_eyes_above.value,
    }


def _show_new(
    request: HttpRequest, form: ProposeForm, *, preview: dict[str, Any] | None = None, status: int = 200
) -> HttpResponse:
    context = {"form": form, "preview": preview}
    return render(request, "billing_cutoffs/batch_form.html", context, status=status)


# --- one batch ----------------------------------------------------------------------------------------


@require_GET
@login_required
@never_cache
def batch(request: HttpRequest, reference: str) -> HttpResponse:
    """One batch: how far it is, what protects whom, every order with its evidence, and what may be done."""
    actor = reader(request)
    found = selectors.batch_by_reference(actor=actor, reference=reference)
    chosen = {name: request.GET.get(name, "") for name in OrderFilter.base_filters}
    context = _live(found) | {"chosen": chosen}
    if not wants_fragment(request):
        context |= _page(request, actor, found)
    return page_or_fragment(request, "billing_cutoffs/batch.html", "billing_cutoffs/partials/_batch_live.html", context)


def _page(request: HttpRequest, actor: Actor, found: CutoffBatch) -> dict[str, Any]:
    """What stands below the part that refreshes itself."""
    orders = OrderFilter(request.GET, queryset=progress.orders_with_evidence(found)).qs
    if not any(request.GET.get(name) for name in OrderFilter.base_filters):
        orders = orders.filter(progress.GROUPS["all"][1])
    shown = Paginator(orders, ROWS_A_PAGE).get_page(request.GET.get("page"))
    return {
        "page_obj": shown,
        "lines": progress.lines_of(found, shown),
        "protections": progress.protections_of(found),
        "ages": progress.ages_of(found),
        "history": [(step, progress.verb_text(step.verb)) for step in found.steps.filter(order=None).order_by("-pk")],
        "doors": progress.steps_open_to(actor=actor, batch=found),
        "is_anothers": _is_anothers(actor, found),
        "before_command": lifecycle.BEFORE_COMMAND,
        "is_editable": found.state in lifecycle.BATCH_EDITABLE,
        "may": {
            name: policies.may(actor=actor, action=name, branch=found.branch) for name in ("propose", "approve", "stop")
        },
        "receipt": found.steps.filter(verb="undo").last(),
        "left_off": progress.lines_of(found, _left_off(found)) if found.state == lifecycle.UNDONE else [],
    }


def _left_off(found: CutoffBatch) -> Any:
    """What a batch that was taken back leaves off, on its way there, or in doubt."""
    orders = progress.orders_with_evidence(found)
    return orders.filter(state__in=[*lifecycle.OFF, lifecycle.COMMANDED, lifecycle.FAILED])[:200]


def _live(found: CutoffBatch) -> dict[str, Any]:
    """What changes while the batch is carried out."""
    counts = progress.counts_of(found)
    served, letters = progress.letters_of([found])[found.pk]
    stop = found.steps.filter(order=None, verb="stop").last() if found.state == lifecycle.STOPPED else None
    return {
        "batch": found,
        "look": look_of(found),
        "counts": counts,
        "strip": progress.strip_of(found, counts),
        "reason": progress.reason_text(found.state_reason),
        "stop": stop,
        "awaits_second": progress.awaits_second(found),
        "served": served,
        "letters": letters,
        "is_live": found.state in (lifecycle.BATCH_APPROVED, lifecycle.RUNNING),
        "turns": progress.next_turns(found) if found.state == lifecycle.RUNNING else [],
    }


def _is_anothers(actor: Actor, found: CutoffBatch) -> bool:
    """It waits for a decision, and this person has had a hand in it."""
    is_waiting = found.state == lifecycle.SUBMITTED or progress.awaits_second(found)
    return is_waiting and policies.is_own_batch(actor=actor, batch=found)


# --- the trail ----------------------------------------------------------------------------------------


@require_GET
@login_required
@never_cache
def batch_csv(request: HttpRequest, reference: str) -> StreamingHttpResponse:
    """Every step of the batch and of each of its orders: who, when, what, and on which facts."""
    actor = reader(request)
    found = selectors.batch_by_reference(actor=actor, reference=reference)
    access_record(
        actor=actor, verb=AccessVerb.EXPORT, object_type="cutoff_batch", object_ref=found.reference,
        branch_pos=found.branch.pos, request=request,
    )  # fmt: skip
    heads = [
        _("Time"), _("By"), _("Order"), _("Account number"), _("Step"), _("Before"), _("After"), _("Reason"),
        _("Held by"), pgettext("trail", "Facts"),
    ]  # fmt: skip
    return csv_response(f"decisions-{found.reference}", heads, _trail(found))


def _trail(found: CutoffBatch) -> Iterator[list[Any]]:
    steps = found.steps.select_related("order__case__account__customer").order_by("pk")
    for step in steps.iterator(chunk_size=500):
        order = step.order
        facts = dict(step.facts)
        holds = [finding_text(Finding.from_json(said)) for said in facts.pop("holds", [])]
        yield [
            step.at,
            step.actor_name,
            order.reference if order else found.reference,
            order.case.account.customer.account_number if order else "",
            progress.verb_text(step.verb),
            step.before,
            step.after,
            progress.reason_text(step.note),
            "; ".join(holds),
            "; ".join(f"{name}={value}" for name, value in sorted(facts.items())),
        ]
