"""The last gate before a cut: everything is looked at once more, in the transaction that lets the command go."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Q

from accounts.actor import Actor
from billing_cutoffs import lifecycle, protections
from billing_cutoffs.models import CommandState, CutoffBatch, CutoffOrder, MeterCommand, Purpose
from billing_cutoffs.services import guards
from billing_cutoffs.services.ending import orders_stay_on
from billing_cutoffs.services.orders import orders_step
from billing_cutoffs.services.positions import command_put

# seconds until a command looks again whether its batch goes on, or whether there is room in the hour
WAIT: Final = 30
AN_HOUR: Final = timedelta(hours=1)


def cuts_gate(*, order_ids: Collection[int], token: uuid.UUID, actor: Actor, now: datetime) -> list[MeterCommand]:
    """Which of these commands may leave now; their orders are COMMANDED with it.

    Inside the caller's transaction, which writes the attempts. It holds the running batches of the branches (so that
    stopping comes before or after, and the rates are counted by one at a time) and then the orders (so does a
    payment). What may not leave is withdrawn, and its order held or ended by the guards with the reasons, or it waits.
    """
    batches = _batches_locked(order_ids)
    orders = _orders_locked(order_ids)
    commands = list(
        MeterCommand.objects.filter(lease_token=token, state=CommandState.QUEUED, purpose=Purpose.DISCONNECT)
        .order_by("pk").select_for_update(no_key=True, of=("self",)).select_related("order__branch")
    )  # fmt: skip
    open_orders = [orders[c.order_id] for c in commands if _may_begin(orders[c.order_id], batches, c, now)]
    held = protections.findings(order_ids=[order.pk for order in open_orders], stage="command", at=now)
    room = _Room(batches, now)
    passed: list[MeterCommand] = []
    for command in commands:
        order = orders[command.order_id]
        if order not in open_orders:
            if _waits(order, batches, command, now):
                command_put(command, CommandState.QUEUED, wait=WAIT)
            else:
                _turn_back(order, command, actor, "window_missed" if now >= command.expires_at else "withdrawn")
        elif held.get(order.pk):
            _turn_back(order, command, actor, held[order.pk][0].code)
        elif not room.take(order):
            command_put(command, CommandState.QUEUED, wait=WAIT)
        else:
            passed.append(command)
    refused = [order.pk for order in open_orders if held.get(order.pk) and order.state == lifecycle.WARNED]
    if refused:
        guards.orders_guard(order_ids=refused, stage="command", actor=actor, at=now)
    orders_step(
        order_ids=[c.order_id for c in passed], action="command", actor=actor, commanded_at=now, facts={"by": "meter"}
    )  # fmt: skip
    return passed


def _batches_locked(order_ids: Collection[int]) -> dict[int, CutoffBatch]:
    branches = CutoffOrder.objects.filter(pk__in=list(order_ids)).values("batch__branch")
    running = Q(state=lifecycle.RUNNING, branch__in=branches) | Q(orders__in=list(order_ids))
    ids = CutoffBatch.objects.filter(running).values("pk")
    rows = CutoffBatch.objects.filter(pk__in=ids).order_by("pk").select_for_update(no_key=True)
    return {batch.pk: batch for batch in rows}


def _orders_locked(order_ids: Collection[int]) -> dict[int, CutoffOrder]:
    rows = (
        CutoffOrder.objects.filter(pk__in=list(order_ids))
        .order_by("pk")
        .select_for_update(no_key=True, of=("self",))
        .select_related("service_point")
    )
    return {order.pk: order for order in rows}


def _may_begin(order: CutoffOrder, batches: dict[int, CutoffBatch], command: MeterCommand, now: datetime) -> bool:
    batch = batches[order.batch_id]
    return (
        order.state in (lifecycle.WARNED, lifecycle.COMMANDED)
        and order.reconnect_due_at is None
        and _is_its_meter(order, command)
        and batch.state == lifecycle.RUNNING
        and batch.window_from <= now < min(command.expires_at, batch.window_until)
    )


def _waits(order: CutoffOrder, batches: dict[int, CutoffBatch], command: MeterCommand, now: datetime) -> bool:
    """A stopped batch may be resumed, and a window that has not opened will."""
    return (
        order.state in (lifecycle.WARNED, lifecycle.COMMANDED)
        and order.reconnect_due_at is None
        and _is_its_meter(order, command)
        and batches[order.batch_id].state not in lifecycle.BATCH_OVER
        and now < command.expires_at
    )


def _is_its_meter(order: CutoffOrder, command: MeterCommand) -> bool:
    """The meter may have been changed since the command was written; the old one may hang at somebody else's by now."""
    return command.meter_number == order.service_point.meter_number


def _turn_back(order: CutoffOrder, command: MeterCommand, actor: Actor, reason: str) -> None:
    """It does not leave. What was sent before, provably in vain, stays on; the rest is the guards' or the batch's."""
    command_put(command, CommandState.WITHDRAWN, answer=reason)
    if order.state == lifecycle.COMMANDED:
        orders_stay_on(order_ids=[order.pk], actor=actor, reason=reason)


class _Room:
    """How many more may go off in this hour, by branch and by feeder."""

    def __init__(self, batches: dict[int, CutoffBatch], now: datetime) -> None:
        self._batches = batches
        branches = {batch.branch_id for batch in batches.values()}
        lately = CutoffOrder.objects.filter(
            commanded_at__gt=now - AN_HOUR, commanded_at__lte=now, batch__branch__in=branches
        ).values_list("batch__branch", "feeder")  # fmt: skip
        rows = list(lately)
        self._of_branch = Counter(branch for branch, _feeder in rows)
        self._of_feeder = Counter(feeder for _branch, feeder in rows)

    def take(self, order: CutoffOrder) -> bool:
        """One place for this order, if there is one; what was sent once has its place already."""
        batch = self._batches[order.batch_id]
        if order.state == lifecycle.COMMANDED:
            return True
        is_full = self._of_branch[batch.branch_id] >= batch.rate_per_hour or (
            order.feeder_id is not None and self._of_feeder[order.feeder_id] >= batch.rate_per_feeder_hour
        )
        if not is_full:
            self._of_branch[batch.branch_id] += 1
            self._of_feeder[order.feeder_id] += 1
        return not is_full
