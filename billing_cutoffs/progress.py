"""How far a batch is: its orders counted, what holds them, what came of it, and what it waits for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django.db import connection
from django.db.models import Case, Count, Max, OuterRef, Q, QuerySet, Subquery, When
from django.utils.translation import get_language, pgettext_lazy
from django.utils.translation import gettext_lazy as _

import standards
from accounts import rules
from accounts.actor import Actor
from billing_cutoffs import lifecycle, policies
from billing_cutoffs.models import (
    ApprovalLevel,
    CutoffBatch,
    CutoffOrder,
    CutoffStep,
    DebtNotice,
    NoticeStage,
    Payment,
    PaymentStatus,
)
from billing_cutoffs.protections import GUARDS, Finding, finding_text
from billing_cutoffs.texts import money
from grid.models import Branch
from outages.places import masked

# nothing holds them, and nobody has ordered them off yet
READY: Final = (lifecycle.ELIGIBLE, lifecycle.APPROVED, lifecycle.NOTICED, lifecycle.WARNED)
_ASKS_A_PERSON: Final = Q(holds__contains=[{"needs": "person"}]) & ~Q(holds__contains=[{"needs": "never"}])
_TO_CLEAR: Final = Q(state=lifecycle.HELD, held_by__isnull=True) & _ASKS_A_PERSON

# the groups of a batch's orders that are counted and listed, in the order of their lives
GROUPS: Final[dict[str, tuple[Any, Q]]] = {
    "all": (pgettext_lazy("cut-offs", "Proposed"), ~Q(state=lifecycle.CANCELLED)),
    "held": (pgettext_lazy("cut-offs", "Held"), Q(state=lifecycle.HELD) & ~_TO_CLEAR),
    "check": (pgettext_lazy("cut-offs", "To be looked into"), _TO_CLEAR),
    "ready": (pgettext_lazy("cut-offs", "Can be carried out"), Q(state__in=READY)),
    "under_way": (pgettext_lazy("cut-offs", "Switching off"), Q(state=lifecycle.COMMANDED)),
    "off": (pgettext_lazy("cut-offs", "Off"), Q(state__in=lifecycle.OFF)),
    "failed": (pgettext_lazy("cut-offs", "Failed"), Q(state=lifecycle.FAILED)),
    "on": (pgettext_lazy("cut-offs", "On again"), Q(state=lifecycle.RECONNECTED)),
    "ended": (pgettext_lazy("cut-offs", "Ended without a cut"), Q(state=lifecycle.CANCELLED)),
}
_BEFORE: Final = ("all", "held", "check", "ready", "ended")

REASONS: Final[dict[str, Any]] = {
    "paid": pgettext_lazy("cut-off ended", "paid"),
    "excluded": pgettext_lazy("cut-off ended", "left out of the batch"),
    "undone": pgettext_lazy("cut-off ended", "batch taken back"),
    "window_missed": pgettext_lazy("cut-off ended", "window over"),
    "withdrawn": pgettext_lazy("cut-off ended", "command withdrawn"),
    "agreed": pgettext_lazy("cut-off ended", "agreed instead of payment"),
    "ordered": pgettext_lazy("cut-off ended", "ordered by a person"),
    "found_off": pgettext_lazy("cut-off ended", "another order was found off"),
    "not_cut": pgettext_lazy("cut-off ended", "not switched off"),
    "moved_in": pgettext_lazy("cut-off ended", "another customer lives there now"),
    "not_done": pgettext_lazy("cut-off failed", "the meter did not switch"),
    "expired": pgettext_lazy("cut-off ended", "window over"),
    "no_reading": pgettext_lazy("cut-off failed", "the meter does not answer"),
    "refused": pgettext_lazy("cut-off failed", "the meter system refuses"),
    "visit_failed": pgettext_lazy("cut-off failed", "could not be done on site"),
    "brake_wrong": _("Stopped by the brake: too many cuts were wrong or complained about"),
    "brake_failing": _("Stopped by the brake: the commands fail one after the other"),
}


# what a step of the history did, of a batch or of an order
VERBS: Final[dict[str, Any]] = {
    "propose": pgettext_lazy("cut-off step", "proposed"),
    "add": pgettext_lazy("cut-off step", "accounts added"),
    "change": pgettext_lazy("cut-off step", "window or rates changed"),
    "submit": pgettext_lazy("cut-off step", "handed in"),
    "withdraw": pgettext_lazy("cut-off step", "taken back to change it"),
    "return": pgettext_lazy("cut-off step", "sent back"),
    "approve": pgettext_lazy("cut-off step", "approved"),
    "second": pgettext_lazy("cut-off step", "approved as the second"),
    "run": pgettext_lazy("cut-off step", "begun"),
    "draw": pgettext_lazy("cut-off step", "turns drawn"),
    "stop": pgettext_lazy("cut-off step", "stopped"),
    "resume": pgettext_lazy("cut-off step", "resumed"),
    "finish": pgettext_lazy("cut-off step", "done"),
    "undo": pgettext_lazy("cut-off step", "taken back altogether"),
    "notice": pgettext_lazy("cut-off step", "letter arrived"),
    "warn": pgettext_lazy("cut-off step", "last warning arrived"),
    "serve": pgettext_lazy("cut-off step", "notice served by hand"),
    "command": pgettext_lazy("cut-off step", "ordered off"),
    "confirm_off": pgettext_lazy("cut-off step", "off"),
    "fail": pgettext_lazy("cut-off step", "could not be switched off"),
    "send_out": pgettext_lazy("cut-off step", "somebody sent there"),
    "reopen": pgettext_lazy("cut-off step", "proposed again"),
    "hold": pgettext_lazy("cut-off step", "held"),
    "unhold": pgettext_lazy("cut-off step", "a person's hold ended"),
    "release": pgettext_lazy("cut-off step", "no longer held"),
    "clear": pgettext_lazy("cut-off step", "looked into"),
    "cancel": pgettext_lazy("cut-off step", "ended without a cut"),
    "stay_on": pgettext_lazy("cut-off step", "stays on"),
    "want_back": pgettext_lazy("cut-off step", "paid while the command was on its way"),
    "pay": pgettext_lazy("cut-off step", "paid"),
    "safe": pgettext_lazy("cut-off step", "customer says it is safe"),
    "reconnect": pgettext_lazy("cut-off step", "ordered on"),
    "reconnect_fail": pgettext_lazy("cut-off step", "could not be switched on"),
    "confirm_on": pgettext_lazy("cut-off step", "on again"),
    "found_off": pgettext_lazy("cut-off step", "found off by mistake"),
    "warn_owner": pgettext_lazy("cut-off step", "due soon, still off"),
    "escalate": pgettext_lazy("cut-off step", "overdue, escalated"),
}


def amount_text(amount: Decimal, rule_pack: str) -> str:
    """An amount for the reader of the page."""
    return money(amount, rule_pack=rule_pack, language=get_language() or "en")


def verb_text(verb: str) -> str:
    return str(VERBS.get(verb, verb))


def reason_text(reason: str) -> str:
    """Why an order ended or a batch stopped: our own codes in words, what a person wrote as it is."""
    if reason in GUARDS:
        return str(GUARDS[reason].label)
    return str(REASONS.get(reason, reason))


# --- counts -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tally:
    """One figure of the strip above the orders; it leads to what was counted."""

    name: str
    label: str
    count: int


def counts_of(batch: CutoffBatch) -> dict[str, int]:
    """Every group counted, in one statement."""
    return batch.orders.order_by().aggregate(
        **{name: Count("pk", filter=condition) for name, (_label, condition) in GROUPS.items()}
    )


def strip_of(batch: CutoffBatch, counts: dict[str, int]) -> list[Tally]:
    """The figures that say something in the batch's state."""
    has_begun = any(counts[name] for name in ("under_way", "off", "failed", "on"))
    names = list(GROUPS) if has_begun or batch.state == lifecycle.RUNNING else _BEFORE
    return [Tally(name, str(GROUPS[name][0]), counts[name]) for name in names]


