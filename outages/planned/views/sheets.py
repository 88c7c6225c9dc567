"""A branch's spreadsheet: uploaded, its columns named, its rows corrected, imported, and handed back."""

from __future__ import annotations

import uuid
from typing import Final

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import content_disposition_header
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.actor import Actor
from accounts.pages import page_or_fragment, wants_fragment
from accounts.policies import require
from accounts.requests import actor_of
from grid.spreadsheets.files import FileRefused
from outages.planned import policies, selectors, tasks
from outages.planned.forms.sheets import SheetUploadForm
from outages.planned.intake import columns, workbooks
from outages.planned.intake.problems import Problem
from outages.planned.models import PlanSheet
from outages.planned.services import sheets
from outages.planned.views.workbench import context_of, next_cell
from standards.errors import DomainError, Forbidden, NotFound

_XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


# --- upload -----------------------------------------------------------------------------------------------


@require_http_methods(["GET", "POST"])
@login_required
@never_cache
def uploads(request: HttpRequest) -> HttpResponse:
    """Earlier files, and the form for a new one."""
    actor = actor_of(request)
    require(actor, "plan.submit")
    if request.method == "POST":
        return _upload(request, actor)
    form = SheetUploadForm(actor=actor, initial={"plan": request.GET.get("plan"), "token": uuid.uuid4().hex})
    return _show_uploads(request, actor, form)


def _show_uploads(request: HttpRequest, actor: Actor, form: SheetUploadForm, *, status: int = 200) -> HttpResponse:
    page = Paginator(selectors.sheets_visible_to(actor), 25).get_page(request.GET.get("page"))
    return render(request, "planned/sheets.html", {"form": form, "page_obj": page}, status=status)


def _upload(request: HttpRequest, actor: Actor) -> HttpResponse:
    form = SheetUploadForm(request.POST, request.FILES, actor=actor)
    if not form.is_valid():
        return _show_uploads(request, actor, form, status=422)
    facts = form.cleaned_data
    try:
        sheet = sheets.sheet_upload(
            actor=actor, branch=facts["plan"].branch if facts["plan"] else facts["branch"], period=facts["plan"],
            chunks=facts["file"].chunks(), file_name=facts["file"].name, token=facts["token"],
            work_class=facts["work_class"],
        )  # fmt: skip
    except DomainError as refused:
        form.add_error(refused.field if refused.field in form.fields else None, str(refused))
        return _show_uploads(request, actor, form, status=422)
    tasks.sheet_read.delay_on_commit(sheet.pk)
    return redirect("planned:sheet", sheet.pk)


@require_GET
@login_required
def template(request: HttpRequest) -> HttpResponse:
    """Our own empty sheet, with the feeders of the person's branches to choose from."""
    actor = actor_of(request)
    require(actor, "plan.submit")
    data = workbooks.template(feeders=selectors.feeders_to_plan(actor))
    return _file(data, f"{_('plan-template')}.xlsx")


# --- one file -----------------------------------------------------------------------------------------------


@require_GET
@login_required
@never_cache
def sheet(request: HttpRequest, pk: int) -> HttpResponse:
    """Where a file stands: progress, columns to name, rows to correct, or what became of it."""
    actor = actor_of(request)
    found = selectors.sheet_by_id(actor=actor, sheet_id=pk)
    return page_or_fragment(
        request, "planned/sheet.html", "planned/partials/_sheet.html", context_of(request.GET, actor, found)
    )


# --- what is done with it -----------------------------------------------------------------------------------


def _own(request: HttpRequest, pk: int) -> tuple[Actor, PlanSheet]:
    actor = actor_of(request)
    found = selectors.sheet_by_id(actor=actor, sheet_id=pk)
    if not policies.may(actor=actor, action="edit", branch=found.branch):
        raise Forbidden()
    return actor, found


@require_POST
@login_required
def mapping(request: HttpRequest, pk: int) -> HttpResponse:
    """The columns have been named, or another sheet was chosen."""
    actor, found = _own(request, pk)
    try:
        if request.POST.get("sheet_name"):
            sheets.sheet_choose(actor=actor, sheet_id=pk, sheet_name=request.POST["sheet_name"])
        else:
            chosen = {n: request.POST.get(f"column_{n}", "") for n in range(len(found.headers))}
            sheets.sheet_map(actor=actor, sheet_id=pk, mapping={n: name for n, name in chosen.items() if name})
    except DomainError as refused:
        messages.error(request, str(refused))
        return redirect("planned:sheet", pk)
    tasks.sheet_read.delay_on_commit(pk)
    return redirect("planned:sheet", pk)


