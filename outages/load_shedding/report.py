"""What an event ordered and what it brought: load by turns, customers, hours, energy, reactions, fairness.

The same figures are the monitor while it runs and the after-action report when it is over. MW are those measured at the
switching, else those that were expected, and say which.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Final

from django.db import connection
from django.db.models import Count
from django.utils import timezone

from outages.load_shedding import ledger, lifecycle
from outages.load_shedding.models import Reaction, SheddingEvent, Slot
from outages.load_shedding.question import HOUR
from outages.load_shedding.rotation import SHORTEST
from outages.models import OutageEvent

# verbs of a turn's outage of which its customers are told
TOLD: Final = ("schedule", "reschedule", "cancel", "start", "extend", "restore")


@dataclass(frozen=True)
class Line:
    """One turn of a block: what it took off, for how long, and what came back."""

    slot: Slot
    mw: float  # measured at the switching, else expected
    hours: float  # off so far
    reactions: Mapping[str, int]

    @property
    def was_off(self) -> bool:
        return self.slot.off_at is not None

    @property
    def mwh(self) -> float:
        return self.mw * self.hours


@dataclass(frozen=True)
class Round:
    """A stretch of the event in which the same turns were to be off, for the same order."""

    begins: datetime
    until: datetime
    ordered_mw: float
    planned_mw: float
    measured_mw: float
    estimated_mw: float
    blocks: tuple[str, ...]
    has_begun: bool

    @property
    def achieved_mw(self) -> float:
        return self.measured_mw + self.estimated_mw

    @property
    def missing_mw(self) -> float:
        """Nothing is missing of what is still ahead."""
        return max(0.0, self.ordered_mw - self.achieved_mw) if self.has_begun else 0.0


@dataclass(frozen=True)
class Fairness:
    """How evenly hours lie on the blocks that can be shed."""

    gini: float
    spread: float  # hours between the best-off and the worst-off


@dataclass(frozen=True)
class BlockHours:
    """A block's hours off, in the span of the ledger, before the event and with it."""

    block: str
    before: float
    after: float


@dataclass(frozen=True)
class Report:
    event: SheddingEvent
    at: datetime
    relieved_mw: float  # by measures before anybody was switched off
    lines: tuple[Line, ...]
    rounds: tuple[Round, ...]
    customers: int  # each once
    customer_hours: float
    reactions: Mapping[str, int]
    told: Mapping[str, int]  # changes told, by verb
    before: Fairness
    after: Fairness
    hours: tuple[BlockHours, ...]

    @property
    def mwh(self) -> float:
        return sum(line.mwh for line in self.lines)

    @property
    def measured_mwh(self) -> float:
        return sum(line.mwh for line in self.lines if line.slot.is_measured)

    @property
    def skipped(self) -> list[Line]:
        return [line for line in self.lines if line.slot.state == lifecycle.SKIPPED]

    @property
    def stuck(self) -> list[Line]:
        return [line for line in self.lines if line.slot.fault_id or line.slot.state == lifecycle.STUCK]


def report_of(event: SheddingEvent, *, at: datetime | None = None) -> Report:
    """The report of an event as it stands at a moment. The statements do not grow with its slots."""
    at = at or timezone.now()
    slots = list(
        event.slots.exclude(state=lifecycle.DROPPED).select_related("block", "outage", "fault").order_by(
            "starts_at", "block__code", "pk"
        )
    )  # fmt: skip
    by_block = reactions_by_block(event)
    first_of = {slot.block_id: slot.pk for slot in reversed(slots)}
    lines = tuple(
        Line(
            slot,
            _mw(slot),
            (back_at(slot, at) - slot.off_at) / HOUR if slot.off_at else 0.0,
            # a block's reactions stand beside its first turn, so that they add up
            by_block.get(slot.block_id, {}) if first_of[slot.block_id] == slot.pk else {},
        )
        for slot in slots
    )
    relieved = sum(measure.relief_mw or 0.0 for measure in event.measures.all())
    customers, customer_hours = _customers(event, at)
    before, after, hours = _fairness(event, at)
    return Report(
        event=event,
        at=at,
        relieved_mw=relieved,
        lines=lines,
        rounds=tuple(_rounds(event, slots, relieved, at)),
        customers=customers,
        customer_hours=customer_hours,
        reactions=sum((Counter(counts) for counts in by_block.values()), Counter()),
        told=_told(slots),
        before=before,
        after=after,
        hours=hours,
    )


