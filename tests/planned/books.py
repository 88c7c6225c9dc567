"""Workbooks as branches send them, made cell by cell."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import xlsxwriter

from accounts.actor import Actor
from grid.models import Branch
from outages.planned.models import PlanPeriod, PlanSheet
from outages.planned.services import sheets
from tests.planned.world import ahead

# 编号 … as the public application forms have them
HEADINGS = ("编号", "停电线路名称", "停电设备名称", "停电开始时间", "停电结束时间", "检修内容", "负责人", "备注")


def book(*lines: Sequence[Any], name: str = "周计划", **others: Sequence[Sequence[Any]]) -> bytes:
    """An .xlsx with one sheet of these lines; further sheets by their names."""
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True, "strings_to_formulas": False}) as made:
        moment = made.add_format({"num_format": "yyyy/m/d h:mm"})
        for title, rows in {**others, name: lines}.items():
            sheet = made.add_worksheet(title)
            for at, line in enumerate(rows):
                for column, value in enumerate(line):
                    if isinstance(value, datetime | date):
                        sheet.write_datetime(at, column, value, moment)
                    elif value not in ("", None):
                        sheet.write(at, column, value)
    return out.getvalue()


def day(hour: int = 8, days: float = 20) -> datetime:
    """A full hour on the branch's clock, as a spreadsheet holds it: without a zone."""
    return ahead(days, hour).replace(tzinfo=None)


def good(key: str, element: str = "T11", *, start: int = 8, end: int = 12, days: float = 20) -> list[Any]:
    return [key, "", element, day(start, days), day(end, days), "更换绝缘子", "王工", ""]


def uploaded(
    actor: Actor, data: bytes, *, branch: Branch, period: PlanPeriod | None = None, form: str = "t"
) -> PlanSheet:
    """A file that has been read, or refused; ``form`` tells one upload from the next."""
    sheet = sheets.sheet_upload(
        actor=actor,
        branch=branch,
        period=period,
        chunks=[data],
        file_name="plan.xlsx",
        token=form,
        work_class="temporary",
    )
    sheets.sheet_read(sheet_id=sheet.pk)
    sheet.refresh_from_db()
    return sheet


def problems(sheet: PlanSheet) -> dict[int, set[str]]:
    """Row number -> codes of what keeps it out."""
    return {
        row.number: {problem["code"] for problem in row.problems if problem["is_wrong"]}
        for row in sheet.rows.filter(is_wrong=True)
    }


def imported(actor: Actor, sheet: PlanSheet, *, remove: bool = False) -> PlanSheet:
    sheets.sheet_import_start(actor=actor, sheet_id=sheet.pk, remove=remove)
    sheets.sheet_import(sheet_id=sheet.pk)
    sheet.refresh_from_db()
    return sheet
