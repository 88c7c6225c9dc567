"""Planned outages in the unified record: how window and work follow, what the board and the page show of them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connection
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _

import standards
from accounts.actor import Actor
from accounts.pages import span
from outages import policies
from outages.kinds import BoardFacts, KindHandler
from outages.models import Outage, OutageEvent, OutageKind, OutageStatus
from outages.planned import lifecycle
from outages.planned.models import PlannedWork, WindowClaim, WindowState, WorkWindow
from outages.planned.selectors import window_by_outage

DUE_SOON: Final = timedelta(hours=1)

_RUN: Final = ("plan.submit",)
_CHANGE: Final = ("plan.submit", "plan.approve")

# what a person can do next, in the order of the work: the page's name of a step, and the action behind it
ACTIONS: Final = (
    ("start", "start"),
    ("extend", "extend"),
    ("restore-part", "restore_part"),
    ("restore", "restore"),
    ("close", "close"),
    ("move", "reschedule"),
    ("cancel", "cancel"),
)


class PlannedHandler(KindHandler):
    kind = OutageKind.PLANNED
    prefix = "P"
    label = _("planned outage")
    shape = "◷"
    tone = "info"
    rank = 4
    reason_zh = "计划检修"
    reason_en = "planned work"
    steps = (
        ("published", _("published")),
        ("notified", _("customers told")),
        ("in_progress", _("off")),
        ("partially_restored", _("partly restored")),
        ("restored", _("restored")),
        ("closed", _("closed")),
    )
    # the branch runs its own works; publishing is the approver's
    also_by = {
        "schedule": ("plan.approve",),
        "reschedule": _CHANGE,
        "cancel": _CHANGE,
        "start": _RUN,
        "extend": _RUN,
        "set_etr": _RUN,
        "change_extent": _RUN,
        "restore_part": _RUN,
        "restore": _RUN,
        "reopen": _RUN,
        "close": _RUN,
    }
    panel_template = "planned/_panel.html"
    verbs = {
        "notify": _("Customers told"),
        "ask_if_late": _("Will it be late?"),
        "on_time": _("It will be on time"),
    }

    def may(self, outage: Outage, action: str, actor: Actor, facts: dict[str, Any]) -> None:
        """The window's own table agrees."""
        window = window_by_outage(outage) if outage.pk else None
        if window is not None:
            lifecycle.window_after(action=action, state=window.state)

    def after(self, outage: Outage, event: OutageEvent, facts: dict[str, Any]) -> None:
        """The window follows its outage, and the work its windows."""
        window = window_by_outage(outage)
        if window is None:
            return
        window.state = lifecycle.window_after(action=event.verb, state=window.state)
        fields = ["state"]
        if event.verb == "reschedule":
            window.starts_at, window.ends_at = facts["planned_start"], facts["planned_end"]
            window.moves += 1
            window.notified_at = None
            fields += ["starts_at", "ends_at", "moves", "notified_at"]
        elif event.verb == "extend":
            window.ends_at = facts["planned_end"]
            window.extensions += 1
            fields += ["ends_at", "extensions"]
        elif event.verb == "notify":
            window.notified_at = window.notified_at or event.at
            fields.append("notified_at")
        window.save(update_fields=fields)
        if window.state in lifecycle.OVER:
            # back early: the rest of its time is free for others
            WindowClaim.objects.filter(window=window).delete()
        self._work_follows(window)

    @staticmethod
    def _work_follows(window: WorkWindow) -> None:
        # two windows of one work may change at once: the work's row settles who writes last
        work = PlannedWork.objects.select_for_update(no_key=True, of=("self",)).get(pk=window.work_id)
        state = lifecycle.work_state_of(WorkWindow.objects.filter(work=work).values_list("state", flat=True))
        if state != work.state:
            work.state, work.updated_at = state, timezone.now()
            work.version += 1
            work.save(update_fields=["state", "version", "updated_at"])

    def tells(self, outage: Outage) -> frozenset[str] | None:
        window = window_by_outage(outage)
        return frozenset(window.work.notice_plan) if window is not None else None

    def board_facts(self, outage_ids: Collection[int]) -> dict[int, BoardFacts]:
        """What is due and what is late: nothing starts or ends by itself, so somebody must be told to look."""
        with connection.cursor() as db:
            db.execute(_BOARD_SQL, {"outages": list(outage_ids)})
            rows = db.fetchall()
        now = timezone.now()
        return {row[0]: _facts(*row[1:], now=now) for row in rows}

    def panel(self, outage: Outage, actor: Actor) -> dict[str, Any]:
        window = window_by_outage(outage)
        if window is None:
            return {"window": None}
        work = window.work
        now = timezone.now()
        is_asked = (
            window.state in lifecycle.UNDER_WAY
            and outage.planned_end is not None
            and window.on_time_for != outage.planned_end
            and standards.pack(outage.rule_pack).planning.overrun_warning.before(outage.planned_end) <= now
        )
        return {
            "window": window,
            "work": work,
            "windows": list(work.windows.select_related("outage").order_by("starts_at")),
            "elements": list(work.elements.order_by("pos")),
            "children": list(work.children.order_by("pk")),
            "is_asked": is_asked,
            "actions": window_actions(outage, window, actor),
        }

    def step(self, outage: Outage) -> str:
        window = window_by_outage(outage)
        if window is None or window.state in (WindowState.PLANNED, WindowState.CANCELLED):
            return {OutageStatus.SCHEDULED: "published", OutageStatus.ACTIVE: "in_progress"}.get(
                OutageStatus(outage.status), str(outage.status)
            )
        return str(window.state)


def window_actions(outage: Outage, window: WorkWindow, actor: Actor) -> list[str]:
    """What this person can do next with a published window."""
    return [
        name
        for name, action in ACTIONS
        if window.state in lifecycle.WINDOW_STEPS[action].sources
        and policies.may(actor=actor, action=action, outage=outage, also=PlannedHandler.also_by.get(action, ()))
    ]


def _facts(
    status: str, starts_at: datetime, ends_at: datetime, rule_pack: str, on_time_for: datetime | None, crews: int,
    *, now: datetime,
) -> BoardFacts:  # fmt: skip
    stage: str | Promise = ""
    late = soon = False
    if status == OutageStatus.SCHEDULED:
        if starts_at <= now:
            stage, late = _t("should have been off for %(late)s") % {"late": span(now - starts_at)}, True
        elif starts_at - now <= DUE_SOON:
            stage, soon = _t("off in %(left)s") % {"left": span(starts_at - now)}, True
    elif status in (OutageStatus.ACTIVE, OutageStatus.PARTIALLY_RESTORED):
        warning = standards.pack(rule_pack).planning.overrun_warning
        if ends_at <= now:
            stage, late = _t("overrunning by %(late)s") % {"late": span(now - ends_at)}, True
        elif warning.before(ends_at) <= now:
            answered = on_time_for == ends_at
            stage = _t("will be on time") if answered else _t("will it be late?")
            soon = not answered
    words = _t("%(n)d crews") % {"n": crews} if crews > 1 else ""
    return BoardFacts(stage=stage, crew=words, late=late, soon=soon)


_BOARD_SQL = """
SELECT o.id, o.status, o.planned_start, o.planned_end, o.rule_pack, w.on_time_for, coalesce(pw.crews, 1)
FROM outages_outage o
LEFT JOIN planned_workwindow w ON w.outage_id = o.id
LEFT JOIN planned_plannedwork pw ON pw.id = w.work_id
WHERE o.id = ANY(%(outages)s) AND o.planned_start IS NOT NULL AND o.planned_end IS NOT NULL
"""
