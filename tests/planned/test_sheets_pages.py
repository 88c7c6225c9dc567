"""The spreadsheet's pages: upload, progress, corrections cell by cell, import, and the workbook handed back."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import python_calamine
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from accounts.actor import Actor
from accounts.models import User
from outages.planned.models import PlannedWork, PlanPeriod, PlanSheet
from outages.planned.services import sheets
from tests.factories import accounts
from tests.factories.grid import SmallCity
from tests.planned.books import HEADINGS, book, good, imported, uploaded
from tests.planned.pages import text_of
from tests.planned.world import everything_planned, plan_of

BACKEND = "django.contrib.auth.backends.ModelBackend"
HTMX = {"HX-Request": "true"}


@pytest.fixture(autouse=True)
def _own_media(settings: Settings, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def plan(city: SmallCity, pia: Actor) -> PlanPeriod:
    return plan_of(city, pia, 20)


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user, backend=BACKEND)
    return client


@pytest.fixture
def browser(pia_user: User) -> Client:
    """Pia's, the planner of the east."""
    return signed_in(pia_user)


@pytest.fixture
def sheet(city: SmallCity, pia: Actor, plan: PlanPeriod) -> PlanSheet:
    """Two good rows, and two that name a place that is not there."""
    rows = [good("1"), good("2", "T1l", days=21), good("3", "T12", days=22), good("4", "T1l", days=23)]
    return uploaded(pia, book(HEADINGS, *rows), branch=city.east, period=plan)


def url(sheet: PlanSheet, rest: str = "") -> str:
    return f"/planned/sheets/{sheet.pk}/{rest}"


# --- upload ---------------------------------------------------------------------------------------------


def sent(browser: Client, plan: PlanPeriod, data: bytes) -> Any:
    return browser.post(
        "/planned/sheets/", {"plan": plan.pk, "file": SimpleUploadedFile("计划.xlsx", data), "token": "t"}
    )


def test_a_file_of_headings_alone_says_so(browser: Client, city: SmallCity, pia: Actor, plan: PlanPeriod) -> None:
    page = text_of(browser.get(url(uploaded(pia, book(HEADINGS), branch=city.east, period=plan))))

    assert "no rows below them" in page
    assert "is in the plan already" not in page


