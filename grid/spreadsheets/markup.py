"""A look through the XML of a workbook before its parser: how far the cells reach, and what a parser does not tell.

Read as a stream of events. A document type is refused, so nothing is expanded.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final
from xml.parsers import expat

FIRST_DAY: Final = {False: date(1899, 12, 30), True: date(1904, 1, 1)}  # by how a workbook counts days
UNCALCULATED: Final = "ƒ"  # stands before a formula whose value is not in the file
_MOST_ODD: Final = 10_000
_MOST_TEXT: Final = 200


class Broken(Exception):
    """Not the XML of a workbook."""


@dataclass
class Cells:
    """How far the cells of a sheet reach, and the odd ones with what they say."""

    rows: int = 0
    columns: int = 0
    odd: dict[tuple[int, int], str] = field(default_factory=dict)

    def reach(self, row: int, column: int) -> None:
        self.rows = max(self.rows, row + 1)
        self.columns = max(self.columns, column + 1)

    def mark(self, row: int, column: int, text: str) -> None:
        if len(self.odd) < _MOST_ODD:
            self.odd[row, column] = text[:_MOST_TEXT]


@dataclass(frozen=True)
class Book:
    """The sheets of a workbook, and which day it counts from."""

    sheets: dict[str, str]  # name -> part
    is_1904: bool


class _Reader:
    """One pass over a part; subclasses say what they look at."""

    def __init__(self) -> None:
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.StartDoctypeDeclHandler = self._doctype

    def read(self, part: bytes) -> None:
        try:
            self.parser.Parse(part, True)
        except (expat.ExpatError, ValueError, OverflowError) as broken:
            raise Broken from broken

    def _doctype(self, *_declared: object) -> None:
        raise Broken

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self.start(name.rpartition(":")[2], attributes)

    def _end(self, name: str) -> None:
        self.end(name.rpartition(":")[2])

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """What a reader looks at; one that looks at nothing only finds out whether this is XML."""

    def end(self, name: str) -> None:
        """Most readers need no ends."""

    def listen(self, heard: list[str] | None) -> None:
        self.parser.CharacterDataHandler = heard.append if heard is not None else None


# --- Office Open XML --------------------------------------------------------------------------------


class _BookReader(_Reader):
    def __init__(self) -> None:
        super().__init__()
        self.sheets: dict[str, str] = {}  # name -> relation
        self.targets: dict[str, str] = {}  # relation -> target
        self.is_1904 = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "workbookPr":
            self.is_1904 = attributes.get("date1904", "").lower() in ("1", "true", "on")
        elif name == "sheet":
            relation = next((value for key, value in attributes.items() if key.rpartition(":")[2] == "id"), "")
            self.sheets[attributes.get("name", "")] = relation
        elif name == "Relationship":
            self.targets[attributes.get("Id", "")] = attributes.get("Target", "")


def workbook(parts: Mapping[str, bytes]) -> Book:
    """The sheets of an .xlsx by name, and which day it counts from."""
    reader = _BookReader()
    reader.read(parts["xl/workbook.xml"])
    relations = _BookReader()
    if "xl/_rels/workbook.xml.rels" in parts:
        relations.read(parts["xl/_rels/workbook.xml.rels"])
    sheets = {name: _part(relations.targets.get(relation, "")) for name, relation in reader.sheets.items()}
    return Book(sheets, reader.is_1904)


def _part(target: str) -> str:
    return target.lstrip("/") if target.startswith("/") else posixpath.normpath(f"xl/{target}")


_REFERENCE: Final = re.compile(r"([A-Z]{1,3})([0-9]{1,7})")
_MOMENT: Final = "22"  # a format that Excel knows by number alone, and that shows a day with its hours
_SPOKEN: Final = re.compile(r'"[^"]*"|\\.|\[[^\]]*\]')


class _StylesReader(_Reader):
    def __init__(self) -> None:
        super().__init__()
        self.formats: dict[str, str] = {}
        self.styles: list[str] = []
        self.is_inside = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "numFmt":
            self.formats[attributes.get("numFmtId", "")] = attributes.get("formatCode", "")
        elif name == "cellXfs":
            self.is_inside = True
        elif name == "xf" and self.is_inside:
            self.styles.append(attributes.get("numFmtId", ""))

    def end(self, name: str) -> None:
        if name == "cellXfs":
            self.is_inside = False


def moment_styles(part: bytes) -> frozenset[str]:
    """The cell styles that show a day with its hours: only they tell midnight from a day without a time."""
    reader = _StylesReader()
    reader.read(part)
    found = set()
    for number, of_cells in enumerate(reader.styles):
        letters = _SPOKEN.sub("", reader.formats.get(of_cells, "")).lower()
        if ("h" in letters and ("d" in letters or "y" in letters)) or of_cells == _MOMENT:
            found.add(str(number))
    return frozenset(found)


class _SheetReader(_Reader):
    def __init__(self, moments: frozenset[str], first_day: date) -> None:
        super().__init__()
        self.moments, self.first_day = moments, first_day
        self.cells = Cells()
        self.row, self.column = -1, -1
        self.kind = self.style = ""
        self.formula: list[str] | None = None
        self.value: list[str] | None = None
        self.has_inline = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "row":
            self.row = int(attributes["r"]) - 1 if "r" in attributes else self.row + 1
            self.column = -1
        elif name == "c":
            self._cell(attributes)
        elif name == "f":
            self.formula = []
            self.listen(self.formula)
        elif name == "v":
            self.value = []
            self.listen(self.value)
        elif name == "is":
            self.has_inline = True

    def _cell(self, attributes: dict[str, str]) -> None:
        named = _REFERENCE.fullmatch(attributes.get("r", ""))
        if named:
            self.row, self.column = int(named[2]) - 1, column_of(named[1])
        else:
            self.column += 1
        self.kind, self.style = attributes.get("t", ""), attributes.get("s", "0")
        self.formula = self.value = None
        self.has_inline = False

    def end(self, name: str) -> None:
        if name in ("f", "v"):
            self.listen(None)
        elif name == "c":
            self._close()

    def _close(self) -> None:
        value = "".join(self.value) if self.value is not None else ""
        if value or self.has_inline or self.formula is not None:
            self.cells.reach(self.row, self.column)
        if self.kind == "e":
            self.cells.mark(self.row, self.column, value or "#")
        elif self.formula is not None and not value and self.kind != "str":
            self.cells.mark(self.row, self.column, f"{UNCALCULATED}={''.join(self.formula)}")
        elif self.style in self.moments and self.kind in ("", "n") and value.isdecimal() and len(value) <= 6:
            midnight = self.first_day + timedelta(days=int(value))
            self.cells.mark(self.row, self.column, f"{midnight} 00:00")


def column_of(letters: str) -> int:
    """A is 0, Z is 25, AA is 26."""
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number - 1


def worksheet(part: bytes, *, moments: frozenset[str] = frozenset(), is_1904: bool = False) -> Cells:
    """How far the cells of a sheet of an .xlsx reach, and which of them say something that a parser does not tell."""
    reader = _SheetReader(moments, FIRST_DAY[is_1904])
    reader.read(part)
    return reader.cells


# --- OpenDocument -----------------------------------------------------------------------------------


class _TablesReader(_Reader):
    def __init__(self) -> None:
        super().__init__()
        self.tables: dict[str, Cells] = {}
        self.cells = Cells()
        self.row = self.column = self.height = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        plain = {key.rpartition(":")[2]: value for key, value in attributes.items()}
        if name == "table":
            self.cells = self.tables.setdefault(plain.get("name", ""), Cells())
            self.row = self.height = 0
        elif name == "table-row":
            self.row += self.height
            self.column, self.height = 0, int(plain.get("number-rows-repeated", 1))
        elif name in ("table-cell", "covered-table-cell"):
            self._cell(plain)

    def _cell(self, attributes: dict[str, str]) -> None:
        width = int(attributes.get("number-columns-repeated", 1))
        kind, formula = attributes.get("value-type", ""), attributes.get("formula", "")
        if kind or formula:
            self.cells.reach(self.row + self.height - 1, self.column + width - 1)
        day, _t, clock = attributes.get("date-value", "").partition("T")
        if formula and not kind:
            self.cells.mark(self.row, self.column, f"{UNCALCULATED}={formula.removeprefix('of:=')}")
        elif clock and not clock.strip("0:.Z"):
            self.cells.mark(self.row, self.column, f"{day} 00:00")
        self.column += width


def spreadsheet(part: bytes) -> dict[str, Cells]:
    """The same for every sheet of an .ods, with its repetitions multiplied out."""
    reader = _TablesReader()
    reader.read(part)
    return reader.tables
