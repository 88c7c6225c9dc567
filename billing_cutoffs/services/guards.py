"""The protections applied to orders: whoever is protected is held with the reasons, and freed when they are gone."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.actor import Actor
from billing_cutoffs import lifecycle, policies, protections
from billing_cutoffs.models import Clearance, CutoffOrder, CutoffStep
from billing_cutoffs.protections import Stage
from billing_cutoffs.services.commands import commands_withdraw
from billing_cutoffs.services.ending import orders_end
from billing_cutoffs.services.orders import Moved, order_lock, order_step, orders_step
from outages.events import require_transaction
from standards.errors import Conflict, DomainError


class NoReason(DomainError):
    code = "no_reason"
    message = _("Say why.")


class HeldAlready(Conflict):
    code = "held_already"
    message = _("Somebody holds this order already.")


class NotHeld(Conflict):
    code = "not_held"
    message = _("Nobody holds this order.")


class OwnHold(DomainError):
    """Two people decide, never one."""

    code = "own_hold"
    status = 403
    message = _("Nobody ends their own hold: somebody else must do this.")


class NothingToClear(Conflict):
    code = "nothing_to_clear"
    message = _("Nothing of this kind stands against the order that a person could answer for.")


@dataclass(frozen=True)
class Guarded:
    """What the guards made of the orders, by their keys in order."""

    held: tuple[int, ...] = ()  # held now, by a finding or by a person
    freed: tuple[int, ...] = ()  # back where they were
    clear: tuple[int, ...] = ()  # nothing stands against them, the freed among them
    ended: tuple[int, ...] = ()  # paid: nothing is left to be cut for


_REFRESH: Final = """
UPDATE billing_cutoffs_cutofforder o SET holds = t.holds::jsonb, updated_at = now()
FROM unnest(%(ids)s::bigint[], %(holds)s::text[]) AS t(id, holds)
WHERE o.id = t.id AND o.holds <> t.holds::jsonb
"""


def orders_guard(*, order_ids: Collection[int], stage: Stage, actor: Actor, at: datetime | None = None) -> Guarded:
    """Hold whoever a protection bars, free whoever nothing bars any more, end whoever has paid.

    Inside the caller's transaction, which then holds the rows. A person's own hold stays until another person ends
    it. The history gets a line when an order is held or freed, not when the reasons change.
    """
    require_transaction()
    orders = CutoffOrder.objects.filter(pk__in=list(order_ids), state__in=lifecycle.BEFORE_COMMAND).order_by("pk")
    locked = list(orders.select_for_update(no_key=True).values_list("pk", "state", "held_by"))
    if not locked:
        return Guarded()
    was_held = {pk for pk, state, _held_by in locked if state == lifecycle.HELD}
    by_person = {pk for pk, _state, held_by in locked if held_by is not None}
    ids = [pk for pk, _state, _held_by in locked]
    against = protections.findings(order_ids=ids, stage=stage, at=at or timezone.now())
    paid = [pk for pk, findings in against.items() if any(finding.code == "paid" for finding in findings)]
    ended = orders_end(order_ids=paid, actor=actor, reason="paid")
    over = set(ended)
    holds = {pk: [finding.as_json() for finding in against.get(pk, ())] for pk in ids if pk not in over}
    reasons = {pk: {"stage": stage, "holds": said} for pk, said in holds.items() if said and pk not in was_held}
    newly = orders_step(order_ids=list(reasons), action="hold", actor=actor, each=reasons)
    commands_withdraw(order_ids=newly)
    free = [pk for pk, said in holds.items() if not said and pk in was_held - by_person]
    freed = orders_step(order_ids=free, action="release", actor=actor, facts={"stage": stage})
    with connection.cursor() as db:
        db.execute(_REFRESH, {"ids": list(holds), "holds": [json.dumps(said) for said in holds.values()]})
    held = (was_held | set(newly)) - set(freed) - over
    clear = [pk for pk in holds if pk not in held]
    return Guarded(tuple(sorted(held)), tuple(freed), tuple(clear), tuple(ended))


# --- a person's own hold, and what a person answers for -----------------------------------------------


def order_hold(*, order_id: int, actor: Actor, reason: str, expected_version: int | None = None) -> CutoffOrder:
    """Somebody takes one line out of the execution and says why; it comes back by another person's hand."""
    with transaction.atomic(durable=True):
        order = order_lock(order_id, expected_version=expected_version)
        policies.require(actor=actor, action="stop", branch=order.branch)
        words = reason_required(reason)
        if order.held_by_id is not None:
            raise HeldAlready()
        if order.state == lifecycle.HELD:
            _write(order, held_by_id=actor.user_id, hold_reason=words)
            _note(order, verb="hold", actor=actor, note=words)
            return order
        if order.state not in lifecycle.BEFORE_COMMAND:
            raise Moved(state=order.get_state_display())
        order_step(order=order, action="hold", actor=actor, note=words, held_by_id=actor.user_id, hold_reason=words)
        commands_withdraw(order_ids=[order.pk])
        return order


