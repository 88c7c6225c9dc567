"""What the calendar, the list, its export and the calendar feed may be narrowed by."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Final

import django_filters  # type: ignore[import-untyped]
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from grid.models import Branch
from outages.planned.lifecycle import YEARS
from outages.planned.models import (
    PeriodKind,
    PeriodState,
    PlannedWork,
    PlanPeriod,
    WindowState,
    WorkClass,
    WorkState,
    WorkWindow,
)
from outages.planned.reports import FIGURES, Asked, PlanKind, of_kind, window_ids

SEARCHED_LENGTH: Final = 64
_FIRST: Final = date(YEARS[0], 1, 1)
_LAST: Final = date(YEARS[-1], 12, 31)
_BEFORE_PUBLICATION: Final = (
    WorkState.DRAFT, WorkState.SUBMITTED, WorkState.RETURNED, WorkState.CHECKED, WorkState.APPROVED, WorkState.JOINED,
)  # fmt: skip


class CalendarFilter(django_filters.FilterSet):  # type: ignore[misc]
    """``?branch=0101&state=approved&work_class=temporary&feeder=F1&area=…&plan=7&q=…``; states are joined.

    Unasked it leaves out what was cancelled.
    """

    branch = django_filters.CharFilter(method="below_branch", label=_("branch code, with all below it"))
    state = django_filters.MultipleChoiceFilter(method="in_states", choices=WorkState.choices, label=_("state"))
    work_class = django_filters.MultipleChoiceFilter(
        field_name="work__work_class", choices=WorkClass.choices, label=_("class of work")
    )
    feeder = django_filters.CharFilter(method="on_feeder", label=_("feeder code"))
    area = django_filters.CharFilter(method="in_area", label=_("area, in words"))
    plan = django_filters.CharFilter(method="of_plan", label=_("plan"))
    q = django_filters.CharFilter(method="search", label=_("number, place or work"))

    class Meta:
        model = WorkWindow
        fields: list[str] = []

    def filter_queryset(self, queryset: QuerySet[WorkWindow]) -> QuerySet[WorkWindow]:
        narrowed: QuerySet[WorkWindow] = super().filter_queryset(self.unasked(queryset))
        return narrowed

    def unasked(self, queryset: QuerySet[WorkWindow]) -> QuerySet[WorkWindow]:
        """Without what nobody sees who does not ask for it."""
        if self.form.cleaned_data.get("state"):
            return queryset
        return queryset.exclude(state=WindowState.CANCELLED).exclude(work__state=WorkState.CANCELLED)

    def below_branch(self, queryset: QuerySet[WorkWindow], _name: str, code: str) -> QuerySet[WorkWindow]:
        return queryset.filter(_below("work__branch", code))

    def in_states(self, queryset: QuerySet[WorkWindow], _name: str, states: list[str]) -> QuerySet[WorkWindow]:
        if not states:
            return queryset
        undecided = [state for state in states if state in _BEFORE_PUBLICATION]
        condition = Q(state=WindowState.PLANNED, work__state__in=undecided) | Q(state__in=states)
        if WorkState.CANCELLED in states:
            condition |= Q(work__state=WorkState.CANCELLED)
        return queryset.filter(condition)

    def on_feeder(self, queryset: QuerySet[WorkWindow], _name: str, code: str) -> QuerySet[WorkWindow]:
        through = PlannedWork.elements.through.objects
        return queryset.filter(work__in=through.filter(gridelement__feeder__code=code).values("plannedwork"))

    def in_area(self, queryset: QuerySet[WorkWindow], _name: str, words: str) -> QuerySet[WorkWindow]:
        return queryset.filter(_somewhere(words))

    def of_plan(self, queryset: QuerySet[WorkWindow], _name: str, key: str) -> QuerySet[WorkWindow]:
        if not (key.isascii() and key.isdigit() and len(key) < 10):
            return queryset.none()
        return queryset.filter(work__period=int(key))

    def search(self, queryset: QuerySet[WorkWindow], _name: str, words: str) -> QuerySet[WorkWindow]:
        text = words.strip().lstrip("#")[:SEARCHED_LENGTH]
        return queryset.filter(
            _somewhere(text)
            | Q(work__reference__icontains=text)
            | Q(work__title__icontains=text)
            | Q(work__key__icontains=text)
            | Q(outage__reference__icontains=text)
        )


def _below(lookup: str, code: str) -> Q:
    """In the branch of that code or one below it; in none if there is no such branch."""
    branch = Branch.objects.filter(code=code).values("pos", "last").first()
    return Q(**{f"{lookup}__pos__range": (branch["pos"], branch["last"])}) if branch else Q(pk__in=[])


def _somewhere(words: str) -> Q:
    """In the work's own words for its area, or in the name or code of what is switched off."""
    text = words.strip()[:SEARCHED_LENGTH]
    through = PlannedWork.elements.through.objects
    named = through.filter(Q(gridelement__name__icontains=text) | Q(gridelement__code__iexact=text))
    return Q(work__scope__icontains=text) | Q(work__in=named.values("plannedwork"))


