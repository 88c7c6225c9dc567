"""Words for what a rotation table says."""

from __future__ import annotations

from datetime import datetime

from django.utils.dates import WEEKDAYS
from django.utils.translation import gettext as _

from outages.load_shedding.rotation import Cycle


def day_words(recurrence: str, day: int) -> str:
    """The days on which a row holds: day 3, last day of the month, Monday, day 2 of the cycle."""
    if recurrence == "weekly":
        return str(WEEKDAYS[day - 1])
    if recurrence == "periodic":
        return _("day %(day)d of the cycle") % {"day": day}
    return _("day %(day)d") % {"day": day} if day else _("last day of the month")


def moment_words(moment: datetime, cycle: Cycle) -> str:
    """A moment of the example of a cycle: day 3, 14:00; Monday, 08:00."""
    day = moment.isoweekday() if cycle.recurrence == "weekly" else (moment.date() - cycle.begins).days + 1
    return _("%(day)s, %(time)s") % {"day": day_words(cycle.recurrence, day), "time": f"{moment:%H:%M}"}
