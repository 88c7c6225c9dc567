"""From the queue to the meter and back: every gate, every doubt, and nothing sent twice without asking."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone
from pytest_django import Settings

from accounts.actor import Actor
from billing_cutoffs.models import (
    AccountHold,
    CommandAttempt,
    CutoffBatch,
    CutoffOrder,
    MeterCommand,
    Payment,
    SimulatedMeter,
)
from billing_cutoffs.services import commands, sending
from billing_cutoffs.services.gate import cuts_gate
from grid.models import ServicePoint
from tests.billing import world
from tests.billing.meters import (
    CLOCK,
    account_of,
    calls,
    due_now,
    fresh,
    leases_end,
    meter,
    nothing_broken,
    orders,
    queue,
    turn,
)  # fmt: skip
from tests.factories.grid import SmallCity

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("meters")]


def test_a_prompt_meter_is_off_and_stands_in_the_record(open_city: SmallCity, ben: Actor) -> None:
    (order,) = orders(open_city, ben)
    meter(order)

    (command,) = queue(order)
    assert (fresh(order).state, command.state) == ("warned", "queued")
    turn()

    command.refresh_from_db()
    order = fresh(order)
    assert (order.state, command.state, command.tries) == ("disconnected", "done", 1)
    assert order.outage is not None
    assert order.outage.status == "active"
    assert calls(order) == [("disconnect", "sent", "accepted")]
    assert [step.verb for step in order.steps.all()] == ["command", "confirm_off"]
    assert not SimulatedMeter.objects.get().is_connected
    nothing_broken()


def test_queued_twice_it_is_one_command(open_city: SmallCity, ben: Actor) -> None:
    (order,) = orders(open_city, ben)

    queue(order)
    queue(order)

    assert MeterCommand.objects.count() == 1


def test_what_is_protected_gets_no_command(open_city: SmallCity, ben: Actor) -> None:
    (order,) = orders(open_city, ben)
    AccountHold.objects.create(account=account_of(order), kind="dispute", set_by_name="mei", until=None)

    assert queue(order) == []
    assert fresh(order).state == "warned"


@pytest.mark.parametrize("state", ["eligible", "approved", "noticed"])
def test_only_who_was_warned_is_ordered_off(open_city: SmallCity, ben: Actor, state: str) -> None:
    (order,) = orders(open_city, ben, state=state)

    assert queue(order) == []


def test_a_hold_that_comes_after_the_queue_stops_it_at_the_gate(open_city: SmallCity, ben: Actor) -> None:
    (order,) = orders(open_city, ben)
    (command,) = queue(order)
    AccountHold.objects.create(account=account_of(order), kind="dispute", set_by_name="mei", until=None)

    turn()

    command.refresh_from_db()
    assert (fresh(order).state, command.state, command.answer) == ("held", "withdrawn", "dispute")
    assert [hold["code"] for hold in order.holds] == ["dispute"]
    assert calls(order) == []
    nothing_broken()


def test_a_payment_on_its_way_stops_it_at_the_gate(open_city: SmallCity, ben: Actor) -> None:
    (order,) = orders(open_city, ben)
    queue(order)
    account = account_of(order)
    Payment.objects.create(
        source_system="bank", payment_id="P1", account=account, account_number="x", amount=account.overdue,
        status="in_flight", paid_at=timezone.now(),
    )  # fmt: skip

    turn()

    assert fresh(order).state == "held"
    assert calls(order) == []


def test_a_stopped_batch_sends_nothing_and_goes_on_when_it_is_resumed(open_city: SmallCity, ben: Actor) -> None:
    (order,) = orders(open_city, ben)
    (command,) = queue(order)
    CutoffBatch.objects.update(state="stopped")

    turn()
    command.refresh_from_db()
    assert (fresh(order).state, command.state, calls(order)) == ("warned", "queued", [])

    CutoffBatch.objects.update(state="running")
    due_now()
    turn()
    assert fresh(order).state == "disconnected"


def test_a_meter_that_was_changed_after_the_queue_is_left_alone(open_city: SmallCity, ben: Actor) -> None:
    """The old meter may hang at another customer's by now."""
    (order,) = orders(open_city, ben)
    meter(order)
    (command,) = queue(order)
    ServicePoint.objects.filter(pk=order.service_point_id).update(meter_number="NEW-1")

    turn()

    command.refresh_from_db()
    assert (command.state, fresh(order).state, calls(order)) == ("withdrawn", "warned", [])
    assert SimulatedMeter.objects.get().is_connected
    nothing_broken()


