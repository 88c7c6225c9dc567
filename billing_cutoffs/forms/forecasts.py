"""The temperatures of one day, entered by hand where no weather service sends them."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.scope import ScopedFormMixin, ScopedModelChoiceField
from grid.models import Branch


class DayInput(forms.DateInput):
    input_type = "date"

    def __init__(self) -> None:
        super().__init__(format="%Y-%m-%d")


class ForecastForm(ScopedFormMixin, forms.Form):
    branch = ScopedModelChoiceField(
        Branch.objects.all(),
        capability="cutoff.propose",
        label=_("Branch"),
        empty_label=None,
        help_text=_("It holds for all branches below it that have no forecast of their own."),
    )
    day = forms.DateField(label=_("Day"), widget=DayInput())
    low = forms.FloatField(label=_("Lowest (°C)"))
    high = forms.FloatField(label=_("Highest (°C)"))
