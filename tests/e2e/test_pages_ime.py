"""Typing Chinese: nothing is searched in the middle of a composition, and Enter there is not an answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import pytest
from playwright.sync_api import Page, Request, expect

from tests.factories import accounts
from tests.factories.grid import small_city

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]


def test_a_search_starts_when_the_composition_ends(
    sign_in: Callable[..., Page], live_server: Any, transactional_db: None
) -> None:
    city = small_city()
    page = sign_in(accounts.mei(city.bureau))
    page.goto(f"{live_server.url}/console/")
    asked: list[str] = []

    def note(request: Request) -> None:
        if "/console/search/" in request.url:
            asked.extend(parse_qs(request.post_data or "")["q"])

    page.on("request", note)
    box = page.locator("main [data-search-go]")
    box.focus()
    keyboard = page.context.new_cdp_session(page)

    for pinyin in ("c", "ch", "chen"):
        keyboard.send(
            "Input.imeSetComposition", {"text": pinyin, "selectionStart": len(pinyin), "selectionEnd": len(pinyin)}
        )
    # an Enter that only chooses a word comes with this code
    keyboard.send("Input.dispatchKeyEvent", {"type": "keyDown", "key": "Enter", "windowsVirtualKeyCode": 229})
    page.wait_for_timeout(500)
    assert asked == []
    assert page.url.endswith("/console/")

    keyboard.send("Input.insertText", {"text": "陈静"})

    expect(page.locator("#results")).to_contain_text("陈")
    assert asked == ["陈静"]
