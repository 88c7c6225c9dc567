"""Shape and wording of what people enter on the outage pages."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class NoteForm(forms.Form):
    """A remark for the history. Always internal: what customers read is written elsewhere, so the two never mix."""

    text = forms.CharField(
        label=_("Internal note"),
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 2, "data-key": "n", "data-key-label": _("write a note")}),
    )


class MinuteInput(forms.DateTimeInput):
    input_type = "datetime-local"

    def __init__(self) -> None:
        super().__init__(format="%Y-%m-%dT%H:%M")


class MinuteField(forms.DateTimeField):
    """A time to the minute, in the site's zone."""

    widget = MinuteInput


class ActionForm(forms.Form):
    """One step of an outage. ``version`` and ``seen`` say what was on screen, so that two people do not collide."""

    version = forms.IntegerField(widget=forms.HiddenInput, min_value=0)
    seen = forms.IntegerField(widget=forms.HiddenInput, min_value=0, required=False)


def now_to_the_minute() -> Any:
    return timezone.localtime().replace(second=0, microsecond=0)


class RestorePartForm(ActionForm):
    at = MinuteField(label=_("Back since"))
    elements = forms.MultipleChoiceField(
        label=_("Back below"), required=False, widget=forms.CheckboxSelectMultiple(attrs={"class": "choice-list"})
    )
    customer = forms.CharField(
        label=_("Or a single customer"), max_length=128, required=False, help_text=_("Account, meter or service point.")
    )
    note = forms.CharField(label=_("Internal note"), max_length=500, required=False)

    def __init__(self, *args: Any, elements: list[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["elements"].choices = elements  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if not self.errors and not cleaned.get("elements") and not cleaned.get("customer"):
            self.add_error("elements", _("Choose what is back, or name a customer."))
        return cleaned


class RestoreForm(ActionForm):
    restored_at = MinuteField(label=_("Back since"))
    note = forms.CharField(label=_("Internal note"), max_length=500, required=False)
