"""Charts as SVG: drawn here, coloured by the reader's theme, without a script.

A chart is shown by ``<img>``, which knows nothing of the page's style sheet: fonts and colours travel in it.
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import pygal
from django.utils.translation import gettext as _
from lxml import etree
from pygal.style import Style

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
