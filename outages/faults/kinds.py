"""Faults in the unified record: what they refuse, how their own record follows, what they add to pages and verdicts."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final

from django.db import connection
from django.db.models import Count, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

import standards
from accounts.actor import Actor
from grid.models import ServicePoint
from outages import policies
from outages.causes import RANK_SAFETY, Cause
from outages.events import event_append
from outages.faults import lifecycle
from outages.faults.models import (
    CAUSE_CLASS_OF,
    CauseCode,
    CrewAssignment,
    CrewState,
    EquipmentCode,
    Fault,
    FaultOrigin,
    FaultState,
    RemedyCode,
    TroubleReport,
)
from outages.faults.texts import UNKNOWN_REASON
from outages.kinds import BoardFacts, Contribution, KindHandler
from outages.lifecycle import MissingFact
from outages.models import CauseClass, Outage, OutageEvent, OutageKind
from standards.errors import DomainError, UnknownCode

_CODES: Final = {
    "cause_class": CauseClass.values,
    "cause_code": CauseCode.values,
    "equipment_code": EquipmentCode.values,
    "remedy_code": RemedyCode.values,
    "origin": FaultOrigin.values,
}
_ON_SITE: Final = (CrewState.ARRIVED, CrewState.WORKING, CrewState.FIELD_COMPLETE)


class CauseMismatch(DomainError):
    code = "cause_mismatch"
    message = _("The cause does not belong to this cause class.")


# every verdict asks this, so it is plain SQL: the newest danger of each premises whose outage is still open
_DANGER_SQL: Final = """
SELECT DISTINCT ON (asked.point) asked.point, o.id, o.reference, o.status, r.reported_at, b.name, b.name_en
FROM unnest(%(points)s::bigint[], %(elements)s::bigint[]) AS asked(point, element)
JOIN faults_troublereport r ON (r.service_point_id = asked.point OR r.element_id = asked.element) AND r.is_hazard
JOIN outages_outage o ON o.id = r.outage_id
JOIN grid_branch b ON b.id = r.branch_id
WHERE o.status IN ('suspected', 'active', 'partially_restored') AND r.reported_at <= %(at)s
ORDER BY asked.point, r.reported_at DESC
"""


class FaultHandler(KindHandler):
    kind = OutageKind.FAULT
    prefix = "F"
    label = _("fault")
    shape = "▲"
    tone = "p1"
    rank = 2
    reason_zh, reason_en = UNKNOWN_REASON
    steps = (
        ("reported", _("reported")),
        ("confirmed", _("confirmed")),
        ("assigned", _("crew sent")),
        ("arrived", _("crew on site")),
        ("partially_restored", _("partly restored")),
        ("restored", _("restored")),
        ("closed", _("closed")),
    )
    panel_template = "faults/_panel.html"

    verbs = {
        "crew_assigned": _("Crew assigned"),
        "crew_state": _("Crew"),
        "report": _("Trouble report"),
        "reports": _("Trouble reports"),
        "findings": _("Findings"),
    }
    facts = {
        "crew_name": (_("Crew"), {}),
        "crew_state": (_("State"), dict(CrewState.choices)),
        "cause_code": (_("cause code"), dict(CauseCode.choices)),
        "equipment_code": (_("Equipment"), dict(EquipmentCode.choices)),
        "remedy_code": (_("Remedy"), dict(RemedyCode.choices)),
        "reports": (_("Reports"), {}),
        "new_reports": (_("New reports"), {}),
    }

    def may(self, outage: Outage, action: str, actor: Actor, facts: dict[str, Any]) -> None:
        """Codes are known, the fault's own table agrees, and a closed fault is complete."""
        codes_check(facts)
        fault = Fault.objects.filter(outage_id=outage.pk).first() if outage.pk else None
        if fault is None:
            return
        lifecycle.state_after(action=action, state=fault.state)
        if action == "close":
            known = {"cause_code": outage.cause_code, "equipment_code": "", "remedy_code": ""}
            missing = [name for name, value in known.items() if not (facts.get(name) or value)]
            if missing:
                raise MissingFact(field=missing[0], action=action, missing=", ".join(missing))

    def after(self, outage: Outage, event: OutageEvent, facts: dict[str, Any]) -> None:
        """The fault follows its outage; reports and crews follow the fault."""
        fault = Fault.objects.filter(outage=outage).first()
        if fault is None:
            self._begin(outage, event, facts)
            return
        fault.state = lifecycle.state_after(action=event.verb, state=fault.state)
        fields = ["state"]
        if event.verb in ("start", "reopen"):
            fault.confirmed_at = event.at
            fields.append("confirmed_at")
        for name in ("origin", "element_id", "equipment_code", "remedy_code"):
            if facts.get(name):
                setattr(fault, name, facts[name])
                fields.append(name)
        fault.save(update_fields=[name.removesuffix("_id") for name in fields])
        if event.verb == "merge":
            self._hand_over(fault, facts["survivor"])
        if event.verb in ("close", "cancel", "void", "merge"):
            fault.assignments.exclude(state=CrewState.RELEASED).update(
                state=CrewState.RELEASED, released_at=timezone.now()
            )
        if event.verb == "close":
            event_append(
                outage=outage,
                verb="findings",
                actor=Actor(event.actor_kind, event.actor_name, event.actor_id),  # type: ignore[arg-type]
                after={"equipment_code": fault.equipment_code, "remedy_code": fault.remedy_code},
            )

    def _begin(self, outage: Outage, event: OutageEvent, facts: dict[str, Any]) -> None:
        is_confirmed = event.verb == "start"
        Fault.objects.create(
            outage=outage,
            state=FaultState.CONFIRMED if is_confirmed else FaultState.REPORTED,
            origin=facts.get("origin") or FaultOrigin.DISTRIBUTION,
            element_id=facts.get("element_id"),
            confirmed_at=event.at if is_confirmed else None,
        )

    def _hand_over(self, loser: Fault, survivor: Outage) -> None:
        """Reports and crews of a merged fault go on with the survivor; a crew that is there already stays once."""
        TroubleReport.objects.filter(outage_id=loser.outage_id).update(outage=survivor)
        heir = Fault.objects.get(outage=survivor)
        there = heir.assignments.exclude(state=CrewState.RELEASED).values("crew")
        loser.assignments.exclude(state=CrewState.RELEASED).exclude(crew__in=there).update(fault=heir)

    def contribute(self, service_points: Sequence[ServicePoint], at: datetime) -> dict[int, Contribution]:
        """A danger reported at these premises leads every answer until its outage is over."""
        asked: dict[str, Any] = {
            "points": [point.pk for point in service_points],
            "elements": [point.element_id for point in service_points],
            "at": at,
        }
        with connection.cursor() as db:
            db.execute(_DANGER_SQL, asked)
            return {row[0]: Contribution(causes=(self._danger(*row[1:]),)) for row in db.fetchall()}

    def _danger(
        self, outage_id: int, reference: str, status: str, reported_at: datetime, owner: str, owner_en: str
    ) -> Cause:
        return Cause(
            rank=RANK_SAFETY,
            kind=self.kind,
            blocks=False,
            outage_id=outage_id,
            reference=reference,
            status=status,
            since=reported_at,
            known_at=reported_at,
            owner=owner,
            owner_en=owner_en or owner,
        )

    def board_facts(self, outage_ids: Collection[int]) -> dict[int, BoardFacts]:
        with connection.cursor() as db:
            db.execute(_BOARD_SQL, {"outages": list(outage_ids)})
            rows = db.fetchall()
        return {
            row[0]: BoardFacts(
                safety=row[2],
                reports=row[3],
                crew=self._crew_words(row[4], row[5], row[6]),
                stage=FaultState(row[1]).label,
                unassigned_since=None if row[4] else row[7],
            )
            for row in rows
        }

    @staticmethod
    def _crew_words(code: str | None, state: str | None, crews: int) -> str:
        if code is None or state is None:
            return ""
        more = f" +{crews - 1}" if crews > 1 else ""
        return f"{code} · {CrewState(state).label}{more}"

    def reports_since(self, moment: datetime) -> int | None:
        return TroubleReport.objects.filter(reported_at__gte=moment).count()

    def panel(self, outage: Outage, actor: Actor) -> dict[str, Any]:
        fault = Fault.objects.select_related("element").get(outage=outage)
        reports = TroubleReport.objects.filter(outage=outage)
        may_write = policies.may(actor=actor, action="start", outage=outage)
        assignments = list(
            CrewAssignment.objects.filter(fault=fault).exclude(state=CrewState.RELEASED).select_related("crew")
        )
        return {
            "fault": fault,
            "cause": CauseCode(outage.cause_code).label if outage.cause_code in CauseCode.values else "",
            "assignments": [
                (row, [(state, CrewState(state).label) for state in lifecycle.crew_states_from(row.state)])
                for row in assignments
            ],
            "reports": reports.aggregate(
                all=Count("id"),
                still_out=Count("id", filter=Q(still_out=True)),
                callbacks=Count("id", filter=Q(wants_callback=True)),
            ),
            "hazards": list(reports.filter(is_hazard=True).select_related("service_point")[:5]),
            "arrival_due": self._arrival_due(outage, fault, assignments),
            "actions": self.actions(outage, fault) if may_write else [],
        }

    @staticmethod
    def actions(outage: Outage, fault: Fault) -> list[str]:
        """What a dispatcher can do next, in the order of the work."""
        return [
            name
            for name, action in (
                ("confirm", "start"),
                ("etr", "set_etr"),
                ("assign", "change_extent"),  # a crew is sent while the outage is open
                ("restore-part", "restore_part"),
                ("restore", "restore"),
                ("close", "close"),
                ("dismiss", "cancel"),
                ("merge", "merge"),
            )
            if fault.state in lifecycle.TRANSITIONS[action].sources
        ]

    @staticmethod
    def _arrival_due(outage: Outage, fault: Fault, assignments: list[CrewAssignment]) -> datetime | None:
        """Until when a crew was promised on site, while none is there (the rule pack's minutes by area class)."""
        if fault.confirmed_at is None or not outage.is_off or any(row.state in _ON_SITE for row in assignments):
            return None
        promise = getattr(standards.pack(outage.rule_pack).fault.arrival, outage.branch.area_class)
        due: datetime = promise.after(fault.confirmed_at)
        return due

    def step(self, outage: Outage) -> str:
        fault = Fault.objects.filter(outage=outage).first()
        if fault is None or fault.state in (FaultState.DISMISSED, FaultState.MERGED):
            return outage.status
        if fault.state in (FaultState.REPORTED, FaultState.PREDICTED):
            return "reported"
        if fault.state in (FaultState.CONFIRMED, FaultState.ISOLATED):
            states = set(fault.assignments.exclude(state=CrewState.RELEASED).values_list("state", flat=True))
            if states & set(_ON_SITE):
                return "arrived"
            return "assigned" if states & {CrewState.ASSIGNED, CrewState.EN_ROUTE} else "confirmed"
        return "restored" if fault.state == FaultState.VERIFIED else fault.state


