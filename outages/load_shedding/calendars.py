"""The published turns of one block as iCalendar (RFC 5545), for a calendar program that asks again and again.

A decided turn keeps its UID through every move, and each step raises its SEQUENCE; dropped or skipped it stays as
cancelled, or the program would show it for ever. A turn that only the table has is named by its block and times: the
forecast and its confirmation are one entry, and one whose place a decision has taken is cancelled.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from django.utils import timezone
from django.utils.translation import gettext as _
from icalendar import Calendar, Event

from outages.load_shedding import lifecycle, schedule, selectors
from outages.load_shedding.models import SheddingBlock

AHEAD: Final = timedelta(days=31)
KEPT: Final = timedelta(days=7)  # how long what is over stays in the calendar
_PRODUCT: Final = "-//Outage coordination//Load shedding//EN"


@dataclass(frozen=True)
class Entry:
    """One event of the calendar."""

    uid: str
    sequence: int
    begins: datetime
    until: datetime
    status: str  # TENTATIVE, CONFIRMED, CANCELLED


def calendar_of(block: SheddingBlock, *, address: str, at: datetime | None = None) -> bytes:
    """The block's turns around now; ``address`` is where its page stands."""
    now = at or timezone.now()
    zone = ZoneInfo(block.plan.branch.time_zone)
    known_until = schedule.runs_out_at(block.plan, now)
    calendar = Calendar()
    calendar.add("prodid", _PRODUCT)
    calendar.add("version", "2.0")
    calendar.add("method", "PUBLISH")
    calendar.add("x-wr-calname", _("Load shedding · %(block)s") % {"block": block.local_name})
    calendar.add("x-wr-caldesc", _until_when(known_until, zone))
    calendar.add("refresh-interval", timedelta(hours=1), parameters={"VALUE": "DURATION"})
    calendar.add("x-published-ttl", "PT1H")
    for entry in entries_of(block, now):
        calendar.add_component(_event(entry, block, address, now, zone))
    calendar.add_missing_timezones()
    return bytes(calendar.to_ical())


def entries_of(block: SheddingBlock, at: datetime) -> list[Entry]:
    """What is decided for the block, and what the table says for the rest of the time."""
    begins, until = at - KEPT, at + AHEAD
    entries = [*_decided(block, begins, until, at), *_of_the_table(block, begins, until)]
    return sorted(entries, key=lambda entry: (entry.begins, entry.uid))


def _decided(block: SheddingBlock, begins: datetime, until: datetime, at: datetime) -> Iterator[Entry]:
    for slot in selectors.slots_public(block, at).filter(starts_at__lt=until, ends_at__gt=begins):
        is_off = slot.state in (lifecycle.SKIPPED, lifecycle.DROPPED)
        yield Entry(
            uid=f"{slot.event.reference}-{slot.pk}@load-shedding",
            sequence=slot.version,
            begins=slot.starts_at,
            until=slot.ends_at,
            status="CANCELLED" if is_off else "CONFIRMED",
        )


def _of_the_table(block: SheddingBlock, begins: datetime, until: datetime) -> Iterator[Entry]:
    holds = schedule.of_the_table(block.plan, begins, until, blocks=[block.code])
    for span, is_held in holds:
        status = ("CONFIRMED" if span.is_sure else "TENTATIVE") if is_held else "CANCELLED"
        stamp = f"{span.begins:%Y%m%dT%H%M}-{span.until:%Y%m%dT%H%M}"
        yield Entry(
            uid=f"{block.plan.branch.code}-{block.code}-{stamp}@load-shedding",
            sequence=("TENTATIVE", "CONFIRMED", "CANCELLED").index(status),
            begins=span.begins,
            until=span.until,
            status=status,
        )


def _event(entry: Entry, block: SheddingBlock, address: str, at: datetime, zone: ZoneInfo) -> Event:
    words = {
        "TENTATIVE": _("Load shedding, forecast · %(block)s"),
        "CONFIRMED": _("Load shedding, confirmed · %(block)s"),
        "CANCELLED": _("No load shedding after all · %(block)s"),
    }
    event = Event()
    event.add("uid", entry.uid)
    event.add("sequence", entry.sequence)
    event.add("dtstamp", at)
    event.add("dtstart", entry.begins.astimezone(zone))
    event.add("dtend", entry.until.astimezone(zone))
    event.add("summary", words[entry.status] % {"block": block.local_name})
    event.add("status", entry.status)
    event.add("transp", "TRANSPARENT")
    event.add("url", address)
    return event


def _until_when(known_until: datetime | None, zone: ZoneInfo) -> str:
    if known_until is None:
        return _("Nothing is published at the moment. That does not mean that nobody is switched off.")
    words = _("Published until %(at)s. What comes after is not known yet.")
    return words % {"at": f"{known_until.astimezone(zone):%Y-%m-%d %H:%M}"}
