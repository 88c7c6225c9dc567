"""Sheets as branches really send them: the table is found, its columns are named, and all of it is imported."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from pytest_django import Settings

from accounts.actor import Actor
from grid.models import GridElement
from grid.spreadsheets import books
from outages.planned.intake import columns, reading, workbooks
from outages.planned.intake.problems import Problem
from outages.planned.models import PlannedWork, PlanPeriod
from outages.planned.services import sheets
from tests.conftest import DATA, needs_data
from tests.factories.grid import SmallCity
from tests.planned.books import HEADINGS, book, day, good, imported, problems, uploaded
from tests.planned.world import ahead, plan_of

FORMATS = DATA / "cn_outage" / "cn_formats_and_notices.json"


@pytest.fixture(autouse=True)
def _own_media(settings: Settings, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def plan(city: SmallCity, pia: Actor) -> PlanPeriod:
    return plan_of(city, pia, 20)


# --- three sheets ----------------------------------------------------------------------------------------


def office(plan: PlanPeriod) -> bytes:
    """A title, a date of filling in, a heading of two merged lines, full-width digits, totals and signatures."""
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True}) as made:
        notes, sheet = made.add_worksheet("填写说明"), made.add_worksheet("停电计划")
        notes.write_column(0, 0, ["一、每周四前上报", "二、时间写到分钟", "三、联系人必须填写"])
        sheet.merge_range("A1:H1", f"城东供电分局{plan.starts_on:%Y年%m月}停电计划表")
        sheet.write_row("A2", ["填报日期：", f"{ahead(-1):%Y.%m.%d}"])
        for first, last, words in (("A3", "A4", "序号"), ("B3", "B4", "停电线路"), ("C3", "C4", "停电设备")):
            sheet.merge_range(f"{first}:{last}", words)
        sheet.merge_range("D3:E3", "计划停电时间")
        sheet.write_row("D4", ["起", "止"])
        for column, words in (("F", "主要工作内容"), ("G", "工作负责人"), ("H", "联系电话")):
            sheet.merge_range(f"{column}3:{column}4", words)
        wide = str.maketrans("0123456789:", "０１２３４５６７８９：")
        when = f"{day():%m月%d日 %H:%M}".translate(wide)
        sheet.write_row("A5", [1, "Ｆ１", "T11、T12", when, "１２：００", "更换绝缘子", "王工", "13900000001"])
        sheet.write_row(
            "A6", [2, "F1号设备", "", f"{day(8, 21):%Y.%m.%d} 上午8点", "下午5点半", "线路检修", "李工", ""]
        )
        sheet.write_row("A7", [3, "F1", "L12", f"{day(22, 22):%m-%d %H:%M}", "次日6:00", "台区增容", "赵工", ""])
        sheet.write_row("A8", ["合计", "", "", "", "", "3项"])
        sheet.write_row("A9", ["审核：", "", "", "", "制表：", "", "王工"])
        for row in range(9, 400):
            sheet.write_blank(row, 0, None, made.add_format({"border": 1}))
    return out.getvalue()


def separate(plan: PlanPeriod) -> bytes:
    """Day and hours in columns of their own, serial numbers for dates, the unit in brackets, blanks around all."""
    serial = (day().date() - day().date().replace(year=1899, month=12, day=30)).days
    return book(
        [], [], ["", "10kV 停电线路（全称）", "停电日期", "停电时段", "停电原因", "是否计划内", "影响用户数", "  "],
        ["", "10kV F1", serial, "08:00-12:00", "设备检修", "是", 320, "  "],
        ["", "10kV F1", serial + 2, "13：00～17：00", "市政迁改", "是", 12, ""],
        ["", "", "", "", "", "", "", ""],
        ["", "10kV 停电线路（全称）", "停电日期", "停电时段", "停电原因", "是否计划内", "影响用户数", ""],
        ["", "10kV F1", serial + 4, "22:00-次日5:00", "负荷割接", "是", 5, ""],
        name="Sheet1",
    )  # fmt: skip


def text_file(plan: PlanPeriod) -> bytes:
    """A .csv of an office program: gb18030, semicolons, headings of the branch's own for where and when."""
    lines = [
        "计划编号;拉开哪里;几点停;几点送;工作内容",
        f"ZC-01;T11;{day():%Y/%m/%d %H:%M};{day(12):%Y/%m/%d %H:%M};更换绝缘子",
        f"ZC-02;T12;{day(8, 21):%Y年%m月%d日8时30分};{day(12, 21):%Y-%m-%d %H:%M};台区增容",
        f"ZC-03;L12;{day(8, 22):%Y%m%d0800};{day(8, 22):%Y%m%d1130};清障",
    ]
    return "\r\n".join(lines).encode("gb18030")


