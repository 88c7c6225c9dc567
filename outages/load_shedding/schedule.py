"""The published schedule: rotation table and published stages, and in their place what was decided in an event.

After the last published stage nothing is known. That is not the same as "nobody is shed".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter
from typing import Final
from zoneinfo import ZoneInfo

from django.db.models import F, Q
from django.db.models.functions import Least
from django.utils import timezone

import standards
from outages.load_shedding import lifecycle, rotation, selectors
from outages.load_shedding.models import (
    BlockElement,
    PlanState,
    SheddingEvent,
    SheddingPlan,
    Slot,
    StageWindow,
)
from outages.load_shedding.rotation import Announced, Span

_DAY: Final = timedelta(days=1)
DECIDED: Final = (*lifecycle.RUNNING, lifecycle.ENDED, lifecycle.RECONCILED)
_NEVER_OFF: Final = (lifecycle.SKIPPED, lifecycle.DROPPED)


@dataclass(frozen=True, slots=True)
class PublishedSpan:
    """A block off from ``begins`` to ``until``, and how sure that is."""

    block: str
    begins: datetime
    until: datetime
    certainty: StageWindow.Certainty
    stage: int | None
    is_possible: bool = False  # the table itself says only perhaps

    @property
    def is_sure(self) -> bool:
        return self.certainty == StageWindow.Certainty.CONFIRMED and not self.is_possible


@dataclass(frozen=True, slots=True)
class Known:
    """A stretch of time about which something is published."""

    begins: datetime
    until: datetime
    stage: int
    certainty: StageWindow.Certainty


@dataclass(frozen=True)
class RunningOut:
    """A schedule that ends soon, or has ended with nothing after it."""

    plan: SheddingPlan
    at: datetime
    is_over: bool


# --- what is published ------------------------------------------------------------------------------------


def published(
    plan: SheddingPlan, begins: datetime, until: datetime, *, blocks: Collection[str] | None = None
) -> list[PublishedSpan]:
    """Every turn that touches the span, in order of block and time; of some blocks, if they are named.

    Where an event was decided its slots are the whole truth for its blocks, from its beginning to its end. Turns that
    touch are one; what a change of stage leaves of a turn is left out where it is too short to matter.
    """
    first, last = begins - _DAY, until + _DAY
    spans = _of_the_table(plan, first, last, blocks)
    events = _events(plan, first, last)
    if events:
        spans = [*_left(spans, events), *_of_events(events, blocks)]
    return [span for span in joined(spans) if span.begins < until and span.until > begins]


def of_the_table(
    plan: SheddingPlan, begins: datetime, until: datetime, *, blocks: Collection[str]
) -> list[tuple[PublishedSpan, bool]]:
    """The turns of these blocks that the table has, each with whether it holds: a decision may have taken its place."""
    first, last = begins - _DAY, until + _DAY
    turns = joined(_of_the_table(plan, first, last, blocks))
    held = joined(_left(turns, _events(plan, first, last)))
    told = [*((turn, True) for turn in held), *((turn, False) for turn in turns if turn not in held)]
    return [(turn, holds) for turn, holds in told if turn.begins < until and turn.until > begins]


def known(plan: SheddingPlan, begins: datetime, until: datetime) -> list[Known]:
    """About which parts of the span something is published, in order; the rest is unknown."""
    return [
        Known(window.begins, window.until, window.stage, StageWindow.Certainty(window.certainty))
        for window in sorted(_windows(plan, begins, until), key=attrgetter("begins"))
    ]


def unknown(plan: SheddingPlan, begins: datetime, until: datetime) -> list[tuple[datetime, datetime]]:
    """The parts of the span about which nothing is published."""
    gaps, reached = [], begins
    for window in known(plan, begins, until):
        if window.begins > reached:
            gaps.append((reached, window.begins))
        reached = max(reached, window.until)
    return [*gaps, (reached, until)] if reached < until else gaps


def runs_out_at(plan: SheddingPlan, at: datetime | None = None) -> datetime | None:
    """Until when something is published without a gap, from now on; ``None`` when nothing is known already."""
    now = at or timezone.now()
    reached = now
    for window in StageWindow.objects.filter(plan__branch=plan.branch_id, until__gt=now).order_by("begins"):
        if window.begins > reached:
            break
        reached = max(reached, window.until)
    return reached if reached > now else None


def running_out(plans: Iterable[SheddingPlan], at: datetime | None = None) -> list[RunningOut]:
    """Of these plans in force those whose schedule ends within the warning time, or ended no longer ago than that."""
    now = at or timezone.now()
    found = []
    for plan in plans:
        warning = standards.pack(plan.branch.rule_pack).shedding.schedule_warning.delta
        ends = runs_out_at(plan, now)
        if ends is None:
            ended = StageWindow.objects.filter(plan__branch=plan.branch_id, until__lte=now, until__gt=now - warning)
            last = ended.order_by("-until").values_list("until", flat=True).first()
            if last is not None:
                found.append(RunningOut(plan, last, is_over=True))
        elif ends - now <= warning:
            found.append(RunningOut(plan, ends, is_over=False))
    return found


# --- the table ----------------------------------------------------------------------------------------------


def _windows(plan: SheddingPlan, begins: datetime, until: datetime) -> list[StageWindow]:
    """Of all versions of the branch: each window belongs to the version that was in force."""
    windows = StageWindow.objects.filter(plan__branch=plan.branch_id, until__gt=begins, begins__lt=until)
    return list(windows.order_by("plan", "begins"))


def _of_the_table(
    plan: SheddingPlan, first: datetime, last: datetime, blocks: Collection[str] | None
) -> list[PublishedSpan]:
    zone = ZoneInfo(plan.branch.time_zone)
    spans = []
    for version, group in groupby(_windows(plan, first, last), key=lambda window: window.plan_id):
        windows = [window for window in group if window.stage]
        rows = selectors.rows_of(version, {window.stage for window in windows}, blocks) if windows else []
        table = rotation.Table(rows)
        for window in windows:
            certainty = StageWindow.Certainty(window.certainty)
            announced = Announced(window.stage, max(window.begins, first), min(window.until, last))
            spans += [
                PublishedSpan(span.block, span.begins, span.until, certainty, window.stage, span.is_possible)
                for span in table.expand([announced], zone)
            ]
    return spans


# --- events in its place ----------------------------------------------------------------------------------


def _events(plan: SheddingPlan, first: datetime, last: datetime) -> list[SheddingEvent]:
    """The decided events of the span; what may still be undone is not told to anybody."""
    told = Q(undo_until__isnull=True) | Q(undo_until__lte=timezone.now())
    events = SheddingEvent.objects.filter(told, plan__branch=plan.branch_id, state__in=DECIDED)
    return list(
        events.filter(starts_at__lt=last, ends_at__gt=first)
        .annotate(over_at=Least("ends_at", F("ended_at")))  # the least ignores what is not there
        .select_related("branch")
    )


def _left(spans: Iterable[PublishedSpan], events: Sequence[SheddingEvent]) -> list[PublishedSpan]:
    """What is left of the table's turns where the events do not hold instead."""
    covered = _covered(events)
    return [
        replace(span, begins=part.begins, until=part.until)
        for span in spans
        for part in rotation.replaced([Span(span.block, span.begins, span.until)], covered)
    ]


