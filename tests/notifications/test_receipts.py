"""Receipts repeat, come early and in any order; the page shows where each message stands."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts.actor import Actor
from notifications import fanout, router, sending, services
from notifications.models import Delivery, Receipt
from tests.factories import accounts
from tests.factories.grid import SmallCity
from tests.notifications.world import nothing_broken, off, states, turn
from tests.peers.sms_gateway import SmsGateway
from tests.peers.smtp import SmtpServer

pytestmark = pytest.mark.django_db(transaction=True)

SECRET = "agreed-with-the-provider"


def receive(body: Any, *, secret: str = SECRET, account: str = "sms") -> int:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    response = Client().post(
        f"/api/v1/receipts/{account}/", raw, content_type="application/json", headers={"X-Receipt-Secret": secret}
    )
    return response.status_code


def accepted(city: SmallCity, asha: Actor) -> Delivery:
    off(city, asha, "T12")
    turn()
    return Delivery.objects.get()


def test_a_receipt_settles_its_message_however_often_it_comes(city: SmallCity, asha: Actor, sms: SmsGateway) -> None:
    row = accepted(city, asha)

    for _ in range(3):
        assert receive({"id": row.provider_id, "status": "DELIVRD"}) == 202
        turn()

    assert (states(), Receipt.objects.count()) == ({"DELIVERED": 1}, 1)
    nothing_broken()


def test_a_failure_that_comes_after_the_delivery_takes_nothing_back(
    city: SmallCity, asha: Actor, sms: SmsGateway
) -> None:
    row = accepted(city, asha)
    receive({"id": row.provider_id, "status": "DELIVRD"})
    turn()

    receive({"id": row.provider_id, "status": "UNDELIV"})
    turn()

    assert states() == {"DELIVERED": 1}


def test_a_failure_is_corrected_by_a_later_delivery(city: SmallCity, asha: Actor, sms: SmsGateway) -> None:
    row = accepted(city, asha)
    receive({"id": row.provider_id, "status": "UNDELIV"})
    turn()
    assert (states(), Delivery.objects.get().error_code) == ({"UNDELIVERED": 1}, "UNDELIV")

    receive([{"id": row.provider_id, "status": "DELIVRD"}])
    turn()

    assert (states(), Delivery.objects.get().error_code) == ({"DELIVERED": 1}, "")


def test_a_receipt_that_comes_too_early_waits_for_its_message(city: SmallCity, asha: Actor, sms: SmsGateway) -> None:
    assert receive({"id": "sms-1", "status": "DELIVRD"}) == 202
    assert services.receipts_apply() == 0

    accepted(city, asha)
    turn()

    assert states() == {"DELIVERED": 1}


def test_a_receipt_settles_what_nobody_knew(city: SmallCity, asha: Actor, sms: SmsGateway) -> None:
    sms.behave("drop")
    row = accepted(city, asha)
    assert states() == {"UNKNOWN": 1}

    receive({"id": "their-17", "client_ref": f"1-{row.id}", "status": "DELIVRD"})
    turn()

    assert (states(), Delivery.objects.get().provider_id) == ({"DELIVERED": 1}, "their-17")


@pytest.mark.parametrize(
    ("body", "secret", "account", "status"),
    [
        ({"id": "x", "status": "DELIVRD"}, "wrong", "sms", 404),
        ({"id": "x", "status": "DELIVRD"}, "", "sms", 404),
        ({"id": "x", "status": "DELIVRD"}, SECRET, "other", 404),
        (b"<html>", SECRET, "sms", 400),
        (b"", SECRET, "sms", 400),
        (b"[" * 100_000, SECRET, "sms", 400),
        ({"id": "x"}, SECRET, "sms", 400),
        ({"id": "x\u0000", "status": "DELIVRD"}, SECRET, "sms", 400),
        ([], SECRET, "sms", 400),
    ],
)
def test_what_is_not_a_receipt_is_refused_and_nothing_is_kept(
    city: SmallCity, sms: SmsGateway, body: Any, secret: str, account: str, status: int
) -> None:
    assert receive(body, secret=secret, account=account) == status
    assert Receipt.objects.count() == 0


# --- the fragment -----------------------------------------------------------------------------------


def test_the_fragment_shows_where_the_messages_stand(
    city: SmallCity, asha: Actor, smtp: SmtpServer, sms: SmsGateway, client: Client
) -> None:
    outage = off(city, asha, "F1")
    router.route_events()
    fanout.fan_out()
    sending.channel_send(channel="email")
    client.force_login(accounts.asha(city.bureau), backend="django.contrib.auth.backends.ModelBackend")

    response = client.get(reverse("notifications:outage_notices", args=[outage.reference]))

    assert response.status_code == 200
    funnels = {funnel.channel: funnel for funnel in response.context["funnels"]}
    assert (funnels["sms"].messages, funnels["sms"].waiting, funnels["sms"].accepted) == (3, 3, 0)
    assert (funnels["email"].messages, funnels["email"].waiting, funnels["email"].accepted) == (1, 0, 1)
    assert b"+86138" not in response.content


def test_the_fragment_is_not_for_strangers(city: SmallCity, asha: Actor, client: Client) -> None:
    outage = off(city, asha, "F1")
    address = reverse("notifications:outage_notices", args=[outage.reference])
    assert client.get(address).status_code == 302

    client.force_login(accounts.dora(), backend="django.contrib.auth.backends.ModelBackend")
    assert client.get(address).status_code == 404
    client.force_login(accounts.ada(), backend="django.contrib.auth.backends.ModelBackend")
    assert client.get(address).status_code == 403  # an administrator sees the outage and not what was sent
