"""Every step of a batch: what it will do is shown first, then it is taken with whatever the step asks for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, pgettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts.actor import Actor
from billing_cutoffs import policies, progress, selectors
from billing_cutoffs.forms.batches import AddForm, ApproveForm, ChangeForm, ClearForm, ReasonForm, UndoForm
from billing_cutoffs.models import CutoffBatch, CutoffOrder
from billing_cutoffs.protections import GUARDS
from billing_cutoffs.services import batches, decisions, guards
from billing_cutoffs.views.batches import look_of, reader
from outages.forms import ActionForm
from outages.lifecycle import IllegalTransition
from standards.errors import Conflict, DomainError, NotFound

LISTED_CHANGES: Final = 50


@dataclass(frozen=True)
class Step:
    """One step of a batch: its words, its form, and what it does."""

    title: str | Promise
    run: Callable[[CutoffBatch, Actor, dict[str, Any]], str]
    form: type[ActionForm] = ActionForm
    button: str | Promise = ""
    says: str | Promise = ""
    is_danger: bool = False


def _submit(batch: CutoffBatch, actor: Actor, said: dict[str, Any]) -> str:
    batches.batch_submit(actor=actor, reference=batch.reference, expected_version=said["version"])
    return _("The batch is handed in. It waits for another person's approval.")


def _withdraw(batch: CutoffBatch, actor: Actor, said: dict[str, Any]) -> str:
    batches.batch_withdraw(actor=actor, reference=batch.reference, expected_version=said["version"])
    return _("The batch is taken back and can be changed.")


def _change(batch: CutoffBatch, actor: Actor, said: dict[str, Any]) -> str:
    batches.batch_change(actor=actor, reference=batch.reference, expected_version=said["version"], **said["window"])
    return _("The batch is changed.")


def _add(batch: CutoffBatch, actor: Actor, said: dict[str, Any]) -> str:
    refused = batches.orders_add(actor=actor, reference=batch.reference, account_numbers=said["accounts"])
    added = len(said["accounts"]) - len(refused)
    told = ngettext("%(n)d account is added.", "%(n)d accounts are added.", added) % {"n": added}
    return " ".join([told, *(f"{one.account_number}: {one.words}" for one in refused[:20])])


def _return(batch: CutoffBatch, actor: Actor, said: dict[str, Any]) -> str:
    decisions.batch_return(
        actor=actor, reference=batch.reference, reason=said["reason"], expected_version=said["version"]
    )
    return _("The batch goes back to its author.")


def _approve(batch: CutoffBatch, actor: Actor, said: dict[str, Any]) -> str:
    after = decisions.batch_approve(
        actor=actor, reference=batch.reference, typed_count=said["typed_count"], is_confirmed=said["is_confirmed"],
        expected_version=said["version"],
    )  # fmt: skip
    if progress.awaits_second(after):
        return _("Approved. A batch of this size needs one more approver before its letters go out.")
    return _("The batch is approved. Its letters go out now.")


def _second(batch: CutoffBatch, actor: Actor, said: dict[str, Any]) -> str:
    decisions.batch_second(
        actor=actor, reference=batch.reference, typed_count=said["typed_count"], is_confirmed=said["is_confirmed"],
        expected_version=said["version"],
    )  # fmt: skip
    return _("The batch is approved. Its letters go out now.")


def _stop(batch: CutoffBatch, actor: Actor, said: dict[str, Any]) -> str:
    # whatever has happened since the page was read: stopping never waits
    decisions.batch_stop(actor=actor, reference=batch.reference, reason=said["reason"])
    return _("The batch is stopped. Nothing more is switched off.")


def _resume(batch: CutoffBatch, actor: Actor, said: dict[str, Any]) -> str:
    decisions.batch_resume(
        actor=actor, reference=batch.reference, reason=said["reason"], expected_version=said["version"]
    )
    return _("The batch goes on.")


def _undo(batch: CutoffBatch, actor: Actor, said: dict[str, Any]) -> str:
    decisions.batch_undo(
        actor=actor, reference=batch.reference, reason=said["reason"], reconnect_all=said["reconnect_all"]
    )
    return _("The batch is taken back. The receipt stands below.")


STEPS: Final[dict[str, Step]] = {
    "submit": Step(
        gettext_lazy("Hand the batch in"), _submit, button=gettext_lazy("Hand in"),
        says=gettext_lazy("Another person then decides. The protections run again now."),
    ),
    "withdraw": Step(gettext_lazy("Take the batch back to change it"), _withdraw, button=gettext_lazy("Take back")),
    "change": Step(
        gettext_lazy("Change window and rates"), _change, ChangeForm, pgettext_lazy("batch", "Save"),
    ),
    "add": Step(gettext_lazy("Add accounts"), _add, AddForm, pgettext_lazy("batch", "Add")),
    "approve": Step(gettext_lazy("Approve the batch"), _approve, ApproveForm, gettext_lazy("Approve")),
    "second": Step(
        gettext_lazy("Approve the batch as the second"), _second, ApproveForm, gettext_lazy("Approve")
    ),
    "return": Step(
        gettext_lazy("Send the batch back"), _return, ReasonForm, gettext_lazy("Send back"),
        gettext_lazy("Its author sees the reason, changes the batch and hands it in again."), is_danger=True,
    ),
    "stop": Step(
        gettext_lazy("Stop the batch"), _stop, ReasonForm, gettext_lazy("Stop now"),
        gettext_lazy("Nothing more is switched off. What is off stays off."), is_danger=True,
    ),
    "resume": Step(
        gettext_lazy("Resume the batch"), _resume, ReasonForm, gettext_lazy("Resume"),
        gettext_lazy("It goes on where it stopped, every protection runs again, and the brake counts anew."),
    ),
    "undo": Step(
        gettext_lazy("Take everything back"), _undo, UndoForm, gettext_lazy("Take everything back"),
        gettext_lazy("Every order that has not been executed ends, commands and letters that have not left are "
                     "withdrawn. This cannot be undone."), is_danger=True,
    ),
}  # fmt: skip


@require_http_methods(["GET", "POST"])
@login_required
@never_cache
def batch_step(request: HttpRequest, reference: str, step: str) -> HttpResponse:
    """Show what a step of a batch will do, or take it."""
    actor = reader(request)
    batch = selectors.batch_by_reference(actor=actor, reference=reference)
    kind = STEPS.get(step)
    if kind is None:
        raise NotFound()
    _require(actor, batch, step)
    if step not in progress.steps_open_to(actor=actor, batch=batch) and request.method == "GET":
        messages.warning(
            request,
            _("That is not possible any more: the batch is %(state)s.") % {"state": batch.get_state_display()},
        )
        return redirect("billing_cutoffs:batch", reference)
    if request.method == "GET":
        return _show(request, batch, step, kind.form(initial=_initial(batch, step)))
    form = kind.form(request.POST)
    if not form.is_valid():
        return _show(request, batch, step, form, status=422)
    said = dict(form.cleaned_data)
    if isinstance(form, ChangeForm):
        said["window"] = form.window(batch.branch)
    try:
        done = kind.run(batch, actor, said)
    except (Conflict, IllegalTransition) as refusal:
        return _again(request, actor, reference, step, form, refusal.status)
    except decisions.CountDiffers as refusal:
        batches.batch_check(actor=actor, reference=reference)  # so that the page shows what is held by now
        form.add_error("typed_count", str(refusal))
        return _again(request, actor, reference, step, form, refusal.status)
    except DomainError as refusal:
        field = {"window_from": "day", "window_until": "ends"}.get(refusal.field, refusal.field)
        form.add_error(field if field in form.fields else None, str(refusal))
        return _show(request, batch, step, form, status=refusal.status if refusal.status in (403, 409) else 422)
    messages.success(request, done)
    return redirect("billing_cutoffs:batch", reference)


def _require(actor: Actor, batch: CutoffBatch, step: str) -> None:
    action = {"withdraw": "submit", "change": "submit", "add": "submit", "second": "approve"}.get(step, step)
    policies.require(actor=actor, action=action, branch=batch.branch)
    if step in ("approve", "second") and policies.is_own_batch(actor=actor, batch=batch):
        raise policies.OwnBatch()


def _initial(batch: CutoffBatch, step: str) -> dict[str, Any]:
    return ChangeForm.initial_of(batch) if step == "change" else {"version": batch.version}


def _again(
    request: HttpRequest, actor: Actor, reference: str, step: str, form: ActionForm, status: int
) -> HttpResponse:
    """The batch as it is now, with what was typed; it can be sent again."""
    fresh = selectors.batch_by_reference(actor=actor, reference=reference)
    if not form.errors:
        state = fresh.get_state_display()
        form.add_error(None, _("Somebody else was faster: the batch is %(state)s. Look again.") % {"state": state})
    data = request.POST.copy()
    data["version"] = str(fresh.version)
    form.data = data
    return _show(request, fresh, step, form, status=status)


def _show(request: HttpRequest, batch: CutoffBatch, name: str, form: ActionForm, *, status: int = 200) -> HttpResponse:
    mark, changes = progress.changes_since(batch)
    decides = name in ("approve", "second")
    verbs = Counter(changes.values_list("verb", flat=True)) if decides else Counter()
    context = {
        "batch": batch,
        "look": look_of(batch),
        "name": name,
        "step": STEPS[name],
        "form": form,
        "counts": progress.counts_of(batch),
        "protections": [one for one in progress.protections_of(batch) if one.held] if decides else [],
        "ages": progress.ages_of(batch) if decides else [],
        "mark": mark,
        "mark_word": progress.verb_text(mark.verb) if mark else "",
        "changed": [(progress.verb_text(verb), number) for verb, number in verbs.most_common()],
        "changes": [
            (one, progress.verb_text(one.verb), progress.reason_text(one.note))
            for one in (changes[:LISTED_CHANGES] if decides else [])
        ],
    }
    template = "billing_cutoffs/batch_approve.html" if decides else "billing_cutoffs/batch_step.html"
    return render(request, template, context, status=status)


@require_POST
@login_required
def batch_check(request: HttpRequest, reference: str) -> HttpResponse:
    """Run the protections again."""
    actor = reader(request)
    selectors.batch_by_reference(actor=actor, reference=reference)
    batches.batch_check(actor=actor, reference=reference)
    messages.success(request, _("The protections have run again."))
    return redirect("billing_cutoffs:batch", reference)


# --- one order of the batch ---------------------------------------------------------------------------


@dataclass(frozen=True)
class OrderStep:
    title: str | Promise
    action: str  # of the policies
    run: Callable[[CutoffOrder, Actor, dict[str, Any]], object]
    says: str | Promise


ORDER_STEPS: Final[dict[str, OrderStep]] = {
    "hold": OrderStep(
        gettext_lazy("Hold this order"), "stop",
        lambda order, actor, said: guards.order_hold(order_id=order.pk, actor=actor, reason=said["reason"]),
        gettext_lazy("It is not carried out until another person ends the hold."),
    ),
    "release": OrderStep(
        gettext_lazy("End the hold of a person"), "approve",
        lambda order, actor, said: guards.order_release(order_id=order.pk, actor=actor, reason=said["reason"]),
        gettext_lazy("Only another person than the one who holds it may do this. The protections run again."),
    ),
    "clear": OrderStep(
        gettext_lazy("Answer for what was looked into"), "approve",
        lambda order, actor, said: guards.order_clear(
            order_id=order.pk, code=said["code"], actor=actor, reason=said["reason"]
        ),
        gettext_lazy("Your name and your words stand with the order. Never whoever proposed the batch."),
    ),
    "exclude": OrderStep(
        gettext_lazy("Leave this account out"), "submit",
        lambda order, actor, said: batches.order_exclude(order_id=order.pk, actor=actor, reason=said["reason"]),
        gettext_lazy("While the batch is with its author the account can be added again."),
    ),
}  # fmt: skip


@require_http_methods(["GET", "POST"])
@login_required
@never_cache
def batch_order_step(request: HttpRequest, reference: str, order: str, step: str) -> HttpResponse:
    """Hold one order, end a hold, answer for what was looked into, or leave the account out: always with a reason."""
    actor = reader(request)
    batch = selectors.batch_by_reference(actor=actor, reference=reference)
    orders = batch.orders.select_related("service_point", "case__account__customer", "held_by", "branch")
    found = orders.filter(reference=order).first()
    kind = ORDER_STEPS.get(step)
    if kind is None or found is None:
        raise NotFound()
    policies.require(actor=actor, action=kind.action, branch=found.branch)
    form = _order_form(step, found, request.POST if request.method == "POST" else None)
    if request.method == "GET" or not form.is_valid():
        return _show_order(request, batch, found, kind, form, status=200 if request.method == "GET" else 422)
    try:
        kind.run(found, actor, form.cleaned_data)
    except DomainError as refusal:
        form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
        return _show_order(request, batch, found, kind, form, status=refusal.status)
    messages.success(request, _("Done: %(step)s (%(order)s).") % {"step": kind.title, "order": found.reference})
    return redirect("billing_cutoffs:batch", reference)


def _order_form(step: str, order: CutoffOrder, data: Any) -> ActionForm:
    initial = {"version": order.version}
    if step != "clear":
        return ReasonForm(data, initial=initial)
    codes = [(hold["code"], str(GUARDS[hold["code"]].label)) for hold in order.holds if hold["needs"] == "person"]
    return ClearForm(data, initial=initial, codes=codes)


def _show_order(
    request: HttpRequest, batch: CutoffBatch, order: CutoffOrder, kind: OrderStep, form: ActionForm, *, status: int
) -> HttpResponse:
    (line,) = progress.lines_of(batch, [order])
    context = {"batch": batch, "line": line, "step": kind, "form": form}
    return render(request, "billing_cutoffs/batch_step_order.html", context, status=status)
