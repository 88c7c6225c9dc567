"""The windows that were announced for some days, each with what happened and how it is judged.

A window belongs to the day for which it was first announced, by its branch's own clock, and is measured against that
announcement and by the rule pack under which it was published. Nothing is guessed about one that has not ended.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.db import connection, models
from django.db.models import F, Q, QuerySet
from django.utils.translation import gettext_lazy as _

import standards
from grid.models import Branch
from outages.planned import lifecycle
from outages.planned.models import PeriodKind, WorkClass, WorkWindow
from standards.schema import RulePack
from standards.values import Span

A_DAY: Final = timedelta(days=1)
NO_TIME: Final = timedelta()


class PlanKind(models.TextChoices):
    """What a report may be narrowed to."""

    MONTH = PeriodKind.MONTH.value, PeriodKind.MONTH.label
    WEEK = PeriodKind.WEEK.value, PeriodKind.WEEK.label
    NONE = "none", _("outside a plan")


@dataclass(frozen=True)
class Asked:
    """What a report is about: days of the branches' own calendars, both included."""

    first: date
    last: date
    branch: Branch | None = None  # with all below it
    plan_kind: str = ""

    def bounds(self, time_zone: str) -> tuple[datetime, datetime]:
        """The first midnight and the one after the last day, in that zone."""
        zone = ZoneInfo(time_zone)
        begin, over = (datetime.combine(day, time(0), zone) for day in (self.first, self.last + A_DAY))
        # in UTC, because Python compares times of one zone by their clocks, also across a change of the clock
        return begin.astimezone(UTC), over.astimezone(UTC)


# --- one window -------------------------------------------------------------------------------------


class Outcome(models.TextChoices):
    """How a window ended; the first that is true is the reason why it did not go as announced."""

    OPEN = "open", _("has not ended")
    EXECUTED = "executed", _("as announced")
    CANCELLED = "cancelled", _("cancelled")
    MOVED = "missed_moved", _("moved to another time")
    BEGAN_EARLY = "missed_began_early", _("began early")
    BEGAN_LATE = "missed_began_late", _("began late")
    ENDED_LATE = "missed_ended_late", _("ended late")


@dataclass(frozen=True)
class Line:
    """One published window: announced, planned last, and what happened."""

    window_id: int
    outage_id: int
    branch_id: int
    time_zone: str
    rule_pack: str
    work_class: str
    state: str
    announced_start: datetime
    announced_end: datetime
    starts_at: datetime
    ends_at: datetime
    started_at: datetime | None
    restored_at: datetime | None
    published_at: datetime
    notified_at: datetime | None
    moves: int
    extensions: int
    at: datetime  # when this was read
    customers: int = 0
    actual: timedelta = NO_TIME  # customers × time off, of what is back

    @cached_property
    def pack(self) -> RulePack:
        return standards.pack(self.rule_pack)

    @property
    def planned(self) -> timedelta:
        """Customers × time, as first announced."""
        return self.customers * (self.announced_end - self.announced_start)

    @property
    def is_open(self) -> bool:
        return self.state not in lifecycle.OVER

    @property
    def began_by(self) -> timedelta | None:
        """How much later than announced it began; below zero: earlier."""
        return self.started_at - self.announced_start if self.started_at else None

    @property
    def ended_by(self) -> timedelta | None:
        """How much later than announced it ended; nothing while it has not."""
        return self.restored_at - self.announced_end if self.restored_at and not self.is_open else None

    @cached_property
    def began_on_time(self) -> bool | None:
        """Sooner than announced is as unexpected as later."""
        return None if self.began_by is None else abs(self.began_by) <= self.pack.planning.start_tolerance.delta

    @cached_property
    def ended_on_time(self) -> bool | None:
        """Sooner than announced is on time: nobody was off longer than they had been told."""
        return None if self.ended_by is None else self.ended_by <= self.pack.planning.end_tolerance.delta

    @cached_property
    def outcome(self) -> Outcome:
        if self.is_open:
            return Outcome.OPEN
        if self.began_by is None or self.ended_by is None:
            return Outcome.CANCELLED
        if self.began_on_time and self.ended_on_time:
            return Outcome.EXECUTED
        if self.moves:
            return Outcome.MOVED
        if self.began_on_time:
            return Outcome.ENDED_LATE
        return Outcome.BEGAN_LATE if self.began_by > NO_TIME else Outcome.BEGAN_EARLY

    @property
    def is_early(self) -> bool:
        return self.ended_by is not None and self.ended_by < -self.pack.planning.end_tolerance.delta

    @property
    def notice(self) -> Span | None:
        """The notice that the law wants of this class of work; emergency work and very short windows need none."""
        rules = self.pack.notice
        is_exempt = rules.exempt_below and self.announced_end - self.announced_start < rules.exempt_below.delta
        if is_exempt or self.work_class == WorkClass.EMERGENCY:
            return None
        return rules.planned if self.work_class == WorkClass.PLANNED else rules.temporary or rules.planned

    @property
    def due(self) -> tuple[datetime, datetime] | None:
        """Until when it had to be published, and until when customers had to be told; a move starts a new clock."""
        if self.notice is None:
            return None
        zone = ZoneInfo(self.time_zone)
        published, told = (self.notice.before(day.astimezone(zone)) for day in (self.announced_start, self.starts_at))
        return published.astimezone(UTC), told.astimezone(UTC)

    @cached_property
    def told_in_time(self) -> bool | None:
        """Published and told by the law's notice; nothing while it is still to come, or where it does not matter."""
        if self.due is None:
            return None
        published_by, told_by = self.due
        if self.published_at > published_by:
            return False
        if self.notified_at is not None:
            return self.notified_at <= told_by
        return None if self.state == lifecycle.CANCELLED or self.at <= told_by else False

    @property
    def notice_late_by(self) -> timedelta:
        """How much too late it was published or customers told; what was not told at all goes on being late."""
        if self.due is None or self.told_in_time is not False:
            return NO_TIME
        published_by, told_by = self.due
        told_at = self.notified_at or (told_by if self.state == lifecycle.CANCELLED else self.at)
        return max(self.published_at - published_by, told_at - told_by)

    @property
    def week(self) -> date:
        """The Monday before its announced day."""
        day = self.announced_start.astimezone(ZoneInfo(self.time_zone)).date()
        return day - timedelta(days=day.weekday())


