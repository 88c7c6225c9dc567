"""What the register of holds may be narrowed by."""

from __future__ import annotations

from typing import Final

import django_filters  # type: ignore[import-untyped]
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from billing_cutoffs.models import AccountHold, HoldKind
from grid.models import Branch

STANDINGS: Final = (
    ("standing", pgettext_lazy("hold", "standing")),
    ("over", pgettext_lazy("hold", "over")),
    ("all", pgettext_lazy("hold", "all")),
)


class HoldFilter(django_filters.FilterSet):  # type: ignore[misc]
    """``?q=1000000001&branch=0101&kind=medical&state=over``; unasked it shows what stands."""

    q = django_filters.CharFilter(method="of_account", label=_("Account number"))
    branch = django_filters.CharFilter(method="below_branch", label=_("branch code, with all below it"))
    kind = django_filters.ChoiceFilter(choices=HoldKind.choices, label=_("kind"))
    state = django_filters.ChoiceFilter(method="in_state", choices=STANDINGS, label=_("state"))

    class Meta:
        model = AccountHold
        fields: list[str] = []

    def filter_queryset(self, queryset: QuerySet[AccountHold]) -> QuerySet[AccountHold]:
        narrowed: QuerySet[AccountHold] = super().filter_queryset(queryset)
        return narrowed if self.form.cleaned_data.get("state") else self.in_state(narrowed, "state", "standing")

    def of_account(self, queryset: QuerySet[AccountHold], _name: str, number: str) -> QuerySet[AccountHold]:
        return queryset.filter(account__customer__account_number__endswith=number.strip())

    def below_branch(self, queryset: QuerySet[AccountHold], _name: str, code: str) -> QuerySet[AccountHold]:
        branch = Branch.objects.filter(code=code).values("pos", "last").first()
        if branch is None:
            return queryset.none()
        return queryset.filter(account__branch__pos__range=(branch["pos"], branch["last"]))

    def in_state(self, queryset: QuerySet[AccountHold], _name: str, state: str) -> QuerySet[AccountHold]:
        over = Q(released_at__isnull=False) | Q(until__lte=timezone.now())
        return {"standing": queryset.exclude(over), "over": queryset.filter(over)}.get(state, queryset)
