"""The nightly grading of all accounts, and the grades themselves."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import pghistory
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.actor import Actor
from billing_cutoffs import policies
from billing_cutoffs.debts import debts_refresh
from billing_cutoffs.grading import JUDGED, judged_parameters, rules_in_force
from billing_cutoffs.models import ApprovalLevel, Grade, GradeStep, GradingRun
from grid.models import Branch, CustomerClass, Importance
from notifications.models import Channel
from standards.errors import Conflict, DomainError, Forbidden, NotFound

CONDITIONS: Final = ("min_days", "min_amount", "min_late_payments", "customer_classes", "importances")
WRITABLE: Final = (
    "code",
    "name_zh",
    "name_en",
    "rank",
    "is_active",
    *CONDITIONS,
    "channels",
    "level",
    "cut_after_days",
)
MOST_STEPS: Final = 12
ANALYZE_FROM: Final = 1_000  # cases opened


class GradeTaken(Conflict):
    code = "grade_taken"
    message = _("Another grade has this code or this place in the order.")


class StepTwice(DomainError):
    code = "step_twice"
    message = _("Two reminders on the same day.")


class NoChannel(DomainError):
    code = "no_channel"
    message = _("A grade needs at least one channel.")


# --- grading ------------------------------------------------------------------------------------------

# written only where the grade or a fact other than the passing of days is another; the rows are locked in the order
# of their keys, as payments lock them
_REGRADE: Final = """
changed AS (
    SELECT j.* FROM judged j JOIN billing_cutoffs_billingaccount a ON a.customer_id = j.account_id
    WHERE j.before IS DISTINCT FROM j.after OR j.why_before - 'days' IS DISTINCT FROM j.why - 'days'
    ORDER BY j.account_id FOR NO KEY UPDATE OF a
), graded AS (
    UPDATE billing_cutoffs_billingaccount a SET grade_id = j.after, grade_why = j.why, graded_at = statement_timestamp()
    FROM changed j WHERE a.customer_id = j.account_id AND a.overdue = j.overdue
    RETURNING a.customer_id, j.before, j.after, j.why
), kept AS (
    INSERT INTO billing_cutoffs_gradechange (account_id, before_id, after_id, why, at)
    SELECT customer_id, before, after, why, statement_timestamp() FROM graded
    WHERE before IS DISTINCT FROM after ORDER BY customer_id RETURNING 1
)
SELECT (SELECT count(*) FROM judged), (SELECT count(*) FROM kept)
"""

_UNGRADE: Final = """
WITH changed AS (
    SELECT customer_id, grade_id FROM billing_cutoffs_billingaccount
    WHERE overdue = 0 AND grade_id IS NOT NULL ORDER BY customer_id FOR NO KEY UPDATE
), ungraded AS (
    UPDATE billing_cutoffs_billingaccount a SET grade_id = NULL, grade_why = '{}', graded_at = statement_timestamp()
    FROM changed c WHERE a.customer_id = c.customer_id RETURNING a.customer_id, c.grade_id
)
INSERT INTO billing_cutoffs_gradechange (account_id, before_id, why, at)
SELECT customer_id, grade_id, '{"amount": "0.00"}', statement_timestamp() FROM ungraded ORDER BY customer_id
"""

_OPEN_CASES: Final = """
INSERT INTO billing_cutoffs_arrearscase (account_id, branch_id, oldest_due_on)
SELECT a.customer_id, a.branch_id, a.oldest_due_on FROM billing_cutoffs_billingaccount a
WHERE a.overdue > 0 AND NOT EXISTS (
    SELECT FROM billing_cutoffs_arrearscase c WHERE c.account_id = a.customer_id AND c.closed_at IS NULL)
