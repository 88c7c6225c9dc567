"""Commands as rows: asked for, withdrawn, done with. What goes to the meters is in ``sending``."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final, Literal

from django.conf import settings
from django.db.models import Exists, Max, OuterRef
from django.db.models.functions import Now
from django.utils import timezone

from accounts.actor import Actor
from billing_cutoffs import lifecycle, protections
from billing_cutoffs.models import CommandState, CutoffOrder, MeterCommand, Method, Purpose
from billing_cutoffs.services.orders import orders_step
from outages.events import require_transaction
from standards.doorbell import ring_on_commit

# between the two a command is not over, and there is one of them for an order
OPEN: Final = (CommandState.QUEUED, CommandState.SENDING, CommandState.ACCEPTED, CommandState.UNCERTAIN)
# it left, and what became of it is not known yet
IN_FLIGHT: Final = (CommandState.SENDING, CommandState.ACCEPTED, CommandState.UNCERTAIN)
# a command to switch on has no last moment; the column wants one
NEVER: Final = timedelta(days=3650)
# asked in vain until nobody believes in an answer any more: a person goes there
NO_READING: Final = "no_reading"

TURN: Final = "billing_cutoffs.tasks.commands_turn"


def commands_queue(
    *, order_ids: Collection[int], purpose: Literal["disconnect", "reconnect"], actor: Actor,
    now: datetime | None = None,
) -> list[int]:  # fmt: skip
    """Order these off, or on: from afar where the meter can be switched, else by a person with a slip.

    Inside the caller's transaction. Off: only those that are WARNED and that no protection stands before; they stay
    WARNED until the command leaves, and until then a payment or a hold withdraws it. Who is cut by a person is
    COMMANDED at once. Returns the orders that have something new on its way.
    """
    require_transaction()
    if purpose == "reconnect":
        _overtake(order_ids)
        by_hand: list[int] = []
        ready = list(order_ids)
    else:
        ready, by_hand = _may_be_cut(order_ids, now or timezone.now())
        orders_step(
            order_ids=by_hand, action="command", actor=actor, facts={"by": "slip"},
            commanded_at=now or timezone.now(), method=Method.FIELD,
        )  # fmt: skip
    return sorted(_insert(ready, purpose) + by_hand)


def _may_be_cut(order_ids: Collection[int], now: datetime) -> tuple[list[int], list[int]]:
    """Warned, and nothing stands before it: from afar, and by a person."""
    warned = list(
        CutoffOrder.objects.filter(pk__in=list(order_ids), state=lifecycle.WARNED)
        .order_by("pk").select_for_update(no_key=True, of=("self",)).select_related("service_point")
    )  # fmt: skip
    held = protections.findings(order_ids=[order.pk for order in warned], stage="command", at=now)
    free = [order for order in warned if not held.get(order.pk)]
    return [o.pk for o in free if _is_remote(o)], [o.pk for o in free if not _is_remote(o)]


def _is_remote(order: CutoffOrder) -> bool:
    can_be = order.method == Method.REMOTE and order.service_point.meter_number
    return bool(can_be and settings.METER_GATEWAY)


def _overtake(order_ids: Collection[int]) -> None:
    """Switching on goes before whatever is still asked about switching off, and waits for no pause between tries."""
    open_now = MeterCommand.objects.filter(order__in=list(order_ids), state__in=OPEN).order_by("pk")
    under_way = list(open_now.select_for_update(no_key=True))
    cuts = [command.pk for command in under_way if command.purpose == Purpose.DISCONNECT]
    if cuts:
        MeterCommand.objects.filter(pk__in=cuts).update(
            state=CommandState.DONE, answer="overtaken", done_at=Now(), lease_token=None, lease_until=None
        )
    waiting = [
        command.pk
        for command in under_way
        if command.purpose == Purpose.RECONNECT and command.state in (CommandState.QUEUED, CommandState.UNCERTAIN)
    ]
    if waiting:
        MeterCommand.objects.filter(pk__in=waiting).update(next_at=Now())
        ring_on_commit(TURN)


def _insert(order_ids: Collection[int], purpose: str) -> list[int]:
    """One command for each that has none under way and whose meter can be switched from afar."""
    if not settings.METER_GATEWAY:
        return []
    open_now = MeterCommand.objects.filter(order=OuterRef("pk"), state__in=OPEN)
    orders = CutoffOrder.objects.filter(~Exists(open_now), pk__in=list(order_ids), method=Method.REMOTE)
    facts = orders.order_by("pk").exclude(service_point__meter_number="")
    made = MeterCommand.objects.bulk_create(
        MeterCommand(
            order_id=pk, purpose=purpose, meter_number=meter,
            expires_at=until if purpose == Purpose.DISCONNECT else timezone.now() + NEVER,
        )
        for pk, meter, until in facts.values_list("pk", "service_point__meter_number", "batch__window_until")
    )  # fmt: skip
    if made:
        ring_on_commit(TURN)
    return [command.order_id for command in made]


def commands_withdraw(*, order_ids: Collection[int]) -> list[int]:
    """Withdraw the commands of these orders that have not left. Returns the orders they were for.

    A command in flight stays: only its answer says what became of it.
    """
    require_transaction()
    queued = MeterCommand.objects.filter(order__in=list(order_ids), state=CommandState.QUEUED)
    locked = list(queued.order_by("pk").select_for_update(no_key=True).values_list("pk", "order_id"))
    MeterCommand.objects.filter(pk__in=[pk for pk, _order in locked]).update(
        state=CommandState.WITHDRAWN, lease_token=None, lease_until=None
    )
    return sorted(order_id for _pk, order_id in locked)


def commands_finish(*, order_ids: Collection[int], answer: str) -> None:
    """What was still open for these orders is over: their supply is known, by whatever way, or they ended."""
    commands_withdraw(order_ids=order_ids)
    MeterCommand.objects.filter(order__in=list(order_ids), state__in=IN_FLIGHT).update(
        state=CommandState.DONE, answer=answer, done_at=Now(), lease_token=None, lease_until=None
    )


def commands_ask(*, order_ids: Collection[int]) -> None:
    """Ask the meters of these again although nobody believed in an answer any more: somebody has paid."""
    require_transaction()
    of_these = MeterCommand.objects.filter(order__in=list(order_ids))
    busy = of_these.filter(state__in=OPEN).values("order")
    given_up = of_these.filter(state=CommandState.FAILED, answer=NO_READING).exclude(order__in=busy)
    newest = given_up.values("order").annotate(newest=Max("pk")).values("newest")
    if MeterCommand.objects.filter(pk__in=newest).update(state=CommandState.UNCERTAIN, asked=0, next_at=Now()):
        ring_on_commit(TURN)
