"""The last look before the wire: a message that is no longer true, wanted or in time is not sent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, transaction
from django.utils import timezone

from accounts.actor import Actor
from grid.models import Branch, ContactPoint
from notifications import channels, fanout, router, sending, services
from notifications.models import Delivery, Notice, Suppression
from outages.services import (
    outage_change_extent,
    outage_reopen,
    outage_restore,
    outage_restore_part,
    outage_set_etr,
)
from tests.factories.grid import SmallCity
from tests.notifications.world import in_hours, nothing_broken, off, states, told, turn
from tests.peers.sms_gateway import SmsGateway
from tests.peers.smtp import SmtpServer

pytestmark = pytest.mark.django_db(transaction=True)


def planned(city: SmallCity, asha: Actor, *elements: str, **facts: object) -> int:
    """An outage whose messages are written down and not yet sent."""
    outage = off(city, asha, *elements, **facts)
    router.route_events()
    fanout.fan_out()
    return outage.pk


def test_a_message_dies_with_the_commit_that_made_it_false_before_the_event_is_read(
    city: SmallCity, asha: Actor, smtp: SmtpServer, sms: SmsGateway
) -> None:
    outage = planned(city, asha, "F1")
    outage_restore(outage_id=outage, actor=asha, restored_at=timezone.now())

    for channel in ("sms", "email"):
        sending.channel_send(channel=channel)

    assert states() == {"SUPERSEDED": 4}
    assert (sms.journal, smtp.messages) == ([], [])


def test_a_time_that_moved_is_not_told_any_more_and_one_that_moved_a_little_is(
    city: SmallCity, asha: Actor, smtp: SmtpServer, sms: SmsGateway
) -> None:
    first = in_hours(2)
    outage = planned(city, asha, "T12", etr=first, etr_source="operator")
    outage_set_etr(outage_id=outage, actor=asha, etr=first + timedelta(hours=2), etr_source="operator")
    sending.channel_send(channel="sms")
    assert told() == {("李桂英", "sms", "new"): "SUPERSEDED"}

    turn()
    assert told("estimate_changed") == {("李桂英", "sms", "estimate_changed"): "ACCEPTED"}
    nearly = first + timedelta(hours=2, minutes=5)
    outage_set_etr(outage_id=outage, actor=asha, etr=nearly, etr_source="operator")
    turn()
    assert len(sms.journal) == 1


def test_whoever_is_back_before_the_message_leaves_is_not_told_that_it_is_off(
    city: SmallCity, asha: Actor, smtp: SmtpServer, sms: SmsGateway
) -> None:
    outage = planned(city, asha, "F1")
    outage_restore_part(outage_id=outage, actor=asha, at=timezone.now(), element_ids=city.ids("T11"))

    turn()

    assert told() == {
        ("陈静", "sms", "new"): "SUPERSEDED",
        ("王伟", "sms", "new"): "SUPERSEDED",
        ("王伟", "email", "new"): "SUPERSEDED",
        ("李桂英", "sms", "new"): "ACCEPTED",
    }


def test_a_single_customer_who_is_back_is_not_told_and_the_neighbour_is(
    city: SmallCity, asha: Actor, smtp: SmtpServer, sms: SmsGateway
) -> None:
    outage = planned(city, asha, "T11")
    points = [city.service_points["SP0001"].pk]
    outage_restore_part(outage_id=outage, actor=asha, at=timezone.now(), service_point_ids=points)

    turn()

    assert told("new") == {
        ("陈静", "sms", "new"): "SUPERSEDED",
        ("王伟", "sms", "new"): "ACCEPTED",
        ("王伟", "email", "new"): "ACCEPTED",
    }


def test_nothing_is_sent_after_its_time(city: SmallCity, asha: Actor, smtp: SmtpServer, sms: SmsGateway) -> None:
    planned(city, asha, "T12")
    Notice.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

    sending.channel_send(channel="sms")

    assert (states(), sms.journal) == ({"EXPIRED": 1}, [])


def night(branch: Branch) -> None:
    """It is night there now: messages are allowed from an hour hence, for an hour."""
    now = datetime.now(UTC)
    Branch.objects.filter(pk=branch.pk).update(
        time_zone="UTC",
        send_from=(now + timedelta(hours=1)).time(),
        send_until=(now + timedelta(hours=2)).time(),
    )


def test_telephones_do_not_ring_at_night_except_where_a_life_hangs_on_it(
    city: SmallCity, asha: Actor, smtp: SmtpServer, sms: SmsGateway
) -> None:
    night(city.east)
    off(city, asha, "F1")

    turn()

    assert told() == {
        ("陈静", "sms", "new"): "PENDING",
        ("王伟", "sms", "new"): "PENDING",
        ("王伟", "email", "new"): "ACCEPTED",
        ("李桂英", "sms", "new"): "ACCEPTED",
    }
    waits = Delivery.objects.filter(state=0).values_list("not_before", flat=True)
    assert all(timedelta(minutes=59) < wait - timezone.now() <= timedelta(hours=1) for wait in waits)


def test_night_that_falls_after_the_plan_is_kept_by_the_gate(
    city: SmallCity, asha: Actor, smtp: SmtpServer, sms: SmsGateway
) -> None:
    planned(city, asha, "T11")
    night(city.east)

    sending.channel_send(channel="sms")

    assert (states(), sms.journal) == ({"PENDING": 3}, [])
    assert set(Delivery.objects.filter(channel="sms").values_list("error_code", flat=True)) == {"quiet_hours"}
    Branch.objects.update(send_from="00:00", send_until="00:00")
    with connection.cursor() as db:
        db.execute("UPDATE notifications_delivery SET not_before = now()")
    turn()
    assert states() == {"ACCEPTED": 3}


@pytest.mark.parametrize(
    ("opens", "closes", "at", "allowed"),
    [
        ("07:00", "22:00", "2026-11-23 12:00+08", "2026-11-23 12:00+08"),
        ("07:00", "22:00", "2026-11-23 22:00+08", "2026-11-23 22:00+08"),
        ("07:00", "22:00", "2026-11-23 22:01+08", "2026-11-24 07:00+08"),
        ("07:00", "22:00", "2026-11-23 03:00+08", "2026-11-23 07:00+08"),
        ("20:00", "02:00", "2026-11-23 01:00+08", "2026-11-23 01:00+08"),
        ("20:00", "02:00", "2026-11-23 12:00+08", "2026-11-23 20:00+08"),
        ("00:00", "00:00", "2026-11-23 03:00+08", "2026-11-23 03:00+08"),
    ],
)
@pytest.mark.django_db(transaction=False)
def test_the_hours_of_a_branch_are_those_of_its_own_zone(opens: str, closes: str, at: str, allowed: str) -> None:
    with connection.cursor() as db:
        db.execute(
            "SELECT notifications_may_ring(%s, %s, 'Asia/Shanghai', %s) = %s::timestamptz", [opens, closes, at, allowed]
        )
        assert db.fetchone()[0]


def test_an_opted_out_customer_keeps_a_row_that_says_so(
    city: SmallCity, asha: Actor, smtp: SmtpServer, sms: SmsGateway
) -> None:
    ContactPoint.objects.filter(customer=city.customers["chen"]).update(opted_out=True)
    off(city, asha, "T11")

    turn()

    assert told()["陈静", "sms", "new"] == "SUPPRESSED"
    assert [call["body"]["to"] for call in sms.journal] == ["+8613800138002"]
    nothing_broken()


def test_an_opt_out_after_the_plan_counts(city: SmallCity, asha: Actor, smtp: SmtpServer, sms: SmsGateway) -> None:
    planned(city, asha, "T12")
    ContactPoint.objects.update(opted_out=True)

    turn()

    assert (states(), sms.journal) == ({"SUPPRESSED": 1}, [])


def test_a_suppressed_address_is_not_written_to(
    city: SmallCity, asha: Actor, smtp: SmtpServer, sms: SmsGateway
) -> None:
    planned(city, asha, "T12")
    row = Delivery.objects.get()
    Suppression.objects.create(address_key=row.address_key, channel="sms", reason="bad_address")

    turn()

    assert (states(), sms.journal) == ({"SUPPRESSED": 1}, [])


def test_a_paused_notice_stops_and_goes_on(city: SmallCity, asha: Actor, smtp: SmtpServer, sms: SmsGateway) -> None:
    planned(city, asha, "T12")
    notice = Notice.objects.get()
    services.notice_pause(notice_id=notice.pk, actor=asha)
    turn()
    assert (states(), sms.journal) == ({"PAUSED": 1}, [])

    services.notice_resume(notice_id=notice.pk, actor=asha)
    turn()

    assert (states(), len(sms.journal)) == ({"ACCEPTED": 1}, 1)


def test_no_provider_is_called_inside_a_transaction(city: SmallCity, smtp: SmtpServer, sms: SmsGateway) -> None:
    message = channels.Message(client_ref="1-1", to="+8613800138000", subject="s", text="t", letter="l")
    for channel in ("sms", "email"):
        sender = channels.sender_for(channel)
        assert sender is not None
        with transaction.atomic(), pytest.raises(ImproperlyConfigured):
            sender.send([message])

    assert (sms.journal, smtp.messages) == ([], [])


def test_reopened_and_told_again(city: SmallCity, asha: Actor, smtp: SmtpServer, sms: SmsGateway) -> None:
    outage = off(city, asha, "T12")
    turn()
    outage_restore(outage_id=outage.pk, actor=asha, restored_at=timezone.now())
    turn()
    outage_reopen(outage_id=outage.pk, actor=asha, reason="tripped again")
    turn()
    outage_restore(outage_id=outage.pk, actor=asha, restored_at=timezone.now())
    turn()

    assert [(n.kind, n.generation) for n in Notice.objects.order_by("pk")] == [
        ("new", 1), ("restored", 1), ("new", 2), ("restored", 2),
    ]  # fmt: skip
    assert states() == {"ACCEPTED": 4}
    nothing_broken()


def test_a_larger_extent_is_told_to_the_new_ones_only(
    city: SmallCity, asha: Actor, smtp: SmtpServer, sms: SmsGateway
) -> None:
    outage = off(city, asha, "T12")
    turn()
    outage_change_extent(outage_id=outage.pk, actor=asha, add_element_ids=city.ids("T22"), at=timezone.now())
    turn()

    names = [name for (name, _channel, _kind) in told()]
    assert sorted(names) == ["市第一人民医院", "李桂英"]
    assert len(sms.journal) == 2