ORDER BY a.customer_id ON CONFLICT DO NOTHING
"""

_CLOSE_CASES: Final = """
UPDATE billing_cutoffs_arrearscase c SET closed_at = now() FROM billing_cutoffs_billingaccount a
WHERE c.closed_at IS NULL AND a.customer_id = c.account_id AND a.overdue = 0
"""


def accounts_grade(*, actor: Actor, today: date | None = None) -> GradingRun:
    """Grade every account in arrears by the first grade whose conditions hold, and say why.

    What is owed is worked out for the day first: bills fall due while nobody says anything. Who owes nothing has no
    grade and no open case; who owes has a case. Statements do not grow with accounts.
    """
    run = grading_ask(actor=actor)
    if not Grade.objects.exists():
        grades_default()
    with transaction.atomic(durable=True), connection.cursor() as db:
        debts_refresh(account_ids=None, today=today)
        db.execute(_OPEN_CASES)
        run.opened = db.rowcount
        db.execute(_CLOSE_CASES)
        run.closed = db.rowcount
        db.execute(
            f"WITH {JUDGED.format(where='TRUE')}, {_REGRADE}",
            judged_parameters(rules_in_force(), today),
        )
        run.in_arrears, run.regraded = db.fetchone()
        db.execute(_UNGRADE)
        run.regraded += db.rowcount
        run.done_at = timezone.now()
        run.save(update_fields=["in_arrears", "regraded", "opened", "closed", "done_at"])
        if run.opened > ANALYZE_FROM:
            # whoever asks next is not to be planned for tables that were empty; at a new site that took minutes
            db.execute("ANALYZE billing_cutoffs_billingaccount, billing_cutoffs_arrearscase")
    return run


def grading_ask(*, actor: Actor) -> GradingRun:
    """All accounts are to be graded; asked for twice before it is done, it is done once."""
    company_require(actor)
    return GradingRun.objects.filter(done_at=None).first() or GradingRun.objects.create(by_name=actor.name)


def grading_owed() -> bool:
    """Has somebody asked for a grading that is not done?"""
    return GradingRun.objects.filter(done_at=None).exists()


def may_configure(actor: Actor) -> bool:
    """The grades hold for the whole company: they are decided above all branches."""
    tops = list(Branch.objects.filter(parent=None))
    return bool(tops) and all(policies.may(actor=actor, action="configure", branch=top) for top in tops)


def company_require(actor: Actor) -> None:
    """Raises ``Forbidden``."""
    if not may_configure(actor):
        raise Forbidden()


# --- the grades ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class StepDraft:
    """One reminder: so many days after the due date, through these channels."""

    after_days: int
    channels: tuple[str, ...]


def grade_save(
    *, actor: Actor, facts: dict[str, Any], steps: Sequence[StepDraft], grade_id: int | None = None
) -> Grade:
    """Add a grade or change one, with its path of reminders. It counts from the next grading on."""
    company_require(actor)
    days = [step.after_days for step in steps]
    if len(set(days)) < len(days):
        raise StepTwice(field="steps")
    if not facts.get("channels") or not all(step.channels for step in steps):
        raise NoChannel(field="channels")
    try:
        with transaction.atomic(durable=True), pghistory.context(actor=actor.name):
            grade = _locked(grade_id) if grade_id is not None else Grade()
            for name in WRITABLE:
                setattr(grade, name, facts[name])
            if grade_id is None:
                grade.save(force_insert=True)
            else:
                grade.save(update_fields=WRITABLE)
            _steps_write(grade, steps)
    except IntegrityError as taken:
        raise GradeTaken(field="rank") from taken
    return grade


def grade_switch(*, actor: Actor, grade_id: int, is_active: bool) -> Grade:
    """Take a grade out of use, or into use again. Who is in it stays so until the next grading."""
    company_require(actor)
    with transaction.atomic(durable=True), pghistory.context(actor=actor.name):
        grade = _locked(grade_id)
        grade.is_active = is_active
        grade.save(update_fields=["is_active"])
    return grade


def _locked(grade_id: int) -> Grade:
    grade = Grade.objects.select_for_update().filter(pk=grade_id).first()
    if grade is None:
        raise NotFound()
    return grade


def _steps_write(grade: Grade, steps: Sequence[StepDraft]) -> None:
    known = {step.after_days: step for step in grade.steps.all()}
    wanted = {step.after_days: list(step.channels) for step in steps}
    grade.steps.exclude(after_days__in=wanted).delete()
    GradeStep.objects.bulk_create(
        GradeStep(grade=grade, after_days=days, channels=channels)
        for days, channels in wanted.items()
        if days not in known
    )
    for days, channels in wanted.items():
        if days in known and known[days].channels != channels:
            known[days].channels = channels
            known[days].save(update_fields=["channels"])


# --- what a new site begins with ----------------------------------------------------------------------

_BOTH: Final = (Channel.SMS, Channel.EMAIL)


@dataclass(frozen=True)
class _Default:
    code: str
    name_zh: str
    name_en: str
    steps: tuple[int, ...]
    classes: Collection[str] = ()
    importances: Collection[str] = ()
    min_amount: int = 0
    min_late_payments: int = 0
    level: ApprovalLevel = ApprovalLevel.STATION
    cut_after_days: int | None = None


_DEFAULTS: Final = (
    _Default(
        "life-support", "生命支持客户欠费", "Life support", (10, 30), importances=[Importance.LIFE_SUPPORT],
        level=ApprovalLevel.COMPANY,
    ),
    _Default(
        "important", "重要客户欠费", "Important customers", (1, 7, 15, 30),
        importances=[Importance.IMPORTANT_1, Importance.IMPORTANT_2], level=ApprovalLevel.COMPANY, cut_after_days=60,
    ),
    _Default(
        "public-service", "公共服务欠费", "Public service", (3, 15, 30), classes=[CustomerClass.PUBLIC],
        level=ApprovalLevel.COMPANY, cut_after_days=60,
    ),
    _Default(
        "business", "经营类客户欠费", "Business", (1, 7, 15, 25),
        classes=[CustomerClass.COMMERCIAL, CustomerClass.INDUSTRIAL, CustomerClass.AGRICULTURAL],
    ),
    _Default("residential-repeated", "居民多次欠费", "Residential, repeated", (1, 7, 15, 25), min_late_payments=3),
    _Default("residential", "居民一般欠费", "Residential", (3, 10, 20, 28), min_amount=100),
    _Default("residential-small", "居民小额欠费", "Residential, small amount", (7, 25), cut_after_days=60),
)  # fmt: skip


def grades_default() -> list[Grade]:
    """The grades that a new site begins with; a site that has grades of its own keeps them."""
    with transaction.atomic(), pghistory.context(actor="cut-offs"), connection.cursor() as db:
        db.execute("LOCK TABLE billing_cutoffs_grade IN SHARE ROW EXCLUSIVE MODE")
        if Grade.objects.exists():
            return []
        made = Grade.objects.bulk_create(_formed(number * 10, default) for number, default in enumerate(_DEFAULTS, 1))
        GradeStep.objects.bulk_create(
            GradeStep(grade=grade, after_days=days, channels=list(_BOTH))
            for grade, default in zip(made, _DEFAULTS, strict=True)
            for days in default.steps
        )
        return made


def _formed(rank: int, default: _Default) -> Grade:
    return Grade(
        code=default.code,
        name_zh=default.name_zh,
        name_en=default.name_en,
        rank=rank,
        min_amount=default.min_amount,
        min_late_payments=default.min_late_payments,
        customer_classes=list(default.classes),
        importances=list(default.importances),
        channels=list(_BOTH),
        level=default.level,
        cut_after_days=default.cut_after_days,
    )
