"""The charts of the execution report as SVG: drawn here, coloured by the reader's theme, without a script.

A chart is shown by ``<img>``, which knows nothing of the page's style sheet: fonts and colours travel in it.
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import pygal
from django.utils.translation import gettext as _
from lxml import etree
from pygal.style import Style

from outages.planned.reports import FIGURES, Rate, Report
from outages.templatetags.pages import grouped

# pygal leaves an importer of its maps behind, of a kind that Python warns of at every module it does not find
sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, pygal.PluginImportFixer)]

WIDTH: Final = 720
_ROW: Final = 26  # a bar's height
_LETTER: Final = 13
_FONT: Final = (
    'system-ui, "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", "Source Han Sans SC", "WenQuanYi Micro Hei",'
    " sans-serif"
)
_LIGHT: Final = "--card:#fff; --ink:#1c2126; --muted:#545d66; --line:#d7dde2; --first:#0b5cad; --second:#8a959e;"
_DARK: Final = "--card:#23282d; --ink:#e6e9ec; --muted:#a7b0b8; --line:#363e45; --first:#8cc4ff; --second:#6d7882;"
_THEMES: Final = {
    "light": f":root {{ {_LIGHT} }}",
    "dark": f":root {{ {_DARK} }}",
    "system": f":root {{ {_LIGHT} }} @media (prefers-color-scheme: dark) {{ :root {{ {_DARK} }} }}",
}
_BESIDE: Final = ".horizontalbar-graph .text-overlay text.value { text-anchor: start; }"


@dataclass(frozen=True)
class Chart:
    """What a chart shows, and the one sentence to take away from it."""

    name: str
    title: str
    takeaway: str
    labels: tuple[str, ...]
    series: tuple[tuple[str, tuple[float | None, ...]], ...]
    shown: Callable[[float], str]
    most: float | None = None  # the end of the axis, where it has one
    is_upright: bool = False

    @property
    def is_empty(self) -> bool:
        return not any(value is not None for _label, values in self.series for value in values)


def percent(share: float | None, *, digits: int = 1) -> str:
    """91.7 %; a dash where nothing happened."""
    return "–" if share is None else f"{share * 100:.{digits}f}\u202f%"


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


# --- drawing ----------------------------------------------------------------------------------------


def svg_of(chart: Chart, *, theme: str = "system") -> bytes:
    """The chart as a picture that stands alone: no script, nothing from elsewhere."""
    bars = len(chart.labels) * len(chart.series)
    options: dict[str, Any] = {
        "js": [],
        "css": ["file://style.css", "file://graph.css", f"inline:{_THEMES[theme]} {_BESIDE}"],
        "style": _STYLE,
        "width": WIDTH,
        "height": 300 if chart.is_upright else 70 + _ROW * bars + 10 * len(chart.labels),
        "margin": 10,
        # beside the bars stand their names, which pygal measures by narrow letters, and their values
        "margin_left": 10 if chart.is_upright else 10 + max(map(_wider, chart.labels), default=0),
        "margin_right": 10 if chart.is_upright else 60,
        "show_legend": len(chart.series) > 1,
        "legend_at_bottom": True,
        "legend_at_bottom_columns": 2,
        "print_values": len(chart.labels) <= 6 or not chart.is_upright,
        "print_values_position": "top",
        "value_formatter": chart.shown,
        "range": (0, chart.most) if chart.most else None,
        "include_x_axis": True,
        "order_min": None if chart.most else 0,  # there is no half of a window
        "max_scale": 6,
        "print_zeroes": not chart.is_upright,
        "truncate_label": -1,
        "truncate_legend": -1,
        "no_data_text": _("No data"),
    }
    # what lies flat is read from above, and pygal begins below
    turn = 1 if chart.is_upright else -1
    drawn = (pygal.Bar if chart.is_upright else pygal.HorizontalBar)(**options)
    drawn.uuid = chart.name  # its own is drawn by lot, and the same chart is the same file
    drawn.x_labels = chart.labels[::turn]
    for label, values in chart.series:
        drawn.add(label, values[::turn])
    drawn.add_xml_filter(lambda root: _cleaned(root, chart))
    svg: bytes = drawn.render()
    return svg


def _wider(label: str) -> int:
    """By how much a name is wider than so many Latin letters."""
    return sum(unicodedata.east_asian_width(letter) in "WF" for letter in label) * _LETTER * 2 // 5


def _cleaned(root: Any, chart: Chart) -> Any:
    """Without the scripts, addresses and hover texts that pygal adds for its own viewer; named for screen readers."""
    etree.strip_elements(root, etree.Comment, "script", "desc", "title", with_tail=False)
    title = etree.Element("title")
    title.text = f"{chart.title}: {chart.takeaway}"
    root.insert(0, title)
    root.set("role", "img")
    return root


_STYLE: Final = Style(
    background="var(--card)",
    plot_background="var(--card)",
    foreground="var(--muted)",
    foreground_strong="var(--ink)",
    foreground_subtle="var(--line)",
    guide_stroke_color="var(--line)",
    major_guide_stroke_color="var(--line)",
    font_family=_FONT,
    label_font_size=_LETTER,
    major_label_font_size=_LETTER,
    legend_font_size=_LETTER,
    value_font_size=_LETTER,
    no_data_font_size=16,
    colors=("var(--first)", "var(--second)"),
    value_colors=("var(--ink)", "var(--ink)"),
    opacity="1",
    opacity_hover="1",
    stroke_opacity="0",
    transition="0s",
)
