"""Who waits for power, what failed, and the slips for those who go there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from accounts.actor import Actor
from accounts.models import AccessVerb
from accounts.pages import csv_response
from accounts.policies import actor_may
from accounts.scope import visible_to
from accounts.services import access_record
from billing_cutoffs import lifecycle, policies, progress, selectors
from billing_cutoffs.dossier import waiting
from billing_cutoffs.filters.orders import OrderFilter
from billing_cutoffs.models import CutoffOrder
from billing_cutoffs.services import reconnection
from billing_cutoffs.services.sending import circuit_is_open
from billing_cutoffs.views.batches import reader
from billing_cutoffs.views.orders import look_of
from grid.models import Branch
from outages.places import masked
from standards.errors import DomainError

ROWS_A_PAGE: Final = 50
SLIPS_A_PAGE: Final = 50
_HEADS: Final = (
    gettext_lazy("Order"), gettext_lazy("Account"), gettext_lazy("Customer"), gettext_lazy("Premises"),
    gettext_lazy("Meter number"), gettext_lazy("Branch"), gettext_lazy("State"), gettext_lazy("Off since"),
    gettext_lazy("Paid at"), gettext_lazy("On again by"), pgettext_lazy("reconnection", "Late"),
    gettext_lazy("Reason"), gettext_lazy("Next step"),
)  # fmt: skip


# --- the two queues ---------------------------------------------------------------------------------


@require_GET
@login_required
@never_cache
def reconnections(request: HttpRequest) -> HttpResponse:
    """Everybody who paid and has no power yet: those that are late first."""
    actor = reader(request)
    return _queue(request, actor, waiting.reconnections(actor), "billing_cutoffs/reconnections.html")


@require_GET
@login_required
@never_cache
def failures(request: HttpRequest) -> HttpResponse:
    """What a person has to decide."""
    actor = reader(request)
    return _queue(request, actor, waiting.failures(actor), "billing_cutoffs/failures.html")


def _queue(request: HttpRequest, actor: Actor, orders: QuerySet[CutoffOrder], template: str) -> HttpResponse:
    now = timezone.now()
    found = OrderFilter(request.GET, queryset=orders).qs
    page = Paginator(found, ROWS_A_PAGE).get_page(request.GET.get("page"))
    context = {
        "page_obj": page,
        "rows": [(row, look_of(row.order)) for row in waiting.waiting_rows(actor=actor, orders=page, now=now)],
        "figures": orders.order_by().aggregate(
            all=Count("pk", distinct=True),
            late=Count("pk", filter=Q(reconnect_due_at__lt=now), distinct=True),
            safe=Count("pk", filter=Q(state=lifecycle.PAID, is_safe_at=None), distinct=True),
        ),
        "chosen": {"branch": request.GET.get("branch", "")},
        "branches": visible_to(actor, Branch.objects.all(), "cutoff.read"),
        "is_paused": circuit_is_open(),
        "now": now,
    }  # fmt: skip
    return render(request, template, context)


@require_GET
@login_required
@never_cache
def reconnections_csv(request: HttpRequest) -> HttpResponseBase:
    actor = reader(request)
    return _csv(request, actor, waiting.reconnections(actor), "reconnections")


@require_GET
@login_required
@never_cache
def failures_csv(request: HttpRequest) -> HttpResponseBase:
    actor = reader(request)
    return _csv(request, actor, waiting.failures(actor), "failed-cut-offs")


def _csv(request: HttpRequest, actor: Actor, orders: QuerySet[CutoffOrder], name: str) -> HttpResponseBase:
    found = OrderFilter(request.GET, queryset=orders).qs
    access_record(
        actor=actor, verb=AccessVerb.EXPORT, object_type="cutoff_orders", request=request,
        detail={"rows": found.count()},
    )  # fmt: skip
    return csv_response(name, _HEADS, _csv_rows(actor, found.iterator(chunk_size=1000)))


def _csv_rows(actor: Actor, orders: Iterable[CutoffOrder]) -> Iterator[list[Any]]:
    now = timezone.now()
    for order in orders:
        (row,) = waiting.waiting_rows(actor=actor, orders=[order], now=now)
        yield [
            order.reference, row.account_number, row.customer, order.service_point, order.service_point.meter_number,
            order.branch, order.get_state_display(), order.off_at, order.paid_at, order.reconnect_due_at,
            _("yes") if row.late else "", row.reason, row.next_step,
        ]  # fmt: skip


@require_POST
@login_required
def order_is_safe(request: HttpRequest, reference: str) -> HttpResponse:
    """The customer was reached and says that it is safe: straight from the list."""
    actor = reader(request)
    found = selectors.order_by_reference(actor=actor, reference=reference)
    policies.require(actor=actor, action="say_safe", branch=found.branch)
    try:
        reconnection.order_is_safe(order_id=found.pk, actor=actor)
    except DomainError as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, _("%(order)s is switched on again.") % {"order": reference})
    return redirect("billing_cutoffs:reconnections")


# --- slips ------------------------------------------------------------------------------------------


@require_GET
@login_required
@never_cache
def slips(request: HttpRequest) -> HttpResponse:
    """One slip for each place somebody has to go to, as many as are ticked; printed, they are the person's order."""
    actor = reader(request)
    orders = OrderFilter(request.GET, queryset=waiting.slips(actor)).qs
    ticked = request.GET.getlist("order")[:SLIPS_A_PAGE]
    is_print = "print" in request.GET
    if is_print:
        orders = orders.filter(reference__in=ticked) if ticked else orders
    page = Paginator(orders, SLIPS_A_PAGE).get_page(request.GET.get("page"))
    shown = list(page)
    in_clear = {order.pk: actor_may(actor, "customer.reveal", order.branch.pos) for order in shown}
    if is_print:
        access_record(
            actor=actor, verb=AccessVerb.REVEAL if any(in_clear.values()) else AccessVerb.EXPORT,
            object_type="cutoff_slips", request=request, detail={"orders": [order.reference for order in shown]},
        )  # fmt: skip
    context = {
        "page_obj": page,
        "rows": [
            {
                "order": order,
                "look": look_of(order),
                "task": _task(order),
                "is_cut": order.state == lifecycle.COMMANDED and order.reconnect_due_at is None,
                "customer": order.case.account.customer.name
                if is_print and in_clear[order.pk]
                else masked(order.case.account.customer.name),
                "amount": progress.amount_text(order.amount, order.batch.rule_pack),
            }
            for order in shown
        ],
        "chosen": {"branch": request.GET.get("branch", "")},
        "branches": visible_to(actor, Branch.objects.all(), "cutoff.read"),
        "printed_at": timezone.now(),
    }  # fmt: skip
    template = "billing_cutoffs/slips_print.html" if is_print else "billing_cutoffs/slips.html"
    return render(request, template, context)


def _task(order: CutoffOrder) -> str:
    """What is to be done there."""
    if order.state in lifecycle.OFF:
        return _("Switch on again")
    if order.reconnect_due_at is not None:
        return _("Paid: do not cut. See that it is on")
    return _("Switch off")
