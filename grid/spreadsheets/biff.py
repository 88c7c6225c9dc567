"""A look into an old .xls before its parser: is it locked, has it macros, how far do its cells reach?

An .xls is a small file system (a compound file) with the workbook as one of its files, a list of records.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

SIGNATURE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_END: Final = 0xFFFFFFFA  # this and all above are no sectors
_CELLS: Final = {0x0006, 0x00D6, 0x00FD, 0x0203, 0x0204, 0x0205, 0x027E}  # one value
_ROW_OF_NUMBERS: Final = 0x00BD
_PASSWORD: Final = 0x002F
_DATE_SYSTEM: Final = 0x0022


class Broken(Exception):
    """Not a compound file."""


@dataclass(frozen=True)
class Look:
    """What was seen of a file."""

    has_workbook: bool
    is_encrypted: bool = False
    has_macros: bool = False
    is_1904: bool = False
    rows: int = 0
    columns: int = 0


def look(data: bytes) -> Look:
    """What the parser must not find out by itself."""
    try:
        folder = _Folder(data)
        names = set(folder.entries)
        if "encryptedpackage" in names:
            return Look(has_workbook=True, is_encrypted=True)
        stream = folder.read("workbook") or folder.read("book")
    except (struct.error, IndexError, ValueError, UnicodeDecodeError) as broken:
        raise Broken from broken
    if not stream:
        return Look(has_workbook=False)
    rows = columns = 0
    is_encrypted = is_1904 = False
    for kind, body in _records(stream):
        if kind in _CELLS and len(body) >= 4:
            row, column = struct.unpack_from("<HH", body)
            rows, columns = max(rows, row + 1), max(columns, column + 1)
        elif kind == _ROW_OF_NUMBERS and len(body) >= 6:
            (row,), (column,) = struct.unpack_from("<H", body), struct.unpack_from("<H", body, len(body) - 2)
            rows, columns = max(rows, row + 1), max(columns, column + 1)
        elif kind == _PASSWORD:
            is_encrypted = True
        elif kind == _DATE_SYSTEM:
            is_1904 = body[:2] == b"\x01\x00"
    has_macros = bool(names & {"_vba_project_cur", "_vba_project", "vba"})
    return Look(True, is_encrypted, has_macros, is_1904, rows, columns)


def _records(stream: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 4 <= len(stream):
        kind, length = struct.unpack_from("<HH", stream, at)
        yield kind, stream[at + 4 : at + 4 + length]
        at += 4 + length


class _Folder:
    """The streams of a compound file by their names."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.shift, self.mini_shift = struct.unpack_from("<HH", data, 30)
        if self.shift not in (9, 12) or self.mini_shift != 6:
            raise Broken
        self.most = len(data) >> self.shift  # no chain is longer than the file
        first_directory, self.small = struct.unpack_from("<I4xI", data, 48)
        first_mini, _count, first_more, _more = struct.unpack_from("<4I", data, 60)
        self.table = self._table(first_more)
        self.mini_table = _numbers(self._chain(first_mini, self.table))
        self.entries: dict[str, tuple[int, int]] = {}
        self.mini = b""
        self._directory(self._chain(first_directory, self.table))

    def _sector(self, number: int) -> bytes:
        at = (number + 1) << self.shift
        return self.data[at : at + (1 << self.shift)]

    def _table(self, more: int) -> list[int]:
        places = [number for number in struct.unpack_from("<109I", self.data, 76) if number < _END]
        for _turn in range(self.most):
            if more >= _END:
                break
            numbers = _numbers(self._sector(more))
            places += [number for number in numbers[:-1] if number < _END]
            more = numbers[-1]
        return _numbers(b"".join(self._sector(number) for number in places[: self.most + 1]))

    def _chain(self, number: int, table: list[int]) -> bytes:
        sectors: list[bytes] = []
        while number < _END and len(sectors) <= self.most:
            sectors.append(self._sector(number))
            number = table[number]
        return b"".join(sectors)

    def _directory(self, raw: bytes) -> None:
        for at in range(0, len(raw) - 127, 128):
            (length,) = struct.unpack_from("<H", raw, at + 64)
            kind = raw[at + 66]
            if kind not in (1, 2, 5) or not 2 <= length <= 64:
                continue
            start, size = struct.unpack_from("<II", raw, at + 116)
            if kind == 5:
                self.mini = self._chain(start, self.table)
            else:
                self.entries[raw[at : at + length - 2].decode("utf-16-le").lower()] = (start, size)

    def read(self, name: str) -> bytes:
        if name not in self.entries:
            return b""
        start, size = self.entries[name]
        if size >= self.small:
            return self._chain(start, self.table)[:size]
        pieces: list[bytes] = []
        while start < _END and len(pieces) * 64 <= len(self.mini):
            pieces.append(self.mini[start * 64 : start * 64 + 64])
            start = self.mini_table[start]
        return b"".join(pieces)[:size]


def _numbers(raw: bytes) -> list[int]:
    return list(struct.unpack(f"<{len(raw) // 4}I", raw[: len(raw) // 4 * 4]))