def test_a_file_goes_from_the_form_to_the_table(
    browser: Client, plan: PlanPeriod, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        response = sent(browser, plan, book(HEADINGS, good("1")))

    sheet = PlanSheet.objects.get()
    assert (response.status_code, response.headers["Location"]) == (302, url(sheet))
    assert (sheet.branch, sheet.period, sheet.file_name) == (plan.branch, plan, "计划.xlsx")
    sheets.sheet_read(sheet_id=sheet.pk)
    assert "Import 1 row" in text_of(browser.get(url(sheet)))


def test_the_form_sent_twice_is_one_file(browser: Client, plan: PlanPeriod) -> None:
    data = book(HEADINGS, good("1"))

    answers = {sent(browser, plan, data).headers["Location"] for _ in range(2)}

    assert len(answers) == PlanSheet.objects.count() == 1


def test_an_empty_file_is_told_in_the_form(browser: Client, plan: PlanPeriod) -> None:
    response = sent(browser, plan, b"")

    assert (response.status_code, PlanSheet.objects.count()) == (422, 0)
    assert "empty" in text_of(response)


def test_a_plan_of_another_branch_is_no_choice(city: SmallCity, plan: PlanPeriod) -> None:
    stranger = signed_in(accounts.user_with("planner", city.west))

    response = sent(stranger, plan, book(HEADINGS, good("1")))

    assert (response.status_code, PlanSheet.objects.count()) == (422, 0)


def test_whoever_does_not_plan_sees_no_form(city: SmallCity, sheet: PlanSheet) -> None:
    agent = signed_in(accounts.mei(city.bureau))

    answers = [agent.get(page).status_code for page in ("/planned/sheets/", "/planned/sheets/template.xlsx")]

    assert answers == [403, 403]
    assert agent.get(url(sheet)).status_code == 404


# --- while it runs -----------------------------------------------------------------------------------------


def test_progress_asks_again_by_itself_and_without_scripts_by_a_link(browser: Client, sheet: PlanSheet) -> None:
    PlanSheet.objects.filter(pk=sheet.pk).update(state="reading", progress=40)

    page = text_of(browser.get(url(sheet)))

    assert f'hx-get="{url(sheet)}" hx-trigger="every 2s"' in page
    assert '<progress max="100" value="40">' in page
    assert f'href="{url(sheet)}">Refresh' in page


def test_what_has_ended_is_not_asked_for_any_more(browser: Client, sheet: PlanSheet) -> None:
    assert "every 2s" not in text_of(browser.get(url(sheet)))


def test_a_refused_file_says_why_in_the_readers_language(
    city: SmallCity, pia: Actor, plan: PlanPeriod, browser: Client
) -> None:
    sheet = uploaded(pia, b"%PDF-1.7 x", branch=city.east, period=plan)

    english = text_of(browser.get(url(sheet), headers={"Accept-Language": "en"}))
    chinese = text_of(browser.get(url(sheet), headers={"Accept-Language": "zh-hans"}))

    assert "This is no spreadsheet." in english
    assert "This is no spreadsheet." not in chinese


# --- the table ----------------------------------------------------------------------------------------------


def test_only_what_is_to_be_corrected_stands_first(browser: Client, sheet: PlanSheet) -> None:
    page = text_of(browser.get(url(sheet)))
    everything = text_of(browser.get(url(sheet), {"show": "all"}))

    assert ('id="row-3"' in page, 'id="row-2"' in page) == (True, False)
    assert ('id="row-3"' in everything, 'id="row-2"' in everything) == (True, True)
    for label, count in (("All", 4), ("Can be imported", 2), ("To correct", 2)):
        assert f"{label} <strong>{count}</strong>" in page


def test_one_remedy_stands_once_for_all_its_rows(browser: Client, sheet: PlanSheet) -> None:
    page = text_of(browser.get(url(sheet)))

    assert page.count("Nothing of this name in the branch") == 1
    assert "Take it in 2 rows" in page


def test_the_suggestion_is_taken_everywhere(browser: Client, sheet: PlanSheet) -> None:
    response = browser.post(
        url(sheet, "replace/"), {"field": "elements", "old": "T1l", "new": "T11", "query": "show=all"}
    )

    sheet.refresh_from_db()
    assert (response.status_code, sheet.counts["wrong"], sheet.counts["ready"]) == (302, 0, 4)
    assert response.headers["Location"].startswith(url(sheet, "?show=all"))


def test_the_suggestion_is_taken_in_one_row(browser: Client, sheet: PlanSheet) -> None:
    browser.post(url(sheet, "replace/"), {"field": "elements", "old": "T1l", "new": "T11", "number": 3})

    sheet.refresh_from_db()
    assert (sheet.counts["wrong"], sheet.rows.get(number=3).edits) == (1, {"elements": "T11"})


def test_a_cell_is_corrected_in_place_and_the_next_is_under_the_cursor(browser: Client, sheet: PlanSheet) -> None:
    page = text_of(
        browser.post(
            url(sheet, "rows/3/"), {"field": "elements", "text": "T11", "query": "show=all&page=1"}, headers=HTMX
        )
    )

    assert "<html" not in page
    assert sheet.rows.get(number=3).is_wrong is False
    assert page.count("autofocus") == 1
    assert 'id="cell-5-elements"' in page[: page.index("autofocus")].rpartition("<input")[2]


def test_a_cell_is_corrected_without_scripts(browser: Client, sheet: PlanSheet) -> None:
    response = browser.post(url(sheet, "rows/3/"), {"field": "elements", "text": "T11", "query": "show=wrong&page=1"})

    assert response.headers["Location"] == url(sheet, "?show=wrong&page=1#row-3")
    assert sheet.rows.get(number=3).edits == {"elements": "T11"}


def test_what_somebody_typed_is_shown_and_never_run(browser: Client, sheet: PlanSheet) -> None:
    browser.post(url(sheet, "rows/3/"), {"field": "elements", "text": "<script>alert(1)</script>"})

    page = text_of(browser.get(url(sheet)))

    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_any_cell_of_a_row_can_be_opened_and_a_reason_added(browser: Client, sheet: PlanSheet) -> None:
    page = text_of(browser.get(url(sheet), {"show": "all", "row": "2"}))
    assert 'id="cell-2-title"' in page
    assert 'id="cell-2-temporary_reason"' in page

    browser.post(url(sheet, "rows/2/"), {"field": "temporary_reason", "text": "设备缺陷"})

    assert sheet.rows.get(number=2).edits == {"temporary_reason": "设备缺陷"}
    imported_sheet = imported(User.objects.get(username="pia").as_actor(), sheet)
    work = PlannedWork.objects.get(key="1")
    assert (imported_sheet.counts["imported"], work.temporary_reason, work.work_class) == (2, "设备缺陷", "temporary")


@pytest.mark.parametrize(("number", "field"), [(99, "title"), (3, "reference"), (3, "state"), (-1, "title")])
def test_a_cell_that_is_not_there_is_not_written(browser: Client, sheet: PlanSheet, number: int, field: str) -> None:
    before = list(sheet.rows.values())

    response = browser.post(f"/planned/sheets/{sheet.pk}/rows/{number}/", {"field": field, "text": "x"})

    assert response.status_code == 404
    assert list(sheet.rows.values()) == before


def test_the_table_costs_the_same_however_long_it_is(
    city: SmallCity, pia: Actor, plan: PlanPeriod, browser: Client, sheet: PlanSheet
) -> None:
    rows = [good(f"b{n}", "nowhere", days=20 + n % 5) for n in range(60)]
    longer = uploaded(pia, book(HEADINGS, *rows), branch=city.east, period=plan, form="long")
    browser.get(url(sheet))

    def statements(one: PlanSheet) -> int:
        with CaptureQueriesContext(connection) as asked:
            assert browser.get(url(one)).status_code == 200
        return len(asked)

    assert statements(sheet) == statements(longer)


# --- naming columns -------------------------------------------------------------------------------------------


def test_unknown_columns_are_named_once(city: SmallCity, pia: Actor, plan: PlanPeriod, browser: Client) -> None:
    data = book(["甲", "乙", "丙", "丁"], ["T11", good("1")[3], good("1")[4], "检修"])
    sheet = uploaded(pia, data, branch=city.east, period=plan)
    page = text_of(browser.get(url(sheet)))
    assert '<th scope="row">甲</th><td class="muted">T11</td>' in page

    named = {"column_0": "elements", "column_1": "starts_at", "column_2": "ends_at", "column_3": ""}
    browser.post(url(sheet, "mapping/"), named)

    sheet.refresh_from_db()
    assert sheet.state == "queued"
    sheets.sheet_read(sheet_id=sheet.pk)
    page = text_of(browser.get(url(sheet)))
    assert "Import 1 row" in page
    assert "ignored: 丁" in page
    # the workbook that comes back has one column more, and is the same file to us
    back = browser.get(url(sheet, "workbook/")).content
    again = uploaded(pia, back, branch=city.east, period=plan, form="again")
    assert (again.state, again.mapping) == ("checked", {"0": "elements", "1": "starts_at", "2": "ends_at"})


def test_too_few_columns_are_told_and_nothing_is_remembered(
    city: SmallCity, pia: Actor, plan: PlanPeriod, browser: Client
) -> None:
    sheet = uploaded(pia, book(["甲", "乙"], ["T11", "x"]), branch=city.east, period=plan)

    page = text_of(browser.post(url(sheet, "mapping/"), {"column_0": "elements"}, follow=True))

    assert "name at least these columns" in page
    assert PlanSheet.objects.get().state == "needs_mapping"


# --- import and afterwards -----------------------------------------------------------------------------------


def test_good_rows_are_imported_and_the_page_stays(
    browser: Client, sheet: PlanSheet, plan: PlanPeriod,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:  # fmt: skip
    for _click in range(2):
        with django_capture_on_commit_callbacks() as queued:
            assert browser.post(url(sheet, "import/")).status_code == 302
        assert len(queued) == 1
    assert [sheets.sheet_import(sheet_id=sheet.pk)["run"] for _ in queued * 2] == [1, 0]

    page = text_of(browser.get(url(sheet), {"show": "imported"}))

    for work in PlannedWork.objects.all():
        assert work.reference in page
    assert "To correct <strong>2</strong>" in page


def test_a_second_tab_that_shows_an_old_table_writes_nothing(browser: Client, sheet: PlanSheet) -> None:
    """One tab imported, the other still shows the row as it was."""
    imported(User.objects.get(username="pia").as_actor(), sheet)
    before = everything_planned()

    answers = [
        browser.post(url(sheet, "rows/2/"), {"field": "title", "text": "x"}).status_code,
        browser.post(url(sheet, "import/")).status_code,
    ]

    assert answers == [404, 302]
    assert everything_planned() == before


def test_a_file_that_is_thrown_away_changes_nothing_in_the_plan(browser: Client, sheet: PlanSheet) -> None:
    before = everything_planned()

    page = text_of(browser.post(url(sheet, "discard/"), follow=True))

    assert "nothing in the plan has changed" in page
    assert everything_planned() == before
    assert not sheets.path_of(sheet).exists()
    assert "plan.xlsx" not in page


# --- workbooks -----------------------------------------------------------------------------------------------


def first_sheet(response: Any) -> list[list[Any]]:
    return python_calamine.load_workbook(io.BytesIO(response.content)).get_sheet_by_index(0).to_python()


def test_the_workbook_comes_back_in_the_readers_language(browser: Client, sheet: PlanSheet) -> None:
    browser.post(url(sheet, "rows/3/"), {"field": "temporary_reason", "text": "=1+1"})

    response = browser.get(url(sheet, "workbook/"))
    wrong = browser.get(url(sheet, "workbook/"), {"only": "wrong"})

    assert response.headers["Content-Disposition"] == 'attachment; filename="plan-checked.xlsx"'
    rows = first_sheet(response)
    assert rows[0] == [*HEADINGS, "Why it cannot wait", "Problem"]
    assert (rows[2][-2], "T1l" in rows[2][-1], rows[1][-2]) == ("'=1+1", True, "")
    assert [row[0] for row in first_sheet(wrong)[1:]] == ["2", "4"]


def test_the_template_has_the_branchs_feeders_and_speaks_the_readers_language(browser: Client) -> None:
    english = browser.get("/planned/sheets/template.xlsx", headers={"Accept-Language": "en"})
    chinese = browser.get("/planned/sheets/template.xlsx", headers={"Accept-Language": "zh-hans"})

    assert first_sheet(english)[0][:4] == ["The branch's own number", "Feeder", "Equipment switched off", "Off from"]
    assert first_sheet(chinese)[0] != first_sheet(english)[0]
    lists = python_calamine.load_workbook(io.BytesIO(english.content)).get_sheet_by_name("lists")
    assert [row[1] for row in lists.to_python(skip_empty_area=False) if row[1]] == ["F1 F1号设备"]  # none of the west
