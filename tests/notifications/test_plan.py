"""From events to messages owed: nothing skipped, nothing doubled, resumable anywhere."""

from __future__ import annotations

import threading

import psycopg2
import pytest
from django.db import connection, connections
from django.utils import timezone

from accounts.actor import Actor
from notifications import fanout, router, sending, services
from notifications.models import Delivery, Notice, NoticeChunk
from outages.services import outage_merge, outage_restore, outage_set_etr
from tests.factories.grid import SmallCity
from tests.notifications.world import crowd, in_hours, nothing_broken, off, states, told, turn
from tests.peers.sms_gateway import SmsGateway
from tests.peers.smtp import SmtpServer

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_late_commit_is_not_skipped(city: SmallCity, asha: Actor) -> None:
    """Whoever took a number earlier and commits later is read, whatever was routed in between."""
    settings = connection.settings_dict
    early = psycopg2.connect(
        host=settings["HOST"], port=settings["PORT"] or None, dbname=settings["NAME"], user=settings["USER"],
        password=settings["PASSWORD"] or None,
    )  # fmt: skip
    first = off(city, asha, "T12")
    router.route_events()
    Notice.objects.all().delete()
    with early.cursor() as db:
        db.execute(
            "INSERT INTO outages_outageevent (epoch, outage_id, sequence, verb, actor_kind, actor_name, source, note,"
            " before, after, is_public) VALUES (1, %s, 99, 'start', 'system', 'test', '', '', '{}', '{}', true)",
            [first.pk],
        )
    off(city, asha, "T22")

    assert router.route_events() == (0, 0)  # the later event waits for the earlier one
    early.commit()
    early.close()

    assert router.route_events() == (2, 2)
    assert Notice.objects.count() == 2
    assert router.route_events() == (0, 0)


