"""The way to the meters: one small interface, and one honest class for every answer of the meter system.

It is never called inside a transaction, and it never raises for what the meter system does. Only what is *provably*
not taken may be sent again without asking the meter.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal, Protocol

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.utils.dateparse import parse_datetime
from pydantic import Field

from billing_cutoffs.models import SwitchPosition
from standards.http_gateway import (
    Answer,
    CallFailed,
    Lost,
    RequestTemplate,
    Strict,
    Timeouts,
    Wire,
    description_read,
    value_at,
)

SETTING: Final = "METER_GATEWAY"
DEADLINE_S: Final = 20.0  # of one call; well under the lease

Result = Literal["accepted", "done", "refused", "unsent", "doubt", "account"]


@dataclass(frozen=True)
class Call:
    """One thing asked of one meter; ``key`` is the same however often it is sent."""

    key: str
    purpose: str
    meter_number: str
    expires_at: datetime
    answer_url: str


@dataclass(frozen=True)
class Reply:
    """What the meter system said to a call.

    ``accepted``: it has the command, the meter's answer comes later. ``done``: the switch has moved. ``refused``: it
    will not do that. ``unsent``: provably not taken, try later. ``account``: our login, not this command. ``doubt``:
    nobody knows.
    """

    result: Result
    external_id: str = ""
    detail: str = ""
    at: datetime | None = None


@dataclass(frozen=True)
class Question:
    key: str
    meter_number: str


@dataclass(frozen=True)
class Reading:
    """Where a switch stands, and since when that is known; without a time it was read just now."""

    position: str
    at: datetime | None = None
    detail: str = ""


class RemoteSwitch(Protocol):
    account: str
    at_once: int  # calls that one worker makes together

    def send(self, calls: Sequence[Call]) -> list[Reply]: ...

    def ask(self, questions: Sequence[Question]) -> list[Reading]: ...


def refuse_in_transaction() -> None:
    """No network inside a transaction: it would hold locks for as long as a meter system likes."""
    if connection.in_atomic_block:
        raise ImproperlyConfigured("A meter must not be called inside a transaction.")


# --- by HTTP ----------------------------------------------------------------------------------------


class Actions(Strict):
    """What the meter system calls them; filled in as ``{action}``."""

    disconnect: str = "disconnect"
    reconnect: str = "reconnect"


class Taken(Strict):
    """Taken is only what has one of these statuses and says so if it must; ``done`` says that the switch has moved."""

    status: list[int] = [200, 201, 202]
    path: str = ""
    accepted: list[str] = []
    done: list[str] = []
    id: str = ""
    at: str = ""


class NotTaken(Strict):
    """What the meter system's own codes mean, wherever they stand: an error inside a 200 counts."""

    path: str = ""
    refused: list[str] = []
    account: list[str] = []
    unsent: list[str] = []
    unsent_status: list[int] = [429, 503]


class Asking(Strict):
    """How a meter is asked where its switch stands."""

    request: RequestTemplate
    position: str
    connected: list[str]
    disconnected: list[str]
    at: str = ""


class MeterGateway(Strict):
    """A meter system's HTTP interface, as data.

    ``{key}``, ``{action}``, ``{meter_number}``, ``{expires_at}`` and ``{answer_url}`` are filled in. The key belongs
    where the system looks for repeated commands.
    """

    account: str = Field(default="meters", pattern=r"^[a-z0-9-]{1,32}$")
    at_once: int = Field(default=8, ge=1, le=32)
    request: RequestTemplate
    actions: Actions = Actions()
    taken: Taken = Taken()
    errors: NotTaken = NotTaken()
    question: Asking
    timeouts: Timeouts = Timeouts()


