"""Workbooks that go out: our own template with its lists, and the branch's workbook handed back with what is wrong."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import Any, Final

import xlsxwriter
from django.utils.translation import gettext as _
from xlsxwriter.format import Format
from xlsxwriter.workbook import Workbook
from xlsxwriter.worksheet import Worksheet

from accounts.pages import cell_text
from grid.spreadsheets.books import Line, text_of
from outages.planned.intake import choices
from outages.planned.intake.columns import BY_NAME, PROBLEM
from outages.planned.intake.problems import Problem
from outages.planned.intake.reading import Table

_ROWS: Final = 500  # of the template that have lists and formats
_DAY: Final = "yyyy-mm-dd hh:mm"
_OPTIONS: Final = {
    "in_memory": True,
    # nothing that somebody typed becomes a formula or a link
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
    "remove_timezone": True,
}

TEMPLATE: Final = (
    "key", "feeder", "elements", "starts_at", "ends_at", "title", "work_type", "work_class", "temporary_reason",
    "scope", "reason", "work_order", "contact_name", "contact_phone", "crews", "is_fixed",
    "live_line", "live_line_reason", "transfer", "transfer_reason", "switching_note", "customer_work", "note",
)  # fmt: skip
_WIDE: Final = {"elements": 28, "title": 32, "scope": 28, "starts_at": 18, "ends_at": 18, "feeder": 24}


# --- our own template -----------------------------------------------------------------------------------


def template(*, feeders: Sequence[tuple[str, str]]) -> bytes:
    """An empty sheet in the reader's language, with lists to choose from. ``feeders`` are (code, name)."""
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, _OPTIONS) as book:
        plan = book.add_worksheet(_("Plan")[:31])
        lists = book.add_worksheet("lists")
        _help(book)
        heading = book.add_format({"bold": True, "bg_color": "#E8F1FA", "border": 1, "text_wrap": True})
        moment, text = book.add_format({"num_format": _DAY}), book.add_format({"num_format": "@"})
        plan.freeze_panes(1, 0)
        for column, name in enumerate(TEMPLATE):
            plan.write_string(0, column, str(BY_NAME[name].label), heading)
            form = moment if name in ("starts_at", "ends_at") else text
            plan.set_column(column, column, _WIDE.get(name, 16), form)
            words = _words_of(name, feeders)
            if words:
                _list(plan, lists, column, words)
            elif name in ("starts_at", "ends_at"):
                plan.data_validation(
                    1, column, _ROWS, column,
                    {
                        "validate": "date", "criteria": ">", "value": date(2020, 1, 1), "ignore_blank": True,
                        "error_type": "information", "error_message": _("Write 2026-12-03 08:00."),
                    },
                )  # fmt: skip
        lists.hide()
    return out.getvalue()


def _words_of(name: str, feeders: Sequence[tuple[str, str]]) -> list[str]:
    if name == "feeder":
        return [f"{code} {title}".strip() for code, title in feeders]
    return [label for _value, label in choices.choices_of(name)] if choices.has_choices(name) else []


def _list(plan: Worksheet, lists: Worksheet, column: int, words: Sequence[str]) -> None:
    for row, word in enumerate(words):
        lists.write_string(row, column, cell_text(word))
    letter = xlsxwriter.utility.xl_col_to_name(column)
    plan.data_validation(
        1, column, _ROWS, column,
        {
            "validate": "list", "source": f"=lists!${letter}$1:${letter}${len(words)}",
            # a list helps; whoever knows the place by another name may write that
            "error_type": "warning", "error_message": _("This word is not in the list."),
        },
    )  # fmt: skip


def _help(book: Workbook) -> None:
    sheet = book.add_worksheet(_("Help")[:31])
    wrap = book.add_format({"text_wrap": True, "valign": "top"})
    sheet.set_column(0, 0, 100, wrap)
    for row, line in enumerate(
        (
            _("One row is one switching-off. Rows with the same number are the windows of one work."),
            _("Times are written 2026-12-03 08:00; the branch's own clock counts."),
            _("Name the equipment that is opened; without it the whole feeder is meant. Several are separated by 、"),
            _("Work that is announced later than the notice needs the reason why it cannot wait."),
            _("Upload the same file again after a change: what is new, changed or gone is recognised by the number."),
        )
    ):
        sheet.write_string(row, 0, line)


# --- handed back ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Marked:
    """A row of the branch's file with what somebody typed over it and what is wrong with it."""

    number: int
    edits: Mapping[int, str] = field(default_factory=dict)  # by column
    problems: tuple[Problem, ...] = ()
    is_imported: bool = False


