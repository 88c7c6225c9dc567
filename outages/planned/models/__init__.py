"""What a planned outage has that others have not: the plan it stands in, its works and windows, its way in."""

from outages.planned.models.intake import ColumnMapping, PlanSheet, SheetRow, SheetState
from outages.planned.models.plans import PeriodKind, PeriodState, PlanPeriod, PlanStep
from outages.planned.models.schedules import ScheduleLine, ScheduleRun
from outages.planned.models.sketches import WorkSketch
from outages.planned.models.works import (
    Alternative,
    CheckAnswer,
    NoticeStage,
    PlannedWork,
    RiskSheet,
    WindowClaim,
    WindowState,
    WorkClass,
    WorkPlace,
    WorkState,
    WorkType,
    WorkWindow,
)

__all__ = [
    "Alternative",
    "CheckAnswer",
    "ColumnMapping",
    "NoticeStage",
    "PeriodKind",
    "PeriodState",
    "PlanPeriod",
    "PlanSheet",
    "PlanStep",
    "PlannedWork",
    "RiskSheet",
    "ScheduleLine",
    "ScheduleRun",
    "SheetRow",
    "SheetState",
    "WindowClaim",
    "WindowState",
    "WorkClass",
    "WorkPlace",
    "WorkSketch",
    "WorkState",
    "WorkType",
    "WorkWindow",
]