def test_after_its_window_nothing_is_sent(open_city: SmallCity, ben: Actor) -> None:
    (order,) = orders(open_city, ben)
    (command,) = queue(order)
    MeterCommand.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

    turn()

    command.refresh_from_db()
    assert (fresh(order).state, command.state, command.answer) == ("warned", "withdrawn", "window_missed")
    assert calls(order) == []


def test_no_more_leave_in_an_hour_than_the_batch_allows(open_city: SmallCity, ben: Actor) -> None:
    made = orders(open_city, ben, 5, rate_per_hour=3)
    queue(*made)

    turn()

    states = sorted(CutoffOrder.objects.values_list("state", flat=True))
    assert states == ["disconnected", "disconnected", "disconnected", "warned", "warned"]
    assert MeterCommand.objects.filter(state="queued").count() == 2

    CutoffOrder.objects.filter(state="disconnected").update(commanded_at=timezone.now() - timedelta(minutes=61))
    due_now()
    turn()
    assert CutoffOrder.objects.filter(state="disconnected").count() == 5


def test_no_more_leave_on_a_feeder_than_the_batch_allows(open_city: SmallCity, ben: Actor) -> None:
    made = orders(open_city, ben, 3, rate_per_feeder_hour=2)
    queue(*made)

    turn()

    assert CutoffOrder.objects.filter(state="disconnected").count() == 2


def test_who_has_no_switch_is_cut_by_a_person(open_city: SmallCity, ben: Actor) -> None:
    (order,) = orders(open_city, ben)
    order.method = "field"
    order.save(update_fields=["method"])

    assert queue(order) == []
    assert fresh(order).state == "commanded"


def test_without_a_meter_system_persons_are_sent(open_city: SmallCity, ben: Actor, settings: Settings) -> None:
    settings.METER_GATEWAY = ""
    (order,) = orders(open_city, ben)

    assert queue(order) == []
    assert (fresh(order).state, order.method) == ("commanded", "field")
    assert sending.commands_turn(actor=CLOCK) == {}


def test_a_refusal_goes_to_the_failure_queue(open_city: SmallCity, ben: Actor) -> None:
    (order,) = orders(open_city, ben)
    meter(order, "refuses")
    (command,) = queue(order)

    turn()

    command.refresh_from_db()
    assert (fresh(order).state, command.state) == ("failed", "failed")
    assert calls(order) == [("disconnect", "sent", "refused")]
    nothing_broken()


def test_no_answer_in_time_and_the_meter_is_asked_before_anything_else(open_city: SmallCity, ben: Actor) -> None:
    (order,) = orders(open_city, ben)
    meter(order, "mute")
    (command,) = queue(order)
    turn()
    assert fresh(order).state == "commanded"

    due_now()
    turn()

    command.refresh_from_db()
    assert (fresh(order).state, command.state) == ("disconnected", "done")
    assert calls(order) == [("disconnect", "sent", "accepted"), ("disconnect", "asked", "disconnected")]


def test_a_meter_that_never_speaks_is_left_to_a_person(open_city: SmallCity, ben: Actor) -> None:
    (order,) = orders(open_city, ben)
    meter(order, "deaf")
    (command,) = queue(order)
    turn()

    for _ in range(10):
        due_now()
        turn()

    command.refresh_from_db()
    assert (fresh(order).state, command.state, command.answer) == ("failed", "failed", "no_reading")
    assert calls(order) == [("disconnect", "sent", "accepted"), *[("disconnect", "asked", "unknown")] * 8]
    nothing_broken()


