"""What an order asks: the blocks with what they relieve, their past and their ledger, slot by slot. A few statements.

A running event is asked again when its order changes: what stands is kept where as much or more is ordered, and where
less is ordered only what stands is left to choose from, so that nobody's times change without need.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.db import connection
from django.db.models import Q, Sum
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from outages.load_shedding import blocks, ledger
from outages.load_shedding.models import SheddingBlock, SheddingEvent, SheddingPlan, Slot, SlotState
from outages.load_shedding.proposals import Candidate, Choice, Limits, Period, Window
from outages.load_shedding.rotation import SHORTEST, Span, merged
from outages.models import OutageKind, OutageStatus

HELD: Final = (SlotState.PLANNED, SlotState.OFF, SlotState.STUCK)  # turns that still count in the event
HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True)
class Overlap:
    """What of a block is off anyway in some span: its share of the load, its customers, and through which outages."""

    share: float = 0.0
    customers: int = 0
    outages: tuple[str, ...] = ()


@dataclass(frozen=True)
class Question:
    """An order put so that ``proposals.propose`` can answer it, and what the page says beside it."""

    plan: SheddingPlan
    periods: tuple[Period, ...]
    candidates: tuple[Candidate, ...]
    limits: Limits
    blocks: Mapping[str, SheddingBlock]  # all of the plan, by code
    hours: Mapping[str, ledger.BlockHours]  # the same
    overlaps: Mapping[str, tuple[Overlap, ...]]  # by code, for each period
    explain: Mapping[str, str | Promise]  # why a block is no candidate

    def spans_of(self, choice: Choice) -> list[Span]:
        """The turns of a choice as times; slots of one block that touch are one turn."""
        return merged(Span(code, *self.periods[p].window) for code, turns in choice.turns.items() for p in turns)

    def figures_of(self, choice: Choice) -> dict[str, Any]:
        """What the proposals are compared by."""
        off = {code: _minutes([self.periods[p].window for p in turns]) for code, turns in choice.turns.items()}
        before = {one.code: self.hours[one.code].weighted for one in self.candidates}
        after = {code: hours + off.get(code, 0) / 60 for code, hours in before.items()}
        return {
            "blocks": len(off),
            "customers": sum(self.blocks[code].customers for code in off),
            "customer_hours": round(sum(self.blocks[code].customers * minutes for code, minutes in off.items()) / 60),
            "critical": sum(self.blocks[code].critical_customers for code in off),
            "life_support": sum(self.blocks[code].life_support for code in off),
            "operations": sum(self.blocks[span.block].switchings for span in self.spans_of(choice)),
            "mw": [kw / 1000 for kw in choice.shed_kw],
            "shortfall_mw": [kw / 1000 for kw in choice.shortfall_kw],
            "worst_hours": round(max((after[code] for code in off), default=0.0), 2),
            "spread": [round(ledger.spread(before.values()), 2), round(ledger.spread(after.values()), 2)],
            "gini": [round(ledger.gini(list(before.values())), 3), round(ledger.gini(list(after.values())), 3)],
            "is_tightest": choice.is_tightest,
        }


def question_of(
    *, plan: SheddingPlan, target_mw: float, begins: datetime, until: datetime, at: datetime | None = None,
    event: SheddingEvent | None = None,
) -> Question:  # fmt: skip
    """What an order of so many MW asks of a plan's blocks; ``event`` is the one whose order changes."""
    at = at or timezone.now()
    zone = ZoneInfo(plan.branch.time_zone)
    periods = periods_of(plan, begins=begins, until=until, at=at)
    by_code = {block.code: block for block in plan.blocks.order_by("code")}
    past = ledger.hours(plan=plan, at=at)
    hours = {code: past[block.pk] for code, block in by_code.items()}
    slots = _slots(plan, by_code, periods)
    own = {
        code: [slot for slot in mine if event is not None and slot.event_id == event.pk] for code, mine in slots.items()
    }
    ours = [slot.outage_id for mine in own.values() for slot in mine if slot.outage_id]
    overlaps = _overlaps(by_code, periods, at=at, apart_from=ours)
    explain = _left_out(plan, by_code)
    kw = {code: _relief(block, periods, overlaps[code], zone) for code, block in by_code.items()}
    explain.update((code, _("no load to relieve")) for code in by_code if code not in explain and not any(kw[code]))
    target_kw = round(1000 * target_mw)
    standing = {code: _standing(mine, periods) for code, mine in own.items()}
    more = [
        sum(kw[code][p] for code, turns in standing.items() if p in turns) <= target_kw for p in range(len(periods))
    ]
    closed = {p for p, is_more in enumerate(more) if not is_more} if any(standing.values()) else set()
    candidates = [
        Candidate(
            code=code,
            kw=kw[code],
            customers=block.customers,
            switchings=block.switchings,
            ledger_minutes=hours[code].weighted_minutes,
            off=_off(slots[code], own[code], periods),
            turns=sum(slot.state == SlotState.ON for slot in own[code]),
            barred=frozenset(_skipped(own[code], periods) | (closed - standing[code])),
            fixed=frozenset(standing[code] - closed),
        )
        for code, block in by_code.items()
        if code not in explain or standing[code]
    ]
    limits = Limits(target_kw, plan.max_run_minutes, plan.max_day_minutes, plan.min_rest_minutes, zone)
    return Question(plan, tuple(periods), tuple(candidates), limits, by_code, hours, overlaps, explain)


