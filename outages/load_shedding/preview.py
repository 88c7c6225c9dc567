"""What turns would do before anybody is switched off: load, customers, calls to make, messages, and what it costs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import groupby, pairwise
from operator import itemgetter
from typing import Final
from zoneinfo import ZoneInfo

from django.db import connection
from django.utils import timezone

import standards
from grid.models import Customer, CustomerClass
from outages import impact
from outages.load_shedding.models import SheddingBlock, SheddingPlan
from outages.load_shedding.proposals import Window
from outages.load_shedding.question import HOUR, Overlap, mw_in, overlaps_of
from outages.load_shedding.rotation import Span
from standards.values import Quantity

# messages a second, where a provider has no other limit: an assumption, shown as one
RATES: Final[Mapping[str, float]] = {"sms": 50.0, "email": 50.0}
IMPORTANT_AT_MOST: Final = 200

KINDS: Final = ("home", "business", "industry")
_HOME, _BUSINESS, _INDUSTRY = KINDS
_VALUED_AS: Final[Mapping[str, str]] = {
    CustomerClass.RESIDENTIAL: _HOME,
    CustomerClass.COMMERCIAL: _BUSINESS,
    CustomerClass.PUBLIC: _BUSINESS,
    CustomerClass.INDUSTRIAL: _INDUSTRY,
    CustomerClass.AGRICULTURAL: _INDUSTRY,
}


Blocks = Mapping[str, SheddingBlock]
Overlaps = Mapping[tuple[int, Window], Overlap]


@dataclass(frozen=True)
class Stretch:
    """From one switching to the next: who is off, and the load that this relieves."""

    begins: datetime
    until: datetime
    blocks: tuple[str, ...]
    measured_mw: float
    estimated_mw: float
    customers: int

    @property
    def mw(self) -> float:
        return self.measured_mw + self.estimated_mw


@dataclass(frozen=True)
class Call:
    """A household with life support that is called before its block's turn."""

    account: str
    name: str
    phone: str
    address: str
    block: str
    begins: datetime


@dataclass(frozen=True)
class Already:
    """A block of which something is off anyway: no relief, and nobody counted again."""

    block: str
    overlap: Overlap


@dataclass(frozen=True)
class Messages:
    channel: str
    count: int
    per_second: float  # assumed

    @property
    def minutes(self) -> float:
        return self.count / self.per_second / 60


@dataclass(frozen=True)
class Loss:
    """Energy that a class of customers goes without, and what that is worth by the rule pack."""

    kind: str  # home, business, industry
    mwh: float
    value: Decimal | None
    unit: str  # of the value: CNY
    is_verified: bool


@dataclass(frozen=True)
class Preview:
    stretches: tuple[Stretch, ...]
    customers: int  # each once, without those who are off anyway
    critical: int
    life_support: int
    important: tuple[Customer, ...]
    calls: tuple[Call, ...]
    already: tuple[Already, ...]
    messages: tuple[Messages, ...]
    losses: tuple[Loss, ...]
    neighbours: tuple[tuple[str, tuple[str, ...]], ...]  # blocks that stay on beside those that are shed

    @property
    def mwh(self) -> float:
        return sum(loss.mwh for loss in self.losses)

    @property
    def value(self) -> Decimal | None:
        known = [loss.value for loss in self.losses if loss.value is not None]
        return sum(known, Decimal(0)) if known else None


def preview_of(
    *, plan: SheddingPlan, spans: Sequence[Span], at: datetime | None = None, apart_from: Collection[int] = (),
    rates: Mapping[str, float] = RATES,
) -> Preview:  # fmt: skip
    """What these turns mean. ``apart_from`` are the outages of the event itself, where it runs already."""
    at = at or timezone.now()
    zone = ZoneInfo(plan.branch.time_zone)
    blocks = {one.code: one for one in plan.blocks.filter(code__in={span.block for span in spans}).order_by("code")}
    stretches = _between_switchings(spans)
    asked = [(blocks[code].pk, (begins, until)) for begins, until, off in stretches for code in off]
    overlaps = dict(zip(asked, overlaps_of(asked, at=at, apart_from=list(apart_from)), strict=True))
    already = {code: _most(block, overlaps) for code, block in blocks.items()}
    places, customers, critical, life_support = _totals(blocks)
    return Preview(
        stretches=tuple(_stretch(*stretch, blocks, overlaps, zone) for stretch in stretches),
        customers=customers - sum(one.customers for one in already.values()),
        critical=critical,
        life_support=life_support,
        important=tuple(impact.important_customers(places, limit=IMPORTANT_AT_MOST)),
        calls=tuple(_calls(blocks, spans)),
        already=tuple(Already(code, overlap) for code, overlap in already.items() if overlap.outages),
        messages=tuple(_messages(places, rates)),
        losses=tuple(_losses(plan, blocks, stretches, overlaps, zone)),
        neighbours=tuple(_neighbours(blocks)),
    )


