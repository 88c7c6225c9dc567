"""The feeds by REST: an envelope, an answer for each item, the same answer for the same key."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from billing_cutoffs.models import AccountHold, BillingAccount, CutComplaint, Payment, TemperatureForecast
from tests.billing.told import SMITH, WANG, payment, statement
from tests.billing.world import debtor
from tests.factories import accounts
from tests.factories.grid import SmallCity

ADDRESSES = ("arrears", "payments", "account-holds", "temperature-forecasts", "cut-complaints")


def machine(*scopes: str, **kw: Any) -> Client:
    _token, key = accounts.client_token(*scopes, username="billing", **kw)
    return Client(HTTP_AUTHORIZATION=f"Token {key}")


@pytest.fixture
def billing(city: SmallCity) -> Client:
    return machine("arrears:write", "payment:write", "protection:write")


def send(client: Client, address: str, *items: Any, key: str = "", **envelope: Any) -> Any:
    headers = {"idempotency-key": key} if key else {}
    body = {"items": list(items), **envelope}
    return client.post(f"/api/v1/{address}/", body, content_type="application/json", headers=headers)


def test_each_item_has_its_answer_in_the_order_sent(city: SmallCity, billing: Client) -> None:
    answer = send(
        billing, "arrears",
        statement(city, WANG, ("B1", 40, "120.50")),
        {**statement(city, SMITH, ("B1", 40, "1.00")), "bills": [{"number": "B1", "due_on": "x", "open_amount": "1"}]},
        statement(city, "9999999999"),
    )  # fmt: skip

    assert answer.status_code == 200
    body = answer.json()
    assert (body["accepted"], body["refused"]) == (1, 2)
    assert body["items"][0] == {"key": WANG, "outcome": "applied", "error": None}
    assert body["items"][1]["error"] == {
        "code": "bad_date",
        "detail": "A day is written 2026-12-03, and must be plausible.",
        "field": "bills.0.due_on",
    }
    assert (body["items"][2]["key"], body["items"][2]["outcome"]) == ("9999999999", "unknown_account")
    account = BillingAccount.objects.get()
    assert (account.overdue, account.source_system) == (Decimal("120.50"), "api:billing")


def test_a_float_is_never_money(city: SmallCity, billing: Client) -> None:
    debtor(city, "SP0002")

    answer = send(billing, "payments", payment() | {"amount": 320.0}, source_system="bank")

    assert answer.json()["items"][0]["outcome"] == "bad_amount"
    assert not Payment.objects.exists()


def test_the_source_names_itself(city: SmallCity, billing: Client) -> None:
    debtor(city, "SP0002")

    answer = send(billing, "payments", payment(), source_system="bank")

    assert answer.json() == {
        "accepted": 1, "refused": 0, "items": [{"key": "P1", "outcome": "applied", "error": None}]
    }  # fmt: skip
    assert Payment.objects.get().source_system == "bank"


def test_the_same_key_gets_the_first_answer(city: SmallCity, billing: Client) -> None:
    debtor(city, "SP0002")
    told = payment(amount="20.00")

    first = send(billing, "payments", told, key="k1")
    again = send(billing, "payments", told, key="k1")

    assert again.json() == first.json()
    assert again["Idempotency-Replayed"] == "true"
    assert send(billing, "payments", told, key="k2").json()["items"][0]["outcome"] == "already_known"
    assert BillingAccount.objects.get().overdue == Decimal("300.00")


def test_the_other_feeds(city: SmallCity, billing: Client) -> None:
    account = debtor(city, "SP0002")
    now = timezone.now()

    held = send(
        billing, "account-holds",
        {"ref": "H1", "account_number": WANG, "kind": "dispute", "reason": "meter", "since": now.isoformat()},
    )  # fmt: skip
    weather = send(
        billing, "temperature-forecasts",
        {
            "branch": "0101", "day": (now + timedelta(days=1)).date().isoformat(), "low": -7.5, "high": 1,
            "issued_at": now.isoformat(),
        },
    )  # fmt: skip
    heard = send(billing, "cut-complaints", {"account_number": WANG, "text": "wrong", "ref": "C1"})

    assert [one.json()["items"][0]["outcome"] for one in (held, weather, heard)] == ["applied"] * 3
    assert AccountHold.objects.get().account == account
    assert TemperatureForecast.objects.get().low == -7.5
    assert CutComplaint.objects.get().account == account


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("body", [{}, {"items": []}, {"items": "x"}, {"items": {}}, [], {"items": [{}] * 10_001}])
def test_a_wrong_envelope_is_refused(billing: Client, address: str, body: Any) -> None:
    answer = billing.post(f"/api/v1/{address}/", body, content_type="application/json")

    assert answer.status_code == 400
    assert answer.json()["code"] == "invalid"


@pytest.mark.parametrize(
    ("address", "scope"),
    [
        ("arrears", "payment:write"),
        ("payments", "arrears:write"),
        ("account-holds", "payment:write"),
        ("temperature-forecasts", "protection:write"),
        ("cut-complaints", "payment:write"),
    ],
)
def test_each_feed_needs_its_own_scope(city: SmallCity, address: str, scope: str) -> None:
    answer = send(machine(scope), address, {})

    assert answer.status_code == 403


def test_a_client_of_one_branch_names_no_account_of_another(city: SmallCity) -> None:
    debtor(city, "SP0002")
    foreign = send(machine("payment:write", branch=city.west), "payments", payment(), payment("404", name="P2"))

    assert [item["error"] for item in foreign.json()["items"]] == [
        {"code": "unknown_account", "detail": "There is no account of this number.", "field": "account_number"}
    ] * 2
    assert not Payment.objects.exists()


def test_ten_items_and_two_cost_the_same_statements(city: SmallCity, billing: Client) -> None:
    debtor(city, "SP0002")
    send(billing, "payments", payment(amount="0.50", name="warm"))
    counts = []
    for size in (2, 10):
        told = [payment(amount="1.00", name=f"{size}-{n}") for n in range(size)]
        with CaptureQueriesContext(connection) as asked:
            send(billing, "payments", *told)
        counts.append(len(asked))

    assert counts[0] == counts[1]


@pytest.mark.parametrize(
    "amount",
    ["0.00", "-1.00", "NaN", "Infinity", "1e9", "1,000.00", "３２０．００", "320.001", "1" * 13, " 320.00", True, []],
)
def test_what_is_no_amount_pays_nothing(city: SmallCity, billing: Client, amount: Any) -> None:
    account = debtor(city, "SP0002")

    answer = send(billing, "payments", payment() | {"amount": amount}, source_system="bank")

    assert answer.json()["items"][0]["outcome"] == "bad_amount"
    assert not Payment.objects.exists()
    account.refresh_from_db()
    assert account.overdue == Decimal("320.00")


def test_a_name_that_cannot_be_written_is_an_error_of_its_item(city: SmallCity, billing: Client) -> None:
    debtor(city, "SP0002")
    broken = '{"items": [{"payment_id": "\\ud800"}, {"payment_id": "a\\u0000b"}, {"payment_id": "x"}]}'

    answer = billing.post("/api/v1/payments/", broken, content_type="application/json")

    assert answer.status_code == 200
    assert [item["outcome"] for item in answer.json()["items"]] == ["bad_text", "bad_text", "missing"]
