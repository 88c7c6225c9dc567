"""A real SMTP server that keeps what it was given."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from time import monotonic

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session


@dataclass
class SmtpServer:
    """``messages`` in the order of acceptance; ``refuse_with`` makes it answer that line to every recipient."""

    host: str = "127.0.0.1"
    port: int = 0
    messages: list[EmailMessage] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    refuse_with: str = ""
    _arrived: threading.Condition = field(default_factory=threading.Condition)

    @property
    def url(self) -> str:
        return f"smtp://{self.host}:{self.port}"

    def wait_for(self, count: int, *, timeout: float = 20) -> list[EmailMessage]:
        """The messages, once there are at least ``count`` of them."""
        end = monotonic() + timeout
        with self._arrived:
            self._arrived.wait_for(lambda: len(self.messages) >= count, timeout=max(0, end - monotonic()))
            assert len(self.messages) >= count, f"{len(self.messages)} of {count} e-mails arrived"
            return list(self.messages)

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.refuse_with:
            return self.refuse_with
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        content = envelope.content or b""
        message = BytesParser(policy=default).parsebytes(content if isinstance(content, bytes) else content.encode())
        assert isinstance(message, EmailMessage)
        with self._arrived:
            self.messages.append(message)
            self.recipients.append(list(envelope.rcpt_tos))
            self._arrived.notify_all()
        return "250 OK"


class _AnyPort(Controller):
    """Binds port 0 and lets the system choose, so that tests never fight over a number."""

    def _trigger_server(self) -> None:
        assert isinstance(self.server, asyncio.Server)
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]


@contextmanager
def smtp_server() -> Iterator[SmtpServer]:
    peer = SmtpServer()
    controller = _AnyPort(peer, hostname=peer.host, port=0)
    controller.start()
    peer.port = controller.port
    try:
        yield peer
    finally:
        controller.stop()
