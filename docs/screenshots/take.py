"""Take the documents' pictures from a running demo: ``make run`` in one terminal, ``make screenshots`` in another."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

HERE = Path(__file__).parent
PASSWORD = "power-is-back-soon"  # noqa: S105 - the demo's, printed by `make run`


def main(site: str) -> None:
    with sync_playwright() as playwright:
        chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for language in ("zh-hans", "en"):
            short = language[:2]
            desk = signed_in(browser, site, "dispatcher", language, "light")
            board(desk, site, HERE / f"board-{short}.png")
            detail(desk, site, HERE / f"outage-{short}.png")
            shedding(desk, site, short)
            night = signed_in(browser, site, "dispatcher", language, "dark")
            board(night, site, HERE / f"board-dark-{short}.png")
            console(signed_in(browser, site, "agent", language, "light"), site, HERE / f"console-{short}.png")
            planning(signed_in(browser, site, "planner", language, "light"), site, short)
            cutoffs(signed_in(browser, site, "approver", language, "light"), site, short)
        browser.close()


def signed_in(browser: Browser, site: str, user: str, language: str, scheme: str) -> Page:
    context = browser.new_context(
        viewport={"width": 1366, "height": 768},
        color_scheme="dark" if scheme == "dark" else "light",
        locale="zh-CN" if language == "zh-hans" else "en-GB",
    )
    context.add_cookies([{"name": "django_language", "value": language, "url": site}])
    page = context.new_page()
    page.goto(f"{site}/accounts/login/")
    page.fill("input[name=login]", user)
    page.fill("input[name=password]", PASSWORD)
    page.press("input[name=password]", "Enter")
    page.wait_for_url(lambda url: "login" not in url)
    return page


def board(page: Page, site: str, path: Path) -> None:
    page.goto(f"{site}/board/")
    picture(page, path)


def detail(page: Page, site: str, path: Path) -> None:
    page.goto(f"{site}/board/")
    page.locator("main table tbody tr a").nth(1).click()
    page.wait_for_url("**/outages/**")
    picture(page, path)


def console(page: Page, site: str, path: Path) -> None:
    """The answer for a customer who is off: found by the street of a fault at a transformer."""
    page.goto(f"{site}/board/?kind=fault")
    places = page.locator(".board-place").all_inner_texts()
    street = next(place for place in places if place.endswith("台区")).split("号")[0]
    page.goto(f"{site}/console/")
    page.fill("#console-search", f"{street}号")
    page.locator("#results .hit--off button.hit__main").first.click()
    page.wait_for_selector(".answer-card")
    picture(page, path)


def cutoffs(page: Page, site: str, short: str) -> None:
    """The batch that waits for approval, and who waits for power."""
    page.goto(f"{site}/cutoffs/")
    page.locator("main table tbody tr a").first.click()
    page.wait_for_url("**/batches/*/")
    picture(page, HERE / f"cutoffs-{short}.png")
    page.goto(f"{site}/cutoffs/reconnections/")
    picture(page, HERE / f"reconnections-{short}.png")


def shedding(page: Page, site: str, short: str) -> None:
    """The desk, and the event that runs."""
    page.goto(f"{site}/shedding/")
    picture(page, HERE / f"shedding-{short}.png")
    page.locator("main a[href*='/shedding/events/LS-']").first.click()
    page.wait_for_url("**/shedding/events/*/")
    picture(page, HERE / f"shedding-event-{short}.png")


def planning(page: Page, site: str, short: str) -> None:
    """The plan that is being written, the month it is for, and how the last month went."""
    page.goto(f"{site}/planned/plans/?state=open")
    page.locator("main table tbody tr a").first.click()
    page.wait_for_url("**/plans/*/")
    picture(page, HERE / f"plan-{short}.png")
    page.get_by_role("link", name="As a calendar" if short == "en" else "日历").first.click()
    page.wait_for_url("**/planned/**")
    picture(page, HERE / f"calendar-{short}.png")
    page.goto(f"{site}/planned/reports/")
    picture(page, HERE / f"report-{short}.png")


def picture(page: Page, path: Path) -> None:
    page.wait_for_timeout(1_000)  # fonts, and the fragments that are loaded behind the page
    page.screenshot(path=path)
    sys.stdout.write(f"{path.name}\n")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000")
