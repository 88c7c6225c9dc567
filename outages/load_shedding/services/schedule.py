"""Stages as they are published: from when until when, and how sure that is."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.actor import Actor
from outages.load_shedding import policies, schedule
from outages.load_shedding.models import PlanState, SheddingPlan, StageWindow
from outages.load_shedding.services.plans import branch_lock, midnight, plan_branch, plan_lock, windows_cut
from standards.errors import DomainError, UnknownCode

log = logging.getLogger(__name__)

LONGEST: Final = timedelta(days=62)


class NotApproved(DomainError):
    code = "plan_not_approved"
    status = 409
    message = _("Only an approved version is published.")


class BadSpan(DomainError):
    code = "bad_span"
    message = _("It must end after it begins, not in the past, and within %(days)d days.")


class ConfirmedAlready(DomainError):
    code = "confirmed_already"
    status = 409
    message = _("A part of this is confirmed: a forecast does not replace that. Withdraw it first.")


class AnotherVersion(DomainError):
    code = "another_version"
    status = 409
    message = _("On %(day)s another version of the plan holds: publish up to then, and the rest with that version.")


def stage_publish(
    *, actor: Actor, plan_id: int, stage: int, begins: datetime, until: datetime, certainty: str
) -> StageWindow:
    """Publish that a stage holds from then to then; what was published for that time before is replaced.

    Stage 0 says that nobody is shed. What is past is not rewritten: a stage that holds already begins now.
    """
    with transaction.atomic(durable=True):
        plan = _publishable(actor, plan_id)
        begins = max(begins, timezone.now().replace(second=0, microsecond=0))
        _check_span(begins, until)
        if stage and not plan.stages.filter(number=stage).exists():
            raise UnknownCode(field="stage", value=stage)
        _check_version(plan, begins, until)
        overlapping = plan.windows.filter(begins__lt=until, until__gt=begins)
        if (
            certainty == StageWindow.Certainty.FORECAST
            and overlapping.filter(certainty=StageWindow.Certainty.CONFIRMED).exists()
        ):
            raise ConfirmedAlready(field="certainty")
        windows_cut(plan, begins=begins, until=until)
        return StageWindow.objects.create(
            plan=plan, stage=stage, begins=begins, until=until, certainty=certainty, published_by=actor.name
        )


def stage_withdraw(*, actor: Actor, plan_id: int, begins: datetime, until: datetime) -> int:
    """Take back what is published from then to then: nothing is known about that time any more."""
    with transaction.atomic(durable=True):
        plan = _publishable(actor, plan_id)
        begins = max(begins, timezone.now().replace(second=0, microsecond=0))
        _check_span(begins, until)
        return len(windows_cut(plan, begins=begins, until=until))


def schedules_report() -> int:
    """Say in the log, for whoever is on call, which schedules in force run out or have run out."""
    approved = SheddingPlan.objects.filter(state=PlanState.APPROVED).select_related("branch")
    found = schedule.running_out(schedule.plans_in_force(approved))
    for one in found:
        verb = "ran out at" if one.is_over else "runs out at"
        log.warning("the published shedding schedule of %s %s %s", one.plan.branch.code, verb, one.at.isoformat())
    return len(found)


def _publishable(actor: Actor, plan_id: int) -> SheddingPlan:
    branch_lock(plan_branch(plan_id))
    plan = plan_lock(plan_id)
    policies.require(actor=actor, action="publish", branch=plan.branch)
    if plan.state != PlanState.APPROVED:
        raise NotApproved()
    return plan


def _check_span(begins: datetime, until: datetime) -> None:
    if not (begins < until and until - begins <= LONGEST):
        raise BadSpan(days=LONGEST.days, field="until")


def _check_version(plan: SheddingPlan, begins: datetime, until: datetime) -> None:
    """The whole span lies in the days of this version."""
    if begins < midnight(plan):
        raise AnotherVersion(day=plan.effective_from, field="begins")
    later = Q(effective_from__gt=plan.effective_from) | Q(effective_from=plan.effective_from, number__gt=plan.number)
    versions = SheddingPlan.objects.filter(later, branch=plan.branch, state=PlanState.APPROVED)
    next_one = versions.order_by("effective_from").select_related("branch").first()
    if next_one is not None and until > midnight(next_one):
        raise AnotherVersion(day=next_one.effective_from, field="until")
