"""Whom a batch may hold: everybody of a branch who owes enough for long enough, and why somebody else is not in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.db import connection
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

import standards
from accounts.actor import Actor
from billing_cutoffs.models import ApprovalLevel, CutoffBatch, Method
from grid.models import Branch, Importance
from outages.events import require_transaction
from outages.services import references_take

Customer = tuple[str, str]  # class and importance: what a notice period depends on

# why an account is not in a batch
WHY_NOT: Final[dict[str, str | Promise]] = {
    "unknown_account": _("There is no such account in this branch."),
    "nothing_overdue": _("Nothing is overdue."),
    "small_debt": _("Less is overdue than anybody is cut off for."),
    "too_early": _("The debt is too young for a cut."),
    "not_graded": _("The nightly grading has not looked at this debt yet."),
    "no_place": _("No service point belongs to this account."),
    "in_another_order": _("There is an open cut-off order for this account already."),
    "protected": pgettext_lazy("cut-off", "This customer is protected: life support, or a case for the company."),
}


@dataclass(frozen=True)
class Choice:
    """Whose accounts: of these grades, these numbers, or (both empty) of everybody in arrears."""

    branch: Branch
    level: str = ApprovalLevel.STATION
    grade_codes: Sequence[str] = ()
    account_numbers: Sequence[str] = ()


@dataclass(frozen=True)
class Refused:
    """An account that was asked for by its number and is not in the batch."""

    account_number: str
    code: str

    @property
    def words(self) -> str:
        return str(WHY_NOT[self.code])


@dataclass(frozen=True)
class Found:
    """What a choice amounts to, before anything is written."""

    orders: int = 0
    amount: Decimal = Decimal(0)
    told: frozenset[Customer] = frozenset()  # whose notice periods the window must leave room for
    left_out: dict[str, int] = field(default_factory=dict)  # by reason
    refused: tuple[Refused, ...] = ()


# every account that is asked about, with the reason that bars it; '' bars nobody
_ASKED: Final = """
WITH asked AS (
    SELECT a.customer_id, a.branch_id, a.overdue, a.has_remote_switch, c.account_number,
           k.id AS case_id, p.id AS point_id, p.meter_number, e.feeder_id,
           c.customer_class, c.importance,
           CASE WHEN a.overdue = 0 THEN 'nothing_overdue'
                WHEN a.overdue < CASE c.customer_class WHEN 'residential' THEN %(floor_residential)s
                                                       ELSE %(floor_other)s END THEN 'small_debt'
                WHEN %(today)s - a.oldest_due_on <= greatest(%(after_days)s, coalesce(g.cut_after_days, 0))
                    THEN 'too_early'
                WHEN k.id IS NULL THEN 'not_graded'
                WHEN p.id IS NULL THEN 'no_place'
                WHEN EXISTS (SELECT FROM billing_cutoffs_cutofforder o WHERE o.service_point_id = p.id
                             AND o.state NOT IN ('reconnected', 'cancelled')) THEN 'in_another_order'
                WHEN c.account_number = ANY(%(numbers)s)
                     AND (c.importance = 'life_support'
                          OR %(level)s = 'station'
                             AND (c.importance IN ('important_1', 'important_2') OR g.level = 'company'))
                    THEN 'protected'
                ELSE '' END AS why_not
    FROM billing_cutoffs_billingaccount a
    JOIN grid_branch b ON b.id = a.branch_id AND b.pos BETWEEN %(first)s AND %(last)s
    JOIN grid_customer c ON c.id = a.customer_id
    LEFT JOIN billing_cutoffs_grade g ON g.id = a.grade_id
    LEFT JOIN billing_cutoffs_arrearscase k ON k.account_id = a.customer_id AND k.closed_at IS NULL
    LEFT JOIN grid_servicepoint p ON p.id = coalesce(
        a.service_point_id, (SELECT min(s.id) FROM grid_servicepoint s WHERE s.customer_id = a.customer_id))
    LEFT JOIN grid_gridelement e ON e.id = p.element_id
    WHERE {whose}
)
"""

_FOUND: Final = """
SELECT why_not, customer_class, importance, count(*), sum(overdue) FROM asked GROUP BY 1, 2, 3
"""

_NAMED: Final = """
SELECT n.number, coalesce(asked.why_not, 'unknown_account')
FROM unnest(%(numbers)s) WITH ORDINALITY AS n (number, place) LEFT JOIN asked ON asked.account_number = n.number
WHERE asked.why_not IS DISTINCT FROM '' ORDER BY n.place
"""

_INSERT: Final = """
, fit AS (
    SELECT *, row_number() OVER (ORDER BY customer_id) AS n FROM asked WHERE why_not = ''
    ORDER BY customer_id LIMIT cardinality(%(references)s)
), made AS (
    INSERT INTO billing_cutoffs_cutofforder
        (reference, batch_id, case_id, branch_id, service_point_id, feeder_id, amount, method, reconnect_mode,
         state, state_before_hold, state_reason, holds, hold_reason, is_wrongful, version)
    SELECT (%(references)s)[n], %(batch)s, case_id, branch_id, point_id, feeder_id, overdue,
           CASE WHEN has_remote_switch AND meter_number <> '' THEN %(remote)s ELSE %(field)s END, %(mode)s,
           'eligible', '', '', '[]', '', FALSE, 1
    FROM fit
    ON CONFLICT DO NOTHING  -- somebody else proposed the same place a moment ago
    RETURNING id, batch_id, amount
)
INSERT INTO billing_cutoffs_cutoffstep
    (batch_id, order_id, verb, before, after, actor_kind, actor_name, actor_id, note, facts)