def back_at(slot: Slot, at: datetime) -> datetime:
    """When its turn was over: on again, or a fault from then on; of one that is off, so far."""
    return slot.on_at or (slot.fault.started_at if slot.fault else None) or at


def _mw(slot: Slot) -> float:
    return slot.mw_planned if slot.mw_off is None else slot.mw_off


def reactions_by_block(event: SheddingEvent) -> dict[int | None, dict[str, int]]:
    """Calls, complaints and faults so far, by the keys of their blocks."""
    found: defaultdict[int | None, dict[str, int]] = defaultdict(dict)
    counted = Reaction.objects.filter(event=event).values_list("block_id", "kind").annotate(Count("pk"))
    for block_id, kind, count in counted.order_by():
        found[block_id][kind] = count
    return dict(found)


# --- load ---------------------------------------------------------------------------------------------


def orders(event: SheddingEvent) -> list[tuple[datetime, float]]:
    """The load that was ordered, from when on: as it was changed while the event ran."""
    if event.starts_at is None or event.target_mw is None:
        return []
    steps = event.steps.filter(slot=None, verb__in=["announce", "change"], facts__has_key="target_mw")
    told = [(max(at, event.starts_at), facts["target_mw"]) for at, facts in steps.values_list("at", "facts")]
    return told or [(event.starts_at, event.target_mw)]


def _ordered_at(moment: datetime, ordered: Sequence[tuple[datetime, float]]) -> float:
    return next((mw for begins, mw in reversed(ordered) if begins <= moment), 0.0)


def _rounds(event: SheddingEvent, slots: Sequence[Slot], relieved: float, at: datetime) -> list[Round]:
    """What was off for most of a round so far counts in it; stretches too short to matter join their neighbours."""
    if event.starts_at is None or event.ends_at is None or not slots:
        return []
    ordered = orders(event)
    over = min(event.ended_at or event.ends_at, event.ends_at)
    edges = {event.starts_at, *(begins for begins, _mw in ordered)}
    edges |= {edge for slot in slots for edge in (slot.starts_at, slot.ends_at)}
    rounds = []
    for begins, until in pairwise(_far_apart(edges, over)):
        turns = [slot for slot in slots if slot.starts_at < until and begins < slot.ends_at]
        off = [slot for slot in turns if _is_mostly_off(slot, begins, min(until, at))]
        rounds.append(
            Round(
                begins=begins,
                until=until,
                ordered_mw=max(0.0, _ordered_at(begins + (until - begins) / 2, ordered) - relieved),
                planned_mw=sum(slot.mw_planned for slot in turns),
                measured_mw=sum(_mw(slot) for slot in off if slot.is_measured),
                estimated_mw=sum(_mw(slot) for slot in off if not slot.is_measured),
                blocks=tuple(sorted({slot.block.code for slot in turns})),
                has_begun=begins < at,
            )
        )
    return rounds


def _far_apart(moments: Iterable[datetime], last: datetime) -> list[datetime]:
    """The moments up to the last one, in order, without those that follow, or are followed by the last, too soon."""
    kept: list[datetime] = []
    for moment in sorted(moment for moment in moments if moment < last):
        if not kept or (moment - kept[-1] >= SHORTEST and last - moment >= SHORTEST):
            kept.append(moment)
    return [*kept, last]


def _is_mostly_off(slot: Slot, begins: datetime, until: datetime) -> bool:
    if slot.off_at is None or until <= begins:
        return False
    return 2 * (min(back_at(slot, until), until) - max(slot.off_at, begins)) >= until - begins


@dataclass(frozen=True)
class Moment:
    """From one switching to the next: ordered, planned and achieved."""

    at: datetime
    ordered_mw: float
    planned_mw: float
    achieved_mw: float | None  # nothing is known of what is ahead


def _over_at(slot: Slot, at: datetime) -> datetime:
    """What would not come back on relieves still; a turn that goes on does so at the moment, too."""
    return slot.on_at or at + HOUR


