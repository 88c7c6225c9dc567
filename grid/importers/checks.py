"""What must hold before staged rows may touch the network; every check is set-based and names row and column."""

from __future__ import annotations

from typing import NamedTuple

from django.db import connection, models

from grid.importers.staging import ERRORS_KEPT, REQUIRED, Problem, Staging
from grid.models import AreaClass, Branch, Customer, CustomerClass, ElementKind, GridElement, Importance, ServicePoint

TRUE_WORDS = ("1", "true", "t", "yes", "y", "是")
FALSE_WORDS = ("", "0", "false", "f", "no", "n", "否")


class Check(NamedTuple):
    column: str
    code: str
    bad: str  # SQL over one raw row


LENGTHS: dict[str, dict[str, int]] = {
    "branches": {"code": 64, "name": 128, "name_en": 128, "time_zone": 64, "phone": 32},
    "elements": {"code": 128, "name": 200},
    "customers": {"account_number": 64, "name": 128, "initials": 64, "language": 8},
    "service_points": {"code": 128, "meter_number": 64, "address": 254},
}
CHOICES: dict[str, dict[str, type[models.TextChoices]]] = {
    "branches": {"area_class": AreaClass},
    "elements": {"kind": ElementKind},
    "customers": {"customer_class": CustomerClass, "importance": Importance},
    "service_points": {},
}
KEYS = {"branches": "code", "elements": "code", "customers": "account_number", "service_points": "code"}
LIVE = {
    "branches": Branch._meta.db_table,
    "elements": GridElement._meta.db_table,
    "customers": Customer._meta.db_table,
    "service_points": ServicePoint._meta.db_table,
}


def number(column: str) -> str:
    """A staged number; only used on rows that passed the checks."""
    return f"nullif(r.{column}, '')::float8"


def boolean(column: str) -> str:
    words = ", ".join(f"'{word}'" for word in TRUE_WORDS)
    return f"(lower(r.{column}) IN ({words}))"


def row_checks(table: str) -> list[Check]:
    checks = [Check(column, "missing", f"coalesce(r.{column}, '') = ''") for column in REQUIRED[table]]
    checks += [Check(column, "too_long", f"length(r.{column}) > {n}") for column, n in LENGTHS[table].items()]
    for column, choices in CHOICES[table].items():
        allowed = ", ".join(f"'{value}'" for value in choices.values)
        checks.append(Check(column, "bad_choice", f"r.{column} <> '' AND r.{column} NOT IN ({allowed})"))
    if table in ("elements", "service_points"):
        checks += [_number("lon", "bad_coordinate", 180, -180), _number("lat", "bad_coordinate", 90, -90)]
    if table == "elements":
        words = ", ".join(f"'{word}'" for word in (*TRUE_WORDS, *FALSE_WORDS))
        checks += [Check(c, "bad_boolean", f"lower(r.{c}) NOT IN ({words})") for c in ("is_source", "normally_open")]
        checks.append(
            Check(
                "geometry",
                "bad_geometry",
                "r.geometry <> '' AND NOT (CASE WHEN pg_input_is_valid(r.geometry, 'jsonb')"
                " THEN jsonb_typeof(r.geometry::jsonb) IN ('array', 'null') ELSE false END)",
            )
        )
        checks.append(Check("parent", "self_reference", "r.parent = r.code"))
    if table == "service_points":
        checks += [_number(c, "bad_number", 10_000_000, 0) for c in ("contracted_kw", "average_kw")]
    return checks


def _number(column: str, code: str, high: float, low: float) -> Check:
    bad = (
        f"r.{column} <> '' AND NOT (CASE WHEN pg_input_is_valid(r.{column}, 'float8')"
        f" THEN r.{column}::float8 BETWEEN {low} AND {high} ELSE false END)"
    )
    return Check(column, code, bad)


def check_all(staging: Staging) -> None:
    """Note every problem of the staged rows, some hundreds at most."""
    for table in staging.present:
        _check_rows(staging, table)
        _check_duplicates(staging, table)
        _check_owner(staging, table)
    _check_references(staging)
    _check_branch_cycles(staging)
    if "customers" in staging.present:
        _note(
            staging,
            "customers",
            "phone",
            "bad_phone",
            "SELECT row, given FROM raw_contacts WHERE kind = 'phone' AND value IS NULL",
        )
        _note(
            staging,
            "customers",
            "email",
            "bad_email",
            "SELECT row, given FROM raw_contacts WHERE kind = 'email' AND value IS NULL",
        )


def _check_rows(staging: Staging, table: str) -> None:
    checks = row_checks(table)
    any_bad = " OR ".join(f"({check.bad})" for check in checks)
    each = ", ".join(f"('{c.column}', '{c.code}', r.{c.column}, {c.bad})" for c in checks)
    with connection.cursor() as db:
        db.execute(
            f"SELECT r.row, p.column_name, p.code, left(coalesce(p.value, ''), 100) FROM raw_{table} r"  # noqa: S608
            f" CROSS JOIN LATERAL (VALUES {each}) p (column_name, code, value, bad)"
            f" WHERE ({any_bad}) AND p.bad ORDER BY r.row LIMIT {ERRORS_KEPT}"
        )
        for row, column, code, value in db.fetchall():
            _add(staging, table, row, column, code, value)


