"""What a rule pack may say: every value with its unit, its source, the day it holds from, and whether it was verified.

Strict on purpose: an unknown key, a text where a number belongs or a missing citation is an error of the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Text = Annotated[str, Field(min_length=1)]
NotNegative = Annotated[float, Field(ge=0)]

_DELTAS = {
    "minutes": timedelta(minutes=1),
    "hours": timedelta(hours=1),
    "days": timedelta(days=1),
    "business_days": timedelta(days=1),
}


class Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Cited(Strict):
    """A value that somebody can check."""

    citation: Text
    effective: date
    verified: bool
    note: str = ""


class Span(Cited):
    """A length of time: a notice, a promise, a deadline."""

    value: NotNegative
    unit: Literal["minutes", "hours", "days", "business_days"]

    @property
    def delta(self) -> timedelta:
        """As plain time; business days count as calendar days here, so use ``before``/``after`` for deadlines."""
        return self.value * _DELTAS[self.unit]

    def after(self, moment: datetime) -> datetime:
        """The deadline of something that must follow ``moment``."""
        return self._walk(moment, step=1)

    def before(self, moment: datetime) -> datetime:
        """The latest time for something that must precede ``moment``."""
        return self._walk(moment, step=-1)

    def _walk(self, moment: datetime, *, step: int) -> datetime:
        if self.unit != "business_days":
            return moment + step * self.delta
        left = int(self.value)
        while left:
            moment += timedelta(days=step)
            if moment.weekday() < 5:  # public holidays differ by place and are not known here
                left -= 1
        return moment


class Count(Cited):
    value: Annotated[int, Field(ge=0)]
    unit: Text


class Quantity(Cited):
    value: NotNegative
    unit: Text


class Flag(Cited):
    value: bool
    unit: Literal["yes/no"]


class Term(Cited):
    value: Text
    unit: Literal["term"]


class Listing(Cited):
    value: Annotated[tuple[Text, ...], Field(min_length=1)]
    unit: Text


class Numbers(Cited):
    value: Annotated[tuple[NotNegative, ...], Field(min_length=1)]
    unit: Text


class Hours(Strict):
    begins: time
    ends: time


class DailyWindow(Cited):
    """A part of every day, by the local clock; it may run over midnight."""

    value: Hours
    unit: Literal["local time"]

    def contains(self, moment: time) -> bool:
        if self.value.begins <= self.value.ends:
            return self.value.begins <= moment < self.value.ends
        return moment >= self.value.begins or moment < self.value.ends


MonthDay = Annotated[str, Field(pattern=r"^(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$")]


class Days(Strict):
    first: MonthDay
    final: MonthDay


class Season(Cited):
    """A part of every year, both days included; it may run over New Year."""

    value: Days
    unit: Literal["month-day"]

    def contains(self, day: date) -> bool:
        today = f"{day:%m-%d}"
        if self.value.first <= self.value.final:
            return self.value.first <= today <= self.value.final
        return today >= self.value.first or today <= self.value.final


class Limit(Cited):
    """A limit with its comparator: whether the limit itself still belongs to the short side."""

    value: NotNegative
    unit: Literal["minutes"]
    comparator: Literal["<=", "<"]

    def holds(self, duration: timedelta) -> bool:
        limit = timedelta(minutes=self.value)
        return duration <= limit if self.comparator == "<=" else duration < limit


class Repeats(Strict):
    count: Annotated[int, Field(ge=1)]
    days: Annotated[int, Field(ge=1)]
    min_hours: NotNegative = 0.0


class CountInWindow(Cited):
    """So many interruptions (of at least so many hours) in so many days."""

    value: Repeats
    unit: Literal["interruptions"]


class RoundingStep(Strict):
    up_to: Annotated[int, Field(ge=1)] | None
    step: Annotated[int, Field(ge=1, le=24 * 60)]


class Rounding(Cited):
    """How coarsely an estimate is told, by how far away it is."""

    value: Annotated[tuple[RoundingStep, ...], Field(min_length=1)]
    unit: Literal["minutes"]

    @model_validator(mode="after")
    def ends_open(self) -> Rounding:
        bounds = [s.up_to for s in self.value]
        known = [b for b in bounds if b is not None]
        if bounds[-1] is not None or len(known) != len(bounds) - 1 or known != sorted(set(known)):
            raise ValueError("the distances must rise, and only the last step has none (up_to: null)")
        return self

    def round_up(self, moment: datetime, *, now: datetime) -> datetime:
        """The time to say: never earlier than the estimate. Steps count from midnight of the moment's own zone."""
        distance = (moment - now).total_seconds() / 60
        step = timedelta(minutes=next(s.step for s in self.value if s.up_to is None or distance <= s.up_to))
        midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
        return midnight + -((midnight - moment) // step) * step


class ByArea(Strict):
    urban: Span
    rural: Span
    remote: Span


class ByClass(Strict):
    residential: Span
    other: Span
    important: Span


class Label(Strict):
    zh: Text
    en: Text


class Notice(Strict):
    planned: Span
    temporary: Span | None = None
    exempt_below: Span | None = None
    life_support: Span | None = None
    papers_before: Span | None = None
    stated_day_only: Flag | None = None


class Planning(Strict):
    """How a branch plans: when plans are due, when customers are reminded, what is late, what is worth joining."""

    month_due: Span
    week_due: Span
    reminder_early: Span
    reminder_late: Span
    overrun_warning: Span
    start_tolerance: Span
    end_tolerance: Span
    merge_within: Span
    peak_hours: DailyWindow


class Inform(Strict):
    """The duty to tell the centre what a branch knows."""

    planned: Span | None = None
    temporary: Span | None = None
    fault: Span
    restored: Span


class Fault(Strict):
    arrival: ByArea
    restore_urban: Span | None = None
    restore_rural: Span | None = None
    restore_limit: Span | None = None
    large_incident: Count | None = None
    large_incident_limit: Span | None = None
    severe_weather_1: Span | None = None
    severe_weather_2: Span | None = None
    explain_after: Span | None = None
    probable_after: Span


class Estimate(Strict):
    expected_within: Span
    rounding: Rounding
    smallest_change: Span
    next_update: Span
    warn_before: Span


class Console(Strict):
    recently_restored: Span
    upcoming: Span


class Telling(Strict):
    quiet_hours: DailyWindow


class Arrears(Strict):
    earliest_cut_after: Span | None = None
    letter: ByClass
    letter_option: Span | None = None
    final_warning: Span | None = None
    only_at_notified_time: Flag | None = None
    approval_residential: Term | None = None
    approval_important: Term | None = None
    reconnect: Span
    reconnect_remote_residential: Span | None = None
    reconnect_remote_other: Span | None = None
    late_fee_residential: Quantity | None = None
    late_fee_this_year: Quantity | None = None
    late_fee_older: Quantity | None = None
    late_fee_minimum: Quantity | None = None
    dispute_answer: Span | None = None


class Protections(Strict):
    life_support: Flag
    non_working_days: Flag
    winter: Season | None = None


class Shedding(Strict):
    measures: Listing | None = None
    colours: Listing | None = None
    colour_thresholds: Numbers | None = None
    slot: Span | None = None
    levels: Count | None = None
    protected_sites: Count | None = None


class Reliability(Strict):
    momentary: Limit
    frequent: CountInWindow
    promise_urban: Quantity | None = None
    promise_rural: Quantity | None = None
    repeated: CountInWindow | None = None
    major_event_beta: Quantity


class Complaints(Strict):
    contact: Span
    answer: Span


class Compensation(Strict):
    missed_notice: Quantity | None = None
    restore_home: Quantity | None = None
    restore_business: Quantity | None = None
    restore_further: Quantity | None = None
    restore_further_every: Span | None = None
    severe_first: Quantity | None = None
    severe_further: Quantity | None = None
    severe_further_every: Span | None = None
    severe_cap: Quantity | None = None


@dataclass(frozen=True)
class Rule:
    """One value of a pack with its place, for pages and reports."""

    path: str
    value: Cited

    @property
    def section(self) -> str:
        return self.path.partition(".")[0]


class RulePack(Strict):
    """The rules of one jurisdiction, as they stood in one version."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
    version: Annotated[str, Field(pattern=r"^\d{4}\.\d+$")]
    label: Label
    written: date
    sources: dict[str, Text] = {}
    notice: Notice
    planning: Planning
    inform: Inform
    fault: Fault
    estimate: Estimate
    console: Console
    telling: Telling
    arrears: Arrears
    protections: Protections
    shedding: Shedding
    reliability: Reliability
    complaints: Complaints | None = None
    compensation: Compensation | None = None

    @property
    def key(self) -> str:
        """What an outage remembers: ``cn-sgcc@2026.1``."""
        return f"{self.name}@{self.version}"

    @property
    def planned_notice(self) -> timedelta:
        return self.notice.planned.delta

    @property
    def temporary_notice(self) -> timedelta:
        return (self.notice.temporary or self.notice.planned).delta

    @property
    def smallest_change(self) -> timedelta:
        """A smaller move of an estimate is not worth a message."""
        return self.estimate.smallest_change.delta

    @property
    def next_update(self) -> timedelta:
        """How long people may be left without news while no estimate is known."""
        return self.estimate.next_update.delta

    @property
    def probable_after(self) -> timedelta:
        return self.fault.probable_after.delta

    @property
    def recently_restored(self) -> timedelta:
        return self.console.recently_restored.delta

    @property
    def upcoming(self) -> timedelta:
        return self.console.upcoming.delta

    def arrival_promise(self, area_class: str) -> timedelta:
        """How soon a crew arrives, by the area class of the branch (``urban``, ``rural``, ``remote``)."""
        by_area = {"urban": self.fault.arrival.urban, "rural": self.fault.arrival.rural}
        return by_area.get(area_class, self.fault.arrival.remote).delta

    def is_momentary(self, duration: timedelta) -> bool:
        return self.reliability.momentary.holds(duration)

    def etr_rounded(self, etr: datetime, *, now: datetime) -> datetime:
        """The estimate as it is told: rounded up, the coarser the further away. Give it in the branch's own zone."""
        return self.estimate.rounding.round_up(etr, now=now)

    def rules(self) -> Iterator[Rule]:
        """Every value of the pack in the order of the file."""
        yield from _rules(self, "")


def _rules(node: BaseModel, path: str) -> Iterator[Rule]:
    for name in type(node).model_fields:
        child = getattr(node, name)
        here = f"{path}.{name}" if path else name
        if isinstance(child, Cited):
            yield Rule(here, child)
        elif isinstance(child, BaseModel) and not isinstance(child, Label):
            yield from _rules(child, here)
