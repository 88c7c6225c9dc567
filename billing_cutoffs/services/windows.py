"""When a batch may cut: by daylight, on a day that is followed by another, and after its letters have arrived."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

import standards
from accounts.pages import day as words_of_day
from billing_cutoffs.protections import day_bars
from billing_cutoffs.services.choices import Customer
from billing_cutoffs.services.dunning import letter_span
from grid.calendar import A_DAY, calendar_of, deadline_after
from grid.models import Branch
from standards.errors import DomainError

# how long a letter may need until it provably arrived, beside the notice that the law asks for
SERVING: Final = A_DAY
LOOK_AHEAD: Final = timedelta(days=92)
NOON: Final = time(12)


class BadWindow(DomainError):
    code = "bad_window"
    message = _("A window lies within one day, between %(begins)s and %(ends)s.")


class WindowTooSoon(DomainError):
    """The letters of the strictest class in the batch would arrive too late."""

    code = "window_too_soon"
    message = _("The letters would arrive too late: the first possible day is %(first)s.")


class BarredDay(DomainError):
    code = "barred_day"
    message = _("Nobody is cut off on %(day)s: %(why)s. The next possible day is %(first)s.")


_WHY: Final[dict[str, str | Promise]] = {
    "holiday": _("it is a holiday"),
    "weekend": _("it is a weekend"),
    "eve": _("the next day is not worked"),
    "weekday": _("no cuts on this day of the week"),
}


def window_require(
    *,
    branch: Branch,
    window_from: datetime,
    window_until: datetime,
    told: Collection[Customer],
    now: datetime,
    serving: timedelta = SERVING,
) -> None:
    """Raises ``BadWindow``, ``WindowTooSoon``, ``BarredDay``; the latter two name the next possible day."""
    pack = standards.pack(branch.rule_pack)
    zone = ZoneInfo(branch.time_zone)
    opens, closes = window_from.astimezone(zone), window_until.astimezone(zone)
    hours = pack.arrears.cut_hours.value
    if not (opens.date() == closes.date() and hours.begins <= opens.time() < closes.time() <= hours.ends):
        raise BadWindow(field="window_from", begins=f"{hours.begins:%H:%M}", ends=f"{hours.ends:%H:%M}")
    earliest = letters_arrive(branch=branch, told=told, now=now, serving=serving)
    if window_from < earliest:
        raise WindowTooSoon(field="window_from", first=day_text(day_possible(branch=branch, earliest=earliest), branch))
    day = opens.date()
    bars = day_bars(pack, calendar_of(branch, day, day), day)
    if bars:
        first = day_possible(branch=branch, earliest=max(earliest, opens))
        raise BarredDay(
            field="window_from", day=day_text(day, branch), why=_WHY[bars[0]], first=day_text(first, branch)
        )


def letters_arrive(
    *, branch: Branch, told: Collection[Customer], now: datetime, serving: timedelta = SERVING
) -> datetime:
    """From when a letter that goes out now has been there as long as the strictest of these customers asks for."""
    pack = standards.pack(branch.rule_pack)
    spans = [letter_span(pack, *customer) for customer in told]
    return max((deadline_after(branch, now + serving, span) for span in spans), default=now)


def day_possible(*, branch: Branch, earliest: datetime) -> date | None:
    """The first day on which somebody may be cut off from the beginning of its hours on."""
    pack = standards.pack(branch.rule_pack)
    zone = ZoneInfo(branch.time_zone)
    first = earliest.astimezone(zone).date()
    calendar = calendar_of(branch, first, first + LOOK_AHEAD)
    for n in range(LOOK_AHEAD.days):
        day = first + timedelta(days=n)
        begins = datetime.combine(day, pack.arrears.cut_hours.value.begins, zone)
        if begins >= earliest and not day_bars(pack, calendar, day):
            return day
    return None


def day_text(day: date | None, branch: Branch) -> str:
    """A day of the branch's calendar in the reader's language."""
    return words_of_day(datetime.combine(day, NOON, ZoneInfo(branch.time_zone))) if day is not None else "–"
