"""An event in the one record: everybody counted once, the places frozen, who is off anyway, what the page shows."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, transaction
from django.db.models import Sum
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.actor import Actor
from accounts.models import User
from grid.models import GridElement
from outages.load_shedding.kinds import LoadSheddingHandler, slot_of
from outages.load_shedding.models import SheddingPlan
from outages.load_shedding.preview import preview_of
from outages.load_shedding.rotation import Span
from outages.load_shedding.services import changes, choices, events, slots
from outages.models import Interruption, Outage
from outages.services import outage_open
from tests.factories.grid import SmallCity
from tests.shedding import happening
from tests.shedding.happening import HOUR, MINUTE, announced, minute, ordered, plan_ready


@pytest.fixture
def made(city: SmallCity, asha: Actor, otto: Actor) -> SheddingPlan:
    return plan_ready(city, asha, otto)


def places_of(outage: Outage) -> set[str]:
    return set(Interruption.objects.filter(outage=outage).values_list("element__code", flat=True))


def test_who_was_confirmed_is_who_is_off_however_the_network_is_switched_by_then(
    city: SmallCity, made: SheddingPlan, asha: Actor, otto: Actor
) -> None:
    # the tie is closed and L12 open: T12 hangs on the other feeder when the event is announced
    GridElement.objects.filter(pk=city.id("L12")).update(is_open=True)
    GridElement.objects.filter(pk=city.id("K")).update(is_open=False)

    event = announced(asha, otto, made, blocks=["A"], mw=1.0)

    outage = happening.slot_of(event, "A").outage
    assert outage is not None
    assert (places_of(outage), outage.customers_affected) == ({"T11", "T12"}, 3)


def test_a_customer_behind_two_places_counts_once_for_each_place_and_each_place_once(
    made: SheddingPlan, asha: Actor, otto: Actor
) -> None:
    event = announced(asha, otto, made, blocks=["A", "B"], mw=3.0)
    assert event.starts_at is not None
    spans = [Span(code, event.starts_at, event.starts_at + HOUR) for code in ("A", "B", "A")]

    own = list(event.slots.values_list("outage_id", flat=True))
    preview = preview_of(plan=made, spans=spans, apart_from=[pk for pk in own if pk is not None])

    assert preview.customers == 5
    assert Outage.objects.aggregate(n=Sum("customers_affected"))["n"] == 5


def test_what_is_off_by_a_fault_relieves_nothing(city: SmallCity, made: SheddingPlan, asha: Actor, otto: Actor) -> None:
    outage_open(kind="fault", action="start", actor=asha, element_ids=city.ids("U22"), started_at=timezone.now())
    event = ordered(asha, made, mw=4.0)

    rows = {row.letter: row for row in events.proposals_make(actor=asha, event_id=event.pk)}

    assert {code for row in rows.values() for code in choices.blocks_of(row)} == {"A", "B"}
    assert rows["A"].shortfall_mw == pytest.approx(1.0, abs=0.01)


def test_a_slot_during_a_fault_leaves_the_fault_to_itself(
    city: SmallCity, made: SheddingPlan, asha: Actor, otto: Actor
) -> None:
    fault = outage_open(
        kind="fault", action="start", actor=asha, element_ids=city.ids("T12"), started_at=timezone.now() - HOUR
    )
    event = announced(asha, otto, made, blocks=["A"], mw=1.0, starts_at=minute(), is_emergency=True)
    slot = happening.slot_of(event, "A")
    assert slot.mw_planned < 1.0  # T12 is off anyway
    slots.slot_off(actor=asha, slot_id=slot.pk)
    slots.slot_on(actor=asha, slot_id=slot.pk, at=timezone.now() + MINUTE)

    fault.refresh_from_db()
    assert (fault.status, fault.customers_out) == ("active", 1)


def test_the_page_of_a_slots_outage_shows_event_and_block(
    made: SheddingPlan, asha: Actor, otto: Actor, asha_user: User, client: Client
) -> None:
    event = announced(asha, otto, made, blocks=["A"], mw=1.0)
    outage = happening.slot_of(event, "A").outage
    assert outage is not None

    panel = LoadSheddingHandler().panel(outage, asha)

    assert (panel["event"], panel["slot"].block.code, panel["may_switch"]) == (event, "A", True)
    assert LoadSheddingHandler().panel(outage, otto)["may_switch"] is False
    client.force_login(asha_user)
    page = client.get(reverse("outages:detail", args=[outage.reference])).content.decode()
    assert event.reference in page
    assert "Block A" in page


def test_an_outage_of_this_kind_without_an_event_stays_what_it_was(city: SmallCity, asha: Actor) -> None:
    outage = outage_open(
        kind="load_shedding", action="start", actor=asha, element_ids=city.ids("T21"), started_at=timezone.now()
    )
    assert slot_of(outage) is None
    assert LoadSheddingHandler().panel(outage, asha) == {"slot": None}
    assert LoadSheddingHandler().tells(outage) is None
    assert LoadSheddingHandler().board_facts([outage.pk]) == {}


def test_no_step_is_changed_or_taken_back(made: SheddingPlan, asha: Actor, otto: Actor) -> None:
    event = announced(asha, otto, made, blocks=["A"], mw=1.0)
    for verb in (lambda: event.steps.update(actor_name="x"), lambda: event.steps.all().delete()):
        with pytest.raises(DatabaseError, match="Cannot update or delete"), transaction.atomic():
            verb()


def test_every_step_is_kept_with_who_took_it(made: SheddingPlan, asha: Actor, otto: Actor) -> None:
    event = announced(asha, otto, made, blocks=["A"], mw=1.0, starts_at=minute(), is_emergency=True)
    slot = happening.slot_of(event, "A")
    slots.slot_off(actor=asha, slot_id=slot.pk, mw=0.9, source="scada")
    slots.slot_on(actor=asha, slot_id=slot.pk, at=timezone.now() + MINUTE)
    changes.event_end(actor=asha, event_id=event.pk)
    changes.event_reconcile(actor=otto, event_id=event.pk)

    assert list(event.steps.order_by("pk").values_list("verb", "actor_name")) == [
        ("order", "Asha"),
        ("propose", "Asha"),
        ("confirm", "Otto"),
        ("announce", "clock"),
        ("off", "Asha"),
        ("begin", "Asha"),
        ("on", "Asha"),
        ("end", "Asha"),
        ("reconcile", "Otto"),
    ]
    assert event.steps.get(verb="off").facts == {"mw": 0.9, "is_measured": False, "source": "scada"}
    assert event.steps.get(verb="announce").facts == {"kept": 0, "added": ["A"], "target_mw": 1.0}
