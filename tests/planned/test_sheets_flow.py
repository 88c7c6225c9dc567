"""A branch's own spreadsheet from the upload to the plan, through its mistakes."""

from __future__ import annotations

import io
from datetime import timedelta
from typing import Any

import pytest
import python_calamine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from accounts.actor import Actor
from grid.models import GridElement
from grid.spreadsheets import books
from grid.spreadsheets.files import FileEmpty
from outages.planned import services
from outages.planned.intake import columns, reading, workbooks
from outages.planned.intake.problems import Problem
from outages.planned.models import ColumnMapping, PlannedWork, PlanPeriod, PlanSheet
from outages.planned.services import sheets
from standards.errors import Forbidden, NotFound
from tests.factories import accounts
from tests.factories.grid import SmallCity
from tests.planned.books import HEADINGS, book, day, good, imported, problems, uploaded
from tests.planned.world import ahead, answered_all, everything_planned, plan_of


@pytest.fixture(autouse=True)
def _own_media(settings: Settings, tmp_path: Any) -> None:
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def plan(city: SmallCity, pia: Actor) -> PlanPeriod:
    return plan_of(city, pia, 20)


def test_a_messy_chinese_sheet_goes_in_after_two_corrections(city: SmallCity, pia: Actor, plan: PlanPeriod) -> None:
    data = book(
        ["城东供电分局２０２６年停电计划"],
        [],
        list(HEADINGS),
        ["C-01", "F1号设备", "L11", f"{day():%Y年%m月%d日}８：００", f"{day():%m/%d} 下午2点半", "更换绝缘子", "王工"],
        ["C-02", "", "T1l", day(15), day(17), "柱上开关消缺", "李工", "=HYPERLINK(\"x\")"],
        ["C-03", "", "T12", day(18), day(9), "台区增容", "赵工", ""],
        ["合计", "", "", "", "", "3项"],
    )  # fmt: skip
    sheet = uploaded(pia, data, branch=city.east, period=plan)

    assert (sheet.state, sheet.sheet_name, sheet.header_row) == ("checked", "周计划", 3)
    assert (sheet.counts["all"], sheet.counts["wrong"], sheet.counts["ready"]) == (3, 2, 1)
    assert problems(sheet) == {5: {"unknown_place"}, 6: {"reversed"}}
    assert Problem.of(sheet.rows.get(number=5).problems[0]).better[0] in ("T11", "T12")

    assert sheets.rows_replace(actor=pia, sheet_id=sheet.pk, field="elements", old="T1l", new="T11") == 1
    sheets.row_edit(actor=pia, sheet_id=sheet.pk, number=6, field="ends_at", text=f"{day(21):%Y-%m-%d %H:%M}")
    sheet = imported(pia, sheet)

    assert (sheet.state, sheet.counts["imported"], sheet.counts["wrong"]) == ("imported", 3, 0)
    works = {work.key: work for work in PlannedWork.objects.all()}
    first = works["C-01"].windows.get()
    assert (first.starts_at, first.ends_at) == (ahead(20, 8), ahead(20, 14) + timedelta(minutes=30))
    assert [e.code for e in works["C-02"].elements.all()] == ["T11"]
    assert (works["C-01"].title, works["C-01"].contact_name, works["C-01"].period) == ("更换绝缘子", "王工", plan)


def test_good_rows_go_in_while_bad_ones_wait(city: SmallCity, pia: Actor, plan: PlanPeriod) -> None:
    sheet = uploaded(
        pia, book(HEADINGS, good("1"), good("2", "nowhere", start=13, end=14)), branch=city.east, period=plan
    )

    sheet = imported(pia, sheet)

    assert (sheet.state, sheet.counts["imported"], sheet.counts["wrong"]) == ("checked", 1, 1)
    assert [work.key for work in PlannedWork.objects.all()] == ["1"]
    sheets.row_edit(actor=pia, sheet_id=sheet.pk, number=3, field="elements", text="T12")
    assert imported(pia, sheet).state == "imported"
    assert {work.key for work in PlannedWork.objects.all()} == {"1", "2"}


def test_the_same_form_twice_is_one_upload_and_one_import(city: SmallCity, pia: Actor, plan: PlanPeriod) -> None:
    data = book(HEADINGS, good("1"))
    first = uploaded(pia, data, branch=city.east, period=plan)
    again = uploaded(pia, data, branch=city.east, period=plan)
    assert first.pk == again.pk

    sheets.sheet_import_start(actor=pia, sheet_id=first.pk)
    sheets.sheet_import_start(actor=pia, sheet_id=first.pk)
    runs = [sheets.sheet_import(sheet_id=first.pk)["run"] for _ in range(2)]

    assert runs == [1, 0]
    assert PlannedWork.objects.count() == 1


