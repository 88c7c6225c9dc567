"""Where every format puts what it read: temporary tables of plain text, filled by COPY, checked by SQL."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO

import psycopg2
from django.db import connection
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from standards.errors import DomainError

ERRORS_KEPT = 500  # more than anybody reads; the file must be mended first

# the four kinds of rows, with every column that they may have
COLUMNS: dict[str, tuple[str, ...]] = {
    "branches": ("code", "name", "name_en", "parent", "area_class", "time_zone", "phone"),
    "elements": (
        "code", "kind", "name", "branch", "parent", "ties", "is_source", "normally_open", "lon", "lat", "geometry",
    ),
    "customers": (
        "account_number", "name", "initials", "customer_class", "importance", "language", "branch", "phone", "email",
    ),
    "service_points": (
        "code", "meter_number", "account_number", "element", "branch", "address", "lon", "lat", "contracted_kw",
        "average_kw",
    ),
}  # fmt: skip

REQUIRED: dict[str, tuple[str, ...]] = {
    "branches": ("code", "name"),
    "elements": ("code", "kind", "branch"),
    "customers": ("account_number", "name", "branch"),
    "service_points": ("code", "account_number", "element"),
}

_TEMPORARY = (
    *(f"{stage}_{table}" for table in COLUMNS for stage in ("raw", "diff", "gone")),
    *(f"{stage}_edges" for stage in ("raw", "new", "live", "added", "gone")),
    *(f"{stage}_contacts" for stage in ("raw", "new", "added", "gone")),
    "phone_of",
    "initials_of",
)

MESSAGES: dict[str, Promise] = {
    "bad_boolean": _("“%(value)s” is neither yes nor no."),
    "bad_choice": _("“%(value)s” is not one of the allowed values."),
    "bad_coordinate": _("“%(value)s” is not a coordinate."),
    "bad_email": _("“%(value)s” is not an e-mail address."),
    "bad_encoding": _("The file is neither UTF-8 nor GBK."),
    "bad_file": _("The file cannot be read: %(value)s"),
    "import_died": _("The import was interrupted and nothing was changed. Upload the files again."),
    "bad_geometry": _("The geometry is not a JSON list of points."),
    "bad_number": _("“%(value)s” is not a number that can stand here."),
    "bad_phone": _("“%(value)s” is not a telephone number."),
    "bad_row": _("The row cannot be read: %(value)s"),
    "code_taken": _("“%(value)s” belongs to another import."),
    "cycle": _("“%(value)s” is its own ancestor."),
    "dss_missing": _("Reading OpenDSS needs the package dss-python: pip install dss-python."),
    "duplicate": _("“%(value)s” stands here more than once."),
    "has_doctype": _("The file has a document type definition, which is refused."),
    "in_use": _("“%(value)s” is missing from the file but still used by records that must stay."),
    "missing": _("A value is missing."),
    "missing_column": _("The column “%(value)s” is missing."),
    "no_rows": _("There is nothing in this file that can be imported."),
    "self_reference": _("“%(value)s” refers to itself."),
    "too_big": _("The file is larger than %(value)s when unpacked."),
    "too_long": _("“%(value)s” is too long."),
    "unknown_account": _("No customer has the account number “%(value)s”."),
    "unknown_branch": _("No branch has the code “%(value)s”."),
    "unknown_column": _("The column “%(value)s” is not known here."),
    "unknown_element": _("No grid element has the code “%(value)s”."),
    "unknown_file": _("The first row does not say what this file holds."),
    "unresolved": _("“%(value)s” points to something that is not in these files."),
}


@dataclass(frozen=True)
class Problem:
    """Something wrong with the data, at a place that a person can find."""

    code: str
    file: str = ""
    row: int | None = None
    column: str = ""
    value: str = ""

    def as_dict(self) -> dict[str, object]:
        return {"file": self.file, "row": self.row, "column": self.column, "code": self.code, "value": self.value}


def problem_text(problem: dict[str, object]) -> str:
    """What a kept problem says, in the reader's language."""
    message = MESSAGES.get(str(problem.get("code")))
    return str(message) % {"value": problem.get("value", "")} if message else str(problem.get("code"))


class ImportRefused(DomainError):
    """The files cannot be imported; nothing was written."""

    code = "import_refused"
    message = _("The files cannot be imported; nothing was changed.")

    def __init__(self, *problems: Problem) -> None:
        self.problems = list(problems)
        super().__init__()


