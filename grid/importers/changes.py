"""The difference between staged rows and what is there, and its application: one statement per kind of change."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from django.db import connection, models
from django.db.models.fields.reverse_related import ManyToOneRel

from grid.forest import network_rebuild
from grid.importers.checks import KEYS, LIVE, boolean, number
from grid.importers.staging import ERRORS_KEPT, ImportRefused, Problem, Staging
from grid.models import ContactPoint, Customer, GridElement, GridTie, ServicePoint

SAMPLES = 20
ANALYZE_FROM = 1000  # rows

BRANCH, ELEMENT, CUSTOMER, POINT = (LIVE[t] for t in ("branches", "elements", "customers", "service_points"))
TIE, CONTACT = GridTie._meta.db_table, ContactPoint._meta.db_table


class Field(NamedTuple):
    """One column: how it is staged, what stands in the row now, and the value of a new row that does not say."""

    raw: str  # staged column
    value: str  # SQL of the staged value
    live: str  # SQL of the value now, comparable with ``value``
    default: str  # SQL
    column: str  # column of the live table
    stored: str = ""  # SQL of what is written, if not ``value``


def _text(name: str, default: str = "''") -> Field:
    return Field(name, f"r.{name}", f"l.{name}", default, name)


def _choice(name: str, default: str) -> Field:
    return Field(name, f"coalesce(nullif(r.{name}, ''), '{default}')", f"l.{name}", f"'{default}'", name)


def _number(name: str, default: str) -> Field:
    value = number(name) if default == "NULL::float8" else f"coalesce({number(name)}, {default})"
    return Field(name, value, f"l.{name}", default, name)


def _branch() -> Field:
    return Field("branch", "r.branch", "lb.code", "NULL", "branch_id", "rb.id")


class Entity(NamedTuple):
    table: str
    fields: tuple[Field, ...]
    live_joins: str = ""  # joins that ``Field.live`` needs, all LEFT
    stored_joins: str = ""  # joins that ``Field.stored`` needs
    fixed: dict[str, str] = {}  # further columns of a new row


_IN_BRANCH = f"LEFT JOIN {BRANCH} lb ON lb.id = l.branch_id"
_TO_BRANCH = f"LEFT JOIN {BRANCH} rb ON rb.code = r.branch"

ENTITIES: tuple[Entity, ...] = (
    Entity(
        "branches",
        (
            _text("code"), _text("name"), _text("name_en"), _choice("area_class", "urban"),
            _choice("time_zone", "Asia/Shanghai"), _text("phone"),
        ),
        fixed={"pos": "0", "last": "0", "send_from": "'07:00'", "send_until": "'22:00'", "rule_pack": "'cn-sgcc'"},
    ),
    Entity(
        "elements",
        (
            _text("code"), _text("kind"), _text("name"), _branch(),
            Field("is_source", boolean("is_source"), "l.is_source", "false", "is_source"),
            Field("normally_open", boolean("normally_open"), "l.normally_open", "false", "normally_open"),
            _number("lon", "NULL::float8"), _number("lat", "NULL::float8"),
            Field("geometry", "nullif(nullif(r.geometry, '')::jsonb, 'null')", "l.geometry", "NULL::jsonb", "geometry"),
        ),
        live_joins=_IN_BRANCH,
        stored_joins=_TO_BRANCH,
        fixed={
            "pos": "0", "last": "0", "customers": "0", "critical_customers": "0", "load_kw": "0",
            "own_customers": "0", "own_critical": "0", "own_load_kw": "0",
        },
    ),
    Entity(
        "customers",
        (
            _text("account_number"), _text("name"), _text("initials"), _choice("customer_class", "residential"),
            _choice("importance", "normal"), _choice("language", "zh-hans"), _branch(),
        ),
        live_joins=_IN_BRANCH,
        stored_joins=_TO_BRANCH,
    ),
    Entity(
        "service_points",
        (
            _text("code"), _text("meter_number"), _text("address"),
            Field("account_number", "r.account_number", "lc.account_number", "NULL", "customer_id", "rc.id"),
            Field("element", "r.element", "le.code", "NULL", "element_id", "re.id"),
            _number("lon", "NULL::float8"), _number("lat", "NULL::float8"),
            _number("contracted_kw", "0::float8"), _number("average_kw", "0::float8"),
        ),
        live_joins=f"{_IN_BRANCH} LEFT JOIN {CUSTOMER} lc ON lc.id = l.customer_id"
        f" LEFT JOIN {ELEMENT} le ON le.id = l.element_id",
        stored_joins=f"JOIN {CUSTOMER} rc ON rc.account_number = r.account_number"
        f" JOIN {ELEMENT} re ON re.code = r.element"
        f" LEFT JOIN {BRANCH} rb ON rb.code = nullif(r.branch, '')",
    ),
)  # fmt: skip
MODELS: dict[str, type[models.Model]] = {"elements": GridElement, "customers": Customer, "service_points": ServicePoint}


class Changes(NamedTuple):
    counts: dict[str, dict[str, int]]
    samples: dict[str, dict[str, list[Any]]]

    def is_empty(self) -> bool:
        return not any(n for counts in self.counts.values() for n in counts.values())


def edges_stage(staging: Staging) -> None:
    """Adjacencies that the elements' rows state: their parents and their ties."""
    present = staging.present.get("elements", set())
    with connection.cursor() as db:
        if "parent" in present:
            db.execute("INSERT INTO raw_edges SELECT code, parent FROM raw_elements WHERE parent <> ''")
        if "ties" in present:
            db.execute(
                "INSERT INTO raw_edges SELECT code, trim(t) FROM raw_elements, regexp_split_to_table(ties, '[;；]') t"
                " WHERE ties <> '' AND trim(t) <> ''"
            )
        for table in staging.present:
            db.execute(f"ANALYZE raw_{table}")
        db.execute("ANALYZE raw_edges")