def test_the_file_again_shows_what_is_new_changed_gone_and_the_same(
    city: SmallCity, pia: Actor, plan: PlanPeriod
) -> None:
    imported(
        pia,
        uploaded(pia, book(HEADINGS, good("1"), good("2", days=21), good("3", days=22)), branch=city.east, period=plan),
    )

    changed = [*good("2", days=21)[:5], "更换避雷器", "王工", ""]
    data = book(HEADINGS, good("1"), changed, good("4", days=23))
    sheet = uploaded(pia, data, branch=city.east, period=plan, form="second")

    assert {row.key: row.change for row in sheet.rows.all()} == {
        "1": "unchanged", "2": "changed", "4": "new", "3": "removed",
    }  # fmt: skip
    sheet = imported(pia, sheet, remove=True)
    assert {work.key: (work.title, work.state) for work in PlannedWork.objects.all()} == {
        "1": ("更换绝缘子", "draft"),
        "2": ("更换避雷器", "draft"),
        "3": ("更换绝缘子", "cancelled"),
        "4": ("更换绝缘子", "draft"),
    }


def test_gone_rows_stay_unless_somebody_says_so(city: SmallCity, pia: Actor, plan: PlanPeriod) -> None:
    imported(pia, uploaded(pia, book(HEADINGS, good("1"), good("2", days=21)), branch=city.east, period=plan))
    imported(pia, uploaded(pia, book(HEADINGS, good("1"), good("3", days=22)), branch=city.east, period=plan, form="b"))

    assert set(PlannedWork.objects.values_list("key", "state")) == {("1", "draft"), ("2", "draft"), ("3", "draft")}


def test_unchanged_never_hides_invalid(city: SmallCity, pia: Actor, plan: PlanPeriod) -> None:
    imported(pia, uploaded(pia, book(HEADINGS, good("1")), branch=city.east, period=plan))
    element = GridElement.objects.get(code="T11")
    element.branch = city.west
    element.save(update_fields=["branch"])

    sheet = uploaded(pia, book(HEADINGS, good("1")), branch=city.east, period=plan, form="b")

    assert problems(sheet) == {2: {"unknown_place"}}


def test_rows_of_one_number_are_the_windows_of_one_work(city: SmallCity, pia: Actor, plan: PlanPeriod) -> None:
    data = book(HEADINGS, good("G1", start=6, end=8), good("G1", start=13, end=15))

    imported(pia, uploaded(pia, data, branch=city.east, period=plan))

    assert PlannedWork.objects.get().windows.count() == 2


def test_columns_are_named_once_and_remembered(city: SmallCity, pia: Actor, plan: PlanPeriod) -> None:
    headings = ["甲", "乙", "丙", "丁"]
    data = book(headings, ["T11", day(8), day(12), "检修"])
    sheet = uploaded(pia, data, branch=city.east, period=plan)
    assert (sheet.state, sheet.headers) == ("needs_mapping", headings)

    with pytest.raises(sheets.MappingIncomplete):
        sheets.sheet_map(actor=pia, sheet_id=sheet.pk, mapping={0: "elements"})
    sheets.sheet_map(
        actor=pia,
        sheet_id=sheet.pk,
        mapping={0: "elements", 1: "starts_at", 2: "ends_at", 3: "title", 9: "key", 5: "?"},
    )
    sheets.sheet_read(sheet_id=sheet.pk)
    sheet.refresh_from_db()
    assert (sheet.state, sheet.counts["ready"]) == ("checked", 1)

    assert ColumnMapping.objects.count() == 1
    assert uploaded(pia, data, branch=city.east, period=plan, form="next").state == "checked"


def test_the_best_of_several_sheets_is_read_and_another_can_be_chosen(
    city: SmallCity, pia: Actor, plan: PlanPeriod
) -> None:
    data = book(HEADINGS, good("1"), 说明=[["本表由各班组填写"], ["联系电话", "1234"]])
    sheet = uploaded(pia, data, branch=city.east, period=plan)
    assert (sheet.sheet_name, sheet.sheet_names) == ("周计划", ["说明", "周计划"])

    sheets.sheet_choose(actor=pia, sheet_id=sheet.pk, sheet_name="说明")
    sheets.sheet_read(sheet_id=sheet.pk)
    sheet.refresh_from_db()
    assert (sheet.sheet_name, sheet.state) == ("说明", "needs_mapping")


