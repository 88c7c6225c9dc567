"""What the page of a file shows: its figures, its rows with a form where something is wrong, and the remedies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import QueryDict
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from accounts.actor import Actor
from grid.spreadsheets.files import refusal
from grid.spreadsheets.words import in_my_language
from outages.planned import policies
from outages.planned.intake import columns
from outages.planned.intake.problems import Problem
from outages.planned.intake.rows import texts_of
from outages.planned.models import PlanSheet, SheetRow, SheetState
from outages.planned.services import sheets

ROWS_A_PAGE: Final = 50
SHOWN: Final = ("all", "wrong", "warnings", "ready", "imported", "removed")


def context_of(asked: QueryDict, actor: Actor, found: PlanSheet) -> dict[str, Any]:
    """Progress, columns to name, or rows to correct: what the state of the file asks for."""
    shown = asked.get("show", "")
    is_open = found.state in (SheetState.CHECKED, SheetState.IMPORTED, SheetState.IMPORTING)
    default = "wrong" if found.counts.get("wrong") else "all"
    shown = shown if shown in SHOWN else default
    may_edit = policies.may(actor=actor, action="edit", branch=found.branch)
    context: dict[str, Any] = {
        "sheet": found,
        "is_running": found.state in sheets.RUNNING,
        "may_edit": may_edit,
        "failure": _failure(found),
        "focus_row": None,
        "focus_field": "",
        "show": shown,
        "tabs": [(name, label, found.counts.get(name, 0)) for name, label in _tabs()] if is_open else [],
        "ignored": [h.replace("\n", " ") for n, h in enumerate(found.headers) if str(n) not in found.mapping and h],
    }
    if found.state in (SheetState.NEEDS_MAPPING, SheetState.CHECKED):
        context |= {"columns": _columns(found), "fields": [(f.name, f.label) for f in columns.FIELDS]}
    if is_open:
        page = Paginator(_rows(found, shown), ROWS_A_PAGE).get_page(asked.get("page"))
        is_correcting = may_edit and found.state == SheetState.CHECKED
        context |= {
            "page_obj": page,
            "rows": _lines(found, page, opened=asked.get("row", "") if is_correcting else ""),
            "fields_shown": _fields_shown(found),
            "remedies": _remedies(found),
            "is_correcting": is_correcting,
            "query": _query(shown, page.number),
        }
    return context


def _query(shown: str, page: int) -> str:
    return urlencode([("show", shown), ("page", page)])


def _tabs() -> list[tuple[str, str]]:
    return [
        ("all", _("All")), ("ready", _("Can be imported")), ("wrong", _("To correct")), ("warnings", _("Warnings")),
        ("imported", _("Imported")), ("removed", _("No longer in the file")),
    ]  # fmt: skip


def _failure(found: PlanSheet) -> str:
    if not found.error:
        return ""
    return in_my_language(found.error.get("words", {})) or refusal(found.error["code"], found.error.get("params", {}))


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
class Better:
    """Something that could stand in a cell instead of what is not known."""

    old: str
    new: str


@dataclass(frozen=True)
class Cell:
    """One field of a row as it can be typed over."""

    field: str
    label: str
    text: str
    is_edited: bool
    problems: tuple[Problem, ...]
    is_opened: bool = False  # with its row, though nothing is wrong with it

    @property
    def is_open(self) -> bool:
        return self.is_opened or bool(self.problems)

    @property
    def is_wrong(self) -> bool:
        return any(problem.is_wrong for problem in self.problems)

    @property
    def better(self) -> list[Better]:
        return [Better(str(problem.params.get("text", "")), new) for problem in self.problems for new in problem.better]


@dataclass(frozen=True)
class Line:
    """One row of the file as the page shows it."""

    record: SheetRow
    cells: tuple[Cell, ...]
    problems: tuple[Problem, ...]  # of the row as a whole
    more: tuple[Cell, ...] = ()  # what somebody said though the file has no column for it
    opened: tuple[Cell, ...] = ()  # everything else that can be typed over or added, once the row is opened

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


def _lines(found: PlanSheet, records: Iterable[SheetRow], *, opened: str) -> list[Line]:
    mapping = {int(column): name for column, name in found.mapping.items()}
    shown = _fields_shown(found)
    named = {name for name, _heading in shown}
    more = [(name, str(columns.BY_NAME[name].label)) for name in columns.ADDABLE if name not in named]
    return [_line(record, mapping, shown, more, is_opened=opened == str(record.number)) for record in records]


def _line(
    record: SheetRow, mapping: Mapping[int, str], shown: Sequence[tuple[str, str]], more: Sequence[tuple[str, str]], *,
    is_opened: bool,
) -> Line:  # fmt: skip
    texts = texts_of(record.cells, record.edits, mapping)
    problems = [Problem.of(kept) for kept in record.problems]

    def cell(name: str, heading: str, *, is_opened: bool = False) -> Cell:
        own = tuple(problem for problem in problems if problem.field == name)
        return Cell(name, heading, texts.get(name, ""), name in record.edits, own, is_opened)

    of_file = tuple(cell(name, heading) for name, heading in shown)
    added = tuple(cell(name, heading) for name, heading in more if name in record.edits)
    seen = {one.field for one in (*of_file, *added)}
    opened = [one for one in of_file if not one.problems] if is_opened and record.number > 0 else []
    return Line(
        record,
        of_file,
        tuple(problem for problem in problems if problem.field not in seen),
        added,
        tuple(cell(one.field, one.label, is_opened=True) for one in opened)
        + tuple(cell(name, heading, is_opened=True) for name, heading in more if opened and name not in seen),
    )


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


def next_cell(context: Mapping[str, Any], number: int) -> dict[str, Any]:
    """The first wrong cell from the row that was corrected on, or of all."""
    wrong = [
        (line.record.number, cell.field) for line in context.get("rows", ()) for cell in line.cells if cell.is_wrong
    ]
    after = [one for one in wrong if one[0] >= number] or wrong
    return {"focus_row": after[0][0], "focus_field": after[0][1]} if after else {}
