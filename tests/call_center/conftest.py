from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.actor import Actor
from accounts.models import User
from call_center import services
from call_center.models import Call
from outages.faults.services import fault_log
from outages.models import Outage
from tests.factories import accounts
from tests.factories.grid import SmallCity, small_city


@pytest.fixture
def city(db: None) -> SmallCity:
    return small_city()


@pytest.fixture
def mei_user(city: SmallCity) -> User:
    """The agent of the whole bureau."""
    return accounts.mei(city.bureau)


@pytest.fixture
def mei(mei_user: User) -> Actor:
    return accounts.actor_of(mei_user)


@pytest.fixture
def asha(city: SmallCity) -> Actor:
    """The dispatcher of the whole bureau."""
    return accounts.actor_of(accounts.asha(city.bureau))


@pytest.fixture
def client(client: Client, mei_user: User) -> Client:
    """Mei's browser."""
    client.force_login(mei_user, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def call(mei: Actor, city: SmallCity) -> Call:
    """Chen has called about the flat; the card is open."""
    return services.call_start(actor=mei, service_point_id=city.service_points["SP0001"].pk)


@pytest.fixture
def fault_at(asha: Actor, city: SmallCity) -> Callable[..., Outage]:
    """A confirmed fault on one element, off for half an hour."""

    def _fault_at(name: str, **facts: Any) -> Outage:
        facts.setdefault("started_at", timezone.now() - timedelta(minutes=30))
        return fault_log(actor=asha, element_ids=city.ids(name), **facts)

    return _fault_at
