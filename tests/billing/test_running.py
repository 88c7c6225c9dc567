"""What the clock makes of an approved batch: turns, last warnings, commands within the rates, the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from accounts.actor import Actor
from billing_cutoffs.models import (
    BillingAccount,
    CutoffBatch,
    CutoffOrder,
    CutoffStep,
    DebtNotice,
    MeterCommand,
    NoticeStage,
)
from billing_cutoffs.services.running import batches_turn
from tests.billing.calm import AT, CLOSES, OPENS, calm_batch, calm_down, calm_order, mild
from tests.billing.proposing import settled, states, steps
from tests.billing.world import CLOCK, batch, crowd_of_debtors
from tests.factories.grid import SmallCity

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def _by_remote(settings: Settings) -> None:
    settings.METER_GATEWAY = "simulator"


def turn(now: datetime = AT) -> dict[str, int]:
    return {name: number for name, number in batches_turn(actor=CLOCK, now=now).items() if number}


def crowd(city: SmallCity, number: int) -> Sequence[BillingAccount]:
    mild(city.east)
    return [calm_down(account) for account in crowd_of_debtors(city, number)]


def orders_of(of: CutoffBatch, people: Sequence[BillingAccount], state: str = "warned") -> list[CutoffOrder]:
    return [calm_order(account, of, state=state) for account in people]


# --- the beginning ------------------------------------------------------------------------------------


def test_turns_are_drawn_before_the_window_opens_so_that_the_first_can_be_warned(city: SmallCity, ben: Actor) -> None:
    of = calm_batch(city.east, ben, state="approved")
    orders_of(of, crowd(city, 6), state="noticed")
    CutoffOrder.objects.update(scheduled_at=None)
    held = CutoffOrder.objects.earliest("pk")
    CutoffOrder.objects.filter(pk=held.pk).update(state="held", state_before_hold="noticed", held_by=ben.user_id)

    assert turn(OPENS - 46 * MINUTE) == {}
    turn(OPENS - 44 * MINUTE)

    of.refresh_from_db()
    assert (of.state, steps(of)) == ("running", ["run", "draw"])
    turns = list(CutoffOrder.objects.values_list("scheduled_at", flat=True))
    assert all(OPENS <= moment < CLOSES for moment in turns if moment is not None)
    assert None not in turns
    draw = CutoffStep.objects.get(batch=of, verb="draw")
    assert (draw.facts["turns"], draw.facts["without_turn"]) == (6, 0)
    assert draw.facts["seed"].startswith(of.reference)


def test_turns_are_drawn_once(city: SmallCity, ben: Actor) -> None:
    of = calm_batch(city.east, ben)
    orders_of(of, crowd(city, 3), state="noticed")

    turn(OPENS)
    drawn = set(CutoffOrder.objects.values_list("pk", "scheduled_at"))
    turn(OPENS)

    assert set(CutoffOrder.objects.values_list("pk", "scheduled_at")) == drawn
    assert steps(of).count("draw") == 1


def test_a_batch_that_waits_for_a_second_approval_does_not_begin(city: SmallCity, ben: Actor) -> None:
    of = calm_batch(city.east, ben, state="approved", approved_count=201)

    assert turn(AT) == {}
    assert CutoffBatch.objects.get().state == "approved"

    CutoffBatch.objects.filter(pk=of.pk).update(approved_count=200)
    orders_of(of, crowd(city, 1), state="noticed")
    turn(AT)
    assert CutoffBatch.objects.get().state == "running"


# --- the last warning ---------------------------------------------------------------------------------


def test_whose_turn_comes_soon_is_warned_once(city: SmallCity, ben: Actor) -> None:
    of = calm_batch(city.east, ben)
    soon, later = orders_of(of, crowd(city, 2), state="noticed")
    drawn(of)
    CutoffOrder.objects.filter(pk=soon.pk).update(scheduled_at=AT + 45 * MINUTE)
    CutoffOrder.objects.filter(pk=later.pk).update(scheduled_at=AT + 46 * MINUTE)

    assert turn() == {"warned": 1}
    assert turn() == {}

    warning = DebtNotice.objects.get(stage=NoticeStage.FINAL_WARNING)
    assert (warning.order_id, warning.window_from) == (soon.pk, of.window_from)


def test_nobody_is_warned_who_is_protected_by_now(city: SmallCity, ben: Actor) -> None:
    of = calm_batch(city.east, ben)
    (account,) = crowd(city, 1)
    (held,) = orders_of(of, [account], state="noticed")
    drawn(of)
    account.holds.create(kind="dispute", set_by_name="x", since=OPENS)

    assert turn() == {}

    held.refresh_from_db()
    assert (held.state, [hold["code"] for hold in held.holds]) == ("held", ["dispute"])
    assert not DebtNotice.objects.filter(stage=NoticeStage.FINAL_WARNING).exists()

    account.holds.all().delete()
    assert turn() == {"warned": 1}
    assert CutoffOrder.objects.get().state == "noticed"


# --- the command --------------------------------------------------------------------------------------


def drawn(of: CutoffBatch) -> None:
    """The turns of the batch are what the test says they are."""
    CutoffStep.objects.create(batch=of, verb="draw", actor_kind="system", actor_name="cut-offs")


def test_whose_turn_has_come_is_ordered_off(city: SmallCity, ben: Actor) -> None:
    of = calm_batch(city.east, ben)
    due, later = orders_of(of, crowd(city, 2))
    drawn(of)
    CutoffOrder.objects.filter(pk=later.pk).update(scheduled_at=AT + MINUTE)

    assert turn() == {"commanded": 1}
    assert list(MeterCommand.objects.values_list("order", "purpose", "state")) == [(due.pk, "disconnect", "queued")]
    assert turn() == {}  # what is on its way is not ordered again
    assert turn(AT + MINUTE) == {"commanded": 1}


def test_somebody_goes_where_the_meter_cannot_be_switched(city: SmallCity, ben: Actor) -> None:
    of = calm_batch(city.east, ben)
    (order,) = orders_of(of, crowd(city, 1))
    CutoffOrder.objects.update(method="field")
    drawn(of)

    assert turn() == {"commanded": 1}
    order.refresh_from_db()
    assert (order.state, order.commanded_at) == ("commanded", AT)


@pytest.mark.debts_by_hand
def test_every_protection_runs_again_at_the_turn(city: SmallCity, ben: Actor) -> None:
    of = calm_batch(city.east, ben)
    people = crowd(city, 3)
    orders_of(of, people)
    drawn(of)
    people[0].payments.create(
        source_system="bank", payment_id="1", account_number="x", amount="50.00", status="in_flight", paid_at=AT,
    )  # fmt: skip
    settled(people[1].customer.account_number)

    assert turn() == {"commanded": 1}

    assert list(of.orders.order_by("pk").values_list("state", flat=True)) == ["held", "cancelled", "warned"]
    people[0].payments.all().delete()
    turn()
    assert turn() == {"commanded": 1}


def test_whom_a_person_holds_waits_for_that_person(city: SmallCity, ben: Actor) -> None:
    of = calm_batch(city.east, ben)
    (order,) = orders_of(of, crowd(city, 1))
    drawn(of)
    CutoffOrder.objects.update(state="held", state_before_hold="warned", held_by=ben.user_id, hold_reason="asks")

    assert turn() == {}
    order.refresh_from_db()
    assert order.state == "held"


def test_a_stopped_batch_does_nothing(city: SmallCity, ben: Actor) -> None:
    of = calm_batch(city.east, ben, state="stopped")
    orders_of(of, crowd(city, 1))
    drawn(of)

    assert turn() == {}
    assert MeterCommand.objects.count() == 0


def test_no_more_are_ordered_off_in_an_hour_than_the_batch_allows(city: SmallCity, ben: Actor) -> None:
    of = calm_batch(city.east, ben, rate_per_hour=3)
    orders_of(of, crowd(city, 5))
    drawn(of)

    assert turn() == {"commanded": 3}
    assert turn() == {}
    _sent(AT)
    assert turn(AT + HOUR - MINUTE) == {}
    assert turn(AT + HOUR) == {"commanded": 2}


def test_other_batches_of_the_branch_use_up_its_rate_and_every_batch_that_of_a_feeder(
    city: SmallCity, ben: Actor
) -> None:
    people = crowd(city, 6)
    another = calm_batch(city.east, ben, state="done")
    for order in orders_of(another, people[:2]):
        CutoffOrder.objects.filter(pk=order.pk).update(state="commanded", commanded_at=AT - MINUTE)
    of = calm_batch(city.east, ben, rate_per_hour=10, rate_per_feeder_hour=3)
    orders_of(of, people[2:])
    drawn(of)

    assert turn() == {"commanded": 1}
    CutoffBatch.objects.filter(pk=of.pk).update(rate_per_feeder_hour=60, rate_per_hour=4)
    assert turn() == {"commanded": 1}


def _sent(at: datetime) -> None:
    """The queued commands have left."""
    orders = MeterCommand.objects.filter(state="queued").values("order")
    CutoffOrder.objects.filter(pk__in=orders).update(state="commanded", commanded_at=at)
    MeterCommand.objects.update(state="accepted")


# --- the end ------------------------------------------------------------------------------------------


def test_who_was_not_switched_off_in_the_window_keeps_supply(city: SmallCity, ben: Actor) -> None:
    of = calm_batch(city.east, ben)
    people = crowd(city, 5)
    for account, state in zip(people, ("eligible", "approved", "noticed", "warned", "commanded"), strict=True):
        calm_order(account, of, state=state)

    assert turn(CLOSES) == {"finished": 1}

    of.refresh_from_db()
    assert of.state == "done"
    assert Counter(states(of).values()) == {"cancelled": 4, "commanded": 1}
    assert set(of.orders.filter(state="cancelled").values_list("state_reason", flat=True)) == {"window_missed"}
    assert CutoffStep.objects.get(batch=of, verb="finish").facts["missed"] == 4


@pytest.mark.parametrize("state", ["approved", "running", "stopped"])
def test_a_clock_that_jumps_over_the_window_switches_nobody_off(city: SmallCity, ben: Actor, state: str) -> None:
    of = calm_batch(city.east, ben, state=state)
    orders_of(of, crowd(city, 3))

    turn(CLOSES + 2 * HOUR)

    assert CutoffBatch.objects.get().state == "done"
    assert set(states(of).values()) == {"cancelled"}
    assert MeterCommand.objects.count() == 0


def test_a_batch_with_nothing_left_to_do_is_done(city: SmallCity, ben: Actor) -> None:
    of = calm_batch(city.east, ben)
    orders_of(of, crowd(city, 2), state="disconnected")

    assert turn() == {"finished": 1}
    assert CutoffBatch.objects.get(pk=of.pk).state == "done"


def test_batches_that_are_not_approved_have_no_turn(city: SmallCity, ben: Actor) -> None:
    for state in ("draft", "submitted", "returned", "done", "undone"):
        batch(city.east, ben, state=state)

    assert turn() == {}


def test_many_orders_take_as_many_statements_as_few(city: SmallCity, ben: Actor) -> None:
    people = crowd(city, 60)
    counts: list[int] = []
    for some, state in ((people[:10], "warned"), (people[10:], "warned")):
        of = calm_batch(city.east, ben)
        orders_of(of, some, state=state)
        drawn(of)
        with CaptureQueriesContext(connection) as seen:
            batches_turn(actor=CLOCK, now=AT)
        counts.append(len(seen))
        _sent(AT - 2 * HOUR)
        CutoffBatch.objects.filter(pk=of.pk).update(state="done")

    assert MeterCommand.objects.count() == 60
    assert counts[1] == counts[0]
