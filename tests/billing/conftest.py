from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.utils import timezone
from pytest_django import Settings

from accounts.actor import Actor
from accounts.models import User
from billing_cutoffs.models import BillingAccount
from grid.models import Branch
from outages.models import SystemState
from standards import loader
from tests.billing.calm import any_day_pack
from tests.factories import accounts
from tests.factories.grid import SmallCity, small_city
from tests.notifications.conftest import sms

__all__ = ["sms"]  # the gateway that stands in for a provider


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


@pytest.fixture
def any_day(city: SmallCity, settings: Settings, tmp_path: Path) -> Iterator[Callable[[], None]]:
    """Called: from then on the branches cut on any day, at any hour and in any weather, and billing has just spoken."""
    folder = tmp_path / "packs"
    folder.mkdir()
    name = any_day_pack(folder)
    settings.RULE_PACKS_DIR = str(folder)
    loader.load()

    def call() -> None:
        Branch.objects.update(rule_pack=name)
        BillingAccount.objects.update(statement_at=timezone.now())

    yield call
    settings.RULE_PACKS_DIR = ""
    loader.load()


@pytest.fixture
def open_city(city: SmallCity, any_day: Callable[[], None]) -> SmallCity:
    """The city where nothing but an order's own facts stands against a cut; also for tests that commit."""
    # whoever truncated the tables before us took this row along
    SystemState.objects.get_or_create(pk=1)
    any_day()
    for branch in (city.bureau, city.east, city.west):
        branch.refresh_from_db()
    return city


@pytest.fixture
def meters(settings: Settings) -> None:
    """Meters can be switched from afar; they are simulated."""
    settings.METER_GATEWAY = "simulator"
