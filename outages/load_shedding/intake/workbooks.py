"""The table going out: a template in the three forms, and the plan's own table in a form that can be read again."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import time
from typing import Any, Final

import xlsxwriter
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from accounts.pages import cell_text
from outages.load_shedding.intake.columns import WORDS
from outages.load_shedding.rotation import Row

HEADS: Final = (
    "stage", "day", "weekday", "cycle_day", "period", "counts_from", "starts", "ends", "block", "possible",
)  # fmt: skip
_OPTIONS: Final = {
    "in_memory": True,
    # nothing that somebody typed becomes a formula or a link
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
}


def headings() -> list[str]:
    """The columns in the reader's language; either is understood."""
    return [_word(name) for name in HEADS]


def _word(name: str) -> str:
    return WORDS[name][1 if (get_language() or "").startswith("zh") else 0]


def lines(rows: Iterable[Row]) -> Iterator[tuple[Any, ...]]:
    """Each row of a table under ``headings``."""
    last = "最后一天" if (get_language() or "").startswith("zh") else "last"
    for row in rows:
        days = {row.recurrence: row.day or last}
        yield (
            row.stage, days.get("monthly"), days.get("weekly"), days.get("periodic"), row.period, row.counts_from,
            f"{row.starts:%H:%M}", "24:00" if row.ends == time(0) else f"{row.ends:%H:%M}", row.block,
            "x" if row.is_possible else "",
        )  # fmt: skip


def template(*, blocks: Sequence[str], slot_minutes: int) -> bytes:
    """Three empty sheets, one for each form, with the plan's blocks and the length of its slots. One is enough."""
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, _OPTIONS) as book:
        bold = book.add_format({"bold": True, "bg_color": "#E8F1FA", "border": 1})
        text = book.add_format({"num_format": "@"})
        spans = [
            f"{_clock(at)}-{_clock(at + slot_minutes)}" for at in range(0, 24 * 60 - slot_minutes + 1, slot_minutes)
        ]
        sheets: tuple[tuple[str, list[str], list[list[str]]], ...] = (
            (_("Rows"), headings(), []),
            (_("Matrix"), [_word("stage"), _word("day"), _word("time"), *blocks], [["", "", span] for span in spans]),
            (
                _("Half hours"),
                [_word("stage"), _word("weekday"), _word("block"), *map(str, range(1, 25))],
                [["", "", block] for block in blocks],
            ),
        )
        for title, heads, rows in sheets:
            sheet = book.add_worksheet(title[:31])
            sheet.freeze_panes(1, 0)
            sheet.set_column(0, len(heads) - 1, 12, text)
            for row, line in enumerate([heads, *rows]):
                for column, word in enumerate(line):
                    sheet.write_string(row, column, cell_text(word), text if row else bold)
        _help(book)
    return out.getvalue()


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


def _help(book: Any) -> None:
    sheet = book.add_worksheet(_("Help")[:31])
    sheet.set_column(0, 0, 110, book.add_format({"text_wrap": True, "valign": "top"}))
    for row, line in enumerate(
        (
            _("Fill in one of the three sheets; the first with turns in it is read."),
            _("Rows: one line a turn. Several stages, days or blocks may stand in one cell: 1-3, 17 · A, B."),
            _("Give a day of the month (or “last”), or a weekday (1 is Monday), or a day of the cycle with its length"
              " and the date it is counted from. Without any, the turn is every day."),
            _("An end that is not later than the beginning is on the next day."),
            _("Matrix: an x where the block is off, or the stages in which it is; columns may also be stages with the"
              " blocks in the cells."),
            _("Half hours: 24 columns, one an hour: no = off, first and second = off in that half, maybe, mfirst and"
              " msecond = possible, yes = on."),
        )
    ):  # fmt: skip
        sheet.write_string(row, 0, line)
