"""A small city whose customers may be written to all day, a real SMTP server and a real SMS gateway."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import Settings

from accounts.actor import Actor
from grid.models import Branch
from notifications import channels
from outages.models import SystemState
from tests.factories import accounts
from tests.factories.grid import SmallCity, small_city
from tests.notifications.world import GATEWAY
from tests.peers.sms_gateway import SmsGateway, sms_gateway
from tests.peers.smtp import SmtpServer, smtp_server


@pytest.fixture
def city(transactional_db: None) -> SmallCity:
    # whoever truncated the tables before us took this row along
    SystemState.objects.get_or_create(pk=1)
    city = small_city()
    # equal hours mean the whole day, so that no test depends on when it runs
    Branch.objects.update(send_from="00:00", send_until="00:00", phone="95598")
    for branch in (city.bureau, city.east, city.west):
        branch.refresh_from_db()
    return city


@pytest.fixture
def asha(city: SmallCity) -> Actor:
    return accounts.actor_of(accounts.asha(city.bureau))


@pytest.fixture
def smtp(settings: Settings) -> Iterator[SmtpServer]:
    with smtp_server() as peer:
        settings.EMAIL_URL = peer.url
        settings.DEFAULT_FROM_EMAIL = "outages@example.org"
        yield peer


@pytest.fixture
def sms(settings: Settings, tmp_path: Path) -> Iterator[SmsGateway]:
    with sms_gateway() as peer:
        path = tmp_path / "gateway.yaml"
        path.write_text(GATEWAY.format(url=peer.url), encoding="utf-8")
        settings.SMS_GATEWAY = str(path)
        yield peer
        channels.senders_close()
