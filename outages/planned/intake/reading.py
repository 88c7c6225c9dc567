"""The table in a workbook: which sheet, which lines are its heading, and its rows as texts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from grid.spreadsheets.books import MAX_ROWS, Book, Line, Sheet
from grid.spreadsheets.files import FileNoTable, FileTooManyRows
from grid.spreadsheets.parser import Merged
from outages.planned.intake import columns

_HEADING_WITHIN: Final = 30  # title lines before the heading
_HEADING_LINES: Final = 3


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
