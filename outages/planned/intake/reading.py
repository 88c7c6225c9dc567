"""The table in a workbook: which sheet, which lines are its heading, and its rows as texts."""

from __future__ import annotations

import csv
import io
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any, Final

from outages.planned.intake import columns, parser
from outages.planned.intake.files import (
    FileEncrypted,
    FileNoTable,
    FileNotSheet,
    FileRefused,
    FileTooManyRows,
    Opened,
    opened,
)
from outages.planned.intake.parser import MAX_COLUMNS, Merged

MAX_ROWS: Final = 20_000
MAX_TEXT: Final = 2000
MAX_NAME: Final = 200  # of a sheet; a program's own limit is shorter, a file may say anything
_HEADING_WITHIN: Final = 30  # title lines before the heading
_HEADING_LINES: Final = 3
_DEFAULT_NAME: Final = "Sheet1"

Value = str | float | int | bool | datetime | date | time | timedelta


@dataclass(frozen=True)
class Line:
    """One line that holds something. ``number`` counts from 1, as the spreadsheet does."""

    number: int
    cells: tuple[str, ...]
    values: tuple[Any, ...] = ()  # as the parser gave them, for handing the workbook back


@dataclass(frozen=True)
class Sheet:
    """One sheet as far as it is filled."""

    name: str
    lines: tuple[Line, ...]
    merged: tuple[Merged, ...] = ()


@dataclass(frozen=True)
class Book:
    """The visible sheets of a file."""

    sheets: tuple[Sheet, ...]
    is_1904: bool = False


@dataclass(frozen=True)
class Table:
    """The lines of a sheet sorted into what stands above, the heading, and the rows."""

    sheet: Sheet
    header_row: int  # the heading's last line, counted from 1; 0: there is none
    headers: tuple[str, ...]
    rows: tuple[Line, ...]
    above: tuple[Line, ...] = ()
    remarks: tuple[Line, ...] = ()
    mapping: Mapping[int, str] = field(default_factory=dict)


# --- from the file to lines --------------------------------------------------------------------------


def book_of(data: bytes) -> Book:
    """The sheets of a file with something in them. Raises ``FileRefused``."""
    file = opened(data)
    if file.kind == "csv":
        return Book((Sheet(_DEFAULT_NAME, tuple(_lines(_csv_rows(file.text)))),))
    try:
        sheets = tuple(_sheets(file))
    except parser.Locked as locked:
        raise FileEncrypted() from locked
    except parser.Broken as broken:
        raise FileRefused() from broken
    if not any(sheet.lines for sheet in sheets):
        raise FileNoTable()
    return Book(sheets, file.is_1904)


def _sheets(file: Opened) -> Iterable[Sheet]:
    for sheet in parser.parsed(file.data):
        lines = list(_lines(sheet.rows, file.odd.get(sheet.name, {})))
        yield Sheet(sheet.name[:MAX_NAME], tuple(_filled(lines, sheet.merged)), sheet.merged)


def _lines(rows: Iterable[Sequence[Any]], odd: Mapping[tuple[int, int], str] | None = None) -> Iterable[Line]:
    marks: defaultdict[int, list[tuple[int, str]]] = defaultdict(list)
    for (index, column), text in (odd or {}).items():
        if column < MAX_COLUMNS:
            marks[index].append((column, text))
    for index, row in enumerate(rows):
        values = list(row[:MAX_COLUMNS])
        while values and (values[-1] == "" or (isinstance(values[-1], str) and not values[-1].strip())):
            values.pop()
        texts = [text_of(value) for value in values]
        for column, text in marks.get(index, ()):
            texts += [""] * (column + 1 - len(texts))
            values += [""] * (column + 1 - len(values))
            texts[column] = text
        if any(texts):
            yield Line(index + 1, tuple(texts), tuple(values))


