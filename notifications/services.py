"""What is done with notices beside routing and sending: partitions, receipts, pausing, and the proof of it all."""

from __future__ import annotations

import hmac
import json
import logging
from dataclasses import dataclass
from typing import Any, Final

from django.db import OperationalError, connection, transaction
from django.utils.translation import gettext_lazy as _

from accounts.actor import Actor
from notifications import channels, fanout, policies, reminders, router, sending
from notifications.models import Channel, Notice, NoticeStatus, Receipt, with_states
from standards.errors import DomainError, NotFound

log = logging.getLogger(__name__)

DAYS_AHEAD: Final = 7


class BadReceipt(DomainError):
    code = "bad_receipt"
    status = 400
    message = _("This is not a receipt.")


# --- one turn ---------------------------------------------------------------------------------------


@dataclass
class Turn:
    """What one turn of everything did."""

    events: int = 0
    notices: int = 0
    messages: int = 0
    claimed: int = 0


def work_once() -> Turn:
    """Route, fan out, sweep and send whatever there is now: one turn of ``manage.py deliver``."""
    turn = Turn()
    turn.events, turn.notices = router.route_events()
    turn.notices += reminders.reminders_write()
    turn.messages = fanout.fan_out()
    receipts_apply()
    sending.deliveries_reap()
    for channel in Channel.values:
        turn.claimed += sending.channel_send(channel=channel).claimed
    return turn


def days_open(*, ahead: int = DAYS_AHEAD) -> int:
    """Make the partitions of the coming days. Returns how many days were new.

    A new partition needs the whole table for a moment; if it is not to be had at once, the next turn tries again,
    and until then the default partition takes the rows.
    """
    made = 0
    for days in range(ahead + 1):
        try:
            with transaction.atomic(), connection.cursor() as db:
                db.execute("SET LOCAL lock_timeout = '500ms'")
                db.execute("SELECT notifications_day_open((now() AT TIME ZONE 'UTC')::date + %s)", [days])
                made += bool(db.fetchone()[0])
        except OperationalError:
            log.warning("notifications: the partition of day +%s could not be made now", days)
    return made


# --- pausing ----------------------------------------------------------------------------------------


def notice_pause(*, notice_id: int, actor: Actor) -> Notice:
    """Stop sending a notice; nothing new passes the gate from this commit on."""
    with transaction.atomic(durable=True):
        notice = _locked(notice_id, actor)
        if notice.status == NoticeStatus.SENDING:
            notice.status = NoticeStatus.PAUSED
            notice.save(update_fields=["status"])
        return notice


def notice_resume(*, notice_id: int, actor: Actor) -> Notice:
    """Go on with a paused notice, as far as it is still true."""
    with transaction.atomic(durable=True):
        notice = _locked(notice_id, actor)
        if notice.status == NoticeStatus.PAUSED:
            notice.status = NoticeStatus.SENDING
            notice.save(update_fields=["status"])
            with connection.cursor() as db:
                db.execute(
                    with_states(
                        "UPDATE notifications_delivery SET state = :PENDING, done_at = NULL, error_code = ''"
                        " WHERE day = %s AND notice_id = %s AND state = :PAUSED"
                    ),
                    [notice.day, notice.pk],
                )
        return notice


def _locked(notice_id: int, actor: Actor) -> Notice:
    notice = (
        Notice.objects.select_for_update(no_key=True, of=("self",))
        .select_related("branch")
        .filter(pk=notice_id)
        .first()
    )
    if notice is None:
        raise NotFound()
    policies.require_pause(actor=actor, branch=notice.branch)
    return notice


# --- receipts ---------------------------------------------------------------------------------------


