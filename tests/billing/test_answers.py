"""What meters say: late, twice, in any order, and not always the truth."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.actor import Actor
from billing_cutoffs.models import CutoffOrder, MeterAnswer, MeterCommand, SimulatedMeter
from billing_cutoffs.services import answers, sending
from tests.billing.meters import (
    CLOCK,
    account_of,
    calls,
    due_now,
    fresh,
    meter,
    nothing_broken,
    orders,
    pays,
    queue,
    turn,
)  # fmt: skip
from tests.factories.grid import SmallCity

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("meters")]


def said(order: CutoffOrder, position: str, *, at: datetime | None = None, **more: Any) -> dict[str, Any]:
    return {
        "answer_id": f"A{MeterAnswer.objects.count()}",
        "meter_number": order.service_point.meter_number,
        "position": position,
        "read_at": (at or timezone.now()).isoformat(),
        **more,
    }


def told(*items: dict[str, Any]) -> list[str]:
    """The answers are kept and applied; what became of the last ones."""
    answers.answers_store(source_system="meters", items=list(items))
    answers.answers_apply(actor=CLOCK)
    newest = MeterAnswer.objects.order_by("-pk").values_list("outcome", flat=True)[: len(items)]
    return list(newest)[::-1]


def sent(order: CutoffOrder) -> MeterCommand:
    """The command has left, and its meter says nothing by itself."""
    meter(order, "mute")
    queue(order)
    sending.commands_turn(actor=CLOCK)
    return order.commands.get()


def test_an_answer_told_twice_is_kept_once(open_city: SmallCity, ben: Actor) -> None:
    (order,) = orders(open_city, ben)
    sent(order)
    item = said(order, "disconnected")

    first, second = (answers.answers_store(source_system="meters", items=[item]) for _n in range(2))
    twice = answers.answers_store(source_system="meters", items=[{**item, "answer_id": "X"}] * 2)

    assert [first[0].outcome, second[0].outcome] == ["stored", "already_known"]
    assert [one.outcome for one in twice] == ["stored", "already_known"]
    assert answers.answers_apply(actor=CLOCK) == {"applied": 1, "already_known": 1}
    assert answers.answers_apply(actor=CLOCK) == {}
    nothing_broken()


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        ({"position": "open"}, "bad_choice"),
        ({"answer_id": ""}, "missing"),
        ({"meter_number": None}, "missing"),
        ({"command_key": "not-a-key"}, "bad_key"),
        ({"read_at": "2999-01-01T00:00:00Z"}, "bad_time"),
        ({"read_at": "yesterday"}, "bad_time"),
        ({"is_failure": "maybe"}, "bad_flag"),
    ],
)
def test_what_cannot_be_read_is_refused_and_stops_no_other(
    open_city: SmallCity, ben: Actor, change: dict[str, Any], outcome: str
) -> None:
    (order,) = orders(open_city, ben)
    items = [{**said(order, "connected"), **change}, {**said(order, "connected"), "answer_id": "good"}]

    found = answers.answers_store(source_system="meters", items=items)

    assert [one.outcome for one in found] == [outcome, "stored"]
    assert MeterAnswer.objects.count() == 1


def test_an_answer_before_the_command_is_stale(open_city: SmallCity, ben: Actor) -> None:
    (order,) = orders(open_city, ben)
    sent(order)

    outcomes = told(
        said(order, "disconnected", at=timezone.now() - timedelta(hours=1)),
        {**said(order, "connected", at=timezone.now() - timedelta(hours=1)), "answer_id": "B"},
    )

    assert outcomes == ["stale", "stale"]
    assert fresh(order).state == "commanded"


def test_still_on_while_the_command_is_under_way_says_nothing(open_city: SmallCity, ben: Actor) -> None:
    (order,) = orders(open_city, ben)
    sent(order)

    assert told(said(order, "connected")) == ["not_yet"]
    assert (fresh(order).state, order.commands.get().state) == ("commanded", "accepted")


def test_it_could_not_be_switched_off_and_a_person_decides(open_city: SmallCity, ben: Actor) -> None:
    (order,) = orders(open_city, ben)
    command = sent(order)

    outcome = told(said(order, "connected", command_key=str(command.key), is_failure=True, detail="relay stuck"))

    assert outcome == ["applied"]
    assert (fresh(order).state, order.state_reason, order.commands.get().state) == ("failed", "relay stuck", "failed")


def test_a_failure_without_a_position_is_a_doubt_and_the_meter_is_asked(open_city: SmallCity, ben: Actor) -> None:
    (order,) = orders(open_city, ben)
    command = sent(order)

    assert told(said(order, "unknown", command_key=str(command.key), is_failure=True)) == ["asking"]
    sending.commands_turn(actor=CLOCK)

    assert fresh(order).state == "disconnected"
    assert calls(order)[-1] == ("disconnect", "asked", "disconnected")


def test_answers_in_any_order_end_in_the_same_state(open_city: SmallCity, ben: Actor) -> None:
    (order,) = orders(open_city, ben)
    command = sent(order)
    key: dict[str, Any] = {"command_key": str(command.key)}
    now = timezone.now()

    outcomes = told(
        said(order, "disconnected", at=now, **key),
        {**said(order, "connected", at=now - timedelta(seconds=1), **key), "answer_id": "late"},
    )

    assert outcomes == ["applied", "stale"]
    assert fresh(order).state == "disconnected"


def test_one_command_said_to_be_done_and_not_done_has_the_meter_asked(open_city: SmallCity, ben: Actor) -> None:
    (order,) = orders(open_city, ben)
    command = sent(order)
    key: dict[str, Any] = {"command_key": str(command.key)}
    told(said(order, "disconnected", **key))

    assert told(said(order, "connected", **key)) == ["contradicts"]
    assert fresh(order).state == "disconnected"
    sending.commands_turn(actor=CLOCK)

    assert calls(order)[-1] == ("disconnect", "asked", "disconnected")
    assert (fresh(order).state, order.commands.get().state) == ("disconnected", "done")
    nothing_broken()


def test_a_meter_that_lied_is_found_out_by_its_next_reading(open_city: SmallCity, ben: Actor) -> None:
    (order,) = orders(open_city, ben)
    meter(order, "lies")
    queue(order)
    turn()
    assert fresh(order).state == "disconnected"

    assert told(said(order, "connected", at=timezone.now() + timedelta(seconds=30))) == ["applied"]
    order = fresh(order)
    assert order.state == "reconnected"
    assert order.outage is not None
    assert order.outage.status == "restored"
    nothing_broken()


def test_off_although_its_order_had_ended_is_switched_on_at_once_and_escalated(
    open_city: SmallCity, ben: Actor
) -> None:
    (order,) = orders(open_city, ben)
    sent(order)
    SimulatedMeter.objects.update(is_connected=True, last_key=None)
    pays(account_of(order))
    due_now()
    sending.commands_turn(actor=CLOCK)
    assert fresh(order).state == "cancelled"

    assert told(said(order, "disconnected")) == ["found_off"]
    order = fresh(order)
    assert (order.state, order.is_wrongful) == ("reconnect_commanded", True)
    assert order.escalated_at is not None
    turn()
    due_now()
    turn()

    order = fresh(order)
    assert order.state == "reconnected"
    assert order.outage is not None
    assert order.outage.status == "restored"
    nothing_broken()


def test_found_off_goes_before_a_newer_order_of_the_same_premises(open_city: SmallCity, ben: Actor) -> None:
    (order,) = orders(open_city, ben)
    sent(order)
    SimulatedMeter.objects.update(is_connected=True, last_key=None)
    pays(account_of(order))
    due_now()
    sending.commands_turn(actor=CLOCK)
    newer = CutoffOrder.objects.create(
        reference="N-2", batch=order.batch, case=order.case, branch=order.branch, amount=order.amount,
        service_point=order.service_point, method="remote",
    )  # fmt: skip

    assert told(said(order, "disconnected")) == ["found_off"]

    assert (fresh(newer).state, newer.state_reason) == ("cancelled", "found_off")
    assert fresh(order).state == "reconnect_commanded"


def test_what_is_off_without_any_command_of_ours_is_not_ours(open_city: SmallCity, ben: Actor) -> None:
    (order,) = orders(open_city, ben)

    assert told(said(order, "disconnected")) == ["not_ours"]
    assert fresh(order).state == "warned"


def test_an_unknown_meter_and_a_wrong_one_change_nothing(open_city: SmallCity, ben: Actor) -> None:
    one, other = orders(open_city, ben, 2)
    command = sent(one)

    outcomes = told(
        {**said(one, "disconnected"), "meter_number": "nobody's", "answer_id": "1"},
        {**said(other, "disconnected", command_key=str(command.key)), "answer_id": "2"},
        {**said(one, "disconnected", command_key=str(uuid.uuid4())), "answer_id": "3"},
    )

    assert outcomes == ["no_order", "wrong_meter", "applied"]  # an unknown key still says where the switch stands
    assert fresh(other).state == "warned"


def test_an_answer_confirms_what_a_person_was_sent_for(open_city: SmallCity, ben: Actor) -> None:
    (order,) = orders(open_city, ben)
    order.method = "field"
    order.save(update_fields=["method"])
    queue(order)

    assert told(said(order, "disconnected")) == ["applied"]
    assert fresh(order).state == "disconnected"