@pytest.mark.parametrize(
    ("made", "named"),
    [(office, {}), (separate, {}), (text_file, {1: "elements", 2: "starts_at"})],
    ids=["office", "separate columns", "csv"],
)
def test_a_messy_sheet_is_imported_with_two_columns_named_at_most(
    city: SmallCity, pia: Actor, plan: PlanPeriod, made: Any, named: dict[int, str]
) -> None:
    sheet = uploaded(pia, made(plan), branch=city.east, period=plan)
    if named:
        assert sheet.state == "needs_mapping"
        known = {int(column): name for column, name in sheet.mapping.items()}
        sheets.sheet_map(actor=pia, sheet_id=sheet.pk, mapping={**known, **named, 3: "ends_at"})
        sheets.sheet_read(sheet_id=sheet.pk)
        sheet.refresh_from_db()

    assert (sheet.state, problems(sheet)) == ("checked", {})
    sheet = imported(pia, sheet)

    assert (sheet.state, sheet.counts["imported"]) == ("imported", 3)
    hours = sorted(
        (round((window.ends_at - window.starts_at).total_seconds() / 3600, 1))
        for work in PlannedWork.objects.all()
        for window in work.windows.all()
    )
    assert hours == {office: [4.0, 8.0, 9.5], separate: [4.0, 4.0, 7.0], text_file: [3.5, 3.5, 4.0]}[made]


def test_the_office_sheet_says_what_it_says(city: SmallCity, pia: Actor, plan: PlanPeriod) -> None:
    sheet = uploaded(pia, office(plan), branch=city.east, period=plan)

    assert (sheet.sheet_name, sheet.header_row) == ("停电计划", 4)
    assert sheet.headers[3:5] == ["计划停电时间\n起", "计划停电时间\n止"]
    first, second, third = (row.values for row in sheet.rows.order_by("number"))
    assert (first["elements"], second["elements"], third["elements"]) == (["T11", "T12"], ["F1"], ["L12"])
    assert datetime.fromisoformat(first["starts_at"]) == ahead(20, 8)
    assert datetime.fromisoformat(third["ends_at"]) == ahead(23, 6)
    assert [row.number for row in sheet.rows.order_by("number")] == [5, 6, 7]


# --- headings -------------------------------------------------------------------------------------------


@needs_data
@pytest.mark.parametrize(
    ("name", "key", "fields"),
    [
        ("plan_sheet_headers", "columns", "key branch elements starts_at ends_at feeder title note contact_name"),
        ("plan_sheet_headers_2", "columns", "feeder day starts_at ends_at work_class reason note"),
    ],
)
def test_the_headings_of_public_forms_are_known(name: str, key: str, fields: str) -> None:
    headings = json.loads(FORMATS.read_text())[name][key]

    mapping = columns.guess(headings)

    assert list(mapping.values()) == fields.split()
    assert columns.is_enough(mapping)


@needs_data
def test_the_words_of_the_public_notice_service_are_known() -> None:
    words = json.loads(FORMATS.read_text())["fields_95598"]["fields"]

    of_codes, of_words = (set(columns.guess(list(names)).values()) for names in (words, words.values()))

    known = {"key", "work_class", "starts_at", "ends_at", "scope", "feeder", "elements", "reason"}
    assert known <= of_codes
    assert known <= of_words


