"""分级: which grade an account falls into, why, and what a change of the grades would do. Reads only."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from django.db import connection
from django.db.models import Count
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from accounts.actor import Actor
from accounts.scope import branch_condition
from billing_cutoffs.models import Grade, GradingRun
from billing_cutoffs.selectors import accounts_visible_to
from grid.models import CustomerClass, Importance
from standards.errors import NotFound


@dataclass(frozen=True)
class Rule:
    """A grade's conditions; all of them hold, or it is not the grade. Empty collections ask nothing."""

    key: int  # the grade's id; 0 for one that is not saved yet
    code: str
    rank: int
    days: int = 1
    amount: Decimal = Decimal(0)
    late_payments: int = 0
    classes: frozenset[str] = frozenset()
    importances: frozenset[str] = frozenset()

    def covers(self, other: Rule) -> bool:
        """Whoever falls under ``other`` falls under this one as well."""
        return (
            self.days <= max(other.days, 1)
            and self.amount <= other.amount
            and self.late_payments <= other.late_payments
            and _includes(self.classes, other.classes, CustomerClass.values)
            and _includes(self.importances, other.importances, Importance.values)
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "key": self.key, "code": self.code, "rank": self.rank, "days": self.days, "amount": f"{self.amount:.2f}",
            "late_payments": self.late_payments, "classes": sorted(self.classes),
            "importances": sorted(self.importances),
        }  # fmt: skip


def _includes(own: frozenset[str], other: frozenset[str], everything: Iterable[str]) -> bool:
    return (own or frozenset(everything)) >= (other or frozenset(everything))


def rule_of(grade: Grade) -> Rule:
    return Rule(
        key=grade.pk or 0,
        code=grade.code,
        rank=grade.rank,
        days=grade.min_days,
        amount=Decimal(grade.min_amount),
        late_payments=grade.min_late_payments,
        classes=frozenset(grade.customer_classes),
        importances=frozenset(grade.importances),
    )


def rules_in_force() -> list[Rule]:
    """The grades in use, in the order in which they are asked."""
    return [rule_of(grade) for grade in Grade.objects.filter(is_active=True).order_by("rank")]


def shadows(rules: Iterable[Rule]) -> dict[int, Rule]:
    """Grades that nobody can ever fall into, by their key, each with the earlier one that takes everybody first."""
    found: dict[int, Rule] = {}
    earlier: list[Rule] = []
    for rule in sorted(rules, key=lambda rule: rule.rank):
        first = next((other for other in earlier if other.covers(rule)), None)
        if first is not None:
            found[rule.key] = first
        earlier.append(rule)
    return found


def letter_class(customer_class: str, importance: str) -> str:
    """Whose notice period of the rule pack (``arrears.letter``) holds for this customer."""
    if importance != Importance.NORMAL:
        return "important"
    return "residential" if customer_class == CustomerClass.RESIDENTIAL else "other"


# --- judging ------------------------------------------------------------------------------------------

# every account in arrears with its grade by %(rules)s (JSON) and the facts behind it; {where} narrows the accounts.
# Days count by the branch's own calendar.
JUDGED: Final = """
rule AS MATERIALIZED (
    SELECT r.*, jsonb_build_object('days', r.days, 'amount', r.amount::text, 'late_payments', r.late_payments,
                                   'classes', r.classes, 'importances', r.importances) AS said
    FROM jsonb_to_recordset(%(rules)s::jsonb)
        AS r(key bigint, code text, rank int, days int, amount numeric, late_payments int,
             classes text[], importances text[])
), today AS MATERIALIZED (
    SELECT id, pos, coalesce(%(today)s::date, (now() AT TIME ZONE time_zone)::date) AS day FROM grid_branch
), judged AS (
    SELECT a.customer_id AS account_id, a.grade_id AS before, a.grade_why AS why_before, g.key AS after, a.overdue,
        jsonb_build_object(
            'grade', g.code, 'days', t.day - a.oldest_due_on, 'since', a.oldest_due_on, 'amount', a.overdue::text,
            'class', c.customer_class, 'importance', c.importance, 'late_payments', a.late_payments_year,
            'rule', g.said) AS why
    FROM billing_cutoffs_billingaccount a
    JOIN today t ON t.id = a.branch_id
    JOIN grid_customer c ON c.id = a.customer_id
    LEFT JOIN LATERAL (
        SELECT r.key, r.code, r.said FROM rule r
        WHERE t.day - a.oldest_due_on >= r.days AND a.overdue >= r.amount AND a.late_payments_year >= r.late_payments
          AND (r.classes = '{{}}' OR c.customer_class = ANY(r.classes))
          AND (r.importances = '{{}}' OR c.importance = ANY(r.importances))
        ORDER BY r.rank LIMIT 1
    ) g ON TRUE
    WHERE a.overdue > 0 AND {where}
)
"""

