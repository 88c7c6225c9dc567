"""Uploading a branch's spreadsheet."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.scope import ScopedFormMixin, ScopedModelChoiceField
from grid.models import Branch
from outages.planned.forms.works import PlanField
from outages.planned.models import WorkClass


class SheetUploadForm(ScopedFormMixin, forms.Form):
    """Which file, into which plan; without a plan its rows are temporary or emergency works of a branch."""

    token = forms.CharField(widget=forms.HiddenInput, max_length=64)
    file = forms.FileField(
        label=_("File"), widget=forms.FileInput(attrs={"accept": ".xlsx,.xls,.ods,.csv"}),
        help_text=_("Your own layout will do: .xlsx, .xls, .ods or .csv."),
    )  # fmt: skip
    plan = PlanField()
    branch = ScopedModelChoiceField(
        Branch.objects.all(), capability="plan.submit", label=_("Branch"), required=False,
        help_text=_("Needed only outside a plan."),
    )  # fmt: skip
    work_class = forms.ChoiceField(
        label=_("Class of work"), choices=[choice for choice in WorkClass.choices if choice[0] != WorkClass.PLANNED],
        initial=WorkClass.TEMPORARY, required=False, help_text=_("Needed only outside a plan."),
    )  # fmt: skip

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if not cleaned.get("plan") and not cleaned.get("branch") and "plan" not in self.errors:
            self.add_error("branch", _("Choose a plan, or the branch whose works these are."))
        cleaned["work_class"] = cleaned.get("work_class") or WorkClass.TEMPORARY
        return cleaned
