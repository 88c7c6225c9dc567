"""What the verdict and the agent's card know of load shedding: turns ahead, how sure they are, why this block again."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.actor import Actor
from accounts.models import User
from call_center.services import call_log, call_start
from grid.models import ServicePoint
from outages.load_shedding import premises, schedule
from outages.load_shedding.models import Reaction, SheddingEvent, SheddingPlan, Slot
from outages.load_shedding.services import schedule as services
from outages.supply_status import supply_status, supply_statuses
from tests.factories.grid import SmallCity
from tests.shedding.world import block, every_day, plan

HOUR = timedelta(hours=1)
NOW = timezone.now()
MIDNIGHT = timezone.localtime(NOW).replace(hour=0, minute=0, second=0, microsecond=0)


def at(hour: float, days: int = 1) -> datetime:
    """An hour of tomorrow (or a later day), on the branch's clock."""
    return MIDNIGHT + timedelta(days=days) + hour * HOUR


@pytest.fixture
def tabled(city: SmallCity, asha: Actor) -> SheddingPlan:
    """A is off from 8 to 10, B from 22 to 1; nothing is published yet."""
    return plan(city, asha, turns=[*every_day("A", "08:00", "10:00"), *every_day("B", "22:00", "01:00")])


def publish(actor: Actor, of: SheddingPlan, first: float, last: float, certainty: str = "forecast") -> None:
    services.stage_publish(actor=actor, plan_id=of.pk, stage=1, begins=at(first), until=at(last), certainty=certainty)


def ahead(point: ServicePoint) -> list[tuple[float, float, bool]]:
    """The shedding that the verdict announces: hours from tomorrow's midnight, and whether it is only forecast."""
    return [
        ((cause.begins - at(0)) / HOUR, (cause.until - at(0)) / HOUR, cause.is_forecast)
        for cause in supply_status(point).upcoming
        if cause.kind == "load_shedding" and cause.begins and cause.until
    ]


def test_the_turns_of_the_premises_block_are_announced_with_how_sure_they_are(
    city: SmallCity, asha: Actor, tabled: SheddingPlan
) -> None:
    publish(asha, tabled, 0, 24, "confirmed")
    publish(asha, tabled, 24, 48)

    assert ahead(city.service_points["SP0001"]) == [(8, 10, False), (32, 34, True)]
    assert ahead(city.service_points["SP0004"]) == [(0, 1, False), (22, 24, False), (24, 25, True), (46, 48, True)]
    assert ahead(city.service_points["SP0006"]) == []


def test_a_turn_only_possible_is_never_certain(city: SmallCity, asha: Actor) -> None:
    made = plan(city, asha, turns=every_day("A", "08:00", "10:00", is_possible=True))
    publish(asha, made, 0, 24, "confirmed")

    assert ahead(city.service_points["SP0001"]) == [(8, 10, True)]


def test_where_an_event_was_decided_the_table_is_silent(city: SmallCity, asha: Actor, tabled: SheddingPlan) -> None:
    publish(asha, tabled, 0, 48)
    decided = {"plan": tabled, "branch": city.bureau, "colour": "red", "author_name": "Asha", "state": "confirmed"}
    SheddingEvent.objects.create(reference="S-1", starts_at=at(7), ends_at=at(9), **decided)
    SheddingEvent.objects.create(
        reference="S-2", starts_at=at(30), ends_at=at(36), undo_until=NOW + timedelta(days=9), **decided
    )

    assert ahead(city.service_points["SP0001"]) == [(9, 10, True), (32, 34, True)]


def test_the_verdict_and_the_public_schedule_never_differ(city: SmallCity, asha: Actor, tabled: SheddingPlan) -> None:
    publish(asha, tabled, 3, 60)
    event = SheddingEvent.objects.create(
        reference="S-1", plan=tabled, branch=city.east, colour="red", author_name="Asha", state="ended",
        starts_at=at(9), ends_at=at(20), ended_at=at(12),
    )  # fmt: skip
    assert event.pk

    for name, code in (("SP0001", "A"), ("SP0004", "B")):
        spans = schedule.published(tabled, NOW, NOW + timedelta(days=7), blocks=[code])
        told = [((span.begins - at(0)) / HOUR, (span.until - at(0)) / HOUR, not span.is_sure) for span in spans]
        assert told
        assert ahead(city.service_points[name]) == told


def test_many_premises_take_one_statement_for_the_schedule(city: SmallCity, asha: Actor, tabled: SheddingPlan) -> None:
    publish(asha, tabled, 0, 48)

    with CaptureQueriesContext(connection) as asked:
        verdicts = supply_statuses(list(city.service_points.values()))

    assert sum("load_shedding_" in query["sql"] for query in asked) == 1
    assert sum(bool(verdict.upcoming) for verdict in verdicts) == 5  # all but the hospital, whose block has no turn


def test_the_block_of_premises_its_next_turns_and_why_it_is_its_turn_again(
    city: SmallCity, asha: Actor, tabled: SheddingPlan
) -> None:
    publish(asha, tabled, 0, 24)
    outlook = premises.outlook(block(tabled, "A"))

    assert [(turn.begins, turn.until) for turn in outlook.turns] == [(at(8), at(10))]
    assert outlook.known_until is None  # between now and then nothing is known
    assert premises.block_of(city.service_points["SP0001"]) == block(tabled, "A")
    assert premises.block_of(city.service_points["SP0003"]) == block(tabled, "A")
    assert premises.why_again(block(tabled, "A")).startswith("Block A had 0 turns in the last 30 days")


@pytest.mark.parametrize(("name", "shown"), [("SP0001", True), ("SP0006", False)])
def test_the_card_shows_block_and_turns_and_the_reason_where_there_are_any(
    city: SmallCity, asha: Actor, mei: Actor, tabled: SheddingPlan, name: str, shown: bool
) -> None:
    publish(asha, tabled, 0, 24)
    browser = Client()
    browser.force_login(User.objects.get(username="mei"))
    call = call_start(actor=mei, service_point_id=city.service_points[name].pk)

    page = browser.get(f"/console/call/{call.key}/").content.decode()

    assert ("Block A had 0 turns in the last 30 days" in page) is shown
    assert ("08:00 – 10:00" in page) is shown
    assert ("Block C" in page) is not shown
    assert "That does not mean that nobody is switched off." in page  # until tomorrow nothing is known


def test_a_logged_call_from_a_block_that_is_off_is_counted_for_it(
    city: SmallCity, mei: Actor, tabled: SheddingPlan
) -> None:
    event = SheddingEvent.objects.create(
        reference="S-1", plan=tabled, branch=city.bureau, colour="red", author_name="Asha", state="shedding",
        starts_at=NOW - HOUR, ends_at=NOW + HOUR, confirmed_at=NOW - 2 * HOUR,
    )  # fmt: skip
    Slot.objects.create(
        event=event, block=block(tabled, "A"), starts_at=NOW - HOUR, ends_at=NOW + HOUR, mw_planned=1, state="off",
        off_at=NOW - HOUR,
    )  # fmt: skip
    for name, reason in (
        ("SP0001", "when_back"),
        ("SP0001", "complaint"),
        ("SP0001", "billing"),
        ("SP0006", "when_back"),
    ):
        call = call_start(actor=mei, service_point_id=city.service_points[name].pk)
        for _twice in range(2):
            call_log(actor=mei, key=call.key, reason=reason, note="why us again?")

    found = Reaction.objects.order_by("pk").values_list("kind", "block__code")
    assert list(found) == [("call", "A"), ("complaint", "A")]
