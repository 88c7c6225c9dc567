"""The one writer of an order's state: the same step for one order or for thousands, with its line in the history."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any, Final

from django.db import connection
from django.utils.translation import gettext_lazy as _

from accounts.actor import Actor
from billing_cutoffs import lifecycle
from billing_cutoffs.models import CutoffOrder
from outages.events import require_transaction
from standards.errors import Conflict, NotFound

# what a step may write beside the state
FIELDS: Final = frozenset(
    {
        "state_reason", "holds", "held_by_id", "hold_reason", "method", "scheduled_at", "outage_id", "commanded_at",
        "off_at", "paid_at", "is_wrongful", "reconnect_mode", "reconnect_due_at", "is_safe_at",
        "reconnect_commanded_at", "on_at", "warned_owner_at", "escalated_at",
    }
)  # fmt: skip


class Moved(Conflict):
    """The order is not where it was on screen: paid, held or switched meanwhile."""

    code = "order_moved"
    message = _("This order has moved on in the meantime: it is now “%(state)s”.")


# the rows are locked in the order of their keys, so two steps over many orders cannot deadlock
_STEP: Final = """
WITH taken AS (
    SELECT id, batch_id, state, state_before_hold FROM billing_cutoffs_cutofforder
    WHERE id = ANY(%(ids)s) AND state = ANY(%(sources)s) ORDER BY id FOR NO KEY UPDATE
), moved AS (
    UPDATE billing_cutoffs_cutofforder o
    SET state = {target}, state_before_hold = {memory}, version = o.version + 1, updated_at = now(){fields}
    FROM taken t WHERE o.id = t.id
    RETURNING o.id, o.batch_id, t.state AS before, o.state AS after
)
INSERT INTO billing_cutoffs_cutoffstep
    (batch_id, order_id, verb, before, after, actor_kind, actor_name, actor_id, note, facts)
SELECT m.batch_id, m.id, %(verb)s, m.before, m.after, %(actor_kind)s, %(actor_name)s, %(actor_id)s, %(note)s,
       %(facts)s::jsonb || coalesce(e.facts::jsonb, '{{}}')
FROM moved m LEFT JOIN unnest(%(each_ids)s::bigint[], %(each)s::text[]) AS e(id, facts) USING (id)
ORDER BY m.id RETURNING order_id
"""


def orders_step(
    *,
    order_ids: Collection[int],
    action: str,
    actor: Actor,
    note: str = "",
    facts: Mapping[str, Any] | None = None,
    each: Mapping[int, Mapping[str, Any]] | None = None,
    **fields: Any,
) -> list[int]:
    """Take one step of the table with every order that may take it; the others stay as they are.

    Inside the caller's transaction, which then holds the rows of those that moved. Returns their keys, in order.
    ``fields`` are written with the state, ``facts`` into the history, with those of ``each`` order in its own line.
    """
    require_transaction()
    strange = set(fields) - FIELDS
    if strange:
        raise LookupError(f"no step writes {', '.join(sorted(strange))}")
    if not order_ids:
        return []
    target = "t.state_before_hold" if action == "release" else "%(target)s"
    memory = "t.state" if action == "hold" else "''"
    sql = _STEP.format(
        target=target, memory=memory, fields="".join(f", {name} = %(f_{name})s" for name in sorted(fields))
    )
    written = {f"f_{k}": json.dumps(v) if k == "holds" else v for k, v in fields.items()}
    with connection.cursor() as db:
        db.execute(
            sql,
            {
                "ids": list(order_ids),
                "sources": lifecycle.sources_of(action),
                "target": "" if action == "release" else lifecycle.ORDER_STEPS[action].target,
                "verb": action,
                "actor_kind": actor.kind,
                "actor_name": actor.name,
                "actor_id": actor.user_id,
                "note": note[:500],
                "facts": json.dumps(dict(facts or {}), default=str),
                "each_ids": list(each or {}),
                "each": [json.dumps(dict(own), default=str) for own in (each or {}).values()],
                **written,
            },
        )
        return sorted(row[0] for row in db.fetchall())


def order_step(*, order: CutoffOrder, action: str, actor: Actor, note: str = "", **written: Any) -> CutoffOrder:
    """The same for one order that the caller has locked. Raises ``IllegalTransition`` where the table says no."""
    after = lifecycle.order_after(action=action, state=order.state, state_before_hold=order.state_before_hold)
    moved = orders_step(order_ids=[order.pk], action=action, actor=actor, note=note, **written)
    if not moved:
        raise Moved(state=order.get_state_display())
    order.refresh_from_db()
    if order.state != after:
        raise Moved(state=order.get_state_display())
    return order


def order_lock(order_id: int, *, expected_version: int | None = None) -> CutoffOrder:
    """The order, its row locked until the transaction ends. Raises ``NotFound``, ``Moved``."""
    order = (
        CutoffOrder.objects.select_for_update(no_key=True, of=("self",))
        .select_related("branch", "batch", "case__account", "service_point__customer")
        .filter(pk=order_id)
        .first()
    )
    if order is None:
        raise NotFound()
    if expected_version is not None and expected_version != order.version:
        raise Moved(state=order.get_state_display())
    return order
