"""What happened before: outages of every kind as they stand in the record."""

from __future__ import annotations

from datetime import datetime, timedelta

from outages.models import Interruption, Outage
from outages.services import counts_refresh
from tests.factories.grid import SmallCity


def happened(
    city: SmallCity, kind: str, *places: str, since: datetime, hours: float | None, points: tuple[str, ...] = (),
    is_void: bool = False,
) -> Outage:  # fmt: skip
    """An outage of these places (and single service points) from then on, for so long or still running."""
    until = None if hours is None else since + timedelta(hours=hours)
    outage = Outage.objects.create(
        reference=f"{kind[0].upper()}-{Outage.objects.count()}", kind=kind, branch=city.bureau, rule_pack="cn-sgcc",
        status="active" if until is None else "closed", started_at=since, restored_at=until, is_void=is_void,
        is_public=kind != "non_payment",
    )  # fmt: skip
    for name in places:
        element = city.elements[name]
        Interruption.objects.create(
            outage=outage, element=element, actual=(since, until), customers=element.own_customers
        )
    for code in points:
        Interruption.objects.create(outage=outage, service_point=city.service_points[code], actual=(since, until))
    counts_refresh(outage)
    return outage


def announced(city: SmallCity, kind: str, *places: str, begins: datetime, until: datetime) -> Outage:
    """An outage of these places that is still ahead."""
    outage = Outage.objects.create(
        reference=f"{kind[0].upper()}-{Outage.objects.count()}", kind=kind, branch=city.bureau, rule_pack="cn-sgcc",
        status="scheduled", planned_start=begins, planned_end=until,
    )  # fmt: skip
    for name in places:
        element = city.elements[name]
        Interruption.objects.create(
            outage=outage, element=element, planned=(begins, until), customers=element.own_customers
        )
    counts_refresh(outage)
    return outage
