"""Another customer moves into premises that are off, or about to be: their supply is not held for somebody's debt."""

from __future__ import annotations

import pytest
from django.db import transaction
from django.utils import timezone

from accounts.actor import Actor
from billing_cutoffs.models import CutoffOrder
from billing_cutoffs.services.guards import orders_guard
from billing_cutoffs.services.newcomers import newcomers_reconnect
from grid.models import ServicePoint
from outages.models import Outage
from tests.billing.meters import CLOCK, fresh, orders, queue, turn
from tests.factories.grid import SmallCity

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("meters")]


def moves_in(city: SmallCity, order: CutoffOrder) -> None:
    newcomer = city.service_points["SP0005"].customer
    ServicePoint.objects.filter(pk=order.service_point_id).update(customer=newcomer)


def test_who_is_off_for_anothers_debt_is_switched_on_and_it_is_alarmed(open_city: SmallCity, ben: Actor) -> None:
    stays, left = orders(open_city, ben, 2)
    queue(stays, left)
    turn()
    moves_in(open_city, left)

    assert newcomers_reconnect(actor=CLOCK) == 1

    one = fresh(left)
    assert (one.state, one.is_wrongful, one.paid_at) == ("reconnect_commanded", True, None)
    assert one.reconnect_due_at is not None
    assert one.reconnect_due_at <= timezone.now()
    assert one.steps.get(verb="pay").note == "moved_in"
    assert Outage.objects.get(cutoff_order=one).public_reason_en == "a mistake of ours"
    assert fresh(stays).state == "disconnected"
    assert newcomers_reconnect(actor=CLOCK) == 0
    turn()
    assert fresh(left).state == "reconnected"


def test_who_is_being_switched_off_comes_back_as_soon_as_it_is_known(open_city: SmallCity, ben: Actor) -> None:
    (order,) = orders(open_city, ben, 1, state="commanded")
    moves_in(open_city, order)

    assert newcomers_reconnect(actor=CLOCK) == 1

    assert (fresh(order).state, fresh(order).is_wrongful) == ("commanded", True)
    assert order.steps.filter(verb="want_back").count() == 1


def test_who_has_not_been_switched_off_is_held(open_city: SmallCity, ben: Actor) -> None:
    (order,) = orders(open_city, ben, 1)
    moves_in(open_city, order)

    with transaction.atomic():
        orders_guard(order_ids=[order.pk], stage="command", actor=CLOCK)

    assert (fresh(order).state, [said["code"] for said in fresh(order).holds]) == ("held", ["place_unknown"])
    assert newcomers_reconnect(actor=CLOCK) == 0
