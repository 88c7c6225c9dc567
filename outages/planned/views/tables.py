"""The execution report in tables and tiles: the same cells for the page, its print and its export.

Every number leads to the windows behind it: the list, narrowed to the days, the branch and what is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any, Final

from django.urls import reverse
from django.utils.functional import Promise
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from grid.models import Branch
from outages.drawing import percent
from outages.planned.agenda import Entry
from outages.planned.charts import hours, reasons_of
from outages.planned.reports import FIGURES, Figures, Line, Often, Rate, Report, Timeliness, figures_of
from outages.templatetags.pages import grouped

NOTHING: Final = "–"


@dataclass(frozen=True)
class Cell:
    """One figure: as a spreadsheet takes it, as the page shows it, and where it leads."""

    value: Any
    text: str
    href: str = ""


@dataclass(frozen=True)
class Table:
    """The first cell of a row names it; ``total`` is the row below the others."""

    name: str
    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    total: tuple[Cell, ...] = ()
    words: int = 1  # so many columns, from the first, are no numbers

    @property
    def lines(self) -> Iterable[tuple[Cell, ...]]:
        return (*self.rows, self.total) if self.total else self.rows


def named(text: Any, href: str = "") -> Cell:
    """The cell that says what its row is about."""
    return Cell(str(text), str(text), href)


def counted(number: int, href: str = "") -> Cell:
    """A number; it leads to what was counted where that is something."""
    return Cell(number, grouped(number), href if number else "")


def rated(rate: Rate, href: str = "") -> Cell:
    """A share in per cent; empty where there is nothing to share."""
    value = "" if rate.share is None else round(rate.share * 100, 1)
    return Cell(value, percent(rate.share), href if rate.part else "")


def lasting(value: timedelta, href: str = "") -> Cell:
    """Customer-hours: whole ones to read, a tenth of one to reckon with."""
    return Cell(round(hours(value), 1), grouped(hours(value)), href if value else "")


# --- where a number leads -----------------------------------------------------------------------------


def windows_url(
    report: Report, figure: str, branch: Branch | None = None, *, since: date | None = None, until: date | None = None
) -> str:
    """The list with exactly the windows behind a figure."""
    asked = report.asked
    where = branch or asked.branch
    # a branch with others below it has a line of its own here, and the list has them all
    is_alone = branch is not None and branch.last > branch.pos
    query = {
        "figure": figure,
        "since": (since or asked.first).isoformat(),
        "until": (until or asked.last).isoformat(),
        "own_branch" if is_alone else "branch": where.code if where else "",
        "plan_kind": asked.plan_kind,
    }
    return f"{reverse('planned:list')}?{urlencode({name: value for name, value in query.items() if value})}"


# --- tiles ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tile:
    """One figure of the report in large, with what it means."""

    label: str | Promise
    value: str
    parts: str  # 8 of 10
    definition: str | Promise
    href: str = ""


_SHARES: Final = (
    (
        "execution", gettext_lazy("Execution rate"), "executed",
        gettext_lazy("Began and ended within the tolerance of the first announcement ÷ ended or cancelled"),
    ),
    (
        "start", gettext_lazy("On-time start"), "began_on_time",
        gettext_lazy("Off within the tolerance of the announced time, sooner or later ÷ begun"),
    ),
    (
        "end", gettext_lazy("On-time end"), "ended_on_time",
        gettext_lazy("Back no later than announced, with the tolerance ÷ power is back"),
    ),
    (
        "notice", gettext_lazy("Told in time"), "noticed_in_time",
        gettext_lazy("Published and customers told by the notice of its class ÷ windows that needed notice"),
    ),
    (
        "temporary", gettext_lazy("Temporary share"), "temporary",
        gettext_lazy("Windows of temporary and emergency work ÷ published"),
    ),
)  # fmt: skip
_COUNTS: Final = (
    ("moved", gettext_lazy("Moved"), gettext_lazy("Given another time after publication")),
    ("cancelled", gettext_lazy("Cancelled"), gettext_lazy("Called off after publication")),
    ("extended", gettext_lazy("Extended"), gettext_lazy("Took longer, and a later end was announced")),
    ("early", gettext_lazy("Ended early"), gettext_lazy("Back earlier than announced by more than the tolerance")),
)


def tiles_of(report: Report, *, twice: int, often: Sequence[Often]) -> list[Tile]:
    """The figures altogether, each with what it means."""
    total = report.total
    tiles = []
    for name, label, figure, definition in _SHARES:
        rate: Rate = getattr(total, name)
        href = windows_url(report, figure) if rate.part else ""
        tiles.append(Tile(label, percent(rate.share), _of(rate.part, rate.whole), definition, href))
    for figure, label, definition in _COUNTS:
        count, published = total.count[figure], total.count["published"]
        href = windows_url(report, figure) if count else ""
        tiles.append(Tile(label, grouped(count) if published else NOTHING, _of(count, published), definition, href))
    return [*tiles, _hours_tile(report), _twice_tile(report, twice), _often_tile(often)]


def _of(part: int, whole: int) -> str:
    return _("%(part)s of %(whole)s") % {"part": grouped(part), "whole": grouped(whole)} if whole else ""


def _hours_tile(report: Report) -> Tile:
    total = report.total
    is_known = total.count["ended"] > 0
    return Tile(
        _("Customer-hours off"),
        grouped(hours(total.actual)) if is_known else NOTHING,
        _("%(hours)s announced") % {"hours": grouped(hours(total.planned))} if is_known else "",
        _("Customers × hours in the windows that ended; announced as first published"),
        windows_url(report, "ended") if is_known else "",
    )


def _twice_tile(report: Report, twice: int) -> Tile:
    return Tile(
        _("Customers hit twice"),
        grouped(twice) if report.lines else NOTHING,
        "",
        _("Customers whom two or more of these windows took off"),
        windows_url(report, "begun") if twice else "",
    )


def _often_tile(often: Sequence[Often]) -> Tile:
    customers = sum(place.customers for place in often)
    return Tile(
        _("Off too often"),
        grouped(customers),
        _("in %(places)s transformer areas") % {"places": grouped(len(often))} if often else "",
        _("Customers whose outage of these days, of any of the four kinds, was the one too many by the rule pack"),
        "#often" if often else "",
    )


# --- tables -----------------------------------------------------------------------------------------


def branches_table(report: Report, *, twice: Mapping[int | None, int], often: Sequence[Often]) -> Table:
    """Every figure of every branch that published something, or whose customers were off too often."""
    published = {branch.pk: figures for branch, figures in report.by_branch}
    hit: Counter[int] = Counter()
    for place in often:
        hit[place.branch_id] += place.customers
    return Table(
        "branches",
        _("Figures by branch"),
        (
            _("Branch"), _("Published"), _("Not ended yet"), _("Execution rate (%)"), _("On-time start (%)"),
            _("On-time end (%)"), _("Moved"), _("Cancelled"), _("Extended"), _("Ended early"),
            _("Temporary share (%)"), _("Told in time (%)"), _("Customer-hours announced"), _("Customer-hours off"),
            _("Customers hit twice"), _("Customers off too often"),
        ),
        tuple(
            _figures(
                report, named(branch), published.get(branch.pk) or figures_of(()), branch, twice.get(branch.pk, 0),
                hit[branch.pk],
            )
            for branch in report.branches
            if branch.pk in published or branch.pk in hit
        ),
        _figures(report, named(_("Altogether")), report.total, None, twice.get(None, 0), hit.total()),
    )  # fmt: skip


def _figures(
    report: Report, name: Cell, figures: Figures, branch: Branch | None, twice: int, often: int
) -> tuple[Cell, ...]:
    def to(figure: str) -> str:
        return windows_url(report, figure, branch)

    return (
        name,
        *(counted(figures.count[figure], to(figure)) for figure in ("published", "open")),
        rated(figures.execution, to("executed")),
        rated(figures.start, to("began_on_time")),
        rated(figures.end, to("ended_on_time")),
        *(counted(figures.count[figure], to(figure)) for figure in ("moved", "cancelled", "extended", "early")),
        rated(figures.temporary, to("temporary")),
        rated(figures.notice, to("noticed_in_time")),
        *(lasting(value, to("ended")) for value in (figures.planned, figures.actual)),
        counted(twice, to("begun")),
        counted(often, "#often"),
    )


def execution_table(report: Report) -> Table:
    """What went as announced, branch by branch."""
    return Table(
        "execution",
        _("Execution rate by branch"),
        (_("Branch"), _("As announced"), _("Not as announced"), _("Not ended yet"), _("Execution rate (%)")),
        tuple(_execution(report, named(branch), figures, branch) for branch, figures in report.by_branch),
        _execution(report, named(_("Altogether")), report.total, None),
    )


def _execution(report: Report, name: Cell, figures: Figures, branch: Branch | None) -> tuple[Cell, ...]:
    shown = ("executed", "missed", "open")
    counts = (counted(figures.count[figure], windows_url(report, figure, branch)) for figure in shown)
    return (name, *counts, rated(figures.execution, windows_url(report, "executed", branch)))


def punctuality_table(report: Report) -> Table:
    """What began and ended on time, branch by branch."""
    return Table(
        "punctuality",
        _("On-time start and end by branch"),
        (
            _("Branch"), _("Begun"), _("Began on time"), _("On-time start (%)"), _("Power is back"),
            _("Ended on time"), _("On-time end (%)"),
        ),
        tuple(_punctuality(report, named(branch), figures, branch) for branch, figures in report.by_branch),
        _punctuality(report, named(_("Altogether")), report.total, None),
    )  # fmt: skip


def _punctuality(report: Report, name: Cell, figures: Figures, branch: Branch | None) -> tuple[Cell, ...]:
    def count(figure: str) -> Cell:
        return counted(figures.count[figure], windows_url(report, figure, branch))

    return (
        name, count("begun"), count("began_on_time"), rated(figures.start), count("finished"),
        count("ended_on_time"), rated(figures.end),
    )  # fmt: skip


def hours_table(report: Report) -> Table:
    """Customer-hours announced beside those that were, week by week."""
    return Table(
        "hours",
        _("Customer-hours by week"),
        (_("Week from"), _("Windows that ended"), _("Announced"), _("Actually off"), _("Difference")),
        tuple(_hours(report, monday, figures) for monday, figures in report.by_week),
        _hours(report, None, report.total),
    )


def _hours(report: Report, monday: date | None, figures: Figures) -> tuple[Cell, ...]:
    since, until = report.asked.first, report.asked.last
    if monday is not None:
        since, until = max(since, monday), min(until, monday + timedelta(days=6))
    name = named(monday.isoformat() if monday else _("Altogether"))
    count = counted(figures.count["ended"], windows_url(report, "ended", since=since, until=until))
    if not figures.count["ended"]:
        return (name, count, *(Cell("", NOTHING) for _n in range(3)))
    more = lasting(figures.actual - figures.planned)
    sign = "+" if more.value > 0 else ""
    return (name, count, lasting(figures.planned), lasting(figures.actual), replace(more, text=sign + more.text))


def reasons_table(report: Report) -> Table:
    """Why windows did not go as announced, the most frequent reason first."""
    missed = report.total.count["missed"]
    return Table(
        "reasons",
        _("Why windows did not go as announced"),
        (_("Reason"), _("Windows"), _("Share (%)")),
        tuple(
            (named(FIGURES[figure][0]), counted(count, windows_url(report, figure)), rated(Rate(count, missed)))
            for figure, count in reasons_of(report)
        ),
        (
            named(_("Altogether")), counted(missed, windows_url(report, "missed")), rated(Rate(missed, missed)),
        ),
    )  # fmt: skip


def timeliness_table(report: Report, found: Sequence[tuple[Branch, Timeliness]]) -> Table:
    """How the branches handed in their plans."""
    return Table(
        "plans",
        _("Plans handed in"),
        (
            _("Branch"), _("Number of plans"), _("In time"), _("Late"), _("Overdue"), _("Not due yet"),
            _("In time (%)"), _("Handed in again"), _("Sent back"),
        ),
        tuple(_timeliness(named(branch, _plans_url(report, branch)), one) for branch, one in found),
        _timeliness(named(_("Altogether")), sum((one for _branch, one in found), Timeliness())) if found else (),
    )  # fmt: skip


def _timeliness(name: Cell, one: Timeliness) -> tuple[Cell, ...]:
    counts = (one.plans, one.in_time, one.late, one.missing, one.waiting)
    return (name, *map(counted, counts), rated(one.rate), counted(one.again), counted(one.returned))


def _plans_url(report: Report, branch: Branch) -> str:
    query = {"branch": branch.code} | ({"kind": report.asked.plan_kind} if report.asked.plan_kind else {})
    return f"{reverse('planned:plans')}?{urlencode(query)}"


def often_table(report: Report, often: Iterable[Often]) -> Table:
    """Where customers were off too often, the worst first."""
    names = {branch.pk: str(branch) for branch in report.branches}
    return Table(
        "often",
        _("Off too often"),
        (_("Transformer area"), _("Code"), _("Branch"), _("Customers"), _("Outages in the rule's days")),
        tuple(
            (
                named(place.name or place.code), named(place.code), named(names[place.branch_id]),
                counted(place.customers), counted(place.times),
            )
            for place in often
        ),
        words=3,
    )  # fmt: skip


# --- windows ----------------------------------------------------------------------------------------

WINDOW_HEADS: Final = (
    gettext_lazy("number"), gettext_lazy("the branch's own number"), gettext_lazy("branch"), gettext_lazy("plan"),
    gettext_lazy("place"), gettext_lazy("works"), gettext_lazy("class of work"), gettext_lazy("outage"),
    gettext_lazy("announced from"), gettext_lazy("announced to"), gettext_lazy("off since"),
    gettext_lazy("restored at"), gettext_lazy("began by (min)"), gettext_lazy("ended by (min)"),
    gettext_lazy("outcome"), gettext_lazy("times moved"), gettext_lazy("times extended"), gettext_lazy("customers"),
    gettext_lazy("customer-hours announced"), gettext_lazy("customer-hours off"), gettext_lazy("published"),
    gettext_lazy("customers told at"), gettext_lazy("told in time"),
)  # fmt: skip


def window_row(entry: Entry, line: Line) -> list[Any]:
    """One window with its four times, as a spreadsheet takes it."""
    work, outage = entry.work, entry.window.outage
    told = {True: _("yes"), False: _("no"), None: ""}
    return [
        work.reference, work.key, work.branch, work.period.title if work.period else "", entry.place, work.title,
        work.get_work_class_display(), outage.reference if outage else "", line.announced_start, line.announced_end,
        line.started_at, line.restored_at if not line.is_open else None, _minutes(line.began_by),
        _minutes(line.ended_by), line.outcome.label, line.moves, line.extensions, line.customers,
        round(hours(line.planned), 1), "" if line.is_open else round(hours(line.actual), 1), line.published_at,
        line.notified_at, told[line.told_in_time],
    ]  # fmt: skip


def _minutes(value: timedelta | None) -> int | str:
    return "" if value is None else round(value / timedelta(minutes=1))
