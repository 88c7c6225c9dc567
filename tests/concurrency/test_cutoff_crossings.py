"""What crosses a cut at one moment: a hold at the gate, a stop at the gate, an exclusion, a second proposal."""

from __future__ import annotations

import pytest
from django.db import transaction
from pytest_django import Settings

from accounts.actor import Actor
from billing_cutoffs.models import CommandAttempt, CutoffBatch, CutoffOrder, CutoffStep, HoldKind
from billing_cutoffs.services.batches import NothingToPropose, batch_propose, batch_withdraw, order_exclude
from billing_cutoffs.services.commands import commands_queue
from billing_cutoffs.services.decisions import batch_approve, batch_stop
from billing_cutoffs.services.holds import hold_set
from billing_cutoffs.services.proofs import invariants_broken
from billing_cutoffs.services.sending import commands_turn
from outages.lifecycle import IllegalTransition
from outages.models import SystemState
from tests.billing.calm import AT, calm_batch, calm_down, calm_order, mild
from tests.billing.proposing import submitted, window
from tests.billing.world import CLOCK, crowd_of_debtors, debtor
from tests.concurrency.test_outage_writers import refusals, together
from tests.factories import accounts
from tests.factories.grid import SmallCity

pytestmark = [pytest.mark.concurrency, pytest.mark.django_db(transaction=True)]

ROUNDS = range(3)


@pytest.fixture
def ben(city: SmallCity, settings: Settings) -> Actor:
    settings.METER_GATEWAY = "simulator"
    SystemState.objects.get_or_create(pk=1)
    return accounts.actor_of(accounts.user_with("billing_clerk", city.east, username="ben"))


@pytest.fixture
def queued(city: SmallCity, ben: Actor) -> CutoffBatch:
    """Eight orders whose commands have not left yet."""
    mild(city.east)
    of = calm_batch(city.east, ben)
    with transaction.atomic():
        orders = [calm_order(calm_down(account), of) for account in crowd_of_debtors(city, 8)]
        commands_queue(order_ids=[order.pk for order in orders], purpose="disconnect", actor=CLOCK, now=AT)
    return of


def sent() -> set[int]:
    return set(CommandAttempt.objects.filter(question=False).values_list("command__order", flat=True))


@pytest.mark.parametrize("round_", ROUNDS)
def test_whoever_is_held_first_is_not_sent_and_whoever_is_sent_first_is_not_held(
    queued: CutoffBatch, ben: Actor, round_: int
) -> None:
    protected = [order.case.account_id for order in queued.orders.select_related("case").order_by("pk")]

    answers = together(
        lambda: commands_turn(actor=CLOCK, now=AT),
        lambda: commands_turn(actor=CLOCK, now=AT),
        *[
            lambda pk=pk: hold_set(actor=ben, account_id=pk, kind=HoldKind.KEEP_POWER, reason="x", is_open_ended=True)
            for pk in protected[4:]
        ],
    )

    assert refusals(answers) == []
    held = set(CutoffOrder.objects.filter(state="held").values_list("pk", flat=True))
    assert held & sent() == set()
    assert held | sent() == set(queued.orders.values_list("pk", flat=True))
    assert not queued.orders.filter(pk__in=sent(), state__in=["warned", "held"]).exists()
    assert not any(invariants_broken().values())


@pytest.mark.parametrize("round_", ROUNDS)
def test_once_a_batch_is_stopped_nothing_leaves(queued: CutoffBatch, ben: Actor, round_: int) -> None:
    together(
        lambda: commands_turn(actor=CLOCK, now=AT),
        lambda: commands_turn(actor=CLOCK, now=AT),
        lambda: batch_stop(actor=ben, reference=queued.reference, reason="x"),
    )

    stopped_at = CutoffStep.objects.get(verb="stop").pk
    assert not CutoffStep.objects.filter(verb="command", pk__gt=stopped_at).exists()
    left = sent()
    commands_turn(actor=CLOCK, now=AT)
    assert sent() == left


@pytest.mark.parametrize("round_", ROUNDS)
def test_what_is_left_out_is_not_approved(city: SmallCity, ben: Actor, round_: int) -> None:
    crowd_of_debtors(city, 3)
    of = submitted(city.east, ben)
    otto = accounts.actor_of(accounts.user_with("approver", city.east, username="otto"))
    one = of.orders.order_by("pk")[0]

    def leave_one_out() -> None:
        batch_withdraw(actor=ben, reference=of.reference)
        order_exclude(actor=ben, order_id=one.pk, reason="moved away")

    answers = together(
        lambda: batch_approve(actor=otto, reference=of.reference, typed_count=3, is_confirmed=True), leave_one_out
    )

    assert refusals(answers) == [IllegalTransition]
    of.refresh_from_db()
    states = sorted(of.orders.values_list("state", flat=True))
    assert (of.state, states) in [
        ("approved", ["approved"] * 3),
        ("draft", ["cancelled", "eligible", "eligible"]),
    ]


def test_proposed_twice_at_once_there_is_one_batch(city: SmallCity, ben: Actor) -> None:
    debtor(city, "SP0001")
    when = window(city.east)

    answers = together(*[lambda: batch_propose(actor=ben, branch_id=city.east.pk, **when)] * 4)

    assert refusals(answers) == [NothingToPropose] * 3
    assert CutoffBatch.objects.count() == CutoffOrder.objects.count() == 1
