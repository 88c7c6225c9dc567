"""The charts of the execution report: what each shows, and the sentence to take away from it."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.utils.translation import gettext as _

from outages.drawing import Chart, percent
from outages.planned.reports import FIGURES, Rate, Report
from outages.templatetags.pages import grouped


def hours(value: timedelta) -> float:
    """Customer-hours, of customers × time."""
    return value / timedelta(hours=1)


def charts_of(report: Report) -> dict[str, Chart]:
    """The charts of a report by their names."""
    charts = (_execution(report), _punctuality(report), _hours(report), _reasons(report))
    return {chart.name: chart for chart in charts}


def _execution(report: Report) -> Chart:
    rates = [(str(branch), figures.execution) for branch, figures in report.by_branch]
    return Chart(
        name="execution",
        title=_("Execution rate by branch"),
        takeaway=_execution_words(report.total.execution, rates),
        labels=tuple(name for name, _rate in rates),
        series=((_("went as announced"), tuple(rate.share for _name, rate in rates)),),
        shown=percent,
        most=1,
    )


def _execution_words(total: Rate, rates: list[tuple[str, Rate]]) -> str:
    if not total.whole:
        return _("No window has ended yet.")
    words = [_("Went as announced: %(part)s of %(whole)s (%(share)s).") % _parts(total)]
    known = sorted(((rate.share, name) for name, rate in rates if rate.share is not None), reverse=True)
    if len(known) > 1 and known[0][0] != known[-1][0]:
        (best, best_name), (worst, worst_name) = known[0], known[-1]
        words.append(
            _("Best: %(best)s (%(most)s); weakest: %(worst)s (%(least)s).")
            % {"best": best_name, "most": percent(best), "worst": worst_name, "least": percent(worst)}
        )
    return " ".join(words)


def _punctuality(report: Report) -> Chart:
    start, end = report.total.start, report.total.end
    words = []
    if start.whole:
        words.append(_("Began on time: %(part)s of %(whole)s (%(share)s).") % _parts(start))
    if end.whole:
        words.append(_("Ended on time: %(part)s of %(whole)s (%(share)s).") % _parts(end))
    return Chart(
        name="punctuality",
        title=_("On-time start and end by branch"),
        takeaway=" ".join(words) or _("No window has begun yet."),
        labels=tuple(str(branch) for branch, _figures in report.by_branch),
        series=(
            (_("began on time"), tuple(figures.start.share for _branch, figures in report.by_branch)),
            (_("ended on time"), tuple(figures.end.share for _branch, figures in report.by_branch)),
        ),
        shown=percent,
        most=1,
    )


def _hours(report: Report) -> Chart:
    weeks = report.by_week
    return Chart(
        name="hours",
        title=_("Customer-hours by week"),
        takeaway=_hours_words(report.total.planned, report.total.actual),
        labels=tuple(f"{monday:%m-%d}" for monday, _figures in weeks),
        series=(
            (_("announced"), tuple(hours(figures.planned) for _monday, figures in weeks)),
            (_("actually off"), tuple(hours(figures.actual) for _monday, figures in weeks)),
        ),
        shown=grouped,
        is_upright=True,
    )


def _hours_words(planned: timedelta, actual: timedelta) -> str:
    if not planned:
        return _("No window has ended yet.")
    facts = {
        "planned": grouped(hours(planned)),
        "actual": grouped(hours(actual)),
        "by": percent(abs(actual - planned) / planned),
    }
    if actual > planned:
        return _("Announced: %(planned)s customer-hours; off: %(actual)s, %(by)s more.") % facts
    if actual < planned:
        return _("Announced: %(planned)s customer-hours; off: %(actual)s, %(by)s less.") % facts
    return _("Announced: %(planned)s customer-hours; off: just as many.") % facts


def _reasons(report: Report) -> Chart:
    counted = reasons_of(report)
    missed = report.total.count["missed"]
    if missed:
        figure, count = counted[0]
        words = _("Most often: %(reason)s, %(part)s of %(whole)s.") % {
            "reason": FIGURES[figure][0], "part": grouped(count), "whole": grouped(missed),
        }  # fmt: skip
    elif report.total.count["ended"]:
        words = _("Every window that has ended went as announced.")
    else:
        words = _("No window has ended yet.")
    return Chart(
        name="reasons",
        title=_("Why windows did not go as announced"),
        takeaway=words,
        labels=tuple(str(FIGURES[figure][0]) for figure, count in counted if count),
        series=((_("windows"), tuple(count for _figure, count in counted if count)),),
        shown=grouped,
    )


REASONS: Final = ("cancelled", "missed_moved", "missed_began_early", "missed_began_late", "missed_ended_late")


def reasons_of(report: Report) -> list[tuple[str, int]]:
    """The reasons by how often they were; each window has one."""
    counted = [(figure, report.total.count[figure]) for figure in REASONS]
    return sorted(counted, key=lambda item: -item[1])


def _parts(rate: Rate) -> dict[str, str]:
    return {"part": grouped(rate.part), "whole": grouped(rate.whole), "share": percent(rate.share)}
