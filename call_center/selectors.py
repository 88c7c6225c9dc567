"""What the agent sees of one caller: the answer first, then where it comes from, then who is asking."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from django.core import signing
from django.db import connection
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone, translation
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from accounts.actor import Actor
from accounts.scope import visible_to
from call_center import policies
from call_center.models import Call, Callback, CallbackState, CallReason, IdentityCheck, Pin
from grid.models import GridElement, ServicePoint
from outages import kinds
from outages.causes import RANK_CALLED_OFF, RANK_RESTORED, RANK_SUSPECTED, Cause
from outages.faults.models import TroubleReport
from outages.load_shedding import premises, schedule
from outages.load_shedding.models import SheddingBlock
from outages.models import EtrConfidence, Interruption, Outage, OutageKind, OutageStatus
from outages.selectors import outages_visible_to
from outages.supply_status import Verdict, supply_status
from outages.wording import spoken_time
from standards.errors import NotFound

HISTORY: Final = timedelta(days=90)
PROMISE_HOLDS: Final = timedelta(hours=24)
RECENT: Final = 10
_SALT: Final = "call_center.told"
# drawn beside the word, so that colour is never alone
_SHAPES: Final = {
    OutageKind.PLANNED: "planned",
    OutageKind.LOAD_SHEDDING: "shedding",
    OutageKind.FAULT: "p1",
    OutageKind.NON_PAYMENT: "cutoff",
}
# state of the card: (title, shape, tone)
_STATES: Final[dict[str, tuple[str | Promise, str, str]]] = {
    "safety": (_lazy("Danger reported"), "p1", "red"),
    "off": (_lazy("Power is off"), "p1", "red"),
    "no_etr": (_lazy("Power is off, no time yet"), "p1", "red"),
    "overdue": (_lazy("Power is off, later than we said"), "p1", "red"),
    "suspected": (_lazy("Perhaps off, being checked"), "p2", "amber"),
    "restored": (_lazy("Restored"), "restored", "green"),
    "on": (_lazy("Nothing known"), "p3", "quiet"),
    "unknown": (_lazy("To be checked with the caller"), "p2", "amber"),
}


@dataclass(frozen=True)
class Script:
    zh: str
    en: str


# read out the moment one of the safety questions is answered with yes, whatever else is known
SAFETY_SCRIPT: Final = Script(
    zh="请马上远离断落或冒火的电线和设备，不要触碰任何东西，也不要让别人靠近；如果有人受伤，请先拨打120。我现在就通知抢修人员。",
    en=(
        "Please keep well away from any fallen or burning line, touch nothing and let nobody come near."
        " If somebody is hurt, call an ambulance first. I am alerting our crew now."
    ),
)


def calls_visible_to(actor: Actor) -> QuerySet[Call]:
    """An agent's own calls, wherever the caller lives; a call without premises belongs to nobody's branch."""
    if not policies.may_take_calls(actor):
        return Call.objects.none()
    return Call.objects.filter(agent_id=policies.agent_id(actor))


def call_by_key(*, actor: Actor, key: UUID) -> Call:
    """One call of this agent; somebody else's and a missing one are the same ``NotFound``."""
    call = (
        calls_visible_to(actor)
        .select_related("branch", "outage", "service_point__customer", "service_point__branch")
        .select_related("service_point__element__feeder")
        .filter(key=key)
        .first()
    )
    if call is None:
        raise NotFound()
    return call


def service_point_for(*, actor: Actor, service_point_id: int) -> ServicePoint:
    """Premises the actor may see; foreign and missing ones are the same ``NotFound``."""
    points = visible_to(actor, ServicePoint.objects.filter(pk=service_point_id))
    found = points.select_related("customer", "branch", "element__feeder").first()
    if found is None:
        raise NotFound()
    return found


def identity_standing(*, actor: Actor, call: Call) -> IdentityCheck | None:
    """The check by which this agent may speak of the account now: in this call, for the premises chosen."""
    if not policies.may_ask_identity(actor=actor, call=call):
        return None
    checks = IdentityCheck.objects.filter(call=call, service_point=call.service_point_id, by=actor.user_id)
    return checks.filter(withdrawn_at__isnull=True).first()


