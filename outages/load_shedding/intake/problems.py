"""What is wrong with a table, and where: in words that say what to do about it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

FIELDS: Final[Mapping[str, str | Promise]] = {
    "": _("the whole row"),
    "stage": pgettext_lazy("rotation table", "stage"),
    "day": pgettext_lazy("rotation table", "day of the month"),
    "weekday": pgettext_lazy("rotation table", "weekday"),
    "cycle_day": _("day of the cycle"),
    "period": _("days of the cycle"),
    "counts_from": _("cycle counted from"),
    "time": pgettext_lazy("rotation table", "hours"),
    "starts": _("off from"),
    "ends": _("back by"),
    "block": _("block"),
    "possible": _("only possible"),
}

_WORDS: Final[Mapping[str, str | Promise]] = {
    "no_table": _("No rotation table is in this file: the headings are not known. Take the template, or its headings."),
    "no_rows": _("The table has headings, but no turn in it."),
    "missing": _("is missing"),
    "bad_time": _("“%(text)s” is no time of day. Write 08:30."),
    "bad_span": _("“%(text)s” is no span of time. Write 08:00-10:30."),
    "no_length": _("begins and ends at the same time. A whole day is 00:00 to 24:00."),
    "bad_day": _("“%(text)s” is no day. Write 1 to %(most)d, several with commas, a range with a dash."),
    "bad_date": _("“%(text)s” is no date. Write 2026-12-03."),
    "bad_number": _("“%(text)s” is no number of days from 1 to 366."),
    "bad_stage": _("“%(text)s” is no stage. Write its number."),
    "unknown_stage": _("There is no stage %(text)s in this plan."),
    "unknown_block": _("There is no block “%(text)s” in this plan."),
    "unknown_heading": _("The heading “%(text)s” is neither a block of this plan nor a stage."),
    "bad_mark": _("“%(text)s” is no mark. Write x where the block is off."),
    "two_days": _("says a day of the month and a weekday. Fill in one of them."),
    "formula": _("“%(text)s” was not calculated. Put its value in its place."),
}


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: in which line of the file, in which field."""

    line: int
    field: str
    code: str
    params: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def label(self) -> str:
        return str(FIELDS.get(self.field, self.field))

    def __str__(self) -> str:
        return str(_WORDS[self.code]) % self.params


class CellProblem(Exception):
    """A cell that cannot be read; its place is known to whoever asked."""

    def __init__(self, code: str, field: str = "", **params: object) -> None:
        self.code, self.field, self.params = code, field, params
        super().__init__(code)
