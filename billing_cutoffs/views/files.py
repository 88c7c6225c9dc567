"""Files from billing: handed in, checked, confirmed, and handed back with what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import pgettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.actor import Actor
from accounts.pages import csv_response, page_or_fragment
from accounts.requests import actor_of
from billing_cutoffs import policies, selectors, tasks
from billing_cutoffs.forms.files import FileUploadForm
from billing_cutoffs.intake.columns import COLUMNS
from billing_cutoffs.models import BillingFile, FeedKind
from billing_cutoffs.services import files as services
from grid.spreadsheets.words import in_my_language
from standards.errors import DomainError, Forbidden, NotFound

A_PAGE = 25
# in the order in which they are told
OUTCOMES = {
    "applied": pgettext_lazy("row", "new"),
    "unchanged": pgettext_lazy("row", "unchanged"),
    "already_known": pgettext_lazy("row", "known already"),
    "stale_statement": pgettext_lazy("row", "older than what is known"),
    "stale_status": pgettext_lazy("row", "further already"),
    "stale_forecast": pgettext_lazy("row", "older than what is known"),
}


@require_http_methods(["GET", "POST"])
@login_required
@never_cache
def files(request: HttpRequest) -> HttpResponse:
    """Earlier files, and the form for a new one."""
    actor = actor_of(request)
    if not policies.may_somewhere(actor=actor, action="read_arrears"):
        raise Forbidden()
    may_add = policies.may_somewhere(actor=actor, action="feed_arrears")
    if request.method == "POST":
        if not may_add:
            raise Forbidden()
        return _upload(request, actor)
    kind = request.GET.get("kind")
    form = FileUploadForm(actor=actor, initial={"kind": kind}) if may_add else None
    return _show(request, actor, form)


def _show(request: HttpRequest, actor: Actor, form: FileUploadForm | None, *, status: int = 200) -> HttpResponse:
    page = Paginator(selectors.files_visible_to(actor), A_PAGE).get_page(request.GET.get("page"))
    context = {"page_obj": page, "form": form, "kinds": FeedKind.choices}
    return render(request, "billing_cutoffs/files.html", context, status=status)


def _upload(request: HttpRequest, actor: Actor) -> HttpResponse:
    form = FileUploadForm(request.POST, request.FILES, actor=actor)
    if not form.is_valid():
        return _show(request, actor, form, status=422)
    facts = form.cleaned_data
    try:
        made = services.file_upload(
            actor=actor, branch=facts["branch"], kind=facts["kind"], name=facts["file"].name,
            chunks=facts["file"].chunks(),
        )  # fmt: skip
    except DomainError as refused:
        form.add_error(refused.field if refused.field in form.fields else None, str(refused))
        return _show(request, actor, form, status=422)
    tasks.file_check.delay_on_commit(made.pk)
    return redirect("billing_cutoffs:file", made.pk)


@require_GET
@login_required
@never_cache
def file(request: HttpRequest, pk: int) -> HttpResponse:
    """Where a file stands: progress, what would happen, what is wrong, or what became of it."""
    actor, found = _found(request, pk)
    outcomes = services.answers_of(found).outcomes
    context = {
        "file": found,
        "is_running": found.state in services.RUNNING,
        "outcomes": [(label, outcomes[name]) for name, label in OUTCOMES.items() if name in outcomes],
        "problems": _problems(found),
        "more": found.bad - len(found.problems),
        "earlier": services.same_file_before(found),
        "may_act": policies.may(actor=actor, action=services.ACTIONS[found.kind], branch=found.branch),
    }
    return page_or_fragment(request, "billing_cutoffs/file.html", "billing_cutoffs/partials/_file.html", context)


def _found(request: HttpRequest, pk: int) -> tuple[Actor, BillingFile]:
    actor = actor_of(request)
    return actor, get_object_or_404(selectors.files_visible_to(actor), pk=pk)


def _problems(found: BillingFile) -> list[tuple[int, str, str]]:
    """(row, heading, what is wrong)"""
    labels = {column.name: str(column.label) for column in COLUMNS[found.kind]}
    return [
        (one["row"], labels.get(one["field"], one["field"]), in_my_language(one["detail"])) for one in found.problems
    ]


@require_POST
@login_required
def confirm(request: HttpRequest, pk: int) -> HttpResponse:
    """Take in what is right."""
    actor, found = _found(request, pk)
    try:
        services.file_confirm(actor=actor, file_id=found.pk)
    except services.NothingRight as refused:
        messages.error(request, str(refused))
        return redirect("billing_cutoffs:file", pk)
    tasks.file_apply.delay_on_commit(found.pk)
    return redirect("billing_cutoffs:file", pk)


@require_POST
@login_required
def discard(request: HttpRequest, pk: int) -> HttpResponse:
    """This file is not wanted any more."""
    actor, found = _found(request, pk)
    services.file_discard(actor=actor, file_id=found.pk)
    messages.success(request, _("The file is thrown away; nothing of it was taken in."))
    return redirect("billing_cutoffs:files")


@require_GET
@login_required
@never_cache
def returned(request: HttpRequest, pk: int) -> HttpResponseBase:
    """The file as it came, with a column that says what is wrong; only the wrong rows, if asked."""
    _actor, found = _found(request, pk)
    table = services.table_kept(found)
    wrong: dict[int, list[str]] = {}
    for problem in services.answers_of(found).problems:
        wrong.setdefault(problem["row"], []).append(in_my_language(problem["detail"]))
    only_wrong = request.GET.get("only") == "wrong"
    width = len(table.headings)

    def rows() -> Iterator[list[Any]]:
        for line in table.lines:
            if line.number in wrong or not only_wrong:
                cells = [*line.cells[:width], *[""] * (width - len(line.cells))]
                yield [*cells, "; ".join(wrong.get(line.number, []))]

    return csv_response(f"{found.kind}-{found.pk}", [*table.headings, _("problem")], rows())


@require_GET
@login_required
def template(request: HttpRequest, kind: str) -> HttpResponseBase:
    """An empty table of our own with one example."""
    if not policies.may_somewhere(actor=actor_of(request), action="feed_arrears"):
        raise Forbidden()
    if kind not in COLUMNS:
        raise NotFound()
    columns = COLUMNS[kind]
    return csv_response(kind, [column.label for column in columns], [[column.example for column in columns]])
