"""Doorbells of planning: each finds its work in PostgreSQL. Unknown keywords are accepted."""

from __future__ import annotations

from celery import shared_task

from accounts.actor import Actor
from outages.planned import services
from outages.planned.services import schedules, sheets
from standards.doorbell import Doorbell

CLOCK = Actor.system("clock")


@shared_task(base=Doorbell, queue="plan", expires=60)
def ask_if_late(**_later: object) -> dict[str, int]:
    """Ask the owners of works that should end soon whether they will."""
    return {"asked": services.windows_ask_if_late(actor=CLOCK)}


@shared_task(base=Doorbell, queue="plan", expires=3600)
def periods_turn(**_later: object) -> dict[str, int]:
    """Open the plans of the coming month and weeks, close those that are over."""
    return {
        "opened": services.periods_open_ahead(actor=CLOCK),
        "closed": services.periods_close_ended(actor=CLOCK),
    }


@shared_task(base=Doorbell, queue="plan", expires=3600)
def sketches_forget(**_later: object) -> dict[str, int]:
    """Clear away what was typed into the form of a work and long left alone."""
    return {"deleted": services.sketches_forget()}


@shared_task(base=Doorbell, queue="import", time_limit=900, soft_time_limit=870)
def sheet_read(sheet_id: int, **_later: object) -> dict[str, int]:
    """Read and check an uploaded workbook."""
    return sheets.sheet_read(sheet_id=sheet_id)


@shared_task(base=Doorbell, queue="import", time_limit=900, soft_time_limit=870)
def sheet_import(sheet_id: int, **_later: object) -> dict[str, int]:
    """Write the right rows of a workbook into the plan."""
    return sheets.sheet_import(sheet_id=sheet_id)


@shared_task(base=Doorbell, queue="import", expires=60)
def sheets_sweep(**_later: object) -> dict[str, int]:
    """Go on with workbooks whose task was lost or killed."""
    left = sheets.sheets_left_behind()
    for sheet_id, state in left:
        task = sheet_import if state == "importing" else sheet_read
        task.delay_on_commit(sheet_id)
    return {"sheets": len(left)}


# ends before ``schedules.LIFETIME``, after which a search counts as dead
@shared_task(base=Doorbell, queue="import", time_limit=170, soft_time_limit=150)
def schedule_run(run_id: int, **_later: object) -> dict[str, int]:
    """Search for better windows for a plan."""
    return schedules.schedule_run_work(run_id=run_id)


@shared_task(base=Doorbell, queue="import", expires=60)
def schedules_sweep(**_later: object) -> dict[str, int]:
    """Go on with searches whose task was lost; those whose worker died can be started again."""
    left = schedules.schedule_runs_left_behind()
    for run_id in left:
        schedule_run.delay_on_commit(run_id)
    return {"runs": len(left)}
