"""Who owes what stands in no log, no event, no address of health and no public page, at whatever step."""

from __future__ import annotations

import logging

import pytest
from django.test import Client

from accounts.actor import Actor
from billing_cutoffs.models import HoldKind
from billing_cutoffs.services.holds import hold_set
from outages.models import OutageEvent
from tests.billing.meters import account_of, fresh, orders, pays, queue, turn
from tests.factories.grid import SmallCity

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("meters")]


def test_a_cut_and_its_way_back_tell_nobody_who_owes_what(
    open_city: SmallCity, ben: Actor, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    held, cut = orders(open_city, ben, 2)
    hold_set(actor=ben, account_id=held.case.account_id, kind=HoldKind.MEDICAL, reason="dialysis at home")
    queue(held, cut)
    turn()
    assert (fresh(held).state, fresh(cut).state) == ("held", "disconnected")
    pays(account_of(cut))
    turn()
    assert fresh(cut).state == "reconnected"

    customer = cut.case.account.customer
    secrets = (
        customer.name, customer.account_number, f"{cut.amount:.2f}", cut.service_point.meter_number, "dialysis",
    )  # fmt: skip
    events = OutageEvent.objects.filter(outage=fresh(cut).outage_id)
    assert events.count() >= 3
    said = {"log": caplog.text, "events": str(list(events.values()))}
    said |= {page: Client().get(page).content.decode() for page in ("/healthz", "/metrics", "/")}
    assert [(where, secret) for where, text in said.items() for secret in secrets if secret in text] == []