# --- refusals ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (["1", "", "T11", "", day(12), "x", "", ""], "missing"),
        (["1", "", "", day(8), day(12), "x", "", ""], "missing"),
        (["1", "", "T11", day(8), day(8), "x", "", ""], "reversed"),
        (["1", "", "T21", day(8), day(12), "x", "", ""], "unknown_place"),  # of another branch
        (["1", "", "T11", "05/06/2026 8:00", day(12), "x", "", ""], "ambiguous_date"),
        (["1", "", "T11", "31/11", day(12), "x", "", ""], "no_such_day"),
        (["1", "", "T11", "soon", day(12), "x", "", ""], "bad_date"),
        (["1", "", "T11", day(8, days=70), day(12, days=70), "x", "", ""], "outside_plan"),
        (["1", "", "T11", day(8), day(12), "x" * 300, "", ""], "too_long_text"),
        (["1" * 80, "", "T11", day(8), day(12), "x", "", ""], "too_long_text"),
        (["1", "", "T11", day(8), "25:00", "x", "", ""], "no_such_time"),
        (["1", "", "T11", day(8), "#REF!", "x", "", ""], "formula_error"),
    ],
)
def test_a_wrong_cell_says_what_is_wrong(
    city: SmallCity, pia: Actor, plan: PlanPeriod, row: list[Any], code: str
) -> None:
    sheet = uploaded(pia, book(HEADINGS, row), branch=city.east, period=plan)

    assert code in problems(sheet)[2], sheet.rows.get().problems
    with pytest.raises(sheets.NothingToImport):
        sheets.sheet_import_start(actor=pia, sheet_id=sheet.pk)
    assert not PlannedWork.objects.exists()


def test_duplicate_and_overlapping_rows_are_told_apart(city: SmallCity, pia: Actor, plan: PlanPeriod) -> None:
    data = book(
        HEADINGS,
        good("1"),
        good("1"),
        good("2", days=21),
        good("2", start=10, end=14, days=21),
        good("", days=22),
        good("", days=22),
    )

    sheet = uploaded(pia, data, branch=city.east, period=plan)

    found = problems(sheet)
    assert ("duplicate" in found[3], "overlap" in found[5], "duplicate" in found[7]) == (True, True, True)


def test_nobody_imports_for_another_branch(city: SmallCity, pia: Actor, plan: PlanPeriod, lena: Actor) -> None:
    stranger = accounts.actor_of(accounts.user_with("planner", city.west))
    sheet = uploaded(pia, book(HEADINGS, good("1")), branch=city.east, period=plan)
    before = everything_planned()

    for actor in (stranger, lena):
        with pytest.raises(Forbidden):
            sheets.sheet_upload(actor=actor, branch=city.east, period=plan, chunks=[b"x"], file_name="a", token="z")
        with pytest.raises(Forbidden):
            sheets.row_edit(actor=actor, sheet_id=sheet.pk, number=2, field="title", text="x")
        with pytest.raises(Forbidden):
            sheets.sheet_import_start(actor=actor, sheet_id=sheet.pk)
    with pytest.raises(NotFound):
        sheets.sheet_upload(actor=stranger, branch=city.west, period=plan, chunks=[b"x"], file_name="a", token="z")
    assert everything_planned() == before


def test_a_plan_that_was_handed_in_takes_no_rows(city: SmallCity, pia: Actor, plan: PlanPeriod) -> None:
    imported(pia, uploaded(pia, book(HEADINGS, good("1")), branch=city.east, period=plan))
    sheet = uploaded(pia, book(HEADINGS, good("2", days=21)), branch=city.east, period=plan, form="b")
    answered_all(plan.works.select_related("branch"), pia)
    services.period_submit(actor=pia, period_id=plan.pk)

    with pytest.raises(sheets.SheetNotWaiting):
        sheets.sheet_import_start(actor=pia, sheet_id=sheet.pk)
    with pytest.raises(sheets.SheetNotWaiting):
        uploaded(pia, b"x", branch=city.east, period=plan, form="c")
    assert PlannedWork.objects.count() == 1


