"""From a notice to the messages owed: set-based, in chunks that commit one by one, and resumable at any point.

Two unique keys decide who gets a row, under any concurrency: one message per notice, customer and channel, and one
per notice, channel and address. A repeated chunk inserts nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Final

from django.db import connection, transaction

from accounts.actor import Actor
from notifications import policies
from notifications.models import (
    ADDRESS_KEY,
    ANNOUNCES,
    SAYS_OFF,
    TAKES_BACK,
    TOLD_STATES,
    WAS_TOLD,
    Notice,
    NoticeChunk,
    NoticeKind,
    NoticeStatus,
    address_secret,
    with_states,
)
from outages.services import outage_notified
from standards.errors import DomainError

log = logging.getLogger(__name__)

CHUNK_CUSTOMERS: Final = 5_000
# a notice that waits for another is asked about again after so many chunks; a new and urgent one waits no longer
CHUNKS_BETWEEN_PLANS: Final = 10
# a chunk starts when its predecessors should have gone out, so that a small notice does not wait behind a large one
STAGGER_AFTER: Final = 20_000


def fan_out(*, max_steps: int = 1_000) -> int:
    """Write down every message that notices still owe. Returns the number of messages written."""
    written = until_planning = 0
    for _step in range(max_steps):
        if not until_planning and _plan_one():
            continue
        was_asked = not until_planning
        until_planning = (until_planning or CHUNKS_BETWEEN_PLANS) - 1
        chunk = _chunk_one()
        if chunk is not None:
            written += chunk
        elif _finish_all() or not was_asked:
            until_planning = 0
        else:
            break
    _announced_record()
    return written


# --- the audience -----------------------------------------------------------------------------------

# the outage and those merged into it: whoever was told about one of them was told
_FAMILY: Final = """
family AS (
    WITH RECURSIVE f AS (
        SELECT %(outage)s::bigint AS id
        UNION SELECT o.id FROM outages_outage o JOIN f ON o.merged_into_id = f.id
    ) SELECT id FROM f
)"""

# what each customer was told last, by channel
_LAST_TOLD: Final = with_states(
    """
last_told AS (
    SELECT DISTINCT ON (d.customer_id, d.channel)
           d.customer_id, d.channel, d.branch_id, d.service_point_id, d.address_key, d.lane, n.kind, n.says_from,
           n.says_until
    FROM notifications_notice n
    JOIN notifications_delivery d ON d.day = n.day AND d.notice_id = n.id
    WHERE n.outage_id IN (SELECT id FROM family) AND n.id < %(notice)s
      AND {which} AND {was_told}
    ORDER BY d.customer_id, d.channel, d.notice_id DESC
)""",
    was_told=WAS_TOLD,
)


def _last_told(*, of: str = "") -> str:
    return _LAST_TOLD.format(
        which=f"d.customer_id IN (SELECT customer_id FROM {of})" if of else "d.customer_id BETWEEN %(lo)s AND %(hi)s"  # noqa: S608
    )


# which rows of the outage a notice speaks of
_OFF: Final = "i.actual IS NOT NULL AND upper(i.actual) IS NULL"
_AHEAD: Final = "i.planned IS NOT NULL AND i.actual IS NULL"

# each of those (customer, branch, service point, letter) at each address they gave; whoever asked for nothing keeps a
# row that says so
AUDIENCE: Final = with_states(
    """
SELECT c.id AS customer_id, s.branch_id, s.id AS service_point_id,
       CASE p.kind WHEN 'phone' THEN 'sms' ELSE 'email' END AS channel,
       CASE WHEN c.importance = 'life_support' THEN :LIFE_SUPPORT ELSE %(lane)s END AS lane,
       {address_key} AS address_key,
       p.opted_out, p.is_preferred, p.id AS contact_id, s.letter_id
