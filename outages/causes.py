"""What can be true about a service point's supply, in the order of precedence (``domain.md`` 5.6)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

RANK_SAFETY: Final = 1
RANK_NON_PAYMENT: Final = 5
RANK_SUSPECTED: Final = 6
RANK_RESTORED: Final = 7
RANK_UPCOMING: Final = 8

RECENTLY_RESTORED: Final = timedelta(hours=12)
UPCOMING: Final = timedelta(days=7)


@dataclass(frozen=True)
class Cause:
    """One thing that is true about a service point's supply, with the age and owner of the fact."""

    rank: int
    kind: str
    blocks: bool
    outage_id: int | None = None
    reference: str = ""
    status: str = ""
    place: str = ""
    reason_zh: str = ""
    reason_en: str = ""
    since: datetime | None = None
    until: datetime | None = None  # the raw expectation; may have passed
    begins: datetime | None = None
    next_update_by: datetime | None = None
    etr_source: str = ""
    etr_confidence: str = ""
    etr_changes: int = 0
    known_at: datetime | None = None
    owner: str = ""
    owner_en: str = ""
    customers: int = 0

    def expected(self, at: datetime) -> datetime | None:
        """When this cause should clear, or ``None`` if that is not known or has passed."""
        return self.until if self.until is not None and self.until > at else None

    def is_overdue(self, at: datetime) -> bool:
        return self.until is not None and self.until <= at
