"""The interface against its own schema (reliability.md B-01): no failure, and no operation without a login.

A few examples of each operation in every run, the same ones each time; many more in the soak.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from functools import lru_cache
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from django.utils import timezone
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.core.result import Ok

from accounts.policies import SCOPES
from outages.faults.services import fault_log
from tests.factories import accounts
from tests.factories.grid import small_city


@lru_cache(maxsize=1)
def operations() -> dict[str, Any]:
    document = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    schema = schemathesis.openapi.from_dict(document)
    schema.app = get_wsgi_application()
    found = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]
    return {f"{operation.method.upper()} {operation.path}": operation for operation in found}


NAMES = [
    f"{method.upper()} {path}"
    for path, methods in SchemaGenerator().get_schema(request=None, public=True)["paths"].items()  # type: ignore[no-untyped-call]
    for method in methods
]
OPEN = ("/api/v1/receipts/{account}/", "/api/v1/schema/", "/api/v1/shedding-schedule/")


def fuzz(name: str, key: str, examples: int) -> list[str]:
    """What failed, in words; everything a request does is taken back with the test."""
    operation, failed = operations()[name], []

    @settings(
        max_examples=examples, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=operation.as_strategy())
    def asked(case: Any) -> None:
        headers = {"Authorization": f"Token {key}"} if key else {"Authorization": ""}
        status = case.call(headers=headers, base_url="http://localhost").status_code
        if status >= 500 or (not key and status != 401):
            failed.append(f"{name} -> {status} {case.body!r:.200} {case.query!r:.200} {case.path_parameters!r}")

    asked()
    return failed


@pytest.fixture(autouse=True)
def _one_connection() -> Iterator[None]:
    """A server closes old connections around each request; a test's transaction lives in just one."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def key(db: None) -> str:
    city = small_city()
    actor = accounts.actor_of(accounts.asha(city.bureau))
    fault_log(actor=actor, element_ids=city.ids("L11"), started_at=timezone.now() - timedelta(hours=1))
    return accounts.client_token(*SCOPES, branch=city.bureau)[1]


@pytest.mark.parametrize("name", NAMES)
def test_no_request_of_the_schema_fails(name: str, key: str) -> None:
    assert fuzz(name, key, 8) == []


@pytest.mark.parametrize("name", [name for name in NAMES if not name.endswith(OPEN)])
def test_no_operation_answers_without_a_login(name: str, db: None) -> None:
    assert fuzz(name, "", 2) == []


@pytest.mark.soak
@pytest.mark.parametrize("name", NAMES)
def test_no_request_of_the_schema_fails_in_the_long_run(name: str, key: str) -> None:
    assert fuzz(name, key, 500) == []
