"""The lines of a spreadsheet, whatever program wrote it: the sheets of a file as far as they are filled, as texts."""

from __future__ import annotations

import csv
import io
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Final

from grid.spreadsheets import parser
from grid.spreadsheets.files import FileEncrypted, FileNoTable, FileNotSheet, FileRefused, Opened, opened
from grid.spreadsheets.parser import MAX_COLUMNS, Merged

MAX_ROWS: Final = 20_000  # of one table
MAX_TEXT: Final = 2000
MAX_NAME: Final = 200  # of a sheet; a program's own limit is shorter, a file may say anything
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
