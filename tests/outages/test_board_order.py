"""Which outage is on top: safety, critical customers, waiting longest, overdue, size."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from outages import board
from outages.board import Thin
from outages.kinds import BoardFacts

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def row(pk: int, **facts: Any) -> Thin:
    defaults: dict[str, Any] = {
        "kind": "fault", "status": "active", "customers_out": 10, "critical_out": 0, "etr": None,
        "planned_start": None, "planned_end": None, "started_at": NOW - timedelta(hours=1), "restored_at": None,
    }  # fmt: skip
    return Thin(id=pk, **{**defaults, **facts})


def order(rows: list[Thin], facts: dict[int, BoardFacts] | None = None) -> list[int]:
    return [r.id for r in board.by_attention(rows, facts or {}, now=NOW)]


def test_danger_leads_then_critical_customers_then_the_longest_wait_then_overdue_then_size() -> None:
    rows = [
        row(1, customers_out=5000),
        row(2, etr=NOW - timedelta(minutes=1)),
        row(3),
        row(4),
        row(5, critical_out=1),
        row(6, customers_out=1),
    ]
    facts = {
        3: BoardFacts(unassigned_since=NOW - timedelta(minutes=5)),
        4: BoardFacts(unassigned_since=NOW - timedelta(minutes=20)),
        6: BoardFacts(safety=True),
    }

    assert order(rows, facts) == [6, 5, 4, 3, 2, 1]


def test_what_is_due_and_what_is_over_stand_below_what_is_off() -> None:
    rows = [
        row(1, status="restored", restored_at=NOW - timedelta(minutes=10), critical_out=0, customers_out=0),
        row(2, status="scheduled", kind="planned", planned_start=NOW + timedelta(hours=2), started_at=None),
        row(3, status="scheduled", kind="planned", planned_start=NOW + timedelta(hours=1), started_at=None),
        row(4, customers_out=1),
    ]

    assert order(rows) == [4, 3, 2, 1]


def test_a_planned_end_that_has_passed_is_overdue_but_never_once_restored() -> None:
    late = NOW - timedelta(minutes=1)

    assert row(1, kind="planned", planned_end=late).is_overdue(NOW)
    assert not row(1, kind="planned", planned_end=late, etr=NOW + timedelta(hours=1)).is_overdue(NOW)
    assert not row(1, status="restored", etr=late).is_overdue(NOW)
