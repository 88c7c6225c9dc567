"""Shape and wording of what people enter on the outage pages."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _


class NoteForm(forms.Form):
    """A remark for the history. Always internal: what customers read is written elsewhere, so the two never mix."""

    text = forms.CharField(
        label=_("Internal note"),
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 2, "data-key": "n", "data-key-label": _("write a note")}),
    )
