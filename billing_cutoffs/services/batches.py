"""A batch is put together and handed in; ``decisions`` is what other people make of it, ``running`` what the clock."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

import standards
from accounts.actor import Actor
from billing_cutoffs import lifecycle, policies, protections
from billing_cutoffs.models import ApprovalLevel, CutoffBatch, CutoffOrder, CutoffStep
from billing_cutoffs.services.choices import Choice, Customer, Found, Refused, choice_found, is_told, orders_insert
from billing_cutoffs.services.ending import orders_end
from billing_cutoffs.services.guards import orders_guard, reason_required
from billing_cutoffs.services.orders import order_lock
from billing_cutoffs.services.windows import SERVING, window_require
from grid.models import Branch
from outages.services import references_take
from standards.errors import Conflict, DomainError, NotFound

# more lines than this nobody can answer for
MOST_ORDERS: Final = 50_000


class NothingToPropose(DomainError):
    code = "nothing_to_propose"
    status = 409
    message = _("No account of this choice may be cut off: there is nothing to propose.")


class TooMany(DomainError):
    code = "too_many"
    message = _("%(count)d orders are too many for one batch: at most %(most)d.")


class RateTooHigh(DomainError):
    code = "rate_too_high"
    message = _("Between 1 and %(most)d: a batch may be slower than the rule pack allows, never faster.")


class NotEditable(DomainError):
    code = "not_editable"
    status = 409
    message = _("This batch is with somebody else now: take it back before you change it.")


class NothingToApprove(DomainError):
    code = "nothing_to_approve"
    status = 409
    message = _("No order of this batch can be carried out.")


@dataclass(frozen=True)
class Proposed:
    batch: CutoffBatch
    refused: tuple[Refused, ...]


# --- putting together ---------------------------------------------------------------------------------


def batch_preview(
    *,
    actor: Actor,
    branch_id: int,
    grade_codes: Sequence[str] = (),
    account_numbers: Sequence[str] = (),
    level: str = ApprovalLevel.STATION,
) -> Found:
    """What a proposal would come to; nothing is written."""
    branch = _branch(actor, branch_id)
    return choice_found(Choice(branch, level, grade_codes, account_numbers))


def batch_propose(
    *,
    actor: Actor,
    branch_id: int,
    window_from: datetime,
    window_until: datetime,
    grade_codes: Sequence[str] = (),
    account_numbers: Sequence[str] = (),
    level: str = ApprovalLevel.STATION,
    note: str = "",
    rate_per_hour: int | None = None,
    rate_per_feeder_hour: int | None = None,
) -> Proposed:
    """Propose to cut off, in one window, whoever of a branch owes enough for long enough.

    Without grades and account numbers that is everybody in arrears. Whom a protection bars is in the batch and held;
    an account asked for by its number that may not be cut at all is refused, with the reason.
    """
    with transaction.atomic(durable=True):
        branch = _branch(actor, branch_id)
        choice = Choice(branch, level, grade_codes, account_numbers)
        found = _proposable(choice)
        window_require(
            branch=branch, window_from=window_from, window_until=window_until, told=found.told,
            now=timezone.now(),
        )  # fmt: skip
        per_hour, per_feeder = _rates(branch, rate_per_hour, rate_per_feeder_hour)
        batch = CutoffBatch.objects.create(
            reference=references_take(prefix="B", branch=branch)[0],
            branch=branch,
            level=level,
            window_from=window_from,
            window_until=window_until,
            rate_per_hour=per_hour,
            rate_per_feeder_hour=per_feeder,
            rule_pack=standards.pack(branch.rule_pack).key,
            note=note.strip(),
            author_id=actor.user_id,
            author_name=actor.name,
        )
        order_ids = orders_insert(batch=batch, choice=choice, count=found.orders, actor=actor)
        if not order_ids:  # somebody else proposed every one of them a moment ago
            raise NothingToPropose(refused=found.refused)
        held = batch_guard(batch, stage="propose", actor=actor)
        batch_step_append(
            batch=batch, verb="propose", actor=actor, note=note,
            facts={
                "orders": len(order_ids), "held": held, "amount": found.amount, "left_out": found.left_out,
                "grades": list(grade_codes), "accounts": len(account_numbers),
            },
        )  # fmt: skip
        return Proposed(batch, found.refused)


def orders_add(*, actor: Actor, reference: str, account_numbers: Sequence[str]) -> tuple[Refused, ...]:
    """Add accounts to a batch that is still being put together. Returns those that cannot be in it, with the reason."""
    with transaction.atomic(durable=True):
        batch = _editable(actor, reference)
        choice = Choice(batch.branch, batch.level, account_numbers=account_numbers)
        found = choice_found(choice)
        if found.orders:
            order_ids = orders_insert(batch=batch, choice=choice, count=found.orders, actor=actor)
            batch_guard(batch, stage="propose", actor=actor)
            batch_step_append(batch=batch, verb="add", actor=actor, facts={"orders": len(order_ids)})
            batch_save(batch)
        return found.refused


def order_exclude(*, actor: Actor, order_id: int, reason: str) -> CutoffOrder:
    """Leave one account out of a batch that is still being put together; ``orders_add`` takes it in again."""
    with transaction.atomic(durable=True):
        reference = CutoffOrder.objects.filter(pk=order_id).values_list("batch__reference", flat=True).first()
        batch = _editable(actor, reference or "")
        order = order_lock(order_id)
        words = reason_required(reason)
        lifecycle.order_after(action="cancel", state=order.state)
        orders_end(order_ids=[order.pk], actor=actor, reason="excluded", note=words)
        batch_save(batch)
        order.refresh_from_db()
        return order


def batch_change(
    *,
    actor: Actor,
    reference: str,
    window_from: datetime,
    window_until: datetime,
    note: str = "",
    rate_per_hour: int | None = None,
    rate_per_feeder_hour: int | None = None,
    expected_version: int | None = None,
) -> CutoffBatch:
    """Give a batch that is still being put together another window or other rates."""
    with transaction.atomic(durable=True):
        batch = _editable(actor, reference, expected_version)
        before = {"from": batch.window_from, "until": batch.window_until}
        batch.window_from, batch.window_until = window_from, window_until
        batch_window_require(batch, serving=SERVING)
        batch.rate_per_hour, batch.rate_per_feeder_hour = _rates(batch.branch, rate_per_hour, rate_per_feeder_hour)
        batch.note = note.strip()
        batch_save(batch, "window_from", "window_until", "rate_per_hour", "rate_per_feeder_hour", "note")
        batch_step_append(batch=batch, verb="change", actor=actor, note=note, facts={"window_before": before})
        batch_guard(batch, stage="propose", actor=actor)
        return batch


def batch_check(*, actor: Actor, reference: str) -> CutoffBatch:
    """Run the protections again, so that what is on screen is what holds now."""
    with transaction.atomic(durable=True):
        batch = batch_lock(reference)
        policies.require(actor=actor, action="stop", branch=batch.branch)  # whoever may stop it may look again
        if batch.state in (*lifecycle.BATCH_EDITABLE, lifecycle.SUBMITTED):
            batch_guard(batch, stage="propose", actor=actor)
        return batch


def batch_submit(*, actor: Actor, reference: str, expected_version: int | None = None) -> CutoffBatch:
    """Hand a batch in: from here on it is another person's decision."""
    with transaction.atomic(durable=True):
        batch, before = batch_for(actor, "submit", reference, expected_version)
        batch_window_require(batch)
        held = batch_guard(batch, stage="propose", actor=actor)
        executable = len(ids_in(batch, [lifecycle.ELIGIBLE]))
        if not executable:
            raise NothingToApprove()
        batch.submitted_by_id, batch.submitted_at = actor.user_id, timezone.now()
        batch_save(batch, "submitted_by", "submitted_at")
        batch_step_append(
            batch=batch, verb="submit", before=before, actor=actor, facts={"executable": executable, "held": held}
        )
        return batch


