from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.actor import Actor
from outages.models import Interruption, Outage, OutageEvent
from outages.services import outage_open
from tests.factories import accounts
from tests.factories.grid import SmallCity, small_city

Facts = dict[str, Any]


@pytest.fixture
def city(db: None) -> SmallCity:
    return small_city()


@pytest.fixture
def asha(city: SmallCity) -> Actor:
    """The dispatcher of the whole bureau."""
    return accounts.actor_of(accounts.asha(city.bureau))


@pytest.fixture
def now() -> datetime:
    return timezone.now()


@pytest.fixture
def feeder_off(city: SmallCity, asha: Actor, now: datetime) -> Outage:
    """Feeder 1 has been off for an hour: Chen, Wang and life support."""
    return outage_open(
        kind="load_shedding",
        action="start",
        actor=asha,
        element_ids=city.ids("F1"),
        started_at=now - timedelta(hours=1),
    )


def everything_about(outage: Outage) -> Facts:
    """All that a refused action must leave as it was."""
    return {
        "outage": Outage.objects.filter(pk=outage.pk).values().get(),
        "rows": list(Interruption.objects.filter(outage=outage).order_by("pk").values()),
        "events": list(OutageEvent.objects.filter(outage=outage).order_by("pk").values()),
    }


@pytest.fixture
def unchanged() -> Callable[[Outage], Facts]:
    return everything_about
