"""The register of what bars cuts: who sees it, who adds to it, and the second person who ends a hold."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from billing_cutoffs.models import AccountHold, BillingAccount
from tests.billing.world import crowd_of_debtors, debtor
from tests.factories import accounts
from tests.factories.grid import SmallCity
from tests.planned.pages import client_of, text_of

REGISTER = "/cutoffs/holds/"
NEW = "/cutoffs/holds/new/"
CHEN, SMITH = "1000000001", "1000000004"


@pytest.fixture
def chen(city: SmallCity) -> BillingAccount:
    return debtor(city)


@pytest.fixture
def smith(city: SmallCity) -> BillingAccount:
    return debtor(city, "SP0005")


def held(account: BillingAccount, kind: str = "dispute", **facts: Any) -> AccountHold:
    return AccountHold.objects.create(account=account, kind=kind, **{"set_by_name": "billing", **facts})


def typed(**more: Any) -> dict[str, Any]:
    tomorrow = timezone.localtime() + timedelta(days=1)
    return {"account": CHEN, "kind": "dispute", "reason": "bill of May", "until": f"{tomorrow:%Y-%m-%dT%H:%M}", **more}


def shown(user: User, query: str = "") -> list[int]:
    page = client_of(user).get(f"{REGISTER}?{query}")
    assert page.status_code == 200
    return [row[0].pk for row in page.context["rows"]]


# --- the register -------------------------------------------------------------------------------------


def test_the_register_shows_what_stands_in_ones_own_branch(
    chen: BillingAccount, smith: BillingAccount, ben_user: User, dora_user: User
) -> None:
    now = timezone.now()
    standing, agreed = held(chen), held(chen, "promise", until=now + timedelta(days=1), orders_reconnection=True)
    over = held(chen, since=now - timedelta(days=2), until=now - timedelta(days=1))
    ended = held(chen, "other", released_at=now, released_by_name="otto")
    foreign = held(smith)

    assert shown(ben_user) == [agreed.pk, standing.pk]
    assert shown(ben_user, "state=over") == [ended.pk, over.pk]
    assert shown(ben_user, "state=all&kind=promise") == [agreed.pk]
    assert shown(ben_user, f"q={CHEN[-4:]}&branch=0101") == [agreed.pk, standing.pk]
    assert shown(ben_user, "branch=0102") == []
    assert shown(ben_user, "kind=nonsense&state=x&page=99") == [agreed.pk, standing.pk]
    assert shown(dora_user) == [foreign.pk]


@pytest.mark.parametrize("role", ["agent", "dispatcher", "planner", "branch_lead", "administrator"])
def test_who_does_not_read_arrears_sees_no_register(city: SmallCity, chen: BillingAccount, role: str) -> None:
    browser = client_of(accounts.user_with(role, city.east))

    assert browser.get(REGISTER).status_code == 403
    assert browser.get(f"{REGISTER}{held(chen).pk}/").status_code == 404


def test_what_is_said_of_an_illness_is_not_in_the_list(chen: BillingAccount, ben_user: User) -> None:
    hold = held(chen, "medical", reason="oxygen at night")

    assert "oxygen" not in text_of(client_of(ben_user).get(REGISTER))
    assert "oxygen at night" in text_of(client_of(ben_user).get(f"{REGISTER}{hold.pk}/"))


def test_many_lines_take_as_many_statements_as_a_few(city: SmallCity, ben_user: User) -> None:
    debtors = crowd_of_debtors(city, 20)
    browser = client_of(ben_user)
    counted = []
    for some in (debtors[:2], debtors[2:]):
        for account in some:
            held(account)
        with CaptureQueriesContext(connection) as asked:
            assert browser.get(REGISTER).status_code == 200
        counted.append(len(asked))

    assert counted[0] == counted[1]


# --- adding -------------------------------------------------------------------------------------------


def test_a_clerk_bars_a_cut(chen: BillingAccount, ben_user: User) -> None:
    answer = client_of(ben_user).post(NEW, typed())

    assert (answer.status_code, answer["Location"]) == (302, REGISTER)
    assert list(AccountHold.objects.values_list("account", "kind", "reason", "set_by")) == [
        (chen.pk, "dispute", "bill of May", ben_user.pk)
    ]


def test_an_agent_does_so_from_a_call_and_sees_no_register(city: SmallCity, chen: BillingAccount) -> None:
    browser = client_of(accounts.mei(city.east))

    page = browser.get(f"{NEW}?account={CHEN}")
    answer = browser.post(NEW, typed(kind="medical", reason="", until=""))

    assert f'value="{CHEN}"' in text_of(page)
    assert REGISTER + '"' not in text_of(page)
    assert "orders_reconnection" not in text_of(page)
    assert answer["Location"] == NEW
    assert AccountHold.objects.get().kind == "medical"


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"account": SMITH}, "account"),
        ({"account": "99"}, "account"),
        ({"account": "' OR 1=1 --"}, "account"),
        ({"kind": "mood"}, "kind"),
        ({"until": ""}, "until"),
        ({"until": "2020-01-01T00:00"}, "until"),
        ({"reason": ""}, "reason"),
        ({"amount": "-1"}, "amount"),
        ({"orders_reconnection": "on"}, "orders_reconnection"),
    ],
)
def test_what_is_wrong_stands_beside_its_field(
    chen: BillingAccount, smith: BillingAccount, ben_user: User, changed: dict[str, Any], field: str
) -> None:
    answer = client_of(ben_user).post(NEW, typed(**changed))

    assert answer.status_code == 422
    assert list(answer.context["form"].errors) == [field]
    assert not AccountHold.objects.exists()


def test_a_foreign_account_is_refused_in_the_words_of_one_that_is_not_there(
    chen: BillingAccount, smith: BillingAccount, ben_user: User
) -> None:
    browser = client_of(ben_user)

    said = [browser.post(NEW, typed(account=number)).context["form"].errors["account"] for number in (SMITH, "99")]

    assert said[0] == said[1]


# --- ending -------------------------------------------------------------------------------------------


def test_a_second_person_ends_it_with_a_reason(chen: BillingAccount, ben_user: User, otto_user: User) -> None:
    hold = held(chen, set_by=ben_user, set_by_name="Ben")
    page = f"{REGISTER}{hold.pk}/"
    otto = client_of(otto_user)

    assert "End the hold" in text_of(otto.get(page))
    assert otto.post(page, {"reason": ""}).status_code == 422
    answer = otto.post(page, {"reason": "paid in cash"})

    assert (answer.status_code, answer["Location"]) == (302, REGISTER)
    hold.refresh_from_db()
    assert (hold.released_by_id, hold.release_reason) == (otto_user.pk, "paid in cash")
    assert "paid in cash" in text_of(otto.get(page))
    assert otto.post(page, {"reason": "again"}).status_code == 409


def test_who_set_it_sees_that_another_must_end_it(city: SmallCity, chen: BillingAccount, otto_user: User) -> None:
    hold = held(chen, set_by=otto_user, set_by_name="Otto")
    browser, page = client_of(otto_user), f"{REGISTER}{hold.pk}/"

    assert "another person must end it" in text_of(browser.get(page))
    assert browser.post(page, {"reason": "x"}).status_code == 403
    hold.refresh_from_db()
    assert hold.released_at is None


def test_who_may_not_end_it_reads_it_only(chen: BillingAccount, ben_user: User, dora_user: User) -> None:
    hold = held(chen)
    page = f"{REGISTER}{hold.pk}/"

    assert "End the hold" not in text_of(client_of(ben_user).get(page))
    assert client_of(ben_user).post(page, {"reason": "x"}).status_code == 403
    assert client_of(dora_user).get(page).status_code == 404
    assert client_of(dora_user).post(page, {"reason": "x"}).status_code == 404
    hold.refresh_from_db()
    assert hold.released_at is None
