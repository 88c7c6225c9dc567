"""Rotation tables from files: three forms, what is wrong said by line and column, whole or not at all."""

from __future__ import annotations

import csv
import io
from datetime import date, time
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from django.utils import translation
from pytest_django import Settings

from accounts.actor import Actor
from grid.spreadsheets.books import book_of
from grid.spreadsheets.files import FileRefused
from grid.spreadsheets.markup import UNCALCULATED
from outages.load_shedding.intake import workbooks
from outages.load_shedding.intake.coverage import coverage_of
from outages.load_shedding.intake.reading import Setting, Understood, understood
from outages.load_shedding.models import SheddingPlan
from outages.load_shedding.rotation import LAST_DAY, Row
from outages.load_shedding.selectors import rows_of
from outages.load_shedding.services import drafts, plans, tables
from standards.errors import Conflict, Forbidden, NotFound
from tests.factories.grid import SmallCity
from tests.shedding.world import draft, every_day, everything_shed

SETTING = Setting({"A": "A", "B": "B", "C-1": "C-1", "old": "A"}, frozenset({1, 2, 3}), 1)


def read(text: str, setting: Setting = SETTING) -> Understood:
    return understood(book_of(text.encode()), setting)


def rows(text: str) -> list[tuple[Any, ...]]:
    found = read(text)
    assert [str(problem) for problem in found.problems] == []
    return [
        (row.stage, row.block, row.recurrence, row.day, f"{row.starts:%H:%M}-{row.ends:%H:%M}") for row in found.rows
    ]


def problems(text: str) -> list[tuple[int, str, str]]:
    found = read(text)
    return [(problem.line, problem.field, problem.code) for problem in found.problems]


def workbook(*lines: tuple[Any, ...]) -> bytes:
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True}) as book:
        clock = book.add_format({"num_format": "hh:mm"})
        sheet = book.add_worksheet("轮换表")
        for n, line in enumerate(lines):
            for m, value in enumerate(line):
                if isinstance(value, time):
                    sheet.write_datetime(n, m, value, clock)
                else:
                    sheet.write(n, m, value)
    return out.getvalue()


# --- rows -----------------------------------------------------------------------------------------------


def test_a_line_is_a_turn_on_a_day_of_the_month() -> None:
    assert rows("stage,day,from,until,block\n2,5,08:00,10:30,A\n") == [(2, "A", "monthly", 5, "08:00-10:30")]


def test_chinese_headings_full_width_digits_and_several_at_once() -> None:
    assert rows("阶段,星期,时段,区块\n1-2,周一、5,２２：００－00:30,A、B\n") == [
        (stage, block, "weekly", day, "22:00-00:30") for stage in (1, 2) for block in "AB" for day in (1, 5)
    ]


def test_the_last_day_of_the_month_and_midnight() -> None:
    assert rows("day,from,until,block\nlast,22:00,24:00,A\n最后一天,00:00,24:00,B\n") == [
        (1, "A", "monthly", LAST_DAY, "22:00-00:00"),
        (1, "B", "monthly", LAST_DAY, "00:00-00:00"),
    ]


def test_a_cycle_says_its_length_and_from_when_it_counts() -> None:
    found = read("cycle day,cycle days,counted from,from,until,block\n2,4,2026-3-1,8:00,10:00,B\n")
    assert found.rows == [Row(1, "B", "periodic", 2, time(8), time(10), 4, date(2026, 3, 1))]


def test_without_days_every_day_is_meant_and_a_dash_may_be_part_of_a_name() -> None:
    assert rows("from,until,block\n8,9,C-1\n") == [(1, "C-1", "weekly", day, "08:00-09:00") for day in range(1, 8)]


def test_a_former_name_finds_its_block() -> None:
    assert rows("day,from,until,block\n1,08:00,10:00,old\n") == [(1, "A", "monthly", 1, "08:00-10:00")]


def test_what_is_wrong_is_said_by_line_and_column() -> None:
    text = (
        "some title,,,,\n"
        "stage,day,from,until,block\n"
        "7,1,08:00,10:00,A\n"
        "1,32,08:00,10:00,A\n"
        "1,0,08:00,10:00,A\n"
        "1,1,25:00,10:00,A\n"
        "1,1,08:00,,A\n"
        "1,1,08:00,08:00,A\n"
        "1,1,08:00,10:00,X\n"
        "x,5-3,8:00,9:00,\n"
    )
    assert problems(text) == [
        (3, "stage", "unknown_stage"),
        (4, "day", "bad_day"),
        (5, "day", "bad_day"),
        (6, "starts", "bad_time"),
        (7, "ends", "missing"),
        (8, "ends", "no_length"),
        (9, "block", "unknown_block"),
        (10, "stage", "bad_stage"),
        (10, "day", "bad_day"),
        (10, "block", "missing"),
    ]


def test_the_words_of_a_problem_say_what_to_write() -> None:
    assert str(read("day,from,until,block\n32,8:00,9:00,A\n").problems[0]) == (
        "“32” is no day. Write 1 to 31, several with commas, a range with a dash."
    )


