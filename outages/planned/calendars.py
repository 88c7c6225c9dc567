"""Published windows as iCalendar (RFC 5545), for a calendar program that asks again and again.

A window keeps its UID whatever happens to it; every move raises its SEQUENCE, and what was cancelled stays in the
calendar as cancelled, or the program would show the old time for ever. Nothing personal goes out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

from django.core import signing
from django.db.models import QuerySet
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from icalendar import Calendar, Event

from accounts.actor import Actor
from accounts.models import User
from accounts.policies import actor_may
from outages.models import Outage
from outages.planned.agenda import Entry
from outages.planned.models import WindowState, WorkClass, WorkWindow
from standards.errors import Forbidden

KEPT: Final = timedelta(days=60)  # how long what is over stays in the calendar
FILTERS: Final = ("branch", "feeder", "area")
_SALT: Final = "planned.calendar"
_PRODUCT: Final = "-//Outage coordination//Planned outages//EN"


def for_calendars(windows: QuerySet[WorkWindow], *, now: datetime) -> QuerySet[WorkWindow]:
    """What belongs into a calendar: published, and not long over."""
    return windows.filter(outage__isnull=False, ends_at__gt=now - KEPT)


def calendar_of(entries: Iterable[Entry], *, name: str, address: Callable[[str], str]) -> bytes:
    """``entries`` of the agenda as one calendar; ``address`` turns an outage's number into the address of its page."""
    calendar = Calendar()
    calendar.add("prodid", _PRODUCT)
    calendar.add("version", "2.0")
    calendar.add("method", "PUBLISH")
    calendar.add("x-wr-calname", name)
    calendar.add("refresh-interval", timedelta(hours=1), parameters={"VALUE": "DURATION"})
    calendar.add("x-published-ttl", "PT1H")
    for entry in entries:
        outage, published_at = entry.window.outage, entry.work.published_at
        if outage is not None and published_at is not None:
            calendar.add_component(_event(entry, address, outage, published_at))
    calendar.add_missing_timezones()
    return bytes(calendar.to_ical())


def _event(entry: Entry, address: Callable[[str], str], outage: Outage, published_at: datetime) -> Event:
    window, work = entry.window, entry.work
    is_cancelled = window.state == WindowState.CANCELLED
    reason = work.reason_zh if (get_language() or "").startswith("zh") or not work.reason_en else work.reason_en
    event = Event()
    # a number is taken once in one installation; when it was published tells installations apart
    event.add("uid", f"{outage.reference}-{published_at:%Y%m%d%H%M%S}@planned-outages")
    event.add("sequence", window.moves + window.extensions + is_cancelled)
    event.add("dtstamp", outage.updated_at)
    event.add("last-modified", outage.updated_at)
    event.add("dtstart", entry.starts)
    event.add("dtend", entry.ends)
    event.add("summary", f"{entry.place} · {reason}" if reason else entry.place)
    event.add("location", entry.place)
    event.add("categories", [str(WorkClass(work.work_class).label)])
    event.add("status", "CANCELLED" if is_cancelled else "CONFIRMED")
    event.add("transp", "TRANSPARENT")
    event.add("url", address(outage.reference))
    words = [
        f"{outage.reference} · {work.branch}",
        _("%(customers)d customers") % {"customers": work.customers},
        entry.state_label,
    ]
    event.add("description", "\n".join(words))
    return event


# --- the link that a calendar program polls ---------------------------------------------------------


def subscription_key(*, user: User, filters: Mapping[str, str]) -> str:
    """A signed key that lets a calendar program read what ``user`` may read, narrowed by ``filters``.

    It carries no secret of the user's and ends when the user is disabled, loses the role, or all sessions are ended.
    """
    chosen = {name: filters[name] for name in FILTERS if filters.get(name)}
    return signing.dumps({"user": user.pk, "epoch": user.session_epoch, "filters": chosen}, salt=_SALT, compress=True)


def subscriber_of(key: str) -> tuple[User, Actor, dict[str, str]]:
    """Who subscribed, with the roles in force now, and to what. Raises ``Forbidden``."""
    try:
        held = signing.loads(key, salt=_SALT)
    except signing.BadSignature as wrong:
        raise Forbidden() from wrong
    user = User.objects.filter(pk=held["user"], is_active=True, session_epoch=held["epoch"]).first()
    if user is None:
        raise Forbidden()
    actor = Actor.for_user(user)
    if not actor_may(actor, "outage.read"):
        raise Forbidden()
    return user, actor, dict(held["filters"])
