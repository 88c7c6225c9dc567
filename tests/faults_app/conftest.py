from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.actor import Actor
from outages.faults.models import Crew, CrewAssignment, Fault, TroubleReport
from outages.faults.services import fault_log
from outages.models import Interruption, Outage, OutageEvent
from tests.factories import accounts
from tests.factories.grid import SmallCity, small_city


@pytest.fixture
def city(db: None) -> SmallCity:
    return small_city()


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
def crew(city: SmallCity) -> Crew:
    return Crew.objects.create(code="C12", name="李工", branch=city.east, skills=["live line"], phone="13900000012")


@pytest.fixture
def feeder_fault(city: SmallCity, asha: Actor, now: datetime) -> Outage:
    """Section L11 has failed an hour ago: Chen, Wang and life support are off."""
    return fault_log(
        actor=asha,
        element_ids=city.ids("L11"),
        started_at=now - timedelta(hours=1),
        cause_class="weather",
        cause_code="wind",
    )


@pytest.fixture
def suspicion(city: SmallCity, asha: Actor) -> Outage:
    """Something may be wrong with T21."""
    return fault_log(actor=asha, element_ids=city.ids("T21"), is_confirmed=False)


def everything_about(outage: Outage) -> dict[str, Any]:
    """All that a refused action must leave as it was."""
    return {
        "outage": Outage.objects.filter(pk=outage.pk).values().get(),
        "fault": Fault.objects.filter(outage=outage).values().get(),
        "rows": list(Interruption.objects.filter(outage=outage).order_by("pk").values()),
        "events": list(OutageEvent.objects.filter(outage=outage).order_by("pk").values()),
        "crews": list(CrewAssignment.objects.filter(fault__outage=outage).order_by("pk").values()),
        "reports": list(TroubleReport.objects.filter(outage=outage).order_by("pk").values()),
    }
