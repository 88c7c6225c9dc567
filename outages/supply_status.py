"""One answer: why is this customer off, and when will it be back? Word for word the same in every channel.

Everything that is true is collected, the strongest cause leads, and the *latest* time among the causes that
block supply is quoted, because power returns only when every cause has cleared (``domain.md`` 5.6).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection
from django.utils import timezone

from grid.models import ServicePoint
from outages import kinds
from outages.causes import (
    ASKED_ABOUT,
    RANK_CALLED_OFF,
    RANK_RESTORED,
    RANK_SAFETY,
    RANK_SUSPECTED,
    RANK_UNCONFIRMED,
    RANK_UPCOMING,
    RECENTLY_RESTORED,
    UPCOMING,
    Cause,
)
from outages.wording import Words, rounded_etr


@dataclass(frozen=True)
class Verdict:
    """The one answer about one service point at one instant."""

    service_point_id: int
    at: datetime
    time_zone: str
    causes: tuple[Cause, ...]  # all that may be shown to this reader, strongest first
    upcoming: tuple[Cause, ...]
    called_off: tuple[Cause, ...]  # announced for about now, and cancelled
    withheld: bool  # something true is not told before the caller is verified
    quote: datetime | None  # rounded, never past
    residual: Cause | None
    disagreement: bool
    sentence_zh: str
    sentence_en: str
    state: str  # off | suspected | restored | on | safety
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def lead(self) -> Cause | None:
        return self.causes[0] if self.causes else None

    @property
    def blocking(self) -> tuple[Cause, ...]:
        return tuple(cause for cause in self.causes if cause.blocks)

    def sentence(self, language: str) -> str:
        return self.sentence_zh if language.startswith("zh") else self.sentence_en


_CAUSES_SQL = """
SELECT asked.point, o.id, o.reference, o.kind, o.status, o.place, o.public_reason_zh, o.public_reason_en, o.started_at,
       o.planned_start, o.planned_end, lower(o.moved_from) AS was_begins, upper(o.moved_from) AS was_until,
       o.etr, o.etr_source, o.etr_confidence, o.etr_changes, o.etr_set_at, o.next_update_by,
       o.updated_at, o.customers_affected, b.name, b.name_en, i.off_since, i.off_until, i.is_off
FROM unnest(%(points)s::bigint[], %(elements)s::bigint[]) AS asked(point, element)
CROSS JOIN LATERAL (
    SELECT outage_id, max(lower(actual)) AS off_since, max(upper(actual)) AS off_until,
           bool_or(actual IS NOT NULL AND upper(actual) IS NULL) AS is_off
    FROM outages_interruption
    WHERE element_id = asked.element OR service_point_id = asked.point
    GROUP BY outage_id
) i
JOIN outages_outage o ON o.id = i.outage_id
JOIN grid_branch b ON b.id = o.branch_id
WHERE o.status IN ('suspected', 'scheduled', 'active', 'partially_restored')
   OR (o.status IN ('restored', 'closed') AND o.restored_at > %(at)s - interval '12 hours')
   OR (o.status = 'cancelled' AND o.is_public AND NOT o.is_void AND o.merged_into_id IS NULL
       AND ((o.planned_start <= %(at)s + %(asked_about)s AND o.planned_end > %(at)s)
            OR (lower(o.moved_from) <= %(at)s + %(asked_about)s AND upper(o.moved_from) > %(at)s)))
