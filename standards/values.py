"""The kinds of values in a rule pack: each with its unit, its source, its first day, and whether it was verified.

Strict on purpose: an unknown key, a text where a number belongs or a missing citation is an error of the file.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
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
            if moment.weekday() < 5:  # holidays differ by place: ``grid.calendar`` knows them
                left -= 1
        return moment


class Count(Cited):
    value: Annotated[int, Field(ge=0)]
    unit: Text


class Quantity(Cited):
    value: NotNegative
    unit: Text

    @property
    def amount(self) -> Decimal:
        """For money and shares, which are never reckoned in floats: what the file says, digit by digit."""
        return Decimal(str(self.value))


class Temperature(Cited):
    value: float
    unit: Literal["°C"]


class Flag(Cited):
    value: bool
    unit: Literal["yes/no"]


class Term(Cited):
    value: Text
    unit: Literal["term"]


class ReconnectMode(Cited):
    """What a payment sets off: the command itself, or first a question to the customer whether it is safe."""

    value: Literal["automatic", "safe"]
    unit: Literal["term"]


class Listing(Cited):
    value: Annotated[tuple[Text, ...], Field(min_length=1)]
    unit: Text


WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]


class Weekdays(Cited):
    value: Annotated[tuple[Weekday, ...], Field(min_length=1)]
    unit: Literal["weekdays"]

    @property
    def numbers(self) -> list[int]:
        """As Python counts them: Monday is 0."""
        return sorted(WEEKDAYS.index(name) for name in self.value)

    def contains(self, day: date) -> bool:
        return day.weekday() in self.numbers


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