def test_two_kinds_of_day_in_one_line_are_not_guessed_between() -> None:
    assert problems("day,weekday,from,until,block\n1,2,08:00,10:00,A\n") == [(2, "weekday", "two_days")]


def test_a_file_without_a_table_says_so() -> None:
    assert problems("a,b\n1,2\n") == [(1, "", "no_table")]
    assert problems("day,from,until,block\n") == [(1, "", "no_rows")]


# --- matrices ---------------------------------------------------------------------------------------------


def test_a_matrix_by_block_with_marks() -> None:
    text = "stage,day,time,A,B\n1,1,08:00-10:00,x,\n2,1,10:00-12:00,?,x\n"
    found = read(text)
    assert [(row.stage, row.block, f"{row.starts:%H}", row.is_possible) for row in found.rows] == [
        (1, "A", "08", False),
        (2, "A", "10", True),
        (2, "B", "10", False),
    ]


def test_a_matrix_by_block_with_stages_in_its_cells() -> None:
    assert rows("day,time,A,B\n1,08:00-10:00,2-3,x\n") == [
        (2, "A", "monthly", 1, "08:00-10:00"),
        (3, "A", "monthly", 1, "08:00-10:00"),
        (1, "B", "monthly", 1, "08:00-10:00"),
    ]


def test_a_matrix_by_stage_with_blocks_in_its_cells() -> None:
    assert rows('weekday,from,until,第1级,stage 2\n3,22:00,00:30,A,"A, B"\n') == [
        (1, "A", "weekly", 3, "22:00-00:30"),
        (2, "A", "weekly", 3, "22:00-00:30"),
        (2, "B", "weekly", 3, "22:00-00:30"),
    ]


def test_headings_and_cells_of_a_matrix_that_mean_nothing() -> None:
    assert problems("day,time,A,Q\n1,08:00-10:00,x,x\n") == [(1, "", "unknown_heading")]
    assert problems("day,time,stage 1,stage 9\n1,08:00-10:00,A,A\n") == [(1, "", "unknown_stage")]
    assert problems("day,time,A,B\n1,08:00-10:00,perhaps,4\n") == [(2, "A", "bad_mark"), (2, "B", "unknown_stage")]
    assert problems("day,time,A\n1,08:00,x\n") == [(2, "time", "bad_span")]


# --- half hours -------------------------------------------------------------------------------------------


def half_hours(codes: dict[int, str], block: str = "A") -> str:
    heads = ",".join(map(str, range(1, 25)))
    return f"weekday,block,{heads}\n1,{block},{','.join(codes.get(hour, 'yes') for hour in range(1, 25))}\n"


def test_a_table_of_half_hours() -> None:
    found = read(half_hours({13: "second", 14: "no", 17: "first", 24: "maybe", 2: "bogus"}))
    assert [(f"{row.starts:%H:%M}-{row.ends:%H:%M}", row.is_possible) for row in found.rows] == [
        ("12:30-14:00", False),
        ("16:00-16:30", False),
        ("23:00-00:00", True),
    ]
    assert found.unknown_codes == {"bogus"}


# --- formulas -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("stage,day,from,until,block\n1,{},08:00,10:00,A\n", "day"),
        ("day,time,A,B\n1,08:00-10:00,{},x\n", "A"),
        (half_hours({13: "{}", 14: "no"}), "13"),
    ],
)
def test_a_formula_without_its_value_is_said_by_its_column(text: str, column: str) -> None:
    found = read(text.format(f"{UNCALCULATED}=B2"))
    assert [(problem.line, problem.field, problem.code) for problem in found.problems] == [(2, column, "formula")]
    assert found.rows == []


# --- what a table leaves open -------------------------------------------------------------------------------


def test_gaps_and_overlaps_are_told_with_their_days() -> None:
    table = [*every_day("A", "00:00", "14:00"), *every_day("B", "14:00", "00:00")]
    table.remove(Row(1, "B", "weekly", 3, time(14), time(0)))
    table.append(Row(1, "A", "weekly", 7, time(22), time(1)))  # into Monday

    coverage = coverage_of(table)

    assert [(gap.stage, gap.begins, gap.until, gap.minutes) for gap in coverage.gaps] == [
        (1, "Wednesday, 14:00", "Thursday, 00:00", 600)
    ]
    assert [(one.block, one.begins, one.until) for one in coverage.overlaps] == [("A", "Monday, 00:00", "01:00")]


# --- taking it --------------------------------------------------------------------------------------------


@pytest.fixture
def plan(city: SmallCity, asha: Actor, settings: Settings, tmp_path: Path) -> SheddingPlan:
    """A draft with turns in both of its stages."""
    settings.MEDIA_ROOT = tmp_path
    turns = [*every_day("A", "08:00", "10:00"), *every_day("B", "08:00", "10:00", stage=2)]
    return draft(city, asha, turns=turns)


