"""Shape and wording of what a dispatcher enters about a fault. The rules are the services'."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from outages.faults.models import CAUSE_CLASS_OF, CauseCode, CrewState, EquipmentCode, RemedyCode
from outages.forms import ActionForm, MinuteField
from outages.models import CauseClass, EtrSource, OutageLevel


def cause_choices() -> list[Any]:
    """The causes in the groups of their classes, after the empty one."""
    groups = [
        (cause_class.label, [(code.value, code.label) for code in CauseCode if CAUSE_CLASS_OF[code] == cause_class])
        for cause_class in CauseClass
    ]
    return [("", _("not known yet")), *((label, codes) for label, codes in groups if codes)]


class FaultForm(forms.Form):
    """A new fault. The place is chosen beside the form; ``token`` makes a second click find the first record."""

    token = forms.CharField(widget=forms.HiddenInput, max_length=64)
    is_confirmed = forms.TypedChoiceField(
        label=_("How sure is it?"),
        choices=[("yes", _("confirmed: supply is off")), ("no", _("suspected: still to be checked"))],
        coerce=lambda value: value == "yes",
        initial="yes",
        widget=forms.RadioSelect(attrs={"class": "choice-list"}),
    )
    started_at = MinuteField(label=_("Off since"), required=False, help_text=_("Empty: now."))
    level = forms.ChoiceField(
        label=_("Level"), choices=[("", _("from the place")), *OutageLevel.choices], required=False
    )
    cause_code = forms.ChoiceField(label=_("Cause"), choices=cause_choices, required=False)
    cause_text = forms.CharField(label=_("Cause, in words"), max_length=500, required=False)
    etr = MinuteField(label=_("Estimated restoration"), required=False, help_text=_("Empty: not known yet."))
    etr_source = forms.ChoiceField(
        label=_("Who says so"),
        choices=[(EtrSource.OPERATOR, _("operator")), (EtrSource.CREW, _("crew"))],
        initial=EtrSource.OPERATOR,
        required=False,
    )
    etr_reason = forms.CharField(label=_("Reason of the estimate"), max_length=200, required=False)
    note = forms.CharField(
        label=_("Internal note"), max_length=2000, required=False, widget=forms.Textarea(attrs={"rows": 2})
    )


class ConfirmForm(ActionForm):
    started_at = MinuteField(label=_("Off since"))
    element = forms.CharField(
        label=_("Device, if it lies higher"), max_length=128, required=False, help_text=_("The code of the element.")
    )
    cause_code = forms.ChoiceField(label=_("Cause"), choices=cause_choices, required=False)
    cause_text = forms.CharField(label=_("Cause, in words"), max_length=500, required=False)


class EtrForm(ActionForm):
    etr = MinuteField(label=_("Estimated restoration"), required=False, help_text=_("Empty: not known yet."))
    etr_source = forms.ChoiceField(label=_("Who says so"), choices=EtrSource.choices, initial=EtrSource.OPERATOR)
    etr_reason = forms.CharField(label=_("Reason of the estimate"), max_length=200, required=False)
    next_update_by = MinuteField(
        label=_("Next update by"), required=False, help_text=_("Needed while the time is not known.")
    )


class AssignForm(ActionForm):
    crew = forms.ChoiceField(label=_("Crew"), widget=forms.RadioSelect(attrs={"class": "choice-list"}))
    note = forms.CharField(label=_("Internal note"), max_length=500, required=False)

    def __init__(self, *args: Any, crews: list[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["crew"].choices = crews  # type: ignore[attr-defined]


class CrewStateForm(ActionForm):
    state = forms.ChoiceField(label=_("Crew"), choices=CrewState.choices)
    at = MinuteField(label=_("At"), required=False, help_text=_("Empty: now."))
    reason = forms.CharField(label=_("Reason"), max_length=200, required=False)


class CloseForm(ActionForm):
    cause_code = forms.ChoiceField(label=_("Cause"), choices=cause_choices)
    cause_text = forms.CharField(label=_("Cause, in words"), max_length=500, required=False)
    equipment_code = forms.ChoiceField(label=_("Equipment"), choices=[("", "–"), *EquipmentCode.choices])
    remedy_code = forms.ChoiceField(label=_("Remedy"), choices=[("", "–"), *RemedyCode.choices])
    note = forms.CharField(label=_("Internal note"), max_length=500, required=False)


class DismissForm(ActionForm):
    why = forms.ChoiceField(
        label=_("Why is it no fault of ours?"),
        choices=[
            ("in_house", _("the fault is in the house")),
            ("power_on", _("power is on")),
            ("account", _("it concerns the account")),
            ("mistake", _("reported by mistake")),
            ("other", _("another reason")),
        ],
        widget=forms.RadioSelect(attrs={"class": "choice-list"}),
    )
    reason = forms.CharField(label=_("In words"), max_length=200, required=False)

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if cleaned.get("why") == "other" and not cleaned.get("reason", "").strip():
            self.add_error("reason", _("Say why."))
        return cleaned

    def words(self) -> str:
        """The reason as it stands in the history."""
        label = dict(self.fields["why"].choices)[self.cleaned_data["why"]]  # type: ignore[attr-defined]
        text: str = self.cleaned_data["reason"].strip()
        if self.cleaned_data["why"] == "other":
            return text
        return f"{label}: {text}" if text else str(label)


class MergeForm(ActionForm):
    survivor = forms.ChoiceField(label=_("Goes on as"), widget=forms.RadioSelect(attrs={"class": "choice-list"}))

    def __init__(self, *args: Any, survivors: list[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["survivor"].choices = survivors  # type: ignore[attr-defined]
