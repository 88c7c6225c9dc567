"""Plans of a branch for a month or a week: opened, handed in, endorsed, approved, published, closed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

import standards
from accounts.actor import Actor
from grid.models import Branch
from outages.planned import lifecycle, policies
from outages.planned.models import PeriodKind, PlannedWork, PlanPeriod
from outages.planned.policies import OwnWork
from outages.planned.services.gates import NothingToDecide, works_return, works_step
from outages.planned.services.works import NotEditable, steps_append, works_locked
from standards.errors import Conflict, DomainError, NotFound

_ENDED = (lifecycle.CLOSED, *lifecycle.GONE)


class StillRunning(DomainError):
    code = "works_open"
    status = 409
    message = _("%(works)d works of this plan have not ended.")


# --- opening ------------------------------------------------------------------------------------------


def period_bounds(kind: str, day: date) -> tuple[date, date]:
    """First and last day of the month or the (Monday to Sunday) week in which ``day`` lies."""
    if kind == PeriodKind.WEEK:
        monday = day - timedelta(days=day.weekday())
        return monday, monday + timedelta(days=6)
    first = day.replace(day=1)
    return first, (first + timedelta(days=32)).replace(day=1) - timedelta(days=1)


def period_deadline(kind: str, first: date, branch: Branch) -> datetime:
    """Until when the branch hands it in: so long before its first midnight as the rule pack says."""
    pack = standards.pack(branch.rule_pack)
    due = pack.planning.month_due if kind == PeriodKind.MONTH else pack.planning.week_due
    return due.before(datetime.combine(first, time(0, 0), ZoneInfo(branch.time_zone)))


def period_open(*, actor: Actor, branch: Branch, kind: str, day: date) -> PlanPeriod:
    """The plan of a branch in which ``day`` lies; a second asker finds the first one's."""
    policies.require(actor=actor, action="edit", branch=branch)
    if day.year not in lifecycle.YEARS:
        raise DomainError(_("The date is not plausible."), field="day")
    first, last = period_bounds(kind, day)
    with transaction.atomic():
        period, created = PlanPeriod.objects.get_or_create(
            branch=branch, kind=kind, starts_on=first,
            defaults={
                "ends_on": last, "deadline": period_deadline(kind, first, branch), "crew_capacity": _capacity(branch),
            },
        )  # fmt: skip
        if created:
            steps_append(actor=actor, verb="open", period=period)
    return period


def _capacity(branch: Branch) -> int:
    """As many crews a day as the branch last planned with."""
    last = PlanPeriod.objects.filter(branch=branch).order_by("-pk").values_list("crew_capacity", flat=True).first()
    return last or 3


def periods_open_ahead(*, actor: Actor) -> int:
    """See that every branch that owns a part of the network has next month's and the next two weeks' plans."""
    opened = 0
    ahead = PlanPeriod.objects.filter(starts_on__gt=timezone.now().date() - timedelta(days=1))
    there = set(ahead.values_list("branch", "kind", "starts_on"))
    for branch in Branch.objects.filter(elements__isnull=False, children__isnull=True).distinct():
        today = timezone.now().astimezone(ZoneInfo(branch.time_zone)).date()
        next_month = (today.replace(day=1) + timedelta(days=32)).replace(day=1)
        wanted = [(PeriodKind.MONTH, next_month)]
        wanted += [(PeriodKind.WEEK, today + timedelta(weeks=weeks)) for weeks in (1, 2)]
        for kind, day in wanted:
            if (branch.pk, kind.value, period_bounds(kind, day)[0]) not in there:
                period_open(actor=actor, branch=branch, kind=kind, day=day)
                opened += 1
    return opened


def period_capacity_set(*, actor: Actor, period_id: int, crews: int, expected_version: int | None = None) -> PlanPeriod:
    """How many crews the branch has on one day: the scheduler plans with it."""
    if not 1 <= crews <= 99:
        raise DomainError(_("Between 1 and 99 crews a day."), field="crew_capacity")
    with transaction.atomic():
        period = period_editable(actor, period_id)
        _version_check(period, expected_version)
        period.crew_capacity = crews
        period.version += 1
        period.save(update_fields=["crew_capacity", "version"])
        return period


