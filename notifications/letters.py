"""Letters: one thing to say to each of many customers, in words of its own, sent and proved like every message.

Whoever issues letters knows why; here nobody does. A letter's words never change: what is no longer true is withdrawn
and, if need be, said anew.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connection, models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from notifications import texts
from notifications.channels import masked
from notifications.fanout import AUDIENCE, facts_of, messages_owe
from notifications.models import (
    ADDRESS_KEY,
    Channel,
    DeliveryState,
    Lane,
    Letter,
    Notice,
    NoticeKind,
    address_secret,
    with_states,
)
from notifications.router import day_now
from outages.events import require_transaction
from standards.errors import DomainError


class LetterUnfit(DomainError):
    code = "letter_unfit"
    message = _("The letter “%(ref)s” cannot be sent: it is empty, or too long for a text message.")


@dataclass(frozen=True)
class LetterDraft:
    """What one customer is to be told. ``ref`` is the sender's own name for it."""

    customer_id: int
    service_point_id: int | None
    ref: str
    subject: str
    text: str
    language: str


# --- saying it --------------------------------------------------------------------------------------

# the hours in which a telephone may ring are those of the premises the letter speaks of (named one by one, the letters
# just written are counted by the planner, which knows nothing of them yet)
_ADDRESSEES: Final = """
SELECT l.customer_id, coalesce(s.branch_id, c.branch_id) AS branch_id, l.service_point_id AS id, l.id AS letter_id
FROM unnest(%(letters)s::bigint[]) k(id) JOIN notifications_letter l ON l.id = k.id
JOIN grid_customer c ON c.id = l.customer_id LEFT JOIN grid_servicepoint s ON s.id = l.service_point_id
"""


def letters_issue(
    *,
    origin: str,
    author: str,
    branch_id: int,
    drafts: Sequence[LetterDraft],
    lane: Lane,
    expires_at: datetime,
    is_mandatory: bool,
    approver: str = "",
    channels: Collection[Channel] = tuple(Channel),
    not_before: datetime | None = None,
    quiet_exempt: bool = False,
) -> dict[int, int]:
    """Each of these customers is told something of their own, once for each ``origin``. Returns customer -> letter.

    Inside the caller's transaction, all or none. A customer has one letter of an issue, and one message on each
    channel; whoever cannot be reached has a letter without messages. Raises ``LetterUnfit``.
    """
    require_transaction()
    fitting = [(draft, *_fit(draft)) for draft in drafts]
    if not fitting:
        return {}
    notice, is_new = Notice.objects.get_or_create(
        origin=origin,
        kind=NoticeKind.LETTER,
        generation=1,
        defaults={
            "branch_id": branch_id,
            "lane": lane,
            "slack": timedelta(0),
            "mandatory": is_mandatory,
            "quiet_exempt": quiet_exempt,
            "expires_at": expires_at,
            "day": day_now(),
            "author": author,
            "approver": approver,
        },
    )
    if is_new:
        written = Letter.objects.bulk_create(_letter(notice, *fit) for fit in fitting)
        notice.planned_count = messages_owe(
            parts=[f"audience AS MATERIALIZED ({with_states(AUDIENCE, those=_ADDRESSEES)})"],
            facts={
                **facts_of(notice),
                "letters": [letter.pk for letter in written],
                "channels": [str(channel) for channel in channels],
                "not_before": not_before,
            },
            more="AND a.channel = ANY(%(channels)s)",
        )
        notice.save(update_fields=["planned_count"])
    return dict(Letter.objects.filter(notice=notice).values_list("customer_id", "pk"))


def _fit(draft: LetterDraft) -> tuple[str, str]:
    try:
        return texts.fit(subject=draft.subject, text=draft.text)
    except texts.RenderError as unfit:
        raise LetterUnfit(ref=draft.ref) from unfit


def _letter(notice: Notice, draft: LetterDraft, subject: str, text: str) -> Letter:
    return Letter(
        notice=notice,
        customer_id=draft.customer_id,
        service_point_id=draft.service_point_id,
        ref=draft.ref,
        subject=subject,
        text=text,
        language=draft.language,
    )


# --- taking it back ---------------------------------------------------------------------------------

_WITHDRAW: Final = """
WITH standing AS (
    SELECT id FROM notifications_letter WHERE id = ANY(%(letters)s::bigint[]) AND withdrawn_at IS NULL
    ORDER BY id FOR NO KEY UPDATE
)
UPDATE notifications_letter l SET withdrawn_at = now() FROM standing WHERE l.id = standing.id
"""

# a message that somebody holds at this moment meets the withdrawal at the gate
_OWED: Final = with_states("""
SELECT d.id FROM notifications_letter l
JOIN notifications_delivery d ON d.day = ANY(%(days)s::date[]) AND d.notice_id = l.notice_id
 AND d.customer_id = l.customer_id AND d.letter_id = l.id
WHERE l.id = ANY(%(letters)s::bigint[]) AND d.state IN (:PENDING, :PAUSED)
FOR UPDATE OF d SKIP LOCKED
""")
# the keys go there and back: without statistics on a day just begun a join would walk it once for each of them
_TAKE_BACK: Final = with_states("""
UPDATE notifications_delivery SET state = :SUPERSEDED, error_code = 'withdrawn', done_at = now()
WHERE day = ANY(%(days)s::date[]) AND id = ANY(%(owed)s::bigint[])
""")


