"""What every feed needs: whose accounts the sender may name, and what follows from another debt."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from django.db import connection
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from accounts.actor import Actor
from billing_cutoffs import policies
from billing_cutoffs.debts import debts_refresh
from billing_cutoffs.models import ArrearsCase
from billing_cutoffs.services import reconnection
from standards.errors import DomainError


class UnknownAccount(DomainError):
    """Not there, or another branch's: the answer does not tell which."""

    code = "unknown_account"
    message = _("There is no account of this number.")


_ACCOUNTS = """
SELECT c.account_number, a.customer_id
FROM billing_cutoffs_billingaccount a
JOIN grid_customer c ON c.id = a.customer_id JOIN grid_branch b ON b.id = a.branch_id
WHERE c.account_number = ANY(%(numbers)s) AND {scope}
ORDER BY a.customer_id
"""


def accounts_known(*, actor: Actor, action: str, numbers: Iterable[str], lock: bool = False) -> dict[str, int]:
    """The accounts of these numbers in the branches where the actor may do that.

    ``lock``: their rows are the caller's until its transaction ends.
    """
    scope, params = policies.sql_condition(actor=actor, action=action, pos="b.pos")
    sql = _ACCOUNTS.format(scope=scope) + (" FOR NO KEY UPDATE OF a" if lock else "")
    with connection.cursor() as db:
        db.execute(sql, {"numbers": sorted(set(numbers)), **params})
        return dict(db.fetchall())


def debts_follow(*, account_ids: Collection[int], actor: Actor) -> None:
    """The bills or payments of these accounts are others now: debts, cases and orders follow, in this transaction."""
    refreshed = debts_refresh(account_ids=account_ids)
    if refreshed.cleared:
        ArrearsCase.objects.filter(account__in=refreshed.cleared, closed_at=None).update(closed_at=Now())
    if refreshed.changed:
        reconnection.accounts_paid(account_ids=refreshed.changed, actor=actor)
