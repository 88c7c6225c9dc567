"""The loopback peers do what the tests that lean on them believe."""

from __future__ import annotations

import smtplib
from email.message import EmailMessage

import httpx
import pytest

from tests.peers.sms_gateway import sms_gateway
from tests.peers.smtp import smtp_server


def test_the_smtp_peer_keeps_what_it_accepted() -> None:
    with smtp_server() as peer:
        message = EmailMessage()
        message["Subject"], message["From"], message["To"] = "停电通知", "a@example.org", "b@example.org"
        message.set_content("恢复供电")
        with smtplib.SMTP(peer.host, peer.port) as client:
            client.send_message(message)

        [kept] = peer.wait_for(1)

    assert (kept["Subject"], kept.get_content().strip(), peer.recipients) == (
        "停电通知",
        "恢复供电",
        [["b@example.org"]],
    )


def test_the_gateway_journals_before_it_drops_the_answer() -> None:
    with sms_gateway() as gateway:
        gateway.behave("drop", times=1)
        with pytest.raises(httpx.TransportError):
            httpx.post(gateway.url, json={"to": "1", "client_ref": "1-7"})

        again = httpx.post(gateway.url, json={"to": "1", "client_ref": "1-7"})

        assert again.json() == {"code": "OK", "id": "sms-1"}
        assert (len(gateway.journal), len(gateway.repeats)) == (1, 1)


@pytest.mark.parametrize(
    ("mode", "status"), [("bad_number", 400), ("throttle", 429), ("denied", 401), ("fail", 500), ("error_in_200", 200)]
)
def test_what_the_gateway_refuses_is_not_in_its_journal(mode: str, status: int) -> None:
    with sms_gateway() as gateway:
        gateway.behave(mode)  # type: ignore[arg-type]

        assert httpx.post(gateway.url, data={"to": "1"}).status_code == status
        assert gateway.journal == []
