"""Shape and wording of what people enter on the outage pages."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _


class NoteForm(forms.Form):
    """A remark for the history. It is internal unless somebody says otherwise."""

    text = forms.CharField(label=_("Note"), max_length=2000, widget=forms.Textarea(attrs={"rows": 3, "data-key": "n"}))
    is_public = forms.BooleanField(
        label=_("Public: customers may read it"), required=False, help_text=_("Leave empty for an internal note.")
    )