def receipts_store(*, account: str, secret: str, raw: bytes) -> int:
    """Keep what a provider tells us, as it came; it is applied later. Returns the number of receipts.

    Raises ``NotFound`` for an account that sends no receipts, or does not know its secret.
    """
    rule = channels.receipt_rule(account)
    if rule is None or not hmac.compare_digest(secret.encode(), rule.secret.encode()):
        raise NotFound()
    try:
        answer: Any = json.loads(raw)
    except (ValueError, RecursionError) as garbled:
        raise BadReceipt() from garbled
    found = list(channels.receipts_in(rule, answer))
    if not found or any("\0" in text for item in found for text in (item.provider_id, item.client_ref, item.status)):
        raise BadReceipt()
    Receipt.objects.bulk_create(
        [
            Receipt(account=account, provider_id=item.provider_id, client_ref=item.client_ref, status=item.status)
            for item in found
        ],
        ignore_conflicts=True,  # it came before
    )
    return len(found)


# a receipt may come before our own note of the acceptance, or settle what nobody knew; "delivered" is never taken back
_APPLY: Final = with_states("""
WITH open AS (
    SELECT id, account, provider_id, client_ref, status, received_at FROM notifications_receipt
    WHERE applied_at IS NULL AND account = %(account)s ORDER BY id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
), hit AS (
    UPDATE notifications_delivery d
    SET state = CASE WHEN r.status = ANY(%(delivered)s) THEN :DELIVERED
                     WHEN r.status = ANY(%(failed)s) THEN :UNDELIVERED
                     ELSE :ACCEPTED END,
        provider_id = r.provider_id, done_at = now(),
        error_code = CASE WHEN r.status = ANY(%(failed)s) THEN r.status ELSE '' END,
        accepted_at = coalesce(d.accepted_at, r.received_at)
    FROM (SELECT DISTINCT ON (provider_id) * FROM open
          ORDER BY provider_id, (status = ANY(%(delivered)s)) DESC, (status = ANY(%(failed)s)) DESC) r
    WHERE d.account = r.account
      AND (d.provider_id = r.provider_id
           OR (d.provider_id = '' AND d.state = :UNKNOWN AND r.client_ref = %(epoch)s || '-' || d.id))
      AND d.state IN (:ACCEPTED, :UNKNOWN, :UNDELIVERED)
    RETURNING r.provider_id
)
UPDATE notifications_receipt SET applied_at = now()
WHERE id IN (SELECT id FROM open WHERE provider_id IN (SELECT provider_id FROM hit)
             OR received_at < now() - interval '1 hour')
""")


def receipts_apply(*, limit: int = 1_000) -> int:
    """Let receipts settle the messages they speak of. One that comes too early waits for its message."""
    sender = channels.sender_for(Channel.SMS)
    if not isinstance(sender, channels.SmsSender) or sender.gateway.receipt is None:
        return 0
    rule = sender.gateway.receipt
    with transaction.atomic(), connection.cursor() as db:
        db.execute("SELECT epoch::text FROM outages_systemstate WHERE id = 1")
        db.execute(
            _APPLY,
            {
                "account": sender.account,
                "limit": limit,
                "delivered": rule.delivered,
                "failed": rule.failed,
                "epoch": db.fetchone()[0],
            },
        )
        return int(db.rowcount)


# --- the proof --------------------------------------------------------------------------------------