def _filled(lines: list[Line], merged: Sequence[Merged]) -> list[Line]:
    """A cell that was merged over several lines counts for each of them."""
    by_index = {line.number - 1: at for at, line in enumerate(lines)}
    for (top, column), (bottom, _right) in merged:
        first = by_index.get(top)
        if bottom == top or first is None or column >= len(lines[first].cells):
            continue
        text = lines[first].cells[column]
        for index in range(top + 1, min(bottom, top + MAX_ROWS) + 1):
            at = by_index.get(index)
            if text and at is not None:
                lines[at] = _with(lines[at], column, text)
    return lines


def _with(line: Line, column: int, text: str) -> Line:
    cells = list(line.cells) + [""] * (column + 1 - len(line.cells))
    cells[column] = cells[column] or text
    return Line(line.number, tuple(cells), line.values)


# --- text files --------------------------------------------------------------------------------------


def _csv_rows(text: str) -> list[list[str]]:
    best = max(",\t;|", key=lambda delimiter: _evenness(text, delimiter))
    try:
        return list(csv.reader(io.StringIO(text, newline=""), delimiter=best))
    except csv.Error as broken:
        raise FileNotSheet() from broken


def _evenness(text: str, delimiter: str) -> int:
    """How many columns most of the first lines have if this is what separates them."""
    head = "\n".join(text.splitlines()[:60])
    try:
        widths = [len(row) for row in csv.reader(io.StringIO(head), delimiter=delimiter) if any(row)]
    except csv.Error:
        return 0
    common = max(set(widths), key=widths.count, default=0)
    return widths.count(common) * (common - 1)


# --- texts of values ---------------------------------------------------------------------------------

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ufeff\ud800-\udfff]")
_ESCAPED: Final = re.compile(r"'(?=[=+\-@\t\r])")


def text_of(value: object) -> str:
    """A cell as text; what was escaped against becoming a formula is as it was."""
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int | float):
        return f"{value:.10g}" if abs(value) < 1e10 else f"{value:.0f}"
    if isinstance(value, datetime):
        moment = (value + timedelta(milliseconds=500)).replace(microsecond=0)
        return moment.strftime("%Y-%m-%d %H:%M:%S").removesuffix(":00")
    if isinstance(value, time):
        return value.strftime("%H:%M:%S").removesuffix(":00")
    if isinstance(value, timedelta):
        minutes = round(value.total_seconds() / 60)
        return f"{minutes // 60:02d}:{minutes % 60:02d}"
    return value.isoformat() if isinstance(value, date) else ""


def _text(value: str) -> str:
    unescaped = _ESCAPED.sub("", value, count=1) if value[:1] == "'" else value
    return _CONTROL.sub("", unescaped.replace("\r\n", "\n")).strip(" \t\n\u3000\xa0")[:MAX_TEXT]


# --- from lines to a table ---------------------------------------------------------------------------


def table_of(book: Book, *, sheet_name: str = "") -> Table:
    """The plan's table: on the sheet whose headings say most, unless somebody chose one.

    Raises ``FileRefused`` if there is no table, or too long a one.
    """
    candidates = [sheet for sheet in book.sheets if sheet.lines and sheet_name in ("", sheet.name)]
    if not candidates:
        raise FileNoTable()
    tables = [_table(sheet) for sheet in candidates]
    best = max(tables, key=lambda table: (columns.is_enough(table.mapping), len(table.mapping)))
    if len(best.rows) > MAX_ROWS:
        raise FileTooManyRows(rows=MAX_ROWS)
    return best


def _table(sheet: Sheet) -> Table:
    lines = sheet.lines
    first, span, headers = _heading(sheet)
    body = lines[first + span :]
    mapping = columns.guess(headers)
    rows: list[Line] = []
    remarks: list[Line] = []
    for line in body:
        if _is_heading_again(line, headers):
            continue
        (remarks if _is_remark(line, mapping) else rows).append(line)
    return Table(
        sheet=sheet,
        header_row=lines[first + span - 1].number,
        headers=headers,
        rows=tuple(rows),
        above=lines[: first + span],
        remarks=tuple(remarks),
        mapping=mapping,
    )


