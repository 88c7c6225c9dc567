"""The page of an event: target, choice, effect, execution, monitor; each step opens when the one before is valid."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from accounts.actor import Actor
from accounts.policies import actor_may
from grid.models import Branch
from outages.load_shedding import charts, lifecycle, policies, selectors
from outages.load_shedding.forms import events as forms
from outages.load_shedding.models import EventState, Proposal, SheddingEvent
from outages.load_shedding.preview import preview_of
from outages.load_shedding.proposals import LETTERS
from outages.load_shedding.question import question_of_event
from outages.load_shedding.rotation import Span
from outages.load_shedding.services.choices import spans_of
from outages.load_shedding.texts import step_words
from outages.load_shedding.views.console import LOOK
from outages.load_shedding.views.hand import BY_HAND, Hand, compare
from outages.load_shedding.views.monitor import allowed, monitor_of
from outages.load_shedding.views.plans import TONES, reader
from outages.places import masked

STEPS: Final[tuple[tuple[str, str | Promise], ...]] = (
    ("target", _("Target")),
    ("choice", _("Choice of blocks")),
    ("effect", _("Effect")),
    ("execute", _("Decision")),
    ("monitor", _("Monitor")),
)


@dataclass(frozen=True)
class Step:
    """One of the five, in the order in which they open."""

    number: int
    name: str
    title: str | Promise
    state: str  # done, now, locked


def steps_of(event: SheddingEvent, *, is_chosen: bool) -> list[Step]:
    """Which steps are done, which one is next, and which are still locked."""
    if event.state == lifecycle.ALERT:
        reached = 1
    elif event.state == lifecycle.ORDERED:
        reached = 4 if is_chosen else 2
    else:
        reached = 5 if event.generation else 4
    states = ["done" if n < reached else "now" if n == reached else "locked" for n in range(1, 6)]
    return [
        Step(n, name, title, state) for n, ((name, title), state) in enumerate(zip(STEPS, states, strict=True), start=1)
    ]


# --- the page -----------------------------------------------------------------------------------------


@require_GET
@login_required
@never_cache
def detail(request: HttpRequest, reference: str) -> HttpResponse:
    """One event with its five steps."""
    actor = reader(request)
    event = selectors.event_by_reference(actor=actor, reference=reference)
    with timezone.override(ZoneInfo(event.branch.time_zone)):
        return shown(request, actor, event)


def shown(request: HttpRequest, actor: Actor, event: SheddingEvent, *, status: int = 200, **typed: Any) -> HttpResponse:
    """The page, with the forms of a refused step in ``typed``."""
    now = timezone.now()
    measures = list(event.measures.select_related("customer"))
    name_of = naming(actor, event.branch)
    context: dict[str, Any] = {
        "event": event,
        "look": LOOK[EventState(event.state)],
        "tone": TONES[event.colour],
        "now": now,
        "measures": [(one, name_of(one.customer.name) if one.customer else "") for one in measures],
        "relieved": sum(measure.relief_mw or 0.0 for measure in measures),
        "is_over": event.state in lifecycle.OVER,
        "is_own": policies.is_own(actor=actor, thing=event),
        "history": [
            (step, step_words(step.verb)) for step in event.steps.select_related("slot__block").order_by("-pk")[:40]
        ],
        **allowed(event, actor),
    }
    context |= _choice_context(request, event, actor, now, typed)
    if event.state in (*lifecycle.RUNNING, lifecycle.ENDED, lifecycle.RECONCILED):
        context |= monitor_of(event, actor, now)
    context["steps"] = steps_of(event, is_chosen=bool(context["spans"]) and event.state == lifecycle.ORDERED)
    for name in typed.keys() - context.keys():  # the page has no place for this form any more
        for words in itertools.chain.from_iterable(typed[name].errors.values()):
            messages.error(request, words)
    context |= typed
    return render(request, "load_shedding/event.html", context, status=status)


# --- target and choice --------------------------------------------------------------------------------


def _choice_context(
    request: HttpRequest, event: SheddingEvent, actor: Actor, now: datetime, typed: Mapping[str, Any]
) -> dict[str, Any]:
    state, asked = event.state, typed.get("asked", request.GET)
    found: dict[str, Any] = {"asked": asked, "spans": [], "hand": None, "letter": event.chosen, "proposals": []}
    if state in (lifecycle.ALERT, lifecycle.ORDERED):
        found["order_form"] = order_form(event)
        found["measure_form"] = measure_form(event, actor, asked.get("measure", ""))
    if state == lifecycle.ALERT:
        return found
    rows = _proposals(event)
    found["proposals"] = [rows[letter] for letter in LETTERS if letter in rows]
    if state == lifecycle.ORDERED:
        hand = Hand.of(question_of_event(event, at=now), asked.getlist("turn"))
        letter = asked.get("choice", "")
        found |= {"hand": hand, "letter": letter if letter in rows or letter == BY_HAND else ""}
        found["spans"] = hand.spans if letter == BY_HAND else _spans(rows, letter)
        found["turns"] = hand.keys if letter == BY_HAND else []
        found |= compare(rows, hand if letter == BY_HAND else None)
        if found["spans"]:
            untried = forms.untried(event.measures.all())
            found["propose_form"] = forms.ProposeForm(untried=untried, initial={"version": event.version})
    elif state == lifecycle.PROPOSED:
        found["spans"] = _spans(rows, event.chosen)
        if not policies.is_own(actor=actor, thing=event):
            found["confirm_form"] = forms.ConfirmForm(initial={"version": event.version})
            found["return_form"] = forms.ReasonForm(initial={"version": event.version}, prefix="return")
    if found["spans"]:
        found |= effect_of(event, found["spans"], now, actor)
    return found


def order_form(event: SheddingEvent, data: Any = None) -> forms.OrderForm:
    """The order as it stands, or one for the coming peak."""
    begins = timezone.localtime().replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    initial: dict[str, Any] = {"starts_at": begins, "ends_at": begins + timedelta(hours=3)}
    if event.state != lifecycle.ALERT:
        names = ("target_mw", "stage", "starts_at", "ends_at", "order_number", "is_emergency")
        initial = {name: getattr(event, name) for name in names}
    initial |= {"authority": event.authority, "reason": event.reason, "version": event.version}
    return forms.OrderForm(data, stages=event.plan.stages.all(), initial=initial)


def measure_form(event: SheddingEvent, actor: Actor, key: str, data: Any = None) -> forms.MeasureForm:
    """A further measure, or what one that was asked for (``key``) has brought."""
    known = event.measures.filter(pk=int(key)).first() if key.isascii() and key.isdigit() and len(key) < 10 else None
    return forms.MeasureForm(
        data, actor=actor, branch=event.branch, day=timezone.localdate(), known=known,
        initial={"version": event.version},
    )  # fmt: skip


def _spans(rows: Mapping[str, Proposal], letter: str) -> list[Span]:
    return spans_of(rows[letter]) if letter in rows else []


def _proposals(event: SheddingEvent) -> dict[str, Proposal]:
    """The newest of each letter."""
    return {one.letter: one for one in event.proposals.order_by("generation", "pk")}


def naming(actor: Actor, branch: Branch) -> Callable[[str], str]:
    """How this person reads customers' names there: in clear, masked, or not at all."""
    if not actor_may(actor, "customer.read_masked", branch.pos):
        return lambda _name: ""
    return str if actor_may(actor, "customer.reveal", branch.pos) else masked


