"""Twenty people plan the same line at once: one wins, the others are told by whom (reliability.md, B-10)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.actor import Actor
from outages.lifecycle import IllegalTransition
from outages.models import Outage
from outages.planned import services
from outages.planned.models import PlannedWork, WindowClaim, WorkWindow
from tests.concurrency.test_outage_writers import refusals, together
from tests.factories import accounts
from tests.factories.grid import SmallCity
from tests.planned.world import ahead, answered, published_alone, work_in

pytestmark = [pytest.mark.concurrency, pytest.mark.django_db(transaction=True)]

PLANNERS = 20


@pytest.fixture
def otto(city: SmallCity) -> Actor:
    return accounts.actor_of(accounts.user_with("approver", city.bureau, username="otto"))


def drafted(city: SmallCity, pia: Actor, windows: list[tuple[datetime, datetime]]) -> list[PlannedWork]:
    return [
        answered(work_in(city, pia, "T11", windows=[window], work_class="temporary", temporary_reason="缺陷"), pia)
        for window in windows
    ]


def submit_all(works: list[PlannedWork], pia: Actor) -> list[Any]:
    def submit(work: PlannedWork) -> Any:
        return lambda: services.work_submit(actor=pia, work_id=work.pk)

    return together(*[submit(work) for work in works])


def test_of_twenty_overlapping_windows_one_wins(city: SmallCity, pia: Actor) -> None:
    start = ahead(20)
    works = drafted(
        city, pia, [(start + timedelta(minutes=n), start + timedelta(hours=4, minutes=n)) for n in range(PLANNERS)]
    )

    results = submit_all(works, pia)

    (winner,) = PlannedWork.objects.filter(state="submitted")
    losers = [result for result in results if not isinstance(result, PlannedWork)]
    assert len(losers) == PLANNERS - 1
    # who asked later than the winner's commit is stopped by the check, who asked with it by the database
    assert {type(loser) for loser in losers} <= {services.Overlap, services.ChecksOpen}
    assert all(winner.reference in str(loser) for loser in losers if isinstance(loser, services.Overlap))
    assert WindowClaim.objects.count() == 1


def test_windows_that_touch_all_pass(city: SmallCity, pia: Actor) -> None:
    start = ahead(20, 0)
    works = drafted(city, pia, [(start + timedelta(hours=n), start + timedelta(hours=n + 1)) for n in range(PLANNERS)])
    for work in works:  # twenty outages in a day are frequent, whoever asks when
        services.answer_give(actor=pia, work_id=work.pk, code="frequent", reason="同一停电内分段作业")

    results = submit_all(works, pia)

    assert refusals(results) == []
    assert WindowClaim.objects.count() == PLANNERS


def test_a_window_is_started_or_cancelled_never_both(city: SmallCity, pia: Actor, lena: Actor, otto: Actor) -> None:
    window = published_alone(city, pia, lena, otto, "T11")

    def start() -> Any:
        return services.window_start(window_id=window.pk, actor=pia, started_at=timezone.now())

    def cancel() -> Any:
        return services.work_cancel(actor=pia, work_id=window.work_id, reason="雨天")

    results = together(*[start, cancel] * 4)

    assert set(refusals(results)) == {IllegalTransition}
    assert len(refusals(results)) == 7
    outage = Outage.objects.get()
    state = WorkWindow.objects.get().state
    assert (outage.status, state) in {("active", "in_progress"), ("cancelled", "cancelled")}
    assert PlannedWork.objects.get().state == state


def test_two_windows_of_one_work_start_together(city: SmallCity, pia: Actor, lena: Actor, otto: Actor) -> None:
    day = ahead(20)
    windows = [(day, day + timedelta(hours=1)), (day + timedelta(hours=2), day + timedelta(hours=3))]
    published_alone(city, pia, lena, otto, "T11", windows=windows)
    first, second = WorkWindow.objects.order_by("starts_at")

    def start(window: WorkWindow) -> Any:
        return lambda: services.window_start(window_id=window.pk, actor=pia, started_at=timezone.now())

    results = together(start(first), start(second))

    assert refusals(results) == []
    assert PlannedWork.objects.get().state == "in_progress"


def test_eight_clicks_open_one_plan(city: SmallCity, pia: Actor) -> None:
    def open_it() -> Any:
        return services.period_open(actor=pia, branch=city.east, kind="month", day=ahead(40).date())

    results = together(*[open_it] * 8)

    assert len({period.pk for period in results}) == 1
