"""Doorbells of planning: each finds its work in PostgreSQL. Unknown keywords are accepted."""

from __future__ import annotations

from celery import shared_task
from celery.contrib.django.task import DjangoTask

from accounts.actor import Actor
from outages.planned import services

CLOCK = Actor.system("clock")


@shared_task(base=DjangoTask, queue="plan", expires=60)
def ask_if_late(**_later: object) -> dict[str, int]:
    """Ask the owners of works that should end soon whether they will."""
    return {"asked": services.windows_ask_if_late(actor=CLOCK)}


@shared_task(base=DjangoTask, queue="plan", expires=3600)
def periods_turn(**_later: object) -> dict[str, int]:
    """Open the plans of the coming month and weeks, close those that are over."""
    return {
        "opened": services.periods_open_ahead(actor=CLOCK),
        "closed": services.periods_close_ended(actor=CLOCK),
    }
