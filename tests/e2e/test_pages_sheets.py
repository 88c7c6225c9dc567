"""The branch's spreadsheet in a real browser: sent, corrected by keyboard cell by cell, imported; axe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from playwright.sync_api import Page, expect
from pytest_django import Settings

from accounts.actor import Actor
from accounts.models import User
from outages.planned.models import PlannedWork, PlanPeriod, PlanSheet
from outages.planned.services import sheets
from tests.e2e.test_pages_board import violations
from tests.factories import accounts
from tests.factories.grid import SmallCity, small_city
from tests.planned.books import HEADINGS, book, good
from tests.planned.world import plan_of

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]

SignIn = Callable[..., Page]


@pytest.fixture(autouse=True)
def _own_media(settings: Settings, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def city(transactional_db: None) -> SmallCity:
    cache.clear()
    return small_city()


@pytest.fixture
def pia(city: SmallCity) -> User:
    return accounts.user_with("planner", city.east, username="pia")


@pytest.fixture
def plan(city: SmallCity, pia: User) -> PlanPeriod:
    return plan_of(city, Actor.for_user(pia), 20)


def test_a_sheet_is_sent_corrected_by_keyboard_and_imported(
    sign_in: SignIn, live_server: Any, pia: User, plan: PlanPeriod
) -> None:
    rows = [good("1"), good("2", "T1l", days=21), [*good("3", "T12", days=22)[:4], "25:00", "台区增容", "", ""]]
    page = sign_in(pia, language="en")
    page.goto(f"{live_server.url}/planned/sheets/?plan={plan.pk}")
    file: Any = {"name": "周计划.xlsx", "mimeType": "application/octet-stream", "buffer": book(HEADINGS, *rows)}
    page.get_by_label("File", exact=True).set_input_files(file)
    page.get_by_role("button", name="Upload and check").click()
    expect(page.get_by_role("heading", name="周计划.xlsx")).to_be_visible()
    sheet = PlanSheet.objects.get()

    sheets.sheet_read(sheet_id=sheet.pk)  # the worker; the page finds it by itself

    expect(page.get_by_role("link", name="To correct 2")).to_be_visible()
    assert violations(page) == []
    cell = page.get_by_label("停电设备名称, Row 3")
    cell.fill("T11")
    cell.press("Enter")
    following = page.get_by_label("停电结束时间, Row 4")
    expect(following).to_be_focused()
    following.fill("12:00")
    following.press("Enter")
    expect(page.get_by_role("button", name="Import 3 rows")).to_be_visible()
    page.get_by_role("button", name="Import 3 rows").click()
    expect(page.get_by_text("Importing")).to_be_visible()

    sheets.sheet_import(sheet_id=sheet.pk)

    expect(page.get_by_text("3 rows are in the plan.")).to_be_visible()
    assert PlannedWork.objects.count() == 3


@pytest.mark.parametrize("language", ["zh-hans", "en"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_of_a_sheet_are_readable_by_everybody(
    sign_in: SignIn, live_server: Any, pia: User, plan: PlanPeriod, language: str, scheme: Any
) -> None:
    actor = Actor.for_user(pia)
    made = {
        "known": book(HEADINGS, good("1"), good("2", "T1l", days=21)),
        "unknown": book(["甲", "乙"], ["T11", "x"]),
        "broken": b"%PDF",
    }
    urls = ["/planned/sheets/"]
    for token, data in made.items():
        sheet = sheets.sheet_upload(
            actor=actor, branch=plan.branch, period=plan, chunks=[data], file_name="周计划.xlsx", token=token
        )
        sheets.sheet_read(sheet_id=sheet.pk)
        urls += [f"/planned/sheets/{sheet.pk}/", f"/planned/sheets/{sheet.pk}/?show=all&row=2"]
    page = sign_in(pia, language=language)
    page.emulate_media(color_scheme=scheme)

    found = {}
    for url in urls:
        page.goto(f"{live_server.url}{url}")
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), url
        found[url] = violations(page)

    assert found == {url: [] for url in urls}
