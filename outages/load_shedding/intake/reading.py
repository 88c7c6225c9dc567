"""From the lines of a spreadsheet to rows of a rotation table, in three forms.

*rows*: stage, day, from, until, block in columns. *matrix*: a line for each day and span, a column for each block (a
mark, or the stages) or for each stage (the blocks). *half hours*: a line for each block, 24 columns of codes.
A table without days holds on every weekday; one without stages is that of the stage asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, time
from itertools import product
from typing import Final, TypeVar

from grid.spreadsheets.books import Book, Line, Sheet
from grid.spreadsheets.markup import UNCALCULATED
from outages.load_shedding.intake import cells, columns
from outages.load_shedding.intake.problems import CellProblem, Problem
from outages.load_shedding.rotation import Row, halves, is_half_hour_code

HEADS: Final = 15  # among so many first lines the headings are looked for

T = TypeVar("T")


@dataclass(frozen=True)
class Setting:
    """What a table is read against."""

    blocks: Mapping[str, str]  # every name of a block, its former ones too -> its code
    stages: Collection[int]
    stage: int  # of a table that names none


@dataclass
class Understood:
    """What a file says. With a single problem nothing of it is taken."""

    form: str = ""
    sheet: str = ""
    lines: int = 0
    rows: list[Row] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    unknown_codes: set[str] = field(default_factory=set)  # of a half-hour table: they mean nothing

    @property
    def stages(self) -> list[int]:
        return sorted({row.stage for row in self.rows})


@dataclass(frozen=True)
class Days:
    """On which days a line holds."""

    recurrence: str
    days: Sequence[int]
    period: int | None = None
    counts_from: date | None = None


def understood(book: Book, setting: Setting) -> Understood:
    """The first sheet that has turns in it; one with nothing but headings is passed over."""
    empty = None
    for sheet in book.sheets:
        found = _of_sheet(sheet, setting)
        if found is not None and (found.rows or found.problems):
            return found
        empty = empty or found
    return Understood(problems=[Problem(1, "", "no_table" if empty is None else "no_rows")])


def _of_sheet(sheet: Sheet, setting: Setting) -> Understood | None:
    for at, line in enumerate(sheet.lines[:HEADS]):
        reader = _reader(line.cells, setting)
        if reader is not None:
            return reader.read(sheet, at)
    return None


def _reader(headings: Sequence[str], setting: Setting) -> _Reader | None:
    names = {columns.name_of(heading) for heading in headings}
    has_hours = "time" in names or {"starts", "ends"} <= names
    others = [heading for heading in headings if heading and not columns.name_of(heading)]
    if columns.hours_of(headings) and "block" in names:
        return _HalfHours(headings, setting)
    if has_hours and "block" in names:
        return _Rows(headings, setting)
    if has_hours and others:
        return _Matrix(headings, setting)
    return None


class _Reader:
    form = ""

    def __init__(self, headings: Sequence[str], setting: Setting) -> None:
        self.setting, self.headings = setting, headings
        self.at = {name: at for at, name in enumerate(map(columns.name_of, headings)) if name}
        self.found = Understood(form=self.form)

    def read(self, sheet: Sheet, head: int) -> Understood:
        self.found.sheet = sheet.name
        if self.heads_are_right(sheet.lines[head].number):
            for line in sheet.lines[head + 1 :]:
                self.found.lines += 1
                self._line(line)
        return self.found

    def _line(self, line: Line) -> None:
        before = len(self.found.problems)
        rows = list(self.rows(line))
        if len(self.found.problems) == before:
            self.found.rows += rows

    def heads_are_right(self, number: int) -> bool:
        return True

    def rows(self, line: Line) -> Iterator[Row]:
        raise NotImplementedError

    # --- cells

    def text(self, line: Line, at: int | None) -> str:
        text = line.cells[at] if at is not None and at < len(line.cells) else ""
        if text.startswith(f"{UNCALCULATED}="):
            raise CellProblem("formula", text=text[1:])
        return text

    def say(self, line: Line, name: str, problem: CellProblem) -> None:
        self.found.problems.append(Problem(line.number, problem.field or name, problem.code, problem.params))

    def asked(self, line: Line, name: str, read: Callable[[str], T], default: T | None = None) -> T | None:
        """The cell of a column, or ``None`` once what is wrong with it has been said."""
        try:
            text = self.text(line, self.at.get(name))
            if not text and default is None:
                raise CellProblem("missing")
            return read(text) if text else default
        except CellProblem as problem:
            self.say(line, name, problem)
            return None

    def stages(self, line: Line) -> list[int] | None:
        return self.asked(line, "stage", self.known_stages, [self.setting.stage])

    def known_stages(self, text: str) -> list[int]:
        stages = cells.stages(text)
        for stage in stages:
            if stage not in self.setting.stages:
                raise CellProblem("unknown_stage", text=stage)
        return stages

    def known_blocks(self, text: str) -> list[str]:
        names = cells.pieces(text, self.setting.blocks)
        for name in names:
            if name not in self.setting.blocks:
                raise CellProblem("unknown_block", text=name)
        return [self.setting.blocks[name] for name in names]

    def span(self, line: Line) -> tuple[time, time] | None:
        if "time" in self.at:
            return self.asked(line, "time", cells.span)
        ends = self.asked(line, "ends", str)
        starts = self.asked(line, "starts", lambda text: cells.clock(text) and text)
        if starts is None or ends is None:
            return None
        return self.asked(line, "ends", lambda text: cells.hours(starts, text))

    def days(self, line: Line) -> Days | None:
        filled = [name for name in ("day", "weekday", "cycle_day") if self.is_filled(line, self.at.get(name))]
        if len(filled) > 1:
            self.say(line, filled[1], CellProblem("two_days"))
            return None
        if not filled:
            named = [name for name in ("day", "weekday", "cycle_day") if name in self.at]
            if named:
                self.say(line, named[0], CellProblem("missing"))
                return None
            return Days("weekly", range(1, 8))
        return self._days_by(line, filled[0])

    def is_filled(self, line: Line, at: int | None) -> bool:
        return at is not None and at < len(line.cells) and bool(line.cells[at])

    def _days_by(self, line: Line, name: str) -> Days | None:
        if name == "cycle_day":
            period = self.asked(line, "period", cells.length)
            counts_from = self.asked(line, "counts_from", cells.day)
            if period is None or counts_from is None:
                return None
            days = self.asked(line, name, lambda text: cells.cycle_days(text, period))
            return None if days is None else Days("periodic", days, period, counts_from)
        days = self.asked(line, name, cells.month_days if name == "day" else cells.weekdays)
        return None if days is None else Days("monthly" if name == "day" else "weekly", days)


def _row(stage: int, block: str, days: Days, day: int, span: tuple[time, time], is_possible: bool) -> Row:
    return Row(stage, block, days.recurrence, day, *span, days.period, days.counts_from, is_possible)


class _Rows(_Reader):
    form = "rows"

    def rows(self, line: Line) -> Iterator[Row]:
        stages, days, span = self.stages(line), self.days(line), self.span(line)
        blocks = self.asked(line, "block", self.known_blocks)
        possible = self.asked(line, "possible", cells.mark, (False, False))
        if stages is None or days is None or span is None or blocks is None or possible is None:
            return
        for stage, block, day in product(stages, blocks, days.days):
            yield _row(stage, block, days, day, span, possible[0])


class _Matrix(_Reader):
    form = "matrix"

    def __init__(self, headings: Sequence[str], setting: Setting) -> None:
        super().__init__(headings, setting)
        self.free = {at: cells.narrow(text) for at, text in enumerate(headings) if text and not columns.name_of(text)}
        self.by_block = any(text in setting.blocks for text in self.free.values())

    def heads_are_right(self, number: int) -> bool:
        for text in self.free.values():
            stage = columns.stage_of(text)
            known = text in self.setting.blocks if self.by_block else stage in self.setting.stages
            if not known:
                code = "unknown_stage" if stage is not None and not self.by_block else "unknown_heading"
                self.found.problems.append(Problem(number, "", code, {"text": text}))
        return not self.found.problems

    def rows(self, line: Line) -> Iterator[Row]:
        if not any(self.is_filled(line, at) for at in self.free):
            return
        stages = self.stages(line) if "stage" in self.at and self.by_block else [self.setting.stage]
        days, span = self.days(line), self.span(line)
        for at, heading in self.free.items():
            try:
                text = self.text(line, at)
                turns = list(self._turns(heading, text, stages or ())) if text else []
            except CellProblem as problem:
                self.say(line, heading, problem)
                continue
            if days is not None and span is not None:
                for (stage, block, is_possible), day in product(turns, days.days):
                    yield _row(stage, block, days, day, span, is_possible)

    def _turns(self, heading: str, text: str, stages: Collection[int]) -> Iterator[tuple[int, str, bool]]:
        if not self.by_block:
            stage = columns.stage_of(heading)
            assert stage is not None
            for block in self.known_blocks(text):
                yield stage, block, False
            return
        block, is_possible = self.setting.blocks[heading], False
        if "stage" in self.at or not any(letter.isdigit() for letter in text):
            is_off, is_possible = cells.mark(text)
            wanted = stages if is_off else ()
        else:
            wanted = self.known_stages(text)
        for stage in wanted:
            yield stage, block, is_possible


class _HalfHours(_Reader):
    form = "half_hours"

    def __init__(self, headings: Sequence[str], setting: Setting) -> None:
        super().__init__(headings, setting)
        self.hours = columns.hours_of(headings)

    def rows(self, line: Line) -> Iterator[Row]:
        if not any(self.is_filled(line, at) for at in self.hours):
            return
        stages, days = self.stages(line), self.days(line)
        blocks = self.asked(line, "block", self.known_blocks)
        if stages is None or days is None or blocks is None:
            return
        codes: dict[int, str] = {}
        for at, hour in self.hours.items():
            try:
                codes[hour] = cells.narrow(self.text(line, at)).lower()
            except CellProblem as problem:
                self.say(line, str(hour), problem)
        if len(codes) < len(self.hours):
            return
        self.found.unknown_codes |= {code for code in codes.values() if code and not is_half_hour_code(code)}
        for begins, until, is_possible in halves(codes):
            span = _clock(begins), _clock(until)
            for stage, block, day in product(stages, blocks, days.days):
                yield _row(stage, block, days, day, span, is_possible)


def _clock(minute: int) -> time:
    return time(minute // 60 % 24, minute % 60)