FROM ({those}) s
JOIN grid_customer c ON c.id = s.customer_id
JOIN grid_contactpoint p ON p.customer_id = c.id
""",
    address_key=ADDRESS_KEY,
)
_AT_PLACES: Final = """
SELECT s.customer_id, s.branch_id, s.id, NULL::bigint AS letter_id
FROM outages_interruption i JOIN grid_servicepoint s ON s.element_id = i.element_id
WHERE i.outage_id = %(outage)s AND i.id BETWEEN %(lo)s AND %(hi)s AND {rows}
UNION ALL
SELECT s.customer_id, s.branch_id, s.id, NULL
FROM outages_interruption i JOIN grid_servicepoint s ON s.id = i.service_point_id
WHERE i.outage_id = %(outage)s AND i.id BETWEEN %(lo)s AND %(hi)s AND {rows}
"""

# of those who were told that they are off or will be, whoever this notice is about: a move concerns whoever was told
# another window; "it is back" would be false while another outage, or another place of theirs, keeps them off
_TOLD_AUDIENCE: Final = with_states("""
SELECT customer_id, branch_id, service_point_id, channel,
       CASE WHEN lane = :LIFE_SUPPORT THEN lane ELSE %(lane)s END AS lane, address_key,
       false AS opted_out, true AS is_preferred, 0 AS contact_id, NULL::bigint AS letter_id
FROM last_told t
WHERE t.kind = ANY(%(holds)s)
  AND (%(kind)s <> 'moved' OR (t.says_from, t.says_until)
       IS DISTINCT FROM (%(says_from)s::timestamptz, %(says_until)s::timestamptz))
  AND (%(kind)s IN ('moved', 'cancelled') OR NOT EXISTS (
        SELECT FROM grid_servicepoint s WHERE s.customer_id = t.customer_id
        AND (EXISTS (SELECT FROM outages_interruption i WHERE i.element_id = s.element_id
                     AND i.outage_id = ANY(ARRAY(SELECT id FROM family)) OFFSET 0)
             OR EXISTS (SELECT FROM outages_interruption i WHERE i.service_point_id = s.id
                        AND i.outage_id = ANY(ARRAY(SELECT id FROM family)) OFFSET 0))
        AND (EXISTS (SELECT FROM outages_interruption i WHERE i.element_id = s.element_id
                     AND i.actual IS NOT NULL AND upper(i.actual) IS NULL OFFSET 0)
             OR EXISTS (SELECT FROM outages_interruption i WHERE i.service_point_id = s.id
                        AND i.actual IS NOT NULL AND upper(i.actual) IS NULL OFFSET 0))))
""")

_INSERT: Final = with_states("""
hours AS MATERIALIZED ( -- asked once a branch, not once a message
    SELECT id, soonest, notifications_may_ring(send_from, send_until, time_zone, soonest) AS may_ring
    FROM grid_branch, (SELECT greatest(now(), %(not_before)s::timestamptz) + %(stagger)s * interval '1 s') s(soonest)
), owed AS (
    INSERT INTO notifications_delivery (day, notice_id, customer_id, branch_id, service_point_id, letter_id, channel,
                                        lane, address_key, state, error_code, not_before, done_at)
    SELECT %(day)s, %(notice)s, a.customer_id, a.branch_id, a.service_point_id, a.letter_id, a.channel,
           a.lane, a.address_key,
           CASE WHEN a.opted_out AND NOT %(mandatory)s THEN :SUPPRESSED ELSE :PENDING END,
           CASE WHEN a.opted_out AND NOT %(mandatory)s THEN 'opted_out' ELSE '' END,
           CASE WHEN a.channel = 'sms' AND NOT %(quiet_exempt)s
                     AND (a.lane <> :LIFE_SUPPORT OR a.letter_id IS NOT NULL)
                THEN h.may_ring ELSE h.soonest END,
           CASE WHEN a.opted_out AND NOT %(mandatory)s THEN now() END
    FROM audience a JOIN hours h ON h.id = a.branch_id
    WHERE true {more}
    ORDER BY a.opted_out, a.is_preferred DESC, a.contact_id, a.customer_id
    ON CONFLICT DO NOTHING
    RETURNING customer_id, channel
), merged AS (
    -- whoever shares an address that is written to already, unless each has words of their own; a row of an earlier
    -- chunk keeps its place by its key
    INSERT INTO notifications_delivery (day, notice_id, customer_id, branch_id, service_point_id, channel, lane,
                                        address_key, state, done_at)
    SELECT %(day)s, %(notice)s, a.customer_id, a.branch_id, a.service_point_id, a.channel, a.lane, a.address_key,
           :MERGED, now()
    FROM audience a
    WHERE a.letter_id IS NULL {more}
      AND NOT EXISTS (SELECT FROM owed o WHERE o.customer_id = a.customer_id AND o.channel = a.channel)
    ON CONFLICT DO NOTHING
    RETURNING 1
)
SELECT (SELECT count(*) FROM owed) + (SELECT count(*) FROM merged)
""")

# a second or later notice of "it is off" (the outage grew, or came again) skips whoever heard just that
_NOT_HEARD: Final = """
AND NOT EXISTS (
    SELECT FROM last_told t WHERE t.customer_id = a.customer_id AND t.channel = a.channel AND t.kind = ANY(%(heard)s)
      AND (t.says_until IS NOT DISTINCT FROM %(says_until)s::timestamptz
           OR t.says_until BETWEEN %(says_until)s::timestamptz - %(slack)s AND %(says_until)s::timestamptz + %(slack)s))
