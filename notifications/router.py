"""From the log of outages to what must be said: one reader, one transaction, nothing skipped.

``OutageEvent`` is the outbox. The router writes notices in the transaction that moves its cursor, so an event is
routed exactly once. Only the clock's own notices, the reminders, are written elsewhere (``reminders``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from django.db import connection
from django.db.models import Max
from django.utils import timezone

import standards
from notifications import policies
from notifications.models import ANNOUNCES, SAYS_OFF, Lane, Notice, NoticeKind, NoticeStatus, Policy
from outages.events import LoggedEvent, reading
from outages.models import OFF_STATUSES, Interruption, Outage, OutageKind, OutageStatus

CONSUMER: Final = "notifications.router"
AUTHOR: Final = "router"
ALIVE: Final = (NoticeStatus.DRAFT, NoticeStatus.APPROVED, NoticeStatus.SENDING, NoticeStatus.PAUSED)

KEEPS: Final = timedelta(hours=12)  # over the quiet hours of one night
LONG_OUTAGE: Final = timedelta(hours=4)  # after that, twice "it is back" is better than never

LANES: Final[Mapping[str, Lane]] = {
    NoticeKind.ANNOUNCED: Lane.PLANNED,
    NoticeKind.REMINDER_EARLY: Lane.PLANNED,
    NoticeKind.REMINDER_LATE: Lane.PLANNED,
    NoticeKind.MOVED: Lane.PLANNED,
    NoticeKind.NEW: Lane.STARTED,
    NoticeKind.ESTIMATE_SET: Lane.ESTIMATE,
    NoticeKind.ESTIMATE_CHANGED: Lane.ESTIMATE,
    NoticeKind.PARTLY_RESTORED: Lane.RESTORED,
    NoticeKind.RESTORED: Lane.RESTORED,
    NoticeKind.CANCELLED: Lane.RESTORED,
}

# what a new notice makes pointless: a later "off" says all that the earlier one said; the end takes back everything;
# that one part is back does not concern those who are still off; an announcement to those who joined late leaves the
# first one standing
SUPERSEDES: Final[Mapping[str, tuple[str, ...]]] = {
    NoticeKind.ANNOUNCED: (),
    NoticeKind.REMINDER_EARLY: (),
    NoticeKind.REMINDER_LATE: (NoticeKind.REMINDER_EARLY,),
    NoticeKind.MOVED: ANNOUNCES,
    **dict.fromkeys(SAYS_OFF, (*ANNOUNCES, *SAYS_OFF, NoticeKind.RESTORED, NoticeKind.CANCELLED)),
    NoticeKind.PARTLY_RESTORED: (),
    NoticeKind.RESTORED: tuple(NoticeKind),
    NoticeKind.CANCELLED: tuple(NoticeKind),
}


def route_events(*, limit: int = 500) -> tuple[int, int]:
    """Turn what happened to outages into what must be said. Returns (events read, notices written)."""
    with reading(CONSUMER, limit=limit) as events:
        outages = {
            outage.pk: outage
            for outage in Outage.objects.select_related("branch").filter(
                pk__in={e.outage_id for e in events if e.verb in _ROUTES and e.kind != OutageKind.NON_PAYMENT}
            )
        }
        written = 0
        for event in events:
            route = _ROUTES.get(event.verb)
            if route is not None and event.outage_id in outages:
                written += len(route(_Route(event, outages[event.outage_id])))
        return len(events), written


@dataclass(frozen=True)
class _Route:
    """One event, and the outage as it stands now; a later event of the same batch will be routed after it."""

    event: LoggedEvent
    outage: Outage

    @property
    def expected(self) -> datetime | None:
        return self.outage.etr or self.outage.planned_end

    @property
    def slack(self) -> timedelta:
        return smallest_change(self.outage)

    @property
    def is_told(self) -> bool:
        """A debt is never announced, and a suspicion is not a fact."""
        return self.outage.is_public and self.outage.kind != OutageKind.NON_PAYMENT

    @property
    def is_off(self) -> bool:
        return self.is_told and self.outage.status in OFF_STATUSES

    @property
    def is_ahead(self) -> bool:
        """Nothing is announced whose time has come: the start will be told."""
        begins = self.outage.planned_start
        is_scheduled = self.is_told and self.outage.status == OutageStatus.SCHEDULED
        return is_scheduled and begins is not None and begins > timezone.now()

    @property
    def is_end_untold(self) -> bool:
        """Was another end announced than the one expected now, by more than is worth a message?"""
        last = Notice.objects.filter(outage=self.outage, kind__in=ANNOUNCES).order_by("-pk").first()
        if last is None or last.says_until is None or self.expected is None:
            return False
        return abs(self.expected - last.says_until) > self.slack

    @property
    def window(self) -> dict[str, datetime | None]:
        return {"says_from": self.outage.planned_start, "says_until": self.outage.planned_end}

    def wants(self, message: str) -> bool:
        return policies.is_wanted(outage=self.outage, message=message)


def _on_scheduled(route: _Route) -> list[Notice]:
    """It will be off: known now, or known to be larger."""
    return [_write(route, NoticeKind.ANNOUNCED, **route.window)] if route.is_ahead else []


def _on_moved(route: _Route) -> list[Notice]:
    """Whoever was told the old window hears of both in one message, everybody else of the new one alone.

    The fan-out of the second notice leaves out whoever the first one reaches.
    """
    if not route.is_ahead:
        return []
    announced = Notice.objects.filter(outage=route.outage, kind__in=ANNOUNCES).exists()
    taken_back = [_write(route, NoticeKind.MOVED, **route.window)] if announced else []
    return [*taken_back, _write(route, NoticeKind.ANNOUNCED, **route.window)]


def _on_start(route: _Route) -> list[Notice]:
    """Whoever knows the time need not hear that it has come, unless the end has moved since and was not told."""
    if route.outage.planned_start is None or route.wants("started") or route.is_end_untold:
        return _on_off(route)
    _supersede(route.outage, ANNOUNCES, by=None)
    return []


def _on_extent(route: _Route) -> list[Notice]:
    return _on_scheduled(route) if route.outage.status == OutageStatus.SCHEDULED else _on_off(route)


def _on_off(route: _Route) -> list[Notice]:
    """It is off: known now, or known to be larger."""
    if not route.is_off:
        return []
    return [_write(route, NoticeKind.NEW, says_from=route.outage.started_at, says_until=route.expected)]


def _on_estimate(route: _Route) -> list[Notice]:
    """The first time given, or one that moved by more than is worth a message since it was last told."""
    if not route.is_off:
        return []
    last = Notice.objects.filter(outage=route.outage, kind__in=(*ANNOUNCES, *SAYS_OFF)).order_by("-pk").first()
    expected, promised = route.expected, last.says_until if last else None
    if expected == promised:
        return []
    if promised is None:
        kind = NoticeKind.ESTIMATE_SET
    elif expected is not None and abs(expected - promised) <= route.slack:
        return []
    else:
        kind = NoticeKind.ESTIMATE_CHANGED
    return [_write(route, kind, says_from=route.outage.started_at, says_until=expected)]


def _on_part(route: _Route) -> list[Notice]:
    if not route.is_told or route.outage.status == OutageStatus.CANCELLED or not route.wants("restored"):
        return []
    back = Interruption.objects.filter(outage=route.outage, actual__endswith__isnull=False).aggregate(
        at=Max("actual__endswith")
    )["at"]
    return [_write(route, NoticeKind.PARTLY_RESTORED, says_from=back)]


def _on_restored(route: _Route) -> list[Notice]:
    is_back = route.outage.status in (OutageStatus.RESTORED, OutageStatus.CLOSED)
    if not route.is_told or not is_back or not route.wants("restored"):
        return []
    return [_write(route, NoticeKind.RESTORED, says_from=route.outage.restored_at)]


def _on_cancelled(route: _Route) -> list[Notice]:
    """Nothing is written when nothing was announced."""
    said = Notice.objects.filter(outage=route.outage, kind__in=(*ANNOUNCES, *SAYS_OFF)).exists()
    if not route.is_told or not said or route.outage.status != OutageStatus.CANCELLED:
        return []
    # what never began is named by the window that was announced
    return [_write(route, NoticeKind.CANCELLED, **(route.window if route.outage.started_at is None else {}))]


def _on_merged(route: _Route) -> list[Notice]:
    """The survivor speaks for both: whoever has not heard its news hears it."""
    _supersede(route.outage, tuple(NoticeKind), by=None)
    survivor = route.outage.merged_into
    if survivor is None:
        return []
    return _on_off(_Route(route.event, Outage.objects.select_related("branch").get(pk=survivor.pk)))


_ROUTES: Final[Mapping[str, Callable[[_Route], list[Notice]]]] = {
    "schedule": _on_scheduled,
    "reschedule": _on_moved,
    "start": _on_start,
    "change_extent": _on_extent,
    "reopen": _on_off,
    "set_etr": _on_estimate,
    "extend": _on_estimate,
    "restore_part": _on_part,
    "restore": _on_restored,
    "cancel": _on_cancelled,
    "void": _on_cancelled,
    "merge": _on_merged,
}


def _write(
    route: _Route, kind: NoticeKind, *, says_from: datetime | None = None, says_until: datetime | None = None
) -> Notice:
    return notice_write(
        outage=route.outage,
        kind=kind,
        author=AUTHOR,
        event_id=route.event.id,
        says_from=says_from,
        says_until=says_until,
    )


def notice_write(
    *,
    outage: Outage,
    kind: NoticeKind,
    author: str,
    event_id: int | None = None,
    says_from: datetime | None = None,
    says_until: datetime | None = None,
) -> Notice:
    """One notice, which takes the place of those it makes pointless. Inside the caller's transaction."""
    now = timezone.now()
    origin = f"outage:{outage.pk}"
    last = Notice.objects.filter(origin=origin, kind=kind).aggregate(n=Max("generation"))["n"] or 0
    notice = Notice.objects.create(
        origin=origin,
        branch=outage.branch,
        outage=outage,
        kind=kind,
        generation=last + 1,
        lane=LANES[kind],
        says_from=says_from,
        says_until=says_until,
        slack=smallest_change(outage),
        policy=_policy(kind, outage, now),
        expires_at=_expires(kind, says_from, says_until, now),
        day=day_now(),
        author=author,
        event_id=event_id,
    )
    _supersede(outage, SUPERSEDES[kind], by=notice)
    return notice


