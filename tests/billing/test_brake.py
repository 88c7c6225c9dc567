"""The brake: cuts that turn out wrong, complaints and failing commands stop a batch."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.actor import Actor
from billing_cutoffs.models import CutComplaint, CutoffBatch, CutoffOrder, CutoffStep, MeterCommand
from billing_cutoffs.services.brake import FAILED_IN_A_ROW, Strain, strain_of
from billing_cutoffs.services.decisions import batch_resume
from billing_cutoffs.services.running import batches_turn
from grid.models import Customer, ServicePoint
from tests.billing.world import CLOCK, batch, crowd_of_debtors, debtor_at, order
from tests.factories.grid import SmallCity

MINUTE = timedelta(minutes=1)


@pytest.fixture
def running(city: SmallCity, ben: Actor) -> CutoffBatch:
    """Eight customers were switched off eight minutes ago, and one has yet to be."""
    of = batch(city.east, ben, state="running", approved_at=timezone.now())
    people = crowd_of_debtors(city, 9)
    for account in people[:8]:
        order(account, of, state="disconnected")
    order(people[8], of, state="warned")
    return of


def strain(of: CutoffBatch) -> Strain:
    return strain_of(of, timezone.now())


def change(of: CutoffBatch, number: int, **facts: Any) -> None:
    some = of.orders.filter(off_at__isnull=False).order_by("pk").values_list("pk", flat=True)[:number]
    CutoffOrder.objects.filter(pk__in=list(some)).update(**facts)


def complain(of: CutoffBatch, number: int, *, minutes: int = 1) -> None:
    for one in of.orders.order_by("pk")[:number]:
        CutComplaint.objects.create(
            account=one.case.account, by_name="mei", at=timezone.now() - minutes * MINUTE, text="We have paid!"
        )


def test_nothing_wrong_pulls_no_brake(running: CutoffBatch) -> None:
    assert strain(running) == Strain(executed=8, wrong=0, complaints=0, failed_in_a_row=0, cause="")


@pytest.mark.parametrize(
    ("facts", "wrong"),
    [
        ({"is_wrongful": True}, 5),
        ({"paid_at": timedelta(minutes=-9)}, 5),  # paid a minute before it went off
        ({"reconnect_commanded_at": timedelta(minutes=-1)}, 5),  # on again, and nobody has paid
        # what a cut is for: paid afterwards, and on again at once
        ({"paid_at": timedelta(minutes=-3), "reconnect_commanded_at": timedelta(minutes=-3)}, 0),
    ],
)
def test_what_counts_as_wrong(running: CutoffBatch, facts: dict[str, Any], wrong: int) -> None:
    now = timezone.now()
    written = {name: now + value if isinstance(value, timedelta) else value for name, value in facts.items()}
    change(running, 5, **written)

    assert (strain(running).wrong, strain(running).cause) == (wrong, "wrong" if wrong else "")


@pytest.mark.parametrize(("number", "cause"), [(4, ""), (5, "wrong")])
def test_fewer_than_the_rule_packs_number_pull_no_brake(running: CutoffBatch, number: int, cause: str) -> None:
    complain(running, number)

    assert (strain(running).complaints, strain(running).cause) == (number, cause)


def test_five_in_many_are_few(city: SmallCity, running: CutoffBatch) -> None:
    """Three per cent of the rule pack: five of 168 are less."""
    complain(running, 5)
    element = city.elements["T12"]
    customers = Customer.objects.bulk_create(
        Customer(account_number=f"4{i:09d}", name=f"户{i}", branch=element.branch) for i in range(160)
    )
    points = ServicePoint.objects.bulk_create(
        ServicePoint(code=f"E{i:05d}", customer=customer, element=element, branch=element.branch)
        for i, customer in enumerate(customers)
    )
    for point in points:
        order(debtor_at(point), running, state="disconnected")

    assert (strain(running).executed, strain(running).wrong, strain(running).cause) == (168, 5, "")


def test_one_order_counts_once_however_wrong_it_is(running: CutoffBatch) -> None:
    complain(running, 3)
    complain(running, 3)
    change(running, 4, is_wrongful=True)

    assert (strain(running).wrong, strain(running).cause) == (4, "")


def test_what_is_older_than_an_hour_does_not_count(running: CutoffBatch) -> None:
    complain(running, 6, minutes=61)
    change(running, 6, is_wrongful=True, off_at=timezone.now() - 61 * MINUTE)

    assert (strain(running).executed, strain(running).wrong) == (2, 0)


def _commands(of: CutoffBatch, *states: str) -> None:
    for number, state in enumerate(states):
        MeterCommand.objects.create(
            order=of.orders.order_by("pk")[number % 8], purpose="disconnect", meter_number=f"M{number}", state=state,
            expires_at=of.window_until,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("states", "in_a_row", "cause"),
    [
        (["failed"] * FAILED_IN_A_ROW, 10, "failing"),
        (["done", *["failed"] * FAILED_IN_A_ROW], 10, "failing"),
        ([*["failed"] * FAILED_IN_A_ROW, "done"], 0, ""),
        (["done", *["failed"] * 9], 9, ""),
    ],
)
def test_commands_that_fail_one_after_the_other_pull_the_brake(
    running: CutoffBatch, states: list[str], in_a_row: int, cause: str
) -> None:
    _commands(running, *states)

    assert (strain(running).failed_in_a_row, strain(running).cause) == (in_a_row, cause)


def test_the_brake_stops_the_batch_and_says_why(running: CutoffBatch, otto: Actor) -> None:
    complain(running, 6)

    assert batches_turn(actor=CLOCK) == {"stopped": 1}

    running.refresh_from_db()
    assert (running.state, running.state_reason) == ("stopped", "brake_wrong")
    step = CutoffStep.objects.get(batch=running, order=None, verb="stop")
    assert (step.actor_name, step.before, step.after) == ("cut-offs", "running", "stopped")
    assert step.facts == {"executed": 8, "wrong": 6, "complaints": 6, "failed_in_a_row": 0, "cause": "wrong"}
    assert MeterCommand.objects.count() == 0
    assert batches_turn(actor=CLOCK) == {}


def test_after_resuming_the_brake_counts_anew(running: CutoffBatch, otto: Actor) -> None:
    complain(running, 6)
    _commands(running, *["failed"] * FAILED_IN_A_ROW)
    batches_turn(actor=CLOCK)

    batch_resume(actor=otto, reference=running.reference, reason="All six were one street: the letter was right")

    assert strain(running) == Strain(executed=0, wrong=0, complaints=0, failed_in_a_row=0, cause="")
