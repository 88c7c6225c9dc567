"""What an approver must know of a version: what stands against it, and what it changes for whom."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, Final

from django.db import connection
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from outages.load_shedding import blocks, rotation, selectors
from outages.load_shedding.models import BlockPlace, SheddingBlock, SheddingPlan
from outages.load_shedding.rotation import Cycle, Row, Span
from outages.load_shedding.texts import moment_words

_HOUR: Final = timedelta(hours=1)
_EPSILON: Final = 1e-6

_WORDS: Final[Mapping[str, str | Promise]] = {
    "no_blocks": _("There is no block in it."),
    "no_stages": _("There is no stage in it."),
    "outdated": _("The network behind %(blocks)s has changed since: measure again."),
    "kept_out": _("Block %(block)s would take off %(element)s, which is kept out of shedding: %(why)s."),
    "no_turns": _("Stage %(stage)d has no turns: it can be ordered, but not published by the table."),
    "stage_short": _(
        "Stage %(stage)d takes off %(has).3g MW of %(wants).3g MW at worst (%(when)s); it falls short in %(hours).3g h."
    ),
    "overlap": _("Stage %(stage)d: block %(block)s has two turns at once (%(when)s)."),
    "run": _(
        "Stage %(stage)d: block %(block)s is off for %(minutes)d min at a stretch (from %(when)s), longest is %(most)d."
    ),
    "day": _("Stage %(stage)d: block %(block)s is off for %(minutes)d min in a day (%(when)s), longest is %(most)d."),
    "rest": _("Stage %(stage)d: block %(block)s rests only %(minutes)d min (from %(when)s), shortest is %(most)d."),
}  # fmt: skip
_STOPPING: Final = frozenset({"no_blocks", "no_stages", "outdated", "kept_out"})


@dataclass(frozen=True)
class Finding:
    """One thing that stands against a version; what ``stops`` it must be put right, the rest may be accepted."""

    code: str
    params: Mapping[str, Any] = field(default_factory=dict)

    @property
    def stops(self) -> bool:
        return self.code in _STOPPING

    def __str__(self) -> str:
        return str(_WORDS[self.code]) % self.params


def findings_of(plan: SheddingPlan) -> list[Finding]:
    """Everything that the checks say of a version, what stops it first."""
    by_code = {block.code: block for block in plan.blocks.all()}
    stages = list(plan.stages.all())
    found = [] if by_code else [Finding("no_blocks")]
    found += [] if stages else [Finding("no_stages")]
    found += _of_the_network(plan, by_code)
    rows: defaultdict[int, list[Row]] = defaultdict(list)
    for row in selectors.rows_of(plan):
        rows[row.stage].append(row)
    for stage in stages:
        if rows[stage.number]:
            found += _of_the_turns(plan, stage.number, stage.mw, rows[stage.number], by_code)
        else:
            found.append(Finding("no_turns", {"stage": stage.number}))
    return found


def _of_the_network(plan: SheddingPlan, by_code: Mapping[str, SheddingBlock]) -> Iterator[Finding]:
    changed = blocks.outdated(plan)
    if changed:
        yield Finding("outdated", {"blocks": ", ".join(changed)})
    elements = blocks.elements_of(plan)
    shed = [block for block in by_code.values() if not block.is_protected]
    for block, kept in zip(shed, blocks.kept_outside([elements[block.pk] for block in shed]), strict=True):
        for one in kept:
            yield Finding("kept_out", {"block": block.code, "element": one.code, "why": one.why})


# --- the table against the stage and the limits -------------------------------------------------------------


def _of_the_turns(
    plan: SheddingPlan, stage: int, mw: float, rows: Sequence[Row], by_code: Mapping[str, SheddingBlock]
) -> Iterator[Finding]:
    cycle = rotation.cycle_of(rows)
    begins, until = cycle.bounds
    spans = rotation.expand(rows, [rotation.Announced(stage, begins, until)], UTC)
    yield from _short(stage, mw, spans, by_code, cycle)
    _gaps, overlaps = rotation.gaps_and_overlaps(spans, begins=begins, until=until)
    if overlaps:
        one = overlaps[0]
        yield Finding("overlap", {"stage": stage, "block": one.block, "when": moment_words(one.begins, cycle)})
    for code, limit, worst in (*_longest(plan, spans), _shortest_rest(plan, spans)):
        if worst is not None:
            minutes = int((worst.until - worst.begins).total_seconds() // 60)
            facts = {"stage": stage, "block": worst.block, "minutes": minutes, "most": limit}
            yield Finding(code, {**facts, "when": moment_words(worst.begins, cycle)})


def _short(
    stage: int, mw: float, spans: Sequence[Span], by_code: Mapping[str, SheddingBlock], cycle: Cycle
) -> Iterator[Finding]:
    """In which hours do the blocks whose turn it is take off less than the stage asks for?"""
    begins, until = cycle.bounds
    edges: defaultdict[datetime, list[tuple[str, int]]] = defaultdict(list)
    for span in spans:
        edges[span.begins].append((span.block, 1))
        edges[span.until].append((span.block, -1))
    hours = [begins + n * _HOUR for n in range(cycle.days * 24)]
    moments = sorted({*edges, *hours})
    off: defaultdict[str, int] = defaultdict(int)
    worst: tuple[float, datetime] | None = None
    short = timedelta()
    for moment, after in zip(moments, [*moments[1:], until], strict=True):
        for block, change in edges.get(moment, ()):
            off[block] += change
        has = sum(by_code[block].mw_by_hour[moment.hour] for block, times in off.items() if times)
        if moment < until and has < mw - _EPSILON:
            short += after - moment
            if worst is None or has < worst[0]:
                worst = has, moment
    if worst is not None:
        facts = {"stage": stage, "has": worst[0], "wants": mw, "hours": short / _HOUR}
        yield Finding("stage_short", {**facts, "when": moment_words(worst[1], cycle)})


def _longest(plan: SheddingPlan, spans: Sequence[Span]) -> list[tuple[str, int, Span | None]]:
    """The longest stretch and the longest day of any block, where they are beyond the plan's limits."""
    runs = rotation.merged(spans)
    a_run = max(runs, key=lambda run: run.until - run.begins, default=None)
    days: defaultdict[tuple[str, Any], timedelta] = defaultdict(timedelta)
    for run in runs:
        for span in _by_day(run):
            days[span.block, span.begins.date()] += span.until - span.begins
    a_day = max(days, key=lambda key: days[key], default=None)
    in_a_day = None
    if a_day is not None:
        start = datetime(a_day[1].year, a_day[1].month, a_day[1].day, tzinfo=UTC)
        in_a_day = Span(a_day[0], start, start + days[a_day])
    return [
        ("run", plan.max_run_minutes, _beyond(a_run, plan.max_run_minutes)),
        ("day", plan.max_day_minutes, _beyond(in_a_day, plan.max_day_minutes)),
    ]


