"""The form of a work: what is opened, when, for what, and what was considered before."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import uuid4

from django import forms
from django.utils import timezone
from django.utils.datastructures import MultiValueDict
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from accounts.actor import Actor
from accounts.scope import ScopedFormMixin, ScopedModelChoiceField
from grid.models import GridElement
from grid.topology import TransferOption
from outages.forms import MinuteField
from outages.planned import lifecycle
from outages.planned.lifecycle import MOST_WINDOWS
from outages.planned.models import Alternative, NoticeStage, PlannedWork, PlanPeriod, WorkClass, WorkType
from outages.planned.services.works import WorkDraft
from outages.planned.texts import public_reason
from outages.templatetags.pages import grouped, kilowatts

_MINUTE: Final = "%Y-%m-%dT%H:%M"

# which fields stand together; the page gives each group its heading
GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "what": ("plan", "work_class", "temporary_reason", "title", "work_type", "scope", "reason_zh", "reason_en"),
    "before": ("live_line", "live_line_reason", "transfer", "transfer_reason", "transfer_tie", "customer_work"),
    "who": ("contact_name", "contact_phone", "work_order", "key", "crews", "is_fixed", "switching_note", "note"),
    "telling": ("notice_plan",),
}


class PlanField(ScopedModelChoiceField):
    """A plan that is still with its branch, or none."""

    def __init__(self) -> None:
        still = PlanPeriod.objects.filter(state__in=lifecycle.WITH_THE_BRANCH).select_related("branch")
        super().__init__(
            still.order_by("starts_on", "branch"), capability="plan.submit", label=_("Plan"), required=False,
            empty_label=_("outside a plan"),
        )  # fmt: skip

    def label_from_instance(self, obj: Any) -> str:
        return f"{obj.title} · {obj.branch} · {obj.get_kind_display()}"


class ElementsField(ScopedModelChoiceField, forms.ModelMultipleChoiceField):  # type: ignore[type-arg]
    """Pieces of the network in the branches for which the person plans."""


class WorkForm(ScopedFormMixin, forms.Form):
    """The facts of a work. Elements and windows stand beside it as rows of their own."""

    token = forms.CharField(widget=forms.HiddenInput, max_length=64)
    version = forms.IntegerField(widget=forms.HiddenInput, min_value=0, required=False)
    seen = forms.IntegerField(widget=forms.HiddenInput, min_value=0, required=False)
    element = ElementsField(
        GridElement.objects.select_related("branch"), capability="plan.submit", label=_("What is switched off"),
        error_messages={"required": _("Choose what is switched off.")},
    )  # fmt: skip

    plan = PlanField()
    work_class = forms.ChoiceField(label=_("Class of work"), choices=WorkClass.choices, initial=WorkClass.PLANNED)
    temporary_reason = forms.CharField(
        label=_("Why it cannot wait"), max_length=300, required=False,
        help_text=_("Needed for temporary and emergency work."),
    )  # fmt: skip
    title = forms.CharField(label=_("Works"), max_length=200)
    work_type = forms.ChoiceField(label=_("Type of work"), choices=WorkType.choices, initial=WorkType.MAINTENANCE)
    scope = forms.CharField(
        label=_("Area, in words"), max_length=300, required=False, help_text=_("As customers call it.")
    )
    reason_zh = forms.CharField(
        label=_("Public reason (Chinese)"), max_length=200, required=False, help_text=_("Empty: from the type of work.")
    )
    reason_en = forms.CharField(label=_("Public reason (English)"), max_length=200, required=False)

    live_line = forms.ChoiceField(label=_("Live-line work"), choices=Alternative.choices, required=False)
    live_line_reason = forms.CharField(label=_("Live-line work: why so"), max_length=200, required=False)
    transfer = forms.ChoiceField(label=_("Transfer supply"), choices=Alternative.choices, required=False)
    transfer_reason = forms.CharField(label=_("Transfer supply: why so"), max_length=200, required=False)
    transfer_tie = forms.TypedChoiceField(label=_("Over the tie"), coerce=int, empty_value=None, required=False)
    customer_work = forms.CharField(
        label=_("Customer's own work at the same time"), max_length=300, required=False,
        help_text=_("So that the customer is off once, not twice."),
    )  # fmt: skip

    contact_name = forms.CharField(label=_("Contact"), max_length=64, required=False)
    contact_phone = forms.CharField(label=_("Telephone"), max_length=32, required=False)
    work_order = forms.CharField(label=_("Work order"), max_length=64, required=False)
    key = forms.CharField(label=_("The branch's own number"), max_length=64, required=False)
    crews = forms.IntegerField(label=_("Crews"), min_value=1, max_value=99, initial=1)
    is_fixed = forms.BooleanField(label=_("The date cannot move"), required=False)
    switching_note = forms.CharField(label=_("Switching"), max_length=500, required=False)
    note = forms.CharField(
        label=_("Internal note"), max_length=1000, required=False, widget=forms.Textarea(attrs={"rows": 2})
    )
    notice_plan = forms.MultipleChoiceField(
        label=_("Messages to customers"), required=False,
        choices=[(stage.value, stage.label) for stage in NoticeStage if stage != NoticeStage.ANNOUNCED],
        widget=forms.CheckboxSelectMultiple(attrs={"class": "choice-list"}),
        help_text=_("The announcement is always sent."),
    )  # fmt: skip

    def __init__(
        self, *args: Any, actor: Actor, transfers: Sequence[TransferOption] = (), work: PlannedWork | None = None,
        **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(*args, actor=actor, **kwargs)
        self.work = work
        if work is not None:
            del self.fields["plan"]  # a work stays where it was entered
        self.fields["transfer_tie"].choices = [("", "–"), *map(_tie_choice, transfers)]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        period = self.work.period if self.work is not None else cleaned.get("plan")
        if cleaned.get("work_class") == WorkClass.PLANNED:
            if period is None and "plan" not in self.errors:
                self.add_error(
                    "work_class", _("Planned work belongs to a plan; outside one it is temporary or emergency work.")
                )
        elif cleaned.get("work_class") and not cleaned.get("temporary_reason"):
            self.add_error("temporary_reason", _("Say why it cannot wait."))
        return cleaned

    def draft(self, windows: Iterable[tuple[datetime, datetime]]) -> WorkDraft:
        """What was typed, as the services take it."""
        facts = {**self.cleaned_data, "transfer_tie_id": self.cleaned_data["transfer_tie"]}
        return WorkDraft(tuple(element.pk for element in facts["element"]), tuple(windows), facts)

    def groups(self) -> dict[str, list[forms.BoundField]]:
        return {name: [self[field] for field in fields if field in self.fields] for name, fields in GROUPS.items()}


def _tie_choice(option: TransferOption) -> tuple[str, str]:
    taken = ngettext("%(n)s customer", "%(n)s customers", option.customers) % {"n": grouped(option.customers)}
    words = [f"{option.tie} {option.tie.code}", str(option.feeder) if option.feeder else "", taken]
    return str(option.tie.pk), " · ".join([word for word in words if word] + [kilowatts(option.load_kw)])


# --- windows ----------------------------------------------------------------------------------------


class WindowForm(forms.Form):
    """One row: off from, back by. All rows share the names; their order is their number."""

    starts = MinuteField(label=_("Off from"))
    ends = MinuteField(label=_("Back by"))

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        starts, ends = cleaned.get("starts"), cleaned.get("ends")
        if starts and ends and ends <= starts:
            self.add_error("ends", _("The end must be later than the start."))
        return cleaned


Typed = MultiValueDict[str, str]  # as a browser sends it: name -> texts


class WindowRows:
    """The windows of the form as typed. A row that is empty altogether does not count."""

    def __init__(self, typed: Typed, *, is_bound: bool) -> None:
        pairs = pairs_of(typed)
        filled = [pair for pair in pairs if any(pair)] if is_bound else pairs
        self.forms = [
            WindowForm(
                {"starts": starts, "ends": ends} if is_bound else None,
                initial={"starts": starts, "ends": ends},
                auto_id=f"id_window{number}_%s",
            )
            for number, (starts, ends) in enumerate(filled or [("", "")])
        ]

    def is_valid(self) -> bool:
        judged = [form.is_valid() for form in self.forms]  # every row says what is wrong with it, not only the first
        return all(judged)

    def windows(self) -> list[tuple[datetime, datetime]]:
        """Those that are complete and run forward, in the order of the clock."""
        whole = [form.cleaned_data for form in self.forms if form.is_valid()]
        return sorted((row["starts"], row["ends"]) for row in whole)


def pairs_of(typed: Typed) -> list[tuple[str, str]]:
    """The rows of windows as they were typed."""
    starts, ends = typed.getlist("starts"), typed.getlist("ends")
    longest = max(len(starts), len(ends))
    starts, ends = starts + [""] * (longest - len(starts)), ends + [""] * (longest - len(ends))
    return list(zip(starts, ends, strict=True))


def windows_typed(typed: Typed, windows: Iterable[tuple[datetime, datetime]]) -> None:
    """Write these windows over the typed ones."""
    rows = list(windows)
    typed.setlist("starts", [minute(starts) for starts, _ends in rows])
    typed.setlist("ends", [minute(ends) for _starts, ends in rows])


def minute(moment: datetime) -> str:
    """As a browser's field for a time has it."""
    return timezone.localtime(moment).strftime(_MINUTE)


