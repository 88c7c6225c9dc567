"""A payment at any moment ends with power on, or never off; and nobody who paid is forgotten."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from django.db import connection, transaction
from django.utils import timezone
from pytest_django import Settings

from accounts.actor import Actor
from billing_cutoffs.models import AccountHold, CutoffOrder, CutoffStep, MeterCommand, SimulatedMeter
from billing_cutoffs.services import reconnection, sending
from grid.models import Branch, CalendarDay
from standards import loader
from standards.errors import Forbidden
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
    pays,
    queue,
    turn,
)  # fmt: skip
from tests.factories.grid import SmallCity
from tests.planned.clock import time_passes

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("meters")]


def off(city: SmallCity, ben: Actor, number: int = 1) -> list[CutoffOrder]:
    """These are off, by their meters' word."""
    made = orders(city, ben, number)
    queue(*made)
    turn()
    assert [fresh(order).state for order in made] == ["disconnected"] * number
    return made


def nothing(_order: CutoffOrder) -> None:
    return None


def queued(order: CutoffOrder) -> None:
    queue(order)


def on_its_way(order: CutoffOrder) -> None:
    meter(order, "slow")
    queue(order)
    sending.commands_turn(actor=CLOCK)


def left_by_a_dead_worker(order: CutoffOrder) -> None:
    on_its_way(order)
    MeterCommand.objects.update(state="sending", lease_until=timezone.now())


def in_doubt(order: CutoffOrder) -> None:
    on_its_way(order)
    MeterCommand.objects.update(state="uncertain")


def given_up(order: CutoffOrder) -> None:
    meter(order, "mute")
    queue(order)
    sending.commands_turn(actor=CLOCK)
    SimulatedMeter.objects.update(behaviour="deaf")
    for _ in range(10):
        due_now()
        sending.commands_turn(actor=CLOCK)
    assert fresh(order).state == "failed"
    SimulatedMeter.objects.update(behaviour="mute")


def refused(order: CutoffOrder) -> None:
    meter(order, "refuses")
    queue(order)
    turn()
    SimulatedMeter.objects.update(behaviour="prompt")


def is_off(order: CutoffOrder) -> None:
    queue(order)
    turn()


MOMENTS: list[Callable[[CutoffOrder], None]] = [
    nothing, queued, on_its_way, left_by_a_dead_worker, in_doubt, given_up, refused, is_off,
]  # fmt: skip


@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: moment.__name__)
def test_a_payment_at_any_moment_ends_with_power_on_or_never_off(
    open_city: SmallCity, ben: Actor, moment: Callable[[CutoffOrder], None]
) -> None:
    (order,) = orders(open_city, ben)
    moment(order)

    pays(account_of(order))
    for _ in range(3):
        time_passes(timedelta(minutes=2))
        due_now()
        turn()

    order = fresh(order)
    assert order.state in ("cancelled", "reconnected")
    assert SimulatedMeter.objects.filter(is_connected=False).count() == 0
    assert order.outage is not None
    assert order.outage.status in ("cancelled", "restored")
    nothing_broken()


@pytest.mark.parametrize("state", ["eligible", "approved", "noticed", "warned"])
def test_paid_before_the_command_it_is_never_cut(open_city: SmallCity, ben: Actor, state: str) -> None:
    (order,) = orders(open_city, ben, state=state)

    pays(account_of(order))

    assert (fresh(order).state, order.state_reason) == ("cancelled", "paid")
    assert order.notices.filter(void_at__isnull=True).count() == 0


def test_paid_in_part_changes_nothing(open_city: SmallCity, ben: Actor) -> None:
    (order,) = off(open_city, ben)

    pays(account_of(order), "319.99")

    assert (fresh(order).state, order.paid_at) == ("disconnected", None)


def test_paid_while_off_the_command_to_switch_on_is_out_at_once(open_city: SmallCity, ben: Actor) -> None:
    (order,) = off(open_city, ben)

    pays(account_of(order))

    order = fresh(order)
    assert (order.state, order.reconnect_mode) == ("reconnect_commanded", "automatic")
    # the simulated meter's clock is two seconds ahead, and nobody waits for power before it is off
    assert order.reconnect_due_at == order.off_at + timedelta(hours=24)  # type: ignore[operator]
    assert order.outage is not None
    assert order.outage.etr == order.reconnect_due_at
    assert order.commands.get(purpose="reconnect").state == "queued"
    assert [step.verb for step in order.steps.all()] == ["command", "confirm_off", "pay", "reconnect"]


