"""The rows of a file as the items of a feed: which line is the heading, what its cells mean, which rows are one item.

A row of arrears is one bill; the rows of one account are one statement. What is wrong with a statement is said at the
row where it stands, and its other rows say that they wait for that one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.utils.translation import gettext_lazy as _

from billing_cutoffs.intake.columns import COLUMNS, WORDS, Column, understood
from billing_cutoffs.intake.items import BadItem
from billing_cutoffs.models import FeedKind
from grid.spreadsheets.books import Line, book_of
from grid.spreadsheets.files import FileNoTable, FileTooManyRows
from standards.errors import DomainError

MOST_ROWS: Final = 100_000
_HEADING_WITHIN: Final = 30  # title lines before the heading
_BILL: Final = ("number", "due_on", "open_amount")


class ColumnsMissing(DomainError):
    code = "columns_missing"
    message = _("These columns are missing: %(names)s.")


class RowsDiffer(BadItem):
    code = "rows_differ"
    message = _("The rows of one account say different things here.")


class OtherRowWrong(BadItem):
    code = "other_row"
    message = _("Row %(row)d of the same account must be corrected first.")


@dataclass(frozen=True)
class Table:
    """The rows below the heading, and which column of the file is which of ours."""

    headings: tuple[str, ...]
    places: Mapping[str, int]
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Asked:
    """One item and the rows of the file that it was made of; ``error`` where they do not make one."""

    item: dict[str, Any]
    rows: tuple[int, ...]
    bills: tuple[int, ...] = ()  # the row of each bill
    error: DomainError | None = field(default=None, compare=False)

    def row_of(self, error: DomainError) -> int:
        """Where the mistake stands."""
        part, _dot, rest = error.field.partition(".")
        number = rest.partition(".")[0]
        return self.bills[int(number)] if part == "bills" and number.isdecimal() else self.rows[0]


def table_of(data: bytes, kind: str) -> Table:
    """The table of a file: on the first sheet that has the columns. Raises ``FileRefused``, ``ColumnsMissing``."""
    missing: list[Column] | None = None
    for sheet in book_of(data).sheets:
        for at, line in enumerate(sheet.lines[:_HEADING_WITHIN]):
            places = understood(kind, line.cells)
            lacking = [column for column in COLUMNS[kind] if column.is_needed and column.name not in places]
            if not lacking:
                rows = sheet.lines[at + 1 :]
                if len(rows) > MOST_ROWS:
                    raise FileTooManyRows(rows=MOST_ROWS)
                if not rows:
                    raise FileNoTable()
                return Table(line.cells, places, rows)
            if missing is None or len(lacking) < len(missing):
                missing = lacking
    if missing is None:
        raise FileNoTable()
    raise ColumnsMissing(names="、".join(str(column.label) for column in missing))


def items_of(table: Table, kind: str, zone: ZoneInfo) -> list[Asked]:
    """The items that the rows make, in the order of the file. A time without a zone is the branch's own."""
    told = [(line.number, _item(line, table, kind, zone)) for line in table.lines]
    if kind != FeedKind.ARREARS:
        return [Asked(item, (number,)) for number, item in told]
    accounts: dict[object, list[tuple[int, dict[str, Any]]]] = {}
    for number, item in told:
        # a row that names no account is one of its own, and refused as such
        accounts.setdefault(item.get("account_number") or number, []).append((number, item))
    return [_statement(rows) for rows in accounts.values()]


def _statement(rows: Sequence[tuple[int, dict[str, Any]]]) -> Asked:
    item: dict[str, Any] = {"bills": []}
    bills: list[int] = []
    error: DomainError | None = None
    at = rows[0][0]
    for number, told in rows:
        bill = {name: told[name] for name in _BILL if name in told}
        if bill:
            item["bills"].append(bill)
            bills.append(number)
        for name, value in told.items():
            if name not in _BILL and item.setdefault(name, value) != value and error is None:
                error, at = RowsDiffer(field=name), number
    numbers = tuple(number for number, _told in rows)
    # the row to be named is the first one
    ordered = (at, *(number for number in numbers if number != at))
    return Asked(item, ordered, tuple(bills), error)


def _item(line: Line, table: Table, kind: str, zone: ZoneInfo) -> dict[str, Any]:
    item = {}
    for column in COLUMNS[kind]:
        place = table.places.get(column.name)
        if place is not None and place < len(line.cells) and line.cells[place]:
            raw = line.values[place] if place < len(line.values) else ""
            item[column.name] = _value(column.reads, line.cells[place], raw, zone)
    return item


# --- cells ----------------------------------------------------------------------------------------------

_DAY: Final = re.compile(r"(\d{4})\s*[-/.年]\s*(\d{1,2})\s*[-/.月]\s*(\d{1,2})\s*[日号]?")
_DIGITS: Final = re.compile(r"(20\d\d)(\d\d)(\d\d)")
_CLOCK: Final = re.compile(r"[T\s]+(\d{1,2}):(\d{2})(.*)")
_MONEY: Final = re.compile(r"[¥￥元,\s]")
_DEGREES: Final = re.compile(r"\s*(°C|℃|度)$")


def _value(reads: str, said: str, raw: Any, zone: ZoneInfo) -> Any:
    """What a cell says, in the way that a body of the API would say it; what cannot be understood stays as it is."""
    plain = unicodedata.normalize("NFKC", said).strip()
    if isinstance(raw, int | float) and not isinstance(raw, bool):
        plain = f"{raw:.15g}"  # as a spreadsheet shows it, with no more digits than it keeps
    if reads == "amount":
        return _MONEY.sub("", plain)
    if reads == "whole":
        return plain
    if reads == "degrees":
        return _DEGREES.sub("", plain)
    if reads == "day":
        return raw.date() if isinstance(raw, datetime) else raw if isinstance(raw, date) else _day(plain)
    if reads == "moment":
        return _moment(plain, raw, zone)
    if reads in WORDS:
        return WORDS[reads].get(plain.lower(), plain.lower())
    return plain if isinstance(raw, int | float) else said


def _day(plain: str) -> str:
    found = _DAY.fullmatch(plain) or _DIGITS.fullmatch(plain)
    return "{}-{:0>2}-{:0>2}".format(*found.groups()) if found else plain


def _moment(plain: str, raw: Any, zone: ZoneInfo) -> Any:
    if isinstance(raw, datetime):
        return raw.replace(tzinfo=zone)
    if isinstance(raw, date):
        return datetime(raw.year, raw.month, raw.day, tzinfo=zone)
    found = _DAY.match(plain)
    if found:
        clock = _CLOCK.fullmatch(plain[found.end() :])
        hours = "T{:0>2}:{}{}".format(*clock.groups()) if clock else plain[found.end() :]
        plain = _day(found[0]) + hours
    try:
        moment = datetime.fromisoformat(plain)
    except ValueError:
        return plain
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)
