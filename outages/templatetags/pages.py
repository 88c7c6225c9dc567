"""Words, times, shapes and navigation that every page uses."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final

from django import template
from django.http import HttpRequest
from django.template import Context
from django.templatetags.static import static
from django.urls import NoReverseMatch, Resolver404, resolve, reverse
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.actor import Actor
from accounts.pages import day, moment, span
from accounts.policies import actor_may
from accounts.requests import actor_of

register = template.Library()


# --- navigation -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NavItem:
    path: str
    label: str | Promise
    capability: str
    key: str = ""  # g + key goes there
    is_current: bool = False


_ROOMS: Final = (
    NavItem("/console/", gettext_lazy("Console"), "call.log", "c"),
    NavItem("/board/", gettext_lazy("Board"), "outage.read", "b"),
    NavItem("/faults/", gettext_lazy("Dispatch"), "outage.write", "d"),
    NavItem("/planned/", gettext_lazy("Plans"), "outage.read", "p"),
    NavItem("/shedding/", gettext_lazy("Shedding"), "outage.read", "s"),
    NavItem("/cutoffs/", gettext_lazy("Cut-offs"), "cutoff.read"),
    NavItem("/notifications/", gettext_lazy("Notices"), "delivery.read", "n"),
    NavItem("/console/callbacks/", gettext_lazy("Callbacks"), "call.log"),
)
_OFFICES: Final = (
    NavItem("/grid/imports/", gettext_lazy("Network imports"), "grid.import"),
    NavItem("/accounts/users/", gettext_lazy("People and roles"), "users.read"),
    NavItem("/accounts/rules/", gettext_lazy("Rules and their sources"), "rules.read"),
    NavItem("/accounts/access-log/", gettext_lazy("Who looked at what"), "audit.read"),
    NavItem("/admin/", gettext_lazy("Administration"), "users.manage"),
)


@lru_cache(maxsize=64)
def _is_served(path: str) -> bool:
    try:
        resolve(path)
    except Resolver404:
        return False
    return True


def _actor_of(context: Context) -> Actor | None:
    request: HttpRequest | None = context.get("request")
    if request is None or not getattr(getattr(request, "user", None), "is_authenticated", False):
        return None
    return actor_of(request)


@register.simple_tag(takes_context=True)
def rooms(context: Context) -> list[NavItem]:
    """The rooms this person may enter; what somebody may not do is absent."""
    return _open_to(context, _ROOMS)


@register.simple_tag(takes_context=True)
def offices(context: Context) -> list[NavItem]:
    """What is needed now and then: under the person's name."""
    return _open_to(context, _OFFICES)


def _open_to(context: Context, items: tuple[NavItem, ...]) -> list[NavItem]:
    actor = _actor_of(context)
    if actor is None:
        return []
    here = max((item.path for item in items if context["request"].path.startswith(item.path)), key=len, default="")
    return [
        replace(item, is_current=item.path == here)
        for item in items
        if actor_may(actor, item.capability) and _is_served(item.path)
    ]


@register.simple_tag(takes_context=True)
def actor_can(context: Context, capability: str) -> bool:
    """``{% actor_can "outage.write" as may_write %}``: anywhere at all; the service decides for the one record."""
    actor = _actor_of(context)
    return actor is not None and actor_may(actor, capability)


@register.simple_tag
def url_or_empty(name: str, *args: Any) -> str:
    """The address of a page of an app above, or nothing where that app is not installed."""
    try:
        return reverse(name, args=args)
    except NoReverseMatch:
        return ""


@register.simple_tag(takes_context=True)
def preference(context: Context, name: str, default: str = "") -> str:
    """A setting of the person's account (``theme``, ``shortcuts_enabled``), readable on every page."""
    user = getattr(context.get("request"), "user", None)
    value = getattr(user, name, default)
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)


# --- shapes and words -------------------------------------------------------------------------------