def changes_find(staging: Staging) -> Changes:
    """Work out what would be added, changed and removed; writes nothing but temporary tables."""
    counts: dict[str, dict[str, int]] = {}
    samples: dict[str, dict[str, list[Any]]] = {}
    for entity in ENTITIES:
        if entity.table in staging.present:
            counts[entity.table], samples[entity.table] = _entity_changes(staging, entity)
    if "elements" in staging.present:
        counts["connections"], samples["connections"] = _edge_changes()
    if "customers" in staging.present and {"phone", "email"} & staging.present["customers"]:
        counts["contacts"], samples["contacts"] = _contact_changes(staging)
    return Changes(counts, samples)


def _value(field: Field, present: set[str]) -> str:
    """The value that the row will have."""
    if field.raw in present:
        return field.value
    return f"coalesce({field.live}, {field.default})"


def _entity_changes(staging: Staging, entity: Entity) -> tuple[dict[str, int], dict[str, list[Any]]]:
    table, key, live = entity.table, KEYS[entity.table], LIVE[entity.table]
    compared = [f for f in entity.fields if f.raw in staging.present[table] and f.raw != key]
    before = ", ".join(f.live for f in compared)
    after = ", ".join(f.value for f in compared)
    extra_before, extra_after, extra_joins = "", "", ""
    if table == "branches":
        extra_before, extra_after = ", coalesce(lp.code, '')", ", r.parent"
        extra_joins = f"LEFT JOIN {BRANCH} lp ON lp.id = l.parent_id"
        if "parent" not in staging.present[table]:
            extra_before = extra_after = ""
    if table == "service_points" and "branch" in staging.present[table]:
        extra_before, extra_after = ", lb.code", ", coalesce(nullif(r.branch, ''), lb.code)"
    with connection.cursor() as db:
        db.execute(
            f"""
            CREATE TEMP TABLE diff_{table} ON COMMIT DROP AS
            SELECT r.row, r.{key} AS key, l.id, l.id IS NULL AS is_new FROM raw_{table} r
            LEFT JOIN {live} l ON l.{key} = r.{key} {entity.live_joins} {extra_joins}
            WHERE l.id IS NULL OR ROW({before}{extra_before}) IS DISTINCT FROM ROW({after}{extra_after})
            """  # noqa: S608
        )
        db.execute(f"ANALYZE diff_{table}")
        if table == "branches":  # a branch is never removed by a file: people and history belong to it
            db.execute("CREATE TEMP TABLE gone_branches (id bigint, key text) ON COMMIT DROP")
        else:
            in_branches = _branch_scope(staging)
            db.execute(
                f"""
                CREATE TEMP TABLE gone_{table} ON COMMIT DROP AS
                SELECT l.id, l.{key} AS key FROM {live} l WHERE l.source = %s AND {in_branches}
                AND NOT EXISTS (SELECT FROM raw_{table} r WHERE r.{key} = l.{key})
                """,  # noqa: S608
                [staging.source],
            )
        db.execute(
            f"SELECT count(*) FILTER (WHERE is_new), count(*) FILTER (WHERE NOT is_new),"  # noqa: S608
            f" (SELECT count(*) FROM gone_{table}) FROM diff_{table}"
        )
        added, changed, removed = db.fetchone()
        samples: dict[str, list[Any]] = {}
        db.execute(f"SELECT key FROM diff_{table} WHERE is_new ORDER BY row LIMIT {SAMPLES}")  # noqa: S608
        samples["added"] = [code for (code,) in db.fetchall()]
        db.execute(f"SELECT key FROM gone_{table} ORDER BY key LIMIT {SAMPLES}")  # noqa: S608
        samples["removed"] = [code for (code,) in db.fetchall()]
        labels = [f.raw for f in compared]
        both = ", ".join(f"jsonb_build_array({f.live}, {f.value})" for f in compared) or "NULL"
        db.execute(
            f"SELECT d.key, {both} FROM (SELECT * FROM diff_{table} WHERE NOT is_new ORDER BY row LIMIT {SAMPLES}) d"  # noqa: S608
            f" JOIN raw_{table} r ON r.row = d.row JOIN {live} l ON l.id = d.id {entity.live_joins} ORDER BY d.row"
        )
        samples["changed"] = [_change(row[0], labels, row[1:]) for row in db.fetchall()]
    return {"added": added, "changed": changed, "removed": removed}, samples


