"""An event up to its decision: warning, measures, order, proposals, proposed by one person, confirmed by another.

Between confirming and announcing lie ten seconds in which one key takes it back; then ``clock`` announces it.
What happens to an event that runs is in ``changes`` and ``slots``.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.actor import Actor
from grid.models import Branch, Customer
from outages.load_shedding import lifecycle, policies, proposals, selectors
from outages.load_shedding.models import Agreement, Colour, Measure, Proposal, SheddingEvent, SheddingPlan
from outages.load_shedding.rotation import Span
from outages.load_shedding.services.choices import (
    BY_HAND,
    LONGEST,
    BadOrder,
    NothingProposed,
    blocks_of,
    by_hand,
    proposal_of,
    question_for,
)
from outages.load_shedding.services.distribution import slot_drop
from outages.load_shedding.services.plans import branch_lock, plan_lock
from outages.load_shedding.services.steps import check_load, event_lock, event_read, event_step, said
from outages.services import references_take
from standards.errors import Conflict, DomainError, NotFound, UnknownCode

PREFIX: Final = "LS"
UNDO: Final = timedelta(seconds=10)
BACKDATED: Final = timedelta(hours=1)  # an order by telephone is written down a little later


class NoPlan(Conflict):
    code = "no_plan"
    message = _("No approved plan is in force there.")


class EventsOverlap(Conflict):
    code = "events_overlap"
    message = _("At that time %(reference)s sheds load there: change that one.")


class NotChecked(DomainError):
    code = "not_checked"
    message = _("Tick that order number and blocks were checked.")


class WrongCount(DomainError):
    code = "wrong_count"
    message = _("The number typed is not the number of blocks.")


class TooLate(Conflict):
    code = "too_late_to_undo"
    message = _("It has been announced: it can be changed, restored early or called off, but not undone.")


# --- warning, measures, order ---------------------------------------------------------------------------


def event_alert(
    *, actor: Actor, branch: Branch, colour: str, authority: str, reason: str = "", is_emergency: bool = False
) -> SheddingEvent:
    """A warning was given; what customers take off by agreement is asked for first."""
    with transaction.atomic(durable=True):
        branch_lock(branch)
        plan = _plan_of(branch, timezone.now())
        policies.require(actor=actor, action="alert", branch=plan.branch)
        facts = {"authority": authority.strip()[:100], "reason": reason.strip()[:500], "is_emergency": is_emergency}
        return _new(actor, plan, "alert", colour=colour, **facts)


def measure_record(
    *, actor: Actor, event_id: int, kind: str, asked_mw: float, relief_mw: float | None = None,
    is_measured: bool = False, customer: Customer | None = None, note: str = "", measure_id: int | None = None,
) -> Measure:  # fmt: skip
    """One measure before disconnection was asked for, or what it brought is known; the target falls by its relief."""
    with transaction.atomic(durable=True):
        event = event_lock(event_id)
        policies.require(actor=actor, action="order", branch=event.branch)
        lifecycle.event_after(action="relieve", state=event.state)
        if kind not in Agreement.Kind.values:
            raise UnknownCode(field="kind", value=kind)
        check_load(asked_mw, field="asked_mw")
        check_load(relief_mw, field="relief_mw")
        facts = {
            "kind": kind, "asked_mw": asked_mw, "relief_mw": relief_mw, "is_measured": is_measured,
            "customer": customer, "note": note.strip()[:300], "by_name": actor.name, "at": timezone.now(),
        }  # fmt: skip
        if measure_id is None:
            measure = Measure(event=event)
        else:
            known = event.measures.filter(pk=measure_id).first()
            if known is None:
                raise NotFound(field="measure")
            measure = known
        for name, value in facts.items():
            setattr(measure, name, value)
        if measure_id is None:
            measure.save(force_insert=True)
        else:
            measure.save(update_fields=list(facts))
        if event.state == lifecycle.ORDERED:
            event.proposals.all().delete()  # they answered another load
        told = {"measure": kind, "asked_mw": asked_mw, "relief_mw": relief_mw}
        event_step(event=event, action="relieve", actor=actor, note=measure.note, facts=told)
        return measure


def event_order(
    *, actor: Actor, starts_at: datetime, ends_at: datetime, order_number: str, authority: str,
    target_mw: float | None = None, stage: int | None = None, colour: str = "", is_emergency: bool = False,
    reason: str = "", branch: Branch | None = None, event_id: int | None = None, expected_version: int | None = None,
) -> SheddingEvent:  # fmt: skip
    """So many MW less (or a stage of the plan) from then to then, on somebody's order: of a warning, or at once.

    Two events of one plan never overlap: whoever is off twice would be counted and told twice.
    """
    with transaction.atomic(durable=True):
        if event_id is not None:
            branch = event_read(event_id).branch
        if branch is None:
            raise NotFound(field="branch")
        branch_lock(branch)
        plan = plan_lock(_plan_of(branch, starts_at).pk)
        policies.require(actor=actor, action="order", branch=plan.branch)
        if stage is not None:
            of_stage = plan.stages.filter(number=stage).first()
            if of_stage is None:
                raise UnknownCode(field="stage", value=stage)
            target_mw, colour = target_mw or of_stage.mw, colour or of_stage.colour
        _check_order(target_mw, starts_at, ends_at)
        check_alone(plan, starts_at, ends_at, event_id)
        facts = {
            "stage": stage, "target_mw": target_mw, "starts_at": starts_at, "ends_at": ends_at,
            "order_number": order_number.strip()[:64], "authority": authority.strip()[:100],
            "is_emergency": is_emergency,
        }  # fmt: skip
        if event_id is None:
            colour = colour or _colour_of(plan, target_mw or 0)
            return _new(actor, plan, "order", colour=colour, reason=reason.strip()[:500], **facts)
        event = event_lock(event_id, expected_version=expected_version)
        colour = _checked(colour or event.colour)
        event.proposals.all().delete()  # they answered another order
        return event_step(
            event=event, action="order", actor=actor, note=reason, facts={"target_mw": target_mw}, colour=colour,
            plan=plan, reason=reason.strip()[:500] or event.reason, **facts,
        )  # fmt: skip


# --- proposals ------------------------------------------------------------------------------------------


def proposals_make(
    *, actor: Actor, event_id: int, target_mw: float | None = None, until: datetime | None = None,
    at: datetime | None = None,
) -> list[Proposal]:  # fmt: skip
    """Have A, B and C computed for the order, or for what it would become (``target_mw``, ``until``).

    The search runs before the event is locked; if the order changed meanwhile, it is refused. Those of an event that
    runs are only for looking at: ``changes`` computes anew what it carries out.
    """
    event = event_read(event_id)
    policies.require(actor=actor, action="propose", branch=event.branch)
    question = question_for(event, target_mw=target_mw, until=until, at=at)
    choices = [
        proposals.propose(letter, question.candidates, question.periods, question.limits)
        for letter in proposals.LETTERS
    ]
    rows = [proposal_of(event, question, choice, question.spans_of(choice), at) for choice in choices]
    if event.generation:
        return rows
    with transaction.atomic(durable=True):
        event = event_lock(event_id, expected_version=event.version)
        # what was put before the second person, or confirmed, stays what they saw
        lifecycle.event_after(action="propose", state=event.state)
        event.proposals.filter(generation=event.generation + 1, letter__in=proposals.LETTERS).delete()
        return Proposal.objects.bulk_create(rows)


# --- two people -------------------------------------------------------------------------------------------


def event_propose(
    *, actor: Actor, event_id: int, letter: str, reason: str, spans: Sequence[Span] | None = None,
    expected_version: int | None = None, at: datetime | None = None,
) -> SheddingEvent:  # fmt: skip
    """One of the proposals, or turns by hand, is put to the second person, with what it cannot meet."""
    words = said(reason)
    row = None
    if spans is not None:
        event = event_read(event_id)
        policies.require(actor=actor, action="propose", branch=event.branch)
        row = by_hand(event, question_for(event, at=at), spans, at)
        expected_version, letter = expected_version or event.version, BY_HAND
    with transaction.atomic(durable=True):
        event = event_lock(event_id, expected_version=expected_version)
        policies.require(actor=actor, action="propose", branch=event.branch)
        lifecycle.event_after(action="propose", state=event.state)
        if row is not None:
            event.proposals.filter(letter=BY_HAND, generation=row.generation).delete()
            row.save(force_insert=True)
        chosen = event.proposals.filter(letter=letter, generation=event.generation + 1).first()
        if chosen is None or not chosen.lines:
            raise NothingProposed(field="letter")
        facts = {"blocks": len(blocks_of(chosen)), "shortfall_mw": chosen.shortfall_mw}
        return event_step(
            event=event, action="propose", actor=actor, note=words, facts=facts, chosen=letter, reason=words,
            author_id=actor.user_id, author_name=actor.name,
        )  # fmt: skip


def event_withdraw(
    *, actor: Actor, event_id: int, reason: str = "", expected_version: int | None = None
) -> SheddingEvent:
    """Whoever proposed takes it back to choose again."""
    with transaction.atomic(durable=True):
        event = event_lock(event_id, expected_version=expected_version)
        policies.require(actor=actor, action="propose", branch=event.branch)
        return event_step(event=event, action="withdraw", actor=actor, note=reason, chosen="")


def event_return(*, actor: Actor, event_id: int, reason: str, expected_version: int | None = None) -> SheddingEvent:
    """The second person does not agree, and says why."""
    words = said(reason)
    with transaction.atomic(durable=True):
        event = event_lock(event_id, expected_version=expected_version)
        policies.require(actor=actor, action="confirm", branch=event.branch)
        return event_step(event=event, action="return", actor=actor, note=words, chosen="", state_reason=words)


def event_confirm(
    *, actor: Actor, event_id: int, is_checked: bool, typed_blocks: int, expected_version: int | None = None,
    at: datetime | None = None,
) -> SheddingEvent:  # fmt: skip
    """Another person has checked order number and blocks and types how many blocks go off. Ten seconds to undo."""
    with transaction.atomic(durable=True):
        event = event_lock(event_id, expected_version=expected_version)
        lifecycle.event_after(action="confirm", state=event.state)
        chosen = event.proposals.get(letter=event.chosen, generation=event.generation + 1)
        check_second(actor, event, chosen, event.author_id, is_checked, typed_blocks)
        now = at or timezone.now()
        return event_step(
            event=event, action="confirm", actor=actor, facts={"blocks": typed_blocks}, confirmed_by_id=actor.user_id,
            confirmed_at=now, undo_until=now + UNDO, state_reason="",
        )  # fmt: skip


def check_second(
    actor: Actor, event: SheddingEvent, proposal: Proposal, author_id: int | None, is_checked: bool, typed_blocks: int
) -> None:
    """May this person decide, and did they look at what they decide?"""
    policies.require(actor=actor, action="confirm", branch=event.branch)
    if actor.user_id is None or actor.user_id == author_id:
        raise policies.OwnDecision()
    if not is_checked:
        raise NotChecked(field="is_checked")
    if typed_blocks != len(blocks_of(proposal)):
        raise WrongCount(field="typed_blocks")


def event_undo(*, actor: Actor, event_id: int, at: datetime | None = None) -> SheddingEvent:
    """Within ten seconds, and before anything was announced, the confirmation is taken back."""
    with transaction.atomic(durable=True):
        event = event_lock(event_id)
        policies.require(actor=actor, action="undo", branch=event.branch)
        lifecycle.event_after(action="undo", state=event.state)
        if event.generation or event.undo_until is None or (at or timezone.now()) >= event.undo_until:
            raise TooLate()
        return event_step(
            event=event, action="undo", actor=actor, confirmed_by_id=None, confirmed_at=None, undo_until=None
        )


def event_cancel(*, actor: Actor, event_id: int, reason: str, expected_version: int | None = None) -> SheddingEvent:
    """It will not happen; whoever was told is told."""
    words = said(reason)
    with transaction.atomic(durable=True):
        event = event_lock(event_id, expected_version=expected_version)
        policies.require(actor=actor, action="change", branch=event.branch)
        lifecycle.event_after(action="cancel", state=event.state)
        for slot in event.slots.select_for_update(no_key=True).filter(state=lifecycle.PLANNED).order_by("pk"):
            slot.event = event
            slot_drop(slot=slot, actor=actor, reason=words)
        return event_step(event=event, action="cancel", actor=actor, note=words, state_reason=words)


# --- small things -----------------------------------------------------------------------------------------


def _plan_of(branch: Branch, at: datetime) -> SheddingPlan:
    """The plan in force there: its branch is the event's, because its blocks are."""
    plan = selectors.plan_in_force(branch, at)
    if plan is None:
        raise NoPlan(field="branch")
    return plan


