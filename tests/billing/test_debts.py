"""What an account owes follows from its bills and what was paid since the statement: SQL against a naive recount."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from billing_cutoffs.debts import Refreshed, debts_refresh, debts_wrong
from billing_cutoffs.models import Bill, BillingAccount, Payment
from grid.models import Branch
from tests.billing.world import crowd_of_debtors, debtor
from tests.factories.grid import SmallCity, small_city

# a reckoning alone: the cases follow in the feed
pytestmark = pytest.mark.debts_by_hand
TODAY = date(2026, 6, 15)


def bill(account: BillingAccount, number: str, due_on: date, amount: str) -> None:
    Bill.objects.create(account=account, number=number, due_on=due_on, open_amount=Decimal(amount))


def paid(account: BillingAccount, amount: str, *, status: str = "settled", at: datetime | None = None) -> Payment:
    at = at or account.statement_at + timedelta(minutes=1)
    return Payment.objects.create(
        source_system="bank", payment_id=f"P{Payment.objects.count()}", account=account, amount=Decimal(amount),
        account_number=account.customer.account_number, status=status, paid_at=at,
        received_at=at, settled_at=at if status == "settled" else None,
    )  # fmt: skip


def figures(account: BillingAccount) -> tuple[Decimal, date | None, int]:
    account.refresh_from_db()
    return account.overdue, account.oldest_due_on, account.bills_overdue


def refresh(*accounts: BillingAccount, today: date = TODAY) -> Refreshed:
    return debts_refresh(account_ids=[account.pk for account in accounts], today=today)


@pytest.fixture
def account(city: SmallCity) -> BillingAccount:
    """Three bills: one long overdue, one due yesterday, one due today."""
    made = debtor(city)
    made.bills.all().delete()
    bill(made, "1", TODAY - timedelta(days=40), "100.00")
    bill(made, "2", TODAY - timedelta(days=1), "50.00")
    bill(made, "3", TODAY, "25.00")
    return made


def test_a_bill_is_overdue_on_the_day_after_it_was_due(account: BillingAccount) -> None:
    refresh(account)

    assert figures(account) == (Decimal("150.00"), TODAY - timedelta(days=40), 2)
    refresh(account, today=TODAY + timedelta(days=1))
    assert figures(account) == (Decimal("175.00"), TODAY - timedelta(days=40), 3)


@pytest.mark.parametrize(
    ("amount", "left", "oldest_days", "bills"),
    [
        ("99.99", "50.01", 40, 2),
        ("100.00", "50.00", 1, 1),
        ("149.99", "0.01", 1, 1),
        ("150.00", "0.00", None, 0),
        ("1000.00", "0.00", None, 0),
    ],
)
def test_a_payment_covers_the_oldest_bill_first_and_never_more_than_is_owed(
    account: BillingAccount, amount: str, left: str, oldest_days: int | None, bills: int
) -> None:
    paid(account, amount)

    refresh(account)

    oldest = None if oldest_days is None else TODAY - timedelta(days=oldest_days)
    assert figures(account) == (Decimal(left), oldest, bills)


def test_what_was_paid_beyond_the_overdue_bills_counts_for_the_next_one(account: BillingAccount) -> None:
    paid(account, "160.00")

    refresh(account, today=TODAY + timedelta(days=1))

    assert figures(account) == (Decimal("15.00"), TODAY, 1)


@pytest.mark.parametrize("status", ["in_flight", "returned"])
def test_what_has_not_arrived_or_was_taken_back_covers_nothing(account: BillingAccount, status: str) -> None:
    paid(account, "150.00", status=status)

    refresh(account)

    assert figures(account)[0] == Decimal("150.00")


def test_a_payment_that_the_statement_knows_is_not_counted_twice(account: BillingAccount) -> None:
    paid(account, "150.00", at=account.statement_at)

    refresh(account)

    assert figures(account)[0] == Decimal("150.00")


def test_what_was_on_its_way_when_billing_stated_the_account_counts_when_it_arrives(account: BillingAccount) -> None:
    payment = paid(account, "150.00", status="in_flight", at=account.statement_at - timedelta(hours=1))
    payment.status, payment.settled_at = "settled", account.statement_at + timedelta(minutes=1)
    payment.save(update_fields=["status", "settled_at"])

    refresh(account)

    assert figures(account) == (Decimal("0.00"), None, 0)


def test_it_says_whose_debt_is_another_one_and_who_owes_nothing_any_more(city: SmallCity) -> None:
    first, second, third = crowd_of_debtors(city, 3)
    paid(first, "320.00")
    paid(second, "20.00")

    done = debts_refresh(account_ids=None)

    assert done == Refreshed(changed=[first.pk, second.pk], cleared=[first.pk])
    assert debts_refresh(account_ids=None) == Refreshed([], [])
    assert debts_refresh(account_ids=[third.pk]) == Refreshed([], [])


def test_each_branch_has_its_own_day(city: SmallCity) -> None:
    """At no moment is it the same day in Kiritimati and on Baker Island."""
    here, there = crowd_of_debtors(city, 2)
    days = {}
    for account, zone, name in ((here, "Pacific/Kiritimati", "east"), (there, "Etc/GMT+12", "west")):
        branch = Branch.objects.create(code=name, name=name, time_zone=zone)
        account.branch = branch
        account.save(update_fields=["branch"])
        days[name] = timezone.now().astimezone(ZoneInfo(zone)).date()
    assert days["east"] > days["west"]
    Bill.objects.update(due_on=days["west"])

    debts_refresh(account_ids=None)

    assert figures(here)[0] == Decimal("320.00")
    assert figures(there) == (Decimal("0.00"), None, 0)


def test_the_statements_do_not_grow_with_the_accounts(city: SmallCity) -> None:
    crowd_of_debtors(city, 30)
    Bill.objects.update(open_amount=Decimal("10.00"))

    with CaptureQueriesContext(connection) as asked:
        done = debts_refresh(account_ids=None)

    assert len(done.changed) == 30
    assert len(asked) == 3  # who differs, their locks, the write


def test_a_kept_debt_that_is_not_what_the_rows_say_is_found(city: SmallCity) -> None:
    right, wrong = crowd_of_debtors(city, 2)
    assert debts_wrong() == []

    BillingAccount.objects.filter(pk=wrong.pk).update(overdue=Decimal("1.00"))

    assert debts_wrong() == [wrong.pk]
    with transaction.atomic():
        assert debts_refresh(account_ids=None).changed == [wrong.pk]
    assert debts_wrong() == []
    assert figures(right)[0] == Decimal("320.00")


# --- against a recount that knows nothing of the SQL ---------------------------------------------------------------

BILLS = st.lists(st.tuples(st.integers(-60, 5), st.integers(1, 30_000)), max_size=5)
PAYMENTS = st.lists(
    st.tuples(st.integers(1, 40_000), st.sampled_from(["settled", "in_flight", "returned"]), st.booleans()), max_size=4
)


def recounted(bills: list[tuple[int, int]], payments: list[tuple[int, str, bool]]) -> tuple[int, int | None, int]:
    """In cents and days, bill by bill."""
    money = sum(cents for cents, status, is_after in payments if status == "settled" and is_after)
    owed, oldest, number = 0, None, 0
    for days, cents in sorted(bills, key=lambda one: one[0]):
        covered = min(money, cents)
        money -= covered
        if days < 0 and cents > covered:
            owed, oldest, number = owed + cents - covered, days if oldest is None else oldest, number + 1
    return owed, oldest, number


class TestRecount(TestCase):
    @hypothesis_settings(max_examples=40)
    @given(world=st.lists(st.tuples(BILLS, PAYMENTS), min_size=1, max_size=4))
    def test_sql_and_recount_agree(
        self, world: list[tuple[list[tuple[int, int]], list[tuple[int, str, bool]]]]
    ) -> None:
        accounts = crowd_of_debtors(small_city(), len(world))
        Bill.objects.all().delete()
        for account, (bills, payments) in zip(accounts, world, strict=True):
            for n, (days, cents) in enumerate(bills):
                bill(account, str(n), TODAY + timedelta(days=days), str(Decimal(cents) / 100))
            for cents, status, is_after in payments:
                minutes = timedelta(minutes=1 if is_after else -1)
                paid(account, str(Decimal(cents) / 100), status=status, at=account.statement_at + minutes)

        debts_refresh(account_ids=None, today=TODAY)

        for account, (bills, payments) in zip(accounts, world, strict=True):
            owed, oldest, number = recounted(bills, payments)
            day = None if oldest is None else TODAY + timedelta(days=oldest)
            assert figures(account) == (Decimal(owed) / 100, day, number)


def test_the_command_names_what_is_broken(city: SmallCity, capsys: pytest.CaptureFixture[str]) -> None:
    account = debtor(city)
    call_command("check_cutoffs")
    BillingAccount.objects.filter(pk=account.pk).update(overdue=Decimal("1.00"))

    with pytest.raises(CommandError):
        call_command("check_cutoffs")

    said = capsys.readouterr()
    assert said.out == "All invariants hold.\n"
    assert said.err == f"BROKEN: an account's debt is what its bills and payments say: {account.pk}\n"
