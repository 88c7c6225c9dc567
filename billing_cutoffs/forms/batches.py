"""What is entered about a batch: whom to propose, when, and every decision with its reason."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from accounts.scope import ScopedFormMixin, ScopedModelChoiceField
from billing_cutoffs.models import ApprovalLevel, CutoffBatch, Grade
from grid.models import Branch
from outages.forms import ActionForm

MOST_NAMED = 2000  # account numbers typed into one form


class DayInput(forms.DateInput):
    input_type = "date"

    def __init__(self) -> None:
        super().__init__(format="%Y-%m-%d")


class HourInput(forms.TimeInput):
    input_type = "time"

    def __init__(self) -> None:
        super().__init__(format="%H:%M")


class AccountsField(forms.CharField):
    """Account numbers as they are pasted: on lines of their own, or between commas and spaces."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=60_000, widget=forms.Textarea(attrs={"rows": 3}), **kwargs)

    def clean(self, value: Any) -> list[str]:
        numbers = list(dict.fromkeys(part for part in re.split(r"[\s,;，；、]+", super().clean(value)) if part))
        if len(numbers) > MOST_NAMED:
            raise forms.ValidationError(_("At most %(most)d account numbers at once.") % {"most": MOST_NAMED})
        return numbers


class WindowMixin(forms.Form):
    """A day and two hours by the branch's own clock."""

    day = forms.DateField(label=pgettext_lazy("cut-off", "Day of the cut"), widget=DayInput())
    begins = forms.TimeField(label=pgettext_lazy("cut-off", "from"), widget=HourInput())
    ends = forms.TimeField(label=pgettext_lazy("cut-off", "until"), widget=HourInput())
    rate_per_hour = forms.IntegerField(
        label=_("Cuts an hour, at most"), min_value=1, max_value=100_000, required=False,
        help_text=_("Empty: what the rule pack allows. It can only be less."),
    )  # fmt: skip
    rate_per_feeder_hour = forms.IntegerField(
        label=_("Cuts an hour and feeder, at most"), min_value=1, max_value=100_000, required=False
    )
    note = forms.CharField(label=_("Note"), max_length=500, required=False)

    def window(self, branch: Branch) -> dict[str, Any]:
        """The times and rates as the services take them."""
        said = self.cleaned_data
        zone = ZoneInfo(branch.time_zone)
        return {
            "window_from": datetime.combine(said["day"], said["begins"], zone),
            "window_until": datetime.combine(said["day"], said["ends"], zone),
            "rate_per_hour": said["rate_per_hour"],
            "rate_per_feeder_hour": said["rate_per_feeder_hour"],
            "note": said["note"],
        }


class ChoiceForm(ScopedFormMixin, forms.Form):
    """Whose accounts: what the preview is made of."""

    branch = ScopedModelChoiceField(
        Branch.objects.all(), capability="cutoff.propose", label=_("Branch"), empty_label=None
    )
    grades = forms.MultipleChoiceField(
        label=pgettext_lazy("cut-off", "Grades"), required=False,
        widget=forms.CheckboxSelectMultiple(attrs={"class": "choice-list choice-list--columns"}),
        help_text=_("None chosen and no account named: everybody in arrears."),
    )  # fmt: skip
    accounts = AccountsField(
        label=_("Accounts, one by one"), required=False, help_text=_("Account numbers, on lines of their own.")
    )
    level = forms.ChoiceField(label=_("Approved by"), choices=ApprovalLevel.choices, initial=ApprovalLevel.STATION)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        grades = Grade.objects.filter(is_active=True)
        self.fields["grades"].choices = [(grade.code, grade.local_name) for grade in grades]  # type: ignore[attr-defined]

    def choice(self) -> dict[str, Any]:
        """Whose accounts, as the services take it."""
        said = self.cleaned_data
        return {
            "branch_id": said["branch"].pk,
            "grade_codes": said["grades"],
            "account_numbers": said["accounts"],
            "level": said["level"],
        }


class ProposeForm(ChoiceForm, WindowMixin):
    """The same with the window in which they are to be cut."""

    field_order = ["branch", "level", "grades", "accounts", "day", "begins", "ends"]


class ChangeForm(ActionForm, WindowMixin):
    """Another window, other rates."""

    @classmethod
    def initial_of(cls, batch: CutoffBatch) -> dict[str, Any]:
        zone = ZoneInfo(batch.branch.time_zone)
        return {
            "version": batch.version,
            "day": batch.window_from.astimezone(zone).date(),
            "begins": batch.window_from.astimezone(zone).time(),
            "ends": batch.window_until.astimezone(zone).time(),
            "rate_per_hour": batch.rate_per_hour,
            "rate_per_feeder_hour": batch.rate_per_feeder_hour,
            "note": batch.note,
        }


class ReasonForm(ActionForm):
    reason = forms.CharField(label=_("Reason"), max_length=500, widget=forms.Textarea(attrs={"rows": 2}))


class UndoForm(ReasonForm):
    reconnect_all = forms.BooleanField(
        label=_("Switch on again at once whoever is off"), required=False,
        help_text=_("They count as wrongly cut. Without the tick they stay off until they have paid."),
    )  # fmt: skip


class AddForm(ActionForm):
    accounts = AccountsField(label=_("Accounts, one by one"))


class ApproveForm(ActionForm):
    """Agreeing is reading: a tick for what was read, and the number of cuts typed by hand."""

    is_confirmed = forms.BooleanField(
        label=_("I have gone through the orders, the protections and what has changed since.")
    )
    typed_count = forms.IntegerField(label=_("How many are cut off"), min_value=0, max_value=99_999)


class ClearForm(ReasonForm):
    """Somebody looked into what the protections could not decide."""

    code = forms.ChoiceField(label=_("What was looked into"))

    def __init__(self, *args: Any, codes: list[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["code"].choices = codes  # type: ignore[attr-defined]
