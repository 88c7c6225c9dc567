"""What the list of cut-off orders may be narrowed by."""

from __future__ import annotations

import django_filters  # type: ignore[import-untyped]
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from billing_cutoffs.models import CutoffOrder, OrderState
from grid.models import Branch
from outages.filters import InstantFilter


class OrderFilter(django_filters.FilterSet):  # type: ignore[misc]
    """``?state=held&state=failed&branch=0101&batch=B-2026-000007&account=10001&updated_after=…``."""

    state = django_filters.MultipleChoiceFilter(choices=OrderState, label=_("state"))
    branch = django_filters.CharFilter(method="below_branch", label=_("branch code, with all below it"))
    batch = django_filters.CharFilter(field_name="batch__reference", label=_("number of the batch"))
    account = django_filters.CharFilter(field_name="case__account__customer__account_number", label=_("account number"))
    updated_after = InstantFilter(field_name="updated_at", lookup_expr="gt", label=_("changed after"))

    class Meta:
        model = CutoffOrder
        fields: list[str] = []

    def below_branch(self, queryset: QuerySet[CutoffOrder], _name: str, code: str) -> QuerySet[CutoffOrder]:
        branch = Branch.objects.filter(code=code).first()
        return queryset.filter(branch__pos__range=(branch.pos, branch.last)) if branch else queryset.none()
