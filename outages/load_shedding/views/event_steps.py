"""The steps of a running event and of its turns, each on a page of its own that says what it means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from outages.forms import ActionForm
from outages.load_shedding import lifecycle, policies, selectors
from outages.load_shedding.forms import events as forms
from outages.load_shedding.forms.plans import refused, renewed
from outages.load_shedding.models import SheddingEvent, Slot
from outages.load_shedding.services import changes, events, slots
from outages.load_shedding.views.event_forms import event_for
from outages.load_shedding.views.monitor import Waiting, waiting_of
from standards.errors import DomainError, NotFound


@dataclass(frozen=True)
class Step:
    """What a page asks for, what it means, and who may do it."""

    title: str | Promise
    button: str | Promise
    action: str  # of the policies
    means: str | Promise = ""
    is_danger: bool = False


# --- of the event -------------------------------------------------------------------------------------

EVENT_STEPS: Final[Mapping[str, Step]] = {
    "cancel": Step(
        _("Call off the event"), _("Call off"), "change",
        _("Nobody is switched off; whoever was told a time is told that it no longer holds."), is_danger=True,
    ),
    "change": Step(
        _("Another load, stage or end"), _("Change"), "change",
        _("Turns that can stay do; only those whose times change are told. More load or a later end waits for another"
          " person."),
    ),
    "change-confirm": Step(
        _("Decide about the change"), _("Carry out"), "confirm",
        _("Only those whose times change are told. It is announced at once."),
    ),
    "change-reject": Step(_("Do not change"), _("Do not change"), "change", _("Everything stays as it is.")),
    "restore": Step(
        _("Restore everybody early"), _("Restore early"), "change",
        _("Turns ahead are dropped, turns that run end as soon as they can be switched; both are told."),
    ),
    "end": Step(_("End the event"), _("End"), "change", _("Every turn is on again, skipped, or a fault now.")),
}  # fmt: skip


@require_http_methods(["GET", "POST"])
@login_required
@never_cache
def event_step(request: HttpRequest, reference: str, name: str) -> HttpResponse:
    """One step of an event: what it means, and doing it."""
    step = EVENT_STEPS.get(name)
    if step is None:
        raise NotFound(field="step")
    actor, event = event_for(request, reference, step.action)
    waiting = waiting_of(event, actor) if name.startswith("change-") else None
    if name == "change-confirm" and waiting and waiting.is_own:
        raise policies.OwnDecision()
    with timezone.override(ZoneInfo(event.branch.time_zone)):
        form = _event_form(name, event, request.POST or None)
        take = _EVENT_TAKES[name]
        return _answer(
            request, step, form, lambda facts: take(actor=actor, event_id=event.pk, **facts),
            event=event, change=waiting, version=event.version,
        )  # fmt: skip


def _event_form(name: str, event: SheddingEvent, data: Any) -> Any:
    initial: dict[str, Any] = {"version": event.version}
    if name == "change":
        initial |= {"target_mw": event.target_mw, "stage": event.stage, "until": event.ends_at}
        return forms.ChangeForm(data, stages=event.plan.stages.all(), initial=initial)
    if name == "change-confirm":
        return forms.ConfirmForm(data, initial=initial)
    return ActionForm(data, initial=initial) if name == "end" else forms.ReasonForm(data, initial=initial)


def _reject(*, expected_version: int, **facts: Any) -> SheddingEvent:
    return changes.event_change_reject(**facts)


_EVENT_TAKES: Final[Mapping[str, Callable[..., object]]] = {
    "cancel": events.event_cancel,
    "change": changes.event_change,
    "change-confirm": changes.event_change_confirm,
    "change-reject": _reject,
    "restore": changes.event_restore,
    "end": changes.event_end,
}


# --- of a turn ----------------------------------------------------------------------------------------

SLOT_STEPS: Final[Mapping[str, Step]] = {
    "off": Step(
        _("The block is off"), _("It is off"), "switch",
        _("Customers who were not told its time, or another end, are told now."),
    ),
    "on": Step(
        _("The block is on again"), _("It is on again"), "switch",
        _("Its customers are told. After a long time off it may draw up to twice its load for some minutes."),
    ),
    "skip": Step(
        _("The block is not switched off"), _("Skip the turn"), "switch",
        _("Its customers are told that they stay on. The order may no longer be met: see the monitor."),
        is_danger=True,
    ),
    "stuck": Step(
        _("The block will not come back on"), _("Make it a fault"), "switch",
        _("From the end of its turn it is a fault with the same customers, for which a crew is sent."), is_danger=True,
    ),
    "replace": Step(
        _("Another block in its place"), _("Replace"), "change",
        _("Only these two blocks are told. What is left of the turn must be within the other block's limits."),
    ),
}  # fmt: skip


@require_http_methods(["GET", "POST"])
@login_required
@never_cache
def slot_step(request: HttpRequest, reference: str, slot_pk: int, name: str) -> HttpResponse:
    """One step of a turn: what it means, and doing it."""
    step = SLOT_STEPS.get(name)
    if step is None:
        raise NotFound(field="step")
    actor, event = event_for(request, reference, step.action)
    slot = selectors.slots_visible_to(actor).filter(event=event, pk=slot_pk).first()
    if slot is None:
        raise NotFound()
    with timezone.override(ZoneInfo(event.branch.time_zone)):
        form = _slot_form(name, slot, request.POST or None)
        take = _SLOT_TAKES[name]
        return _answer(
            request, step, form, lambda facts: take(actor=actor, slot_id=slot.pk, **facts),
            event=event, slot=slot, version=slot.version,
        )  # fmt: skip


def _slot_form(name: str, slot: Slot, data: Any) -> Any:
    initial: dict[str, Any] = {"version": slot.version, "at": _minute_of(slot)}
    if name == "off":
        return forms.OffForm(data, initial=initial)
    if name == "on":
        return forms.OnForm(data, initial=initial)
    if name == "skip":
        return forms.SkipForm(data, initial=initial)
    if name == "stuck":
        return forms.StuckForm(data, initial=initial)
    return forms.ReplaceForm(data, initial=initial, blocks=_blocks_for(slot))


def _minute_of(slot: Slot) -> datetime:
    """Now; not before it went off in the minute that has not ended."""
    now = timezone.localtime()
    minute = now.replace(second=0, microsecond=0)
    return now if slot.off_at and minute <= slot.off_at else minute


def _blocks_for(slot: Slot) -> list[tuple[str, str]]:
    """Blocks that have no turn at that time and may have one; the service holds them to their limits."""
    busy = slot.event.slots.filter(starts_at__lt=slot.ends_at, ends_at__gt=slot.starts_at).exclude(
        state__in=lifecycle.SLOT_OVER
    )  # fmt: skip
    free = slot.event.plan.blocks.filter(is_protected=False).exclude(pk__in=busy.values("block"))
    return [(block.code, f"{block.code} · {block.local_name}") for block in free]


def _off(*, mw: float | None, **facts: Any) -> Slot:
    return slots.slot_off(mw=mw, is_measured=mw is not None, **facts)


_SLOT_TAKES: Final[Mapping[str, Callable[..., object]]] = {
    "off": _off,
    "on": slots.slot_on,
    "skip": slots.slot_skip,
    "stuck": slots.slot_stuck,
    "replace": changes.event_replace,
}


# --- both ---------------------------------------------------------------------------------------------


def _answer(
    request: HttpRequest, step: Step, form: Any, take: Callable[[dict[str, Any]], object], *, event: SheddingEvent,
    version: int, slot: Slot | None = None, change: Waiting | None = None,
) -> HttpResponse:  # fmt: skip
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            facts = dict(form.cleaned_data)
            facts.pop("seen", None)
            facts["expected_version"] = facts.pop("version")
            try:
                take(facts)
            except DomainError as refusal:
                status = refused(form, refusal)
            else:
                messages.success(request, str(_("Done.")))
                return redirect(f"{reverse('load_shedding:event', args=[event.reference])}#monitor")
        renewed(form, version)
    context = {"event": event, "slot": slot, "step": step, "form": form, "change": change}
    return render(request, "load_shedding/event_step.html", context, status=status)
