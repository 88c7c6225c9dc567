"""A meter system behind HTTP, with switches that really move and a journal of every command that reached it.

``POST /commands`` takes ``{"key", "meter", "action", "expires"}``; ``GET /meters/<number>`` says where a switch stands.
``behave`` changes what happens to commands:

==============  ======================================================================================
``accept``      202, switches; its answer is in ``answers`` (twice the same with ``twice``)
``done``        200, switched already
``ignore``      202, and the switch does not move
``refuse``      409 ``{"code": "METER_UNKNOWN"}``: not taken
``busy``        503: not taken
``denied``      401: not taken
``drop``        switches, then the connection is closed without an answer
``hang``        switches, and never answers (until the system stops)
``garble``      switches, then 200 with HTML
``gone``        the connection is closed before anything happens
==============  ======================================================================================

A key that was seen is the same command: journalled under ``repeats``, and nothing moves.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SHUT_RDWR
from typing import Any, Literal
from urllib.parse import unquote

Mode = Literal[
    "accept", "twice", "done", "ignore", "refuse", "busy", "denied", "drop", "hang", "garble", "gone"
]  # fmt: skip
_REFUSALS: dict[str, tuple[int, str]] = {
    "refuse": (409, "METER_UNKNOWN"), "busy": (503, "BUSY"), "denied": (401, "DENIED")
}  # fmt: skip

DESCRIPTION = """
account: meters
request:
  url: "{url}/commands"
  headers: {{Idempotency-Key: "{{key}}"}}
  json: {{key: "{{key}}", meter: "{{meter_number}}", action: "{{action}}", expires: "{{expires_at}}"}}
actions: {{disconnect: OPEN, reconnect: CLOSE}}
taken: {{path: state, accepted: [TAKEN], done: [DONE], id: id, at: at}}
errors: {{path: code, refused: [METER_UNKNOWN]}}
question:
  request: {{url: "{url}/meters/{{meter_number}}", method: GET}}
  position: switch
  connected: [CLOSED]
  disconnected: [OPEN]
  at: at
timeouts: {{connect: 5.0, read: 1.5}}
"""


@dataclass
class MeterSystem:
    url: str = ""
    mode: Mode = "accept"
    is_silent: bool = False  # meters do not answer when they are asked
    journal: list[dict[str, Any]] = field(default_factory=list)
    repeats: list[dict[str, Any]] = field(default_factory=list)
    answers: list[dict[str, Any]] = field(default_factory=list)
    asked: int = 0
    is_on: dict[str, bool] = field(default_factory=dict)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _closing: threading.Event = field(default_factory=threading.Event)

    def behave(self, mode: Mode) -> None:
        with self._changed:
            self.mode = mode

    def wait_for(self, count: int, *, timeout: float = 20) -> None:
        """Until at least ``count`` commands have reached us."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.journal) >= count, timeout=timeout), self.journal

    def _take(self, call: dict[str, Any]) -> None:
        with self._changed:
            if any(known["key"] == call["key"] for known in self.journal):
                self.repeats.append(call)
                return
            self.journal.append(call)
            if self.mode != "ignore":
                self.is_on[call["meter"]] = call["action"] == "CLOSE"
            answer = {
                "answer_id": f"R{len(self.journal)}", "command_key": call["key"], "meter_number": call["meter"],
                "position": "connected" if self.is_on.get(call["meter"], True) else "disconnected",
                "read_at": datetime.now(UTC).isoformat(),
            }  # fmt: skip
            self.answers += [answer] * {"accept": 1, "twice": 2}.get(self.mode, 0)
            self._changed.notify_all()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        system = self.server.system
        number = unquote(self.path.rpartition("/")[2])
        system.asked += 1
        if system.is_silent:
            self._answer(504, {"code": "NO_ANSWER"})
            return
        now = datetime.now(UTC).isoformat()
        self._answer(200, {"switch": "CLOSED" if system.is_on.get(number, True) else "OPEN", "at": now})

    def do_POST(self) -> None:
        system = self.server.system
        call = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
        mode = system.mode
        if mode == "gone":
            self._cut()
            return
        if mode in _REFUSALS:
            status, code = _REFUSALS[mode]
            self._answer(status, {"code": code})
            return
        system._take({**call, "header": self.headers.get("Idempotency-Key")})
        if mode == "hang":
            system._closing.wait()
        if mode in ("drop", "hang"):
            self._cut()
        elif mode == "garble":
            self._send(200, b"<html>Welcome to the hotel network</html>", "text/html")
        elif mode == "done":
            self._answer(200, {"state": "DONE", "id": "M1", "at": datetime.now(UTC).isoformat()})
        else:
            self._answer(202, {"state": "TAKEN", "id": f"M{len(system.journal)}"})

    def _answer(self, status: int, body: dict[str, str]) -> None:
        self._send(status, json.dumps(body).encode(), "application/json")

    def _send(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _cut(self) -> None:
        self.close_connection = True
        self.connection.shutdown(SHUT_RDWR)

    def log_message(self, format: str, *args: object) -> None:
        """The journal is the log."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, system: MeterSystem) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.system = system

    def handle_error(self, request: object, client_address: object) -> None:
        """A sender that was killed in mid-call is what we are here for."""


@contextmanager
def meter_system() -> Iterator[MeterSystem]:
    system = MeterSystem()
    server = _Server(system)
    system.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield system
    finally:
        system._closing.set()
        server.shutdown()
        server.server_close()
        thread.join()