def returned(
    table: Table, marks: Iterable[Marked], *, mapping: Mapping[int, str], more: Sequence[str] = (),
    only_wrong: bool = False,
) -> bytes:  # fmt: skip
    """The branch's own sheet with a column that says what is wrong, and a comment on each cell that is.

    ``more`` are the fields that somebody added to rows; they stand in columns behind the branch's own, from
    ``width_of`` on. Rebuilt from its values: whatever else a file may carry (macros, links, formulas) does not come
    back.
    """
    by_number = {mark.number: mark for mark in marks}
    columns = {name: column for column, name in sorted(mapping.items(), reverse=True)}
    own = width_of(table)
    columns |= {name: own + n for n, name in enumerate(more)}
    width = own + len(more)
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, _OPTIONS) as book:
        sheet = book.add_worksheet(_sheet_name(table.sheet.name))
        looks = _Looks(book)
        first = table.above[0].number if table.above else 1
        for line in table.above:
            _line(sheet, line.number - 1, line, looks, bold=line.number > table.header_row - 3)
        _merged(sheet, table, looks)
        for n, name in enumerate(more):
            sheet.write_string(table.header_row - 1, own + n, str(BY_NAME[name].label), looks.heading)
        sheet.write_string(table.header_row - 1, width, str(PROBLEM), looks.heading)
        sheet.set_column(width, width, 60)
        at = table.header_row
        for line in table.rows:
            mark = by_number.get(line.number, Marked(line.number))
            wrong = [problem for problem in mark.problems if problem.is_wrong]
            if only_wrong and not wrong:
                continue
            _line(sheet, at, line, looks, edits=mark.edits)
            _problems(sheet, at, width, mark, columns, looks)
            at += 1
        for line in () if only_wrong else table.remarks:
            _line(sheet, at, line, looks)
            at += 1
        sheet.freeze_panes(max(table.header_row, first), 0)
    return out.getvalue()


def width_of(table: Table) -> int:
    """The branch's own columns, those without a heading included."""
    return max(len(table.headers), *(len(line.cells) for line in (*table.rows, *table.remarks)), 0)


class _Looks:
    def __init__(self, book: Workbook) -> None:
        self.heading: Format = book.add_format({"bold": True, "bg_color": "#E8F1FA", "text_wrap": True})
        self.moment: Format = book.add_format({"num_format": _DAY})
        self.day: Format = book.add_format({"num_format": "yyyy-mm-dd"})
        self.clock: Format = book.add_format({"num_format": "hh:mm"})
        self.wrong: Format = book.add_format({"font_color": "#B3261E", "text_wrap": True})
        self.cell: Format = book.add_format({"bg_color": "#FCEDEC"})


def _sheet_name(name: str) -> str:
    plain = "".join("_" if letter in "[]:*?/\\" else letter for letter in name).strip("'")[:31]
    return plain or "Sheet1"


def _line(
    sheet: Worksheet, at: int, line: Line, looks: _Looks, *, edits: Mapping[int, str] | None = None, bold: bool = False
) -> None:  # fmt: skip
    values: list[Any] = list(line.values) or list(line.cells)
    for column in range(max(len(values), len(line.cells), *((column + 1) for column in edits or {0: ""}))):
        if edits and column in edits:
            sheet.write_string(at, column, cell_text(edits[column]))
            continue
        value = values[column] if column < len(values) else ""
        shown = line.cells[column] if column < len(line.cells) else ""
        if isinstance(value, date) and not isinstance(value, datetime) and shown.endswith(" 00:00"):
            value = datetime.combine(value, time())  # midnight, not a day without a time
        if value == "" and shown:
            value = shown  # a cell that was merged over several lines, or a formula without a value
        if value != "":
            _cell(sheet, at, column, value, looks, bold=bold)


def _cell(sheet: Worksheet, at: int, column: int, value: Any, looks: _Looks, *, bold: bool) -> None:
    match value:
        case bool():
            sheet.write_boolean(at, column, value)
        case int() | float():
            sheet.write_number(at, column, value)
        case datetime():
            sheet.write_datetime(at, column, value.replace(tzinfo=None), looks.moment)
        case date():
            sheet.write_datetime(at, column, value, looks.day)
        case time():
            sheet.write_datetime(at, column, value, looks.clock)
        case _:
            text = cell_text(value if isinstance(value, str) else text_of(value))
            sheet.write_string(at, column, text, looks.heading if bold else None)


def _merged(sheet: Worksheet, table: Table, looks: _Looks) -> None:
    """Headings that were merged are merged again; a merge inside the rows was taken apart when they were read."""
    for (top, left), (bottom, right) in table.sheet.merged:
        if bottom < table.header_row and (top, left) != (bottom, right) and right < len(table.headers):
            line = next((line for line in table.above if line.number == top + 1), None)
            text = line.cells[left] if line is not None and left < len(line.cells) else ""
            sheet.merge_range(top, left, bottom, right, "", looks.heading)
            sheet.write_string(top, left, cell_text(text), looks.heading)


def _problems(
    sheet: Worksheet, at: int, width: int, mark: Marked, columns: Mapping[str, int], looks: _Looks
) -> None:  # fmt: skip
    said = [problem.words for problem in mark.problems]
    if mark.is_imported:
        said.insert(0, _("imported"))
    if said:
        is_wrong = any(problem.is_wrong for problem in mark.problems)
        sheet.write_string(at, width, cell_text("; ".join(said)), looks.wrong if is_wrong else None)
    comments: dict[int, list[str]] = {}
    for problem in mark.problems:
        if problem.field in columns:
            comments.setdefault(columns[problem.field], []).append(problem.words)
    for column, words in comments.items():
        sheet.write_comment(at, column, "\n".join(words)[:1000], {"x_scale": 2, "y_scale": 1.2})
