"""The clock's own notices: an announced outage is said again when its time comes near.

Nothing happens to an outage the day before it, so there is no event to read; the sweep looks for outages whose reminder
is due and writes it once for each window. A reminder that would fall into the hours in which no telephone may ring is
brought forward to the evening before, because the morning would be too late to act on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from django.db import transaction
from django.utils import timezone

import standards
from grid.models import Branch
from notifications import policies
from notifications.models import Notice, NoticeKind
from notifications.router import notice_write
from outages.models import Outage, OutageKind, OutageStatus
from standards import RulePack

AUTHOR: Final = "clock"
# the last message of an evening is on its way before the hours end
BEFORE_THE_NIGHT: Final = timedelta(minutes=30)
_FARTHEST: Final = timedelta(days=8)  # no pack reminds earlier, brought forward by a night


def reminders_write() -> int:
    """Write every reminder that is due now. Returns how many; two sweeps at once write each of them once."""
    now = timezone.now()
    return sum(_write(outage_id, kind, now=now) for outage_id, kind in list(_due(now)))


def _due(now: datetime) -> Iterator[tuple[int, NoticeKind]]:
    """Which outages must be said again now, by which reminder."""
    ahead = Outage.objects.filter(
        status=OutageStatus.SCHEDULED, is_public=True, planned_start__gt=now, planned_start__lte=now + _FARTHEST
    ).exclude(kind=OutageKind.NON_PAYMENT)
    outages = list(ahead.select_related("branch").order_by("planned_start", "pk"))
    said: dict[tuple[int | None, datetime | None], list[tuple[str, datetime]]] = {}
    for outage_id, window, kind, at in Notice.objects.filter(outage__in=outages).values_list(
        "outage", "says_from", "kind", "created_at"
    ):
        said.setdefault((outage_id, window), []).append((kind, at))
    for outage in outages:
        told = said.get((outage.pk, outage.planned_start), [])
        known = _known_since(told)
        for kind, span in _spans(standards.pack(outage.rule_pack.partition("@")[0])):
            if known is None or outage.planned_start is None or any(kind == one for one, _at in told):
                continue
            due = reminder_at(outage.planned_start, span, outage.branch)
            is_old_news = known <= due - span
            if is_old_news and due <= now:
                yield outage.pk, kind


def _known_since(told: Sequence[tuple[str, datetime]]) -> datetime | None:
    """Since when people know of a window: its first announcement, or the last move to it."""
    moved = [at for kind, at in told if kind == NoticeKind.MOVED]
    announced = [at for kind, at in told if kind == NoticeKind.ANNOUNCED]
    return max(moved) if moved else min(announced, default=None)


def _spans(pack: RulePack) -> tuple[tuple[NoticeKind, timedelta], ...]:
    planning = pack.planning
    return (
        (NoticeKind.REMINDER_EARLY, planning.reminder_early.delta),
        (NoticeKind.REMINDER_LATE, planning.reminder_late.delta),
    )


def reminder_at(starts_at: datetime, span: timedelta, branch: Branch) -> datetime:
    """When the reminder is due: so long before the start, or, where that is at night, on the evening before."""
    wanted = (starts_at - span).astimezone(ZoneInfo(branch.time_zone))
    opens, closes = _clock(branch.send_from), _clock(branch.send_until)
    clock = wanted.timetz().replace(tzinfo=None)
    runs_over_midnight = opens > closes
    may_ring = opens == closes or (
        (clock >= opens or clock <= closes) if runs_over_midnight else opens <= clock <= closes
    )
    if may_ring:
        return wanted
    day = wanted.date() if runs_over_midnight or clock > closes else wanted.date() - timedelta(days=1)
    return datetime.combine(day, closes, wanted.tzinfo) - BEFORE_THE_NIGHT


def _clock(value: time | str) -> time:
    return time.fromisoformat(value) if isinstance(value, str) else value


def _write(outage_id: int, kind: NoticeKind, *, now: datetime) -> int:
    with transaction.atomic():
        outage = (
            Outage.objects.select_for_update(no_key=True, skip_locked=True, of=("self",))
            .select_related("branch")
            .filter(pk=outage_id, status=OutageStatus.SCHEDULED, planned_start__gt=now)
            .first()
        )
        if outage is None:
            return 0  # somebody is at work on it; the next turn looks again
        if Notice.objects.filter(outage=outage, kind=kind, says_from=outage.planned_start).exists():
            return 0
        if not policies.is_wanted(outage=outage, message=kind):
            return 0
        notice_write(
            outage=outage, kind=kind, author=AUTHOR, says_from=outage.planned_start, says_until=outage.planned_end
        )
        return 1