def order_release(*, order_id: int, actor: Actor, reason: str = "", expected_version: int | None = None) -> CutoffOrder:
    """Another person ends somebody's hold; what else stands against the order is looked at anew."""
    with transaction.atomic(durable=True):
        order = order_lock(order_id, expected_version=expected_version)
        policies.require(actor=actor, action="approve", branch=order.branch)
        if order.state != lifecycle.HELD or order.held_by_id is None:
            raise NotHeld()
        if order.held_by_id == actor.user_id:
            raise OwnHold()
        facts = {"held_by": order.held_by_id, "reason": order.hold_reason}
        _write(order, held_by_id=None, hold_reason="")
        _note(order, verb="unhold", actor=actor, note=reason.strip(), facts=facts)
        orders_guard(order_ids=[order.pk], stage="propose", actor=actor)
        order.refresh_from_db()
        return order


def order_clear(
    *, order_id: int, code: str, actor: Actor, reason: str, expected_version: int | None = None
) -> CutoffOrder:
    """Somebody who may approve looked into what the guards could not decide, and answers for this order."""
    with transaction.atomic(durable=True):
        order = order_lock(order_id, expected_version=expected_version)
        policies.require(actor=actor, action="approve", branch=order.branch)
        if actor.user_id is not None and actor.user_id in (order.batch.author_id, order.batch.submitted_by_id):
            raise policies.OwnBatch()
        words, now = reason_required(reason), timezone.now()
        found = protections.findings(order_ids=[order.pk], stage="command", at=now).get(order.pk, ())
        if order.state not in lifecycle.BEFORE_COMMAND or not any(
            f.code == code and f.needs == "person" for f in found
        ):
            raise NothingToClear()
        Clearance.objects.update_or_create(
            order=order, code=code, defaults={"reason": words, "by_id": actor.user_id, "by_name": actor.name, "at": now}
        )
        _note(order, verb="clear", actor=actor, note=words, facts={"code": code})
        orders_guard(order_ids=[order.pk], stage="propose", actor=actor)
        order.refresh_from_db()
        return order


def reason_required(reason: str) -> str:
    """What a person says, without the blanks around it. Raises ``NoReason``."""
    words = reason.strip()[:500]
    if not words:
        raise NoReason(field="reason")
    return words


def _write(order: CutoffOrder, **fields: Any) -> None:
    """Whose hold it is; the state stays what it is."""
    CutoffOrder.objects.filter(pk=order.pk).update(version=F("version") + 1, updated_at=timezone.now(), **fields)
    order.refresh_from_db()


def _note(order: CutoffOrder, *, verb: str, actor: Actor, note: str, facts: dict[str, Any] | None = None) -> CutoffStep:
    """A line of the history in which the state stays what it is."""
    return CutoffStep.objects.create(
        batch_id=order.batch_id,
        order=order,
        verb=verb,
        before=order.state,
        after=order.state,
        actor_kind=actor.kind,
        actor_name=actor.name,
        actor_id=actor.user_id,
        note=note[:500],
        facts=facts or {},
    )
