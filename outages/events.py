"""The log that everything else reads: append, read without gaps, ring the bell.

A reader keeps the cursor (epoch, tx, id) and only reads rows whose transaction number lies below the
oldest one still running, so a transaction that commits late is never skipped (``reliability.md`` 3.1).
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

import redis
from django.conf import settings
from django.core import signing
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, transaction
from django.db.models import Max
from django.utils.translation import gettext_lazy as _
from redis.backoff import NoBackoff
from redis.retry import Retry

from accounts.actor import Actor
from outages.models import Outage, OutageEvent, ReaderCursor, SystemState
from standards.errors import DomainError

log = logging.getLogger(__name__)

LIVE_CHANNEL = "live"


class BadCursor(DomainError):
    code = "bad_cursor"
    status = 400
    message = _("This cursor was not issued here.")


@dataclass(frozen=True, order=True)
class Cursor:
    """A place in the log. Opaque and signed outside."""

    epoch: int = 0
    tx: int = 0
    id: int = 0

    def token(self) -> str:
        return signing.dumps([self.epoch, self.tx, self.id], salt="outages.events", compress=False)

    @classmethod
    def from_token(cls, token: str) -> Cursor:
        """Raises ``BadCursor`` for anything we did not issue."""
        if not token:
            return cls()
        try:
            return cls(*signing.loads(token, salt="outages.events"))
        except (signing.BadSignature, TypeError, ValueError) as bad:
            raise BadCursor(field="after") from bad


def require_transaction() -> None:
    """The inner verbs refuse to run outside a transaction: who opens it must be plain."""
    if not connection.in_atomic_block:
        raise ImproperlyConfigured("A transition must run inside the transaction of the public verb that called it.")


def event_append(
    *,
    outage: Outage,
    verb: str,
    actor: Actor,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    note: str = "",
    source: str = "",
    is_public: bool = False,
) -> OutageEvent:
    """Append one line to the outage's history, in the transaction that made the change true.

    The caller holds the outage's row lock, so the per-outage sequence needs no lock of its own.
    """
    require_transaction()
    last = OutageEvent.objects.filter(outage=outage).aggregate(n=Max("sequence"))["n"] or 0
    return OutageEvent.objects.create(
        epoch=_epoch(),
        outage=outage,
        sequence=last + 1,
        verb=verb,
        actor_kind=actor.kind,
        actor_name=actor.name,
        actor_id=actor.user_id,
        source=source,
        before=before or {},
        after=after or {},
        note=note,
        is_public=is_public and outage.is_public,
    )


def _epoch() -> int:
    state, _created = SystemState.objects.get_or_create(pk=1)
    return state.epoch


READ_SQL = """
SELECT e.id, e.epoch, e.tx::text, e.outage_id, e.sequence, e.verb, e.actor_kind, e.actor_name, e.source, e.at,
       e.before, e.after, e.note, e.is_public,
       o.reference, o.kind, o.status, o.branch_id, o.version, b.pos AS branch_pos
FROM outages_outageevent e
JOIN outages_outage o ON o.id = e.outage_id
JOIN grid_branch b ON b.id = o.branch_id
WHERE (e.epoch, e.tx, e.id) > (%(epoch)s, %(tx)s::text::xid8, %(id)s)
  AND (e.epoch < coalesce((SELECT epoch FROM outages_systemstate WHERE id = 1), 1)
       OR e.tx < pg_snapshot_xmin(pg_current_snapshot()))
