"""How the branches handed in their plans."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from datetime import datetime

from django.db.models import Count, Exists, OuterRef, Q

from accounts.actor import Actor
from grid.models import Branch
from outages.planned import selectors
from outages.planned.models import PlannedWork, PlanPeriod, WorkState
from outages.planned.reports.figures import Rate, Report


@dataclass(frozen=True)
class Timeliness:
    """How a branch handed in its plans; a plan without works that was never handed in is none."""

    plans: int = 0
    in_time: int = 0
    late: int = 0
    missing: int = 0  # past the deadline and not handed in
    waiting: int = 0  # not due yet
    again: int = 0  # handed in again: revisions after the first
    returned: int = 0

    @property
    def rate(self) -> Rate:
        return Rate(self.in_time, self.plans - self.waiting)

    def __add__(self, other: Timeliness) -> Timeliness:
        return Timeliness(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))


def timeliness_of(*, actor: Actor, report: Report) -> list[tuple[Branch, Timeliness]]:
    """Per branch the plans that begin in the days asked about; nobody who sees no plans sees this."""
    asked = report.asked
    standing = PlannedWork.objects.filter(period=OuterRef("pk")).exclude(state=WorkState.CANCELLED)
    plans = selectors.periods_visible_to(actor).filter(
        branch__in=[branch.pk for branch in report.branches], starts_on__range=(asked.first, asked.last)
    )
    if asked.plan_kind:
        plans = plans.filter(kind=asked.plan_kind)
    found: dict[int, Timeliness] = {}
    counted = plans.annotate(has_works=Exists(standing), returned=Count("steps", filter=Q(steps__verb="return")))
    for plan in counted.order_by("pk"):
        if plan.first_submitted_at is not None or plan.has_works:
            found[plan.branch_id] = found.get(plan.branch_id, Timeliness()) + _timeliness(plan, report.at)
    return [(branch, found[branch.pk]) for branch in report.branches if branch.pk in found]


def _timeliness(plan: PlanPeriod, at: datetime) -> Timeliness:
    handed_in = plan.first_submitted_at
    return Timeliness(
        plans=1,
        in_time=int(handed_in is not None and handed_in <= plan.deadline),
        late=int(handed_in is not None and handed_in > plan.deadline),
        missing=int(handed_in is None and plan.deadline < at),
        waiting=int(handed_in is None and plan.deadline >= at),
        again=max(0, plan.revision - 1),
        returned=plan.returned,  # type: ignore[attr-defined]
    )
