"""Where an outage is: its place in the network, its areas, what can come back by itself, and the lines of the map."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from typing import Any, Final

from django.db import connection
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from accounts.actor import Actor
from accounts.scope import visible_to
from grid.models import ElementKind, GridElement, GridRevision, Importance, ServicePoint
from outages.models import Interruption, Outage
from outages.selectors import outage_places
from standards.errors import NotFound

MAX_LINES: Final = 20_000  # of the map; beyond this the feeders alone are drawn

_POSITIONS_SQL = """
SELECT i.outage_id, avg(coalesce(e.lon, s.lon))::float8, avg(coalesce(e.lat, s.lat))::float8
FROM outages_interruption i
LEFT JOIN grid_gridelement e ON e.id = i.element_id
LEFT JOIN grid_servicepoint s ON s.id = i.service_point_id
WHERE i.outage_id = ANY(%s) AND coalesce(e.lon, s.lon) IS NOT NULL AND coalesce(e.lat, s.lat) IS NOT NULL
GROUP BY i.outage_id
"""


def outage_positions(outage_ids: Collection[int]) -> dict[int, tuple[float, float]]:
    """The middle of the places of each outage, in the network's own coordinates."""
    if not outage_ids:
        return {}
    with connection.cursor() as db:
        db.execute(_POSITIONS_SQL, [list(outage_ids)])
        return {outage_id: (round(lon, 6), round(lat, 6)) for outage_id, lon, lat in db.fetchall()}


def network_revision() -> int:
    return GridRevision.objects.values_list("number", flat=True).filter(pk=1).first() or 0


def network_lines(actor: Actor) -> list[list[list[float]]]:
    """The lines of the network in the actor's branches: drawn geometry, or straight from the parent."""
    elements = visible_to(actor, GridElement.objects.all()).exclude(
        kind__in=[ElementKind.LV_CIRCUIT, ElementKind.SUBSTATION]
    )
    drawn = elements.filter(Q(geometry__isnull=False) | Q(lon__isnull=False, parent__lon__isnull=False))
    rows = drawn.order_by("customers").reverse().values_list("geometry", "lon", "lat", "parent__lon", "parent__lat")
    return [_line(*row) for row in rows[:MAX_LINES]]


def _line(
    geometry: Any, lon: float | None, lat: float | None, parent_lon: float | None, parent_lat: float | None
) -> list[list[float]]:
    if isinstance(geometry, list) and len(geometry) > 1:
        return [[round(x, 6), round(y, 6)] for x, y, *_height in geometry]
    if None in (lon, lat, parent_lon, parent_lat):
        return []
    return [[parent_lon, parent_lat], [lon, lat]]  # type: ignore[list-item]  # none of them is None here


@dataclass(frozen=True)
class SupplyPath:
    """One element whose failure or opening causes the outage, with all above it."""

    elements: tuple[GridElement, ...]
    is_open: bool


def supply_paths(outage: Outage, *, limit: int = 5) -> list[SupplyPath]:
    """From the source down to each element of the outage, in two statements."""
    causes = list(outage.elements.order_by("pos")[:limit])
    if not causes:
        return []
    above = Q(pk__in=[])
    for cause in causes:
        above |= Q(pos__lte=cause.pos, last__gte=cause.pos)
    elements = list(GridElement.objects.filter(above).exclude(kind=ElementKind.NODE).order_by("pos"))
    return [
        SupplyPath(
            elements=tuple(e for e in elements if e.pos <= cause.pos <= e.last),
            is_open=cause.is_open,
        )
        for cause in causes
    ]


@dataclass(frozen=True)
class Place:
    """One row of the areas: where, how many, since when, until when."""

    name: str
    code: str
    customers: int
    critical: int
    off_at: datetime | None
    back_at: datetime | None


@dataclass(frozen=True)
class Places:
    rows: tuple[Place, ...]
    total: int
    peak: int


def places_of(outage: Outage, *, limit: int) -> Places:
    """The areas of the outage, those still off first; of a large one the first ``limit``."""
    rows = outage_places(outage)
    shown = rows.order_by(F("actual__endswith").desc(nulls_first=True), "element__pos", "id")[:limit]
    return Places(
        rows=tuple(_place(row) for row in shown),
        total=rows.count(),
        peak=_peak(outage),
    )


def _place(row: Interruption) -> Place:
    where = row.element or row.service_point
    actual = row.actual
    return Place(
        name=str(where),
        code=where.code if where else "",
        customers=row.customers,
        critical=row.critical,
        off_at=actual.lower if actual else None,
        back_at=actual.upper if actual else None,
    )


def _peak(outage: Outage) -> int:
    """The most customers that were off at once, as the history tells it."""
    counts = outage.events.filter(after__has_key="customers_out").values_list("after__customers_out", flat=True)
    return max([outage.customers_out, *(int(count) for count in counts if count is not None)])


@dataclass(frozen=True)
class RestorationStep:
    at: datetime
    places: int
    customers: int


_STEPS_SQL = """
SELECT outage_id, upper(actual), count(*), sum(customers)::int FROM outages_interruption
WHERE outage_id = ANY(%s) AND upper(actual) IS NOT NULL
GROUP BY 1, 2 ORDER BY 1, 2
"""


def restoration_steps(outage: Outage) -> list[RestorationStep]:
    """Who came back together, in the order of the clock."""
    return restoration_steps_of([outage.pk])[outage.pk]


