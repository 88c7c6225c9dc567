"""Billing states accounts and customers pay: what is taken in, what is refused, and that one item stops no other."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.actor import Actor
from billing_cutoffs.models import (
    ArrearsCase,
    Bill,
    BillingAccount,
    Payment,
)
from billing_cutoffs.services.feed import (
    arrears_receive,
    payments_match,
    payments_receive,
)
from tests.billing.told import CHEN, SMITH, WANG, payment, statement
from tests.billing.world import batch, crowd_of_debtors, debtor, order, today
from tests.factories.grid import SmallCity

BILLING = Actor.system("billing")


def stated(*items: Any, actor: Actor = BILLING) -> list[str]:
    return [one.outcome for one in arrears_receive(actor=actor, source_system="billing", items=items)]


def paid(*items: Any, actor: Actor = BILLING) -> list[str]:
    return [one.outcome for one in payments_receive(actor=actor, source_system="bank", items=items)]


def rows() -> dict[str, list[dict[str, Any]]]:
    models = (BillingAccount, Bill, Payment, ArrearsCase)
    return {model.__name__: [dict(row) for row in model._default_manager.order_by("pk").values()] for model in models}


def overdue(number: str) -> Decimal:
    return BillingAccount.objects.get(customer__account_number=number).overdue


# --- statements -----------------------------------------------------------------------------------------------------


def test_a_statement_makes_the_account_and_says_what_is_overdue(city: SmallCity) -> None:
    outcome = stated(
        statement(
            city, WANG, ("B1", 40, "120.50"), ("B2", 10, "80.00"), ("B3", -5, "99.99"),
            late_payments_year=3, has_remote_switch=True,
        )
    )  # fmt: skip

    assert outcome == ["applied"]
    account = BillingAccount.objects.get()
    assert (account.overdue, account.bills_overdue) == (Decimal("200.50"), 2)
    assert account.oldest_due_on == today(city.east).date() - timedelta(days=40)
    assert account.branch == city.east
    assert account.service_point == city.service_points["SP0002"]  # the only one
    assert (account.late_payments_year, account.has_remote_switch, account.source_system) == (3, True, "billing")


def test_a_later_statement_replaces_the_bills_and_keeps_what_it_does_not_say(city: SmallCity) -> None:
    first = timezone.now() - timedelta(hours=2)
    stated(
        statement(
            city, CHEN, ("B1", 40, "120.50"), ("B2", 10, "80.00"), as_of=first,
            has_remote_switch=True, service_point="SP0001",
        )
    )  # fmt: skip

    assert stated(statement(city, CHEN, ("B2", 10, "70.00"), ("B4", 3, "1.00"))) == ["applied"]

    assert list(Bill.objects.values_list("number", "open_amount")) == [("B2", Decimal("70.00")), ("B4", Decimal(1))]
    account = BillingAccount.objects.get()
    assert (account.overdue, account.has_remote_switch) == (Decimal("71.00"), True)
    assert account.service_point == city.service_points["SP0001"]


def test_a_customer_with_several_premises_who_are_not_named_has_none(city: SmallCity) -> None:
    stated(statement(city, CHEN, ("B1", 40, "120.50")))

    assert BillingAccount.objects.get().service_point is None


def test_a_statement_without_bills_owes_nothing_and_ends_the_case(city: SmallCity) -> None:
    account = debtor(city, "SP0002")

    assert stated(statement(city, WANG)) == ["applied"]

    account.refresh_from_db()
    assert (account.overdue, account.oldest_due_on, account.bills_overdue) == (Decimal(0), None, 0)
    assert account.cases.get().closed_at is not None
    assert not account.bills.exists()


def test_an_older_statement_changes_nothing(city: SmallCity) -> None:
    debtor(city, "SP0002")
    before = rows()

    old = statement(city, WANG, ("B9", 90, "999.00"), as_of=timezone.now() - timedelta(days=2))

    assert stated(old) == ["stale_statement"]
    assert rows() == before


def test_the_same_statement_again_is_unchanged_and_a_correction_of_the_same_moment_is_taken(city: SmallCity) -> None:
    told = statement(city, WANG, ("B1", 40, "120.50"), ("B2", 10, "80.00"))
    stated(told)
    before = rows()

    assert stated(told) == ["unchanged"]
    assert stated({**told, "bills": told["bills"][::-1]}) == ["unchanged"]
    assert rows() == before
    assert stated({**told, "bills": told["bills"][:1]}) == ["applied"]
    assert overdue(WANG) == Decimal("120.50")


BAD: list[tuple[str, dict[str, Any], str, str]] = [
    ("no number", {"account_number": ""}, "missing", "account_number"),
    ("unknown", {"account_number": "9999999999"}, "unknown_account", "account_number"),
    ("point of another", {"service_point": "SP0001"}, "wrong_service_point", "service_point"),
    ("no such point", {"service_point": "SP9999"}, "wrong_service_point", "service_point"),
    ("no time", {"as_of": None}, "missing", "as_of"),
    ("not a time", {"as_of": "yesterday"}, "bad_time", "as_of"),
    ("ahead", {"as_of": (timezone.now() + timedelta(days=1)).isoformat()}, "bad_time", "as_of"),
    ("no bills", {"bills": None}, "missing", "bills"),
    ("not bills", {"bills": "B1"}, "bad_item", "bills"),
    ("not a bill", {"bills": ["B1"]}, "bad_item", "bills.0"),
    ("number", {"has_remote_switch": "perhaps"}, "bad_flag", "has_remote_switch"),
    ("late", {"late_payments_year": -1}, "bad_number", "late_payments_year"),
    ("control", {"account_number": "10\x0000"}, "bad_text", "account_number"),
]
BAD_BILLS: list[tuple[dict[str, Any], str, str]] = [
    ({"open_amount": "-1.00"}, "bad_amount", "open_amount"),
    ({"open_amount": "1.001"}, "bad_amount", "open_amount"),
    ({"open_amount": 812.3}, "bad_amount", "open_amount"),
    ({"open_amount": True}, "bad_amount", "open_amount"),
    ({"open_amount": "1e5"}, "bad_amount", "open_amount"),
    ({"open_amount": "NaN"}, "bad_amount", "open_amount"),
    ({"open_amount": "１２.00"}, "bad_amount", "open_amount"),
    ({"open_amount": "1234567890123.00"}, "bad_amount", "open_amount"),
    ({"open_amount": ""}, "missing", "open_amount"),
    ({"due_on": "1026-11-01"}, "bad_date", "due_on"),
    ({"due_on": "2226-11-01"}, "bad_date", "due_on"),
    ({"due_on": "2026-02-30"}, "bad_date", "due_on"),
    ({"due_on": "2026-11-01T08:00:00Z"}, "bad_date", "due_on"),
    ({"number": ""}, "missing", "number"),
    ({"number": "B1"}, "duplicate_bill", "number"),
    ({"number": "x" * 65}, "bad_text", "number"),
]


@pytest.mark.parametrize(("wrong", "code", "field"), [one[1:] for one in BAD], ids=[one[0] for one in BAD])
def test_a_wrong_statement_leaves_its_account_alone_and_stops_no_other(
    city: SmallCity, wrong: dict[str, Any], code: str, field: str
) -> None:
    debtor(city, "SP0002")
    before = rows()

    [refused, other] = arrears_receive(
        actor=BILLING, source_system="billing",
        items=[{**statement(city, WANG, ("B9", 50, "5.00")), **wrong}, statement(city, SMITH, ("B1", 5, "10.00"))],
    )  # fmt: skip

    assert refused.error is not None
    assert (refused.outcome, refused.error.code, refused.error.field) == (code, code, field)
    assert other.outcome == "applied"
    assert BillingAccount.objects.count() == 2
    BillingAccount.objects.filter(customer__account_number=SMITH).delete()
    assert rows() == before


@pytest.mark.parametrize(("wrong", "code", "field"), BAD_BILLS)
def test_one_wrong_bill_refuses_the_whole_statement(
    city: SmallCity, wrong: dict[str, Any], code: str, field: str
) -> None:
    debtor(city, "SP0002")
    before = rows()
    told = statement(city, WANG, ("B1", 40, "120.50"), ("B2", 10, "80.00"))
    told["bills"][1] |= wrong

    [refused] = arrears_receive(actor=BILLING, source_system="billing", items=[told])

    assert refused.error is not None
    assert (refused.error.code, refused.error.field) == (code, f"bills.1.{field}")
    assert rows() == before


def test_a_bill_of_nothing_is_paid(city: SmallCity) -> None:
    stated(statement(city, WANG, ("B1", 40, "0.00"), ("B2", 10, "80.00")))

    assert list(Bill.objects.values_list("number", flat=True)) == ["B2"]


def test_what_is_no_item_at_all_is_refused_in_its_place(city: SmallCity) -> None:
    assert stated(None, [], "x", 7, statement(city, WANG)) == ["bad_item"] * 4 + ["applied"]


def test_of_two_statements_of_one_account_only_the_first_is_taken(city: SmallCity) -> None:
    assert stated(statement(city, WANG, ("B1", 40, "5.00")), statement(city, WANG)) == ["applied", "duplicate_item"]
    assert overdue(WANG) == Decimal("5.00")


def test_another_branchs_account_is_the_same_as_none(city: SmallCity, ben: Actor) -> None:
    """Ben is a clerk of the east; Smith lives in the west."""
    assert stated(statement(city, SMITH, ("B1", 40, "5.00")), statement(city, WANG), actor=ben) == [
        "unknown_account", "applied",
    ]  # fmt: skip
    assert BillingAccount.objects.filter(customer__account_number=SMITH).count() == 0


# --- payments -------------------------------------------------------------------------------------------------------


def test_a_payment_counts_at_once(city: SmallCity) -> None:
    account = debtor(city, "SP0002")

    assert paid(payment(amount="320.00")) == ["applied"]

    account.refresh_from_db()
    assert (account.overdue, account.oldest_due_on) == (Decimal(0), None)
    assert account.cases.get().closed_at is not None
    kept = Payment.objects.get()
    assert (kept.account_id, kept.amount, kept.status) == (account.pk, Decimal("320.00"), "settled")
    assert kept.settled_at is not None


def test_a_payment_told_twice_counts_once(city: SmallCity) -> None:
    debtor(city, "SP0002")
    told = payment(amount="100.00")
    paid(told)
    before = rows()

    assert paid(told) == ["already_known"]
    assert paid(told, told) == ["already_known", "already_known"]

    assert rows() == before
    assert overdue(WANG) == Decimal("220.00")


def test_twice_in_one_batch_is_once_and_a_contradiction_within_a_batch_is_refused(city: SmallCity) -> None:
    debtor(city, "SP0002")
    told = payment(amount="100.00")

    assert paid(told, told, {**told, "amount": "1.00"}) == ["applied", "already_known", "duplicate_item"]

    assert overdue(WANG) == Decimal("220.00")


@pytest.mark.parametrize("other", [{"amount": "320.01"}, {"account_number": CHEN}])
def test_the_same_payment_with_another_amount_or_account_is_refused(city: SmallCity, other: dict[str, str]) -> None:
    debtor(city, "SP0001")
    debtor(city, "SP0002")
    told = payment(amount="100.00")
    paid(told)
    before = rows()

    assert paid({**told, **other}) == ["payment_differs"]
    assert rows() == before


def test_a_payment_on_its_way_counts_when_it_arrives_and_no_more_when_it_is_taken_back(city: SmallCity) -> None:
    account = debtor(city, "SP0002")
    told = payment(amount="320.00", status="in_flight")

    assert paid(told) == ["applied"]
    assert overdue(WANG) == Decimal("320.00")
    assert paid({**told, "status": "settled"}) == ["applied"]
    assert overdue(WANG) == 0
    assert paid({**told, "status": "returned"}) == ["applied"]
    assert overdue(WANG) == Decimal("320.00")
    account.refresh_from_db()
    assert account.oldest_due_on == today(city.east).date() - timedelta(days=45)


@pytest.mark.parametrize(
    ("known", "lower"), [("settled", "in_flight"), ("returned", "settled"), ("returned", "in_flight")]
)
def test_a_payment_only_moves_on(city: SmallCity, known: str, lower: str) -> None:
    debtor(city, "SP0002")
    told = payment(amount="100.00", status=known)
    paid(told)
    before = rows()

    assert paid({**told, "status": lower}) == ["stale_status"]
    assert rows() == before


@pytest.mark.parametrize(
    ("wrong", "code", "field"),
    [
        ({"amount": "0.00"}, "bad_amount", "amount"),
        ({"amount": "-5.00"}, "bad_amount", "amount"),
        ({"amount": 5.5}, "bad_amount", "amount"),
        ({"amount": None}, "missing", "amount"),
        ({"paid_at": (timezone.now() + timedelta(minutes=30)).isoformat()}, "bad_time", "paid_at"),
        ({"paid_at": "1999-12-31T00:00:00Z"}, "bad_time", "paid_at"),
        ({"paid_at": ""}, "missing", "paid_at"),
        ({"status": "promised"}, "bad_choice", "status"),
        ({"payment_id": None}, "missing", "payment_id"),
    ],
)
def test_a_wrong_payment_is_not_kept_and_stops_no_other(
    city: SmallCity, wrong: dict[str, Any], code: str, field: str
) -> None:
    debtor(city, "SP0002")

    [refused, other] = payments_receive(
        actor=BILLING, source_system="bank", items=[payment() | wrong, payment(name="P2", amount="20.00")]
    )

    assert refused.error is not None
    assert (refused.outcome, refused.error.field, other.outcome) == (code, field, "applied")
    assert list(Payment.objects.values_list("payment_id", flat=True)) == ["P2"]
    assert overdue(WANG) == Decimal("300.00")


def test_a_payment_for_an_unknown_account_waits_for_its_statement(city: SmallCity) -> None:
    told = payment(WANG, "50.00")

    assert paid(told) == ["unknown_account"]
    assert paid(told) == ["unknown_account"]
    assert Payment.objects.get().account is None

    stated(statement(city, WANG, ("B1", 40, "80.00"), as_of=timezone.now() - timedelta(hours=1)))

    assert Payment.objects.get().account_id == city.customers["wang"].pk
    assert overdue(WANG) == Decimal("30.00")


def test_a_waiting_payment_is_matched_by_the_sweep_too(city: SmallCity) -> None:
    paid(payment(WANG, "320.00"))
    account = debtor(city, "SP0002")

    assert payments_match(actor=BILLING) == 1
    assert payments_match(actor=BILLING) == 0

    account.refresh_from_db()
    assert (account.overdue, account.cases.get().closed_at is not None) == (Decimal(0), True)


def test_a_branch_that_names_a_foreign_account_leaves_no_trace(city: SmallCity, ben: Actor) -> None:
    """Kept, it would be matched by the sweep, in a branch that is not the sender's."""
    debtor(city, "SP0005")

    assert paid(payment(SMITH), payment("9999999999", name="P2"), actor=ben) == ["unknown_account", "unknown_account"]

    assert not Payment.objects.exists()
    assert overdue(SMITH) == Decimal("320.00")


