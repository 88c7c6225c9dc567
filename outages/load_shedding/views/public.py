"""What everybody may read: the published schedule, one's own block and its turns. No login, no script.

Each page stands under its language, so that a link says the same to everybody. What is not known is called unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import wraps
from typing import Final
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.cache import patch_cache_control
from django.utils.dateparse import parse_date
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from accounts.api.throttles import LookupThrottle, PublicThrottle, SecretThrottle
from outages.load_shedding import calendars, premises, schedule, selectors
from outages.load_shedding.forms.public import FindForm
from outages.load_shedding.models import SheddingBlock, SheddingPlan
from outages.load_shedding.schedule import PublishedSpan
from standards.errors import NotFound

DAYS: Final = 7
PAGE_SIZE: Final = 60  # blocks; a page stays below 60 kB with its style sheet
FEWEST: Final = 5  # a smaller number could be somebody
FARTHEST: Final = timedelta(days=62)
FRESH: Final = 60  # seconds for which a page may be handed on

View = Callable[..., HttpResponse]


@dataclass(frozen=True)
class Day:
    """One day of one block: its turns, and the hours about which nothing is published."""

    day: date
    turns: tuple[tuple[str, str, PublishedSpan], ...]
    unknown: tuple[tuple[str, str], ...]


def in_language(view: View) -> View:
    """The page in the language of its address; an unknown one is no page."""

    @wraps(view)
    def answer(request: HttpRequest, language: str, **facts: str) -> HttpResponse:
        if language not in dict(settings.LANGUAGES):
            raise Http404
        with translation.override(language):
            if not PublicThrottle().allow_request(request, None):  # type: ignore[arg-type]
                return _too_many(request, language)
            return view(request, language, **facts)

    return answer


def _too_many(request: HttpRequest, language: str) -> HttpResponse:
    response = render(request, "load_shedding/public_busy.html", {"language": language}, status=429)
    response["Retry-After"] = "60"
    return response


@require_GET
@never_cache
def door(request: HttpRequest) -> HttpResponse:
    """To the page in the reader's language."""
    return redirect("load_shedding:public", language=translation.get_language() or settings.LANGUAGE_CODE)


# --- finding one's block ------------------------------------------------------------------------------


@require_GET
@in_language
def home(request: HttpRequest, language: str) -> HttpResponse:
    """Where is my block? And the branches with a schedule."""
    return _home(request, language, FindForm())


@require_POST
@never_cache
@in_language
def find(request: HttpRequest, language: str) -> HttpResponse:
    """The block of an address, an account or a transformer; who is unknown and who is wrong get the same answer."""
    form = FindForm(request.POST)
    if not LookupThrottle().allow_request(request, None):  # type: ignore[arg-type]
        return _too_many(request, language)
    if not form.is_valid():
        return _home(request, language, form, status=422)
    typed = form.cleaned_data
    if typed["account"]:
        if not SecretThrottle(typed["account"]).allow_request(request, None):  # type: ignore[arg-type]
            return _too_many(request, language)
        blocks = premises.blocks_by_account(account=typed["account"], phone_tail=typed["phone_tail"])
        return _home(request, language, form, blocks=blocks or [], is_known=blocks is not None)
    if typed["transformer"]:
        return _home(request, language, form, blocks=premises.blocks_by_transformer(typed["transformer"]))
    return _home(request, language, form, blocks=premises.blocks_by_address(typed["address"]))


def _home(
    request: HttpRequest, language: str, form: FindForm, *, blocks: Sequence[SheddingBlock] | None = None,
    is_known: bool = False, status: int = 200,
) -> HttpResponse:  # fmt: skip
    now = timezone.now()
    context = {
        "language": language,
        "form": form,
        "plans": [(plan, schedule.runs_out_at(plan, now)) for plan in _in_force()],
        "is_answer": blocks is not None,
        "is_known": is_known,
        "found": list(blocks or [])[: premises.LIMIT],
        "is_cut": len(blocks or []) > premises.LIMIT,
    }
    return render(request, "load_shedding/public.html", context, status=status)


# --- the schedule -------------------------------------------------------------------------------------


@require_GET
@in_language
def branch(request: HttpRequest, language: str, branch: str) -> HttpResponse:
    """One day of a branch, block by block."""
    plan = _plan(branch)
    with timezone.override(ZoneInfo(plan.branch.time_zone)):
        now, day_long = timezone.now(), timedelta(days=1)
        today = timezone.localdate(now)
        day = _asked_day(request, today)
        page = Paginator(plan.blocks.all(), PAGE_SIZE).get_page(request.GET.get("page"))
        return _fresh(render(request, "load_shedding/public_branch.html", {
            "language": language, "plan": plan, "day": day, "page_obj": page, "now": now,
            "rows": [(block, days[0]) for block, days in _days(plan, list(page), [day])],
            "windows": schedule.known(plan, *_bounds(day, 1)),
            "unknown": _unknown(plan, *_bounds(day, 1)),
            "known_until": schedule.runs_out_at(plan, now),
            "earlier": day - day_long if day > today else None,
            "later": day + day_long if day < today + FARTHEST else None,
        }))  # fmt: skip