def restoration_steps_of(outage_ids: Collection[int]) -> dict[int, list[RestorationStep]]:
    """The same for several outages, in one statement."""
    found: dict[int, list[RestorationStep]] = {pk: [] for pk in outage_ids}
    with connection.cursor() as db:
        db.execute(_STEPS_SQL, [list(outage_ids)])
        for outage_id, *step in db.fetchall():
            found[outage_id].append(RestorationStep(*step))
    return found


# --- coming back in parts -----------------------------------------------------------------------------


@dataclass(frozen=True)
class TreeRow:
    """A line of the tree from which parts are restored: a device, and how many are off below it."""

    element: GridElement
    depth: int
    places: int
    customers: int


_TREE_SHOWN: Final = 300
_DEVICES: Final = (
    ElementKind.FEEDER, ElementKind.BREAKER, ElementKind.RECLOSER, ElementKind.SWITCH, ElementKind.FUSE,
    ElementKind.TRANSFORMER, ElementKind.LV_CIRCUIT,
)  # fmt: skip


def places_tree(outage: Outage) -> tuple[list[TreeRow], int]:
    """What can be restored by itself, from the source down, and how many lines there would be in all.

    Devices that can switch, and the places that are off; where there are too many, the places themselves give way.
    """
    off = dict(
        outage.interruptions.filter(actual__isnull=False, actual__endswith__isnull=True, element__isnull=False)
        .values_list("element_id", "customers")
        .order_by()
    )
    tops = list(outage.elements.values_list("pos", "last"))
    if not off:
        return [], 0
    reach = Q(pk__in=list(off))
    for pos, last in tops:
        reach |= Q(pos__range=(pos, last), kind__in=_DEVICES)
    rows = list(GridElement.objects.filter(reach).order_by("pos").only("pk", "code", "name", "kind", "pos", "last"))
    places = sorted((row.pos, off[row.pk]) for row in rows if row.pk in off)
    starts, sums = [pos for pos, _n in places], [0, *accumulate(n for _pos, n in places)]
    found: list[TreeRow] = []
    above: list[int] = []
    for row in rows:
        first, end = bisect_left(starts, row.pos), bisect_right(starts, row.last)
        if first == end:
            continue
        while above and above[-1] < row.pos:
            above.pop()
        found.append(TreeRow(row, len(above), end - first, sums[end] - sums[first]))
        above.append(row.last)
    if len(found) <= _TREE_SHOWN:
        return found, len(found)
    return [row for row in found if row.places > 1][:_TREE_SHOWN], len(found)


def tree_choices(outage: Outage) -> list[tuple[str, str]]:
    """The same tree as a form offers it: one step in for each device above."""
    rows, _all = places_tree(outage)
    choices = []
    for row in rows:
        count = ngettext("%(customers)d customer", "%(customers)d customers", row.customers) % {
            "customers": row.customers
        }
        words = "\u3000" * row.depth + f"{row.element} · {row.element.get_kind_display()} · {count}"
        choices.append((str(row.element.pk), words))
    return choices


def customer_points(outage: Outage, *, text: str) -> list[int]:
    """The service points off in this outage that a person names by code, meter or account (exactly); none for nothing.

    Raises ``NotFound`` on the field ``customer``.
    """
    name = text.strip()
    if not name:
        return []
    off = outage.interruptions.filter(actual__isnull=False, actual__endswith__isnull=True)
    named = Q(code=name) | Q(meter_number=name) | Q(customer__account_number=name)
    inside = Q(element__in=off.filter(element__isnull=False).values("element")) | Q(
        pk__in=off.filter(service_point__isnull=False).values("service_point")
    )
    found = list(ServicePoint.objects.filter(named & inside).order_by("code").values_list("pk", flat=True)[:20])
    if not found:
        raise NotFound(_("No customer of this outage who is off has that number."), field="customer")
    return found


# --- who depends on supply ----------------------------------------------------------------------------


@dataclass(frozen=True)
class CriticalCustomer:
    """An important or life-support customer of the outage, by a masked name."""

    name: str
    importance: str
    address: str
    is_off: bool

    @property
    def importance_label(self) -> str:
        return str(Importance(self.importance).label)


_CRITICAL_SQL = """
SELECT c.name, c.importance, s.address,
       bool_or(i.actual IS NOT NULL AND upper(i.actual) IS NULL) AS off
FROM outages_interruption i
JOIN grid_servicepoint s ON s.element_id = i.element_id OR s.id = i.service_point_id
JOIN grid_customer c ON c.id = s.customer_id
WHERE i.outage_id = %s AND i.critical > 0 AND c.importance <> 'normal'
GROUP BY c.id, s.id
ORDER BY (c.importance = 'life_support') DESC, c.importance, s.address
LIMIT %s
"""


def critical_customers(outage: Outage, *, limit: int = 30) -> list[CriticalCustomer]:
    """Those whose lives or duties depend on supply, the most vulnerable first; names are masked."""
    with connection.cursor() as db:
        db.execute(_CRITICAL_SQL, [outage.pk, limit])
        rows = db.fetchall()
    return [CriticalCustomer(masked(name), importance, address, bool(off)) for name, importance, address, off in rows]


def masked(name: str) -> str:
    """张*明, 李*, A*** S***; an organisation's name of six characters or more stays readable."""
    if len(name) >= 6 and not name.isascii():
        return name
    if name.isascii():
        return " ".join(f"{word[:1]}***" for word in name.split())
    return name[:1] + "*" + (name[-1:] if len(name) > 2 else "")
