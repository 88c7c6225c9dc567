"""A city to try everything on: about 20,000 service points, one login per role, outages in every status.

Everything goes through the services, so the histories are real ones.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from accounts.actor import Actor
from accounts.services import role_grant, user_create
from grid.models import Branch, ElementKind, GridElement, Importance, ServicePoint
from outage_mgmt.demo import LOGINS, PASSWORD
from outage_mgmt.demo_cutoffs import DemoCutoffs
from outage_mgmt.demo_plans import DemoPlans
from outage_mgmt.demo_shedding import DemoShedding
from outages.faults import services as faults
from outages.faults.models import Crew, CrewState
from outages.faults.services import ReportRequest
from outages.models import Outage

CREWS = (
    ("C07", "赵工班", ["10kV", "带电作业"]),
    ("C12", "李工班", ["10kV"]),
    ("C03", "孙工班", ["低压"]),
    ("C21", "周工班", ["低压", "电缆"]),
)


class Command(BaseCommand):
    help = "Fill an empty database with the demo city, its people and its outages."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--service-points", type=int, default=20_000)
        parser.add_argument("--seed", type=int, default=7)

    def handle(self, *args: Any, **options: Any) -> None:
        if GridElement.objects.exists():
            self.stdout.write("There is a network already; nothing was loaded.")
            return
        call_command(
            "generate_grid", service_points=options["service_points"], seed=options["seed"], verbosity=0,
            stdout=self.stdout,
        )  # fmt: skip
        people_create()
        Demo(timezone.now()).run()
        self.stdout.write(f"{ServicePoint.objects.count()} service points, {Outage.objects.count()} outages.")


def people_create() -> None:
    """One login per role, over every branch; the planner and the lead belong to one branch office."""
    actor = Actor.system("demo")
    office = Branch.objects.filter(children__isnull=True, elements__isnull=False).order_by("pos").first()
    for login in LOGINS:
        if get_user_model().objects.filter(username=login.username).exists():
            continue
        user, _first_password = user_create(actor=actor, username=login.username, display_name=login.name)
        user.set_password(PASSWORD)
        user.save(update_fields=["password"])
        role_grant(
            actor=actor, user=user, role=login.role, branch=office if login.role in ("planner", "branch_lead") else None
        )


class Demo:
    """One working day of a bureau, written through the services at one moment."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        # the demo's histories name the dispatcher who is printed by `make run`
        self.dispatcher = Actor.for_user(get_user_model().objects.get(username="dispatcher"))
        self.system = Actor.system("demo")
        self.transformers = list(
            GridElement.objects.filter(kind=ElementKind.TRANSFORMER, own_customers__gt=0).order_by("pos")
        )
        self.sections = list(GridElement.objects.filter(kind=ElementKind.SECTION, customers__gt=0).order_by("pos"))

    def ago(self, **span: float) -> datetime:
        return self.now - timedelta(**span)

    def ahead(self, **span: float) -> datetime:
        return self.now + timedelta(**span)

    def run(self) -> None:
        self.crews()
        self.being_repaired()
        self.coming_back_in_steps()
        self.overdue()
        self.unassigned_with_life_support()
        self.suspected()
        self.restored_and_closed()
        self.dismissed()
        self.planned()
        self.shedding()
        self.cut_offs()

    def crews(self) -> None:
        branches = list(Branch.objects.filter(elements__isnull=False).distinct().order_by("pos"))
        Crew.objects.bulk_create(
            Crew(code=code, name=name, skills=skills, branch=branches[i % len(branches)], phone=f"+861380000{i:04d}")
            for i, (code, name, skills) in enumerate(CREWS)
        )

    def transformer(self, place: int) -> GridElement:
        """The transformer at ``place`` percent of the walk through the network."""
        return self.transformers[len(self.transformers) * place // 100]

    def section(self, place: int) -> GridElement:
        return self.sections[len(self.sections) * place // 100]

    def fault(self, element: GridElement, **facts: Any) -> Outage:
        return faults.fault_log(actor=self.dispatcher, element_ids=[element.pk], **facts)

    def send(self, outage: Outage, code: str, *states: str) -> None:
        crew = Crew.objects.get(code=code)
        assignment = faults.crew_assign(outage_id=outage.pk, crew_id=crew.pk, actor=self.dispatcher)
        for state in states:
            faults.crew_state_set(assignment_id=assignment.pk, state=state, actor=self.dispatcher)

    def being_repaired(self) -> None:
        outage = self.fault(
            self.section(12), started_at=self.ago(minutes=41), cause_class="vegetation", cause_code="tree_contact"
        )
        self.send(outage, "C12", CrewState.EN_ROUTE, CrewState.ARRIVED, CrewState.WORKING)
        faults.fault_set_etr(
            outage_id=outage.pk, actor=self.dispatcher, etr=self.ahead(hours=2), etr_source="operator",
            etr_reason="树枝压线，需停电清障",
        )  # fmt: skip
        faults.fault_set_etr(
            outage_id=outage.pk, actor=self.dispatcher, etr=self.ahead(hours=1, minutes=20), etr_source="crew",
            etr_reason="现场已清障，正在接线",
        )  # fmt: skip

    def coming_back_in_steps(self) -> None:
        outage = self.fault(
            self.section(55), started_at=self.ago(hours=2), cause_class="equipment", cause_code="conductor"
        )
        self.send(outage, "C07", CrewState.EN_ROUTE, CrewState.ARRIVED)
        parts = list(outage.interruptions.order_by("element__pos").values_list("element_id", flat=True))
        faults.fault_set_etr(
            outage_id=outage.pk,
            actor=self.dispatcher,
            etr=self.ahead(hours=3),
            etr_source="crew",
            etr_reason="更换导线",
        )
        if len(parts) > 1:
            faults.fault_restore_part(
                outage_id=outage.pk,
                actor=self.dispatcher,
                at=self.ago(minutes=20),
                element_ids=parts[: len(parts) // 2],
            )

    def overdue(self) -> None:
        """An estimate that passes a minute after the demo was loaded."""
        outage = self.fault(
            self.transformer(30), started_at=self.ago(hours=3), cause_class="equipment", cause_code="transformer",
            etr=timezone.now() + timedelta(minutes=1), etr_source="operator",
        )  # fmt: skip
        self.send(outage, "C03", CrewState.EN_ROUTE)

    def unassigned_with_life_support(self) -> None:
        point = ServicePoint.objects.filter(customer__importance=Importance.LIFE_SUPPORT).order_by("pk").first()
        element = point.element if point is not None else self.transformer(80)
        self.fault(element, started_at=self.ago(minutes=9))

    def suspected(self) -> None:
        points = list(ServicePoint.objects.filter(element=self.transformer(70)).order_by("pk")[:3])
        for point in points:
            faults.report_create(
                actor=self.system,
                request=ReportRequest(service_point_id=point.pk, channel="ivr", wants_callback=True),
            )

    def restored_and_closed(self) -> None:
        for place, ended, close in ((20, timedelta(minutes=35), False), (45, timedelta(hours=20), True)):
            outage = self.fault(
                self.transformer(place), started_at=self.now - ended - timedelta(hours=2),
                cause_class="public", cause_code="vehicle",
            )  # fmt: skip
            self.send(outage, "C21", CrewState.EN_ROUTE, CrewState.ARRIVED)
            faults.fault_restore(outage_id=outage.pk, actor=self.dispatcher, restored_at=self.now - ended)
            if close:
                faults.fault_close(
                    outage_id=outage.pk, actor=self.dispatcher, cause_class="public", cause_code="vehicle",
                    equipment_code="pole", remedy_code="replaced", cause_text="车辆撞断电杆",
                )  # fmt: skip

    def dismissed(self) -> None:
        point = ServicePoint.objects.filter(element=self.transformer(90)).order_by("pk").first()
        if point is None:
            return
        report = faults.report_create(actor=self.system, request=ReportRequest(service_point_id=point.pk))
        if report.outage is not None:
            faults.fault_dismiss(outage_id=report.outage.pk, actor=self.dispatcher, reason="户内开关跳闸，已告知用户")

    def planned(self) -> None:
        offices = list(Branch.objects.filter(children__isnull=True, elements__isnull=False).distinct().order_by("pos"))
        DemoPlans(offices[0], offices[1] if len(offices) > 1 else None).run()

    def cut_offs(self) -> None:
        office = Branch.objects.filter(children__isnull=True, elements__isnull=False).order_by("pos").first()
        if office is not None:
            DemoCutoffs(office).run()

    def shedding(self) -> None:
        bureau = Branch.objects.filter(parent__isnull=True).order_by("pos").first()
        if bureau is not None:
            DemoShedding(bureau).run()
