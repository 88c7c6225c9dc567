"""The course of a published window: off, longer, partly back, back, closed; or moved, or cancelled.

Nothing starts by itself: a person says that the switch was opened. Every step is the outage's own transition, and
the window and its work follow it in the kind's handler.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

import standards
from accounts.actor import Actor
from outages.lifecycle import IllegalTransition
from outages.models import CauseClass, Outage
from outages.planned import lifecycle, policies
from outages.planned.models import PlannedWork, WindowClaim, WindowState, WorkState, WorkWindow
from outages.planned.services.gates import claims_write, works_save
from outages.planned.services.works import (
    plans_changed,
    plans_locked,
    steps_append,
    version_check,
    windows_check,
    works_locked,
)
from outages.services import outage_lock, outage_record, outage_transition
from standards.errors import Conflict, DomainError, NotFound


class TellThem(DomainError):
    """Customers were told a time: whoever changes it says that they will be told (``experience.md`` P5)."""

    code = "tell_them"
    message = _("%(told)d customers rely on the old time: say that they are to be told.")


def window_start(
    *, window_id: int, actor: Actor, started_at: datetime, expected_version: int | None = None, note: str = ""
) -> Outage:
    """The switch was opened at ``started_at``: supply is off."""
    return _step(window_id, actor, "start", expected_version, note=note, started_at=started_at)


def window_extend(
    *, window_id: int, actor: Actor, planned_end: datetime, reason: str, expected_version: int | None = None
) -> Outage:
    """The work takes longer than announced; everybody concerned is told the new time."""
    return _step(window_id, actor, "extend", expected_version, planned_end=planned_end, reason=reason)


def window_restore_part(
    *,
    window_id: int,
    actor: Actor,
    at: datetime,
    element_ids: Collection[int] = (),
    service_point_ids: Collection[int] = (),
    expected_version: int | None = None,
    note: str = "",
) -> Outage:
    """Supply is back below some elements, or for single customers, before the rest."""
    return _step(
        window_id, actor, "restore_part", expected_version, note=note, at=at, element_ids=element_ids,
        service_point_ids=service_point_ids,
    )  # fmt: skip


def window_restore(
    *, window_id: int, actor: Actor, restored_at: datetime, expected_version: int | None = None, note: str = ""
) -> Outage:
    """Supply is back everywhere, early or late."""
    return _step(window_id, actor, "restore", expected_version, note=note, restored_at=restored_at)


def window_close(
    *, window_id: int, actor: Actor, remedy: str, expected_version: int | None = None, note: str = ""
) -> Outage:
    """All four times are known and what was done is written down: the record is complete."""
    if not remedy.strip():
        raise DomainError(_("Say what was done."), field="remedy")
    return _step(
        window_id, actor, "close", expected_version, note=note, cause_class=CauseClass.PLANNED,
        cause_text=remedy.strip()[:500],
    )  # fmt: skip


def window_move(
    *,
    window_id: int,
    actor: Actor,
    planned_start: datetime,
    planned_end: datetime,
    reason: str,
    tell: bool,
    expected_version: int | None = None,
) -> Outage:
    """The outage will be at another time: whoever was told is told, and the notice clock starts again.

    ``tell`` is the decision that the form asks for; nothing that customers were told is changed silently.
    """
    with transaction.atomic(durable=True):
        window = _held(window_id)
        windows_check([(planned_start, planned_end)], period=None, branch=window.work.branch)
        if planned_start <= timezone.now():
            raise DomainError(_("The new time must lie ahead."), field="planned_start")
        _decided_to_tell(window, tell)
        outage = _transition(
            window, actor, "reschedule", expected_version, planned_start=planned_start, planned_end=planned_end,
            reason=reason,
        )  # fmt: skip
        # the claim moves along, and may meet another one
        (work,) = works_locked([window.work_id])
        claims_write([work])
        return outage


def window_cancel(
    *, window_id: int, actor: Actor, reason: str, tell: bool, expected_version: int | None = None
) -> Outage:
    """This switching-off will not happen; whoever was told is told."""
    with transaction.atomic(durable=True):
        window = _held(window_id)
        _decided_to_tell(window, tell)
        outage = _transition(window, actor, "cancel", expected_version, reason=reason)
        WindowClaim.objects.filter(window=window).delete()
        _parts_end(actor, works_locked([window.work_id])[0], reason.strip())
        return outage


def work_cancel(
    *, actor: Actor, work_id: int, reason: str, tell: bool = True, expected_version: int | None = None
) -> PlannedWork:
    """The work will not happen: what was published is cancelled window by window, what was not just ends."""
    words = reason.strip()
    if not words:
        raise DomainError(_("Say why it is cancelled."), field="reason")
    with transaction.atomic(durable=True):
        # outages are locked before works, here as everywhere
        windows = WorkWindow.objects.filter(work=work_id, outage__isnull=False).order_by("outage")
        held = {outage_lock(outage_id or 0).pk for outage_id in windows.values_list("outage", flat=True)}
        plans = plans_locked(Q(works=work_id))
        (work,) = works_locked([work_id])
        policies.require(actor=actor, action="cancel", branch=work.branch)
        version_check(work, expected_version)
        state = lifecycle.work_after(action="cancel", state=work.state)
        children = list(work.children.filter(state=WorkState.JOINED).select_related("branch"))
        published = [window for window in work.windows.select_related("outage", "work__branch") if window.outage_id]
        if {window.outage_id for window in published} != held:
            # made public just now: whoever calls it off has seen that customers are told
            raise Conflict(field="version")
        for branch in {child.branch_id: child.branch for child in children if not published}.values():
            policies.require(actor=actor, action="cancel", branch=branch)
        for window in published:
            if window.state in (WindowState.PUBLISHED, WindowState.NOTIFIED):
                _decided_to_tell(window, tell)
                _transition(window, actor, "cancel", None, reason=words)
        work = works_locked([work_id])[0]
        work.state_reason = words[:500]
        if not published:
            work.state = state
        works_save([work], "state_reason")
        WindowClaim.objects.filter(window__work=work, window__state=WindowState.CANCELLED).delete()
        if not published:
            WindowClaim.objects.filter(window__work=work).delete()
            plans_changed(plans)
        steps_append(actor=actor, verb="cancel", works=[work], note=words)
        _parts_end(actor, work, words)
        return work


def _parts_end(actor: Actor, joint: PlannedWork, why: str) -> None:
    """What was to be done in an outage that will not happen is not done either; its number is free again."""
    children = list(joint.children.filter(state=WorkState.JOINED)) if joint.state == WorkState.CANCELLED else []
    for child in children:
        child.state, child.state_reason = WorkState.CANCELLED, why[:500]
    works_save(children, "state_reason")
    steps_append(actor=actor, verb="cancel", works=children, note=why)


# --- will it be late? -----------------------------------------------------------------------------------


def windows_ask_if_late(*, actor: Actor) -> int:
    """Thirty minutes (rule pack) before the planned end the owner is asked, once for each end.

    Returns how many were asked. The question is a line of the history, so open pages show it at once.
    """
    now, asked = timezone.now(), 0
    running = WorkWindow.objects.filter(
        state__in=lifecycle.UNDER_WAY, outage__isnull=False, outage__planned_end__gt=now
    ).select_related("outage", "work__branch")
    for window in running.order_by("pk"):
        outage = window.outage
        if outage is None or outage.planned_end is None or window.asked_for == outage.planned_end:
            continue
        warning = standards.pack(outage.rule_pack).planning.overrun_warning
        if warning.before(outage.planned_end) <= now:
            asked += _ask(window.pk, actor)
    return asked


def _ask(window_id: int, actor: Actor) -> int:
    with transaction.atomic(durable=True):
        window = _held(window_id)
        outage = window.outage
        if outage is None or window.state not in lifecycle.UNDER_WAY or window.asked_for == outage.planned_end:
            return 0
        window.asked_for = outage.planned_end
        window.save(update_fields=["asked_for"])
        outage_record(outage=outage, verb="ask_if_late", actor=actor, after={"planned_end": _iso(outage.planned_end)})
        return 1


def window_on_time(*, window_id: int, actor: Actor, expected_version: int | None = None) -> Outage:
    """The owner answers: it will be finished by the announced end."""
    with transaction.atomic(durable=True):
        window = _held(window_id)
        outage = window.outage
        if outage is None or window.state not in lifecycle.UNDER_WAY:
            raise IllegalTransition(action="on_time", current=window.state)
        policies.require(actor=actor, action="run", branch=window.work.branch)
        if expected_version is not None:
            _version_of(outage, expected_version)
        window.on_time_for = outage.planned_end
        window.save(update_fields=["on_time_for"])
        outage_record(outage=outage, verb="on_time", actor=actor, after={"planned_end": _iso(outage.planned_end)})
        return outage


def _iso(moment: datetime | None) -> str:
    return moment.isoformat() if moment is not None else ""


# --- one step -----------------------------------------------------------------------------------------


def _step(
    window_id: int, actor: Actor, action: str, expected_version: int | None, *, note: str = "", **facts: Any
) -> Outage:
    with transaction.atomic(durable=True):
        return _transition(_held(window_id), actor, action, expected_version, note=note, **facts)


def _transition(window: WorkWindow, actor: Actor, action: str, expected_version: int | None, **facts: Any) -> Outage:
    if window.outage_id is None:
        raise IllegalTransition(action=action, current=window.state)
    return outage_transition(
        outage_id=window.outage_id, action=action, actor=actor, expected_version=expected_version, **facts
    )


def _held(window_id: int) -> WorkWindow:
    """The window with its outage locked. Raises ``NotFound``."""
    window = WorkWindow.objects.select_related("work__branch").filter(pk=window_id).first()
    if window is None:
        raise NotFound(field="window")
    if window.outage_id is not None:
        window.outage = outage_lock(window.outage_id)
    return window


def _version_of(outage: Outage, expected: int) -> None:
    if outage.version != expected:
        raise Conflict(field="version")


def _decided_to_tell(window: WorkWindow, tell: bool) -> None:
    told = window.outage.customers_affected if window.outage is not None else 0
    if not tell and window.published_at is not None:
        raise TellThem(field="tell", told=told)
