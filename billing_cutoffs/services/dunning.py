"""催费: reminders, cut-off letters, last warnings and "supply is back", each with the proof that it arrived.

Every notice is a row that only one turn can write; its words go out as a letter (``notifications.letters``) in the
same transaction. So a turn that is killed or runs twice says nothing twice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.db import connection, transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

import standards
from accounts.actor import Actor
from billing_cutoffs import lifecycle, texts
from billing_cutoffs.grading import letter_class
from billing_cutoffs.models import CutoffBatch, CutoffOrder, DebtNotice, NoticeStage
from billing_cutoffs.progress import needs_second
from notifications.letters import LetterDraft, letters_withdraw
from notifications.letters import letters_issue as letters_send
from notifications.models import Channel, Lane
from outages.events import require_transaction
from standards.schema import RulePack
from standards.values import Span

CHUNK: Final = 2_000  # notices in one transaction
REMINDER_LIVES: Final = timedelta(days=3)  # later than that it would speak of another amount
GOOD_NEWS_LIVES: Final = timedelta(hours=12)

_LANES: Final = {
    NoticeStage.REMINDER: Lane.BULK,
    NoticeStage.LETTER: Lane.PLANNED,
    NoticeStage.FINAL_WARNING: Lane.STARTED,
    NoticeStage.RECONNECTED: Lane.RESTORED,
}
# a batch that was stopped before its window runs again from there
_ORDERED: Final = (lifecycle.BATCH_APPROVED, lifecycle.RUNNING)
# what the law wants proved reaches also those who want no messages
_MANDATORY: Final = frozenset({NoticeStage.LETTER, NoticeStage.FINAL_WARNING})


# --- reminders ----------------------------------------------------------------------------------------

# the latest reminder of the grade's path that is due, unless this case has had it or a later one. Nobody is reminded
# who disputes the bill, has promised to pay, has a payment on its way that covers it, or gets the cut-off letter
_REMIND: Final = """
WITH today AS MATERIALIZED (
    SELECT id, coalesce(%(today)s::date, (now() AT TIME ZONE time_zone)::date) AS day FROM grid_branch
    WHERE notifications_may_ring(send_from, send_until, time_zone, now()) = now()
), due AS (
    SELECT k.id AS case_id, a.overdue, s.after_days
    FROM billing_cutoffs_arrearscase k
    JOIN billing_cutoffs_billingaccount a ON a.customer_id = k.account_id AND a.overdue > 0
    JOIN today t ON t.id = a.branch_id
    JOIN LATERAL (
        SELECT after_days FROM billing_cutoffs_gradestep
        WHERE grade_id = a.grade_id AND after_days <= t.day - a.oldest_due_on ORDER BY after_days DESC LIMIT 1
    ) s ON TRUE
    WHERE k.closed_at IS NULL
      AND NOT EXISTS (SELECT FROM billing_cutoffs_debtnotice n
                      WHERE n.case_id = k.id AND n.stage = 'reminder' AND n.after_days >= s.after_days)
      AND NOT EXISTS (SELECT FROM billing_cutoffs_accounthold h
                      WHERE h.account_id = a.customer_id AND h.kind IN ('dispute', 'promise')
                        AND h.released_at IS NULL AND h.since <= statement_timestamp()
                        AND (h.until IS NULL OR h.until > statement_timestamp()))
      AND NOT EXISTS (SELECT FROM billing_cutoffs_cutofforder o
                      WHERE o.case_id = k.id AND NOT (o.state = ANY(%(without_letter)s)))
      AND a.overdue > (SELECT coalesce(sum(p.amount), 0) FROM billing_cutoffs_payment p
                       WHERE p.account_id = a.customer_id AND p.status = 'in_flight')
    ORDER BY k.id LIMIT %(limit)s
)
INSERT INTO billing_cutoffs_debtnotice
    (case_id, stage, after_days, amount, issued_at, served_how, served_by, served_note, failure)
