"""One pass of a sender: claim, put into words, last gate, provider, outcome; and the sweep behind all senders.

Every step is one short transaction, and the provider is called outside of any. A row that is LEASED was provably not
sent; only SENDING is in doubt after a crash. Whoever writes an outcome must still hold the row's token. All times are
the database's, so that a sender whose clock is wrong does no harm (``reliability.md`` 3.3 to 3.8).
"""

from __future__ import annotations

import logging
import random
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final

from django.db import OperationalError, connection, transaction

from notifications import channels, texts
from notifications.models import (
    ANNOUNCES,
    TOLD_STATES,
    WAS_TOLD,
    Channel,
    DeliveryState,
    NoticeKind,
    Policy,
    with_states,
)
from outages.models import SystemState

log = logging.getLogger(__name__)

LEASE_S: Final = 60
CLAIM: Final = 100
AT_THE_GATE: Final = 10  # so many may be in doubt after a crash
SWEEP: Final = 1_000
RECEIPT_WAIT: Final = "15 minutes"
ACCOUNT_PAUSE: Final = "60 seconds"

# seconds to wait after a provably unsent try, each spread over its whole length
BACKOFF: Final = (5, 30, 120, 600, 1800)

# lanes in turns 8:4:4:2:1:1, spread out, so that the last one still moves
TURNS: Final = (0, 1, 0, 2, 0, 3, 0, 1, 2, 0, 4, 0, 1, 2, 0, 3, 0, 1, 2, 5)

Key = tuple[date, int]


@dataclass
class Tally:
    """What a pass did: how many rows ended in which way."""

    claimed: int = 0
    ended: Counter[str] = field(default_factory=Counter)

    def as_dict(self) -> dict[str, int]:
        return {"claimed": self.claimed, **self.ended}


@dataclass(frozen=True)
class Claim:
    token: uuid.UUID
    keys: tuple[Key, ...]


@dataclass(frozen=True)
class Rendered:
    key: Key
    message: channels.Message


def channel_send(*, channel: str, batches: int = 100) -> Tally:
    """Send what is due on one channel, lane by lane in turns, until nothing is left or the rate is used up."""
    tally = Tally()
    idle: set[int] = set()
    for turn in range(batches):
        lane = TURNS[turn % len(TURNS)]
        if lane in idle:
            continue
        result = batch_send(channel=channel, lane=lane)
        tally.claimed += result.claimed
        tally.ended += result.ended
        if not result.claimed:
            idle.add(lane)
        if len(idle) == len(set(TURNS)):
            break
    return tally


def batch_send(*, channel: str, lane: int) -> Tally:
    """Send one batch of one lane."""
    tally = Tally()
    sender = channels.sender_for(channel)
    if sender is None:
        return tally
    claim = deliveries_claim(channel=channel, lane=lane, account=sender.account, rate=sender.rate)
    if claim is None:
        return tally
    tally.claimed = len(claim.keys)
    ready, poisoned = render(claim.keys)
    tally.ended["render"] += _poison(claim.token, poisoned)
    for start in range(0, len(ready), AT_THE_GATE):
        part = ready[start : start + AT_THE_GATE]
        passed = gate(token=claim.token, keys=[item.key for item in part], account=sender.account)
        through = [item for item in part if item.key in passed]
        tally.ended["refused"] += len(part) - len(through)
        if not through:
            continue
        outcomes = sender.send([item.message for item in through])
        kept = outcomes_write(
            token=claim.token, account=sender.account,
            outcomes=[(item.key, outcome) for item, outcome in zip(through, outcomes, strict=True)],
        )  # fmt: skip
        tally.ended.update(outcome.result for outcome in outcomes)
        tally.ended["lease_conflict"] += len(through) - kept
        if any(outcome.result == "account" for outcome in outcomes):
            break  # the circuit is open: what we still hold goes back when its lease ends
    if tally.ended["lease_conflict"]:
        log.warning("notifications: %s outcomes came after their lease", tally.ended["lease_conflict"])
    tally.ended = +tally.ended
    return tally


# --- claim ------------------------------------------------------------------------------------------

