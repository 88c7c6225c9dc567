"""Imports that an administrator started in the browser."""

from __future__ import annotations

from celery import shared_task

from grid import services
from standards.doorbell import Doorbell


@shared_task(base=Doorbell, queue="import", time_limit=3600, soft_time_limit=3500)
def import_run(import_id: int, *, apply: bool) -> dict[str, int]:
    """Read uploaded files and show, or make, their changes."""
    return services.uploaded_import_run(import_id=import_id, apply=apply)


@shared_task(base=Doorbell, queue="import", expires=60)
def imports_sweep(**_later: object) -> dict[str, int]:
    """Go on with imports whose task was lost; those whose worker died end with a reason."""
    left = services.imports_left_behind()
    for import_id, apply in left:
        import_run.delay_on_commit(import_id, apply=apply)
    return {"imports": len(left)}