def _change(code: str, labels: list[str], pairs: Any) -> dict[str, Any]:
    # under Django a raw cursor hands jsonb over as text
    values = [json.loads(pair) if isinstance(pair, str) else pair for pair in pairs]
    return {"code": code, "fields": {n: v for n, v in zip(labels, values, strict=True) if v and v[0] != v[1]}}


def _branch_scope(staging: Staging) -> str:
    """Rows of branches that the files do not mention are left alone: a file of one branch removes nothing elsewhere."""
    named = " UNION ".join(
        f"SELECT {column} FROM raw_{table}"  # noqa: S608
        for table, column in (("elements", "branch"), ("customers", "branch"), ("service_points", "branch"))
        if column in staging.present.get(table, ())
    )
    points = (
        f"SELECT b.code FROM raw_service_points r JOIN {ELEMENT} e ON e.code = r.element"  # noqa: S608
        f" JOIN {BRANCH} b ON b.id = e.branch_id"
    )
    named = " UNION ".join(filter(None, [named, points]))
    return f"l.branch_id IN (SELECT id FROM {BRANCH} WHERE code IN ({named}))"  # noqa: S608


_LIVE_EDGES = f"""
    SELECT least(c.code, p.code) AS a, greatest(c.code, p.code) AS b
    FROM {ELEMENT} c JOIN {ELEMENT} p ON p.id = c.parent_id
    UNION
    SELECT least(x.code, y.code), greatest(x.code, y.code)
    FROM {TIE} t JOIN {ELEMENT} x ON x.id = t.a_id JOIN {ELEMENT} y ON y.id = t.b_id
"""  # noqa: S608 - only tables' names


