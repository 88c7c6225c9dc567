"""What customers have paid. Told twice it counts once; it only moves on: on its way, paid in, taken back."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

from django.db import connection, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.actor import Actor
from billing_cutoffs import policies
from billing_cutoffs.intake.items import DuplicateItem, Outcome, Refusals
from billing_cutoffs.intake.shapes import PaymentTold, payment_reader
from billing_cutoffs.models import PaymentStatus
from billing_cutoffs.services.feed.kept import UnknownAccount, accounts_known, debts_follow
from grid.models import Branch
from standards.errors import Conflict

_ORDER: Final = {status: place for place, status in enumerate(PaymentStatus.values)}


class PaymentDiffers(Conflict):
    """Two payments of one name are a mistake of the sender that only the sender can solve."""

    code = "payment_differs"
    message = _("This payment is known with another amount or account.")


@dataclass(frozen=True, slots=True)
class _Known:
    account_number: str
    account: int | None
    amount: Decimal
    status: str


# in the order of their names, so that two batches that share payments wait for each other and never in a circle
_TOLD: Final = """
INSERT INTO billing_cutoffs_payment
    (source_system, payment_id, account_number, account_id, amount, status, paid_at, received_at, settled_at)
SELECT %(source)s, t.payment, t.number, t.account, t.amount, t.status, t.paid_at, now(),
       CASE WHEN t.status = 'settled' THEN now() END
FROM unnest(%(payments)s::text[], %(numbers)s::text[], %(accounts)s::bigint[], %(amounts)s::numeric[],
            %(statuses)s::text[], %(paid)s::timestamptz[]) t(payment, number, account, amount, status, paid_at)
ORDER BY t.payment
ON CONFLICT (source_system, payment_id) DO """
_NEW: Final = _TOLD + "NOTHING RETURNING payment_id"
_MOVED: Final = (
    _TOLD
    + """UPDATE SET
    status = excluded.status, paid_at = excluded.paid_at, account_id = excluded.account_id,
    settled_at = coalesce(billing_cutoffs_payment.settled_at, excluded.settled_at)
"""
)
_KNOWN: Final = """
SELECT payment_id, account_number, account_id, amount, status FROM billing_cutoffs_payment
WHERE source_system = %(source)s AND payment_id = ANY(%(payments)s) ORDER BY payment_id FOR NO KEY UPDATE
"""
_ATTACH: Final = """
UPDATE billing_cutoffs_payment p SET account_id = a.customer_id
FROM grid_customer c JOIN billing_cutoffs_billingaccount a ON a.customer_id = c.id
WHERE p.account_id IS NULL AND c.account_number = p.account_number
  AND (%(ids)s::bigint[] IS NULL OR c.id = ANY(%(ids)s))
RETURNING a.customer_id
"""


def payments_receive(*, actor: Actor, source_system: str, items: Sequence[Any]) -> list[Outcome]:
    """Payments arrive. Outcomes: applied, already_known, stale_status, or why an item is refused.

    A payment for an account that is not known yet is kept and finds it later. That is for whoever collects for
    every branch: kept from anybody else it could turn out to be another branch's.
    """
    source = source_system[:64]
    answers = Refusals(items, lambda item: str(item.get("payment_id", "")))
    told = _without_repetition(answers.read(items, payment_reader(timezone.now())), answers)
    with transaction.atomic():
        accounts = accounts_known(
            actor=actor, action="feed_payments", numbers={one.account_number for one in told.values()}, lock=True
        )
        strange = {at for at, one in told.items() if one.account_number not in accounts}
        for at in strange:
            answers.refuse(at, UnknownAccount(field="account_number"))
        if strange and not _collects_for_all(actor):
            told = {at: one for at, one in told.items() if at not in strange}
        touched = _written(source, told, accounts, answers)
        if touched:
            debts_follow(account_ids=touched, actor=actor)
    return answers.in_order()


def _without_repetition(told: dict[int, PaymentTold], answers: Refusals) -> dict[int, PaymentTold]:
    first: dict[str, int] = {}
    for at, payment in told.items():
        earlier = first.setdefault(payment.payment_id, at)
        if earlier != at and told[earlier] == payment:
            answers.settle(at, "already_known")
        elif earlier != at:
            answers.refuse(at, DuplicateItem(field="payment_id"))
    return {at: told[at] for at in first.values()}


def _collects_for_all(actor: Actor) -> bool:
    scope, params = policies.sql_condition(actor=actor, action="feed_payments", pos="b.pos")
    with connection.cursor() as db:
        db.execute(f"SELECT NOT EXISTS (SELECT FROM {Branch._meta.db_table} b WHERE NOT {scope})", params)  # noqa: S608
        return bool(db.fetchone()[0])


def _written(source: str, told: Mapping[int, PaymentTold], accounts: Mapping[str, int], answers: Refusals) -> set[int]:
    """Write the payments; returns the accounts whose debt may be another one now."""
    if not told:
        return set()
    touched: set[int] = set()
    fresh = _kept(_NEW, source, told.values(), accounts)
    known = _known(source, {one.payment_id for one in told.values()} - fresh)
    moved: list[PaymentTold] = []
    for at, one in told.items():
        account = accounts.get(one.account_number)
        standing = known.get(one.payment_id)
        if standing is None:
            outcome, is_news = "applied", True
        elif (standing.account_number, standing.amount) != (one.account_number, one.amount):
            answers.refuse(at, PaymentDiffers(field="payment_id"))
            continue
        else:
            is_news = _ORDER[one.status] > _ORDER[standing.status]
            outcome = "applied" if is_news else "already_known" if one.status == standing.status else "stale_status"
            if is_news or (account is not None and standing.account is None):
                moved.append(one if is_news else replace(one, status=standing.status))
        if account is None:
            continue  # kept, and refused all the same: nothing follows from it yet
        answers.settle(at, outcome)
        statuses = {one.status, standing.status if standing else ""}
        if PaymentStatus.SETTLED in statuses and (is_news or (standing and standing.account is None)):
            touched.add(account)
    if moved:
        _kept(_MOVED, source, moved, accounts)
    return touched


def _kept(sql: str, source: str, told: Collection[PaymentTold], accounts: Mapping[str, int]) -> set[str]:
    """Write these rows; returns the names that the statement returns."""
    with connection.cursor() as db:
        db.execute(
            sql,
            {
                "source": source,
                "payments": [one.payment_id for one in told],
                "numbers": [one.account_number for one in told],
                "accounts": [accounts.get(one.account_number) for one in told],
                "amounts": [one.amount for one in told],
                "statuses": [one.status for one in told],
                "paid": [one.paid_at for one in told],
            },
        )
        return {row[0] for row in db.fetchall()} if db.description else set()


def _known(source: str, payments: Collection[str]) -> dict[str, _Known]:
    if not payments:
        return {}
    with connection.cursor() as db:
        db.execute(_KNOWN, {"source": source, "payments": sorted(payments)})
        return {payment: _Known(*facts) for payment, *facts in db.fetchall()}


def payments_attach(*, account_ids: Collection[int] | None) -> set[int]:
    """Payments that came before their account find it; returns the accounts. ``None``: any account."""
    with connection.cursor() as db:
        db.execute(_ATTACH, {"ids": None if account_ids is None else list(account_ids)})
        return {row[0] for row in db.fetchall()}


def payments_match(*, actor: Actor) -> int:
    """Whatever payment still waits for an account that has come meanwhile counts now."""
    with transaction.atomic():
        accounts = payments_attach(account_ids=None)
        if accounts:
            debts_follow(account_ids=accounts, actor=actor)
    return len(accounts)
