"""One box: whatever the caller says finds the premises, and only those the agent may see."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.actor import Actor
from call_center.search import Results, _questions, search, understand
from outages.models import Outage
from standards.errors import Forbidden
from tests.factories import accounts
from tests.factories.grid import SmallCity, phone_create


def codes(results: Results) -> list[str]:
    return [hit.service_point.code for hit in results.premises]


@pytest.mark.parametrize(
    ("query", "kind", "found"),
    [
        ("13800138002", "phone", ["SP0002"]),
        ("+86 138-0013-8002", "phone", ["SP0002"]),
        ("1380013 8002", "phone", ["SP0002"]),
        ("138001380 02", "phone", ["SP0002"]),
        ("1000000002", "account", ["SP0002"]),
        ("M0003", "meter", ["SP0003"]),
        ("SP0005", "code", ["SP0005"]),
        ("8005", "phone_tail", ["SP0006"]),
        ("王伟", "name", ["SP0002"]),
        ("王", "name", ["SP0002"]),
        ("第一人民", "name", ["SP0006"]),
        ("smith", "name", ["SP0005"]),
        ("lgy", "initials", ["SP0003"]),
        ("LGY", "initials", ["SP0003"]),
        ("建设路8号", "address", ["SP0003"]),
        ("人民路 68", "address", ["SP0005"]),
    ],
)
def test_every_kind_of_thing_a_caller_says_is_found(mei: Actor, query: str, kind: str, found: list[str]) -> None:
    results = search(actor=mei, query=query)

    assert codes(results) == found
    assert {hit.kind for hit in results.premises} == {kind}


def test_all_words_of_an_address_must_fit(mei: Actor) -> None:
    assert codes(search(actor=mei, query="东风路 502")) == ["SP0002"]
    assert codes(search(actor=mei, query="东风路 503")) == []


def test_full_width_digits_are_digits(mei: Actor) -> None:
    assert codes(search(actor=mei, query="13800138002")) == ["SP0002"]


def test_a_reference_finds_the_outage(mei: Actor, fault_at: Callable[..., Outage]) -> None:
    outage = fault_at("F1")

    results = search(actor=mei, query=outage.reference.lower())

    assert [hit.reference for hit in results.outages] == [outage.reference]
    assert results.premises == ()


def test_a_code_finds_the_piece_of_the_network(mei: Actor) -> None:
    assert [hit.code for hit in search(actor=mei, query="T21").elements] == ["T21"]


# --- telephone numbers ------------------------------------------------------------------------------


@pytest.mark.parametrize("query", ["13800138009", "138001380022", "13800138", "+8613800138", "13810138002"])
def test_a_number_that_is_not_exactly_right_names_nobody(mei: Actor, query: str) -> None:
    results = search(actor=mei, query=query)

    assert not results
    assert results.query == query
    assert str(results.message)


def test_a_mistyped_number_is_called_that(mei: Actor) -> None:
    results = search(actor=mei, query="138001380022")

    assert str(results.message) == "This is not a complete telephone number. Please check it digit by digit."


def test_a_right_number_of_nobody_is_called_that(mei: Actor) -> None:
    results = search(actor=mei, query="13900139000")

    assert str(results.message).startswith("No customer has this number.")


def test_three_digits_are_too_few(mei: Actor) -> None:
    results = search(actor=mei, query="002")

    assert not results
    assert str(results.message) == "Type at least 4 digits."


def test_several_premises_on_one_number_come_with_those_that_are_off_first(
    mei: Actor, city: SmallCity, fault_at: Callable[..., Outage]
) -> None:
    before = search(actor=mei, query="13800138001")
    assert codes(before) == ["SP0001", "SP0004"]
    fault_at("T21")

    results = search(actor=mei, query="13800138001")

    assert codes(results) == ["SP0004", "SP0001"]
    assert [hit.number for hit in results.premises] == [1, 2]
    assert [hit.is_off for hit in results.premises] == [True, False]
    assert results.only is None


def test_one_number_of_two_customers_shows_both(mei: Actor, city: SmallCity) -> None:
    phone_create(city.customers["smith"], "+8613800138002")

    assert codes(search(actor=mei, query="13800138002")) == ["SP0002", "SP0005"]


# --- whom it shows ----------------------------------------------------------------------------------


def test_people_are_shown_in_part(mei: Actor) -> None:
    hit = search(actor=mei, query="李桂英").premises[0]

    assert (hit.name, hit.phone, hit.address, hit.account) == ("李*英", "", "建设路8号…", "…0003")


def test_who_gave_the_number_or_the_street_is_told_from_the_next_door(mei: Actor) -> None:
    hit = search(actor=mei, query="13800138003").premises[0]

    assert (hit.name, hit.phone, hit.address) == ("李*英", "138****8003", "建设路8号1单元101室")


def test_a_dispatcher_sees_the_building_only(asha: Actor) -> None:
    assert search(actor=asha, query="13800138003").premises[0].address == "建设路8号…"


def test_an_agent_of_another_branch_finds_nothing(city: SmallCity) -> None:
    west = accounts.actor_of(accounts.user_with("agent", city.west))

    assert codes(search(actor=west, query="13800138002")) == []
    assert codes(search(actor=west, query="王伟")) == []
    assert codes(search(actor=west, query="东风路12号")) == []
    # Chen's shop is in the west, the flat is not
    assert codes(search(actor=west, query="13800138001")) == ["SP0004"]


def test_an_outsider_may_not_search(city: SmallCity) -> None:
    with pytest.raises(Forbidden):
        search(actor=accounts.actor_of(accounts.dora()), query="王伟")


# --- what it costs ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query", ["13800138001", "8001", "1000000001", "王伟", "lgy", "人民路 商铺", "F-2026-000001", "T21", "smith"]
)
def test_a_search_takes_three_statements_at_most(mei: Actor, query: str) -> None:
    with CaptureQueriesContext(
        connection,
    ) as statements:
        search(actor=mei, query=query)

    assert len(statements) <= 3


@pytest.mark.parametrize("query", ["", "   ", "%", "_", "\\", "'; drop table", "％％％", "\x00"])
def test_odd_text_is_just_not_found(mei: Actor, query: str) -> None:
    assert not search(actor=mei, query=query)


@pytest.mark.parametrize(
    "query",
    ["13800138001", "8001", "1000000001", "M0001", "王伟", "王", "第一人民", "lgy", "人民路 商铺", "smith", "10kV"],
)
def test_every_question_is_answered_by_an_index(mei: Actor, query: str) -> None:
    questions = _questions(mei, understand(query))
    with connection.cursor() as db:
        # the planner prefers to read six rows one by one; asked not to, it must know another way
        db.execute("SET LOCAL enable_seqscan = off")
    plans = [str(question.explain()) for question in questions]

    for table in ("grid_servicepoint", "grid_customer", "grid_contactpoint", "grid_gridelement"):
        assert not [plan for plan in plans if f"Seq Scan on {table}" in plan]
