"""A block's turns in a calendar program: one entry through every change, and what is cancelled stays as cancelled."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from icalendar import Calendar, Event

from accounts.actor import Actor
from outages.load_shedding.models import SheddingEvent, SheddingPlan, Slot
from outages.load_shedding.services import schedule as services
from tests.factories.grid import SmallCity
from tests.shedding.world import block, every_day, plan

HOUR = timedelta(hours=1)
MIDNIGHT = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)


def at(hour: float) -> datetime:
    """An hour of tomorrow."""
    return MIDNIGHT + hour * HOUR


@pytest.fixture
def tabled(city: SmallCity, asha: Actor) -> SheddingPlan:
    return plan(city, asha, turns=every_day("A", "08:00", "10:00"))


def publish(actor: Actor, of: SheddingPlan, certainty: str = "forecast") -> None:
    services.stage_publish(actor=actor, plan_id=of.pk, stage=1, begins=at(0), until=at(24), certainty=certainty)


def calendar(language: str = "en", code: str = "A") -> Calendar:
    response = Client().get(f"/shedding/public/{language}/blocks/010/{code}/calendar.ics")
    assert (response.status_code, response["Content-Type"]) == (200, "text/calendar; charset=utf-8")
    found = Calendar.from_ical(response.content)
    assert isinstance(found, Calendar)
    return found


def entries(**facts: str) -> list[tuple[Any, ...]]:
    return [
        (str(event["UID"]), event["SEQUENCE"], event.start, event.end, str(event["STATUS"]))
        for event in calendar(**facts).walk("VEVENT")
        if isinstance(event, Event)
    ]


def decide(of: SheddingPlan, first: float, last: float, **facts: object) -> Slot:
    event = SheddingEvent.objects.create(
        reference="S-1", plan=of, branch=of.branch, colour="red", author_name="Asha", state="confirmed",
        starts_at=at(first), ends_at=at(last),
    )  # fmt: skip
    return Slot.objects.create(
        event=event, block=block(of, "A"), starts_at=at(first), ends_at=at(last), mw_planned=1, **facts
    )


def test_a_forecast_and_its_confirmation_are_one_entry(asha: Actor, tabled: SheddingPlan) -> None:
    publish(asha, tabled)
    [forecast] = entries()
    publish(asha, tabled, "confirmed")
    [confirmed] = entries()

    assert forecast[1:] == (0, at(8), at(10), "TENTATIVE")
    assert confirmed[1:] == (1, at(8), at(10), "CONFIRMED")
    assert forecast[0] == confirmed[0]


def test_a_decision_takes_the_place_of_the_tables_turn_which_is_cancelled(asha: Actor, tabled: SheddingPlan) -> None:
    publish(asha, tabled)
    [before] = entries()
    slot = decide(tabled, 7, 12)

    found = entries()

    assert found == [
        (f"S-1-{slot.pk}@load-shedding", 1, at(7), at(12), "CONFIRMED"),
        (before[0], 2, at(8), at(10), "CANCELLED"),
    ]


@pytest.mark.parametrize("facts", [{"state": "dropped"}, {"state": "skipped", "skip_reason": "enough relief"}])
def test_a_turn_that_will_not_be_stays_as_cancelled(asha: Actor, tabled: SheddingPlan, facts: dict[str, str]) -> None:
    slot = decide(tabled, 7, 12, version=4, **facts)

    assert entries() == [(f"S-1-{slot.pk}@load-shedding", 4, at(7), at(12), "CANCELLED")]


def test_a_former_name_goes_on_working_and_says_the_same(asha: Actor, tabled: SheddingPlan) -> None:
    publish(asha, tabled)
    named = block(tabled, "A")
    named.formerly = ["OLD"]
    named.save(update_fields=["formerly"])

    assert entries(code="OLD") == entries()
    assert Client().get("/shedding/public/en/blocks/010/NEVER/calendar.ics").status_code == 404


def test_the_calendar_says_until_when_anything_is_known_in_both_languages(asha: Actor, tabled: SheddingPlan) -> None:
    assert "That does not mean that nobody is switched off." in str(calendar()["X-WR-CALDESC"])

    services.stage_publish(
        actor=asha, plan_id=tabled.pk, stage=1, begins=timezone.now(), until=at(24), certainty="forecast"
    )

    assert str(calendar()["X-WR-CALDESC"]) == (
        f"Published until {at(24):%Y-%m-%d %H:%M}. What comes after is not known yet."
    )
    assert str(calendar()["X-WR-CALNAME"]) == "Load shedding · Block A"
    assert str(calendar("zh-hans")["X-WR-CALNAME"]).endswith("A区块")
