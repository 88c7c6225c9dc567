"""The ways out: one small interface, and one honest class for every answer.

``send`` takes messages and returns an outcome for each. It never raises for what a provider does, and it is never
called inside a transaction. The class of an outcome says what may happen next: only what is *provably* unsent may be
sent again without asking.
"""

from __future__ import annotations

import atexit
import logging
import smtplib
import ssl
import sys
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from pathlib import Path
from typing import Any, Final, Literal, Protocol

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from pydantic import Field

from notifications.models import Channel
from standards.http_gateway import (
    Answer,
    Lost,
    NotMade,
    NotSent,
    RequestTemplate,
    Strict,
    Timeouts,
    Wire,
    description_read,
    value_at,
)

log = logging.getLogger(__name__)

DEADLINE_S: Final = 20.0  # of all calls of one batch; well under the lease
AT_ONCE: Final = 8

Class = Literal["accepted", "unsent", "throttled", "account", "permanent", "bad_address", "render", "doubt"]


@dataclass(frozen=True)
class Message:
    """One message, complete. ``client_ref`` is the same on every try: the provider's key against doubles."""

    client_ref: str
    to: str
    subject: str
    text: str
    letter: str
    language: str = "zh"


@dataclass(frozen=True)
class Outcome:
    """What became of one message.

    ``accepted``: the provider has it and named it. ``unsent``: provably not sent, try later. ``throttled``: not sent,
    slow down, the try does not count. ``account``: our contract or password, not this message. ``permanent`` and
    ``bad_address``: never. ``render``: our own mistake. ``doubt``: nobody knows.
    """

    result: Class
    provider_id: str = ""
    code: str = ""
    retry_after: float = 0.0

    @property
    def permanent(self) -> bool:
        return self.result in ("permanent", "bad_address", "render")

    @property
    def provably_unsent(self) -> bool:
        return self.result not in ("accepted", "doubt")


class Sender(Protocol):
    channel: str
    account: str
    rate: float

    def send(self, messages: Sequence[Message]) -> list[Outcome]: ...

    def close(self) -> None: ...


_open: dict[str, tuple[object, Sender]] = {}
_opening: Final = threading.Lock()


def _kept(channel: str, key: object, make: Callable[[], Sender]) -> Sender:
    """One sender per channel and process, made anew when its configuration changes."""
    with _opening:
        known = _open.get(channel)
        if known is not None and known[0] == key:
            return known[1]
        sender = make()
        _open[channel] = (key, sender)
    if known is not None:
        known[1].close()
    return sender


def senders_close() -> None:
    """Give back kept connections."""
    with _opening:
        for _key, sender in _open.values():
            sender.close()
        _open.clear()


atexit.register(senders_close)


def sender_for(channel: str) -> Sender | None:
    """The way out that is configured for a channel; without one nothing of it is sent."""
    if channel == Channel.EMAIL and settings.EMAIL_URL:
        url, sender = settings.EMAIL_URL, settings.DEFAULT_FROM_EMAIL
        return _kept(channel, (url, sender), lambda: EmailSender(url, sender))
    if channel == Channel.SMS and settings.SMS_GATEWAY:
        path = Path(settings.SMS_GATEWAY)
        return _kept(channel, (path, path.stat().st_mtime_ns), lambda: SmsSender(gateway_read(path)))
    return _kept(channel, ("console",), lambda: ConsoleSender(channel)) if settings.CONSOLE_CHANNEL else None


def refuse_in_transaction() -> None:
    """No network inside a transaction: it would hold locks for as long as a provider likes."""
    if connection.in_atomic_block:
        raise ImproperlyConfigured("A provider must not be called inside a transaction.")


@register()
def the_ways_out_are_usable(**_kwargs: object) -> list[CheckMessage]:
    """A wrong address or gateway file is said at start-up, not when the first customer should be told."""
    found: list[CheckMessage] = []
    for channel in Channel.values:
        try:
            configured = sender_for(channel)
        except (ImproperlyConfigured, OSError) as wrong:
            found.append(Error(str(wrong), id="notifications.E001"))
            continue
        if configured is None:
            found.append(
                Warning(
                    f"No way out is configured for {channel}: its messages will wait until they expire.",
                    hint="Set EMAIL_URL and SMS_GATEWAY.",
                    id="notifications.W001",
                )
            )
    return found


