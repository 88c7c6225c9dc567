"""Windows as pairs of moments, and the time that several of them cover together."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

Window = tuple[datetime, datetime]  # in UTC: within one zone Python compares clocks, not instants


def joined(windows: Iterable[Window]) -> list[Window]:
    """The times in which at least one of the windows is off; windows that touch are one."""
    periods: list[Window] = []
    for starts_at, ends_at in sorted(windows):
        if periods and starts_at <= periods[-1][1]:
            periods[-1] = (periods[-1][0], max(periods[-1][1], ends_at))
        else:
            periods.append((starts_at, ends_at))
    return periods
