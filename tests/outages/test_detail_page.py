"""The page of one outage: where it is, who is off, how it went, and the note somebody adds."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.test import Client

from accounts.actor import Actor
from accounts.models import User
from outages import places, services
from outages.models import Outage
from outages.places import masked
from outages.timeline import entries_of, estimates_of
from tests.factories import accounts
from tests.factories.grid import SmallCity


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def dispatcher(city: SmallCity) -> Client:
    return signed_in(accounts.asha(city.bureau))


def address(outage: Outage) -> str:
    return f"/outages/{outage.reference}/"


def test_it_tells_the_supply_path_the_areas_and_the_critical_customers(dispatcher: Client, feeder_off: Outage) -> None:
    context = dispatcher.get(address(feeder_off)).context

    assert [[e.code for e in path.elements] for path in context["paths"]] == [["S1", "BUS1", "F1"]]
    assert [(place.code, place.customers, place.back_at) for place in context["areas"].rows] == [
        ("T11", 2, None),
        ("T12", 1, None),
    ]
    assert [(c.name, c.importance, c.is_off) for c in context["critical"]] == [("李*英", "life_support", True)]


def test_areas_come_back_in_steps(
    dispatcher: Client, feeder_off: Outage, city: SmallCity, asha: Actor, now: datetime
) -> None:
    first, second = now - timedelta(minutes=30), now - timedelta(minutes=10)
    services.outage_restore_part(outage_id=feeder_off.pk, actor=asha, at=first, element_ids=city.ids("T12"))
    services.outage_restore_part(outage_id=feeder_off.pk, actor=asha, at=second, element_ids=city.ids("T11"))

    context = dispatcher.get(address(feeder_off)).context

    assert [(s.at, s.places, s.customers) for s in context["restoration_steps"]] == [(first, 1, 1), (second, 1, 2)]
    assert context["peak"] == 3
    assert [step["state"] for step in context["steps"]] == ["done", "done", "now", "todo"]


def test_the_history_says_what_was_before_and_after(feeder_off: Outage, asha: Actor, now: datetime) -> None:
    for minutes, source in ((60, "operator"), (120, "crew")):
        services.outage_set_etr(
            outage_id=feeder_off.pk, actor=asha, etr=now + timedelta(minutes=minutes), etr_source=source,
            etr_confidence="high", etr_reason="",
        )  # fmt: skip
    services.outage_restore(outage_id=feeder_off.pk, actor=asha, restored_at=now)
    events = list(feeder_off.events.order_by("-sequence"))

    entries = entries_of(events, kind="fault")

    assert [str(entry.verb) for entry in entries] == ["Restored", "Estimate given", "Estimate given", "Off"]
    assert {c.name: (c.before, c.after) for c in entries[0].changes}["Status"] == ("active", "restored")
    assert {c.name: (c.before, c.after) for c in entries[1].changes}["Source of the estimate"] == ("operator", "crew")
    assert [(e.etr, e.source) for e in estimates_of(events)] == [
        (now + timedelta(minutes=60), "operator"),
        (now + timedelta(minutes=120), "crew"),
    ]


def test_a_note_joins_the_history_and_never_becomes_public(dispatcher: Client, feeder_off: Outage) -> None:
    answer = dispatcher.post(f"{address(feeder_off)}notes/", {"text": " Cross-arm broken ", "is_public": "on"})

    assert answer.headers["Location"] == f"{address(feeder_off)}#timeline"
    note = feeder_off.events.get(verb="note")
    assert (note.note, note.is_public, note.actor_name) == ("Cross-arm broken", False, "Asha")


def test_an_empty_note_is_refused_beside_the_field_and_changes_nothing(dispatcher: Client, feeder_off: Outage) -> None:
    answer = dispatcher.post(f"{address(feeder_off)}notes/", {"text": "  "})

    assert answer.status_code == 422
    assert b"data-error-summary" in answer.content
    assert feeder_off.events.count() == 1


def test_an_agent_may_note_and_an_auditor_may_only_read(feeder_off: Outage, city: SmallCity) -> None:
    mei = signed_in(accounts.mei(city.bureau))
    auditor = signed_in(accounts.user_with("auditor", city.bureau, username="auditor"))

    assert mei.get(address(feeder_off)).context["may_note"]
    assert not auditor.get(address(feeder_off)).context["may_note"]
    assert auditor.post(f"{address(feeder_off)}notes/", {"text": "seen"}).status_code in (403, 422)
    assert feeder_off.events.count() == 1


def test_a_foreign_outage_and_a_missing_one_are_the_same_404(feeder_off: Outage, city: SmallCity) -> None:
    west = signed_in(accounts.user_with("dispatcher", city.west, username="west"))

    foreign, missing = west.get(address(feeder_off)), west.get("/outages/S-1999-000001/")

    assert (foreign.status_code, missing.status_code) == (404, 404)
    assert signed_in(accounts.dora()).get(address(feeder_off)).status_code == 403


def test_a_cut_off_for_debt_opens_only_for_those_who_may_see_debts(feeder_off: Outage, city: SmallCity) -> None:
    Outage.objects.filter(pk=feeder_off.pk).update(kind="non_payment", is_public=False)

    assert signed_in(accounts.asha(city.bureau)).get(address(feeder_off)).status_code == 404


def test_the_places_of_a_large_outage_are_cut_off_and_counted(feeder_off: Outage) -> None:
    shown = places.places_of(feeder_off, limit=1)

    assert (len(shown.rows), shown.total) == (1, 2)


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("张三", "张*"),
        ("李桂英", "李*英"),
        ("欧阳修文", "欧*文"),
        ("Anna Smith", "A*** S***"),
        ("市第一人民医院", "市第一人民医院"),
    ],
)
def test_names_are_masked(name: str, written: str) -> None:
    assert masked(name) == written
