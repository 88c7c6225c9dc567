"""How the plans were carried out: what was announced beside what happened. Reads only."""

from outages.planned.reports.customers import Often, hit_twice_of, often_off
from outages.planned.reports.figures import FIGURES, Figures, Rate, Report, figures_of, report_of, window_ids
from outages.planned.reports.plans import Timeliness, timeliness_of
from outages.planned.reports.windows import Asked, Line, Outcome, PlanKind, lines_of, of_kind, windows_announced

__all__ = [
    "FIGURES", "Asked", "Figures", "Line", "Often", "Outcome", "PlanKind", "Rate", "Report", "Timeliness",
    "figures_of", "hit_twice_of", "lines_of", "of_kind", "often_off", "report_of", "timeliness_of", "window_ids",
    "windows_announced",
]  # fmt: skip
