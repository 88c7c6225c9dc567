"""What meters answer, as the meter system hears it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from accounts.actor import Actor
from accounts.api.idempotency import idempotent
from accounts.api.permissions import needs
from accounts.policies import intervals_of
from billing_cutoffs.api import order_shapes as shapes
from billing_cutoffs.api.feed import described, received
from billing_cutoffs.intake.items import Outcome
from billing_cutoffs.selectors import meters_known
from billing_cutoffs.services.answers import answers_store
from standards.errors import UnknownCode


class CutoffResultsViewSet(ViewSet):
    permission_classes = [needs("meter_event.create")]

    @described(
        "Say what meters answered",
        shapes.AnswersInputSerializer,
        "Kept first and applied after: late and contradictory answers are weighed, not obeyed. Outcomes: `stored`,"
        " `already_known`, or the code of the error. At most 10,000 items.",
    )
    @idempotent
    def create(self, request: Request) -> Response:
        return received(request, _receive)


def _receive(*, actor: Actor, source_system: str, items: list[Any]) -> list[Outcome]:
    """Answers about meters of the client's own branches; another branch's meter is as unknown as none."""
    foreign = _foreign(actor, items)
    stored = iter(
        answers_store(source_system=source_system, items=[item for item in items if _meter(item) not in foreign])
    )
    return [_unknown(item) if _meter(item) in foreign else next(stored) for item in items]


def _foreign(actor: Actor, items: Sequence[Any]) -> set[str]:
    if intervals_of(actor, "meter_event.create") is None:
        return set()  # the whole company's meter system
    named = {_meter(item) for item in items} - {""}
    return named - meters_known(actor=actor, numbers=named)


def _meter(item: Any) -> str:
    """The meter that an answer names; nothing for what can name none, which the service then refuses in words."""
    number = item.get("meter_number") if isinstance(item, dict) else ""
    return number if isinstance(number, str) and "\x00" not in number else ""


def _unknown(item: dict[str, Any]) -> Outcome:
    error = UnknownCode(field="meter_number", value=item["meter_number"])
    return Outcome.refused(str(item.get("answer_id", "")), error)
