"""How billing says that accounts stand. A statement replaces the open bills of its account; an older one is stale."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

from django.db import connection, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.actor import Actor
from billing_cutoffs import policies
from billing_cutoffs.intake.items import DuplicateItem, Outcome, Refusals
from billing_cutoffs.intake.shapes import BillTold, Statement, statement_reader
from billing_cutoffs.services.feed.kept import UnknownAccount, debts_follow
from billing_cutoffs.services.feed.payments import payments_attach
from standards.errors import DomainError


class WrongServicePoint(DomainError):
    code = "wrong_service_point"
    message = _("This service point is not one of this account.")


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an account number leads."""

    customer: int
    branch: int
    point: int | None  # the one named, or the only one the customer has
    has_wrong_point: bool


@dataclass(frozen=True, slots=True)
class _Known:
    statement_at: datetime
    point: int | None
    late_payments_year: int
    has_remote_switch: bool


_PLACES: Final = """
SELECT t.number, c.id, c.branch_id, coalesce(p.id, o.id), t.code <> '' AND p.id IS NULL
FROM unnest(%(numbers)s::text[], %(codes)s::text[]) t(number, code)
JOIN grid_customer c ON c.account_number = t.number JOIN grid_branch b ON b.id = c.branch_id
LEFT JOIN grid_servicepoint p ON p.code = t.code AND p.customer_id = c.id
CROSS JOIN LATERAL (
    SELECT CASE WHEN count(*) = 1 THEN min(s.id) END AS id FROM grid_servicepoint s WHERE s.customer_id = c.id
) o
WHERE {scope}
"""
# An account that is not known yet is made first, as if it had been stated before any statement: then every account
# of the batch is locked and read in the same way, whoever else states it at this moment. Rows are written through
# their keys (ON CONFLICT), which stays linear whatever the planner believes of tables that have just been filled.
_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NEW: Final = """
INSERT INTO billing_cutoffs_billingaccount
    (customer_id, branch_id, source_system, statement_at, late_payments_year, has_remote_switch, overdue,
     bills_overdue, grade_why)
SELECT t.customer, t.branch, '', %(never)s, 0, false, 0, 0, '{}'
FROM unnest(%(customers)s::bigint[], %(branches)s::bigint[]) t(customer, branch)
ORDER BY t.customer
ON CONFLICT (customer_id) DO NOTHING
"""
_LOCK: Final = """
SELECT customer_id, statement_at, service_point_id, late_payments_year, has_remote_switch
FROM billing_cutoffs_billingaccount WHERE customer_id = ANY(%(ids)s) ORDER BY customer_id FOR NO KEY UPDATE
"""
_BILLS: Final = """
SELECT account_id, number, id, due_on, open_amount FROM billing_cutoffs_bill WHERE account_id = ANY(%(ids)s)
"""
_ACCOUNTS: Final = """
INSERT INTO billing_cutoffs_billingaccount AS a
    (customer_id, branch_id, service_point_id, source_system, statement_at, late_payments_year, has_remote_switch,
     overdue, bills_overdue, grade_why)
SELECT t.customer, t.branch, t.point, %(source)s, t.at, t.late, t.remote, 0, 0, '{}'
FROM unnest(%(customers)s::bigint[], %(branches)s::bigint[], %(points)s::bigint[], %(at)s::timestamptz[],
            %(late)s::int[], %(remote)s::bool[]) t(customer, branch, point, at, late, remote)
ON CONFLICT (customer_id) DO UPDATE SET
    branch_id = excluded.branch_id, service_point_id = excluded.service_point_id,
    source_system = excluded.source_system, statement_at = excluded.statement_at,
    late_payments_year = excluded.late_payments_year, has_remote_switch = excluded.has_remote_switch
"""
_BILLS_GONE: Final = "DELETE FROM billing_cutoffs_bill WHERE id = ANY(%(ids)s)"
_BILLS_OPEN: Final = """
INSERT INTO billing_cutoffs_bill (account_id, number, due_on, open_amount)
SELECT * FROM unnest(%(accounts)s::bigint[], %(numbers)s::text[], %(due)s::date[], %(open)s::numeric[])
ON CONFLICT (account_id, number) DO UPDATE SET due_on = excluded.due_on, open_amount = excluded.open_amount
"""

_Bills = dict[int, dict[str, tuple[int, date, Decimal]]]  # by account and number: key, due, open


def arrears_receive(*, actor: Actor, source_system: str, items: Sequence[Any]) -> list[Outcome]:
    """Billing states accounts. Outcomes: applied, unchanged, stale_statement, or why an item is refused."""
    answers = Refusals(items, lambda item: str(item.get("account_number", "")))
    told = _without_repetition(answers.read(items, statement_reader(timezone.now())), answers)
    with transaction.atomic():
        places = _places(actor, told, answers)
        known = _locked(places.values())
        bills = _bills_of(known)
        applied = _judged({at: told[at] for at in places}, places, known, bills, answers)
        if applied:
            accounts = [places[at].customer for at in applied]
            _accounts_written(source_system, applied, places, known)
            _bills_written({places[at].customer: statement for at, statement in applied.items()}, bills)
            payments_attach(account_ids=accounts)
            debts_follow(account_ids=accounts, actor=actor)
    return answers.in_order()


