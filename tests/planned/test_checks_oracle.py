"""The two checks that count, against a naive recount in Python on random small worlds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grid.models import ServicePoint
from outages.models import Interruption, Outage
from outages.planned.checks.budget import Crossing, crossings
from outages.planned.checks.question import Question
from outages.planned.checks.together import overlaps
from outages.planned.findings import Subject
from outages.planned.models import PlannedWork, WorkPlace, WorkWindow
from tests.factories.grid import SmallCity
from tests.planned.subjects import AT, Window, areas_below, subject, was_off, work

AREAS = ["T11", "T12", "T21", "T22"]
POINTS = ["SP0001", "SP0002", "SP0003", "SP0004", "SP0005", "SP0006"]
OPENED = ["F1", "L11", "L12", "T11", "T12", "F2", "L21", "U22", "T22", "BUS1"]
DAYS, LIMIT = timedelta(days=60), 3
MOMENTARY = timedelta(minutes=3)


@dataclass(frozen=True)
class Past:
    area: str  # one of these two
    point: str
    begins: datetime
    minutes: int


@dataclass(frozen=True)
class Plan:
    """A work, saved or asked about: what it opens and its one or two windows."""

    opened: str
    windows: tuple[Window, ...]
    state: str


def windows_of(draws: list[tuple[int, int, int]]) -> tuple[Window, ...]:
    """Windows that do not overlap one another, as the database demands of one work."""
    kept: list[Window] = []
    for day, hour, minutes in sorted(draws):
        starts = AT + timedelta(days=day, hours=hour)
        if not kept or starts >= kept[-1][1]:
            kept.append((starts, starts + timedelta(minutes=minutes)))
    return tuple(kept)


windows = st.lists(
    st.tuples(st.integers(1, 90), st.integers(0, 12), st.sampled_from([2, 3, 4, 120, 2000])), min_size=1, max_size=2
).map(windows_of)
pasts = st.builds(
    Past,
    area=st.sampled_from(["", *AREAS]),
    point=st.sampled_from(POINTS),
    begins=st.integers(-70 * 24, -48).map(lambda hours: AT + timedelta(hours=hours)),
    minutes=st.sampled_from([1, 3, 4, 60, 120, 1440]),
)
plans = st.builds(
    Plan, opened=st.sampled_from(OPENED), windows=windows, state=st.sampled_from(["submitted", "approved", "draft"])
)


@pytest.mark.django_db
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    past=st.lists(pasts, max_size=8), saved=st.lists(plans, max_size=4), asked=st.lists(plans, min_size=1, max_size=3)
)
def test_the_counting_checks_agree_with_a_naive_recount(
    city: SmallCity, past: list[Past], saved: list[Plan], asked: list[Plan]
) -> None:
    forget()
    for row in past:
        areas, points = ([row.area], []) if row.area else ([], [row.point])
        was_off(city, *areas, begins=row.begins, hours=row.minutes / 60, points=points)
    for plan in saved:
        work(city, plan.opened, windows=plan.windows, state=plan.state)
    subjects = [subject(city, p.opened, windows=p.windows, number=n, reference=f"row {n}") for n, p in enumerate(asked)]

    question = Question(subjects, AT)

    assert crossings(question) == {
        s.number: crossing for s in subjects if (crossing := naive_crossing(city, s, past, saved, asked)) is not None
    }
    assert {n: {hit.reference for hit in hits} for n, hits in overlaps(question).items()} == {
        n: hits for n, p in enumerate(asked) if (hits := naive_overlaps(city, n, p, saved, asked))
    }


def forget() -> None:
    """Examples share one database."""
    for model in (WorkPlace, WorkWindow, PlannedWork, Interruption, Outage):
        model.objects.all().delete()


# --- the recount --------------------------------------------------------------------------------------


def naive_crossing(
    city: SmallCity, asked: Subject, past: list[Past], saved: list[Plan], all_asked: list[Plan]
) -> Crossing | None:
    own = [window for window in asked.windows if window[1] - window[0] > MOMENTARY]
    if not own:
        return None
    others = [p for p in saved if p.state != "draft"] + [p for n, p in enumerate(all_asked) if n != asked.number]
    reach = beyond = 0
    for point in ServicePoint.objects.filter(element__in=asked.place_ids).select_related("element"):
        spans = [
            (row.begins, row.begins + timedelta(minutes=row.minutes))
            for row in past
            if (row.area == point.element.code or (not row.area and row.point == point.code))
        ]
        spans += [w for plan in others if point.element.code in areas_below(city, plan.opened) for w in plan.windows]
        spans = [span for span in spans if span[1] - span[0] > MOMENTARY]
        without, with_it = begins_of(spans), begins_of(spans + own)
        ends = {starts for starts, _ends in spans + own}
        frames = [end for end in ends if any(end - DAYS <= starts <= end for starts, _ends in own)]
        most_without = max(sum(end - DAYS <= begin <= end for begin in without) for end in frames)
        most_with = max(sum(end - DAYS <= begin <= end for begin in with_it) for end in frames)
        reach += most_without < LIMIT <= most_with
        beyond += most_without >= LIMIT and most_with > most_without
    return Crossing(reach, beyond)


def begins_of(spans: list[Window]) -> list[datetime]:
    """When each darkness begins; what overlaps or follows at once is one."""
    begins: list[datetime] = []
    until = None
    for starts, ends in sorted(spans):
        if until is None or starts > until:
            begins.append(starts)
        until = ends if until is None else max(until, ends)
    return begins


def naive_overlaps(city: SmallCity, number: int, asked: Plan, saved: list[Plan], all_asked: list[Plan]) -> set[str]:
    others = {f"W-{n + 1}": plan for n, plan in enumerate(saved) if plan.state != "draft"}
    others |= {f"row {n}": plan for n, plan in enumerate(all_asked) if n != number}
    return {
        reference
        for reference, plan in others.items()
        if touch(city, asked.opened, plan.opened)
        and any(a[0] < b[1] and b[0] < a[1] for a in asked.windows for b in plan.windows)
    }


def touch(city: SmallCity, one: str, other: str) -> bool:
    return other in way_up(city, one) or one in way_up(city, other)


def way_up(city: SmallCity, name: str) -> list[str]:
    """The element and everything above it."""
    by_id = {element.pk: element for element in city.elements.values()}
    way, element = [name], city.elements[name]
    while element.parent_id is not None:
        element = by_id[element.parent_id]
        way.append(element.code)
    return way