SELECT case_id, 'reminder', after_days, overdue, now(), '', '', '', '' FROM due ORDER BY case_id
ON CONFLICT DO NOTHING RETURNING id
"""


def reminders_issue(*, actor: Actor, today: date | None = None) -> int:
    """Remind every debtor of whom a reminder is due today, in the hours in which the branch sends messages."""
    facts = {"today": today, "limit": CHUNK, "without_letter": [lifecycle.ELIGIBLE, *lifecycle.ENDED]}
    total = 0
    while True:
        with transaction.atomic():
            issued = _rows(_REMIND, facts)
            _send([pk for (pk,) in issued], NoticeStage.REMINDER, actor)
        total += len(issued)
        if len(issued) < CHUNK:
            return total


# --- what an order leads to ---------------------------------------------------------------------------

# for orders in the right state that have no such notice; the orders are locked, so one that ends waits and takes it
# back, or has ended before
_NOTIFY: Final = """
WITH taken AS (
    SELECT o.id, o.case_id, o.batch_id FROM billing_cutoffs_cutofforder o
    WHERE {which} AND o.state = %(state)s AND NOT EXISTS (
        SELECT FROM billing_cutoffs_debtnotice n WHERE n.order_id = o.id AND n.stage = %(stage)s AND n.void_at IS NULL)
    ORDER BY o.id LIMIT %(limit)s FOR NO KEY UPDATE
)
INSERT INTO billing_cutoffs_debtnotice
    (case_id, order_id, stage, amount, window_from, window_until, issued_at, served_how, served_by, served_note,
     failure)