def _without_repetition(told: dict[int, Statement], answers: Refusals) -> dict[int, Statement]:
    first: dict[str, int] = {}
    for at, statement in told.items():
        if first.setdefault(statement.account_number, at) != at:
            answers.refuse(at, DuplicateItem(field="account_number"))
    return {at: told[at] for at in first.values()}


def _places(actor: Actor, told: Mapping[int, Statement], answers: Refusals) -> dict[int, _Place]:
    scope, params = policies.sql_condition(actor=actor, action="feed_arrears", pos="b.pos")
    with connection.cursor() as db:
        db.execute(
            _PLACES.format(scope=scope),
            {
                "numbers": [statement.account_number for statement in told.values()],
                "codes": [statement.service_point for statement in told.values()],
                **params,
            },
        )
        found = {number: _Place(*facts) for number, *facts in db.fetchall()}
    places = {}
    for at, statement in told.items():
        place = found.get(statement.account_number)
        if place is None:
            answers.refuse(at, UnknownAccount(field="account_number"))
        elif place.has_wrong_point:
            answers.refuse(at, WrongServicePoint(field="service_point"))
        else:
            places[at] = place
    return places


def _locked(places: Collection[_Place]) -> dict[int, _Known]:
    """How the accounts stand, each there and ours until the end."""
    if not places:
        return {}
    customers = [place.customer for place in places]
    with connection.cursor() as db:
        db.execute(_NEW, {"never": _NEVER, "customers": customers, "branches": [place.branch for place in places]})
        db.execute(_LOCK, {"ids": customers})
        return {customer: _Known(*facts) for customer, *facts in db.fetchall()}


def _bills_of(accounts: Collection[int]) -> _Bills:
    found: _Bills = {account: {} for account in accounts}
    with connection.cursor() as db:
        db.execute(_BILLS, {"ids": list(accounts)})
        for account, number, *facts in db.fetchall():
            found[account][number] = tuple(facts)
    return found


def _judged(
    told: Mapping[int, Statement],
    places: Mapping[int, _Place],
    known: Mapping[int, _Known],
    bills: _Bills,
    answers: Refusals,
) -> dict[int, Statement]:
    """What is newer than what is known, or says something else of the same moment."""
    applied = {}
    for at, statement in told.items():
        place = places[at]
        standing = known[place.customer]
        if statement.as_of < standing.statement_at:
            answers.settle(at, "stale_statement")
        elif standing == _as_told(statement, place, standing) and _is_same(statement, bills[place.customer]):
            answers.settle(at, "unchanged")
        else:
            answers.settle(at, "applied")
            applied[at] = statement
    return applied


def _is_same(statement: Statement, bills: Mapping[str, tuple[int, date, Decimal]]) -> bool:
    return {bill.number: (bill.due_on, bill.open_amount) for bill in statement.bills} == {
        number: (due_on, open_amount) for number, (_pk, due_on, open_amount) in bills.items()
    }


def _as_told(statement: Statement, place: _Place, standing: _Known) -> _Known:
    """What is not said stays as it was."""
    late, remote = statement.late_payments_year, statement.has_remote_switch
    return _Known(
        statement_at=statement.as_of,
        point=place.point or standing.point,
        late_payments_year=standing.late_payments_year if late is None else late,
        has_remote_switch=standing.has_remote_switch if remote is None else remote,
    )


def _accounts_written(
    source_system: str, applied: Mapping[int, Statement], places: Mapping[int, _Place], known: Mapping[int, _Known]
) -> None:
    rows = [(places[at], _as_told(told, places[at], known[places[at].customer])) for at, told in applied.items()]
    with connection.cursor() as db:
        db.execute(
            _ACCOUNTS,
            {
                "source": source_system[:64],
                "customers": [place.customer for place, _facts in rows],
                "branches": [place.branch for place, _facts in rows],
                "points": [facts.point for _place, facts in rows],
                "at": [facts.statement_at for _place, facts in rows],
                "late": [facts.late_payments_year for _place, facts in rows],
                "remote": [facts.has_remote_switch for _place, facts in rows],
            },
        )


def _bills_written(applied: Mapping[int, Statement], bills: _Bills) -> None:
    """Only what differs is written: most bills stay as they are from one statement to the next."""
    gone: list[int] = []
    told: list[tuple[int, BillTold]] = []
    for account, statement in applied.items():
        kept = bills[account]
        numbers = {bill.number for bill in statement.bills}
        gone += [pk for number, (pk, _due, _open) in kept.items() if number not in numbers]
        told += [
            (account, bill)
            for bill in statement.bills
            if bill.number not in kept or kept[bill.number][1:] != (bill.due_on, bill.open_amount)
        ]
    with connection.cursor() as db:
        db.execute(_BILLS_GONE, {"ids": gone})
        db.execute(
            _BILLS_OPEN,
            {
                "accounts": [account for account, _bill in told],
                "numbers": [bill.number for _account, bill in told],
                "due": [bill.due_on for _account, bill in told],
                "open": [bill.open_amount for _account, bill in told],
            },
        )
