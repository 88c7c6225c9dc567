"""What an account owes today: its open bills due before today, less what was paid since billing stated them.

A payment covers the oldest bill first. It counts if it was made after the statement, and also if it was on its way
when billing stated the account and has arrived since: no statement knows of it. "Today" is the branch's own day.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from django.db import connection

from outages.events import require_transaction

# Account by account through the indexes of bills and payments, which stays linear whatever the planner believes of
# tables that have just been filled. {only}: a condition on the account ``a``.
_SAID: Final = """
SELECT a.customer_id, said.overdue, said.oldest_due_on, said.bills
FROM billing_cutoffs_billingaccount a
JOIN grid_branch b ON b.id = a.branch_id
CROSS JOIN LATERAL (
    SELECT coalesce(sum(p.amount), 0) AS amount FROM billing_cutoffs_payment p
    WHERE p.account_id = a.customer_id AND p.status = 'settled'
      AND (p.paid_at > a.statement_at OR (p.settled_at > a.statement_at AND p.received_at < p.settled_at))
) paid
CROSS JOIN LATERAL (
    SELECT coalesce(sum(least(d.open_amount, d.upto - paid.amount)), 0) AS overdue, min(d.due_on) AS oldest_due_on,
           count(*) AS bills
    FROM (
        SELECT l.due_on, l.open_amount, sum(l.open_amount) OVER (ORDER BY l.due_on, l.id) AS upto
        FROM billing_cutoffs_bill l
        WHERE l.account_id = a.customer_id
          AND l.due_on < coalesce(%(today)s::date, (now() AT TIME ZONE b.time_zone)::date - %(days_ago)s)
    ) d
    WHERE d.upto > paid.amount
) said
WHERE {only}
  AND (a.overdue, a.oldest_due_on, a.bills_overdue) IS DISTINCT FROM (said.overdue, said.oldest_due_on, said.bills)
"""
_THESE: Final = "a.customer_id = ANY(%(ids)s)"
# whoever owed something, or has a bill that may have fallen due: a small part of a million accounts
_EVERYBODY: Final = """a.customer_id IN (
    SELECT customer_id FROM billing_cutoffs_billingaccount WHERE overdue > 0
    UNION SELECT account_id FROM billing_cutoffs_bill WHERE due_on <= coalesce(%(today)s::date, current_date + 1))"""

_LOCK: Final = """
SELECT customer_id FROM billing_cutoffs_billingaccount
WHERE customer_id = ANY(%(ids)s) ORDER BY customer_id FOR NO KEY UPDATE
"""
_WRITE: Final = f"""
WITH differing AS MATERIALIZED ({_SAID.format(only=_THESE)})
UPDATE billing_cutoffs_billingaccount a
SET overdue = d.overdue, oldest_due_on = d.oldest_due_on, bills_overdue = d.bills
FROM differing d WHERE d.customer_id = a.customer_id
RETURNING a.customer_id, a.overdue = 0
"""  # noqa: S608 - texts of this module
_DIFFERING: Final = _SAID.format(only=_EVERYBODY)


@dataclass(frozen=True)
class Refreshed:
    """The accounts whose debt is another one now, and those of them that owe nothing any more."""

    changed: list[int]
    cleared: list[int]


def debts_refresh(*, account_ids: Collection[int] | None, today: date | None = None) -> Refreshed:
    """Work out anew what these accounts owe; ``None``: every account, as the night does when bills fall due.

    Inside the caller's transaction. Only rows that change are written. The accounts are locked first, in the order
    of their keys, and read after that: a payment that arrives meanwhile waits, and then sees what is written here.
    """
    require_transaction()
    asked = {"today": today, "days_ago": 0}
    ids = _differing(asked) if account_ids is None else sorted(account_ids)
    if not ids:
        return Refreshed([], [])
    with connection.cursor() as db:
        db.execute(_LOCK, {"ids": ids})
        db.execute(_WRITE, {"ids": ids, **asked})
        rows = sorted(db.fetchall())
    return Refreshed([pk for pk, _cleared in rows], [pk for pk, cleared in rows if cleared])


def debts_wrong() -> list[int]:
    """Accounts whose kept debt is not what their bills and payments say; bills of today have until tomorrow."""
    by_day = [set(_differing({"today": None, "days_ago": days})) for days in (0, 1)]
    return sorted(by_day[0] & by_day[1])


def _differing(asked: dict[str, Any]) -> list[int]:
    with connection.cursor() as db:
        db.execute(_DIFFERING, asked)
        return sorted(row[0] for row in db.fetchall())
