"""Finding one's own block, without a login."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.validators import RegexValidator
from django.utils.translation import gettext_lazy as _


class FindForm(forms.Form):
    """One way is enough: the address, the account with the end of its telephone number, or the transformer."""

    address = forms.CharField(
        label=_("Address"), max_length=100, required=False, help_text=_("Street and number, as on your bill.")
    )
    account = forms.CharField(label=_("Account number"), max_length=64, required=False)
    phone_tail = forms.CharField(
        label=_("Last four digits of your telephone number"),
        max_length=4,
        required=False,
        validators=[RegexValidator(r"^[0-9]{4}$", _("Four digits."))],
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"}),
    )
    transformer = forms.CharField(
        label=_("Transformer code"), max_length=128, required=False, help_text=_("On the plate at the transformer.")
    )

    def clean(self) -> dict[str, Any]:
        typed = super().clean() or {}
        if typed.get("account") and not typed.get("phone_tail") and not self.has_error("phone_tail"):
            self.add_error("phone_tail", _("Type the last four digits as well."))
        if not self.errors and not any(typed.get(name) for name in ("address", "account", "transformer")):
            raise forms.ValidationError(_("Type an address, an account number or a transformer code."))
        return typed
