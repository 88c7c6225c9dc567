"""Shape and wording of what the agent types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.conf import settings
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from billing_cutoffs.models import HoldKind
from call_center.models import Call, CallbackResult, CallReason, CallScope, IdentityItem, SafetyQuestion

LANGUAGES = [("zh-hans", "中文"), ("en", "English")]


class LogForm(forms.Form):
    """The log of one call. The four safety questions come first; reason and callback are preset."""

    reason = forms.ChoiceField(label=_("Reason"), choices=CallReason)
    scope = forms.ChoiceField(
        label=_("Who is off"), choices=CallScope, widget=forms.RadioSelect, initial=CallScope.UNKNOWN
    )
    callback_wanted = forms.BooleanField(label=_("Call back when restored"), required=False, initial=True)
    note = forms.CharField(
        label=_("Internal note"),
        help_text=_("Never read to the customer."),
        required=False,
        max_length=4000,
        widget=forms.Textarea(attrs={"rows": 1}),
    )
    language = forms.ChoiceField(choices=LANGUAGES, widget=forms.HiddenInput, required=False)
    told = forms.CharField(widget=forms.HiddenInput, required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for question in SafetyQuestion:
            self.fields[question.value] = forms.TypedChoiceField(
                label=question.label,
                choices=[("yes", _("Yes")), ("no", _("No"))],
                coerce=lambda answer: answer == "yes",
                widget=forms.RadioSelect,
                required=False,
                empty_value=None,
            )

    def safety_fields(self) -> list[forms.BoundField]:
        return [self[question.value] for question in SafetyQuestion]

    def safety(self) -> dict[str, bool]:
        """The questions that were answered."""
        answers = {question.value: self.cleaned_data.get(question.value) for question in SafetyQuestion}
        return {question: answer for question, answer in answers.items() if answer is not None}

    @classmethod
    def for_call(cls, call: Call, *, reason: str, language: str) -> LogForm:
        """The form as it was left, or preset by the answer."""
        preset: dict[str, Any] = {
            "reason": reason,
            "scope": CallScope.UNKNOWN,
            "callback_wanted": True,
            "language": language,
        }
        if call.draft:
            preset.update(call.draft)
            # an unticked box is not in the draft
            preset["callback_wanted"] = "callback_wanted" in call.draft
        return cls(initial=preset)


# what a draft may hold; anything else that is sent is not kept
DRAFT_FIELDS = ("reason", "scope", "callback_wanted", "note", "language", *SafetyQuestion.values)


def draft_from(data: Mapping[str, Any]) -> dict[str, str]:
    # a NUL would not be text to PostgreSQL
    return {name: str(data[name]).replace("\x00", "") for name in DRAFT_FIELDS if name in data}


class CardForm(forms.Form):
    """One of the small forms beside the log: its fields have ids of their own."""

    def __init__(self, data: Mapping[str, Any] | None = None) -> None:
        super().__init__(data, auto_id=f"{type(self).__name__.lower()}_%s")


class IdentityForm(CardForm):
    """What the caller has confirmed. The last payment is not shown to the agent: the caller names it."""

    items = forms.MultipleChoiceField(
        label=_("The caller has confirmed"), choices=IdentityItem, widget=forms.CheckboxSelectMultiple
    )
    paid = forms.DecimalField(label=_("Amount named"), required=False, min_value=0, max_digits=14, decimal_places=2)

    @property
    def minimum(self) -> int:
        return int(settings.IDENTITY_ITEMS)

    def clean(self) -> dict[str, Any]:
        answers = super().clean() or self.cleaned_data
        items = answers.get("items", [])
        if items and len(items) < self.minimum:
            self.add_error(
                "items",
                ngettext("At least %(n)s of these.", "At least %(n)s of these.", self.minimum) % {"n": self.minimum},
            )
        if IdentityItem.PAYMENT in items and answers.get("paid") is None:
            self.add_error("paid", _("Which amount did the caller name?"))
        return answers


class HoldForm(CardForm):
    """What the caller asks for: time to pay what they promise, or that a bill is looked into."""

    kind = forms.ChoiceField(
        label=_("Ask for a hold"), choices=[(kind.value, kind.label) for kind in (HoldKind.PROMISE, HoldKind.DISPUTE)]
    )
    until = forms.DateField(label=_("until the end of"), widget=forms.DateInput(attrs={"type": "date"}))
    reason = forms.CharField(label=_("what the caller says"), max_length=500, required=False)


class ComplaintForm(CardForm):
    text = forms.CharField(label=_("Complaint about the cut"), max_length=500)


class CallbackForm(forms.Form):
    """What a callback brought."""

    result = forms.ChoiceField(label=_("Result"), choices=CallbackResult)


class SearchForm(forms.Form):
    """What was typed into the one box, and for which call, if one is open."""

    q = forms.CharField(max_length=100, required=False)
    call = forms.UUIDField(required=False)
    start_token = forms.CharField(max_length=64, required=False)


class PremisesForm(forms.Form):
    """A choice among the hits of a search."""

    service_point = forms.IntegerField(min_value=1)
    call = forms.UUIDField(required=False)
    start_token = forms.CharField(max_length=64, required=False)
