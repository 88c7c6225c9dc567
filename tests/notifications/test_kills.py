"""Senders die at the worst moments: nothing is lost, and nothing is sent twice to a telephone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import psycopg2
import pytest
from django.conf import settings as django_settings
from django.db import connection

from accounts.actor import Actor
from notifications import channels, fanout, router, sending, services
from notifications.models import Delivery, DeliveryState, Notice, Policy
from tests.factories.grid import SmallCity
from tests.notifications.world import leases_end, nothing_broken, off, states, told, turn
from tests.peers.sms_gateway import SmsGateway
from tests.peers.smtp import SmtpServer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.faults]


def environment(smtp: SmtpServer | None = None, *, redis: str = "redis://127.0.0.1:9/0") -> dict[str, str]:
    """What a sender of its own process needs; by default with a Redis that nobody answers for."""
    database = connection.settings_dict
    host, port = str(database["HOST"]), f":{database['PORT']}" if database["PORT"] else ""
    password = f":{urllib.parse.quote(database['PASSWORD'])}" if database["PASSWORD"] else ""
    # a path to a socket stands where the database's name would, before it
    place = f"/{host}" if host.startswith("/") else f"{host}{port}"
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "outage_mgmt.settings",
        "DATABASE_URL": f"postgres://{database['USER']}{password}@{place}/{database['NAME']}",
        "REDIS_URL": redis,
        "SECRET_KEY": django_settings.SECRET_KEY,
        "DEBUG": "false",
        "EMAIL_URL": smtp.url if smtp else "",
        "SMS_GATEWAY": django_settings.SMS_GATEWAY,
        "DEFAULT_FROM_EMAIL": "outages@example.org",
    }


@contextmanager
def deliver(smtp: SmtpServer, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "manage.py", "deliver", *arguments],
        cwd=Path(django_settings.BASE_DIR),
        env=environment(smtp),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        assert process.stdout is not None
        process.stdout.close()
        process.wait()


def killed(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()


def wait_until_states(wanted: dict[str, int], process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 60
    while states() != wanted and time.monotonic() < end:
        assert process.poll() is None, process.stdout.read() if process.stdout else ""
        time.sleep(0.05)
    assert states() == wanted


def gate_held() -> AbstractContextManager[None]:
    """Nobody passes the gate: the table it must write to is locked by somebody else."""
    return table_held("notifications_attempt")


@contextmanager
def table_held(table: str) -> Iterator[None]:
    """Nobody writes to this table: it is locked by somebody else."""
    database = connection.settings_dict
    blocker = psycopg2.connect(
        host=database["HOST"], port=database["PORT"] or None, dbname=database["NAME"], user=database["USER"],
        password=database["PASSWORD"] or None,
    )  # fmt: skip
    try:
        with blocker.cursor() as db:
            db.execute(f"LOCK TABLE {table} IN EXCLUSIVE MODE")
        yield
    finally:
        blocker.close()


def test_a_sender_killed_after_its_claim_lost_nothing_and_sent_nothing(
    city: SmallCity, asha: Actor, smtp: SmtpServer, sms: SmsGateway
) -> None:
    off(city, asha, "T12")
    services.days_open()
    with gate_held(), deliver(smtp) as process:
        wait_until_states({"LEASED": 1}, process)
        killed(process)
    assert sms.journal == []

    turn()
    assert states() == {"LEASED": 1}  # its lease still runs
    leases_end()
    turn()

    assert states() == {"ACCEPTED": 1}
    assert len(sms.journal) == 1
    nothing_broken()


def test_a_sender_killed_before_the_answer_leaves_a_doubt_and_no_second_text_message(
    city: SmallCity, asha: Actor, smtp: SmtpServer, sms: SmsGateway
) -> None:
    off(city, asha, "T11")  # Chen and Wang; life support would be sent again
    sms.behave("hang")
    with deliver(smtp) as process:
        sms.wait_for(2, timeout=60)
        killed(process)
    sms.behave("ok")

    leases_end()
    turn()
    with connection.cursor() as db:
        db.execute("UPDATE notifications_delivery SET done_at = now() - interval '1 hour' WHERE state = 7")
    turn()

    assert {key[:2]: state for key, state in told().items()} == {
        ("陈静", "sms"): "UNKNOWN",
        ("王伟", "sms"): "UNKNOWN",
        ("王伟", "email"): "ACCEPTED",
    }
    assert len(sms.journal) == 2
    assert sms.repeats == []
    nothing_broken()


def test_where_twice_is_better_than_never_the_same_key_is_used_again(
    city: SmallCity, asha: Actor, smtp: SmtpServer, sms: SmsGateway
) -> None:
    off(city, asha, "T11")
    sms.behave("drop", times=2)
    turn()
    assert sorted(told().values()) == ["ACCEPTED", "UNKNOWN", "UNKNOWN"]

    Notice.objects.update(policy=Policy.RESEND)
    turn()
    assert sms.repeats == []  # a receipt may still come
    with connection.cursor() as db:
        db.execute("UPDATE notifications_delivery SET done_at = now() - interval '16 minutes' WHERE state = 7")
    turn()

    assert states() == {"ACCEPTED": 3}
    assert len(sms.journal) == 2
    assert sorted(call["body"]["client_ref"] for call in sms.repeats) == sorted(
        call["body"]["client_ref"] for call in sms.journal
    )


def test_a_sender_that_wakes_after_its_lease_changes_nothing(
    city: SmallCity, asha: Actor, smtp: SmtpServer, sms: SmsGateway
) -> None:
    off(city, asha, "T12")
    router.route_events()
    fanout.fan_out()
    claim = sending.deliveries_claim(channel="sms", lane=0, account="sms")
    assert claim is not None
    passed = sending.gate(token=claim.token, keys=claim.keys, account="sms")
    assert passed == set(claim.keys)
    leases_end()
    sending.deliveries_reap()

    kept = sending.outcomes_write(
        token=claim.token, account="sms", outcomes=[(claim.keys[0], channels.Outcome("accepted", provider_id="late"))]
    )

    assert kept == 0
    row = Delivery.objects.get()
    assert (row.state, row.provider_id) == (DeliveryState.UNKNOWN, "")


def test_without_redis_the_command_still_routes_and_sends(
    city: SmallCity, asha: Actor, smtp: SmtpServer, sms: SmsGateway
) -> None:
    off(city, asha, "F1")

    with deliver(smtp, "--once") as process:
        assert process.wait(timeout=60) == 0

    assert states() == {"ACCEPTED": 4}
    assert (len(sms.journal), len(smtp.messages)) == (3, 1)
    nothing_broken()


def test_a_sender_asked_to_stop_finishes_its_batch(
    city: SmallCity, asha: Actor, smtp: SmtpServer, sms: SmsGateway
) -> None:
    off(city, asha, "T11")
    sms.behave("delay", seconds=1.0)
    with deliver(smtp) as process:
        sms.wait_for(1, timeout=60)
        process.terminate()
        assert process.wait(timeout=30) == 0

    assert states() == {"ACCEPTED": 3}