def counts_by_batch(batches: Collection[CutoffBatch]) -> dict[int, Counter[str]]:
    """How many orders of each batch are in which state, for a list of batches."""
    found: dict[int, Counter[str]] = {batch.pk: Counter() for batch in batches}
    rows = CutoffOrder.objects.filter(batch__in=found).order_by().values_list("batch", "state").annotate(Count("pk"))
    for batch_id, state, number in rows:
        found[batch_id][state] = number
    return found


# --- the protections ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Protection:
    """One protection that ran over the batch: what it says, by which rule and source, and whom it holds."""

    code: str
    label: str
    description: str
    values: tuple[tuple[str, str, str], ...]  # what the value is called, the value, where it comes from
    held: int


def protections_of(batch: CutoffBatch) -> list[Protection]:
    """Every protection in force, with how many orders of the batch it holds."""
    pack = standards.pack(batch.rule_pack)
    held = _held_by_code(batch)
    return [
        Protection(
            guard.code,
            str(guard.label),
            str(guard.description),
            tuple(
                (str(rules.LABELS[path]), rules.text_of(rule), rule.citation)
                for path, rule in guard.rules_of(pack).items()
            ),
            held[guard.code],
        )
        for guard in GUARDS.values()
        if guard.is_in_force(pack)
    ]


