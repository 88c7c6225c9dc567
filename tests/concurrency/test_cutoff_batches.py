"""Several people and turns at one batch at one moment: each order goes once, and whoever was slower is told."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from django.db import transaction
from pytest_django import Settings

from accounts.actor import Actor
from billing_cutoffs.models import BillingAccount, CutoffBatch, CutoffOrder, CutoffStep, MeterCommand
from billing_cutoffs.services.decisions import batch_approve, batch_undo
from billing_cutoffs.services.running import batches_turn
from outages.lifecycle import IllegalTransition
from outages.models import SystemState
from tests.billing.calm import AT, calm_batch, calm_down, calm_order, mild
from tests.billing.proposing import submitted
from tests.billing.world import CLOCK, crowd_of_debtors, debtor
from tests.concurrency.test_outage_writers import refusals, together
from tests.factories import accounts
from tests.factories.grid import SmallCity

pytestmark = [pytest.mark.concurrency, pytest.mark.django_db(transaction=True)]

TURNS = 6


@pytest.fixture
def ben(city: SmallCity) -> Actor:
    SystemState.objects.get_or_create(pk=1)
    return accounts.actor_of(accounts.user_with("billing_clerk", city.east, username="ben"))


def running(city: SmallCity, ben: Actor, people: Sequence[BillingAccount], rate: int) -> CutoffBatch:
    mild(city.east)
    of = calm_batch(city.east, ben, rate_per_hour=rate)
    with transaction.atomic():
        for account in people:
            calm_order(calm_down(account), of)
    CutoffStep.objects.create(batch=of, verb="draw", actor_kind="system", actor_name="cut-offs")
    return of


def test_turns_at_once_order_nobody_off_twice_and_keep_the_rate(
    city: SmallCity, ben: Actor, settings: Settings
) -> None:
    settings.METER_GATEWAY = "simulator"
    running(city, ben, crowd_of_debtors(city, 12), rate=7)

    together(*[lambda: batches_turn(actor=CLOCK, now=AT)] * TURNS)

    ordered = list(MeterCommand.objects.values_list("order", flat=True))
    assert len(ordered) == len(set(ordered)) == 7


def test_taking_back_while_turns_are_taken_leaves_nothing_under_way(
    city: SmallCity, ben: Actor, settings: Settings
) -> None:
    settings.METER_GATEWAY = "simulator"
    of = running(city, ben, crowd_of_debtors(city, 12), rate=600)

    together(
        *[lambda: batches_turn(actor=CLOCK, now=AT)] * TURNS,
        lambda: batch_undo(actor=ben, reference=of.reference, reason="Wrong month"),
    )

    assert CutoffBatch.objects.get().state == "undone"
    assert set(CutoffOrder.objects.values_list("state", flat=True)) == {"cancelled"}
    assert not MeterCommand.objects.exclude(state="withdrawn").exists()


def test_of_two_approvers_at_once_one_approves(city: SmallCity, ben: Actor) -> None:
    debtor(city, "SP0001")
    of = submitted(city.east, ben)
    two = [accounts.actor_of(accounts.user_with("approver", city.east, username=name)) for name in ("otto", "olga")]

    answers = together(
        *[
            lambda actor=actor: batch_approve(actor=actor, reference=of.reference, typed_count=1, is_confirmed=True)
            for actor in two
        ]
    )

    assert refusals(answers) == [IllegalTransition]
    assert CutoffStep.objects.filter(order=None, verb="approve").count() == 1
    assert CutoffStep.objects.filter(order__isnull=False, verb="approve").count() == 1