def test_two_payments_are_one_reconnection(open_city: SmallCity, ben: Actor) -> None:
    (order,) = off(open_city, ben)
    account = account_of(order)

    pays(account)
    pays(account, "5.00")

    assert order.commands.filter(purpose="reconnect").count() == 1
    turn()
    assert fresh(order).state == "reconnected"


def test_paid_while_on_its_way_it_comes_back_as_soon_as_it_is_known_to_be_off(open_city: SmallCity, ben: Actor) -> None:
    (order,) = orders(open_city, ben)
    on_its_way(order)

    pays(account_of(order))
    order = fresh(order)
    assert (order.state, order.steps.latest("pk").verb) == ("commanded", "want_back")
    assert order.paid_at is not None
    time_passes(timedelta(minutes=2))
    turn()

    assert [step.verb for step in order.steps.all()] == [
        "command", "want_back", "confirm_off", "pay", "reconnect"
    ]  # fmt: skip
    assert fresh(order).state == "reconnect_commanded"


def test_an_agreement_brings_back_who_is_off_and_leaves_the_debt(open_city: SmallCity, ben: Actor) -> None:
    (order,) = off(open_city, ben)
    account = account_of(order)
    AccountHold.objects.create(account=account, kind="promise", orders_reconnection=True, set_by_name="mei")

    with transaction.atomic():
        moved = reconnection.accounts_paid(account_ids=[account.pk], actor=CLOCK)

    assert moved == [order.pk]
    assert (fresh(order).state, order.paid_at) == ("reconnect_commanded", None)


def test_many_payments_cost_the_same_statements_as_few(
    open_city: SmallCity, ben: Actor, django_assert_max_num_queries: object
) -> None:
    made = off(open_city, ben, 24)
    accounts = [account_of(order) for order in made]
    for account in accounts:
        account.overdue, account.oldest_due_on, account.bills_overdue = 0, None, 0
        account.save(update_fields=["overdue", "oldest_due_on", "bills_overdue"])
        account.bills.all().delete()
        account.cases.update(closed_at=timezone.now())

    with django_assert_max_num_queries(25), transaction.atomic():  # type: ignore[operator]
        moved = reconnection.accounts_paid(account_ids=[account.pk for account in accounts], actor=CLOCK)

    assert len(moved) == 24
    assert reconnection.deadlines_watch(actor=CLOCK) == {"warned": 0, "escalated": 0, "promised": 24}


# --- safe, wrongful ---------------------------------------------------------------------------------


def safely() -> None:
    CutoffOrder.objects.update(reconnect_mode="safe")


def test_in_safe_mode_it_waits_for_the_customers_word(open_city: SmallCity, ben: Actor) -> None:
    (order,) = off(open_city, ben)
    safely()
    pays(account_of(order))
    assert fresh(order).state == "paid"
    turn()
    assert order.commands.count() == 1

    reconnection.order_is_safe(order_id=order.pk, actor=ben, how="by telephone")
    turn()

    assert fresh(order).state == "reconnected"
    assert order.steps.get(verb="safe").note == "by telephone"


def test_said_to_be_safe_before_the_payment_counts(open_city: SmallCity, ben: Actor) -> None:
    (order,) = off(open_city, ben)
    safely()
    reconnection.order_is_safe(order_id=order.pk, actor=ben)

    pays(account_of(order))

    assert fresh(order).state == "reconnect_commanded"


def test_nobody_of_another_branch_says_that_it_is_safe(open_city: SmallCity, ben: Actor, dora: Actor) -> None:
    (order,) = off(open_city, ben)

    with pytest.raises(Forbidden):
        reconnection.order_is_safe(order_id=order.pk, actor=dora)
    assert fresh(order).is_safe_at is None


def test_a_wrongful_cut_is_due_at_once(open_city: SmallCity, ben: Actor) -> None:
    (order,) = off(open_city, ben)
    safely()

    with transaction.atomic():
        reconnection.reconnect_now(order_ids=[order.pk], actor=ben, reason="wrong meter", is_wrongful=True)
    assert (fresh(order).state, order.is_wrongful) == ("reconnect_commanded", True)
    turn()

    assert fresh(order).state == "reconnected"
    nothing_broken()


def test_ordered_back_while_it_is_on_its_way(open_city: SmallCity, ben: Actor) -> None:
    (order,) = orders(open_city, ben)
    on_its_way(order)

    with transaction.atomic():
        reconnection.reconnect_now(order_ids=[order.pk], actor=ben, reason="the whole batch was wrong")
    time_passes(timedelta(minutes=2))
    turn()
    time_passes(timedelta(minutes=2))
    turn()

    assert fresh(order).state == "reconnected"


