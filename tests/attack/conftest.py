"""A small city, its people, and what an attack must leave as it was."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from accounts.actor import Actor
from call_center.models import Call
from outages.faults.models import Fault, TroubleReport
from outages.faults.services import fault_log
from outages.models import Interruption, Outage, OutageEvent
from tests.factories import accounts
from tests.factories.grid import SmallCity, small_city

BACKEND = "django.contrib.auth.backends.ModelBackend"
Send = Callable[..., Any]


@pytest.fixture(autouse=True)
def _nothing_kept() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def city(db: None) -> SmallCity:
    return small_city()


@pytest.fixture
def asha(city: SmallCity) -> Actor:
    """The dispatcher of the whole bureau."""
    return accounts.actor_of(accounts.asha(city.bureau))


@pytest.fixture
def fault(city: SmallCity, asha: Actor) -> Outage:
    return fault_log(actor=asha, element_ids=city.ids("L11"), started_at=timezone.now() - timedelta(hours=1))


def browser(user: Any) -> Client:
    """Failures come back as answers, so that a 500 is seen as one."""
    client = Client(raise_request_exception=False)
    client.force_login(user, backend=BACKEND)
    return client


@pytest.fixture
def dispatcher(city: SmallCity) -> Client:
    return browser(accounts.asha(city.bureau))


@pytest.fixture
def agent(city: SmallCity) -> Client:
    return browser(accounts.mei(city.bureau))


@pytest.fixture
def auditor(city: SmallCity) -> Client:
    return browser(accounts.user_with("auditor", username="audrey"))


def sender(city: SmallCity, *scopes: str) -> Send:
    """A machine client; a body that is text or bytes goes as it is."""
    _token, key = accounts.client_token(*scopes, branch=city.bureau, username=f"machine-{scopes[0]}")

    def send(path: str, body: Any, **headers: str) -> Any:
        raw = body if isinstance(body, str | bytes) else json.dumps(body)
        client = Client(raise_request_exception=False)
        given = {"Authorization": f"Token {key}", **headers}
        return client.post(f"/api/v1/{path}", raw, content_type="application/json", headers=given)

    return send


@pytest.fixture
def send(city: SmallCity) -> Send:
    return sender(city, "outage:write", "report:create")


@pytest.fixture
def everything() -> Callable[[], dict[str, Any]]:
    """All that a refused request must leave as it was."""

    def _everything() -> dict[str, Any]:
        models = (Outage, Fault, Interruption, OutageEvent, TroubleReport, Call)
        return {model.__name__: list(model._default_manager.order_by("pk").values()) for model in models}

    return _everything