class ListFilter(CalendarFilter):
    """The same between two days; without a first day the list begins with what has not ended."""

    since = django_filters.DateFilter(method="ending_after", label=_("from"))
    until = django_filters.DateFilter(method="starting_before", label=_("to"))

    def unasked(self, queryset: QuerySet[WorkWindow]) -> QuerySet[WorkWindow]:
        chosen = self.form.cleaned_data
        if not any(chosen.get(name) for name in ("since", "until", "plan", "q", "state")):
            queryset = queryset.filter(ends_at__gt=timezone.now())
        return super().unasked(queryset)

    def ending_after(self, queryset: QuerySet[WorkWindow], _name: str, day: date) -> QuerySet[WorkWindow]:
        return queryset.filter(ends_at__gt=_midnight(day))

    def starting_before(self, queryset: QuerySet[WorkWindow], _name: str, day: date) -> QuerySet[WorkWindow]:
        return queryset.filter(starts_at__lt=_midnight(min(day, date(9999, 12, 30)) + timedelta(days=1)))


class ReportedFilter(ListFilter):
    """The list as the numbers of the execution report lead to it: ``figure`` names what was counted.

    The two days are then those for which a window was first announced, and nothing is left out unasked.
    """

    figure = django_filters.ChoiceFilter(
        method="of_days", choices=[(name, label) for name, (label, _holds) in FIGURES.items()], label=_("figure")
    )
    own_branch = django_filters.CharFilter(
        field_name="work__branch__code", label=_("branch code, without those below it")
    )
    plan_kind = django_filters.ChoiceFilter(method="in_kind", choices=PlanKind.choices, label=_("kind of plan"))

    def unasked(self, queryset: QuerySet[WorkWindow]) -> QuerySet[WorkWindow]:
        chosen = self.form.cleaned_data
        if not chosen.get("figure"):
            return super().unasked(queryset)
        days = Asked(max(chosen.get("since") or _FIRST, _FIRST), min(chosen.get("until") or _LAST, _LAST))
        return queryset.filter(pk__in=window_ids(queryset, asked=days, figure=chosen["figure"]))

    def of_days(self, queryset: QuerySet[WorkWindow], _name: str, _figure: str) -> QuerySet[WorkWindow]:
        return queryset  # done with the days, above

    def ending_after(self, queryset: QuerySet[WorkWindow], name: str, day: date) -> QuerySet[WorkWindow]:
        return queryset if self.form.cleaned_data.get("figure") else super().ending_after(queryset, name, day)

    def starting_before(self, queryset: QuerySet[WorkWindow], name: str, day: date) -> QuerySet[WorkWindow]:
        return queryset if self.form.cleaned_data.get("figure") else super().starting_before(queryset, name, day)

    def in_kind(self, queryset: QuerySet[WorkWindow], _name: str, kind: str) -> QuerySet[WorkWindow]:
        return of_kind(queryset, kind)


class WorkFilter(ListFilter):
    """The same for whole works: a work is there if one of its windows is."""

    class Meta:
        model = PlannedWork
        fields: list[str] = []

    def filter_queryset(self, queryset: QuerySet[PlannedWork]) -> QuerySet[PlannedWork]:  # type: ignore[override]
        windows = super().filter_queryset(WorkWindow.objects.all())
        return queryset.filter(pk__in=windows.values("work"))


class PeriodFilter(django_filters.FilterSet):  # type: ignore[misc]
    """Plans by branch, kind and state."""

    branch = django_filters.CharFilter(method="below_branch", label=_("branch code, with all below it"))
    kind = django_filters.MultipleChoiceFilter(choices=PeriodKind, label=_("kind of plan"))
    state = django_filters.MultipleChoiceFilter(choices=PeriodState, label=_("state"))

    class Meta:
        model = PlanPeriod
        fields: list[str] = []

    def below_branch(self, queryset: QuerySet[PlanPeriod], _name: str, code: str) -> QuerySet[PlanPeriod]:
        return queryset.filter(_below("branch", code))


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(max(day, date(2, 1, 1)), time(0)))
