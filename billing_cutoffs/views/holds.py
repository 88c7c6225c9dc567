"""The register of what bars cuts: find, add, and end before its time."""

from __future__ import annotations

from datetime import datetime

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import pgettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from accounts.requests import actor_of
from accounts.scope import visible_to
from billing_cutoffs import policies, selectors
from billing_cutoffs.filters.holds import STANDINGS, HoldFilter
from billing_cutoffs.forms.holds import HoldForm, ReleaseForm
from billing_cutoffs.models import AccountHold, HoldKind
from billing_cutoffs.services.holds import hold_release, hold_set
from grid.models import Branch
from standards.errors import DomainError, Forbidden

A_PAGE = 50


@require_GET
@login_required
@never_cache
def holds(request: HttpRequest) -> HttpResponse:
    """Everything that bars a cut, the newest first."""
    actor = actor_of(request)
    if not policies.may_somewhere(actor=actor, action="read_arrears"):
        raise Forbidden()
    found = HoldFilter(request.GET, queryset=selectors.holds_visible_to(actor)).qs
    page = Paginator(found, A_PAGE).get_page(request.GET.get("page"))
    now = timezone.now()
    chosen = {name: request.GET.get(name, "") for name in HoldFilter.base_filters}
    context = {
        "page_obj": page,
        "rows": [(hold, *_state(hold, now)) for hold in page],
        "chosen": chosen,
        "is_narrowed": any(chosen.values()),
        "branches": visible_to(actor, Branch.objects.all(), "arrears.read"),
        "kind_choices": HoldKind.choices,
        "state_choices": STANDINGS,
        "may_set": policies.may_somewhere(actor=actor, action="set_hold"),
    }
    return render(request, "billing_cutoffs/holds.html", context)


def _state(hold: AccountHold, now: datetime) -> tuple[str, str, str]:
    """Tone, shape and word of how it stands."""
    if hold.released_at is not None:
        return "quiet", "cancelled", pgettext("hold", "ended early")
    if hold.until is not None and hold.until <= now:
        return "quiet", "closed", pgettext("hold", "over")
    return "amber", "p3", pgettext("hold", "standing")


@require_http_methods(["GET", "POST"])
@login_required
@never_cache
def hold_new(request: HttpRequest) -> HttpResponse:
    """Bar the cut of one account: an agent during a call, a clerk, the dispatcher who keeps supply up."""
    actor = actor_of(request)
    if not policies.may_somewhere(actor=actor, action="set_hold"):
        raise Forbidden()
    form = HoldForm(request.POST or None, actor=actor, initial={"account": request.GET.get("account", "")})
    sees_register = policies.may_somewhere(actor=actor, action="read_arrears")
    if request.method == "POST" and form.is_valid():
        facts = dict(form.cleaned_data)
        account = facts.pop("account")
        try:
            hold = hold_set(actor=actor, account_id=account.pk, **facts)
        except DomainError as refusal:
            form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
        else:
            messages.success(
                request,
                _("Account %(number)s is not cut: %(kind)s.")
                % {"number": account.customer.account_number, "kind": hold.get_kind_display()},
            )
            return redirect("billing_cutoffs:holds" if sees_register else "billing_cutoffs:hold-new")
    context = {"form": form, "sees_register": sees_register}
    return render(request, "billing_cutoffs/hold_form.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "POST"])
@login_required
@never_cache
def hold(request: HttpRequest, pk: int) -> HttpResponse:
    """One hold with its reason; whoever may, and did not set it, ends it here."""
    actor = actor_of(request)
    found = selectors.hold_by_key(actor=actor, pk=pk)
    now = timezone.now()
    tone, shape, state = _state(found, now)
    may_release = policies.may(actor=actor, action="release_hold", branch=found.account.branch)
    is_own = found.set_by_id is not None and found.set_by_id == actor.user_id
    form = ReleaseForm(request.POST or None)
    if request.method == "POST":
        if not may_release:
            raise Forbidden()
        if form.is_valid():
            hold_release(actor=actor, hold_id=found.pk, **form.cleaned_data)
            messages.success(request, _("The hold has ended: what it barred is looked at anew."))
            return redirect("billing_cutoffs:holds")
    context = {
        "hold": found,
        "tone": tone,
        "shape": shape,
        "state": state,
        "is_own": is_own,
        "form": form if may_release and not is_own and tone == "amber" else None,
        "may_release": may_release,
    }
    return render(request, "billing_cutoffs/hold_release.html", context, status=422 if form.errors else 200)
