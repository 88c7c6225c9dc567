"""The shedding desk: what runs now, what is published, whose turn is late, and how hours lie on the blocks."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import Count, Q, Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from accounts.actor import Actor
from outages.load_shedding import ledger, lifecycle, policies, schedule, selectors
from outages.load_shedding.forms.events import AlertForm, OrderOpenForm
from outages.load_shedding.forms.plans import refused
from outages.load_shedding.models import (
    EventState,
    PlanState,
    Reaction,
    SheddingBlock,
    SheddingEvent,
    SheddingPlan,
    Slot,
)
from outages.load_shedding.services import events
from outages.load_shedding.views.plans import TONES, reader
from standards.errors import DomainError, Forbidden

LOOK: Final = {
    EventState.ALERT: ("p2", "amber"),
    EventState.ORDERED: ("p2", "amber"),
    EventState.PROPOSED: ("person", "amber"),
    EventState.CONFIRMED: ("planned", "blue"),
    EventState.SHEDDING: ("shedding", "violet"),
    EventState.RESTORING: ("shedding", "blue"),
    EventState.ENDED: ("restored", "green"),
    EventState.RECONCILED: ("closed", "quiet"),
    EventState.CANCELLED: ("cancelled", "quiet"),
}
OPEN: Final = (*lifecycle.UNDECIDED, *lifecycle.RUNNING)
LATE_SHOWN: Final = 50


# --- the desk -----------------------------------------------------------------------------------------


@require_GET
@login_required
@never_cache
def index(request: HttpRequest) -> HttpResponse:
    """What runs and what is due, at one look."""
    actor = reader(request)
    now = timezone.now()
    plans = schedule.plans_in_force(selectors.plans_visible_to(actor).filter(state=PlanState.APPROVED), now)
    chosen = next((plan for plan in plans if str(plan.pk) == request.GET.get("plan")), plans[0] if plans else None)
    running = list(_counted(selectors.events_visible_to(actor).filter(state__in=OPEN)))
    context = {
        "now": now,
        "events": [(event, LOOK[EventState(event.state)], TONES[event.colour]) for event in running],
        "late": late_slots(selectors.slots_visible_to(actor).select_related("fault"), now),
        "reactions": _reactions([event.pk for event in running if event.state in lifecycle.RUNNING]),
        "published": [(plan, _stage_now(plan, now), schedule.runs_out_at(plan, now)) for plan in plans],
        "running_out": schedule.running_out(plans, now),
        "plans": plans,
        "plan": chosen,
        "ledger": ledger_of(chosen, now) if chosen else [],
        "days": ledger.DAYS,
        "why": _why(chosen, request.GET.get("why", "")),
        "may_alert": policies.may_somewhere(actor=actor, action="alert") and bool(plans),
    }
    return render(request, "load_shedding/console.html", context)


def _counted(found: Any) -> Any:
    """Events with what their turns come to."""
    return found.annotate(
        slots_off=Count("slots", filter=Q(slots__state=lifecycle.OFF)),
        slots_ahead=Count("slots", filter=Q(slots__state=lifecycle.PLANNED)),
        slots_stuck=Count("slots", filter=Q(slots__state=lifecycle.STUCK)),
        mw_off=Sum("slots__mw_off", filter=Q(slots__state__in=[lifecycle.OFF, lifecycle.STUCK])),
    )


def late_slots(slots: Any, now: datetime) -> list[Slot]:
    """Turns that should have begun or ended by now, the longest overdue first."""
    late = Q(state=lifecycle.PLANNED, starts_at__lt=now) | Q(state=lifecycle.OFF, ends_at__lt=now)
    stuck = Q(state=lifecycle.STUCK)
    return list(slots.filter(late | stuck, event__state__in=lifecycle.RUNNING).order_by("starts_at", "pk"))


def _stage_now(plan: SheddingPlan, now: datetime) -> schedule.Known | None:
    known = schedule.known(plan, now, now + timedelta(minutes=1))
    return known[0] if known else None


def _reactions(events: Collection[int]) -> Any:
    """Calls, complaints and faults by block, the most first."""
    return (
        Reaction.objects.filter(event__in=events, block__isnull=False)
        .values("event__reference", "block__code", "block__name", "block__plan_id", "block_id")
        .annotate(
            calls=Count("pk", filter=Q(kind=Reaction.Kind.CALL)),
            complaints=Count("pk", filter=Q(kind=Reaction.Kind.COMPLAINT)),
            faults=Count("pk", filter=Q(kind=Reaction.Kind.FAULT)),
            all=Count("pk"),
        )
        .order_by("-all", "block__code")[:LATE_SHOWN]
    )


# --- the ledger ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Entry:
    """A block's line in the fairness ledger."""

    block: SheddingBlock
    spans: tuple[ledger.BlockHours, ...]  # one for each of the ledger's spans
    rank: int | None  # 1 has been off longest; none where it is never shed


