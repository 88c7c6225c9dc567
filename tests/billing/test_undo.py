"""Taken back while nobody knows whether a supply is off, or while it is on its way back already."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from accounts.actor import Actor
from billing_cutoffs.models import CutoffStep, MeterCommand
from billing_cutoffs.services.decisions import batch_undo
from tests.billing.proposing import states
from tests.billing.world import batch as batch_of
from tests.billing.world import debtor, order
from tests.factories.grid import SmallCity

DAY = timedelta(days=1)


def test_taking_back_leaves_to_a_person_what_a_silent_meter_may_have_switched_off(
    city: SmallCity, ben: Actor, otto: Actor
) -> None:
    batch = batch_of(city.east, ben, state="running", approved_at=timezone.now())
    silent = order(debtor(city, "SP0001"), batch, state="failed")
    MeterCommand.objects.create(
        order=silent, purpose="disconnect", meter_number="M1", state="failed", answer="no_reading",
        expires_at=timezone.now(),
    )  # fmt: skip

    batch_undo(actor=ben, reference=batch.reference, reason="Wrong month")

    assert list(states(batch).values()) == ["failed"]
    assert CutoffStep.objects.get(verb="undo").facts == {"ended": 0, "off": 1, "switched_on": 0}


def test_what_is_on_its_way_back_already_does_not_hinder_taking_back(city: SmallCity, ben: Actor, otto: Actor) -> None:
    batch = batch_of(city.east, ben, state="running", approved_at=timezone.now())
    due = timezone.now() + DAY
    order(debtor(city, "SP0001"), batch, state="commanded", paid_at=timezone.now(), reconnect_due_at=due)

    after = batch_undo(actor=otto, reference=batch.reference, reason="Wrong month", reconnect_all=True)

    assert after.state == "undone"
    assert list(after.orders.values_list("state", "reconnect_due_at")) == [("commanded", due)]
