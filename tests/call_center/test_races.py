"""Impatient fingers and two desks at once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.db import connection

from accounts.actor import Actor
from call_center import services
from call_center.models import Call, Callback
from outages.faults.models import TroubleReport
from outages.models import Outage
from tests.factories import accounts
from tests.factories.grid import SmallCity, small_city

pytestmark = [pytest.mark.concurrency, pytest.mark.django_db(transaction=True)]

AT_ONCE = 8


def together(action: Callable[[int], Any]) -> list[Any]:
    """Run it in eight threads that start at the same moment."""
    gate = Barrier(AT_ONCE)

    def run(number: int) -> Any:
        gate.wait()
        try:
            return action(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(run, range(AT_ONCE)))


@pytest.fixture
def city(transactional_db: None) -> SmallCity:
    return small_city()


@pytest.fixture
def mei(city: SmallCity) -> Actor:
    return accounts.actor_of(accounts.mei(city.bureau))


def test_eight_clicks_on_save_log_one_call(mei: Actor, city: SmallCity) -> None:
    call = services.call_start(actor=mei, service_point_id=city.service_points["SP0001"].pk)

    logged = together(lambda _n: services.call_log(actor=mei, key=call.key, reason="no_supply").again)

    assert sorted(logged) == [False] + [True] * 7
    assert TroubleReport.objects.count() == 1
    assert Outage.objects.count() == 1
    assert Callback.objects.count() == 1


def test_eight_clicks_on_a_hit_open_one_card(mei: Actor, city: SmallCity) -> None:
    point = city.service_points["SP0001"]

    keys = together(lambda _n: services.call_start(actor=mei, service_point_id=point.pk, start_token="same").key)

    assert len(set(keys)) == 1
    assert Call.objects.count() == 1


def test_eight_pops_of_one_call_are_one_card(mei: Actor) -> None:
    keys = together(lambda _n: services.call_pop(actor=mei, ani="13800138002", call_id="c1").key)

    assert len(set(keys)) == 1
    assert Call.objects.count() == 1


def test_eight_calls_about_one_premises_promise_one_callback(mei: Actor, city: SmallCity) -> None:
    point = city.service_points["SP0001"]
    calls = [services.call_start(actor=mei, service_point_id=point.pk) for _n in range(AT_ONCE)]

    together(lambda n: services.call_log(actor=mei, key=calls[n].key, reason="no_supply"))

    assert TroubleReport.objects.count() == AT_ONCE
    assert Outage.objects.count() == 1
    assert Callback.objects.count() == 1