def codes_check(facts: dict[str, Any]) -> None:
    """Every code is one of ours, and the cause lies in its class. Fills in the class that a cause implies."""
    for name, allowed in _CODES.items():
        value = facts.get(name)
        if value and value not in allowed:
            raise UnknownCode(field=name, value=value)
    code = facts.get("cause_code")
    if not code:
        return
    if not facts.get("cause_class"):
        facts["cause_class"] = CAUSE_CLASS_OF[code]
    if facts["cause_class"] != CAUSE_CLASS_OF[code]:
        raise CauseMismatch(field="cause_code")


_BOARD_SQL = """
SELECT f.outage_id, f.state, coalesce(r.hazard, false), coalesce(r.reports, 0), a.code, a.state, a.crews, o.created_at
FROM faults_fault f
JOIN outages_outage o ON o.id = f.outage_id
LEFT JOIN LATERAL (
    SELECT count(*) AS reports, bool_or(is_hazard) AS hazard FROM faults_troublereport WHERE outage_id = f.outage_id
) r ON true
LEFT JOIN LATERAL (
    SELECT c.code, ca.state, count(*) OVER () AS crews
    FROM faults_crewassignment ca JOIN faults_crew c ON c.id = ca.crew_id
    WHERE ca.fault_id = f.id AND ca.state NOT IN ('released', 'awaiting')
    ORDER BY array_position(
        ARRAY['working', 'arrived', 'field_complete', 'en_route', 'assigned'], ca.state::text), ca.id
    LIMIT 1
) a ON true
WHERE f.outage_id = ANY(%(outages)s)
"""
