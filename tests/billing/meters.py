"""What the tests of commands say to each other: orders with their meters, payments, and turns of the senders."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from accounts.actor import Actor
from billing_cutoffs.models import (
    BillingAccount,
    CommandAttempt,
    CutoffBatch,
    CutoffOrder,
    MeterCommand,
    Payment,
    SimulatedMeter,
)
from billing_cutoffs.services import answers, commands, feed, proofs, sending
from tests.billing import world
from tests.billing.told import payment
from tests.factories import accounts
from tests.factories.grid import SmallCity

CLOCK = world.CLOCK


def running(city: SmallCity, ben: Actor, **facts: Any) -> CutoffBatch:
    """A batch of Ben's that Otto approved, and that is being carried out."""
    otto = accounts.user_with("approver", city.east, username="otto")
    approved = {"approved_at": timezone.now() - timedelta(days=9), "approved_by": otto}
    return world.batch(city.east, ben, **{"state": "running", **approved, **facts})


def orders(city: SmallCity, ben: Actor, number: int = 1, *, state: str = "warned", **facts: Any) -> list[CutoffOrder]:
    """Orders of one running batch, each for a debtor of its own with a meter of its own."""
    return orders_for(world.crowd_of_debtors(city, number), running(city, ben, **facts), state=state)


def orders_for(debtors: Sequence[BillingAccount], of: CutoffBatch, *, state: str = "warned") -> list[CutoffOrder]:
    with transaction.atomic():
        return [world.order(account, of, state=state) for account in debtors]


def queue(*made: CutoffOrder) -> list[MeterCommand]:
    """Ordered off: the commands wait for their turn."""
    with transaction.atomic():
        commands.commands_queue(order_ids=[order.pk for order in made], purpose="disconnect", actor=CLOCK)
    return list(MeterCommand.objects.filter(order__in=made).order_by("pk"))


def meter(order: CutoffOrder, behaviour: str = "prompt", **facts: Any) -> SimulatedMeter:
    return SimulatedMeter.objects.create(
        meter_number=order.service_point.meter_number, behaviour=behaviour, **facts
    )  # fmt: skip


def turn() -> None:
    """Everything there is to do now is done, and prompt meters have had their second."""
    for _ in range(6):
        sending.commands_turn(actor=CLOCK)
        answers.simulator_turn(now=timezone.now() + timedelta(seconds=2))
        answers.answers_apply(actor=CLOCK)


def pays(account: BillingAccount, amount: str | None = None) -> None:
    """The bank says that it was paid in: by default everything that is owed."""
    item = payment(account.customer.account_number, amount or str(account.overdue), name=f"P{Payment.objects.count()}")
    (outcome,) = feed.payments_receive(actor=CLOCK, source_system="bank", items=[item])
    assert outcome.error is None, outcome


def account_of(order: CutoffOrder) -> BillingAccount:
    return BillingAccount.objects.get(cases__orders=order)


def due_now() -> None:
    """Whatever waits for another try or question is due, and every lease is over."""
    with connection.cursor() as db:
        db.execute("UPDATE billing_cutoffs_metercommand SET next_at = now(), lease_until = NULL")


def leases_end() -> None:
    with connection.cursor() as db:
        db.execute(
            "UPDATE billing_cutoffs_metercommand SET lease_until = now() - interval '1 s' WHERE lease_until > now()"
        )


def calls(order: CutoffOrder) -> list[tuple[str, str, str]]:
    """(purpose, sent or asked, result) of every call for the order, in their order."""
    return [
        (attempt.command.purpose, "asked" if attempt.question else "sent", attempt.result)
        for attempt in CommandAttempt.objects.filter(command__order=order).select_related("command").order_by("pk")
    ]


def fresh(order: CutoffOrder) -> CutoffOrder:
    order.refresh_from_db()
    return order


def nothing_broken() -> None:
    assert proofs.invariants_broken() == {}
