"""The execution report over HTTP: its page, charts and exports, in both languages, for whoever may see it."""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from lxml import etree

from accounts.models import User
from grid.models import Branch
from outages.planned.models import PlannedWork, WorkWindow
from outages.planned.reports import FIGURES
from tests.factories import accounts
from tests.factories.grid import SmallCity
from tests.planned.pages import text_of
from tests.planned.past import happened, march
from tests.planned.subjects import was_off
from tests.planned.test_calendar_pages import references, signed_in

URL = "/planned/reports/"
MARCH = {"since": "2026-03-01", "until": "2026-03-31"}
CHARTS = ("execution", "punctuality", "hours", "reasons")
TABLES = ("windows", "branches", "plans", "often", *CHARTS)


@pytest.fixture
def browser(pia_user: User) -> Client:
    """Pia's, the planner of the east."""
    return signed_in(pia_user)


@pytest.fixture
def month(city: SmallCity) -> list[WorkWindow]:
    """The east's March: as announced, late, moved, cancelled, told too late, not ended; and T11 off too often."""
    start, end = march(3), march(3, 12)
    week = timedelta(days=7)
    was_off(city, "T11", begins=march(2))
    return [
        happened(city, "T11", announced=(start, end), off=(start, end)),
        happened(city, "T11", announced=(start + week, end + week), off=(start + week, end + week + week / 168)),
        happened(
            city, "T12", announced=(start, end), now=(start + week, end + week), off=(start + week, end + week), moves=1
        ),
        happened(city, "T12", announced=(start + 2 * week, end + 2 * week), state="cancelled"),
        happened(
            city, "T12", announced=(start + 3 * week, end + 3 * week), off=(start + 3 * week, end + 3 * week),
            published_at=start + 2 * week + timedelta(days=3),
        ),
        happened(city, "T12", announced=(march(31), march(31, 12)), off=(march(31), None)),
    ]  # fmt: skip


def links(page: str) -> list[str]:
    return [html.unescape(url) for url in re.findall(r'href="(/planned/list/\?figure=[^"]+)"', page)]


def table(response: Any) -> list[list[str]]:
    text = text_of(response)
    assert text.startswith("\ufeff")
    return list(csv.reader(io.StringIO(text[1:])))


# --- the page ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["zh-hans", "en"])
def test_the_page_shows_tiles_charts_and_tables(browser: Client, month: list[WorkWindow], language: str) -> None:
    browser.cookies["django_language"] = language

    response = browser.get(URL, MARCH)

    page = text_of(response)
    assert response.status_code == 200
    assert page.count('class="report-tile"') == 12
    assert [name for name in CHARTS if f"/planned/reports/chart/{name}.svg?since=2026-03-01" in page] == list(CHARTS)
    # two of five that ended: the first, and the one of which people heard too late
    assert "40.0\u202f%" in page
    assert all(window.work.reference in page for window in month)
    assert re.search(r"<script(?![^>]*src=)|\sstyle=|\son\w+=", page) is None


def test_what_has_not_ended_is_flagged_and_stands_in_no_rate(browser: Client, month: list[WorkWindow]) -> None:
    browser.cookies["django_language"] = "en"

    page = text_of(browser.get(URL, MARCH))

    assert "1 window has not ended: it stands in no rate that needs its end." in page
    assert "2 of 5" in page


def test_every_number_leads_to_exactly_its_windows(browser: Client, city: SmallCity, month: list[WorkWindow]) -> None:
    city.bureau.refresh_from_db()
    boss = signed_in(accounts.user_with("planner", city.bureau, username="boss"))
    happened(city, "T21", branch=city.west, announced=(march(5), march(5, 12)), off=(march(5), march(5, 12)))
    happened(city, "T21", branch=city.bureau, announced=(march(6), march(6, 12)), off=(march(6), march(6, 12)))
    found = boss.get(URL, MARCH)
    numbers = [
        (cell.value, cell.href)
        for _chart, shown in found.context["charts"]
        for row in shown.lines
        for cell in row
        if cell.href and isinstance(cell.value, int)
    ] + [
        (cell.value, cell.href)
        for row in found.context["branches"].lines
        for cell in (*row[1:3], *row[6:10])
        if cell.href
    ]

    assert len(numbers) > 30
    for number, url in numbers:
        assert len(references(text_of(boss.get(url)))) == number, url
    assert set(links(text_of(found))) >= {url for _number, url in numbers}


def test_the_list_says_which_figure_it_shows_and_leads_back(browser: Client, month: list[WorkWindow]) -> None:
    browser.cookies["django_language"] = "en"

    page = text_of(browser.get("/planned/list/", {**MARCH, "figure": "cancelled"}))

    assert references(page) == [month[3].work.reference]
    assert "first announced for these days: cancelled." in page
    assert 'href="/planned/reports/?since=2026-03-01&amp;until=2026-03-31"' in page
    assert '<input type="hidden" name="figure" value="cancelled">' in page


