"""March 2026 lies behind us: its windows as they would stand, announced and what happened then, and its report."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from accounts.actor import Actor
from grid.models import Branch
from outages.models import Interruption, Outage
from outages.planned.models import PlannedWork, WorkWindow
from outages.planned.reports import Asked, Report, report_of
from outages.services import counts_refresh
from tests.factories.grid import SmallCity

SHANGHAI, LONDON = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/London")
MARCH = Asked(date(2026, 3, 1), date(2026, 3, 31))
APRIL_BEGINS = datetime(2026, 4, 1, 0, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def report(actor: Actor, asked: Asked = MARCH, at: datetime = APRIL_BEGINS) -> Report:
    return report_of(actor=actor, asked=asked, at=at)


def march(day: int, hour: float = 8, *, zone: ZoneInfo = SHANGHAI) -> datetime:
    """A time of March 2026 by the clock of a zone."""
    return (datetime(2026, 3, day, tzinfo=zone) + timedelta(hours=hour)).astimezone(UTC)


def happened(
    city: SmallCity,
    *areas: str,
    announced: tuple[datetime, datetime],
    off: tuple[datetime, datetime | None] | None = None,
    state: str = "",
    branch: Branch | None = None,
    now: tuple[datetime, datetime] | None = None,
    published_at: datetime | None = None,
    notified_at: datetime | str | None = "in time",
    points: tuple[str, ...] = (),
    work_class: str = "planned",
    **facts: Any,
) -> WorkWindow:
    """A window that was announced for then and off from–to; its state follows from that unless it is named.

    ``now`` is its time where it moved or grew longer; unless it is said otherwise it was published and customers
    told nine days before.
    """
    branch = branch or city.east
    number = PlannedWork.objects.count() + 1
    published_at = published_at or announced[0] - timedelta(days=9)
    started_at, restored_at = off or (None, None)
    state = state or ("closed" if restored_at else "in_progress" if started_at else "notified")
    status = {"in_progress": "active", "notified": "scheduled", "published": "scheduled"}.get(state, state)
    planned = now or announced
    work = PlannedWork.objects.create(
        reference=f"W-2026-{number:06d}", branch=branch, title="更换绝缘子", state=state, work_class=work_class,
        temporary_reason="" if work_class == "planned" else "设备缺陷", published_at=published_at,
        period=facts.pop("period", None),
    )  # fmt: skip
    work.elements.set(city.ids(*areas))
    outage = Outage.objects.create(
        reference=f"P-2026-{number:06d}", kind="planned", status=status, branch=branch, rule_pack=branch.rule_pack,
        planned_start=planned[0], planned_end=planned[1], started_at=started_at, restored_at=restored_at,
        is_void=facts.pop("is_void", False),
    )  # fmt: skip
    rows: list[dict[str, Any]] = [
        {"element": city.elements[name], "customers": city.elements[name].own_customers} for name in areas
    ]
    rows += [{"service_point": city.service_points[code], "customers": 1} for code in points]
    for row in rows:
        actual = (started_at, restored_at) if started_at else None
        Interruption.objects.create(outage=outage, planned=planned, actual=actual, **row)
    counts_refresh(outage)
    return WorkWindow.objects.create(
        work=work, outage=outage, state=state, starts_at=planned[0], ends_at=planned[1], announced_start=announced[0],
        announced_end=announced[1], published_at=published_at,
        notified_at=published_at if notified_at == "in time" else notified_at, **facts,
    )  # fmt: skip
