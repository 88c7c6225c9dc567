"""Words for customers: why the power is switched off, in both languages."""

from __future__ import annotations

from typing import Final

from outages.planned.models import WorkType

PUBLIC_REASONS: Final[dict[str, tuple[str, str]]] = {
    WorkType.MAINTENANCE: ("线路检修", "line maintenance"),
    WorkType.DEFECT: ("设备消缺", "the repair of a defect"),
    WorkType.REPLACEMENT: ("更换设备", "a replacement of equipment"),
    WorkType.CONSTRUCTION: ("电网建设施工", "construction work on the network"),
    WorkType.CONNECTION: ("新客户接电", "the connection of a new customer"),
    WorkType.TEST: ("设备试验", "a test of equipment"),
    WorkType.CLEARING: ("线路清障", "the clearing of trees near the line"),
    WorkType.CUSTOMER: ("客户工程配合停电", "work on a customer's installation"),
}
OTHER_REASON: Final = ("计划检修", "planned work")


def public_reason(work_type: str) -> tuple[str, str]:
    """(Chinese, English) as customers are told."""
    return PUBLIC_REASONS.get(work_type, OTHER_REASON)
