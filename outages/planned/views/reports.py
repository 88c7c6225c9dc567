"""The execution report: what was announced beside what happened. All state is in the address."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any, Final

from csp.decorators import csp_replace
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseBase, QueryDict
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from accounts.actor import Actor
from accounts.pages import csv_response
from accounts.policies import require
from accounts.requests import actor_of
from outages.drawing import svg_of
from outages.planned import agenda, charts, selectors
from outages.planned.agenda import Entry
from outages.planned.forms.reports import ReportForm
from outages.planned.models import PeriodKind, WorkWindow
from outages.planned.reports import Line, Report, hit_twice_of, often_off, report_of, timeliness_of
from outages.planned.services.periods import period_bounds
from outages.planned.views import tables
from outages.planned.views.tables import Table
from standards.errors import DomainError, NotFound

ROWS_A_PAGE: Final = 50
SHOWN: Final = 20  # of a list that has more behind a link or in the export
EXPORTED_AT_ONCE: Final = 500


# --- the page ---------------------------------------------------------------------------------------


@require_GET
@login_required
@never_cache
def reports(request: HttpRequest) -> HttpResponse:
    """Tiles, charts and tables of the days asked about; last month where nothing is asked."""
    actor = _reader(request)
    form = _form(request, actor)
    context: dict[str, Any] = {"form": form, "sees_plans": selectors.sees_plans(actor), "months": _months()}
    if not form.is_valid():
        return render(request, "planned/report.html", context, status=422)
    report = report_of(actor=actor, asked=form.asked)
    often, twice = often_off(report), hit_twice_of(report)
    page = Paginator(report.lines, ROWS_A_PAGE).get_page(request.GET.get("page"))
    late = [line for line in report.lines if line.told_in_time is False]
    entries = _entries([*page, *late[:SHOWN]], actor)
    handed_in = timeliness_of(actor=actor, report=report)
    drawn = charts.charts_of(report)
    context |= {
        "report": report,
        "is_empty": not (report.lines or handed_in or often),
        "query": _query(form),
        "open_url": tables.windows_url(report, "open"),
        "tiles": tables.tiles_of(report, twice=twice.get(None, 0), often=often),
        "charts": [(drawn[name], table(report)) for name, table in _CHARTS.items()] if report.lines else [],
        "branches": tables.branches_table(report, twice=twice, often=often),
        "plans": tables.timeliness_table(report, handed_in),
        "often": tables.often_table(report, often[:SHOWN]),
        "often_count": len(often),
        "late": [(entries[line.window_id], line) for line in late[:SHOWN]],
        "late_count": len(late),
        "late_url": tables.windows_url(report, "noticed_late"),
        "page_obj": page,
        "windows": [(entries[line.window_id], line) for line in page],
    }
    return render(request, "planned/report.html", context)


_CHARTS: Final[dict[str, Callable[[Report], Table]]] = {
    "execution": tables.execution_table,
    "punctuality": tables.punctuality_table,
    "hours": tables.hours_table,
    "reasons": tables.reasons_table,
}


def _reader(request: HttpRequest) -> Actor:
    actor = actor_of(request)
    require(actor, "outage.read")
    return actor


def _months() -> dict[str, tuple[Any, Any]]:
    """The two months that are asked about most."""
    this = period_bounds(PeriodKind.MONTH, timezone.localdate())
    return {"this": this, "last": period_bounds(PeriodKind.MONTH, this[0] - timedelta(days=1))}


def _form(request: HttpRequest, actor: Actor) -> ReportForm:
    asked = request.GET.copy()
    if "since" not in asked and "until" not in asked:
        asked["since"], asked["until"] = (day.isoformat() for day in _months()["last"])
    return ReportForm(asked, actor=actor)


def _query(form: ReportForm) -> str:
    """What the charts and exports of this page are asked."""
    query = QueryDict(mutable=True)
    query.update({name: form.data[name] for name in form.fields if form.data.get(name)})
    return query.urlencode()


def _asked(request: HttpRequest) -> tuple[Actor, Report]:
    """The report of an address that no page shows: what is wrong with it is refused. Raises ``DomainError``."""
    actor = _reader(request)
    form = _form(request, actor)
    if not form.is_valid():
        field, errors = next(iter(form.errors.items()))
        raise DomainError(str(errors[0]), field=field)
    return actor, report_of(actor=actor, asked=form.asked)


def _entries(lines: Sequence[Line], actor: Actor) -> dict[int, Entry]:
    """The windows of these lines with place and works."""
    windows = WorkWindow.objects.filter(pk__in={line.window_id for line in lines})
    return {entry.window.pk: entry for entry in agenda.entries_of(windows, actor=actor)}


# --- its charts -------------------------------------------------------------------------------------


@require_GET
@login_required
@never_cache
@csp_replace({"default-src": ["'none'"], "style-src": ["'unsafe-inline'"]})  # type: ignore[arg-type] # it expects a view without arguments
def chart(request: HttpRequest, name: str) -> HttpResponse:
    """One chart as a picture. It may nothing but be painted: its own style, no script, nothing from anywhere."""
    _actor, report = _asked(request)
    drawn = charts.charts_of(report).get(name)
    if drawn is None:
        raise NotFound(field="chart")
    theme = getattr(request.user, "theme", "system")
    response = HttpResponse(svg_of(drawn, theme=theme), content_type="image/svg+xml; charset=utf-8")
    response["X-Content-Type-Options"] = "nosniff"
    return response


# --- its export -------------------------------------------------------------------------------------


@require_GET
@login_required
@never_cache
def report_csv(request: HttpRequest) -> HttpResponseBase:
    """One table of the report: ``?table=branches``, or the windows with their four times each."""
    actor, report = _asked(request)
    name = request.GET.get("table", "windows")
    if name == "windows":
        return csv_response("report-windows", tables.WINDOW_HEADS, _window_rows(report, actor))
    table = _table(name, report, actor)
    return csv_response(f"report-{name}", table.heads, ([cell.value for cell in row] for row in table.lines))


def _table(name: str, report: Report, actor: Actor) -> Table:
    if name in _CHARTS:
        return _CHARTS[name](report)
    if name == "branches":
        return tables.branches_table(report, twice=hit_twice_of(report), often=often_off(report))
    if name == "plans":
        return tables.timeliness_table(report, timeliness_of(actor=actor, report=report))
    if name == "often":
        return tables.often_table(report, often_off(report))
    raise NotFound(field="table")


def _window_rows(report: Report, actor: Actor) -> Iterator[list[Any]]:
    for begin in range(0, len(report.lines), EXPORTED_AT_ONCE):
        some = report.lines[begin : begin + EXPORTED_AT_ONCE]
        entries = _entries(some, actor)
        yield from (tables.window_row(entries[line.window_id], line) for line in some)
