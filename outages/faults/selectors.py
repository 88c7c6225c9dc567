"""Reading what surrounds a fault: where it could be, what is there already, who could be sent."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import phonenumbers
from django.conf import settings
from django.db import connection
from django.db.models import Case, Count, Prefetch, Q, QuerySet, When
from django.db.models.functions import Length

from accounts.actor import Actor
from accounts.scope import visible_to
from grid.models import GridElement, ServicePoint
from outages import impact
from outages.causes import RECENTLY_RESTORED
from outages.faults.models import Crew, CrewAssignment, CrewState, Fault, TroubleReport
from outages.impact import Impact
from outages.models import Outage, OutageKind
from outages.selectors import outage_by_reference
from standards.errors import NotFound, UnknownCode

FOUND_AT_MOST = 12


@dataclass(frozen=True)
class Place:
    """Where a fault could be: a piece of the network, or single premises."""

    element: GridElement | None = None
    service_point: ServicePoint | None = None

    @property
    def key(self) -> str:
        """How a form names it: ``e12`` or ``s34``."""
        return f"e{self.element.pk}" if self.element else f"s{self.service_point.pk}" if self.service_point else ""


def places_search(*, actor: Actor, text: str) -> list[Place]:
    """Find a place by element code or name, address, account, meter, or a caller's telephone (exact)."""
    text = text.replace("\x00", "").strip()
    if len(text) < 2:
        return []
    elements = list(
        visible_to(actor, GridElement.objects.all())
        .filter(Q(code__icontains=text) | Q(name__icontains=text))
        .select_related("branch")
        .order_by(Length("code"), "code")[:FOUND_AT_MOST]
    )
    exact = [element for element in elements if element.code.upper() == text.upper()]
    points = list(_points_by(text, actor)[:FOUND_AT_MOST])
    found = [Place(element=e) for e in (exact or elements)] + [Place(service_point=p) for p in points]
    return found[: 2 * FOUND_AT_MOST]


def _points_by(text: str, actor: Actor) -> QuerySet[ServicePoint]:
    points = visible_to(actor, ServicePoint.objects.all(), "grid.read").select_related("customer", "element", "branch")
    digits = re.sub(r"[\s\-()]", "", text)
    condition = Q(code=text) | Q(meter_number=text) | Q(customer__account_number=text)
    if re.fullmatch(r"\+?\d{7,15}", digits):
        # never a guess: the whole number, with or without the country's prefix
        condition |= Q(customer__contacts__value__in=_phone_forms(digits), customer__contacts__kind="phone")
    elif not digits.isdigit():
        condition |= Q(address__icontains=text)
    return points.filter(condition).distinct().order_by("code")


def _phone_forms(digits: str) -> list[str]:
    try:
        number = phonenumbers.parse(digits, settings.PHONE_REGION)
    except phonenumbers.NumberParseException:
        return [digits]
    return [phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164), digits]


def place_by_key(*, actor: Actor, key: str) -> Place | None:
    """The place a form names, if this person may see it."""
    match = re.fullmatch(r"([es])(\d{1,18})", key)
    if match is None:
        return None
    if match[1] == "e":
        element = visible_to(actor, GridElement.objects.select_related("branch")).filter(pk=match[2]).first()
        return Place(element=element) if element else None
    points = visible_to(actor, ServicePoint.objects.all(), "grid.read")
    point = points.select_related("customer", "element", "branch").filter(pk=match[2]).first()
    return Place(service_point=point) if point else None


def place_impact(place: Place) -> Impact:
    """Who would be off if this place failed."""
    if place.element is not None:
        return impact.preview([place.element.pk])
    point = place.service_point
    if point is None:
        return Impact((), 0, 0, 0, 0.0, 0, ())
    return Impact(
        element_ids=(),
        places=1,
        customers=1,
        critical=int(point.customer.importance != "normal"),
        load_kw=point.average_kw,
        already_off=int(point.pk in points_off([point.pk])),
        transfers=(),
    )


def outage_by_fault(*, actor: Actor, reference: str) -> Outage:
    """A fault's outage that this person may see; another kind is as missing as a foreign one."""
    outage = outage_by_reference(actor=actor, reference=reference)
    if outage.kind != OutageKind.FAULT:
        raise NotFound(field="reference")
    return outage