def course_of(event: SheddingEvent, slots: Sequence[Slot], *, at: datetime) -> list[Moment]:
    """How the load went from switching to switching; each moment holds until the next."""
    if event.starts_at is None or event.ends_at is None:
        return []
    ordered = orders(event)
    relieved = sum(measure.relief_mw or 0.0 for measure in event.measures.all())
    ends = event.ended_at or event.ends_at
    told = [moment for slot in slots for moment in (slot.starts_at, slot.ends_at, slot.off_at, slot.on_at) if moment]
    edges = {event.starts_at, ends, *(begins for begins, _mw in ordered), *told}
    if event.starts_at < at < max(edges):
        edges.add(at)
    course = []
    for moment in sorted(edges):
        runs = event.starts_at <= moment < ends
        planned = [slot for slot in slots if slot.starts_at <= moment < slot.ends_at]
        off = [slot for slot in slots if slot.off_at and slot.off_at <= moment < _over_at(slot, at)]
        course.append(
            Moment(
                moment,
                max(0.0, _ordered_at(moment, ordered) - relieved) if runs else 0.0,
                sum(slot.mw_planned for slot in planned if slot.state != lifecycle.SKIPPED),
                sum(_mw(slot) for slot in off) if moment <= at else None,
            )
        )
    return course


# --- people -------------------------------------------------------------------------------------------

# A customer with rows of its own follows what happens to its area as well.
_CUSTOMERS_SQL: Final = """
WITH gone AS (
    SELECT coalesce(i.element_id, s.element_id) AS place, i.service_point_id AS point, i.customers,
           i.actual * tstzrange(NULL, %(at)s) AS span
    FROM load_shedding_slot t JOIN outages_interruption i ON i.outage_id = t.outage_id
    LEFT JOIN grid_servicepoint s ON s.id = i.service_point_id
    WHERE t.event_id = %(event)s AND i.actual && tstzrange(NULL, %(at)s)
),
unit AS (
    SELECT place, point, max(customers) AS customers, range_agg(span) AS spans FROM gone GROUP BY place, point
),
off AS (
    SELECT u.customers, u.point IS NULL OR area.place IS NULL AS counts,
           CASE WHEN u.point IS NULL THEN u.spans
                ELSE u.spans - coalesce(area.spans, '{}'::tstzmultirange) END AS spans
    FROM unit u LEFT JOIN unit area ON u.point IS NOT NULL AND area.place = u.place AND area.point IS NULL
)
SELECT coalesce(sum(customers) FILTER (WHERE counts), 0)::int,
       coalesce(sum(customers * (SELECT coalesce(sum(extract(epoch FROM upper(r) - lower(r))), 0)
                                 FROM unnest(spans) r)), 0)::float8 / 3600
FROM off
"""


def _customers(event: SheddingEvent, at: datetime) -> tuple[int, float]:
    """How many were off, each once, and for how many customer-hours."""
    with connection.cursor() as db:
        db.execute(_CUSTOMERS_SQL, {"event": event.pk, "at": at})
        customers, hours = db.fetchone()
    return customers, hours


def _told(slots: Sequence[Slot]) -> dict[str, int]:
    outages = [slot.outage_id for slot in slots if slot.outage_id]
    counted = OutageEvent.objects.filter(outage__in=outages, verb__in=TOLD).values_list("verb").annotate(Count("pk"))
    return dict(counted.order_by())


def _fairness(event: SheddingEvent, at: datetime) -> tuple[Fairness, Fairness, tuple[BlockHours, ...]]:
    begins = min(event.starts_at or at, at)
    blocks = list(event.plan.blocks.filter(is_protected=False).order_by("code").values_list("pk", "code"))
    before, after = (
        {pk: hours.weighted for pk, hours in ledger.hours(plan=event.plan, at=moment).items()}
        for moment in (begins, max(begins, min(at, event.ended_at or at)))
    )
    hours = tuple(BlockHours(code, before[pk], after[pk]) for pk, code in blocks)
    return _evenness([one.before for one in hours]), _evenness([one.after for one in hours]), hours


def _evenness(hours: Sequence[float]) -> Fairness:
    return Fairness(ledger.gini(hours), ledger.spread(hours))
