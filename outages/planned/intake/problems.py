"""What can be wrong with a cell or a row, in words that say what to do about it.

A problem is kept as plain data, so that everybody reads it in their own language.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from grid.spreadsheets.words import in_my_language
from outages.planned.intake.choices import choice_words
from outages.planned.intake.columns import BY_NAME

_Text = str | Promise

# code: (the remedy, as a heading over all its rows; what is said about the one cell)
TEXTS: Final[Mapping[str, tuple[_Text, _Text]]] = {
    "missing": (_("Fill in what is missing"), _("%(label)s is missing.")),
    "bad_date": (
        _("Write the date and time so that they can be read"),
        _("“%(text)s” is no date or time. Write 2026-12-03 08:00."),
    ),
    "ambiguous_date": (
        _("Write the year first"),
        _("“%(text)s” can be two different days. Write the year first: 2026-12-03."),
    ),
    "no_such_day": (_("Correct the date"), _("There is no such day as “%(text)s”.")),
    "no_such_time": (_("Correct the time"), _("There is no such time of day as “%(text)s”.")),
    "no_time": (_("Give the time of day"), _("“%(text)s” says a day, but no time of day.")),
    "no_day": (_("Give the day"), _("“%(text)s” says a time, but not on which day.")),
    "clock_gap": (
        _("Choose a time that exists"),
        _("%(text)s does not exist: the clocks are put forward that night."),
    ),
    "clock_twice": (
        _("Say which of the two hours is meant"),
        _("%(text)s exists twice: the clocks are put back that night. Write %(first)s or %(second)s."),
    ),
    "reversed": (_("The end is before the start"), _("The end, %(end)s, is not later than the start, %(start)s.")),
    "too_long": (_("The window is too long"), _("From %(start)s to %(end)s is more than %(days)d days.")),
    "implausible": (_("Correct the year"), _("%(start)s is not plausible.")),
    "past": (_("Choose a time ahead"), _("%(start)s has passed.")),
    "outside_plan": (
        _("The day is outside this plan"),
        _("%(day)s is outside this plan (%(first)s to %(last)s)."),
    ),
    "overlap": (_("Windows of one work overlap"), _("Overlaps row %(row)d of the same work.")),
    "too_many_windows": (_("Too many windows"), _("A work has at most %(most)d windows.")),
    "duplicate": (_("Delete the duplicate"), _("Says the same as row %(row)d.")),
    "different_places": (
        _("Name the same places for one number"),
        _("Row %(row)d has the same number, another time and other places."),
    ),
    "different_facts": (
        _("Rows of one number say different things"),
        _("Row %(row)d of the same work says “%(text)s”; the first row counts."),
    ),
    "unknown_place": (_("Nothing of this name in the branch"), _("“%(text)s” is not found in this branch.")),
    "ambiguous_place": (
        _("Several pieces have this name"),
        _("“%(text)s” is the name of several pieces. Give the code of one."),
    ),
    "other_branch": (_("Rows of another branch"), _("This row is of another branch: “%(text)s”.")),
    "bad_choice": (_("Choose one of the allowed words"), _("“%(text)s” is none of: %(choices)s.")),
    "bad_number": (_("Give a whole number"), _("“%(text)s” is not a whole number from %(least)d to %(most)d.")),
    "bad_hours": (_("Give the hours as a number"), _("“%(text)s” is no number of hours.")),
    "too_long_text": (_("Shorten the text"), _("%(length)d characters; there is room for %(most)d.")),
    "formula": (
        _("Replace the formula by its value"),
        _("A formula without a value. Let your program calculate it and save the file, or type the value."),
    ),
    "formula_error": (_("Correct the formula"), _("The formula failed: %(text)s.")),
    "not_editable": (
        _("The work has been handed in"),
        _("%(reference)s differs, but is no longer a draft. It must be taken back first."),
    ),
    "other_plan": (_("The number belongs to another plan"), _("This number is %(reference)s of the plan %(plan)s.")),
    "waits": (_("Waits for another row of the same work"), _("Row %(row)d of the same work must be corrected first.")),
    "next_day": (_("Ends on the next day"), _("%(text)s: it is understood that power is back on the next day.")),
    "refused": (_("Refused while importing"), _("%(text)s")),
}  # fmt: skip
FINDING: Final = "check"  # what the checks found; its words are kept in every language
_FINDINGS: Final[Mapping[str, _Text]] = {
    "notice_short": _("Customers hear of it late: move it, or say why it cannot wait"),
    "overlap": _("Something else is off there at that time"),
    "important": _("Important customers: a risk sheet is needed"),
    "life_support": _("Life support: a risk sheet is needed"),
    "frequent": _("Customers would be off too often"),
    "tie_out": _("The tie that the switching needs is out then"),
    "backup_out": _("The feeder that backs it up is out then"),
    "calendar": _("An unwelcome day"),
    "alternatives": _("Say whether live-line work and transfer supply were considered"),
}


@dataclass(frozen=True)
class Problem:
    """``is_wrong`` keeps the row out; otherwise it is a warning. ``better`` is what could stand there instead."""

    code: str
    field: str = ""
    params: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    is_wrong: bool = True
    better: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "field": self.field,
            "params": dict(self.params),
            "is_wrong": self.is_wrong,
            "better": list(self.better),
        }

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> Self:
        return cls(kept["code"], kept["field"], kept["params"], kept["is_wrong"], tuple(kept["better"]))

    @property
    def remedy(self) -> str:
        """What has to be done, the same for every row that has this problem."""
        if self.code == FINDING:
            return str(_FINDINGS.get(self.params["check"], "")) or self.words
        return str(TEXTS[self.code][0])

    @property
    def words(self) -> str:
        """What is said about the one cell, in the reader's language."""
        if self.code == FINDING:
            return in_my_language(self.params["words"])
        params = dict(self.params)
        if self.code == "missing":
            params["label"] = BY_NAME[self.field].label if self.field in BY_NAME else self.field
        elif self.code == "bad_choice":
            params["choices"] = choice_words(params["choices"])
        return str(TEXTS[self.code][1]) % params


class CellProblem(Exception):
    """Raised while one cell is read."""

    def __init__(self, code: str, **params: Any) -> None:
        super().__init__(code)
        self.code = code
        self.params = params
