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
RANK_CALLED_OFF: Final = 9
RANK_UNCONFIRMED: Final = 10  # announced, and its window ended without a word whether it was off

RECENTLY_RESTORED: Final = timedelta(hours=12)
UPCOMING: Final = timedelta(days=7)
WARN_OF: Final = timedelta(hours=24)
# people ask about an announced outage from so long before it until its end, also when it was moved or called off
ASKED_ABOUT: Final = timedelta(hours=24)


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
    # the window that was announced before it moved to ``begins`` and ``until``
    was_begins: datetime | None = None
    was_until: datetime | None = None
    is_forecast: bool = False  # announced, and not decided yet
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

    @property
    def is_settled(self) -> bool:
        """Of a cut: the account is in order, and it is ours to bring the supply back."""
        return self.until is not None or self.next_update_by is not None

    def is_overdue(self, at: datetime) -> bool:
        return self.until is not None and self.until <= at

    def is_near(self, at: datetime) -> bool:
        """So soon that everybody who calls is warned of it."""
        return self.begins is not None and self.begins - at <= WARN_OF

    def is_due(self, at: datetime) -> bool:
        """Announced for now, while nobody has confirmed yet that it has begun."""
        return self.rank == RANK_UPCOMING and self.begins is not None and self.begins <= at

    def has_moved(self, at: datetime) -> bool:
        """It has moved, and people may still wait for the old window."""
        if self.was_begins is None or self.was_until is None or self.is_due(at):
            return False
        return self.was_begins - ASKED_ABOUT <= at < self.was_until