def fault_of(outage: Outage) -> Fault:
    """The fault of an outage as it is now, with its crews."""
    faults = Fault.objects.select_related("outage__branch", "outage__feeder", "outage__merged_into", "element")
    return faults.prefetch_related("assignments__crew").get(outage=outage)


def assignment_by_crew(outage: Outage, code: str) -> CrewAssignment:
    """The open assignment of a crew to this fault. Raises ``UnknownCode``."""
    sent = CrewAssignment.objects.filter(fault__outage=outage, crew__code=code)
    row = sent.exclude(state=CrewState.RELEASED).first()
    if row is None:
        raise UnknownCode(field="crew", value=code)
    return row


def assignment_of(outage: Outage, assignment_id: int) -> CrewAssignment:
    """One assignment of this fault. Raises ``NotFound``."""
    row = CrewAssignment.objects.filter(pk=assignment_id, fault__outage=outage).select_related("crew").first()
    if row is None:
        raise NotFound()
    return row


def point_inside(outage: Outage) -> ServicePoint | None:
    """Some service point of this outage, for whom the public text can be shown."""
    row = outage.interruptions.select_related("service_point__branch").first()
    if row is None:
        return None
    points = ServicePoint.objects.select_related("branch")
    return row.service_point or points.filter(element_id=row.element_id).first()


def points_off(service_point_ids: Collection[int]) -> set[int]:
    with connection.cursor() as db:
        db.execute(
            """
            SELECT s.id FROM grid_servicepoint s WHERE s.id = ANY(%s) AND EXISTS (
                SELECT FROM outages_interruption i
                WHERE (i.element_id = s.element_id OR i.service_point_id = s.id)
                  AND i.actual IS NOT NULL AND upper(i.actual) IS NULL)
            """,
            [list(service_point_ids)],
        )
        return {row[0] for row in db.fetchall()}


def outages_touching(*, element_ids: Sequence[int], service_point_id: int | None = None) -> list[Outage]:
    """Open outages that already reach one of these places: possible duplicates, the largest first."""
    rows = Q(interruptions__element_id__in=list(element_ids))
    if service_point_id is not None:
        rows |= Q(interruptions__service_point_id=service_point_id)
    else:
        rows |= Q(interruptions__service_point__element_id__in=list(element_ids))
    return list(
        Outage.objects.filter(rows, interruptions__actual__endswith__isnull=True)
        .filter(status__in=["suspected", "active", "partially_restored"], is_public=True)
        .distinct()
        .order_by("-customers_affected", "created_at")[:10]
    )


@dataclass(frozen=True)
class CrewLine:
    """A crew and what it is on now."""

    crew: Crew
    assignment: CrewAssignment | None


def crews_today(actor: Actor) -> list[CrewLine]:
    """Every crew in service with its first open job, those on a job first."""
    crews = visible_to(actor, Crew.objects.filter(is_active=True)).select_related("branch")
    busy = CrewAssignment.objects.exclude(state__in=[CrewState.RELEASED]).select_related("fault__outage")
    lines = [
        CrewLine(crew, next(iter(crew.assignments.all()), None))
        for crew in crews.prefetch_related(Prefetch("assignments", busy))[:200]
    ]
    return sorted(lines, key=lambda line: (line.assignment is None, line.crew.code))


def reports_unplaced(actor: Actor) -> QuerySet[TroubleReport]:
    """Reports whose place is only words: a person must find out where that is."""
    return reports_visible_to(actor).filter(outage__isnull=True).select_related("branch")


def masked_phone(number: str) -> str:
    """138****5678."""
    return f"{number[:-8]}****{number[-4:]}" if len(number) > 8 else "****"


def reports_visible_to(actor: Actor) -> QuerySet[TroubleReport]:
    return visible_to(actor, TroubleReport.objects.all()).select_related("service_point", "element", "outage")


def crews_for(outage: Outage) -> list[Crew]:
    """Crews that could be sent, those of the outage's own branch and with the least on their hands first."""
    busy = Count("assignments", filter=~Q(assignments__state__in=[CrewState.RELEASED, CrewState.AWAITING]))
    near = Case(When(branch=outage.branch_id, then=0), default=1)
    crews = Crew.objects.filter(is_active=True).select_related("branch").annotate(busy=busy, near=near)
    return list(crews.order_by("near", "busy", "code"))


