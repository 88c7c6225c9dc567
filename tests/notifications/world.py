"""What the tests of messages say to each other: an outage, one turn of the senders, and who was told what."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.utils import timezone

from accounts.actor import Actor
from grid.models import Customer, ServicePoint
from notifications import services
from notifications.models import Delivery, DeliveryState, Notice
from outages.models import Outage
from outages.services import outage_open
from tests.factories.grid import SmallCity, phone_create

GATEWAY = """
account: sms
rate: 10000.0
request:
  url: "{url}/send"
  headers: {{Idempotency-Key: "{{client_ref}}"}}
  json: {{to: "{{to}}", text: "{{text}}", client_ref: "{{client_ref}}"}}
success: {{path: code, equals: OK, id: id}}
errors: {{path: code, bad_address: [INVALID_NUMBER], permanent: [REJECTED]}}
receipt:
  secret: "agreed-with-the-provider"
  id: id
  client_ref: client_ref
  status: status
  delivered: [DELIVRD]
  failed: [UNDELIV]
timeouts: {{connect: 5.0, read: 5.0}}
"""


def off(city: SmallCity, actor: Actor, *elements: str, **facts: Any) -> Outage:
    """These elements have been off for an hour."""
    facts.setdefault("started_at", timezone.now() - timedelta(hours=1))
    return outage_open(
        kind=facts.pop("kind", "load_shedding"), action="start", actor=actor, element_ids=city.ids(*elements), **facts
    )


def crowd(city: SmallCity, number: int, *, transformer: str = "T11", phone: str = "") -> None:
    """Many more customers behind one transformer, each with a telephone (or all with the same)."""
    for i in range(number):
        customer = Customer.objects.create(account_number=f"2{i:09d}", name=f"客户{i}", branch=city.east)
        phone_create(customer, phone or f"+86137{i:08d}")
        ServicePoint.objects.create(
            code=f"X{i}", customer=customer, element=city.elements[transformer], branch=city.east, average_kw=1
        )


def in_hours(number: float) -> datetime:
    return timezone.now() + timedelta(hours=number)


def turn(times: int = 10) -> None:
    """Everything there is to do now is done."""
    for _ in range(times):
        done = services.work_once()
        if not (done.events or done.messages or done.claimed):
            return


def told(kind: str | None = None) -> dict[tuple[str, str, str], str]:
    """(customer, channel, kind of notice) -> state, for every message owed."""
    notices = {notice.pk: notice for notice in Notice.objects.all()}
    names = dict(Customer.objects.values_list("pk", "name"))
    return {
        (names[row.customer_id], row.channel, str(notices[row.notice_id].kind)): DeliveryState(row.state).name
        for row in Delivery.objects.order_by("id")
        if kind is None or notices[row.notice_id].kind == kind
    }


def states() -> dict[str, int]:
    """How many messages are in which state."""
    counts: dict[str, int] = {}
    for state in Delivery.objects.values_list("state", flat=True):
        name = DeliveryState(state).name
        counts[name] = counts.get(name, 0) + 1
    return counts


def leases_end() -> None:
    """A minute passes for whoever holds a message."""
    with connection.cursor() as db:
        db.execute("UPDATE notifications_delivery SET lease_until = now() - interval '1 s' WHERE state IN (1, 2)")


def waits_end() -> None:
    """Whatever waits for another try is due."""
    with connection.cursor() as db:
        db.execute("UPDATE notifications_delivery SET not_before = now() WHERE state = 0")


def nothing_broken() -> None:
    assert services.invariants_broken() == {}
