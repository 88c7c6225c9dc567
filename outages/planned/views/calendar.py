"""The calendar of planned outages: month, week, list, by feeder; export and feed. All state is in the address."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import islice
from typing import Any, Final

from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import redirect_to_login
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, QueryDict, StreamingHttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from accounts.actor import Actor
from accounts.models import User
from accounts.pages import csv_response
from accounts.policies import actor_may, require
from accounts.requests import actor_of
from accounts.scope import visible_to
from grid.models import Branch
from outages.planned import agenda, calendars, selectors
from outages.planned.agenda import Day, Entry, Feeder
from outages.planned.filters import CalendarFilter, ReportedFilter
from outages.planned.lifecycle import YEARS
from outages.planned.models import WorkClass, WorkState
from outages.planned.reports import FIGURES

SHOWN_A_DAY: Final = 4
ROWS_A_PAGE: Final = 50
CSV_CHUNK: Final = 500
_PUBLIC_STATES: Final = (
    WorkState.PUBLISHED, WorkState.NOTIFIED, WorkState.IN_PROGRESS, WorkState.PARTIALLY_RESTORED, WorkState.RESTORED,
    WorkState.CLOSED, WorkState.CANCELLED,
)  # fmt: skip


# --- what the views share ---------------------------------------------------------------------------


def _reader(request: HttpRequest) -> Actor:
    actor = actor_of(request)
    require(actor, "outage.read")
    return actor


def _shared(request: HttpRequest, actor: Actor, view: str) -> dict[str, Any]:
    """Filter bar, view switch and links, the same on every view."""
    chosen = {name: request.GET.get(name, "") for name in ReportedFilter.base_filters}
    plans = selectors.sees_plans(actor)
    states = WorkState.choices if plans else [(state.value, state.label) for state in _PUBLIC_STATES]
    user = request.user
    return {
        "view": view,
        "chosen": chosen,
        "is_narrowed": any(chosen.values()),
        "query": _query(request, *ReportedFilter.base_filters),
        "plan": _plan_of(actor, chosen["plan"]),
        "figure": FIGURES[chosen["figure"]][0] if chosen["figure"] in FIGURES else "",
        "figure_query": [(name, chosen[name]) for name in ("figure", "own_branch", "plan_kind") if chosen[name]],
        "report_url": f"{reverse('planned:reports')}?{_query(request, 'since', 'until', 'branch', 'plan_kind')}",
        "branches": visible_to(actor, Branch.objects.all(), "outage.read"),
        "state_choices": [(value, label) for value, label in states if value != WorkState.JOINED],
        "class_choices": WorkClass.choices,
        "sees_plans": plans,
        "may_plan": actor_may(actor, "plan.submit"),
        "subscribe_url": _subscription(request, user) if isinstance(user, User) else "",
        "feed_query": _query(request, *calendars.FILTERS),
        "today": timezone.localdate(),
    }


def _plan_of(actor: Actor, key: str) -> Any:
    if not (key.isascii() and key.isdigit() and len(key) < 10):
        return None
    return selectors.periods_visible_to(actor).filter(pk=int(key)).first()


def _query(request: HttpRequest, *names: str, **more: str) -> str:
    """What of the address goes on to another view, with ``more`` set."""
    query = QueryDict(mutable=True)
    for name in names:
        values = [value for value in request.GET.getlist(name) if value]
        if values:
            query.setlist(name, values)
    for name, value in more.items():
        query[name] = value
    return query.urlencode()


def _narrowed(request: HttpRequest, actor: Actor) -> Any:
    return CalendarFilter(request.GET, queryset=agenda.windows_visible_to(actor)).qs


def _days(request: HttpRequest, actor: Actor, first: date, last: date) -> tuple[list[Entry], list[Day]]:
    windows = agenda.touching(_narrowed(request, actor), first=first, last=last)
    entries = agenda.entries_of(windows, actor=actor)
    branch = visible_to(actor, Branch.objects.all(), "outage.read").filter(code=request.GET.get("branch", "")).first()
    names = agenda.days_visible_to(actor, first=first, last=last, branch=branch)
    return entries, agenda.days_laid(entries, first=first, last=last, names=names)


def _month(text: str) -> date:
    """The first day of ``2026-12``; anything else is the month we are in."""
    try:
        first = date.fromisoformat(f"{text}-01")
    except ValueError:
        first = timezone.localdate()
    return (first if first.year in YEARS else timezone.localdate()).replace(day=1)


def _months_around(first: date) -> dict[str, date | None]:
    after = (first + timedelta(days=32)).replace(day=1)
    before = (first - timedelta(days=1)).replace(day=1)
    return {
        "before": before if before.year in YEARS else None,
        "after": after if after.year in YEARS else None,
        "last": after - timedelta(days=1),
    }


def _monday(text: str) -> date:
    """The Monday of ``2026-W49``, or of a day in it; anything else is the week we are in."""
    try:
        found = date.fromisoformat(text)
    except ValueError:
        found = timezone.localdate()
    if found.year not in YEARS:
        found = timezone.localdate()
    return found - timedelta(days=found.weekday())


# --- month ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class MonthCell:
    """A day of the month's table: a few of its windows, and how many more there are."""

    day: Day
    is_here: bool  # in the month that is shown
    shown: list[tuple[str, Entry]]
    more: int