# --- what a report joins ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Spot:
    """A reported place: a service point with the element it hangs on, or an element alone."""

    element_id: int
    service_point_id: int | None = None


# three ways a place is covered: its element, its own service point, or, for a piece of line, anything below it
_COVERING_SQL = """
WITH spot AS (
    SELECT * FROM unnest(%(elements)s::bigint[], %(points)s::bigint[]) WITH ORDINALITY AS spot(element, point, n)
), hit AS (
    SELECT spot.n, i.outage_id, i.actual FROM spot
    JOIN outages_interruption i ON i.element_id = spot.element AND upper(i.actual) IS NULL
    UNION ALL
    SELECT spot.n, i.outage_id, i.actual FROM spot
    JOIN outages_interruption i ON i.service_point_id = spot.point AND upper(i.actual) IS NULL
    UNION ALL
    SELECT spot.n, i.outage_id, i.actual FROM spot
    JOIN grid_gridelement top ON top.id = spot.element
    JOIN grid_gridelement e ON e.pos BETWEEN top.pos AND top.last
    JOIN outages_interruption i ON i.element_id = e.id AND upper(i.actual) IS NULL
    WHERE spot.point IS NULL
)
SELECT DISTINCT ON (hit.n) hit.n, o.id
FROM hit JOIN outages_outage o ON o.id = hit.outage_id
WHERE o.status IN ('suspected', 'active', 'partially_restored') AND o.kind <> 'non_payment'
  AND (o.status = 'suspected' OR hit.actual IS NOT NULL)
ORDER BY hit.n, (o.status = 'suspected'), o.created_at, o.id
"""


def outages_covering(spots: Sequence[Spot]) -> dict[Spot, int]:
    """Which open outage already explains each of these places, in one statement: a known one before a suspected."""
    return _by_spot(_COVERING_SQL, spots)


_NEIGHBOUR_SQL = """
SELECT DISTINCT ON (spot.n) spot.n, o.id
FROM unnest(%(elements)s::bigint[]) WITH ORDINALITY AS spot(element, n)
JOIN grid_servicepoint s ON s.element_id = spot.element
JOIN outages_interruption i ON i.service_point_id = s.id AND i.actual IS NULL
JOIN outages_outage o ON o.id = i.outage_id
WHERE o.status = 'suspected' AND o.kind = 'fault'
ORDER BY spot.n, o.created_at, o.id
"""


def suspicions_beside(spots: Sequence[Spot]) -> dict[Spot, int]:
    """The suspected fault of a neighbour on the same transformer, which a second report turns into the area's."""
    return _by_spot(_NEIGHBOUR_SQL, spots)


_LATELY_SQL = """
WITH spot AS (
    SELECT * FROM unnest(%(elements)s::bigint[], %(points)s::bigint[]) WITH ORDINALITY AS spot(element, point, n)
), hit AS (
    SELECT spot.n, i.outage_id, i.actual FROM spot JOIN outages_interruption i ON i.element_id = spot.element
    UNION ALL
    SELECT spot.n, i.outage_id, i.actual FROM spot JOIN outages_interruption i ON i.service_point_id = spot.point
)
SELECT DISTINCT ON (hit.n) hit.n, o.id
FROM hit JOIN outages_outage o ON o.id = hit.outage_id
WHERE upper(hit.actual) > %(since)s AND o.status <> 'cancelled' AND o.kind <> 'non_payment'
ORDER BY hit.n, upper(hit.actual) DESC, o.id
"""


def outages_lately(spots: Sequence[Spot], *, at: datetime, window: timedelta = RECENTLY_RESTORED) -> dict[Spot, int]:
    """The outage after which each of these places was restored within ``window``."""
    return _by_spot(_LATELY_SQL, spots, since=at - window)


def _by_spot(sql: str, spots: Sequence[Spot], **params: datetime) -> dict[Spot, int]:
    if not spots:
        return {}
    asked: dict[str, Any] = {
        "elements": [spot.element_id for spot in spots],
        "points": [spot.service_point_id for spot in spots],
        **params,
    }
    with connection.cursor() as db:
        db.execute(sql, asked)
        return {spots[n - 1]: outage_id for n, outage_id in db.fetchall()}
