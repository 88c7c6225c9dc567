"""Doorbells of load shedding: each finds its work in PostgreSQL. Unknown keywords are accepted."""

from __future__ import annotations

from celery import shared_task

from accounts.actor import Actor
from outages.load_shedding.services import clock, reactions, schedule
from standards.doorbell import Doorbell

CLOCK = Actor.system("clock")


@shared_task(base=Doorbell, queue="plan", expires=600)
def schedules_watch(**_later: object) -> dict[str, int]:
    """Report the published schedules that run out, or have run out with nothing after them."""
    return {"running_out": schedule.schedules_report()}


@shared_task(base=Doorbell, queue="plan", expires=30)
def events_turn(**_later: object) -> dict[str, int]:
    """Announce what can no longer be undone, alarm about late slots, end what is over, link the faults that arose."""
    return clock.events_turn(actor=CLOCK) | {"faults": reactions.faults_link_all()}