# the rate is halved after a provider asked us to slow down; an open circuit grants nothing
_TAKE_TOKENS: Final = """
UPDATE notifications_ratebucket b
SET tokens = least(a.burst, b.tokens + greatest(extract(epoch FROM now() - b.refilled_at), 0)
                   * a.rate * CASE WHEN b.slowed_until > now() THEN 0.5 ELSE 1 END),
    refilled_at = greatest(now(), b.refilled_at)
FROM notifications_provideraccount a
WHERE a.name = b.account_id AND a.name = %s AND (a.circuit_open_until IS NULL OR a.circuit_open_until <= now())
RETURNING floor(b.tokens)::int
"""

_CLAIM: Final = with_states("""
WITH c AS (
    SELECT day, id FROM notifications_delivery
    WHERE channel = %(channel)s AND lane = %(lane)s AND state = :PENDING AND not_before <= now()
    ORDER BY not_before, id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
UPDATE notifications_delivery d
SET state = :LEASED, lease_token = %(token)s, lease_until = now() + %(lease)s * interval '1 s', account = %(account)s
FROM c WHERE d.day = c.day AND d.id = c.id RETURNING d.day, d.id
""")


def deliveries_claim(*, channel: str, lane: int, account: str, rate: float = 50.0, limit: int = CLAIM) -> Claim | None:
    """Take up to ``limit`` due messages for us alone, no more than the account's rate allows."""
    token = uuid.uuid4()
    with transaction.atomic(), connection.cursor() as db:
        if not _has_due(db, channel, lane):
            return None
        granted = min(_granted(db, account, channel, rate), limit)
        if granted < 1:
            return None
        db.execute(
            _CLAIM,
            {"channel": channel, "lane": lane, "limit": granted, "token": token, "lease": LEASE_S, "account": account},
        )
        keys = tuple((day, number) for day, number in db.fetchall())
        if keys:
            db.execute(
                "UPDATE notifications_ratebucket SET tokens = tokens - %s WHERE account_id = %s", [len(keys), account]
            )
    return Claim(token, keys) if keys else None


def _has_due(db: Any, channel: str, lane: int) -> bool:
    """An idle lane costs one look at an index and no write."""
    db.execute(
        with_states(
            "SELECT EXISTS (SELECT FROM notifications_delivery"
            " WHERE channel = %s AND lane = %s AND state = :PENDING AND not_before <= now())"
        ),
        [channel, lane],
    )
    return bool(db.fetchone()[0])


def _granted(db: Any, account: str, channel: str, rate: float) -> int:
    """How many messages the account may send now; the first use of an account writes its rows."""
    db.execute(_TAKE_TOKENS, [account])
    row = db.fetchone()
    if row is not None:
        return int(row[0])
    db.execute("SELECT EXISTS (SELECT FROM notifications_ratebucket WHERE account_id = %s)", [account])
    if db.fetchone()[0]:
        return 0
    db.execute(
        "INSERT INTO notifications_provideraccount (name, channel, rate, burst, circuit_reason)"
        " VALUES (%s, %s, %s, %s, '') ON CONFLICT DO NOTHING",
        [account, channel, rate, 4 * rate],
    )
    db.execute(
        "INSERT INTO notifications_ratebucket (account_id, tokens) VALUES (%s, %s) ON CONFLICT DO NOTHING",
        [account, 4 * rate],
    )
    db.execute(_TAKE_TOKENS, [account])
    row = db.fetchone()
    return int(row[0]) if row else 0


# --- words ------------------------------------------------------------------------------------------

