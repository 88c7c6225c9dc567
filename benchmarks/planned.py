"""The measurements of planning."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import datetime, time, timedelta
from random import Random
from uuid import uuid4
from zoneinfo import ZoneInfo

import xlsxwriter
from django.utils import timezone

from accounts.actor import Actor
from benchmarks.machine import timed
from benchmarks.report import Result
from grid.models import Branch, GridElement
from outages.planned import checks, selectors, services
from outages.planned.models import PlannedWork, PlanPeriod, PlanSheet
from outages.planned.scheduler.problem import AGAIN, HOLIDAY
from outages.planned.services import WorkDraft, schedules, sheets

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
    _forget(period)
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


SCHEDULED = 300
CREWS = 12  # a day; the works need ten on an average one
SCHEDULE_SECONDS = 60.0


def schedule(service_points: int) -> Result:
    """A month plan of the whole bureau, from the first click to the proposal."""
    bureau, period = _bureau_and_plan()
    services.period_capacity_set(actor=ME, period_id=period.pk, crews=CREWS)
    _works_entered(bureau, period, SCHEDULED, feeders=SCHEDULED // 3)
    begun = schedules.schedule_run_start(actor=ME, period_id=period.pk)
    with timed() as watch:
        schedules.schedule_run_work(run_id=begun.pk)
    begun.refresh_from_db()
    before, after = begun.before, begun.after
    if begun.state != "done" or _weight(after) > _weight(before):
        raise RuntimeError(f"the search is {begun.state}: {_weight(before)} became {_weight(after)}")
    moved = begun.lines.count()
    _forget(period)
    return Result(
        "schedule", f"better windows for {SCHEDULED} works of a month over {service_points:,} service points",
        f"{watch.seconds:.1f} s", f"{SCHEDULE_SECONDS:.0f} s", watch.seconds / SCHEDULE_SECONDS, 1, True,
        f"bare: the budget; {moved} moves: rules broken {before['rules_broken']} to {after['rules_broken']},"
        f" customer-hours {before['customer_minutes'] // 60:,} to {after['customer_minutes'] // 60:,},"
        f" cut again {before['customers_again']:,} to {after['customers_again']:,}",
    )  # fmt: skip


def _weight(kept: dict[str, int]) -> tuple[int, int]:
    burden = kept["customer_minutes"] + AGAIN * kept["customers_again"] + HOLIDAY * kept["holiday_customers"]
    return kept["rules_broken"], burden


CHECKED = 2_000
CHECK_SECONDS = 10.0


def plan_checks(service_points: int) -> Result:
    """Everything that is asked of a month at a gate: conflicts, repeat cuts, rules."""
    bureau, period = _bureau_and_plan()
    _works_entered(bureau, period, CHECKED, feeders=CHECKED // 3)
    works = list(period.works.select_related("branch").order_by("pk"))
    with timed() as watch:
        found = checks.findings_of(selectors.subjects_of(works), at=timezone.now())
    count = sum(map(len, found.values()))
    _forget(period)
    return Result(
        "plan-checks", f"every check of {CHECKED:,} works of a month over {service_points:,} service points",
        f"{watch.seconds:.1f} s", f"{CHECK_SECONDS:.0f} s", watch.seconds / CHECK_SECONDS, 1, True,
        f"bare: the budget; {count:,} findings",
    )  # fmt: skip


def _works_entered(bureau: Branch, period: PlanPeriod, count: int, *, feeders: int) -> None:
    """Works as a month has them: by day, most on a transformer, the rest on a section with all below it."""
    draw = Random(count)
    zone = ZoneInfo(bureau.time_zone)
    days = (period.ends_on - period.starts_on).days + 1
    drafts = []
    for element_id in _elements(draw, count, feeders):
        day = period.starts_on + timedelta(days=draw.randrange(days))
        starts = datetime.combine(day, time(draw.choice((7, 8, 8, 9, 13))), zone)
        window = starts, starts + timedelta(hours=draw.choice((2, 4, 4, 6, 8)))
        facts = {"title": "更换柱上开关", "is_fixed": draw.random() < 0.1, "crews": 1}
        drafts.append(WorkDraft((element_id,), (window,), facts))
    services.works_create(actor=ME, branch=bureau, period=period, drafts=drafts)


def _elements(draw: Random, count: int, feeders: int) -> Sequence[int]:
    """Places on a few feeders, so that works share customers as they do in a month."""
    heads = list(GridElement.objects.filter(kind="feeder").order_by("code").values_list("pk", flat=True)[:feeders])
    below = GridElement.objects.filter(feeder__in=heads).order_by("code")
    sections = list(below.filter(kind="section").values_list("pk", flat=True))
    transformers = list(below.filter(kind="transformer").values_list("pk", flat=True))
    return [draw.choice(sections if draw.random() < 0.4 else transformers) for _n in range(count)]


def _forget(period: PlanPeriod) -> None:
    """Leave nothing behind that the next measurement would meet."""
    PlannedWork.objects.filter(period=period).delete()
    for sheet in PlanSheet.objects.filter(period=period):
        sheets.path_of(sheet).unlink(missing_ok=True)
        sheet.delete()
    period.delete()