def effect_of(event: SheddingEvent, spans: Sequence[Span], now: datetime, actor: Actor) -> dict[str, Any]:
    """What the chosen turns mean, and how they lie in time."""
    own = [pk for pk in event.slots.values_list("outage_id", flat=True) if pk]
    scale = charts.Scale(min(span.begins for span in spans), max(span.until for span in spans))
    bars: defaultdict[str, list[charts.Bar]] = defaultdict(list)
    for span in sorted(spans):
        bars[span.block].append(charts.bar(scale, span.begins, span.until))
    preview = preview_of(plan=event.plan, spans=spans, at=now, apart_from=own)
    relieved = sum(measure.relief_mw or 0.0 for measure in event.measures.all())
    wanted = max(0.0, (event.target_mw or 0.0) - relieved)
    name_of = naming(actor, event.branch)
    return {
        "preview": preview,
        "may_see": actor_may(actor, "customer.read_masked", event.branch.pos),
        "calls": [(call, name_of(call.name)) for call in preview.calls],
        "important": [(name_of(one.name), one.get_importance_display()) for one in preview.important],
        "wanted_mw": wanted,
        "short": [one for one in preview.stretches if one.mw < wanted - 0.0005],
        "gantt": sorted(bars.items()),
        "ticks": scale.ticks(),
        "blocks_chosen": sorted(bars),
    }