class HttpSwitch:
    """One HTTP call a command, and one a question; several at once over kept connections."""

    def __init__(self, gateway: MeterGateway) -> None:
        self.gateway = gateway
        self.account, self.at_once = gateway.account, gateway.at_once
        self._wire = Wire(gateway.timeouts, is_secure=gateway.request.url.startswith("https"))
        self._pool = ThreadPoolExecutor(max_workers=gateway.at_once, thread_name_prefix="meters")

    def send(self, calls: Sequence[Call]) -> list[Reply]:
        refuse_in_transaction()
        return list(self._pool.map(self._send_one, calls))

    def ask(self, questions: Sequence[Question]) -> list[Reading]:
        refuse_in_transaction()
        return list(self._pool.map(self._ask_one, questions))

    def close(self) -> None:
        self._pool.shutdown(wait=True)
        self._wire.close()

    def _send_one(self, call: Call) -> Reply:
        values = {
            "key": call.key, "action": getattr(self.gateway.actions, call.purpose), "meter_number": call.meter_number,
            "expires_at": call.expires_at.isoformat(), "answer_url": call.answer_url,
        }  # fmt: skip
        try:
            answer = self._wire.call(self.gateway.request, values, deadline=time.monotonic() + DEADLINE_S)
        except Lost as lost:
            return Reply("doubt", detail=str(lost))
        except CallFailed as failed:
            return Reply("unsent", detail=str(failed))
        return self.judge(answer)

    def judge(self, answer: Answer) -> Reply:
        """What an answer means by the contract of the gateway's file."""
        taken, errors = self.gateway.taken, self.gateway.errors
        code = _text(answer.body, errors.path)
        named: tuple[tuple[Result, list[str]], ...] = (
            ("refused", errors.refused), ("account", errors.account), ("unsent", errors.unsent)
        )  # fmt: skip
        for result, codes in named:
            if code and code in codes:
                return Reply(result, detail=code)
        if answer.status in (401, 403, 404, 405) or 300 <= answer.status < 400:
            return Reply("account", detail=str(answer.status))
        if answer.status in taken.status:
            return self._taken(answer.body)
        if answer.status in errors.unsent_status:
            return Reply("unsent", detail=str(answer.status))
        if 400 <= answer.status < 500:
            return Reply("refused", detail=code or str(answer.status))
        return Reply("doubt", detail=code or str(answer.status))

    def _taken(self, body: Any) -> Reply:
        taken = self.gateway.taken
        if not isinstance(body, dict | list):
            return Reply("doubt", detail="garbled")
        said, name = _text(body, taken.path), _text(body, taken.id)
        if said in taken.done:
            return Reply("done", external_id=name, at=_time(body, taken.at))
        if taken.accepted and said not in taken.accepted:
            return Reply("doubt", detail=said or "garbled")
        return Reply("accepted", external_id=name)

    def _ask_one(self, question: Question) -> Reading:
        asking = self.gateway.question
        values = {"key": question.key, "meter_number": question.meter_number}
        try:
            answer = self._wire.call(asking.request, values, deadline=time.monotonic() + DEADLINE_S)
        except CallFailed as failed:
            return Reading(SwitchPosition.UNKNOWN, detail=str(failed))
        if answer.status != 200:
            return Reading(SwitchPosition.UNKNOWN, detail=str(answer.status))
        said = _text(answer.body, asking.position)
        read_at = _time(answer.body, asking.at)
        if asking.at and read_at is None:
            return Reading(SwitchPosition.UNKNOWN, detail="no_time")
        if said in asking.connected:
            return Reading(SwitchPosition.CONNECTED, read_at)
        if said in asking.disconnected:
            return Reading(SwitchPosition.DISCONNECTED, read_at)
        return Reading(SwitchPosition.UNKNOWN, detail=said or "garbled")


def _text(body: Any, path: str) -> str:
    found = value_at(body, path) if path else None
    return "" if found is None or isinstance(found, dict | list) else str(found)[:128]


def _time(body: Any, path: str) -> datetime | None:
    try:
        found = parse_datetime(_text(body, path))
    except ValueError:
        return None
    return found if found is not None and found.tzinfo is not None else None


# --- which one --------------------------------------------------------------------------------------

_open: dict[tuple[str, int], HttpSwitch] = {}
_opening: Final = threading.Lock()


def switch_for(setting: str) -> HttpSwitch | None:
    """The meter system that the file describes, made anew when the file changes; none without a file."""
    if not setting:
        return None
    path = Path(setting)
    key = (setting, path.stat().st_mtime_ns)
    with _opening:
        if key not in _open:
            made = HttpSwitch(description_read(path, MeterGateway, setting=SETTING))
            for old in _open.values():
                old.close()
            _open.clear()
            _open[key] = made
        return _open[key]


@register()
def the_meters_can_be_reached(**_kwargs: object) -> list[CheckMessage]:
    """A wrong gateway file is said at start-up, not when the first customer who paid should be switched on."""
    setting = settings.METER_GATEWAY
    if setting == "simulator":
        return []
    try:
        if switch_for(setting) is not None:
            return []
    except (ImproperlyConfigured, OSError) as wrong:
        return [Error(str(wrong), id="billing_cutoffs.E001")]
    hint = f"Set {SETTING} to the file that describes the meter system."
    return [Warning("No meter can be switched from afar: persons are sent.", hint=hint, id="billing_cutoffs.W001")]