def _covered(events: Sequence[SheddingEvent]) -> dict[str, list[tuple[datetime, datetime]]]:
    """For each block of the events' branches, when it goes by an event and not by the table."""
    members = BlockElement.objects.filter(plan__in={event.plan_id for event in events})
    places = set(members.values_list("plan_id", "block__code", "element__branch__pos"))
    covered: defaultdict[str, list[tuple[datetime, datetime]]] = defaultdict(list)
    for event in events:
        ours = {
            code for plan_id, code, pos in places
            if plan_id == event.plan_id and event.branch.pos <= pos <= event.branch.last
        }  # fmt: skip
        for code in ours:
            covered[code].append((event.starts_at, event.over_at))  # type: ignore[attr-defined, arg-type]
    return covered


def _of_events(events: Sequence[SheddingEvent], blocks: Collection[str] | None) -> list[PublishedSpan]:
    slots = Slot.objects.filter(event__in=events).exclude(state__in=_NEVER_OFF)
    if blocks is not None:
        slots = slots.filter(block__code__in=blocks)
    return [
        PublishedSpan(code, begins, until, StageWindow.Certainty.CONFIRMED, stage)
        for code, begins, until, stage in slots.values_list("block__code", "starts_at", "ends_at", "event__stage")
    ]


def joined(spans: Iterable[PublishedSpan]) -> list[PublishedSpan]:
    """Turns that touch are one; what is left of a turn is left out where it is too short to matter."""
    joined: list[PublishedSpan] = []
    for span in sorted(spans, key=lambda span: (span.block, span.begins, span.until)):
        last = joined[-1] if joined else None
        if (
            last is not None
            and (last.block, last.certainty, last.is_possible) == (span.block, span.certainty, span.is_possible)
            and span.begins <= last.until
        ):
            joined[-1] = replace(last, until=max(last.until, span.until))
        else:
            joined.append(span)
    return [span for span in joined if span.until - span.begins >= rotation.SHORTEST]


def plans_in_force(plans: Iterable[SheddingPlan], at: datetime | None = None) -> list[SheddingPlan]:
    """Of these versions the one that holds now in each branch."""
    now = at or timezone.now()
    latest: dict[int, SheddingPlan] = {}
    for plan in sorted(plans, key=lambda plan: (plan.effective_from, plan.number)):
        today = now.astimezone(ZoneInfo(plan.branch.time_zone)).date()
        if plan.state == PlanState.APPROVED and plan.effective_from <= today:
            latest[plan.branch_id] = plan
    return sorted(latest.values(), key=lambda plan: plan.branch.pos)
