"""What the list of batches, and the orders of one batch, may be narrowed by."""

from __future__ import annotations

from typing import Final

import django_filters  # type: ignore[import-untyped]
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from billing_cutoffs import lifecycle
from billing_cutoffs.models import BatchState, CutoffBatch, CutoffOrder
from billing_cutoffs.progress import GROUPS
from grid.models import Branch

SEARCHED_LENGTH: Final = 64


class BatchFilter(django_filters.FilterSet):  # type: ignore[misc]
    """``?branch=0101&state=running&q=B-2026``; states are joined."""

    branch = django_filters.CharFilter(method="below_branch", label=_("branch code, with all below it"))
    state = django_filters.MultipleChoiceFilter(choices=BatchState, label=_("state"))
    q = django_filters.CharFilter(method="search", label=_("number or note"))

    class Meta:
        model = CutoffBatch
        fields: list[str] = []

    def below_branch(self, queryset: QuerySet[CutoffBatch], _name: str, code: str) -> QuerySet[CutoffBatch]:
        branch = Branch.objects.filter(code=code).values("pos", "last").first()
        return queryset.filter(branch__pos__range=(branch["pos"], branch["last"])) if branch else queryset.none()

    def search(self, queryset: QuerySet[CutoffBatch], _name: str, words: str) -> QuerySet[CutoffBatch]:
        text = words.strip()[:SEARCHED_LENGTH]
        return queryset.filter(Q(reference__icontains=text) | Q(note__icontains=text))


class OrderFilter(django_filters.FilterSet):  # type: ignore[misc]
    """``?show=held&why=dispute&q=建设路``: the group of the strip, the protection that holds it, whose order it is."""

    show = django_filters.ChoiceFilter(
        method="in_group", choices=[(name, label) for name, (label, _c) in GROUPS.items()], label=_("which orders")
    )
    why = django_filters.CharFilter(method="held_by_guard", label=pgettext_lazy("cut-off", "held by"))
    q = django_filters.CharFilter(method="search", label=_("account, address or order"))

    class Meta:
        model = CutoffOrder
        fields: list[str] = []

    def filter_queryset(self, queryset: QuerySet[CutoffOrder]) -> QuerySet[CutoffOrder]:
        narrowed: QuerySet[CutoffOrder] = super().filter_queryset(queryset)
        return narrowed

    def in_group(self, queryset: QuerySet[CutoffOrder], _name: str, group: str) -> QuerySet[CutoffOrder]:
        return queryset.filter(GROUPS[group][1])

    def held_by_guard(self, queryset: QuerySet[CutoffOrder], _name: str, code: str) -> QuerySet[CutoffOrder]:
        return queryset.filter(state=lifecycle.HELD, holds__contains=[{"code": code[:SEARCHED_LENGTH]}])

    def search(self, queryset: QuerySet[CutoffOrder], _name: str, words: str) -> QuerySet[CutoffOrder]:
        text = words.strip()[:SEARCHED_LENGTH]
        return queryset.filter(
            Q(case__account__customer__account_number=text)
            | Q(service_point__address__icontains=text)
            | Q(reference__iexact=text)
        )
