"""Doorbells of cut-offs: each finds its work in PostgreSQL. Unknown keywords are accepted."""

from __future__ import annotations

from celery import shared_task

from accounts.actor import Actor
from billing_cutoffs.services import record
from standards.doorbell import Doorbell

CUTOFFS = Actor.system("cut-offs")


@shared_task(base=Doorbell, queue="plan", expires=60)
def records_follow(**_later: object) -> dict[str, int]:
    """Bring the record after orders that ended many at a time, and close what is long back on."""
    return {"records": record.records_follow(actor=CUTOFFS)}
