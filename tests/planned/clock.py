"""Time travel for stories that PostgreSQL's own clock takes part in: the world grows older, the clock stays.

Every time and range in the tables of every kind, of outages and of messages moves into the past by the same span,
so that whatever was due in that span is due now, in Python and in SQL alike. The history is moved too; it is
append-only to everybody but this test's clock.
"""

from __future__ import annotations

from datetime import timedelta

from django.db import connection, transaction

_COLUMNS = """
SELECT c.table_name, c.column_name, c.udt_name
FROM information_schema.columns c JOIN pg_class t ON t.relname = c.table_name AND t.relkind IN ('r', 'p')
WHERE c.table_schema = 'public' AND c.udt_name IN ('timestamptz', 'tstzrange')
  AND (c.table_name LIKE 'outages_%%' OR c.table_name LIKE 'planned_%%' OR c.table_name LIKE 'notifications_%%'
       OR c.table_name LIKE 'billing_cutoffs_%%' OR c.table_name LIKE 'load_shedding_%%')
  AND NOT t.relispartition AND c.is_generated = 'NEVER'
ORDER BY c.table_name, c.ordinal_position
"""


def time_passes(span: timedelta) -> None:
    """``span`` goes by: what lay that far ahead is now."""
    with transaction.atomic(), connection.cursor() as db:
        db.execute("SET LOCAL session_replication_role = replica")  # no trigger guards or records this
        db.execute(_COLUMNS)
        tables: dict[str, list[str]] = {}
        for table, column, kind in db.fetchall():
            moved = (
                f"{column} = {column} - %(span)s::interval"
                if kind == "timestamptz"
                else f"{column} = CASE WHEN {column} IS NOT NULL"
                f" THEN tstzrange(lower({column}) - %(span)s::interval, upper({column}) - %(span)s::interval) END"
            )
            tables.setdefault(table, []).append(moved)
        for table, moves in tables.items():
            db.execute(f"UPDATE {table} SET {', '.join(moves)}", {"span": f"{span.total_seconds()} seconds"})
