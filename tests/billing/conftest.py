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
def ben_user(city: SmallCity) -> User:
    return accounts.user_with("billing_clerk", city.east, username="ben")


@pytest.fixture
def ben(ben_user: User) -> Actor:
    """The billing clerk of the east branch."""
    return accounts.actor_of(ben_user)


@pytest.fixture
def otto_user(city: SmallCity) -> User:
    return accounts.user_with("approver", city.east, username="otto")


@pytest.fixture
def otto(otto_user: User) -> Actor:
    """The head of the east branch's station: approves its batches."""
    return accounts.actor_of(otto_user)


@pytest.fixture
def vera_user(city: SmallCity) -> User:
    return accounts.user_with("approver", city.bureau, username="vera")


@pytest.fixture
def vera(vera_user: User) -> Actor:
    """Approves for the whole company."""
    return accounts.actor_of(vera_user)


@pytest.fixture
def dora_user(city: SmallCity) -> User:
    return accounts.user_with("billing_clerk", city.west, username="dora")


@pytest.fixture
def dora(dora_user: User) -> Actor:
    """The billing clerk of another branch."""
    return accounts.actor_of(dora_user)
