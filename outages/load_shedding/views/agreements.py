"""Agreements of customers who take load off on request: the list, a form for one more, the export."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import pgettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.actor import Actor
from accounts.pages import csv_response
from outages.load_shedding import policies, selectors
from outages.load_shedding.forms.agreements import AgreementForm
from outages.load_shedding.forms.plans import refused
from outages.load_shedding.models import Agreement
from outages.load_shedding.services import agreements
from outages.load_shedding.views.events import naming
from outages.load_shedding.views.plans import reader
from standards.errors import DomainError, Forbidden, NotFound


def _desk(request: HttpRequest) -> Actor:
    """Agreements name customers, so only those read them who lead or confirm shedding."""
    actor = reader(request)
    if not policies.may_somewhere(actor=actor, action="read_agreements"):
        raise Forbidden()
    return actor


@require_http_methods(["GET", "POST"])
@login_required
@never_cache
def index(request: HttpRequest) -> HttpResponse:
    """The list, and the form for one more or for new terms."""
    actor = _desk(request)
    may_edit = policies.may_somewhere(actor=actor, action="edit_plan")
    form = AgreementForm(request.POST or None, actor=actor) if may_edit else None
    if request.method == "GET":
        return _list(request, actor, form)
    if form is None:
        raise Forbidden()
    if not form.is_valid():
        return _list(request, actor, form, status=422)
    facts = dict(form.cleaned_data)
    try:
        made = agreements.agreement_set(actor=actor, customer_id=facts.pop("customer").pk, **facts)
    except DomainError as refusal:
        return _list(request, actor, form, status=refused(form, refusal))
    messages.success(request, _("The agreement with %(customer)s counts.") % {"customer": made.customer.account_number})
    return redirect("load_shedding:agreements")


def _list(request: HttpRequest, actor: Actor, form: AgreementForm | None, *, status: int = 200) -> HttpResponse:
    found = selectors.agreements_visible_to(actor)
    page = Paginator(found, 50).get_page(request.GET.get("page"))
    rows = [
        (one, _name(actor, one), policies.may(actor=actor, action="edit_plan", branch=one.branch))
        for one in page
    ]  # fmt: skip
    context = {"form": form, "page_obj": page, "rows": rows, "totals": selectors.agreements_by_kind(found)}
    return render(request, "load_shedding/agreements.html", context, status=status)


def _name(actor: Actor, agreement: Agreement) -> str:
    """The customer as this person may read it."""
    return naming(actor, agreement.branch)(agreement.customer.name)


@require_POST
@login_required
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    """The agreement has ended."""
    actor = _desk(request)
    agreement = selectors.agreements_visible_to(actor).filter(pk=pk).first()
    if agreement is None:
        raise NotFound()
    agreements.agreement_end(actor=actor, agreement_id=agreement.pk)
    messages.success(
        request, _("The agreement with %(customer)s has ended.") % {"customer": agreement.customer.account_number}
    )
    return redirect("load_shedding:agreements")


@require_GET
@login_required
def export(request: HttpRequest) -> StreamingHttpResponse:
    """The list for a spreadsheet."""
    actor = _desk(request)
    found = selectors.agreements_visible_to(actor)
    heads = (
        _("Account number"), _("Customer"), _("Branch"), pgettext("shedding", "Measure"),
        _("Agreed relief (MW)"), _("Notice (minutes)"), _("Valid until"),
    )  # fmt: skip
    rows = (
        (
            one.customer.account_number, _name(actor, one), str(one.branch), one.get_kind_display(), one.mw,
            one.notice_minutes, one.valid_until or "",
        )
        for one in found
    )  # fmt: skip
    return csv_response("agreements", heads, rows)