"""

# a second or later announcement (the outage grew, or moved) skips whoever has a message about this very window, on any
# channel: the one that takes back the old window, the first announcement, or one heard before it moved to and fro
_NOT_ANNOUNCED: Final = f"""
AND NOT EXISTS (
    SELECT FROM notifications_notice n
    JOIN notifications_delivery d ON d.day = n.day AND d.notice_id = n.id AND d.customer_id = a.customer_id
    WHERE n.outage_id = %(outage)s AND n.id < %(notice)s AND n.kind = ANY(%(announces)s)
      AND n.says_from = %(says_from)s AND n.says_until = %(says_until)s
      AND (n.status <> 'superseded' OR {WAS_TOLD}))
"""


def _insert(notice: Notice, *, lo: int, hi: int, stagger: float = 0.0) -> int:
    """The rows of one chunk: what is owed, and beside it who shares an address with somebody who is written to."""
    facts = {**facts_of(notice), "lo": lo, "hi": hi, "stagger": stagger}
    more = ""
    if notice.kind in TAKES_BACK:
        parts = [_FAMILY, _last_told(), f"audience AS MATERIALIZED ({_TOLD_AUDIENCE})"]
    else:
        parts = [f"audience AS MATERIALIZED ({with_states(AUDIENCE, those=_AT_PLACES, rows=_rows(notice))})"]
    if notice.kind == NoticeKind.NEW:
        facts["heard"] = _heard(notice)
        if notice.generation > 1 or NoticeKind.ANNOUNCED in facts["heard"]:
            parts, more = [_FAMILY, *parts, _last_told(of="audience")], _NOT_HEARD
    elif notice.kind == NoticeKind.ANNOUNCED and notice.generation > 1:
        more = _NOT_ANNOUNCED
    return messages_owe(parts=parts, facts=facts, more=more)


def messages_owe(*, parts: Sequence[str], facts: dict[str, Any], more: str = "") -> int:
    """Write down what is owed to the ``audience`` that these queries name. Returns the number of messages."""
    with connection.cursor() as db:
        db.execute(f"WITH {', '.join(parts)}, {_INSERT.format(more=more)}", facts)
        return int(db.fetchone()[0])


def _rows(notice: Notice) -> str:
    return _AHEAD if notice.kind in ANNOUNCES else _OFF


def _heard(notice: Notice) -> list[str]:
    """What says as much as "it is off": the announcement alone, where the start itself is not told."""
    outage = notice.outage
    is_planned = outage is not None and outage.planned_start is not None
    is_start_told = not is_planned or outage is None or policies.is_wanted(outage=outage, message="started")
    return [str(kind) for kind in (SAYS_OFF if is_start_told else (*ANNOUNCES, *SAYS_OFF))]


def facts_of(notice: Notice) -> dict[str, Any]:
    """What the queries about a notice ask for."""
    return {
        "notice": notice.pk,
        "outage": notice.outage_id,
        "day": notice.day,
        "kind": str(notice.kind),
        "lane": notice.lane,
        "mandatory": notice.mandatory,
        "quiet_exempt": notice.quiet_exempt,
        "says_from": notice.says_from,
        "says_until": notice.says_until,
        "slack": notice.slack,
        "not_before": None,
        "stagger": 0.0,
        "key": address_secret(),
        "told": [int(state) for state in TOLD_STATES],
        "announces": [str(kind) for kind in ANNOUNCES],
        # having been told which of these, somebody waits for what takes it back
        "holds": [str(kind) for kind in (ANNOUNCES if notice.kind == NoticeKind.MOVED else (*ANNOUNCES, *SAYS_OFF))],
    }


# --- the steps --------------------------------------------------------------------------------------

# what is stopped is written down like the rest, and waits at the gate: going on must find whom it was for
_OWING: Final = (NoticeStatus.SENDING, NoticeStatus.PAUSED)

_PLAN_PLACES: Final = """
INSERT INTO notifications_noticechunk (notice_id, lo, hi, is_done)
SELECT %(notice)s, min(id), max(id), false FROM (
    SELECT id, (sum(customers) OVER (ORDER BY id) - customers) / %(size)s AS piece FROM outages_interruption i
    WHERE outage_id = %(outage)s AND {rows}
) i GROUP BY piece ON CONFLICT DO NOTHING
"""
_PLAN_TOLD: Final = with_states(
    """
