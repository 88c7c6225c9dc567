"""A plan as the people who decide about it see it: its works with what was found, its way so far, what comes next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Count, Max, Q, QuerySet, Sum
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

import standards
from accounts.actor import Actor
from accounts.rules import LABELS, text_of
from outages.planned import checks, lifecycle, policies, selectors
from outages.planned.agenda import Entry, entries_of, look_of
from outages.planned.checks.rules import is_exempt
from outages.planned.findings import Finding, Weight
from outages.planned.models import (
    NoticeStage,
    PeriodState,
    PlannedWork,
    PlanPeriod,
    PlanStep,
    WorkPlace,
    WorkState,
    WorkWindow,
)

# --- the plan among others --------------------------------------------------------------------------


def periods_summed(periods: QuerySet[PlanPeriod]) -> QuerySet[PlanPeriod]:
    """With the number of works that count and their customers, in one statement."""
    counts = ~Q(works__state__in=lifecycle.GONE)
    return periods.annotate(
        works_count=Count("works", filter=counts), customers_sum=Sum("works__customers", filter=counts, default=0)
    )


@dataclass(frozen=True)
class Timeliness:
    """Was it handed in by its deadline, or how long is there still?"""

    handed_in_at: datetime | None
    deadline: datetime
    now: datetime

    @property
    def is_late(self) -> bool:
        return (self.handed_in_at or self.now) > self.deadline

    @property
    def by(self) -> timedelta:
        """How late, or how early, or how long still."""
        return abs((self.handed_in_at or self.now) - self.deadline)

    @property
    def is_near(self) -> bool:
        return self.handed_in_at is None and not self.is_late and self.by < timedelta(days=2)


def timeliness_of(period: PlanPeriod, *, now: datetime) -> Timeliness:
    """The first hand-in counts: what comes back with corrections was in time all the same."""
    return Timeliness(period.first_submitted_at, period.deadline, now)


# --- its way so far ---------------------------------------------------------------------------------

_WAY: Final[tuple[tuple[str, str], ...]] = (
    (PeriodState.OPEN, "open"),
    (PeriodState.SUBMITTED, "submit"),
    (PeriodState.ENDORSED, "endorse"),
    (PeriodState.APPROVED, "approve"),
    (PeriodState.PUBLISHED, "publish"),
    (PeriodState.CLOSED, "close"),
)

VERBS: Final[dict[str, Promise]] = {
    "open": _("opened the plan"),
    "submit": _("handed it in"),
    "withdraw": _("took it back"),
    "endorse": _("endorsed it"),
    "return": _("sent it back"),
    "approve": _("approved it"),
    "publish": _("published it"),
    "close": _("closed it"),
    "create": _("entered the work"),
    "change": _("changed the work"),
    "windows": _("moved the work"),
    "answer": _("answered a finding"),
    "risk_sheet": _("wrote a risk sheet"),
    "check": _("checked the work"),
    "cancel": _("cancelled the work"),
    "join": _("joined works"),
    "split": _("split a joint outage"),
}


@dataclass(frozen=True)
class Station:
    """One step of the plan's way with who took it."""

    label: str | Promise
    state: str  # done, now, todo
    step: PlanStep | None


def history_of(period: PlanPeriod) -> list[PlanStep]:
    """What was done with the plan as a whole, newest first."""
    return list(period.steps.order_by("-pk")[:200])


def stations_of(period: PlanPeriod, history: Sequence[PlanStep]) -> list[Station]:
    """The way from open to closed; a returned plan stands at its beginning again."""
    names = [state for state, _verb in _WAY]
    is_returned = period.state == PeriodState.RETURNED
    here = 0 if is_returned else names.index(period.state)
    newest: dict[str, PlanStep] = {}
    for step in history:
        newest.setdefault(step.verb, step)
    return [
        Station(
            label=PeriodState.RETURNED.label if is_returned and i == 0 else PeriodState(state).label,
            state="now" if i == here else "done" if i < here else "todo",
            step=None if i > here else newest.get("return") if is_returned and i == 0 else newest.get(verb),
        )
        for i, (state, verb) in enumerate(_WAY)
    ]


def word_of(verb: str) -> str:
    """What somebody did, as the history says it."""
    return str(VERBS.get(verb, verb))


def steps_since(period: PlanPeriod, seen: int) -> list[PlanStep]:
    """What others did with the plan or its works after somebody looked."""
    ours = Q(period=period) | Q(work__period=period)
    return list(PlanStep.objects.filter(ours, pk__gt=seen).select_related("work").order_by("pk")[:50])


