"""What a person says about a notice that was served by hand."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from billing_cutoffs.models import ServedHow
from billing_cutoffs.services.serving import BY_A_PERSON
from outages.forms import MinuteField


class ServeForm(forms.Form):
    how = forms.ChoiceField(label=_("How"), choices=[(how.value, how.label) for how in ServedHow if how in BY_A_PERSON])
    served_at = MinuteField(label=_("When"))
    note = forms.CharField(
        label=_("To whom, and who witnessed it"), max_length=300, widget=forms.Textarea(attrs={"rows": 2})
    )
