"""Opening a card, keeping what is typed, logging the call, keeping the promise to call back."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.actor import Actor
from accounts.models import AccessVerb
from accounts.services import access_record
from billing_cutoffs.services.complaints import complaint_from_call
from call_center import policies, selectors
from call_center.models import (
    REPORTED_REASONS,
    Call,
    Callback,
    CallbackResult,
    CallbackState,
    CallReason,
    CallScope,
    Pin,
    SafetyQuestion,
)
from call_center.search import phone_normalised, search
from grid.models import ServicePoint
from outages.faults.models import ReportChannel
from outages.faults.services import ReportRequest, report_add
from outages.load_shedding.models import Reaction
from outages.load_shedding.services.reactions import reaction_record
from outages.selectors import outage_by_reference
from standards.errors import Conflict, DomainError, NotFound

TRIES_MAX: Final = 3  # unanswered callbacks before a promise is given up
DRAFT_MAX: Final = 20_000  # characters; a note is a note


class AlreadyLogged(Conflict):
    code = "call_already_logged"
    message = _("This call has been logged already.")


class NoPremises(DomainError):
    code = "no_premises"
    message = _("Choose the caller's premises first.")


class DraftTooLong(DomainError):
    code = "draft_too_long"
    message = _("The note is too long.")


@dataclass(frozen=True)
class Logged:
    """What became of a call: the report it made, the outage that report joined or opened."""

    call: Call
    outage_opened: bool = False
    again: bool = False  # a double click: nothing was written this time


def call_pop(*, actor: Actor, ani: str = "", call_id: str = "", queue: str = "") -> Call:
    """The switchboard shows a call: one card per call id, however often it is popped."""
    policies.require_take_calls(actor)
    number = phone_normalised(ani) or ani.strip()[:32]
    facts: dict[str, Any] = {"ani": number, "queue": queue[:64], "agent_id": policies.agent_id(actor)}
    with transaction.atomic():
        if not call_id:
            return _premises_of_number(actor, Call.objects.create(**facts))
        call, created = Call.objects.get_or_create(call_id=call_id[:128], defaults=facts)
        if not created and call.is_open and call.agent_id != actor.user_id:
            # the call was put through: the card and its draft go with it
            call = Call.objects.select_for_update().get(pk=call.pk)
            call.agent_id = policies.agent_id(actor)
            call.save(update_fields=["agent"])
        return _premises_of_number(actor, call) if created else call


def _premises_of_number(actor: Actor, call: Call) -> Call:
    """When the number belongs to exactly one premises, that is whose supply it is about."""
    only = search(actor=actor, query=call.ani).only if call.ani.startswith("+") else None
    if only is None:
        return call
    return call_choose_premises(actor=actor, key=call.key, service_point_id=only.service_point.pk)


def start_token_new() -> str:
    """For the form that opens a card."""
    return secrets.token_urlsafe(12)


def call_start(*, actor: Actor, service_point_id: int, start_token: str = "") -> Call:
    """An agent opens a card for premises found by searching; a double click opens it once."""
    policies.require_take_calls(actor)
    point = selectors.service_point_for(actor=actor, service_point_id=service_point_id)
    facts: dict[str, Any] = {"service_point": point, "customer": point.customer, "branch": point.branch}
    facts["language"] = point.customer.language
    if not start_token:
        _opened(actor, point)
        return Call.objects.create(agent_id=policies.agent_id(actor), **facts)
    # Back and another choice is another card: the token stands for one choice only
    token = hashlib.sha256(f"{start_token}:{point.pk}".encode()).hexdigest()
    call, created = Call.objects.get_or_create(agent_id=policies.agent_id(actor), start_token=token, defaults=facts)
    if created:
        _opened(actor, point)
    return call


def call_choose_premises(*, actor: Actor, key: UUID, service_point_id: int) -> Call:
    """The caller has named the premises the call is about."""
    with transaction.atomic():
        call = call_locked(actor=actor, key=key)
        if not call.is_open:
            raise AlreadyLogged()
        point = selectors.service_point_for(actor=actor, service_point_id=service_point_id)
        call.service_point, call.customer, call.branch = point, point.customer, point.branch
        call.language = point.customer.language
        call.save(update_fields=["service_point", "customer", "branch", "language"])
        _opened(actor, point)
    return call


def _opened(actor: Actor, point: ServicePoint) -> None:
    """Keep that somebody's record was opened in clear (reliability.md 6.4)."""
    access_record(
        actor=actor,
        verb=AccessVerb.SEARCH,
        object_type="service_point",
        object_ref=point.code,
        branch_pos=point.branch.pos,
    )


def draft_save(*, actor: Actor, key: UUID, draft: Mapping[str, str]) -> datetime:
    """Keep what the agent has typed so far."""
    if sum(len(value) for value in draft.values()) > DRAFT_MAX:
        raise DraftTooLong(field="note")
    now = timezone.now()
    kept = Call.objects.filter(key=key, agent_id=policies.agent_id(actor), ended_at__isnull=True).update(
        draft=dict(draft), draft_at=now
    )
    if not kept:
        call = selectors.call_by_key(actor=actor, key=key)  # NotFound for a foreign one
        policies.require_log(actor=actor, call=call)
        raise AlreadyLogged()
    return now


