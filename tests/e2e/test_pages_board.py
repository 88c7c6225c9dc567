"""The board in a real browser: keys, filters and Back, live refresh that never moves rows under a person, axe."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.core.cache import cache
from django.utils import timezone
from playwright.sync_api import Page, expect

from accounts.actor import Actor
from accounts.models import User
from outages import services
from outages.models import Outage
from tests.factories import accounts
from tests.factories.grid import SmallCity, small_city

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]

SignIn = Callable[..., Page]


@pytest.fixture
def city(transactional_db: None) -> SmallCity:
    cache.clear()
    return small_city()


@pytest.fixture
def asha(city: SmallCity) -> User:
    return accounts.asha(city.bureau)


def opened(asha: User, ids: list[int], *, minutes: int = 60, kind: str = "load_shedding", **facts: Any) -> Outage:
    return services.outage_open(
        kind=kind,
        action="start",
        actor=Actor.for_user(asha),
        element_ids=ids,
        started_at=timezone.now() - timedelta(minutes=minutes),
        **facts,
    )


def references(page: Page) -> list[str]:
    return page.locator("[data-row] .board-ref").all_inner_texts()


def violations(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [f"{v['id']}: {[node['target'] for node in v['nodes']][:3]}" for v in found]


@pytest.mark.parametrize("language", ["zh-hans", "en"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_board_map_and_detail_are_accessible(
    sign_in: SignIn, live_server: Any, city: SmallCity, asha: User, language: str, scheme: Any
) -> None:
    outage = opened(asha, city.ids("F1"), planned_start=timezone.now(), planned_end=timezone.now() + timedelta(hours=1))
    page = sign_in(asha, language=language)
    page.emulate_media(color_scheme=scheme)

    for path in ("/board/", "/board/?view=split", f"/outages/{outage.reference}/"):
        page.goto(live_server.url + path)
        page.wait_for_timeout(400)  # the map is drawn
        assert violations(page) == [], path
        assert page.locator("h1").count() == 1
        assert page.locator("[aria-live]").count() == 1


def test_no_page_breaks_its_own_content_policy(sign_in: SignIn, live_server: Any, city: SmallCity, asha: User) -> None:
    outage = opened(asha, city.ids("F1"))
    page = sign_in(asha)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))

    for path in ("/board/", "/board/?view=split", f"/outages/{outage.reference}/"):
        page.goto(live_server.url + path)
        page.wait_for_timeout(300)

    # this server has no stream; the browser says so and the page polls instead
    assert [text for text in said if "404" not in text and "MIME" not in text] == []


def test_filters_live_in_the_url_and_back_brings_the_whole_page(
    sign_in: SignIn, live_server: Any, city: SmallCity, asha: User
) -> None:
    east, west = opened(asha, city.ids("T11")), opened(asha, city.ids("T21"))
    page = sign_in(asha, language="en")
    page.goto(f"{live_server.url}/board/")
    assert sorted(references(page)) == sorted([east.reference, west.reference])

    page.select_option("#f-branch", "0102")
    page.wait_for_url(re.compile("branch=0102"))
    assert references(page) == [west.reference]
    page.click(f"text={west.reference}")
    page.wait_for_url(re.compile(f"/outages/{west.reference}/"))
    page.go_back()

    expect(page.locator("h1")).to_have_text("Outages now")
    expect(page.locator("#f-branch")).to_have_value("0102")
    assert references(page) == [west.reference]


def test_keys_move_through_the_list_and_open_it(sign_in: SignIn, live_server: Any, city: SmallCity, asha: User) -> None:
    opened(asha, city.ids("T11"))
    opened(asha, city.ids("T21"))
    page = sign_in(asha, language="en")
    page.goto(f"{live_server.url}/board/")
    first, second = references(page)

    page.keyboard.press("j")
    expect(page.locator(f"[data-reference='{first}'] a")).to_be_focused()
    page.keyboard.press("j")
    expect(page.locator(f"[data-reference='{second}'] a")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(second))
    page.keyboard.press("g")
    page.keyboard.press("b")
    page.wait_for_url(re.compile("/board/"))
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("next, previous row")
    expect(page.get_by_role("dialog").get_by_text("New fault", exact=True)).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_keys_rest_in_fields_while_composing_and_when_switched_off(
    sign_in: SignIn, live_server: Any, city: SmallCity, asha: User
) -> None:
    page = sign_in(asha, language="en")
    page.goto(f"{live_server.url}/board/")

    page.focus("#f-q")
    page.keyboard.type("?gb")
    expect(page.locator("#f-q")).to_have_value("?gb")
    page.evaluate("document.activeElement.blur()")
    page.evaluate(
        "document.body.dispatchEvent(new KeyboardEvent('keydown', {key: '?', isComposing: true, bubbles: true}))"
    )
    expect(page.get_by_role("dialog")).to_have_count(0)
    User.objects.filter(pk=asha.pk).update(shortcuts_enabled=False)
    page.reload()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_new_outage_appears_by_itself(sign_in: SignIn, live_server: Any, city: SmallCity, asha: User) -> None:
    first = opened(asha, city.ids("T11"))
    page = sign_in(asha, language="en")
    page.goto(f"{live_server.url}/board/")
    page.mouse.move(5, 5)
    assert references(page) == [first.reference]
    page.wait_for_timeout(1500)  # the worker learns where the log stands

    second = opened(asha, city.ids("T21"))

    expect(page.locator(f"[data-reference='{second.reference}']")).to_be_visible()
    expect(page.locator("#board-totals .totals__value").first).to_have_text("2")


def test_rows_keep_their_place_while_somebody_is_in_the_list(
    sign_in: SignIn, live_server: Any, city: SmallCity, asha: User
) -> None:
    first = opened(asha, city.ids("T11"))
    page = sign_in(asha, language="en")
    page.goto(f"{live_server.url}/board/")
    page.wait_for_timeout(1500)
    link = page.locator(f"[data-reference='{first.reference}'] a")
    link.focus()

    services.outage_set_etr(
        outage_id=first.pk, actor=Actor.for_user(asha), etr=timezone.now() + timedelta(days=400),
        etr_source="crew", etr_confidence="high", etr_reason="",
    )  # fmt: skip
    more = opened(asha, city.ids("F2"))  # would stand on top

    banner = page.locator("[data-hold-banner]")
    expect(banner).to_contain_text("1 updates waiting")
    expect(page.locator("#board-totals .totals__value").first).to_have_text("2")  # figures are never held
    expect(page.locator(f"[data-reference='{first.reference}'] .column-back")).to_contain_text("confirmed on site")
    assert references(page) == [first.reference]
    expect(link).to_be_focused()

    banner.get_by_role("button").click()
    assert references(page) == [more.reference, first.reference]


def test_the_list_drives_the_map(sign_in: SignIn, live_server: Any, city: SmallCity, asha: User) -> None:
    outage = opened(asha, city.ids("T11"), place="东风路")
    page = sign_in(asha, language="en")
    page.goto(f"{live_server.url}/board/?view=split")
    expect(page.locator("#map[data-ready]")).to_be_visible()

    page.locator(f"[data-reference='{outage.reference}'] a").focus()

    expect(page.locator(".leaflet-tooltip")).to_contain_text("东风路")


def test_the_board_is_whole_without_the_maps_files_and_without_javascript(
    sign_in: SignIn, live_server: Any, city: SmallCity, asha: User, browser: Any
) -> None:
    outage = opened(asha, city.ids("T11"))
    page = sign_in(asha, language="en")
    page.route("**/leaflet*", lambda route: route.abort())
    page.goto(f"{live_server.url}/board/?view=split")
    assert references(page) == [outage.reference]

    plain = browser.new_context(java_script_enabled=False, storage_state=page.context.storage_state()).new_page()
    plain.goto(f"{live_server.url}/board/")
    plain.select_option("#f-branch", "0101")
    plain.click("text=Apply")
    assert references(plain) == [outage.reference]
    plain.click(f"text={outage.reference}")
    plain.fill("#id_text", "seen from an old computer")
    plain.click("text=Add the note")
    expect(plain.locator(".receipts")).to_contain_text("The note is in the history.")
    expect(plain.locator("#timeline-entries")).to_contain_text("seen from an old computer")
    plain.context.close()


def test_a_lost_connection_is_said_and_old_pages_save_nothing(
    sign_in: SignIn, live_server: Any, city: SmallCity, asha: User
) -> None:
    outage = opened(asha, city.ids("T11"))
    page = sign_in(asha, language="en")
    page.clock.install()
    page.add_init_script(
        "window.SharedWorker = class { constructor() { this.port = { start() {}, postMessage() {} }; } }"
    )
    page.goto(f"{live_server.url}/outages/{outage.reference}/")

    page.clock.fast_forward("00:45")
    expect(page.locator("#data-age")).to_have_attribute("data-state", re.compile("late|stale"))
    page.clock.fast_forward("06:00")
    expect(page.locator("#stale-bar")).to_contain_text("Nothing can be saved")
    page.fill("#id_text", "too late")
    page.click("text=Add the note")
    expect(page.locator(".toast")).to_be_visible()
    assert outage.events.count() == 1
