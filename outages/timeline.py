"""The history of one outage in words: who did what, and what it was before and after."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.core.exceptions import FieldDoesNotExist
from django.utils.dateparse import parse_datetime
from django.utils.functional import Promise
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.pages import moment
from outages import kinds
from outages.kinds import KindHandler
from outages.models import Outage, OutageEvent

VERBS: Final[dict[str, str | Promise]] = {
    "suspect": gettext_lazy("Suspected"),
    "schedule": gettext_lazy("Scheduled"),
    "reschedule": gettext_lazy("Moved"),
    "notify": gettext_lazy("Announced to customers"),
    "start": gettext_lazy("Off"),
    "extend": gettext_lazy("Extended"),
    "set_etr": gettext_lazy("Estimate given"),
    "change_extent": gettext_lazy("Extent changed"),
    "restore_part": gettext_lazy("Partly restored"),
    "restore": gettext_lazy("Restored"),
    "reopen": gettext_lazy("Opened again"),
    "close": gettext_lazy("Closed"),
    "cancel": gettext_lazy("Cancelled"),
    "void": gettext_lazy("Entered in error"),
    "merge": gettext_lazy("Merged"),
    "note": gettext_lazy("Note"),
}

_LOOKS: Final[dict[str, tuple[str, str]]] = {
    # verb: (shape, tone)
    "suspect": ("p2", "amber"), "start": ("bolt", "ink"), "reopen": ("bolt", "ink"),
    "schedule": ("planned", "quiet"), "reschedule": ("planned", "quiet"), "extend": ("planned", "quiet"),
    "notify": ("planned", "quiet"),
    "set_etr": ("planned", "blue"), "restore_part": ("restored", "blue"), "restore": ("restored", "green"),
    "close": ("closed", "quiet"), "cancel": ("cancelled", "quiet"), "void": ("cancelled", "quiet"),
    "merge": ("p2", "quiet"), "note": ("person", "ink"),
}  # fmt: skip

# what a person wants to see of a change; counts follow from the extent and are told once
_SHOWN: Final = (
    "status", "etr", "etr_source", "etr_reason", "next_update_by", "planned_start", "planned_end", "started_at",
    "restored_at", "level", "place", "cause_class", "cause_code", "cause_text", "customers_out", "critical_out",
)  # fmt: skip
# at the beginning the verb and the head of the page say these
_SAID_ELSEWHERE: Final = ("status", "place", "level")


@dataclass(frozen=True)
class Change:
    name: str
    before: str
    after: str


@dataclass(frozen=True)
class Entry:
    """One line of the history."""

    number: int
    at: datetime
    verb: str | Promise
    shape: str
    tone: str
    who: str
    actor_kind: str
    changes: tuple[Change, ...]
    note: str
    is_public: bool

    @property
    def is_system(self) -> bool:
        return self.actor_kind == "system"


@dataclass(frozen=True)
class Estimate:
    """One estimate that was given: what was promised, by whom, when."""

    etr: datetime | None
    set_at: datetime
    source: str
    reason: str


def entries_of(events: Iterable[OutageEvent], *, kind: str) -> list[Entry]:
    """Every event in words, in the order given; a kind names its own steps and facts."""
    handler = kinds.handler_for(kind)
    return [_entry(event, handler) for event in events]


def _entry(event: OutageEvent, handler: KindHandler) -> Entry:
    shape, tone = _LOOKS.get(event.verb, ("system" if event.actor_kind == "system" else "person", "quiet"))
    return Entry(
        number=event.sequence,
        at=event.at,
        verb=VERBS.get(event.verb) or handler.verbs.get(event.verb) or capfirst(event.verb.replace("_", " ")),
        shape=shape,
        tone=tone,
        who=f"{event.actor_name} · {event.source}" if event.source else event.actor_name,
        actor_kind=event.actor_kind,
        changes=tuple(_changes(event, handler)),
        note=event.note,
        is_public=event.is_public,
    )


def _changes(event: OutageEvent, handler: KindHandler) -> Iterable[Change]:
    for name in _SHOWN:
        if name not in event.after:
            continue
        before, after = event.before.get(name), event.after[name]
        if before in (None, "") and (after in (None, "", 0, "unknown") or name in _SAID_ELSEWHERE):
            continue
        words = handler.facts.get(name, ("", {}))[1]
        yield Change(
            label_of(name), str(words.get(before, _value(name, before))), str(words.get(after, _value(name, after)))
        )
    for name, value in event.after.items():
        if name in _OUTAGE_FIELDS or value in ("", None) or name not in handler.facts:
            continue
        label, words = handler.facts[name]
        yield Change(capfirst(str(label)), "", str(words.get(value, _value(name, value))))


_OUTAGE_FIELDS: Final = frozenset(field.name for field in Outage._meta.get_fields())


def label_of(name: str) -> str:
    """What a fact of the record is called."""
    return capfirst(str(Outage._meta.get_field(name).verbose_name))  # type: ignore[union-attr]


def _value(name: str, value: Any) -> str:
    if value in (None, ""):
        return ""
    if isinstance(value, str):
        time = parse_datetime(value) if len(value) >= 16 and value[:4].isdigit() else None
        if time is not None:
            return moment(time)
        try:
            choices = dict(Outage._meta.get_field(name).flatchoices)  # type: ignore[union-attr]
        except (FieldDoesNotExist, AttributeError):
            return value
        return str(choices.get(value, value))
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    return f"{value:g}" if isinstance(value, float) else str(value)


def estimates_of(events: Iterable[OutageEvent]) -> list[Estimate]:
    """How the estimate moved, oldest first."""
    given = [event for event in events if "etr" in event.after]
    return [
        Estimate(
            etr=parse_datetime(event.after["etr"]) if event.after["etr"] else None,
            set_at=event.at,
            source=_value("etr_source", event.after.get("etr_source", "")),
            reason=str(event.after.get("etr_reason") or ""),
        )
        for event in reversed(given)
        if event.after["etr"] or event.before.get("etr")
    ]