# --- load by time -------------------------------------------------------------------------------------


def _between_switchings(spans: Sequence[Span]) -> list[tuple[datetime, datetime, tuple[str, ...]]]:
    edges = sorted({moment.astimezone(UTC) for span in spans for moment in (span.begins, span.until)})
    found = [
        (begins, until, tuple(sorted({span.block for span in spans if span.begins <= begins < span.until})))
        for begins, until in pairwise(edges)
    ]
    return [stretch for stretch in found if stretch[2]]


def _relief(block: SheddingBlock, window: Window, overlaps: Overlaps, zone: ZoneInfo) -> float:
    """The MW that its turn takes off in a window."""
    return mw_in(block, window, zone) * (1 - overlaps[block.pk, window].share)


def _stretch(
    begins: datetime, until: datetime, off: tuple[str, ...], blocks: Blocks, overlaps: Overlaps, zone: ZoneInfo
) -> Stretch:
    relief = {code: _relief(blocks[code], (begins, until), overlaps, zone) for code in off}
    return Stretch(
        begins=begins,
        until=until,
        blocks=off,
        measured_mw=sum(mw for code, mw in relief.items() if blocks[code].is_measured),
        estimated_mw=sum(mw for code, mw in relief.items() if not blocks[code].is_measured),
        customers=sum(blocks[code].customers - overlaps[blocks[code].pk, (begins, until)].customers for code in off),
    )


def _most(block: SheddingBlock, overlaps: Overlaps) -> Overlap:
    """Of a block's times the one at which the most of its customers are off anyway, with all outages that do it."""
    mine = [overlap for (key, _window), overlap in overlaps.items() if key == block.pk]
    most = max(mine, key=lambda overlap: (overlap.customers, overlap.share))
    return replace(most, outages=tuple(sorted({name for overlap in mine for name in overlap.outages})))


# --- people -------------------------------------------------------------------------------------------

_TOTALS_SQL: Final = """
SELECT coalesce(array_agg(element_id), '{}'), coalesce(sum(customers), 0)::int, coalesce(sum(critical), 0)::int,
       coalesce(sum(life_support), 0)::int
FROM (SELECT DISTINCT ON (element_id) * FROM load_shedding_blockplace WHERE block_id = ANY(%s)) place
"""


def _totals(blocks: Blocks) -> tuple[list[int], int, int, int]:
    """The places, and what hangs there; each place once, whatever blocks it is in."""
    with connection.cursor() as db:
        db.execute(_TOTALS_SQL, [[block.pk for block in blocks.values()]])
        places, customers, critical, life_support = db.fetchone()
    return places, customers, critical, life_support


_CALLS_SQL: Final = """
SELECT DISTINCT ON (c.id, s.id) c.account_number, c.name, coalesce(k.value, ''), s.address, p.block_id
FROM load_shedding_blockplace p JOIN grid_servicepoint s ON s.element_id = p.element_id
JOIN grid_customer c ON c.id = s.customer_id AND c.importance = 'life_support'
LEFT JOIN grid_contactpoint k ON k.customer_id = c.id AND k.kind = 'phone'
WHERE p.block_id = ANY(%s)
ORDER BY c.id, s.id, k.is_preferred DESC NULLS LAST, k.id
"""


def _calls(blocks: Blocks, spans: Sequence[Span]) -> list[Call]:
    """Who is called one by one, whoever is off first at the top."""
    first = {code: min(span.begins for span in spans if span.block == code) for code in blocks}
    codes = {block.pk: code for code, block in blocks.items()}
    with connection.cursor() as db:
        db.execute(_CALLS_SQL, [list(codes)])
        calls = [
            Call(account, name, phone, address, codes[block_id], first[codes[block_id]])
            for account, name, phone, address, block_id in db.fetchall()
        ]
    return sorted(calls, key=lambda call: (call.begins, call.block, call.account))