@pytest.mark.parametrize("figure", FIGURES)
def test_every_figure_can_be_asked_of_the_list(browser: Client, month: list[WorkWindow], figure: str) -> None:
    assert browser.get("/planned/list/", {"figure": figure}).status_code == 200


def test_without_days_last_month_is_shown(browser: Client) -> None:
    last = timezone.localdate().replace(day=1) - timedelta(days=1)

    page = text_of(browser.get(URL))

    assert f'value="{last.replace(day=1)}"' in page
    assert f'value="{last}"' in page


def test_where_nothing_was_announced_the_page_says_so(browser: Client) -> None:
    browser.cookies["django_language"] = "en"

    page = text_of(browser.get(URL, MARCH))

    assert "Nothing was announced for these days." in page
    assert "<img" not in page


def test_windows_come_in_pages(browser: Client, city: SmallCity) -> None:
    for _n in range(51):
        happened(city, "T11", announced=(march(3), march(3, 12)))

    pages = [text_of(browser.get(URL, {**MARCH, "page": page})) for page in ("1", "2", "x")]

    assert [page.count("data-row") for page in pages] == [50, 1, 50]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"since": "2026-03-31", "until": "2026-03-01"}, "The last day lies before the first."),
        ({"since": "2025-01-01", "until": "2026-03-01"}, "A report covers a year at most."),
        ({"since": "0001-01-01", "until": "0001-01-02"}, "The date is not plausible."),
        ({"since": "9999-12-31", "until": "9999-12-31"}, "The date is not plausible."),
        ({"since": "yesterday", "until": "2026-03-01"}, "Enter a valid date."),
        ({"since": "2026-03-01"}, "This field is required."),
        ({**MARCH, "branch": "0102"}, "That choice is not one of the available choices."),
        ({**MARCH, "branch": "x" * 300}, "That choice is not one of the available choices."),
        ({**MARCH, "plan_kind": "year"}, "Select a valid choice."),
    ],
)
def test_a_wrong_question_gets_a_message(browser: Client, asked: dict[str, str], message: str) -> None:
    browser.cookies["django_language"] = "en"

    response = browser.get(URL, asked)

    assert response.status_code == 422
    assert message in html.unescape(text_of(response))
    for url in ("report.csv", "chart/hours.svg"):
        refused = browser.get(f"{URL}{url}", asked)
        assert refused.status_code == 422
        assert message in html.unescape(text_of(refused))


def test_a_foreign_branch_is_not_visible(browser: Client, city: SmallCity, month: list[WorkWindow]) -> None:
    foreign = happened(city, "T21", branch=city.west, announced=(march(5), march(5, 12)), off=(march(5), march(5, 12)))

    texts = [text_of(browser.get(URL, MARCH))]
    texts += [text_of(browser.get(f"{URL}report.csv", {**MARCH, "table": name})) for name in TABLES]
    texts += [text_of(browser.get(f"{URL}chart/{name}.svg", MARCH)) for name in CHARTS]

    assert all(foreign.work.reference not in text and city.west.name not in text for text in texts)
    assert references(text_of(browser.get("/planned/list/", {**MARCH, "figure": "published"}))) != []
    assert foreign.work.reference not in text_of(browser.get("/planned/list/", {**MARCH, "figure": "published"}))


def test_whoever_plans_nothing_sees_no_plans(city: SmallCity, month: list[WorkWindow]) -> None:
    agent = signed_in(accounts.mei(city.east))

    assert agent.get(URL, MARCH).context["plans"].rows == ()