def call_log(
    *,
    actor: Actor,
    key: UUID,
    reason: str,
    scope: str = CallScope.UNKNOWN,
    language: str = "zh-hans",
    safety: Mapping[str, bool] | None = None,
    note: str = "",
    callback_wanted: bool = True,
    told: selectors.Told | None = None,
) -> Logged:
    """Log a call: what they wanted, what they were told, and, if supply is missing, the report that follows."""
    told = told or selectors.Told()
    with transaction.atomic(durable=True):
        call = call_locked(actor=actor, key=key)
        if not call.is_open:
            return Logged(call=call, again=True)
        is_report = reason in REPORTED_REASONS or any((safety or {}).values())
        if is_report and call.service_point_id is None:
            raise NoPremises()
        call.reason, call.scope, call.language = reason, scope, language
        call.safety = {q: bool(v) for q, v in (safety or {}).items() if q in SafetyQuestion.values}
        call.note, call.callback_wanted = note, callback_wanted
        call.said_zh, call.said_en, call.said_at, call.told_etr = told.zh, told.en, told.at, told.etr
        call.outage_id, call.said_is_private = told.outage_id, told.is_private
        opened = _report(call, actor) if is_report else False
        call.ended_at = timezone.now()
        call.draft, call.draft_at = {}, None
        call.save(
            update_fields=[
                "reason", "scope", "language", "safety", "note", "callback_wanted", "said_zh", "said_en", "said_at",
                "told_etr", "said_is_private", "report", "outage", "ended_at", "draft", "draft_at",
            ]
        )  # fmt: skip
        if reason == CallReason.COMPLAINT and call.service_point_id is not None:
            complaint_from_call(service_point_id=call.service_point_id, actor=actor, text=note, ref=str(call.key))
        _promise_callback(call)
        _reaction(call)
    return Logged(call=call, outage_opened=opened)


def _reaction(call: Call) -> None:
    """While load is shed the desk sees for each block who calls and who complains."""
    if call.service_point is None or call.ended_at is None or call.reason == CallReason.BILLING:
        return
    kind = Reaction.Kind.COMPLAINT if call.reason == CallReason.COMPLAINT else Reaction.Kind.CALL
    reaction_record(service_point=call.service_point, kind=kind, source=str(call.key), at=call.ended_at)


def _report(call: Call, actor: Actor) -> bool:
    """Make the trouble report, with the call; True if it opened an outage rather than joined one."""
    outcome = report_add(
        actor=actor,
        request=ReportRequest(
            service_point_id=call.service_point_id,
            channel=ReportChannel.AGENT,
            source="console",
            external_id=str(call.key),
            caller_name=call.customer.name if call.customer is not None else "",
            caller_phone=call.ani,
            wants_callback=call.callback_wanted,
            wire_down=call.safety.get("wire_down", False),
            fire=call.safety.get("fire", False),
            shock=call.safety.get("shock", False),
            flicker=call.safety.get("flicker", False),
            note=call.note,
        ),
    )
    call.report, call.outage = outcome.report, outcome.outage
    return outcome.action == "opened"


def _promise_callback(call: Call) -> None:
    """Remember the promise, once per premises and outage, with the number they called from last."""
    if not call.has_callback or call.outage_id is None or call.service_point_id is None:
        return
    waiting = Callback.objects.filter(
        outage_id=call.outage_id, service_point_id=call.service_point_id, state=CallbackState.WAITING
    )
    if call.ani and waiting.update(phone=call.ani):
        return
    if not waiting.exists():
        Callback.objects.create(
            call=call, outage_id=call.outage_id, service_point_id=call.service_point_id, phone=call.ani
        )


def callback_record(*, actor: Actor, callback_id: int, result: str) -> Callback:
    """Write down what a callback brought: kept, still off, or to be tried again."""
    policies.require_take_calls(actor)
    with transaction.atomic(durable=True):
        visible = selectors.callbacks_visible_to(actor)
        callback = visible.select_for_update(of=("self",)).filter(pk=callback_id).first()
        if callback is None:
            raise NotFound()
        if callback.state != CallbackState.WAITING:
            raise Conflict()
        callback.result, callback.tries = result, callback.tries + 1
        callback.tried_at, callback.tried_by_id = timezone.now(), actor.user_id
        if result in (CallbackResult.RESTORED, CallbackResult.STILL_OUT):
            callback.state = CallbackState.DONE
        elif result == CallbackResult.WRONG_NUMBER or callback.tries >= TRIES_MAX:
            callback.state = CallbackState.GIVEN_UP
        callback.save(update_fields=["result", "tries", "tried_at", "tried_by", "state"])
    return callback


def pin_toggle(*, actor: Actor, service_point_id: int | None = None, reference: str = "") -> bool:
    """Pin premises or an outage, or take the pin off; True if it is pinned now."""
    policies.require_take_calls(actor)
    if service_point_id is not None:
        wanted: dict[str, Any] = {
            "service_point": selectors.service_point_for(actor=actor, service_point_id=service_point_id)
        }
    else:
        wanted = {"outage": outage_by_reference(actor=actor, reference=reference)}
    if Pin.objects.filter(user_id=policies.agent_id(actor), **wanted).delete()[0]:
        return False
    Pin.objects.get_or_create(user_id=policies.agent_id(actor), **wanted)
    return True


def call_locked(*, actor: Actor, key: UUID) -> Call:
    """One of the agent's own calls, its row locked until the transaction ends. Raises ``NotFound``."""
    call = Call.objects.select_for_update(of=("self",)).filter(key=key, agent_id=policies.agent_id(actor)).first()
    if call is None:
        raise NotFound()
    policies.require_log(actor=actor, call=call)
    return call