@require_GET
@login_required
@never_cache
def month(request: HttpRequest) -> HttpResponse:
    """A month as a table of weeks, Monday first."""
    actor = _reader(request)
    first = _month(request.GET.get("month", ""))
    around = _months_around(first)
    last = around["last"] or first
    begin = first - timedelta(days=first.weekday())
    end = last + timedelta(days=6 - last.weekday())
    entries, days = _days(request, actor, begin, end)
    cells = [_cell(day, first.month) for day in days]
    inside = {entry.window.pk for cell in cells if cell.is_here for _hours, entry in cell.day.hours()}
    context = {
        **_shared(request, actor, "month"),
        "first": first,
        **around,
        "weeks": [cells[n : n + 7] for n in range(0, len(cells), 7)],
        "weekdays": [day.day for day in days[:7]],
        "count": len(inside),
        "wrong": sum((entry.is_clash or entry.is_late) and entry.window.pk in inside for entry in entries),
    }
    return render(request, "planned/month.html", context)


def _cell(day: Day, month_shown: int) -> MonthCell:
    items = list(day.hours())
    # a fifth one fits where "+1" would stand
    shown = items if len(items) == SHOWN_A_DAY + 1 else items[:SHOWN_A_DAY]
    return MonthCell(day, day.day.month == month_shown, shown, len(items) - len(shown))


# --- week -------------------------------------------------------------------------------------------

_PARTS: Final[tuple[tuple[int, str | Promise], ...]] = (
    (0, gettext_lazy("before 6:00")),
    (6, gettext_lazy("6:00 to 12:00")),
    (12, gettext_lazy("12:00 to 18:00")),
    (18, gettext_lazy("after 18:00")),
)


@require_GET
@login_required
@never_cache
def week(request: HttpRequest) -> HttpResponse:
    """A week: a column a day, a row for each part of the day in which supply goes off."""
    actor = _reader(request)
    monday = _monday(request.GET.get("week", ""))
    sunday = monday + timedelta(days=6)
    entries, days = _days(request, actor, monday, sunday)
    rows = [(label, [_beginning(day, hour, hour + 6) for day in days]) for hour, label in _PARTS]
    going_on = [[item for item in day.hours() if item[1].starts.date() != day.day] for day in days]
    if any(going_on):
        rows.insert(0, (_("off since the day before"), going_on))
    context = {
        **_shared(request, actor, "week"),
        "monday": monday,
        "sunday": sunday,
        "before": monday - timedelta(days=7),
        "after": monday + timedelta(days=7),
        "days": days,
        "rows": [(label, cells) for label, cells in rows if any(cells)],
        "count": sum(any(monday <= day <= sunday for day in entry.days) for entry in entries),
    }
    return render(request, "planned/week.html", context)


def _beginning(day: Day, first: int, last: int) -> list[tuple[str, Entry]]:
    return [
        (hours, entry)
        for hours, entry in day.hours()
        if entry.starts.date() == day.day and first <= entry.starts.hour < last
    ]


# --- by feeder --------------------------------------------------------------------------------------


@require_GET
@login_required
@never_cache
def feeders(request: HttpRequest) -> HttpResponse:
    """A month by feeder: a row a feeder, a column a day."""
    actor = _reader(request)
    first = _month(request.GET.get("month", ""))
    around = _months_around(first)
    entries, days = _days(request, actor, first, around["last"] or first)
    on_feeder: dict[Feeder, dict[date, list[tuple[str, Entry]]]] = {}
    for day in days:
        for hours, entry in day.hours():
            for feeder in entry.feeders:
                on_feeder.setdefault(feeder, {}).setdefault(day.day, []).append((hours, entry))
    context = {
        **_shared(request, actor, "feeders"),
        "first": first,
        **around,
        "days": days,
        "rows": [
            (feeder, [(day, on_feeder[feeder].get(day.day, [])) for day in days], _windows_in(on_feeder[feeder]))
            for feeder in sorted(on_feeder)
        ],
        "count": len(entries),
    }
    return render(request, "planned/feeders.html", context)


