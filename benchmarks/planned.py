"""The measurements of planning."""

from __future__ import annotations

import io
from datetime import datetime, timedelta
from uuid import uuid4

import xlsxwriter
from django.utils import timezone

from accounts.actor import Actor
from benchmarks.machine import timed
from benchmarks.report import Result
from grid.models import Branch, GridElement
from outages.planned import services
from outages.planned.models import PlannedWork, PlanPeriod, PlanSheet
from outages.planned.services import sheets

ME = Actor.system("bench")
ROWS = 5_000
SECONDS = 20.0
_HEADINGS = (
    "编号", "停电线路名称", "停电设备名称", "停电开始时间", "停电结束时间", "检修内容", "负责人", "联系电话", "备注",
)  # fmt: skip


def plan_sheet(service_points: int) -> Result:
    """A bureau's month in its own layout, from the uploaded file to drafts in the plan."""
    bureau, period = _bureau_and_plan()
    data = _workbook(bureau, period)
    sheet = sheets.sheet_upload(
        actor=ME, branch=bureau, period=period, chunks=[data], file_name="bench.xlsx", token=uuid4().hex
    )
    with timed() as read:
        sheets.sheet_read(sheet_id=sheet.pk)
    sheets.sheet_import_start(actor=ME, sheet_id=sheet.pk)
    with timed() as imported:
        sheets.sheet_import(sheet_id=sheet.pk)
    sheet.refresh_from_db()
    works = PlannedWork.objects.filter(period=period).count()
    if (sheet.state, works) != ("imported", ROWS):
        raise RuntimeError(f"{works} works, the sheet is {sheet.state}: {sheet.counts} {sheet.error}")
    _forget(sheet, period)
    ours = read.seconds + imported.seconds
    return Result(
        "plan-sheet", f"checking and importing a workbook of {ROWS:,} rows over {service_points:,} service points",
        f"{ours:.1f} s", f"{SECONDS:.0f} s", ours / SECONDS, 1, True,
        f"bare: the budget; read {read.seconds:.1f} s, import {imported.seconds:.1f} s",
    )  # fmt: skip


def _bureau_and_plan() -> tuple[Branch, PlanPeriod]:
    """The bureau over all branches, and its plan of a month that lies ahead."""
    bureau = Branch.objects.order_by("pos")[0]
    day = (timezone.localdate() + timedelta(days=70)).replace(day=1)
    return bureau, services.period_open(actor=ME, branch=bureau, kind="month", day=day)


def _workbook(bureau: Branch, period: PlanPeriod) -> bytes:
    """Days as dates and as text, full-width digits, every transformer in turn."""
    codes = list(GridElement.objects.filter(own_customers__gt=0).order_by("code").values_list("code", flat=True))
    days = (period.ends_on - period.starts_on).days + 1
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True}) as book:
        moment, sheet = book.add_format({"num_format": "yyyy/m/d h:mm"}), book.add_worksheet("周计划")
        sheet.merge_range(0, 0, 0, len(_HEADINGS) - 1, f"{bureau.name}停电计划")
        sheet.write_row(1, 0, _HEADINGS)
        for n in range(ROWS):
            day = period.starts_on + timedelta(days=n % days)
            start = datetime(day.year, day.month, day.day, 8 + n // days % 8)
            sheet.write_string(n + 2, 0, f"P{n:05d}")
            sheet.write_string(n + 2, 2, codes[n % len(codes)])
            if n % 2:
                sheet.write_datetime(n + 2, 3, start, moment)
            else:
                sheet.write_string(n + 2, 3, f"{start:%Y年%m月%d日 %H：%M}")
            sheet.write_string(n + 2, 4, f"{start + timedelta(hours=4):%Y-%m-%d %H:%M}")
            sheet.write_row(n + 2, 5, ("更换柱上开关及引线", "王工", "13900000001", ""))
    return out.getvalue()


def _forget(sheet: PlanSheet, period: PlanPeriod) -> None:
    """Leave nothing behind that the next measurement would meet."""
    PlannedWork.objects.filter(period=period).delete()
    sheets.path_of(sheet).unlink(missing_ok=True)
    PlanSheet.objects.filter(period=period).delete()
    period.delete()
