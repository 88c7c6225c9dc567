"""Shape and wording of what the agent types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from call_center.models import Call, CallbackResult, CallReason, CallScope, SafetyQuestion

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
