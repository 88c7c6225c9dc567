"""The protections applied: who is held with which reasons, who comes back, and what takes two people."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, transaction
from django.db.models import Model
from django.test.utils import CaptureQueriesContext

from accounts.actor import Actor
from billing_cutoffs import policies
from billing_cutoffs.models import (
    AccountHold,
    Bill,
    BillingAccount,
    Clearance,
    CommandState,
    CutoffBatch,
    CutoffOrder,
    CutoffStep,
    DebtNotice,
    MeterCommand,
)
from billing_cutoffs.protections import Stage
from billing_cutoffs.services.guards import (
    Guarded,
    HeldAlready,
    NoReason,
    NotHeld,
    NothingToClear,
    OwnHold,
    order_clear,
    order_hold,
    order_release,
    orders_guard,
)
from billing_cutoffs.services.orders import Moved
from grid.models import ServicePoint
from standards.errors import Forbidden
from tests.billing.calm import AT, CLOSES, OPENS, calm_batch, calm_debtor, calm_down, calm_order, mild
from tests.billing.world import CLOCK, crowd_of_debtors
from tests.factories import accounts
from tests.factories.grid import SmallCity


@pytest.fixture
def batch(city: SmallCity, ben: Actor) -> CutoffBatch:
    mild(city.bureau)
    return calm_batch(city.east, ben)


@pytest.fixture
def order(city: SmallCity, batch: CutoffBatch) -> CutoffOrder:
    return calm_order(calm_debtor(city), batch)


def guard(*orders: CutoffOrder, stage: Stage = "command", **asked: Any) -> Guarded:
    with transaction.atomic():
        return orders_guard(order_ids=[one.pk for one in orders], stage=stage, actor=CLOCK, at=AT, **asked)


def bar(order: CutoffOrder, kind: str = "dispute", **facts: Any) -> AccountHold:
    return AccountHold.objects.create(
        account=order.case.account, kind=kind, set_by_name="ben", since=AT - timedelta(days=1), **facts
    )


def state_of(order: CutoffOrder) -> tuple[str, list[str]]:
    order.refresh_from_db()
    return order.state, [said["code"] for said in order.holds]


def history(order: CutoffOrder) -> list[tuple[str, str, str]]:
    return list(order.steps.values_list("verb", "before", "after"))


def everything() -> dict[str, list[dict[str, Any]]]:
    models: tuple[type[Model], ...] = (CutoffOrder, CutoffStep, Clearance, MeterCommand, AccountHold)
    return {model.__name__: list(model._default_manager.order_by("pk").values()) for model in models}


# --- held, and back -----------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["eligible", "approved", "noticed", "warned"])
def test_who_is_protected_is_held_with_the_reasons_and_comes_back_to_where_they_were(
    city: SmallCity, batch: CutoffBatch, state: str
) -> None:
    order = calm_order(calm_debtor(city), batch, state=state)
    dispute = bar(order)

    assert guard(order, stage="propose") == Guarded(held=(order.pk,))
    assert state_of(order) == ("held", ["dispute"])
    dispute.delete()
    assert guard(order, stage="propose") == Guarded(freed=(order.pk,), clear=(order.pk,))

    assert state_of(order) == (state, [])
    assert history(order) == [("hold", state, "held"), ("release", "held", state)]


def test_the_history_says_at_which_stage_and_why(order: CutoffOrder) -> None:
    bar(order, "promise", until=AT + timedelta(days=2), amount=Decimal("100.00"))

    guard(order)

    [step] = order.steps.all()
    promise = {
        "code": "promise", "needs": "time", "until": "2024-03-15T10:30:00+08:00",
        "detail": {"amount": "100.00", "pack": "cn-sgcc"},
    }  # fmt: skip
    assert step.facts == {"stage": "command", "holds": [promise]}
    order.refresh_from_db()
    assert order.holds == [promise]


def test_other_reasons_are_written_without_a_line_in_the_history(order: CutoffOrder) -> None:
    first = bar(order)
    guard(order)
    first.delete()
    bar(order, "keep_power")

    assert guard(order) == Guarded(held=(order.pk,))

    assert state_of(order) == ("held", ["keep_power"])
    assert history(order) == [("hold", "warned", "held")]


def test_the_same_again_writes_nothing(order: CutoffOrder) -> None:
    bar(order)
    guard(order)
    before = everything()

    guard(order)

    assert everything() == before


def test_what_nothing_stands_against_stays_untouched(order: CutoffOrder) -> None:
    before = everything()

    assert guard(order) == Guarded(clear=(order.pk,))

    assert everything() == before


@pytest.mark.parametrize("state", ["commanded", "disconnected", "cancelled"])
def test_what_is_past_the_command_is_not_the_guards_business(city: SmallCity, batch: CutoffBatch, state: str) -> None:
    order = calm_order(calm_debtor(city), batch, state=state)
    bar(order)
    before = everything()

    assert guard(order) == Guarded()

    assert everything() == before


@pytest.mark.debts_by_hand
def test_whoever_has_paid_is_done_even_while_held(order: CutoffOrder) -> None:
    bar(order)
    guard(order)
    BillingAccount.objects.update(overdue=0, oldest_due_on=None)
    Bill.objects.all().delete()

    assert guard(order) == Guarded(ended=(order.pk,))

    assert (state_of(order)[0], order.state_reason) == ("cancelled", "paid")
    assert not DebtNotice.objects.filter(order=order, void_at=None).exists()


def test_a_queued_command_is_withdrawn_with_the_hold(order: CutoffOrder) -> None:
    command = MeterCommand.objects.create(
        order=order, purpose="disconnect", meter_number="M0001", expires_at=CLOSES, queued_at=OPENS
    )
    bar(order)

    guard(order)

    command.refresh_from_db()
    assert command.state == CommandState.WITHDRAWN


def test_it_works_inside_a_transaction_only(transactional_db: None) -> None:
    with pytest.raises(ImproperlyConfigured):
        orders_guard(order_ids=[1], stage="propose", actor=CLOCK)


def test_many_orders_take_as_many_statements_as_a_few(city: SmallCity, batch: CutoffBatch) -> None:
    orders = [calm_order(calm_down(account), batch) for account in crowd_of_debtors(city, 40)]
    for one in orders:
        bar(one)

    counted = []
    for some in (orders[:5], orders[5:]):
        with CaptureQueriesContext(
            connection,
        ) as asked:
            assert len(guard(*some).held) == len(some)
        counted.append(len(asked))

    assert counted[0] == counted[1]


# --- a person's own hold ------------------------------------------------------------------------------


def test_a_person_holds_a_line_and_another_ends_it(
    order: CutoffOrder, ben: Actor, otto: Actor, any_day: Callable[[], None]
) -> None:
    order_hold(order_id=order.pk, actor=ben, reason=" asks for a visit ")
    order.refresh_from_db()
    assert (order.state, order.held_by_id, order.hold_reason) == ("held", ben.user_id, "asks for a visit")
    any_day()

    order_release(order_id=order.pk, actor=otto, reason="was there")

    order.refresh_from_db()
    assert (order.state, order.held_by_id, order.hold_reason) == ("warned", None, "")
    assert history(order) == [("hold", "warned", "held"), ("unhold", "held", "held"), ("release", "held", "warned")]


def test_a_persons_hold_outlasts_the_guards(order: CutoffOrder, ben: Actor) -> None:
    dispute = bar(order)
    guard(order)
    order_hold(order_id=order.pk, actor=ben, reason="I look into it")
    dispute.delete()

    assert guard(order) == Guarded(held=(order.pk,))

    assert state_of(order) == ("held", [])
    assert history(order) == [("hold", "warned", "held"), ("hold", "held", "held")]


def test_ending_a_persons_hold_leaves_what_else_stands_against_it(order: CutoffOrder, ben: Actor, otto: Actor) -> None:
    order_hold(order_id=order.pk, actor=ben, reason="asks for a visit")
    AccountHold.objects.create(account=order.case.account, kind="dispute", set_by_name="billing")

    order_release(order_id=order.pk, actor=otto)

    state, codes = state_of(order)
    assert state == "held"
    assert "dispute" in codes


def test_nobody_ends_their_own_hold(city: SmallCity, order: CutoffOrder, otto: Actor) -> None:
    order_hold(order_id=order.pk, actor=otto, reason="asks for a visit")
    before = everything()

    with pytest.raises(OwnHold):
        order_release(order_id=order.pk, actor=otto)

    assert everything() == before


def test_who_proposes_does_not_end_holds_and_foreigners_do_nothing(
    order: CutoffOrder, ben: Actor, dora: Actor, otto: Actor
) -> None:
    order_hold(order_id=order.pk, actor=otto, reason="asks for a visit")
    before = everything()

    with pytest.raises(Forbidden):
        order_release(order_id=order.pk, actor=ben)
    for verb in (order_hold, order_release):
        with pytest.raises(Forbidden):
            verb(order_id=order.pk, actor=dora, reason="mine")
    with pytest.raises(Forbidden):
        order_clear(order_id=order.pk, actor=dora, code="shared_meter", reason="mine")

    assert everything() == before


def test_a_hold_says_why_and_stands_once(order: CutoffOrder, ben: Actor, otto: Actor) -> None:
    with pytest.raises(NoReason):
        order_hold(order_id=order.pk, actor=ben, reason="  ")
    with pytest.raises(NotHeld):
        order_release(order_id=order.pk, actor=otto)
    order_hold(order_id=order.pk, actor=ben, reason="asks for a visit")
    before = everything()

    with pytest.raises(HeldAlready):
        order_hold(order_id=order.pk, actor=otto, reason="me too")
    with pytest.raises(Moved):
        order_release(order_id=order.pk, actor=otto, expected_version=order.version)

    assert everything() == before


def test_what_has_left_for_the_meter_cannot_be_held(city: SmallCity, batch: CutoffBatch, ben: Actor) -> None:
    order = calm_order(calm_debtor(city), batch, state="commanded")
    before = everything()

    with pytest.raises(Moved):
        order_hold(order_id=order.pk, actor=ben, reason="stop")

    assert everything() == before


# --- what a person answers for ------------------------------------------------------------------------


@pytest.fixture
def shared(order: CutoffOrder) -> CutoffOrder:
    ServicePoint.objects.filter(code="SP0002").update(meter_number=order.service_point.meter_number)
    guard(order)
    return order


def test_somebody_who_may_approve_answers_for_a_shared_meter(shared: CutoffOrder, otto: Actor) -> None:
    assert state_of(shared) == ("held", ["shared_meter"])

    order_clear(order_id=shared.pk, code="shared_meter", actor=otto, reason="the neighbour has a meter of his own now")

    assert guard(shared).clear == (shared.pk,)
    assert state_of(shared) == ("warned", [])
    assert list(Clearance.objects.values_list("code", "reason", "by", "by_name")) == [
        ("shared_meter", "the neighbour has a meter of his own now", otto.user_id, otto.name)
    ]
    assert [verb for verb, _before, _after in history(shared)].count("clear") == 1


def test_nobody_answers_for_a_line_of_their_own_batch(city: SmallCity, shared: CutoffOrder) -> None:
    both = accounts.user_with("approver", city.east, username="ben")
    before = everything()

    with pytest.raises(policies.OwnBatch):
        order_clear(order_id=shared.pk, code="shared_meter", actor=accounts.actor_of(both), reason="fine")

    assert everything() == before


@pytest.mark.parametrize("code", ["dispute", "life_support", "paid", "nonsense"])
def test_only_what_stands_against_it_and_needs_a_person_can_be_answered_for(
    shared: CutoffOrder, otto: Actor, code: str
) -> None:
    bar(shared)
    before = everything()

    with pytest.raises(NothingToClear):
        order_clear(order_id=shared.pk, code=code, actor=otto, reason="fine")
    with pytest.raises(NoReason):
        order_clear(order_id=shared.pk, code="shared_meter", actor=otto, reason="")

    assert everything() == before
