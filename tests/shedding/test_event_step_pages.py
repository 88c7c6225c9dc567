"""What the steps of an event's page show to whom, and what they take."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.utils import timezone

from accounts.actor import Actor
from accounts.models import User
from outages.load_shedding.models import Measure, SheddingPlan
from outages.load_shedding.question import question_of_event
from outages.load_shedding.views.hand import Hand, key_of
from tests.factories import accounts
from tests.factories.grid import SmallCity
from tests.planned.pages import client_of, text_of
from tests.shedding.event_pages import key, order_of, page, steps, url
from tests.shedding.happening import MINUTE, announced, confirmed, fresh, ordered, plan_ready, proposed, turns


@pytest.fixture
def made(city: SmallCity, asha: Actor, otto: Actor) -> SheddingPlan:
    """A 1 MW, B 2 MW, C 4 MW; the hospital is in C."""
    return plan_ready(city, asha, otto)


@pytest.fixture
def desk(asha_user: User) -> Client:
    return client_of(asha_user)


@pytest.fixture
def second(otto_user: User) -> Client:
    return client_of(otto_user)


def test_customers_are_named_only_to_who_may_read_them(
    city: SmallCity, made: SheddingPlan, desk: Client, second: Client, asha: Actor
) -> None:
    event = proposed(asha, made, blocks=["A", "C"])
    Measure.objects.create(event=event, kind="avoid", customer=city.customers["smith"], asked_mw=0.3, by_name="Asha")
    administrator = client_of(accounts.ada())

    clear, masked, hidden = (text_of(page(client, event)) for client in (desk, second, administrator))

    said = ("李桂英", "李*英", "Anna Smith", "A*** S***", "建设路8号1单元101室", "市第一人民医院")
    assert [words in clear for words in said] == [True, False, True, False, True, True]
    assert [words in masked for words in said] == [False, True, False, True, True, True]
    assert [words in hidden for words in said] == [False] * 6
    for shown in (clear, masked, hidden):
        assert "1 household is called before its turn" in shown


def test_another_stage_brings_its_own_load_and_another_load_is_no_stage(
    made: SheddingPlan, desk: Client, asha: Actor
) -> None:
    event = ordered(asha, made, mw=3.0)

    assert desk.post(url(event, "order/"), order_of(event, stage="1")).status_code == 302
    event = fresh(event)
    assert (event.stage, event.target_mw) == (1, 1.0)

    assert desk.post(url(event, "order/"), order_of(event, stage="1", target_mw="1.0")).status_code == 302
    event = fresh(event)
    assert (event.stage, event.target_mw) == (1, 1.0)

    assert desk.post(url(event, "order/"), order_of(event, stage="1", target_mw="2")).status_code == 302
    event = fresh(event)
    assert (event.stage, event.target_mw) == (None, 2.0)


def test_what_a_measure_brought_is_entered_when_it_is_known(
    city: SmallCity, made: SheddingPlan, desk: Client, asha: Actor
) -> None:
    event = ordered(asha, made)
    smith = city.customers["smith"]
    measure = Measure.objects.create(event=event, kind="avoid", customer=smith, asked_mw=0.3, by_name="Asha")
    known = f"?measure={measure.pk}"
    assert f'href="{known}#target"' in text_of(page(desk, event))
    form = page(desk, event, known).context["measure_form"]
    typed = {name: form[name].value() for name in ("version", "measure", "asked_mw")}

    missing = desk.post(url(event, "measures/"), typed)
    taken = desk.post(url(event, "measures/"), {**typed, "relief_mw": "0.2", "is_measured": "on"})
    foreign = desk.post(url(event, "measures/"), {**typed, "measure": measure.pk + 1, "kind": "avoid"})

    assert (missing.status_code, taken.status_code, foreign.status_code) == (422, 302, 422)
    (kept,) = event.measures.all()
    assert (kept.kind, kept.customer, kept.asked_mw, kept.relief_mw, kept.is_measured) == (
        "avoid", smith, 0.3, 0.2, True,
    )  # fmt: skip
    assert known not in text_of(page(desk, event))


def test_after_the_ten_seconds_the_page_waits_for_the_announcement(
    made: SheddingPlan, desk: Client, asha: Actor, otto: Actor
) -> None:
    event = confirmed(asha, otto, made, at=timezone.now() - MINUTE)

    answer = page(desk, event)
    shown = text_of(answer)

    assert "It is being announced." in shown
    assert 'hx-trigger="every 1s"' in shown
    assert url(event, "undo/") not in shown
    assert "Opens when blocks are chosen." not in shown
    assert steps(answer) == ["done", "done", "done", "now", "locked"]


def test_an_event_restored_before_anybody_was_off_is_reconciled_too(
    made: SheddingPlan, desk: Client, asha: Actor, otto: Actor
) -> None:
    event = announced(asha, otto, made, blocks=["A"])
    desk.post(url(event, "step/restore/"), {"version": fresh(event).version, "reason": "gap closed"})
    desk.post(url(event, "step/end/"), {"version": fresh(event).version})

    shown = text_of(page(desk, event))

    assert (fresh(event).state, turns(event)) == ("ended", [])
    assert f'href="{url(event, "report/")}"' in shown
    assert "Opens when" not in shown
    stale = desk.post(url(event, "reconcile/"), {"version": 1})
    assert stale.status_code == 409
    again = desk.post(url(event, "reconcile/"), {"version": stale.context["form"]["version"].value()})
    assert (again.status_code, fresh(event).state) == (302, "reconciled")


def test_what_was_ticked_stays_ticked_when_a_period_has_passed(made: SheddingPlan, asha: Actor) -> None:
    event = ordered(asha, made, hours=4)
    first = question_of_event(event)
    ticked = Hand.of(first, [key_of(first, "A", 0), key_of(first, "B", 1)])
    assert dict(ticked.turns) == {"A": (0,), "B": (1,)}

    later = question_of_event(event, at=first.periods[0].until + MINUTE)

    assert dict(Hand.of(later, ticked.keys).turns) == {"B": (0,)}


def test_what_is_being_typed_is_kept_while_turns_are_ticked(made: SheddingPlan, desk: Client, asha: Actor) -> None:
    event = ordered(asha, made)

    shown = text_of(page(desk, event, f"?choice=M&turn={key(event, 'A')}"))

    for name in ("reason", "why_now"):
        (field,) = re.findall(f'<input[^>]* id="id_propose_{name}"[^>]*>', shown)
        assert " hx-preserve" in field
    assert shown.count('id="id_reason"') == 1  # the order's
