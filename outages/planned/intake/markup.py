"""A look through the XML of a workbook before its parser: how far the cells reach, and what a parser does not tell.

Read as a stream of events. A document type is refused, so nothing is expanded.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat

UNCALCULATED: Final = "ƒ"  # stands before a formula whose value is not in the file
_MOST_ODD: Final = 10_000
_MOST_TEXT: Final = 200


class Broken(Exception):
    """Not the XML of a workbook."""


@dataclass
class Cells:
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
        raise NotImplementedError

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


class _SheetReader(_Reader):
    def __init__(self) -> None:
        super().__init__()
        self.cells = Cells()
        self.row, self.column = -1, -1
        self.kind = ""
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
        self.kind = attributes.get("t", "")
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


def column_of(letters: str) -> int:
    """A is 0, Z is 25, AA is 26."""
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number - 1


def worksheet(part: bytes) -> Cells:
    """How far the cells of a sheet of an .xlsx reach, and which of them have no value to go by."""
    reader = _SheetReader()
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
        if formula and not kind:
            self.cells.mark(self.row, self.column, f"{UNCALCULATED}={formula.removeprefix('of:=')}")
        self.column += width


def spreadsheet(part: bytes) -> dict[str, Cells]:
    """The same for every sheet of an .ods, with its repetitions multiplied out."""
    reader = _TablesReader()
    reader.read(part)
    return reader.tables
