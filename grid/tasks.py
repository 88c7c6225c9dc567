"""Imports that an administrator started in the browser."""

from __future__ import annotations

from celery import shared_task

from grid import services


@shared_task(queue="import", time_limit=3600, soft_time_limit=3500)
def import_run(import_id: int, *, apply: bool) -> dict[str, int]:
    """Read uploaded files and show, or make, their changes."""
    return services.uploaded_import_run(import_id=import_id, apply=apply)
