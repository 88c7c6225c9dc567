"""Pictures of an event: charts of its report, the course of its load, and its turns as bars on a line of time.

Course and turns are drawn into the page itself: what is needed is worked out here, in hundredths of the width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from outages.drawing import Chart
from outages.load_shedding.report import Moment, Report

BLOCKS_SHOWN: Final = 20  # of a chart; the table beside it has all of them
_HEIGHT: Final = 100.0


def mw_words(value: float | None) -> str:
    """45.2, 0.12: as many digits as matter."""
    if value is None:
        return "–"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def hours_words(value: float) -> str:
    return f"{value:.1f}"


# --- charts of the report -----------------------------------------------------------------------------


def charts_of(report: Report) -> dict[str, Chart]:
    """The charts of a report by their names."""
    charts = (_load(report), _fairness(report), _reactions(report))
    return {chart.name: chart for chart in charts}


def _load(report: Report) -> Chart:
    rounds = [one for one in report.rounds if one.has_begun]
    short = [one for one in rounds if one.missing_mw > 0.005]
    if not report.rounds:
        words = _("Nobody has been given a turn.")
    elif not rounds:
        words = _("No turn has begun yet.")
    elif short:
        worst = max(short, key=lambda one: one.missing_mw)
        words = _("In %(short)s of %(all)s rounds less was shed than ordered, at most %(mw)s MW less (%(at)s).") % {
            "short": len(short), "all": len(rounds), "mw": mw_words(worst.missing_mw), "at": _hour(worst.begins),
        }  # fmt: skip
    else:
        words = _("In every round as much was shed as ordered.")
    return Chart(
        name="load",
        title=_("Ordered and achieved load"),
        takeaway=words,
        labels=tuple(_hour(one.begins) for one in rounds),
        series=(
            (pgettext("load", "ordered"), tuple(one.ordered_mw for one in rounds)),
            (pgettext("load", "achieved"), tuple(one.achieved_mw for one in rounds)),
        ),
        shown=mw_words,
        is_upright=True,
    )


def _fairness(report: Report) -> Chart:
    facts = {
        "before": hours_words(report.before.spread),
        "after": hours_words(report.after.spread),
        "gini_before": f"{report.before.gini:.3f}",
        "gini_after": f"{report.after.gini:.3f}",
    }
    changed = sorted(report.hours, key=lambda one: (-one.after, one.block))[:BLOCKS_SHOWN]
    return Chart(
        name="fairness",
        title=_("Hours off by block, before and after"),
        takeaway=_(
            "From the best-off to the worst-off block %(before)s h before, %(after)s h after; Gini %(gini_before)s,"
            " then %(gini_after)s."
        )
        % facts,
        labels=tuple(one.block for one in changed),
        series=(
            (_("with this event"), tuple(one.after for one in changed)),
            (_("before this event"), tuple(one.before for one in changed)),
        ),
        shown=hours_words,
    )


def _reactions(report: Report) -> Chart:
    lines = sorted(
        (line for line in report.lines if line.reactions), key=lambda line: -sum(line.reactions.values())
    )[:BLOCKS_SHOWN]  # fmt: skip
    counted = tuple(sum(line.reactions.values()) for line in lines)
    if lines:
        words = _("Most came from %(block)s: %(count)s of %(all)s.") % {
            "block": lines[0].slot.block.local_name, "count": counted[0], "all": sum(report.reactions.values()),
        }  # fmt: skip
    else:
        words = _("Nothing has come back.")
    return Chart(
        name="reactions",
        title=_("Calls, complaints and faults by block"),
        takeaway=words,
        labels=tuple(line.slot.block.code for line in lines),
        series=((_("reactions"), counted),),
        shown=lambda value: f"{value:.0f}",
    )


def _hour(moment: datetime) -> str:
    return f"{timezone.localtime(moment):%H:%M}"


# --- a line of time -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scale:
    """A stretch of time laid on a hundred hundredths."""

    begins: datetime
    until: datetime

    def place(self, moment: datetime) -> float:
        share = (moment - self.begins) / (self.until - self.begins)
        return round(100 * min(1.0, max(0.0, share)), 2)

    def ticks(self) -> list[tuple[float, str]]:
        """Full hours, at most eight of them."""
        hours = (self.until - self.begins) / timedelta(hours=1)
        step = timedelta(hours=next((n for n in (1, 2, 3, 4, 6, 12, 24) if hours / n <= 8), 48))
        tick = timezone.localtime(self.begins).replace(minute=0, second=0, microsecond=0)
        found = []
        while tick <= self.until:
            if tick >= self.begins:
                found.append((self.place(tick), _hour(tick)))
            tick += step
        return found


@dataclass(frozen=True)
class Bar:
    x: float
    width: float
    tone: str
    words: str


def bar(scale: Scale, begins: datetime, until: datetime, *, tone: str = "planned") -> Bar:
    """A turn on the line of time."""
    x = scale.place(begins)
    words = f"{_hour(begins)}–{_hour(until)}"
    return Bar(x, round(scale.place(until) - x, 2), tone, words)


# --- the course of the load ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Course:
    """Three lines in steps, ready for ``points``, with the marks beside them."""

    ordered: str
    planned: str
    achieved: str
    now: float | None
    hours: list[tuple[float, str]]
    loads: list[tuple[float, str]]
    most: float


def course(moments: Sequence[Moment], *, at: datetime) -> Course | None:
    """The course of the load as lines; nothing where nothing was ordered."""
    if len(moments) < 2:
        return None
    scale = Scale(moments[0].at, moments[-1].at)
    top = max(max(one.ordered_mw, one.planned_mw, one.achieved_mw or 0.0) for one in moments) * 1.1 or 1.0

    def line(value: Callable[[Moment], float | None]) -> str:
        points: list[tuple[float, float]] = []
        for one in moments:
            mw = value(one)
            if mw is None:
                break
            y = round(_HEIGHT * (1 - mw / top), 2)
            if points:
                points.append((scale.place(one.at), points[-1][1]))
            points.append((scale.place(one.at), y))
        return " ".join(f"{x},{y}" for x, y in points)

    return Course(
        ordered=line(lambda one: one.ordered_mw),
        planned=line(lambda one: one.planned_mw),
        achieved=line(lambda one: one.achieved_mw),
        now=scale.place(at) if scale.begins < at < scale.until else None,
        hours=scale.ticks(),
        loads=[(round(_HEIGHT * (1 - share / 1.1), 2), mw_words(top * share / 1.1)) for share in (0.0, 0.5, 1.0)],
        most=top,
    )