# --- which windows, and what they were --------------------------------------------------------------


def windows_announced(windows: QuerySet[WorkWindow], asked: Asked) -> QuerySet[WorkWindow]:
    """Those first announced for the days that are asked about; what was entered in error never counts."""
    announced = Q(pk__in=[])
    for zone in Branch.objects.order_by("time_zone").values_list("time_zone", flat=True).distinct():
        begin, over = asked.bounds(zone)
        announced |= Q(work__branch__time_zone=zone, announced_start__gte=begin, announced_start__lt=over)
    found = windows.filter(announced, published_at__isnull=False, outage__is_void=False)
    if asked.branch is not None:
        found = found.filter(work__branch__pos__range=(asked.branch.pos, asked.branch.last))
    return of_kind(found, asked.plan_kind)


def of_kind(windows: QuerySet[WorkWindow], kind: str) -> QuerySet[WorkWindow]:
    """Those whose works stand in such a plan, or in none; all of them where no kind is named."""
    if kind == PlanKind.NONE:
        return windows.filter(work__period__isnull=True)
    return windows.filter(work__period__kind=kind) if kind else windows


_HOURS_SQL: Final = """
SELECT outage_id, coalesce(sum(customers) FILTER (WHERE planned IS NOT NULL), 0)::int,
       coalesce(sum(customers * (upper(actual) - lower(actual))), interval '0')
FROM outages_interruption WHERE outage_id = ANY(%(outages)s) GROUP BY outage_id
"""


def lines_of(windows: QuerySet[WorkWindow], *, at: datetime) -> list[Line]:
    """These windows with what happened in them, in the order in which they were announced."""
    rows = windows.order_by("announced_start", "pk").values(
        "outage_id", "state", "announced_start", "announced_end", "starts_at", "ends_at", "published_at",
        "notified_at", "moves", "extensions", window_id=F("pk"), branch_id=F("work__branch"),
        time_zone=F("work__branch__time_zone"), rule_pack=F("outage__rule_pack"), work_class=F("work__work_class"),
        started_at=F("outage__started_at"), restored_at=F("outage__restored_at"),
    )  # fmt: skip
    facts: list[Any] = list(rows)
    with connection.cursor() as db:
        db.execute(_HOURS_SQL, {"outages": [row["outage_id"] for row in facts]})
        off = {outage: (customers, actual) for outage, customers, actual in db.fetchall()}
    lines = []
    for row in facts:
        customers, actual = off.get(row["outage_id"], (0, NO_TIME))
        lines.append(Line(**row, at=at, customers=customers, actual=actual))
    return lines
