"""A plan as the people who decide about it see it: its works with what was found, its way so far, what is new in it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from django.apps import apps
from django.db.models import Count, Max, Model, Q, QuerySet, Sum
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

import standards
from accounts.actor import Actor
from accounts.rules import LABELS, text_of
from outages.planned import checks, lifecycle, policies, selectors
from outages.planned.agenda import Entry, entries_of, look_of
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

_GONE: Final = (WorkState.CANCELLED, WorkState.JOINED)
# works whose findings somebody still has to look at
_TO_CHECK: Final = lifecycle.UNDECIDED


# --- the plan among others --------------------------------------------------------------------------


def periods_summed(periods: QuerySet[PlanPeriod]) -> QuerySet[PlanPeriod]:
    """With the number of works that count and their customers, in one statement."""
    counts = ~Q(works__state__in=_GONE)
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
    return str(VERBS.get(verb, verb))


def steps_since(period: PlanPeriod, seen: int) -> list[PlanStep]:
    """What others did with the plan or its works after somebody looked."""
    ours = Q(period=period) | Q(work__period=period)
    return list(PlanStep.objects.filter(ours, pk__gt=seen).select_related("work").order_by("pk")[:50])


def newest_step(period: PlanPeriod) -> int:
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
    return period.state in (PeriodState.OPEN, PeriodState.RETURNED)


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
        return self.work.state not in _GONE


def lines_of(period: PlanPeriod, *, actor: Actor, now: datetime | None = None) -> list[Line]:
    """The plan's works in the order of their first windows, each with what the checks say now."""
    at = now or timezone.now()
    works = list(period.works.select_related("branch", "joint").order_by("pk"))
    windows = WorkWindow.objects.filter(work__in=[work.pk for work in works])
    lines = {work.pk: Line(work) for work in works}
    for entry in entries_of(windows, actor=actor, now=at):
        lines[entry.work.pk].entries.append(entry)
    open_works = [work for work in works if work.state in _TO_CHECK]
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
    exempt = rules.exempt_below
    if exempt is not None and all(entry.ends - entry.starts < exempt.delta for entry in line.entries):
        return False
    return bool(line.entries) and now > rules.planned.before(line.entries[0].starts)


def _reminders(line: Line) -> list[datetime]:
    planning = standards.pack(line.work.branch.rule_pack).planning
    rules = {
        NoticeStage.REMINDER_EARLY: planning.reminder_early,
        NoticeStage.REMINDER_LATE: planning.reminder_late,
    }
    wanted = [rule for stage, rule in rules.items() if stage in line.work.notice_plan]
    return [rule.before(entry.starts) for rule in wanted for entry in line.entries]


# --- what is new since it was handed in before ------------------------------------------------------

_COMPARED: Final = (
    "title", "key", "work_class", "temporary_reason", "work_type", "scope", "places", "customers",
    "critical_customers", "crews", "is_fixed", "live_line", "transfer", "customer_work", "notice_plan",
)  # fmt: skip


@dataclass(frozen=True)
class FieldChange:
    label: str
    before: str
    after: str


@dataclass(frozen=True)
class WorkChange:
    """A work that is new, changed or gone since the plan was handed in the time before."""

    kind: str  # new, changed, removed
    reference: str
    title: str
    fields: tuple[FieldChange, ...] = ()


def changes_since_last(period: PlanPeriod) -> list[WorkChange] | None:
    """What differs from the plan as it was handed in the time before; ``None`` where this is the first time."""
    submits = period.steps.filter(verb="submit").order_by("-pk").values_list("at", flat=True)[:2]
    if len(submits) < 2:
        return None
    then = submits[1]
    rows = _events("PlannedWorkEvent").filter(period=period.pk, pgh_created_at__lte=then)
    before = {row["pgh_obj_id"]: row for row in rows.order_by("pgh_obj_id", "-pgh_id").distinct("pgh_obj_id").values()}
    now = {work.pk: work for work in period.works.exclude(state__in=_GONE).order_by("pk")}
    windows = _windows_at(list(before), then), _windows_now(list(now))
    changes = []
    for pk, work in now.items():
        row = before.get(pk)
        if row is None or row["state"] in _GONE:
            changes.append(WorkChange("new", work.reference, work.title))
        elif fields := _differences(row, work, windows[0].get(pk, []), windows[1].get(pk, [])):
            changes.append(WorkChange("changed", work.reference, work.title, tuple(fields)))
    changes += [
        WorkChange("removed", row["reference"], row["title"])
        for pk, row in before.items()
        if pk not in now and row["state"] not in _GONE
    ]
    return changes


def _events(model: str) -> QuerySet[Any]:
    """The history that triggers write: made beside the model, so it is looked up by name."""
    found: type[Model] = apps.get_model("planned", model)
    return found._default_manager.all()


Times = list[tuple[datetime, datetime]]


def _windows_at(work_ids: list[int], then: datetime) -> dict[int, Times]:
    """A change writes all windows of a work anew: the newest such writing before ``then`` is how they stood."""
    rows = _events("WorkWindowEvent").filter(work__in=work_ids, pgh_label="insert", pgh_created_at__lte=then)
    written: defaultdict[int, dict[datetime, Times]] = defaultdict(dict)
    for work_id, at, starts, ends in rows.values_list("work", "pgh_created_at", "starts_at", "ends_at"):
        written[work_id].setdefault(at, []).append((starts, ends))
    return {work_id: sorted(batches[max(batches)]) for work_id, batches in written.items()}


def _windows_now(work_ids: list[int]) -> dict[int, Times]:
    found: defaultdict[int, Times] = defaultdict(list)
    rows = WorkWindow.objects.filter(work__in=work_ids).order_by("starts_at")
    for work_id, starts, ends in rows.values_list("work", "starts_at", "ends_at"):
        found[work_id].append((starts, ends))
    return found


def _differences(row: dict[str, Any], work: PlannedWork, before: Times, after: Times) -> list[FieldChange]:
    was = PlannedWork(**{name: row[name] for name in _COMPARED})
    found = [
        FieldChange(str(PlannedWork._meta.get_field(name).verbose_name), _shown(was, name), _shown(work, name))  # type: ignore[union-attr]
        for name in _COMPARED
        if getattr(was, name) != getattr(work, name)
    ]
    if before != after:
        found.append(FieldChange(str(_("windows")), _said(before), _said(after)))
    return found


def _shown(work: PlannedWork, name: str) -> str:
    value = getattr(work, name)
    if isinstance(value, bool):
        return str(_("yes")) if value else str(_("no"))
    if isinstance(value, list):
        return ", ".join(str(NoticeStage(stage).label) for stage in value)
    display = getattr(work, f"get_{name}_display", None)
    return str(display() if display else value) or "–"


def _said(windows: Times) -> str:
    return "; ".join(_from_to(timezone.localtime(starts), timezone.localtime(ends)) for starts, ends in windows)


def _from_to(starts: datetime, ends: datetime) -> str:
    final = f"{ends:%H:%M}" if starts.date() == ends.date() else f"{ends:%m-%d %H:%M}"
    return f"{starts:%m-%d %H:%M}–{final}"