# whoever was told a window hears that very one taken back, wherever the outage has moved in between
_RENDER: Final = with_states(
    """
SELECT owed.day, owed.id, owed.channel, n.id, n.kind, n.says_from, n.says_until, n.mandatory,
       coalesce(l.language, c.language),
       o.kind, o.reference, o.place, o.public_reason_zh, o.public_reason_en, o.next_update_by,
       coalesce(o.etr_set_at, o.updated_at), b.name, b.name_en, b.phone, b.time_zone, p.value, p.opted_out, back.at,
       now(), was.says_from, was.says_until, l.subject, l.text
FROM unnest(%(days)s::date[], %(ids)s::bigint[]) k(day, id)
JOIN notifications_delivery owed ON owed.day = k.day AND owed.id = k.id AND owed.day = ANY(%(days)s::date[])
JOIN notifications_notice n ON n.id = owed.notice_id
JOIN grid_customer c ON c.id = owed.customer_id
JOIN grid_branch b ON b.id = owed.branch_id
LEFT JOIN outages_outage o ON o.id = n.outage_id
LEFT JOIN notifications_letter l ON l.id = owed.letter_id
LEFT JOIN LATERAL (
    SELECT p.value, p.opted_out FROM grid_contactpoint p
    WHERE p.customer_id = c.id AND p.kind = CASE owed.channel WHEN 'sms' THEN 'phone' ELSE 'email' END
    ORDER BY p.opted_out, p.is_preferred DESC, p.id LIMIT 1
) p ON true
LEFT JOIN LATERAL (
    SELECT max(greatest(
        (SELECT max(upper(i.actual)) FROM outages_interruption i
         WHERE i.element_id = s.element_id AND i.outage_id = n.outage_id),
        (SELECT max(upper(i.actual)) FROM outages_interruption i
         WHERE i.service_point_id = s.id AND i.outage_id = n.outage_id))) AS at
    FROM grid_servicepoint s WHERE n.kind = ANY(%(back)s) AND s.customer_id = c.id
) back ON true
LEFT JOIN LATERAL (
    SELECT m.says_from, m.says_until FROM notifications_notice m
    JOIN notifications_delivery d ON d.day = m.day AND d.notice_id = m.id
    WHERE n.kind = ANY(%(withdraws)s) AND m.outage_id = n.outage_id AND m.id < n.id AND m.kind = ANY(%(announces)s)
      AND d.customer_id = c.id AND d.channel = owed.channel AND {was_told}
    ORDER BY m.id DESC LIMIT 1
) was ON true
ORDER BY owed.id
""",
    was_told=WAS_TOLD,
)


def render(keys: Sequence[Key]) -> tuple[list[Rendered], list[tuple[Key, str]]]:
    """Put messages into words, outside any transaction: (ready, [(key, why it cannot be said)])."""
    epoch = SystemState.objects.values_list("epoch", flat=True).get(pk=1)
    ready: list[Rendered] = []
    poisoned: list[tuple[Key, str]] = []
    said: dict[tuple[Any, ...], texts.Words] = {}
    with connection.cursor() as db:
        db.execute(
            _RENDER,
            {
                "days": [day for day, _number in keys],
                "ids": [number for _day, number in keys],
                "back": [NoticeKind.RESTORED.value, NoticeKind.PARTLY_RESTORED.value],
                "withdraws": [NoticeKind.MOVED.value, NoticeKind.CANCELLED.value],
                "announces": [str(kind) for kind in ANNOUNCES],
                "told": [int(state) for state in TOLD_STATES],
            },
        )
        rows = db.fetchall()
    for row in rows:
        key: Key = (row[0], row[1])
        channel, mandatory, language, address, opted_out = row[2], row[7], row[8], row[20], row[21]
        if not address:
            poisoned.append((key, "no_address"))
            continue
        if opted_out and not mandatory:
            poisoned.append((key, "opted_out"))
            continue
        try:
            words = _words(row, said)
        except texts.RenderError as broken:
            poisoned.append((key, f"render_{broken}"[:64]))
            continue
        ready.append(
            Rendered(
                key,
                channels.Message(
                    client_ref=f"{epoch}-{key[1]}",
                    to=address,
                    subject=words.subject,
                    text=words.text,
                    letter=words.letter if channel == Channel.EMAIL else "",
                    language="zh" if language.startswith("zh") else "en",
                ),
            )
        )
    return ready, poisoned


def _words(row: Sequence[Any], said: dict[tuple[Any, ...], texts.Words]) -> texts.Words:
    """A letter's own words, or those of the notice, put together once for all of a batch to whom they are the same."""
    if row[27] is not None:
        return texts.enclose(subject=row[26], text=row[27], language=row[8], branch=_branch(row))
    facts = _facts(row)
    same = (row[3], facts.language[:2], facts.branch, facts.restored_at, facts.was_from, facts.was_until)
    return said[same] if same in said else said.setdefault(same, texts.compose(facts))


def _facts(row: Sequence[Any]) -> texts.Facts:
    back: datetime | None = row[22]
    since, until, was_from, was_until = row[5], row[6], row[24], row[25]
    if row[4] == NoticeKind.CANCELLED and since is not None and was_from is not None:
        since, until = was_from, was_until  # a move in between may not have reached everybody
    return texts.Facts(
        kind=row[4],
        language=row[8],
        at=row[23],
        time_zone=row[19],
        outage_kind=row[9],
        reference=row[10],
        place=row[11],
        reason_zh=row[12],
        reason_en=row[13],
        since=since,
        until=until,
        next_update_by=row[14],
        known_at=row[15],
        restored_at=back or row[5],
        was_from=was_from,
        was_until=was_until,
        branch=_branch(row),
        phone=row[18],
    )