@require_POST
@login_required
def row(request: HttpRequest, pk: int, number: int) -> HttpResponse:
    """One cell has been typed over."""
    actor, _found = _own(request, pk)
    sheets.row_edit(
        actor=actor, sheet_id=pk, number=number, field=request.POST.get("field", ""), text=request.POST.get("text", "")
    )
    return _after(request, actor, pk, number=number)


@require_POST
@login_required
def replace(request: HttpRequest, pk: int) -> HttpResponse:
    """The suggestion is taken in one row, or in every row that needs it."""
    actor, _found = _own(request, pk)
    number = _row_number(request.POST.get("number", ""))
    count = sheets.rows_replace(
        actor=actor, sheet_id=pk, field=request.POST.get("field", ""), old=request.POST.get("old", ""),
        new=request.POST.get("new", ""), number=number,
    )  # fmt: skip
    if number is None:
        words = ngettext("%(n)d row is corrected.", "%(n)d rows are corrected.", count)
        messages.success(request, words % {"n": count})
    return _after(request, actor, pk, number=number or 0)


def _row_number(text: str) -> int | None:
    """Nothing said is every row; what is no number is no row."""
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise NotFound(field="row")
    return int(text)


def _after(request: HttpRequest, actor: Actor, pk: int, *, number: int) -> HttpResponse:
    """The page again, as it was narrowed; a fragment for whoever asked for one, with the next cell under the cursor."""
    query = QueryDict(request.POST.get("query", ""))
    if wants_fragment(request):
        found = selectors.sheet_by_id(actor=actor, sheet_id=pk)
        context = context_of(query, actor, found)
        request.GET = query  # the links to other pages keep how it was narrowed
        return render(request, "planned/partials/_sheet.html", context | next_cell(context, number))
    return redirect(f"{reverse('planned:sheet', args=[pk])}?{query.urlencode()}#row-{number}")


@require_POST
@login_required
def import_rows(request: HttpRequest, pk: int) -> HttpResponse:
    """Import what is right; what is wrong waits."""
    actor, _found = _own(request, pk)
    try:
        sheets.sheet_import_start(actor=actor, sheet_id=pk, remove=request.POST.get("remove") == "yes")
    except DomainError as refused:
        messages.error(request, str(refused))
        return redirect("planned:sheet", pk)
    tasks.sheet_import.delay_on_commit(pk)
    return redirect("planned:sheet", pk)


@require_POST
@login_required
def discard(request: HttpRequest, pk: int) -> HttpResponse:
    """This file is not wanted any more."""
    actor, _found = _own(request, pk)
    sheets.sheet_discard(actor=actor, sheet_id=pk)
    messages.success(request, _("The file is thrown away; nothing in the plan has changed."))
    return redirect("planned:sheets")


@require_GET
@login_required
def workbook(request: HttpRequest, pk: int) -> HttpResponse:
    """The branch's own workbook with a column that says what is wrong."""
    _actor, found = _own(request, pk)
    try:
        table = sheets.table_of(found)
    except (FileRefused, FileNotFoundError) as gone:
        raise NotFound() from gone
    named = {int(column): name for column, name in found.mapping.items()}
    first = {name: column for column, name in sorted(named.items(), reverse=True)}
    records = list(found.rows.filter(number__gt=0))
    more = [name for name in columns.ADDABLE if name not in first and any(name in one.edits for one in records)]
    first |= {name: workbooks.width_of(table) + n for n, name in enumerate(more)}
    marks = [
        workbooks.Marked(
            record.number,
            {first[name]: text for name, text in record.edits.items() if name in first},
            tuple(Problem.of(kept) for kept in record.problems),
            record.is_imported,
        )
        for record in records
    ]
    only_wrong = request.GET.get("only") == "wrong"
    data = workbooks.returned(table, marks, mapping=named, more=more, only_wrong=only_wrong)
    stem = found.file_name.rsplit(".", 1)[0]
    return _file(data, f"{stem}-{_('checked')}.xlsx")


def _file(data: bytes, name: str) -> HttpResponse:
    response = HttpResponse(data, content_type=_XLSX)
    response.headers["Content-Disposition"] = _attachment(name)
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def _attachment(name: str) -> str:
    safe = "".join(letter for letter in name if letter.isprintable() and letter not in '/\\"')
    return content_disposition_header(True, safe) or "attachment"
