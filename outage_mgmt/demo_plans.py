"""The planning of the demo city: plans at every gate, works joined, due, late and done, each made by its own person."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib.auth import get_user_model
from django.db import connection
from django.utils import timezone

from accounts.actor import Actor
from grid.models import Branch, CalendarDay, ElementKind, GridElement
from outages.planned import checks, services
from outages.planned.models import PlannedWork, PlanPeriod, WorkWindow
from outages.planned.selectors import subjects_of
from outages.planned.services import WorkDraft

WORKS = (
    # title, type, crews, hours, begins at
    ("10kV线路绝缘子更换", "maintenance", 1, 6, 8),
    ("柱上开关消缺", "defect", 1, 4, 9),
    ("台区变压器增容", "replacement", 2, 8, 8),
    ("线路通道清障", "clearing", 1, 5, 8),
    ("新用户接火", "connection", 1, 3, 14),
    ("电缆分支箱试验", "test", 1, 4, 13),
    ("老旧导线改造", "construction", 2, 9, 8),
    ("避雷器更换", "maintenance", 1, 3, 9),
)
# how the works of the past two months went: begun so many minutes late, over so many minutes late; or called off
WENT = (
    (0, 0), (10, -20), (45, 0), (5, 50), (0, 5), None, (3, 0), (20, 90), (0, -75), (8, 20), (2, 10), (0, 0), (15, 10),
    (4, 35),
)  # fmt: skip
ANSWER = "已核实，现场已安排，按要求执行"


class DemoPlans:
    """What planner, lead and approver of the first branch office, and the next office, have on their desks."""

    def __init__(self, office: Branch, neighbour: Branch | None) -> None:
        people = get_user_model().objects
        self.planner = Actor.for_user(people.get(username="planner"))
        self.lead = Actor.for_user(people.get(username="lead"))
        self.approver = Actor.for_user(people.get(username="approver"))
        self.system = Actor.system("demo")
        self.office, self.neighbour = office, neighbour
        self.zone = ZoneInfo(office.time_zone)
        self.now = timezone.now().astimezone(self.zone)

    def run(self) -> None:
        self.days()
        self.coming_month()
        self.waiting_for_the_approver()
        self.this_week()
        self.last_weeks()

    # --- the calendar -----------------------------------------------------------------------------------

    def days(self) -> None:
        """New Year, and the winter examinations."""
        year = self.now.year + 1
        CalendarDay.objects.get_or_create(
            day=datetime(year, 1, 1).date(), kind="holiday", branch=None,
            defaults={"name": "元旦", "name_en": "New Year"},
        )  # fmt: skip
        exam = self.day(16).date()
        CalendarDay.objects.get_or_create(
            day=exam, kind="exam", branch=None, defaults={"name": "全市期末考试", "name_en": "City examinations"}
        )

    def day(self, days: float, hour: int = 0) -> datetime:
        date = (self.now + timedelta(days=days)).date()
        return datetime.combine(date, time(hour), self.zone)

    # --- plans ------------------------------------------------------------------------------------------

    def coming_month(self) -> None:
        """The office's next month is being written: three works on one line, one on an examination day."""
        first = (self.now.date().replace(day=1) + timedelta(days=32)).replace(day=1)
        period = services.period_open(actor=self.planner, branch=self.office, kind="month", day=first)
        sections, transformers = self.elements(self.office)
        if not sections or len(transformers) < 4:
            return
        line = max(sections, key=lambda section: section.customers)
        below = [t for t in transformers if line.pos < t.pos <= line.last][:2] or transformers[:2]
        places = [line, *below, *transformers[3::7]][: len(WORKS)]
        start = datetime.combine(first, time(0), self.zone)
        drafts = []
        for number, (element, what) in enumerate(zip(places, WORKS, strict=False)):
            day = start + timedelta(days=(5, 6, 9, 14, 16, 19, 22, 26)[number])
            drafts.append(self.draft(element, day, what, key=f"{first:%Y%m}-{number + 1:02d}"))
        services.works_create(actor=self.planner, branch=self.office, drafts=drafts, period=period)

    def waiting_for_the_approver(self) -> None:
        """The next office's month has been endorsed and waits for the approver."""
        if self.neighbour is None:
            return
        first = (self.now.date().replace(day=1) + timedelta(days=32)).replace(day=1)
        period = services.period_open(actor=self.system, branch=self.neighbour, kind="month", day=first)
        _sections, transformers = self.elements(self.neighbour)
        start = datetime.combine(first, time(0), self.zone)
        drafts = [
            self.draft(element, start + timedelta(days=8 + 4 * number), what, key=f"{first:%Y%m}-{number + 1:02d}")
            for number, (element, what) in enumerate(zip(transformers[2::9], WORKS[:4], strict=False))
        ]
        works = services.works_create(actor=self.system, branch=self.neighbour, drafts=drafts, period=period)
        self.answer(works, self.system)
        services.period_submit(actor=self.system, period_id=period.pk)
        self.answer(works, self.system)
        services.period_endorse(actor=self.system, period_id=period.pk)

    # --- temporary works: due, late, under way ------------------------------------------------------------

    def this_week(self) -> None:
        """Under way and soon over, due within the hour, not started although it should be, and tomorrow."""
        _sections, transformers = self.elements(self.office)
        minutes = [(WORKS[1], -200, 20), (WORKS[4], 40, 220), (WORKS[7], 3, 200), (WORKS[0], 24 * 60, 30 * 60)]
        windows = []
        for element, (what, begins, ends) in zip(transformers[5::11], minutes, strict=False):
            # nothing is published for the past: what has begun was announced for a moment ago and is set back below
            window = self.published(element, what, begins=max(begins, 2), ends=ends)
            windows.append((window, begins, ends))
        for number, (window, begins, ends) in enumerate(windows):
            if number == 0:
                self.set_back(window, self.minutes(begins), self.minutes(ends))
                services.window_start(window_id=window.pk, actor=self.planner, started_at=self.minutes(begins))
            elif number == 2:
                self.set_back(window, self.minutes(-12), self.minutes(ends))

    def minutes(self, minutes: float) -> datetime:
        return timezone.now().replace(second=0, microsecond=0) + timedelta(minutes=minutes)

    def published(
        self, element: GridElement, what: Sequence[Any], *, begins: float, ends: float, branch: Branch | None = None
    ) -> WorkWindow:
        """A temporary work that has passed every gate."""
        planner, lead = (self.system, self.system) if branch else (self.planner, self.lead)
        draft = WorkDraft(
            (element.pk,), ((self.minutes(begins), self.minutes(ends)),),
            {**self.facts(what), "work_class": "emergency", "temporary_reason": "设备缺陷，不能等待"},
        )  # fmt: skip
        work = services.work_create(actor=planner, branch=branch or self.office, draft=draft)
        self.answer([work], planner)
        services.work_submit(actor=planner, work_id=work.pk)
        self.answer([work], planner)
        services.work_check(actor=lead, work_id=work.pk)
        services.work_approve(actor=self.approver, work_id=work.pk)
        services.work_publish(actor=self.approver, work_id=work.pk)
        return WorkWindow.objects.select_related("outage").get(work=work)

    def last_weeks(self) -> None:
        """Works of the past two months, for the execution report: on time, late, longer than announced, called off."""
        _sections, transformers = self.elements(self.office)
        for number, (element, went) in enumerate(zip(transformers[8::5], WENT, strict=False)):
            self.past(element, went, days_ago=60 - 4 * number, what=WORKS[number % len(WORKS)])
        if self.neighbour is not None:
            _sections, transformers = self.elements(self.neighbour)
            for number, (element, went) in enumerate(zip(transformers[4::9], WENT[2:8], strict=False)):
                self.past(
                    element, went, days_ago=57 - 8 * number, what=WORKS[-1 - number % len(WORKS)], branch=self.neighbour
                )

    def past(
        self, element: GridElement, went: tuple[int, int] | None, *, days_ago: int, what: Sequence[Any],
        branch: Branch | None = None,
    ) -> None:  # fmt: skip
        """One work of the past, as it went."""
        start = self.day(-days_ago, what[4])
        end = start + timedelta(hours=what[3])
        window = self.published(element, what, begins=2, ends=60 * what[3], branch=branch)
        self.set_back(window, start, end, published_at=start - timedelta(days=9))
        self.plan_in(window, start, branch or self.office)
        actor = self.system if branch else self.planner
        if went is None:
            services.window_cancel(window_id=window.pk, actor=actor, reason="材料未到货", tell=True)
            return
        late_start, late_end = (timedelta(minutes=minutes) for minutes in went)
        services.window_start(window_id=window.pk, actor=actor, started_at=start + late_start)
        services.window_restore(window_id=window.pk, actor=actor, restored_at=end + late_end)
        services.window_close(window_id=window.pk, actor=actor, remedy="已按计划完成")

    def plan_in(self, window: WorkWindow, start: datetime, branch: Branch) -> None:
        """The month plan that such a work would have stood in: handed in on time, approved and published."""
        period = services.period_open(actor=self.system, branch=branch, kind="month", day=start.date())
        handed_in = period.deadline - timedelta(days=1)
        PlanPeriod.objects.filter(pk=period.pk).update(
            state="published", revision=1, first_submitted_at=handed_in, submitted_at=handed_in,
            submitted_by=self.planner.user_id, endorsed_at=handed_in + timedelta(hours=5),
            endorsed_by=self.lead.user_id, approved_at=handed_in + timedelta(hours=20),
            approved_by=self.approver.user_id, published_at=handed_in + timedelta(hours=21),
        )  # fmt: skip
        PlannedWork.objects.filter(pk=window.work_id).update(
            period=period, work_class="planned", temporary_reason="", published_at=handed_in + timedelta(hours=21)
        )

    # --- small things -------------------------------------------------------------------------------------

    def elements(self, branch: Branch) -> tuple[list[GridElement], list[GridElement]]:
        inside = GridElement.objects.filter(branch__pos__range=(branch.pos, branch.last)).order_by("pos")
        sections = inside.filter(kind=ElementKind.SECTION, customers__range=(40, 900))
        return list(sections), list(inside.filter(kind=ElementKind.TRANSFORMER, own_customers__gt=0))

    def facts(self, what: Sequence[Any]) -> dict[str, Any]:
        title, work_type, crews, _hours, _at = what
        return {
            "title": title, "work_type": work_type, "crews": crews, "contact_name": "韩立",
            "contact_phone": "+8613800002222", "work_order": f"GD{self.now:%y%m}{crews}{len(title):02d}",
            "live_line": "not_possible", "live_line_reason": "现场不具备带电作业条件",
            "transfer": "not_worth", "transfer_reason": "转供后末端电压偏低",
        }  # fmt: skip

    def draft(self, element: GridElement, day: datetime, what: Sequence[Any], **facts: Any) -> WorkDraft:
        start = day + timedelta(hours=what[4])
        return WorkDraft((element.pk,), ((start, start + timedelta(hours=what[3])),), {**self.facts(what), **facts})

    def answer(self, works: Sequence[PlannedWork], actor: Actor | None = None) -> None:
        """Whatever asks for an answer gets one, as the branch would give it."""
        works = list(PlannedWork.objects.select_related("branch").filter(pk__in=[work.pk for work in works]))
        subjects = subjects_of(works)
        found = checks.findings_of(subjects, at=timezone.now())
        for work, subject in zip(works, subjects, strict=True):
            for finding in found.get(subject.number, []):
                if finding.is_open:
                    services.answer_give(actor=actor or self.planner, work_id=work.pk, code=finding.code, reason=ANSWER)

    def set_back(
        self, window: WorkWindow, start: datetime, end: datetime, *, published_at: datetime | None = None
    ) -> None:
        """The demo is loaded in one moment, and the past cannot be announced: its window is set back afterwards."""
        told = published_at + timedelta(minutes=5) if published_at else None
        WorkWindow.objects.filter(pk=window.pk).update(
            starts_at=start, ends_at=end, announced_start=start, announced_end=end,
            published_at=published_at or timezone.now(), notified_at=told,
        )  # fmt: skip
        with connection.cursor() as db:
            db.execute(
                "UPDATE outages_outage SET planned_start = %s, planned_end = %s WHERE id = %s",
                [start, end, window.outage_id],
            )
            db.execute(
                "UPDATE outages_interruption SET planned = tstzrange(%s, %s) WHERE outage_id = %s",
                [start, end, window.outage_id],
            )
            db.execute(
                "UPDATE planned_windowclaim SET during = tstzrange(%s, %s) WHERE window_id = %s",
                [start, end, window.pk],
            )
