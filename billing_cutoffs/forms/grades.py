"""The form of a grade: who falls into it, and the path of its reminders."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from django import forms
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from billing_cutoffs.grading import Rule
from billing_cutoffs.models import ApprovalLevel, Grade
from billing_cutoffs.services.grades import MOST_STEPS, WRITABLE, StepDraft
from grid.models import CustomerClass, Importance
from notifications.models import Channel

_EMPTY_ROWS: Final = 2


class ChecksField(forms.MultipleChoiceField):
    widget = forms.CheckboxSelectMultiple(attrs={"class": "choice-list"})


class GradeForm(forms.Form):
    name_zh = forms.CharField(label=_("Chinese name"), max_length=64)
    name_en = forms.CharField(label=_("English name"), max_length=64)
    code = forms.SlugField(label=_("Code"), max_length=32, help_text=_("For filters and files; Latin letters."))
    rank = forms.IntegerField(
        label=_("Place in the order"), min_value=1, max_value=9999,
        help_text=_("The first grade whose conditions all hold is the one; low numbers are asked first."),
    )  # fmt: skip
    is_active = forms.BooleanField(label=_("In use"), required=False, initial=True)

    min_days = forms.IntegerField(label=_("Days overdue, at least"), min_value=1, max_value=3650, initial=1)
    min_amount = forms.DecimalField(
        label=_("Amount overdue, at least"), min_value=0, max_digits=14, decimal_places=2, initial=Decimal(0)
    )
    min_late_payments = forms.IntegerField(
        label=_("Late payments in twelve months, at least"), min_value=0, max_value=99, initial=0
    )
    customer_classes = ChecksField(
        label=_("Classes"), choices=CustomerClass.choices, required=False, help_text=_("None ticked: any.")
    )
    importances = ChecksField(
        label=_("Importance"), choices=Importance.choices, required=False, help_text=_("None ticked: any.")
    )

    level = forms.ChoiceField(label=pgettext_lazy("grade", "Cuts approved by"), choices=ApprovalLevel.choices)
    cut_after_days = forms.IntegerField(
        label=_("Proposed for a cut after days overdue"), min_value=1, max_value=3650, required=False,
        help_text=_("Never sooner than the rule pack allows. Empty: as the rule pack says."),
    )  # fmt: skip
    channels = ChecksField(
        label=_("Channels of letters and last warnings"), choices=Channel.choices, initial=list(Channel.values),
        help_text=_("A text message is always among them: only its receipt proves that a letter arrived."),
    )  # fmt: skip

    @classmethod
    def of(cls, grade: Grade | None, data: Any = None) -> GradeForm:
        initial = {name: getattr(grade, name) for name in WRITABLE} if grade is not None else None
        return cls(data, initial=initial)

    @property
    def facts(self) -> dict[str, Any]:
        return {name: self.cleaned_data[name] for name in WRITABLE}

    def rule(self, key: int) -> Rule:
        """The conditions as they were typed."""
        typed = self.cleaned_data
        return Rule(
            key=key,
            code=typed["code"],
            rank=typed["rank"],
            days=typed["min_days"],
            amount=typed["min_amount"],
            late_payments=typed["min_late_payments"],
            classes=frozenset(typed["customer_classes"]),
            importances=frozenset(typed["importances"]),
        )


class StepForm(forms.Form):
    """One reminder; a row without a day is none."""

    after_days = forms.IntegerField(label=_("Day"), min_value=1, max_value=3650, required=False)
    channels = ChecksField(label=_("Channels"), choices=Channel.choices, required=False, initial=list(Channel.values))

    def clean(self) -> dict[str, Any]:
        typed: dict[str, Any] = super().clean() or {}
        if typed.get("after_days") and not typed.get("channels"):
            self.add_error("channels", _("Choose a channel."))
        return typed


_StepFormSet = forms.formset_factory(StepForm, extra=_EMPTY_ROWS, max_num=MOST_STEPS, validate_max=True)


class StepFormSet(_StepFormSet):  # type: ignore[valid-type,misc]
    """The path of reminders: all its rows, and a few empty ones."""

    @classmethod
    def of(cls, grade: Grade | None, data: Any = None) -> StepFormSet:
        steps = grade.steps.all() if grade is not None else ()
        rows = [{"after_days": step.after_days, "channels": step.channels} for step in steps]
        return cls(data, prefix="steps", initial=rows)

    @property
    def drafts(self) -> list[StepDraft]:
        typed = [form.cleaned_data for form in self.forms]
        return [StepDraft(row["after_days"], tuple(row["channels"])) for row in typed if row.get("after_days")]