# --- what the buttons of the form do ------------------------------------------------------------------


# Each changes what was typed and says why it did not, if it did not.


def element_add(typed: Typed, value: str) -> str:
    """Another piece of the network; the search is done with."""
    if value not in typed.getlist("element"):
        typed.appendlist("element", value)
    typed["q"] = ""
    return ""


def element_remove(typed: Typed, value: str) -> str:
    """That piece stays on."""
    typed.setlist("element", [known for known in typed.getlist("element") if known != value])
    return ""


def window_add(typed: Typed, _value: str) -> str:
    """An empty row more."""
    typed.appendlist("starts", "")
    typed.appendlist("ends", "")
    return ""


def window_remove(typed: Typed, value: str) -> str:
    """Without the row of that number."""
    pairs = pairs_of(typed)
    rows = [pair for number, pair in enumerate(pairs) if str(number) != value]
    typed.setlist("starts", [starts for starts, _ends in rows])
    typed.setlist("ends", [ends for _starts, ends in rows])
    return ""


def windows_repeat(typed: Typed, _value: str) -> str:
    """The first window again on each of the following days, at the same hours of the clock."""
    first = WindowRows(typed, is_bound=True).forms[0]
    days = _number(typed.get("repeat_days", ""))
    if days is None or not 2 <= days <= MOST_WINDOWS:
        return _t("Say on how many days, from 2 to %(most)d.") % {"most": MOST_WINDOWS}
    if not first.is_valid():
        return _t("Give the first window its two times before it is repeated.")
    windows_typed(typed, [_shifted(first, day) for day in range(days)])
    typed["repeat_days"] = ""
    return ""


