"""What the list of debtors may be narrowed by."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import django_filters  # type: ignore[import-untyped]
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from billing_cutoffs.dossier.debtors import condition_of
from billing_cutoffs.models import BillingAccount
from grid.models import Branch

STATES: Final = (
    ("none", pgettext_lazy("debtor", "no order")),
    ("ordered", pgettext_lazy("debtor", "to be cut")),
    ("off", pgettext_lazy("debtor", "off")),
    ("barred", pgettext_lazy("debtor", "barred")),
    ("not_graded", pgettext_lazy("debtor", "in no grade")),
)


class DebtorFilter(django_filters.FilterSet):  # type: ignore[misc]
    """``?branch=0101&grade=business&days=30&amount=100&state=ordered``; who owes nothing is not in the list."""

    branch = django_filters.CharFilter(method="below_branch", label=_("branch code, with all below it"))
    grade = django_filters.CharFilter(field_name="grade__code", label=pgettext_lazy("customer", "grade"))
    days = django_filters.NumberFilter(method="overdue_for", min_value=0, max_value=9999, label=_("days overdue"))
    amount = django_filters.NumberFilter(field_name="overdue", lookup_expr="gte", min_value=0, label=_("overdue"))
    state = django_filters.ChoiceFilter(method="in_state", choices=STATES, label=_("state"))

    class Meta:
        model = BillingAccount
        fields: list[str] = []

    def below_branch(self, queryset: QuerySet[BillingAccount], _name: str, code: str) -> QuerySet[BillingAccount]:
        branch = Branch.objects.filter(code=code).values("pos", "last").first()
        if branch is None:
            return queryset.none()
        return queryset.filter(branch__pos__range=(branch["pos"], branch["last"]))

    def overdue_for(self, queryset: QuerySet[BillingAccount], _name: str, days: int) -> QuerySet[BillingAccount]:
        latest = timezone.localdate() - timedelta(days=int(days))
        return queryset.filter(oldest_due_on__lte=latest)

    def in_state(self, queryset: QuerySet[BillingAccount], _name: str, state: str) -> QuerySet[BillingAccount]:
        return queryset.filter(condition_of(state))
