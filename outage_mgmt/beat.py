"""Every schedule of the system, each with the sentence that says why.

Beat is a bell too: each of these finds its work in PostgreSQL, so a missed turn costs seconds and two beats at
once do no harm. Add an entry by the task's name; a test checks that the name exists.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from celery.schedules import crontab


@dataclass(frozen=True)
class Turn:
    task: str
    every: float | crontab  # seconds, or a time of day in the site's zone
    because: str

    def entry(self) -> dict[str, Any]:
        # a turn that nobody took before the next one is due is not worth taking
        options = {"expires": self.every} if isinstance(self.every, (int, float)) else {}
        return {"task": self.task, "schedule": self.every, "options": options}


TURNS: dict[str, Turn] = {
    "route": Turn("notifications.tasks.route", 5.0, "Every five seconds, turn what happened into notices."),
    "remind": Turn(
        "notifications.tasks.remind", 60.0, "Every minute, say again what was announced, when its time comes near."
    ),
    "fan-out": Turn("notifications.tasks.fan_out", 15.0, "Every quarter of a minute, go on with notices half planned."),
    "deliver": Turn("notifications.tasks.deliver_lane", 5.0, "Every five seconds, send what is owed and due."),
    "reap": Turn("notifications.tasks.reap", 5.0, "Every five seconds, bring on what dead senders left behind."),
    "ask-if-late": Turn(
        "outages.planned.tasks.ask_if_late", 60.0, "Every minute, ask whether works that should end soon will."
    ),
    "plan-sheets": Turn(
        "outages.planned.tasks.sheets_sweep", 60.0, "Every minute, go on with workbooks whose task was lost or killed."
    ),
    "plan-schedules": Turn(
        "outages.planned.tasks.schedules_sweep",
        60.0,
        "Every minute, go on with searches whose task was lost and give up those whose worker died.",
    ),
    "grid-imports": Turn(
        "grid.tasks.imports_sweep", 60.0, "Every minute, go on with imports whose task was lost or killed."
    ),
    "plan-periods": Turn(
        "outages.planned.tasks.periods_turn",
        crontab(hour="0", minute="25"),
        "Every night, open the coming plans of the branches and close those that are over.",
    ),
    "cutoff-records": Turn(
        "billing_cutoffs.tasks.records_follow",
        60.0,
        "Every minute, bring the record after cut-off orders that ended many at a time.",
    ),
    "open-days": Turn(
        "notifications.tasks.open_days", crontab(minute="17"), "Every hour, see that the coming days have their tables."
    ),
    "forget-answers": Turn(
        "accounts.tasks.idempotency_keys_forget",
        crontab(hour="3", minute="10"),
        "Every night, forget the stored answers to creates older than two days.",
    ),
    "forget-sketches": Turn(
        "outages.planned.tasks.sketches_forget",
        crontab(hour="3", minute="15"),
        "Every night, forget what was typed into the form of a work and left alone for thirty days.",
    ),
    "clear-sessions": Turn(
        "accounts.tasks.sessions_clear", crontab(hour="3", minute="20"), "Every night, delete logins that have run out."
    ),
}

SCHEDULE = {name: turn.entry() for name, turn in TURNS.items()}
