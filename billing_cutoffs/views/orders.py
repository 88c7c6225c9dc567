"""One order: its page, and every step a person may take with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from accounts.actor import Actor
from accounts.models import AccessVerb
from accounts.services import access_record
from billing_cutoffs import policies, progress, selectors
from billing_cutoffs.dossier.orders import DOORS, order_file, steps_open
from billing_cutoffs.forms.batches import ReasonForm
from billing_cutoffs.forms.orders import NoteForm, OnSiteForm, ReconnectForm, SafeForm
from billing_cutoffs.models import CutoffOrder, OrderState
from billing_cutoffs.services import field, reconnection
from billing_cutoffs.views.batches import reader
from outages.forms import ActionForm, now_to_the_minute
from outages.lifecycle import IllegalTransition
from outages.places import masked
from standards.errors import Conflict, DomainError, NotFound

# how an order looks: its shape and its tone
_LOOKS: Final = {
    OrderState.HELD: ("p2", "amber"),
    OrderState.FAILED: ("p1", "red"),
    OrderState.DISCONNECTED: ("cutoff", "ink"),
    OrderState.PAID: ("p2", "amber"),
    OrderState.RECONNECT_COMMANDED: ("p3", "blue"),
    OrderState.RECONNECT_FAILED: ("p1", "red"),
    OrderState.RECONNECTED: ("restored", "green"),
    OrderState.CANCELLED: ("cancelled", "quiet"),
}


def look_of(order: CutoffOrder) -> tuple[str, str]:
    return _LOOKS.get(OrderState(order.state), ("cutoff", "quiet"))


@require_GET
@login_required
@never_cache
def order(request: HttpRequest, reference: str) -> HttpResponse:
    """How far it is, why it waits, what was sent and answered, and what may be done now."""
    actor = reader(request)
    found = selectors.order_by_reference(actor=actor, reference=reference)
    customer = found.case.account.customer
    access_record(
        actor=actor, verb=AccessVerb.SEARCH, object_type="cutoff_order", object_ref=found.reference,
        branch_pos=found.branch.pos, request=request,
    )  # fmt: skip
    context = {
        "order": found,
        "file": order_file(found),
        "look": look_of(found),
        "customer": customer,
        "name": masked(customer.name),
        "amount": progress.amount_text(found.amount, found.batch.rule_pack),
        "steps": [(name, STEPS[name]) for name in steps_open(actor=actor, order=found)],
        "now": timezone.now(),
        "may_see_account": policies.may(actor=actor, action="read_arrears", branch=found.branch),
    }
    return render(request, "billing_cutoffs/order.html", context)


# --- steps ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """One step of an order: its words, its form, and what it does."""

    title: str | Promise
    button: str | Promise
    run: Callable[[CutoffOrder, Actor, dict[str, Any]], str]
    form: type[ActionForm] = NoteForm
    says: str | Promise = ""
    is_danger: bool = False


def _off(order: CutoffOrder, actor: Actor, said: dict[str, Any]) -> str:
    after = field.confirm_off(
        order_id=order.pk, actor=actor, at=said["at"], reading=said["reading"], note=said["note"],
        expected_version=said["version"],
    )  # fmt: skip
    if after.reconnect_due_at is not None:
        return _("Noted as off. It was paid in the meantime: it is switched on again at once.")
    return _("Noted as off.")


def _on(order: CutoffOrder, actor: Actor, said: dict[str, Any]) -> str:
    field.confirm_on(
        order_id=order.pk, actor=actor, at=said["at"], reading=said["reading"], note=said["note"],
        expected_version=said["version"],
    )  # fmt: skip
    return _("Noted as on.")


def _not_done(order: CutoffOrder, actor: Actor, said: dict[str, Any]) -> str:
    field.visit_failed(order_id=order.pk, actor=actor, note=said["reason"], expected_version=said["version"])
    return _("Noted. The order stands in the failure queue.")


def _send_out(order: CutoffOrder, actor: Actor, said: dict[str, Any]) -> str:
    field.send_out(order_id=order.pk, actor=actor, note=said["note"], expected_version=said["version"])
    return _("The order is for a person now. Print the slip.")


def _safe(order: CutoffOrder, actor: Actor, said: dict[str, Any]) -> str:
    reconnection.order_is_safe(order_id=order.pk, actor=actor, how=said["how"])
    return _("Noted: the supply may come back.")


def _reconnect(order: CutoffOrder, actor: Actor, said: dict[str, Any]) -> str:
    with transaction.atomic():
        reconnection.reconnect_now(
            order_ids=[order.pk], actor=actor, reason=said["reason"], is_wrongful=said["is_wrongful"]
        )  # fmt: skip
    return _("It is switched on again.")


def _cancel(order: CutoffOrder, actor: Actor, said: dict[str, Any]) -> str:
    field.order_cancel(order_id=order.pk, actor=actor, reason=said["reason"], expected_version=said["version"])
    return _("The order has ended. Nobody is cut.")


STEPS: Final[dict[str, Step]] = {
    "on": Step(gettext_lazy("It is on again"), gettext_lazy("It is on"), _on, OnSiteForm),
    "safe": Step(
        gettext_lazy("The customer says that it is safe"), gettext_lazy("It is safe"), _safe, SafeForm,
        gettext_lazy("Stoves and irons are off, and somebody is at home. Once it is paid the supply comes back."),
    ),
    "reconnect": Step(
        gettext_lazy("Switch on again now"), gettext_lazy("Switch on"), _reconnect, ReconnectForm,
        gettext_lazy("Whether or not it was paid, and without asking the customer first."),
    ),
    "off": Step(gettext_lazy("It is off"), gettext_lazy("It is off"), _off, OnSiteForm),
    "stays-on": Step(
        gettext_lazy("It stays on"), gettext_lazy("It stays on"), _on, OnSiteForm,
        gettext_lazy("It was not switched off, and the order ends."),
    ),
    "not-done": Step(gettext_lazy("It could not be done"), gettext_lazy("Not done"), _not_done, ReasonForm),
    "send-out": Step(
        gettext_lazy("Send somebody there"), gettext_lazy("Send"), _send_out,
        says=gettext_lazy("Only inside the announced window, and only if no protection stands before it."),
    ),
    "cancel": Step(gettext_lazy("End the order"), gettext_lazy("End the order"), _cancel, ReasonForm, is_danger=True),
}  # fmt: skip


@require_http_methods(["GET", "POST"])
@login_required
@never_cache
def order_step(request: HttpRequest, reference: str, step: str) -> HttpResponse:
    """Show what a step will do, or take it."""
    actor = reader(request)
    found = selectors.order_by_reference(actor=actor, reference=reference)
    kind = STEPS.get(step)
    if kind is None:
        raise NotFound()
    policies.require(actor=actor, action=DOORS[step][0], branch=found.branch)
    if request.method == "GET":
        if step not in steps_open(actor=actor, order=found):
            state = found.get_state_display()
            messages.warning(request, _("That is not possible any more: the order is “%(state)s”.") % {"state": state})
            return redirect("billing_cutoffs:order", reference)
        initial = {"version": found.version, "at": now_to_the_minute()}
        return _show(request, found, step, kind.form(initial=initial))
    form = kind.form(request.POST)
    if not form.is_valid():
        return _show(request, found, step, form, status=422)
    try:
        done = kind.run(found, actor, form.cleaned_data)
    except (Conflict, IllegalTransition) as refusal:
        found.refresh_from_db()
        form.add_error(None, str(refusal))
        form.data = request.POST.copy() | {"version": str(found.version)}
        return _show(request, found, step, form, status=refusal.status)
    except DomainError as refusal:
        form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
        return _show(request, found, step, form, status=refusal.status if refusal.status in (403, 409) else 422)
    messages.success(request, done)
    return redirect("billing_cutoffs:order", reference)


def _show(request: HttpRequest, found: CutoffOrder, name: str, form: ActionForm, *, status: int = 200) -> HttpResponse:
    context = {
        "order": found, "look": look_of(found), "name": name, "step": STEPS[name], "form": form,
        "customer": masked(found.case.account.customer.name),
        "amount": progress.amount_text(found.amount, found.batch.rule_pack),
    }  # fmt: skip
    return render(request, "billing_cutoffs/order_step.html", context, status=status)