def _held_by_code(batch: CutoffBatch) -> Counter[str]:
    with connection.cursor() as db:
        db.execute(
            """
            SELECT h.value ->> 'code', count(*)
            FROM billing_cutoffs_cutofforder o, jsonb_array_elements(o.holds) h
            WHERE o.batch_id = %s AND o.state = 'held' GROUP BY 1
            """,
            [batch.pk],
        )
        return Counter(dict(db.fetchall()))


def ages_of(batch: CutoffBatch) -> list[tuple[str, datetime | None]]:
    """How old the data were when the protections last ran."""
    labels = {
        "checked": _("Protections last ran"),
        "statements": _("Billing as of"),
        "payments": _("Last payment received"),
        "forecast": _("Forecast of"),
    }
    said = batch.data_age
    return [
        (str(label), datetime.fromisoformat(said[name]) if said.get(name) else None) for name, label in labels.items()
    ]


# --- the orders ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """One order as a row of the batch's page."""

    order: CutoffOrder
    customer: str
    account_number: str
    amount: str
    findings: tuple[tuple[str, str, str], ...]  # code, word, sentence
    ended: str
    asks_a_person: bool
    letter: DebtNotice | None
    warning: DebtNotice | None


def orders_with_evidence(batch: CutoffBatch) -> QuerySet[CutoffOrder]:
    """The orders of a batch with the customer and when they last paid; what is held stands first."""
    paid = Payment.objects.filter(account=OuterRef("case__account"), status=PaymentStatus.SETTLED)
    return (
        batch.orders.select_related("service_point", "case__account__customer", "branch", "held_by")
        .annotate(
            last_paid_at=Subquery(paid.order_by("-paid_at").values("paid_at")[:1]),
            place=Case(When(state=lifecycle.HELD, then=0), default=1),
        )
        .order_by("place", "pk")
    )


def lines_of(batch: CutoffBatch, orders: Iterable[CutoffOrder]) -> list[Line]:
    """A page of orders with the proof of their notices: one statement more, however many they are."""
    orders = list(orders)
    notices: dict[tuple[int | None, str], DebtNotice] = {}
    for notice in DebtNotice.objects.filter(order__in=orders).order_by("pk"):
        notices[notice.order_id, notice.stage] = notice
    return [
        Line(
            order=order,
            customer=masked(order.case.account.customer.name),
            account_number=order.case.account.customer.account_number,
            amount=amount_text(order.amount, batch.rule_pack),
            findings=tuple(_chips(order)),
            ended=reason_text(order.state_reason) if order.state == lifecycle.CANCELLED else "",
            asks_a_person=any(said["needs"] == "person" for said in order.holds),
            letter=notices.get((order.pk, NoticeStage.LETTER)),
            warning=notices.get((order.pk, NoticeStage.FINAL_WARNING)),
        )
        for order in orders
    ]


