"""Files that mean harm, or only look like it: refused before a parser sees them, in words, and nothing kept of them."""

from __future__ import annotations

import io
import random
import struct
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from accounts.pages import cell_text
from grid.spreadsheets import books, files
from grid.spreadsheets.files import (
    FileEmpty,
    FileEncrypted,
    FileHasMacros,
    FileIsWebPage,
    FileNotSheet,
    FileRefused,
    FileTooBig,
    FileTooManyRows,
    FileTooWide,
    FileUnpacksTooBig,
)
from outages.planned.intake import reading
from tests.planned.books import HEADINGS, book

HERE = Path(__file__).parent / "files"
PLAIN = book(HEADINGS, ["1", "", "T11", "2026-12-03 08:00", "2026-12-03 12:00", "x", "", ""])


def packed(change: Callable[[dict[str, bytes]], object], data: bytes = PLAIN) -> bytes:
    """A workbook whose parts somebody has changed."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    change(parts)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    return out.getvalue()


SHEET = "xl/worksheets/sheet1.xml"


def bomb(parts: dict[str, bytes]) -> None:
    parts[SHEET] = parts[SHEET].replace(b"</sheetData>", b" " * (files.MAX_UNPACKED + 1) + b"</sheetData>")


def many(parts: dict[str, bytes]) -> None:
    parts.update({f"junk/{n}.xml": b"" for n in range(files.MAX_ENTRIES)})


def laughs(parts: dict[str, bytes]) -> None:
    parts[SHEET] = (
        b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
        + parts[SHEET].partition(b"?>")[2]
    )


def far(parts: dict[str, bytes]) -> None:
    cell = b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>'
    parts[SHEET] = parts[SHEET].replace(b"</sheetData>", cell)


def macros(parts: dict[str, bytes]) -> None:
    parts["xl/vbaProject.bin"] = b"\xd0\xcf\x11\xe0"


def macro_type(parts: dict[str, bytes]) -> None:
    parts["[Content_Types].xml"] = parts["[Content_Types].xml"].replace(
        b"spreadsheetml.sheet.main+xml", b"sheet.macroEnabled.main+xml"
    )


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        (bomb, FileUnpacksTooBig),
        (many, FileUnpacksTooBig),
        (laughs, FileRefused),
        (far, FileTooWide),
        (macros, FileHasMacros),
        (macro_type, FileHasMacros),
        (lambda parts: parts.pop("xl/workbook.xml"), FileNotSheet),
    ],
)
def test_a_workbook_that_is_not_only_one_is_refused(
    change: Callable[[dict[str, bytes]], object], refusal: type[FileRefused]
) -> None:
    with pytest.raises(refusal):
        books.book_of(packed(change))


def test_a_small_file_that_would_unpack_to_gigabytes_is_never_unpacked() -> None:
    """The directory says a few bytes; what comes out is counted, not believed."""
    data = bytearray(packed(bomb))
    assert len(data) < 1024**2
    at = data.rfind(b"PK\x01\x02")
    while at >= 0:  # every entry of the directory lies about its size
        struct.pack_into("<I", data, at + 24, 10)
        at = data.rfind(b"PK\x01\x02", 0, at)

    with pytest.raises(FileRefused):
        books.book_of(bytes(data))


def test_a_bomb_inside_a_workbook_is_not_looked_into() -> None:
    inner = packed(bomb)
    data = packed(lambda parts: parts.update({"xl/embeddings/inner.xlsx": inner}))

    assert len(books.book_of(data).sheets[0].lines) == 2


def test_two_parts_of_one_name_are_refused() -> None:
    out = io.BytesIO(PLAIN)
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(out, "a") as archive:
        archive.writestr(SHEET, b"<worksheet/>")

    with pytest.raises(FileRefused):
        books.book_of(out.getvalue())


@pytest.mark.parametrize(
    ("data", "refusal"),
    [
        (b"", FileEmpty),
        (b"\xef\xbb\xbf  \n", FileEmpty),
        (b"x" * (files.MAX_BYTES + 1), FileTooBig),
        (b"PK\x03\x04broken", FileRefused),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 600, FileRefused),
        (b"<?xml version='1.0'?><Workbook/>", FileIsWebPage),
        (b"%PDF-1.7", FileNotSheet),
        (b"\x89PNG\r\n", FileNotSheet),
        (b"a;b\x00;c", FileNotSheet),
        (b"\xff\xfe\x00\xd8", FileNotSheet),
    ],
)
def test_what_is_something_else_is_told_by_its_content(data: bytes, refusal: type[FileRefused]) -> None:
    with pytest.raises(refusal):
        books.book_of(data)


def test_a_locked_zip_is_told_as_such() -> None:
    data = bytearray(PLAIN)
    at = data.find(b"PK\x03\x04")
    while at >= 0:  # the flag that says "encrypted", in every local header ...
        data[at + 6] |= 1
        at = data.find(b"PK\x03\x04", at + 4)
    at = data.find(b"PK\x01\x02")
    while at >= 0:  # ... and in the directory
        data[at + 8] |= 1
        at = data.find(b"PK\x01\x02", at + 4)

    with pytest.raises(FileEncrypted):
        books.book_of(bytes(data))


def test_fifty_thousand_empty_rows_cost_nothing() -> None:
    def empty(parts: dict[str, bytes]) -> None:
        rows = b"".join(b'<row r="%d"><c r="A%d" s="1"/></row>' % (n, n) for n in range(3, 50_003))
        parts[SHEET] = parts[SHEET].replace(b"</sheetData>", rows + b"</sheetData>")

    assert len(reading.table_of(books.book_of(packed(empty))).rows) == 1


def test_too_many_rows_are_refused_with_the_number() -> None:
    lines = "\n".join(f"{n},T11,2026-12-03 08:00,2026-12-03 12:00" for n in range(books.MAX_ROWS + 1))
    data = f"编号,停电设备名称,停电开始时间,停电结束时间\n{lines}".encode()

    with pytest.raises(FileTooManyRows) as refused:
        reading.table_of(books.book_of(data))

    assert "20000" in str(refused.value)


def test_a_formula_without_a_value_is_told_at_its_cell() -> None:
    def formula(parts: dict[str, bytes]) -> None:
        row = b'<row r="3"><c r="A3"><f>1+1</f></c><c r="C3" t="inlineStr"><is><t>T11</t></is></c></row></sheetData>'
        parts[SHEET] = parts[SHEET].replace(b"</sheetData>", row)

    line = books.book_of(packed(formula)).sheets[0].lines[-1]

    assert line.cells[0].endswith("=1+1")


@pytest.mark.parametrize("text", ["=1+1", "+cmd", "-2+3", "@SUM(A1)", "\tx", "\rx"])
def test_nothing_that_looks_like_a_formula_goes_out_as_one(text: str) -> None:
    assert cell_text(text) == f"'{text}"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_text_files_of_any_office_are_read(encoding: str, delimiter: str) -> None:
    text = (
        delimiter.join(HEADINGS)
        + "\n"
        + delimiter.join(["1", "", "T11", "12/3 8:00", "12/3 12:00", "检修，试验", "", ""])
    )

    table = reading.table_of(books.book_of(text.encode(encoding)))

    assert table.rows[0].cells[5] == "检修，试验"
    assert table.mapping[2] == "elements"


@pytest.mark.parametrize("name", ["plan.xls", "plan.ods"])
def test_older_and_other_programs_are_read(name: str) -> None:
    table = reading.table_of(books.book_of((HERE / name).read_bytes()))

    assert table.headers[:2] == ("编号", "停电线路名称")
    assert [line.cells[:1] for line in table.rows] == [("C-01",), ("C-02",)]
    assert table.rows[0].cells[3] == "2026-12-03 08:00"


def test_a_file_that_would_end_the_parsers_process_is_refused() -> None:
    """The list of texts claims two billion entries: the parser asks for a terabyte and aborts."""
    data = bytearray((HERE / "plan.xls").read_bytes())
    data[3651] = 0x81

    with pytest.raises(FileRefused):
        books.book_of(bytes(data))


def test_broken_files_are_refused_and_never_more() -> None:
    dice = random.Random(7)
    for _turn in range(40):
        data = bytearray((HERE / "plan.xls").read_bytes())
        for _change in range(10):
            data[dice.randrange(len(data))] = dice.randrange(256)
        with suppress(FileRefused):
            books.book_of(bytes(data))