def _branch(row: Sequence[Any]) -> str:
    """Whoever signs, in the language of the message."""
    name: str = row[16] if row[8].startswith("zh") else row[17] or row[16]
    return name


_POISON: Final = with_states("""
UPDATE notifications_delivery d
SET state = CASE WHEN k.code = 'opted_out' THEN :SUPPRESSED ELSE :FAILED END, error_code = k.code,
    lease_token = NULL, lease_until = NULL, done_at = now()
FROM unnest(%(days)s::date[], %(ids)s::bigint[], %(codes)s::text[]) k(day, id, code)
WHERE d.day = k.day AND d.id = k.id AND d.day = ANY(%(days)s::date[])
  AND d.state = :LEASED AND d.lease_token = %(token)s
""")


def _poison(token: uuid.UUID, poisoned: Sequence[tuple[Key, str]]) -> int:
    """What cannot be said fails alone; the lane goes on."""
    if not poisoned:
        return 0
    with transaction.atomic(), connection.cursor() as db:
        db.execute(
            _POISON,
            {
                "days": [key[0] for key, _code in poisoned],
                "ids": [key[1] for key, _code in poisoned],
                "codes": [code for _key, code in poisoned],
                "token": token,
            },
        )
    log.warning("notifications: %s messages cannot be put into words: %s", len(poisoned), poisoned[0][1])
    return len(poisoned)


# --- gate -------------------------------------------------------------------------------------------

# is it still off (or back) for this customer: by the places the outage has now, whatever rows it had when the message
# was written down; and not "back" while something else keeps one of these places off
# (each place is looked up by its own index: one join over "element or service point" would walk whole tables, and
# OFFSET 0 keeps the planner from reading every open row of the country into a hash, once per message)
_STILL_OFF: Final = """
EXISTS (
    SELECT FROM grid_servicepoint s WHERE s.customer_id = d.customer_id AND (
        EXISTS (SELECT FROM outages_interruption i WHERE i.element_id = s.element_id AND i.outage_id = n.outage_id
                AND i.actual IS NOT NULL AND upper(i.actual) IS NULL OFFSET 0)
        OR EXISTS (SELECT FROM outages_interruption i WHERE i.service_point_id = s.id AND i.outage_id = n.outage_id
                   AND i.actual IS NOT NULL AND upper(i.actual) IS NULL OFFSET 0)))
"""
_OFF_ANYHOW: Final = """
EXISTS (
    SELECT FROM grid_servicepoint s WHERE s.customer_id = d.customer_id
    AND (EXISTS (SELECT FROM outages_interruption i WHERE i.element_id = s.element_id
                 AND i.outage_id = n.outage_id OFFSET 0)
         OR EXISTS (SELECT FROM outages_interruption i WHERE i.service_point_id = s.id
                    AND i.outage_id = n.outage_id OFFSET 0))
    AND (EXISTS (SELECT FROM outages_interruption i WHERE i.element_id = s.element_id
                 AND i.actual IS NOT NULL AND upper(i.actual) IS NULL OFFSET 0)
         OR EXISTS (SELECT FROM outages_interruption i WHERE i.service_point_id = s.id
                    AND i.actual IS NOT NULL AND upper(i.actual) IS NULL OFFSET 0)))
"""
# a message without a letter looks at no letter
_LETTER_STANDS: Final = """
(d.letter_id IS NULL OR EXISTS (
    SELECT FROM notifications_letter l WHERE l.id = d.letter_id AND l.withdrawn_at IS NULL OFFSET 0))
"""
_TRUE_FOR_THEM: Final = (
    f"(NOT n.needs_off OR {_STILL_OFF}) AND (NOT n.needs_on OR NOT {_OFF_ANYHOW}) AND {_LETTER_STANDS}"
)
# a life hangs on the outage, never on a letter
_MAY_RING: Final = with_states("""
(n.quiet_exempt OR d.channel = 'email' OR d.lane = :LIFE_SUPPORT AND d.letter_id IS NULL
 OR notifications_may_ring(b.send_from, b.send_until, b.time_zone, now()) = now())
""")
_UNWANTED: Final = """
EXISTS (SELECT FROM notifications_suppression x WHERE x.address_key = d.address_key AND x.channel = d.channel
        AND (x.until IS NULL OR x.until > now()) AND NOT (n.mandatory AND x.reason = 'opt_out'))
"""