_MESSAGES_SQL: Final = """
SELECT CASE k.kind WHEN 'phone' THEN 'sms' ELSE 'email' END, count(DISTINCT lower(k.value))
FROM grid_contactpoint k
WHERE NOT k.opted_out AND k.customer_id IN (SELECT customer_id FROM grid_servicepoint WHERE element_id = ANY(%s))
GROUP BY 1 ORDER BY 1 DESC
"""


def _messages(places: Sequence[int], rates: Mapping[str, float]) -> list[Messages]:
    """One message for each address, as they are sent."""
    with connection.cursor() as db:
        db.execute(_MESSAGES_SQL, [list(places)])
        return [Messages(channel, count, rates[channel]) for channel, count in db.fetchall()]


_NEIGHBOURS_SQL: Final = """
SELECT DISTINCT mine.code, other.code
FROM load_shedding_sheddingblock mine
JOIN load_shedding_blockelement m ON m.block_id = mine.id JOIN grid_gridelement a ON a.id = m.element_id
JOIN grid_gridelement b ON coalesce(b.feeder_id, b.id) = coalesce(a.feeder_id, a.id)
JOIN load_shedding_blockelement o ON o.element_id = b.id AND o.plan_id = m.plan_id
JOIN load_shedding_sheddingblock other ON other.id = o.block_id
WHERE mine.id = ANY(%(shed)s) AND other.id <> ALL(%(shed)s)
ORDER BY 1, 2
"""


def _neighbours(blocks: Blocks) -> list[tuple[str, tuple[str, ...]]]:
    """Blocks of the same feeders that stay on: the other side of the street will ask."""
    with connection.cursor() as db:
        db.execute(_NEIGHBOURS_SQL, {"shed": [block.pk for block in blocks.values()]})
        found = db.fetchall()
    return [(mine, tuple(other for _mine, other in pairs)) for mine, pairs in groupby(found, key=itemgetter(0))]


# --- energy -------------------------------------------------------------------------------------------

_CLASSES_SQL: Final = """
SELECT p.block_id, c.customer_class, sum(s.average_kw)
FROM load_shedding_blockplace p JOIN grid_servicepoint s ON s.element_id = p.element_id
JOIN grid_customer c ON c.id = s.customer_id
WHERE p.block_id = ANY(%s) GROUP BY p.block_id, c.customer_class
"""


def _losses(
    plan: SheddingPlan, blocks: Blocks, stretches: Sequence[tuple[datetime, datetime, tuple[str, ...]]],
    overlaps: Overlaps, zone: ZoneInfo,
) -> list[Loss]:  # fmt: skip
    """A block's energy, shared among the classes of its customers as their average power is."""
    mwh: defaultdict[int, float] = defaultdict(float)
    for begins, until, off in stretches:
        for code in off:
            mwh[blocks[code].pk] += _relief(blocks[code], (begins, until), overlaps, zone) * ((until - begins) / HOUR)
    with connection.cursor() as db:
        db.execute(_CLASSES_SQL, [list(mwh)])
        classes = db.fetchall()
    kw: defaultdict[int, float] = defaultdict(float)
    for block_id, _class, power in classes:
        kw[block_id] += power
    by_kind: defaultdict[str, float] = defaultdict(float)
    for block_id, customer_class, power in classes:
        if kw[block_id]:
            by_kind[_VALUED_AS[customer_class]] += mwh[block_id] * power / kw[block_id]
    values = standards.pack(plan.branch.rule_pack).shedding.energy_value
    return [_loss(kind, by_kind[kind], getattr(values, kind, None)) for kind in KINDS if by_kind[kind]]


def _loss(kind: str, mwh: float, rule: Quantity | None) -> Loss:
    if rule is None:
        return Loss(kind, mwh, None, "", False)
    value = (Decimal(str(rule.value)) * Decimal(str(round(mwh, 6)))).quantize(Decimal(1))
    return Loss(kind, mwh, value, rule.unit.partition("/")[0], rule.verified)
