"""What other systems tell about debts: one POST for each kind, up to ten thousand items, an answer for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.viewsets import ViewSet

from accounts.actor import Actor
from accounts.api.idempotency import idempotent
from accounts.api.permissions import needs
from accounts.requests import actor_of
from billing_cutoffs.api import feed_shapes as shapes
from billing_cutoffs.intake.items import Outcome
from billing_cutoffs.services import feed, holds
from outages.api.bodies import IDEMPOTENCY, refusal, validated

V = TypeVar("V", bound=Callable[..., Any])


class Receive(Protocol):
    def __call__(self, *, actor: Actor, source_system: str, items: list[Any]) -> list[Outcome]: ...


def described(summary: str, shape: type[Serializer[Any]], description: str) -> Callable[[V], V]:
    """What the description of the interface says of a feed."""
    return extend_schema(
        summary=summary, description=description, parameters=[IDEMPOTENCY], request=shape,
        responses=shapes.FeedResultSerializer, tags=["debts"],
    )  # fmt: skip


def received(request: Request, receive: Receive) -> Response:
    """The envelope must be right; whatever is wrong with an item is that item's answer."""
    actor = actor_of(request)
    facts = validated(shapes.FeedInputSerializer(data=request.data))
    source = facts.get("source_system") or f"api:{actor.name}"[:64]
    outcomes = receive(actor=actor, source_system=source, items=facts["items"])
    refused = sum(one.error is not None for one in outcomes)
    return Response(
        {
            "accepted": len(outcomes) - refused,
            "refused": refused,
            "items": [
                {"key": one.key, "outcome": one.outcome, "error": refusal(one.error) if one.error else None}
                for one in outcomes
            ],
        }
    )


class ArrearsViewSet(ViewSet):
    permission_classes = [needs("arrears.write")]

    @described(
        "Say how accounts stand",
        shapes.ArrearsInputSerializer,
        "Outcomes: `applied`, `unchanged`, `stale_statement`, or the code of the error. At most 10,000 items.",
    )
    @idempotent
    def create(self, request: Request) -> Response:
        return received(request, feed.arrears_receive)


class PaymentsViewSet(ViewSet):
    permission_classes = [needs("payment.write")]

    @described(
        "Say what was paid",
        shapes.PaymentsInputSerializer,
        "Whoever was off and owes nothing any more is ordered on again at once. Outcomes: `applied`, `already_known`,"
        " `stale_status`, or the code of the error. A payment for an `unknown_account` is kept until the account is"
        " stated, if you collect for every branch. At most 10,000 items.",
    )
    @idempotent
    def create(self, request: Request) -> Response:
        return received(request, feed.payments_receive)


class AccountHoldsViewSet(ViewSet):
    permission_classes = [needs("protection.set")]

    @described(
        "Bar the cut of accounts, or end that",
        shapes.HoldsInputSerializer,
        "What is held is never cut while the hold stands. At most 10,000 items.",
    )
    @idempotent
    def create(self, request: Request) -> Response:
        return received(request, holds.holds_receive)


class TemperatureForecastsViewSet(ViewSet):
    permission_classes = [needs("arrears.write")]

    @described(
        "Forecast temperatures",
        shapes.ForecastsInputSerializer,
        "Outcomes: `applied`, `stale_forecast`, or the code of the error. At most 10,000 items.",
    )
    @idempotent
    def create(self, request: Request) -> Response:
        return received(request, feed.forecasts_receive)


class CutComplaintsViewSet(ViewSet):
    permission_classes = [needs("arrears.write")]

    @described(
        "Report complaints about cuts",
        shapes.ComplaintsInputSerializer,
        "Many in a short time stop the batches. Outcomes: `applied`, `already_known`, or the code of the error."
        " At most 10,000 items.",
    )
    @idempotent
    def create(self, request: Request) -> Response:
        return received(request, feed.complaints_receive)
