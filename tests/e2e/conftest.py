"""A real Chromium against the real site."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, Page
from pytest_django import Settings

from accounts.models import User
from billing_cutoffs.services.grades import grades_default
from grid.models import Branch
from outages.models import SystemState
from standards import loader
from tests.billing.calm import any_day_pack
from tests.factories.grid import SmallCity, small_city
from tests.notifications.conftest import sms, smtp

__all__ = ["sms", "smtp"]  # the peers that stand in for providers

# Playwright's synchronous API keeps an event loop in this thread; the ORM is still only used between its calls
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    if CHROMIUM is None:
        pytest.fail("No Chromium found: install it (Debian: apt-get install chromium) and run the tests again.")
    return {
        **browser_type_launch_args,
        "executable_path": CHROMIUM,
        "args": ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-quic"],
    }


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args: dict[str, Any]) -> dict[str, Any]:
    return {**browser_context_args, "viewport": {"width": 1366, "height": 768}, "locale": "zh-CN"}


@pytest.fixture
def sign_in(browser: Browser, browser_context_args: dict[str, Any], live_server: Any) -> Iterator[Callable[..., Page]]:
    """A page on which ``user`` is signed in, in a browser session of its own; ``language`` is what it speaks.

    ``more`` goes to the browser session, such as ``java_script_enabled``.
    """
    contexts: list[BrowserContext] = []

    def _sign_in(user: User, *, language: str = "zh-hans", **more: Any) -> Page:
        client = Client()
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        context = browser.new_context(**browser_context_args, **more)
        contexts.append(context)
        context.add_cookies(
            [
                {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url},
                {"name": "django_language", "value": language, "url": live_server.url},
            ]
        )
        page = context.new_page()
        page.set_default_timeout(15_000)
        return page

    yield _sign_in
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def base_url() -> str:
    """Addresses come from ``live_server``; the plugin's own fixture is deprecated in shape."""
    return ""


@pytest.fixture
def any_day_city(transactional_db: None, settings: Settings, tmp_path: Path) -> Iterator[SmallCity]:
    """The small city, where cuts are made and messages sent on any day and at any hour, by simulated meters."""
    folder = tmp_path / "packs"
    folder.mkdir()
    name = any_day_pack(folder)
    settings.RULE_PACKS_DIR = str(folder)
    settings.METER_GATEWAY = "simulator"
    loader.load()
    cache.clear()
    SystemState.objects.get_or_create(pk=1)
    city = small_city()
    Branch.objects.update(send_from="00:00", send_until="00:00", phone="95598", rule_pack=name)
    for branch in (city.bureau, city.east, city.west):
        branch.refresh_from_db()
    grades_default()
    yield city
    settings.RULE_PACKS_DIR = ""
    loader.load()