# --- the answer -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Evidence:
    """Where a statement comes from: the record, how sure, how old, how often changed, whose it is."""

    cause: Cause
    label: str | Promise
    shape: str
    confidence: str | Promise
    age_minutes: int
    expected: datetime | None
    is_overdue: bool

    @property
    def is_same_day(self) -> bool:
        begins, until = self.cause.begins, self.cause.until
        if begins is None or until is None:
            return False
        return timezone.localtime(begins).date() == timezone.localtime(until).date()

    @property
    def is_private(self) -> bool:
        """Its page is not for whoever answers calls."""
        return self.cause.kind == OutageKind.NON_PAYMENT

    @property
    def is_called_off(self) -> bool:
        return self.cause.rank == RANK_CALLED_OFF

    @property
    def changes(self) -> int:
        """How often the estimate was changed after it was first given."""
        return self.cause.etr_changes

    @property
    def owner(self) -> str:
        return self.cause.owner if (translation.get_language() or "").startswith("zh") else self.cause.owner_en

    @property
    def reason(self) -> str:
        zh = (translation.get_language() or "").startswith("zh")
        return self.cause.reason_zh if zh else self.cause.reason_en


@dataclass(frozen=True)
class Answer:
    """The answer card: the sentence and all that stands under it."""

    verdict: Verdict
    state: str
    lead: Evidence | None
    others: tuple[Evidence, ...]
    active: tuple[Evidence, ...]
    announced: tuple[Evidence, ...]  # ahead of us, and what was called off
    restored: tuple[Evidence, ...]
    promise_zh: str
    promise_en: str
    neighbours: int
    told: str  # signed: what stands on this screen, handed back when the call is logged

    @property
    def title(self) -> str | Promise:
        lead = self.lead
        if lead is not None and self.state in ("off", "no_etr", "overdue") and lead.cause.kind != OutageKind.FAULT:
            return lead.label
        return _STATES[self.state][0]

    @property
    def shape(self) -> str:
        return self.lead.shape if self.lead is not None and self.lead.cause.blocks else _STATES[self.state][1]

    @property
    def tone(self) -> str:
        lead = self.lead
        if lead is not None and self.state == "off" and lead.cause.kind != OutageKind.FAULT:
            return "violet" if lead.cause.kind == OutageKind.LOAD_SHEDDING else "blue"
        return _STATES[self.state][2]

    @property
    def topics(self) -> list[str]:
        """What to listen to on the live stream."""
        causes = (*self.verdict.causes, *self.verdict.upcoming)
        return sorted({f"outage:{cause.outage_id}" for cause in causes if cause.outage_id is not None})

    @property
    def preset_reason(self) -> CallReason:
        """Why they probably call, from what is known."""
        if self.state == "safety":
            return CallReason.HAZARD
        if self.state == "restored":
            return CallReason.STILL_OUT
        if self.lead is not None and self.lead.is_private:
            return CallReason.BILLING
        if self.state == "on" and self.is_about_an_announcement:
            return CallReason.PLANNED
        return CallReason.NO_SUPPLY

    @property
    def is_about_an_announcement(self) -> bool:
        """The sentence speaks of an announced outage: near, moved, or called off."""
        at = self.verdict.at
        return bool(self.verdict.called_off) or any(
            cause.is_near(at) or cause.has_moved(at) for cause in self.verdict.upcoming
        )


def answer(
    *, service_point: ServicePoint, call: Call | None = None, at: datetime | None = None, verified: bool = False
) -> Answer:
    """Why this caller is off and when it will be back, with its evidence; six statements at most."""
    at = at or timezone.now()
    verdict = supply_status(service_point, at, verified=verified)
    causes = [_evidence(cause, at) for cause in verdict.causes]
    promise = _promise_broken(service_point, verdict, call)
    return Answer(
        verdict=verdict,
        state=_card_state(verdict),
        lead=causes[0] if causes else None,
        others=tuple(causes[1:]),
        active=_one_each(e for e in causes if e.cause.rank < RANK_RESTORED),
        announced=tuple(_evidence(cause, at) for cause in (*verdict.upcoming, *verdict.called_off)),
        restored=tuple(e for e in causes if e.cause.rank == RANK_RESTORED),
        promise_zh=_promise_words("zh-hans", promise, verdict),
        promise_en=_promise_words("en", promise, verdict),
        neighbours=_neighbours(verdict),
        told=told_sign(verdict),
    )


