"""Another company's HTTP interface as data: a YAML file says how a call is put together and how an answer is read.

What a broken call means depends on how far it had come: ``NotSent`` is provable, ``Lost`` is not.
"""

from __future__ import annotations

import json
import os
import re
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeVar
from urllib.parse import quote

import httpx
import yaml
from django.core.exceptions import ImproperlyConfigured
from pydantic import BaseModel, ConfigDict, Field, ValidationError

ANSWER_LIMIT: Final = 64 * 1024

_VARIABLE: Final = re.compile(r"\$\{([A-Z][A-Z0-9_]*)\}")
_FIELD: Final = re.compile(r"\{([a-z_]+)\}")


class Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class RequestTemplate(Strict):
    """How one call is put together; ``{name}`` is filled in with what the caller knows by that name."""

    url: str = Field(pattern=r"^https?://")
    method: Literal["POST", "PUT", "GET"] = "POST"
    headers: dict[str, str] = {}
    json_body: dict[str, Any] | None = Field(default=None, alias="json")
    form: dict[str, str] | None = None
    query: dict[str, str] = {}


class Timeouts(Strict):
    connect: float = 3.0
    read: float = 10.0


D = TypeVar("D", bound=Strict)


def description_read(path: Path, model: type[D], *, setting: str) -> D:
    """The file, with ``${NAME}`` taken from the environment. Raises ``ImproperlyConfigured``."""
    try:
        return model.model_validate(_expanded(yaml.safe_load(path.read_text(encoding="utf-8")), setting))
    except OSError as gone:
        raise ImproperlyConfigured(f"{setting}: {path}: {gone.strerror}") from gone
    except yaml.YAMLError as broken:
        raise ImproperlyConfigured(f"{setting}: {path}: not YAML") from broken
    except ValidationError as wrong:
        first = wrong.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ImproperlyConfigured(f"{setting}: {path}: {where}: {first['msg']}") from wrong


def _expanded(value: Any, setting: str) -> Any:
    if isinstance(value, dict):
        return {key: _expanded(inner, setting) for key, inner in value.items()}
    if isinstance(value, list):
        return [_expanded(inner, setting) for inner in value]
    if not isinstance(value, str):
        return value
    missing = next((name for name in _VARIABLE.findall(value) if name not in os.environ), None)
    if missing is not None:
        raise ImproperlyConfigured(f"{setting}: the environment has no {missing}")
    return _VARIABLE.sub(lambda found: os.environ[found[1]], value)


# --- calls ------------------------------------------------------------------------------------------


class CallFailed(Exception):
    """There is no answer. The text says in one word what happened."""


class NotSent(CallFailed):
    """Provably nothing arrived: no connection."""


class NotMade(CallFailed):
    """Our own mistake: the call cannot be put together from these values."""


class Lost(CallFailed):
    """The call went out, and nobody knows what became of it."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: Any  # parsed, or ``None`` where it is no JSON


class Wire:
    """Calls by description over kept connections, several at once."""

    def __init__(self, timeouts: Timeouts, *, is_secure: bool) -> None:
        self._timeouts = timeouts
        self._mine = threading.local()
        self._clients: list[httpx.Client] = []
        self._secure = ssl.create_default_context() if is_secure else False

    @property
    def _client(self) -> httpx.Client:
        """A client, and so a connection, of each thread's own.

        In a pool that threads share, one thread may put away a connection as idle that another was just given: the
        call is out, its answer is lost, and nobody knows.
        """
        client: httpx.Client | None = getattr(self._mine, "client", None)
        if client is None:
            client = httpx.Client(
                timeout=httpx.Timeout(self._timeouts.read, connect=self._timeouts.connect),
                # an idle connection may be closed by the other side just as we use it
                limits=httpx.Limits(max_connections=1, keepalive_expiry=2.0),
                verify=self._secure,
                follow_redirects=False,
                trust_env=False,
            )
            self._mine.client = client
            self._clients.append(client)
        return client

    def close(self) -> None:
        for client in self._clients:
            client.close()

    def call(self, template: RequestTemplate, values: Mapping[str, str], *, deadline: float) -> Answer:
        """One call; ``deadline`` is of the monotonic clock. Raises ``NotSent``, ``NotMade``, ``Lost``."""
        try:
            request = self._request(template, values)
        except (httpx.InvalidURL, UnicodeError, ValueError, TypeError, KeyError) as broken:
            raise NotMade(type(broken).__name__) from broken
        try:
            response = self._client.send(request, stream=True)
            try:
                body = _read(response, deadline)
            finally:
                response.close()
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol) as unsent:
            raise NotSent(type(unsent).__name__) from unsent
        except httpx.LocalProtocolError as ours:
            raise NotMade(type(ours).__name__) from ours
        except (httpx.HTTPError, TimeoutError) as lost:
            raise Lost(type(lost).__name__) from lost
        return Answer(response.status_code, response.headers, parsed(body))

    def _request(self, template: RequestTemplate, values: Mapping[str, str]) -> httpx.Request:
        headers = {name: str(filled(value, values)) for name, value in template.headers.items()}
        if any(sign in value for value in headers.values() for sign in "\r\n\0"):
            raise ValueError("a line break in a header")
        return self._client.build_request(
            template.method,
            filled(template.url, {name: quote(value, safe="") for name, value in values.items()}),
            params=filled(template.query, values) or None,
            headers=headers,
            json=filled(template.json_body, values),
            data=filled(template.form, values),
        )


def filled(value: Any, values: Mapping[str, str]) -> Any:
    """The template with its fields filled in. What is filled in is never read as a template again."""
    if isinstance(value, dict):
        return {key: filled(inner, values) for key, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner, values) for inner in value]
    if not isinstance(value, str):
        return value
    return _FIELD.sub(lambda match: values.get(match[1], match[0]), value)


def parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def value_at(answer: Any, path: str) -> Any:
    """``data.0.id`` in an answer, or ``None``."""
    for step in path.split("."):
        if isinstance(answer, dict):
            answer = answer.get(step)
        elif isinstance(answer, list) and step.isdigit() and int(step) < len(answer):
            answer = answer[int(step)]
        else:
            return None
    return answer


def _read(response: httpx.Response, deadline: float) -> bytes:
    body = bytearray()
    for piece in response.iter_bytes(8192):
        body += piece
        if len(body) > ANSWER_LIMIT or time.monotonic() > deadline:
            raise TimeoutError("too long an answer")
    return bytes(body)