def newest_step(period: PlanPeriod) -> int:
    """The last thing that was done with the plan or its works: what somebody who looks now has seen."""
    newest = PlanStep.objects.filter(Q(period=period) | Q(work__period=period)).aggregate(newest=Max("pk"))["newest"]
    return newest or 0


# --- what somebody may do next ----------------------------------------------------------------------


@dataclass(frozen=True)
class Doors:
    """The steps that are open to somebody, and those that must be another person's."""

    steps: tuple[str, ...]
    anothers: tuple[str, ...]


def is_editable(period: PlanPeriod) -> bool:
    """With the branch, not with those who decide."""
    return period.state in lifecycle.WITH_THE_BRANCH


def doors_of(period: PlanPeriod, actor: Actor) -> Doors:
    """What this actor may do with the plan as it stands."""
    steps: list[str] = []
    anothers: list[str] = []
    for name, rule in lifecycle.PERIOD_STEPS.items():
        if period.state not in rule.sources or not policies.may(actor=actor, action=name, branch=period.branch):
            continue
        decides = name in ("endorse", "approve")
        is_own = decides and policies.is_own_period(actor=actor, period=period, action=name)
        (anothers if is_own else steps).append(name)
    if is_editable(period) and policies.may(actor=actor, action="edit", branch=period.branch):
        steps.append("capacity")
    return Doors(tuple(steps), tuple(anothers))


def may_split(work: PlannedWork, parts: Sequence[PlannedWork], *, actor: Actor) -> bool:
    """May this actor send the parts of a work their own ways again, if it is a joint one?"""
    action = lifecycle.join_action(work.state)
    return (
        bool(parts)
        and work.state in lifecycle.WORK_STEPS["join"].sources
        and all(policies.may(actor=actor, action=action, branch=one.branch) for one in (work, *parts))
    )


# --- its works and what was found -------------------------------------------------------------------


@dataclass
class Line:
    """One work of the plan with its windows and what the checks say."""

    work: PlannedWork
    entries: list[Entry] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def place(self) -> str:
        return self.entries[0].place if self.entries else self.work.scope

    @property
    def shape(self) -> str:
        return look_of(self.work.state)[0]

    @property
    def tone(self) -> str:
        return look_of(self.work.state)[1]

    @property
    def refused(self) -> int:
        return sum(finding.weight == Weight.REFUSES for finding in self.findings)

    @property
    def unanswered(self) -> int:
        return sum(finding.weight == Weight.ASKS and finding.is_open for finding in self.findings)

    @property
    def answered(self) -> int:
        return sum(bool(finding.answer) for finding in self.findings)

    @property
    def told(self) -> int:
        return sum(finding.weight == Weight.TELLS for finding in self.findings)

    @property
    def counts(self) -> bool:
        """Still part of what the plan will do."""
        return self.work.state not in lifecycle.GONE


def lines_of(period: PlanPeriod, *, actor: Actor, now: datetime | None = None) -> list[Line]:
    """The plan's works in the order of their first windows, each with what the checks say now."""
    at = now or timezone.now()
    works = list(period.works.select_related("branch", "joint").order_by("pk"))
    windows = WorkWindow.objects.filter(work__in=[work.pk for work in works])
    lines = {work.pk: Line(work) for work in works}
    for entry in entries_of(windows, actor=actor, now=at):
        lines[entry.work.pk].entries.append(entry)
    open_works = [work for work in works if work.state in lifecycle.UNDECIDED]
    found = checks.findings_of(selectors.subjects_of(open_works), at=at)
    for number, work in enumerate(open_works):
        lines[work.pk].findings = found.get(number, [])
    return sorted(lines.values(), key=lambda line: (not line.counts, line.entries[0].starts if line.entries else at))


CHECK_NAMES: Final[dict[str, Promise]] = {
    "window_past": _("In the past"),
    "notice_short": _("Short notice"),
    "overlap": _("Planned out twice"),
    "life_support": _("Life support without a risk sheet"),
    "important": _("Important customers without a risk sheet"),
    "frequent": _("Cut too often"),
    "tie_out": _("The tie is out at the same time"),
    "backup_out": _("The other feeder is out at the same time"),
    "calendar": _("Work calendar"),
    "alternatives": _("Not considered: live-line work, transfer supply"),
    "peak": _("Domestic peak hours"),
    "merge_candidate": _("Could be one outage"),
}


SHOWN_A_CONCERN: Final = 30


