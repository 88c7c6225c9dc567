"""Words for what a rotation table says."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from django.utils.dates import WEEKDAYS
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import pgettext_lazy

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


_STEPS: Final[Mapping[str, Promise]] = {
    "alert": pgettext_lazy("shedding step", "recorded the warning"),
    "order": pgettext_lazy("shedding step", "recorded the order"),
    "propose": pgettext_lazy("shedding step", "handed it to the second person"),
    "withdraw": pgettext_lazy("shedding step", "took it back"),
    "return": pgettext_lazy("shedding step", "sent it back"),
    "confirm": pgettext_lazy("shedding step", "confirmed"),
    "undo": pgettext_lazy("shedding step", "took the confirmation back"),
    "announce": pgettext_lazy("shedding step", "announced the turns"),
    "begin": pgettext_lazy("shedding step", "began"),
    "relieve": pgettext_lazy("shedding step", "recorded what customers take off"),
    "ask_change": pgettext_lazy("shedding step", "asked for more load or a later end"),
    "reject_change": pgettext_lazy("shedding step", "left it as it was"),
    "change": pgettext_lazy("shedding step", "changed the turns"),
    "restore": pgettext_lazy("shedding step", "restores everybody early"),
    "end": pgettext_lazy("shedding step", "ended the event"),
    "reconcile": pgettext_lazy("shedding step", "reconciled what was measured"),
    "cancel": pgettext_lazy("shedding step", "called it off"),
    "off": pgettext_lazy("shedding step", "is off"),
    "on": pgettext_lazy("shedding step", "is on again"),
    "skip": pgettext_lazy("shedding step", "is skipped"),
    "stick": pgettext_lazy("shedding step", "did not come back on"),
    "move": pgettext_lazy("shedding step", "has another time"),
    "late": pgettext_lazy("shedding step", "is late"),
    "measure": pgettext_lazy("shedding step", "was measured"),
    "drop": pgettext_lazy("shedding step", "is no longer needed"),
}


def step_words(verb: str) -> str:
    """What a step of an event or of a turn was, in the history."""
    return str(_STEPS.get(verb, verb))
