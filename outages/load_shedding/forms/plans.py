"""Shape and wording of what is entered about plans, their blocks, stages and turns. Rules are the services'."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar

from django import forms
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from accounts.scope import ScopedFormMixin, ScopedModelChoiceField
from grid.models import Branch, GridElement
from outages.forms import ActionForm, MinuteField
from outages.load_shedding.intake import cells
from outages.load_shedding.intake.problems import CellProblem, Problem
from outages.load_shedding.models import Colour, KeptOut, Recurrence, SheddingBlock, SheddingStage, StageWindow
from outages.load_shedding.rotation import Row
from standards.errors import DomainError


def refused(form: forms.BaseForm, refusal: DomainError) -> int:
    """Show a service's refusal beside the field it is about; the status of the answer."""
    form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
    return refusal.status if refusal.status in (409, 422) else 422


def renewed(form: forms.BaseForm, version: int) -> None:
    """A refused form stands beside what holds now and is about that. What was compared is compared anew."""
    data: Any = form.data
    data, key = data.copy(), form.add_prefix("version")
    if data.get(key) != str(version):
        for name in getattr(form, "compared", ()):
            data[form.add_prefix(name)] = ""
    data[key] = str(version)
    form.data = data


class DayInput(forms.DateInput):
    input_type = "date"

    def __init__(self) -> None:
        super().__init__(format="%Y-%m-%d")


class PlanFacts(forms.Form):
    """The name of a version, its day, its limits."""

    name = forms.CharField(label=pgettext_lazy("thing", "Name"), max_length=100)
    effective_from = forms.DateField(label=_("In force from"), widget=DayInput)
    slot_minutes = forms.IntegerField(label=_("Length of a slot (min)"), min_value=15, max_value=1440, initial=120)
    margin_minutes = forms.IntegerField(label=_("Switching margin (min)"), min_value=0, max_value=1440, initial=15)
    max_run_minutes = forms.IntegerField(
        label=_("Longest at a stretch (min)"), min_value=15, max_value=1440, initial=240
    )
    max_day_minutes = forms.IntegerField(label=_("Longest in a day (min)"), min_value=15, max_value=1440, initial=480)
    min_rest_minutes = forms.IntegerField(
        label=_("Shortest rest between two turns (min)"), min_value=0, max_value=10_080, initial=240
    )
    note = forms.CharField(label=_("Note"), max_length=500, required=False)


class PlanOpenForm(ScopedFormMixin, PlanFacts):
    branch = ScopedModelChoiceField(
        Branch.objects.all(), capability="shedding.write", label=_("Branch, with all below it"), empty_label=None
    )
    field_order = ("branch",)


class PlanChangeForm(PlanFacts, ActionForm):
    pass


class CopyForm(forms.Form):
    effective_from = forms.DateField(label=_("In force from"), widget=DayInput)