def _edge_changes() -> tuple[dict[str, int], dict[str, list[Any]]]:
    """Adjacencies have no direction: which side is the parent is worked out, not imported."""
    with connection.cursor() as db:
        db.execute(
            "CREATE TEMP TABLE new_edges ON COMMIT DROP AS"
            " SELECT DISTINCT least(a, b) AS a, greatest(a, b) AS b FROM raw_edges WHERE a <> b"
        )
        db.execute(f"CREATE TEMP TABLE live_edges ON COMMIT DROP AS {_LIVE_EDGES}")
        db.execute("ANALYZE new_edges")
        db.execute("ANALYZE live_edges")
        db.execute(
            "CREATE TEMP TABLE added_edges ON COMMIT DROP AS"
            " SELECT a, b FROM new_edges EXCEPT SELECT a, b FROM live_edges"
        )
        # gone: between two elements of the file, or from one of them to the parent it has no longer
        db.execute(
            f"""
            CREATE TEMP TABLE gone_edges ON COMMIT DROP AS
            SELECT l.a, l.b FROM live_edges l JOIN raw_elements x ON x.code = l.a JOIN raw_elements y ON y.code = l.b
            EXCEPT SELECT a, b FROM new_edges
            UNION
            SELECT least(c.code, p.code), greatest(c.code, p.code)
            FROM raw_elements r JOIN {ELEMENT} c ON c.code = r.code JOIN {ELEMENT} p ON p.id = c.parent_id
            WHERE r.parent <> p.code AND NOT EXISTS (SELECT FROM raw_elements x WHERE x.code = p.code)
              AND NOT EXISTS (SELECT FROM new_edges n
                              WHERE n.a = least(c.code, p.code) AND n.b = greatest(c.code, p.code))
            """  # noqa: S608
        )
        db.execute("SELECT (SELECT count(*) FROM added_edges), (SELECT count(*) FROM gone_edges)")
        added, removed = db.fetchone()
        samples: dict[str, list[Any]] = {"changed": []}
        for name, table in (("added", "added_edges"), ("removed", "gone_edges")):
            db.execute(f"SELECT a || ' - ' || b FROM {table} ORDER BY 1 LIMIT {SAMPLES}")  # noqa: S608
            samples[name] = [text for (text,) in db.fetchall()]
    return {"added": added, "changed": 0, "removed": removed}, samples


def _contact_changes(staging: Staging) -> tuple[dict[str, int], dict[str, list[Any]]]:
    kinds = [kind for kind in ("phone", "email") if kind in staging.present["customers"]]
    with connection.cursor() as db:
        db.execute(
            """
            CREATE TEMP TABLE new_contacts ON COMMIT DROP AS
            SELECT account_number, kind, value, min(place) = 1 AS is_preferred
            FROM raw_contacts WHERE value IS NOT NULL GROUP BY account_number, kind, value
            """
        )
        db.execute("ANALYZE new_contacts")
        db.execute(
            f"""
            CREATE TEMP TABLE added_contacts ON COMMIT DROP AS
            SELECT n.* FROM new_contacts n LEFT JOIN {CUSTOMER} c ON c.account_number = n.account_number
            LEFT JOIN {CONTACT} p ON p.customer_id = c.id AND p.kind = n.kind AND p.value = n.value WHERE p.id IS NULL
            """  # noqa: S608
        )
        db.execute(
            f"""
            CREATE TEMP TABLE gone_contacts ON COMMIT DROP AS
            SELECT p.id FROM {CONTACT} p JOIN {CUSTOMER} c ON c.id = p.customer_id
            JOIN raw_customers r ON r.account_number = c.account_number
            WHERE p.kind = ANY(%s) AND NOT EXISTS (SELECT FROM new_contacts n
                WHERE n.account_number = c.account_number AND n.kind = p.kind AND n.value = p.value)
            """,  # noqa: S608
            [kinds],
        )
        db.execute("SELECT (SELECT count(*) FROM added_contacts), (SELECT count(*) FROM gone_contacts)")
        added, removed = db.fetchone()
    return {"added": added, "changed": 0, "removed": removed}, {"added": [], "changed": [], "removed": []}


