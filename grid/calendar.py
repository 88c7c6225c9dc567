"""Which days are worked: weekends, holidays and worked weekends, for a branch, the branches above it, or everybody."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final, Literal
from zoneinfo import ZoneInfo

from django.db.models import Q, QuerySet

from grid.models import Branch, CalendarDay, DayKind
from standards.values import Span

A_DAY: Final = timedelta(days=1)

NonWorking = Literal["weekend", "holiday", "eve"]


@dataclass(frozen=True)
class Calendar:
    """The days of a branch that are not like others of their weekday."""

    holidays: frozenset[date] = frozenset()
    worked: frozenset[date] = frozenset()

    @classmethod
    def of(cls, days: Iterable[CalendarDay]) -> Calendar:
        by_kind: dict[str, set[date]] = {DayKind.HOLIDAY: set(), DayKind.WORKING: set()}
        for row in days:
            by_kind.get(row.kind, set()).add(row.day)
        return cls(holidays=frozenset(by_kind[DayKind.HOLIDAY]), worked=frozenset(by_kind[DayKind.WORKING]))

    def is_working_day(self, day: date) -> bool:
        """A holiday is none, whoever else says that it is worked."""
        return day not in self.holidays and (day.weekday() < 5 or day in self.worked)

    def non_working_reason(self, day: date) -> NonWorking | None:
        """Why nobody should lose supply on that day: it is not worked, or the next is not."""
        if day in self.holidays:
            return "holiday"
        if not self.is_working_day(day):
            return "weekend"
        return None if self.is_working_day(day + A_DAY) else "eve"

    def working_days_after(self, moment: datetime, days: int) -> datetime:
        """So many working days later at the same time of the clock."""
        left = days
        while left:
            moment += A_DAY
            left -= self.is_working_day(moment.date())
        return moment


def days_of(branch: Branch, first: date, last: date) -> QuerySet[CalendarDay]:
    """The days from ``first`` to ``last`` that hold for a branch: its own, of the branches above it, and of all."""
    here = Q(branch__isnull=True) | Q(branch__pos__lte=branch.pos, branch__last__gte=branch.pos)
    return CalendarDay.objects.filter(here, day__range=(first, last)).order_by("day", "kind", "pk")


def calendar_of(branch: Branch, first: date, last: date) -> Calendar:
    """What is worked in a branch from ``first`` to ``last``, and on the day after, whose eve the last may be."""
    return Calendar.of(days_of(branch, first, last + A_DAY))


def calendars_of(branches: Iterable[Branch], first: date, last: date) -> dict[int, Calendar]:
    """The same for many branches in one statement, by their keys."""
    days = CalendarDay.objects.filter(day__range=(first, last + A_DAY)).select_related("branch")
    return {
        branch.pk: Calendar.of(d for d in days if d.branch is None or d.branch.pos <= branch.pos <= d.branch.last)
        for branch in branches
    }


def working_days_after(branch: Branch, moment: datetime, days: int) -> datetime:
    """So many of the branch's working days later, by its own clock."""
    local = moment.astimezone(ZoneInfo(branch.time_zone))
    # whatever is entered ahead: some dozen days a year, and nobody knows before how far the walk goes
    return Calendar.of(days_of(branch, local.date(), date.max)).working_days_after(local, days)


def deadline_after(branch: Branch, moment: datetime, span: Span) -> datetime:
    """The deadline of something that must follow ``moment``; business days are the branch's own."""
    if span.unit == "business_days":
        return working_days_after(branch, moment, int(span.value))
    return span.after(moment)