SELECT t.case_id, t.id, %(stage)s, a.overdue, b.window_from, b.window_until, now(), '', '', '', ''
FROM taken t
JOIN billing_cutoffs_cutoffbatch b ON b.id = t.batch_id
JOIN billing_cutoffs_arrearscase k ON k.id = t.case_id
JOIN billing_cutoffs_billingaccount a ON a.customer_id = k.account_id
ORDER BY t.id ON CONFLICT DO NOTHING RETURNING id
"""
_OF_BATCH: Final = _NOTIFY.format(which="o.batch_id = %(batch)s")
_OF_ORDERS: Final = _NOTIFY.format(which="o.id = ANY(%(orders)s)")


def letters_issue(*, batch_id: int, actor: Actor) -> int:
    """Every approved order of the batch gets its letter: how much, when, how to pay, what protects, whom to call."""
    batch = CutoffBatch.objects.select_related("branch").get(pk=batch_id)
    if not letters_are_due(batch):
        return 0
    facts = {"batch": batch_id, "state": lifecycle.APPROVED, "stage": str(NoticeStage.LETTER), "limit": CHUNK}
    total = 0
    while True:
        with transaction.atomic():
            issued = _rows(_OF_BATCH, facts)
            _send([pk for (pk,) in issued], NoticeStage.LETTER, actor)
        total += len(issued)
        if len(issued) < CHUNK:
            return total


def letters_are_due(batch: CutoffBatch) -> bool:
    """Approved by as many people as its size asks for, and its window still ahead."""
    return (
        batch.state in _ORDERED
        and (batch.seconded_at is not None or not needs_second(batch))
        and batch.window_from > timezone.now()
    )


def batches_without_letters() -> list[int]:
    """Approved batches with orders whose letter is not written yet: their task was lost or killed."""
    written = DebtNotice.objects.filter(order=OuterRef("pk"), stage=NoticeStage.LETTER, void_at=None)
    waiting = CutoffOrder.objects.filter(~Exists(written), state=lifecycle.APPROVED, batch__state__in=_ORDERED)
    batches = CutoffBatch.objects.filter(pk__in=waiting.values("batch")).order_by("pk")
    return [batch.pk for batch in batches if letters_are_due(batch)]


def warnings_issue(*, order_ids: Collection[int], actor: Actor) -> int:
    """The last warning before the cut, to those whose letter has arrived."""
    return _of_orders(order_ids, lifecycle.NOTICED, NoticeStage.FINAL_WARNING, actor)


def reconnected_tell(*, order_ids: Collection[int], actor: Actor) -> int:
    """Supply is back; whoever is still off is to call."""
    return _of_orders(order_ids, lifecycle.RECONNECTED, NoticeStage.RECONNECTED, actor)


def _of_orders(order_ids: Collection[int], state: str, stage: NoticeStage, actor: Actor) -> int:
    facts = {"orders": list(order_ids), "state": state, "stage": str(stage), "limit": len(order_ids)}
    with transaction.atomic():
        issued = [pk for (pk,) in _rows(_OF_ORDERS, facts)]
        _send(issued, stage, actor)
    return len(issued)


# --- taking back --------------------------------------------------------------------------------------

_VOID: Final = """
WITH standing AS (
    SELECT n.id FROM billing_cutoffs_debtnotice n WHERE n.void_at IS NULL AND {which} ORDER BY n.id FOR NO KEY UPDATE
)
UPDATE billing_cutoffs_debtnotice n SET void_at = now() FROM standing WHERE n.id = standing.id RETURNING n.letter_id
"""
_OF_ENDED_ORDERS: Final = _VOID.format(which="n.order_id = ANY(%(orders)s) AND n.stage IN ('letter', 'final_warning')")
_OF_CLOSED_CASES: Final = _VOID.format(
    which="n.stage = 'reminder' AND n.served_at IS NULL AND n.failed_at IS NULL AND EXISTS ("
    "SELECT FROM billing_cutoffs_arrearscase k WHERE k.id = n.case_id AND k.closed_at IS NOT NULL)"
)


def notices_void(*, order_ids: Collection[int]) -> int:
    """Letters and warnings of these orders no longer hold: what has not been sent is not sent any more."""
    return _void(_OF_ENDED_ORDERS, {"orders": list(order_ids)})


def reminders_void() -> int:
    """Reminders of debts that are paid by now: what has not been sent is not sent any more."""
    with transaction.atomic():
        return _void(_OF_CLOSED_CASES, {})


def _void(sql: str, facts: Mapping[str, Any]) -> int:
    require_transaction()
    voided = _rows(sql, facts)
    letters_withdraw(letter_ids=[letter_id for (letter_id,) in voided if letter_id is not None])
    return len(voided)


# --- words on their way -------------------------------------------------------------------------------

_TOLD: Final = """
SELECT n.id, n.stage, n.amount, n.window_from, n.window_until, c.id, c.account_number, c.language, c.customer_class,
       c.importance, coalesce(s.id, p.id), coalesce(s.address, p.address, ''), coalesce(s.code, p.code, ''),
       coalesce(a.oldest_due_on, k.oldest_due_on), b.id, b.name, b.phone, b.time_zone, b.rule_pack,
       coalesce(o.scheduled_at, n.window_from),
       -- only the receipt of a text message proves that a letter arrived
       coalesce(CASE WHEN n.stage = 'reminder' THEN step.channels
                     WHEN g.id IS NOT NULL THEN array_remove(g.channels, 'sms') || '{sms}' END, %(every)s)