# --- applying -----------------------------------------------------------------------------------------


def changes_apply(staging: Staging, changes: Changes) -> None:
    """Write what ``changes_find`` found, inside the caller's transaction."""
    for n, entity in enumerate(ENTITIES):
        if entity.table in staging.present:
            staging.progress(50 + 8 * n, "applying")
            _entity_write(staging, entity, changes.counts[entity.table])
            if entity.table == "branches":
                _branch_parents(staging)
            elif entity.table == "elements":
                _edges_write()
    if "contacts" in changes.counts:
        _contacts_write()
    staging.progress(84, "removing")
    for table in ("service_points", "customers", "elements"):
        if changes.counts.get(table, {}).get("removed"):
            _remove(table)
    staging.progress(88, "trees")
    network_rebuild()


def _entity_write(staging: Staging, entity: Entity, counts: dict[str, int]) -> None:
    table, live, present = entity.table, LIVE[entity.table], staging.present[entity.table]
    stored_joins = entity.stored_joins
    new: dict[str, str] = {
        f.column: (f.stored or f.value) if f.raw in present else f.default for f in entity.fields
    } | dict(entity.fixed)
    changed: dict[str, str] = {f.column: f.stored or f.value for f in entity.fields if f.raw in present}
    if table != "branches":
        new["source"] = changed["source"] = "%(source)s"
    if table == "elements":
        new["is_open"] = new["normally_open"]
        if "normally_open" in present:  # where a switch stands now is not the file's business, unless its rest changes
            changed["is_open"] = (
                f"CASE WHEN l.normally_open = {new['normally_open']} THEN l.is_open ELSE {new['normally_open']} END"
            )
    if table == "service_points":
        new["branch_id"] = changed["branch_id"] = "coalesce(rb.id, re.branch_id)"
        if "branch" not in present:
            stored_joins = stored_joins.replace("rb.code = nullif(r.branch, '')", "false")
    with connection.cursor() as db:
        if counts["added"]:
            db.execute(
                f"INSERT INTO {live} ({', '.join(new)}) SELECT {', '.join(new.values())} FROM diff_{table} d"  # noqa: S608
                f" JOIN raw_{table} r ON r.row = d.row {stored_joins} WHERE d.is_new ORDER BY d.row",
                {"source": staging.source},
            )
        if counts["changed"]:
            db.execute(
                f"UPDATE {live} l SET {', '.join(f'{c} = {v}' for c, v in changed.items())} FROM diff_{table} d"  # noqa: S608
                f" JOIN raw_{table} r ON r.row = d.row {stored_joins} WHERE NOT d.is_new AND l.id = d.id",
                {"source": staging.source},
            )
        if counts["added"] + counts["changed"] > ANALYZE_FROM:
            db.execute(f"ANALYZE {live}")  # the statements that follow join what was just an empty table


def _branch_parents(staging: Staging) -> None:
    if "parent" not in staging.present["branches"]:
        return
    with connection.cursor() as db:
        db.execute(
            f"UPDATE {BRANCH} l SET parent_id = p.id FROM raw_branches r LEFT JOIN {BRANCH} p ON p.code = r.parent"  # noqa: S608
            " WHERE l.code = r.code AND l.parent_id IS DISTINCT FROM p.id"
        )


