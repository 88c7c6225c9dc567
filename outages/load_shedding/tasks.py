"""Doorbells of load shedding: each finds its work in PostgreSQL. Unknown keywords are accepted."""

from __future__ import annotations

from celery import shared_task

from outages.load_shedding.services import schedule
from standards.doorbell import Doorbell


@shared_task(base=Doorbell, queue="plan", expires=600)
def schedules_watch(**_later: object) -> dict[str, int]:
    """Report the published schedules that run out, or have run out with nothing after them."""
    return {"running_out": schedule.schedules_report()}
