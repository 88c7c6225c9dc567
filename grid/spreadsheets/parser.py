"""The parser of workbooks, in a process of its own with little memory and time.

It is written in Rust and trusts what a file says about itself: a broken .xls makes it panic, or ask for a terabyte,
which ends the process it runs in. So it runs in one that nobody misses. Started as a script, before Django and without
it; what it found comes back as JSON.
"""

from __future__ import annotations

import io
import json
import resource
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Final

import python_calamine as calamine

MAX_SHEETS: Final = 30
MAX_COLUMNS: Final = 200
MAX_MERGED: Final = 5000
_MEMORY: Final = 3 * 1024**3
_SECONDS: Final = 60
_LOCKED, _BROKEN = 3, 4

Merged = tuple[tuple[int, int], tuple[int, int]]  # (first row, column), (last row, column), counted from 0


class Broken(Exception):
    """Not a workbook that can be read."""


class Locked(Exception):
    """A workbook with a password."""


@dataclass(frozen=True)
class Parsed:
    """A visible sheet: its rows as far as they are filled."""

    name: str
    merged: tuple[Merged, ...]
    rows: Sequence[Sequence[Any]]


def parsed(data: bytes) -> list[Parsed]:
    """The visible sheets of a workbook. Raises ``Broken``, ``Locked``."""
    command = [sys.executable, "-I", __file__]
    try:
        child = subprocess.run(command, input=data, capture_output=True, timeout=2 * _SECONDS, check=False)
    except subprocess.TimeoutExpired as endless:
        raise Broken from endless
    if child.returncode == _LOCKED:
        raise Locked
    if child.returncode:
        raise Broken
    return [
        Parsed(name, tuple(((a, b), (c, d)) for (a, b), (c, d) in merged), rows)
        for name, merged, rows in json.loads(child.stdout, object_hook=_value)
    ]


def _value(kept: dict[str, Any]) -> Any:
    kind, value = next(iter(kept.items()))
    return _KINDS[kind](value)


_KINDS: Final[Mapping[str, Callable[[Any], object]]] = {
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "seconds": lambda seconds: timedelta(seconds=seconds),
}


# --- in the other process -----------------------------------------------------------------------------


def main() -> None:
    """Read the workbook from the standard input within limits; its sheets go out as JSON."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        sheets = _sheets(sys.stdin.buffer.read())
    except calamine.PasswordError:
        sys.exit(_LOCKED)
    except BaseException:  # a panic of the parser is no Exception
        sys.exit(_BROKEN)
    json.dump(sheets, sys.stdout, default=_kept)


def _sheets(data: bytes) -> list[tuple[str, list[Merged], list[list[Any]]]]:
    with calamine.load_workbook(io.BytesIO(data)) as book:
        shown = [
            about.name
            for about in book.sheets_metadata
            if about.typ == calamine.SheetTypeEnum.WorkSheet and about.visible == calamine.SheetVisibleEnum.Visible
        ]
        found = []
        for name in shown[:MAX_SHEETS]:
            sheet = book.get_sheet_by_name(name)
            merged = (sheet.merged_cell_ranges or [])[:MAX_MERGED]
            found.append((name, merged, [_filled(row) for row in sheet.to_python(skip_empty_area=False)]))
        return found


def _filled(row: Sequence[Any]) -> list[Any]:
    """Without the blanks at its end."""
    values = list(row[:MAX_COLUMNS])
    while values and (values[-1] == "" or (isinstance(values[-1], str) and not values[-1].strip())):
        values.pop()
    return values


def _kept(value: object) -> dict[str, Any]:
    if isinstance(value, timedelta):
        return {"seconds": value.total_seconds()}
    if isinstance(value, datetime | date | time):
        return {type(value).__name__: value.isoformat()}
    raise TypeError


if __name__ == "__main__":
    main()
