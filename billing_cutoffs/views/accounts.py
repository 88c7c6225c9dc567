"""Debtors: the list, the page of one account, its notices and the evidence of every step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Literal

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from accounts.actor import Actor
from accounts.models import AccessVerb
from accounts.pages import csv_response
from accounts.policies import actor_may
from accounts.requests import actor_of
from accounts.scope import visible_to
from accounts.services import access_record
from billing_cutoffs import policies, selectors
from billing_cutoffs.dossier.accounts import account_file
from billing_cutoffs.dossier.debtors import days_overdue, debtors_counted, debtors_listed, searched
from billing_cutoffs.dossier.evidence import Evidence, evidence_of_case, evidence_of_order, rows_of
from billing_cutoffs.dossier.letters import letters_of
from billing_cutoffs.filters.accounts import DebtorFilter
from billing_cutoffs.forms.accounts import ServeForm
from billing_cutoffs.grading import grades_all
from billing_cutoffs.models import BillingAccount, DebtNotice, NoticeStage, OrderState
from billing_cutoffs.progress import reason_text
from billing_cutoffs.services.serving import notice_serve
from grid.models import Branch
from outages.forms import now_to_the_minute
from outages.places import masked
from standards.errors import DomainError, Forbidden, NotFound

PAGE_SIZE: Final = 50
# what was typed waits here for the page that answers it: a name or a number never stands in an address
_TYPED: Final = "cutoffs.typed"


# --- the list -----------------------------------------------------------------------------------------


@require_GET
@login_required
@never_cache
def accounts(request: HttpRequest) -> HttpResponse:
    """Everybody in arrears, the oldest debt first."""
    actor, now = _reader(request), timezone.now()
    if request.GET.get("q", "").strip():
        return _typed(request)
    query = request.session.get(_TYPED, "") if "found" in request.GET else ""
    found = DebtorFilter(request.GET, queryset=searched(selectors.accounts_visible_to(actor), query))
    page = Paginator(debtors_listed(found.qs), PAGE_SIZE).get_page(request.GET.get("page"))
    chosen = {name: request.GET.get(name, "") for name in DebtorFilter.base_filters}
    stages, orders = dict(NoticeStage.choices), dict(OrderState.choices)
    context = {
        "page_obj": page,
        "rows": [
            (
                debtor,
                masked(debtor.customer.name),
                days_overdue(debtor, now),
                stages.get(debtor.last_notice),
                orders.get(debtor.order_state),
            )
            for debtor in page
        ],
        "counts": debtors_counted(selectors.accounts_visible_to(actor)),
        "query": query,
        "chosen": chosen,
        "is_narrowed": bool(query) or any(chosen.values()),
        "branches": visible_to(actor, Branch.objects.all(), "arrears.read"),
        "grades": grades_all(),
        "states": DebtorFilter.base_filters["state"].extra["choices"],
    }
    return render(request, "billing_cutoffs/accounts.html", context)


def _reader(request: HttpRequest) -> Actor:
    actor = actor_of(request)
    if not policies.may_somewhere(actor=actor, action="read_arrears"):
        raise Forbidden()
    return actor


def _typed(request: HttpRequest) -> HttpResponse:
    request.session[_TYPED] = request.GET["q"].strip()[:100]
    asked = request.GET.copy()
    del asked["q"]
    asked["found"] = ""
    return redirect(f"{request.path}?{asked.urlencode()}")


_HEADS: Final = (
    gettext_lazy("account number"), gettext_lazy("customer"), gettext_lazy("class"), gettext_lazy("branch"),
    gettext_lazy("overdue"), gettext_lazy("bills overdue"), gettext_lazy("oldest due date"),
    gettext_lazy("days overdue"), gettext_lazy("grade"), gettext_lazy("latest notice"), gettext_lazy("order"),
)  # fmt: skip


@require_GET
@login_required
@never_cache
def accounts_csv(request: HttpRequest) -> HttpResponseBase:
    """The list as a spreadsheet. Who took it out stands in the access log."""
    actor = _reader(request)
    query = request.session.get(_TYPED, "") if "found" in request.GET else ""
    found = DebtorFilter(request.GET, queryset=searched(selectors.accounts_visible_to(actor), query))
    debtors = debtors_listed(found.qs)
    access_record(
        actor=actor, verb=AccessVerb.EXPORT, object_type="billing_accounts", request=request,
        detail={"rows": debtors.count()},
    )  # fmt: skip
    return csv_response("debtors", _HEADS, _rows(debtors.iterator(chunk_size=2000)))


def _rows(debtors: Iterator[Any]) -> Iterator[list[Any]]:
    now, states = timezone.now(), dict(OrderState.choices)
    for account in debtors:
        customer = account.customer
        yield [
            customer.account_number, masked(customer.name), customer.get_customer_class_display(), account.branch,
            f"{account.overdue:.2f}", account.bills_overdue, account.oldest_due_on, days_overdue(account, now),
            account.grade or "", account.last_notice_at, states.get(account.order_state, ""),
        ]  # fmt: skip


# --- one account --------------------------------------------------------------------------------------


@require_GET
@login_required
@never_cache
def account(request: HttpRequest, number: str) -> HttpResponse:
    """What one account owes, why it is graded so, what was said and done, and what comes next."""
    actor = actor_of(request)
    found = selectors.account_by_number(actor=actor, number=number)
    _opened(request, actor, found)
    file = account_file(found)
    context = {
        "account": found,
        "file": file,
        "orders": [(order, reason_text(order.state_reason)) for order in file.orders],
        "name": masked(found.customer.name),
        "may_serve": policies.may(actor=actor, action="serve", branch=found.branch),
        "may_set_hold": policies.may(actor=actor, action="set_hold", branch=found.branch),
    }
    return render(request, "billing_cutoffs/account.html", context)


def _opened(request: HttpRequest, actor: Actor, found: BillingAccount, verb: str = AccessVerb.SEARCH) -> None:
    """Keep that somebody's debts were looked at (reliability.md 6.4)."""
    access_record(
        actor=actor, verb=verb, object_type="billing_account", object_ref=found.customer.account_number,
        branch_pos=found.branch.pos, request=request,
    )  # fmt: skip