@dataclass
class Staging:
    """The temporary tables of one import, inside its transaction."""

    source: str = ""  # the origin that these rows belong to: the network's name, or the kind of file
    branch_code: str = ""  # the branch of networks that do not name any
    present: dict[str, set[str]] = field(default_factory=dict)  # columns that the files gave, by table
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    progress: Callable[[int, str], None] = lambda _percent, _stage: None
    _files: dict[str, list[tuple[int, str]]] = field(default_factory=dict)

    def create(self) -> None:
        with connection.cursor() as db:
            # an earlier import of the same transaction may have left its own
            db.execute(f"DROP TABLE IF EXISTS {', '.join(f'pg_temp.{table}' for table in _TEMPORARY)}")
            for table, columns in COLUMNS.items():
                db.execute(
                    f"CREATE TEMP TABLE raw_{table} (row bigint GENERATED ALWAYS AS IDENTITY,"
                    f" {', '.join(f'{column} text' for column in columns)}) ON COMMIT DROP"
                )
            # adjacencies without direction, by code
            db.execute("CREATE TEMP TABLE raw_edges (a text, b text) ON COMMIT DROP")

    def refuse_if_broken(self) -> None:
        if self.problems:
            raise ImportRefused(*self.problems[:ERRORS_KEPT])

    def copy_csv(self, table: str, *, file: str, columns: Sequence[str], stream: IO[bytes], encoding: str) -> None:
        """COPY a CSV stream without its first row, as it is; a broken row becomes a problem of that row."""
        self.begin(table, file, columns)
        sql = f"COPY raw_{table} ({', '.join(columns)}) FROM STDIN (FORMAT csv, NULL E'\\x02', ENCODING '{encoding}')"
        try:
            with connection.cursor() as db:
                db.execute("SAVEPOINT before_copy")
                db.copy_expert(sql, stream)
        except psycopg2.Error as broken:
            with connection.cursor() as db:
                db.execute("ROLLBACK TO SAVEPOINT before_copy")
            self.problems.append(_copy_problem(broken, file=file))

    def copy_rows(self, table: str, *, file: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """COPY rows made by a reader."""
        self.begin(table, file, columns)
        copy_rows(f"raw_{table}", columns, rows)

    def copy_chunk(self, table: str, columns: Sequence[str], text: str) -> None:
        """COPY ready-made tab-separated text; ``begin`` comes first."""
        with connection.cursor() as db:
            db.copy_expert(f"COPY raw_{table} ({', '.join(columns)}) FROM STDIN", io.StringIO(text))

    def locate(self, table: str, row: int) -> tuple[str, int]:
        """The file and its own row number of a staged row."""
        file, first = "", 0
        for first_row, name in self._files.get(table, []):
            if first_row <= row:
                file, first = name, first_row
        return file, row - first + 2  # the first row of a file is its heading

    def begin(self, table: str, file: str, columns: Sequence[str]) -> None:
        """Rows of another file, with these columns, come next."""
        with connection.cursor() as db:
            db.execute(f"SELECT coalesce(max(row), 0) + 1 FROM raw_{table}")  # noqa: S608
            first_row = int(db.fetchone()[0])
        self._files.setdefault(table, []).append((first_row, file))
        known = self.present.get(table)
        # a column that only one of several files has is not known for the rows of the others
        self.present[table] = set(columns) if known is None else known & set(columns)


def _copy_problem(broken: psycopg2.Error, *, file: str) -> Problem:
    where = re.search(r"COPY \w+, line (\d+)(?:, column (\w+))?", broken.diag.context or "")
    reason = (broken.diag.message_primary or str(broken)).strip()
    return Problem(
        code="bad_row",
        file=file,
        row=int(where[1]) + 1 if where else None,
        column=(where[2] or "") if where else "",
        value=reason[:200],
    )


_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": " "})


def copy_rows(table: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """COPY Python rows into a table, in chunks of bounded memory."""
    sql = f"COPY {table} ({', '.join(columns)}) FROM STDIN"
    with connection.cursor() as db:
        for chunk in _chunks(rows):
            db.copy_expert(sql, io.StringIO(chunk))


def _chunks(rows: Iterable[Sequence[object]]) -> Iterator[str]:
    lines: list[str] = []
    for row in rows:
        lines.append("\t".join("\\N" if v is None else str(v).translate(_ESCAPES) for v in row) + "\n")
        if len(lines) >= 20_000:
            yield "".join(lines)
            lines = []
    if lines:
        yield "".join(lines)
