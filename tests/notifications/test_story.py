"""An outage from its start to its end, as its customers read it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.actor import Actor
from notifications.models import Notice
from outages.services import (
    outage_cancel,
    outage_open,
    outage_restore,
    outage_restore_part,
    outage_set_etr,
    outage_start,
    outage_void,
)
from tests.factories.grid import SmallCity
from tests.notifications.world import in_hours, nothing_broken, off, told, turn
from tests.peers.sms_gateway import SmsGateway
from tests.peers.smtp import SmtpServer

pytestmark = pytest.mark.django_db(transaction=True)

CHEN, WANG, LI = "陈静", "王伟", "李桂英"


def kinds_written() -> list[str]:
    return [str(kind) for kind in Notice.objects.order_by("pk").values_list("kind", flat=True)]


def test_everyone_who_is_off_is_told_once_on_each_channel(
    city: SmallCity, asha: Actor, smtp: SmtpServer, sms: SmsGateway
) -> None:
    off(city, asha, "F1", etr=in_hours(2), etr_source="operator")

    turn()

    assert told() == {
        (CHEN, "sms", "new"): "ACCEPTED",
        (WANG, "sms", "new"): "ACCEPTED",
        (WANG, "email", "new"): "ACCEPTED",
        (LI, "sms", "new"): "ACCEPTED",
    }
    assert sorted(call["body"]["to"] for call in sms.journal) == ["+8613800138001", "+8613800138002", "+8613800138003"]
    assert smtp.recipients == [["wang@example.com"]]
    nothing_broken()


def test_a_message_says_the_sentence_of_the_one_answer(
    city: SmallCity, asha: Actor, smtp: SmtpServer, sms: SmsGateway
) -> None:
    outage = off(city, asha, "F1", etr=in_hours(2), etr_source="operator")

    turn()

    text = sms.journal[0]["body"]["text"]
    assert text.startswith("F1号设备一带")
    assert "起，因有序用电停电。预计" in text
    assert text.endswith(f"前恢复供电。编号{outage.reference}。咨询电话95598。")
    [mail] = smtp.messages
    assert mail["Subject"] == "停电通知：F1号设备"
    assert text in mail.get_content()


def test_each_customer_is_written_to_in_their_own_language(
    city: SmallCity, asha: Actor, smtp: SmtpServer, sms: SmsGateway
) -> None:
    off(city, asha, "T21")

    turn()

    by_number = {call["body"]["to"]: call["body"]["text"] for call in sms.journal}
    assert by_number["+8613800138004"].startswith("The power around T21号设备 has been off since ")
    assert by_number["+8613800138001"].startswith("T21号设备一带")
    assert [mail["Subject"] for mail in smtp.messages] == ["Power outage: T21号设备"]


def test_a_first_estimate_and_a_large_change_are_told_a_small_change_is_not(
    city: SmallCity, asha: Actor, smtp: SmtpServer, sms: SmsGateway
) -> None:
    outage = off(city, asha, "T11")
    turn()
    first = in_hours(2)
    outage_set_etr(outage_id=outage.pk, actor=asha, etr=first, etr_source="operator")
    turn()
    outage_set_etr(outage_id=outage.pk, actor=asha, etr=first + timedelta(minutes=10), etr_source="operator")
    turn()
    outage_set_etr(outage_id=outage.pk, actor=asha, etr=first + timedelta(hours=3), etr_source="operator")
    turn()

    assert kinds_written() == ["new", "estimate_set", "estimate_changed"]
    assert set(told().values()) == {"ACCEPTED"}
    assert "恢复时间有变。" in sms.journal[-1]["body"]["text"]
    nothing_broken()


def test_partly_restored_goes_to_those_restored_and_restored_to_the_rest(
    city: SmallCity, asha: Actor, smtp: SmtpServer, sms: SmsGateway
) -> None:
    outage = off(city, asha, "F1")
    turn()

    outage_restore_part(outage_id=outage.pk, actor=asha, at=timezone.now(), element_ids=city.ids("T11"))
    turn()
    assert told("partly_restored") == {
        (CHEN, "sms", "partly_restored"): "ACCEPTED",
        (WANG, "sms", "partly_restored"): "ACCEPTED",
        (WANG, "email", "partly_restored"): "ACCEPTED",
    }

    outage_restore(outage_id=outage.pk, actor=asha, restored_at=timezone.now())
    turn()
    assert told("restored") == {(LI, "sms", "restored"): "ACCEPTED"}
    assert "如果现在还是没电，请回复本消息或拨打95598。" in sms.journal[-1]["body"]["text"]
    nothing_broken()


def test_who_was_never_told_is_not_told_that_it_is_back(
    city: SmallCity, asha: Actor, smtp: SmtpServer, sms: SmsGateway
) -> None:
    outage = off(city, asha, "F1")
    outage_restore(outage_id=outage.pk, actor=asha, restored_at=timezone.now())

    turn()

    assert told() == {}
    assert (sms.journal, smtp.messages) == ([], [])
    nothing_broken()


def test_it_is_not_said_to_be_back_while_another_outage_keeps_it_off(
    city: SmallCity, asha: Actor, smtp: SmtpServer, sms: SmsGateway
) -> None:
    shedding = off(city, asha, "F1")
    turn()
    off(city, asha, "T11", kind="fault")
    turn()

    outage_restore(outage_id=shedding.pk, actor=asha, restored_at=timezone.now())
    turn()

    assert told("restored") == {(LI, "sms", "restored"): "ACCEPTED"}


def test_a_customer_with_a_place_still_off_is_not_told_that_it_is_back(
    city: SmallCity, asha: Actor, smtp: SmtpServer, sms: SmsGateway
) -> None:
    outage = off(city, asha, "T11", "T21")  # Chen has premises behind both
    turn()

    outage_restore_part(outage_id=outage.pk, actor=asha, at=timezone.now(), element_ids=city.ids("T11"))
    turn()

    assert {name for name, _channel, _kind in told("partly_restored")} == {WANG}
    outage_restore(outage_id=outage.pk, actor=asha, restored_at=timezone.now())
    turn()
    assert {name for name, _channel, _kind in told("restored")} == {CHEN, "Anna Smith"}


def test_a_void_outage_is_taken_back_from_those_who_were_told(
    city: SmallCity, asha: Actor, smtp: SmtpServer, sms: SmsGateway
) -> None:
    outage = off(city, asha, "T12")
    turn()

    outage_void(outage_id=outage.pk, actor=asha, reason="wrong feeder")
    turn()

    assert told("cancelled") == {(LI, "sms", "cancelled"): "ACCEPTED"}
    assert "现已取消" in sms.journal[-1]["body"]["text"]


def test_a_suspicion_is_announced_only_when_it_is_confirmed(
    city: SmallCity, asha: Actor, smtp: SmtpServer, sms: SmsGateway
) -> None:
    outage = outage_open(kind="load_shedding", action="suspect", actor=asha, element_ids=city.ids("T12"))
    turn()
    assert kinds_written() == []

    outage_start(outage_id=outage.pk, actor=asha, started_at=timezone.now())
    turn()
    assert told() == {(LI, "sms", "new"): "ACCEPTED"}


def test_a_suspicion_that_was_wrong_says_nothing(
    city: SmallCity, asha: Actor, smtp: SmtpServer, sms: SmsGateway
) -> None:
    outage = outage_open(kind="load_shedding", action="suspect", actor=asha, element_ids=city.ids("T12"))
    outage_cancel(outage_id=outage.pk, actor=asha, reason="all lights on")

    turn()

    assert (kinds_written(), sms.journal) == ([], [])


def test_a_debt_is_never_announced(city: SmallCity, asha: Actor, smtp: SmtpServer, sms: SmsGateway) -> None:
    outage_open(
        kind="non_payment", action="start", actor=Actor.system("billing"),
        service_point_ids=[city.service_points["SP0003"].pk], started_at=timezone.now(), cutoff_order=1,
    )  # fmt: skip

    turn()

    assert (kinds_written(), sms.journal) == ([], [])
