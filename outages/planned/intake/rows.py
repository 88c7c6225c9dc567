"""One row: what its cells say, field by field, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo

from django.utils import timezone

from grid.models import Branch
from outages.planned import lifecycle
from outages.planned.intake import cells
from outages.planned.intake.cells import Clock, Stamp
from outages.planned.intake.pieces import Piece
from outages.planned.intake.problems import CellProblem, Problem
from outages.planned.models import PlannedWork, PlanPeriod, WorkClass
from outages.planned.spans import Window
from outages.planned.texts import public_reason

T = TypeVar("T")

TEXTS: Final = (
    "scope", "work_order", "contact_name", "contact_phone", "switching_note", "customer_work", "note",
    "live_line_reason", "transfer_reason", "temporary_reason",
)  # fmt: skip
CHOICES: Final = ("work_type", "live_line", "transfer")
MOST_CREWS: Final = 99


@dataclass(frozen=True)
class Setting:
    """What the rows are read for: whose plan, which columns, and at what moment."""

    branch: Branch
    period: PlanPeriod | None
    mapping: Mapping[int, str]
    work_class: str = WorkClass.PLANNED
    is_1904: bool = False
    now: datetime = field(default_factory=timezone.now)

    @property
    def fields(self) -> frozenset[str]:
        return frozenset(self.mapping.values())

    @property
    def clock(self) -> Clock:
        zone = ZoneInfo(self.branch.time_zone)
        today = self.now.astimezone(zone).date()
        first, last = (self.period.starts_on, self.period.ends_on) if self.period else (today, today)
        return Clock(zone, first, last, self.is_1904)


@dataclass
class Row:
    """One row while it is understood."""

    number: int
    texts: Mapping[str, str]
    problems: list[Problem] = field(default_factory=list)
    key: str = ""
    window: Window | None = None
    pieces: tuple[Piece, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)
    change: str = ""
    customers: int | None = None
    work_id: int | None = None

    @property
    def is_wrong(self) -> bool:
        return any(problem.is_wrong for problem in self.problems)

    def says(
        self, code: str, name: str = "", *, better: Iterable[str] = (), is_wrong: bool = True, **params: Any
    ) -> None:
        self.problems.append(Problem(code, name, params, is_wrong, tuple(better)))

    @property
    def element_ids(self) -> tuple[int, ...]:
        return tuple(dict.fromkeys(piece.id for piece in self.pieces))

    @property
    def twin(self) -> str:
        """The same for rows that say the same, where no number tells works apart."""
        if self.key or self.window is None or not self.pieces:
            return ""
        start, end = self.window
        return f"{sorted(self.element_ids)} {start.timestamp():.0f} {end.timestamp():.0f} {self.facts.get('title', '')}"

    def values(self) -> dict[str, Any]:
        """What is kept of it for showing."""
        start, end = self.window or (None, None)
        return {
            "starts_at": start.isoformat() if start else "",
            "ends_at": end.isoformat() if end else "",
            "elements": [piece.code for piece in self.pieces],
            "customers": self.customers,
            "twin": self.twin[:200],
        }


def texts_of(cells_: Sequence[str], edits: Mapping[str, str], mapping: Mapping[int, str]) -> dict[str, str]:
    """What a row says field by field, with what somebody typed over it or added to it."""
    texts: dict[str, str] = {}
    for column in sorted(mapping):
        name, text = mapping[column], cells_[column] if column < len(cells_) else ""
        texts[name] = "、".join(part for part in (texts.get(name, ""), text) if part)
    return texts | dict(edits)


# --- one row by itself ---------------------------------------------------------------------------------


def row_read(row: Row, setting: Setting, clock: Clock) -> None:
    """Understand what a row says by itself; what is wrong is noted in it."""
    row.key = row.texts.get("key", "")
    _limit(row, "key", row.key)
    _times(row, setting, clock)
    _facts(row, setting)


def _limit(row: Row, name: str, text: str) -> str:
    most: int = getattr(PlannedWork._meta.get_field(name), "max_length", None) or 0
    if len(text) > most:
        row.says("too_long_text", name, length=len(text), most=most)
    return text[:most]


def _times(row: Row, setting: Setting, clock: Clock) -> None:
    try:
        start, end, end_is_told = _stamps(row, clock)
        if start is None or end is None:
            return
        begins = _instant(row, start_field(row), start, clock)
        if not end_is_told and begins is not None and (end.minute or 0) <= (start.minute or 0):
            end = _overnight(row, start, end)
        ends = _instant(row, end_field(row), end, clock)
    except Told:
        return
    if begins is not None and ends is not None:
        row.window = (begins, ends)
        _window_check(row, setting, clock)


class Told(Exception):
    """The problem stands in the row already."""


def _cell(row: Row, name: str, read: Callable[[str], T]) -> T:
    try:
        return read(row.texts[name])
    except CellProblem as problem:
        row.says(problem.code, name, **problem.params)
        raise Told from problem


def _stamps(row: Row, clock: Clock) -> tuple[Stamp | None, Stamp | None, bool]:
    """Beginning and end as the row's cells say, and whether the end's own day is said."""
    texts = row.texts
    day, end_day = (
        _cell(row, name, lambda text: cells.stamp(text, clock).day) if texts.get(name) else None
        for name in ("day", "end_day")
    )
    start = end = None
    if texts.get("window"):
        start, end = _cell(row, "window", lambda text: cells.window(text, clock))
    if texts.get("starts_at"):
        start = _cell(row, "starts_at", lambda text: cells.stamp(text, clock))
    start = start.on(day) if start is not None else None
    if texts.get("ends_at"):
        end = _cell(row, "ends_at", lambda text: cells.ending(text, clock, start))
    if start is not None:
        if start.day is None:
            row.says("no_day", start_field(row), text=cells.clock_words(start))
            raise Told
        if start.minute is None:
            row.says("no_time", start_field(row), text=cells.clock_words(start))
            raise Told
    if end is None and start is not None and texts.get("hours"):
        minutes = _cell(row, "hours", cells.duration) + (start.minute or 0)
        assert start.day is not None
        end = Stamp(start.day + timedelta(days=minutes // cells.A_DAY), minutes % cells.A_DAY, start.offset)
    if start is None or end is None:
        for name, stamp in ((start_field(row), start), (end_field(row), end)):
            if stamp is None and not row.problems:
                row.says("missing", name)
        raise Told
    if end.minute is None:
        row.says("no_time", end_field(row), text=cells.clock_words(end))
        raise Told
    is_told = end.day is not None or end_day is not None
    return start, end.on(end_day).on(start.day), is_told


def start_field(row: Row) -> str:
    """The field in which the row says when it begins."""
    return "window" if row.texts.get("window") or "starts_at" not in row.texts else "starts_at"


def end_field(row: Row) -> str:
    """The field in which the row says, or should say, when it ends."""
    if "ends_at" in row.texts and (row.texts["ends_at"] or "window" not in row.texts):
        return "ends_at"
    return "window" if "window" in row.texts else "hours"


def _overnight(row: Row, start: Stamp, end: Stamp) -> Stamp:
    """22:00–06:00 ends on the next day; 18:00–09:00 is more likely a slip."""
    assert end.day is not None
    if (end.minute or 0) + cells.A_DAY - (start.minute or 0) > cells.OVERNIGHT:
        return end
    later = replace(end, day=end.day + timedelta(days=1))
    text = f"{cells.clock_words(start)} – {cells.clock_words(later)}"
    row.says("next_day", end_field(row), text=text, is_wrong=False)
    return later


def _instant(row: Row, name: str, stamp: Stamp, clock: Clock) -> datetime | None:
    try:
        return cells.instant(stamp, clock)
    except CellProblem as problem:
        row.says(problem.code, name, **problem.params)
    except OverflowError:
        row.says("bad_date", name, text=row.texts.get(name, ""))
    return None


def _window_check(row: Row, setting: Setting, clock: Clock) -> None:
    assert row.window is not None
    begins, ends = row.window
    start, end = (moment.astimezone(clock.zone) for moment in row.window)
    words: dict[str, Any] = {"start": f"{start:%Y-%m-%d %H:%M}", "end": f"{end:%Y-%m-%d %H:%M}"}
    name = start_field(row)
    if ends <= begins:
        row.says("reversed", end_field(row), **words)
    elif ends - begins > lifecycle.LONGEST:
        row.says("too_long", end_field(row), **words, days=lifecycle.LONGEST.days)
    elif not lifecycle.EARLIEST < begins < setting.now + lifecycle.FARTHEST:
        row.says("implausible", name, **words)
    elif setting.period and not setting.period.starts_on <= start.date() <= setting.period.ends_on:
        first, last = setting.period.starts_on, setting.period.ends_on
        row.says("outside_plan", name, day=f"{start:%Y-%m-%d}", first=f"{first}", last=f"{last}")
    elif begins <= setting.now:
        row.says("past", name, **words)
    if row.is_wrong and ends <= begins:
        row.window = None


def _facts(row: Row, setting: Setting) -> None:
    """Everything that is written down as it is, for the fields of which the row speaks at all."""
    facts, texts = row.facts, row.texts
    for name in TEXTS:
        if name in texts:
            facts[name] = _limit(row, name, _plain_text(row, name))
    for name in CHOICES:
        if name in texts:
            value = value_in(row, name, lambda text, name=name: cells.choice(name, text))  # type: ignore[misc]
            if value or name != "work_type":
                facts[name] = value or ""
    if texts.get("crews"):
        crews = value_in(row, "crews", lambda text: cells.whole_number(text, least=1, most=MOST_CREWS))
        facts["crews"] = crews or 1
    if "is_fixed" in texts:
        facts["is_fixed"] = bool(value_in(row, "is_fixed", lambda text: cells.yes_no("is_fixed", text)))
    _reason(row)
    _class(row, setting)
    _title(row)


def value_in(row: Row, name: str, read: Callable[[str], T]) -> T | None:
    """What a cell means; nothing where it cannot be read, which is noted in the row."""
    try:
        return _cell(row, name, read)
    except Told:
        return None


def _plain_text(row: Row, name: str) -> str:
    return value_in(row, name, cells.usable) or ""


def _reason(row: Row) -> None:
    text = _plain_text(row, "reason") if "reason" in row.texts else ""
    if text:
        name = "reason_zh" if any("\u4e00" <= letter <= "\u9fff" for letter in text) else "reason_en"
        row.facts[name] = _limit(row, name, text)


def _class(row: Row, setting: Setting) -> None:
    named = ""
    if "work_class" in row.texts:
        named = value_in(row, "work_class", lambda text: cells.choice("work_class", text)) or ""
    value = named or setting.work_class
    if not named and value == WorkClass.PLANNED and row.facts.get("temporary_reason"):
        value = WorkClass.TEMPORARY  # whoever says why it cannot wait plans temporary work
    row.facts["work_class"] = str(value)


def _title(row: Row) -> None:
    title = _plain_text(row, "title") if "title" in row.texts else ""
    title = title or row.facts.get("reason_zh") or row.facts.get("reason_en") or ""
    if not title and "title" in row.texts:
        if not any(problem.field == "title" for problem in row.problems):
            row.says("missing", "title")
    elif not title:
        title = public_reason(row.facts.get("work_type", ""))[0]
    row.facts["title"] = _limit(row, "title", title)
