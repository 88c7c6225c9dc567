"""Gaps and overlaps of a table: when no block has its turn in a stage, and when one has two turns at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC

from outages.load_shedding import rotation
from outages.load_shedding.rotation import Announced, Cycle, Row, Span
from outages.load_shedding.texts import moment_words


@dataclass(frozen=True)
class Stretch:
    """A stretch of the table's cycle; without a block, nobody has a turn in it."""

    stage: int
    block: str
    begins: str
    until: str
    minutes: int


@dataclass(frozen=True)
class Coverage:
    gaps: tuple[Stretch, ...]
    overlaps: tuple[Stretch, ...]


def coverage_of(rows: Iterable[Row]) -> Coverage:
    """Stage by stage, over one cycle of the table."""
    by_stage: defaultdict[int, list[Row]] = defaultdict(list)
    for row in rows:
        by_stage[row.stage].append(row)
    gaps: list[Stretch] = []
    overlaps: list[Stretch] = []
    for stage, mine in sorted(by_stage.items()):
        cycle = rotation.cycle_of(mine)
        begins, until = cycle.bounds
        spans = rotation.expand(mine, [Announced(stage, begins, until)], UTC)
        free, double = rotation.gaps_and_overlaps(spans, begins=begins, until=until)
        gaps += [_stretch(stage, span, cycle) for span in free]
        overlaps += [_stretch(stage, span, cycle) for span in double]
    return Coverage(tuple(gaps), tuple(overlaps))


def _stretch(stage: int, span: Span, cycle: Cycle) -> Stretch:
    until = moment_words(span.until, cycle) if span.until.date() != span.begins.date() else f"{span.until:%H:%M}"
    minutes = int((span.until - span.begins).total_seconds() // 60)
    return Stretch(stage, span.block, moment_words(span.begins, cycle), until, minutes)