_FALLEN: Final = " ".join(
    ("WITH", JUDGED, "SELECT after, count(*), sum(overdue) FROM judged GROUP BY after ORDER BY after")
)


def judged_parameters(rules: Sequence[Rule], today: date | None) -> dict[str, Any]:
    return {"rules": json.dumps([rule.as_json() for rule in rules]), "today": today}


@dataclass(frozen=True)
class Fallen:
    """How many accounts fall into one grade (``None``: into none), with what they owe."""

    key: int | None
    accounts: int
    amount: Decimal


def fallen_under(*, actor: Actor, rules: Sequence[Rule], today: date | None = None) -> list[Fallen]:
    """How many accounts in the actor's branches would fall into which grade under these rules. Writes nothing."""
    scope, parameters = branch_condition(actor, "arrears.read", pos="t.pos")
    with connection.cursor() as db:
        db.execute(_FALLEN.format(where=scope), judged_parameters(rules, today) | parameters)
        return [Fallen(*row) for row in db.fetchall()]


# --- why, in words ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reason:
    """One fact about the account and what the grade asked of it (nothing, if empty)."""

    name: str
    fact: str
    asked: str = ""


def reasons_of(why: Mapping[str, Any]) -> list[Reason]:
    """The kept facts behind a grade, in the reader's language."""
    if "days" not in why:
        return []
    rule = why.get("rule") or {}
    classes, importances = dict(CustomerClass.choices), dict(Importance.choices)
    days, late = int(why["days"]), int(why["late_payments"])
    return [
        Reason(_("Days overdue"), days_text(days), _at_least(rule.get("days"), days_text)),
        Reason(_("Amount overdue"), str(why["amount"]), _at_least(rule.get("amount"), str)),
        Reason(_("Late payments in twelve months"), times_text(late), _at_least(rule.get("late_payments"), times_text)),
        Reason(pgettext("customer", "Class"), _named(classes, [why["class"]]), _named(classes, rule.get("classes"))),
        Reason(_("Importance"), _named(importances, [why["importance"]]), _named(importances, rule.get("importances"))),
    ]


def days_text(days: int) -> str:
    return ngettext("%(n)d day", "%(n)d days", days) % {"n": days}


def times_text(times: int) -> str:
    return ngettext("%(n)d time", "%(n)d times", times) % {"n": times}


def _at_least(limit: Any, text: Any) -> str:
    if limit is None or not Decimal(str(limit)):
        return ""
    return _("at least %(limit)s") % {"limit": text(limit)}


def _named(labels: Mapping[str, Any], values: Sequence[str] | None) -> str:
    return _(", ").join(str(labels.get(value, value)) for value in values or ())


# --- the grades as a person reads them ----------------------------------------------------------------


def grades_all() -> list[Grade]:
    """Every grade in the order in which it is asked, with its reminders."""
    return list(Grade.objects.prefetch_related("steps").order_by("rank"))


def grade_by_key(key: int) -> Grade:
    """Raises ``NotFound``."""
    grade = Grade.objects.prefetch_related("steps").filter(pk=key).first()
    if grade is None:
        raise NotFound()
    return grade


def accounts_by_grade(actor: Actor) -> dict[int | None, int]:
    """How many accounts in arrears of the actor's branches are in which grade, and how many in none."""
    debtors = accounts_visible_to(actor).filter(overdue__gt=0).order_by()
    return dict(debtors.values_list("grade").annotate(n=Count("pk")))


def grading_last() -> GradingRun | None:
    return GradingRun.objects.first()


@dataclass(frozen=True)
class Edit:
    """One change of a grade: who, when, and what became what."""

    at: datetime
    by: str
    changes: tuple[tuple[str, str, str], ...]


def grade_history(grade: Grade) -> list[Edit]:
    """Who changed what about a grade, the newest first."""
    events = list(grade.events.select_related("pgh_context").order_by("pgh_id"))  # type: ignore[attr-defined]
    edits = []
    for before, after in zip([None, *events], events, strict=False):
        context = after.pgh_context
        by = context.metadata.get("actor", "") if context is not None else ""
        edits.append(Edit(after.pgh_created_at, by, tuple(_differences(before, after))))
    return edits[::-1]


def _differences(before: Any, after: Any) -> Iterator[tuple[str, str, str]]:
    for name in ("code", "name_zh", "name_en", "rank", "is_active", "min_days", "min_amount", "min_late_payments",
                 "customer_classes", "importances", "channels", "level", "cut_after_days"):  # fmt: skip
        old, new = getattr(before, name, None), getattr(after, name)
        if before is not None and old != new:
            yield str(getattr(Grade._meta.get_field(name), "verbose_name", name)), _said(old), _said(new)


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, list):
        return ", ".join(str(part) for part in value) or "–"
    return "–" if value is None else str(value)