_INVARIANTS: Final[dict[str, str]] = {
    "a planned notice owes exactly the messages it planned": """
        SELECT n.id::text FROM notifications_notice n
        LEFT JOIN LATERAL (SELECT count(*) AS owed FROM notifications_delivery d
                           WHERE d.day = n.day AND d.notice_id = n.id) d ON true
        WHERE n.planned_count IS NOT NULL AND n.planned_count <> d.owed
    """,
    "no message stays in hand beyond its lease": """
        SELECT id::text FROM notifications_delivery
        WHERE state IN (:LEASED, :SENDING) AND lease_until < now() - interval '10 s'
    """,
    "what was accepted has the provider's name for it": """
        SELECT id::text FROM notifications_delivery WHERE state = :ACCEPTED AND provider_id = ''
    """,
    "nobody is written to twice in one notice": """
        SELECT min(id)::text FROM notifications_delivery WHERE state <> :MERGED
        GROUP BY day, notice_id, channel, address_key, letter_id HAVING count(*) > 1
    """,
    "nothing was sent after its time": """
        SELECT d.id::text FROM notifications_delivery d JOIN notifications_notice n ON n.id = d.notice_id
        JOIN notifications_attempt a ON a.day = d.day AND d.id = ANY(a.delivery_ids)
        WHERE d.state IN (:ACCEPTED, :DELIVERED) AND a.started_at > n.expires_at
    """,
    "every message that was being sent has an attempt": """
        SELECT d.id::text FROM notifications_delivery d
        WHERE d.state IN (:SENDING, :ACCEPTED, :UNKNOWN) AND NOT EXISTS (
            SELECT FROM notifications_attempt a WHERE a.day = d.day AND d.id = ANY(a.delivery_ids))
    """,
    "nobody is told of a window once whoever knew it hears that it has moved": """
        SELECT d.id::text FROM notifications_notice n
        JOIN LATERAL (SELECT min(m.created_at) AS at FROM notifications_notice m
                      WHERE m.outage_id = n.outage_id AND m.id > n.id AND m.kind = 'moved'
                        AND (m.says_from, m.says_until) IS DISTINCT FROM (n.says_from, n.says_until)) moved ON true
        JOIN notifications_delivery d ON d.day = n.day AND d.notice_id = n.id
        JOIN notifications_attempt a ON a.day = d.day AND d.id = ANY(a.delivery_ids)
        WHERE n.kind IN ('announced', 'reminder_early', 'reminder_late', 'moved')
          AND d.state IN (:SENDING, :ACCEPTED, :DELIVERED, :UNKNOWN) AND a.started_at > moved.at + interval '10 s'
    """,
    "whoever hears that it has moved does not hear of it as if it were the first time": """
        SELECT d.id::text FROM notifications_notice m
        JOIN notifications_notice n ON n.outage_id = m.outage_id AND n.id > m.id AND n.kind = 'announced'
         AND n.says_from = m.says_from AND n.says_until = m.says_until
        JOIN notifications_delivery d ON d.day = n.day AND d.notice_id = n.id
        WHERE m.kind = 'moved' AND d.state IN (:SENDING, :ACCEPTED, :DELIVERED, :UNKNOWN) AND EXISTS (
            SELECT FROM notifications_delivery o WHERE o.day = m.day AND o.notice_id = m.id
              AND o.customer_id = d.customer_id AND o.state IN (:SENDING, :ACCEPTED, :DELIVERED, :UNKNOWN))
    """,
    "a withdrawn letter is not sent afterwards": """
        SELECT d.id::text FROM notifications_letter l JOIN notifications_notice n ON n.id = l.notice_id
        JOIN notifications_delivery d ON d.day = n.day AND d.notice_id = n.id AND d.letter_id = l.id
        JOIN notifications_attempt a ON a.day = d.day AND d.id = ANY(a.delivery_ids)
        WHERE d.state IN (:SENDING, :ACCEPTED, :DELIVERED, :UNKNOWN) AND a.started_at > l.withdrawn_at + interval '10 s'
    """,
    "a debt is never announced": """
        SELECT n.id::text FROM notifications_notice n JOIN outages_outage o ON o.id = n.outage_id
        WHERE o.kind = 'non_payment' OR NOT o.is_public
    """,
    "the router keeps up": """
        SELECT consumer FROM outages_readercursor c WHERE consumer = 'notifications.router' AND EXISTS (
            SELECT FROM outages_outageevent e WHERE (e.epoch, e.tx, e.id) > (c.epoch, c.tx::text::xid8, c.event_id)
              AND e.at < now() - interval '60 s')
    """,
}


def invariants_broken() -> dict[str, list[str]]:
    """What must always hold and does not: the sentence, and some of the rows that break it."""
    broken: dict[str, list[str]] = {}
    with connection.cursor() as db:
        for sentence, sql in _INVARIANTS.items():
            db.execute(f"SELECT * FROM ({with_states(sql)}) x LIMIT 10")  # noqa: S608 - texts of this module
            rows = [row[0] for row in db.fetchall()]
            if rows:
                broken[sentence] = rows
    return broken
