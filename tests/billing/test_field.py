"""A person on site: what they saw, what they could not do, and what nobody may send them for."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from accounts.actor import Actor
from billing_cutoffs.models import AccountHold, CutoffOrder, MeterCommand
from billing_cutoffs.services import field
from billing_cutoffs.services.orders import Moved
from billing_cutoffs.services.reconnection import reconnect_now
from standards.errors import Forbidden
from tests.billing.meters import account_of, due_now, fresh, meter, nothing_broken, orders, pays, queue, turn
from tests.billing.test_reconnection import on_its_way, refused
from tests.factories.grid import SmallCity

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("meters")]


def by_hand(city: SmallCity, ben: Actor) -> CutoffOrder:
    (order,) = orders(city, ben)
    CutoffOrder.objects.update(method="field")
    queue(order)
    return fresh(order)


def test_a_person_switches_off_and_on_again(open_city: SmallCity, ben: Actor) -> None:
    order = by_hand(open_city, ben)

    field.confirm_off(order_id=order.pk, actor=ben, at=timezone.now(), reading="10233.4", note="seal 55")
    assert fresh(order).state == "disconnected"
    pays(account_of(order))
    assert (fresh(order).state, MeterCommand.objects.count()) == ("reconnect_commanded", 0)
    field.confirm_on(order_id=order.pk, actor=ben, at=timezone.now())

    assert fresh(order).state == "reconnected"
    assert order.steps.get(verb="confirm_off").facts == {"by": "person", "reading": "10233.4"}
    nothing_broken()


def test_a_person_who_cut_after_the_payment_sets_off_the_way_back(open_city: SmallCity, ben: Actor) -> None:
    order = by_hand(open_city, ben)
    pays(account_of(order))
    assert fresh(order).state == "commanded"

    field.confirm_off(order_id=order.pk, actor=ben, at=timezone.now())

    assert fresh(order).state == "reconnect_commanded"


def test_a_person_who_hears_of_the_payment_leaves_it_on(open_city: SmallCity, ben: Actor) -> None:
    order = by_hand(open_city, ben)
    pays(account_of(order))

    field.confirm_on(order_id=order.pk, actor=ben, at=timezone.now(), note="left as it was")

    assert (fresh(order).state, order.state_reason) == ("cancelled", "paid")
    nothing_broken()


def test_what_the_meter_would_not_do_a_person_does_inside_the_window(open_city: SmallCity, ben: Actor) -> None:
    (order,) = orders(open_city, ben)
    refused(order)

    field.send_out(order_id=order.pk, actor=ben)
    assert (fresh(order).state, order.method) == ("commanded", "field")
    field.visit_failed(order_id=order.pk, actor=ben, note="nobody at home")
    assert fresh(order).state == "failed"

    AccountHold.objects.create(account=account_of(order), kind="dispute", set_by_name="mei")
    with pytest.raises(field.Protected):
        field.send_out(order_id=order.pk, actor=ben)
    assert fresh(order).state == "failed"


def test_while_a_command_is_on_its_way_nobody_says_that_it_stays_on(open_city: SmallCity, ben: Actor) -> None:
    (order,) = orders(open_city, ben)
    on_its_way(order)

    with pytest.raises(field.StillInFlight):
        field.confirm_on(order_id=order.pk, actor=ben, at=timezone.now())
    assert fresh(order).state == "commanded"


@pytest.mark.parametrize("shift", [timedelta(hours=1), -timedelta(hours=1)])
def test_a_time_that_cannot_be_is_refused(open_city: SmallCity, ben: Actor, shift: timedelta) -> None:
    order = by_hand(open_city, ben)

    with pytest.raises(field.BadMoment):
        field.confirm_off(order_id=order.pk, actor=ben, at=timezone.now() + shift)
    assert fresh(order).state == "commanded"


def test_another_branch_and_an_old_page_change_nothing(open_city: SmallCity, ben: Actor, dora: Actor) -> None:
    order = by_hand(open_city, ben)

    with pytest.raises(Forbidden):
        field.confirm_off(order_id=order.pk, actor=dora, at=timezone.now())
    with pytest.raises(Moved):
        field.confirm_off(order_id=order.pk, actor=ben, at=timezone.now(), expected_version=order.version - 1)
    assert fresh(order).state == "commanded"


def test_nobody_is_sent_to_cut_who_is_ordered_back(open_city: SmallCity, ben: Actor) -> None:
    order = by_hand(open_city, ben)
    field.visit_failed(order_id=order.pk, actor=ben, note="nobody opened")
    CutoffOrder.objects.filter(pk=order.pk).update(reconnect_due_at=timezone.now() + timedelta(hours=3))

    with pytest.raises(Moved):
        field.send_out(order_id=order.pk, actor=ben)

    assert (fresh(order).state, order.state_reason) == ("failed", "visit_failed")


def test_a_visit_in_vain_after_the_payment_ends_the_order(open_city: SmallCity, ben: Actor) -> None:
    """Paid, and nobody opened: there is nothing to switch on, and no deadline that could pass."""
    order = by_hand(open_city, ben)
    pays(account_of(order))

    field.visit_failed(order_id=order.pk, actor=ben, note="nobody opened")

    assert (fresh(order).state, order.state_reason) == ("cancelled", "paid")
    nothing_broken()


def test_an_order_whose_meter_is_silent_is_not_forgotten(open_city: SmallCity, ben: Actor) -> None:
    (order,) = orders(open_city, ben)
    meter(order, "deaf")
    queue(order)
    for _ in range(20):
        turn()
        due_now()
    assert (fresh(order).state, order.state_reason) == ("failed", "no_reading")

    with pytest.raises(field.PerhapsOff):
        field.order_cancel(order_id=order.pk, actor=ben, reason="not worth it")
    assert fresh(order).state == "failed"
    with transaction.atomic():
        assert reconnect_now(order_ids=[order.pk], actor=ben, reason="wrong house", is_wrongful=True) == [order.pk]

    assert fresh(order).reconnect_due_at is not None
    assert order.commands.filter(state="uncertain").exists()  # the meter is asked again
