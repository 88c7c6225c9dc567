"""What people enter about one order."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from outages.forms import ActionForm, MinuteField


class OnSiteForm(ActionForm):
    """What somebody on site saw."""

    at = MinuteField(label=_("Seen at"))
    reading = forms.CharField(label=_("Meter reading"), max_length=32, required=False)
    note = forms.CharField(label=_("Internal note"), max_length=500, required=False)


class SafeForm(ActionForm):
    how = forms.CharField(label=_("How the customer said so"), max_length=200, required=False)


class ReconnectForm(ActionForm):
    reason = forms.CharField(label=_("Reason"), max_length=500, widget=forms.Textarea(attrs={"rows": 2}))
    is_wrongful = forms.BooleanField(
        label=_("It should not have been off"), required=False, help_text=_("Due at once, and counted by the brake.")
    )


class NoteForm(ActionForm):
    note = forms.CharField(label=_("Internal note"), max_length=500, required=False)
