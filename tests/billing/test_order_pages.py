"""The pages of orders: what they show, to whom, and what a person does there."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone, translation

from accounts.actor import Actor
from accounts.models import AccessEvent, User
from billing_cutoffs.models import CutoffOrder
from tests.billing.meters import account_of, due_now, fresh, meter, orders, pays, queue, turn
from tests.factories.grid import SmallCity

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("meters")]


@pytest.fixture
def bens(client: Client, ben_user: User) -> Client:
    client.force_login(ben_user)
    return client


def page(client: Client, url: str) -> str:
    response = client.get(url)
    assert response.status_code == 200, (url, response.status_code)
    return str(response.content.decode())


def test_an_order_shows_every_call_and_every_answer(open_city: SmallCity, ben: Actor, bens: Client) -> None:
    (order,) = orders(open_city, ben)
    meter(order, "mute")
    queue(order)
    turn()
    due_now()
    turn()

    shown = page(bens, f"/cutoffs/orders/{order.reference}/")

    assert "switch off" in shown.lower()
    assert shown.count("taken, the answer follows") == 1
    assert "switched off" in shown
    assert order.service_point.customer.name not in shown  # masked
    assert AccessEvent.objects.filter(object_ref=order.reference).count() == 1


@pytest.mark.parametrize("state", ["eligible", "warned", "commanded", "failed", "disconnected", "reconnected"])
@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_an_order_in_every_state_has_a_page(
    open_city: SmallCity, ben: Actor, bens: Client, state: str, language: str
) -> None:
    (order,) = orders(open_city, ben, state=state)
    with translation.override(language):
        assert order.reference in page(bens, f"/cutoffs/orders/{order.reference}/")


def test_another_branch_sees_nothing(open_city: SmallCity, ben: Actor, client: Client, dora_user: User) -> None:
    (order,) = orders(open_city, ben, state="failed")
    client.force_login(dora_user)

    for url in (f"/cutoffs/orders/{order.reference}/", f"/cutoffs/orders/{order.reference}/steps/cancel/"):
        assert client.get(url).status_code == 404
    for url in ("/cutoffs/reconnections/", "/cutoffs/failures/", "/cutoffs/slips/", "/cutoffs/failures.csv"):
        body = b"".join(client.get(url))
        assert order.reference.encode() not in body


def test_a_person_says_that_it_is_off(open_city: SmallCity, ben: Actor, bens: Client) -> None:
    (order,) = orders(open_city, ben)
    CutoffOrder.objects.update(method="field")
    queue(order)
    url = f"/cutoffs/orders/{order.reference}/steps/off/"
    assert "Seen at" in page(bens, url)
    at = timezone.localtime().strftime("%Y-%m-%dT%H:%M")

    refused = bens.post(url, {"version": fresh(order).version, "at": "2099-01-01T10:00", "reading": "", "note": ""})
    assert (refused.status_code, fresh(order).state) == (422, "commanded")
    done = bens.post(url, {"version": order.version, "at": at, "reading": "12", "note": "sealed"})

    assert (done.status_code, fresh(order).state) == (302, "disconnected")


def test_an_old_page_is_shown_again_with_what_was_typed(open_city: SmallCity, ben: Actor, bens: Client) -> None:
    (order,) = orders(open_city, ben, state="failed")
    url = f"/cutoffs/orders/{order.reference}/steps/cancel/"

    response = bens.post(url, {"version": order.version + 5, "reason": "it was a mistake"})

    assert response.status_code == 409
    assert "it was a mistake" in response.content.decode()
    assert fresh(order).state == "failed"


def test_a_step_that_is_over_leads_back(open_city: SmallCity, ben: Actor, bens: Client) -> None:
    (order,) = orders(open_city, ben, state="reconnected")

    response = bens.get(f"/cutoffs/orders/{order.reference}/steps/cancel/")

    assert response.headers["Location"] == f"/cutoffs/orders/{order.reference}/"


def test_late_reconnections_come_first_and_say_how_late(open_city: SmallCity, ben: Actor, bens: Client) -> None:
    soon, late = orders(open_city, ben, 2, state="reconnect_failed")
    CutoffOrder.objects.filter(pk=late.pk).update(reconnect_due_at=timezone.now() - timedelta(hours=3))

    shown = page(bens, "/cutoffs/reconnections/")
    listed = b"".join(bens.get("/cutoffs/reconnections.csv")).decode()

    assert shown.index(late.reference) < shown.index(soon.reference)
    assert "3 h 00 late" in shown
    assert [line.split(",")[0] for line in listed.splitlines()[1:]] == [late.reference, soon.reference]


def test_said_to_be_safe_with_one_click(open_city: SmallCity, ben: Actor, bens: Client) -> None:
    (order,) = orders(open_city, ben)
    queue(order)
    turn()
    CutoffOrder.objects.update(reconnect_mode="safe")
    pays(account_of(order))
    assert "Customer says it is safe" in page(bens, "/cutoffs/reconnections/")

    bens.post(f"/cutoffs/reconnections/{order.reference}/safe/")

    assert fresh(order).state == "reconnect_commanded"


def test_failures_say_what_next(open_city: SmallCity, ben: Actor, bens: Client) -> None:
    (order,) = orders(open_city, ben)
    meter(order, "refuses")
    queue(order)
    turn()

    shown = page(bens, "/cutoffs/failures/")

    assert order.reference in shown
    assert "Send somebody there, or end the order." in shown


def test_slips_are_printed_for_what_is_ticked(open_city: SmallCity, ben: Actor, bens: Client) -> None:
    one, other = orders(open_city, ben, 2)
    CutoffOrder.objects.update(method="field")
    queue(one, other)
    assert "Switch off" in page(bens, "/cutoffs/slips/")

    printed = page(bens, f"/cutoffs/slips/?print=1&order={one.reference}")

    assert one.reference in printed
    assert other.reference not in printed
    assert "The number on the meter is the number on this slip" in printed
    assert AccessEvent.objects.filter(object_type="cutoff_slips").count() == 1


def test_a_slip_of_a_paid_order_says_do_not_cut(open_city: SmallCity, ben: Actor, bens: Client) -> None:
    (order,) = orders(open_city, ben)
    CutoffOrder.objects.update(method="field")
    queue(order)
    pays(account_of(order))

    assert "do not cut" in page(bens, "/cutoffs/slips/?print=1")


@pytest.mark.parametrize("url", ["/cutoffs/reconnections/", "/cutoffs/failures/", "/cutoffs/slips/"])
def test_a_long_list_costs_the_same_statements(
    open_city: SmallCity, ben: Actor, bens: Client, url: str, django_assert_max_num_queries: object
) -> None:
    made = orders(open_city, ben, 12, state="reconnect_failed")
    with django_assert_max_num_queries(20):  # type: ignore[operator]
        shown = page(bens, url)

    assert all(order.reference in shown for order in made)