def day_now() -> date:
    """The partition that takes the messages of a notice written now, by the database's clock."""
    with connection.cursor() as db:
        db.execute("SELECT (now() AT TIME ZONE 'UTC')::date")
        today: date = db.fetchone()[0]
    return today


def smallest_change(outage: Outage) -> timedelta:
    """The smallest change worth telling, of the rules this outage was opened under."""
    return standards.pack(outage.rule_pack.partition("@")[0]).estimate.smallest_change.delta


def _supersede(outage: Outage, kinds: tuple[str, ...], *, by: Notice | None) -> None:
    """One row each is flipped; what they still owe dies at the gate and is swept up later."""
    older = Notice.objects.filter(outage=outage, kind__in=kinds, status__in=ALIVE)
    if by is not None:
        older = older.filter(pk__lt=by.pk)
        by.supersedes = older.order_by("-pk").first()
        by.save(update_fields=["supersedes"])
    older.update(status=NoticeStatus.SUPERSEDED)


def _expires(kind: str, says_from: datetime | None, says_until: datetime | None, now: datetime) -> datetime:
    """A promise is not told after its time; good news may wait for the morning, or as long as somebody may wait."""
    if kind in ANNOUNCES and says_from is not None:
        return says_from
    if kind in SAYS_OFF:
        return says_until if says_until is not None and says_until > now else now + KEEPS
    if kind == NoticeKind.CANCELLED and says_until is not None:
        return max(says_until, now + KEEPS)
    return now + KEEPS


def _policy(kind: str, outage: Outage, now: datetime) -> Policy:
    """After a long outage "it is back" twice is better than never; everything else waits for a person."""
    began = outage.started_at
    is_long = kind == NoticeKind.RESTORED and began is not None and now - began > LONG_OUTAGE
    return Policy.RESEND if is_long else Policy.HOLD
