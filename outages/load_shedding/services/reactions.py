"""What comes back while a block is off: calls and complaints as they are logged, faults as they are opened."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final

from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from grid.models import ServicePoint
from outages.load_shedding import lifecycle
from outages.load_shedding.models import Reaction, SheddingEvent, Slot
from outages.models import OutageKind

_NEVER_OFF: Final = (lifecycle.SKIPPED, lifecycle.DROPPED)


def reaction_record(*, service_point: ServicePoint, kind: str, source: str, at: datetime) -> Reaction | None:
    """Count a call or a complaint for the block of the premises, in the event that ran at that time, if one did.

    ``source`` is what it came from: the same one again changes nothing.
    """
    with transaction.atomic():
        slot = _slot_of(service_point, at)
        if slot is None:
            return None
        reaction, _is_new = Reaction.objects.get_or_create(
            event_id=slot.event_id, kind=kind, source=source, defaults={"block_id": slot.block_id, "at": at}
        )
        return reaction


def _slot_of(service_point: ServicePoint, at: datetime) -> Slot | None:
    """Of the premises' turns in events that ran then: the one it is in, else the last before, else the next."""
    ran = Q(event__state__in=lifecycle.RUNNING) | Q(event__ended_at__gte=at)
    slots = Slot.objects.filter(
        ran,
        block__places__element=service_point.element_id,
        event__confirmed_at__lte=at,
        event__state__in=[*lifecycle.RUNNING, lifecycle.ENDED, lifecycle.RECONCILED],
    ).exclude(state__in=_NEVER_OFF)
    before = slots.filter(starts_at__lte=at).order_by("-starts_at", "-pk").first()
    return before or slots.order_by("starts_at", "pk").first()


# A fault belongs to the event during which it was opened, where it is in the places of blocks that have their turns;
# of several blocks it counts for the one with most of its customers.
_FAULTS_SQL: Final = """
INSERT INTO load_shedding_reaction (event_id, block_id, kind, source, at)
SELECT DISTINCT ON (e.id, o.id) e.id, p.block_id, %(reaction)s, o.reference, coalesce(o.started_at, o.created_at)
FROM load_shedding_sheddingevent e
JOIN outages_outage o ON o.kind = %(fault)s AND NOT o.is_void
  AND coalesce(o.started_at, o.created_at) BETWEEN e.starts_at AND coalesce(e.ended_at, %(at)s)
JOIN outages_interruption i ON i.outage_id = o.id
LEFT JOIN grid_servicepoint point ON point.id = i.service_point_id
JOIN load_shedding_blockplace p ON p.element_id = coalesce(i.element_id, point.element_id)
JOIN (SELECT DISTINCT event_id, block_id FROM load_shedding_slot WHERE state <> ALL(%(never_off)s)) s
  ON s.event_id = e.id AND s.block_id = p.block_id
WHERE e.id = ANY(%(events)s)
GROUP BY e.id, o.id, p.block_id
ORDER BY e.id, o.id, sum(i.customers) DESC, p.block_id
ON CONFLICT (event_id, kind, source) DO NOTHING
"""


def faults_linked(event: SheddingEvent, *, at: datetime | None = None) -> int:
    """Count the faults that arose in an event's blocks while it ran; how many are new."""
    return _faults_link([event.pk], at or timezone.now())


def faults_link_all(*, at: datetime | None = None) -> int:
    """The same for every event that runs."""
    running = list(SheddingEvent.objects.filter(state__in=lifecycle.RUNNING).values_list("pk", flat=True))
    return _faults_link(running, at or timezone.now()) if running else 0


def _faults_link(events: Collection[int], at: datetime) -> int:
    with connection.cursor() as db:
        db.execute(
            _FAULTS_SQL,
            {
                "events": list(events), "at": at, "fault": OutageKind.FAULT, "reaction": Reaction.Kind.FAULT,
                "never_off": list(_NEVER_OFF),
            },
        )  # fmt: skip
        return int(db.rowcount)
