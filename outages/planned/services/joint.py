"""一停多用: several works become one joint outage, and go their own ways again.

The joint work stands where the plan stands and passes the gates in its children's place; each child keeps its crew,
its order and its contact, and remembers the state it had.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.actor import Actor
from grid.models import GridElement
from outages.lifecycle import IllegalTransition
from outages.planned import adviser, lifecycle, policies
from outages.planned.adviser import Candidate
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
from outages.planned.services.works import (
    PREFIX,
    plans_changed,
    plans_locked,
    steps_append,
    version_check,
    windows_check,
    works_locked,
    works_measure,
)
from outages.planned.spans import Window
from outages.services import references_take
from standards.errors import DomainError, NotFound

_URGENCY: Final = (WorkClass.PLANNED, WorkClass.TEMPORARY, WorkClass.EMERGENCY)


class CannotJoin(DomainError):
    code = "cannot_join"
    status = 409
    message = _("These works cannot be one outage.")


def joint_create(
    *,
    actor: Actor,
    period_id: int,
    work_ids: Collection[int],
    window: Window | None = None,
    expected_versions: Mapping[int, int] | None = None,
) -> PlannedWork:
    """Make one outage of several works that share supply; proposed is the adviser's window.

    Works of another branch need somebody who may join there as well. Raises ``CannotJoin`` with the reason, and
    ``Conflict`` when a work is not the one that was on screen.
    """
    with transaction.atomic(durable=True):
        plans = plans_locked(Q(pk=period_id) | Q(works__in=work_ids))
        if period_id not in plans:
            raise NotFound(field="period")
        period = plans[period_id]
        works = works_locked(set(work_ids))
        for work in works:
            policies.require(actor=actor, action=lifecycle.join_action(work.state), branch=work.branch)
            version_check(work, (expected_versions or {}).get(work.pk))
        candidates = _candidates(works, period)
        chosen = window or adviser.joint_window(candidates)
        windows_check([chosen], period=period, branch=period.branch)
        joint = _joint_written(actor, period, candidates, chosen)
        for work in works:
            work.state_before_joint = work.state
            work.state = lifecycle.work_after(action="join", state=work.state)
            work.joint = joint
        works_save(works, "state_before_joint", "joint")
        WindowClaim.objects.filter(window__work__in=works).delete()
        if joint.state in lifecycle.STANDING:
            claims_write([joint])
        plans_changed(plans)
        steps_append(actor=actor, verb="join", works=works, note=joint.reference)
        steps_append(actor=actor, verb="join", works=[joint], note=", ".join(work.reference for work in works))
        return joint


def _candidates(works: Sequence[PlannedWork], period: PlanPeriod) -> list[Candidate]:
    """The works as the adviser weighs them. Raises ``IllegalTransition`` or ``CannotJoin``."""
    states = lifecycle.joinable_in(period.state)
    if not states:
        raise IllegalTransition(action="join", current=period.state)
    if len(works) < 2:
        raise CannotJoin(_("Choose at least two works."))
    if all(work.period_id != period.pk for work in works):
        raise CannotJoin(_("None of these works stands in this plan."))
    joints = set(PlannedWork.objects.filter(joint__in=works).values_list("joint", flat=True))
    for work in works:
        if work.pk in joints:
            raise CannotJoin(_("%(reference)s is a joint outage already."), reference=work.reference)
        if work.state not in lifecycle.WORK_STEPS["join"].sources:
            raise CannotJoin(_("%(reference)s is %(state)s."), reference=work.reference, state=work.get_state_display())
        if work.state not in states:
            raise CannotJoin(_("%(reference)s has not come as far as this plan."), reference=work.reference)
        if work.work_class != WorkClass.PLANNED and not work.temporary_reason:
            raise CannotJoin(_("%(reference)s does not say yet why it cannot wait."), reference=work.reference)
    windows: dict[int, list[Window]] = {work.pk: [] for work in works}
    live = WorkWindow.objects.filter(work__in=works).exclude(state=WindowState.CANCELLED)
    for line in live:
        windows[line.work_id].append((line.starts_at, line.ends_at))
    for work in works:
        if len(windows[work.pk]) != 1:
            raise CannotJoin(
                _("%(reference)s has several windows, which depend on each other."), reference=work.reference
            )
    candidates = adviser.candidates_of(works, {pk: found[0] for pk, found in windows.items()}, period)
    if len(candidates) != len(works) or not adviser.supply_is_shared(candidates):
        raise CannotJoin(_("These works take no customers off together."))
    if not adviser.dates_agree(candidates):
        raise CannotJoin(_("Two of these dates cannot move, and they differ."))
    return candidates


def _joint_written(actor: Actor, period: PlanPeriod, candidates: Sequence[Candidate], window: Window) -> PlannedWork:
    """The joint work, measured, with what was said about its parts."""
    works = [candidate.work for candidate in adviser.lead_first(candidates)]
    joint = PlannedWork.objects.create(
        reference=references_take(prefix=PREFIX, branch=period.branch)[0],
        branch=period.branch,
        period=period,
        state=lifecycle.JOINT_STATES[period.state],
        author_name="、".join(dict.fromkeys(work.author_name for work in works if work.author_name))[:150],
        **_facts(works),
    )
    WorkWindow.objects.create(work=joint, starts_at=window[0], ends_at=window[1])
    joint.elements.set(GridElement.objects.filter(planned_works__in=works).distinct())
    works_measure(work_ids=[joint.pk])
    _said_already(joint, works)
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
        "switching_note": "；".join(dict.fromkeys(w.switching_note for w in works if w.switching_note))[:500],
    }


def _said_already(joint: PlannedWork, works: Sequence[PlannedWork]) -> None:
    """Answers and risk sheets of the children hold for the joint outage too."""
    answers: dict[str, CheckAnswer] = {}
    for answer in (
        CheckAnswer.objects.filter(work__in=works).exclude(code__in=("overlap", "merge_candidate")).order_by("pk")
    ):
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
    for sheet in RiskSheet.objects.filter(work__in=works).order_by("pk"):
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


def joint_split(*, actor: Actor, work_id: int, expected_version: int | None = None) -> list[PlannedWork]:
    """The works go their own ways again, each with the state it had, or as far as its plan has come since.

    Until the joint work is approved; afterwards its plan has been decided about.
    """
    with transaction.atomic(durable=True):
        parts = PlannedWork.objects.filter(joint=work_id)
        plans = plans_locked(Q(works=work_id) | Q(works__in=parts))
        locked = {work.pk: work for work in works_locked([work_id, *parts.values_list("pk", flat=True)])}
        joint = locked.pop(work_id)
        version_check(joint, expected_version)
        children = [child for child in locked.values() if child.joint_id == joint.pk]
        if not children or joint.state not in lifecycle.WORK_STEPS["join"].sources:
            raise IllegalTransition(action="split", current=joint.state)
        for branch in {work.branch_id: work.branch for work in (joint, *children)}.values():
            policies.require(actor=actor, action=lifecycle.join_action(joint.state), branch=branch)
        WindowClaim.objects.filter(window__work=joint).delete()
        for child in children:
            _goes_its_own_way(child, joint, plans)
        works_save(children, "joint", "state_before_joint", "checked_by", "period")
        claims_write([child for child in children if child.state in lifecycle.STANDING])
        plans_changed(plans)
        steps_append(actor=actor, verb="split", works=children, note=joint.reference)
        _joint_ends(actor, joint, children)
        return children


def _goes_its_own_way(child: PlannedWork, joint: PlannedWork, plans: Mapping[int, PlanPeriod]) -> None:
    """What passed a gate as a part has passed it; a work whose plan went on without it stands alone from now on."""
    before = child.state_before_joint
    plan = plans.get(child.period_id or 0)
    after = lifecycle.state_after_split(before=before, period_state=plan.state) if plan else before
    if after is None and child.period_id == joint.period_id:
        after = joint.state
        child.checked_by_id = joint.checked_by_id
    elif after is None:
        after, child.period = before, None
    child.state = after
    if after != lifecycle.CHECKED:
        child.checked_by_id = None
    child.joint, child.state_before_joint = None, ""


def _joint_ends(actor: Actor, joint: PlannedWork, children: Sequence[PlannedWork]) -> None:
    """What was never handed in leaves no trace but its children's history."""
    if joint.state == WorkState.DRAFT and not joint.steps.exclude(verb__in=("join", "answer", "risk_sheet")).exists():
        joint.delete()
        return
    joint.state, joint.state_reason = WorkState.CANCELLED, str(_("its works go their own ways"))
    works_save([joint], "state_reason")
    steps_append(actor=actor, verb="split", works=[joint], note=", ".join(child.reference for child in children))
