"""A small city and its people."""

from __future__ import annotations

import pytest

from accounts.actor import Actor
from accounts.models import User
from tests.factories.accounts import actor_of, ada
from tests.factories.grid import SmallCity, small_city


@pytest.fixture
def city(db: None) -> SmallCity:
    found = small_city()
    for branch in (found.bureau, found.east, found.west):
        branch.refresh_from_db()
    return found


@pytest.fixture
def administrator(db: None) -> User:
    return ada()


@pytest.fixture
def admin_actor(administrator: User) -> Actor:
    return actor_of(administrator)
