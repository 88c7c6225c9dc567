"""What load shedding says about one customer's premises: their block, its turns ahead, and why it is its turn again.

Turns that are decided are outages of the record. What is only published, by rotation table and stage, stands nowhere
but in the schedule: the verdict hears of it from here.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.db import connection
from django.db.models import QuerySet
from django.utils import timezone

from grid.models import ContactKind, Customer, GridElement, ServicePoint
from grid.selectors import contains
from outages.causes import RANK_UPCOMING, UPCOMING, Cause
from outages.kinds import Contribution
from outages.load_shedding import ledger, rotation, schedule, selectors
from outages.load_shedding.models import BlockPlace, SheddingBlock, SheddingPlan, StageWindow
from outages.load_shedding.rotation import Announced, Row
from outages.load_shedding.schedule import DECIDED, PublishedSpan
from outages.models import OutageKind

_DAY: Final = timedelta(days=1)  # a turn that began the day before may still run


@dataclass(frozen=True)
class Outlook:
    """The block of some premises, and what is published of it."""

    plan: SheddingPlan
    block: SheddingBlock
    turns: tuple[PublishedSpan, ...]
    known_until: datetime | None  # after this nothing is known, which does not mean that nobody is shed


def block_of(point: ServicePoint, at: datetime | None = None) -> SheddingBlock | None:
    """The block of some premises in the plan in force; ``None`` where nobody is ever shed in turns."""
    plan = selectors.plan_in_force(point.branch, at)
    if plan is None:
        return None
    block = plan.blocks.filter(places__element=point.element_id).first()
    if block is not None:
        block.plan = plan
    return block


def outlook(block: SheddingBlock, at: datetime | None = None, *, ahead: timedelta = UPCOMING) -> Outlook:
    """What is published of a block from now on."""
    now = at or timezone.now()
    return Outlook(
        plan=block.plan,
        block=block,
        turns=tuple(schedule.published(block.plan, now, now + ahead, blocks=[block.code])),
        known_until=schedule.runs_out_at(block.plan, now),
    )


# --- finding one's block ------------------------------------------------------------------------------

LIMIT: Final = 10  # of blocks in an answer: an address that fits more is no address
_LONG_WORD: Final = 3  # trigrams say nothing about less


def blocks_by_address(text: str) -> list[SheddingBlock]:
    """The blocks of the premises whose address has all these words; none for words too short to mean a place."""
    words = unicodedata.normalize("NFKC", text).replace("\x00", "").split()
    if not any(len(word) >= _LONG_WORD for word in words):
        return []
    points = ServicePoint.objects.order_by()
    for word in words:
        points = points.filter(contains("address", word))
    return _blocks_supplying(points.values("element"))


def blocks_by_account(*, account: str, phone_tail: str) -> list[SheddingBlock] | None:
    """The blocks of a customer's premises, for who knows the account and the end of a telephone number of it.

    ``None`` when the two do not belong together, whether or not there is such an account.
    """
    customers = Customer.objects.filter(
        account_number=account,
        contacts__kind=ContactKind.PHONE,
        contacts__reversed_digits__startswith=phone_tail[::-1],
    )
    if not customers.exists():
        return None
    return _blocks_supplying(ServicePoint.objects.filter(customer__in=customers).values("element"))


def blocks_by_transformer(code: str) -> list[SheddingBlock]:
    """The block of the transformer area with this code."""
    return _blocks_supplying(GridElement.objects.filter(code=code).values("pk"))


def _blocks_supplying(elements: QuerySet[Any, Any]) -> list[SheddingBlock]:
    """The blocks of these transformer areas in the plans in force, a few of them."""
    plans = schedule.plans_in_force(selectors.plans_public())
    places = BlockPlace.objects.filter(block__plan__in=plans, element__in=elements)
    blocks = SheddingBlock.objects.filter(pk__in=places.values("block")).select_related("plan__branch")
    return list(blocks.order_by("plan__branch__pos", "code")[: LIMIT + 1])


def why_again(block: SheddingBlock, at: datetime | None = None) -> str:
    """What the agent reads out when somebody asks why it is their block again."""
    return ledger.why(block, at=at).words


# --- for the verdict ----------------------------------------------------------------------------------

# One row for each published stage of the place's block, in the version that it was published with. Where an event was
# decided for the block its slots hold instead, as in ``schedule.published``.
_WINDOWS_SQL: Final = """
SELECT asked.point, b.code, b.name, b.name_en, w.stage, w.certainty, w.published_at,
       greatest(w.begins, %(first)s), least(w.until, %(last)s), branch.name, branch.name_en, branch.time_zone,
       (SELECT jsonb_agg(jsonb_build_array(t.recurrence, t.day, t.starts, t.ends, t.period, t.counts_from,
                                           t.is_possible))
        FROM load_shedding_turn t WHERE t.block_id = b.id AND t.stage = w.stage) AS turns,
       (SELECT jsonb_agg(jsonb_build_array(e.starts_at, least(e.ends_at, e.ended_at)))
        FROM load_shedding_sheddingevent e
        JOIN load_shedding_sheddingplan version ON version.id = e.plan_id AND version.branch_id = p.branch_id
        JOIN grid_branch shed ON shed.id = e.branch_id
        WHERE e.state = ANY(%(decided)s) AND (e.undo_until IS NULL OR e.undo_until <= %(at)s)
          AND e.starts_at < %(last)s AND e.ends_at > %(first)s
          AND EXISTS (
              SELECT FROM load_shedding_blockelement m
              JOIN load_shedding_sheddingblock own ON own.id = m.block_id AND own.code = b.code
              JOIN grid_gridelement g ON g.id = m.element_id JOIN grid_branch site ON site.id = g.branch_id
              WHERE m.plan_id = e.plan_id AND site.pos BETWEEN shed.pos AND shed.last)) AS decided
