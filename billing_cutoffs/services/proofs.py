"""What must always hold about debts and cut-offs, proved against the database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from django.db import connection

from billing_cutoffs.debts import debts_wrong

# what it should say, and the rows that break it
_INVARIANTS: Final[Mapping[str, str]] = {
    "a case is open only while something is owed": """
        SELECT c.account_id::text FROM billing_cutoffs_arrearscase c
        JOIN billing_cutoffs_billingaccount a ON a.customer_id = c.account_id
        WHERE c.closed_at IS NULL AND a.overdue = 0
    """,
    "an order that is off stands in the record as off": """
        SELECT o.reference FROM billing_cutoffs_cutofforder o LEFT JOIN outages_outage r ON r.id = o.outage_id
        WHERE o.state IN ('disconnected', 'paid', 'reconnect_commanded', 'reconnect_failed')
          AND (r.id IS NULL OR r.kind <> 'non_payment' OR r.status <> 'active' OR r.is_public OR NOT EXISTS (
              SELECT FROM outages_interruption i WHERE i.outage_id = r.id
                AND i.service_point_id = o.service_point_id
                AND i.actual IS NOT NULL AND upper(i.actual) IS NULL))
    """,
    "an ended order leaves no open outage": """
        SELECT o.reference FROM billing_cutoffs_cutofforder o JOIN outages_outage r ON r.id = o.outage_id
        WHERE o.state IN ('reconnected', 'cancelled') AND r.status IN ('scheduled', 'active', 'partially_restored')
          AND o.updated_at < now() - interval '60 s'
    """,
    "no command is open for an ended order": """
        SELECT o.reference FROM billing_cutoffs_cutofforder o JOIN billing_cutoffs_metercommand c ON c.order_id = o.id
        WHERE o.state IN ('reconnected', 'cancelled') AND c.state IN ('queued', 'sending', 'accepted', 'uncertain')
    """,
    "no meter is told to cut for an order that had ended": """
        SELECT o.reference FROM billing_cutoffs_commandattempt t
        JOIN billing_cutoffs_metercommand c ON c.id = t.command_id
        JOIN billing_cutoffs_cutofforder o ON o.id = c.order_id
        CROSS JOIN LATERAL (
            SELECT s.after FROM billing_cutoffs_cutoffstep s
            WHERE s.order_id = o.id AND s.after <> '' AND s.at < t.started_at ORDER BY s.id DESC LIMIT 1) last
        WHERE c.purpose = 'disconnect' AND NOT t.question AND last.after IN ('cancelled', 'reconnected')
    """,
    "nothing that was in doubt was sent again before its meter was asked in between": """
        SELECT o.reference FROM (
            SELECT command_id, question, lag(question) OVER w AS was_question, lag(result) OVER w AS result_before
            FROM billing_cutoffs_commandattempt WINDOW w AS (PARTITION BY command_id ORDER BY id)) t
        JOIN billing_cutoffs_metercommand c ON c.id = t.command_id
        JOIN billing_cutoffs_cutofforder o ON o.id = c.order_id
        WHERE NOT t.question AND NOT t.was_question AND t.result_before NOT IN ('unsent', 'account', 'refused')
    """,
    "no meter is told to cut before the letter and the last warning arrived": """
        SELECT o.reference FROM billing_cutoffs_commandattempt t
        JOIN billing_cutoffs_metercommand c ON c.id = t.command_id AND c.purpose = 'disconnect'
        JOIN billing_cutoffs_cutofforder o ON o.id = c.order_id
        WHERE NOT t.question AND 2 > (
            SELECT count(DISTINCT n.stage) FROM billing_cutoffs_debtnotice n
            WHERE n.order_id = o.id AND n.stage IN ('letter', 'final_warning') AND n.served_at < t.started_at)
    """,
}
_DEBTS: Final = "an account's debt is what its bills and payments say"


def invariants_broken() -> dict[str, list[str]]:
    """What must always hold and does not: the sentence, and some of the rows that break it."""
    broken: dict[str, list[str]] = {}
    wrong = debts_wrong()
    if wrong:
        broken[_DEBTS] = [str(account) for account in wrong[:10]]
    with connection.cursor() as db:
        for sentence, sql in _INVARIANTS.items():
            db.execute(f"SELECT * FROM ({sql}) x LIMIT 10")  # noqa: S608 - texts of this module
            rows = [row[0] for row in db.fetchall()]
            if rows:
                broken[sentence] = rows
    return broken