def kept(asha: Actor, plan: SheddingPlan, data: bytes) -> str:
    return tables.table_keep(actor=asha, plan=plan, chunks=[data[:10], data[10:]])


def test_a_workbook_replaces_the_turns_of_its_stages_and_no_others(asha: Actor, plan: SheddingPlan) -> None:
    data = workbook(
        ("阶段", "日", "起", "止", "区块"), (1, 31, time(22), time(0, 30), "C"), (1, "last", 8.0, "9:30", "A")
    )

    checked = tables.table_take(actor=asha, plan=plan, digest=kept(asha, plan, data), stage=1)

    assert checked.found.form == "rows"
    assert set(rows_of(plan)) == {
        Row(1, "C", "monthly", 31, time(22), time(0, 30)),
        Row(1, "A", "monthly", LAST_DAY, time(8), time(9, 30)),
        *every_day("B", "08:00", "10:00", stage=2),
    }


def test_a_single_wrong_row_and_nothing_is_taken(asha: Actor, plan: SheddingPlan) -> None:
    digest = kept(asha, plan, b"stage,day,from,until,block\n1,1,08:00,10:00,A\n1,2,08:00,10:00,Z\n")
    before = everything_shed()

    with pytest.raises(tables.TableWrong):
        tables.table_take(actor=asha, plan=plan, digest=digest, stage=1)

    assert everything_shed() == before


def test_a_table_looked_at_in_an_older_draft_is_a_conflict(asha: Actor, plan: SheddingPlan) -> None:
    digest = kept(asha, plan, b"stage,day,from,until,block\n1,1,08:00,10:00,A\n")
    drafts.blocks_measure(actor=asha, plan_id=plan.pk)
    before = everything_shed()

    with pytest.raises(Conflict):
        tables.table_take(actor=asha, plan=plan, digest=digest, stage=1, expected_version=plan.version)

    assert everything_shed() == before


def test_only_what_was_put_aside_for_this_plan_is_taken(asha: Actor, plan: SheddingPlan) -> None:
    first = kept(asha, plan, b"stage,day,from,until,block\n1,1,08:00,10:00,A\n")
    second = kept(asha, plan, b"stage,day,from,until,block\n1,2,08:00,10:00,A\n")

    for digest in (first, "../../etc/passwd", "0" * 64):
        with pytest.raises(NotFound):
            tables.table_check(plan=plan, digest=digest, stage=1)
    assert tables.table_check(plan=plan, digest=second, stage=1).found.rows[0].day == 2


def test_whoever_may_not_edit_puts_nothing_aside(otto: Actor, plan: SheddingPlan, tmp_path: Path) -> None:
    with pytest.raises(Forbidden):
        kept(otto, plan, b"stage,day,from,until,block\n1,1,08:00,10:00,A\n")
    assert list(tmp_path.rglob("*")) == []


def test_what_is_no_spreadsheet_is_refused(asha: Actor, plan: SheddingPlan) -> None:
    with pytest.raises(FileRefused):
        tables.table_check(plan=plan, digest=kept(asha, plan, b"%PDF-1.7 \x00\x01\x02"), stage=1)


def test_a_table_of_an_approved_version_is_not_replaced(asha: Actor, otto: Actor, plan: SheddingPlan) -> None:
    digest = kept(asha, plan, b"stage,day,from,until,block\n1,1,08:00,10:00,A\n")
    plans.plan_approve(actor=otto, plan_id=plan.pk, is_accepted=True)
    before = everything_shed()

    with pytest.raises(plans.NotADraft):
        tables.table_take(actor=asha, plan=plan, digest=digest, stage=1)

    assert everything_shed() == before


# --- going out --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_what_goes_out_can_be_read_again(language: str) -> None:
    table = [
        Row(1, "A", "monthly", LAST_DAY, time(22), time(0)),
        Row(2, "B", "weekly", 7, time(8), time(10, 30), is_possible=True),
        Row(3, "C-1", "periodic", 2, time(23), time(1), 19, date(2023, 2, 18)),
    ]
    out = io.StringIO()
    with translation.override(language):
        csv.writer(out).writerows([workbooks.headings(), *workbooks.lines(table)])

    assert read(out.getvalue()).rows == table


@pytest.mark.parametrize("sheet", [0, 1, 2])
def test_each_sheet_of_the_template_is_understood(sheet: int) -> None:
    book = book_of(workbooks.template(blocks=["A", "B"], slot_minutes=120))
    assert [problem.code for problem in understood(book, SETTING).problems] == ["no_rows"]

    lines = [list(line.cells) for line in book.sheets[sheet].lines]
    lines[1:2] = [
        [["1", "5", "", "", "", "", "08:00", "10:00", "A", ""]],
        [["1", "5", "08:00-10:00", "x", ""]],
        [["1", "5", "A", *(["no"] * 24)]],
    ][sheet]
    out = io.StringIO()
    csv.writer(out).writerows(lines)

    found = read(out.getvalue())

    assert (found.form, len(found.rows), found.rows[0].block) == (("rows", "matrix", "half_hours")[sheet], 1, "A")
