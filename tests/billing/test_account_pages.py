"""Debtors on the screen: the list, one account, a notice served by hand, letters on paper, and who may see them."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone
from pytest_django.fixtures import DjangoAssertNumQueries

from accounts.actor import Actor
from accounts.models import AccessEvent, User
from billing_cutoffs.models import AccountHold, BillingAccount, CutoffOrder, DebtNotice, Payment
from billing_cutoffs.services import dunning
from billing_cutoffs.services.grades import accounts_grade
from grid.models import Branch
from tests.billing import world
from tests.billing.world import CLOCK, crowd_of_debtors, debtor
from tests.factories import accounts
from tests.factories.grid import SmallCity
from tests.planned.pages import client_of, text_of

LIST = "/cutoffs/accounts/"
CHEN, WANG, SMITH = "1000000001", "1000000002", "1000000004"


def listed(page: Any) -> list[str]:
    return [row[0].customer.account_number for row in page.context["rows"]]


def ordered(city: SmallCity, ben: Actor, account: BillingAccount, state: str = "approved") -> CutoffOrder:
    batch = world.batch(
        city.east, ben, state="approved", opens=timezone.now() + timedelta(days=10), approved_at=timezone.now()
    )
    return world.order(account, batch, state=state)


# --- the list -----------------------------------------------------------------------------------------


def test_the_oldest_debt_comes_first_and_names_are_masked(city: SmallCity, ben_user: User) -> None:
    debtor(city, "SP0001", days=40)
    debtor(city, "SP0002", days=50)
    debtor(city, "SP0005", days=60)  # the west's

    page = client_of(ben_user).get(LIST)

    assert listed(page) == [WANG, CHEN]
    assert [row[2] for row in page.context["rows"]] == [50, 40]
    assert "王*" in text_of(page)
    assert "王伟" not in text_of(page)
    assert page.context["counts"] == {
        "all": 2, "amount": Decimal("640.00"), "ordered": 0, "off": 0, "barred": 0, "not_graded": 2,
    }  # fmt: skip


def test_it_is_narrowed_by_what_matters(city: SmallCity, ben: Actor, ben_user: User) -> None:
    chen, wang = debtor(city, "SP0001", days=40), debtor(city, "SP0002", days=50, amount="20.00")
    life = debtor(city, "SP0003", days=60)
    accounts_grade(actor=CLOCK)
    ordered(city, ben, chen)
    AccountHold.objects.create(account=life, kind="medical", set_by_name="ben")
    browser = client_of(ben_user)

    def found(**asked: Any) -> list[str]:
        return listed(browser.get(LIST, asked))

    assert found(grade="residential-small") == [WANG]
    assert found(days=50) == ["1000000003", WANG]
    assert found(amount="300") == ["1000000003", CHEN]
    assert found(state="ordered") == [CHEN]
    assert found(state="barred") == ["1000000003"]
    assert found(state="none") == ["1000000003", WANG]
    assert found(state="off") == []
    assert found(branch="0101") == ["1000000003", WANG, CHEN]
    assert found(branch="0102") == []
    assert found(branch="nowhere") == []
    assert wang.pk != life.pk


def test_a_search_is_never_in_the_address(city: SmallCity, ben_user: User) -> None:
    debtor(city, "SP0001")
    debtor(city, "SP0002")
    browser = client_of(ben_user)

    for typed, expected in (("陈", [CHEN]), ("0002", [WANG]), ("nobody", [])):
        answer = browser.get(LIST, {"q": typed, "branch": "0101"})
        assert (answer.status_code, answer["Location"]) == (302, f"{LIST}?branch=0101&found=")
        assert listed(browser.get(answer["Location"])) == expected
    assert len(listed(browser.get(LIST))) == 2


def test_the_export_has_the_same_rows_and_is_logged(city: SmallCity, ben_user: User) -> None:
    debtor(city, "SP0001")
    debtor(city, "SP0002", amount="20.00")

    lines = text_of(client_of(ben_user).get("/cutoffs/accounts.csv", {"amount": "100"})).splitlines()

    assert len(lines) == 2
    assert lines[1].startswith("1000000001,陈*,residential,城东供电分局,320.00,1,")
    event = AccessEvent.objects.get(verb="export")
    assert (event.object_type, event.detail) == ("billing_accounts", {"rows": 1})


@pytest.mark.parametrize("number", [3, 30])
def test_the_list_asks_a_constant_number_of_statements(
    city: SmallCity, ben_user: User, number: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    crowd_of_debtors(city, number)
    accounts_grade(actor=CLOCK)
    browser = client_of(ben_user)
    browser.get(LIST)
    with django_assert_num_queries(9):
        browser.get(LIST)


# --- one account --------------------------------------------------------------------------------------


def test_the_page_has_it_all_and_says_what_comes_next(city: SmallCity, ben_user: User) -> None:
    account = debtor(city, "SP0001", days=21)
    Branch.objects.update(send_from="00:00", send_until="00:00")
    accounts_grade(actor=CLOCK)
    dunning.reminders_issue(actor=CLOCK)
    Payment.objects.create(
        source_system="bank", payment_id="1", account_number=CHEN, account=account, amount=Decimal("50.00"),
        status="in_flight", paid_at=timezone.now(),
    )  # fmt: skip
    AccountHold.objects.create(account=account, kind="keep_power", set_by_name="ben", reason="exam centre")

    answer = client_of(ben_user).get(f"{LIST}{CHEN}/")

    page, file = text_of(answer), answer.context["file"]
    for words in ("陈*", "320.00", "50.00 on its way", "B-SP0001", "exam centre", "at least 100.00", "您尾号0001"):
        assert words in page
    assert "陈静" not in page
    due = account.oldest_due_on
    assert due is not None
    assert [(n.text, n.on) for n in file.nexts] == [
        ("Reminder of day 28.", due + timedelta(days=28)),
        ("From then on it may be proposed for a cut, which a person decides.", due + timedelta(days=31)),
    ]
    event = AccessEvent.objects.get(verb="search")
    assert (event.actor_name, event.object_type, event.object_ref) == ("Ben", "billing_account", CHEN)


@pytest.mark.parametrize("state", ["eligible", "approved", "noticed", "warned", "disconnected", "paid"])
def test_with_an_order_the_page_says_what_follows_from_it(
    city: SmallCity, ben: Actor, ben_user: User, state: str
) -> None:
    account = debtor(city, "SP0001")
    accounts_grade(actor=CLOCK)
    order = ordered(city, ben, account, state)

    answer = client_of(ben_user).get(f"{LIST}{CHEN}/")

    assert order.reference in text_of(answer)
    assert len(answer.context["file"].nexts) in (1, 2)
    assert "Reminder of day" not in text_of(answer)


@pytest.mark.parametrize("number", [1, 12])
def test_the_page_asks_a_constant_number_of_statements(
    city: SmallCity, ben: Actor, ben_user: User, number: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    account = debtor(city, "SP0001")
    accounts_grade(actor=CLOCK)
    order = ordered(city, ben, account)
    case = account.cases.get()
    for n in range(number):
        DebtNotice.objects.create(
            case=case, stage="reminder", after_days=n, amount=Decimal(1), issued_at=timezone.now(), order=None
        )
        AccountHold.objects.create(account=account, kind="other", set_by_name="ben")
    assert order.pk
    browser = client_of(ben_user)
    browser.get(f"{LIST}{CHEN}/")
    with django_assert_num_queries(14):
        browser.get(f"{LIST}{CHEN}/")


def test_a_foreign_account_is_the_same_as_none(city: SmallCity, ben_user: User) -> None:
    debtor(city, "SP0005")
    browser = client_of(ben_user)
    for page in (f"{LIST}{SMITH}/", f"{LIST}{SMITH}/evidence/", f"{LIST}none/"):
        assert browser.get(page).status_code == 404
    assert not AccessEvent.objects.filter(verb="search").exists()


@pytest.mark.parametrize("role", ["agent", "dispatcher", "planner", "branch_lead", "administrator"])
def test_who_reads_no_arrears_sees_no_debtor(city: SmallCity, role: str) -> None:
    debtor(city, "SP0001")
    browser = client_of(accounts.user_with(role, city.bureau))
    assert browser.get(LIST).status_code == 403
    assert browser.get("/cutoffs/accounts.csv").status_code == 403
    assert browser.get(f"{LIST}{CHEN}/").status_code == 404


# --- served by hand -----------------------------------------------------------------------------------


def written(city: SmallCity, ben: Actor, *codes: str) -> list[CutoffOrder]:
    orders = [ordered(city, ben, debtor(city, code)) for code in codes]
    CutoffOrder.objects.update(batch=orders[0].batch)
    accounts_grade(actor=CLOCK)
    dunning.letters_issue(batch_id=orders[0].batch_id, actor=CLOCK)
    return orders


def test_the_clerk_says_that_a_letter_was_handed_over(city: SmallCity, ben: Actor, ben_user: User) -> None:
    [order] = written(city, ben, "SP0001")
    notice = order.notices.get()
    url = f"{LIST}{CHEN}/notices/{notice.pk}/"
    browser = client_of(ben_user)
    assert "您尾号0001" in text_of(browser.get(url))
    at = timezone.localtime().strftime("%Y-%m-%dT%H:%M")

    wrong = browser.post(url, {"how": "by_hand", "served_at": "2099-01-01T10:00", "note": "陈静"})
    assert (wrong.status_code, order.notices.get().served_at) == (422, None)
    answer = browser.post(url, {"how": "by_hand", "served_at": at, "note": "陈静"})

    assert (answer.status_code, answer["Location"]) == (302, f"{LIST}{CHEN}/")
    order.refresh_from_db()
    assert order.state == "noticed"
    again = browser.post(url, {"how": "by_hand", "served_at": at, "note": "陈静"})
    assert again.status_code == 409


def test_an_approver_serves_nothing(city: SmallCity, ben: Actor, otto_user: User) -> None:
    [order] = written(city, ben, "SP0001")
    url = f"{LIST}{CHEN}/notices/{order.notices.get().pk}/"
    browser = client_of(otto_user)
    assert browser.get(url).status_code == 403
    assert "Served by hand" not in text_of(browser.get(f"{LIST}{CHEN}/"))


# --- on paper -----------------------------------------------------------------------------------------


def test_letters_without_proof_are_printed_to_be_served(
    city: SmallCity, ben: Actor, ben_user: User, otto_user: User
) -> None:
    first, _second = written(city, ben, "SP0001", "SP0002")
    first.notices.update(served_at=timezone.now(), served_how="sms")
    url = f"/cutoffs/letters/{first.batch.reference}/"

    page = text_of(client_of(ben_user).get(url))

    assert "您尾号0002" in page
    assert "您尾号0001" not in page
    assert "王伟" in page  # the clerk may reveal names, and it is logged
    assert AccessEvent.objects.get(verb="reveal").object_ref == first.batch.reference
    assert "王伟" not in text_of(client_of(otto_user).get(url))


def test_letters_to_important_users_are_copied_to_the_authority(city: SmallCity, ben: Actor, ben_user: User) -> None:
    city.customers["wang"].importance = "important_2"
    city.customers["wang"].save(update_fields=["importance"])
    first, _second = written(city, ben, "SP0001", "SP0002")
    url = f"/cutoffs/letters/{first.batch.reference}/?only=authority"

    assert [n.case.account.customer.account_number for n, _name in client_of(ben_user).get(url).context["letters"]] == [
        WANG
    ]
    first.batch.rule_pack = "gb"  # knows no such copy
    first.batch.save(update_fields=["rule_pack"])
    assert client_of(ben_user).get(url).context["letters"] == []
