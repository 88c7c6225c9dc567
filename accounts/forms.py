"""Shape and wording of what people type about users, roles and tokens. The rules are in the services."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import Role, User
from accounts.policies import SCOPES
from accounts.scope import ScopedFormMixin, ScopedModelChoiceField
from grid.models import Branch

LANGUAGES = [("", _("as the browser")), *settings.LANGUAGES]


class ProfileForm(forms.ModelForm[User]):
    language = forms.ChoiceField(label=_("Language"), choices=LANGUAGES, required=False)

    class Meta:
        model = User
        fields = ("display_name", "language", "theme", "shortcuts_enabled")
        help_texts: ClassVar[dict[str, Any]] = {
            "shortcuts_enabled": _(
                "Single keys act only outside text fields. Switch them off if they get in your way."
            ),
        }


class UserForm(forms.ModelForm[User]):
    language = forms.ChoiceField(label=_("Language"), choices=LANGUAGES, required=False)

    class Meta:
        model = User
        fields = ("username", "display_name", "email", "extension", "language")


class UserEditForm(UserForm):
    class Meta(UserForm.Meta):
        fields = ("display_name", "email", "extension", "language")  # type: ignore[assignment]


class ClientForm(forms.ModelForm[User]):
    class Meta:
        model = User
        fields = ("username", "display_name")
        labels: ClassVar[dict[str, Any]] = {"username": _("System"), "display_name": _("What it is for")}


class RoleForm(ScopedFormMixin, forms.Form):
    role = forms.ChoiceField(label=_("Role"), choices=[c for c in Role.choices if c[0] != Role.SERVICE])
    branch = ScopedModelChoiceField(
        Branch.objects.all(),
        capability="users.manage",
        label=_("Branch"),
        required=False,
        empty_label=_("all branches"),
    )
    valid_from = forms.DateField(
        label=_("From"), required=False, widget=forms.DateInput(attrs={"type": "date"}), help_text=_("Empty: now.")
    )
    valid_to = forms.DateField(
        label=_("Until"),
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text=_("The last day. Empty: until it is ended."),
    )

    def period(self) -> tuple[datetime | None, datetime | None]:
        """The days as moments of the site's zone; the last day counts in full."""
        first, final = self.cleaned_data["valid_from"], self.cleaned_data["valid_to"]
        begin = timezone.make_aware(datetime.combine(first, time.min)) if first else None
        end = timezone.make_aware(datetime.combine(final + timedelta(days=1), time.min)) if final else None
        return begin, end


class TokenForm(ScopedFormMixin, forms.Form):
    name = forms.CharField(label=_("Purpose"), max_length=64)
    scopes = forms.MultipleChoiceField(
        label=_("Scopes"), choices=[(s, s) for s in SCOPES], widget=forms.CheckboxSelectMultiple
    )
    branch = ScopedModelChoiceField(
        Branch.objects.all(),
        capability="users.manage",
        label=_("Branch"),
        required=False,
        empty_label=_("all branches"),
    )
    addresses = forms.CharField(
        label=_("Allowed addresses"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=_("One address or network in each line. Empty: from anywhere."),
    )
    days = forms.IntegerField(label=_("Days until it expires"), min_value=1, max_value=365, initial=365)

    def clean_addresses(self) -> list[str]:
        return str(self.cleaned_data["addresses"]).split()
