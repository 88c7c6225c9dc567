"""What a meter's word does to an order: an answer that came by itself, or a reading that we asked for.

The order is locked by the caller. A word is judged against the last switching that is known of this meter, by the
meter's own clock; what is older is ``stale`` and changes nothing. Answers come late, twice and in any order.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models.functions import Now

from accounts.actor import Actor
from billing_cutoffs import lifecycle
from billing_cutoffs.models import CommandState, CutoffOrder, MeterAnswer, MeterCommand, Purpose, SwitchPosition
from billing_cutoffs.services.commands import IN_FLIGHT, NO_READING, commands_finish
from billing_cutoffs.services.ending import orders_end, orders_stay_on
from billing_cutoffs.services.orders import orders_step
from billing_cutoffs.services.reconnection import found_off, off_now, on_now

# a meter's clock may be behind ours by so much
SKEW: Final = timedelta(minutes=2)
# a cut is sent at most so often; a reconnection until it is done
MOST_TRIES: Final = 4
# so often a meter is asked in vain before a person goes there
MOST_QUESTIONS: Final = 8
# seconds until the next question, and until a reconnection is sent again
QUESTIONS: Final = (10, 30, 60, 120, 300, 600)
AGAIN: Final = (5, 30, 120, 300, 900)


@dataclass(frozen=True)
class Word:
    """What is said of a meter: where its switch stood, and when."""

    position: str
    at: datetime
    is_failure: bool = False  # a command could not be carried out
    was_asked: bool = False  # a reading that we asked for: it decides what is in doubt
    key: str = ""  # of the command that it answers, if it does
    detail: str = ""


def word_take(*, order: CutoffOrder, word: Word, actor: Actor, now: datetime) -> str:
    """Let the word change the order, if it says anything new. Returns what became of it, as a short code."""
    if word.position == SwitchPosition.DISCONNECTED:
        return _says_off(order, word, actor, now)
    if word.position == SwitchPosition.CONNECTED:
        return _says_on(order, word, actor, now)
    command = _in_flight(order)
    if command is None or not (word.is_failure or word.was_asked):
        return "no_position"
    if word.was_asked:
        return _in_vain(order, command, actor)
    _in_doubt(command)
    _reconnect_failed(order, actor, word.detail)
    return "asking"


# --- it is off --------------------------------------------------------------------------------------


def _says_off(order: CutoffOrder, word: Word, actor: Actor, now: datetime) -> str:
    command = _in_flight(order)
    if order.state in (lifecycle.COMMANDED, lifecycle.FAILED):
        if order.commanded_at is None or word.at < order.commanded_at - SKEW:
            return _stale(order, command, word, actor)
        commands_finish(order_ids=[order.pk], answer="off")
        off_now(order=order, actor=actor, at=word.at, now=now)
        return "applied"
    if order.state in lifecycle.OFF:
        if command is None or command.purpose == Purpose.DISCONNECT:
            if word.was_asked:
                commands_finish(order_ids=[order.pk], answer="off")
            return "already_known"
        if word.at < _sent_at(command):
            return _stale(order, command, word, actor)
        if word.was_asked or word.is_failure:
            return _not_done(order, command, word, actor, now)
        return "not_yet"
    if order.state in lifecycle.ENDED and order.commanded_at is not None:
        if word.at <= (order.on_at or order.commanded_at - SKEW):
            return "stale"
        _make_room(order, actor)
        found_off(order=order, actor=actor, at=word.at, now=now)
        return "found_off"
    return "not_ours"


def _make_room(order: CutoffOrder, actor: Actor) -> None:
    """One premises is in one open order: a newer one that has not begun ends, the supply comes first."""
    newer = CutoffOrder.objects.filter(service_point=order.service_point_id, state__in=lifecycle.BEFORE_COMMAND)
    orders_end(order_ids=list(newer.values_list("pk", flat=True)), actor=actor, reason="found_off")


# --- it is on ---------------------------------------------------------------------------------------


def _says_on(order: CutoffOrder, word: Word, actor: Actor, now: datetime) -> str:
    command = _in_flight(order)
    if order.state in (lifecycle.COMMANDED, lifecycle.FAILED):
        if command is None:
            return "already_known"
        if word.at < _sent_at(command):
            return _stale(order, command, word, actor)
        if word.was_asked or word.is_failure or command.state == CommandState.UNCERTAIN:
            return _not_done(order, command, word, actor, now)
        return "not_yet"
    if order.state not in lifecycle.OFF:
        return "already_known"
    if order.off_at is not None and word.at <= order.off_at:
        return _stale(order, command, word, actor)
    if order.state == lifecycle.DISCONNECTED and not word.was_asked and _contradicts(word):
        return "contradicts"
    on_now(order=order, actor=actor, at=word.at, facts={"by": "meter"})
    return "applied"


def _contradicts(word: Word) -> bool:
    """The same command is said to have been carried out, and not: the meter itself is asked."""
    if not word.key:
        return False
    said_off = MeterAnswer.objects.filter(
        command_key=word.key, position=SwitchPosition.DISCONNECTED, applied_at__isnull=False
    )
    command = MeterCommand.objects.filter(key=word.key, purpose=Purpose.DISCONNECT, state=CommandState.DONE).first()
    if command is None or not said_off.exists():
        return False
    _in_doubt(command)
    return True


# --- what becomes of the command --------------------------------------------------------------------


def _in_flight(order: CutoffOrder) -> MeterCommand | None:
    return order.commands.filter(state__in=IN_FLIGHT).order_by("-pk").first()


def _sent_at(command: MeterCommand) -> datetime:
    newest = command.attempts.filter(question=False).order_by("-pk").values_list("started_at", flat=True).first()
    return newest or command.queued_at


def _stale(order: CutoffOrder, command: MeterCommand | None, word: Word, actor: Actor) -> str:
    """An old reading leaves the doubt where it was."""
    if word.was_asked and command is not None:
        _in_vain(order, command, actor)
    return "stale"


def _in_doubt(command: MeterCommand) -> None:
    command_put(command, CommandState.UNCERTAIN, wait=0, asked=0)


def _not_done(order: CutoffOrder, command: MeterCommand, word: Word, actor: Actor, now: datetime) -> str:
    """The meter says, after the try, that it was not carried out."""
    # what came by itself sends nothing again: the meter is asked first
    again = CommandState.QUEUED if word.was_asked else CommandState.UNCERTAIN
    if command.purpose == Purpose.RECONNECT:
        _reconnect_failed(order, actor, word.detail or "not_done")
        command_put(command, again, wait=pause(command), answer=word.detail)
    elif order.reconnect_due_at is not None:
        command_put(command, CommandState.FAILED, answer="not_done")
        orders_stay_on(order_ids=[order.pk], actor=actor, reason="paid")
    elif now >= command.expires_at:
        command_put(command, CommandState.FAILED, answer="expired")
        orders_stay_on(order_ids=[order.pk], actor=actor, reason="window_missed")
    elif word.is_failure or command.tries >= MOST_TRIES:
        cut_failed(order=order, command=command, actor=actor, answer=word.detail or "not_done")
    else:
        command_put(command, again, wait=0)
    return "applied"


def pause(command: MeterCommand) -> float:
    """Seconds until a reconnection is tried once more; longer each time, and never too long."""
    return AGAIN[min(command.tries, len(AGAIN)) - 1]


def _in_vain(order: CutoffOrder, command: MeterCommand, actor: Actor) -> str:
    """Asked, and no answer that decides: ask later, and in the end let a person see for themselves."""
    asked = command.asked + 1
    wait = QUESTIONS[min(asked, len(QUESTIONS) - 1)]
    if asked < MOST_QUESTIONS:
        command_put(command, CommandState.UNCERTAIN, wait=wait, asked=asked)
    elif command.purpose == Purpose.RECONNECT:
        # sent again with the same key: a second "on" does no harm, a forgotten one does
        _reconnect_failed(order, actor, NO_READING)
        command_put(command, CommandState.QUEUED, wait=AGAIN[-1], asked=0)
    else:
        if order.state == lifecycle.COMMANDED:
            orders_step(order_ids=[order.pk], action="fail", actor=actor, note=NO_READING, state_reason=NO_READING)
        if order.reconnect_due_at is None:
            command_put(command, CommandState.FAILED, answer=NO_READING)
        else:  # paid, and perhaps off: the questions go on beside the person who is sent
            command_put(command, CommandState.UNCERTAIN, wait=wait, asked=asked)
    return "no_reading"


def cut_failed(*, order: CutoffOrder, command: MeterCommand, actor: Actor, answer: str) -> None:
    """It could not be switched off, and that is known: a person decides what next, unless it was paid."""
    command_put(command, CommandState.FAILED, answer=answer)
    if order.reconnect_due_at is not None:
        orders_stay_on(order_ids=[order.pk], actor=actor, reason="paid")
    elif order.state == lifecycle.COMMANDED:
        orders_step(order_ids=[order.pk], action="fail", actor=actor, note=answer, state_reason=answer)


def _reconnect_failed(order: CutoffOrder, actor: Actor, why: str) -> None:
    orders_step(order_ids=[order.pk], action="reconnect_fail", actor=actor, note=why, state_reason=why)


def command_put(
    command: MeterCommand, state: CommandState, *, wait: float | None = None, asked: int | None = None,
    answer: str | None = None, **fields: object,
) -> None:  # fmt: skip
    """Write where a command stands; whoever held it gives it back."""
    command.state, command.lease_token, command.lease_until = state, None, None
    written: dict[str, object] = {"state": state, "lease_token": None, "lease_until": None, **fields}
    if wait is not None:
        written["next_at"] = Now() + timedelta(seconds=wait)
    if asked is not None:
        written["asked"] = asked
    if answer is not None:
        written["answer"] = answer[:200]
    if state in (CommandState.FAILED, CommandState.DONE):
        written["done_at"] = Now()
    MeterCommand.objects.filter(pk=command.pk).update(**written)