def _edges_write() -> None:
    with connection.cursor() as db:
        db.execute(
            f"""
            DELETE FROM {TIE} t USING gone_edges g, {ELEMENT} x, {ELEMENT} y
            WHERE x.id = t.a_id AND y.id = t.b_id AND g.a = least(x.code, y.code) AND g.b = greatest(x.code, y.code)
            """  # noqa: S608
        )
        db.execute(
            f"""
            UPDATE {ELEMENT} c SET parent_id = NULL FROM gone_edges g, {ELEMENT} p
            WHERE p.id = c.parent_id AND g.a = least(c.code, p.code) AND g.b = greatest(c.code, p.code)
            """  # noqa: S608
        )
        # an added adjacency is a parent where the file says so and there is none yet, otherwise a tie
        db.execute(
            f"""
            WITH given AS (
                UPDATE {ELEMENT} c SET parent_id = p.id FROM raw_elements r, added_edges g, {ELEMENT} p
                WHERE c.code = r.code AND p.code = r.parent AND c.parent_id IS NULL
                  AND g.a = least(r.code, r.parent) AND g.b = greatest(r.code, r.parent)
                RETURNING g.a, g.b
            )
            INSERT INTO {TIE} (a_id, b_id)
            SELECT least(x.id, y.id), greatest(x.id, y.id) FROM (
                SELECT a, b FROM added_edges EXCEPT SELECT a, b FROM given
            ) g JOIN {ELEMENT} x ON x.code = g.a JOIN {ELEMENT} y ON y.code = g.b ON CONFLICT DO NOTHING
            """  # noqa: S608
        )


def _contacts_write() -> None:
    with connection.cursor() as db:
        db.execute(f"DELETE FROM {CONTACT} p USING gone_contacts g WHERE p.id = g.id")  # noqa: S608
        db.execute(
            f"""
            INSERT INTO {CONTACT} (customer_id, kind, value, reversed_digits, is_preferred, opted_out)
            SELECT c.id, n.kind, n.value, CASE WHEN n.kind = 'phone' THEN reverse(ltrim(n.value, '+')) ELSE '' END,
                   n.is_preferred, false
            FROM added_contacts n JOIN {CUSTOMER} c ON c.account_number = n.account_number ORDER BY c.id
            """  # noqa: S608
        )


def _remove(table: str) -> None:
    """Take away what vanished from its source, unless records that must stay still name it."""
    model, live = MODELS[table], LIVE[table]
    problems: list[Problem] = []
    ours = {TIE, CONTACT, ELEMENT}
    with connection.cursor() as db:
        for relation in model._meta.get_fields(include_hidden=True):
            # hidden ones too: those without a name of their own, and the tables between
            if not isinstance(relation, ManyToOneRel):
                continue
            other, column = relation.related_model._meta.db_table, relation.field.column
            if other in ours:
                continue
            if relation.on_delete is models.SET_NULL:
                db.execute(f"UPDATE {other} SET {column} = NULL WHERE {column} IN (SELECT id FROM gone_{table})")  # noqa: S608
                continue
            db.execute(
                f"SELECT DISTINCT g.key FROM gone_{table} g JOIN {other} o ON o.{column} = g.id"  # noqa: S608
                f" ORDER BY 1 LIMIT {ERRORS_KEPT}"
            )
            problems += [Problem("in_use", column=str(other), value=key) for (key,) in db.fetchall()]
        if problems:
            raise ImportRefused(*problems)
        if table == "elements":
            db.execute(f"UPDATE {ELEMENT} SET parent_id = NULL WHERE parent_id IN (SELECT id FROM gone_elements)")  # noqa: S608
            db.execute(f"UPDATE {ELEMENT} SET feeder_id = NULL WHERE feeder_id IN (SELECT id FROM gone_elements)")  # noqa: S608
            db.execute(
                f"DELETE FROM {TIE} t USING gone_elements g WHERE g.id IN (t.a_id, t.b_id)"  # noqa: S608
            )
        if table == "customers":
            db.execute(f"DELETE FROM {CONTACT} WHERE customer_id IN (SELECT id FROM gone_customers)")  # noqa: S608
        db.execute(f"DELETE FROM {live} WHERE id IN (SELECT id FROM gone_{table})")  # noqa: S608
