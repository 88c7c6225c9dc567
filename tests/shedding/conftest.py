from __future__ import annotations

import pytest

from accounts.actor import Actor
from accounts.models import User
from tests.factories import accounts
from tests.factories.grid import SmallCity, small_city


@pytest.fixture
def city(db: None) -> SmallCity:
    return small_city()


@pytest.fixture
def asha_user(city: SmallCity) -> User:
    return accounts.asha(city.bureau)


@pytest.fixture
def asha(asha_user: User) -> Actor:
    """The dispatcher of the whole bureau, who draws up plans and proposes."""
    return accounts.actor_of(asha_user)


@pytest.fixture
def otto_user(city: SmallCity) -> User:
    return accounts.user_with("approver", city.bureau, username="otto")


@pytest.fixture
def otto(otto_user: User) -> Actor:
    """The approver of the bureau: the second person."""
    return accounts.actor_of(otto_user)


@pytest.fixture
def mei(city: SmallCity) -> Actor:
    """The agent."""
    return accounts.actor_of(accounts.mei(city.bureau))


@pytest.fixture
def dora(db: None) -> Actor:
    """The outsider, who may do nothing."""
    return accounts.actor_of(accounts.dora())
