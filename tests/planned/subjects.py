"""Works as the checks see them, and the history and plans that they meet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from grid.models import Branch
from outages.models import Interruption, Outage
from outages.planned.checks import findings_of
from outages.planned.findings import Finding, Subject
from outages.planned.models import PlannedWork, WorkPlace, WorkState, WorkWindow
from outages.services import counts_refresh
from tests.factories.grid import SmallCity

SHANGHAI = ZoneInfo("Asia/Shanghai")
AT = datetime(2026, 3, 2, 9, 0, tzinfo=SHANGHAI)  # a Monday

Window = tuple[datetime, datetime]


def on(day: float, hour: float = 8, hours: float = 6, zone: ZoneInfo = SHANGHAI) -> Window:
    """A window so many days after ``AT``, from a full hour on the local clock."""
    midnight = AT.astimezone(zone).replace(hour=0, minute=0) + timedelta(days=day)
    starts = (midnight + timedelta(hours=hour)).astimezone(UTC)
    return starts, starts + timedelta(hours=hours)


def subject(city: SmallCity, *elements: str, places: Sequence[str] = (), **facts: Any) -> Subject:
    """A work on these elements that trips nothing by itself: twenty days ahead, by day, everything considered."""
    branch: Branch = facts.pop("branch", city.east)
    window = facts.pop("window", None)
    facts = {"live_line": "not_possible", "transfer": "not_possible", "windows": (window or on(20),)} | facts
    asked = Subject(
        number=facts.pop("number", 0),
        branch_id=branch.pk,
        branch_pos=branch.pos,
        time_zone=branch.time_zone,
        rule_pack=branch.rule_pack,
        element_ids=tuple(city.ids(*elements)),
        place_ids=tuple(city.ids(*(places or areas_below(city, *elements)))),
        windows=facts.pop("windows"),
    )
    return replace(asked, **facts)


def areas_below(city: SmallCity, *elements: str) -> list[str]:
    tops = [city.elements[name] for name in elements]
    return [
        name
        for name, element in city.elements.items()
        if element.own_customers and any(top.pos <= element.pos <= top.last for top in tops)
    ]


def work(city: SmallCity, *elements: str, window: Window | None = None, **facts: Any) -> PlannedWork:
    """A saved work of another planner, handed in unless its state says otherwise."""
    windows = facts.pop("windows", [window or on(20)])
    places = facts.pop("places", areas_below(city, *elements))
    number = PlannedWork.objects.count() + 1
    saved = PlannedWork.objects.create(
        **{
            "reference": f"W-{number}",
            "branch": city.east,
            "title": "更换绝缘子",
            "state": WorkState.SUBMITTED,
            "live_line": "not_possible",
            "transfer": "not_possible",
        }
        | facts
    )
    saved.elements.set(city.ids(*elements))
    for starts, ends in windows:
        WorkWindow.objects.create(work=saved, starts_at=starts, ends_at=ends)
    for name in places:
        element = city.elements[name]
        WorkPlace.objects.create(
            work=saved, element=element, customers=element.own_customers, critical=element.own_critical,
            life_support=0, load_kw=element.own_load_kw,
        )  # fmt: skip
    return saved


def was_off(
    city: SmallCity,
    *areas: str,
    begins: datetime,
    hours: float = 2,
    points: Sequence[str] = (),
    kind: str = "fault",
    outage: Outage | None = None,
) -> Outage:
    """These areas and single service points were off from then on, so long."""
    ends = begins + timedelta(hours=hours)
    number = Outage.objects.count() + 1
    outage = outage or Outage.objects.create(
        reference=f"X-{number}", kind=kind, status="closed", branch=city.east, rule_pack="cn-sgcc",
        is_public=kind != "non_payment", started_at=begins, restored_at=ends, closed_at=ends,
    )  # fmt: skip
    for name in areas:
        element = city.elements[name]
        Interruption.objects.create(
            outage=outage, element=element, actual=(begins, ends), customers=element.own_customers,
            critical=element.own_critical, load_kw=element.own_load_kw,
        )  # fmt: skip
    for code in points:
        point = city.service_points[code]
        Interruption.objects.create(
            outage=outage, service_point=point, actual=(begins, ends), customers=1,
            critical=int(point.customer.importance != "normal"), load_kw=point.average_kw,
        )  # fmt: skip
    counts_refresh(outage)
    return outage


def found(asked: Subject | Sequence[Subject], code: str, *, number: int = 0, at: datetime = AT) -> Finding | None:
    """What this check says of one work, or nothing."""
    subjects = [asked] if isinstance(asked, Subject) else asked
    findings = [finding for finding in findings_of(subjects, at=at)[number] if finding.code == code]
    assert len(findings) <= 1, "a code is answered once, so it is said once"
    return findings[0] if findings else None


def words(finding: Finding | None) -> str:
    assert finding is not None
    return finding.words