def question_of_event(
    event: SheddingEvent, *, target_mw: float | None = None, until: datetime | None = None, at: datetime | None = None
) -> Question:
    """What an event asks as it is ordered, or with another load or end. What earlier measures relieved is taken off."""
    assert event.target_mw is not None, "a warning has no order yet"
    assert event.starts_at is not None
    assert event.ends_at is not None
    relieved = event.measures.aggregate(mw=Sum("relief_mw"))["mw"] or 0.0
    return question_of(
        plan=event.plan, target_mw=max(0.0, (event.target_mw if target_mw is None else target_mw) - relieved),
        begins=event.starts_at, until=until or event.ends_at, at=at, event=event,
    )  # fmt: skip


# --- slots --------------------------------------------------------------------------------------------


def periods_of(plan: SheddingPlan, *, begins: datetime, until: datetime, at: datetime | None = None) -> list[Period]:
    """The slots of an order that are not over: each as long as the plan says, beginning while the one before it ends.

    Switching takes the plan's margin, in which the next blocks are off already and the last ones are not yet on again.
    The last slot ends with the order; where next to nothing were left for it, the last two are equally long.
    """
    slot, margin = timedelta(minutes=plan.slot_minutes), timedelta(minutes=plan.margin_minutes)
    begins, until = begins.astimezone(UTC), until.astimezone(UTC)
    windows: list[Window] = []
    start = begins
    while not windows or windows[-1][1] < until:
        windows.append((start, min(start + slot, until)))
        start += slot - margin
    if len(windows) > 1 and windows[-1][1] - windows[-2][1] < SHORTEST:
        first = windows[-2][0]
        half = (until - first + margin) / 2
        windows[-2:] = [(first, first + half), (first + half - margin, until)]
    now = begins if at is None else at.astimezone(UTC)
    left = [(max(starts, now), ends) for starts, ends in windows]
    return [Period(starts, ends) for starts, ends in left if ends - starts >= SHORTEST]


def _relief(
    block: SheddingBlock, periods: Sequence[Period], overlaps: Sequence[Overlap], zone: ZoneInfo
) -> tuple[int, ...]:
    """The kilowatts that the block's turn takes off in each period: never more than there are."""
    return tuple(
        # rounded first: a sum of hours a hair short of a kilowatt must not cost another block its supply
        math.floor(round(1000 * mw_in(block, period.window, zone) * (1 - overlap.share), 3))
        for period, overlap in zip(periods, overlaps, strict=True)
    )


