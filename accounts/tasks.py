"""House-keeping of accounts."""

from __future__ import annotations

from celery import shared_task
from django.core.management import call_command

from accounts import services


@shared_task(queue="plan")
def idempotency_keys_forget() -> dict[str, int]:
    """Nightly: forget the answers to creates that are older than two days."""
    return {"deleted": services.idempotency_keys_forget()}


@shared_task(queue="plan")
def sessions_clear() -> dict[str, int]:
    """Nightly: delete sessions that have run out."""
    call_command("clearsessions")
    return {}