@require_GET
@in_language
def block(request: HttpRequest, language: str, branch: str, code: str) -> HttpResponse:
    """My block: is it off now, and when is it next; a former name leads to the new one."""
    found = _block(branch, code)
    if found.code != code:
        return redirect("load_shedding:public-block", language=language, branch=branch, code=found.code)
    plan = found.plan
    with timezone.override(ZoneInfo(plan.branch.time_zone)):
        now = timezone.now()
        today = timezone.localdate(now)
        [(_same, days)] = _days(plan, [found], [today + timedelta(days=n) for n in range(DAYS)])
        outlook = premises.outlook(found, now)
        return _fresh(render(request, "load_shedding/public_block.html", {
            "language": language, "plan": plan, "own": found, "days": days, "now": now, "outlook": outlook,
            "running": next((turn for turn in outlook.turns if turn.begins <= now), None),
            "following": next((turn for turn in outlook.turns if turn.begins > now), None),
            "customers": found.customers if found.customers >= FEWEST else None, "fewest": FEWEST,
            "calendar": request.build_absolute_uri(
                reverse("load_shedding:public-calendar", args=[language, branch, found.code])
            ),
        }))  # fmt: skip


@require_GET
@in_language
def calendar(request: HttpRequest, language: str, branch: str, code: str) -> HttpResponse:
    """The block's turns for a calendar program; a former name goes on working."""
    found = _block(branch, code)
    page = request.build_absolute_uri(reverse("load_shedding:public-block", args=[language, branch, found.code]))
    response = HttpResponse(calendars.calendar_of(found, address=page), content_type="text/calendar; charset=utf-8")
    response["Content-Disposition"] = 'inline; filename="load-shedding.ics"'
    return _fresh(response)


def _fresh(response: HttpResponse) -> HttpResponse:
    patch_cache_control(response, public=True, max_age=FRESH)
    return response


def _in_force() -> list[SheddingPlan]:
    return schedule.plans_in_force(selectors.plans_public())


def _plan(branch: str) -> SheddingPlan:
    plan = next((plan for plan in _in_force() if plan.branch.code == branch), None)
    if plan is None:
        raise NotFound()
    return plan


def _block(branch: str, code: str) -> SheddingBlock:
    plan = _plan(branch)
    found = selectors.block_public(plan=plan, name=code)
    found.plan = plan
    return found


def _asked_day(request: HttpRequest, today: date) -> date:
    try:
        day = parse_date(request.GET.get("day", ""))
    except ValueError:
        day = None
    return day if day and today <= day <= today + FARTHEST else today


def _bounds(day: date, days: int) -> tuple[datetime, datetime]:
    zone = timezone.get_current_timezone()
    return datetime.combine(day, time(0), zone), datetime.combine(day + timedelta(days=days), time(0), zone)


def _unknown(plan: SheddingPlan, begins: datetime, until: datetime) -> list[tuple[datetime, datetime]]:
    """What is not known of the time ahead; nobody asks about the past."""
    now = timezone.now().replace(second=0, microsecond=0)
    return schedule.unknown(plan, max(begins, now), until)


def _days(
    plan: SheddingPlan, blocks: Sequence[SheddingBlock], days: Sequence[date]
) -> list[tuple[SheddingBlock, list[Day]]]:
    """Each block with its turns and the unknown hours of each of these days, which follow each other."""
    begins, until = _bounds(days[0], len(days))
    spans = schedule.published(plan, begins, until, blocks=[block.code for block in blocks])
    unknown = _unknown(plan, begins, until)
    found = []
    for one in blocks:
        own = [span for span in spans if span.block == one.code]
        found.append((one, [_day(day, own, unknown) for day in days]))
    return found


def _day(day: date, spans: Sequence[PublishedSpan], unknown: Sequence[tuple[datetime, datetime]]) -> Day:
    first, last = _bounds(day, 1)
    return Day(
        day=day,
        turns=tuple(
            (*_hours(span.begins, span.until, first, last), span)
            for span in spans
            if span.begins < last and span.until > first
        ),
        unknown=tuple(_hours(a, b, first, last) for a, b in unknown if a < last and b > first),
    )


def _hours(begins: datetime, until: datetime, first: datetime, last: datetime) -> tuple[str, str]:
    """From when until when on this day; its end is 24:00."""
    ends = "24:00" if until >= last else f"{timezone.localtime(until):%H:%M}"
    return f"{timezone.localtime(max(begins, first)):%H:%M}", ends
