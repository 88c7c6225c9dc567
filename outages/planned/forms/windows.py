"""The steps of a published window. ``version`` and ``seen`` say what was on screen."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from outages.forms import ActionForm, MinuteField


class TellField(forms.BooleanField):
    """The decision that a change after publication forces: the service says whether it may be left out."""

    def __init__(self) -> None:
        super().__init__(label=_("Tell everybody who was told the old time"), required=False)


class StartForm(ActionForm):
    started_at = MinuteField(label=_("Off since"), help_text=_("When the switch was really opened."))
    note = forms.CharField(label=_("Internal note"), max_length=500, required=False)


class ExtendForm(ActionForm):
    planned_end = MinuteField(label=_("Back by"), help_text=_("The new end; customers are told this time."))
    reason = forms.CharField(label=_("Why it takes longer"), max_length=500)


class OnTimeForm(ActionForm):
    """Nothing to fill in: the answer is the button."""


class CloseForm(ActionForm):
    remedy = forms.CharField(label=_("What was done"), max_length=500, widget=forms.Textarea(attrs={"rows": 3}))
    note = forms.CharField(label=_("Internal note"), max_length=500, required=False)


class MoveForm(ActionForm):
    planned_start = MinuteField(label=_("Off from"))
    planned_end = MinuteField(label=_("Back by"))
    reason = forms.CharField(label=_("Why it is moved"), max_length=500)
    tell = TellField()


class CancelForm(ActionForm):
    reason = forms.CharField(label=_("Why it is cancelled"), max_length=500)
    tell = TellField()
