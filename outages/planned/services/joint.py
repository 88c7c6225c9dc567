"""一停多用: several works become one joint outage, and go their own ways again.

The joint work stands where the plan stands and passes the gates in its children's place; each child keeps its crew,
its order and its contact, and remembers the state it had.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.actor import Actor
from outages.lifecycle import IllegalTransition
from outages.planned import adviser, lifecycle, policies
from outages.planned.adviser import Candidate, Window
from outages.planned.models import (
    CheckAnswer,
    NoticeStage,
    PlannedWork,
    PlanPeriod,
    RiskSheet,
    WindowClaim,
    WindowState,
    WorkClass,
    WorkState,
    WorkWindow,
)
from outages.planned.services.gates import claims_write, works_save
from outages.planned.services.periods import period_locked
from outages.planned.services.works import PREFIX, steps_append, windows_check, works_locked, works_measure
from outages.services import references_take
from standards.errors import DomainError

# where a joint work stands, by where its plan stands
STAGE_OF: Final = {
    lifecycle.OPEN: lifecycle.DRAFT,
    lifecycle.RETURNED: lifecycle.DRAFT,
    lifecycle.SUBMITTED: lifecycle.SUBMITTED,
    lifecycle.ENDORSED: lifecycle.CHECKED,
}
_RANK: Final = {
    lifecycle.DRAFT: 0, lifecycle.RETURNED: 0, lifecycle.SUBMITTED: 1, lifecycle.CHECKED: 2,
}  # fmt: skip
_URGENCY: Final = (WorkClass.PLANNED, WorkClass.TEMPORARY, WorkClass.EMERGENCY)


class CannotJoin(DomainError):
    code = "cannot_join"
    status = 409
    message = _("These works cannot be one outage.")


def joint_create(
    *, actor: Actor, period_id: int, work_ids: Collection[int], window: Window | None = None
) -> PlannedWork:
    """Make one outage of several works that share supply; proposed is the adviser's window.

    Works of another branch need somebody who may join there as well. Raises ``CannotJoin`` with the reason.
    """
    with transaction.atomic(durable=True):
        period = period_locked(period_id)
        stage = STAGE_OF.get(period.state)
        if stage is None:
            raise IllegalTransition(action="join", current=period.state)
        works = works_locked(set(work_ids))
        for branch in {work.branch_id: work.branch for work in works}.values():
            policies.require(actor=actor, action="join", branch=branch)
        candidates = _candidates(works, period, stage)
        chosen = window or adviser.joint_window(candidates)
        windows_check([chosen], period=period, branch=period.branch)
        joint = _joint_written(actor, period, works, candidates, chosen, stage)
        for work in works:
            work.state_before_joint = work.state
            work.state = lifecycle.work_after(action="join", state=work.state)
            work.joint = joint
        works_save(works, "state_before_joint", "joint")
        WindowClaim.objects.filter(window__work__in=works).delete()
        if stage != lifecycle.DRAFT:
            claims_write([joint])
        steps_append(
            actor=actor, verb="join", works=[joint, *works], note=joint.reference,
            facts={"works": [work.reference for work in works]},
        )  # fmt: skip
        return joint


def _candidates(works: Sequence[PlannedWork], period: PlanPeriod, stage: str) -> list[Candidate]:
    if len(works) < 2:
        raise CannotJoin(_("Choose at least two works."))
    if all(work.period_id != period.pk for work in works):
        raise CannotJoin(_("None of these works stands in this plan."))
    for work in works:
        if work.state not in adviser.JOINABLE or work.joint_id is not None or work.children.exists():
            raise CannotJoin(_("%(reference)s is %(state)s."), reference=work.reference, state=work.get_state_display())
        if _RANK[work.state] < _RANK[stage]:
            raise CannotJoin(_("%(reference)s has not come as far as this plan."), reference=work.reference)
    windows: dict[int, list[Window]] = {work.pk: [] for work in works}
    live = WorkWindow.objects.filter(work__in=works).exclude(state=WindowState.CANCELLED).order_by("starts_at")
    for line in live:
        windows[line.work_id].append((line.starts_at, line.ends_at))
    several = next((work for work in works if len(windows[work.pk]) != 1), None)
    if several is not None:
        raise CannotJoin(
            _("%(reference)s has several windows, which depend on each other."), reference=several.reference
        )
    candidates = adviser.candidates_of(works, {pk: found[0] for pk, found in windows.items()})
    if len(candidates) != len(works) or not adviser.supply_is_shared(candidates):
        raise CannotJoin(_("These works take no customers off together."))
    if not adviser.dates_agree(candidates):
        raise CannotJoin(_("Two of these dates cannot move, and they differ."))
    return candidates


def _joint_written(
    actor: Actor, period: PlanPeriod, works: Sequence[PlannedWork], candidates: Sequence[Candidate], window: Window,
    stage: str,
) -> PlannedWork:  # fmt: skip
    lead = adviser.lead_of(candidates).work
    ordered = [lead, *(work for work in works if work.pk != lead.pk)]
    checkers = {work.checked_by_id for work in works}
    joint = PlannedWork.objects.create(
        reference=references_take(prefix=PREFIX, branch=period.branch)[0],
        branch=period.branch,
        period=period,
        state=stage,
        author_name="、".join(dict.fromkeys(work.author_name for work in ordered if work.author_name))[:150],
        checked_by_id=checkers.pop() if stage == lifecycle.CHECKED and len(checkers) == 1 else None,
        impact_at=timezone.now(),
        **_facts(ordered),
    )
    line = WorkWindow.objects.create(work=joint, starts_at=window[0], ends_at=window[1])
    assert line.pk is not None
    joint.elements.set({pk for work in works for pk in work.elements.values_list("pk", flat=True)})
    works_measure(work_ids=[joint.pk])
    _said_already(joint, ordered)
    joint.refresh_from_db()
    return joint


def _facts(works: Sequence[PlannedWork]) -> dict[str, Any]:
    """What the children say together; where only one can be right, the first one's word."""
    lead = works[0]
    stages = {stage for work in works for stage in work.notice_plan}
    urgent = max((work.work_class for work in works), key=lambda name: _URGENCY.index(WorkClass(name)))
    reasons = dict.fromkeys(work.temporary_reason for work in works if work.temporary_reason)
    tie = next((work.transfer_tie_id for work in works if work.transfer_tie_id), None)
    return {
        "title": "；".join(dict.fromkeys(work.title for work in works))[:200],
        "work_type": lead.work_type,
        "work_class": urgent,
        "temporary_reason": "；".join(reasons)[:300],
        "scope": "、".join(dict.fromkeys(work.scope for work in works if work.scope))[:300],
        "reason_zh": lead.reason_zh,
        "reason_en": lead.reason_en,
        "work_order": lead.work_order,
        "contact_name": lead.contact_name,
        "contact_phone": lead.contact_phone,
        "crews": sum(work.crews for work in works),
        "is_fixed": any(work.is_fixed for work in works),
        "customer_work": "；".join(dict.fromkeys(w.customer_work for w in works if w.customer_work))[:300],
        "notice_plan": [stage for stage in NoticeStage.values if stage in stages],
        "live_line": lead.live_line,
        "live_line_reason": lead.live_line_reason,
        "transfer": lead.transfer,
        "transfer_reason": lead.transfer_reason,
        "transfer_tie_id": tie,
    }