# --- the gates ----------------------------------------------------------------------------------------


def period_submit(*, actor: Actor, period_id: int, expected_version: int | None = None) -> PlanPeriod:
    """The branch hands its plan in: every work is complete and every finding answered. A later one is a revision."""
    with transaction.atomic(durable=True):
        period = _for(actor, "submit", period_id, expected_version)
        works = _works(period, lifecycle.EDITABLE)
        works_step(actor=actor, works=works, action="submit")
        now = timezone.now()
        period.revision += 1
        period.submitted_at, period.submitted_by_id = now, actor.user_id
        period.first_submitted_at = period.first_submitted_at or now
        period.endorsed_at = period.endorsed_by_id = None
        _save(period, "revision", "submitted_at", "submitted_by", "first_submitted_at", "endorsed_at", "endorsed_by")
        late = max(timedelta(0), now - period.deadline)
        steps_append(
            actor=actor, verb="submit", period=period,
            facts={"revision": period.revision, "works": len(works), "late_minutes": int(late.total_seconds() // 60)},
        )  # fmt: skip
        return period


def period_withdraw(*, actor: Actor, period_id: int, expected_version: int | None = None) -> PlanPeriod:
    """The branch takes its plan back before the lead has looked at it."""
    with transaction.atomic(durable=True):
        period = _for(actor, "withdraw", period_id, expected_version)
        works_step(actor=actor, works=_works(period, (lifecycle.SUBMITTED,), may_be_none=True), action="withdraw")
        _save(period)
        steps_append(actor=actor, verb="withdraw", period=period)
        return period


def period_endorse(*, actor: Actor, period_id: int, expected_version: int | None = None) -> PlanPeriod:
    """The branch lead vouches for the plan; the impact of every work is frozen from here."""
    with transaction.atomic(durable=True):
        period = _for(actor, "endorse", period_id, expected_version)
        if policies.is_own_period(actor=actor, period=period, action="endorse"):
            raise OwnWork()
        works_step(actor=actor, works=_works(period, (lifecycle.SUBMITTED,)), action="check")
        period.endorsed_at, period.endorsed_by_id = timezone.now(), actor.user_id
        _save(period, "endorsed_at", "endorsed_by")
        steps_append(actor=actor, verb="endorse", period=period)
        return period


def period_return(
    *, actor: Actor, period_id: int, reasons: Mapping[int, str], note: str = "", expected_version: int | None = None
) -> PlanPeriod:
    """Send the plan back; ``reasons`` says for each work concerned (by its key) what must be done about it.

    The other works go back to the branch with it, so that the plan is handed in again as a whole.
    """
    with transaction.atomic(durable=True):
        period = _for(actor, "return", period_id, expected_version)
        works = _works(period, (lifecycle.SUBMITTED, lifecycle.CHECKED), may_be_none=True)
        known = {work.pk for work in works}
        given = {pk: reason.strip() for pk, reason in reasons.items() if reason.strip()}
        if not given and not note.strip():
            raise DomainError(_("Say at least of one work, or of the whole plan, what must be done."), field="note")
        if not set(given) <= known:
            raise NotFound(field="work")
        whole = note.strip() or str(_("goes back with its plan"))
        works_return(actor=actor, works=works, reasons={pk: given.get(pk, whole) for pk in known})
        period.endorsed_at = period.endorsed_by_id = None
        _save(period, "endorsed_at", "endorsed_by")
        steps_append(actor=actor, verb="return", period=period, note=note, facts={"works": len(given)})
        return period


def period_approve(*, actor: Actor, period_id: int, expected_version: int | None = None) -> PlanPeriod:
    """The approver agrees to the plan as a whole; never whoever handed it in or endorsed it."""
    with transaction.atomic(durable=True):
        period = _for(actor, "approve", period_id, expected_version)
        if policies.is_own_period(actor=actor, period=period, action="approve"):
            raise OwnWork()
        works_step(actor=actor, works=_works(period, (lifecycle.CHECKED,)), action="approve")
        period.approved_at, period.approved_by_id = timezone.now(), actor.user_id
        _save(period, "approved_at", "approved_by")
        steps_append(actor=actor, verb="approve", period=period)
        return period


def period_publish(*, actor: Actor, period_id: int, expected_version: int | None = None) -> PlanPeriod:
    """Make the plan public: every window becomes a scheduled outage, and the notice clock starts."""
    with transaction.atomic(durable=True):
        period = _for(actor, "publish", period_id, expected_version)
        works = _works(period, (lifecycle.APPROVED,), may_be_none=True)
        works_step(actor=actor, works=works, action="publish")
        period.published_at = timezone.now()
        _save(period, "published_at")
        steps_append(actor=actor, verb="publish", period=period, facts={"works": len(works)})
        return period


def period_close(*, actor: Actor, period_id: int, expected_version: int | None = None) -> PlanPeriod:
    """The plan is over: all its works have ended."""
    with transaction.atomic(durable=True):
        period = _for(actor, "close", period_id, expected_version)
        open_works = period.works.exclude(state__in=_ENDED).count()
        if open_works:
            raise StillRunning(works=open_works)
        period.closed_at = timezone.now()
        _save(period, "closed_at")
        steps_append(actor=actor, verb="close", period=period)
        return period


def periods_close_ended(*, actor: Actor) -> int:
    """Close every published plan whose last day is over and whose works have all ended."""
    yesterday = timezone.localdate() - timedelta(days=1)
    over = PlanPeriod.objects.filter(state=lifecycle.PUBLISHED, ends_on__lte=yesterday)
    still = PlannedWork.objects.exclude(state__in=_ENDED).filter(period__isnull=False).values("period")
    ended = list(over.exclude(pk__in=still).values_list("pk", flat=True))
    for period_id in ended:
        period_close(actor=actor, period_id=period_id)
    return len(ended)


# --- shared -------------------------------------------------------------------------------------------


def period_locked(period_id: int) -> PlanPeriod:
    """The plan's row, held until the transaction ends. Raises ``NotFound``."""
    period = (
        PlanPeriod.objects.select_for_update(no_key=True, of=("self",))
        .select_related("branch")
        .filter(pk=period_id)
        .first()
    )
    if period is None:
        raise NotFound(field="period")
    return period


def period_editable(actor: Actor, period_id: int) -> PlanPeriod:
    """The plan, locked, by somebody who may change it and while it is with the branch. Raises ``NotEditable``."""
    period = period_locked(period_id)
    policies.require(actor=actor, action="edit", branch=period.branch)
    if period.state not in lifecycle.WITH_THE_BRANCH:
        raise NotEditable(field="period")
    return period


def _version_check(period: PlanPeriod, expected_version: int | None) -> None:
    if expected_version is not None and expected_version != period.version:
        raise Conflict(field="version")


def _for(actor: Actor, action: str, period_id: int, expected_version: int | None) -> PlanPeriod:
    """The locked plan in the state after ``action``, if the actor and the table allow it."""
    period = period_locked(period_id)
    policies.require(actor=actor, action=action, branch=period.branch)
    _version_check(period, expected_version)
    period.state = lifecycle.period_after(action=action, state=period.state)
    return period


def _works(period: PlanPeriod, states: tuple[str, ...], *, may_be_none: bool = False) -> list[PlannedWork]:
    """``may_be_none``: all were called off since; the plan must not stay for ever where it is."""
    works = works_locked(list(period.works.filter(state__in=states).values_list("pk", flat=True)))
    if not works and not may_be_none:
        raise NothingToDecide()
    return works


def _save(period: PlanPeriod, *fields: str) -> None:
    period.version += 1
    period.save(update_fields=["state", "version", *fields])