INSERT INTO notifications_noticechunk (notice_id, lo, hi, is_done)
SELECT %(notice)s, min(customer_id), max(customer_id), false FROM (
    SELECT customer_id, (row_number() OVER (ORDER BY customer_id) - 1) / %(size)s AS piece FROM (
        WITH {family}
        SELECT DISTINCT d.customer_id FROM notifications_notice n
        JOIN notifications_delivery d ON d.day = n.day AND d.notice_id = n.id
        WHERE n.outage_id IN (SELECT id FROM family) AND n.id < %(notice)s
          AND (d.state = ANY(%(told)s) OR d.state = :MERGED)
    ) told
) numbered GROUP BY piece ON CONFLICT DO NOTHING
""",
    family=_FAMILY,
)

# somebody holds a message of an earlier notice and may be past the last look at whether it is true: whether that
# customer was told is known in a moment
_IN_HAND: Final = with_states("""
SELECT EXISTS (
    SELECT FROM notifications_delivery d JOIN notifications_notice n ON n.id = d.notice_id
    WHERE d.state = :LEASED AND d.lease_until > now() AND n.origin = %(origin)s AND n.id < %(notice)s)
""")
# who is told that it moved is known once that notice has all its messages
_UNPLANNED: Final = """
SELECT EXISTS (
    SELECT FROM notifications_notice WHERE origin = %(origin)s AND id < %(notice)s AND kind = ANY(%(announces)s)
      AND status IN ('sending', 'paused') AND planned_count IS NULL)