"""


def supply_status(service_point: ServicePoint, at: datetime | None = None, *, verified: bool = False) -> Verdict:
    """Why is this service point off, and when will it be back?

    ``verified`` says that the caller's identity is established; before that a debt is neither named nor hinted
    at: the answer then promises no time for these premises. One statement, and at most one by each kind.
    """
    return supply_statuses([service_point], at, verified=verified)[0]


def supply_statuses(
    service_points: Sequence[ServicePoint], at: datetime | None = None, *, verified: bool = False
) -> list[Verdict]:
    """The same for several premises of one caller, in as many statements as for one."""
    at = at or timezone.now()
    causes = _from_record(service_points, at)
    disagreeing: set[int] = set()
    for handler in kinds.all_handlers():
        asked = service_points
        if handler.contributes_to_its_own:
            asked = [point for point in asked if any(cause.kind == handler.kind for cause in causes[point.pk])]
        for point_id, contribution in (handler.contribute(asked, at) if asked else {}).items():
            causes[point_id].extend(contribution.causes)
            if contribution.disagreement:
                disagreeing.add(point_id)
    return [
        judge(point, causes[point.pk], at=at, verified=verified, disagreement=point.pk in disagreeing)
        for point in service_points
    ]


def _from_record(service_points: Sequence[ServicePoint], at: datetime) -> dict[int, list[Cause]]:
    asked: dict[str, Any] = {
        "points": [point.pk for point in service_points],
        "elements": [point.element_id for point in service_points],
        "at": at,
        "asked_about": ASKED_ABOUT,
    }
    found: dict[int, list[Cause]] = {point.pk: [] for point in service_points}
    with connection.cursor() as db:
        db.execute(_CAUSES_SQL, asked)
        names = [column.name for column in db.description]
        rows = [dict(zip(names, row, strict=True)) for row in db.fetchall()]
    for row in rows:
        cause = _cause(row, at)
        if cause is not None:
            found[row["point"]].append(cause)
    return found


def _cause(row: dict[str, Any], at: datetime) -> Cause | None:
    """What one outage means for this place now, if anything."""
    handler = kinds.handler_for(row["kind"])
    owner_zh, owner_en = row["name"], row["name_en"] or row["name"]
    facts: dict[str, Any] = {
        "kind": row["kind"],
        "outage_id": row["id"],
        "reference": row["reference"],
        "status": row["status"],
        "place": row["place"],
        "reason_zh": row["public_reason_zh"] or handler.reason_zh,
        "reason_en": row["public_reason_en"] or handler.reason_en,
        "next_update_by": row["next_update_by"],
        "etr_source": row["etr_source"],
        "etr_confidence": row["etr_confidence"],
        "etr_changes": row["etr_changes"],
        "known_at": row["etr_set_at"] or row["updated_at"],
        "owner": owner_zh,
        "owner_en": owner_en,
        "customers": row["customers_affected"],
    }
    if row["is_off"]:
        until = row["etr"] or row["planned_end"]
        return Cause(rank=handler.rank, blocks=True, since=row["off_since"], until=until, **facts)
    if row["off_until"] is not None:
        if at - row["off_until"] > RECENTLY_RESTORED:
            return None
        return Cause(rank=RANK_RESTORED, blocks=False, since=row["off_since"], until=row["off_until"], **facts)
    if row["status"] == "suspected":
        return Cause(rank=RANK_SUSPECTED, blocks=False, since=None, **facts)
    window = {"begins": row["planned_start"], "until": row["planned_end"]}
    if row["status"] == "cancelled":
        if not row["planned_start"] - ASKED_ABOUT <= at < row["planned_end"]:
            # whoever did not hear of the move still waits for the window before it
            window = {"begins": row["was_begins"], "until": row["was_until"]}
        return Cause(rank=RANK_CALLED_OFF, blocks=False, **window, **facts)
    if row["status"] != "scheduled" or at - row["planned_end"] > RECENTLY_RESTORED:
        return None
    if row["planned_end"] <= at:
        return Cause(rank=RANK_UNCONFIRMED, blocks=False, **window, **facts)
    was = {"was_begins": row["was_begins"], "was_until": row["was_until"]}
    ahead = Cause(rank=RANK_UPCOMING, blocks=False, **window, **was, **facts)
    return ahead if row["planned_start"] - at <= UPCOMING or ahead.has_moved(at) else None


def judge(
    service_point: ServicePoint, causes: list[Cause], *, at: datetime, verified: bool, disagreement: bool = False
) -> Verdict:
    """Weigh what is true. Pure: the twelve fixtures of ``domain.md`` 5.6 call it directly."""
    tz = ZoneInfo(service_point.branch.time_zone)
    withheld = not verified and any(_needs_an_agent(cause, at) for cause in causes)
    told = [cause for cause in causes if verified or cause.kind != "non_payment"]
    upcoming = sorted((c for c in told if c.rank == RANK_UPCOMING), key=lambda c: c.begins or at)
    called_off = sorted(
        (c for c in told if c.rank == RANK_CALLED_OFF and not _is_back(c, told)), key=lambda c: c.begins or at
    )
    current = sorted(
        (c for c in told if c.rank < RANK_UPCOMING),
        key=lambda c: (c.rank, -(c.since or at).timestamp(), c.reference),
    )
    # what was restored is only worth saying when nothing else is wrong
    if any(c.rank < RANK_RESTORED for c in current):
        current = [c for c in current if c.rank != RANK_RESTORED]
    else:
        current = current[:1]
    blocking = [c for c in current if c.blocks]
    quote = None if withheld else _quote(blocking, at, tz)
    lead = blocking[0] if blocking and current[0].blocks else (current[0] if current else None)
    residual = _residual(blocking, at)
    words = Words(
        at=at,
        tz=tz,
        quote=quote,
        withheld=withheld,
        residual=residual,
        doubted=next((c for c in current if c.rank == RANK_SUSPECTED), None),
        upcoming=upcoming,
        called_off=called_off,
    )
    return Verdict(
        service_point_id=service_point.pk,
        at=at,
        time_zone=service_point.branch.time_zone,
        causes=tuple(current),
        upcoming=tuple(upcoming),
        called_off=tuple(called_off),
        withheld=withheld,
        quote=quote,
        residual=residual,
        disagreement=disagreement,
        sentence_zh=words.zh(lead),
        sentence_en=words.en(lead),
        state=_state(lead, withheld),
    )


def _is_back(called_off: Cause, told: list[Cause]) -> bool:
    """Did the same come after all, in the time for which it was announced? Then only that is said."""
    same = [one for one in told if (one.kind, one.reason_zh) == (called_off.kind, called_off.reason_zh)]
    return any(_is_within(one, called_off) for one in same if one.rank != RANK_CALLED_OFF)


def _is_within(cause: Cause, window: Cause) -> bool:
    """What lies ahead lies there as a whole; what is off, or was, went off there, however long it takes."""
    begins = cause.since or cause.begins
    if begins is None or window.begins is None or window.until is None:
        return False
    ends = begins if cause.since is not None else cause.until
    return window.begins <= begins < window.until and ends is not None and ends <= window.until


def _needs_an_agent(cause: Cause, at: datetime) -> bool:
    """What nobody hears from a machine: an announced window that ended without a word, and a debt.

    Both get the same words and the same state, so neither can be told from the other.
    """
    if cause.kind == "non_payment" and (cause.blocks or cause.is_due(at)):
        return True
    return cause.rank == RANK_UNCONFIRMED


def _state(lead: Cause | None, withheld: bool) -> str:
    if lead is None:
        return "unknown" if withheld else "on"
    if lead.rank == RANK_SAFETY:
        return "safety"
    if lead.blocks:
        return "off"
    return "suspected" if lead.rank == RANK_SUSPECTED else "restored"


def _quote(blocking: list[Cause], at: datetime, tz: ZoneInfo) -> datetime | None:
    """The latest time of all that blocks supply, rounded for the ear; none if one of them is not known."""
    times = [cause.expected(at) for cause in blocking]
    if not times or any(time is None for time in times):
        return None
    return rounded_etr(max(time for time in times if time is not None), at, tz)


def _residual(blocking: list[Cause], at: datetime) -> Cause | None:
    """The cause that will remain longest when the leading one clears."""
    if len(blocking) < 2:
        return None
    lead_clears, last = blocking[0].expected(at), _clears_last(blocking[1:], at)
    clears = last.expected(at)
    return last if clears is None or lead_clears is None or clears > lead_clears else None


def _clears_last(causes: list[Cause], at: datetime) -> Cause:
    return max(causes, key=lambda cause: ((clears := cause.expected(at)) is None, clears or at))
