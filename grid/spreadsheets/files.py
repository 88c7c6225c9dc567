"""Opening a file that somebody sent. What was counted is what is parsed.

The type is told by the content, never by the name. Before any parser sees a workbook its parts have been unpacked
here against limits and packed again, so that no declared size, no second directory and no surplus part can matter;
how far its cells reach is known, because one cell in the last corner makes a parser lay out billions of empty ones.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final, TypeVar

from django.utils.translation import gettext_lazy as _

from grid.spreadsheets import biff, markup
from standards.errors import DomainError

MAX_BYTES: Final = 20 * 1024**2
MAX_UNPACKED: Final = 200 * 1024**2
MAX_ENTRIES: Final = 2000
MAX_AREA: Final = 4_000_000  # cells of one sheet, the empty ones between included
_CHUNK: Final = 1024**2

T = TypeVar("T")


class FileRefused(DomainError):
    """A file that is not read; each reason is a class with its own code."""

    code = "sheet_unreadable"
    message = _("This file cannot be read. Open it in your spreadsheet program and save it again as .xlsx.")


class FileEmpty(FileRefused):
    code = "sheet_empty"
    message = _("The file is empty.")


class FileTooBig(FileRefused):
    code = "sheet_too_big"
    message = _("The file is larger than %(megabytes)d MB.")


class FileUnpacksTooBig(FileRefused):
    code = "sheet_unpacks_too_big"
    message = _("Unpacked, the file is far too large. Save it again as .xlsx with nothing but the table in it.")


class FileTooWide(FileRefused):
    code = "sheet_too_wide"
    message = _("“%(sheet)s” has cells far away from its table. Delete the empty rows and columns and save it again.")


class FileHasMacros(FileRefused):
    code = "sheet_macros"
    message = _("The file contains macros. Save it as .xlsx without macros.")


class FileEncrypted(FileRefused):
    code = "sheet_encrypted"
    message = _("The file is protected by a password. Save it without one.")


class FileIsWebPage(FileRefused):
    code = "sheet_web_page"
    message = _("This is a web page or an XML file with the ending of a spreadsheet. Save it as .xlsx.")


class FileNotSheet(FileRefused):
    code = "sheet_format"
    message = _("This is no spreadsheet. Send .xlsx, .xls, .ods or .csv.")


class FileTooManyRows(FileRefused):
    code = "sheet_rows"
    message = _("The table has more than %(rows)d rows. Split it into several files.")


class FileNoTable(FileRefused):
    code = "sheet_no_table"
    message = _("There is no table in this file.")


def refusal(code: str, params: Mapping[str, object]) -> str:
    """The words of a refusal that was kept by its code."""
    kinds = {kind.code: kind for kind in (FileRefused, *FileRefused.__subclasses__())}
    return str(kinds.get(code, FileRefused)(None, field="", **dict(params)))


@dataclass(frozen=True)
class Opened:
    """A file that is safe to parse: a workbook for the parser, or text."""

    kind: str  # xlsx, xls, ods, csv
    data: bytes = b""
    text: str = ""
    is_1904: bool = False
    # what a parser does not tell, sheet by sheet: {(row, column): text} of formulas without a value and errors
    odd: Mapping[str, Mapping[tuple[int, int], str]] = field(default_factory=dict)


def opened(data: bytes) -> Opened:
    """What this file is, ready for its parser. Raises ``FileRefused``."""
    if not data.strip(b"\x00 \t\r\n\xef\xbb\xbf\xff\xfe"):
        raise FileEmpty()
    if len(data) > MAX_BYTES:
        raise FileTooBig(megabytes=MAX_BYTES // 1024**2)
    if data.startswith(b"PK"):
        return _zipped(data)
    if data.startswith(biff.SIGNATURE):
        return _compound(data)
    return _plain(data)


# --- zipped workbooks -------------------------------------------------------------------------------

_XLSX_PARTS: Final = re.compile(
    r"\[Content_Types\]\.xml|_rels/\.rels|xl/(_rels/)?workbook\.xml(\.rels)?|xl/sharedStrings\.xml|xl/styles\.xml"
    r"|xl/worksheets/[^/]+\.xml",
    re.I,
)
_ODS_PARTS: Final = re.compile(r"mimetype|content\.xml|META-INF/manifest\.xml", re.I)
_MACROS: Final = re.compile(r"(.*/)?vbaProject[^/]*\.bin|xl/macrosheets/.*|Basic/.+|Scripts/.+", re.I)


def _zipped(data: bytes) -> Opened:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _unzipped(archive)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, OSError, KeyError) as broken:
        raise FileRefused() from broken
    except RuntimeError as locked:  # zipfile's word for an entry with a password
        raise FileEncrypted() from locked


def _unzipped(archive: zipfile.ZipFile) -> Opened:
    entries = archive.infolist()
    if len(entries) > MAX_ENTRIES:
        raise FileUnpacksTooBig()
    names = {entry.filename.replace("\\", "/") for entry in entries}
    if any(_MACROS.fullmatch(name) for name in names):
        raise FileHasMacros()
    if "xl/workbook.xml" in names:
        kind, wanted = "xlsx", _XLSX_PARTS
    elif "content.xml" in names:
        kind, wanted = "ods", _ODS_PARTS
    else:
        raise FileNotSheet()
    parts = _parts(archive, wanted)
    safe = io.BytesIO()
    with zipfile.ZipFile(safe, "w", zipfile.ZIP_STORED) as clean:
        for name, part in parts.items():
            clean.writestr(name, part)
    look = _look_at_xlsx if kind == "xlsx" else _look_at_ods
    is_1904, odd = look(parts)
    return Opened(kind, data=safe.getvalue(), is_1904=is_1904, odd=odd)


def _parts(archive: zipfile.ZipFile, wanted: re.Pattern[str]) -> dict[str, bytes]:
    """The parts that a parser needs, unpacked no further than the limit whatever sizes the directory declares."""
    parts: dict[str, bytes] = {}
    left = MAX_UNPACKED
    for entry in archive.infolist():
        name = entry.filename.replace("\\", "/")
        if not wanted.fullmatch(name):
            continue
        if name in parts:
            raise FileRefused()  # two parts of one name: two programs would read two different files
        if entry.file_size > left:
            raise FileUnpacksTooBig()
        unpacked = bytearray()
        with archive.open(entry) as stream:
            while chunk := stream.read(_CHUNK):
                unpacked += chunk
                left -= len(chunk)
                if left < 0:
                    raise FileUnpacksTooBig()
        parts[name] = bytes(unpacked)
    return parts


_Odd = dict[str, dict[tuple[int, int], str]]


def _look_at_xlsx(parts: Mapping[str, bytes]) -> tuple[bool, _Odd]:
    if b"macroEnabled" in parts.get("[Content_Types].xml", b""):
        raise FileHasMacros()
    book = _understood(lambda: markup.workbook(parts))
    styles = parts.get("xl/styles.xml")
    moments = _understood(lambda: markup.moment_styles(styles)) if styles else frozenset()
    odd: _Odd = {}
    for sheet, path in book.sheets.items():
        if path in parts:
            look = partial(markup.worksheet, parts[path], moments=moments, is_1904=book.is_1904)
            cells = _understood(look)
            _area_check(sheet, cells.rows, cells.columns)
            odd[sheet] = cells.odd
    return book.is_1904, odd


def _look_at_ods(parts: Mapping[str, bytes]) -> tuple[bool, _Odd]:
    if b"encryption-data" in parts.get("META-INF/manifest.xml", b""):
        raise FileEncrypted()
    odd: _Odd = {}
    for sheet, cells in _understood(lambda: markup.spreadsheet(parts["content.xml"])).items():
        _area_check(sheet, cells.rows, cells.columns)
        odd[sheet] = cells.odd
    return False, odd


def _understood(look: Callable[[], T]) -> T:
    try:
        return look()
    except markup.Broken as broken:
        raise FileRefused() from broken


def _area_check(sheet: str, rows: int, columns: int) -> None:
    if rows * columns > MAX_AREA:
        raise FileTooWide(sheet=sheet[:100])


# --- .xls -------------------------------------------------------------------------------------------


def _compound(data: bytes) -> Opened:
    try:
        book = biff.look(data)
    except biff.Broken as broken:
        raise FileRefused() from broken
    if book.is_encrypted:
        raise FileEncrypted()
    if book.has_macros:
        raise FileHasMacros()
    if not book.has_workbook:
        raise FileNotSheet()
    _area_check("", book.rows, book.columns)
    return Opened("xls", data=data, is_1904=book.is_1904)


# --- text -------------------------------------------------------------------------------------------

_MARKS: Final = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_WEB: Final = re.compile(r"\s*(<!doctype\s+html|<html|<table|<meta|<\?xml|<head|<body|MIME-Version:)", re.I)
_BINARY: Final = re.compile(r"[\x00-\x08\x0e-\x1f]")
_FOREIGN: Final = (b"%PDF", b"{\\rtf", b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"\x1f\x8b", b"Rar!", b"7z\xbc\xaf", b"MZ")


def _plain(data: bytes) -> Opened:
    if data.startswith(_FOREIGN):
        raise FileNotSheet()
    marked = next((encoding for mark, encoding in _MARKS if data.startswith(mark)), None)
    for encoding in [marked] if marked else ["utf-8", "gb18030"]:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if _WEB.match(text):
            raise FileIsWebPage()
        if _BINARY.search(text):
            raise FileNotSheet()
        return Opened("csv", text=text)
    raise FileNotSheet()