def _said_already(joint: PlannedWork, works: Sequence[PlannedWork]) -> None:
    """Answers and risk sheets of the children hold for the joint outage too."""
    answers: dict[str, CheckAnswer] = {}
    for answer in CheckAnswer.objects.filter(work__in=works).exclude(code__in=("overlap", "merge_candidate")):
        answers.setdefault(answer.code, answer)
    CheckAnswer.objects.bulk_create(
        [
            CheckAnswer(
                work=joint, code=code, reason=said.reason, actor_name=said.actor_name, actor_id=said.actor_id,
                at=said.at,
            )
            for code, said in answers.items()
        ]
    )  # fmt: skip
    sheets: dict[int, RiskSheet] = {}
    for sheet in RiskSheet.objects.filter(work__in=works):
        sheets.setdefault(sheet.customer_id, sheet)
    RiskSheet.objects.bulk_create(
        [
            RiskSheet(
                work=joint, customer_id=customer, own_generator=sheet.own_generator, measures=sheet.measures,
                agreed_with=sheet.agreed_with, agreed_at=sheet.agreed_at, actor_name=sheet.actor_name,
            )
            for customer, sheet in sheets.items()
        ]
    )  # fmt: skip


def joint_split(*, actor: Actor, work_id: int) -> list[PlannedWork]:
    """The works go their own ways again, each with the state it had, or as far as its plan has come since.

    Until the joint work is approved; afterwards its plan has been decided about.
    """
    with transaction.atomic(durable=True):
        children_ids = list(PlannedWork.objects.filter(joint=work_id).values_list("pk", flat=True))
        locked = {work.pk: work for work in works_locked([work_id, *children_ids])}
        joint = locked.pop(work_id)
        if not locked or joint.state not in adviser.JOINABLE:
            raise IllegalTransition(action="split", current=joint.state)
        children = [child for child in locked.values() if child.joint_id == joint.pk]
        for branch in {work.branch_id: work.branch for work in (joint, *children)}.values():
            policies.require(actor=actor, action="join", branch=branch)
        WindowClaim.objects.filter(window__work=joint).delete()
        for child in children:
            moved_on = child.period_id == joint.period_id and joint.state not in lifecycle.EDITABLE
            child.state = joint.state if moved_on else child.state_before_joint
            child.checked_by_id = joint.checked_by_id if child.state == lifecycle.CHECKED else None
            child.joint, child.state_before_joint = None, ""
        works_save(children, "joint", "state_before_joint", "checked_by")
        standing = [child for child in children if child.state in lifecycle.STANDING]
        if standing:
            claims_write(standing)
        steps_append(actor=actor, verb="split", works=children, note=joint.reference)
        _joint_ends(actor, joint)
        return children


def _joint_ends(actor: Actor, joint: PlannedWork) -> None:
    """What was never handed in leaves no trace but its children's history."""
    if joint.state == WorkState.DRAFT and not joint.steps.exclude(verb__in=("join", "answer", "risk_sheet")).exists():
        joint.delete()
        return
    joint.state, joint.state_reason = WorkState.CANCELLED, str(_("its works go their own ways"))
    works_save([joint], "state_reason")
    steps_append(actor=actor, verb="split", works=[joint])
