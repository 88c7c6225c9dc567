"""Workers die at the worst moments: no command is lost, and none is sent twice without asking its meter."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from pytest_django import Settings

from accounts.actor import Actor
from billing_cutoffs.models import CommandAttempt, MeterCommand
from billing_cutoffs.services import answers, sending
from tests.billing.meters import (
    CLOCK,
    account_of,
    calls,
    due_now,
    fresh,
    leases_end,
    nothing_broken,
    orders,
    pays,
    queue,
)  # fmt: skip
from tests.factories.grid import SmallCity
from tests.notifications.test_kills import environment, killed, table_held
from tests.peers.meter_gateway import DESCRIPTION, MeterSystem, meter_system

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.faults]

TURN = """
import django
django.setup()
from billing_cutoffs.services import answers, sending
from billing_cutoffs.tasks import CUTOFFS
answers.answers_apply(actor=CUTOFFS)
sending.commands_turn(actor=CUTOFFS)
"""


@pytest.fixture
def system(settings: Settings, tmp_path: Path) -> Iterator[MeterSystem]:
    with meter_system() as peer:
        path = tmp_path / "meters.yml"
        # whoever hangs is killed long before the sender gives up
        path.write_text(DESCRIPTION.format(url=peer.url).replace("read: 1.5", "read: 60.0"), encoding="utf-8")
        settings.METER_GATEWAY = str(path)
        yield peer


@contextmanager
def worker() -> Iterator[subprocess.Popen[bytes]]:
    """One turn in a process of its own."""
    own = {
        "METER_GATEWAY": django_settings.METER_GATEWAY,
        "RULE_PACKS_DIR": django_settings.RULE_PACKS_DIR,
        "CONSOLE_CHANNEL": "true",
    }
    process = subprocess.Popen(
        [sys.executable, "-c", TURN],
        cwd=Path(django_settings.BASE_DIR),
        env={**environment(), **own},
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


def wait_until(wanted: str, process: subprocess.Popen[bytes]) -> None:
    """Until the one command is leased (or in that state)."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        command = MeterCommand.objects.latest("pk")
        if command.state == wanted and command.lease_token is not None:
            return
        assert process.poll() is None, process.stdout.read() if process.stdout else ""
        time.sleep(0.05)
    raise AssertionError(f"never {wanted}")


def goes_on(system: MeterSystem) -> None:
    """The leases are over, and another worker takes up what is left."""
    leases_end()
    for _ in range(3):
        sending.commands_turn(actor=CLOCK)
        due_now()
        answers.answers_store(source_system="meters", items=system.answers)
        answers.answers_apply(actor=CLOCK)


def test_killed_after_the_claim_nothing_was_sent_and_nothing_is_lost(
    open_city: SmallCity, ben: Actor, system: MeterSystem
) -> None:
    (order,) = orders(open_city, ben)
    queue(order)
    with table_held("billing_cutoffs_commandattempt"), worker() as process:
        wait_until("queued", process)
        killed(process)
    assert (system.journal, fresh(order).state) == ([], "warned")

    goes_on(system)

    assert (len(system.journal), system.repeats) == (1, [])
    assert fresh(order).state == "disconnected"
    nothing_broken()


def test_killed_before_the_reply_the_meter_is_asked_first(
    open_city: SmallCity, ben: Actor, system: MeterSystem
) -> None:
    (order,) = orders(open_city, ben)
    queue(order)
    system.behave("hang")
    with worker() as process:
        system.wait_for(1, timeout=60)
        killed(process)
    system.behave("accept")

    goes_on(system)

    assert (len(system.journal), system.repeats) == (1, [])
    assert calls(order) == [("disconnect", "sent", ""), ("disconnect", "asked", "disconnected")]
    assert fresh(order).state == "disconnected"
    nothing_broken()


def test_killed_while_switching_on_it_comes_back_all_the_same(
    open_city: SmallCity, ben: Actor, system: MeterSystem
) -> None:
    (order,) = orders(open_city, ben)
    queue(order)
    goes_on(system)
    pays(account_of(order))
    system.behave("hang")
    with worker() as process:
        system.wait_for(2, timeout=60)
        killed(process)
    system.behave("accept")

    goes_on(system)

    assert fresh(order).state == "reconnected"
    assert [call["action"] for call in system.journal] == ["OPEN", "CLOSE"]
    assert system.repeats == []
    nothing_broken()


def test_killed_while_an_answer_is_applied_it_is_applied_later(
    open_city: SmallCity, ben: Actor, system: MeterSystem
) -> None:
    (order,) = orders(open_city, ben)
    queue(order)
    sending.commands_turn(actor=CLOCK)
    answers.answers_store(source_system="meters", items=system.answers)
    with table_held("billing_cutoffs_cutoffstep"), worker() as process:
        time.sleep(0.1)
        process.send_signal(signal.SIGSTOP)
        killed(process)
    assert fresh(order).state == "commanded"

    goes_on(system)

    assert fresh(order).state == "disconnected"
    assert CommandAttempt.objects.count() == 1
    nothing_broken()