def batch_withdraw(*, actor: Actor, reference: str, expected_version: int | None = None) -> CutoffBatch:
    """Take a batch that was handed in back to change it."""
    with transaction.atomic(durable=True):
        batch, before = batch_for(actor, "withdraw", reference, expected_version, may="submit")
        batch.submitted_by_id = batch.submitted_at = None
        batch_save(batch, "submitted_by", "submitted_at")
        batch_step_append(batch=batch, verb="withdraw", before=before, actor=actor)
        return batch


# --- shared -------------------------------------------------------------------------------------------


def batch_lock(reference: str, expected_version: int | None = None) -> CutoffBatch:
    """The batch's row, held until the transaction ends; its orders are locked after it. Raises ``NotFound``."""
    batch = (
        CutoffBatch.objects.select_for_update(no_key=True, of=("self",))
        .select_related("branch")
        .filter(reference=reference)
        .first()
    )
    if batch is None:
        raise NotFound(field="batch")
    if expected_version is not None and expected_version != batch.version:
        raise Conflict(field="version")
    return batch


def batch_step_append(
    *,
    batch: CutoffBatch,
    verb: str,
    actor: Actor,
    before: str = "",
    note: str = "",
    facts: dict[str, Any] | None = None,
) -> None:
    """One line in the history of the batch as a whole."""
    CutoffStep.objects.create(
        batch=batch,
        verb=verb,
        before=before,
        after=batch.state,
        actor_kind=actor.kind,
        actor_name=actor.name,
        actor_id=actor.user_id,
        note=note.strip()[:500],
        facts=json.loads(json.dumps(facts or {}, default=str)),
    )


