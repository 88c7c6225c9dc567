"""Everything that is done about a fault: its course from the first call to the closed record, and trouble reports."""

from outages.faults.services.course import (
    crew_assign,
    crew_state_set,
    fault_close,
    fault_confirm,
    fault_create,
    fault_dismiss,
    fault_locked,
    fault_log,
    fault_merge,
    fault_note,
    fault_restore,
    fault_restore_part,
    fault_set_etr,
)
from outages.faults.services.reports import (
    ReportOutcome,
    ReportRequest,
    report_add,
    report_create,
    reports_create_batch,
)

__all__ = [
    "ReportOutcome",
    "ReportRequest",
    "crew_assign",
    "crew_state_set",
    "fault_close",
    "fault_confirm",
    "fault_create",
    "fault_dismiss",
    "fault_locked",
    "fault_log",
    "fault_merge",
    "fault_note",
    "fault_restore",
    "fault_restore_part",
    "fault_set_etr",
    "report_add",
    "report_create",
    "reports_create_batch",
]