@pytest.mark.parametrize(
    ("heading", "name"),
    [
        ("停电时间（起）", "starts_at"),
        ("停电时间(止)", "ends_at"),
        ("停电时长（小时）", "hours"),
        ("停电时间", "window"),
    ],
)
def test_brackets_hold_a_unit_or_half_of_what_is_said(heading: str, name: str) -> None:
    assert columns.field_of(heading) == name


def test_midnight_is_a_time_where_the_cell_shows_hours(city: SmallCity, pia: Actor, plan: PlanPeriod) -> None:
    """A spreadsheet keeps midnight and a day without a time as the same number."""
    data = book(HEADINGS, good("1", start=0, end=2), [*good("2", days=21)[:3], day(22, 21), day(0, 22), "x", "", ""])

    sheet = uploaded(pia, data, branch=city.east, period=plan)

    assert problems(sheet) == {}
    first, second = sheet.rows.order_by("number")
    assert datetime.fromisoformat(first.values["starts_at"]) == ahead(20, 0)
    assert datetime.fromisoformat(second.values["ends_at"]) == ahead(22, 0)
    back = workbooks.returned(sheets.table_of(sheet), [], mapping={})
    assert reading.table_of(books.book_of(back)).rows[0].cells[3] == f"{day(0):%Y-%m-%d} 00:00"


# --- names ----------------------------------------------------------------------------------------------


def test_a_name_that_two_pieces_have_asks_for_the_code(city: SmallCity, pia: Actor, plan: PlanPeriod) -> None:
    GridElement.objects.filter(code__in=["T11", "T12"]).update(name="东风台区")
    sheet = uploaded(pia, book(HEADINGS, good("1", "东风台区")), branch=city.east, period=plan)

    assert problems(sheet) == {2: {"ambiguous_place"}}
    assert Problem.of(sheet.rows.get().problems[0]).better == ("T11", "T12")


def test_several_pieces_in_one_cell_are_each_found_or_told(city: SmallCity, pia: Actor, plan: PlanPeriod) -> None:
    sheet = uploaded(pia, book(HEADINGS, good("1", "T11，T1Z; L12")), branch=city.east, period=plan)
    assert problems(sheet) == {2: {"unknown_place"}}

    assert sheets.rows_replace(actor=pia, sheet_id=sheet.pk, field="elements", old="T1Z", new="T12") == 1

    row = sheet.rows.get()
    assert (row.edits, row.is_wrong) == ({"elements": "T11、T12、L12"}, False)
    assert row.values["elements"] == ["T11", "T12", "L12"]


# --- there and back -------------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("soffice") is None, reason="there is no LibreOffice here")
def test_text_that_looks_like_a_formula_stays_text_through_another_program(
    city: SmallCity, pia: Actor, plan: PlanPeriod, tmp_path: Path
) -> None:
    row = [*good("1")[:5], '=HYPERLINK("http://x")', "@SUM(A1)", "+1"]
    sheet = uploaded(pia, book(HEADINGS, row), branch=city.east, period=plan)
    mapping = {int(column): name for column, name in sheet.mapping.items()}
    (tmp_path / "back.xlsx").write_bytes(workbooks.returned(sheets.table_of(sheet), [], mapping=mapping))

    for made, kind in (("back.xlsx", "ods"), ("back.ods", "xls"), ("back.xls", "csv")):
        subprocess.run(
            ["soffice", "--headless", f"-env:UserInstallation=file://{tmp_path}/profile", "--convert-to", kind, made],  # noqa: S607
            cwd=tmp_path, check=True, capture_output=True, timeout=120,
        )  # fmt: skip
        line = reading.table_of(books.book_of((tmp_path / f"back.{kind}").read_bytes())).rows[0]
        assert line.cells[5:8] == ('=HYPERLINK("http://x")', "@SUM(A1)", "+1")
        if kind == "ods":
            assert b"of:=" not in (tmp_path / "back.ods").read_bytes()
