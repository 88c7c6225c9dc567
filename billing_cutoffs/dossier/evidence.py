"""The evidence: every step that the rules ask for, with its date, its words, its proof, its rule and its source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.db.models import Q
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

import standards
from accounts.rules import LABELS, text_of
from billing_cutoffs import progress
from billing_cutoffs.dossier.notices import NoticeShown, notices_of
from billing_cutoffs.grading import letter_class, reasons_of
from billing_cutoffs.models import ArrearsCase, CutoffOrder, CutoffStep, DebtNotice, NoticeStage
from billing_cutoffs.protections import GUARDS, Finding, finding_text
from billing_cutoffs.protections.guards import rule_of
from notifications.models import DeliveryState
from standards import RulePack
from standards.values import Cited

# what a step answers to; {class}: the customer's own notice period
_RULES: Final[dict[str, str]] = {
    "due": "arrears.earliest_cut_after",
    NoticeStage.REMINDER: "arrears.earliest_cut_after",
    NoticeStage.LETTER: "arrears.letter.{class}",
    NoticeStage.FINAL_WARNING: "arrears.final_warning",
    NoticeStage.RECONNECTED: "arrears.reconnect",
    "propose": "arrears.earliest_cut_after",
    "second": "arrears.four_eyes_above",
    "notice": "arrears.letter.{class}",
    "warn": "arrears.final_warning",
    "command": "arrears.only_at_notified_time",
    "confirm_off": "arrears.cut_hours",
    "pay": "arrears.reconnect_share",
    "reconnect": "arrears.reconnect",
    "confirm_on": "arrears.reconnect",
}


@dataclass(frozen=True)
class RuleShown:
    """A value of the rule pack with where it is written."""

    name: str
    value: str
    source: str
    is_verified: bool


@dataclass(frozen=True)
class EvidenceStep:
    """One line of the evidence."""

    at: datetime
    what: str
    detail: str = ""
    words: str = ""  # what the customer was told, word for word
    proof: str = ""
    by: str = ""
    rule: RuleShown | None = None


@dataclass(frozen=True)
class Protection:
    """One protection of the rules in force, and what it says of an order."""

    label: str
    description: str
    rules: Sequence[RuleShown]
    finding: str  # what stands against the order; empty if nothing does


@dataclass(frozen=True)
class Evidence:
    case: ArrearsCase
    order: CutoffOrder | None
    steps: Sequence[EvidenceStep]
    protections: Sequence[Protection]
    checked_at: str


def evidence_of_case(case: ArrearsCase) -> Evidence:
    """All of one stretch of debt, whatever came of it."""
    return _evidence(case, None)


def evidence_of_order(order: CutoffOrder) -> Evidence:
    """What led to one order and what came of it."""
    return _evidence(order.case, order)


def _evidence(case: ArrearsCase, order: CutoffOrder | None) -> Evidence:
    pack = standards.pack(order.batch.rule_pack if order else case.branch.rule_pack)
    customer = case.account.customer
    period = letter_class(customer.customer_class, customer.importance)
    orders = [order] if order else list(case.orders.select_related("batch"))
    own = Q(order__in=orders) | Q(order=None)
    steps = [
        *_debt(case, pack, period),
        *(_notice(shown, pack, period) for shown in notices_of(Q(case=case) & own)),
        *_course(orders, pack, period),
        *_holds(case),
        *_payments(case),
    ]
    return Evidence(
        case=case,
        order=order,
        steps=sorted(steps, key=lambda step: step.at),
        protections=_protections(order, pack) if order else (),
        checked_at=str(order.batch.data_age.get("checked", "")) if order else "",
    )


# --- the parts ----------------------------------------------------------------------------------------


def _debt(case: ArrearsCase, pack: RulePack, period: str) -> Iterator[EvidenceStep]:
    yield EvidenceStep(
        at=_midnight(case.oldest_due_on, case.branch.time_zone),
        what=pgettext("evidence", "oldest bill was due"),
        rule=_rule(pack, "due", period),
    )
    yield EvidenceStep(at=case.opened_at, what=pgettext("evidence", "case opened"))
    if case.closed_at is not None:
        yield EvidenceStep(at=case.closed_at, what=pgettext("evidence", "case closed: nothing is overdue"))
    changes = case.account.grade_changes.select_related("after").filter(at__gte=case.opened_at)
    for change in changes.filter(at__lte=case.closed_at) if case.closed_at else changes:
        reasons = " · ".join(f"{reason.name}: {reason.fact}" for reason in reasons_of(change.why))
        name = change.after.local_name if change.after else _("none")
        yield EvidenceStep(at=change.at, what=pgettext("evidence", "grade: %(name)s") % {"name": name}, detail=reasons)


def _notice(shown: NoticeShown, pack: RulePack, period: str) -> EvidenceStep:
    notice = shown.notice
    window = ""
    if notice.window_from is not None and notice.window_until is not None:
        window = f"{_local(notice.window_from, notice)} – {_local(notice.window_until, notice)}"
    return EvidenceStep(
        at=notice.issued_at,
        what=str(NoticeStage(notice.stage).label),
        detail=" · ".join(part for part in (f"{notice.amount:.2f}", window) if part),
        words=notice.letter.text if notice.letter else "",
        proof=_proof(shown),
        rule=_rule(pack, notice.stage, period),
    )


def _proof(shown: NoticeShown) -> str:
    """Arrived when, how and through whom; or why there is no proof. Then every message that was tried."""
    notice, lines = shown.notice, [shown.words]
    if notice.served_at is not None:
        lines.append(f"{_local(notice.served_at, notice)} · {shown.how}")
    elif notice.failed_at is not None:
        lines.append(shown.why_not)
    for tried in shown.proof.deliveries if shown.proof else ():
        moment = tried.done_at or tried.accepted_at
        state = DeliveryState(tried.state).label
        at = _local(moment, notice) if moment else ""
        lines.append(" ".join(part for part in (str(tried.channel.label), tried.address, str(state), at) if part))
    return "\n".join(lines)


def _course(orders: Sequence[CutoffOrder], pack: RulePack, period: str) -> Iterator[EvidenceStep]:
    """What was decided about the orders and their batches, and by whom."""
    batches = {order.batch_id: order.batch for order in orders}
    steps = CutoffStep.objects.filter(Q(order__in=orders) | Q(order=None, batch__in=batches)).order_by("pk")
    names = {order.pk: order.reference for order in orders}
    for step in steps:
        subject = names.get(step.order_id or 0) or batches[step.batch_id].reference
        level = batches[step.batch_id].level
        path = f"arrears.approval_{'important' if level == 'company' else 'residential'}"
        rule = _shown(pack, path) if step.verb == "approve" else _rule(pack, step.verb, period)
        yield EvidenceStep(
            at=step.at,
            what=f"{subject}: {progress.verb_text(step.verb)}",
            detail=step.note,
            by=step.actor_name,
            rule=rule,
        )


def _holds(case: ArrearsCase) -> Iterator[EvidenceStep]:
    for hold in case.account.holds.filter(set_at__gte=case.opened_at):
        name = hold.get_kind_display()
        what = pgettext("evidence", "cut barred: %(hold)s") % {"hold": name}
        yield EvidenceStep(at=hold.since, what=what, detail=hold.reason, by=hold.set_by_name)
        if hold.released_at is not None:
            ended = pgettext("evidence", "bar ended: %(hold)s") % {"hold": name}
            yield EvidenceStep(at=hold.released_at, what=ended, detail=hold.release_reason, by=hold.released_by_name)


def _payments(case: ArrearsCase) -> Iterator[EvidenceStep]:
    until = Q(paid_at__lte=case.closed_at) if case.closed_at else Q()
    for payment in case.account.payments.filter(until, paid_at__gte=case.opened_at):
        what = pgettext("evidence", "payment: %(state)s") % {"state": payment.get_status_display()}
        yield EvidenceStep(at=payment.paid_at, what=what, detail=f"{payment.amount:.2f}", by=payment.source_system)


def _protections(order: CutoffOrder, pack: RulePack) -> list[Protection]:
    """Every protection in force, and whether it stood against this order when the guards last ran."""
    found = {finding.code: finding_text(finding) for finding in map(Finding.from_json, order.holds)}
    return [
        Protection(
            label=str(guard.label),
            description=str(guard.description),
            rules=[_rule_shown(path, value) for path, value in guard.rules_of(pack).items()],
            finding=found.get(guard.code, ""),
        )
        for guard in GUARDS.values()
        if guard.is_in_force(pack)
    ]


# --- rules --------------------------------------------------------------------------------------------


def _rule(pack: RulePack, key: str, period: str) -> RuleShown | None:
    path = _RULES.get(key)
    return _shown(pack, path.replace("{class}", period)) if path else None


def _shown(pack: RulePack, path: str) -> RuleShown | None:
    value = rule_of(pack, path)
    return _rule_shown(path, value) if value is not None else None


def _rule_shown(path: str, value: Cited) -> RuleShown:
    return RuleShown(str(LABELS[path]), text_of(value), value.citation, value.verified)


def _midnight(day: date, zone: str) -> datetime:
    return datetime.combine(day, time(), ZoneInfo(zone))


def _local(moment: datetime, notice: DebtNotice) -> str:
    """Evidence names the whole date, by the branch's clock."""
    zone = ZoneInfo(notice.case.branch.time_zone)
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M}"


def rows_of(evidence: Evidence) -> Iterator[list[Any]]:
    """The steps as a spreadsheet takes them."""
    for step in evidence.steps:
        rule = step.rule
        yield [
            step.at, step.what, step.detail, step.words, step.proof, step.by,
            f"{rule.name}: {rule.value}" if rule else "", rule.source if rule else "",
        ]  # fmt: skip