def test_two_routers_write_each_notice_once(city: SmallCity, asha: Actor) -> None:
    for element in ("T11", "T12", "T21", "T22"):
        off(city, asha, element)
    barrier, read = threading.Barrier(4), []

    def route() -> None:
        barrier.wait()
        read.append(router.route_events())
        connections.close_all()

    threads = [threading.Thread(target=route) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    router.route_events()

    assert Notice.objects.count() == 4


def test_fan_out_resumes_where_it_was_interrupted(
    city: SmallCity, asha: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fanout, "CHUNK_CUSTOMERS", 1)
    outage = off(city, asha, "F1")
    router.route_events()
    fanout.fan_out(max_steps=2)  # cut into chunks, and the first of them
    assert NoticeChunk.objects.filter(is_done=True).count() == 1
    assert Notice.objects.get().planned_count is None

    fanout.fan_out()

    assert Notice.objects.get().planned_count == 4
    assert Delivery.objects.count() == 4
    NoticeChunk.objects.update(is_done=False)
    Notice.objects.update(planned_count=None)
    fanout.fan_out()
    assert Delivery.objects.count() == 4
    assert outage.pk == Notice.objects.get().outage_id
    nothing_broken()


def test_four_planners_write_every_message_once(city: SmallCity, asha: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fanout, "CHUNK_CUSTOMERS", 1)
    crowd(city, 30)
    crowd_places = [city.service_points[code].pk for code in ("SP0003",)]
    off(city, asha, "F1", "T21")
    off(city, asha, "T22", service_point_ids=crowd_places)
    router.route_events()
    barrier = threading.Barrier(4)

    def plan() -> None:
        barrier.wait()
        fanout.fan_out()
        connections.close_all()

    threads = [threading.Thread(target=plan) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    fanout.fan_out()

    assert set(Notice.objects.values_list("planned_count", flat=True)) == {2, 36}
    assert Delivery.objects.count() == 38
    nothing_broken()


def test_one_address_gets_one_message_and_the_others_a_row_that_says_so(
    city: SmallCity, asha: Actor, smtp: SmtpServer, sms: SmsGateway
) -> None:
    crowd(city, 5, phone="+8613900000000")
    outage = off(city, asha, "T11")
    turn()
    assert states() == {"ACCEPTED": 4, "MERGED": 4}
    assert sum(call["body"]["to"] == "+8613900000000" for call in sms.journal) == 1
    assert Notice.objects.get().planned_count == 8

    outage_restore(outage_id=outage.pk, actor=asha, restored_at=timezone.now())
    turn()

    assert states() == {"ACCEPTED": 8, "MERGED": 8}
    assert sum(call["body"]["to"] == "+8613900000000" for call in sms.journal) == 2
    nothing_broken()


def test_a_superseded_notice_writes_no_more_and_what_it_owes_is_swept_up(
    city: SmallCity, asha: Actor, smtp: SmtpServer, sms: SmsGateway
) -> None:
    outage = off(city, asha, "F1")
    router.route_events()
    fanout.fan_out()
    outage_set_etr(outage_id=outage.pk, actor=asha, etr=in_hours(3), etr_source="crew")
    router.route_events()
    sending.deliveries_reap()
    assert states() == {"SUPERSEDED": 4}

    turn()

    assert states() == {"SUPERSEDED": 4, "ACCEPTED": 4}
    assert len(sms.journal) == 3


def test_merged_outages_speak_with_one_voice(city: SmallCity, asha: Actor, smtp: SmtpServer, sms: SmsGateway) -> None:
    loser, survivor = off(city, asha, "T12"), off(city, asha, "T11")
    turn()
    outage_merge(outage_id=loser.pk, survivor_id=survivor.pk, actor=asha)
    turn()
    assert len(sms.journal) == 3  # everybody has heard all there is to hear

    outage_restore(outage_id=survivor.pk, actor=asha, restored_at=timezone.now())
    turn()

    assert told("restored") == {
        ("陈静", "sms", "restored"): "ACCEPTED",
        ("王伟", "sms", "restored"): "ACCEPTED",
        ("王伟", "email", "restored"): "ACCEPTED",
        ("李桂英", "sms", "restored"): "ACCEPTED",
    }
    assert told("cancelled") == {}
    nothing_broken()


def test_good_news_waits_for_a_message_in_somebodys_hands(
    city: SmallCity, asha: Actor, smtp: SmtpServer, sms: SmsGateway
) -> None:
    outage = off(city, asha, "T12")
    router.route_events()
    fanout.fan_out()
    claim = sending.deliveries_claim(channel="sms", lane=0, account="sms")
    assert claim is not None
    outage_restore(outage_id=outage.pk, actor=asha, restored_at=timezone.now())

    turn()
    assert Notice.objects.get(kind="restored").planned_count is None
    with connection.cursor() as db:  # the sender had passed the gate just before
        db.execute("UPDATE notifications_delivery SET state = 2 WHERE state = 1")
    turn()

    assert told("restored") == {("李桂英", "sms", "restored"): "ACCEPTED"}


def test_four_senders_send_every_message_once(city: SmallCity, asha: Actor, smtp: SmtpServer, sms: SmsGateway) -> None:
    crowd(city, 120)
    off(city, asha, "T11")
    router.route_events()
    fanout.fan_out()
    barrier = threading.Barrier(4)

    def send() -> None:
        barrier.wait()
        sending.channel_send(channel="sms")
        connections.close_all()

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    turn()

    assert len({call["body"]["to"] for call in sms.journal}) == len(sms.journal) == 122
    assert (sms.repeats, states()) == ([], {"ACCEPTED": 123})
    nothing_broken()


def test_the_address_itself_is_not_kept_with_the_message(city: SmallCity, asha: Actor) -> None:
    off(city, asha, "T12")
    router.route_events()
    fanout.fan_out()

    row = Delivery.objects.values().get()
    assert b"138003" not in bytes(row["address_key"])
    assert "138003" not in str(row)


def test_a_broken_row_is_found_by_the_proof(city: SmallCity, asha: Actor) -> None:
    off(city, asha, "T12")
    router.route_events()
    fanout.fan_out()
    Notice.objects.update(planned_count=7)

    assert list(services.invariants_broken()) == ["a planned notice owes exactly the messages it planned"]
