"""The agent's desk in a real browser: three keys, an input method, a crash, a change while typing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.utils import timezone
from playwright.sync_api import Page, expect

from accounts.models import User
from call_center.models import Call
from outages.faults.services import fault_log
from outages.models import Outage
from tests.factories import accounts
from tests.factories.grid import SmallCity, small_city

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]

SignIn = Callable[..., Page]


@pytest.fixture
def city(transactional_db: None) -> SmallCity:
    return small_city()


@pytest.fixture
def mei(city: SmallCity) -> User:
    return accounts.mei(city.bureau)


@pytest.fixture
def feeder_off(city: SmallCity) -> Outage:
    now = timezone.now()
    return fault_log(
        actor=accounts.actor_of(accounts.asha(city.bureau)),
        element_ids=city.ids("F1"),
        started_at=now - timedelta(minutes=30),
        etr=now + timedelta(hours=2),
        etr_source="crew",
        cause_class="vegetation",
    )


@pytest.mark.parametrize(
    ("language", "sentence"), [("zh-hans", "因树木碰触线路停电"), ("en", "because of a tree touching the line")]
)
def test_a_call_is_logged_in_three_keys(
    sign_in: SignIn, live_server: Any, mei: User, feeder_off: Outage, language: str, sentence: str
) -> None:
    page = sign_in(mei, language=language)
    page.goto(f"{live_server.url}/console/pop/?ani=13800138001&callid=c1")
    assert "13800138001" not in page.url

    page.locator("#console-search").press("Escape")  # leave the box: single keys are for the page
    page.keyboard.press("1")
    script = "en" if language == "en" else "zh-hans"
    shown = page.locator("[data-script-text]:visible")
    if page.locator("#answer").get_attribute("data-script") != script:
        page.keyboard.press("s")
    expect(shown.first).to_contain_text(sentence)
    page.keyboard.press("Shift+N")
    page.keyboard.press("Control+Enter")

    expect(page.locator(".receipt")).to_contain_text(feeder_off.reference)
    call = Call.objects.get()
    assert call.safety == {"wire_down": False, "fire": False, "shock": False, "flicker": False}
    assert (call.reason, call.outage, call.callback_wanted) == ("no_supply", feeder_off, True)
    assert (call.said_zh != "", call.language) == (True, script)


def test_a_danger_brings_the_script_and_the_reason(sign_in: SignIn, live_server: Any, mei: User) -> None:
    page = sign_in(mei)
    page.goto(f"{live_server.url}/console/pop/?ani=13800138002&callid=c1")

    page.keyboard.press("n")
    page.keyboard.press("y")

    expect(page.locator("[data-safety-script]")).to_be_visible()
    expect(page.locator("#log-form [name=reason]")).to_have_value("hazard")
    page.keyboard.press("Control+Shift+Enter")
    expect(page.locator("#console-search")).to_be_focused()
    call = Call.objects.get()
    assert call.dangers == ["fire"]
    assert call.report is not None
    assert call.report.is_hazard


def compose(page: Page, steps: list[str], chosen: str) -> None:
    """Type through an input method: real composition events, the last letter ended by Enter with code 229."""
    page.evaluate(
        """([steps, chosen]) => {
            const box = document.getElementById("console-search");
            box.focus();
            box.dispatchEvent(new CompositionEvent("compositionstart", { bubbles: true }));
            for (const step of steps) {
                box.value = step;
                box.dispatchEvent(new CompositionEvent("compositionupdate", { bubbles: true, data: step }));
                box.dispatchEvent(new InputEvent("input", { bubbles: true, data: step, isComposing: true }));
            }
            const enter = new KeyboardEvent("keydown", { bubbles: true, cancelable: true, key: "Enter", keyCode: 229 });
            box.dispatchEvent(enter);
            window.__afterEnter = document.querySelectorAll("#results .hit").length;
            box.value = chosen;
        }""",
        [steps, chosen],
    )


@pytest.mark.parametrize("language", ["zh-hans", "en"])
def test_an_input_method_never_searches_half_a_word(
    sign_in: SignIn, live_server: Any, mei: User, language: str
) -> None:
    page = sign_in(mei, language=language)
    searched: list[str] = []
    page.on("request", lambda request: searched.append(request.post_data or "") if "search" in request.url else None)
    page.goto(f"{live_server.url}/console/")

    compose(page, ["w", "wa", "wang", "wang w", "wang wei"], "王伟")
    page.wait_for_timeout(600)
    assert searched == []
    page.evaluate(
        """() => document.getElementById("console-search").dispatchEvent(
            new CompositionEvent("compositionend", { bubbles: true, data: "王伟" }))"""
    )

    expect(page.locator("#results .hit")).to_contain_text("王*")
    assert len(searched) == 1
    assert page.url.endswith("/console/")


def test_shortcuts_do_not_fire_while_composing_a_note(sign_in: SignIn, live_server: Any, mei: User) -> None:
    page = sign_in(mei)
    page.goto(f"{live_server.url}/console/pop/?ani=13800138002&callid=c1")

    page.evaluate(
        """() => {
            const note = document.querySelector("[name=note]");
            note.focus();
            note.dispatchEvent(new CompositionEvent("compositionstart", { bubbles: true }));
            for (const key of ["y", "n", "s"]) note.dispatchEvent(
                new KeyboardEvent("keydown", { bubbles: true, key, keyCode: 229, isComposing: true }));
            note.dispatchEvent(new KeyboardEvent("keydown",
                { bubbles: true, key: "Enter", ctrlKey: true, keyCode: 229, isComposing: true }));
        }"""
    )

    assert page.locator("[data-safety] input:checked").count() == 0
    assert Call.objects.get().is_open


def test_what_was_typed_is_there_after_a_crash(sign_in: SignIn, live_server: Any, mei: User) -> None:
    page = sign_in(mei)
    page.goto(f"{live_server.url}/console/pop/?ani=13800138002&callid=c1")
    page.fill("[name=note]", "狗在院子里")
    with page.expect_response("**/draft/"):
        page.locator("[name=note]").blur()

    page.context.new_page().goto(f"{live_server.url}/console/pop/?callid=c1")

    expect(page.context.pages[-1].locator("[name=note]")).to_have_value("狗在院子里")


def test_the_answer_waits_while_a_note_is_typed(
    sign_in: SignIn, live_server: Any, mei: User, feeder_off: Outage
) -> None:
    page = sign_in(mei)
    page.goto(f"{live_server.url}/console/pop/?ani=13800138002&callid=c1")
    before = page.locator("[data-script-text]:visible").first.inner_text()
    page.locator("[name=note]").press_sequentially("abc")
    Outage.objects.filter(pk=feeder_off.pk).update(etr=timezone.now() + timedelta(hours=9))

    with page.expect_response("**/card/"):
        page.evaluate(
            f"document.body.dispatchEvent(new CustomEvent('live:outage:{feeder_off.pk}', {{ detail: {{ v: 9 }} }}))"
        )
    expect(page.locator("[data-answer-held]")).to_be_visible()
    assert page.locator("[data-script-text]:visible").first.inner_text() == before

    page.locator("[data-answer-held] button").click()
    expect(page.locator("[data-script-text]:visible").first).not_to_have_text(before)
    expect(page.locator("[name=note]")).to_have_value("abc")


def test_enter_opens_the_one_premises_meant(sign_in: SignIn, live_server: Any, mei: User) -> None:
    page = sign_in(mei)
    page.goto(f"{live_server.url}/console/")

    page.locator("#console-search").press_sequentially("13800138002")
    page.keyboard.press("Enter")

    expect(page.locator("#answer")).to_be_visible()
    assert Call.objects.count() == 1


@pytest.mark.parametrize("language", ["zh-hans", "en"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_desk_is_readable_by_everybody(
    sign_in: SignIn, live_server: Any, mei: User, feeder_off: Outage, language: str, scheme: Literal["light", "dark"]
) -> None:
    page = sign_in(mei, language=language)
    page.emulate_media(color_scheme=scheme)
    for path in ("", "pop/?ani=13800138001&callid=c1", "pop/?ani=13800138002&callid=c2", "calls/", "callbacks/"):
        page.goto(f"{live_server.url}/console/{path}")
        found = Axe().run(page).response["violations"]
        assert [(path, violation["id"], violation["nodes"][0]["target"]) for violation in found] == []
