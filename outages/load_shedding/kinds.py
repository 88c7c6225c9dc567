"""Load shedding in the unified record: who steers a slot's outage, what its customers are told, what pages show."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connection
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _

from accounts.actor import Actor
from accounts.pages import span
from grid.models import ServicePoint
from outages.kinds import BoardFacts, Contribution, KindHandler
from outages.load_shedding import lifecycle, policies, premises
from outages.load_shedding.models import Slot
from outages.models import Outage, OutageKind, OutageStatus
from standards.errors import Conflict

DUE_SOON: Final = timedelta(minutes=15)

_RUN: Final = ("shedding.write",)
_CHANGE: Final = ("shedding.write", "shedding.approve")

# what may happen to a slot's outage apart from its event
_FREE: Final = ("notify", "close")
_REMINDERS: Final = frozenset({"reminder_early", "reminder_late", "restored"})


class SteeredByEvent(Conflict):
    code = "steered_by_event"
    message = _("This is a slot of %(event)s: it is switched and changed there.")


class LoadSheddingHandler(KindHandler):
    kind = OutageKind.LOAD_SHEDDING
    prefix = "S"
    label = _("load shedding")
    shape = "▤"
    tone = "shedding"
    rank = 3
    reason_zh = "有序用电"
    reason_en = "load shedding"
    steps = (
        ("scheduled", _("slot confirmed")),
        ("active", _("off")),
        ("restored", _("on again")),
        ("closed", _("reconciled")),
    )
    also_by = {
        "schedule": _CHANGE,
        "reschedule": _CHANGE,
        "extend": _CHANGE,
        "set_etr": _CHANGE,
        "cancel": _CHANGE,
        "close": _CHANGE,
        "start": _RUN,
        "restore": _RUN,
    }
    verbs = {"stuck": _("Not restored: it is a fault now"), "late": _("Late")}
    facts = {"fault": (_("fault"), {})}
    panel_template = "load_shedding/_panel.html"

    def may(self, outage: Outage, action: str, actor: Actor, facts: dict[str, Any]) -> None:
        """A slot and its outage never say different things: only the slot's own services change both.

        They name the slot; anybody else is sent to the event. What is over may be declared an error.
        """
        named = facts.get("slot")
        if not outage.pk or action in _FREE or (named is not None and named.outage_id == outage.pk):
            return
        slot = slot_of(outage)
        if slot is None:
            return
        if action != "void" or slot.state not in lifecycle.SLOT_OVER:
            raise SteeredByEvent(event=slot.event.reference)

    def tells(self, outage: Outage) -> frozenset[str] | None:
        """Who was told a time need not hear that it has come, except in an emergency or where no time was left."""
        slot = slot_of(outage)
        if slot is None:
            return None
        begins = outage.planned_start
        is_sudden = slot.event.is_emergency or begins is None or outage.created_at >= begins
        return _REMINDERS | {"started"} if is_sudden else _REMINDERS

    def contribute(self, service_points: Sequence[ServicePoint], at: datetime) -> dict[int, Contribution]:
        """The published turns of their blocks; what is decided stands in the record already."""
        return premises.turns_told(service_points, at)

    def board_facts(self, outage_ids: Collection[int]) -> dict[int, BoardFacts]:
        """Nothing is switched by itself: what is due, and what is late."""
        with connection.cursor() as db:
            db.execute(_BOARD_SQL, [list(outage_ids)])
            rows = db.fetchall()
        now = timezone.now()
        return {row[0]: _facts(*row[1:], now=now) for row in rows}

    def panel(self, outage: Outage, actor: Actor) -> dict[str, Any]:
        slot = slot_of(outage)
        if slot is None:
            return {"slot": None}
        return {
            "slot": slot,
            "event": slot.event,
            "may_switch": policies.may(actor=actor, action="switch", branch=slot.event.branch),
        }


def slot_of(outage: Outage) -> Slot | None:
    """The slot that this outage is, with its event."""
    slots = Slot.objects.select_related("event__branch", "event__plan", "block", "fault")
    return slots.filter(outage_id=outage.pk).first()


def _facts(status: str, starts_at: datetime, ends_at: datetime, *, now: datetime) -> BoardFacts:
    stage: str | Promise = ""
    late = soon = False
    if status == OutageStatus.SCHEDULED:
        if starts_at <= now:
            stage, late = _t("should have been off for %(late)s") % {"late": span(now - starts_at)}, True
        elif starts_at - now <= DUE_SOON:
            stage, soon = _t("off in %(left)s") % {"left": span(starts_at - now)}, True
    elif ends_at <= now:
        stage, late = _t("overrunning by %(late)s") % {"late": span(now - ends_at)}, True
    elif ends_at - now <= DUE_SOON:
        stage, soon = _t("on again in %(left)s") % {"left": span(ends_at - now)}, True
    return BoardFacts(stage=stage, late=late, soon=soon)


_BOARD_SQL: Final = """
SELECT o.id, o.status, s.starts_at, s.ends_at
FROM outages_outage o JOIN load_shedding_slot s ON s.outage_id = o.id
WHERE o.id = ANY(%s) AND o.status IN ('scheduled', 'active', 'partially_restored')
"""
