"""Times, days and lists inside a finding: put into words when it is read, in the reader's language."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.pages import day, moment, span
from accounts.rules import text_of
from grid.models import CalendarDay
from standards.values import Cited

NAMED: Final = 3  # works or days that a sentence names before it says how many more there are


@dataclass(frozen=True)
class When:
    """From when to when: Tue 24 Nov 08:00–17:00."""

    starts: datetime
    ends: datetime
    time_zone: str

    def __str__(self) -> str:
        with timezone.override(ZoneInfo(self.time_zone)):
            ends = timezone.localtime(self.ends)
            if timezone.localtime(self.starts).date() == ends.date():
                return f"{moment(self.starts)}–{ends:%H:%M}"
            return f"{moment(self.starts)} – {day(self.ends)} {ends:%H:%M}"


@dataclass(frozen=True)
class Moment:
    """A time by the branch's clock."""

    at: datetime
    time_zone: str

    def __str__(self) -> str:
        with timezone.override(ZoneInfo(self.time_zone)):
            return moment(self.at)


@dataclass(frozen=True)
class Length:
    """How long, in the two units that matter."""

    delta: timedelta

    def __str__(self) -> str:
        return span(self.delta)


@dataclass(frozen=True)
class RuleValue:
    """What the rule pack says, as the page of rules writes it."""

    rule: Cited

    def __str__(self) -> str:
        return text_of(self.rule)


@dataclass(frozen=True)
class NamedDay:
    """A day of the work calendar with its name."""

    day: CalendarDay

    def __str__(self) -> str:
        with timezone.override(ZoneInfo("UTC")):
            noon = datetime.combine(self.day.day, time(12), tzinfo=ZoneInfo("UTC"))
            return f"{self.day.local_name}, {day(noon)}"


@dataclass(frozen=True)
class Conflict:
    """Something else that is off at the same time: what, where, when."""

    reference: str
    element: str
    when: When

    def __str__(self) -> str:
        named = [part for part in (self.reference, self.element) if part]
        return _("%(what)s (%(when)s)") % {"what": ": ".join(named) or "–", "when": self.when}


@dataclass(frozen=True)
class Listing:
    """The first few by name, the others by number."""

    named: Sequence[object]
    others: int = 0

    @classmethod
    def of(cls, things: Sequence[object]) -> Listing:
        return cls(tuple(things[:NAMED]), max(0, len(things) - NAMED))

    def __str__(self) -> str:
        words = "; ".join(str(thing) for thing in self.named)
        if not self.others:
            return words
        more = ngettext("%(count)s more", "%(count)s more", self.others) % {"count": self.others}
        return f"{words}; {more}"