def test_where_nothing_is_off_nothing_is_switched_on(open_city: SmallCity, ben: Actor, dora: Actor) -> None:
    (warned,) = orders(open_city, ben)

    with pytest.raises(reconnection.NothingToReconnect), transaction.atomic():
        reconnection.reconnect_now(order_ids=[warned.pk], actor=ben, reason="x")
    with pytest.raises(Forbidden), transaction.atomic():
        reconnection.reconnect_now(order_ids=[warned.pk], actor=dora, reason="x")
    assert fresh(warned).state == "warned"
    assert CutoffStep.objects.count() == 0


# --- deadlines --------------------------------------------------------------------------------------


def test_a_reconnection_is_tried_until_it_is_done_and_every_failure_shows(open_city: SmallCity, ben: Actor) -> None:
    (order,) = off(open_city, ben)
    SimulatedMeter.objects.update(behaviour="refuses")
    pays(account_of(order))
    for _ in range(3):
        due_now()
        turn()
    assert fresh(order).state == "reconnect_failed"
    assert calls(order)[1:] == [("reconnect", "sent", "refused")] * 3

    SimulatedMeter.objects.update(behaviour="prompt")
    due_now()
    turn()

    assert fresh(order).state == "reconnected"
    nothing_broken()


def test_the_owner_is_warned_and_what_is_late_is_escalated_once(open_city: SmallCity, ben: Actor) -> None:
    (order,) = off(open_city, ben)
    SimulatedMeter.objects.update(behaviour="refuses")
    pays(account_of(order))
    turn()
    assert reconnection.deadlines_watch(actor=CLOCK) == {"warned": 0, "escalated": 0, "promised": 0}

    time_passes(timedelta(hours=21))
    assert reconnection.deadlines_watch(actor=CLOCK)["warned"] == 1
    time_passes(timedelta(hours=4))
    assert reconnection.deadlines_watch(actor=CLOCK) == {"warned": 0, "escalated": 1, "promised": 0}
    assert reconnection.deadlines_watch(actor=CLOCK) == {"warned": 0, "escalated": 0, "promised": 0}

    assert fresh(order).escalated_at is not None
    assert [step.verb for step in order.steps.all()][-2:] == ["warn_owner", "escalate"]


def test_working_days_of_a_remote_branch(open_city: SmallCity, ben: Actor, tmp_path: Path, settings: Settings) -> None:
    (order,) = off(open_city, ben)
    raw = yaml.safe_load((loader.SHIPPED / "cn-provincial.yaml").read_text(encoding="utf-8"))
    assert raw["arrears"]["reconnect_remote_residential"]["unit"] == "business_days"
    Branch.objects.update(rule_pack="cn-provincial", area_class="remote")
    since = timezone.now()
    day = since.date()
    for n in range(1, 9):  # worked, holiday, worked, holiday …
        kind = "working" if n % 2 else "holiday"
        CalendarDay.objects.create(day=day + timedelta(days=n), kind=kind, name="x", branch=None)

    due = reconnection.deadline_of(fresh(order), since)

    days = int(raw["arrears"]["reconnect_remote_residential"]["value"])
    assert due - since in (timedelta(days=2 * days - 1), timedelta(days=2 * days))


# --- races ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("round_", range(4))
def test_a_payment_and_the_gate_at_the_same_moment(open_city: SmallCity, ben: Actor, round_: int) -> None:
    made = orders(open_city, ben, 6)
    queue(*made)
    start = threading.Barrier(2)
    failures: list[BaseException] = []

    def aside(work: Callable[[], object]) -> threading.Thread:
        def run() -> None:
            try:
                start.wait()
                work()
            except BaseException as broken:
                failures.append(broken)
            finally:
                connection.close()

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    accounts = [account_of(order) for order in made]

    def pay_all() -> None:
        for account in accounts:
            pays(account)

    threads = [
        aside(pay_all),
        aside(lambda: sending.commands_turn(actor=CLOCK)),
    ]
    for thread in threads:
        thread.join()
    assert failures == []
    for _ in range(3):
        time_passes(timedelta(minutes=2))
        leases_end()
        due_now()
        turn()

    assert {fresh(order).state for order in made} <= {"cancelled", "reconnected"}
    assert SimulatedMeter.objects.filter(is_connected=False).count() == 0
    nothing_broken()
