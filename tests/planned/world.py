"""What the tests of planning say to each other: a work, a plan that has passed some gates, a published window."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Model
from django.utils import timezone

from accounts.actor import Actor
from grid.models import Branch
from outages.planned import checks, services
from outages.planned.models import (
    CheckAnswer,
    PlannedWork,
    PlanPeriod,
    PlanStep,
    WindowClaim,
    WorkPlace,
    WorkWindow,
)
from outages.planned.selectors import subjects_of
from outages.planned.services import WorkDraft
from tests.factories.grid import SmallCity

CONSIDERED = {"live_line": "not_possible", "transfer": "not_possible"}


def ahead(days: float, hour: int = 8) -> datetime:
    """A full hour so many days from now, on the branch's clock (the site's zone here).

    The days of the plans, 20 to 30, always lie in one month: where they do not, they all lie some days later.
    """
    day = timezone.localtime() + timedelta(days=days)
    if 20 <= days <= 30:
        first, last = (timezone.localdate() + timedelta(days=n) for n in (20, 30))
        if first.month != last.month:
            day += last.replace(day=1) - first
    return day.replace(hour=hour, minute=0, second=0, microsecond=0)


def window(days: float, hour: int = 8, hours: float = 6) -> tuple[datetime, datetime]:
    start = ahead(days, hour)
    return start, start + timedelta(hours=hours)


def draft(city: SmallCity, *elements: str, windows: Any = None, **facts: Any) -> WorkDraft:
    facts = {"title": "更换绝缘子", "contact_name": "王工", "contact_phone": "13900000001", **CONSIDERED, **facts}
    return WorkDraft(tuple(city.ids(*elements)), tuple(windows or [window(20)]), facts)


def work_in(
    city: SmallCity, actor: Actor, *elements: str, branch: Branch | None = None, period: PlanPeriod | None = None,
    **facts: Any,
) -> PlannedWork:  # fmt: skip
    """A drafted work; outside a plan unless one is named."""
    windows = facts.pop("windows", None)
    return services.work_create(
        actor=actor, branch=branch or city.east, period=period, draft=draft(city, *elements, windows=windows, **facts)
    )


def answered(work: PlannedWork, actor: Actor) -> PlannedWork:
    """Every open finding of a work gets an answer."""
    answered_all([work], actor)
    work.refresh_from_db()
    return work


def answered_all(works: Iterable[PlannedWork], actor: Actor) -> None:
    """The same for works that are asked about together, as a plan is."""
    works = list(works)
    subjects = subjects_of(works)
    found = checks.findings_of(subjects, at=timezone.now())
    for work, subject in zip(works, subjects, strict=True):
        for finding in found.get(subject.number, []):
            if finding.is_open:
                services.answer_give(actor=actor, work_id=work.pk, code=finding.code, reason="已核实，按要求执行")


def plan_of(city: SmallCity, actor: Actor, days: float = 20) -> PlanPeriod:
    """The east branch's month plan in which that day lies."""
    return services.period_open(actor=actor, branch=city.east, kind="month", day=ahead(days).date())


def published_alone(
    city: SmallCity, planner: Actor, lead: Actor, approver: Actor, *elements: str, **facts: Any
) -> WorkWindow:
    """The first window of a work outside a plan that has passed every gate."""
    facts.setdefault("work_class", "temporary")
    facts.setdefault("temporary_reason", "设备缺陷需尽快处理")
    work = answered(work_in(city, planner, *elements, **facts), planner)
    services.work_submit(actor=planner, work_id=work.pk)
    services.work_check(actor=lead, work_id=answered(work, lead).pk)
    services.work_approve(actor=approver, work_id=answered(work, approver).pk)
    services.work_publish(actor=approver, work_id=answered(work, approver).pk)
    return WorkWindow.objects.select_related("outage", "work").filter(work=work).order_by("starts_at")[0]


def everything_planned() -> dict[str, list[dict[str, Any]]]:
    """All that a refused action must leave as it was."""
    models: tuple[type[Model], ...] = (
        PlanPeriod,
        PlannedWork,
        WorkWindow,
        WindowClaim,
        WorkPlace,
        CheckAnswer,
        PlanStep,
    )
    return {model.__name__: list(model._default_manager.order_by("pk").values()) for model in models}
