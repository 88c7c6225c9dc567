"""The record of a cut through its life, and what the one answer says of it at each point."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from accounts.actor import Actor
from billing_cutoffs.models import BillingAccount, CutoffOrder
from billing_cutoffs.services import record
from outages.models import Interruption, Outage, OutageEvent
from outages.supply_status import Verdict, supply_status
from tests.billing import world
from tests.factories.grid import SmallCity

CLOCK = world.CLOCK


@pytest.fixture
def account(city: SmallCity) -> BillingAccount:
    return world.debtor(city)


def told(order: CutoffOrder, *, verified: bool = True) -> Verdict:
    return supply_status(order.service_point, verified=verified)


def in_state(account: BillingAccount, ben: Actor, state: str, *, opens_in: timedelta | None = None) -> CutoffOrder:
    opens = timezone.now() + opens_in if opens_in is not None else None
    return world.order(account, world.batch(account.branch, ben, opens=opens), state=state)


def outage_of(order: CutoffOrder) -> Outage:
    order.refresh_from_db()
    assert order.outage is not None
    return order.outage


def test_once_the_letter_arrived_the_record_is_scheduled_private_and_of_one_service_point(
    account: BillingAccount, ben: Actor
) -> None:
    order = in_state(account, ben, "noticed", opens_in=timedelta(hours=5))

    outage = outage_of(order)
    assert (outage.kind, outage.status, outage.is_public) == ("non_payment", "scheduled", False)
    assert (outage.planned_start, outage.planned_end) == (order.batch.window_from, order.batch.window_until)
    assert outage.source_ref == order.reference
    assert [row.service_point for row in Interruption.objects.filter(outage=outage)] == [order.service_point]
    assert not OutageEvent.objects.filter(outage=outage, is_public=True).exists()
    assert "may be cut off between" in told(order).sentence_en
    assert told(order, verified=False).upcoming == ()


def test_off_it_promises_no_time_and_asks_for_the_payment(account: BillingAccount, ben: Actor) -> None:
    order = in_state(account, ben, "disconnected")

    outage = outage_of(order)
    assert (outage.status, outage.started_at, outage.etr, outage.planned_end) == ("active", order.off_at, None, None)
    assert outage.customers_out == 1
    verdict = told(order)
    assert (verdict.state, verdict.quote) == ("off", None)
    assert verdict.sentence_en.endswith("We reconnect as soon as the account is paid.")


def test_settled_it_promises_the_deadline_and_once_that_passed_only_news(account: BillingAccount, ben: Actor) -> None:
    order = in_state(account, ben, "reconnect_commanded")

    record.record_promise(order=order, actor=CLOCK, due_at=timezone.now() + timedelta(hours=20))
    assert "The account is settled; we reconnect you by" in told(order).sentence_en
    assert told(order).quote is not None

    Outage.objects.filter(cutoff_order=order).update(etr=timezone.now() - timedelta(minutes=1))
    assert told(order).quote is None
    assert "taking longer than we said" in told(order).sentence_en


def test_a_wrongful_cut_asks_for_no_payment(account: BillingAccount, ben: Actor) -> None:
    order = in_state(account, ben, "disconnected")
    CutoffOrder.objects.filter(pk=order.pk).update(is_wrongful=True)

    record.record_promise(order=order, actor=CLOCK, due_at=timezone.now())

    sentence = told(order).sentence_en
    assert "because of a mistake of ours" in sentence
    assert "paid" not in sentence


def test_on_again_asks_the_verified_whether_it_is_and_ends_after_half_a_day(
    account: BillingAccount, ben: Actor
) -> None:
    order = in_state(account, ben, "reconnected")
    assert outage_of(order).status == "restored"
    assert told(order).state == "restored"
    assert told(order, verified=False).state == "on"
    later = timezone.now() - timedelta(hours=13)
    CutoffOrder.objects.filter(pk=order.pk).update(off_at=later, on_at=later)
    Outage.objects.filter(cutoff_order=order).update(started_at=later, restored_at=later)

    assert record.records_follow(actor=CLOCK) == 1

    assert outage_of(order).status == "closed"
    assert record.records_follow(actor=CLOCK) == 0


def test_orders_that_ended_by_the_thousand_take_their_records_along(account: BillingAccount, ben: Actor) -> None:
    order = in_state(account, ben, "warned", opens_in=timedelta(hours=5))
    CutoffOrder.objects.filter(pk=order.pk).update(state="cancelled", state_reason="undone")

    assert record.records_follow(actor=CLOCK) == 1

    assert outage_of(order).status == "cancelled"
    assert told(order).sentence_en == told(order, verified=False).sentence_en  # as if nothing had been


def test_while_it_is_being_switched_nobody_unverified_hears_that_nothing_is_known(
    account: BillingAccount, ben: Actor
) -> None:
    order = in_state(account, ben, "commanded")

    assert told(order, verified=False).state == "unknown"
    assert "This may happen at any moment." in told(order).sentence_en


def test_a_window_that_ended_without_an_answer_of_the_meter_is_still_no_all_clear(
    account: BillingAccount, ben: Actor
) -> None:
    order = in_state(account, ben, "commanded")
    now = timezone.now()
    Outage.objects.filter(cutoff_order=order).update(
        planned_start=now - timedelta(hours=4), planned_end=now - timedelta(hours=1)
    )

    assert told(order, verified=False).state == "unknown"
    assert told(order).upcoming == ()


def test_an_order_cancelled_twice_leaves_the_record_alone(account: BillingAccount, ben: Actor) -> None:
    order = in_state(account, ben, "warned", opens_in=timedelta(hours=5))

    with transaction.atomic():
        record.record_cancel(order=order, actor=CLOCK, reason="paid")
    outage = outage_of(order)
    with transaction.atomic():
        record.record_cancel(order=order, actor=CLOCK, reason="paid")

    assert outage_of(order).version == outage.version
