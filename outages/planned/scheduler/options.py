"""Where a work could be: its own windows, and every day and time of day that breaks no rule by itself."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Final

from outages.planned.scheduler.problem import DAY, Job, Problem, Windows, rules_of_its_own
from outages.planned.spans import Window

MOST_STARTS: Final = 4  # times of day that one work may begin at


def options_of(job: Job, problem: Problem) -> list[Windows]:
    """The branch's own windows first. Several windows move as one, by whole days."""
    own = job.windows
    if job.is_fixed or job.is_other:
        return [own]
    found = {own: None}
    origin = problem.day_of(own[0][0])
    for start in _starts(job, problem):
        for offset in range((problem.last - problem.first).days + 1):
            shift = problem.first + offset * DAY - origin
            windows = tuple(_moved(window, shift, start, problem) for window in own)
            if windows not in found and not rules_of_its_own(job, windows, problem):
                found[windows] = None
    return list(found)


def _starts(job: Job, problem: Problem) -> list[time | None]:
    """Its own time of day, and those of the works it shares customers with, if it has only one window."""
    starts: list[time | None] = [None]
    if len(job.windows) == 1:
        own = _clock(job, problem)
        others = [
            _clock(other, problem)
            for other in problem.jobs
            if other.key != job.key and len(other.windows) == 1 and not job.places.isdisjoint(other.places)
        ]
        starts += [clock for clock in dict.fromkeys(others) if clock != own]
    return starts[:MOST_STARTS]


def _clock(job: Job, problem: Problem) -> time:
    return job.windows[0][0].astimezone(problem.zone).time()


def _moved(window: Window, shift: timedelta, start: time | None, problem: Problem) -> Window:
    """So many days later at the same time on the branch's clock, or at ``start``; as long as before."""
    local = window[0].astimezone(problem.zone).replace(tzinfo=None) + shift
    if start is not None:
        local = datetime.combine(local.date(), start)
    begins = local.replace(tzinfo=problem.zone).astimezone(UTC)
    return begins, begins + (window[1] - window[0])
