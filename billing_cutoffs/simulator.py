"""A meter system that is not there: for demonstrations and tests, with meters that behave well, badly, or not at all.

==============  ======================================================================================
``prompt``      takes the command, switches, and answers after a second
``slow``        takes it, switches, and answers after a minute
``deaf``        takes it and does not switch; says nothing, and nothing when it is asked
``mute``        takes it and switches; says nothing, and the truth when it is asked
``refuses``     does not take it
``lies``        answers that it switched, and did not; tells the truth when it is asked
==============  ======================================================================================

A command with a key that was seen is the same command: nothing happens twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.utils import timezone

from billing_cutoffs.models import MeterCommand, Purpose, SimulatedMeter, SwitchPosition
from billing_cutoffs.switching import Call, Question, Reading, Reply, refuse_in_transaction

ACCOUNT: Final = "simulator"
ANSWERS_AFTER: Final = {
    "prompt": timedelta(seconds=1), "slow": timedelta(minutes=1), "lies": timedelta(seconds=1)
}  # fmt: skip


class Simulator:
    """The same interface as a real meter system's."""

    account = ACCOUNT
    at_once = 8

    def send(self, calls: Sequence[Call]) -> list[Reply]:
        refuse_in_transaction()
        return [self._send_one(call) for call in calls]

    def ask(self, questions: Sequence[Question]) -> list[Reading]:
        refuse_in_transaction()
        return [self._ask_one(question) for question in questions]

    def _send_one(self, call: Call) -> Reply:
        now = timezone.now()
        with transaction.atomic():
            SimulatedMeter.objects.bulk_create([SimulatedMeter(meter_number=call.meter_number)], ignore_conflicts=True)
            meter = SimulatedMeter.objects.select_for_update().get(pk=call.meter_number)
            if meter.behaviour == "refuses":
                return Reply("refused", detail="the meter does not take commands")
            if now >= call.expires_at:
                return Reply("refused", detail="expired")
            if str(meter.last_key) != call.key:
                self._obey(meter, call, now)
        return Reply("accepted", external_id=f"sim-{call.meter_number}-{meter.commands}")

    @staticmethod
    def _obey(meter: SimulatedMeter, call: Call, now: datetime) -> None:
        if meter.behaviour not in ("deaf", "lies"):
            meter.is_connected = call.purpose == Purpose.RECONNECT
            meter.changed_at = now
        meter.commands += 1
        meter.last_key = call.key
        after = ANSWERS_AFTER.get(meter.behaviour)
        meter.answers_at = now + after if after is not None else None
        meter.save(update_fields=["is_connected", "changed_at", "commands", "last_key", "answers_at"])

    @staticmethod
    def _ask_one(question: Question) -> Reading:
        meter = SimulatedMeter.objects.filter(pk=question.meter_number).first()
        if meter is None:
            return Reading(SwitchPosition.CONNECTED)
        if meter.behaviour == "deaf":
            return Reading(SwitchPosition.UNKNOWN, detail="no answer")
        return Reading(_position(meter.is_connected))


def _position(is_connected: bool) -> str:
    return SwitchPosition.CONNECTED if is_connected else SwitchPosition.DISCONNECTED


def answers_due(*, now: datetime, limit: int = 1_000) -> list[dict[str, Any]]:
    """What the simulated meters have to say by now; each says it once. Inside or outside of a transaction."""
    with transaction.atomic():
        meters = list(
            SimulatedMeter.objects.filter(answers_at__lte=now)
            .order_by("pk").select_for_update(skip_locked=True)[:limit]
        )  # fmt: skip
        SimulatedMeter.objects.filter(pk__in=[meter.pk for meter in meters]).update(answers_at=None)
    keys = [meter.last_key for meter in meters if meter.last_key is not None]
    reconnecting = set(
        MeterCommand.objects.filter(key__in=keys, purpose=Purpose.RECONNECT).values_list("key", flat=True)
    )
    return [
        {
            "answer_id": f"{meter.last_key}-{meter.commands}",
            "command_key": str(meter.last_key),
            "meter_number": meter.pk,
            "position": _position(
                (meter.last_key in reconnecting) if meter.behaviour == "lies" else meter.is_connected
            ),
            "read_at": now,
        }
        for meter in meters
    ]