# --- console ----------------------------------------------------------------------------------------


class ConsoleSender:
    """For development: now and then a message goes to the terminal, the address masked, and how many went unsaid."""

    rate = 1_000.0
    pause = 5.0  # seconds

    def __init__(self, channel: str) -> None:
        self.channel, self.account = channel, f"console-{channel}"
        self._said_at, self._unsaid = -self.pause, 0

    def send(self, messages: Sequence[Message]) -> list[Outcome]:
        refuse_in_transaction()
        self._unsaid += len(messages)
        if messages and time.monotonic() - self._said_at >= self.pause:
            last = messages[-1]
            more = f" (and {self._unsaid - 1} more)" if self._unsaid > 1 else ""
            sys.stdout.write(f"[{self.channel}] {masked(last.to)}: {last.text}{more}\n")
            sys.stdout.flush()
            self._said_at, self._unsaid = time.monotonic(), 0
        return [Outcome("accepted", provider_id=f"console:{message.client_ref}") for message in messages]

    def close(self) -> None:
        """Nothing is kept open."""


def masked(address: str) -> str:
    """``138****5678``, ``w***@example.com``."""
    name, at, domain = address.partition("@")
    return f"{name[:1]}***@{domain}" if at else f"{address[:-8]}****{address[-4:]}" if len(address) > 8 else "****"


# --- e-mail -----------------------------------------------------------------------------------------


class EmailSender:
    """SMTP, one connection for a batch. ``smtp://``, ``smtp+tls://`` (STARTTLS) or ``smtps://``."""

    channel: str = Channel.EMAIL
    account = "smtp"
    rate = 50.0
    timeout = 10.0

    def __init__(self, url: str, sender: str) -> None:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("smtp", "smtp+tls", "smtps") or not parts.hostname:
            raise ImproperlyConfigured("EMAIL_URL must look like smtp://user:password@host:port")
        self.scheme, self.host = parts.scheme, parts.hostname
        self.port = parts.port or {"smtp": 25, "smtp+tls": 587, "smtps": 465}[parts.scheme]
        self.user, self.password = (
            urllib.parse.unquote(parts.username or ""),
            urllib.parse.unquote(parts.password or ""),
        )
        self.sender = sender
        self.domain = sender.rpartition("@")[2].strip("<> ") or "localhost"

    def send(self, messages: Sequence[Message]) -> list[Outcome]:
        refuse_in_transaction()
        deadline = time.monotonic() + DEADLINE_S
        outcomes: list[Outcome] = []
        smtp: smtplib.SMTP | None = None
        for message in messages:
            if time.monotonic() > deadline:
                outcomes.append(Outcome("unsent", code="deadline"))
                continue
            try:
                content = self._content(message)
            except (ValueError, UnicodeError) as broken:
                outcomes.append(Outcome("render", code=type(broken).__name__))
                continue
            if smtp is None:
                try:
                    smtp = self._connect()
                except smtplib.SMTPAuthenticationError as refused:
                    outcomes.append(Outcome("account", code=f"smtp_{refused.smtp_code}"))
                    continue
                except (OSError, smtplib.SMTPException) as gone:
                    outcomes.append(Outcome("unsent", code=type(gone).__name__))
                    continue
            outcome = self._send_one(smtp, message, content)
            outcomes.append(outcome)
            if outcome.result == "doubt" or outcome.code == "disconnected":
                _leave(smtp)
                smtp = None
        if smtp is not None:
            _leave(smtp)
        return outcomes

    def close(self) -> None:
        """A connection lives for one batch."""

    def _connect(self) -> smtplib.SMTP:
        context = ssl.create_default_context()
        smtp: smtplib.SMTP
        if self.scheme == "smtps":
            smtp = smtplib.SMTP_SSL(self.host, self.port, timeout=self.timeout, context=context)
        else:
            smtp = smtplib.SMTP(self.host, self.port, timeout=self.timeout)
        try:
            if self.scheme == "smtp+tls":
                smtp.starttls(context=context)
            smtp.ehlo_or_helo_if_needed()
            if self.user:
                smtp.login(self.user, self.password)
        except (OSError, smtplib.SMTPException):
            _leave(smtp)
            raise
        return smtp

    def _content(self, message: Message) -> bytes:
        if any(sign in value for value in (message.to, message.subject, self.sender) for sign in "\r\n\0"):
            raise ValueError("a line break in a header")
        mail = EmailMessage(policy=SMTP_POLICY)
        mail["From"], mail["To"], mail["Subject"] = self.sender, message.to, message.subject
        mail["Message-ID"] = self._message_id(message)
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(message.letter, charset="utf-8")
        mail["Content-Language"] = message.language  # setting the content takes older words about it away
        return mail.as_bytes()

    def _message_id(self, message: Message) -> str:
        return f"<{message.client_ref}@{self.domain}>"

    def _send_one(self, smtp: smtplib.SMTP, message: Message, content: bytes) -> Outcome:
        """Step by step, because what a broken connection means depends on how far we had come."""
        try:
            code, _answer = smtp.mail(self.sender.rpartition("<")[2].strip("> "))
            if code != 250:
                _again(smtp)
                return Outcome("account" if code >= 500 else "unsent", code=f"smtp_{code}")
            code, _answer = smtp.rcpt(message.to)
            if code not in (250, 251):
                _again(smtp)
                return Outcome("bad_address" if code >= 500 else "unsent", code=f"smtp_{code}")
        except (OSError, smtplib.SMTPException, ValueError):
            return Outcome("unsent", code="disconnected")
        try:
            code, _answer = smtp.data(content)
        except smtplib.SMTPDataError as refused:  # of the command itself: nothing was sent
            _again(smtp)
            return Outcome("unsent", code=f"smtp_{refused.smtp_code}")
        except (OSError, smtplib.SMTPException) as broken:
            return Outcome("doubt", code=type(broken).__name__)
        if code != 250:
            return Outcome("permanent" if code >= 500 else "unsent", code=f"smtp_{code}")
        return Outcome("accepted", provider_id=self._message_id(message))