def mw_in(block: SheddingBlock, window: Window, zone: ZoneInfo) -> float:
    """The block's load in a window, from its load by hour of the local day."""
    starts, until = window
    total = 0.0
    while starts < until:
        local = starts.astimezone(zone)
        ends = min(until, starts + HOUR - timedelta(minutes=local.minute, seconds=local.second))
        total += block.mw_by_hour[local.hour] * ((ends - starts) / HOUR)
        starts = ends
    return total / ((window[1] - window[0]) / HOUR)


def _minutes(windows: Sequence[Window]) -> float:
    spans = merged((Span("", *window) for window in windows), shortest=timedelta(0))
    return sum((span.until - span.begins) / timedelta(minutes=1) for span in spans)


# --- turns before, after and in the event -------------------------------------------------------------


def _slots(
    plan: SheddingPlan, by_code: Mapping[str, SheddingBlock], periods: Sequence[Period]
) -> dict[str, list[Slot]]:
    """The turns of each block near these periods, whichever version of the plan they were given by."""
    found: dict[str, list[Slot]] = {code: [] for code in by_code}
    if not periods:
        return found
    known_as = {former: code for code, block in by_code.items() for former in block.formerly}
    known_as |= {code: code for code in by_code}
    reach = timedelta(days=1, minutes=plan.min_rest_minutes + plan.max_run_minutes)
    near = Q(starts_at__lt=periods[-1].until + reach, ends_at__gt=periods[0].begins - reach)
    slots = Slot.objects.filter(near, block__code__in=known_as, event__plan__branch=plan.branch_id)
    for slot in slots.exclude(state=SlotState.DROPPED).select_related("block").order_by("starts_at", "pk"):
        found[known_as[slot.block.code]].append(slot)
    return found


def _window_of(slot: Slot) -> Window:
    """When it was off, or will be."""
    starts = slot.off_at or slot.starts_at
    return starts.astimezone(UTC), max(slot.on_at or slot.ends_at, starts).astimezone(UTC)


def _covers(slot: Slot, period: Period) -> bool:
    starts, ends = _window_of(slot)
    both = min(ends, period.window[1]) - max(starts, period.window[0])
    return 2 * both >= period.window[1] - period.window[0]


def _skipped(own: Sequence[Slot], periods: Sequence[Period]) -> set[int]:
    """The periods for which it was said that the block cannot be switched off."""
    skipped = [slot for slot in own if slot.state == SlotState.SKIPPED]
    return {p for slot in skipped for p, period in enumerate(periods) if _covers(slot, period)}


def _standing(own: Sequence[Slot], periods: Sequence[Period]) -> set[int]:
    """The periods in which a block's turn of this event is, or still will be."""
    return {p for slot in own if slot.state in HELD for p, period in enumerate(periods) if _covers(slot, period)}


def _off(slots: Sequence[Slot], own: Sequence[Slot], periods: Sequence[Period]) -> tuple[Window, ...]:
    """A block's turns that are not in question: of other events, and of this one what is over."""
    found = []
    for slot in slots:
        starts, ends = _window_of(slot)
        if slot in own and slot.state in HELD:
            ends = min(ends, periods[0].window[0])
        if slot.state != SlotState.SKIPPED and starts < ends:
            found.append((starts, ends))
    return tuple(found)


def _left_out(plan: SheddingPlan, by_code: Mapping[str, SheddingBlock]) -> dict[str, str | Promise]:
    """Blocks that are never shed, each with the reason."""
    elements = blocks.elements_of(plan)
    kept = dict(zip(elements, blocks.kept_outside(list(elements.values())), strict=True))
    found: dict[str, str | Promise] = {}
    for code, block in by_code.items():
        if block.is_protected:
            found[code] = block.protected_reason or _("protected")
        elif kept[block.pk]:
            found[code] = f"{kept[block.pk][0].code}: {kept[block.pk][0].why}"
    return found


# --- what is off anyway -------------------------------------------------------------------------------

