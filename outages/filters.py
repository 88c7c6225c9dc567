"""One set of filters for the board, its export and the API."""

from __future__ import annotations

from datetime import UTC, datetime

import django_filters  # type: ignore[import-untyped]
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django_filters.fields import IsoDateTimeField  # type: ignore[import-untyped]

from grid.models import Branch
from outages import board
from outages.models import OFF_STATUSES, OPEN_STATUSES, Outage, OutageKind, OutageLevel, OutageStatus

SEARCHED_LENGTH = 64


class InstantField(IsoDateTimeField):  # type: ignore[misc]
    """A time as it is compared: in UTC, because PostgreSQL knows fewer offsets than Python."""

    def clean(self, value: str) -> datetime | None:
        moment = super().clean(value)
        try:
            return moment.astimezone(UTC) if moment else None
        except OverflowError as too_far:
            raise ValidationError(self.error_messages["invalid"], code="invalid") from too_far


class InstantFilter(django_filters.IsoDateTimeFilter):  # type: ignore[misc]
    field_class = InstantField


class OutageFilter(django_filters.FilterSet):  # type: ignore[misc]
    """``?kind=fault&status=active&branch=0101&min_customers=100``; several values of kind and status are joined."""

    kind = django_filters.MultipleChoiceFilter(choices=OutageKind, label=_("kind"))
    status = django_filters.MultipleChoiceFilter(choices=OutageStatus, label=_("status"))
    level = django_filters.MultipleChoiceFilter(choices=OutageLevel, label=_("level"))
    branch = django_filters.CharFilter(method="below_branch", label=_("branch code, with all below it"))
    feeder = django_filters.CharFilter(field_name="feeder__code", label=_("feeder code"))
    min_customers = django_filters.NumberFilter(
        field_name="customers_out", lookup_expr="gte", min_value=0, label=_("customers off, at least")
    )
    open = django_filters.BooleanFilter(method="is_open", label=_("open"))
    off = django_filters.BooleanFilter(method="is_off", label=_("customers are off now"))
    critical = django_filters.BooleanFilter(method="has_critical", label=_("critical customers off"))
    overdue = django_filters.BooleanFilter(method="is_overdue", label=_("estimate overdue"))
    unassigned = django_filters.BooleanFilter(method="is_unassigned", label=_("nobody sent yet"))
    started_after = InstantFilter(field_name="started_at", lookup_expr="gte", label=_("off since"))
    started_before = InstantFilter(field_name="started_at", lookup_expr="lt", label=_("off before"))
    changed_after = InstantFilter(field_name="updated_at", lookup_expr="gt", label=_("changed after"))
    q = django_filters.CharFilter(method="search", label=_("reference, place or feeder"))

    class Meta:
        model = Outage
        fields: list[str] = []

    def below_branch(self, queryset: QuerySet[Outage], _name: str, code: str) -> QuerySet[Outage]:
        branch = Branch.objects.filter(code=code).values("pos", "last").first()
        if branch is None:
            return queryset.none()
        return queryset.filter(branch__pos__range=(branch["pos"], branch["last"]))

    def is_open(self, queryset: QuerySet[Outage], _name: str, wanted: bool) -> QuerySet[Outage]:
        condition = Q(status__in=OPEN_STATUSES)
        return queryset.filter(condition if wanted else ~condition)

    def is_off(self, queryset: QuerySet[Outage], _name: str, wanted: bool) -> QuerySet[Outage]:
        condition = Q(status__in=OFF_STATUSES)
        return queryset.filter(condition if wanted else ~condition)

    def has_critical(self, queryset: QuerySet[Outage], _name: str, wanted: bool) -> QuerySet[Outage]:
        return queryset.filter(critical_out__gt=0) if wanted else queryset.filter(critical_out=0)

    def is_overdue(self, queryset: QuerySet[Outage], _name: str, wanted: bool) -> QuerySet[Outage]:
        late = board.overdue(queryset, now=timezone.now())
        return late if wanted else queryset.exclude(pk__in=late.order_by().values("pk"))

    def is_unassigned(self, queryset: QuerySet[Outage], _name: str, wanted: bool) -> QuerySet[Outage]:
        ids = board.unassigned_among(queryset)
        return queryset.filter(pk__in=ids) if wanted else queryset.exclude(pk__in=ids)

    def search(self, queryset: QuerySet[Outage], _name: str, words: str) -> QuerySet[Outage]:
        text = words.strip().lstrip("#")[:SEARCHED_LENGTH]
        return queryset.filter(
            Q(reference__icontains=text)
            | Q(place__icontains=text)
            | Q(feeder__code__icontains=text)
            | Q(feeder__name__icontains=text)
        )


class BoardFilter(OutageFilter):
    """The same, but unasked it leaves out what is closed."""

    def filter_queryset(self, queryset: QuerySet[Outage]) -> QuerySet[Outage]:
        chosen = self.form.cleaned_data
        if not chosen.get("status") and chosen.get("open") is None and not chosen.get("started_before"):
            queryset = board.current(queryset, now=timezone.now())
        narrowed: QuerySet[Outage] = super().filter_queryset(queryset)
        return narrowed
