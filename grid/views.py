"""The administrators' page for importing networks: upload, look at the difference, confirm or discard."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required, permission_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from grid import services, tasks
from grid.forms import GridImportForm
from grid.importers import csv
from grid.importers.staging import COLUMNS, problem_text
from grid.models import GridImport
from standards.errors import NotFound

may_import = permission_required("grid.add_gridimport", raise_exception=True)

TABLE_LABELS = {
    "branches": _("branches"),
    "elements": _("grid elements"),
    "customers": _("customers"),
    "service_points": _("service points"),
    "connections": _("connections"),
    "contacts": _("contact points"),
}
RUNNING = (GridImport.Status.QUEUED, GridImport.Status.READING, GridImport.Status.APPLYING)


@require_http_methods(["GET", "POST"])
@login_required
@may_import
def import_list(request: HttpRequest) -> HttpResponse:
    """Earlier imports, and the form for a new one."""
    form = GridImportForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        branch = form.cleaned_data["branch"]
        grid_import = services.import_upload(
            files=form.cleaned_data["files"],
            source_format=form.cleaned_data["source_format"],
            by=request.user.get_username(),
            source=form.cleaned_data["source"],
            branch_code=branch.code if branch else "",
        )
        tasks.import_run.delay_on_commit(grid_import.pk, apply=False)
        return redirect("grid:import", pk=grid_import.pk)
    page = Paginator(GridImport.objects.all(), 25).get_page(request.GET.get("page"))
    context = {"form": form, "page_obj": page, "templates": list(COLUMNS)}
    return render(request, "grid/imports.html", context, status=422 if form.errors else 200)


@require_GET
@login_required
@may_import
def import_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """One import: its progress, its preview, its result."""
    grid_import = get_object_or_404(GridImport, pk=pk)
    is_fragment = bool(request.headers.get("HX-Request")) and not request.headers.get("HX-History-Restore-Request")
    template = "grid/partials/_import.html" if is_fragment else "grid/import.html"
    response = render(request, template, _context(grid_import))
    response.headers["Vary"] = "HX-Request"
    return response


def _context(grid_import: GridImport) -> dict[str, Any]:
    tables = [
        {
            "name": TABLE_LABELS.get(table, table),
            "counts": counts,
            "added": grid_import.sample.get(table, {}).get("added", []),
            "removed": grid_import.sample.get(table, {}).get("removed", []),
            "changed": [
                {"code": change["code"], "fields": [(n, was, now) for n, (was, now) in change["fields"].items()]}
                for change in grid_import.sample.get(table, {}).get("changed", [])
            ],
        }
        for table, counts in grid_import.counts.items()
    ]
    return {
        "grid_import": grid_import,
        "is_running": grid_import.status in RUNNING,
        "is_preview": grid_import.status == GridImport.Status.PREVIEW,
        "tables": tables,
        "errors": [{**error, "text": problem_text(error)} for error in grid_import.errors],
        "warnings": [{**warning, "text": problem_text(warning)} for warning in grid_import.warnings],
    }


@require_POST
@login_required
@may_import
def import_confirm(request: HttpRequest, pk: int) -> HttpResponse:
    """Make the changes that the preview showed."""
    services.import_confirm(import_id=pk)
    tasks.import_run.delay_on_commit(pk, apply=True)
    return redirect("grid:import", pk=pk)


@require_POST
@login_required
@may_import
def import_discard(request: HttpRequest, pk: int) -> HttpResponse:
    """Leave everything as it is."""
    services.import_discard(grid_import=get_object_or_404(GridImport, pk=pk))
    return redirect("grid:import", pk=pk)


@require_GET
@login_required
@may_import
def template(request: HttpRequest, table: str) -> HttpResponse:
    """An empty CSV file of one kind, with its heading and an example."""
    if table not in COLUMNS:
        raise NotFound
    response = HttpResponse("\ufeff" + csv.template(table), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{table}.csv"'
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