def _check_duplicates(staging: Staging, table: str) -> None:
    key = KEYS[table]
    _note(
        staging, table, key, "duplicate",
        f"SELECT max(row), {key} FROM raw_{table} WHERE {key} <> '' GROUP BY {key} HAVING count(*) > 1",  # noqa: S608
    )  # fmt: skip


def _check_owner(staging: Staging, table: str) -> None:
    """A code that came with another network is not taken over silently."""
    if table == "branches":
        return
    key = KEYS[table]
    _note(
        staging, table, key, "code_taken",
        f"SELECT r.row, r.{key} || ' (' || l.source || ')' FROM raw_{table} r"  # noqa: S608
        f" JOIN {LIVE[table]} l ON l.{key} = r.{key} WHERE l.source NOT IN ('', %s)",
        [staging.source],
    )  # fmt: skip


def _check_references(staging: Staging) -> None:
    references = [
        ("branches", "parent", "branches", "unknown_branch"),
        ("elements", "branch", "branches", "unknown_branch"),
        ("elements", "parent", "elements", "unknown_element"),
        ("customers", "branch", "branches", "unknown_branch"),
        ("service_points", "branch", "branches", "unknown_branch"),
        ("service_points", "account_number", "customers", "unknown_account"),
        ("service_points", "element", "elements", "unknown_element"),
    ]
    for table, column, target, code in references:
        if column not in staging.present.get(table, ()):
            continue
        key = KEYS[target]
        # the distinct values first: a million service points name a few thousand elements
        _note(
            staging, table, column, code,
            f"SELECT min(r.row), r.{column} FROM raw_{table} r WHERE r.{column} <> ''"  # noqa: S608
            f" AND r.{column} IN (SELECT {column} FROM raw_{table} WHERE {column} <> ''"
            f"  EXCEPT SELECT {key} FROM raw_{target} EXCEPT SELECT {key} FROM {LIVE[target]})"
            f" GROUP BY r.{column}",
        )  # fmt: skip
    if "ties" in staging.present.get("elements", ()):
        _note(
            staging, "elements", "ties", "unknown_element",
            "SELECT r.row, trim(t) FROM raw_elements r, regexp_split_to_table(r.ties, '[;；]') t"  # noqa: S608
            " WHERE r.ties <> '' AND trim(t) <> '' AND NOT EXISTS (SELECT FROM raw_elements x WHERE x.code = trim(t))"
            f" AND NOT EXISTS (SELECT FROM {LIVE['elements']} x WHERE x.code = trim(t))",
        )  # fmt: skip
    _check_element_cycles(staging)


def _check_element_cycles(staging: Staging) -> None:
    """Parents must lead somewhere: whoever is left when all with a settled parent are taken away is in a ring."""
    if "parent" not in staging.present.get("elements", ()):
        return
    with connection.cursor() as db:
        db.execute("SELECT row, code, parent FROM raw_elements WHERE parent <> ''")
        rows: dict[str, tuple[int, str]] = {code: (row, parent) for row, code, parent in db.fetchall()}
    _add_cycles(staging, "elements", rows)


def _check_branch_cycles(staging: Staging) -> None:
    if "parent" not in staging.present.get("branches", ()):
        return
    with connection.cursor() as db:
        db.execute("SELECT row, code, parent FROM raw_branches WHERE parent <> ''")
        rows: dict[str, tuple[int, str]] = {code: (row, parent) for row, code, parent in db.fetchall()}
        # branches that stay as they are can close a ring with those of the file
        db.execute(
            f"SELECT 0, b.code, p.code FROM {LIVE['branches']} b JOIN {LIVE['branches']} p ON p.id = b.parent_id"  # noqa: S608
            " WHERE NOT EXISTS (SELECT FROM raw_branches r WHERE r.code = b.code)"
        )
        rows |= {code: (row, parent) for row, code, parent in db.fetchall()}
    _add_cycles(staging, "branches", rows)


def _add_cycles(staging: Staging, table: str, rows: dict[str, tuple[int, str]]) -> None:
    settled: set[str] = set()
    for start in rows:
        trail: dict[str, None] = {}
        code = start
        while code in rows and code not in settled and code not in trail:
            trail[code] = None
            code = rows[code][1]
        if code in trail and rows[code][1] != code:
            _add(staging, table, rows[code][0], "parent", "cycle", code)
        settled.update(trail)


def _note(staging: Staging, table: str, column: str, code: str, sql: str, params: list[str] | None = None) -> None:
    with connection.cursor() as db:
        db.execute(f"{sql} LIMIT {ERRORS_KEPT}", params)
        for row, value in db.fetchall():
            _add(staging, table, row, column, code, value)


def _add(staging: Staging, table: str, row: int, column: str, code: str, value: str) -> None:
    file, own_row = staging.locate(table, row)
    staging.problems.append(Problem(code=code, file=file, row=own_row, column=column, value=str(value or "")[:100]))
