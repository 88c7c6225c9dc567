"""Machine clients of the API, and what a refusal looks like to them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from django.test import Client

from grid.models import Branch
from tests.factories import accounts


@dataclass(frozen=True)
class Machine:
    """A client with a token: called with a path and a body, it posts."""

    key: str

    def __call__(self, path: str, body: Any = None, **headers: Any) -> Any:
        return self.send("POST", path, body, **headers)

    def get(self, path: str, **headers: Any) -> Any:
        return Client().get(f"/api/v1/{path}", HTTP_AUTHORIZATION=f"Token {self.key}", **headers)

    def send(self, method: str, path: str, body: Any = None, **headers: Any) -> Any:
        return Client().generic(
            method, f"/api/v1/{path}", json.dumps({} if body is None else body), content_type="application/json",
            HTTP_AUTHORIZATION=f"Token {self.key}", **headers,
        )  # fmt: skip


def machine(*scopes: str, branch: Branch | None = None) -> Machine:
    _token, key = accounts.client_token(*scopes, branch=branch, username=f"machine-{'-'.join(scopes)}-{branch}"[:150])
    return Machine(key)


def refused(response: Any, status: int, code: str, field: str = "") -> bool:
    body = response.json()
    assert response["Content-Type"] == "application/problem+json"
    assert (response.status_code, body["status"], body["code"]) == (status, status, code)
    if field:
        assert body["errors"][0]["field"] == field
    return True
