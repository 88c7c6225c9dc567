"""The adapter against a real HTTP meter system that misbehaves: every answer has its honest class."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.utils import timezone
from pytest_django import Settings

from accounts.actor import Actor
from billing_cutoffs import switching
from billing_cutoffs.models import CommandAttempt
from billing_cutoffs.services import answers, sending
from billing_cutoffs.switching import Call, HttpSwitch, Question
from tests.billing.meters import CLOCK, account_of, calls, due_now, fresh, nothing_broken, orders, pays, queue
from tests.factories.grid import SmallCity
from tests.peers.meter_gateway import DESCRIPTION, MeterSystem, Mode, meter_system


@pytest.fixture
def system(settings: Settings, tmp_path: Path) -> Iterator[MeterSystem]:
    with meter_system() as peer:
        path = tmp_path / "meters.yml"
        path.write_text(DESCRIPTION.format(url=peer.url), encoding="utf-8")
        settings.METER_GATEWAY = str(path)
        yield peer


def switch() -> HttpSwitch:
    found = sending.switch_in_use()
    assert isinstance(found, HttpSwitch)
    return found


def call(key: str = "k1", purpose: str = "disconnect") -> Call:
    return Call(key, purpose, "M1", timezone.now() + timedelta(hours=1), "https://outages.example/answers/")


@pytest.mark.parametrize(
    ("mode", "result", "reached"),
    [
        ("accept", "accepted", 1),
        ("done", "done", 1),
        ("refuse", "refused", 0),
        ("busy", "unsent", 0),
        ("denied", "account", 0),
        ("drop", "doubt", 1),
        ("hang", "doubt", 1),
        ("garble", "doubt", 1),
        ("gone", "doubt", 0),  # it may have been read before the connection broke: nobody knows
    ],
)
def test_every_answer_has_its_class(system: MeterSystem, mode: Mode, result: str, reached: int) -> None:
    system.behave(mode)

    (reply,) = switch().send([call()])

    assert (reply.result, len(system.journal)) == (result, reached)


def test_nobody_there_is_provably_unsent(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "meters.yml"
    path.write_text(DESCRIPTION.format(url="http://127.0.0.1:9"), encoding="utf-8")
    settings.METER_GATEWAY = str(path)

    assert [reply.result for reply in switch().send([call()])] == ["unsent"]
    assert [reading.position for reading in switch().ask([Question("k", "M1")])] == ["unknown"]


def test_the_key_goes_with_every_call_and_the_action_by_its_name(system: MeterSystem) -> None:
    switch().send([call("k1"), call("k2", "reconnect")])
    switch().send([call("k1")])

    sent = {entry["key"]: (entry["header"], entry["action"], entry["meter"]) for entry in system.journal}
    assert sent == {"k1": ("k1", "OPEN", "M1"), "k2": ("k2", "CLOSE", "M1")}
    assert [entry["key"] for entry in system.repeats] == ["k1"]


def test_a_meter_is_asked(system: MeterSystem) -> None:
    system.is_on["M1"] = False

    off, on = switch().ask([Question("k", "M1"), Question("k", "M2")])

    assert (off.position, on.position) == ("disconnected", "connected")
    assert off.at is not None
    system.is_silent = True
    assert switch().ask([Question("k", "M1")])[0].position == "unknown"


@pytest.mark.django_db(transaction=True)
def test_no_call_inside_a_transaction(system: MeterSystem) -> None:
    with transaction.atomic(), pytest.raises(ImproperlyConfigured):
        switch().send([call()])
    assert system.journal == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("url:", "uri:"), "request.url"),
        (("{url}/commands", "ftp://x"), "request.url"),
        (("{{key}}", "${{NO_SUCH_VARIABLE}}"), "NO_SUCH_VARIABLE"),
        (("question:", "question: ["), "not YAML"),
    ],
)
def test_a_wrong_file_is_said_at_start_up(
    settings: Settings, tmp_path: Path, change: tuple[str, str], words: str
) -> None:
    path = tmp_path / "meters.yml"
    path.write_text(DESCRIPTION.replace(*change).format(url="http://127.0.0.1:9"), encoding="utf-8")
    settings.METER_GATEWAY = str(path)

    (found,) = switching.the_meters_can_be_reached()

    assert (found.id, words in found.msg) == ("billing_cutoffs.E001", True)


def test_no_meter_system_is_a_warning_and_a_simulated_one_is_fine(settings: Settings) -> None:
    settings.METER_GATEWAY = ""
    assert [found.id for found in switching.the_meters_can_be_reached()] == ["billing_cutoffs.W001"]
    settings.METER_GATEWAY = "/no/such/file"
    assert [found.id for found in switching.the_meters_can_be_reached()] == ["billing_cutoffs.E001"]
    settings.METER_GATEWAY = "simulator"
    assert switching.the_meters_can_be_reached() == []


# --- the whole way ----------------------------------------------------------------------------------


def meters_answer(system: MeterSystem) -> None:
    answers.answers_store(source_system="meters", items=system.answers)
    answers.answers_apply(actor=CLOCK)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("mode", ["accept", "twice", "done"])
def test_off_and_on_again(open_city: SmallCity, ben: Actor, system: MeterSystem, mode: Mode) -> None:
    (order,) = orders(open_city, ben)
    system.behave(mode)
    queue(order)
    sending.commands_turn(actor=CLOCK)
    meters_answer(system)
    assert fresh(order).state == "disconnected"

    pays(account_of(order))
    sending.commands_turn(actor=CLOCK)
    meters_answer(system)

    assert fresh(order).state == "reconnected"
    assert system.is_on[order.service_point.meter_number]
    assert [entry["action"] for entry in system.journal] == ["OPEN", "CLOSE"]
    nothing_broken()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("mode", ["drop", "hang", "garble"])
def test_after_a_doubt_the_meter_is_asked_and_nothing_is_sent_twice(
    open_city: SmallCity, ben: Actor, system: MeterSystem, mode: Mode
) -> None:
    (order,) = orders(open_city, ben)
    system.behave(mode)
    queue(order)

    sending.commands_turn(actor=CLOCK)
    due_now()
    sending.commands_turn(actor=CLOCK)

    assert fresh(order).state == "disconnected"
    assert calls(order) == [("disconnect", "sent", "doubt"), ("disconnect", "asked", "disconnected")]
    assert (len(system.journal), system.repeats) == (1, [])
    nothing_broken()


@pytest.mark.django_db(transaction=True)
def test_a_refused_login_stops_sending_until_it_works(open_city: SmallCity, ben: Actor, system: MeterSystem) -> None:
    one, other = orders(open_city, ben, 2)
    system.behave("denied")
    queue(one, other)

    sending.commands_turn(actor=CLOCK)
    due_now()
    assert sending.circuit_is_open()
    assert sending.commands_turn(actor=CLOCK) == {}
    assert {fresh(one).state, fresh(other).state} == {"commanded"}
    assert calls(one) == [("disconnect", "sent", "account")]

    system.behave("done")
    CommandAttempt.objects.update(ended_at=timezone.now() - timedelta(minutes=2))
    sending.commands_turn(actor=CLOCK)

    assert {fresh(one).state, fresh(other).state} == {"disconnected"}
    nothing_broken()


@pytest.mark.django_db(transaction=True)
def test_a_meter_system_that_is_away_costs_no_try(open_city: SmallCity, ben: Actor, system: MeterSystem) -> None:
    (order,) = orders(open_city, ben)
    system.behave("busy")
    queue(order)
    for _ in range(6):
        due_now()
        sending.commands_turn(actor=CLOCK)
    assert (fresh(order).state, order.commands.get().tries) == ("commanded", 0)

    system.behave("done")
    due_now()
    sending.commands_turn(actor=CLOCK)

    assert fresh(order).state == "disconnected"
    nothing_broken()
