"""Who may use the console, and how much of a person it shows to whom (reliability.md 6.1-6.3)."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.utils import timezone

from accounts.actor import Actor
from accounts.policies import actor_may
from call_center.models import Call
from standards.errors import Forbidden

CALL_LASTS: Final = timedelta(hours=4)  # a card that was never logged does not stay open for ever
# two-character surnames: they are shown whole, as a one-character surname is
_COMPOUND_SURNAMES: Final = frozenset(
    {"欧阳", "上官", "司马", "诸葛", "东方", "皇甫", "尉迟", "公孙", "令狐", "慕容", "司徒", "夏侯", "端木", "轩辕"}
)
# where the public part of an address ends; what follows names the door
_DOOR_MARKS: Final = ("号", "弄", "栋", "幢", "座")


def may_search(actor: Actor) -> bool:
    """May look up premises, seeing people only in part."""
    return actor_may(actor, "customer.read_masked")


def may_take_calls(actor: Actor) -> bool:
    return actor_may(actor, "call.log")


def may_read_in_clear(*, actor: Actor, call: Call) -> bool:
    """The caller's own record, in clear to the agent who is talking to them, while the call is open."""
    forgotten = timezone.now() - call.started_at > CALL_LASTS
    if not call.is_open or forgotten or call.agent_id != actor.user_id:
        return False
    branch = call.branch
    return actor_may(actor, "customer.read_call", branch.pos if branch is not None else None)


def may_ask_identity(*, actor: Actor, call: Call) -> bool:
    """The agent who is talking to the caller may check who they are, and then speak of the account."""
    branch = call.branch
    return (
        branch is not None
        and may_read_in_clear(actor=actor, call=call)
        and actor_may(actor, "arrears.read_call", branch.pos)
    )


def require_ask_identity(*, actor: Actor, call: Call) -> None:
    if not may_ask_identity(actor=actor, call=call):
        raise Forbidden()


def may_log(*, actor: Actor, call: Call) -> bool:
    """A call is logged by the agent who took it."""
    return call.agent_id == actor.user_id and may_take_calls(actor)


def agent_id(actor: Actor) -> int:
    """The person at the desk. A machine or the system itself takes no calls."""
    if actor.user_id is None:
        raise Forbidden()
    return actor.user_id


def require_search(actor: Actor) -> None:
    if not may_search(actor):
        raise Forbidden()


def require_take_calls(actor: Actor) -> None:
    if not may_take_calls(actor):
        raise Forbidden()


def require_log(*, actor: Actor, call: Call) -> None:
    if not may_log(actor=actor, call=call):
        raise Forbidden()


# --- masks ------------------------------------------------------------------------------------------


def is_han(text: str) -> bool:
    return bool(text) and all("\u3400" <= character <= "\u9fff" for character in text)


def mask_phone(number: str) -> str:
    """138****8000: enough for the caller to say "yes, that one"."""
    digits = number.lstrip("+")
    if digits.startswith("86") and len(digits) == 13:
        digits = digits[2:]
    if len(digits) < 7:
        return "****"
    return f"{digits[:3]}****{digits[-4:]}"


def mask_name(name: str) -> str:
    """张*明, 李*, 市第***院, A*** S***: the person is not named to somebody who only guesses."""
    name = name.strip()
    if not name:
        return ""
    if not is_han(name):
        return " ".join(f"{word[0]}***" for word in name.split())
    if len(name) > 4:
        return f"{name[:2]}***{name[-1]}"
    known = 2 if name[:2] in _COMPOUND_SURNAMES else 1
    if len(name) <= known:
        return f"{name}*"
    if len(name) == known + 1:
        return f"{name[:known]}*"
    return f"{name[:known]}{'*' * (len(name) - known - 1)}{name[-1]}"


def mask_address(address: str) -> str:
    """The address down to the building; the door is left out."""
    for mark in _DOOR_MARKS:
        at = address.find(mark)
        if at >= 0:
            return address[: at + 1] + ("…" if len(address) > at + 1 else "")
    head, _, tail = address.rpartition(" ")
    return f"{head} …" if head and tail else address


def mask_code(code: str) -> str:
    """…7731: the last four characters of an account or meter."""
    return f"…{code[-4:]}" if len(code) > 4 else code