ORDER BY e.epoch, e.tx, e.id
LIMIT %(limit)s
"""


@dataclass(frozen=True)
class LoggedEvent:
    """One event as a reader sees it, with the little of its outage that routing needs."""

    id: int
    epoch: int
    tx: int
    outage_id: int
    sequence: int
    verb: str
    actor_kind: str
    actor_name: str
    source: str
    at: datetime
    before: dict[str, Any]
    after: dict[str, Any]
    note: str
    is_public: bool
    reference: str
    kind: str
    status: str
    branch_id: int
    version: int
    branch_pos: int

    @property
    def cursor(self) -> Cursor:
        return Cursor(self.epoch, self.tx, self.id)


def events_after(cursor: Cursor, *, limit: int = 500) -> list[LoggedEvent]:
    """The next events behind ``cursor``, oldest first, none of which can be overtaken by a later commit."""
    with connection.cursor() as db:
        db.execute(READ_SQL, {"epoch": cursor.epoch, "tx": str(cursor.tx), "id": cursor.id, "limit": limit})
        rows = db.fetchall()
    return [LoggedEvent(*_typed(row)) for row in rows]


def _typed(row: tuple[Any, ...]) -> list[Any]:
    """The driver leaves xid8 and jsonb as text."""
    return [int(row[2]) if i == 2 else _json(value) if i in (10, 11) else value for i, value in enumerate(row)]


def _json(value: str | dict[str, Any]) -> dict[str, Any]:
    return json.loads(value) if isinstance(value, str) else value


@contextmanager
def reading(consumer: str, *, limit: int = 500) -> Iterator[list[LoggedEvent]]:
    """Read the next events for ``consumer`` and move its cursor, in one transaction with what the caller writes.

    Another process that is reading for the same consumer makes this yield nothing: one reader per consumer.
    """
    ReaderCursor.objects.get_or_create(consumer=consumer)
    with transaction.atomic():
        row = ReaderCursor.objects.select_for_update(skip_locked=True).filter(consumer=consumer).first()
        if row is None:
            yield []
            return
        batch = events_after(Cursor(row.epoch, row.tx, row.event_id), limit=limit)
        yield batch
        if batch:
            last = batch[-1]
            row.epoch, row.tx, row.event_id = last.epoch, last.tx, last.id
            row.save(update_fields=["epoch", "tx", "event_id"])


# --- the bell ---------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _bell() -> redis.Redis:
    # one try: the library would otherwise repeat it for seconds, and a bell is not worth waiting for
    once = Retry(NoBackoff(), 0)
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1, retry=once)


class _Circuit:
    """After a failure nobody waits for Redis again for five seconds."""

    open_until = 0.0


def bell_forget() -> None:
    """Connect anew with the next ring: the address has changed."""
    _bell.cache_clear()
    _Circuit.open_until = 0.0


def announce_on_commit(*announced: OutageEvent) -> None:
    """Tell open pages, once committed, that something changed. A hint: readers keep their own cursor."""
    topics: list[dict[str, Any]] = [{"t": f"outage:{event.outage_id}", "v": event.sequence} for event in announced]
    topics.append({"t": "board", "v": max(event.pk for event in announced)})
    transaction.on_commit(lambda: _ring(topics), robust=True)


def _ring(topics: list[dict[str, Any]]) -> None:
    if time.monotonic() < _Circuit.open_until:
        return
    try:
        pipeline = _bell().pipeline(transaction=False)
        for topic in topics:
            pipeline.publish(LIVE_CHANNEL, json.dumps(topic))
        pipeline.execute()
    except (redis.RedisError, OSError) as gone:
        _Circuit.open_until = time.monotonic() + 5
        log.warning("live updates are delayed: %s", gone)


def live_since(version: int) -> tuple[int, list[dict[str, Any]]]:
    """Topics that changed behind event number ``version``: the polling fallback of the live stream."""
    rows = list(
        OutageEvent.objects.filter(pk__gt=version).order_by("pk").values_list("pk", "outage_id", "sequence")[:200]
    )
    if not rows:
        return version, []
    newest = {outage_id: sequence for _pk, outage_id, sequence in rows}
    topics: list[dict[str, Any]] = [{"t": f"outage:{pk}", "v": sequence} for pk, sequence in newest.items()]
    return rows[-1][0], [*topics, {"t": "board", "v": rows[-1][0]}]