def _chips(order: CutoffOrder) -> Iterator[tuple[str, str, str]]:
    if order.state != lifecycle.HELD:
        return
    for said in order.holds:
        finding = Finding.from_json(said)
        yield finding.code, str(GUARDS[finding.code].label), finding_text(finding)


def next_turns(batch: CutoffBatch, limit: int = 5) -> QuerySet[CutoffOrder]:
    """Who is next."""
    waiting = batch.orders.filter(state__in=[lifecycle.NOTICED, lifecycle.WARNED], scheduled_at__isnull=False)
    return waiting.select_related("service_point").order_by("scheduled_at", "pk")[:limit]


# --- decisions ----------------------------------------------------------------------------------------


def changes_since(batch: CutoffBatch) -> tuple[CutoffStep | None, QuerySet[CutoffStep]]:
    """The last time somebody decided about the batch, and every step of an order since: what an approver must see."""
    marks = batch.steps.filter(order=None, verb__in=["return", "submit"])
    mark = marks.filter(verb="return").last() or marks.last()
    steps = batch.steps.filter(order__isnull=False, pk__gt=mark.pk if mark is not None else 0)
    return mark, steps.select_related("order__service_point").order_by("pk")


def company_of(branch: Branch) -> Branch:
    """The topmost branch: whose approvers decide for the whole company."""
    return Branch.objects.get(parent__isnull=True, pos__lte=branch.pos, last__gte=branch.pos)


def needs_second(batch: CutoffBatch) -> bool:
    """Does the rule pack ask for a further approver of a batch of this size?"""
    return (batch.approved_count or 0) > standards.pack(batch.rule_pack).arrears.four_eyes_above.value


def awaits_second(batch: CutoffBatch) -> bool:
    """Approved by one person where two must: nothing goes out yet."""
    return batch.state == lifecycle.BATCH_APPROVED and batch.seconded_at is None and needs_second(batch)


def steps_open_to(*, actor: Actor, batch: CutoffBatch) -> list[str]:
    """What this person may do with the batch now; what they may not is not there."""
    named = {"submit": "submit", "withdraw": "submit", "approve": "approve", "return": "return", "stop": "stop",
             "resume": "resume", "undo": "undo"}  # fmt: skip
    found = [
        step
        for step, action in named.items()
        if batch.state in lifecycle.BATCH_STEPS[step].sources
        and policies.may(actor=actor, action=action, branch=batch.branch)
    ]
    if batch.state in lifecycle.BATCH_EDITABLE and policies.may(actor=actor, action="submit", branch=batch.branch):
        found += ["change", "add"]
    if batch.state in (*lifecycle.BATCH_EDITABLE, lifecycle.SUBMITTED) and policies.may(
        actor=actor, action="stop", branch=batch.branch
    ):
        found.append("check")
    if awaits_second(batch) and policies.may(actor=actor, action="approve", branch=batch.branch):
        found.append("second")
    if not may_decide(actor=actor, batch=batch):
        found = [step for step in found if step not in ("approve", "second")]
    return found


def may_decide(*, actor: Actor, batch: CutoffBatch) -> bool:
    """Is the decision another person's than those who had a hand in it, and one of the batch's level?"""
    if policies.is_own_batch(actor=actor, batch=batch):
        return False
    if batch.level == ApprovalLevel.STATION:
        return True
    return policies.may_approve_level(actor=actor, batch=batch, company=company_of(batch.branch))


def letters_of(batches: Collection[CutoffBatch]) -> dict[int, tuple[int, int]]:
    """How many letters of each batch have provably arrived, of how many."""
    letters = DebtNotice.objects.filter(order__batch__in=batches, stage=NoticeStage.LETTER, void_at=None).order_by()
    counted = letters.values_list("order__batch").annotate(Count("served_at"), Count("pk"))
    return {batch.pk: (0, 0) for batch in batches} | {pk: (served, total) for pk, served, total in counted}


def data_age(actor_accounts: QuerySet[Any]) -> datetime | None:
    """When billing last stated any of these accounts."""
    latest: datetime | None = actor_accounts.aggregate(latest=Max("statement_at"))["latest"]
    return latest