def windows_take(typed: Typed, value: str) -> str:
    """One of the calmer days: all windows so many days later, or earlier."""
    days = _number(value.removeprefix("-"))
    rows = [form for form in WindowRows(typed, is_bound=True).forms if form.is_valid()]
    if days is not None and rows:
        windows_typed(typed, [_shifted(form, -days if value.startswith("-") else days) for form in rows])
    return ""


def _shifted(row: WindowForm, days: int) -> tuple[datetime, datetime]:
    """At the same hours of the clock."""
    starts, ends = (timezone.localtime(row.cleaned_data[name]) for name in ("starts", "ends"))
    return starts + timedelta(days=days), ends + timedelta(days=days)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 3 else None


CHANGES: Final[Mapping[str, Callable[[Typed, str], str]]] = {
    "add_element": element_add,
    "remove_element": element_remove,
    "add_window": window_add,
    "remove_window": window_remove,
    "repeat": windows_repeat,
    "take": windows_take,
}


# --- what stands in the form when it is opened ----------------------------------------------------------


def typed_of(work: PlannedWork) -> Typed:
    """A saved work as the form shows it."""
    names = [name for fields in GROUPS.values() for name in fields if name not in ("plan", "notice_plan", "is_fixed")]
    typed: Typed = MultiValueDict({name: [_text(getattr(work, name))] for name in names if name != "transfer_tie"})
    typed["transfer_tie"] = _text(work.transfer_tie_id)
    typed["is_fixed"] = "on" if work.is_fixed else ""
    typed.setlist("notice_plan", [stage for stage in work.notice_plan if stage != NoticeStage.ANNOUNCED])
    typed.setlist("element", [str(element.pk) for element in work.elements.all()])
    windows_typed(typed, [(window.starts_at, window.ends_at) for window in work.windows.all()])
    typed["version"] = str(work.version)
    typed["seen"] = _text(work.steps.order_by("-pk").values_list("pk", flat=True).first())
    typed["token"] = uuid4().hex
    return typed


def typed_anew(**known: str) -> Typed:
    """An empty form with what the link to it already says."""
    typed: Typed = MultiValueDict({"notice_plan": list(NoticeStage.values), "token": [uuid4().hex]})
    typed["work_class"] = WorkClass.PLANNED if known.get("plan") else WorkClass.TEMPORARY
    typed["work_type"], typed["crews"] = WorkType.MAINTENANCE, "1"
    typed["reason_zh"], typed["reason_en"] = public_reason(WorkType.MAINTENANCE)
    for name, value in known.items():
        if value:
            typed[name] = value
    return typed


def initial_of(typed: Typed) -> dict[str, Any]:
    """The same for a form that is shown without being judged."""
    lists = ("notice_plan", "element")
    return {name: typed.getlist(name) if name in lists else typed[name] for name in typed}


def reason_follows(typed: Typed) -> None:
    """Public words nobody changed follow the type of work."""
    worded = (typed.get("reason_zh", ""), typed.get("reason_en", ""))
    if worded in {public_reason(kind) for kind in WorkType.values}:
        typed["reason_zh"], typed["reason_en"] = public_reason(typed.get("work_type", ""))


def _text(value: object) -> str:
    return "" if value is None else str(value)
