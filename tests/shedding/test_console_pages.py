"""The shedding desk at one look: what runs, what is published and until when, what is late, how hours lie."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.actor import Actor
from accounts.models import User
from outages.load_shedding.models import SheddingEvent, SheddingPlan, Slot
from outages.load_shedding.services import events, schedule
from outages.load_shedding.services.reactions import reaction_record
from tests.factories import accounts
from tests.factories.grid import SmallCity
from tests.planned.pages import client_of, text_of
from tests.shedding.happening import HOUR, MINUTE, announced, minute, plan_ready, slot_of
from tests.shedding.past import happened
from tests.shedding.world import everything_shed

DESK = "/shedding/"


@pytest.fixture
def made(city: SmallCity, asha: Actor, otto: Actor) -> SheddingPlan:
    return plan_ready(city, asha, otto)


@pytest.fixture
def desk(asha_user: User) -> Client:
    return client_of(asha_user)


def look(client: Client, query: str = "") -> Any:
    answer = client.get(DESK + query)
    assert answer.status_code == 200
    return answer


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_an_empty_desk_says_so(city: SmallCity, desk: Client, language: str) -> None:
    desk.cookies["django_language"] = language

    answer = look(desk)

    assert (answer.context["events"], answer.context["ledger"], answer.context["may_alert"]) == ([], [], False)


def test_what_runs_stands_at_the_top(made: SheddingPlan, desk: Client, asha: Actor, otto: Actor) -> None:
    event = announced(asha, otto, made, blocks=["A", "B"], starts_at=minute() + HOUR)

    answer = look(desk)

    ((shown, _look, _tone),) = answer.context["events"]
    assert (shown.reference, shown.slots_ahead, shown.slots_off, answer.context["late"]) == (event.reference, 2, 0, [])
    assert event.reference in text_of(desk.get("/shedding/events/"))


def test_turns_that_should_have_begun_are_late(made: SheddingPlan, desk: Client, asha: Actor, otto: Actor) -> None:
    event = announced(asha, otto, made, blocks=["A"], starts_at=minute() + HOUR)
    Slot.objects.filter(event=event).update(starts_at=timezone.now() - 20 * MINUTE)

    answer = look(desk)

    assert [slot.block.code for slot in answer.context["late"]] == ["A"]
    assert "1 turn is late" in text_of(answer)


def test_all_late_turns_are_counted_where_only_the_first_are_listed(
    made: SheddingPlan, desk: Client, asha: Actor, otto: Actor
) -> None:
    event = announced(asha, otto, made, blocks=["A"], starts_at=minute() + HOUR)
    first = slot_of(event, "A")
    ends = [timezone.now() - n * MINUTE for n in range(60)]
    Slot.objects.bulk_create(
        Slot(event=event, block=first.block, starts_at=end - HOUR, ends_at=end, mw_planned=1.0) for end in ends
    )

    shown = text_of(look(desk))

    assert "60 turns are late" in shown
    assert shown.count("should be off since") == 50


def test_a_warning_without_an_order_has_no_load_yet(made: SheddingPlan, desk: Client, asha: Actor) -> None:
    events.event_alert(actor=asha, branch=made.branch, colour="yellow", authority="省调")

    assert text_of(look(desk)).count('<td class="number">–</td>') == 2  # neither ordered nor off


def test_a_schedule_that_runs_out_is_a_banner(made: SheddingPlan, desk: Client, asha: Actor) -> None:
    now: datetime = minute()
    schedule.stage_publish(actor=asha, plan_id=made.pk, stage=1, begins=now, until=now + 3 * HOUR, certainty="forecast")

    answer = look(desk)

    assert [one.is_over for one in answer.context["running_out"]] == [False]
    assert "The published schedule runs out at" in text_of(answer)
    ((_plan, known, ends),) = answer.context["published"]
    assert (known.stage, ends) == (1, now + 3 * HOUR)


def test_what_comes_back_is_counted_while_it_runs(
    city: SmallCity, made: SheddingPlan, desk: Client, asha: Actor, otto: Actor
) -> None:
    announced(asha, otto, made, blocks=["A", "B"], starts_at=minute() + MINUTE)
    for n, (code, kind) in enumerate([("SP0001", "call"), ("SP0001", "complaint"), ("SP0004", "call")]):
        reaction_record(service_point=city.service_points[code], kind=kind, source=str(n), at=timezone.now())

    found = [
        (one["block__code"], one["calls"], one["complaints"], one["faults"]) for one in look(desk).context["reactions"]
    ]

    assert found == [("A", 1, 1, 0), ("B", 1, 0, 0)]


def test_the_ledger_puts_the_longest_off_first_and_says_why(city: SmallCity, made: SheddingPlan, desk: Client) -> None:
    happened(city, "load_shedding", "T21", since=timezone.now() - timedelta(days=2), hours=3)
    happened(city, "load_shedding", "T22", since=timezone.now() - timedelta(days=60), hours=2)

    answer = look(desk, "?why=B")

    ledger = [
        (one.block.code, one.rank, [round(span.shedding, 2) for span in one.spans]) for one in answer.context["ledger"]
    ]
    assert ledger == [("B", 1, [3.0, 3.0, 3.0]), ("A", 2, [0.0, 0.0, 0.0]), ("C", 2, [0.0, 2.0, 2.0])]
    assert "had 1 turn in the last 30 days" in text_of(answer)
    assert look(desk, "?why=NOPE").context["why"] is None


def test_an_emergency_begins_with_the_order(made: SheddingPlan, desk: Client) -> None:
    begins = timezone.localtime(minute() + MINUTE)
    typed = {
        "branch": made.branch_id, "target_mw": "2", "starts_at": f"{begins:%Y-%m-%dT%H:%M}",
        "ends_at": f"{begins + HOUR:%Y-%m-%dT%H:%M}", "order_number": "7", "authority": "省调", "is_emergency": "on",
    }  # fmt: skip

    answer = desk.post("/shedding/events/order/", typed)

    event = SheddingEvent.objects.get()
    assert answer["Location"] == f"/shedding/events/{event.reference}/"
    assert (event.state, event.is_emergency, event.target_mw) == ("ordered", True, 2.0)


def test_a_second_order_for_the_same_time_is_refused(
    made: SheddingPlan, desk: Client, asha: Actor, otto: Actor
) -> None:
    event = announced(asha, otto, made, blocks=["A"], starts_at=minute() + HOUR)
    before = everything_shed()
    begins = timezone.localtime(minute() + HOUR)
    typed = {
        "branch": made.branch_id, "target_mw": "2", "starts_at": f"{begins:%Y-%m-%dT%H:%M}",
        "ends_at": f"{begins + HOUR:%Y-%m-%dT%H:%M}", "order_number": "8", "authority": "省调",
    }  # fmt: skip

    answer = desk.post("/shedding/events/order/", typed)

    assert (answer.status_code, event.reference in text_of(answer)) == (409, True)
    assert everything_shed() == before


def test_only_their_own_branches(city: SmallCity, made: SheddingPlan, asha: Actor, otto: Actor) -> None:
    event = announced(asha, otto, made, blocks=["A"], starts_at=minute() + HOUR)
    planner = client_of(accounts.user_with("planner", city.west, username="west-planner"))

    assert look(planner).context["events"] == []
    assert planner.get(f"/shedding/events/{event.reference}/").status_code == 404
    assert planner.get("/shedding/events/new/").status_code == 403


def test_the_desk_asks_no_more_with_more_events(
    made: SheddingPlan, desk: Client, asha: Actor, otto: Actor, django_assert_max_num_queries: Any
) -> None:
    event = announced(asha, otto, made, blocks=["A", "B", "C"], starts_at=minute() + HOUR)
    assert slot_of(event, "A").state == "planned"

    with django_assert_max_num_queries(30):
        look(desk)
