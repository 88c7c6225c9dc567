"""The meters of the simulator: each behaviour, as the sender sees it and as the switch stands."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from billing_cutoffs import simulator
from billing_cutoffs.models import SimulatedMeter
from billing_cutoffs.simulator import Simulator
from billing_cutoffs.switching import Call, Question

pytestmark = pytest.mark.django_db(transaction=True)

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


def call(key: str = "6e1f1a0e-0000-4000-8000-000000000001", **facts: object) -> Call:
    return Call(
        **{  # type: ignore[arg-type]
            "key": key, "purpose": "disconnect", "meter_number": "M1",
            "expires_at": timezone.now() + timedelta(hours=1), "answer_url": "", **facts,
        }
    )  # fmt: skip


@pytest.mark.parametrize(
    ("behaviour", "result", "is_on", "answers_after", "asked"),
    [
        ("prompt", "accepted", False, 2 * SECOND, "disconnected"),
        ("slow", "accepted", False, MINUTE + SECOND, "disconnected"),
        ("deaf", "accepted", True, None, "unknown"),
        ("mute", "accepted", False, None, "disconnected"),
        ("refuses", "refused", True, None, "connected"),
        ("lies", "accepted", True, 2 * SECOND, "connected"),
    ],
)
def test_how_a_meter_behaves(
    behaviour: str, result: str, is_on: bool, answers_after: timedelta | None, asked: str
) -> None:
    SimulatedMeter.objects.create(meter_number="M1", behaviour=behaviour)
    now = timezone.now()

    (reply,) = Simulator().send([call()])

    assert reply.result == result
    assert SimulatedMeter.objects.get().is_connected == is_on
    assert simulator.answers_due(now=now) == []
    due = simulator.answers_due(now=now + (answers_after or timedelta(days=1)))
    assert [item["position"] for item in due] == (["disconnected"] if answers_after else [])
    assert [reading.position for reading in Simulator().ask([Question("k", "M1")])] == [asked]


def test_the_same_key_moves_nothing_twice() -> None:
    Simulator().send([call()])
    SimulatedMeter.objects.update(is_connected=True)
    Simulator().send([call()])

    meter = SimulatedMeter.objects.get()
    assert (meter.commands, meter.is_connected) == (1, True)


def test_after_its_last_moment_a_command_is_refused() -> None:
    (reply,) = Simulator().send([call(expires_at=timezone.now() - SECOND)])

    assert (reply.result, SimulatedMeter.objects.get().is_connected) == ("refused", True)


def test_a_meter_answers_once() -> None:
    Simulator().send([call()])
    later = timezone.now() + MINUTE

    assert len(simulator.answers_due(now=later)) == 1
    assert simulator.answers_due(now=later) == []