def _heading(sheet: Sheet) -> tuple[int, int, tuple[str, ...]]:
    """(index of the first line, number of lines, joined headings): where most columns are recognised."""
    lines = sheet.lines[:_HEADING_WITHIN]
    best: tuple[tuple[bool, int, int, int], int, int, tuple[str, ...]] | None = None
    for first in range(len(lines)):
        for span in range(1, min(_HEADING_LINES, len(lines) - first) + 1):
            if lines[first + span - 1].number - lines[first].number != span - 1:
                break
            headers = _joined(lines[first : first + span], sheet.merged)
            mapping = columns.guess(headers)
            score = (columns.is_enough(mapping), len(mapping), -span, -first)
            if best is None or score > best[0]:
                best = (score, first, span, headers)
    if best is not None and best[0][1] >= 2:
        return _with_lines_above(lines, best[1], best[2], sheet.merged)
    # nothing is known: the first line about as wide as the table
    width = max(sum(map(bool, line.cells)) for line in sheet.lines[: 10 * _HEADING_WITHIN])
    first = next(at for at, line in enumerate(sheet.lines) if 2 * sum(map(bool, line.cells)) >= width)
    return first, 1, _joined(sheet.lines[first : first + 1], sheet.merged)


def _with_lines_above(
    lines: Sequence[Line], first: int, span: int, merged: Sequence[Merged]
) -> tuple[int, int, tuple[str, ...]]:
    """A heading that was merged with the line above has begun there: 计划停电时间 stands above 起 and 止."""
    while first and span < _HEADING_LINES:
        top, above = lines[first].number - 1, lines[first - 1].number - 1
        if above != top - 1 or not any(begins <= above and ends >= top for (begins, _l), (ends, _r) in merged):
            break
        first, span = first - 1, span + 1
    return first, span, _joined(lines[first : first + span], merged)


def _joined(lines: Sequence[Line], merged: Sequence[Merged]) -> tuple[str, ...]:
    """Headings of several lines as one a column, the words of a merged cell before those below it."""
    width = max(len(line.cells) for line in lines)
    grid = [[*line.cells, *[""] * (width - len(line.cells))] for line in lines]
    top = lines[0].number - 1
    for (row, left), (_bottom, right) in merged:
        if top <= row < top + len(lines) and left < width and right > left:
            across = grid[row - top]
            for column in range(left + 1, min(right + 1, width)):
                across[column] = across[column] or across[left]
    headings = []
    for column in range(width):
        parts = list(dict.fromkeys(row[column] for row in grid if row[column]))
        headings.append("\n".join(part[:100] for part in parts))
    return tuple(headings)


def _is_heading_again(line: Line, headers: Sequence[str]) -> bool:
    """Printed lists repeat their heading on every page."""
    filled = [(cell, header) for cell, header in zip(line.cells, headers, strict=False) if cell]
    return len(filled) > 1 and all(cell in header.split("\n") for cell, header in filled)


_SIGNED: Final = re.compile(
    r"(审核|审批|批准|签发|制表|填报|填表|编制|校核|注|备注|说明)[^\d:：]{0,6}[:：]|(合\s*计|总\s*计|共\s*计|小\s*计)"
)


def _is_remark(line: Line, mapping: Mapping[int, str]) -> bool:
    """A line below or between that names neither a place nor a time: totals, signatures, notes."""
    telling = {"feeder", "elements", "starts_at", "ends_at", "window", "day"}
    if not columns.is_enough(mapping):
        return False
    filled = [column for column, cell in enumerate(line.cells) if cell]
    if _SIGNED.match(line.cells[filled[0]]):
        return True
    return not any(mapping.get(column) in telling for column in filled) and len(filled) <= 3
