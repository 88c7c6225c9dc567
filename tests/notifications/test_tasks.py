"""The doorbells: each finds its work itself, takes words it does not know, and may ring as often as it likes."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command

from accounts.actor import Actor
from notifications import tasks
from notifications.models import Notice
from tests.factories.grid import SmallCity
from tests.notifications.world import off, states
from tests.peers.sms_gateway import SmsGateway
from tests.peers.smtp import SmtpServer

pytestmark = pytest.mark.django_db(transaction=True)


def test_every_task_run_twice_sends_once(city: SmallCity, asha: Actor, smtp: SmtpServer, sms: SmsGateway) -> None:
    off(city, asha, "F1")

    for _ in range(2):
        tasks.route(a_word_of_a_later_version=1)
        tasks.fan_out()
        tasks.deliver_lane()
        tasks.reap()
        tasks.open_days()

    assert states() == {"ACCEPTED": 4}
    assert (len(sms.journal), len(smtp.messages)) == (3, 1)


def test_the_command_that_proves_says_what_is_broken(
    city: SmallCity, asha: Actor, smtp: SmtpServer, sms: SmsGateway, capsys: pytest.CaptureFixture[str]
) -> None:
    off(city, asha, "T12")
    tasks.route()
    tasks.fan_out()
    call_command("check_invariants")
    assert capsys.readouterr().out == "All invariants hold.\n"

    Notice.objects.update(planned_count=3)

    with pytest.raises(CommandError, match="1 invariants are broken"):
        call_command("check_invariants")
    assert "a planned notice owes exactly the messages it planned" in capsys.readouterr().err
