"""Calendar, plan and work in a browser: the filter stands in one row, and paper has the size of what it shows."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.core.cache import cache
from playwright.sync_api import Page

from accounts.models import User
from outages.planned.models import PlannedWork, PlanPeriod
from tests.e2e.test_pages_board import violations
from tests.factories import accounts
from tests.factories.grid import SmallCity, small_city
from tests.planned.world import plan_of, work_in

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]

SignIn = Callable[..., Page]
A3_LANDSCAPE, A4_LANDSCAPE, A4 = (1191, 842), (842, 595), (595, 842)
ONE_ROW = """() => {
  const middles = [...document.querySelector('.filter-bar').children].filter(one => one.getClientRects().length)
    .map(one => one.getBoundingClientRect().bottom);
  return Math.max(...middles) - Math.min(...middles) < 10;
}"""


@pytest.fixture
def city(transactional_db: None) -> SmallCity:
    cache.clear()
    return small_city()


@pytest.fixture
def pia(city: SmallCity) -> User:
    return accounts.user_with("planner", city.east, username="pia")


@pytest.fixture
def work(city: SmallCity, pia: User) -> PlannedWork:
    actor = accounts.actor_of(pia)
    return work_in(city, actor, "L11", period=plan_of(city, actor))


@pytest.mark.parametrize("language", ["zh-hans", "en"])
@pytest.mark.parametrize("view", ["", "week/", "list/", "feeders/"])
def test_the_filter_of_the_calendar_stands_in_one_row(
    sign_in: SignIn, live_server: Any, pia: User, work: PlannedWork, language: str, view: str
) -> None:
    page = sign_in(pia, language=language)
    page.set_viewport_size({"width": 1366, "height": 768})

    page.goto(f"{live_server.url}/planned/{view}?area=L11")

    assert page.evaluate(ONE_ROW)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_calendar_plan_and_work_are_readable_by_everybody(
    sign_in: SignIn, live_server: Any, pia: User, work: PlannedWork, scheme: Any
) -> None:
    page = sign_in(pia, language="en")
    page.emulate_media(color_scheme=scheme)
    plan, month = work.period, f"{work.windows.get().starts_at:%Y-%m}"
    assert plan is not None
    PlanPeriod.objects.update(state="returned")
    PlannedWork.objects.update(state="returned", state_reason="请改到周末")

    for path in (
        f"?month={month}", "list/", f"feeders/?month={month}", "plans/", f"plans/{plan.pk}/",
        f"works/{work.reference}/", f"works/{work.reference}/edit/",
    ):  # fmt: skip
        page.goto(f"{live_server.url}/planned/{path}")
        assert (path, violations(page)) == (path, [])


def test_a_month_is_printed_on_a3_and_the_rest_on_a4(
    sign_in: SignIn, live_server: Any, pia: User, work: PlannedWork
) -> None:
    page = sign_in(pia, language="en")
    assert work.period is not None
    papers = {
        "/planned/": A3_LANDSCAPE,
        "/planned/feeders/": A3_LANDSCAPE,
        f"/planned/plans/{work.period.pk}/": A4_LANDSCAPE,
        f"/planned/works/{work.reference}/": A4_LANDSCAPE,
        "/planned/reports/": A4,
    }

    for path, paper in papers.items():
        page.goto(f"{live_server.url}{path}")
        assert (path, paper_of(page)) == (path, paper)


def paper_of(page: Page) -> tuple[int, int]:
    """Width and height of the first printed page, in points."""
    box = re.search(rb"/MediaBox *\[0 0 ([0-9.]+) ([0-9.]+)\]", page.pdf(prefer_css_page_size=True))
    assert box is not None
    return round(float(box[1])), round(float(box[2]))