@require_http_methods(["GET", "POST"])
@login_required
@never_cache
def notice_served(request: HttpRequest, number: str, pk: int) -> HttpResponse:
    """A notice was handed over, posted, or left at the door before witnesses."""
    actor = actor_of(request)
    found = selectors.account_by_number(actor=actor, number=number)
    policies.require(actor=actor, action="serve", branch=found.branch)
    notice = DebtNotice.objects.select_related("letter").filter(pk=pk, case__account=found).first()
    if notice is None:
        raise NotFound()
    form = ServeForm(request.POST or None, initial={"served_at": now_to_the_minute()})
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            try:
                notice_serve(notice_id=pk, actor=actor, **form.cleaned_data)
            except DomainError as refusal:
                form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
                status = refusal.status
            else:
                messages.success(request, _("It is kept that this notice has arrived."))
                return redirect("billing_cutoffs:account", number)
    context = {"account": found, "name": masked(found.customer.name), "notice": notice, "form": form}
    return render(request, "billing_cutoffs/notice_serve.html", context, status=status)


# --- evidence -----------------------------------------------------------------------------------------


@require_GET
@login_required
@never_cache
def evidence(request: HttpRequest, number: str) -> HttpResponseBase:
    """Every step of the account's latest case with its proof, to print or (``?format=csv``) to take along."""
    actor = actor_of(request)
    found = selectors.account_by_number(actor=actor, number=number)
    case = found.cases.select_related("branch", "account__customer", "account__service_point").first()
    if case is None:
        raise NotFound()
    return _evidence(request, actor, found, evidence_of_case(case))


@require_GET
@login_required
@never_cache
def order_evidence(request: HttpRequest, reference: str) -> HttpResponseBase:
    """The same for one order."""
    actor = actor_of(request)
    order = selectors.order_by_reference(actor=actor, reference=reference)
    # whose debt it is, whoever has moved into the premises since
    found = selectors.account_by_number(actor=actor, number=order.case.account.customer.account_number)
    return _evidence(request, actor, found, evidence_of_order(order))


_EVIDENCE_HEADS: Final = (
    gettext_lazy("time"), gettext_lazy("step"), gettext_lazy("details"), gettext_lazy("words"),
    gettext_lazy("proof"), gettext_lazy("by"), gettext_lazy("rule"), gettext_lazy("source"),
)  # fmt: skip


def _evidence(request: HttpRequest, actor: Actor, found: BillingAccount, sheet: Evidence) -> HttpResponseBase:
    """The name stands in clear for whoever may reveal it; either way it is logged."""
    in_clear = actor_may(actor, "customer.reveal", found.branch.pos)
    _opened(request, actor, found, AccessVerb.REVEAL if in_clear else AccessVerb.EXPORT)
    name = f"evidence-{sheet.order.reference if sheet.order else sheet.case.pk}"
    if request.GET.get("format") == "csv":
        return csv_response(name, _EVIDENCE_HEADS, rows_of(sheet))
    customer = found.customer
    context = {
        "account": found,
        "sheet": sheet,
        "ended": reason_text(sheet.order.state_reason) if sheet.order else "",
        "name": customer.name if in_clear else masked(customer.name),
        "printed_at": timezone.now(),
    }
    return render(request, "billing_cutoffs/evidence.html", context)


@require_GET
@login_required
@never_cache
def letters(request: HttpRequest, reference: str) -> HttpResponse:
    """The letters of a batch on paper: to serve by hand, or (``?only=authority``) the copies for the authority."""
    actor = actor_of(request)
    batch = selectors.batch_by_reference(actor=actor, reference=reference)
    policies.require(actor=actor, action="read_arrears", branch=batch.branch)
    only: Literal["by_hand", "authority"] = "authority" if request.GET.get("only") == "authority" else "by_hand"
    in_clear = actor_may(actor, "customer.reveal", batch.branch.pos)
    shown = letters_of(batch, only=only)
    access_record(
        actor=actor, verb=AccessVerb.REVEAL if in_clear else AccessVerb.EXPORT, object_type="cutoff_letters",
        object_ref=batch.reference, branch_pos=batch.branch.pos, request=request, detail={"letters": len(shown)},
    )  # fmt: skip
    context = {
        "batch": batch,
        "only": only,
        "letters": [
            (n, n.case.account.customer.name if in_clear else masked(n.case.account.customer.name)) for n in shown
        ],
    }
    return render(request, "billing_cutoffs/letters.html", context)
