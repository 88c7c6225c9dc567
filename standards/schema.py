"""What a rule pack says, section by section. The kinds of values are in ``values``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, Field

from standards.values import (
    Cited,
    Count,
    CountInWindow,
    DailyWindow,
    Flag,
    Limit,
    Listing,
    Numbers,
    Quantity,
    ReconnectMode,
    Rounding,
    Season,
    Span,
    Strict,
    Temperature,
    Term,
    Text,
    Weekdays,
)


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
    debt_floor_residential: Quantity
    debt_floor_other: Quantity
    letter: ByClass
    letter_option: Span | None = None
    final_warning: Span | None = None
    letter_valid: Span
    authority_copy: Flag | None = None
    only_at_notified_time: Flag | None = None
    cut_hours: DailyWindow
    no_cut_weekdays: Weekdays | None = None
    approval_residential: Term | None = None
    approval_important: Term | None = None
    four_eyes_above: Count
    rate_per_hour: Count
    rate_per_feeder_hour: Count
    answer_within: Span
    brake_share: Quantity
    brake_minimum: Count
    reconnect: Span
    reconnect_remote_residential: Span | None = None
    reconnect_remote_other: Span | None = None
    reconnect_share: Quantity
    reconnect_mode: ReconnectMode
    reconnect_warn: Span
    late_fee_residential: Quantity | None = None
    late_fee_this_year: Quantity | None = None
    late_fee_older: Quantity | None = None
    late_fee_minimum: Quantity | None = None
    dispute_answer: Span | None = None


class Protections(Strict):
    """Whom and when no cut may reach. A limit of the weather that a jurisdiction does not know is not there."""

    life_support: Flag
    important: Flag
    medical_hold: Span | None = None
    non_working_days: Flag
    eve: Flag
    winter: Season | None = None
    cold: Temperature | None = None
    heat: Temperature | None = None
    forecast_ahead: Span
    forecast_age: Span


class EnergyValue(Strict):
    """What energy that is not served costs those who miss it (value of lost load)."""

    home: Quantity
    business: Quantity
    industry: Quantity


class Shedding(Strict):
    measures: Listing | None = None
    colours: Listing | None = None
    colour_thresholds: Numbers | None = None
    slot: Span | None = None
    levels: Count | None = None
    protected_sites: Count | None = None
    ledger_weight: Quantity
    ledger_window: Span
    schedule_warning: Span
    stuck_after: Span
    energy_value: EnergyValue | None = None


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

    def debt_floor(self, *, is_residential: bool) -> Decimal:
        """Nobody is cut off for less."""
        floor = self.arrears.debt_floor_residential if is_residential else self.arrears.debt_floor_other
        return floor.amount

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