FROM unnest(%(points)s::bigint[], %(elements)s::bigint[]) AS asked(point, element)
JOIN load_shedding_blockplace place ON place.element_id = asked.element
JOIN load_shedding_sheddingblock b ON b.id = place.block_id
JOIN load_shedding_sheddingplan p ON p.id = b.plan_id
JOIN grid_branch branch ON branch.id = p.branch_id
JOIN load_shedding_stagewindow w ON w.plan_id = p.id AND w.stage > 0 AND w.until > %(first)s AND w.begins < %(last)s
ORDER BY asked.point, w.begins
"""


def turns_told(service_points: Sequence[ServicePoint], at: datetime) -> dict[int, Contribution]:
    """The published turns of these premises in the days for which announcements are told; one statement."""
    asked: dict[str, Any] = {
        "points": [point.pk for point in service_points],
        "elements": [point.element_id for point in service_points],
        "first": at - _DAY,
        "last": at + UPCOMING + _DAY,
        "at": at,
        "decided": list(DECIDED),
    }
    with connection.cursor() as db:
        db.execute(_WINDOWS_SQL, asked)
        rows = db.fetchall()
    found: dict[int, list[Cause]] = {}
    for point_id, windows in _by_point(rows):
        spans = schedule.joined(span for window in windows for span in _spans(window))
        told = [span for span in spans if span.until > at and span.begins - at <= UPCOMING]
        if told:
            found[point_id] = [_cause(span, windows[0]) for span in told]
    return {point_id: Contribution(tuple(causes)) for point_id, causes in found.items()}


@dataclass(frozen=True)
class _Window:
    """A published stage and what the table says of one block in it."""

    code: str
    name_zh: str
    name_en: str
    stage: int
    certainty: str
    published_at: datetime
    begins: datetime
    until: datetime
    owner: str
    owner_en: str
    time_zone: str
    turns: list[list[Any]]
    decided: list[list[str]]


def _by_point(rows: Sequence[tuple[Any, ...]]) -> Iterator[tuple[int, list[_Window]]]:
    windows: dict[int, list[_Window]] = {}
    for point_id, *facts, turns, decided in rows:
        facts += [json.loads(turns or "[]"), json.loads(decided or "[]")]
        windows.setdefault(point_id, []).append(_Window(*facts))
    yield from windows.items()


def _spans(window: _Window) -> Iterator[PublishedSpan]:
    announced = Announced(window.stage, window.begins, window.until)
    table = rotation.Table(_row(window, *turn) for turn in window.turns)
    spans = table.expand([announced], ZoneInfo(window.time_zone))
    covered = [(datetime.fromisoformat(begins), datetime.fromisoformat(until)) for begins, until in window.decided]
    certainty = StageWindow.Certainty(window.certainty)
    for span in rotation.replaced(spans, {window.code: covered}):
        yield PublishedSpan(span.block, span.begins, span.until, certainty, window.stage, span.is_possible)


def _row(
    window: _Window, recurrence: str, day: int, starts: str, ends: str, period: int | None, counts_from: str | None,
    is_possible: bool,
) -> Row:  # fmt: skip
    return Row(
        window.stage, window.code, recurrence, day, time.fromisoformat(starts), time.fromisoformat(ends), period,
        date.fromisoformat(counts_from) if counts_from else None, is_possible,
    )  # fmt: skip


def _cause(span: PublishedSpan, window: _Window) -> Cause:
    zh, en = window.name_zh or window.code, window.name_en or window.name_zh or window.code
    return Cause(
        rank=RANK_UPCOMING,
        kind=OutageKind.LOAD_SHEDDING,
        blocks=False,
        place=zh,
        reason_zh=f"有序用电（{zh}）",
        reason_en=f"load shedding, {en}",
        begins=span.begins,
        until=span.until,
        is_forecast=not span.is_sure,
        known_at=window.published_at,
        owner=window.owner,
        owner_en=window.owner_en or window.owner,
    )
