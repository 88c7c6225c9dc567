"""Reading outages. Every read for a person starts from ``outages_visible_to``; the public one never holds a debt."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from django.db import connection
from django.db.models import Q, QuerySet

from accounts.actor import Actor
from accounts.policies import actor_may
from accounts.scope import branch_condition, branch_filter, visible_to
from grid.importers.names import e164
from grid.models import Branch, ServicePoint
from outages.models import Interruption, Outage, OutageEvent, OutageKind
from standards.errors import Forbidden, NotFound


def outages_visible_to(actor: Actor) -> QuerySet[Outage]:
    """The outages of the branches this actor may see."""
    if not actor_may(actor, "outage.read"):
        return Outage.objects.none()
    outages = visible_to(actor, Outage.objects.all()).select_related("branch", "feeder")
    # a debt is the business of those who read cut-offs there; the console tells an agent once the caller is verified
    debts = branch_filter(actor, Outage, "cutoff.read")
    return outages if debts is None else outages.filter(~Q(kind=OutageKind.NON_PAYMENT) | debts)


def outages_public() -> QuerySet[Outage]:
    """What everybody may know."""
    return Outage.objects.filter(is_public=True).exclude(kind=OutageKind.NON_PAYMENT)


def outage_by_reference(*, actor: Actor, reference: str) -> Outage:
    """One outage; a foreign one and a missing one are the same ``NotFound``."""
    # a NUL would not be text to PostgreSQL
    outage = None if "\x00" in reference else outages_visible_to(actor).filter(reference=reference).first()
    if outage is None:
        raise NotFound(field="reference")
    return outage


def outage_alone(outage: Outage) -> QuerySet[Outage]:
    """One outage that was already proved visible, as the rows of a list."""
    return Outage.objects.filter(pk=outage.pk).select_related("branch", "feeder")


def outage_timeline(outage: Outage) -> QuerySet[OutageEvent]:
    """The whole history, newest first."""
    return outage.events.order_by("-sequence")


def events_visible_to(actor: Actor) -> QuerySet[OutageEvent]:
    if not actor_may(actor, "outage.read"):
        raise Forbidden()
    return visible_to(actor, OutageEvent.objects.all())


def outage_places(outage: Outage) -> QuerySet[Interruption]:
    """Where it was or is off, in the order of the network."""
    return outage.interruptions.select_related("element", "service_point__customer", "service_point__element").order_by(
        "element__pos", "service_point__element__pos", "service_point__code", "id"
    )


@dataclass(frozen=True)
class OffNow:
    """The strongest thing known about one service point, for a badge in a list."""

    outage_id: int
    reference: str
    kind: str
    status: str
    certain: bool


_OFF_NOW_SQL = """
SELECT DISTINCT ON (sp.id) sp.id, o.id, o.reference, o.kind, o.status, i.actual IS NOT NULL
FROM grid_servicepoint sp
JOIN outages_interruption i ON (i.element_id = sp.element_id OR i.service_point_id = sp.id) AND upper(i.actual) IS NULL
JOIN outages_outage o ON o.id = i.outage_id
WHERE sp.id = ANY(%s) AND (i.actual IS NOT NULL OR o.status = 'suspected') AND o.is_public
ORDER BY sp.id, (i.actual IS NULL), o.started_at DESC NULLS LAST
"""


def off_now(service_point_ids: Collection[int]) -> dict[int, OffNow]:
    """Which of these service points are off (or suspected to be), in one statement. Debts are left out."""
    if not service_point_ids:
        return {}
    with connection.cursor() as db:
        db.execute(_OFF_NOW_SQL, [list(service_point_ids)])
        return {row[0]: OffNow(*row[1:]) for row in db.fetchall()}


_COVERING_SQL = """
SELECT o.id FROM outages_interruption i JOIN outages_outage o ON o.id = i.outage_id
WHERE (i.element_id = %(element)s OR i.service_point_id = %(point)s) AND upper(i.actual) IS NULL
  AND o.status IN ('suspected', 'active', 'partially_restored') AND o.kind <> 'non_payment'
ORDER BY (o.status = 'suspected'), o.created_at LIMIT 1
"""


def outage_covering(*, element_id: int | None, service_point_id: int | None) -> int | None:
    """The outage that already explains why this place is off: a known one before a suspected one."""
    with connection.cursor() as db:
        db.execute(_COVERING_SQL, {"element": element_id, "point": service_point_id})
        row = db.fetchone()
    return row[0] if row else None


_KNOWN_BY = {
    "account": "c.account_number = %(value)s",
    "meter": "sp.meter_number = %(value)s",
    "service_point": "sp.code = %(value)s",
    "phone": """sp.customer_id IN (
        SELECT customer_id FROM grid_contactpoint WHERE kind = 'phone' AND value = %(value)s)""",
}


def service_points_known_by(*, actor: Actor, key: str, value: str, limit: int) -> list[ServicePoint]:
    """The premises behind an account, a telephone, a meter or a code; matched exactly, in one statement.

    Plain SQL, because every call, IVR and text message asks it; with ``code``, element and branch's zone only.
    """
    wanted = e164(value) if key == "phone" else value
    if not wanted:
        return []
    scope, params = branch_condition(actor, "supply.read", pos="b.pos")
    with connection.cursor() as db:
        db.execute(
            f"""
            SELECT sp.id, sp.code, sp.customer_id, sp.element_id, b.id, b.name, b.time_zone
            FROM grid_servicepoint sp
            JOIN grid_branch b ON b.id = sp.branch_id
            {"JOIN grid_customer c ON c.id = sp.customer_id" if key == "account" else ""}
            WHERE {_KNOWN_BY[key]} AND {scope}
            ORDER BY sp.code LIMIT %(limit)s
            """,  # noqa: S608 - only our own conditions are put in
            {"value": wanted, "limit": limit, **params},
        )
        rows = db.fetchall()
    return [
        ServicePoint(
            id=row[0], code=row[1], customer_id=row[2], element_id=row[3],
            branch=Branch(id=row[4], name=row[5], time_zone=row[6]),
        )
        for row in rows
    ]  # fmt: skip
