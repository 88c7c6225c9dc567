"""Shape and wording of an agreement. Its rules are the service's."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from accounts.scope import ScopedFormMixin, ScopedModelChoiceField
from grid.models import Customer
from outages.load_shedding.models import Agreement
from outages.load_shedding.services.agreements import LARGEST_MW, LONGEST_NOTICE_MIN


class AgreementForm(ScopedFormMixin, forms.Form):
    customer = ScopedModelChoiceField(
        Customer.objects.select_related("branch"), capability="shedding.write", to_field_name="account_number",
        label=_("Account number"), widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"}),
    )  # fmt: skip
    kind = forms.ChoiceField(label=pgettext_lazy("shedding", "Measure"), choices=Agreement.Kind.choices)
    mw = forms.FloatField(
        label=_("Agreed relief (MW)"), min_value=0, max_value=LARGEST_MW,
        widget=forms.NumberInput(attrs={"step": "any"}),
    )  # fmt: skip
    notice_minutes = forms.IntegerField(
        label=_("Notice (minutes)"), min_value=0, max_value=LONGEST_NOTICE_MIN, initial=60,
        help_text=_("How long before it has to be asked for."),
    )  # fmt: skip
    valid_until = forms.DateField(
        label=_("Valid until"), required=False, widget=forms.DateInput(attrs={"type": "date"}),
        help_text=_("The last day. Empty: until it is ended."),
    )  # fmt: skip
