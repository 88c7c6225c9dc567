"""Words for customers: why a fault happened, in both languages, without blame or detail."""

from __future__ import annotations

from typing import Final

from outages.models import CauseClass

PUBLIC_REASONS: Final[dict[str, tuple[str, str]]] = {
    CauseClass.EQUIPMENT: ("电力设备故障", "a fault of our equipment"),
    CauseClass.LIGHTNING: ("雷击", "a lightning stroke"),
    CauseClass.PLANNED: ("施工中发生故障", "a fault during works"),
    CauseClass.POWER_SUPPLY: ("上级电源故障", "a fault of the feeding grid"),
    CauseClass.PUBLIC: ("电力设施受外力破坏", "damage to our lines by others"),
    CauseClass.VEGETATION: ("树木碰触线路", "a tree touching the line"),
    CauseClass.WEATHER: ("恶劣天气", "bad weather"),
    CauseClass.WILDLIFE: ("动物碰触线路", "an animal touching the line"),
}
UNKNOWN_REASON: Final = ("线路故障", "a fault on the line")


def public_reason(cause_class: str) -> tuple[str, str]:
    """(Chinese, English) as customers are told."""
    return PUBLIC_REASONS.get(cause_class, UNKNOWN_REASON)
