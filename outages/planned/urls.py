"""Addresses of planning, below ``/planned/``."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from outages.planned.views import advice, calendar, days, entry, periods, reports, schedules, sheets, windows, works

app_name = "planned"

urlpatterns: list[URLPattern | URLResolver] = [
    # the calendar and the plans
    path("", calendar.month, name="month"),
    path("week/", calendar.week, name="week"),
    path("list/", calendar.listing, name="list"),
    path("feeders/", calendar.feeders, name="feeders"),
    path("list.csv", calendar.list_csv, name="list-csv"),
    path("calendar.ics", calendar.ical, name="calendar"),
    path("days/", days.days, name="days"),
    path("days/<int:pk>/delete/", days.day_delete, name="day-delete"),
    path("plans/", periods.plans, name="plans"),
    path("plans/open/", periods.plan_open, name="plan-open"),
    path("plans/<int:pk>/", periods.plan, name="plan"),
    path("plans/<int:pk>/steps/<slug:step>/", periods.plan_step, name="plan-step"),
    path("plans/<int:pk>/advice/", advice.advice, name="advice"),
    path("plans/<int:pk>/advice/join/", advice.join, name="advice-join"),
    path("plans/<int:pk>/schedule/", schedules.schedule, name="schedule"),
    path("plans/<int:pk>/schedule/start/", schedules.start, name="schedule-start"),
    path("schedules/<int:pk>/", schedules.run, name="schedule-run"),
    path("schedules/<int:pk>/lines/<int:line_id>/", schedules.line, name="schedule-line"),
    # how the plans were carried out
    path("reports/", reports.reports, name="reports"),
    path("reports/chart/<slug:name>.svg", reports.chart, name="report-chart"),
    path("reports/report.csv", reports.report_csv, name="report-csv"),
    # works and their windows
    path("works/new/", entry.new, name="work-new"),
    path("works/place/", entry.place, name="work-place"),
    path("works/panel/", entry.panel, name="work-panel"),
    path("works/sketch/", entry.sketch, name="work-sketch"),
    path("works/<str:reference>/", works.work, name="work"),
    path("works/<str:reference>/edit/", entry.edit, name="work-edit"),
    path("works/<str:reference>/answer/", works.answer, name="work-answer"),
    path("works/<str:reference>/risk-sheets/", works.risk_sheets, name="risk-sheets"),
    path("works/<str:reference>/split/", advice.split, name="joint-split"),
    path("works/<str:reference>/steps/<slug:step>/", works.step, name="work-step"),
    path("windows/<str:reference>/<slug:step>/", windows.step, name="window-step"),
    # the branch's own spreadsheet
    path("sheets/", sheets.uploads, name="sheets"),
    path("sheets/template.xlsx", sheets.template, name="sheet-template"),
    path("sheets/<int:pk>/", sheets.sheet, name="sheet"),
    path("sheets/<int:pk>/mapping/", sheets.mapping, name="sheet-mapping"),
    path("sheets/<int:pk>/rows/<int:number>/", sheets.row, name="sheet-row"),
    path("sheets/<int:pk>/replace/", sheets.replace, name="sheet-replace"),
    path("sheets/<int:pk>/import/", sheets.import_rows, name="sheet-import"),
    path("sheets/<int:pk>/workbook/", sheets.workbook, name="sheet-workbook"),
    path("sheets/<int:pk>/discard/", sheets.discard, name="sheet-discard"),
]
