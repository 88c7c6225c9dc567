"""Reading what was said: the funnel of an outage's notices, and how the senders are doing. Never an address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import connection

from accounts.actor import Actor
from notifications import policies
from notifications.models import Channel, DeliveryState, Notice, with_states
from outages.models import Outage

_WAITING: Final = (DeliveryState.PENDING, DeliveryState.LEASED, DeliveryState.SENDING, DeliveryState.PAUSED)
_ACCEPTED: Final = (DeliveryState.ACCEPTED, DeliveryState.DELIVERED, DeliveryState.UNDELIVERED)
_NOT_SENT: Final = (DeliveryState.SUPERSEDED, DeliveryState.EXPIRED, DeliveryState.SUPPRESSED)
_FAILED: Final = (DeliveryState.FAILED, DeliveryState.UNDELIVERED)


@dataclass(frozen=True)
class Funnel:
    """One notice on one channel, from its audience to what arrived. The steps always add up to ``messages``."""

    notice: Notice
    channel: str
    counts: Mapping[int, int]

    def _sum(self, states: tuple[DeliveryState, ...]) -> int:
        return sum(self.counts.get(int(state), 0) for state in states)

    @property
    def channel_label(self) -> str:
        return str(Channel(self.channel).label)

    @property
    def messages(self) -> int:
        return sum(self.counts.values())

    @property
    def merged(self) -> int:
        return self._sum((DeliveryState.MERGED,))

    @property
    def waiting(self) -> int:
        return self._sum(_WAITING)

    @property
    def accepted(self) -> int:
        return self._sum(_ACCEPTED)

    @property
    def delivered(self) -> int:
        return self._sum((DeliveryState.DELIVERED,))

    @property
    def failed(self) -> int:
        return self._sum(_FAILED)

    @property
    def unknown(self) -> int:
        return self._sum((DeliveryState.UNKNOWN,))

    @property
    def not_sent(self) -> int:
        return self._sum(_NOT_SENT)


def outage_funnels(*, actor: Actor, outage: Outage) -> list[Funnel]:
    """The notices of an outage, newest first, with how far each has come. Raises ``Forbidden``."""
    policies.require_read_deliveries(actor=actor, branch=outage.branch)
    notices = list(Notice.objects.filter(outage=outage).order_by("-pk")[:20])
    if not notices:
        return []
    with connection.cursor() as db:
        db.execute(
            """
            SELECT notice_id, channel, state, count(*) FROM notifications_delivery
            WHERE day = ANY(%s::date[]) AND notice_id = ANY(%s) GROUP BY notice_id, channel, state
            """,
            [sorted({notice.day for notice in notices}), [notice.pk for notice in notices]],
        )
        counts: dict[tuple[int, str], dict[int, int]] = {}
        for notice_id, channel, state, number in db.fetchall():
            counts.setdefault((notice_id, channel), {})[state] = number
    return [
        Funnel(notice, channel, counts[notice.pk, channel])
        for notice in notices
        for channel in Channel.values
        if (notice.pk, channel) in counts
    ]


@dataclass(frozen=True)
class SendingHealth:
    """How the senders are doing, for the control room's strip."""

    due: int
    oldest_due: datetime | None
    in_doubt: int
    circuits: tuple[str, ...]


def sending_health() -> SendingHealth:
    """What is due and unsent, since when, what is in doubt, and which accounts cannot be used."""
    with connection.cursor() as db:
        db.execute(
            with_states("""
            SELECT count(*) FILTER (WHERE state = :PENDING AND not_before <= now()),
                   min(not_before) FILTER (WHERE state = :PENDING AND not_before <= now()),
                   count(*) FILTER (WHERE state = :UNKNOWN)
            FROM notifications_delivery WHERE state IN (:PENDING, :UNKNOWN)
            """)
        )
        due, oldest, in_doubt = db.fetchone()
        db.execute("SELECT name FROM notifications_provideraccount WHERE circuit_open_until > now() ORDER BY name")
        circuits = tuple(row[0] for row in db.fetchall())
    return SendingHealth(due, oldest, in_doubt, circuits)