# Of an outage that has begun nobody knows the end unless it says so; one that is only suspected relieves nothing yet.
# A customer who is off alone counts where its whole area is not off too.
_OVERLAPS_SQL: Final = """
WITH asked AS (
    SELECT n, block, tstzrange(begins, until) AS span
    FROM unnest(%(ns)s::int[], %(blocks)s::bigint[], %(begins)s::timestamptz[], %(untils)s::timestamptz[])
        AS t(n, block, begins, until)
),
busy AS MATERIALIZED (
    SELECT coalesce(i.element_id, s.element_id) AS place, i.service_point_id AS point, i.load_kw, o.reference,
           CASE WHEN i.actual IS NULL THEN i.planned
                WHEN upper(i.actual) IS NOT NULL THEN i.actual
                ELSE tstzrange(lower(i.actual), CASE WHEN coalesce(o.etr, o.planned_end) > %(at)s
                                                     THEN coalesce(o.etr, o.planned_end) END) END AS span
    FROM outages_outage o JOIN outages_interruption i ON i.outage_id = o.id
    LEFT JOIN grid_servicepoint s ON s.id = i.service_point_id
    WHERE o.status = ANY(%(open)s) AND o.kind <> %(debt)s AND NOT o.is_void AND o.id <> ALL(%(apart)s)
      AND (i.actual IS NOT NULL OR o.status = %(scheduled)s)
),
hit AS (
    SELECT a.n, a.span AS whole, p.block_id, p.element_id AS place, b.point, b.reference, b.span * a.span AS span,
           CASE WHEN b.point IS NULL THEN p.customers ELSE 1 END AS customers,
           CASE WHEN b.point IS NULL THEN p.load_kw ELSE b.load_kw END AS load_kw
    FROM asked a JOIN load_shedding_blockplace p ON p.block_id = a.block
    JOIN busy b ON b.place = p.element_id AND b.span && a.span
),
unit AS (
    SELECT n, whole, block_id, point, max(customers) AS customers, max(load_kw) AS load_kw, range_agg(span) AS off,
           array_agg(DISTINCT reference) AS names
    FROM hit
    WHERE point IS NULL
       OR NOT EXISTS (SELECT FROM hit area WHERE area.n = hit.n AND area.place = hit.place AND area.point IS NULL)
    GROUP BY n, whole, block_id, place, point
)
SELECT u.n,
       (sum(u.load_kw * (SELECT sum(extract(epoch FROM upper(r) - lower(r))) FROM unnest(u.off) r)
            / extract(epoch FROM upper(u.whole) - lower(u.whole))) / nullif(max(b.load_kw), 0))::float8,
       sum(u.customers)::int,
       (SELECT array_agg(DISTINCT name ORDER BY name) FROM unit named, unnest(named.names) name WHERE named.n = u.n)
FROM unit u JOIN load_shedding_sheddingblock b ON b.id = u.block_id GROUP BY u.n
"""


def overlaps_of(asked: Sequence[tuple[int, Window]], *, at: datetime, apart_from: Sequence[int] = ()) -> list[Overlap]:
    """For each block (its key) and window: what of it planned and running outages have taken off anyway."""
    with connection.cursor() as db:
        db.execute(
            _OVERLAPS_SQL,
            {
                "ns": list(range(len(asked))), "blocks": [block for block, _w in asked],
                "begins": [window[0] for _b, window in asked], "untils": [window[1] for _b, window in asked],
                "at": at, "apart": list(apart_from), "debt": OutageKind.NON_PAYMENT,
                "open": [OutageStatus.SCHEDULED, OutageStatus.ACTIVE, OutageStatus.PARTIALLY_RESTORED],
                "scheduled": OutageStatus.SCHEDULED,
            },
        )  # fmt: skip
        found = {
            n: Overlap(min(1.0, share or 0.0), customers, tuple(names)) for n, share, customers, names in db.fetchall()
        }
    return [found.get(n, Overlap()) for n in range(len(asked))]


def _overlaps(
    by_code: Mapping[str, SheddingBlock], periods: Sequence[Period], *, at: datetime, apart_from: Sequence[int]
) -> dict[str, tuple[Overlap, ...]]:
    asked = [(block.pk, period.window) for block in by_code.values() for period in periods]
    found = iter(overlaps_of(asked, at=at, apart_from=apart_from))
    return {code: tuple(next(found) for _period in periods) for code in by_code}