_GATE: Final = with_states(
    """
WITH g AS (
    UPDATE notifications_delivery d
    SET state = :SENDING, attempts = d.attempts + 1, lease_until = now() + %(lease)s * interval '1 s'
    FROM unnest(%(days)s::date[], %(ids)s::bigint[]) k(day, id), grid_branch b, notice_sendable n
    WHERE d.day = k.day AND d.id = k.id AND d.day = ANY(%(days)s::date[])
      AND d.state = :LEASED AND d.lease_token = %(token)s AND d.lease_until > now()
      AND n.id = d.notice_id AND b.id = d.branch_id
      AND {true} AND {may_ring} AND NOT {unwanted}
    RETURNING d.day, d.id
), a AS (
    INSERT INTO notifications_attempt (day, token, account, delivery_ids)
    SELECT day, %(token)s, %(account)s, ARRAY[id] FROM g RETURNING id
)
SELECT day, id FROM g
""",
    true=_TRUE_FOR_THEM,
    may_ring=_MAY_RING,
    unwanted=_UNWANTED,
)

# the gate's refusals, each with its reason; without this they would circle through the end of their lease for ever
_SETTLE: Final = with_states(
    """
UPDATE notifications_delivery d
SET state = why.state, error_code = why.code, not_before = coalesce(why.later, d.not_before),
    lease_token = NULL, lease_until = NULL, done_at = CASE WHEN why.state = :PENDING THEN NULL ELSE now() END
FROM (
    SELECT d.day, d.id, r.state, r.code,
           CASE WHEN r.state = :PENDING
                THEN notifications_may_ring(b.send_from, b.send_until, b.time_zone, now()) END AS later
    FROM unnest(%(days)s::date[], %(ids)s::bigint[]) k(day, id)
    JOIN notifications_delivery d ON d.day = k.day AND d.id = k.id AND d.day = ANY(%(days)s::date[])
    JOIN notifications_notice whole ON whole.id = d.notice_id
    JOIN grid_branch b ON b.id = d.branch_id
    LEFT JOIN notice_sendable n ON n.id = d.notice_id
    CROSS JOIN LATERAL (
        SELECT CASE WHEN whole.status = 'paused' THEN :PAUSED
                    WHEN whole.expires_at <= now() THEN :EXPIRED
                    WHEN n.id IS NULL OR NOT ({true}) THEN :SUPERSEDED
                    WHEN {unwanted} THEN :SUPPRESSED
                    ELSE :PENDING END AS state,
               CASE WHEN whole.status = 'paused' THEN 'paused'
                    WHEN whole.expires_at <= now() THEN 'expired'
                    WHEN n.id IS NULL OR NOT ({true})
                        THEN CASE WHEN d.letter_id IS NULL THEN 'not_true' ELSE 'withdrawn' END
                    WHEN {unwanted} THEN 'suppressed'
                    ELSE 'quiet_hours' END AS code
    ) r
    WHERE d.state = :LEASED AND d.lease_token = %(token)s AND d.lease_until > now()
) why
WHERE d.day = why.day AND d.id = why.id AND d.day = ANY(%(days)s::date[])
  AND d.state = :LEASED AND d.lease_token = %(token)s
""",
    true=_TRUE_FOR_THEM,
    unwanted=_UNWANTED,
)


def gate(*, token: uuid.UUID, keys: Sequence[Key], account: str) -> set[Key]:
    """The last look before the wire: still true, in time, wanted, not at night. Opens the attempts of what passes."""
    facts: dict[str, Any] = {
        "days": [day for day, _number in keys],
        "ids": [number for _day, number in keys],
        "token": token,
        "account": account,
        "lease": LEASE_S,
    }
    with transaction.atomic(), connection.cursor() as db:
        db.execute(_GATE, facts)
        passed = {(day, number) for day, number in db.fetchall()}
        if len(passed) < len(keys):
            db.execute(_SETTLE, facts)
    return passed


# --- outcome ----------------------------------------------------------------------------------------

_STATE_OF: Final[dict[str, DeliveryState]] = {
    "accepted": DeliveryState.ACCEPTED,
    "unsent": DeliveryState.PENDING,
    "throttled": DeliveryState.PENDING,
    "account": DeliveryState.PENDING,
    "permanent": DeliveryState.FAILED,
    "bad_address": DeliveryState.FAILED,
    "render": DeliveryState.FAILED,
    "doubt": DeliveryState.UNKNOWN,
}

