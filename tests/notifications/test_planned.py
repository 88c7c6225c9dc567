"""Planned work as its customers read it: announced, said again, moved, called off, begun, late, over."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection, connections
from django.utils import timezone

from accounts.actor import Actor
from grid.models import Branch, ContactPoint
from notifications import fanout, reminders, router, sending, services, tasks, texts
from notifications.models import ANNOUNCES, Delivery, Notice, NoticeKind
from outages.models import Outage
from outages.planned.models import PlannedWork, WorkWindow
from outages.services import (
    outage_cancel,
    outage_change_extent,
    outage_extend,
    outage_open,
    outage_reschedule,
    outage_restore,
    outage_restore_part,
    outage_start,
)
from outages.wording import spoken_time
from tests.factories.grid import SmallCity
from tests.notifications.world import crowd, in_hours, nothing_broken, states, told, turn
from tests.peers.sms_gateway import SmsGateway
from tests.peers.smtp import SmtpServer
from tests.planned.clock import time_passes

pytestmark = pytest.mark.django_db(transaction=True)

CHEN, WANG, LI, SMITH = "陈静", "王伟", "李桂英", "Anna Smith"
SHANGHAI = ZoneInfo("Asia/Shanghai")
HOUR = timedelta(hours=1)
SYSTEM = Actor.system("tests")


def plan(city: SmallCity, *elements: str, hours: float, lasts: float = 4, **facts: Any) -> Outage:
    """Work announced for so many hours from now."""
    begins = in_hours(hours)
    return outage_open(
        kind="planned", action="schedule", actor=SYSTEM, element_ids=city.ids(*elements),
        planned_start=begins, planned_end=begins + lasts * HOUR,
        **{"public_reason_zh": "线路检修", "public_reason_en": "line maintenance", **facts},
    )  # fmt: skip


def move(outage: Outage, *, hours: float, lasts: float = 4) -> Outage:
    begins = in_hours(hours)
    return outage_reschedule(
        outage_id=outage.pk, actor=SYSTEM, planned_start=begins, planned_end=begins + lasts * HOUR, reason="rain"
    )


def window(outage: Outage) -> tuple[datetime, datetime]:
    assert outage.planned_start is not None
    assert outage.planned_end is not None
    return outage.planned_start, outage.planned_end


def spoken(outage: Outage) -> str:
    """Its window as a message says it."""
    begins, until = (spoken_time(moment, "zh", timezone.now(), SHANGHAI) for moment in window(outage))
    return f"{begins}到{until}"


def written() -> list[tuple[str, int]]:
    return [(str(kind), number) for kind, number in Notice.objects.order_by("pk").values_list("kind", "generation")]


def who(kind: str) -> set[tuple[str, str]]:
    """Everybody who was told this, by which channel."""
    return {(name, channel) for (name, channel, _kind), state in told(kind).items() if state == "ACCEPTED"}


def everybody(*names: str) -> set[tuple[str, str]]:
    return {(name, "sms") for name in names} | {(name, "email") for name in names if name in (WANG, SMITH)}


def texts_to(sms: SmsGateway, number: str) -> list[str]:
    return [call["body"]["text"] for call in sms.journal if call["body"]["to"] == number]


# --- announced ------------------------------------------------------------------------------------------


def test_announced_to_everybody_whom_it_will_take_and_to_nobody_else(
    city: SmallCity, smtp: SmtpServer, sms: SmsGateway
) -> None:
    outage = plan(city, "F1", hours=80)

    turn()

    assert told() == dict.fromkeys(
        [
            (CHEN, "sms", "announced"),
            (WANG, "sms", "announced"),
            (WANG, "email", "announced"),
            (LI, "sms", "announced"),
        ],
        "ACCEPTED",
    )
    notice = Notice.objects.get()
    assert (notice.lane, notice.planned_count, notice.expires_at) == (4, 4, outage.planned_start)
    assert (notice.says_from, notice.says_until) == (outage.planned_start, outage.planned_end)
    assert [mail["Subject"] for mail in smtp.messages] == ["停电预告：F1号设备"]
    nothing_broken()


def test_the_record_learns_once_that_everybody_has_a_message(
    city: SmallCity, smtp: SmtpServer, sms: SmsGateway
) -> None:
    outage = plan(city, "F1", hours=80)
    router.route_events()
    assert not outage.events.filter(verb="notify").exists()

    turn()
    turn()
    assert [event.verb for event in outage.events.order_by("sequence")] == ["schedule", "notify"]

    move(outage, hours=100)
    turn()
    turn()
    assert [event.verb for event in outage.events.order_by("sequence")] == [
        "schedule", "notify", "reschedule", "notify",
    ]  # fmt: skip


def test_what_nobody_may_know_is_announced_to_nobody(city: SmallCity, smtp: SmtpServer, sms: SmsGateway) -> None:
    plan(city, "F1", hours=80)
    Outage.objects.update(is_public=False)

    turn()

    assert (written(), sms.journal, smtp.messages) == ([], [], [])


def test_what_should_have_begun_already_is_not_announced(city: SmallCity, smtp: SmtpServer, sms: SmsGateway) -> None:
    plan(city, "F1", hours=-1)

    turn()

    assert (written(), sms.journal) == ([], [])


def test_more_of_the_network_is_announced_to_those_who_join(city: SmallCity, smtp: SmtpServer, sms: SmsGateway) -> None:
    outage = plan(city, "T12", hours=80)
    turn()

    outage_change_extent(outage_id=outage.pk, actor=SYSTEM, add_element_ids=city.ids("T11"))
    turn()

    assert written() == [("announced", 1), ("announced", 2)]
    assert len(texts_to(sms, "+8613800138003")) == 1
    assert who("announced") == everybody(CHEN, WANG, LI)
    nothing_broken()


def test_a_customer_of_two_meters_gets_one_message_and_of_two_outages_one_about_each(
    city: SmallCity, smtp: SmtpServer, sms: SmsGateway
) -> None:
    plan(city, "T11", "T21", hours=80)  # Chen has premises behind both
    plan(city, "T21", hours=120)

    turn()

    first, second = texts_to(sms, "+8613800138001")
    assert first != second
    assert len(sms.journal) == 5  # Chen twice, Wang once, Smith twice
    nothing_broken()


def test_one_of_two_outages_called_off_leaves_the_other_one_standing(
    city: SmallCity, smtp: SmtpServer, sms: SmsGateway
) -> None:
    first, second = plan(city, "T11", hours=80), plan(city, "T11", hours=82)
    turn()

    outage_cancel(outage_id=first.pk, actor=SYSTEM, reason="no crew")
    turn()

    [said] = texts_to(sms, "+8613800138001")[2:]
    assert f"的停电已取消，届时不会因此停电（编号{first.reference}）。" in said
    outage_start(outage_id=second.pk, actor=SYSTEM, started_at=timezone.now())
    turn()
    assert who("new") == everybody(CHEN, WANG)
    nothing_broken()


# --- said again -----------------------------------------------------------------------------------------


def test_said_again_a_day_and_two_hours_before_each_once(city: SmallCity, smtp: SmtpServer, sms: SmsGateway) -> None:
    plan(city, "F1", hours=80)
    turn()
    assert reminders.reminders_write() == 0  # too early

    time_passes(timedelta(hours=56, minutes=1))
    turn()
    turn()
    assert written() == [("announced", 1), ("reminder_early", 1)]
    assert who("reminder_early") == everybody(CHEN, WANG, LI)

    time_passes(timedelta(hours=22))
    turn()
    turn()
    assert written() == [("announced", 1), ("reminder_early", 1), ("reminder_late", 1)]
    assert who("reminder_late") == everybody(CHEN, WANG, LI)
    assert texts_to(sms, "+8613800138001")[-1].startswith("提醒您：F1号设备一带")
    assert set(Notice.objects.filter(kind__startswith="reminder").values_list("author", flat=True)) == {"clock"}


def test_nothing_is_said_again_that_was_said_just_before(city: SmallCity, smtp: SmtpServer, sms: SmsGateway) -> None:
    plan(city, "T11", hours=40)  # the day before it, the announcement is sixteen hours old
    plan(city, "T12", hours=3)  # two hours before it, the announcement is one hour old
    turn()
    announced = [("announced", 1), ("announced", 1)]

    time_passes(timedelta(hours=1, minutes=1))
    turn()
    assert written() == announced

    time_passes(timedelta(hours=16))
    turn()
    assert written() == announced

    time_passes(timedelta(hours=21))
    turn()
    assert written() == [*announced, ("reminder_late", 1)]
    assert who("reminder_late") == everybody(CHEN, WANG)


def test_after_a_long_silence_only_the_last_reminder_is_sent(
    city: SmallCity, smtp: SmtpServer, sms: SmsGateway
) -> None:
    plan(city, "T12", hours=80)
    turn()

    time_passes(timedelta(hours=79))
    turn()

    assert written() == [("announced", 1), ("reminder_early", 1), ("reminder_late", 1)]
    assert told() == {(LI, "sms", "announced"): "ACCEPTED", (LI, "sms", "reminder_late"): "ACCEPTED"}


def test_nothing_is_said_again_once_its_time_has_come(city: SmallCity, smtp: SmtpServer, sms: SmsGateway) -> None:
    plan(city, "T12", hours=80)
    turn()

    time_passes(timedelta(hours=81))
    turn()

    assert written() == [("announced", 1)]


def test_what_was_never_announced_is_not_said_again(city: SmallCity, smtp: SmtpServer, sms: SmsGateway) -> None:
    plan(city, "T12", hours=80)
    Notice.objects.all().delete()

    time_passes(timedelta(hours=57))

    assert reminders.reminders_write() == 0


def test_two_clocks_write_each_reminder_once(city: SmallCity) -> None:
    for element in ("T11", "T12", "T21", "T22"):
        plan(city, element, hours=80)
    router.route_events()
    time_passes(timedelta(hours=57))
    barrier, counts = threading.Barrier(4), []

    def sweep() -> None:
        barrier.wait()
        counts.append(reminders.reminders_write())
        connections.close_all()

    threads = [threading.Thread(target=sweep) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counts.append(reminders.reminders_write())

    assert sum(counts) == 4
    assert Notice.objects.filter(kind="reminder_early").values("outage").distinct().count() == 4
    assert Notice.objects.filter(kind="reminder_early").count() == 4


def test_the_task_may_ring_as_often_as_it_likes(city: SmallCity, smtp: SmtpServer, sms: SmsGateway) -> None:
    plan(city, "T12", hours=80)
    turn()
    time_passes(timedelta(hours=57))

    assert tasks.remind(a_word_of_a_later_version=1) == {"notices": 1}
    assert tasks.remind() == {"notices": 0}


@pytest.mark.parametrize(
    ("opens", "closes", "starts", "span", "due"),
    [
        # in the hours in which telephones may ring: exactly so long before
        ("07:00", "22:00", "2026-11-24 10:00", 2, "2026-11-24 08:00"),
        ("07:00", "22:00", "2026-11-24 09:00", 2, "2026-11-24 07:00"),
        # at night: on the evening before, in time to be on its way
        ("07:00", "22:00", "2026-11-24 08:00", 2, "2026-11-23 21:30"),
        ("07:00", "22:00", "2026-11-25 00:30", 2, "2026-11-24 21:30"),
        ("07:00", "22:00", "2026-11-25 03:00", 24, "2026-11-23 21:30"),
        ("07:00", "22:00", "2026-11-25 23:00", 24, "2026-11-24 21:30"),
        # hours over midnight, and the whole day
        ("20:00", "02:00", "2026-11-24 04:00", 2, "2026-11-24 02:00"),
        ("20:00", "02:00", "2026-11-24 14:00", 2, "2026-11-24 01:30"),
        ("00:00", "00:00", "2026-11-24 05:00", 2, "2026-11-24 03:00"),
    ],
)
@pytest.mark.django_db(transaction=False)
def test_a_reminder_of_the_night_comes_on_the_evening_before(
    opens: str, closes: str, starts: str, span: int, due: str
) -> None:
    branch = Branch(
        time_zone="Asia/Shanghai", send_from=time.fromisoformat(opens), send_until=time.fromisoformat(closes)
    )

    moment = reminders.reminder_at(datetime.fromisoformat(starts).replace(tzinfo=SHANGHAI), span * HOUR, branch)

    assert moment.astimezone(SHANGHAI).isoformat(" ", "minutes") == f"{due}+08:00"


def test_brought_forward_to_the_evening_it_is_sent_that_evening_unless_it_was_just_announced(
    city: SmallCity, smtp: SmtpServer, sms: SmsGateway
) -> None:
    """It is the last half hour of the evening; the work begins two hours after the telephones may ring again."""
    closes = (datetime.now(UTC) + timedelta(minutes=20)).replace(second=0, microsecond=0)
    Branch.objects.update(time_zone="UTC", send_from=(closes + 9 * HOUR).time(), send_until=closes.time())
    plan(city, "T11", hours=10)
    turn()
    time_passes(timedelta(minutes=1))
    assert reminders.reminders_write() == 0

    Notice.objects.update(created_at=timezone.now() - 6 * HOUR)
    turn()

    assert who("reminder_late") == everybody(CHEN, WANG)


# --- moved ----------------------------------------------------------------------------------------------


def test_a_move_takes_back_the_old_window_and_says_the_new_one_in_one_message(
    city: SmallCity, smtp: SmtpServer, sms: SmsGateway
) -> None:
    outage = plan(city, "F1", hours=80)
    turn()
    calls = len(sms.journal)

    moved = move(outage, hours=120)
    turn()

    assert who("moved") == everybody(CHEN, WANG, LI)
    assert len(sms.journal) == calls + 3
    assert texts_to(sms, "+8613800138001")[-1] == (
        f"原定{spoken(outage)}的停电改期：F1号设备一带改为{spoken(moved)}因线路检修停电。"
        f"编号{outage.reference}。咨询电话95598。"
    )
    nothing_broken()


def test_whoever_heard_of_the_old_window_hears_that_it_moved_and_the_others_the_new_one_alone(
    city: SmallCity, smtp: SmtpServer, sms: SmsGateway
) -> None:
    outage = plan(city, "F1", hours=80)
    router.route_events()
    fanout.fan_out()
    sending.batch_send(channel="sms", lane=0)  # life support was told, nobody else yet
    assert who("announced") == everybody(LI)

    move(outage, hours=120)
    turn()

    assert who("moved") == everybody(LI)
    assert written() == [("announced", 1), ("moved", 1), ("announced", 2)]
    assert sorted(Delivery.objects.filter(notice__generation=2).values_list("customer_id", "channel")) == sorted(
        [(city.customers["chen"].pk, "sms"), (city.customers["wang"].pk, "sms"), (city.customers["wang"].pk, "email")]
    )
    assert states() == {"ACCEPTED": 5, "SUPERSEDED": 3}
    assert [len(texts_to(sms, f"+861380013800{n}")) for n in (1, 2, 3)] == [1, 1, 2]
    nothing_broken()


def test_moved_before_anybody_heard_of_it_is_simply_announced(
    city: SmallCity, smtp: SmtpServer, sms: SmsGateway
) -> None:
    outage = plan(city, "F1", hours=80)
    router.route_events()
    fanout.fan_out()

    move(outage, hours=120)
    turn()

    assert who("moved") == set()
    assert who("announced") == everybody(CHEN, WANG, LI)
    assert len(sms.journal) == 3
    nothing_broken()


def test_scheduled_and_moved_between_two_looks_at_the_log_is_announced_once(
    city: SmallCity, smtp: SmtpServer, sms: SmsGateway
) -> None:
    move(plan(city, "F1", hours=80), hours=120)

    turn()

    assert len(sms.journal) == 3
    assert who("moved") == set()
    nothing_broken()


def test_moved_twice_each_hears_the_window_they_knew_taken_back(
    city: SmallCity, smtp: SmtpServer, sms: SmsGateway
) -> None:
    """Li heard of the first move, the others did not: the second one takes back another window for them."""
    outage = plan(city, "F1", hours=80)
    turn()
    middle = move(outage, hours=120)
    router.route_events()
    fanout.fan_out()
    sending.batch_send(channel="sms", lane=0)
    move(outage, hours=200)
    turn()

    li, chen = texts_to(sms, "+8613800138003")[-1], texts_to(sms, "+8613800138001")[-1]
    assert li.startswith(f"原定{spoken(middle)}的停电改期：")
    assert chen.startswith(f"原定{spoken(outage)}的停电改期：")
    assert [len(texts_to(sms, f"+861380013800{n}")) for n in (1, 2, 3)] == [2, 2, 3]
    nothing_broken()


def test_a_move_while_four_senders_are_at_work_reaches_everybody_in_one_way(
    city: SmallCity, smtp: SmtpServer, sms: SmsGateway
) -> None:
    """Whoever heard of the old window hears that it moved; whoever did not hears the new one alone."""
    crowd(city, 120)
    outage = plan(city, "T11", hours=80)
    router.route_events()
    fanout.fan_out()
    barrier = threading.Barrier(5)

    def send() -> None:
        barrier.wait()
        sending.channel_send(channel="sms")
        connections.close_all()

    def change() -> None:
        barrier.wait()
        move(outage, hours=120)
        router.route_events()
        fanout.fan_out()
        connections.close_all()

    threads = [threading.Thread(target=work) for work in (send, send, change, send, send)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    turn()

    heard: dict[str, list[bool]] = {}
    for call in sms.journal:
        heard.setdefault(call["body"]["to"], []).append("改期" in call["body"]["text"])
    assert len(heard) == 122
    assert all(is_moved in ([False, True], [False]) for is_moved in heard.values())
    moved = {number for number, is_moved in heard.items() if len(is_moved) == 2}
    assert len(who("moved") - {(WANG, "email")}) == len(moved)
    assert set(told().values()) <= {"ACCEPTED", "SUPERSEDED"}
    nothing_broken()


def test_moved_there_and_back_before_it_was_told_says_nothing_new(
    city: SmallCity, smtp: SmtpServer, sms: SmsGateway
) -> None:
    outage = plan(city, "F1", hours=80)
    turn()
    begins, until = window(outage)
    for start, end in ((begins + HOUR, until + HOUR), (begins, until)):
        outage_reschedule(outage_id=outage.pk, actor=SYSTEM, planned_start=start, planned_end=end, reason="rain")

    turn()

    assert (len(sms.journal), who("moved")) == (3, set())
    nothing_broken()


def test_a_move_waits_for_a_message_in_somebodys_hands(city: SmallCity, smtp: SmtpServer, sms: SmsGateway) -> None:
    outage = plan(city, "T12", hours=80)
    router.route_events()
    fanout.fan_out()
    claim = sending.deliveries_claim(channel="sms", lane=0, account="sms")
    assert claim is not None
    move(outage, hours=120)
    turn()
    assert set(Notice.objects.exclude(generation=1, kind="announced").values_list("planned_count", flat=True)) == {None}

    with connection.cursor() as db:  # the sender had passed the gate just before
        db.execute("UPDATE notifications_delivery SET state = 2 WHERE state = 1")
    turn()

    assert (who("moved"), told("announced")) == (everybody(LI), {(LI, "sms", "announced"): "SENDING"})


def test_a_stopped_move_is_not_overtaken_by_the_announcement(
    city: SmallCity, asha: Actor, smtp: SmtpServer, sms: SmsGateway
) -> None:
    outage = plan(city, "T12", hours=80)
    turn()
    move(outage, hours=120)
    router.route_events()
    moved = Notice.objects.get(kind="moved")
    services.notice_pause(notice_id=moved.pk, actor=asha)
    turn()
    assert len(sms.journal) == 1

    services.notice_resume(notice_id=moved.pk, actor=asha)
    turn()

    assert told() == {(LI, "sms", "announced"): "ACCEPTED", (LI, "sms", "moved"): "ACCEPTED"}


def test_after_a_move_the_reminders_start_anew(city: SmallCity, smtp: SmtpServer, sms: SmsGateway) -> None:
    outage = plan(city, "T12", hours=80)
    turn()
    time_passes(timedelta(hours=57))
    turn()
    move(outage, hours=60)
    turn()
    assert written()[2:] == [("moved", 1), ("announced", 2)]

    time_passes(timedelta(hours=37))
    turn()

    assert written()[4:] == [("reminder_early", 2)]
    assert told("reminder_early") == {(LI, "sms", "reminder_early"): "ACCEPTED"}
    assert len(texts_to(sms, "+8613800138003")) == 4


def test_moved_away_and_back_the_move_counts_as_the_announcement(
    city: SmallCity, smtp: SmtpServer, sms: SmsGateway
) -> None:
    outage = plan(city, "T12", hours=80)
    turn()
    time_passes(timedelta(hours=50))
    outage.refresh_from_db()
    begins, until = window(outage)
    move(outage, hours=60)
    turn()
    outage_reschedule(outage_id=outage.pk, actor=SYSTEM, planned_start=begins, planned_end=until, reason="dry")
    turn()
    assert written() == [("announced", 1), ("moved", 1), ("announced", 2), ("moved", 2), ("announced", 3)]

    time_passes(timedelta(hours=7))  # a day before it, the move is seven hours old
    turn()
    assert len(written()) == 5

    time_passes(timedelta(hours=22))
    turn()
    assert written()[5:] == [("reminder_late", 1)]
    nothing_broken()


# --- the last look --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["announced", "reminder_early"])
@pytest.mark.parametrize("change", ["move", "cancel", "start"])
def test_a_message_dies_with_the_commit_that_made_it_false(
    city: SmallCity, smtp: SmtpServer, sms: SmsGateway, kind: str, change: str
) -> None:
    outage = plan(city, "F1", hours=80)
    router.route_events()
    if kind == "reminder_early":
        time_passes(timedelta(hours=57))
        assert reminders.reminders_write() == 1
        Notice.objects.filter(kind="announced").update(status="done")
    fanout.fan_out()
    if change == "move":
        move(outage, hours=120)
    elif change == "cancel":
        outage_cancel(outage_id=outage.pk, actor=SYSTEM, reason="no crew")
    else:
        outage_start(outage_id=outage.pk, actor=SYSTEM, started_at=timezone.now())

    sending.channel_send(channel="sms")  # before anybody has read the event
    sending.channel_send(channel="email")

    assert (sms.journal, smtp.messages) == ([], [])
    assert who(kind) == set()


def test_an_announcement_is_not_sent_after_the_start(city: SmallCity, smtp: SmtpServer, sms: SmsGateway) -> None:
    plan(city, "T12", hours=1)
    router.route_events()
    fanout.fan_out()

    time_passes(timedelta(minutes=61))
    turn()

    assert (states(), sms.journal) == ({"EXPIRED": 1}, [])


def test_telephones_do_not_ring_at_night_for_work_that_is_announced(
    city: SmallCity, smtp: SmtpServer, sms: SmsGateway
) -> None:
    now = datetime.now(UTC)
    Branch.objects.update(time_zone="UTC", send_from=(now + HOUR).time(), send_until=(now + 2 * HOUR).time())

    plan(city, "F1", hours=80)
    turn()

    assert told() == {
        (CHEN, "sms", "announced"): "PENDING",
        (WANG, "sms", "announced"): "PENDING",
        (WANG, "email", "announced"): "ACCEPTED",
        (LI, "sms", "announced"): "ACCEPTED",
    }


def test_an_opted_out_customer_keeps_a_row_that_says_so(city: SmallCity, smtp: SmtpServer, sms: SmsGateway) -> None:
    ContactPoint.objects.filter(customer=city.customers["life_support"]).update(opted_out=True)
    plan(city, "T12", hours=80)

    turn()

    assert (told(), sms.journal) == ({(LI, "sms", "announced"): "SUPPRESSED"}, [])


# --- called off -----------------------------------------------------------------------------------------


def test_called_off_is_told_to_exactly_those_who_were_told(city: SmallCity, smtp: SmtpServer, sms: SmsGateway) -> None:
    outage = plan(city, "F1", hours=80)
    router.route_events()
    fanout.fan_out()
    sending.batch_send(channel="sms", lane=0)  # life support, and nobody else

    outage_cancel(outage_id=outage.pk, actor=SYSTEM, reason="no crew")
    turn()

    assert told("cancelled") == {(LI, "sms", "cancelled"): "ACCEPTED"}
    assert states() == {"ACCEPTED": 2, "SUPERSEDED": 3}
    nothing_broken()


def test_called_off_names_the_window_that_was_heard_of(city: SmallCity, smtp: SmtpServer, sms: SmsGateway) -> None:
    outage = plan(city, "T12", hours=80)
    turn()
    move(outage, hours=120)
    outage_cancel(outage_id=outage.pk, actor=SYSTEM, reason="no crew")

    turn()

    assert texts_to(sms, "+8613800138003")[1:] == [
        f"原定T12号设备一带{spoken(outage)}的停电已取消，届时不会因此停电（编号{outage.reference}）。"
        "如果您这里没电，请回复本消息或拨打95598。"
    ]


def test_called_off_before_anybody_heard_of_it_is_not_spoken_of(
    city: SmallCity, smtp: SmtpServer, sms: SmsGateway
) -> None:
    outage = plan(city, "F1", hours=80)
    router.route_events()
    outage_cancel(outage_id=outage.pk, actor=SYSTEM, reason="no crew")

    turn()

    assert (told(), sms.journal, smtp.messages) == ({}, [], [])


# --- begun, late, over ----------------------------------------------------------------------------------


def test_begun_late_and_over_are_told_to_everybody_who_is_off(
    city: SmallCity, smtp: SmtpServer, sms: SmsGateway
) -> None:
    outage = plan(city, "F1", hours=80)
    turn()
    time_passes(timedelta(hours=80))
    outage = outage_start(outage_id=outage.pk, actor=SYSTEM, started_at=timezone.now())
    turn()
    assert who("new") == everybody(CHEN, WANG, LI)
    assert "起，因线路检修停电。预计" in texts_to(sms, "+8613800138001")[-1]

    assert outage.planned_end is not None
    outage_extend(outage_id=outage.pk, actor=SYSTEM, planned_end=outage.planned_end + 2 * HOUR, reason="rock")
    turn()
    assert who("estimate_changed") == everybody(CHEN, WANG, LI)

    outage_restore_part(outage_id=outage.pk, actor=SYSTEM, at=timezone.now(), element_ids=city.ids("T11"))
    turn()
    assert who("partly_restored") == everybody(CHEN, WANG)
    outage_restore(outage_id=outage.pk, actor=SYSTEM, restored_at=timezone.now())
    turn()
    assert who("restored") == everybody(LI)


# --- what a work wants told -----------------------------------------------------------------------------


def plan_that_tells(city: SmallCity, *stages: str, hours: float = 80) -> Outage:
    """Work on feeder 1 of which only these stages are told."""
    outage = plan(city, "F1", hours=hours)
    work = PlannedWork.objects.create(
        reference="W-2026-000001", branch=city.east, title="更换绝缘子", state="published", notice_plan=list(stages)
    )
    begins, until = window(outage)
    WorkWindow.objects.create(work=work, outage=outage, state="published", starts_at=begins, ends_at=until)
    return outage


def test_what_a_work_does_not_want_said_is_not_said(city: SmallCity, smtp: SmtpServer, sms: SmsGateway) -> None:
    outage = plan_that_tells(city, "announced")
    turn()
    move(outage, hours=120)
    turn()
    time_passes(timedelta(hours=119))
    turn()
    outage_start(outage_id=outage.pk, actor=SYSTEM, started_at=timezone.now())
    turn()
    outage_restore(outage_id=outage.pk, actor=SYSTEM, restored_at=timezone.now())
    turn()

    assert written() == [("announced", 1), ("moved", 1), ("announced", 2)]
    assert len(sms.journal) == 6


def test_without_a_word_at_the_start_a_new_end_is_told_all_the_same(
    city: SmallCity, smtp: SmtpServer, sms: SmsGateway
) -> None:
    outage = plan_that_tells(city, "announced", "reminder_late", "restored")
    turn()
    time_passes(timedelta(hours=79))
    turn()
    outage = outage_start(outage_id=outage.pk, actor=SYSTEM, started_at=timezone.now())
    turn()
    assert written() == [("announced", 1), ("reminder_late", 1)]

    assert outage.planned_end is not None
    outage_extend(outage_id=outage.pk, actor=SYSTEM, planned_end=outage.planned_end + 2 * HOUR, reason="rock")
    turn()
    outage_restore(outage_id=outage.pk, actor=SYSTEM, restored_at=timezone.now())
    turn()

    assert who("estimate_changed") == everybody(CHEN, WANG, LI)
    assert who("restored") == everybody(CHEN, WANG, LI)
    nothing_broken()


def test_without_a_word_at_the_start_whoever_joins_later_is_told(
    city: SmallCity, smtp: SmtpServer, sms: SmsGateway
) -> None:
    outage = plan_that_tells(city, "announced")
    turn()
    outage_start(outage_id=outage.pk, actor=SYSTEM, started_at=timezone.now())
    outage_change_extent(outage_id=outage.pk, actor=SYSTEM, add_element_ids=city.ids("T21"), at=timezone.now())

    turn()

    assert who("new") == everybody(SMITH)  # Chen has a shop there, and heard of the work at home
    nothing_broken()


# --- the words ------------------------------------------------------------------------------------------


def facts(kind: str, language: str, **known: Any) -> texts.Facts:
    at = datetime(2026, 11, 23, 14, 0, tzinfo=SHANGHAI)
    return texts.Facts(
        **{
            "kind": kind, "language": language, "at": at, "time_zone": "Asia/Shanghai", "outage_kind": "planned",
            "reference": "P-2026-000123", "place": "东风路" if language == "zh" else "East Wind Road",
            "reason_zh": "线路检修", "reason_en": "line maintenance",
            "since": at + 18 * HOUR, "until": at + 27 * HOUR, "next_update_by": None, "known_at": at,
            "restored_at": None, "was_from": at + 43 * HOUR, "was_until": at + 51 * HOUR,
            "branch": "城东供电分局", "phone": "95598", **known,
        }
    )  # fmt: skip


TOMORROW_ZH, TOMORROW_EN = (
    "明天早上8点到明天下午5点",
    "eight o'clock tomorrow morning until five o'clock tomorrow afternoon",
)
AFTER_ZH = "后天上午9点到后天下午5点"
AFTER_EN = "nine o'clock in the morning on 25 November until five o'clock in the afternoon on 25 November"
END_ZH, END_EN = "编号P-2026-000123。咨询电话95598。", "Reference P-2026-000123. Questions: 95598."


@pytest.mark.parametrize(
    ("kind", "zh", "en"),
    [
        (
            "announced",
            f"东风路一带{TOMORROW_ZH}将因线路检修停电，请提前做好准备。{END_ZH}",
            f"From {TOMORROW_EN} the power around East Wind Road will be off because of line maintenance."
            f" Please be prepared. {END_EN}",
        ),
        (
            "reminder_early",
            f"提醒您：东风路一带{TOMORROW_ZH}将因线路检修停电。{END_ZH}",
            f"A reminder: from {TOMORROW_EN} the power around East Wind Road will be off because of line maintenance."
            f" {END_EN}",
        ),
        (
            "reminder_late",
            f"提醒您：东风路一带{TOMORROW_ZH}将因线路检修停电。{END_ZH}",
            f"A reminder: from {TOMORROW_EN} the power around East Wind Road will be off because of line maintenance."
            f" {END_EN}",
        ),
        (
            "moved",
            f"原定{AFTER_ZH}的停电改期：东风路一带改为{TOMORROW_ZH}因线路检修停电。{END_ZH}",
            f"The outage around East Wind Road announced for {AFTER_EN} has been moved: the power will be off from"
            f" {TOMORROW_EN} because of line maintenance. {END_EN}",
        ),
        (
            "cancelled",
            f"原定东风路一带{TOMORROW_ZH}的停电已取消，届时不会因此停电（编号P-2026-000123）。"
            "如果您这里没电，请回复本消息或拨打95598。",
            f"The outage around East Wind Road announced for {TOMORROW_EN} has been cancelled; your power will not be"
            " switched off for it (reference P-2026-000123). No power? Reply to this message or call 95598.",
        ),
    ],
)
@pytest.mark.django_db(transaction=False)
def test_what_is_said_of_announced_work(kind: str, zh: str, en: str) -> None:
    assert texts.compose(facts(kind, "zh")).text == zh
    assert texts.compose(facts(kind, "en")).text == en


@pytest.mark.parametrize(
    ("kind", "zh", "en"),
    [
        (
            "announced",
            f"您这里{TOMORROW_ZH}将因有序用电（东一区块）停电，请提前做好准备。{END_ZH}",
            f"From {TOMORROW_EN} the power at your premises will be off because of load shedding, Block East 1."
            f" Please be prepared. {END_EN}",
        ),
        (
            "moved",
            f"原定{AFTER_ZH}的停电改期：您这里改为{TOMORROW_ZH}因有序用电（东一区块）停电。{END_ZH}",
            f"The outage at your premises announced for {AFTER_EN} has been moved: the power will be off from"
            f" {TOMORROW_EN} because of load shedding, Block East 1. {END_EN}",
        ),
        (
            "cancelled",
            f"原定您这里{TOMORROW_ZH}因有序用电（东一区块）的停电已取消，届时不会因此停电（编号P-2026-000123）。"
            "如果您这里没电，请回复本消息或拨打95598。",
            f"The outage at your premises because of load shedding, Block East 1 announced for {TOMORROW_EN} has been"
            " cancelled; your power will not be switched off for it (reference P-2026-000123). No power? Reply to this"
            " message or call 95598.",
        ),
    ],
)
@pytest.mark.django_db(transaction=False)
def test_a_block_is_named_by_the_reason_in_the_readers_language(kind: str, zh: str, en: str) -> None:
    block = {
        "outage_kind": "load_shedding", "place": "东一区块", "reason_zh": "有序用电（东一区块）",
        "reason_en": "load shedding, Block East 1",
    }  # fmt: skip
    in_chinese, in_english = texts.compose(facts(kind, "zh", **block)), texts.compose(facts(kind, "en", **block))

    assert (in_chinese.text, in_english.text) == (zh, en)
    assert in_chinese.subject.endswith("：有序用电（东一区块）")
    assert in_english.subject.endswith(": load shedding, Block East 1")


@pytest.mark.parametrize("kind", [*ANNOUNCES, NoticeKind.NEW, NoticeKind.CANCELLED])
@pytest.mark.django_db(transaction=False)
def test_a_chinese_message_of_ordinary_length_costs_three_at_most(kind: str) -> None:
    words = texts.compose(facts(kind, "zh", place="东风路与建设路之间的老城区", reason_zh="更换老化的高压线路与变压器"))

    assert texts.sms_segments(words.text) <= 3


# --- the proof ------------------------------------------------------------------------------------------


def test_the_proof_finds_whoever_was_told_a_window_after_it_had_moved(
    city: SmallCity, smtp: SmtpServer, sms: SmsGateway
) -> None:
    outage = plan(city, "T12", hours=80)
    turn()
    move(outage, hours=120)
    turn()
    assert services.invariants_broken() == {}

    first = Notice.objects.get(kind="announced", generation=1)
    with connection.cursor() as db:
        db.execute(
            "UPDATE notifications_attempt SET started_at = now() + interval '1 minute' WHERE delivery_ids <@"
            " (SELECT array_agg(id) FROM notifications_delivery WHERE notice_id = %s)",
            [first.pk],
        )

    assert list(services.invariants_broken()) == [
        "nobody is told of a window once whoever knew it hears that it has moved"
    ]


def test_the_proof_finds_whoever_hears_of_a_move_twice(city: SmallCity, smtp: SmtpServer, sms: SmsGateway) -> None:
    outage = plan(city, "T12", hours=80)
    turn()
    move(outage, hours=120)
    turn()

    both = Notice.objects.get(kind="announced", generation=2)
    Notice.objects.filter(pk=both.pk).update(planned_count=1)
    with connection.cursor() as db:
        db.execute(
            "UPDATE notifications_delivery SET notice_id = %s WHERE notice_id ="
            " (SELECT id FROM notifications_notice WHERE kind = 'announced' AND generation = 1)",
            [both.pk],
        )
        db.execute("UPDATE notifications_notice SET planned_count = 0 WHERE kind = 'announced' AND generation = 1")

    assert list(services.invariants_broken()) == [
        "whoever hears that it has moved does not hear of it as if it were the first time"
    ]
