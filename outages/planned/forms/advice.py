"""How far apart works may lie to be worth one outage, and which works become one."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.scope import ScopedFormMixin, ScopedModelMultipleChoiceField
from outages.planned.models import PlannedWork


class AdviceForm(forms.Form):
    """Unasked, the rule pack says how many days."""

    within = forms.IntegerField(label=_("Days apart at most"), min_value=0, max_value=31, required=False)


class JoinForm(ScopedFormMixin, AdviceForm):
    """The works of one proposal, each with the version that was on screen (``version-<pk>``)."""

    works = ScopedModelMultipleChoiceField(PlannedWork.objects.all())

    def clean(self) -> dict[str, Any]:
        facts = super().clean() or {}
        version = forms.IntegerField(min_value=0, required=False)
        seen = {work.pk: version.clean(self.data.get(f"version-{work.pk}")) for work in facts.get("works", ())}
        facts["versions"] = {pk: number for pk, number in seen.items() if number is not None}
        return facts