def batch_for(
    actor: Actor, action: str, reference: str, expected_version: int | None = None, *, may: str = ""
) -> tuple[CutoffBatch, str]:
    """The locked batch in the state after ``action``, if actor and table allow it, and the state before."""
    batch = batch_lock(reference, expected_version)
    policies.require(actor=actor, action=may or action, branch=batch.branch)
    before = batch.state
    batch.state = lifecycle.batch_after(action=action, state=before)
    return batch, before


def batch_save(batch: CutoffBatch, *fields: str) -> None:
    batch.version += 1
    batch.updated_at = timezone.now()
    batch.save(update_fields=["state", "version", "updated_at", *fields])


def batch_guard(batch: CutoffBatch, *, stage: protections.Stage, actor: Actor) -> int:
    """Run the protections over everything of the batch that is not commanded. Returns how many orders they hold."""
    order_ids = ids_in(batch, lifecycle.BEFORE_COMMAND)
    guarded = orders_guard(order_ids=order_ids, stage=stage, actor=actor)
    ages = protections.data_age(batch.branch) | {"checked": timezone.now()}
    batch.data_age = {name: moment and moment.isoformat() for name, moment in ages.items()}
    batch.save(update_fields=["data_age"])
    return len(guarded.held)


def ids_in(batch: CutoffBatch, states: Collection[str]) -> list[int]:
    """The keys of the batch's orders in these states."""
    return list(batch.orders.filter(state__in=states).order_by("pk").values_list("pk", flat=True))


def batch_window_require(batch: CutoffBatch, *, serving: timedelta = timedelta(0)) -> None:
    """Is the window still possible? Raises what ``window_require`` raises."""
    window_require(
        branch=batch.branch, window_from=batch.window_from, window_until=batch.window_until,
        told=told_in(batch), now=timezone.now(), serving=serving,
    )  # fmt: skip


def told_in(batch: CutoffBatch) -> set[Customer]:
    """Whose notice periods the window must leave room for."""
    waiting = batch.orders.filter(state__in=lifecycle.BEFORE_COMMAND).values_list(
        "service_point__customer__customer_class", "service_point__customer__importance"
    )
    return {customer for customer in waiting.distinct().order_by() if is_told(customer, level=batch.level)}


def _proposable(choice: Choice) -> Found:
    found = choice_found(choice)
    if not found.orders:
        raise NothingToPropose(refused=found.refused)
    if found.orders > MOST_ORDERS:
        raise TooMany(count=found.orders, most=MOST_ORDERS)
    return found


def _branch(actor: Actor, branch_id: int) -> Branch:
    branch = Branch.objects.filter(pk=branch_id).first()
    if branch is None:
        raise NotFound(field="branch")
    policies.require(actor=actor, action="propose", branch=branch)
    return branch


def _editable(actor: Actor, reference: str, expected_version: int | None = None) -> CutoffBatch:
    batch = batch_lock(reference, expected_version)
    policies.require(actor=actor, action="propose", branch=batch.branch)
    if batch.state not in lifecycle.BATCH_EDITABLE:
        raise NotEditable(field="batch")
    return batch


def _rates(branch: Branch, per_hour: int | None, per_feeder_hour: int | None) -> tuple[int, int]:
    """The pack's rates, or lower ones."""
    rules = standards.pack(branch.rule_pack).arrears
    rates = []
    for name, asked, most in (
        ("rate_per_hour", per_hour, rules.rate_per_hour.value),
        ("rate_per_feeder_hour", per_feeder_hour, rules.rate_per_feeder_hour.value),
    ):
        if asked is not None and not 1 <= asked <= most:
            raise RateTooHigh(field=name, most=most)
        rates.append(most if asked is None else asked)
    return rates[0], rates[1]
