"""What the clock makes of an approved batch: turns drawn, last warnings, commands within the rates, the brake, the end.

Each batch has two short transactions a turn, and everything it decides on stands in the rows: a killed turn is taken
again, and a clock that jumps past the window's end switches nobody off.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Final

from django.db import connection, transaction
from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.utils import timezone

import standards
from accounts.actor import Actor
from billing_cutoffs import lifecycle
from billing_cutoffs.models import CommandState, CutoffBatch, CutoffOrder, DebtNotice, MeterCommand, NoticeStage
from billing_cutoffs.progress import awaits_second
from billing_cutoffs.services.batches import batch_save, batch_step_append, ids_in
from billing_cutoffs.services.brake import strain_of
from billing_cutoffs.services.commands import commands_queue
from billing_cutoffs.services.decisions import batch_stopped
from billing_cutoffs.services.dunning import warnings_issue
from billing_cutoffs.services.ending import orders_end
from billing_cutoffs.services.guards import orders_guard
from billing_cutoffs.spread import HOUR, turns
from standards.schema import RulePack

# how long the receipt of a last warning may take, beside the time that the rule pack gives the customer
RECEIPT: Final = timedelta(minutes=15)
# ordered off, and the command has not left yet
_IS_QUEUED: Final = Exists(MeterCommand.objects.filter(order=OuterRef("pk"), state=CommandState.QUEUED))
_ALIVE: Final = (lifecycle.BATCH_APPROVED, lifecycle.RUNNING, lifecycle.STOPPED)


def batches_turn(*, actor: Actor, now: datetime | None = None) -> dict[str, int]:
    """Take every approved batch one step further. Returns what happened, in numbers."""
    now = now or timezone.now()
    done: Counter[str] = Counter()
    near = CutoffBatch.objects.filter(state__in=_ALIVE, window_from__lte=now + timedelta(days=1))
    for batch_id in list(near.order_by("pk").values_list("pk", flat=True)):
        # two transactions, because each locks its orders at once and in the order of their keys
        for step in (_prepare, _command):
            with transaction.atomic(durable=True):
                batch = (
                    CutoffBatch.objects.select_for_update(no_key=True, of=("self",), skip_locked=True)
                    .select_related("branch")
                    .filter(pk=batch_id, state__in=_ALIVE)
                    .first()
                )
                if batch is not None:
                    done.update(step(batch, actor, now))
    return dict(done)


def lead_of(pack: RulePack) -> timedelta:
    """How long before its turn an order is warned."""
    warning = pack.arrears.final_warning
    return (warning.delta if warning is not None else timedelta(0)) + RECEIPT


def room_of(batch: CutoffBatch, now: datetime) -> tuple[int, Counter[int | None]]:
    """How many more may be switched off in this hour: of the branch, whatever the batch, and what each feeder had."""
    recent = CutoffOrder.objects.filter(Q(commanded_at__gt=now - HOUR) | _IS_QUEUED).order_by()
    room = batch.rate_per_hour - recent.filter(batch__branch=batch.branch_id).count()
    taken = Counter(dict(recent.values_list("feeder").annotate(Count("pk"))))
    return max(room, 0), taken


def _prepare(batch: CutoffBatch, actor: Actor, now: datetime) -> dict[str, int]:
    """Over, begun, braked; then the turns are drawn, and whose turn comes soon is warned."""
    if now >= batch.window_until:
        return _finish(batch, actor)
    pack = standards.pack(batch.rule_pack)
    if now < batch.window_from - lead_of(pack) or awaits_second(batch) or batch.state == lifecycle.STOPPED:
        return {}
    if batch.state == lifecycle.BATCH_APPROVED:
        batch.state = lifecycle.batch_after(action="run", state=batch.state)
        batch_save(batch)
        batch_step_append(batch=batch, verb="run", before=lifecycle.BATCH_APPROVED, actor=actor)
    strain = strain_of(batch, now)
    if strain.cause:
        before, batch.state = batch.state, lifecycle.batch_after(action="stop", state=batch.state)
        batch_stopped(batch=batch, before=before, actor=actor, reason=f"brake_{strain.cause}", facts=strain.facts)
        return {"stopped": 1}
    if not batch.steps.filter(verb="draw").exists():
        _draw(batch, actor, now, pack)
    return {"warned": _warn(batch, actor, now, pack)}


def _draw(batch: CutoffBatch, actor: Actor, now: datetime, pack: RulePack) -> None:
    """Every order whose letter has arrived gets its turn; what is held just now may be free again by then."""
    orders = _at(batch, lifecycle.NOTICED, lifecycle.WARNED).order_by("pk").select_for_update(no_key=True)
    seed = f"{batch.reference}@{now.isoformat()}"
    taken, without = turns(
        list(orders.values_list("pk", "feeder_id")),
        opens=max(batch.window_from, now + lead_of(pack)),
        closes=batch.window_until,
        rate_per_hour=batch.rate_per_hour,
        rate_per_feeder_hour=batch.rate_per_feeder_hour,
        seed=seed,
    )
    with connection.cursor() as db:
        db.execute(
            """
            UPDATE billing_cutoffs_cutofforder o SET scheduled_at = t.at
            FROM unnest(%(ids)s::bigint[], %(moments)s::timestamptz[]) AS t (id, at) WHERE o.id = t.id
            """,
            {"ids": list(taken), "moments": list(taken.values())},
        )
    batch_step_append(
        batch=batch, verb="draw", before=batch.state, actor=actor,
        facts={"seed": seed, "turns": len(taken), "without_turn": len(without)},
    )  # fmt: skip


def _warn(batch: CutoffBatch, actor: Actor, now: datetime, pack: RulePack) -> int:
    """The last warning to those whose turn comes soon and whom nothing protects.

    Whose letter has not provably arrived in time is not warned: held, with that as the reason.
    """
    warned = DebtNotice.objects.filter(order=OuterRef("pk"), stage=NoticeStage.FINAL_WARNING, void_at__isnull=True)
    soon = _at(batch, lifecycle.NOTICED).filter(~Exists(warned), scheduled_at__lte=now + lead_of(pack))
    asked = (soon | _at(batch, lifecycle.APPROVED)).filter(held_by__isnull=True)
    clear = orders_guard(order_ids=list(asked.values_list("pk", flat=True)), stage="warn", actor=actor, at=now).clear
    return warnings_issue(order_ids=clear, actor=actor) if clear else 0


def _command(batch: CutoffBatch, actor: Actor, now: datetime) -> dict[str, int]:
    """Order off whose turn has come: as many as the last hour leaves room for, after every protection ran again."""
    if batch.state != lifecycle.RUNNING or not batch.window_from <= now < batch.window_until:
        return {}
    room, taken = room_of(batch, now)
    # whom a person holds waits for that person
    due = _at(batch, lifecycle.WARNED).filter(~_IS_QUEUED, held_by__isnull=True, scheduled_at__lte=now)
    due = due.order_by("scheduled_at", "pk")
    chosen, held = [], []
    for pk, feeder, state in due.values_list("pk", "feeder_id", "state"):
        if state == lifecycle.HELD:
            held.append(pk)  # free again, it has its turn in the next round
        elif room and taken[feeder] < batch.rate_per_feeder_hour:
            chosen.append(pk)
            room, taken[feeder] = room - 1, taken[feeder] + 1
    clear = set(orders_guard(order_ids=[*chosen, *held], stage="command", actor=actor, at=now).clear)
    ready = [pk for pk in chosen if pk in clear]
    queued = commands_queue(order_ids=ready, purpose="disconnect", actor=actor, now=now)
    if not batch.orders.filter(state__in=[*lifecycle.BEFORE_COMMAND, lifecycle.COMMANDED]).exists():
        return _finish(batch, actor)
    return {"commanded": len(queued)}


def _finish(batch: CutoffBatch, actor: Actor) -> dict[str, int]:
    """The window is over, or nothing is left to do: whoever was not switched off keeps supply."""
    before = batch.state
    batch.state = lifecycle.batch_after(action="finish", state=before)
    ended = orders_end(order_ids=ids_in(batch, lifecycle.BEFORE_COMMAND), actor=actor, reason="window_missed")
    batch_save(batch)
    counts = dict(batch.orders.order_by().values_list("state").annotate(Count("pk")))
    batch_step_append(
        batch=batch, verb="finish", before=before, actor=actor, facts={"missed": len(ended), "orders": counts}
    )
    return {"finished": 1}


def _at(batch: CutoffBatch, *states: str) -> QuerySet[CutoffOrder]:
    """Orders in these states, or held there."""
    return batch.orders.filter(Q(state__in=states) | Q(state=lifecycle.HELD, state_before_hold__in=states))
