"""Doorbells of cut-offs: each finds its work in PostgreSQL. Unknown keywords are accepted."""

from __future__ import annotations

from celery import shared_task

from accounts.actor import Actor
from billing_cutoffs.services import (
    answers,
    dunning,
    feed,
    files,
    grades,
    newcomers,
    reconnection,
    record,
    running,
    sending,
    serving,
)
from standards.doorbell import Doorbell

CUTOFFS = Actor.system("cut-offs")


@shared_task(base=Doorbell, queue="plan", expires=60)
def records_follow(**_later: object) -> dict[str, int]:
    """Bring the record after orders that ended many at a time, and close what is long back on."""
    return {"records": record.records_follow(actor=CUTOFFS)}


@shared_task(base=Doorbell, queue="plan", expires=3600)
def accounts_grade(**_later: object) -> dict[str, int]:
    """Work out what is owed today, and grade everybody in arrears."""
    run = grades.accounts_grade(actor=CUTOFFS)
    return {"in_arrears": run.in_arrears, "regraded": run.regraded}


@shared_task(base=Doorbell, queue="plan", expires=60)
def accounts_grade_asked(**_later: object) -> dict[str, int]:
    """The same as soon as somebody has asked for it."""
    return {"in_arrears": grades.accounts_grade(actor=CUTOFFS).in_arrears if grades.grading_owed() else 0}


@shared_task(base=Doorbell, queue="plan", expires=900)
def reminders_issue(**_later: object) -> dict[str, int]:
    """Remind the debtors of whom a reminder is due."""
    return {"reminders": dunning.reminders_issue(actor=CUTOFFS)}


@shared_task(base=Doorbell, queue="plan", expires=60)
def letters_issue(**_later: object) -> dict[str, int]:
    """Write the cut-off letters of approved batches."""
    batches = dunning.batches_without_letters()
    return {"letters": sum(dunning.letters_issue(batch_id=pk, actor=CUTOFFS) for pk in batches)}


@shared_task(base=Doorbell, queue="plan", expires=15)
def notices_settle(**_later: object) -> dict[str, int]:
    """Read the receipts of letters and last warnings, and bring their orders on."""
    return serving.notices_settle(actor=CUTOFFS)


@shared_task(base=Doorbell, queue="plan", expires=300)
def reminders_settle(**_later: object) -> dict[str, int]:
    """Read the receipts of reminders, and take back those of debts that are paid."""
    return serving.reminders_settle()


@shared_task(base=Doorbell, queue="ring", expires=30)
def commands_turn(**_later: object) -> dict[str, int]:
    """Send what is due to the meters, who waits for power first, and ask about what is in doubt."""
    return sending.commands_turn(actor=CUTOFFS)


@shared_task(base=Doorbell, queue="ring", expires=30)
def answers_apply(**_later: object) -> dict[str, int]:
    """Let every answer of a meter do what it says."""
    return answers.answers_apply(actor=CUTOFFS)


@shared_task(base=Doorbell, queue="ring", expires=5)
def simulator_turn(**_later: object) -> dict[str, int]:
    """The simulated meters answer."""
    return {"answers": answers.simulator_turn()}


@shared_task(base=Doorbell, queue="plan", expires=60)
def deadlines_watch(**_later: object) -> dict[str, int]:
    """Warn of reconnections that are due soon, escalate those that are late, and find who is off for another's debt."""
    moved = newcomers.newcomers_reconnect(actor=CUTOFFS)
    return {"newcomers": moved, **reconnection.deadlines_watch(actor=CUTOFFS)}


@shared_task(base=Doorbell, queue="plan", expires=15)
def batches_turn(**_later: object) -> dict[str, int]:
    """Warn, order off and stop what belongs to approved batches, and end those whose window is over."""
    return running.batches_turn(actor=CUTOFFS)


@shared_task(base=Doorbell, queue="plan", expires=300)
def payments_match(**_later: object) -> dict[str, int]:
    """Payments that came before their account count as soon as it is there."""
    return {"accounts": feed.payments_match(actor=CUTOFFS)}


@shared_task(base=Doorbell, queue="import", time_limit=900, soft_time_limit=870)
def file_check(file_id: int, **_later: object) -> dict[str, int]:
    """Read and check a file from billing."""
    return files.file_check(file_id=file_id)


@shared_task(base=Doorbell, queue="import", time_limit=900, soft_time_limit=870)
def file_apply(file_id: int, **_later: object) -> dict[str, int]:
    """Take in the right rows of a file from billing."""
    return files.file_apply(file_id=file_id)


@shared_task(base=Doorbell, queue="import", expires=60)
def files_sweep(**_later: object) -> dict[str, int]:
    """Go on with files whose task was lost or killed."""
    left = files.files_left_behind()
    for file_id, state in left:
        task = file_apply if state == "applying" else file_check
        task.delay_on_commit(file_id)
    return {"files": len(left)}