class ApproveForm(ActionForm):
    """Agreeing is reading: a tick for what was read, and the number of blocks typed by hand."""

    compared: ClassVar = ("is_accepted", "blocks")
    is_accepted = forms.BooleanField(label=_("I have read what the checks say and what this version changes."))
    blocks = forms.IntegerField(label=_("Number of blocks in this version"), min_value=0, max_value=99_999)

    def __init__(self, *args: Any, expected: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.expected = expected

    def clean_blocks(self) -> int:
        typed = int(self.cleaned_data["blocks"])
        if typed != self.expected:
            raise forms.ValidationError(_("That is not the number of blocks in this version: count again."))
        return typed


# --- blocks -------------------------------------------------------------------------------------------

_APART = re.compile(r"[,;，；、\s]+")


class HoursField(forms.CharField):
    """24 loads in MW, or one for the whole day; nothing where nobody measured."""

    widget = forms.Textarea(attrs={"rows": 2})

    def clean(self, value: Any) -> list[float] | None:
        parts = [part for part in re.split(r"[;；\s]+", super().clean(value)) if part]
        try:
            loads = [float(part) for part in parts]
        except ValueError:
            loads = [-1.0]
        if len(loads) not in (0, 1, 24) or not all(0 <= load < 10_000 for load in loads):
            raise forms.ValidationError(_("Write 24 loads in MW with blanks between them, or one for the whole day."))
        return (loads * 24)[:24] or None


class NamesField(forms.CharField):
    """Several codes in one field."""

    widget = forms.Textarea(attrs={"rows": 2})

    def clean(self, value: Any) -> list[str]:
        return list(dict.fromkeys(part for part in _APART.split(super().clean(value)) if part))

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(value) if isinstance(value, list) else value


class BlockForm(ActionForm):
    code = forms.RegexField(r"^[^\s,;/，；、]+$", label=_("Block"), max_length=32)
    name = forms.CharField(label=pgettext_lazy("thing", "Name"), max_length=100, required=False)
    name_en = forms.CharField(label=_("English name"), max_length=100, required=False)
    elements = NamesField(
        label=_("Elements"), max_length=4000, help_text=_("Codes of feeders or other elements, with commas.")
    )
    mw_by_hour = HoursField(
        label=_("Measured load by hour (MW)"), required=False, max_length=1000,
        help_text=_("24 figures with blanks between them; without any the load is estimated from the customers."),
    )  # fmt: skip
    switchings = forms.IntegerField(label=_("Switching operations"), min_value=1, max_value=99, initial=1)
    formerly = NamesField(label=_("Former names"), max_length=500, required=False)
    is_protected = forms.BooleanField(label=_("Protected: not to be shed"), required=False)
    protected_reason = forms.CharField(label=_("Why protected"), max_length=200, required=False)

    @staticmethod
    def facts_of(block: SheddingBlock, elements: Sequence[str]) -> dict[str, Any]:
        """A block as its form shows it."""
        names = ("code", "name", "name_en", "switchings", "formerly", "is_protected", "protected_reason")
        measured = " ".join(f"{load:g}" for load in block.mw_by_hour) if block.is_measured else ""
        return {name: getattr(block, name) for name in names} | {"elements": list(elements), "mw_by_hour": measured}


# --- stages and turns -----------------------------------------------------------------------------------


class StagesForm(ActionForm):
    """Up to eight stages; a line without a load is none."""

    MOST = 8

    def __init__(self, *args: Any, stages: Sequence[SheddingStage], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        known = {stage.number: stage for stage in stages}
        self.numbers = sorted({*range(1, self.MOST + 1), *known})
        for number in self.numbers:
            stage = known.get(number)
            self.fields[f"colour_{number}"] = forms.ChoiceField(
                label=_("Warning of stage %(stage)d") % {"stage": number}, choices=Colour.choices,
                initial=stage.colour if stage else list(Colour)[min(number - 1, 3)],
            )  # fmt: skip
            self.fields[f"mw_{number}"] = forms.FloatField(
                label=_("Load of stage %(stage)d (MW)") % {"stage": number}, required=False, min_value=0,
                max_value=100_000, initial=stage.mw if stage else None, widget=forms.NumberInput(attrs={"step": "any"}),
            )  # fmt: skip

    def lines(self) -> list[tuple[int, forms.BoundField, forms.BoundField]]:
        return [(number, self[f"colour_{number}"], self[f"mw_{number}"]) for number in self.numbers]

    def stages(self) -> list[tuple[int, str, float]]:
        facts = self.cleaned_data
        return [(n, facts[f"colour_{n}"], facts[f"mw_{n}"]) for n in self.numbers if facts[f"mw_{n}"]]


class TurnForm(ActionForm):
    """One more row of a stage's table; several days at once."""

    block = forms.ChoiceField(label=_("Block"))
    recurrence = forms.ChoiceField(label=_("Repeats"), choices=Recurrence.choices)
    days = forms.CharField(label=_("Days"), max_length=100, help_text=_("1-3, 17, last; 1 is Monday of weekdays."))
    hours = forms.CharField(
        label=pgettext_lazy("rotation table", "Hours"), max_length=32,
        help_text=_("08:00-10:30; over midnight: 22:00-00:30."),
    )  # fmt: skip
    period = forms.IntegerField(label=_("Days of the cycle"), min_value=1, max_value=366, required=False)
    counts_from = forms.DateField(label=_("Cycle counted from"), widget=DayInput, required=False)
    is_possible = forms.BooleanField(label=_("Only possible"), required=False)

    def __init__(self, *args: Any, stage: int, blocks: Sequence[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.stage = stage
        self.fields["block"].choices = [(code, code) for code in blocks]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        facts: dict[str, Any] = super().clean() or {}
        is_cycle = facts.get("recurrence") == Recurrence.PERIODIC
        for name in ("period", "counts_from"):
            if is_cycle and not facts.get(name) and name not in self.errors:
                self.add_error(name, _("A cycle needs its length and the day it is counted from."))
        if not self.errors:
            facts["rows"] = self._rows(facts, is_cycle=is_cycle)
        return facts

    def _rows(self, facts: dict[str, Any], *, is_cycle: bool) -> list[Row]:
        name = "days"
        try:
            if is_cycle:
                days = cells.cycle_days(facts["days"], facts["period"])
            else:
                days = (cells.month_days if facts["recurrence"] == Recurrence.MONTHLY else cells.weekdays)(
                    facts["days"]
                )
            name = "hours"
            span = cells.span(facts["hours"])
        except CellProblem as problem:
            self.add_error(name, str(Problem(0, "", problem.code, problem.params)))
            return []
        period, counts_from = (facts["period"], facts["counts_from"]) if is_cycle else (None, None)
        return [
            Row(
                self.stage, facts["block"], facts["recurrence"], day, *span, period=period, counts_from=counts_from,
                is_possible=facts["is_possible"],
            )
            for day in days
        ]  # fmt: skip


class TableForm(forms.Form):
    file = forms.FileField(
        label=_("File"), widget=forms.FileInput(attrs={"accept": ".xlsx,.xls,.ods,.csv"}),
        help_text=_("Your own layout will do: .xlsx, .xls, .ods or .csv."),
    )  # fmt: skip
    stage = forms.TypedChoiceField(label=_("Stage of a table that names none"), coerce=int)

    def __init__(self, *args: Any, stages: Sequence[int], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["stage"].choices = [(stage, stage) for stage in stages]  # type: ignore[attr-defined]


# --- kept out, and the schedule -----------------------------------------------------------------------------


class KeptOutForm(ScopedFormMixin, forms.Form):
    element = ScopedModelChoiceField(
        GridElement.objects.select_related("branch"), capability="shedding.write", to_field_name="code",
        label=_("Element"), widget=forms.TextInput, help_text=_("Its code."),
    )  # fmt: skip
    why = forms.ChoiceField(label=_("Why"), choices=KeptOut.Why.choices)
    note = forms.CharField(label=_("Note"), max_length=200, required=False)


class PublishForm(forms.Form):
    """A stage from then to then."""

    stage = forms.TypedChoiceField(label=_("Stage"), coerce=int)
    begins = MinuteField(label=pgettext_lazy("schedule", "From"))
    until = MinuteField(label=pgettext_lazy("schedule", "Until"))
    certainty = forms.ChoiceField(label=_("Certainty"), choices=StageWindow.Certainty.choices)

    def __init__(self, *args: Any, stages: Sequence[int], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        words = [(0, _("0: nobody is shed")), *((stage, str(stage)) for stage in stages)]
        self.fields["stage"].choices = words  # type: ignore[attr-defined]


class WithdrawForm(forms.Form):
    begins = MinuteField(label=pgettext_lazy("schedule", "From"))
    until = MinuteField(label=pgettext_lazy("schedule", "Until"))