def _one_each(causes: Iterable[Evidence]) -> tuple[Evidence, ...]:
    """A danger and the fault behind it are one outage."""
    return tuple({evidence.cause.outage_id: evidence for evidence in causes}.values())


def _card_state(verdict: Verdict) -> str:
    """The verdict's state, with the two faces of "off" that change the wording: no time, and a time that has passed."""
    if verdict.state != "off" or verdict.quote is not None:
        return verdict.state
    return "overdue" if any(cause.is_overdue(verdict.at) for cause in verdict.blocking) else "no_etr"


def _evidence(cause: Cause, at: datetime) -> Evidence:
    handler = kinds.handler_for(cause.kind)
    age = 0 if cause.known_at is None else max(0, int((at - cause.known_at).total_seconds() // 60))
    confidence: str | Promise = EtrConfidence(cause.etr_confidence).label if cause.etr_confidence else ""
    if cause.rank == RANK_SUSPECTED:
        confidence = _("being checked")
    return Evidence(
        cause=cause,
        label=handler.label,
        shape=_SHAPES[OutageKind(cause.kind)],
        confidence=confidence,
        age_minutes=age,
        expected=cause.expected(at),
        is_overdue=cause.blocks and cause.is_overdue(at),
    )


def _neighbours(verdict: Verdict) -> int:
    """How many other premises have reported the leading outage."""
    outage_id = verdict.lead.outage_id if verdict.lead is not None else None
    if outage_id is None:
        return 0
    reports = TroubleReport.objects.filter(outage_id=outage_id, service_point__isnull=False)
    others = reports.exclude(service_point_id=verdict.service_point_id)
    return int(others.aggregate(n=Count("service_point", distinct=True))["n"] or 0)


def _promise_broken(service_point: ServicePoint, verdict: Verdict, call: Call | None) -> Call | None:
    """The last call in which these premises were told an earlier time than now, if the outage still runs.

    An earlier quote than before is good news and needs no apology; it also comes of rounding as the time draws near.
    """
    outages = [cause.outage_id for cause in verdict.blocking if cause.outage_id is not None]
    if not outages:
        return None
    earlier = Call.objects.filter(
        service_point=service_point,
        outage_id__in=outages,
        told_etr__isnull=False,
        said_at__gt=verdict.at - PROMISE_HOLDS,
    )
    if call is not None:
        earlier = earlier.exclude(pk=call.pk)
    last = earlier.order_by("-said_at").first()
    if last is None or last.told_etr is None or (verdict.quote is not None and verdict.quote <= last.told_etr):
        return None
    return last


def _promise_words(language: str, promise: Call | None, verdict: Verdict) -> str:
    """A caller who was promised another time hears that first."""
    if promise is None or promise.told_etr is None or promise.said_at is None:
        return ""
    tz = ZoneInfo(verdict.time_zone)
    with translation.override(language):
        words = {
            "said_at": spoken_time(promise.said_at, language, verdict.at, tz),
            "told": spoken_time(promise.told_etr, language, verdict.at, tz),
        }
        if verdict.quote is None:
            return _("When you called at %(said_at)s we said %(told)s; that no longer holds.") % words
        words["now"] = spoken_time(verdict.quote, language, verdict.at, tz)
        return _("When you called at %(said_at)s we said %(told)s; it is now %(now)s.") % words


# --- what was told ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Told:
    """What stood on the screen when the agent read it out."""

    zh: str = ""
    en: str = ""
    at: datetime | None = None
    etr: datetime | None = None
    outage_id: int | None = None
    is_private: bool = False  # it spoke of a debt


def told_sign(verdict: Verdict) -> str:
    lead = verdict.lead
    return signing.dumps(
        {
            "zh": verdict.sentence_zh,
            "en": verdict.sentence_en,
            "at": verdict.at.isoformat(),
            "etr": verdict.quote.isoformat() if verdict.quote is not None else "",
            "outage": lead.outage_id if lead is not None else None,
            "point": verdict.service_point_id,
            "private": any(cause.kind == OutageKind.NON_PAYMENT for cause in (*verdict.causes, *verdict.upcoming)),
        },
        salt=_SALT,
        compress=True,
    )


def told_read(signed: str, *, service_point_id: int | None) -> Told:
    """What the card said; nothing if the value was not ours or speaks of other premises."""
    try:
        value = signing.loads(signed, salt=_SALT, max_age=timedelta(days=1))
    except signing.BadSignature:
        return Told()
    if value["point"] != service_point_id:
        return Told()
    return Told(
        zh=value["zh"],
        en=value["en"],
        at=datetime.fromisoformat(value["at"]),
        etr=datetime.fromisoformat(value["etr"]) if value["etr"] else None,
        outage_id=value["outage"],
        is_private=value["private"],
    )


# --- who is asking ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Person:
    """The caller as this agent may see them now."""

    name: str
    phone: str
    address: str
    account: str
    meter: str
    is_clear: bool


@dataclass(frozen=True)
class History:
    outages: int
    minutes: int


@dataclass(frozen=True)
class Panel:
    """The 360 panel beside the answer."""

    person: Person
    service_point: ServicePoint
    path: tuple[GridElement, ...]
    history: History
    last_calls: tuple[Call, ...]
    is_pinned: bool


def panel(*, actor: Actor, call: Call, service_point: ServicePoint, at: datetime | None = None) -> Panel:
    """Who they are, how they are supplied, what they have been through."""
    at = at or timezone.now()
    earlier = Call.objects.filter(service_point=service_point, ended_at__isnull=False).exclude(pk=call.pk)
    element = service_point.element
    return Panel(
        person=person(actor=actor, call=call, service_point=service_point),
        service_point=service_point,
        path=(element.feeder, element) if element.feeder is not None else (element,),
        history=history(service_point=service_point, at=at),
        last_calls=tuple(earlier.select_related("outage").order_by("-started_at")[:3]),
        is_pinned=Pin.objects.filter(user_id=policies.agent_id(actor), service_point=service_point).exists(),
    )


@dataclass(frozen=True)
class Shedding:
    """The block of the premises, and, where a turn is announced or runs, why it is its turn again."""

    block: SheddingBlock
    known_until: datetime | None  # after this nothing is published, which does not mean that nobody is shed
    why: str


def shedding(*, service_point: ServicePoint, verdict: Verdict) -> Shedding | None:
    """What the agent can say of load shedding beside the answer; ``None`` for premises never shed in turns."""
    block = premises.block_of(service_point, verdict.at)
    if block is None:
        return None
    is_asked = any(cause.kind == OutageKind.LOAD_SHEDDING for cause in (*verdict.causes, *verdict.upcoming))
    why = premises.why_again(block, verdict.at) if is_asked else ""
    return Shedding(block=block, known_until=schedule.runs_out_at(block.plan, verdict.at), why=why)


def person(*, actor: Actor, call: Call, service_point: ServicePoint) -> Person:
    """In clear for the agent during the call, in part for everybody and always afterwards."""
    if not policies.may_read_in_clear(actor=actor, call=call):
        return person_in_part(call=call, service_point=service_point)
    customer = service_point.customer
    return Person(
        name=customer.name,
        phone=call.ani,
        address=service_point.address,
        account=customer.account_number,
        meter=service_point.meter_number,
        is_clear=True,
    )


def person_in_part(*, call: Call, service_point: ServicePoint) -> Person:
    """As much of a caller as a list shows."""
    customer = service_point.customer
    return Person(
        name=policies.mask_name(customer.name),
        phone=policies.mask_phone(call.ani) if call.ani else "",
        address=policies.mask_address(service_point.address),
        account=policies.mask_code(customer.account_number),
        meter=policies.mask_code(service_point.meter_number),
        is_clear=False,
    )


@dataclass(frozen=True)
class CallRow:
    """A call as a list shows it."""

    call: Call
    person: Person | None


def call_row(call: Call) -> CallRow:
    point = call.service_point
    return CallRow(call=call, person=None if point is None else person_in_part(call=call, service_point=point))


# Several outages at once are one darkness: the ranges are merged before they are measured. A debt is no outage here.
_HISTORY_SQL = """
WITH off AS (
    SELECT i.outage_id, i.actual * tstzrange(%(since)s, %(at)s) AS part
    FROM outages_interruption i JOIN outages_outage o ON o.id = i.outage_id
    WHERE (i.element_id = %(element)s OR i.service_point_id = %(point)s)
      AND i.actual && tstzrange(%(since)s, %(at)s) AND o.kind <> 'non_payment' AND NOT o.is_void
)
SELECT (SELECT count(DISTINCT outage_id) FROM off),
       (SELECT coalesce(sum(extract(epoch FROM upper(r) - lower(r))), 0) / 60
        FROM unnest((SELECT range_agg(part) FROM off)) AS r)
"""


def history(*, service_point: ServicePoint, at: datetime) -> History:
    """How often and how long these premises were without power in the last ninety days."""
    with connection.cursor() as db:
        db.execute(
            _HISTORY_SQL,
            {"element": service_point.element_id, "point": service_point.pk, "since": at - HISTORY, "at": at},
        )
        outages, minutes = db.fetchone()
    return History(outages=outages, minutes=round(minutes))


# --- the agent's own lists --------------------------------------------------------------------------


def recent_service_points(*, actor: Actor) -> list[int]:
    """The premises this agent opened last, each once, newest first."""
    rows = (
        calls_visible_to(actor)
        .filter(service_point__isnull=False)
        .order_by("-started_at", "-id")
        .values_list("service_point_id", flat=True)[:50]
    )
    return list(dict.fromkeys(pk for pk in rows if pk is not None))[:RECENT]


def recent_outages(*, actor: Actor) -> list[Outage]:
    """The outages this agent's callers were told about, newest first."""
    rows = (
        calls_visible_to(actor)
        .filter(outage__isnull=False)
        .order_by("-started_at", "-id")
        .values_list("outage_id", flat=True)[:50]
    )
    wanted = list(dict.fromkeys(pk for pk in rows if pk is not None))[:RECENT]
    found = {outage.pk: outage for outage in outages_visible_to(actor).filter(pk__in=wanted)}
    return [found[pk] for pk in wanted if pk in found]


def pinned_service_points(*, actor: Actor) -> list[int]:
    pins = Pin.objects.filter(user_id=policies.agent_id(actor), service_point__isnull=False)
    return [pk for pk in pins.values_list("service_point_id", flat=True)[:RECENT] if pk is not None]


def calls_own(*, actor: Actor) -> QuerySet[Call]:
    """The agent's call list, newest first."""
    return calls_visible_to(actor).select_related("outage", "service_point__customer").order_by("-started_at", "-id")


def call_last_logged(*, actor: Actor) -> Call | None:
    """For the receipt after "save and ready"."""
    logged = calls_visible_to(actor).filter(ended_at__isnull=False).select_related("outage")
    return logged.order_by("-ended_at").first()


# --- callbacks --------------------------------------------------------------------------------------


def callbacks_visible_to(actor: Actor) -> QuerySet[Callback]:
    if not policies.may_take_calls(actor):
        return Callback.objects.none()
    return visible_to(actor, Callback.objects.all())


def callbacks_due(*, actor: Actor) -> QuerySet[Callback]:
    """Promises to keep now: the outage is over, or at least these premises are no longer off in it."""
    still_off = Interruption.objects.filter(
        Q(element=OuterRef("service_point__element")) | Q(service_point=OuterRef("service_point")),
        outage=OuterRef("outage"),
        actual__isnull=False,
        actual__endswith__isnull=True,
    )
    over = Q(outage__status__in=[OutageStatus.RESTORED, OutageStatus.CLOSED])
    merged = Q(outage__merged_into__status__in=[OutageStatus.RESTORED, OutageStatus.CLOSED])
    partly = Q(outage__status=OutageStatus.PARTIALLY_RESTORED) & ~Exists(still_off)
    return (
        callbacks_visible_to(actor)
        .filter(over | merged | partly, state=CallbackState.WAITING)
        .select_related("outage", "service_point__customer", "call")
        .order_by(F("tried_at").asc(nulls_first=True), "created_at", "id")
    )


@dataclass(frozen=True)
class CallbackRow:
    """A promise as the list shows it; the number in clear, because it is about to be dialled."""

    callback: Callback
    name: str
    address: str
    phone: str
    reference: str  # of the outage, unless it was a cut for a debt


def callback_row(callback: Callback) -> CallbackRow:
    point = callback.service_point
    return CallbackRow(
        callback=callback,
        name=policies.mask_name(point.customer.name),
        address=policies.mask_address(point.address),
        phone=callback.phone or _("no number"),
        reference="" if callback.outage.kind == OutageKind.NON_PAYMENT else callback.outage.reference,
    )
