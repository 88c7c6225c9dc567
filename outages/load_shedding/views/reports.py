"""The after-action report: what was ordered and what it brought, to be printed, exported and reconciled."""

from __future__ import annotations

from typing import Any, Final
from zoneinfo import ZoneInfo

from csp.decorators import csp_replace
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from accounts.pages import csv_response
from outages.drawing import svg_of
from outages.load_shedding import charts, lifecycle, policies, selectors
from outages.load_shedding.forms.events import ReconcileForm
from outages.load_shedding.forms.plans import refused, renewed
from outages.load_shedding.models import EventState, SheddingEvent
from outages.load_shedding.report import TOLD, Report, report_of
from outages.load_shedding.services import changes
from outages.load_shedding.views.console import LOOK
from outages.load_shedding.views.event_forms import event_for
from outages.load_shedding.views.plans import reader
from standards.errors import DomainError, NotFound

TOLD_WORDS: Final = dict(
    zip(
        TOLD,
        (
            gettext_lazy("turns announced"), gettext_lazy("turns moved"), gettext_lazy("turns called off"),
            gettext_lazy("power is off"), gettext_lazy("turns made longer"), gettext_lazy("power is back"),
        ),
        strict=True,
    )
)  # fmt: skip


@require_GET
@login_required
@never_cache
def index(request: HttpRequest, reference: str) -> HttpResponse:
    """The report as it stands: final when the event is reconciled."""
    actor = reader(request)
    event = selectors.event_by_reference(actor=actor, reference=reference)
    with timezone.override(ZoneInfo(event.branch.time_zone)):
        found = report_of(event)
        may_reconcile = event.state == lifecycle.ENDED and policies.may(
            actor=actor, action="reconcile", branch=event.branch
        )
        return _shown(request, event, found, _form(event, found) if may_reconcile else None)


def _shown(
    request: HttpRequest, event: SheddingEvent, found: Report, form: ReconcileForm | None, *, status: int = 200
) -> HttpResponse:
    context: dict[str, Any] = {
        "event": event,
        "look": LOOK[EventState(event.state)],
        "report": found,
        "charts": charts.charts_of(found),
        "told": [(words, found.told[verb]) for verb, words in TOLD_WORDS.items() if verb in found.told],
        "form": form,
        "is_final": event.state == lifecycle.RECONCILED,
    }
    return render(request, "load_shedding/report.html", context, status=status)


def _form(event: SheddingEvent, found: Report, data: Any = None) -> ReconcileForm:
    slots = [line.slot for line in found.lines if line.was_off]
    return ReconcileForm(data, slots=slots, initial={"version": event.version})


@require_POST
@login_required
def reconcile(request: HttpRequest, reference: str) -> HttpResponse:
    """What was finally measured, and the record is complete."""
    actor, event = event_for(request, reference, "reconcile")
    with timezone.override(ZoneInfo(event.branch.time_zone)):
        found = report_of(event)
        form = _form(event, found, request.POST)
        status = 422
        if form.is_valid():
            try:
                changes.event_reconcile(
                    actor=actor, event_id=event.pk, measured=form.measured(), note=form.cleaned_data["note"],
                    expected_version=form.cleaned_data["version"],
                )  # fmt: skip
            except DomainError as refusal:
                status = refused(form, refusal)
            else:
                messages.success(request, _("Reconciled: the report is final."))
                return redirect("load_shedding:report", reference)
        renewed(form, event.version)
        return _shown(request, event, found, form, status=status)


@require_GET
@login_required
@never_cache
@csp_replace({"default-src": ["'none'"], "style-src": ["'unsafe-inline'"]})  # type: ignore[arg-type] # it expects a view without arguments
def chart(request: HttpRequest, reference: str, name: str) -> HttpResponse:
    """One chart as a picture. It may nothing but be painted: its own style, no script, nothing from anywhere."""
    event = selectors.event_by_reference(actor=reader(request), reference=reference)
    with timezone.override(ZoneInfo(event.branch.time_zone)):
        drawn = charts.charts_of(report_of(event)).get(name)
        if drawn is None:
            raise NotFound(field="chart")
        theme = getattr(request.user, "theme", "system")
        response = HttpResponse(svg_of(drawn, theme=theme), content_type="image/svg+xml; charset=utf-8")
    response["X-Content-Type-Options"] = "nosniff"
    return response


@require_GET
@login_required
def export(request: HttpRequest, reference: str) -> StreamingHttpResponse:
    """Every turn of the event for a spreadsheet."""
    event = selectors.event_by_reference(actor=reader(request), reference=reference)
    heads = (
        _("Block"), _("State"), _("Off from"), _("Back by"), _("Off since"), _("On since"), _("Hours off"),
        _("Planned (MW)"), _("Shed (MW)"), _("Measured"), _("Energy not served (MWh)"), _("Customers"), _("Calls"),
        _("Complaints"), pgettext("reactions", "Faults"), _("Why skipped"), _("Fault"),
    )  # fmt: skip
    rows = (
        (
            line.slot.block.code, line.slot.get_state_display(), line.slot.starts_at, line.slot.ends_at,
            line.slot.off_at, line.slot.on_at, round(line.hours, 3), round(line.slot.mw_planned, 4),
            round(line.mw, 4) if line.was_off else "", _("yes") if line.slot.is_measured else _("no"),
            round(line.mwh, 4), line.slot.block.customers, line.reactions.get("call", 0),
            line.reactions.get("complaint", 0), line.reactions.get("fault", 0), line.slot.skip_reason,
            line.slot.fault.reference if line.slot.fault else "",
        )
        for line in report_of(event).lines
    )  # fmt: skip
    return csv_response(f"shedding-{event.reference}", heads, rows)