# a kind names its shape by the character; it is drawn, because many computers lack these characters
_GLYPHS: Final = {"▲": "p1", "◆": "p2", "●": "p3", "◷": "planned", "▤": "shedding", "✂": "cutoff", "✓": "restored"}
_TONES: Final = {"info": "blue", "shedding": "violet", "p1": "ink"}


@register.simple_tag
def shape(name: str) -> SafeString:
    """A drawn shape from the sheet of icons; its word stands beside it."""
    return _shape(name)


@lru_cache(maxsize=64)
def _shape(name: str) -> SafeString:
    drawn = _GLYPHS.get(name, name)
    return format_html(
        '<svg class="shape shape--{0}" aria-hidden="true" focusable="false"><use href="{1}#{0}"></use></svg>',
        drawn,
        static("icons/shapes.svg"),
    )


STATUS_LOOK: Final[dict[str, tuple[str, str]]] = {
    # status: (shape, tone); what is normal stays grey
    "suspected": ("p2", "amber"),
    "scheduled": ("planned", "quiet"),
    "active": ("p3", "ink"),
    "partially_restored": ("p3", "blue"),
    "restored": ("restored", "green"),
    "closed": ("closed", "quiet"),
    "cancelled": ("cancelled", "quiet"),
}


@register.filter
def tone(name: str) -> str:
    """The style sheet's word for a kind's tone."""
    return _TONES.get(name, name)


@register.filter
def status_shape(status: str) -> str:
    return STATUS_LOOK.get(status, ("p3", "quiet"))[0]


@register.filter
def status_tone(status: str) -> str:
    return STATUS_LOOK.get(status, ("p3", "quiet"))[1]


@register.filter
def grouped(number: float | None) -> str:
    """12 480: groups of three set apart by a narrow space, the same in both languages."""
    if number is None:
        return "–"
    return f"{round(number):,}".replace(",", "\u202f")


# --- times ------------------------------------------------------------------------------------------

register.filter("moment", moment)
register.filter("day", day)
register.filter("span", span)


@register.filter
def clock(value: datetime | None) -> str:
    """16:30, in the site's zone."""
    return "" if value is None else timezone.localtime(value).strftime("%H:%M")


@register.filter
def moment_after(value: datetime | None, earlier: datetime | None) -> str:
    """The end of what began at ``earlier``: the time alone on the same day."""
    if value is not None and earlier is not None and timezone.localdate(value) == timezone.localdate(earlier):
        return clock(value)
    return moment(value)


@register.filter
def since(value: datetime | None) -> str:
    """How long ago, coarse."""
    return "" if value is None else span(timezone.now() - value)


@register.filter
def until(value: datetime | None) -> str:
    """How long still to go; nothing when it has passed."""
    return "" if value is None or value < timezone.now() else span(value - timezone.now())


@register.filter
def is_past(value: datetime | None) -> bool:
    return value is not None and value < timezone.now()


@register.filter
def gap(actual: datetime | None, planned: datetime | None) -> str:
    """How far what happened lies from what was planned: 5 min late, 1 h 10 early, on time."""
    if actual is None or planned is None:
        return ""
    if abs(actual - planned) < timedelta(minutes=1):
        return _("on time")
    if actual > planned:
        return _("%(gap)s late") % {"gap": span(actual - planned)}
    return _("%(gap)s early") % {"gap": span(planned - actual)}


@register.filter
def machine_time(value: datetime | None) -> str:
    """For ``<time datetime>``."""
    return "" if value is None else value.isoformat(timespec="seconds")


@register.simple_tag
def now_machine() -> str:
    """The server's clock in the site's zone: the page's own clock follows it."""
    return timezone.localtime().isoformat(timespec="seconds")


@register.filter
def kilowatts(value: float | None) -> str:
    """4.2 MW from a thousand kilowatts on, otherwise whole kilowatts."""
    if value is None:
        return "–"
    if abs(value) >= 1000:
        return f"{number_format(value / 1000, 1)} MW"
    return f"{round(value)} kW"