def check_name(code: str) -> str:
    """What a check is about, in a few words."""
    return str(CHECK_NAMES.get(code, code))


@dataclass
class Concern:
    """One check with every work of the plan about which it has something to say."""

    code: str
    items: list[tuple[Line, Finding]] = field(default_factory=list)

    @property
    def name(self) -> str:
        return check_name(self.code)

    @property
    def first(self) -> Finding:
        """The gravest: its rule is shown for all."""
        return min((finding for _line, finding in self.items), key=lambda finding: _ORDER.index(finding.weight))

    @property
    def rule_label(self) -> str:
        """What the pack calls the rule; empty where the rule is this product's own."""
        return str(LABELS.get(self.first.rule_path, self.first.rule_path)) if self.first.rule else ""

    @property
    def rule_value(self) -> str:
        return text_of(self.first.rule) if self.first.rule else ""

    @property
    def unanswered(self) -> int:
        return sum(finding.is_open for _line, finding in self.items)

    @property
    def shown(self) -> list[tuple[Line, Finding]]:
        """As many as one reads at once, those without an answer first: each answer brings up the next."""
        return sorted(self.items, key=lambda item: not item[1].is_open)[:SHOWN_A_CONCERN]

    @property
    def more(self) -> int:
        return max(0, len(self.items) - SHOWN_A_CONCERN)

    @property
    def customers(self) -> int:
        return sum(finding.customers for _line, finding in self.items)


_ORDER: Final = tuple(Weight)


def concerns_of(lines: Iterable[Line]) -> list[Concern]:
    """The findings of a plan by what they are about, what stands in the way first."""
    found: dict[str, Concern] = {}
    for line in lines:
        for finding in line.findings:
            found.setdefault(finding.code, Concern(finding.code)).items.append((line, finding))
    return sorted(found.values(), key=lambda concern: (not concern.unanswered, _ORDER.index(concern.first.weight)))


@dataclass(frozen=True)
class PlanTotals:
    """The figures over a plan; ``refused`` counts works, ``unanswered`` findings."""

    works: int
    customers: int
    critical: int
    life_support: int
    refused: int
    unanswered: int


def totals_of(lines: Iterable[Line]) -> PlanTotals:
    """What the plan adds up to; a customer hit by two works counts twice here, as it is off twice."""
    counting = [line for line in lines if line.counts]
    return PlanTotals(
        works=len(counting),
        customers=sum(line.work.customers for line in counting),
        critical=sum(line.work.critical_customers for line in counting),
        life_support=sum(line.work.life_support for line in counting),
        refused=sum(line.refused > 0 for line in counting),
        unanswered=sum(line.unanswered for line in counting),
    )


# --- what publishing will say -----------------------------------------------------------------------


@dataclass(frozen=True)
class Announcement:
    """Who hears of the plan when it is published, when they hear next, and which works are announced late."""

    customers: int
    critical: int
    next_at: datetime | None
    late: tuple[Line, ...]


def announcement_of(lines: Iterable[Line], *, now: datetime) -> Announcement:
    """What publishing these works sets going."""
    going = [line for line in lines if line.work.state == WorkState.APPROVED]
    once = WorkPlace.objects.filter(work__in=[line.work.pk for line in going]).values("element")
    told = once.annotate(customers=Max("customers"), critical=Max("critical")).aggregate(
        all=Sum("customers", default=0), important=Sum("critical", default=0)
    )
    ahead = sorted(moment for line in going for moment in _reminders(line) if moment > now)
    late = tuple(line for line in going if _is_announced_late(line, now))
    return Announcement(told["all"], told["important"], ahead[0] if ahead else None, late)


def _is_announced_late(line: Line, now: datetime) -> bool:
    """A work that says why it cannot wait passes its check; its customers hear of it late all the same."""
    rules = standards.pack(line.work.branch.rule_pack).notice
    windows = [(entry.window.starts_at, entry.window.ends_at) for entry in line.entries]
    return bool(windows) and not is_exempt(windows, rules) and now > rules.planned.before(line.entries[0].starts)


def _reminders(line: Line) -> list[datetime]:
    planning = standards.pack(line.work.branch.rule_pack).planning
    rules = {
        NoticeStage.REMINDER_EARLY: planning.reminder_early,
        NoticeStage.REMINDER_LATE: planning.reminder_late,
    }
    wanted = [rule for stage, rule in rules.items() if stage in line.work.notice_plan]
    return [rule.before(entry.starts) for rule in wanted for entry in line.entries]
