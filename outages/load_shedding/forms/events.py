"""Shape and wording of what is entered about events and their turns. Rules are the services'."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any, ClassVar, Final

from django import forms
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from accounts.scope import ScopedFormMixin, ScopedModelChoiceField
from grid.models import Branch
from outages.forms import ActionForm, MinuteField
from outages.load_shedding.models import Agreement, Colour, Measure, SheddingStage, Slot


class BranchForm(ScopedFormMixin, forms.Form):
    """For which branch, with all below it."""

    branch = ScopedModelChoiceField(
        Branch.objects.all(), capability="shedding.write", label=_("Branch, with all below it"), empty_label=None
    )


class AlertForm(BranchForm):
    """A warning: its colour, and who gave it."""

    colour = forms.ChoiceField(label=_("Warning"), choices=Colour.choices)
    authority = forms.CharField(label=_("Given by"), max_length=100)
    reason = forms.CharField(label=_("Reason"), max_length=500, required=False)


class OrderFacts(forms.Form):
    """So many MW less, from then to then, on whose order."""

    target_mw = forms.FloatField(
        label=_("Load to shed (MW)"), min_value=0.001, max_value=100_000,
        widget=forms.NumberInput(attrs={"step": "any"}),
    )  # fmt: skip
    starts_at = MinuteField(label=pgettext_lazy("shedding", "From"))
    ends_at = MinuteField(label=pgettext_lazy("shedding", "Until"))
    order_number = forms.CharField(label=_("Order number"), max_length=64)
    authority = forms.CharField(label=_("Ordered by"), max_length=100)
    reason = forms.CharField(label=_("Reason"), max_length=500, required=False)
    is_emergency = forms.BooleanField(
        label=_("Emergency: notices may follow the switching"), required=False
    )  # fmt: skip


class StageForm(ActionForm):
    """A load, or a stage of the plan that stands for one."""

    stage = forms.TypedChoiceField(label=_("Stage"), coerce=int, empty_value=None, required=False)

    def __init__(self, *args: Any, stages: Iterable[SheddingStage], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["target_mw"].required = False
        self.fields["target_mw"].help_text = _("Without it the stage's own load.")
        words = [(one.number, f"{one.number} · {one.get_colour_display()} · {one.mw:g} MW") for one in stages]
        self.fields["stage"].choices = [("", _("by load")), *words]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        facts: dict[str, Any] = super().clean() or {}
        is_other_stage, is_other_load = "stage" in self.changed_data, "target_mw" in self.changed_data
        if is_other_stage and not is_other_load and facts.get("stage") is not None:
            facts["target_mw"] = None  # that of the stage before
        elif is_other_load and not is_other_stage:
            facts["stage"] = None  # it stood for the load before
        return facts


class OrderForm(OrderFacts, StageForm):
    """The order after a warning."""

    field_order = ("target_mw", "stage", "starts_at", "ends_at", "order_number", "authority", "reason", "is_emergency")


class OrderOpenForm(BranchForm, OrderFacts):
    """An emergency: an order without a warning before it."""

    field_order = ("branch", "target_mw", "starts_at", "ends_at", "order_number", "authority", "reason")


# --- measures -------------------------------------------------------------------------------------------


class MeasureForm(ScopedFormMixin, ActionForm):
    """Who was asked to take off how much, and what came of it."""

    kind = forms.ChoiceField(label=pgettext_lazy("shedding", "Measure"), choices=Agreement.Kind.choices)
    agreement = ScopedModelChoiceField(
        Agreement.objects.select_related("customer").order_by("kind", "-mw", "pk"),
        capability="shedding.write",
        label=_("Agreement"),
        required=False,
        empty_label=_("several, or none"),
    )
    asked_mw = forms.FloatField(
        label=_("Asked for (MW)"), min_value=0, max_value=100_000, required=False,
        widget=forms.NumberInput(attrs={"step": "any"}),
    )  # fmt: skip
    relief_mw = forms.FloatField(
        label=_("Relief (MW)"), min_value=0, max_value=100_000, required=False,
        widget=forms.NumberInput(attrs={"step": "any"}),
    )  # fmt: skip
    is_measured = forms.BooleanField(label=_("Measured"), required=False)
    note = forms.CharField(label=_("Note"), max_length=300, required=False)
    measure = forms.IntegerField(widget=forms.HiddenInput, required=False)  # of which the relief is known now

    def __init__(self, *args: Any, branch: Branch, day: date, known: Measure | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.known = known
        if known is not None:
            for name in ("kind", "asked_mw", "relief_mw", "is_measured", "note"):
                self.initial[name] = getattr(known, name)
            self.initial["measure"] = known.pk
            self.fields["kind"].disabled = True
            self.fields["relief_mw"].required = True
            del self.fields["agreement"]
            return
        field = self.fields["agreement"]
        held = field.queryset.filter(branch__pos__range=(branch.pos, branch.last))  # type: ignore[attr-defined]
        field.queryset = held.exclude(valid_until__lt=day)  # type: ignore[attr-defined]
        field.label_from_instance = _agreement_words  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        facts: dict[str, Any] = super().clean() or {}
        agreement = facts.get("agreement")
        if agreement is not None:
            if agreement.kind != facts.get("kind"):
                self.add_error("agreement", _("This agreement is about another measure."))
            if facts.get("asked_mw") is None:
                facts["asked_mw"] = agreement.mw
        elif facts.get("asked_mw") is None and "asked_mw" not in self.errors:
            self.add_error("asked_mw", _("Say how much was asked for, or choose an agreement."))
        return facts


def _agreement_words(agreement: Agreement) -> str:
    return f"{agreement.get_kind_display()} · {agreement.customer.name} · {agreement.mw:g} MW"


# --- choice, decision -------------------------------------------------------------------------------------


_KEPT: Final = {"hx-preserve": True}  # what is being typed, while turns are ticked


class ProposeForm(ActionForm):
    """What is handed to the second person: which proposal, why, and why not by gentler measures."""

    reason = forms.CharField(
        label=_("Reason for the second person"), max_length=500, widget=forms.TextInput(attrs=_KEPT)
    )
    why_now = forms.CharField(
        label=_("Why nobody is asked to shift, avoid or limit first"), max_length=300, required=False,
        widget=forms.TextInput(attrs=_KEPT),
    )  # fmt: skip

    def __init__(self, *args: Any, untried: Sequence[str], **kwargs: Any) -> None:
        kwargs["auto_id"] = "id_propose_%s"  # the order on the same page has a reason too
        super().__init__(*args, **kwargs)
        if untried:
            self.fields["why_now"].required = True
            self.fields["why_now"].help_text = _("Not asked so far: %(measures)s.") % {"measures": ", ".join(untried)}
        else:
            del self.fields["why_now"]


def untried(measures: Iterable[Measure]) -> list[str]:
    """The measures that come before disconnection and were not asked for."""
    asked = {measure.kind for measure in measures}
    return [str(kind.label) for kind in Agreement.Kind if kind not in asked]


class ConfirmForm(ActionForm):
    """Deciding is comparing: a tick, and the number of blocks typed by hand."""

    compared: ClassVar = ("is_checked", "typed_blocks")
    is_checked = forms.BooleanField(label=_("I have compared the order number and the blocks with the order."))
    typed_blocks = forms.IntegerField(label=_("Number of blocks"), min_value=0, max_value=99_999)


class ReasonForm(ActionForm):
    reason = forms.CharField(label=_("Reason"), max_length=500)


class ChangeForm(StageForm):
    """Another load, stage or end: only the difference is switched and told."""

    target_mw = forms.FloatField(
        label=_("Load to shed (MW)"), min_value=0.001, max_value=100_000,
        widget=forms.NumberInput(attrs={"step": "any"}),
    )  # fmt: skip
    until = MinuteField(label=pgettext_lazy("shedding", "Until"))
    reason = forms.CharField(label=_("Reason"), max_length=500)
    field_order = ("target_mw", "stage", "until", "reason")


class ReplaceForm(ActionForm):
    """Another block in this one's place, for what is left of its turn."""

    block = forms.ChoiceField(label=_("Block that takes over"))
    reason = forms.CharField(label=_("Reason"), max_length=300)

    def __init__(self, *args: Any, blocks: Sequence[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["block"].choices = blocks  # type: ignore[attr-defined]


class OffForm(ActionForm):
    """Since when it is off, and what was measured."""

    at = MinuteField(label=_("At"))
    mw = forms.FloatField(
        label=_("Load switched (MW)"), min_value=0, max_value=100_000, required=False,
        help_text=_("As measured; without it the expected load counts, and is called estimated."),
        widget=forms.NumberInput(attrs={"step": "any"}),
    )  # fmt: skip


class OnForm(ActionForm):
    """Since when it is on again, and what its turn relieved, where that is known better now."""

    at = MinuteField(label=_("At"))
    mw = forms.FloatField(
        label=_("Load relieved (MW)"), min_value=0, max_value=100_000, required=False,
        help_text=_("As measured over the whole turn."), widget=forms.NumberInput(attrs={"step": "any"}),
    )  # fmt: skip


class SkipForm(ActionForm):
    reason = forms.CharField(label=_("Why it cannot be switched off"), max_length=300)


class StuckForm(ActionForm):
    reason = forms.CharField(label=_("What stands in the way"), max_length=300)


class ReconcileForm(ActionForm):
    """What each turn relieved as it was finally measured; what is left as it stands stays as it is labelled."""

    note = forms.CharField(label=_("Remark on the event"), max_length=500, required=False)

    def __init__(self, *args: Any, slots: Sequence[Slot], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.slots = slots
        for slot in slots:
            self.fields[f"mw_{slot.pk}"] = forms.FloatField(
                label=_("%(block)s, finally measured (MW)") % {"block": slot.block.code}, required=False, min_value=0,
                max_value=100_000, widget=forms.NumberInput(attrs={"step": "any"}),
            )  # fmt: skip

    def measured(self) -> dict[int, float]:
        """The loads that were entered, by the keys of their slots."""
        loads = {slot.pk: self.cleaned_data[f"mw_{slot.pk}"] for slot in self.slots}
        return {pk: mw for pk, mw in loads.items() if mw is not None}
