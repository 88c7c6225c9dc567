"""What customers of a block read: announced, moved, called off, off, back; and nobody else when something changes."""

from __future__ import annotations

import pytest
from django.db import transaction
from django.utils import timezone

from accounts.actor import Actor
from notifications import reminders
from notifications.models import Notice
from outages.load_shedding.models import SheddingPlan
from outages.load_shedding.rotation import Span
from outages.load_shedding.services import changes, slots
from outages.load_shedding.services.distribution import slots_distribute
from outages.load_shedding.services.steps import event_lock
from outages.services import outage_open
from tests.factories.grid import SmallCity
from tests.notifications.conftest import city, sms, smtp
from tests.notifications.world import nothing_broken, told, turn
from tests.peers.sms_gateway import SmsGateway
from tests.planned.clock import time_passes
from tests.shedding.happening import HOUR, MINUTE, announced, minute, plan_ready, slot_of

__all__ = ["city", "sms", "smtp"]

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("smtp")]

CHEN, WANG, LI, SMITH, HOSPITAL = "陈静", "王伟", "李桂英", "Anna Smith", "市第一人民医院"


@pytest.fixture
def made(city: SmallCity, asha: Actor, otto: Actor) -> SheddingPlan:
    """A: Chen, Wang and life support. B: Chen's shop and Smith. C: the hospital."""
    return plan_ready(city, asha, otto)


def read(kind: str) -> set[str]:
    """Whose text messages of this kind were accepted."""
    return {name for (name, channel, _kind), state in told(kind).items() if channel == "sms" and state == "ACCEPTED"}


def kinds() -> list[tuple[str, str]]:
    """Every notice: what it says, and of which block."""
    return [(str(notice.kind), notice.outage.place) for notice in Notice.objects.order_by("pk") if notice.outage]


def test_announced_to_the_blocks_of_the_event_with_the_name_of_the_block(
    made: SheddingPlan, asha: Actor, otto: Actor, sms: SmsGateway
) -> None:
    announced(asha, otto, made, blocks=["A"], mw=1.0)

    turn()

    assert kinds() == [("announced", "A区块")]
    assert read("announced") == {CHEN, WANG, LI}
    texts = {call["body"]["to"]: call["body"]["text"] for call in sms.journal}
    assert "有序用电（A区块）" in texts["+8613800138001"]
    nothing_broken()


def test_a_change_is_told_to_those_whose_times_changed_and_never_the_whole_table_again(
    made: SheddingPlan, asha: Actor, otto: Actor, sms: SmsGateway
) -> None:
    event = announced(asha, otto, made, blocks=["A", "B"], mw=3.0)
    turn()
    assert event.ends_at is not None
    before = len(sms.journal)

    with transaction.atomic():
        wanted = [Span("A", event.ends_at, event.ends_at + 2 * HOUR)]
        wanted += [Span("B", slot_of(event, "B").starts_at, slot_of(event, "B").ends_at)]
        slots_distribute(event=event_lock(event.pk), wanted=wanted, actor=asha, reason="移后")
    turn()

    assert kinds()[2:] == [("moved", "A区块"), ("announced", "A区块")]
    assert read("moved") == {CHEN, WANG, LI}
    assert len(sms.journal) == before + 3
    nothing_broken()


def test_a_dropped_block_reads_that_it_is_cancelled_and_an_added_one_that_it_is_announced(
    made: SheddingPlan, asha: Actor, otto: Actor, sms: SmsGateway
) -> None:
    event = announced(asha, otto, made, blocks=["A", "B"], mw=3.0)
    turn()

    changes.event_replace(actor=asha, slot_id=slot_of(event, "B").pk, block="C", reason="保供")
    turn()

    assert kinds()[2:] == [("cancelled", "B区块"), ("announced", "C区块")] or kinds()[2:] == [
        ("announced", "C区块"),
        ("cancelled", "B区块"),
    ]
    assert read("cancelled") == {CHEN, SMITH}
    assert HOSPITAL in read("announced")
    nothing_broken()


def test_whoever_knows_the_time_is_not_told_that_it_has_come_but_that_it_is_over(
    made: SheddingPlan, asha: Actor, otto: Actor, sms: SmsGateway
) -> None:
    event = announced(asha, otto, made, blocks=["A"], mw=1.0, starts_at=minute() + 20 * MINUTE)
    turn()
    slots.slot_off(actor=asha, slot_id=slot_of(event, "A").pk)
    turn()
    slots.slot_on(actor=asha, slot_id=slot_of(event, "A").pk, at=timezone.now() + MINUTE)
    turn()

    assert [kind for kind, _place in kinds()] == ["announced", "restored"]
    assert read("restored") == {CHEN, WANG, LI}
    nothing_broken()


