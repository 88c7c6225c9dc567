"""What the windows of a report add up to, per branch, per week and altogether."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Final

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

import standards
from accounts.actor import Actor
from accounts.scope import visible_to
from grid.models import Branch
from outages.planned import selectors
from outages.planned.models import WorkClass, WorkWindow
from outages.planned.reports.windows import NO_TIME, Asked, Line, Outcome, lines_of, windows_announced
from standards.schema import RulePack


def _ended_as(outcome: Outcome) -> tuple[Promise | str, Callable[[Line], bool]]:
    return outcome.label, lambda line: line.outcome == outcome


# Behind every number stand the windows for which this holds: the page counts them and the list shows them.
FIGURES: Final[Mapping[str, tuple[Promise | str, Callable[[Line], bool]]]] = {
    "published": (_("published"), lambda line: True),
    "open": (_("not ended yet"), lambda line: line.is_open),
    "ended": (_("ended or cancelled"), lambda line: not line.is_open),
    "executed": (_("went as announced"), lambda line: line.outcome == Outcome.EXECUTED),
    "missed": (_("did not go as announced"), lambda line: not line.is_open and line.outcome != Outcome.EXECUTED),
    "cancelled": _ended_as(Outcome.CANCELLED),
    "missed_moved": _ended_as(Outcome.MOVED),
    "missed_began_early": _ended_as(Outcome.BEGAN_EARLY),
    "missed_began_late": _ended_as(Outcome.BEGAN_LATE),
    "missed_ended_late": _ended_as(Outcome.ENDED_LATE),
    "begun": (_("begun"), lambda line: line.began_on_time is not None),
    "began_on_time": (_("began on time"), lambda line: line.began_on_time is True),
    "finished": (_("power is back"), lambda line: line.ended_on_time is not None),
    "ended_on_time": (_("ended on time"), lambda line: line.ended_on_time is True),
    "moved": (_("moved"), lambda line: line.moves > 0),
    "extended": (_("extended"), lambda line: line.extensions > 0),
    "early": (_("ended early"), lambda line: line.is_early),
    "temporary": (_("temporary or emergency work"), lambda line: line.work_class != WorkClass.PLANNED),
    "noticed": (_("needed notice"), lambda line: line.told_in_time is not None),
    "noticed_in_time": (_("told in time"), lambda line: line.told_in_time is True),
    "noticed_late": (_("told too late"), lambda line: line.told_in_time is False),
}


@dataclass(frozen=True)
class Rate:
    """A part of a whole; no share where there is nothing to share."""

    part: int
    whole: int

    @property
    def share(self) -> float | None:
        return self.part / self.whole if self.whole else None


@dataclass(frozen=True)
class Figures:
    """What some windows add up to: for each of ``FIGURES`` how many, and customers × time of those that ended."""

    count: Mapping[str, int]
    planned: timedelta
    actual: timedelta

    @property
    def execution(self) -> Rate:
        return Rate(self.count["executed"], self.count["ended"])

    @property
    def start(self) -> Rate:
        return Rate(self.count["began_on_time"], self.count["begun"])

    @property
    def end(self) -> Rate:
        return Rate(self.count["ended_on_time"], self.count["finished"])

    @property
    def temporary(self) -> Rate:
        return Rate(self.count["temporary"], self.count["published"])

    @property
    def notice(self) -> Rate:
        return Rate(self.count["noticed_in_time"], self.count["noticed"])


def figures_of(lines: Iterable[Line]) -> Figures:
    """Count these windows."""
    some = list(lines)
    ended = [line for line in some if not line.is_open]
    return Figures(
        count={name: sum(holds(line) for line in some) for name, (_label, holds) in FIGURES.items()},
        planned=sum((line.planned for line in ended), NO_TIME),
        actual=sum((line.actual for line in ended), NO_TIME),
    )


def window_ids(windows: QuerySet[WorkWindow], *, asked: Asked, figure: str) -> list[int]:
    """The windows behind one number of the report."""
    holds = FIGURES[figure][1]
    return [line.window_id for line in lines_of(windows_announced(windows, asked), at=timezone.now()) if holds(line)]


# --- the report -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Report:
    """The windows of a span of days with what they add up to."""

    asked: Asked
    at: datetime
    branches: tuple[Branch, ...]  # all that are asked about, in the order of their tree
    lines: tuple[Line, ...]

    @cached_property
    def total(self) -> Figures:
        return figures_of(self.lines)

    @cached_property
    def by_branch(self) -> list[tuple[Branch, Figures]]:
        """The branches that published something."""
        found = _grouped(self.lines, lambda line: line.branch_id)
        return [(branch, figures_of(found[branch.pk])) for branch in self.branches if branch.pk in found]

    @cached_property
    def by_week(self) -> list[tuple[date, Figures]]:
        """Every week from the first day to the last, by its Monday; also those without a window."""
        found = _grouped(self.lines, lambda line: line.week)
        monday = self.asked.first - timedelta(days=self.asked.first.weekday())
        weeks = range((self.asked.last - monday).days // 7 + 1)
        return [(day, figures_of(found.get(day, ()))) for day in (monday + timedelta(weeks=week) for week in weeks)]

    @cached_property
    def packs(self) -> list[RulePack]:
        """By whose rules it was measured."""
        return [standards.pack(key) for key in sorted({line.rule_pack for line in self.lines})]


def _grouped(lines: Iterable[Line], key: Callable[[Line], Hashable]) -> dict[Hashable, list[Line]]:
    found: defaultdict[Hashable, list[Line]] = defaultdict(list)
    for line in lines:
        found[key(line)].append(line)
    return found


def report_of(*, actor: Actor, asked: Asked, at: datetime | None = None) -> Report:
    """What was announced for these days in the branches that this actor may see."""
    branches = visible_to(actor, Branch.objects.order_by("pos"), "outage.read")
    if asked.branch is not None:
        branches = branches.filter(pos__range=(asked.branch.pos, asked.branch.last))
    works = selectors.works_visible_to(actor).order_by()
    windows = windows_announced(WorkWindow.objects.filter(work__in=works.values("pk")), asked)
    now = at or timezone.now()
    return Report(asked, now, tuple(branches), tuple(lines_of(windows, at=now)))
