"""The record by REST: reading, the gap-free feed, the one answer; scope and refusals."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.actor import Actor
from outages import services
from outages.models import Outage
from tests.factories import accounts
from tests.factories.grid import SmallCity, small_city

Get = Callable[..., Any]


@pytest.fixture
def city(db: None) -> SmallCity:
    return small_city()


@pytest.fixture
def asha(city: SmallCity) -> Actor:
    return accounts.actor_of(accounts.asha(city.bureau))


@pytest.fixture
def feeder_off(city: SmallCity, asha: Actor) -> Outage:
    since = timezone.now() - timedelta(hours=1)
    return services.outage_open(
        kind="load_shedding", action="start", actor=asha, element_ids=city.ids("F1"), started_at=since
    )


def client_with(*scopes: str, branch: Any = None) -> Get:
    _token, key = accounts.client_token(*scopes, branch=branch, username=f"machine-{scopes[0]}-{branch}")

    def get(path: str, /, headers: dict[str, str] | None = None, **query: str) -> Any:
        return Client().get(f"/api/v1/{path}", query, headers={"Authorization": f"Token {key}", **(headers or {})})

    return get


def test_outages_are_listed_with_their_branch_and_counts(feeder_off: Outage) -> None:
    answer = client_with("outage:read")("outages/")

    assert answer.status_code == 200
    (row,) = answer.json()["results"]
    assert (row["reference"], row["status"], row["customers_out"]) == (feeder_off.reference, "active", 3)
    assert row["branch"] == {"code": "0101", "name": "城东供电分局"}
    assert row["feeder"] == "F1"


def test_an_unchanged_outage_is_not_sent_again(feeder_off: Outage) -> None:
    get = client_with("outage:read")
    first = get(f"outages/{feeder_off.reference}/")

    again = get(f"outages/{feeder_off.reference}/", headers={"If-None-Match": first["ETag"]})

    assert (again.status_code, again.content) == (304, b"")


def test_another_branch_and_a_missing_outage_are_the_same_answer(feeder_off: Outage, city: SmallCity) -> None:
    get = client_with("outage:read", branch=city.west)

    foreign, missing = get(f"outages/{feeder_off.reference}/"), get("outages/S-2026-999999/")

    assert (foreign.status_code, missing.status_code) == (404, 404)
    assert {**foreign.json(), "instance": ""} == {**missing.json(), "instance": ""}
    assert get("outages/").json()["results"] == []


def test_the_history_is_complete(feeder_off: Outage, asha: Actor) -> None:
    services.outage_restore(outage_id=feeder_off.pk, actor=asha, restored_at=timezone.now())

    lines = client_with("outage:read")(f"outages/{feeder_off.reference}/events/").json()

    assert [(line["sequence"], line["verb"]) for line in lines] == [(2, "restore"), (1, "start")]


@pytest.mark.django_db(transaction=True)
def test_the_feed_goes_on_where_it_stopped() -> None:
    city = small_city()
    asha = accounts.actor_of(accounts.asha(city.bureau))
    get = client_with("event:read")
    now = timezone.now()
    outage = services.outage_open(
        kind="load_shedding", action="start", actor=asha, element_ids=city.ids("F1"), started_at=now
    )
    first = get("events/").json()
    services.outage_restore(outage_id=outage.pk, actor=asha, restored_at=now + timedelta(seconds=1))
    second = get("events/", after=first["next"]).json()
    third = get("events/", after=second["next"]).json()

    assert [event["verb"] for event in first["events"]] == ["start"]
    assert [event["verb"] for event in second["events"]] == ["restore"]
    assert (third["events"], third["more"]) == ([], False)
    # what follows the place is when it was signed
    places = [answer["next"].partition(":")[0] for answer in (first, second, third)]
    assert places[0] != places[1] == places[2]


def test_a_cursor_of_somebody_else_is_refused(city: SmallCity) -> None:
    answer = client_with("event:read")("events/", after="made-up")

    assert (answer.status_code, answer.json()["code"]) == (400, "bad_cursor")


@pytest.mark.parametrize(
    "query",
    [{"account": "1000000002"}, {"phone": "+8613800138002"}, {"phone": "13800138002"}, {"meter": "M0002"},
     {"service_point": "SP0002"}],
)  # fmt: skip
def test_the_one_answer_is_found_by_every_key(feeder_off: Outage, query: dict[str, str]) -> None:
    answer = client_with("supply:read")("supply-status/", **query).json()

    assert answer["match"] == "one"
    (verdict,) = answer["results"]
    assert (verdict["service_point"], verdict["state"]) == ("SP0002", "off")
    assert "有序用电" in verdict["say"]["zh"]
    assert "load shedding" in verdict["say"]["en"]
    assert [cause["reference"] for cause in verdict["causes"]] == [feeder_off.reference]


def test_several_premises_of_one_number_are_all_answered(feeder_off: Outage) -> None:
    answer = client_with("supply:read")("supply-status/", phone="13800138001").json()

    assert answer["match"] == "many"
    assert [(r["service_point"], r["state"]) for r in answer["results"]] == [("SP0001", "off"), ("SP0004", "on")]


@pytest.mark.parametrize("query", [{}, {"phone": "13800138002", "meter": "M0002"}])
def test_the_answer_needs_exactly_one_key(city: SmallCity, query: dict[str, str]) -> None:
    answer = client_with("supply:read")("supply-status/", **query)

    assert (answer.status_code, answer.json()["code"]) == (400, "one_key")


@pytest.mark.parametrize("phone", ["13800138", "1380013800x", "138001380020", ""])
def test_a_mistyped_number_finds_nobody(city: SmallCity, phone: str) -> None:
    assert client_with("supply:read")("supply-status/", phone=phone).status_code in (400, 404)


def test_a_debt_is_never_told_here(city: SmallCity, asha: Actor) -> None:
    services.outage_open(
        kind="non_payment", action="start", actor=Actor.system("billing"), started_at=timezone.now(),
        service_point_ids=[city.service_points["SP0002"].pk], cutoff_order=1,
    )  # fmt: skip

    answer = client_with("supply:read")("supply-status/", meter="M0002")

    (verdict,) = answer.json()["results"]
    assert verdict["causes"] == []
    assert not any(word in answer.content.decode() for word in ("non_payment", "欠费", "unpaid", "paid"))
    assert client_with("outage:read")("outages/").json()["results"] == []
    assert client_with("event:read")("events/").json()["events"] == []


def test_the_answer_takes_four_statements(feeder_off: Outage, asha: Actor, django_assert_max_num_queries: Any) -> None:
    from outages.selectors import service_points_known_by
    from outages.supply_status import supply_statuses

    with django_assert_max_num_queries(4):
        points = service_points_known_by(actor=asha, key="phone", value="13800138001", limit=9)
        supply_statuses(points)


@pytest.mark.parametrize("path", ["outages/", "events/", "supply-status/"])
def test_without_the_scope_there_is_no_answer(city: SmallCity, path: str) -> None:
    assert client_with("report:create")(path).status_code == 403
    assert Client().get(f"/api/v1/{path}").status_code == 401


def test_times_carry_an_offset(feeder_off: Outage) -> None:
    since = client_with("outage:read")(f"outages/{feeder_off.reference}/").json()["started_at"]

    assert datetime.fromisoformat(since).utcoffset() is not None
