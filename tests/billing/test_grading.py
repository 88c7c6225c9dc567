"""Grading: the first grade that holds wins, says why, and every case follows the debt."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from django.utils import translation
from pytest_django.fixtures import DjangoAssertNumQueries

from accounts.actor import Actor
from billing_cutoffs.grading import Rule, fallen_under, reasons_of, rules_in_force, shadows
from billing_cutoffs.models import ArrearsCase, BillingAccount, Grade, GradeChange, GradingRun
from billing_cutoffs.services.grades import (
    GradeTaken,
    NoChannel,
    StepDraft,
    StepTwice,
    accounts_grade,
    grade_save,
    grade_switch,
    grades_default,
    grading_ask,
    grading_owed,
)
from standards.errors import Forbidden, NotFound
from tests.billing import world
from tests.billing.world import CLOCK, crowd_of_debtors, debtor
from tests.factories.grid import SmallCity


def grade(code: str, rank: int, **conditions: Any) -> Grade:
    return Grade.objects.create(code=code, name_zh=code, name_en=code, rank=rank, **conditions)


def graded() -> dict[str, str | None]:
    """account number -> code of its grade"""
    return dict(BillingAccount.objects.values_list("customer__account_number", "grade__code"))


def owes(account: BillingAccount, amount: str, due_on: date | None = None) -> None:
    """The one bill of the account says this from now on."""
    account.overdue = Decimal(amount)
    account.oldest_due_on = due_on or account.oldest_due_on
    account.bills.update(open_amount=account.overdue, due_on=account.oldest_due_on)
    account.save(update_fields=["overdue", "oldest_due_on"])


def facts(**more: Any) -> dict[str, Any]:
    return {
        "code": "late", "name_zh": "多次", "name_en": "Late", "rank": 5, "is_active": True, "min_days": 1,
        "min_amount": Decimal(0), "min_late_payments": 0, "customer_classes": [], "importances": [],
        "channels": ["sms"], "level": "station", "cut_after_days": None, **more,
    }  # fmt: skip


# --- which grade --------------------------------------------------------------------------------------


def test_the_default_grades_tell_debtors_apart(city: SmallCity) -> None:
    chen = debtor(city, "SP0001", amount="320.00")
    debtor(city, "SP0002", amount="45.00")
    debtor(city, "SP0003")
    debtor(city, "SP0005")
    debtor(city, "SP0006")

    run = accounts_grade(actor=CLOCK)

    assert graded() == {
        "1000000001": "residential", "1000000002": "residential-small", "1000000003": "life-support",
        "1000000004": "business", "1000000005": "important",
    }  # fmt: skip
    assert (run.in_arrears, run.regraded, run.opened, run.closed) == (5, 5, 0, 0)
    BillingAccount.objects.filter(pk=chen.pk).update(late_payments_year=3)
    accounts_grade(actor=CLOCK)
    assert graded()["1000000001"] == "residential-repeated"


def test_the_first_grade_whose_every_condition_holds_wins(city: SmallCity) -> None:
    grade("old", 1, min_days=60)
    grade("large", 2, min_amount=300, customer_classes=["residential"])
    grade("any", 3)
    off = grade("never", 0, is_active=False)
    debtor(city, "SP0001", days=59, amount="300.00")
    debtor(city, "SP0002", days=60, amount="300.00")
    debtor(city, "SP0005", days=59, amount="999.00")

    accounts_grade(actor=CLOCK)

    assert graded() == {"1000000001": "large", "1000000002": "old", "1000000004": "any"}
    assert not off.accounts.exists()


def test_without_a_grade_that_holds_there_is_none_and_the_facts_say_so(city: SmallCity) -> None:
    grade("large", 1, min_amount=1000)
    account = debtor(city)

    accounts_grade(actor=CLOCK)

    account.refresh_from_db()
    assert account.grade is None
    assert account.grade_why["rule"] is None
    assert account.grade_why["amount"] == "320.00"


def test_days_count_by_the_own_calendar_of_the_branch(city: SmallCity) -> None:
    """At one moment it is another day in Shanghai than in Honolulu, or the same one: the database says which."""
    grade("over-45", 1, min_days=46)
    city.west.time_zone = "Pacific/Honolulu"
    city.west.save(update_fields=["time_zone"])
    here, there = debtor(city, "SP0001"), debtor(city, "SP0005")
    for account, branch in ((here, city.east), (there, city.west)):
        owes(account, "320.00", world.today(branch).date() - timedelta(days=46))

    accounts_grade(actor=CLOCK)

    assert graded() == {"1000000001": "over-45", "1000000004": "over-45"}
    here.refresh_from_db()
    assert here.grade_why["days"] == 46


@pytest.mark.parametrize("seed", range(5))
def test_grading_agrees_with_a_plain_recount(city: SmallCity, seed: int) -> None:
    draw, today = Random(seed), date(2026, 3, 10)
    for rank in range(6):
        grade(
            f"g{rank}", rank, min_days=draw.choice([1, 30, 60]), min_amount=draw.choice([0, 100, 500]),
            min_late_payments=draw.choice([0, 0, 2]), is_active=draw.random() < 0.8,
            customer_classes=draw.sample(["residential", "commercial", "public"], draw.choice([0, 1, 2])),
            importances=draw.sample(["normal", "life_support", "important_1"], draw.choice([0, 0, 1])),
        )  # fmt: skip
    for account in crowd_of_debtors(city, 30):
        customer = account.customer
        customer.customer_class = draw.choice(["residential", "commercial", "public"])
        customer.importance = draw.choice(["normal", "normal", "life_support", "important_1"])
        customer.save(update_fields=["customer_class", "importance"])
        due_on = today - timedelta(days=draw.choice([1, 29, 30, 59, 60, 61]))
        owes(account, draw.choice(["0.01", "99.99", "100.00", "499.99", "500.00"]), due_on)
        account.late_payments_year = draw.choice([0, 1, 2, 3])
        account.save(update_fields=["late_payments_year"])

    accounts_grade(actor=CLOCK, today=today)

    for account in BillingAccount.objects.select_related("grade", "customer"):
        expected = next((g.code for g in Grade.objects.order_by("rank") if _holds(g, account, today)), None)
        assert (account.grade.code if account.grade else None) == expected


def _holds(g: Grade, account: BillingAccount, today: date) -> bool:
    assert account.oldest_due_on is not None
    return (
        g.is_active
        and (today - account.oldest_due_on).days >= g.min_days
        and account.overdue >= g.min_amount
        and account.late_payments_year >= g.min_late_payments
        and (not g.customer_classes or account.customer.customer_class in g.customer_classes)
        and (not g.importances or account.customer.importance in g.importances)
    )


# --- why, and the history -----------------------------------------------------------------------------


def test_the_account_says_why_in_both_languages(city: SmallCity) -> None:
    grade("large", 1, min_days=30, min_amount=300, customer_classes=["residential"])
    account = debtor(city, days=45)

    accounts_grade(actor=CLOCK)

    account.refresh_from_db()
    assert account.oldest_due_on is not None
    assert account.grade_why == {
        "grade": "large", "days": 45, "since": account.oldest_due_on.isoformat(), "amount": "320.00",
        "class": "residential", "importance": "normal", "late_payments": 0,
        "rule": {"days": 30, "amount": "300.00", "late_payments": 0, "classes": ["residential"], "importances": []},
    }  # fmt: skip
    assert [(r.name, r.fact, r.asked) for r in reasons_of(account.grade_why)] == [
        ("Days overdue", "45 days", "at least 30 days"),
        ("Amount overdue", "320.00", "at least 300.00"),
        ("Late payments in twelve months", "0 times", ""),
        ("Class", "residential", "residential"),
        ("Importance", "normal", ""),
    ]
    with translation.override("zh-hans"):
        assert reasons_of(account.grade_why)[3].fact == "居民"


def test_a_change_is_kept_and_a_night_without_one_writes_nothing(city: SmallCity) -> None:
    small, large = grade("small", 2), grade("large", 1, min_amount=300)
    account = debtor(city, amount="299.99")
    accounts_grade(actor=CLOCK)
    account.refresh_from_db()
    first = account.graded_at

    run = accounts_grade(actor=CLOCK)
    account.refresh_from_db()
    assert (run.regraded, account.graded_at) == (0, first)

    owes(account, "300.00")
    accounts_grade(actor=CLOCK)
    changes = GradeChange.objects.order_by("pk").values_list("before", "after", "why__amount")
    assert list(changes) == [(None, small.pk, "299.99"), (small.pk, large.pk, "300.00")]


def test_who_owes_nothing_has_no_grade_and_no_open_case(city: SmallCity) -> None:
    account = debtor(city)
    accounts_grade(actor=CLOCK)
    account.bills.all().delete()
    BillingAccount.objects.filter(pk=account.pk).update(overdue=0, oldest_due_on=None, bills_overdue=0)

    run = accounts_grade(actor=CLOCK)

    account.refresh_from_db()
    assert (account.grade, account.grade_why) == (None, {})
    assert (run.in_arrears, run.regraded, run.closed) == (0, 1, 1)
    assert account.cases.get().closed_at is not None
    assert GradeChange.objects.filter(account=account, after=None).count() == 1


def test_whoever_owes_again_has_a_case_of_its_own(city: SmallCity) -> None:
    account = debtor(city)
    account.cases.update(closed_at=world.today(city.east))

    assert accounts_grade(actor=CLOCK).opened == 1
    assert accounts_grade(actor=CLOCK).opened == 0
    assert ArrearsCase.objects.filter(account=account, closed_at=None).count() == 1


@pytest.mark.parametrize("number", [2, 40])
def test_statements_do_not_grow_with_accounts(
    city: SmallCity, number: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    grades_default()
    crowd_of_debtors(city, number)
    with django_assert_num_queries(13):
        accounts_grade(actor=CLOCK)
    assert set(graded().values()) == {"residential"}


# --- asking for it ------------------------------------------------------------------------------------


def test_asked_for_twice_it_is_done_once(city: SmallCity, vera: Actor) -> None:
    assert not grading_owed()
    first = grading_ask(actor=vera)
    assert grading_ask(actor=vera) == first
    assert grading_owed()

    run = accounts_grade(actor=CLOCK)

    assert (run.pk, run.by_name) == (first.pk, vera.name)
    assert not grading_owed()


def test_only_the_company_grades(city: SmallCity, ben: Actor, otto: Actor) -> None:
    for actor in (ben, otto):
        with pytest.raises(Forbidden):
            grading_ask(actor=actor)
    assert not GradingRun.objects.exists()


# --- the grades themselves ----------------------------------------------------------------------------


def test_the_company_writes_grades_with_their_reminders(city: SmallCity, vera: Actor) -> None:
    made = grade_save(actor=vera, facts=facts(), steps=[StepDraft(3, ("sms",)), StepDraft(10, ("sms", "email"))])
    kept = made.steps.get(after_days=3)

    grade_save(actor=vera, grade_id=made.pk, facts=facts(name_en="Often"), steps=[StepDraft(3, ("email",))])

    made.refresh_from_db()
    assert made.name_en == "Often"
    assert list(made.steps.values_list("pk", "after_days", "channels")) == [(kept.pk, 3, ["email"])]
    assert not grade_switch(actor=vera, grade_id=made.pk, is_active=False).is_active


def test_nobody_else_changes_a_grade(city: SmallCity, ben: Actor, otto: Actor, vera: Actor) -> None:
    made = grade_save(actor=vera, facts=facts(), steps=[])
    for actor in (ben, otto):
        with pytest.raises(Forbidden):
            grade_save(actor=actor, grade_id=made.pk, facts=facts(name_en="Mine"), steps=[])
        with pytest.raises(Forbidden):
            grade_switch(actor=actor, grade_id=made.pk, is_active=False)
    with pytest.raises(NotFound):
        grade_switch(actor=vera, grade_id=made.pk + 1, is_active=False)
    made.refresh_from_db()
    assert (made.name_en, made.is_active) == ("Late", True)


def test_a_grade_that_contradicts_another_or_itself_is_refused(city: SmallCity, vera: Actor) -> None:
    grade_save(actor=vera, facts=facts(), steps=[])
    with pytest.raises(GradeTaken):
        grade_save(actor=vera, facts=facts(code="other"), steps=[])
    with pytest.raises(StepTwice):
        grade_save(actor=vera, facts=facts(code="other", rank=6), steps=[StepDraft(3, ("sms",))] * 2)
    with pytest.raises(NoChannel):
        grade_save(actor=vera, facts=facts(code="other", rank=6, channels=[]), steps=[])
    with pytest.raises(NoChannel):
        grade_save(actor=vera, facts=facts(code="other", rank=6), steps=[StepDraft(3, ())])
    assert Grade.objects.count() == 1


def test_grades_that_nobody_can_reach_are_pointed_out() -> None:
    everybody = Rule(1, "everybody", 1)
    homes = Rule(2, "homes", 2, classes=frozenset({"residential"}))
    large = Rule(3, "large", 0, amount=Decimal(500))

    assert shadows([homes, everybody, large]) == {2: everybody}
    assert shadows([Rule(4, "first", -1, days=0, importances=frozenset({"normal"})), homes, large]) == {}
    all_classes = frozenset({"residential", "commercial", "industrial", "agricultural", "public"})
    assert set(shadows([Rule(5, "named", 1, classes=all_classes), homes])) == {2}
    assert shadows([homes, everybody, large]).get(3) is None


def test_the_defaults_are_all_reachable_and_written_once(city: SmallCity) -> None:
    assert len(grades_default()) == 7
    assert grades_default() == []
    assert shadows(rules_in_force()) == {}


def test_a_dry_run_counts_the_actors_branches_and_writes_nothing(city: SmallCity, ben: Actor, vera: Actor) -> None:
    debtor(city, "SP0001", amount="100.00")
    debtor(city, "SP0002", amount="20.00")
    debtor(city, "SP0005", amount="700.00")
    rules = [Rule(0, "new", 1, amount=Decimal(100))]

    assert [(f.key, f.accounts, f.amount) for f in fallen_under(actor=vera, rules=rules)] == [
        (0, 2, Decimal("800.00")), (None, 1, Decimal("20.00")),
    ]  # fmt: skip
    assert [(f.key, f.accounts) for f in fallen_under(actor=ben, rules=rules)] == [(0, 1), (None, 1)]
    assert set(graded().values()) == {None}