def letters_withdraw(*, letter_ids: Collection[int]) -> int:
    """These letters are no longer true: nothing of them is sent from the caller's commit on. Returns how many stood."""
    require_transaction()
    facts = _facts(letter_ids)
    with connection.cursor() as db:
        db.execute(_WITHDRAW, facts)
        withdrawn = int(db.rowcount)
        db.execute(_OWED, facts)
        db.execute(_TAKE_BACK, {**facts, "owed": [row[0] for row in db.fetchall()]})
    return withdrawn


def _facts(letter_ids: Collection[int]) -> dict[str, Any]:
    """The letters, and the days in whose partitions their messages are."""
    days = Notice.objects.filter(letters__in=letter_ids).values_list("day", flat=True).distinct()
    return {"letters": list(letter_ids), "days": list(days)}


# --- the proof --------------------------------------------------------------------------------------


class LetterState(models.TextChoices):
    """How far a letter has come. Only a receipt proves that it arrived; what was accepted is sent and no more."""

    WAITING = "waiting", _("waiting")
    SENT = "sent", pgettext_lazy("letter", "sent")
    DELIVERED = "delivered", _("delivered")
    FAILED = "failed", _("failed")
    NO_ADDRESS = "no_address", pgettext_lazy("letter", "no address")
    WITHDRAWN = "withdrawn", pgettext_lazy("letter", "withdrawn")


_UNSENT: Final = {DeliveryState.PENDING, DeliveryState.LEASED, DeliveryState.SENDING, DeliveryState.PAUSED}
_SENT: Final = {DeliveryState.ACCEPTED, DeliveryState.UNKNOWN}
_FAILED: Final = {
    DeliveryState.FAILED,
    DeliveryState.UNDELIVERED,
    DeliveryState.EXPIRED,
    DeliveryState.SUPPRESSED,
}


@dataclass(frozen=True)
class LetterDelivery:
    """One message of a letter, for whoever reads the evidence. ``address`` is masked, and empty once it has changed."""

    channel: Channel
    state: DeliveryState
    address: str
    accepted_at: datetime | None
    done_at: datetime | None
    error_code: str


@dataclass(frozen=True)
class LetterProof:
    """Where a letter stands. ``failure``: the last reason why a message of it did not arrive, even if another did."""

    state: LetterState
    delivered_at: datetime | None
    delivered_by: Channel | None
    failure: str
    deliveries: tuple[LetterDelivery, ...]


_PROOF: Final = with_states(
    """
SELECT l.id, l.withdrawn_at IS NOT NULL, d.channel, d.state, d.accepted_at, d.done_at, d.error_code,
       (SELECT p.value FROM grid_contactpoint p
        WHERE p.customer_id = l.customer_id AND {address_key} = d.address_key ORDER BY p.id LIMIT 1)
FROM notifications_letter l
LEFT JOIN notifications_delivery d ON d.day = ANY(%(days)s::date[]) AND d.notice_id = l.notice_id
 AND d.customer_id = l.customer_id AND d.letter_id = l.id
WHERE l.id = ANY(%(letters)s::bigint[])
ORDER BY l.id, d.done_at NULLS LAST, d.id
""",
    address_key=ADDRESS_KEY,
)


def letters_proof(*, letter_ids: Collection[int]) -> dict[int, LetterProof]:
    """What became of these letters, and what proves it."""
    found: defaultdict[int, list[LetterDelivery]] = defaultdict(list)
    withdrawn: dict[int, bool] = {}
    with connection.cursor() as db:
        db.execute(_PROOF, {**_facts(letter_ids), "key": address_secret()})
        for letter_id, withdrawn[letter_id], channel, state, accepted_at, done_at, code, address in db.fetchall():
            if channel is not None:
                found[letter_id].append(
                    LetterDelivery(
                        channel=Channel(channel),
                        state=DeliveryState(state),
                        address=masked(address) if address else "",
                        accepted_at=accepted_at,
                        done_at=done_at,
                        error_code=code,
                    )
                )
    return {
        letter_id: _proof(found[letter_id], is_withdrawn=is_withdrawn) for letter_id, is_withdrawn in withdrawn.items()
    }


def _proof(deliveries: Sequence[LetterDelivery], *, is_withdrawn: bool) -> LetterProof:
    arrived = next((delivery for delivery in deliveries if delivery.state == DeliveryState.DELIVERED), None)
    failures = [delivery.error_code for delivery in deliveries if delivery.state in _FAILED]
    return LetterProof(
        state=_state({delivery.state for delivery in deliveries}, is_withdrawn=is_withdrawn),
        delivered_at=arrived.done_at if arrived else None,
        delivered_by=arrived.channel if arrived else None,
        failure=failures[-1] if failures else "",
        deliveries=tuple(deliveries),
    )


def _state(states: set[DeliveryState], *, is_withdrawn: bool) -> LetterState:
    """The best that can be said: arrived is never taken back, sent counts more than what still waits."""
    if DeliveryState.DELIVERED in states:
        return LetterState.DELIVERED
    if is_withdrawn:
        return LetterState.WITHDRAWN
    if states & _SENT:
        return LetterState.SENT
    if states & _UNSENT:
        return LetterState.WAITING
    return LetterState.FAILED if states else LetterState.NO_ADDRESS
