"""Shape and wording of what is entered about a plan as a whole and about the work calendar. Rules are the services'."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.actor import Actor
from accounts.scope import ScopedFormMixin, ScopedModelChoiceField
from grid.models import Branch, DayKind
from outages.forms import ActionForm
from outages.planned.models import PeriodKind, PlannedWork


class DayInput(forms.DateInput):
    input_type = "date"

    def __init__(self) -> None:
        super().__init__(format="%Y-%m-%d")


class DayField(forms.DateField):
    widget = DayInput


class PlanOpenForm(ScopedFormMixin, forms.Form):
    """A plan is named by its branch, its kind, and any day in it."""

    branch = ScopedModelChoiceField(Branch.objects.all(), capability="plan.submit", label=_("Branch"), empty_label=None)
    kind = forms.ChoiceField(label=_("Kind of plan"), choices=PeriodKind.choices)
    day = DayField(label=_("A day in it"))


class ReturnForm(ActionForm):
    """What must be done: about the whole plan, and about each work concerned."""

    note = forms.CharField(
        label=_("About the whole plan"), max_length=500, required=False, widget=forms.Textarea(attrs={"rows": 2})
    )

    def __init__(self, *args: Any, works: Iterable[PlannedWork], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.works = list(works)
        for work in self.works:
            self.fields[f"work_{work.pk}"] = forms.CharField(
                label=_("What must be done about %(reference)s") % {"reference": work.reference},
                max_length=500,
                required=False,
            )

    def lines(self) -> list[tuple[PlannedWork, forms.BoundField]]:
        return [(work, self[f"work_{work.pk}"]) for work in self.works]

    def reasons(self) -> dict[int, str]:
        return {work.pk: self.cleaned_data[f"work_{work.pk}"] for work in self.works}


class ApproveForm(ActionForm):
    """Agreeing is reading: a tick for what was read, and the number of works typed by hand."""

    has_read = forms.BooleanField(label=_("I have gone through the works and what the checks say about them."))
    works = forms.IntegerField(label=_("Number of works in this plan"), min_value=0, max_value=99_999)

    def __init__(self, *args: Any, expected: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.expected = expected

    def clean_works(self) -> int:
        typed = int(self.cleaned_data["works"])
        if typed != self.expected:
            raise forms.ValidationError(_("That is not the number of works in this plan: count again."))
        return typed


class CapacityForm(ActionForm):
    crew_capacity = forms.IntegerField(label=_("Crews a day"), min_value=1, max_value=99)


class CalendarDayForm(ScopedFormMixin, forms.Form):
    """A day on which planned outages are unwelcome, or a weekend that is worked."""

    day = DayField(label=_("Day"))
    kind = forms.ChoiceField(label=_("Kind"), choices=DayKind.choices)
    name = forms.CharField(label=_("Occasion"), max_length=64)
    name_en = forms.CharField(label=_("Occasion in English"), max_length=64, required=False)
    branch = ScopedModelChoiceField(Branch.objects.all(), label=_("Branch, with all below it"), required=False)

    def __init__(self, *args: Any, actor: Actor, capability: str, for_all: bool, **kwargs: Any) -> None:
        super().__init__(*args, actor=actor, **kwargs)
        branch = self.fields["branch"]
        assert isinstance(branch, ScopedModelChoiceField)
        branch.capability = capability
        branch.scope_to(actor)
        branch.required = not for_all
        branch.empty_label = _("all branches") if for_all else None