"""


def _plan_one() -> bool:
    """Cut one notice into chunks. A notice that is no longer to be said is not planned."""
    with transaction.atomic():
        candidates = (
            Notice.objects.select_for_update(skip_locked=True, no_key=True, of=("self",))
            .filter(planned_count__isnull=True, status__in=_OWING, chunks__isnull=True)
            .order_by("lane", "pk")[:20]
        )
        for notice in candidates:
            facts = {**facts_of(notice), "size": CHUNK_CUSTOMERS, "origin": notice.origin}
            plan = _PLAN_TOLD if notice.kind in TAKES_BACK else with_states(_PLAN_PLACES, rows=_rows(notice))
            with connection.cursor() as db:
                if any(_answers(db, question, facts) for question in _waits_for(notice)):
                    continue
                db.execute(plan, facts)
                # nothing to add is nobody to tell, unless another planner has just cut this very notice
                if db.rowcount == 0 and not notice.chunks.exists():
                    notice.planned_count = 0
                    notice.save(update_fields=["planned_count"])
            return True
        return False


def _waits_for(notice: Notice) -> tuple[str, ...]:
    """What must be settled before it is known who hears this."""
    if notice.kind in TAKES_BACK:
        return (_IN_HAND,)
    return (_IN_HAND, _UNPLANNED) if notice.kind == NoticeKind.ANNOUNCED and notice.generation > 1 else ()


def _answers(db: Any, question: str, facts: dict[str, Any]) -> bool:
    db.execute(question, facts)
    return bool(db.fetchone()[0])


def _chunk_one() -> int | None:
    """Write the messages of one chunk; ``None`` when no chunk is waiting."""
    with transaction.atomic():
        chunk = (
            NoticeChunk.objects.select_for_update(skip_locked=True, of=("self",))
            .select_related("notice")
            .filter(is_done=False)
            .order_by("notice__lane", "notice_id", "lo")
            .first()
        )
        if chunk is None:
            return None
        notice, written = chunk.notice, 0
        if notice.status in _OWING:
            written = _insert(notice, lo=chunk.lo, hi=chunk.hi, stagger=_stagger(chunk))
        chunk.is_done = True
        chunk.save(update_fields=["is_done"])
        return written


def _stagger(chunk: NoticeChunk) -> float:
    """Seconds that a late chunk of a large notice waits: as long as its predecessors take."""
    before = NoticeChunk.objects.filter(notice_id=chunk.notice_id, lo__lt=chunk.lo).count() * CHUNK_CUSTOMERS
    if before < STAGGER_AFTER:
        return 0.0
    with connection.cursor() as db:
        db.execute("SELECT coalesce(max(rate), 50) FROM notifications_provideraccount")
        return float((before - STAGGER_AFTER) / max(db.fetchone()[0], 1.0))


def _finish_all() -> int:
    """Count what is owed of every notice whose chunks are in. Returns how many there were."""
    finished = 0
    while _finish_one():
        finished += 1
    return finished


def _finish_one() -> bool:
    """All chunks are in: count what is owed."""
    with transaction.atomic():
        notice = (
            Notice.objects.select_for_update(skip_locked=True, no_key=True, of=("self",))
            .filter(planned_count__isnull=True)
            .exclude(status__in=_OWING, chunks__isnull=True)
            .exclude(pk__in=NoticeChunk.objects.filter(is_done=False).values("notice"))
            .order_by("pk")
            .first()
        )
        if notice is None:
            return False
        with connection.cursor() as db:
            db.execute(
                "SELECT count(*) FROM notifications_delivery WHERE day = %s AND notice_id = %s", [notice.day, notice.pk]
            )
            notice.planned_count = db.fetchone()[0]
        notice.save(update_fields=["planned_count"])
        return True


# --- the record learns of it ------------------------------------------------------------------------

_UNRECORDED: Final = """
SELECT DISTINCT n.outage_id FROM notifications_notice n JOIN outages_outage o ON o.id = n.outage_id
WHERE n.kind = 'announced' AND n.status = 'sending' AND n.planned_count IS NOT NULL AND n.expires_at > now()
  AND o.status = 'scheduled' AND o.planned_start = n.says_from
  AND NOT EXISTS (SELECT FROM outages_outageevent e
                  WHERE e.outage_id = n.outage_id AND e.verb = 'notify' AND e.id > n.event_id)
"""


def _announced_record() -> None:
    """Tell the record of every announcement that is planned to its last message; a crash leaves it to the next turn."""
    with connection.cursor() as db:
        db.execute(_UNRECORDED)
        owed = [row[0] for row in db.fetchall()]
    for outage_id in owed:
        try:
            outage_notified(outage_id=outage_id, actor=Actor.system("notifications"))
        except DomainError as refused:  # it has begun or was called off meanwhile, or its kind says no
            log.warning("notifications: outage %s is announced, and its record refuses it: %s", outage_id, refused.code)
