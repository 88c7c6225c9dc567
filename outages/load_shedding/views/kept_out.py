"""What is never shed by hand: under-frequency feeders and sites that must be supplied."""

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
from accounts.policies import require
from outages.load_shedding import policies, selectors
from outages.load_shedding.forms.plans import KeptOutForm
from outages.load_shedding.services import drafts
from outages.load_shedding.views.plans import reader
from standards.errors import NotFound


@require_http_methods(["GET", "POST"])
@login_required
@never_cache
def index(request: HttpRequest) -> HttpResponse:
    """The list, and the form for one more."""
    actor = reader(request)
    may_edit = policies.may_somewhere(actor=actor, action="edit_plan")
    form = KeptOutForm(request.POST or None, actor=actor) if may_edit else None
    if request.method == "GET":
        return _list(request, actor, form)
    require(actor, "shedding.write")
    assert form is not None
    if not form.is_valid():
        return _list(request, actor, form, status=422)
    facts = form.cleaned_data
    drafts.kept_out_set(actor=actor, element_id=facts["element"].pk, why=facts["why"], note=facts["note"])
    messages.success(request, _("%(element)s is kept out of shedding.") % {"element": facts["element"].code})
    return redirect("load_shedding:kept-out")


def _list(request: HttpRequest, actor: Actor, form: KeptOutForm | None, *, status: int = 200) -> HttpResponse:
    page = Paginator(selectors.kept_out_visible_to(actor), 50).get_page(request.GET.get("page"))
    rows = [(one, policies.may(actor=actor, action="edit_plan", branch=one.element.branch)) for one in page]
    context = {"form": form, "page_obj": page, "rows": rows}
    return render(request, "load_shedding/kept_out.html", context, status=status)


@require_POST
@login_required
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    """The element may be part of a block again."""
    actor = reader(request)
    kept = selectors.kept_out_visible_to(actor).filter(pk=pk).first()
    if kept is None:
        raise NotFound()
    drafts.kept_out_remove(actor=actor, element_id=kept.element_id)
    messages.success(request, _("%(element)s may be shed again.") % {"element": kept.element.code})
    return redirect("load_shedding:kept-out")


@require_GET
@login_required
def export(request: HttpRequest) -> StreamingHttpResponse:
    """The list for a spreadsheet."""
    found = selectors.kept_out_visible_to(reader(request))
    heads = (_("Element"), pgettext("thing", "Name"), _("Branch"), _("Why"), _("Note"))
    rows = (
        (one.element.code, one.element.name, str(one.element.branch), one.get_why_display(), one.note) for one in found
    )
    return csv_response("kept-out", heads, rows)
