"""The execution report against a naive recount in Python, on random months of two branches, two packs and two zones."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import standards
from accounts.actor import Actor
from grid.models import Branch, GridElement
from outages.models import Interruption, Outage
from outages.planned.models import PlannedWork, WorkWindow
from outages.planned.reports import hit_twice_of, often_off
from tests.factories.grid import SmallCity
from tests.planned.past import APRIL_BEGINS, MINUTE, happened, march, report
from tests.planned.subjects import was_off

AREAS = {"T11": "east", "T12": "east", "T21": "west", "T22": "west"}
POINTS = ("SP0001", "SP0003", "SP0004")
minutes = st.sampled_from([-300, -31, -30, 0, 10, 30, 31, 200])
happenings = st.fixed_dictionaries(
    {
        "area": st.sampled_from(sorted(AREAS)),
        "point": st.sampled_from(["", *POINTS]),
        # from the last hours of February to the first of April, over London's change of clocks
        "start": st.integers(-30, 32 * 24).map(lambda n: march(1, 0) + timedelta(hours=n)),
        "lasts": st.sampled_from([12, 240, 600]),
        "begins": minutes,
        "ends": minutes,
        "state": st.sampled_from(["closed", "closed", "restored", "in_progress", "notified", "cancelled"]),
        "moved": st.booleans(),
        "extended": st.booleans(),
        "work_class": st.sampled_from(["planned", "temporary", "emergency"]),
        "published": st.sampled_from([2, 23, 24, 47, 48, 49, 167, 168, 300]),
        "told": st.sampled_from([None, 1, 25, 48, 169]),
    }
)
others = st.tuples(
    st.sampled_from(sorted(AREAS)), st.integers(-500, 31 * 24), st.sampled_from([0.05, 1, 3, 30]),
    st.sampled_from(["fault", "load_shedding"]),
)  # fmt: skip


@pytest.mark.django_db
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(windows=st.lists(happenings, max_size=8), faults=st.lists(others, max_size=6))
def test_the_report_agrees_with_a_naive_recount(
    city: SmallCity, otto: Actor, london: Branch, windows: list[dict[str, Any]], faults: list[tuple[Any, ...]]
) -> None:
    forget()
    for facts in windows:
        write(city, facts)
    for area, begins, lasting, kind in faults:
        was_off(city, area, begins=march(1, 0) + timedelta(hours=begins), hours=lasting, kind=kind)

    found = report(otto)

    own = [recount(window) for window in WorkWindow.objects.select_related("outage", "work__branch")]
    own = [facts for facts in own if facts["is_asked"]]
    assert len(found.lines) == len(own)
    for branch in (None, city.east, london):
        mine = [facts for facts in own if branch in (None, facts["branch"])]
        figures = found.total if branch is None else dict(found.by_branch).get(branch)
        if figures is None:
            assert mine == []
            continue
        assert dict(figures.count) == Counter(name for facts in mine for name in facts["figures"]) | {
            name: 0 for name in figures.count if not any(name in facts["figures"] for facts in mine)
        }
        ended = [facts for facts in mine if "ended" in facts["figures"]]
        assert figures.planned == sum((facts["planned"] for facts in ended), timedelta())
        assert figures.actual == sum((facts["actual"] for facts in ended), timedelta())
    assert {place.code: (place.customers, place.times) for place in often_off(found)} == naive_often()
    assert hit_twice_of(found) == naive_twice({facts["outage"]: facts["branch"].pk for facts in own})


def forget() -> None:
    for model in (Interruption, WorkWindow, PlannedWork, Outage):
        model._default_manager.all().delete()


def write(city: SmallCity, facts: dict[str, Any]) -> None:
    start = facts["start"]
    end = start + facts["lasts"] * MINUTE
    off: tuple[datetime, datetime | None] | None = None
    if facts["state"] in ("closed", "restored", "in_progress"):
        begun = start + facts["begins"] * MINUTE
        off = (begun, None if facts["state"] == "in_progress" else max(begun + MINUTE, end + facts["ends"] * MINUTE))
    happened(
        city, facts["area"], announced=(start, end), off=off, state=facts["state"],
        branch=getattr(city, AREAS[facts["area"]]), moves=int(facts["moved"]), extensions=int(facts["extended"]),
        now=(start + timedelta(days=1), end + timedelta(days=1)) if facts["moved"] else None,
        work_class=facts["work_class"], published_at=start - timedelta(hours=facts["published"]),
        notified_at=None if facts["told"] is None else start - timedelta(hours=facts["told"]),
        points=(facts["point"],) if facts["point"] else (),
    )  # fmt: skip


def local(moment: datetime, branch: Branch) -> datetime:
    return moment.astimezone(ZoneInfo(branch.time_zone)).replace(tzinfo=None)


def recount(window: WorkWindow) -> dict[str, Any]:
    """What one window counts towards, said again in plain words."""
    outage, work, branch = window.outage, window.work, window.work.branch
    assert outage is not None
    assert window.announced_start is not None
    assert window.announced_end is not None
    assert window.published_at is not None
    tolerance = timedelta(minutes=30)  # of both packs, at both ends
    is_over = window.state in ("restored", "closed", "cancelled")
    names = {"published", "ended" if is_over else "open"}
    began = outage.started_at - window.announced_start if outage.started_at else None
    ended = outage.restored_at - window.announced_end if outage.restored_at and is_over else None
    if began is not None:
        names.add("begun")
        if -tolerance <= began <= tolerance:
            names.add("began_on_time")
    if ended is not None:
        names.add("finished")
        if ended <= tolerance:
            names.add("ended_on_time")
        if ended < -tolerance:
            names.add("early")
    if is_over and {"began_on_time", "ended_on_time"} <= names:
        names.add("executed")
    elif is_over:
        names.add("missed")
        if window.state == "cancelled":
            names.add("cancelled")
        elif window.moves:
            names.add("missed_moved")
        elif "began_on_time" not in names:
            names.add("missed_began_late" if began and began > timedelta() else "missed_began_early")
        else:
            names.add("missed_ended_late")
    names |= {name for name, holds in (("moved", window.moves), ("extended", window.extensions)) if holds}
    if work.work_class != "planned":
        names.add("temporary")
    names |= notice_names(window, branch)
    rows = list(Interruption.objects.filter(outage=outage))
    day = local(window.announced_start, branch).date()
    return {
        "is_asked": date(2026, 3, 1) <= day <= date(2026, 3, 31),
        "branch": branch,
        "outage": outage.pk,
        "figures": names,
        "planned": sum((row.customers * (window.announced_end - window.announced_start) for row in rows), timedelta()),
        "actual": sum(
            (row.customers * (span_of(row)[1] - span_of(row)[0]) for row in rows if row.actual and span_of(row)[1]),
            timedelta(),
        ),
    }


def notice_names(window: WorkWindow, branch: Branch) -> set[str]:
    needed = {
        ("cn-sgcc", "planned"): timedelta(days=7), ("cn-sgcc", "temporary"): timedelta(hours=24),
        ("gb", "planned"): timedelta(days=2), ("gb", "temporary"): timedelta(days=2),
    }.get((branch.rule_pack, window.work.work_class))  # fmt: skip
    if needed is None:
        return set()
    assert window.published_at is not None
    assert window.announced_start is not None
    # by the branch's own clock, on which a day is a day also where the clock changes
    is_late = local(window.published_at, branch) > local(window.announced_start, branch) - needed
    told_by = local(window.starts_at, branch) - needed
    if not is_late and window.notified_at is not None:
        is_late = local(window.notified_at, branch) > told_by
    elif not is_late:
        if window.state == "cancelled" or local(APRIL_BEGINS, branch) <= told_by:
            return set()
        is_late = True
    return {"noticed", "noticed_late" if is_late else "noticed_in_time"}


def span_of(row: Interruption) -> tuple[Any, Any]:
    return row.actual.lower, row.actual.upper


def place_of(row: Interruption) -> GridElement:
    element = row.element or (row.service_point.element if row.service_point else None)
    assert element is not None
    return element


def units(rows: list[Interruption]) -> dict[tuple[int, int | None], tuple[int, list[Interruption]]]:
    """Who is counted: every area as a whole but for the service points with rows of their own, and those."""
    places: dict[int, list[Interruption]] = {}
    for row in rows:
        place = place_of(row).pk
        places.setdefault(place, []).append(row)
    found: dict[tuple[int, int | None], tuple[int, list[Interruption]]] = {}
    for place, here in places.items():
        whole = [row for row in here if row.element_id]
        points = {row.service_point_id for row in here if row.service_point_id}
        for point in points:
            found[place, point] = (1, [row for row in here if row.element_id or row.service_point_id == point])
        if whole:
            found[place, None] = (max(row.customers for row in whole) - len(points), whole)
    return found


def naive_twice(branches: dict[int, int]) -> dict[int | None, int]:
    """Customers whom more than one of these outages took off, per branch and altogether."""
    rows = [row for row in Interruption.objects.filter(outage__in=branches) if row.actual]
    twice: Counter[int | None] = Counter()
    seen = set()
    for customers, hits in units(rows).values():
        for branch in (None, *set(branches.values())):
            outages = {row.outage_id for row in hits if branch in (None, branches[row.outage_id])}
            if len(outages) > 1:
                twice[branch] += customers
                seen.add(branch)
    return {branch: twice[branch] for branch in seen}


def naive_often() -> dict[str, tuple[int, int]]:
    """Per transformer area: customers off too often by their branch's rules, and the most that one of them was."""
    found: dict[str, tuple[int, int]] = {}
    rows = [row for row in Interruption.objects.all() if row.actual]
    for (place, _point), (customers, hits) in units([row for row in rows if counts(row)]).items():
        element = GridElement.objects.select_related("branch").get(pk=place)
        branch = element.branch
        assert branch is not None
        rule = standards.pack(branch.rule_pack).reliability.frequent.value
        begun: list[datetime] = []
        until = None
        for row in sorted(hits, key=lambda row: span_of(row)[0]):
            if until is None or span_of(row)[0] > until:
                begun.append(span_of(row)[0])
            end = span_of(row)[1] or datetime.max.replace(tzinfo=UTC)
            until = end if until is None else max(until, end)
        most = max(
            (
                sum(at - timedelta(days=rule.days) <= earlier <= at for earlier in begun)
                for at in begun
                if date(2026, 3, 1) <= local(at, branch).date() <= date(2026, 3, 31)
            ),
            default=0,
        )
        if most >= rule.count and customers:
            before = found.get(element.code, (0, 0))
            found[element.code] = (before[0] + customers, max(before[1], most))
    return found


def counts(row: Interruption) -> bool:
    """Not momentary, and long enough for the pack of its place."""
    branch = place_of(row).branch
    assert branch is not None
    begun, back = span_of(row)
    if back is None:
        return True
    lasted: timedelta = back - begun
    return lasted > timedelta(minutes=3) if branch.rule_pack == "cn-sgcc" else lasted >= timedelta(hours=3)