def test_the_meter_says_still_on_and_the_same_key_is_sent_again(open_city: SmallCity, ben: Actor) -> None:
    (order,) = orders(open_city, ben)
    switch = meter(order, "mute")
    (command,) = queue(order)
    turn()
    SimulatedMeter.objects.update(is_connected=True, last_key=None)  # it fell back

    due_now()
    turn()
    due_now()
    turn()

    command.refresh_from_db()
    assert (fresh(order).state, command.tries) == ("disconnected", 2)
    assert [(what, result) for _purpose, what, result in calls(order)] == [
        ("sent", "accepted"), ("asked", "connected"), ("sent", "accepted"), ("asked", "disconnected"),
    ]  # fmt: skip
    switch.refresh_from_db()
    assert switch.last_key == command.key
    nothing_broken()


def test_a_worker_that_dies_while_sending_leaves_a_doubt_and_no_second_call(open_city: SmallCity, ben: Actor) -> None:
    (order,) = orders(open_city, ben)
    meter(order, "mute")
    (command,) = queue(order)
    lane = sending._LANES[2]
    claim = sending._claim(lane, 8)
    assert claim is not None
    with transaction.atomic():
        passed = cuts_gate(order_ids=[order.pk], token=claim.token, actor=CLOCK, now=timezone.now())
        sending._attempts(passed, claim.token, is_question=False)
        MeterCommand.objects.update(state="sending", tries=1)

    turn()
    assert fresh(order).state == "commanded"  # its lease still runs
    leases_end()
    turn()

    command.refresh_from_db()
    assert calls(order)[:2] == [("disconnect", "sent", ""), ("disconnect", "asked", "connected")]
    nothing_broken()


def test_a_worker_that_wakes_after_its_lease_changes_nothing(open_city: SmallCity, ben: Actor) -> None:
    (order,) = orders(open_city, ben)
    queue(order)
    claim = sending._claim(sending._LANES[2], 8)
    assert claim is not None
    leases_end()
    other = sending._claim(sending._LANES[2], 8)
    assert other is not None

    with transaction.atomic():
        passed = cuts_gate(order_ids=[order.pk], token=claim.token, actor=CLOCK, now=timezone.now())

    assert passed == []
    assert CommandAttempt.objects.count() == 0


def test_who_waits_for_power_goes_first(open_city: SmallCity, ben: Actor) -> None:
    cut, off = orders(open_city, ben, 2)
    queue(off)
    turn()
    queue(cut)
    CutoffOrder.objects.filter(pk=off.pk).update(
        state="reconnect_commanded", paid_at=timezone.now(), reconnect_due_at=timezone.now() + timedelta(hours=1)
    )
    with transaction.atomic():
        commands.commands_queue(order_ids=[off.pk], purpose="reconnect", actor=CLOCK)

    sending.commands_turn(actor=CLOCK, limit=1)

    assert calls(off)[-1] == ("reconnect", "sent", "accepted")
    assert calls(cut) == []


@pytest.mark.parametrize("number", [2, 24])
def test_a_queue_costs_the_same_statements_for_few_and_many(
    open_city: SmallCity, ben: Actor, number: int, django_assert_max_num_queries: object
) -> None:
    made = orders(open_city, ben, number)
    with django_assert_max_num_queries(40):  # type: ignore[operator]
        queue(*made)

    assert MeterCommand.objects.count() == number


def test_the_world_of_these_tests_has_debtors(open_city: SmallCity, ben: Actor) -> None:
    (order,) = orders(open_city, ben)

    assert account_of(order).overdue == order.amount
    assert world.today(open_city.east).date() > account_of(order).oldest_due_on  # type: ignore[operator]