# only "provably unsent" waits longer each time; slowing down and our own account do not use up tries
_OUTCOME: Final = with_states("""
UPDATE notifications_delivery d
SET state = o.state, provider_id = o.provider_id, error_code = o.code,
    attempts = d.attempts - CASE WHEN o.result IN ('throttled', 'account') THEN 1 ELSE 0 END,
    not_before = CASE WHEN o.state <> :PENDING THEN d.not_before
        ELSE now() + interval '1 s' * CASE WHEN o.result = 'unsent'
            THEN greatest(o.wait, o.luck * (%(backoff)s::float8[])[least(d.attempts, %(steps)s)])
            ELSE greatest(o.wait, 1) END END,
    accepted_at = CASE WHEN o.state = :ACCEPTED THEN now() END,
    done_at = CASE WHEN o.state <> :PENDING THEN now() END,
    lease_token = NULL, lease_until = NULL
FROM unnest(%(days)s::date[], %(ids)s::bigint[], %(states)s::smallint[], %(results)s::text[], %(provider_ids)s::text[],
            %(codes)s::text[], %(waits)s::float8[], %(lucks)s::float8[])
     o(day, id, state, result, provider_id, code, wait, luck)
WHERE d.day = o.day AND d.id = o.id AND d.day = ANY(%(days)s::date[])
  AND d.lease_token = %(token)s AND d.state = :SENDING
RETURNING d.id
""")

_CLOSE_ATTEMPTS: Final = """
UPDATE notifications_attempt a SET ended_at = clock_timestamp(), error_class = o.result, answer = o.code
FROM unnest(%(days)s::date[], %(ids)s::bigint[], %(results)s::text[], %(codes)s::text[]) o(day, id, result, code)
WHERE a.day = o.day AND a.day = ANY(%(days)s::date[]) AND a.token = %(token)s AND a.ended_at IS NULL
  AND a.delivery_ids = ARRAY[o.id]
"""

_SUPPRESS: Final = """
INSERT INTO notifications_suppression (address_key, channel, reason)
SELECT d.address_key, d.channel, 'bad_address'
FROM notifications_delivery d JOIN unnest(%(days)s::date[], %(ids)s::bigint[]) k(day, id) ON d.day = k.day AND d.id = k.id AND d.day = ANY(%(days)s::date[])
ON CONFLICT (address_key, channel) DO NOTHING
"""  # noqa: E501


def outcomes_write(*, token: uuid.UUID, account: str, outcomes: Sequence[tuple[Key, channels.Outcome]]) -> int:
    """Write what became of messages, if they are still ours. Returns how many were.

    Tried again while the lease lasts: the database may be gone for a moment, the provider's answer must not be.
    """
    until = time.monotonic() + LEASE_S
    while True:
        try:
            return _outcomes_write(token, account, outcomes)
        except OperationalError as gone:
            if time.monotonic() > until or connection.in_atomic_block:
                raise
            log.warning("notifications: the outcome cannot be written yet: %s", type(gone).__name__)
            connection.close()
            time.sleep(1)


def _outcomes_write(token: uuid.UUID, account: str, outcomes: Sequence[tuple[Key, channels.Outcome]]) -> int:
    facts: dict[str, Any] = {
        "token": token,
        "days": [key[0] for key, _outcome in outcomes],
        "ids": [key[1] for key, _outcome in outcomes],
        "states": [int(_STATE_OF[outcome.result]) for _key, outcome in outcomes],
        "results": [outcome.result for _key, outcome in outcomes],
        "provider_ids": [outcome.provider_id for _key, outcome in outcomes],
        "codes": [outcome.code for _key, outcome in outcomes],
        "waits": [outcome.retry_after for _key, outcome in outcomes],
        "lucks": [random.uniform(0.1, 1.0) for _ in outcomes],  # noqa: S311 - spreads retries, protects nothing
        "backoff": [float(seconds) for seconds in BACKOFF],
        "steps": len(BACKOFF),
    }
    with transaction.atomic(), connection.cursor() as db:
        db.execute(_OUTCOME, facts)
        kept = {row[0] for row in db.fetchall()}
        db.execute(_CLOSE_ATTEMPTS, facts)
        dead = [key for key, outcome in outcomes if outcome.result == "bad_address" and key[1] in kept]
        if dead:
            db.execute(_SUPPRESS, {"days": [key[0] for key in dead], "ids": [key[1] for key in dead]})
        slow = [outcome.retry_after for _key, outcome in outcomes if outcome.result == "throttled"]
        if slow:
            db.execute(
                "UPDATE notifications_ratebucket SET tokens = 0, slowed_until = now() + %s * interval '1 s'"
                " WHERE account_id = %s",
                [max(*slow, 5.0), account],
            )
        fault = next((outcome.code for _key, outcome in outcomes if outcome.result == "account"), None)
        if fault is not None:
            db.execute(
                "UPDATE notifications_provideraccount"
                " SET circuit_open_until = now() + %s::interval, circuit_reason = %s WHERE name = %s",
                [ACCOUNT_PAUSE, fault, account],
            )
            log.error("notifications: the account %s cannot be used: %s", account, fault)
    return len(kept)