FROM billing_cutoffs_debtnotice n
JOIN billing_cutoffs_arrearscase k ON k.id = n.case_id
JOIN billing_cutoffs_billingaccount a ON a.customer_id = k.account_id
JOIN grid_customer c ON c.id = a.customer_id
JOIN grid_branch b ON b.id = a.branch_id
LEFT JOIN billing_cutoffs_grade g ON g.id = a.grade_id
LEFT JOIN billing_cutoffs_gradestep step ON step.grade_id = g.id AND step.after_days = n.after_days
LEFT JOIN grid_servicepoint p ON p.id = a.service_point_id
LEFT JOIN billing_cutoffs_cutofforder o ON o.id = n.order_id
LEFT JOIN grid_servicepoint s ON s.id = o.service_point_id
WHERE n.id = ANY(%(ids)s) ORDER BY n.id
"""


@dataclass(frozen=True)
class _Told:
    """One notice with the facts that its words are made of."""

    notice_id: int
    stage: str
    amount: Decimal
    window_from: datetime | None
    window_until: datetime | None
    customer_id: int
    account_number: str
    language: str
    customer_class: str
    importance: str
    service_point_id: int | None
    address: str
    point: str
    due_on: date
    branch_id: int
    branch: str
    phone: str
    time_zone: str
    rule_pack: str
    begins: datetime | None
    channels: Sequence[str]

    def draft(self, at: datetime) -> LetterDraft:
        warns = self.stage == NoticeStage.FINAL_WARNING
        subject, text = texts.compose(
            texts.Facts(
                stage=self.stage,
                language=self.language,
                at=at,
                account_number=self.account_number,
                amount=self.amount,
                due_on=self.due_on,
                place=self.address or self.point,
                branch=self.branch,
                phone=self.phone,
                time_zone=self.time_zone,
                rule_pack=self.rule_pack,
                # from its own turn on, which is drawn inside the window
                begins=self.begins if warns else self.window_from,
                ends=self.window_until,
            )
        )
        return LetterDraft(
            self.customer_id, self.service_point_id, f"debt-notice:{self.notice_id}", subject, text, self.language
        )

    def expires_at(self, now: datetime) -> datetime:
        """Until when it may still be sent: a letter as long as it can arrive in time."""
        if self.stage == NoticeStage.REMINDER:
            return now + REMINDER_LIVES
        if self.stage == NoticeStage.RECONNECTED or self.window_from is None or self.window_until is None:
            return now + GOOD_NEWS_LIVES
        if self.stage == NoticeStage.FINAL_WARNING:
            return self.window_until
        return letter_span(standards.pack(self.rule_pack), self.customer_class, self.importance).before(
            self.window_from
        )


def letter_span(pack: RulePack, customer_class: str, importance: str) -> Span:
    """How long before the cut the letter must have arrived."""
    span: Span = getattr(pack.arrears.letter, letter_class(customer_class, importance))
    return span


def _send(notice_ids: Sequence[int], stage: NoticeStage, actor: Actor) -> None:
    """Put these notices into words and on their way: a letter for each, so many statements as there are branches."""
    if not notice_ids:
        return
    now = timezone.now()
    every = list(Channel.values)
    told = [_Told(*row) for row in _rows(_TOLD, {"ids": list(notice_ids), "every": every})]
    letters: dict[int, int] = {}
    for (branch_id, expires_at, channels), group in _grouped(told, now).items():
        sent = letters_send(
            origin=f"debt-notice:{group[0].notice_id}",
            author=actor.name,
            branch_id=branch_id,
            drafts=[one.draft(now) for one in group],
            lane=_LANES[stage],
            channels=[Channel(name) for name in channels],
            expires_at=expires_at,
            is_mandatory=stage in _MANDATORY,
        )
        letters |= {one.notice_id: sent[one.customer_id] for one in group}
    with connection.cursor() as db:
        db.execute(
            "UPDATE billing_cutoffs_debtnotice n SET letter_id = l.letter FROM unnest(%s::bigint[], %s::bigint[])"
            " AS l(notice, letter) WHERE n.id = l.notice",
            [list(letters), list(letters.values())],
        )


def _grouped(told: Iterable[_Told], now: datetime) -> dict[tuple[int, datetime, tuple[str, ...]], list[_Told]]:
    """What goes out together: of one branch, through the same channels, until the same moment."""
    groups: defaultdict[tuple[int, datetime, tuple[str, ...]], list[_Told]] = defaultdict(list)
    for one in told:
        groups[one.branch_id, one.expires_at(now), tuple(sorted(one.channels))].append(one)
    return groups


def _rows(sql: str, facts: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as db:
        db.execute(sql, facts)
        found: list[tuple[Any, ...]] = db.fetchall()
        return found
