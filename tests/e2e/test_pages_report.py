"""The execution report in a browser: readable by everybody, its charts are painted, its numbers lead to the list."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from playwright.sync_api import Page, expect

from accounts.models import User
from tests.e2e.test_pages_board import violations
from tests.factories import accounts
from tests.factories.grid import SmallCity, small_city
from tests.planned.past import happened, march
from tests.planned.subjects import was_off

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]

SignIn = Callable[..., Page]
URL = "/planned/reports/?since=2026-03-01&until=2026-03-31"
PAINTED = "Array.from(document.querySelectorAll('img.report-chart__image')).map(i => i.complete && i.naturalWidth > 0)"


@pytest.fixture
def city(transactional_db: None) -> SmallCity:
    cache.clear()
    return small_city()


@pytest.fixture
def otto(city: SmallCity) -> User:
    """The approver, with a month of two branches behind him."""
    start, end, week = march(3), march(3, 12), timedelta(days=7)
    for day in (5, 9):
        was_off(city, "T11", begins=march(day))
    happened(city, "T11", announced=(start, end), off=(start, end))
    happened(city, "T12", announced=(start + week, end + week), off=(start + week, end + week + timedelta(hours=1)))
    happened(city, "T12", announced=(march(24), march(24, 12)), state="cancelled", published_at=march(20))
    happened(city, "T21", branch=city.west, announced=(start, end), off=(start, end))
    happened(city, "T22", branch=city.west, announced=(march(31), march(31, 12)), off=(march(31), None))
    return accounts.user_with("approver", city.bureau, username="otto")


@pytest.mark.parametrize("language", ["zh-hans", "en"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report_is_readable_by_everybody(
    sign_in: SignIn, live_server: Any, otto: User, language: str, scheme: Any
) -> None:
    page = sign_in(otto, language=language)
    page.emulate_media(color_scheme=scheme)

    page.goto(f"{live_server.url}{URL}")
    for image in page.locator("img.report-chart__image").all():
        image.scroll_into_view_if_needed()
        expect(image).to_have_js_property("complete", True)

    assert page.evaluate(PAINTED) == [True] * 4
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert violations(page) == []


def test_a_wrong_question_is_said_to_everybody(sign_in: SignIn, live_server: Any, otto: User) -> None:
    page = sign_in(otto, language="en")

    page.goto(f"{live_server.url}/planned/reports/?since=2026-03-31&until=2026-03-01")

    expect(page.get_by_text("To: The last day lies before the first.")).to_be_visible()
    assert violations(page) == []


def test_a_number_leads_to_its_windows_and_back(sign_in: SignIn, live_server: Any, otto: User) -> None:
    page = sign_in(otto, language="en")
    page.goto(f"{live_server.url}{URL}")

    page.get_by_role("region", name="Why windows did not go as announced").get_by_role("link", name="1").first.click()
    expect(page.get_by_text("Only the windows behind a figure of the report")).to_be_visible()
    expect(page.locator("tr[data-row]")).to_have_count(1)
    assert violations(page) == []

    page.get_by_role("link", name="To the report").click()
    expect(page.get_by_role("heading", name="Execution of planned outages")).to_be_visible()
