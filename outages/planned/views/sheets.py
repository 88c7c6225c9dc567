"""A branch's spreadsheet: uploaded, its columns named, its rows corrected, imported, and handed back."""

from __future__ import annotations

import uuid
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import content_disposition_header
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.actor import Actor
from accounts.pages import page_or_fragment
from accounts.policies import require
from accounts.requests import actor_of
from outages.planned import policies, selectors, tasks
from outages.planned.forms.sheets import SheetUploadForm
from outages.planned.intake import columns, workbooks
from outages.planned.intake.files import FileRefused, refusal
from outages.planned.intake.problems import Problem
from outages.planned.intake.rows import texts_of
from outages.planned.models import PlanSheet, SheetRow, SheetState
from outages.planned.services import sheets
from standards.errors import DomainError, Forbidden, NotFound

ROWS_A_PAGE: Final = 50
_XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
SHOWN: Final = ("all", "wrong", "warnings", "ready", "imported", "removed")


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
        request, "planned/sheet.html", "planned/partials/_sheet.html", _context(request.GET, actor, found)
    )


def _context(asked: QueryDict, actor: Actor, found: PlanSheet) -> dict[str, Any]:
    shown = asked.get("show", "")
    is_open = found.state in (SheetState.CHECKED, SheetState.IMPORTED, SheetState.IMPORTING)
    default = "wrong" if found.counts.get("wrong") else "all"
    shown = shown if shown in SHOWN else default
    context: dict[str, Any] = {
        "sheet": found,
        "is_running": found.state in sheets.RUNNING,
        "may_edit": policies.may(actor=actor, action="edit", branch=found.branch),
        "failure": _failure(found),
        "show": shown,
        "tabs": [(name, label, found.counts.get(name, 0)) for name, label in _tabs()] if is_open else [],
        "ignored": [h.replace("\n", " ") for n, h in enumerate(found.headers) if str(n) not in found.mapping and h],
    }
    if found.state in (SheetState.NEEDS_MAPPING, SheetState.CHECKED):
        context |= {"columns": _columns(found), "fields": [(f.name, f.label) for f in columns.FIELDS]}
    if is_open:
        page = Paginator(_rows(found, shown), ROWS_A_PAGE).get_page(asked.get("page"))
        context |= {
            "page_obj": page,
            "rows": [_line(found, record) for record in page],
            "fields_shown": _fields_shown(found),
            "remedies": _remedies(found),
        }
    return context


def _tabs() -> list[tuple[str, str]]:
    return [
        ("all", _("All")), ("ready", _("Can be imported")), ("wrong", _("To correct")), ("warnings", _("Warnings")),
        ("imported", _("Imported")), ("removed", _("No longer in the file")),
    ]  # fmt: skip


def _failure(found: PlanSheet) -> str:
    if not found.error:
        return ""
    words: str = found.error.get("words", "")
    return words or refusal(found.error["code"], found.error.get("params", {}))


def _rows(found: PlanSheet, shown: str) -> QuerySet[SheetRow]:
    rows = found.rows.select_related("work").order_by("number")
    if shown == "removed":
        return rows.filter(change=SheetRow.Change.REMOVED)
    rows = rows.filter(number__gt=0)
    match shown:
        case "wrong":
            return rows.filter(is_wrong=True)
        case "warnings":
            return rows.filter(is_wrong=False).exclude(problems=[])
        case "ready":
            return rows.filter(is_wrong=False, is_imported=False).exclude(change=SheetRow.Change.UNCHANGED)
        case "imported":
            return rows.filter(is_imported=True)
    return rows


@dataclass(frozen=True)
class Cell:
    field: str
    label: str
    text: str
    is_edited: bool
    problems: tuple[Problem, ...]

    @property
    def is_wrong(self) -> bool:
        return any(problem.is_wrong for problem in self.problems)


@dataclass(frozen=True)
class Line:
    record: SheetRow
    cells: tuple[Cell, ...]
    problems: tuple[Problem, ...]  # of the row as a whole

    @property
    def change(self) -> str:
        return str(SheetRow.Change(self.record.change).label) if self.record.change else ""


def _fields_shown(found: PlanSheet) -> list[tuple[str, str]]:
    """The file's own columns that mean something, in its own order and under its own headings."""
    shown: dict[str, str] = {}
    for column, name in sorted(found.mapping.items(), key=lambda item: int(item[0])):
        heading = found.headers[int(column)] if int(column) < len(found.headers) else name
        shown.setdefault(name, heading.replace("\n", " "))
    return list(shown.items())