def test_what_is_refused_while_importing_is_told_and_nothing_is_written(
    city: SmallCity, pia: Actor, plan: PlanPeriod
) -> None:
    sheet = uploaded(pia, book(HEADINGS, good("1"), good("2", days=21)), branch=city.east, period=plan)
    sheets.sheet_import_start(actor=pia, sheet_id=sheet.pk)
    PlanPeriod.objects.filter(pk=plan.pk).update(state="submitted")  # somebody was faster

    sheets.sheet_import(sheet_id=sheet.pk)

    sheet.refresh_from_db()
    assert (sheet.state, sheet.error["code"], sheet.counts["imported"]) == ("checked", "not_editable", 0)
    assert not PlannedWork.objects.exists()


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x00\x00", "sheet_empty"),
        (b"%PDF-1.7 x", "sheet_format"),
        (b"<html><table><tr><td>a</td></tr></table></html>", "sheet_web_page"),
        (b"a\x00b", "sheet_format"),
    ],
)
def test_what_is_no_spreadsheet_is_refused_plainly(
    city: SmallCity, pia: Actor, plan: PlanPeriod, data: bytes, code: str
) -> None:
    sheet = uploaded(pia, data, branch=city.east, period=plan)

    assert (sheet.state, sheet.error["code"]) == ("failed", code)
    assert not sheet.rows.exists()


def test_an_empty_file_is_not_even_kept(city: SmallCity, pia: Actor, plan: PlanPeriod) -> None:
    with pytest.raises(FileEmpty):
        uploaded(pia, b"", branch=city.east, period=plan)

    assert not PlanSheet.objects.exists()


def test_a_worker_that_dies_leaves_nothing_half_done(
    city: SmallCity, pia: Actor, plan: PlanPeriod, monkeypatch: pytest.MonkeyPatch
) -> None:
    sheet = uploaded(pia, book(HEADINGS, good("1")), branch=city.east, period=plan)
    sheets.sheet_import_start(actor=pia, sheet_id=sheet.pk)

    class Killed(BaseException):
        pass

    def die(*_args: Any, **_kw: Any) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(sheets.importing, "ended", die)
        with pytest.raises(Killed):
            sheets.sheet_import(sheet_id=sheet.pk)
    assert not PlannedWork.objects.exists()
    assert PlanSheet.objects.get().state == "importing"

    assert sheets.sheet_import(sheet_id=sheet.pk)["works"] == 1
    assert PlanSheet.objects.get().state == "imported"


# --- handed back -------------------------------------------------------------------------------------------


def test_the_branchs_workbook_comes_back_with_what_is_wrong(city: SmallCity, pia: Actor, plan: PlanPeriod) -> None:
    data = book(["标题"], HEADINGS, good("1"), [*good("2", "nowhere", days=21)[:7], "+1234"])
    sheet = uploaded(pia, data, branch=city.east, period=plan)
    marks = [
        workbooks.Marked(row.number, {}, tuple(Problem.of(kept) for kept in row.problems)) for row in sheet.rows.all()
    ]
    mapping = {int(column): name for column, name in sheet.mapping.items()}

    back = workbooks.returned(sheets.table_of(sheet), marks, mapping=mapping)
    wrong = workbooks.returned(sheets.table_of(sheet), marks, mapping=mapping, only_wrong=True)

    rows = python_calamine.load_workbook(io.BytesIO(back)).get_sheet_by_name("周计划").to_python()
    assert rows[0][0] == "标题"
    assert rows[1][: len(HEADINGS)] == list(HEADINGS)
    assert rows[1][len(HEADINGS)] == "Problem"
    assert rows[2][3] == day(8)
    assert "nowhere" not in str(rows[2][len(HEADINGS)])
    assert "nowhere" in str(rows[3][len(HEADINGS)])
    assert rows[3][7] == "'+1234"
    only = python_calamine.load_workbook(io.BytesIO(wrong)).get_sheet_by_name("周计划").to_python()
    assert [row[0] for row in only[2:]] == ["2"]

    table = reading.table_of(books.book_of(back))
    assert [line.cells[0] for line in table.rows] == ["1", "2"]
    assert table.rows[1].cells[7] == "+1234"  # the escape is taken off again


def test_our_template_is_understood_as_it_comes(city: SmallCity, pia: Actor, plan: PlanPeriod) -> None:
    data = workbooks.template(feeders=[("F1", "F1号设备")])

    first = books.book_of(data).sheets[0]

    assert first.name == "Plan"
    headings = first.lines[0].cells
    assert set(columns.guess(headings).values()) == set(workbooks.TEMPLATE)


# --- size ----------------------------------------------------------------------------------------------------


def test_statements_grow_with_batches_not_with_rows(city: SmallCity, pia: Actor, plan: PlanPeriod) -> None:
    def statements(count: int, token: str) -> tuple[int, int]:
        rows = [good(f"{token}{n}", "T11" if n % 2 else "T12", start=8, end=9, days=20) for n in range(count)]
        sheet = sheets.sheet_upload(
            actor=pia, branch=city.east, period=plan, chunks=[book(HEADINGS, *rows)], file_name="a", token=token
        )
        with CaptureQueriesContext(connection) as read:
            sheets.sheet_read(sheet_id=sheet.pk)
        sheets.sheet_import_start(actor=pia, sheet_id=sheet.pk)
        with CaptureQueriesContext(connection) as written:
            sheets.sheet_import(sheet_id=sheet.pk)
        assert PlannedWork.objects.filter(key__startswith=token).count() == count
        return len(read), len(written)

    statements(3, "w")
    assert statements(20, "a") == statements(200, "b")


