"""The one writer of an order's state."""

from __future__ import annotations

import pytest
from django.db import transaction

from accounts.actor import Actor
from billing_cutoffs.models import CutoffStep
from billing_cutoffs.services.orders import Moved, order_lock, order_step, orders_step
from outages.lifecycle import IllegalTransition
from standards.errors import NotFound
from tests.billing import world
from tests.factories.grid import SmallCity

pytestmark = pytest.mark.django_db


def test_many_orders_take_one_step_and_the_others_stay(city: SmallCity, ben: Actor, otto: Actor) -> None:
    # given one order that may be approved and one that has ended
    batch = world.batch(city.east, ben)
    one = world.order(world.debtor(city, "SP0001"), batch)
    gone = world.order(world.debtor(city, "SP0003"), batch, state="cancelled")
    # when both are asked to take the step
    with transaction.atomic():
        moved = orders_step(order_ids=[gone.pk, one.pk], action="approve", actor=otto, note="as proposed")
    # then only the first one has moved, and the history says by whom
    assert moved == [one.pk]
    one.refresh_from_db()
    gone.refresh_from_db()
    assert (one.state, one.version, gone.state, gone.version) == ("approved", 2, "cancelled", 1)
    step = CutoffStep.objects.get()
    assert (step.order_id, step.verb, step.before, step.after, step.actor_name, step.note) == (
        one.pk, "approve", "eligible", "approved", otto.name, "as proposed",
    )  # fmt: skip


def test_a_held_order_goes_back_to_where_it_was(city: SmallCity, ben: Actor) -> None:
    order = world.order(world.debtor(city), world.batch(city.east, ben), state="noticed")
    with transaction.atomic():
        orders_step(order_ids=[order.pk], action="hold", actor=ben, hold_reason="calls back tomorrow")
    order.refresh_from_db()
    assert (order.state, order.state_before_hold, order.hold_reason) == ("held", "noticed", "calls back tomorrow")
    with transaction.atomic():
        orders_step(order_ids=[order.pk], action="release", actor=ben, hold_reason="")
    order.refresh_from_db()
    assert (order.state, order.state_before_hold) == ("noticed", "")


def test_one_order_that_may_not_take_the_step_says_so_and_stays(city: SmallCity, ben: Actor) -> None:
    order = world.order(world.debtor(city), world.batch(city.east, ben))
    with pytest.raises(IllegalTransition), transaction.atomic():
        order_step(order=order_lock(order.pk), action="command", actor=ben)
    order.refresh_from_db()
    assert (order.state, order.version, CutoffStep.objects.count()) == ("eligible", 1, 0)


def test_whoever_decided_on_an_older_version_is_told(city: SmallCity, ben: Actor) -> None:
    order = world.order(world.debtor(city), world.batch(city.east, ben))
    with transaction.atomic():
        orders_step(order_ids=[order.pk], action="hold", actor=ben)
    with pytest.raises(Moved) as refused, transaction.atomic():
        order_lock(order.pk, expected_version=1)
    assert refused.value.code == "order_moved"
    with pytest.raises(NotFound), transaction.atomic():
        order_lock(order.pk + 1)


def test_a_thousand_orders_cost_one_statement(
    city: SmallCity, ben: Actor, django_assert_num_queries: pytest.FixtureRequest
) -> None:
    batch = world.batch(city.east, ben)
    ids = [world.order(account, batch).pk for account in world.crowd_of_debtors(city, 12)]
    with transaction.atomic(), django_assert_num_queries(1):  # type: ignore[operator]
        assert orders_step(order_ids=ids, action="approve", actor=ben) == ids


def test_a_step_writes_only_what_belongs_to_a_step(city: SmallCity, ben: Actor) -> None:
    order = world.order(world.debtor(city), world.batch(city.east, ben))
    with pytest.raises(LookupError), transaction.atomic():
        orders_step(order_ids=[order.pk], action="approve", actor=ben, amount="0.01")