SELECT batch_id, id, 'propose', '', 'eligible', %(actor_kind)s, %(actor_name)s, %(actor_id)s, '',
       jsonb_build_object('amount', amount::text)
FROM made ORDER BY id RETURNING order_id
"""


def is_told(customer: Customer, *, level: str) -> bool:
    """Does a letter go to such customers? Whom the batch's level cannot cut at all is held in it from the start."""
    _customer_class, importance = customer
    if importance == Importance.LIFE_SUPPORT:
        return False
    return importance == Importance.NORMAL or level == ApprovalLevel.COMPANY


def choice_found(choice: Choice) -> Found:
    """How many cuts a choice comes to, and who is left out and why: two statements for any number of accounts."""
    sql, facts = _asked(choice)
    orders, amount = 0, Decimal(0)
    told: set[Customer] = set()
    left_out: Counter[str] = Counter()
    with connection.cursor() as db:
        db.execute(sql + _FOUND, facts)
        for why_not, customer_class, importance, count, owed in db.fetchall():
            if why_not:
                left_out[why_not] += count
                continue
            orders, amount = orders + count, amount + owed
            told.add((customer_class, importance))
    told = {customer for customer in told if is_told(customer, level=choice.level)}
    return Found(orders, amount, frozenset(told), dict(left_out), _refused(sql, facts, choice))


def orders_insert(*, batch: CutoffBatch, choice: Choice, count: int, actor: Actor) -> list[int]:
    """Write the orders of a choice, at most ``count``, with their first line of history. Returns their keys."""
    require_transaction()
    sql, facts = _asked(choice)
    pack = standards.pack(batch.rule_pack)
    facts |= {
        "batch": batch.pk,
        "references": references_take(prefix="N", branch=batch.branch, count=count),
        "remote": Method.REMOTE,
        "field": Method.FIELD,
        "mode": pack.arrears.reconnect_mode.value,
        "actor_kind": actor.kind,
        "actor_name": actor.name,
        "actor_id": actor.user_id,
    }
    with connection.cursor() as db:
        db.execute(sql + _INSERT, facts)
        return sorted(row[0] for row in db.fetchall())


def _refused(sql: str, facts: dict[str, Any], choice: Choice) -> tuple[Refused, ...]:
    if not choice.account_numbers:
        return ()
    with connection.cursor() as db:
        db.execute(sql + _NAMED, facts)
        return tuple(Refused(number, code) for number, code in db.fetchall())


def _asked(choice: Choice) -> tuple[str, dict[str, Any]]:
    pack = standards.pack(choice.branch.rule_pack)
    after = pack.arrears.earliest_cut_after
    whose = []
    if choice.grade_codes:
        whose.append("a.overdue > 0 AND g.code = ANY(%(grades)s)")
    if choice.account_numbers:
        whose.append("c.account_number = ANY(%(numbers)s)")
    facts = {
        "first": choice.branch.pos,
        "last": choice.branch.last,
        "today": timezone.now().astimezone(ZoneInfo(choice.branch.time_zone)).date(),
        "after_days": after.delta.days if after is not None else 0,
        "floor_residential": pack.debt_floor(is_residential=True),
        "floor_other": pack.debt_floor(is_residential=False),
        "level": choice.level,
        "grades": list(choice.grade_codes),
        "numbers": list(dict.fromkeys(choice.account_numbers)),
    }
    return _ASKED.format(whose=" OR ".join(whose) or "a.overdue > 0"), facts
