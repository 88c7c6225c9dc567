"""What proves that a notice arrived, and what follows: by receipt from a real gateway, or by a person's word."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from pytest_django import Settings

from accounts.actor import Actor
from billing_cutoffs.models import CutoffOrder, CutoffStep, DebtNotice
from billing_cutoffs.services import dunning, serving
from billing_cutoffs.services.grades import accounts_grade
from billing_cutoffs.services.serving import (
    AlreadyServed,
    BadServing,
    NoticeVoid,
    NoWitness,
    notice_serve,
    notices_settle,
    reminders_settle,
)
from grid.models import Branch, Customer
from notifications import channels
from notifications.models import Delivery, DeliveryState
from outages.models import Outage, SystemState
from standards.errors import Forbidden, NotFound
from tests.billing import world
from tests.billing.world import CLOCK, debtor
from tests.factories.grid import SmallCity
from tests.notifications.post import receipt
from tests.notifications.world import GATEWAY, turn
from tests.peers.sms_gateway import SmsGateway, sms_gateway
from tests.planned.clock import time_passes

A_DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def day_and_night(city: SmallCity) -> None:
    SystemState.objects.get_or_create(pk=1)
    Branch.objects.update(send_from="00:00", send_until="00:00", phone="95598")


@pytest.fixture
def sms(settings: Settings, tmp_path: Path) -> Iterator[SmsGateway]:
    with sms_gateway() as peer:
        path = tmp_path / "gateway.yaml"
        path.write_text(GATEWAY.format(url=peer.url), encoding="utf-8")
        settings.SMS_GATEWAY = str(path)
        yield peer
        channels.senders_close()


def written(city: SmallCity, ben: Actor, *codes: str, ahead: timedelta = 10 * A_DAY) -> list[CutoffOrder]:
    """Approved orders whose letter is on its way."""
    batch = world.batch(city.east, ben, state="approved", opens=timezone.now() + ahead, approved_at=timezone.now())
    orders = [world.order(debtor(city, code), batch, state="approved") for code in codes]
    accounts_grade(actor=CLOCK)
    dunning.letters_issue(batch_id=batch.pk, actor=CLOCK)
    return orders


def arrived(*, at: datetime | None = None, state: DeliveryState = DeliveryState.DELIVERED, code: str = "") -> None:
    """What the gateway has said of every message."""
    Delivery.objects.filter(channel="sms").update(state=state, done_at=at or timezone.now(), error_code=code)
    Delivery.objects.exclude(channel="sms").update(state=DeliveryState.ACCEPTED)


def state_of(order: CutoffOrder) -> str:
    return CutoffOrder.objects.get(pk=order.pk).state


def by_hand(order: CutoffOrder, actor: Actor, *, stage: str = "letter", **more: Any) -> DebtNotice:
    notice = order.notices.get(stage=stage)
    facts = {"how": "by_hand", "served_at": timezone.now(), "note": "given to 陈静", **more}
    return notice_serve(notice_id=notice.pk, actor=actor, **facts)


# --- receipts -----------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_from_the_letter_to_the_last_warning(city: SmallCity, ben: Actor, sms: SmsGateway) -> None:
    [order] = written(city, ben, "SP0001")
    turn()
    assert [call["body"]["text"].startswith("您尾号0001") for call in sms.journal] == [True]
    assert notices_settle(actor=CLOCK) == {"settled": 0, "noticed": 0, "warned": 0}

    receipt(Delivery.objects.get(), "DELIVRD")
    turn()
    assert notices_settle(actor=CLOCK) == {"settled": 1, "noticed": 1, "warned": 0}

    order.refresh_from_db()
    assert (order.state, order.outage and order.outage.status) == ("noticed", "scheduled")
    assert order.outage is not None
    assert not order.outage.is_public
    dunning.warnings_issue(order_ids=[order.pk], actor=CLOCK)
    turn()
    receipt(Delivery.objects.get(state=DeliveryState.ACCEPTED), "DELIVRD")
    turn()
    assert notices_settle(actor=CLOCK) == {"settled": 1, "noticed": 0, "warned": 1}
    assert state_of(order) == "warned"
    assert list(order.notices.values_list("stage", "served_how")) == [("letter", "sms"), ("final_warning", "sms")]
    assert list(order.steps.values_list("verb", flat=True)) == ["notice", "warn"]
    assert notices_settle(actor=CLOCK) == {"settled": 0, "noticed": 0, "warned": 0}


def test_a_message_merely_sent_proves_nothing_and_after_a_day_counts_as_not_arrived(
    city: SmallCity, ben: Actor
) -> None:
    [order] = written(city, ben, "SP0001")
    arrived(state=DeliveryState.ACCEPTED)
    assert notices_settle(actor=CLOCK)["settled"] == 0

    time_passes(timedelta(hours=25))

    assert notices_settle(actor=CLOCK) == {"settled": 1, "noticed": 0, "warned": 0}
    notice = order.notices.get()
    assert (notice.served_at, notice.failure, state_of(order)) == (None, "no_receipt", "approved")


@pytest.mark.parametrize(
    ("state", "code", "failure"),
    [("UNDELIVERED", "UNDELIV", "UNDELIV"), ("FAILED", "", "failed"), ("EXPIRED", "late", "late")],
)
def test_what_did_not_arrive_says_why(city: SmallCity, ben: Actor, state: str, code: str, failure: str) -> None:
    [order] = written(city, ben, "SP0001")
    arrived(state=DeliveryState[state], code=code)

    assert notices_settle(actor=CLOCK) == {"settled": 1, "noticed": 0, "warned": 0}
    notice = order.notices.get()
    assert (notice.served_at, notice.failure, notice.failed_at is None) == (None, failure, False)


def test_without_an_address_a_person_serves_it(city: SmallCity, ben: Actor) -> None:
    city.customers["chen"].contacts.all().delete()
    [order] = written(city, ben, "SP0001")
    notices_settle(actor=CLOCK)
    assert order.notices.get().failure == "no_address"

    by_hand(order, ben)

    assert (state_of(order), order.notices.get().served_how) == ("noticed", "by_hand")


def test_a_letter_that_arrived_too_late_brings_nothing_on(city: SmallCity, ben: Actor) -> None:
    orders = written(city, ben, "SP0001", "SP0002", ahead=3 * A_DAY + timedelta(minutes=5))
    Customer.objects.filter(pk=city.customers["wang"].pk).update(importance="important_2")
    arrived()

    assert notices_settle(actor=CLOCK) == {"settled": 2, "noticed": 1, "warned": 0}
    assert [state_of(order) for order in orders] == ["noticed", "approved"]


def test_an_order_held_meanwhile_is_brought_on_when_it_is_free(city: SmallCity, ben: Actor) -> None:
    [order] = written(city, ben, "SP0001")
    CutoffOrder.objects.filter(pk=order.pk).update(state="held", state_before_hold="approved")
    arrived()
    assert notices_settle(actor=CLOCK) == {"settled": 1, "noticed": 0, "warned": 0}
    assert not Outage.objects.exists()

    CutoffOrder.objects.filter(pk=order.pk).update(state="approved", state_before_hold="")

    assert notices_settle(actor=CLOCK) == {"settled": 0, "noticed": 1, "warned": 0}


def test_a_letter_of_an_ended_order_proves_nothing(city: SmallCity, ben: Actor) -> None:
    [order] = written(city, ben, "SP0001")
    with transaction.atomic():
        dunning.notices_void(order_ids=[order.pk])
    CutoffOrder.objects.filter(pk=order.pk).update(state="cancelled")
    arrived()
    assert notices_settle(actor=CLOCK) == {"settled": 0, "noticed": 0, "warned": 0}


def test_reminders_are_settled_by_themselves(city: SmallCity, ben: Actor) -> None:
    debtor(city)
    accounts_grade(actor=CLOCK)
    dunning.reminders_issue(actor=CLOCK)
    arrived()
    assert notices_settle(actor=CLOCK)["settled"] == 0
    assert reminders_settle() == {"voided": 0, "settled": 1}
    assert DebtNotice.objects.get().served_how == "sms"


# --- by hand ------------------------------------------------------------------------------------------


def test_a_letter_handed_over_moves_the_order_on_and_stands_in_its_history(city: SmallCity, ben: Actor) -> None:
    [order] = written(city, ben, "SP0001")
    at = timezone.now().replace(second=0, microsecond=0)

    notice = by_hand(order, ben, how="affixed", served_at=at, note="  left at the door, witness 王工 ")

    assert (notice.served_at, notice.served_how, notice.served_by, notice.served_note) == (
        at, "affixed", ben.name, "left at the door, witness 王工",
    )  # fmt: skip
    assert state_of(order) == "noticed"
    steps = CutoffStep.objects.filter(order=order).order_by("pk")
    assert [(step.verb, step.before, step.after, step.actor_name) for step in steps] == [
        ("serve", "approved", "approved", ben.name), ("notice", "approved", "noticed", ben.name),
    ]  # fmt: skip
    assert steps[0].facts == {
        "notice": notice.pk, "stage": "letter", "how": "affixed", "served_at": at.isoformat(),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"note": "  "}, NoWitness), ({"how": "sms"}, BadServing), ({"how": "dreamt"}, BadServing),
        ({"served_at": timezone.now() + A_DAY}, BadServing), ({"served_at": timezone.now() - A_DAY}, BadServing),
    ],
)  # fmt: skip
def test_nonsense_is_not_kept_as_proof(city: SmallCity, ben: Actor, wrong: Any, error: type[Exception]) -> None:
    [order] = written(city, ben, "SP0001")
    with pytest.raises(error):
        by_hand(order, ben, **wrong)
    assert (order.notices.get().served_at, state_of(order)) == (None, "approved")
    assert not CutoffStep.objects.exists()


def test_a_notice_is_served_once_and_only_while_it_holds(city: SmallCity, ben: Actor) -> None:
    first, second = written(city, ben, "SP0001", "SP0002")
    by_hand(first, ben)
    with pytest.raises(AlreadyServed):
        by_hand(first, ben, note="again")
    with transaction.atomic():
        dunning.notices_void(order_ids=[second.pk])
    with pytest.raises(NoticeVoid):
        by_hand(second, ben)
    assert first.notices.get().served_note == "given to 陈静"
    assert second.notices.get().served_at is None


def test_only_the_branch_serves_its_notices(city: SmallCity, ben: Actor, dora: Actor, otto: Actor) -> None:
    [order] = written(city, ben, "SP0001")
    with pytest.raises(NotFound):
        by_hand(order, dora)
    with pytest.raises(Forbidden):
        by_hand(order, otto)
    assert order.notices.get().served_at is None


def test_a_worker_killed_between_proof_and_order_leaves_it_to_the_next_turn(city: SmallCity, ben: Actor) -> None:
    [order] = written(city, ben, "SP0001")
    DebtNotice.objects.filter(order=order).update(served_at=timezone.now(), served_how="sms")
    assert serving.orders_notice(actor=CLOCK) == 1
    assert serving.orders_notice(actor=CLOCK) == 0


def test_letters_that_came_too_late_are_in_nobodys_way(
    city: SmallCity, ben: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "A_TURN", 1)
    late = written(city, ben, "SP0001", ahead=A_DAY)
    in_time = written(city, ben, "SP0002")
    arrived()
    assert notices_settle(actor=CLOCK)["noticed"] == 1
    assert [state_of(order) for order in (*late, *in_time)] == ["approved", "noticed"]