def _again(smtp: smtplib.SMTP) -> None:
    with suppress(OSError, smtplib.SMTPException):
        smtp.rset()


def _leave(smtp: smtplib.SMTP) -> None:
    with suppress(OSError, smtplib.SMTPException):
        smtp.quit()
    smtp.close()


# --- SMS by HTTP ------------------------------------------------------------------------------------


class SuccessRule(Strict):
    """Accepted is only what has one of these statuses, says so if it must, and names the message."""

    status: list[int] = [200, 201, 202]
    path: str = ""
    equals: str = ""
    id: str


class ErrorRule(Strict):
    """What the provider's own codes mean, wherever they stand: an error inside a 200 counts."""

    path: str = ""
    bad_address: list[str] = []
    permanent: list[str] = []
    throttled: list[str] = []
    account: list[str] = []
    unsent_status: list[int] = [503]


class ReceiptRule(Strict):
    """How a receipt is read. ``secret`` must come in the header named ``header``."""

    header: str = "X-Receipt-Secret"
    secret: str = Field(min_length=8)
    items: str = ""
    id: str
    client_ref: str = ""
    status: str
    delivered: list[str]
    failed: list[str]


class Gateway(Strict):
    """An SMS provider's HTTP interface, as data.

    ``{to}``, ``{text}``, ``{client_ref}`` and ``{language}`` are filled in.
    """

    account: str = Field(default="sms", pattern=r"^[a-z0-9-]{1,32}$")
    rate: float = Field(default=50.0, gt=0)
    request: RequestTemplate
    success: SuccessRule
    errors: ErrorRule = ErrorRule()
    receipt: ReceiptRule | None = None
    timeouts: Timeouts = Timeouts()


def gateway_read(path: Path) -> Gateway:
    """The gateway's file. Raises ``ImproperlyConfigured``."""
    return description_read(path, Gateway, setting="SMS_GATEWAY")