def _new(actor: Actor, plan: SheddingPlan, action: str, *, colour: str, **facts: Any) -> SheddingEvent:
    event = SheddingEvent.objects.create(
        reference=references_take(prefix=PREFIX, branch=plan.branch)[0], branch=plan.branch, plan=plan,
        state=lifecycle.NEW, colour=_checked(colour), author_id=actor.user_id, author_name=actor.name, **facts,
    )  # fmt: skip
    return event_step(event=event, action=action, actor=actor, note=event.reason)


def _checked(colour: str) -> str:
    if colour not in Colour.values:
        raise UnknownCode(field="colour", value=colour)
    return colour


def _colour_of(plan: SheddingPlan, target_mw: float) -> str:
    """The warning that goes with so many MW: that of the first stage that is large enough."""
    stages = list(plan.stages.order_by("mw"))
    fitting = next((stage for stage in stages if stage.mw >= target_mw), stages[-1] if stages else None)
    return fitting.colour if fitting else Colour.BLUE


def _check_order(target_mw: float | None, starts_at: datetime, ends_at: datetime) -> None:
    now = timezone.now()
    check_load(target_mw, field="target_mw")
    if not target_mw:
        raise BadOrder(days=LONGEST.days, field="target_mw")
    if timezone.is_naive(starts_at) or timezone.is_naive(ends_at):
        raise DomainError(_("A time needs its zone."), field="starts_at")
    if not (now - BACKDATED <= starts_at < ends_at and ends_at - starts_at <= LONGEST and ends_at > now):
        raise BadOrder(days=LONGEST.days, field="ends_at")


def check_alone(plan: SheddingPlan, starts_at: datetime, ends_at: datetime, event_id: int | None = None) -> None:
    """No other event of that part of the network is at work at that time. Raises ``EventsOverlap``."""
    within = Q(plan__branch__pos__range=(plan.branch.pos, plan.branch.last))
    above = Q(plan__branch__pos__lte=plan.branch.pos, plan__branch__last__gte=plan.branch.last)
    others = SheddingEvent.objects.filter(within | above, starts_at__lt=ends_at, ends_at__gt=starts_at)
    others = others.exclude(state__in=lifecycle.OVER)
    other = next((one for one in others.order_by("pk") if one.pk != event_id), None)
    if other is not None:
        raise EventsOverlap(reference=other.reference, field="starts_at")
