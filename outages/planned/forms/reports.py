"""What a report may be asked about. It stands in the address, so the words and limits of a wrong one are here."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from django import forms
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from accounts.scope import ScopedFormMixin, ScopedModelChoiceField
from grid.models import Branch
from outages.planned.forms.plans import DayField
from outages.planned.lifecycle import YEARS
from outages.planned.reports import Asked, PlanKind

_LONGEST: Final = timedelta(days=366)


class ReportForm(ScopedFormMixin, forms.Form):
    """Which days, which branch, which kind of plan."""

    since = DayField(label=pgettext_lazy("days", "From"))
    until = DayField(label=_("To"))
    branch = ScopedModelChoiceField(
        Branch.objects.order_by("pos"), capability="outage.read", to_field_name="code", required=False,
        label=_("Branch"), empty_label=_("All branches"),
    )  # fmt: skip
    plan_kind = forms.ChoiceField(
        label=_("Kind of plan"), required=False, choices=[("", _("All windows")), *PlanKind.choices]
    )

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        since, until = cleaned.get("since"), cleaned.get("until")
        if since is None or until is None:
            return cleaned
        if since.year not in YEARS or until.year not in YEARS:
            self.add_error("since", _("The date is not plausible."))
        elif until < since:
            self.add_error("until", _("The last day lies before the first."))
        elif until - since >= _LONGEST:
            self.add_error("until", _("A report covers a year at most."))
        return cleaned

    @property
    def asked(self) -> Asked:
        chosen = self.cleaned_data
        return Asked(chosen["since"], chosen["until"], chosen["branch"], chosen["plan_kind"])