def _line(found: PlanSheet, record: SheetRow) -> Line:
    texts = texts_of(record.cells, record.edits, {int(column): name for column, name in found.mapping.items()})
    problems = [Problem.of(kept) for kept in record.problems]
    cells = tuple(
        Cell(
            name, heading, texts.get(name, ""), name in record.edits,
            tuple(problem for problem in problems if problem.field == name),
        )
        for name, heading in _fields_shown(found)
    )  # fmt: skip
    shown = {name for name, _heading in _fields_shown(found)}
    return Line(record, cells, tuple(problem for problem in problems if problem.field not in shown))


@dataclass(frozen=True)
class Remedy:
    """One kind of correction: how many rows need it, and what could be written in all of them at once."""

    words: str
    rows: int
    is_wrong: bool
    replacements: tuple[tuple[str, str, str, int], ...]  # field, what stands there, what could, in how many rows


def _remedies(found: PlanSheet) -> list[Remedy]:
    rows: Counter[tuple[str, bool]] = Counter()
    better: dict[tuple[str, bool], Counter[tuple[str, str, str]]] = {}
    for kept in (
        found.rows.filter(number__gt=0, is_imported=False).exclude(problems=[]).values_list("problems", flat=True)
    ):
        problems = [Problem.of(one) for one in kept]
        for key in {(problem.remedy, problem.is_wrong) for problem in problems}:
            rows[key] += 1
        for problem in problems:
            if problem.better and problem.field:
                said = (problem.field, str(problem.params.get("text", "")), problem.better[0])
                better.setdefault((problem.remedy, problem.is_wrong), Counter())[said] += 1
    remedies = [
        Remedy(
            words, count, is_wrong,
            tuple((*said, n) for said, n in better.get((words, is_wrong), Counter()).most_common(8)),
        )
        for (words, is_wrong), count in rows.items()
    ]  # fmt: skip
    return sorted(remedies, key=lambda one: (not one.is_wrong, -one.rows, one.words))


def _columns(found: PlanSheet) -> list[dict[str, Any]]:
    """Every column with its heading, some of what stands in it, and what it means so far."""
    sample = list(found.rows.filter(number__gt=0).order_by("number").values_list("cells", flat=True)[:40])
    shown = []
    for number, heading in enumerate(found.headers):
        texts = [cells[number] for cells in sample if number < len(cells) and cells[number]]
        shown.append(
            {
                "number": number,
                "heading": heading.replace("\n", " ") or f"({number + 1})",
                "sample": list(dict.fromkeys(texts))[:3],
                "field": found.mapping.get(str(number), ""),
            }
        )
    return shown


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
    return _after(request, actor, pk)


@require_POST
@login_required
def replace(request: HttpRequest, pk: int) -> HttpResponse:
    """The suggestion is taken in every row that needs it."""
    actor, _found = _own(request, pk)
    count = sheets.rows_replace(
        actor=actor, sheet_id=pk, field=request.POST.get("field", ""), old=request.POST.get("old", ""),
        new=request.POST.get("new", ""),
    )  # fmt: skip
    messages.success(request, ngettext("%(n)d row is corrected.", "%(n)d rows are corrected.", count) % {"n": count})
    return _after(request, actor, pk)


def _after(request: HttpRequest, actor: Actor, pk: int) -> HttpResponse:
    """The page again, as it was narrowed; a fragment for whoever asked for one."""
    query = request.POST.get("query", "")
    if request.headers.get("HX-Request"):
        found = selectors.sheet_by_id(actor=actor, sheet_id=pk)
        return render(request, "planned/partials/_sheet.html", _context(request.POST, actor, found))
    return redirect(f"{reverse('planned:sheet', args=[pk])}{'?' + query if query else ''}")


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
    marks = [
        workbooks.Marked(
            record.number,
            {first[name]: text for name, text in record.edits.items() if name in first},
            tuple(Problem.of(kept) for kept in record.problems),
            record.is_imported,
        )
        for record in found.rows.filter(number__gt=0)
    ]
    only_wrong = request.GET.get("only") == "wrong"
    data = workbooks.returned(table, marks, mapping=named, only_wrong=only_wrong)
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
