"""The steps of a work outside a plan, the answers to findings, and risk sheets."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from grid.models import Customer
from outages.forms import MinuteField
from outages.places import masked
from outages.planned.forms.windows import TellField


class GateForm(forms.Form):
    """One step of a work. ``version`` says what was on screen."""

    version = forms.IntegerField(widget=forms.HiddenInput, min_value=0)


class ReturnForm(GateForm):
    reason = forms.CharField(
        label=_("What must be done"), max_length=500, widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_("Whoever entered it reads this."),
    )  # fmt: skip


class CancelWorkForm(GateForm):
    reason = forms.CharField(label=_("Why it is cancelled"), max_length=500)
    tell = TellField()

    def __init__(self, *args: Any, is_published: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not is_published:
            del self.fields["tell"]


class AnswerForm(forms.Form):
    code = forms.CharField(max_length=24)
    reason = forms.CharField(label=_("Answer"), max_length=500)
    step = forms.SlugField(max_length=12, required=False)


class RiskSheetForm(forms.Form):
    """What one important or life-support customer was told, and does meanwhile."""

    customer = forms.TypedChoiceField(label=_("Customer"), coerce=int)
    measures = forms.CharField(
        label=_("What is done meanwhile"), max_length=500, widget=forms.Textarea(attrs={"rows": 2}),
        help_text=_("Own generator, a generator car, another place to stay, nothing needed because …"),
    )  # fmt: skip
    own_generator = forms.BooleanField(label=_("Has a generator of its own"), required=False)
    agreed_with = forms.CharField(label=_("Agreed with"), max_length=64)
    agreed_at = MinuteField(label=_("Agreed at"))

    def __init__(self, *args: Any, customers: list[Customer], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["customer"].choices = [  # type: ignore[attr-defined]
            (customer.pk, _who(customer)) for customer in customers
        ]


def _who(customer: Customer) -> str:
    return f"{masked(customer.name)} · {customer.get_importance_display()} · …{customer.account_number[-4:]}"
