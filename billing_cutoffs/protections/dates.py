"""When nobody may be cut: days off and their eves, weekdays, winter, the hours of the day, and the weather."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Final

from billing_cutoffs.protections.guards import Finding, found
from billing_cutoffs.protections.reading import DAYS_AHEAD, Place
from grid.calendar import Calendar
from grid.models import CustomerClass, Importance
from standards import RulePack

_A_DAY: Final = timedelta(days=1)
_A_MOMENT: Final = timedelta(microseconds=1)


def midnight(day: date, place: Place) -> datetime:
    """The first instant of the day by the branch's clock."""
    return datetime.combine(day, time(), place.zone)


def day_findings(place: Place, moment: datetime) -> Iterator[Finding]:
    """What the calendar says against a cut at ``moment``, whoever it is."""
    day = moment.astimezone(place.zone).date()
    for code in day_bars(place.pack, place.calendar, day):
        later = (day + n * _A_DAY for n in range(1, DAYS_AHEAD))
        free = next((other for other in later if not day_bars(place.pack, place.calendar, other)), None)
        yield found(code, until=None if free is None else midnight(free, place), day=day.isoformat())


def day_bars(pack: RulePack, calendar: Calendar, day: date) -> list[str]:
    """Why nobody is cut on that day; nothing, if somebody may be."""
    rules, weekdays = pack.protections, pack.arrears.no_cut_weekdays
    reason = calendar.non_working_reason(day)
    is_barred = reason is not None and (rules.eve if reason == "eve" else rules.non_working_days).value
    return [*([reason] if reason and is_barred else []), *(["weekday"] if weekdays and weekdays.contains(day) else [])]


def winter_finding(place: Place, moment: datetime, *, customer_class: str, importance: str) -> Finding | None:
    """Homes and important users keep their supply in the season of the pack."""
    season = place.pack.protections.winter
    day = moment.astimezone(place.zone).date()
    if season is None or not season.contains(day):
        return None
    if customer_class != CustomerClass.RESIDENTIAL and importance == Importance.NORMAL:
        return None
    after = next((d for n in range(1, 367) if not season.contains(d := day + n * _A_DAY)), None)
    until = None if after is None else midnight(after, place)
    return found("winter", until=until, first=season.value.first, final=season.value.final)


def hours_finding(place: Place, opens: datetime, closes: datetime) -> Finding | None:
    """Cuts are made within certain hours: the moment itself, or the window from end to end while no turn is drawn."""
    hours = place.pack.arrears.cut_hours
    local, final = opens.astimezone(place.zone), (closes - _A_MOMENT).astimezone(place.zone)
    if hours.contains(local.time()) and hours.contains(final.time()):
        return None
    begins = hours.value.begins
    day = local.date() if local.time() < begins else local.date() + _A_DAY
    until = datetime.combine(day, begins, place.zone)
    return found("outside_hours", until=until, begins=f"{begins:%H:%M}", ends=f"{hours.value.ends:%H:%M}")


def weather_findings(place: Place, moment: datetime, *, at: datetime) -> Iterator[Finding]:
    """Cold or heat within so many hours of the cut, or no forecast where there must be one.

    A day further ahead than any forecast looks from now is not judged yet.
    """
    rules = place.pack.protections
    if rules.cold is None and rules.heat is None:
        return
    ahead = rules.forecast_ahead.delta
    first, last = (instant.astimezone(place.zone).date() for instant in (moment, moment + ahead))
    known_until = (at + ahead).astimezone(place.zone).date()
    days = [first + n * _A_DAY for n in range((last - first).days + 1)]
    cold = [d for d in days if d in place.weather and rules.cold and place.weather[d].low <= rules.cold.value]
    heat = [d for d in days if d in place.weather and rules.heat and place.weather[d].high >= rules.heat.value]
    if cold and rules.cold:
        low = min(place.weather[d].low for d in cold)
        yield found("cold", until=midnight(cold[-1] + _A_DAY, place), day=cold[0].isoformat(), low=low)
    if heat and rules.heat:
        high = max(place.weather[d].high for d in heat)
        yield found("heat", until=midnight(heat[-1] + _A_DAY, place), day=heat[0].isoformat(), high=high)
    missing = [d for d in days if d <= known_until and d not in place.weather]
    if missing:
        yield found("forecast_unknown", day=missing[0].isoformat(), hours=int(ahead.total_seconds() // 3600))
