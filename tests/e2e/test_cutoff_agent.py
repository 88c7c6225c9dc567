"""A caller whose supply was cut, in a real browser: nothing before two items are confirmed, everything useful after."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.db import transaction
from django.utils import timezone
from playwright.sync_api import Page, expect

from accounts.actor import Actor
from accounts.models import User
from billing_cutoffs.models import AccountHold, CutComplaint, CutoffOrder
from call_center.models import Call
from outages.faults.services import fault_log
from tests.billing import world
from tests.factories import accounts
from tests.factories.grid import SmallCity, small_city

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]

SignIn = Callable[..., Page]

WORDS = {
    "zh-hans": {
        "withheld": "您这里的供电情况需要由客服人员与您核实后说明。",
        "cause": "因欠费停电。缴清欠费后我们会尽快安排复电。",
        "amount": "您的账户目前欠费320.00元",
        "pay": "请用您平时的方式缴清",
        "back": "现在缴清，最迟",
        "both": "要等线路恢复并且缴清欠费才能来电，只缴费不会马上来电。",
        "debt": "因欠费",
    },
    "en": {
        "withheld": "An agent needs to check the supply at your premises with you.",
        "cause": "because of an unpaid account. We reconnect as soon as the account is paid.",
        "amount": "Your account is overdue by CNY 320.00",
        "pay": "Please pay in the way you usually do",
        "back": "Paid now, the power is back by",
        "both": "Paying alone does not bring it back: it returns once the line is back and the account is paid.",
        "debt": "unpaid",
    },
}


@pytest.fixture
def city(transactional_db: None) -> SmallCity:
    return small_city()


@pytest.fixture
def mei(city: SmallCity) -> User:
    return accounts.mei(city.bureau)


@pytest.fixture
def ben(city: SmallCity) -> Actor:
    return accounts.actor_of(accounts.ben(city.east))


@pytest.fixture
def cut(city: SmallCity, ben: Actor) -> CutoffOrder:
    """Wang's flat was cut off eight minutes ago for 320.00."""
    with transaction.atomic():
        return world.order(world.debtor(city, "SP0002"), world.batch(city.east, ben), state="disconnected")


def takes_the_call(page: Page, site: str, language: str) -> None:
    page.goto(f"{site}/console/pop/?ani=13800138002&callid=c1")
    script = "en" if language == "en" else "zh-hans"
    if page.locator("#answer").get_attribute("data-script") != script:
        page.keyboard.press("s")


def confirms(page: Page, *items: str) -> None:
    for item in items:
        page.locator(f'.identity input[value="{item}"]').check()
    page.locator(".identity form button.button").click()


@pytest.mark.parametrize("language", ["zh-hans", "en"])
def test_the_debt_is_told_once_two_items_are_confirmed(
    sign_in: SignIn, live_server: Any, mei: User, cut: CutoffOrder, language: str
) -> None:
    words = WORDS[language]
    page = sign_in(mei, language=language)
    takes_the_call(page, live_server.url, language)
    spoken = page.locator("[data-script-text]:visible")

    expect(spoken.first).to_have_text(words["withheld"])
    assert words["debt"] not in page.inner_text("main")
    confirms(page, "holder")
    expect(page.locator(".identity .errorlist").first).to_be_visible()
    assert words["debt"] not in page.inner_text("main")
    confirms(page, "address")

    told = page.locator("#answer [data-script-text]:visible")
    expect(told).to_contain_text(words["cause"])
    account = page.locator(".caller-debt [data-script-text]:visible")
    for name in ("amount", "pay", "back"):
        expect(account).to_contain_text(words[name])
    violations = Axe().run(page).response["violations"]
    assert [violation["id"] for violation in violations] == []


@pytest.mark.parametrize("language", ["zh-hans", "en"])
def test_with_the_feeder_out_as_well_both_causes_are_said(
    sign_in: SignIn, live_server: Any, mei: User, cut: CutoffOrder, city: SmallCity, language: str
) -> None:
    now = timezone.now()
    fault_log(
        actor=accounts.actor_of(accounts.asha(city.bureau)), element_ids=city.ids("F1"),
        started_at=now - timedelta(minutes=30), etr=now + timedelta(hours=2), etr_source="crew",
    )  # fmt: skip
    page = sign_in(mei, language=language)
    takes_the_call(page, live_server.url, language)
    told = page.locator("#answer [data-script-text]:visible")
    assert WORDS[language]["debt"] not in page.inner_text("main")

    confirms(page, "holder", "number")

    expect(told).to_contain_text(WORDS[language]["both"])


def test_what_the_caller_asks_for_is_done_and_after_the_call_nothing_is_left_on_screen(
    sign_in: SignIn, live_server: Any, mei: User, cut: CutoffOrder
) -> None:
    page = sign_in(mei, language="en")
    takes_the_call(page, live_server.url, "en")
    confirms(page, "holder", "address")
    asks = page.locator(".caller-debt__asks")

    asks.locator("summary", has_text="hold").click()
    asks.locator("[name=until]").fill((timezone.localdate() + timedelta(days=5)).isoformat())
    asks.locator("[name=reason]").fill("wages come on Friday")
    asks.get_by_role("button", name="Set the hold").click()
    expect(page.locator(".caller-debt")).to_contain_text("promise to pay")
    asks.locator("summary", has_text="Complaint").click()
    asks.locator("[name=text]").fill("nobody told me")
    asks.get_by_role("button", name="Record the complaint").click()
    expect(page.locator("main")).to_contain_text("The complaint is recorded.")
    page.keyboard.press("Control+Enter")

    expect(page.locator("#logged-title")).to_be_visible()
    assert "unpaid" not in page.inner_text("main")
    call = Call.objects.get()
    assert (call.reason, call.said_is_private, call.report) == ("billing", True, None)
    assert AccountHold.objects.get().reason == "wages come on Friday"
    assert CutComplaint.objects.get().text == "nobody told me"
