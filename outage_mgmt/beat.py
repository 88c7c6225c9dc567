"""Every schedule of the system, each with the sentence that says why.

Beat is a bell too: each of these finds its work in PostgreSQL, so a missed turn costs seconds and two beats at
once do no harm. Add an entry by the task's name; a test checks that the name exists.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from celery.schedules import crontab
from django.conf import settings


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
    "shedding-events": Turn(
        "outages.load_shedding.tasks.events_turn",
        5.0,
        "Every five seconds, announce shedding events that were confirmed, alarm about late slots, end what is over.",
    ),
    "shedding-schedules": Turn(
        "outages.load_shedding.tasks.schedules_watch",
        crontab(minute="*/10"),
        "Every ten minutes, report published shedding schedules that run out.",
    ),
    "cutoff-records": Turn(
        "billing_cutoffs.tasks.records_follow",
        60.0,
        "Every minute, bring the record after cut-off orders that ended many at a time.",
    ),
    "cutoff-grades": Turn(
        "billing_cutoffs.tasks.accounts_grade",
        crontab(hour="0", minute="35"),
        "Every night, work out what has fallen due and grade everybody in arrears.",
    ),
    "cutoff-grades-asked": Turn(
        "billing_cutoffs.tasks.accounts_grade_asked", 60.0, "Every minute, grade if somebody has asked for it."
    ),
    "cutoff-reminders": Turn(
        "billing_cutoffs.tasks.reminders_issue",
        900.0,
        "Every quarter of an hour, remind debtors in the hours in which their branch sends messages.",
    ),
    "cutoff-letters": Turn(
        "billing_cutoffs.tasks.letters_issue", 60.0, "Every minute, write the cut-off letters that were left behind."
    ),
    "cutoff-notices": Turn(
        "billing_cutoffs.tasks.notices_settle",
        15.0,
        "Every quarter of a minute, bring on the cut-off orders whose letter or last warning has arrived.",
    ),
    "cutoff-reminders-settled": Turn(
        "billing_cutoffs.tasks.reminders_settle",
        300.0,
        "Every five minutes, read which reminders arrived and take back those of paid debts.",
    ),
    "cutoff-batches": Turn(
        "billing_cutoffs.tasks.batches_turn",
        15.0,
        "Every quarter of a minute, warn and order off whose turn has come in the batches being carried out.",
    ),
    "cutoff-commands": Turn(
        "billing_cutoffs.tasks.commands_turn",
        5.0,
        "Every five seconds, send what is owed to the meters, and ask about what is in doubt.",
    ),
    "cutoff-answers": Turn(
        "billing_cutoffs.tasks.answers_apply", 5.0, "Every five seconds, apply the answers of meters that are kept."
    ),
    "cutoff-deadlines": Turn(
        "billing_cutoffs.tasks.deadlines_watch",
        60.0,
        "Every minute, look whether somebody who paid is still without power.",
    ),
    "cutoff-payments": Turn(
        "billing_cutoffs.tasks.payments_match",
        300.0,
        "Every five minutes, find the accounts of payments that came before them.",
    ),
    "cutoff-files": Turn(
        "billing_cutoffs.tasks.files_sweep",
        60.0,
        "Every minute, go on with files from billing whose task was lost or killed.",
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

if settings.METER_GATEWAY == "simulator":
    TURNS["simulated-meters"] = Turn(
        "billing_cutoffs.tasks.simulator_turn", 2.0, "Every two seconds, simulated meters answer."
    )

SCHEDULE = {name: turn.entry() for name, turn in TURNS.items()}