def ledger_of(plan: SheddingPlan, at: datetime) -> list[Entry]:
    """Every block with its hours off, the longest off first."""
    spans = [ledger.hours(plan=plan, at=at, days=days) for days in ledger.DAYS]
    blocks = list(plan.blocks.all())
    weighted = {block.pk: spans[0][block.pk].weighted for block in blocks}
    ranked = [weighted[block.pk] for block in blocks if not block.is_protected]
    entries = [
        Entry(
            block,
            tuple(hours[block.pk] for hours in spans),
            None if block.is_protected else 1 + sum(other > weighted[block.pk] for other in ranked),
        )
        for block in blocks
    ]
    return sorted(entries, key=lambda entry: (-weighted[entry.block.pk], entry.block.code))


def _why(plan: SheddingPlan | None, code: str) -> ledger.Why | None:
    block = plan.blocks.filter(code=code).first() if plan and code else None
    return ledger.why(block) if block else None


# --- all events ---------------------------------------------------------------------------------------


@require_GET
@login_required
@never_cache
def events_list(request: HttpRequest) -> HttpResponse:
    """Every event of the person's branches, the newest first."""
    actor = reader(request)
    page = Paginator(_counted(selectors.events_visible_to(actor)).order_by("-pk"), 50).get_page(request.GET.get("page"))
    rows = [(event, LOOK[EventState(event.state)], TONES[event.colour]) for event in page]
    return render(request, "load_shedding/events.html", {"page_obj": page, "rows": rows})


# --- opening one --------------------------------------------------------------------------------------


@require_http_methods(["GET", "POST"])
@login_required
@never_cache
def alert(request: HttpRequest) -> HttpResponse:
    """A warning was given: the event begins here."""
    actor = _opener(request, "alert")
    form = AlertForm(request.POST or None, actor=actor)
    return _opened(request, form, _("Record a warning"), lambda facts: events.event_alert(actor=actor, **facts))


@require_http_methods(["GET", "POST"])
@login_required
@never_cache
def emergency(request: HttpRequest) -> HttpResponse:
    """An order with no warning before it."""
    actor = _opener(request, "order")
    initial = {"is_emergency": True, "starts_at": timezone.localtime().replace(second=0, microsecond=0)}
    form = OrderOpenForm(request.POST or None, actor=actor, initial=initial)
    return _opened(request, form, _("Order without a warning"), lambda facts: events.event_order(actor=actor, **facts))


def _opener(request: HttpRequest, action: str) -> Actor:
    actor = reader(request)
    if not policies.may_somewhere(actor=actor, action=action):
        raise Forbidden()
    return actor


def _opened(request: HttpRequest, form: Any, title: str, make: Any) -> HttpResponse:
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            try:
                event: SheddingEvent = make(form.cleaned_data)
            except DomainError as refusal:
                status = refused(form, refusal)
            else:
                return redirect("load_shedding:event", event.reference)
    return render(request, "load_shedding/event_open.html", {"form": form, "title": title}, status=status)