class SmsSender:
    """One HTTP call a message, several at once over kept connections."""

    channel: str = Channel.SMS

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.account, self.rate = gateway.account, gateway.rate
        self._pool = ThreadPoolExecutor(max_workers=AT_ONCE, thread_name_prefix="sms")
        self._wire = Wire(gateway.timeouts, is_secure=gateway.request.url.startswith("https"))

    def send(self, messages: Sequence[Message]) -> list[Outcome]:
        refuse_in_transaction()
        deadline = time.monotonic() + DEADLINE_S
        return list(self._pool.map(lambda message: self._send_one(message, deadline), messages))

    def close(self) -> None:
        self._pool.shutdown(wait=True)
        self._wire.close()

    def _send_one(self, message: Message, deadline: float) -> Outcome:
        if time.monotonic() > deadline:
            return Outcome("unsent", code="deadline")
        if any(sign in message.to for sign in "\r\n\0"):
            return Outcome("bad_address", code="line_break")
        values = {
            "to": message.to, "text": message.text, "client_ref": message.client_ref, "language": message.language,
        }  # fmt: skip
        try:
            answer = self._wire.call(self.gateway.request, values, deadline=deadline)
        except NotSent as unsent:
            return Outcome("unsent", code=str(unsent))
        except NotMade as ours:
            return Outcome("render", code=str(ours))
        except Lost as lost:
            return Outcome("doubt", code=str(lost))
        return self.judge(answer)

    def judge(self, given: Answer) -> Outcome:
        """What an answer means by the contract of the gateway's file."""
        success, errors = self.gateway.success, self.gateway.errors
        status, headers, answer = given.status, given.headers, given.body
        code = str(value_at(answer, errors.path) or "") if errors.path else ""
        named: tuple[tuple[Class, list[str]], ...] = (
            ("bad_address", errors.bad_address),
            ("permanent", errors.permanent),
            ("throttled", errors.throttled),
            ("account", errors.account),
        )
        for result, codes in named:
            if code and code in codes:
                return Outcome(result, code=code[:64], retry_after=_retry_after(headers))
        if status == 429:
            return Outcome("throttled", code="429", retry_after=_retry_after(headers))
        if status in (401, 403, 404, 405) or 300 <= status < 400:
            return Outcome("account", code=str(status))
        if status in success.status:
            return self._accepted(answer)
        if status in errors.unsent_status:
            return Outcome("unsent", code=str(status), retry_after=_retry_after(headers))
        if 400 <= status < 500:
            return Outcome("permanent", code=(code or str(status))[:64])
        return Outcome("doubt", code=str(status))

    def _accepted(self, answer: Any) -> Outcome:
        success = self.gateway.success
        if not isinstance(answer, dict | list):
            return Outcome("doubt", code="garbled")
        if success.path:
            said = value_at(answer, success.path)
            if said is None:
                return Outcome("doubt", code="garbled")
            if str(said) != success.equals:  # it says that it did not take it
                return Outcome("unsent", code=str(said)[:64])
        name = value_at(answer, success.id)
        if name in (None, "") or isinstance(name, dict | list):
            return Outcome("doubt", code="no_id")
        return Outcome("accepted", provider_id=str(name)[:128])


def _retry_after(headers: Mapping[str, str]) -> float:
    try:
        return min(max(float(headers.get("Retry-After", "0")), 0.0), 3600.0)
    except ValueError:
        return 0.0


# --- receipts ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ReceiptFacts:
    provider_id: str
    client_ref: str
    status: str


def receipt_rule(account: str) -> ReceiptRule | None:
    sender = sender_for(Channel.SMS)
    if isinstance(sender, SmsSender) and sender.account == account:
        return sender.gateway.receipt
    return None


def receipts_in(rule: ReceiptRule, answer: Any) -> Iterator[ReceiptFacts]:
    """The receipts of one call, one or many; what has no name or no status is left out."""
    found = value_at(answer, rule.items) if rule.items else answer
    for item in found if isinstance(found, list) else [found]:
        provider_id, status = value_at(item, rule.id), value_at(item, rule.status)
        if provider_id not in (None, "") and status not in (None, ""):
            reference = value_at(item, rule.client_ref) if rule.client_ref else ""
            yield ReceiptFacts(str(provider_id)[:128], str(reference or "")[:64], str(status)[:64])
