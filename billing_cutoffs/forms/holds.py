"""Shape and wording of what bars a cut, and of how it ends. The rules are the service's."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from accounts.scope import ScopedFormMixin, ScopedModelChoiceField
from billing_cutoffs import policies
from billing_cutoffs.models import BillingAccount, HoldKind
from outages.forms import MinuteField


class HoldForm(ScopedFormMixin, forms.Form):
    account = ScopedModelChoiceField(
        BillingAccount.objects.all(),
        capability="protection.set",
        to_field_name="customer__account_number",
        label=_("Account number"),
        widget=forms.TextInput(attrs={"autocomplete": "off", "inputmode": "numeric"}),
        error_messages={"invalid_choice": _("There is no account of this number.")},
    )
    kind = forms.ChoiceField(label=_("What bars the cut"), choices=HoldKind.choices)
    until = MinuteField(
        label=pgettext_lazy("hold", "Until"),
        required=False,
        help_text=_("A medical need stands as long as the rules allow, if left out."),
    )
    is_open_ended = forms.BooleanField(label=_("stands until somebody ends it"), required=False)
    amount = forms.DecimalField(
        label=_("Amount promised"), required=False, min_value=0, max_digits=14, decimal_places=2
    )
    orders_reconnection = forms.BooleanField(
        label=_("agreed instead of payment: what is off is switched on again"), required=False
    )
    reason = forms.CharField(
        label=_("Reason"),
        max_length=500,
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=_("Of a medical need nothing more than that there is one."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not policies.may_somewhere(actor=self.actor, action="reconnect"):
            del self.fields["orders_reconnection"]


class ReleaseForm(forms.Form):
    reason = forms.CharField(label=_("Reason"), max_length=500, widget=forms.Textarea(attrs={"rows": 2}))
