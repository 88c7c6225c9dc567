"""Handing in a file from billing, the bank or the weather service."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.scope import ScopedFormMixin, ScopedModelChoiceField
from billing_cutoffs.models import FeedKind
from grid.models import Branch


class FileUploadForm(ScopedFormMixin, forms.Form):
    kind = forms.ChoiceField(label=_("What it holds"), choices=FeedKind.choices)
    branch = ScopedModelChoiceField(
        Branch.objects.all(), capability="cutoff.propose", label=_("Branch"),
        help_text=_("Times without a zone are read by its clock. Accounts of other branches of yours may be in it."),
    )  # fmt: skip
    file = forms.FileField(
        label=_("File"), widget=forms.FileInput(attrs={"accept": ".csv,.xlsx,.xls,.ods"}),
        help_text=_("A table with headings, in Chinese or English: .csv, .xlsx, .xls or .ods, at most 20 MB."),
    )  # fmt: skip
