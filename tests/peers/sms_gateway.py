"""An HTTP SMS gateway that journals every call it accepts before it answers.

``journal`` is the truth of what reached "the provider": one dict per accepted call with ``id``, ``method``,
``path``, ``headers``, ``body`` (parsed JSON or form, else text) and ``at``. ``behave`` changes the answers:

===============  ==================================================================================
``ok``           200 ``{"code": "OK", "id": "..."}``
``drop``         journalled, then the connection is closed without an answer (accepted or not? unknown)
``refuse``       the connection is closed before anything is journalled
``delay``        journalled, answered after ``seconds``
``hang``         journalled, never answered (until the gateway stops)
``garble``       200 with HTML, as a proxy in between would
``empty``        200 without a body
``no_id``        200 ``{"code": "OK"}``: accepted, but nothing to ask about later
``error_in_200`` 200 ``{"code": "BUSINESS_LIMIT", ...}``: not accepted, not journalled
``bad_number``   400 ``{"code": "INVALID_NUMBER"}``: not accepted, not journalled
``throttle``     429 with ``Retry-After``: not accepted, not journalled
``denied``       401: not accepted, not journalled
``fail``         500: not accepted, not journalled
===============  ==================================================================================

A call with an ``Idempotency-Key`` (or a ``client_ref`` in its body) seen before gets the first answer again
and is journalled under ``repeats``, as a provider that honours such keys would do; ``honour_keys=False``
makes it a provider that does not.
"""

from __future__ import annotations

import json
import socket
import threading
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

Mode = Literal[
    "ok", "drop", "refuse", "delay", "hang", "garble", "empty", "no_id",
    "error_in_200", "bad_number", "throttle", "denied", "fail",
]  # fmt: skip
REFUSALS: dict[str, tuple[int, dict[str, str], dict[str, str]]] = {
    "error_in_200": (200, {"code": "BUSINESS_LIMIT", "message": "too many messages to this number"}, {}),
    "bad_number": (400, {"code": "INVALID_NUMBER", "message": "not a number"}, {}),
    "throttle": (429, {"code": "THROTTLED", "message": "slow down"}, {"Retry-After": "1"}),
    "denied": (401, {"code": "DENIED", "message": "bad key"}, {}),
    "fail": (500, {"code": "ERROR", "message": "internal error"}, {}),
}


@dataclass
class SmsGateway:
    url: str = ""
    honour_keys: bool = True
    journal: list[dict[str, Any]] = field(default_factory=list)
    repeats: list[dict[str, Any]] = field(default_factory=list)
    mode: Mode = "ok"
    seconds: float = 0.0
    _times: int | None = None
    _by_key: dict[str, dict[str, Any]] = field(default_factory=dict)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _closing: threading.Event = field(default_factory=threading.Event)

    def behave(self, mode: Mode, *, times: int | None = None, seconds: float = 0.0) -> None:
        """Answer like ``mode`` from now on, or for the next ``times`` calls and then normally again."""
        with self._changed:
            self.mode, self._times, self.seconds = mode, times, seconds

    def wait_for(self, count: int, *, timeout: float = 20) -> list[dict[str, Any]]:
        """The journal, once it has at least ``count`` entries."""
        with self._changed:
            self._changed.wait_for(lambda: len(self.journal) >= count, timeout=timeout)
            assert len(self.journal) >= count, f"{len(self.journal)} of {count} messages arrived"
            return list(self.journal)

    def _mode_now(self) -> Mode:
        with self._changed:
            mode = self.mode
            if self._times is not None:
                self._times -= 1
                if self._times <= 0:
                    self.mode, self._times = "ok", None
            return mode

    def _accept(self, call: dict[str, Any]) -> dict[str, Any]:
        body = call["body"]
        reference = body.get("client_ref", "") if isinstance(body, dict) else ""
        key = str(call["headers"].get("idempotency-key", "") or reference)
        with self._changed:
            if self.honour_keys and key and key in self._by_key:
                self.repeats.append(call)
                return self._by_key[key]
            call["id"] = f"sms-{len(self.journal) + 1}"
            self.journal.append(call)
            self._by_key[key] = call
            self._changed.notify_all()
            return call


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        self._handle(urllib.parse.urlsplit(self.path).query.encode(), "application/x-www-form-urlencoded")

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._handle(raw, self.headers.get("Content-Type", ""))

    def _handle(self, raw: bytes, content_type: str) -> None:
        gateway = self.server.gateway
        mode = gateway._mode_now()
        if mode == "refuse":
            self._cut()
            return
        if mode in REFUSALS:
            status, answer, headers = REFUSALS[mode]
            self._answer(status, json.dumps(answer).encode(), "application/json", headers)
            return
        call = gateway._accept(
            {
                "method": self.command,
                "path": self.path,
                "headers": {name.lower(): value for name, value in self.headers.items()},
                "body": _parsed(raw, content_type),
                "at": time.time(),
            }
        )
        if mode == "hang":
            gateway._closing.wait()
        if mode in {"drop", "hang"}:
            self._cut()
            return
        if mode == "delay":
            gateway._closing.wait(gateway.seconds)
        if mode == "garble":
            self._answer(200, b"<html><body>Welcome to the hotel network</body></html>", "text/html")
        elif mode == "empty":
            self._answer(200, b"", "application/json")
        elif mode == "no_id":
            self._answer(200, b'{"code": "OK"}', "application/json")
        else:
            self._answer(200, json.dumps({"code": "OK", "id": call["id"]}).encode(), "application/json")

    def _answer(self, status: int, body: bytes, content_type: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Type": content_type, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _cut(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: object) -> None:
        """The journal is the log."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, gateway: SmsGateway) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.gateway = gateway

    def handle_error(self, request: object, client_address: object) -> None:
        """A sender that was killed in mid-call is what we are here for."""


def _parsed(raw: bytes, content_type: str) -> object:
    if "json" in content_type:
        return json.loads(raw)
    if "form" in content_type:
        return dict(urllib.parse.parse_qsl(raw.decode(), keep_blank_values=True))
    return raw.decode(errors="replace")


@contextmanager
def sms_gateway(*, honour_keys: bool = True) -> Iterator[SmsGateway]:
    gateway = SmsGateway(honour_keys=honour_keys)
    server = _Server(gateway)
    gateway.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield gateway
    finally:
        gateway._closing.set()
        server.shutdown()
        server.server_close()
        thread.join()