def _windows_in(cells: dict[date, list[tuple[str, Entry]]]) -> int:
    return len({entry.window.pk for items in cells.values() for _hours, entry in items})


# --- list and export --------------------------------------------------------------------------------


def _listed(request: HttpRequest, actor: Actor) -> Any:
    return ReportedFilter(request.GET, queryset=agenda.windows_visible_to(actor)).qs.order_by("starts_at", "pk")


@require_GET
@login_required
@never_cache
def listing(request: HttpRequest) -> HttpResponse:
    """The windows one below the other, by their start."""
    actor = _reader(request)
    page = Paginator(agenda.with_work(_listed(request, actor)), ROWS_A_PAGE).get_page(request.GET.get("page"))
    context = {
        **_shared(request, actor, "list"),
        "page_obj": page,
        "entries": agenda.entries_of(list(page), actor=actor),
        "count": page.paginator.count,
    }
    return render(request, "planned/list.html", context)


@require_GET
@login_required
def list_csv(request: HttpRequest) -> StreamingHttpResponse:
    """The filtered list as a spreadsheet would want it."""
    actor = _reader(request)
    return csv_response("planned", _CSV_HEADS, _csv_rows(_listed(request, actor), actor))


_CSV_HEADS: Final = (
    gettext_lazy("number"), gettext_lazy("the branch's own number"), gettext_lazy("branch"), gettext_lazy("plan"),
    gettext_lazy("place"), gettext_lazy("feeder"), gettext_lazy("works"), gettext_lazy("class of work"),
    gettext_lazy("off from"), gettext_lazy("back by"), gettext_lazy("customers"), gettext_lazy("important customers"),
    gettext_lazy("load (kW)"), gettext_lazy("state"), gettext_lazy("outage"), gettext_lazy("off since"),
    gettext_lazy("restored at"),
)  # fmt: skip


def _csv_rows(windows: Any, actor: Actor) -> Iterator[list[Any]]:
    rows = agenda.with_work(windows).iterator(chunk_size=CSV_CHUNK)
    while some := list(islice(rows, CSV_CHUNK)):
        yield from (_csv_row(entry) for entry in agenda.entries_of(some, actor=actor))


def _csv_row(entry: Entry) -> list[Any]:
    work, outage = entry.work, entry.window.outage
    return [
        work.reference, work.key, work.branch.name, work.period.title if work.period else "", entry.place,
        " ".join(str(feeder) for feeder in entry.feeders), work.title, WorkClass(work.work_class).label, entry.starts,
        entry.ends, work.customers, work.critical_customers, round(work.load_kw, 1), entry.state_label,
        outage.reference if outage else "", outage.started_at if outage else None,
        outage.restored_at if outage else None,
    ]  # fmt: skip


# --- the feed ---------------------------------------------------------------------------------------


def _subscription(request: HttpRequest, user: User) -> str:
    """The address for a calendar program, narrowed as the page is."""
    key = calendars.subscription_key(user=user, filters={name: request.GET.get(name, "") for name in calendars.FILTERS})
    return request.build_absolute_uri(f"{reverse('planned:calendar')}?key={key}")


@require_GET
def ical(request: HttpRequest) -> HttpResponse:
    """Published windows as iCalendar: for who is signed in, or for a calendar program that holds a signed key."""
    key = request.GET.get("key", "")
    if key:
        user, actor, filters = calendars.subscriber_of(key)
        language = user.language or translation.get_language()
    elif request.user.is_authenticated:
        actor, filters = _reader(request), {name: request.GET.get(name, "") for name in calendars.FILTERS}
        language = translation.get_language()
    else:
        return redirect_to_login(request.get_full_path())
    now = timezone.now()
    windows = calendars.for_calendars(agenda.windows_visible_to(actor), now=now)
    # states are asked for by name, so that what was cancelled is in
    data = QueryDict(mutable=True)
    data.update(filters)
    data.setlist("state", [state.value for state in _PUBLIC_STATES])
    with translation.override(language):
        entries = agenda.entries_of(CalendarFilter(data, queryset=windows).qs, actor=actor, now=now)
        name = " · ".join([_("Planned outages"), *(value for value in filters.values() if value)])
        body = calendars.calendar_of(
            entries,
            name=name,
            address=lambda reference: request.build_absolute_uri(reverse("outages:detail", args=[reference])),
        )
    response = HttpResponse(body, content_type="text/calendar; charset=utf-8")
    response["Content-Disposition"] = 'inline; filename="planned-outages.ics"'
    response["Cache-Control"] = "private, max-age=300"
    return response
