from __future__ import annotations

from datetime import datetime

import pytest
from django.utils import timezone

from accounts.actor import Actor
from accounts.models import User
from grid.models import Branch
from tests.factories import accounts
from tests.factories.grid import SmallCity, small_city


@pytest.fixture
def city(db: None) -> SmallCity:
    return small_city()


@pytest.fixture
def pia_user(city: SmallCity) -> User:
    return accounts.user_with("planner", city.east, username="pia")


@pytest.fixture
def pia(pia_user: User) -> Actor:
    """The planner of the east branch."""
    return accounts.actor_of(pia_user)


@pytest.fixture
def lena_user(city: SmallCity) -> User:
    return accounts.user_with("branch_lead", city.east, username="lena")


@pytest.fixture
def lena(lena_user: User) -> Actor:
    """The lead of the east branch."""
    return accounts.actor_of(lena_user)


@pytest.fixture
def otto_user(city: SmallCity) -> User:
    return accounts.user_with("approver", city.bureau, username="otto")


@pytest.fixture
def otto(otto_user: User) -> Actor:
    """The approver of the bureau."""
    return accounts.actor_of(otto_user)


@pytest.fixture
def asha(city: SmallCity) -> Actor:
    """The dispatcher of the whole bureau."""
    return accounts.actor_of(accounts.asha(city.bureau))


@pytest.fixture
def mei(city: SmallCity) -> Actor:
    """The agent."""
    return accounts.actor_of(accounts.mei(city.bureau))


@pytest.fixture
def dora(db: None) -> Actor:
    """The outsider, who may do nothing."""
    return accounts.actor_of(accounts.dora())


@pytest.fixture
def now() -> datetime:
    return timezone.now()


@pytest.fixture
def london(city: SmallCity) -> Branch:
    """The west goes by British time and rules."""
    city.west.time_zone, city.west.rule_pack = "Europe/London", "gb"
    city.west.save(update_fields=["time_zone", "rule_pack"])
    return city.west
