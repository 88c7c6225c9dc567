"""Better windows for a whole plan: searched in the background, then accepted by a person line by line.

A run is claimed by one worker. The search holds no transaction; what it found is written in one, unless the run was
given up meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.actor import Actor
from outages.planned import lifecycle
from outages.planned.models import PlannedWork, ScheduleLine, ScheduleRun
from outages.planned.services.periods import period_editable, period_locked
from outages.planned.services.works import works_locked, works_windows_set
from outages.planned.spans import Window
from standards.errors import Conflict, DomainError, NotFound

if TYPE_CHECKING:
    from outages.planned.scheduler import Measure

LIFETIME: Final = timedelta(minutes=3)  # of a search, from its claim to its end; whatever runs longer is dead
LATER: Final = timedelta(minutes=1)  # after which the sweep looks at what is still waiting
UNFINISHED: Final = (ScheduleRun.State.QUEUED, ScheduleRun.State.RUNNING)

# why a run failed: ``ScheduleRun.message``, put into words by the page
DIED: Final = "died"
BROKEN: Final = "broken"


class NothingToMove(DomainError):
    code = "nothing_to_move"
    status = 409
    message = _("No work of this plan can be moved: there is none, or every date is fixed.")


class LineDecided(Conflict):
    code = "line_decided"
    message = _("Somebody has decided about this line already.")


# --- searching --------------------------------------------------------------------------------------


def schedule_run_start(*, actor: Actor, period_id: int) -> ScheduleRun:
    """Look for better windows for a plan that is still with the branch. A second click finds the first one's search."""
    with transaction.atomic(durable=True):
        period = period_editable(actor, period_id)
        running = period.schedule_runs.filter(state__in=UNFINISHED).first()
        if running is not None:
            return running
        if not period.works.filter(state__in=lifecycle.EDITABLE, is_fixed=False).exists():
            raise NothingToMove()
        return ScheduleRun.objects.create(
            period=period, actor_id=actor.user_id, actor_name=actor.name, crew_capacity=period.crew_capacity
        )


def schedule_run_work(*, run_id: int) -> dict[str, int]:
    """Search for one run. A task that comes twice finds it claimed; whatever goes wrong ends it with a reason."""
    claimed = ScheduleRun.objects.filter(pk=run_id, state=ScheduleRun.State.QUEUED).update(
        state=ScheduleRun.State.RUNNING, started_at=timezone.now()
    )
    if not claimed:
        return {"run": 0}
    try:
        return _searched(ScheduleRun.objects.select_related("period__branch").get(pk=run_id))
    except Exception:
        _given_up([run_id], BROKEN)
        raise


def _searched(run: ScheduleRun) -> dict[str, int]:
    # OR-Tools costs a process 60 MB and half a second, and only the worker searches
    from outages.planned.scheduler import problem_of, reasons_of, schedule

    def tell(percent: int) -> None:
        ScheduleRun.objects.filter(pk=run.pk, state=ScheduleRun.State.RUNNING).update(progress=percent)

    # read before the windows: a work that changes in between is stale, never overwritten
    versions = dict(run.period.works.values_list("pk", "version"))
    problem = problem_of(run.period, at=timezone.now())
    proposal = schedule(problem, tell=tell)
    reasons = reasons_of(proposal, problem)
    lines = [
        ScheduleLine(
            run=run, work_id=key, work_version=versions[key], reasons=reasons[key],
            before=_kept(problem.own_plan[key], problem.zone), after=_kept(proposal.plan[key], problem.zone),
        )
        for key in proposal.moved
    ]  # fmt: skip
    with transaction.atomic():
        period_locked(run.period_id)  # before the works, against one that is thrown away just now
        held = ScheduleRun.objects.select_for_update(no_key=True).get(pk=run.pk)
        if held.state != ScheduleRun.State.RUNNING:  # given up meanwhile
            return {"run": 0}
        held.state, held.progress, held.finished_at = ScheduleRun.State.DONE, 100, timezone.now()
        held.before, held.after = _figures(proposal.before), _figures(proposal.after)
        held.is_optimal, held.crew_capacity = proposal.is_optimal, problem.capacity
        held.save(update_fields=["state", "progress", "finished_at", "before", "after", "is_optimal", "crew_capacity"])
        there = set(run.period.works.values_list("pk", flat=True))
        lines = [line for line in lines if line.work_id in there]
        ScheduleLine.objects.bulk_create(lines)
    return {"run": 1, "moved": len(lines)}


def _figures(measured: Measure) -> dict[str, Any]:
    return {
        "rules_broken": measured.rules_broken,
        "customer_minutes": measured.customer_minutes,
        "customers_again": measured.customers_again,
        "holiday_customers": measured.holiday_customers,
        "broken": [
            {
                "rule": one.rule,
                "day": one.day.isoformat() if one.day else "",
                "references": list(one.references),
                "by": one.by,
            }
            for one in measured.broken
        ],
    }


