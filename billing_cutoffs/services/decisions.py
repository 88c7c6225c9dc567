"""What other people decide about a batch: approved, seconded, returned; stopped, resumed, taken back."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.actor import Actor
from billing_cutoffs import lifecycle, policies
from billing_cutoffs.models import CutoffBatch
from billing_cutoffs.policies import OwnBatch, WrongLevel
from billing_cutoffs.progress import awaits_second, company_of, needs_second
from billing_cutoffs.services.batches import (
    NothingToApprove,
    batch_for,
    batch_guard,
    batch_lock,
    batch_save,
    batch_step_append,
    batch_window_require,
    ids_in,
)
from billing_cutoffs.services.commands import NO_READING
from billing_cutoffs.services.ending import orders_end
from billing_cutoffs.services.guards import reason_required
from billing_cutoffs.services.orders import orders_step
from billing_cutoffs.services.reconnection import NothingToReconnect, reconnect_now
from standards.doorbell import ring_on_commit
from standards.errors import DomainError


class NotConfirmed(DomainError):
    code = "not_confirmed"
    message = _("Confirm that you have gone through the batch.")


class CountDiffers(DomainError):
    """Whoever approves says how many; the guards have just said how many are left."""

    code = "count_differs"
    status = 409
    message = _("%(count)d orders can be carried out now, not %(typed)d: look at the batch again.")


class NoSecondNeeded(DomainError):
    code = "second_not_needed"
    status = 409
    message = _("This batch waits for no second approval.")


class WindowOver(DomainError):
    code = "window_over"
    status = 409
    message = _("The window of this batch is over.")


# --- decided ------------------------------------------------------------------------------------------


def batch_return(*, actor: Actor, reference: str, reason: str, expected_version: int | None = None) -> CutoffBatch:
    """Send a batch back to its author with what must be done about it."""
    with transaction.atomic(durable=True):
        batch, before = batch_for(actor, "return", reference, expected_version)
        batch.state_reason = reason_required(reason)
        batch.submitted_by_id = batch.submitted_at = None
        batch_save(batch, "state_reason", "submitted_by", "submitted_at")
        batch_step_append(batch=batch, verb="return", before=before, actor=actor, note=reason)
        return batch


def batch_approve(
    *, actor: Actor, reference: str, typed_count: int, is_confirmed: bool, expected_version: int | None = None
) -> CutoffBatch:
    """Agree to cut off so many customers in this window: never whoever proposed it or handed it in.

    A batch above the rule pack's number is approved only when a third person has agreed as well (``batch_second``);
    until then no order is, so no letter goes out.
    """
    with transaction.atomic(durable=True):
        batch, before = batch_for(actor, "approve", reference, expected_version)
        executable = _decide(batch, actor, typed_count, is_confirmed)
        batch.approved_by_id, batch.approved_at, batch.approved_count = actor.user_id, timezone.now(), len(executable)
        batch.state_reason = ""
        batch_save(batch, "approved_by", "approved_at", "approved_count", "state_reason")
        facts = {"executable": len(executable), "needs_second": needs_second(batch)}
        batch_step_append(batch=batch, verb="approve", before=before, actor=actor, facts=facts)
        if not needs_second(batch):
            _release_letters(executable, actor)
        return batch


def batch_second(
    *, actor: Actor, reference: str, typed_count: int, is_confirmed: bool, expected_version: int | None = None
) -> CutoffBatch:
    """A third person agrees to a large batch: neither its author nor its first approver."""
    with transaction.atomic(durable=True):
        batch = batch_lock(reference, expected_version)
        policies.require(actor=actor, action="approve", branch=batch.branch)
        if not awaits_second(batch):
            raise NoSecondNeeded()
        executable = _decide(batch, actor, typed_count, is_confirmed)
        batch.seconded_by_id, batch.seconded_at, batch.approved_count = actor.user_id, timezone.now(), len(executable)
        batch_save(batch, "seconded_by", "seconded_at", "approved_count")
        batch_step_append(
            batch=batch, verb="second", before=batch.state, actor=actor, facts={"executable": len(executable)}
        )
        _release_letters(executable, actor)
        return batch


def _decide(batch: CutoffBatch, actor: Actor, typed_count: int, is_confirmed: bool) -> list[int]:
    """The orders that are approved now, if this person may and knows how many they are."""
    if policies.is_own_batch(actor=actor, batch=batch) or _put_together(batch, actor):
        raise OwnBatch()
    if not policies.may_approve_level(actor=actor, batch=batch, company=company_of(batch.branch)):
        raise WrongLevel()
    if not is_confirmed:
        raise NotConfirmed(field="is_confirmed")
    batch_window_require(batch)
    batch_guard(batch, stage="approve", actor=actor)
    executable = ids_in(batch, [lifecycle.ELIGIBLE])
    if not executable:
        raise NothingToApprove()
    if typed_count != len(executable):
        raise CountDiffers(field="typed_count", count=len(executable), typed=typed_count)
    return executable


def _put_together(batch: CutoffBatch, actor: Actor) -> bool:
    """Whoever added accounts or moved the window proposed as well, whosever the batch was."""
    return batch.steps.filter(order=None, verb__in=("add", "change"), actor_id=actor.user_id).exists()


def _release_letters(order_ids: list[int], actor: Actor) -> None:
    orders_step(order_ids=order_ids, action="approve", actor=actor)
    ring_on_commit("billing_cutoffs.tasks.letters_issue")


# --- stopped, resumed, taken back ---------------------------------------------------------------------


def batch_stop(*, actor: Actor, reference: str, reason: str, expected_version: int | None = None) -> CutoffBatch:
    """Stop a batch at once: nothing more is switched off until somebody resumes it."""
    with transaction.atomic(durable=True):
        batch, before = batch_for(actor, "stop", reference, expected_version)
        batch_stopped(batch=batch, before=before, actor=actor, reason=reason_required(reason))
        return batch


def batch_stopped(
    *, batch: CutoffBatch, before: str, actor: Actor, reason: str, facts: dict[str, Any] | None = None
) -> None:
    """Inside the transaction of whoever stops it: a person, or the brake."""
    batch.state, batch.state_reason = lifecycle.STOPPED, reason
    batch_save(batch, "state_reason")
    batch_step_append(batch=batch, verb="stop", before=before, actor=actor, note=reason, facts=facts)


def batch_resume(*, actor: Actor, reference: str, reason: str, expected_version: int | None = None) -> CutoffBatch:
    """Go on with a batch that was stopped; the brake begins to count anew."""
    with transaction.atomic(durable=True):
        batch, before = batch_for(actor, "resume", reference, expected_version)
        if timezone.now() >= batch.window_until:
            raise WindowOver()
        words = reason_required(reason)
        if batch.seconded_at is None and needs_second(batch):
            batch.state = lifecycle.BATCH_APPROVED  # it was stopped before two had agreed, and still waits for that
        batch.state_reason = ""
        batch_save(batch, "state_reason")
        batch_step_append(batch=batch, verb="resume", before=before, actor=actor, note=words)
        return batch


def batch_undo(
    *, actor: Actor, reference: str, reason: str, reconnect_all: bool = False, expected_version: int | None = None
) -> CutoffBatch:
    """Take back, in one action, everything of a batch that has not been executed: orders, commands, letters.

    What is off stays off and is listed, or is switched on again at once if asked (``reconnect_all``); what is on its
    way to a meter is then brought back as soon as it is known to be off.
    """
    with transaction.atomic(durable=True):
        batch, before = batch_for(actor, "undo", reference, expected_version)
        words = reason_required(reason)
        batch.state_reason = words
        batch_save(batch, "state_reason")
        # all at once and in the order of their keys, as a payment locks them
        under_way = batch.orders.exclude(state__in=lifecycle.ENDED).order_by("pk").select_for_update(no_key=True)
        order_ids = list(under_way.values_list("pk", flat=True))
        # a silent meter is no proof that it is still on: somebody has to look
        unknown = set(batch.orders.filter(pk__in=order_ids, state=lifecycle.FAILED, commands__answer=NO_READING)
                      .values_list("pk", flat=True))  # fmt: skip
        ended = orders_end(
            order_ids=[pk for pk in order_ids if pk not in unknown], actor=actor, reason="undone", note=words
        )
        off = ids_in(batch, [*lifecycle.OFF, lifecycle.COMMANDED, lifecycle.FAILED])
        left_off = ids_in(batch, [lifecycle.DISCONNECTED, lifecycle.PAID, lifecycle.COMMANDED])
        back = _switch_on(left_off, actor, words) if reconnect_all else []
        batch_step_append(
            batch=batch, verb="undo", before=before, actor=actor, note=words,
            facts={"ended": len(ended), "off": len(off), "switched_on": len(back)},
        )  # fmt: skip
        return batch


def _switch_on(order_ids: list[int], actor: Actor, reason: str) -> list[int]:
    try:
        return reconnect_now(order_ids=order_ids, actor=actor, reason=reason, is_wrongful=True)
    except NothingToReconnect:  # each of them is on its way back already
        return []