def _shortest_rest(plan: SheddingPlan, spans: Sequence[Span]) -> tuple[str, int, Span | None]:
    runs = rotation.merged(spans)
    rests = [Span(one.block, one.until, other.begins) for one, other in pairwise(runs) if one.block == other.block]
    least = min(rests, key=lambda rest: rest.until - rest.begins, default=None)
    too_short = least is not None and least.until - least.begins < timedelta(minutes=plan.min_rest_minutes)
    return "rest", plan.min_rest_minutes, least if too_short else None


def _beyond(span: Span | None, minutes: int) -> Span | None:
    return span if span is not None and span.until - span.begins > timedelta(minutes=minutes) else None


def _by_day(span: Span) -> Iterator[Span]:
    begins = span.begins
    while begins < span.until:
        midnight = datetime(begins.year, begins.month, begins.day, tzinfo=UTC) + timedelta(days=1)
        until = min(midnight, span.until)
        yield Span(span.block, begins, until)
        begins = until


# --- against the version in force -------------------------------------------------------------------------


@dataclass(frozen=True)
class BlockChange:
    """One block as it was and as it becomes; missing on one side, it is new or gone."""

    code: str
    before: SheddingBlock | None
    after: SheddingBlock | None
    has_other_turns: bool
    customers_in: int
    customers_out: int


@dataclass(frozen=True)
class Changes:
    blocks: tuple[BlockChange, ...]
    moved: int  # customers who come into another block
    gained: int  # who are in a block for the first time
    lost: int  # who are in none any more


_MOVES_SQL = f"""
WITH was AS (
    SELECT p.element_id, b.code, p.customers FROM {BlockPlace._meta.db_table} p
    JOIN {SheddingBlock._meta.db_table} b ON b.id = p.block_id WHERE b.plan_id = %(before)s
), will AS (
    SELECT p.element_id, b.code, p.customers FROM {BlockPlace._meta.db_table} p
    JOIN {SheddingBlock._meta.db_table} b ON b.id = p.block_id WHERE b.plan_id = %(after)s
)
SELECT was.code, will.code, sum(coalesce(will.customers, was.customers))
FROM was FULL JOIN will USING (element_id)
WHERE was.code IS DISTINCT FROM will.code GROUP BY 1, 2
"""  # noqa: S608 - only tables' names


def changes_between(before: SheddingPlan, after: SheddingPlan) -> Changes:
    """What the later version changes: block by block, and for how many customers."""
    old = {block.code: block for block in before.blocks.all()}
    new = {block.code: block for block in after.blocks.all()}
    # a block keeps its history under another code
    renamed = {name: block.code for block in new.values() for name in block.formerly if name in old and name not in new}
    with connection.cursor() as db:
        db.execute(_MOVES_SQL, {"before": before.pk, "after": after.pk})
        moves = [(renamed.get(was, was), will, int(number)) for was, will, number in db.fetchall()]
    moves = [(was, will, number) for was, will, number in moves if was != will]
    their_turns, our_turns = _turns_by_block(before, renamed), _turns_by_block(after, {})
    changes = []
    for code in sorted({*(renamed.get(code, code) for code in old), *new}):
        was = old.get(code) or next((old[name] for name, now in renamed.items() if now == code), None)
        change = BlockChange(
            code, was, new.get(code), their_turns[code] != our_turns[code],
            sum(number for _was, will, number in moves if will == code),
            sum(number for left, _will, number in moves if left == code),
        )  # fmt: skip
        if _differs(change):
            changes.append(change)
    return Changes(
        tuple(changes),
        moved=sum(number for was, will, number in moves if was and will),
        gained=sum(number for was, _will, number in moves if not was),
        lost=sum(number for _was, will, number in moves if not will),
    )


def _differs(change: BlockChange) -> bool:
    was, will = change.before, change.after
    if was is None or will is None or change.has_other_turns or change.customers_in or change.customers_out:
        return True
    return (was.code, was.mw_by_hour, was.is_protected) != (will.code, will.mw_by_hour, will.is_protected)


def _turns_by_block(plan: SheddingPlan, renamed: Mapping[str, str]) -> defaultdict[str, set[tuple[Any, ...]]]:
    found: defaultdict[str, set[tuple[Any, ...]]] = defaultdict(set)
    fields = ("stage", "recurrence", "day", "period", "counts_from", "starts", "ends", "is_possible")
    for code, *turn in plan.turns.values_list("block__code", *fields):
        found[renamed.get(code, code)].add(tuple(turn))
    return found