def test_whoever_has_paid_is_not_cut(city: SmallCity, ben: Actor) -> None:
    account = debtor(city, "SP0002")
    made = order(account, batch(city.east, ben, state="approved", approved_at=timezone.now()), state="approved")

    paid(payment())

    made.refresh_from_db()
    assert made.state == "cancelled"


# --- many -----------------------------------------------------------------------------------------------------------


def test_the_statements_do_not_grow_with_the_batch(city: SmallCity) -> None:
    accounts = crowd_of_debtors(city, 60)
    numbers = [account.customer.account_number for account in accounts]
    counts = {}
    for size in (3, 60):
        stated(*[statement(city, number, ("B1", 40, "50.00")) for number in numbers[:size]])
        with CaptureQueriesContext(connection) as asked:
            stated(*[statement(city, number, ("B1", 40, "90.00"), ("B2", 4, "1.00")) for number in numbers[:size]])
        counts["arrears", size] = len(asked)
        with CaptureQueriesContext(connection) as asked:
            paid(*[payment(number, "91.00", name=f"{size}-{number}") for number in numbers[:size]])
        counts["payments", size] = len(asked)

    assert counts["arrears", 3] == counts["arrears", 60]
    assert counts["payments", 3] == counts["payments", 60]
    assert not BillingAccount.objects.filter(overdue__gt=0, pk__in=[account.pk for account in accounts]).exists()
