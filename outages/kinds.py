"""The one upward arrow: each kind registers one object, and the core calls it explicitly inside the transaction."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.core.checks import CheckMessage, Error, register
from django.core.exceptions import ImproperlyConfigured
from django.utils.functional import Promise

from outages.models import OutageKind

if TYPE_CHECKING:
    from django.db.models import Q

    from accounts.actor import Actor
    from grid.models import ServicePoint
    from outages.causes import Cause
    from outages.models import Outage, OutageEvent


@dataclass(frozen=True)
class Contribution:
    """What a kind knows about one service point beside the record: a safety report, a meter that disagrees."""

    causes: tuple[Cause, ...] = ()
    disagreement: bool = False


@dataclass(frozen=True)
class BoardFacts:
    """What a kind adds to its row on the board."""

    safety: bool = False  # somebody reported a danger there
    crew: str = ""  # who is sent, and how far they are
    stage: str | Promise = ""  # the kind's own word for where it stands
    reports: int = 0
    unassigned_since: datetime | None = None  # nobody has been sent yet
    late: bool = False  # something that was announced should have happened by now
    soon: bool = False  # somebody should look within the hour
    first: bool = False  # a promise to one customer is broken: above everything but a danger


class KindHandler:
    """What the core asks of a kind. A kind overrides what it needs.

    ``may`` vetoes an action by raising a ``DomainError``; ``after`` writes the kind's own record once the
    outage has changed. Both run inside the transition's transaction and hold the outage's row lock.
    """

    kind: str
    prefix: str  # of the public reference
    label: str | Promise
    shape: str  # drawn beside the colour, so that colour is never alone
    tone: str  # token of the style sheet
    rank: int  # place in the precedence of causes (domain.md 5.6)
    is_public: bool = True
    # action -> capabilities that are enough beside the record's own (a planner starts planned work)
    also_by: Mapping[str, tuple[str, ...]] = {}
    # it knows more only of premises that an outage of its own touches; nobody else's answer waits for it
    contributes_to_its_own: bool = False
    reason_zh: str = ""  # said when the record holds no public reason
    reason_en: str = ""
    steps: tuple[tuple[str, str | Promise], ...] = ()  # of the detail page's stepper
    # what the kind's own lines of the history are called: verbs, and facts with the words for their codes
    verbs: Mapping[str, str | Promise] = {}
    facts: Mapping[str, tuple[str | Promise, Mapping[Any, str | Promise]]] = {}
    panel_template: str = ""
    board_template: str = ""

    def may(self, outage: Outage, action: str, actor: Actor, facts: dict[str, Any]) -> None:
        """Refuse by raising; the default allows what the table allows."""

    def after(self, outage: Outage, event: OutageEvent, facts: dict[str, Any]) -> None:
        """Follow with the kind's own record."""

    def tells(self, outage: Outage) -> frozenset[str] | None:
        """Which messages to customers this outage wants, by their kinds; ``None`` for all of them."""
        return None

    def contribute(self, service_points: Sequence[ServicePoint], at: datetime) -> dict[int, Contribution]:
        """Further causes for the verdicts, by service point; at most one statement for all of them."""
        return {}

    def on_board(self, now: datetime) -> Q | None:
        """Which of this kind's outages stand on the board; ``None`` for all of them."""
        return None

    def board_facts(self, outage_ids: Collection[int]) -> dict[int, BoardFacts]:
        """What the board shows of these open outages beside the record; at most one statement."""
        return {}

    def reports_since(self, moment: datetime) -> int | None:
        """How many trouble reports came in; ``None`` for a kind that takes none."""
        return None

    def panel(self, outage: Outage, actor: Actor) -> dict[str, Any]:
        """Context of the kind's panel on the outage page."""
        return {}

    def step(self, outage: Outage) -> str:
        """Which of ``steps`` the outage has reached."""
        return outage.status


_handlers: dict[str, KindHandler] = {}


def register_kind(handler: KindHandler) -> None:
    """Called once per kind from its ``AppConfig.ready()``."""
    if handler.kind in _handlers:
        raise ImproperlyConfigured(f"The outage kind {handler.kind!r} is registered twice.")
    if handler.kind not in OutageKind.values:
        raise ImproperlyConfigured(f"{handler.kind!r} is not a kind of outage.")
    _handlers[handler.kind] = handler


def handler_for(kind: str) -> KindHandler:
    return _handlers[kind]


def all_handlers() -> list[KindHandler]:
    return sorted(_handlers.values(), key=lambda handler: handler.rank)


@register()
def every_kind_has_a_handler(**_kwargs: object) -> list[CheckMessage]:
    missing = sorted(set(OutageKind.values) - set(_handlers))
    return [Error(f"No handler is registered for the outage kind {kind!r}.", id="outages.E001") for kind in missing]
