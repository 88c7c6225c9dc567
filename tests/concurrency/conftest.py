"""The city, and who plans in its east, for people who are at work at the same time."""

from __future__ import annotations

import pytest

from accounts.actor import Actor
from tests.factories import accounts
from tests.factories.grid import SmallCity, small_city


@pytest.fixture
def city(transactional_db: None) -> SmallCity:
    return small_city()


@pytest.fixture
def pia(city: SmallCity) -> Actor:
    """The planner of the east branch."""
    return accounts.actor_of(accounts.user_with("planner", city.east, username="pia"))


@pytest.fixture
def lena(city: SmallCity) -> Actor:
    """The lead of the east branch."""
    return accounts.actor_of(accounts.user_with("branch_lead", city.east, username="lena"))