# --- sweep ------------------------------------------------------------------------------------------

_REAP: Final = with_states("""
WITH late AS (
    SELECT day, id FROM notifications_delivery
    WHERE state IN (:LEASED, :SENDING) AND lease_until <= now() LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
UPDATE notifications_delivery d
SET state = CASE WHEN d.state = :LEASED THEN :PENDING ELSE :UNKNOWN END,
    error_code = CASE WHEN d.state = :LEASED THEN d.error_code ELSE 'sender_died' END,
    done_at = CASE WHEN d.state = :LEASED THEN NULL ELSE now() END, lease_token = NULL, lease_until = NULL
FROM late WHERE d.day = late.day AND d.id = late.id
RETURNING d.state
""")

# what a notice still owes when it is over: superseded, expired
_OVER: Final = with_states("""
WITH over AS (
    SELECT d.day, d.id, CASE WHEN n.status = 'superseded' THEN :SUPERSEDED ELSE :EXPIRED END AS state
    FROM notifications_delivery d JOIN notifications_notice n ON n.id = d.notice_id
    WHERE d.state = :PENDING AND (n.status = 'superseded' OR n.expires_at <= now())
    LIMIT %(limit)s FOR UPDATE OF d SKIP LOCKED
)
UPDATE notifications_delivery d
SET state = over.state, done_at = now(), error_code = CASE over.state WHEN :EXPIRED THEN 'expired' ELSE 'not_true' END
FROM over WHERE d.day = over.day AND d.id = over.id
""")

# no receipt came, and the policy says that twice is better than never; the key is the same, so a provider that
# honours it sends nothing twice
_RECONCILE: Final = with_states(
    """
WITH again AS (
    SELECT d.day, d.id FROM notifications_delivery d JOIN notice_sendable n ON n.id = d.notice_id
    JOIN notifications_notice whole ON whole.id = d.notice_id
    WHERE d.state = :UNKNOWN AND d.done_at <= now() - %(wait)s::interval AND {letter_stands}
      AND (d.channel = 'email' OR d.lane = :LIFE_SUPPORT OR whole.policy = %(resend)s)
    LIMIT %(limit)s FOR UPDATE OF d SKIP LOCKED
)
UPDATE notifications_delivery d SET state = :PENDING, done_at = NULL, not_before = now()
FROM again WHERE d.day = again.day AND d.id = again.id
""",
    letter_stands=_LETTER_STANDS,
)


def deliveries_reap(*, limit: int = SWEEP) -> dict[str, int]:
    """Bring on what dead senders, ended notices and silent providers left behind."""
    with transaction.atomic(), connection.cursor() as db:
        db.execute(_REAP, {"limit": limit})
        reaped = Counter(row[0] for row in db.fetchall())
    with transaction.atomic(), connection.cursor() as db:
        db.execute(_OVER, {"limit": limit})
        over = db.rowcount
    with transaction.atomic(), connection.cursor() as db:
        db.execute(_RECONCILE, {"limit": limit, "wait": RECEIPT_WAIT, "resend": Policy.RESEND.value})
        again = db.rowcount
    if reaped[DeliveryState.UNKNOWN]:
        log.warning("notifications: %s messages are in doubt", reaped[DeliveryState.UNKNOWN])
    return {
        "returned": reaped[DeliveryState.PENDING],
        "in_doubt": reaped[DeliveryState.UNKNOWN],
        "over": over,
        "again": again,
    }