def test_five_thousand_rows_take_as_many_statements_as_five_hundred_and_some_batches(
    city: SmallCity, pia: Actor, plan: PlanPeriod
) -> None:
    """Checked to the last row, so with a mistake in each there is nothing to import and little to write."""

    def statements(count: int, form: str) -> int:
        rows = [good(f"{n}", f"T1{n}X", start=8, end=9) for n in range(count)]
        sheet = sheets.sheet_upload(
            actor=pia, branch=city.east, period=plan, chunks=[book(HEADINGS, *rows)], file_name="a", token=form
        )
        with CaptureQueriesContext(connection) as read:
            sheets.sheet_read(sheet_id=sheet.pk)
        sheet.refresh_from_db()
        assert (sheet.counts["all"], sheet.counts["wrong"]) == (count, count)
        return len(read)

    statements(3, "w")
    assert statements(5_000, "b") - statements(500, "a") == 4  # 5 batches of a thousand rows instead of one


# --- tasks that die --------------------------------------------------------------------------------------------


def test_a_lost_task_is_taken_up_again_and_at_last_given_up(city: SmallCity, pia: Actor, plan: PlanPeriod) -> None:
    sheet = uploaded(pia, book(HEADINGS, good("1")), branch=city.east, period=plan)
    long_ago = timezone.now() - timedelta(hours=1)
    PlanSheet.objects.filter(pk=sheet.pk).update(state="queued", created_at=long_ago, counts={})

    found = [sheets.sheets_left_behind() for _turn in range(sheets.MOST_TRIES + 2)]

    assert found == [[(sheet.pk, "queued")]] * sheets.MOST_TRIES + [[], []]
    sheet.refresh_from_db()
    assert (sheet.state, sheet.error["code"]) == ("failed", "sheet_unreadable")


def test_an_import_that_dies_again_and_again_leaves_its_rows_to_try_once_more(
    city: SmallCity, pia: Actor, plan: PlanPeriod
) -> None:
    sheet = uploaded(pia, book(HEADINGS, good("1")), branch=city.east, period=plan)
    sheets.sheet_import_start(actor=pia, sheet_id=sheet.pk)
    PlanSheet.objects.filter(pk=sheet.pk).update(
        created_at=timezone.now() - timedelta(hours=1), counts={**sheet.counts, "tries": sheets.MOST_TRIES}
    )

    assert sheets.sheets_left_behind() == []

    sheet.refresh_from_db()
    assert (sheet.state, sheet.error["code"], sheet.counts["ready"]) == ("checked", "import_died", 1)
    assert not PlannedWork.objects.exists()
    assert imported(pia, sheet).state == "imported"


def test_whoever_imports_is_the_author_whoever_uploaded(city: SmallCity, pia: Actor, plan: PlanPeriod) -> None:
    other = accounts.actor_of(accounts.user_with("planner", city.east, username="paul"))
    sheet = uploaded(pia, book(HEADINGS, good("1")), branch=city.east, period=plan)

    imported(other, sheet)

    assert PlannedWork.objects.get().author_id == other.user_id


def test_corrections_outlive_a_new_naming_of_the_columns(city: SmallCity, pia: Actor, plan: PlanPeriod) -> None:
    sheet = uploaded(pia, book(HEADINGS, good("1", "nowhere")), branch=city.east, period=plan)
    sheets.row_edit(actor=pia, sheet_id=sheet.pk, number=2, field="elements", text="T12")

    sheets.sheet_map(actor=pia, sheet_id=sheet.pk, mapping={2: "elements", 3: "starts_at", 4: "ends_at"})
    sheets.sheet_read(sheet_id=sheet.pk)

    row = sheet.rows.get()
    assert (row.edits, row.is_wrong) == ({"elements": "T12"}, False)


def test_a_window_inside_another_is_told_however_many_lie_between(
    city: SmallCity, pia: Actor, plan: PlanPeriod
) -> None:
    rows = [good("1", start=8, end=20), good("1", start=9, end=10), good("1", start=11, end=12)]

    sheet = uploaded(pia, book(HEADINGS, *rows), branch=city.east, period=plan)

    assert {number: "overlap" in codes for number, codes in problems(sheet).items()} == {2: False, 3: True, 4: True}