def _kept(windows: Iterable[Window], zone: ZoneInfo) -> list[list[str]]:
    """On the branch's clock, with its offset."""
    return [[moment.astimezone(zone).isoformat() for moment in window] for window in windows]


def schedule_runs_left_behind() -> list[int]:
    """Runs that wait although their task should long have come. Those whose worker died are given up."""
    now = timezone.now()
    dead = ScheduleRun.objects.filter(state=ScheduleRun.State.RUNNING, started_at__lt=now - LIFETIME)
    _given_up(dead.values_list("pk", flat=True), DIED)
    waiting = ScheduleRun.objects.filter(state=ScheduleRun.State.QUEUED, started_at__lt=now - LATER)
    return list(waiting.values_list("pk", flat=True))


def _given_up(run_ids: Iterable[int], why: str) -> None:
    """End these searches, so that another can be started."""
    ScheduleRun.objects.filter(pk__in=run_ids, state=ScheduleRun.State.RUNNING).update(
        state=ScheduleRun.State.FAILED, message=why, finished_at=timezone.now()
    )


# --- deciding ---------------------------------------------------------------------------------------


def schedule_line_decide(*, actor: Actor, line_id: int, accept: bool) -> ScheduleLine:
    """Take the proposed windows for one work, or leave it where it is. A work that has changed makes the line stale."""
    with transaction.atomic(durable=True):
        line = _line_held(actor, line_id)
        decision = ScheduleLine.Decision.ACCEPTED if accept else ScheduleLine.Decision.REFUSED
        if line.decision == decision:
            return line
        if line.decision != ScheduleLine.Decision.OPEN:
            raise LineDecided(field="line")
        return _decided(actor, [line], accept=accept)[0]


def schedule_lines_decide(*, actor: Actor, run_id: int, accept: bool) -> list[ScheduleLine]:
    """The same for every line that nobody has decided about yet: all at once, in as many statements as for one."""
    with transaction.atomic(durable=True):
        run = ScheduleRun.objects.filter(pk=run_id).first()
        if run is None:
            raise NotFound(field="run")
        period_editable(actor, run.period_id)
        waiting = run.lines.filter(decision=ScheduleLine.Decision.OPEN)
        return _decided(actor, list(waiting.select_for_update()), accept=accept)


def schedule_line_undo(*, actor: Actor, line_id: int) -> ScheduleLine:
    """Take a decision back: an accepted line gives its work the windows that it had. Raises ``Conflict``."""
    with transaction.atomic(durable=True):
        line = _line_held(actor, line_id)
        if line.decision == ScheduleLine.Decision.ACCEPTED:
            (work,) = works_locked([line.work_id])
            if not is_fresh(line, work):
                raise Conflict(field="version")
            works_windows_set(actor=actor, changes=[(work, windows_of(line.before))], note=str(line.run_id))
            line.work_version = work.version
        elif line.decision != ScheduleLine.Decision.REFUSED:
            return line
        line.decision, line.decided_by, line.decided_at = ScheduleLine.Decision.OPEN, "", None
        line.save(update_fields=_DECIDED)
        return line


_DECIDED: Final = ["decision", "decided_by", "decided_at", "work_version"]


def windows_of(kept: Sequence[Sequence[str]]) -> list[Window]:
    """The windows of a line, as they were or as proposed."""
    return [(datetime.fromisoformat(starts), datetime.fromisoformat(ends)) for starts, ends in kept]


def _decided(actor: Actor, lines: Sequence[ScheduleLine], *, accept: bool) -> list[ScheduleLine]:
    works = {work.pk: work for work in works_locked([line.work_id for line in lines])} if accept else {}
    chosen = [line for line in lines if accept and is_fresh(line, works[line.work_id])]
    if chosen:
        changes = [(works[line.work_id], windows_of(line.after)) for line in chosen]
        works_windows_set(actor=actor, changes=changes, note=str(chosen[0].run_id))
    now = timezone.now()
    for line in lines:
        if not accept:
            line.decision = ScheduleLine.Decision.REFUSED
        elif line in chosen:
            line.decision, line.work_version = ScheduleLine.Decision.ACCEPTED, works[line.work_id].version
        else:
            line.decision = ScheduleLine.Decision.STALE
        line.decided_by, line.decided_at = actor.name, now
    ScheduleLine.objects.bulk_update(lines, _DECIDED)
    return list(lines)


def is_fresh(line: ScheduleLine, work: PlannedWork) -> bool:
    """The work is as the search or the last decision left it, and still the branch's to change."""
    return work.state in lifecycle.EDITABLE and work.version == line.work_version


def _line_held(actor: Actor, line_id: int) -> ScheduleLine:
    """The line's row after its plan's, in the order in which every step of a plan locks."""
    found = ScheduleLine.objects.select_related("run").filter(pk=line_id).first()
    if found is None:
        raise NotFound(field="line")
    period_editable(actor, found.run.period_id)
    return ScheduleLine.objects.select_for_update(no_key=True).get(pk=line_id)