def test_what_was_announced_days_before_is_said_again(
    made: SheddingPlan, asha: Actor, otto: Actor, sms: SmsGateway
) -> None:
    announced(asha, otto, made, blocks=["A"], mw=1.0, starts_at=minute() + 72 * HOUR)
    turn()

    time_passes(49 * HOUR)
    reminders.reminders_write()
    time_passes(22 * HOUR)
    reminders.reminders_write()
    reminders.reminders_write()

    assert [kind for kind, _place in kinds()] == ["announced", "reminder_early", "reminder_late"]
    nothing_broken()


def test_in_an_emergency_the_message_follows(made: SheddingPlan, asha: Actor, otto: Actor, sms: SmsGateway) -> None:
    event = announced(asha, otto, made, blocks=["A"], mw=1.0, starts_at=minute(), is_emergency=True)
    turn()
    assert kinds() == []  # nothing is announced whose time has come

    slots.slot_off(actor=asha, slot_id=slot_of(event, "A").pk)
    turn()

    assert [kind for kind, _place in kinds()] == ["new"]
    assert read("new") == {CHEN, WANG, LI}
    nothing_broken()


def test_longer_is_told_to_those_who_are_off_and_only_to_them(
    made: SheddingPlan, asha: Actor, otto: Actor, sms: SmsGateway
) -> None:
    event = announced(asha, otto, made, blocks=["B"], mw=2.0, hours=1, starts_at=minute(), is_emergency=True)
    slots.slot_off(actor=asha, slot_id=slot_of(event, "B").pk)
    turn()
    end = slot_of(event, "B").ends_at
    with transaction.atomic():
        begins = slot_of(event, "B").starts_at
        slots_distribute(event=event_lock(event.pk), wanted=[Span("B", begins, end + HOUR)], actor=asha, reason="延长")
    turn()

    assert [kind for kind, _place in kinds()] == ["new", "estimate_changed"]
    assert read("estimate_changed") == {CHEN, SMITH}
    assert Notice.objects.latest("pk").says_until == end + HOUR
    nothing_broken()


def test_whoever_is_switched_off_late_hears_of_the_end_that_moved_meanwhile(
    made: SheddingPlan, asha: Actor, otto: Actor, sms: SmsGateway
) -> None:
    event = announced(asha, otto, made, blocks=["A"], mw=1.0, starts_at=minute() + 20 * MINUTE)
    turn()
    time_passes(23 * MINUTE)
    begins, end = slot_of(event, "A").starts_at, slot_of(event, "A").ends_at
    with transaction.atomic():
        slots_distribute(event=event_lock(event.pk), wanted=[Span("A", begins, end + HOUR)], actor=asha, reason="延长")
    turn()
    assert kinds() == [("announced", "A区块")]  # nothing is announced whose time has come

    slots.slot_off(actor=asha, slot_id=slot_of(event, "A").pk)
    turn()

    assert kinds()[1:] == [("new", "A区块")]
    assert read("new") == {CHEN, WANG, LI}
    assert Notice.objects.latest("pk").says_until == end + HOUR
    nothing_broken()


def test_whoever_stays_off_through_a_fault_is_not_told_that_power_is_back(
    made: SheddingPlan, asha: Actor, otto: Actor, sms: SmsGateway
) -> None:
    event = announced(asha, otto, made, blocks=["A"], mw=1.0, starts_at=minute(), is_emergency=True)
    slots.slot_off(actor=asha, slot_id=slot_of(event, "A").pk)
    turn()

    slots.slot_stuck(actor=asha, slot_id=slot_of(event, "A").pk, reason="拒合")
    turn()

    assert read("restored") == set()
    nothing_broken()


def test_a_customer_of_two_blocks_hears_of_each_and_of_the_one_that_is_back_only_when_no_other_keeps_them_off(
    city: SmallCity, made: SheddingPlan, asha: Actor, otto: Actor, sms: SmsGateway
) -> None:
    event = announced(asha, otto, made, blocks=["A"], mw=1.0, starts_at=minute(), is_emergency=True)
    slots.slot_off(actor=asha, slot_id=slot_of(event, "A").pk)
    outage_open(kind="fault", action="start", actor=asha, element_ids=city.ids("T12"), started_at=timezone.now())
    turn()

    slots.slot_on(actor=asha, slot_id=slot_of(event, "A").pk, at=timezone.now() + MINUTE)
    turn()

    assert read("restored") == {CHEN, WANG}  # life support behind T12 is still off
    nothing_broken()