# --- charts -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_is_a_picture_without_scripts(browser: Client, month: list[WorkWindow], name: str) -> None:
    response = browser.get(f"{URL}chart/{name}.svg", MARCH)

    assert response["Content-Type"] == "image/svg+xml; charset=utf-8"
    policy = response["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "style-src 'unsafe-inline'" in policy
    assert "script-src" not in policy
    root = etree.fromstring(response.content)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root[0].text is not None
    tags = {etree.QName(node).localname for node in root.iter()}
    assert "script" not in tags
    assert not any(
        str(key).lower().startswith("on") or "href" in str(key) for node in root.iter() for key in node.attrib
    )
    addresses = set(re.findall(r"(?:https?:)?//[^\s\"'<]+", response.content.decode()))
    assert addresses == {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert "PingFang SC" in response.content.decode()


@pytest.mark.parametrize(("theme", "colours"), [("light", "#1c2126"), ("dark", "#e6e9ec")])
def test_a_chart_has_the_colours_of_its_reader(
    browser: Client, pia_user: User, month: list[WorkWindow], theme: str, colours: str
) -> None:
    User.objects.filter(pk=pia_user.pk).update(theme=theme)

    chart = browser.get(f"{URL}chart/hours.svg", MARCH).content.decode()

    assert f"--ink:{colours}" in chart
    assert "prefers-color-scheme" not in chart


def test_the_same_chart_is_the_same_file(browser: Client, month: list[WorkWindow]) -> None:
    first, second = (browser.get(f"{URL}chart/execution.svg", MARCH).content for _n in range(2))

    assert first == second


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_of_nothing_is_a_picture_too(browser: Client, name: str) -> None:
    response = browser.get(f"{URL}chart/{name}.svg", MARCH)

    assert response.status_code == 200
    etree.fromstring(response.content)


def test_names_of_branches_are_text_in_a_chart(browser: Client, city: SmallCity, month: list[WorkWindow]) -> None:
    Branch.objects.filter(pk=city.east.pk).update(name="<script>alert(1)</script>&", name_en="")

    root = etree.fromstring(browser.get(f"{URL}chart/execution.svg", MARCH).content)

    assert "<script>alert(1)</script>&" in [node.text for node in root.iter()]


def test_an_unknown_chart_and_table_are_missing(browser: Client) -> None:
    assert browser.get(f"{URL}chart/nothing.svg", MARCH).status_code == 404
    assert browser.get(f"{URL}report.csv", {**MARCH, "table": "nothing"}).status_code == 404


# --- exports ----------------------------------------------------------------------------------------


def test_windows_are_exported_with_their_four_times(browser: Client, month: list[WorkWindow]) -> None:
    browser.cookies["django_language"] = "en"

    heads, *rows = table(browser.get(f"{URL}report.csv", MARCH))

    assert len(rows) == len(month)
    late = dict(zip(heads, next(row for row in rows if row[0] == month[1].work.reference), strict=True))
    assert late["announced from"] == "2026-03-10 08:00"
    assert late["announced to"] == "2026-03-10 12:00"
    assert late["off since"] == "2026-03-10 08:00"
    assert late["restored at"] == "2026-03-10 13:00"
    assert (late["began by (min)"], late["ended by (min)"]) == ("0", "60")
    assert late["outcome"] == "ended late"
    assert (late["customer-hours announced"], late["customer-hours off"]) == ("8.0", "10.0")
    still_off = next(row for row in rows if row[0] == month[5].work.reference)
    assert dict(zip(heads, still_off, strict=True))["restored at"] == ""


@pytest.mark.parametrize("name", TABLES)
def test_every_table_of_the_page_is_exported_with_the_same_figures(
    browser: Client, month: list[WorkWindow], name: str
) -> None:
    heads, *rows = table(browser.get(f"{URL}report.csv", {**MARCH, "table": name}))

    assert {len(row) for row in rows} <= {len(heads)}
    if name in CHARTS:
        page = browser.get(URL, MARCH).context
        shown = next(shown for chart, shown in page["charts"] if chart.name == name)
        assert rows == [[str(cell.value) for cell in row] for row in shown.lines]


def test_nothing_in_an_export_runs_as_a_formula(browser: Client, city: SmallCity) -> None:
    window = happened(city, "T11", announced=(march(3), march(3, 12)), off=(march(3), march(3, 12)))
    PlannedWork.objects.filter(pk=window.work_id).update(title="=1+1", scope="@SUM(A1)", key="-2+3")
    Branch.objects.filter(pk=city.east.pk).update(name="+cmd", name_en="")

    cells = [cell for row in table(browser.get(f"{URL}report.csv", MARCH)) for cell in row]
    names = [row[0] for row in table(browser.get(f"{URL}report.csv", {**MARCH, "table": "branches"}))]

    assert {"'=1+1", "'@SUM(A1)", "'-2+3", "'+cmd"} <= set(cells)
    assert "'+cmd" in names


# --- cost -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ask",
    [
        lambda browser: browser.get(URL, MARCH),
        lambda browser: browser.get(f"{URL}chart/hours.svg", MARCH),
        lambda browser: text_of(browser.get(f"{URL}report.csv", MARCH)),
        lambda browser: browser.get("/planned/list/", {**MARCH, "figure": "published"}),
    ],
)
def test_statements_do_not_grow(browser: Client, city: SmallCity, ask: Callable[[Client], Any]) -> None:
    counted = []
    for _n in range(2):
        for day in range(2, 8):
            happened(city, "T11", announced=(march(day), march(day, 12)), off=(march(day), march(day, 12)))
        with CaptureQueriesContext(connection) as queries:
            ask(browser)
        counted.append(len(queries))

    assert counted[0] == counted[1]


def test_the_year_may_be_asked_in_one(browser: Client, month: list[WorkWindow]) -> None:
    assert browser.get(URL, {"since": "2026-01-01", "until": "2026-12-31"}).status_code == 200
