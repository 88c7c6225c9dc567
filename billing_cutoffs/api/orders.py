"""Cut-off orders by REST: read, and proposed for a draft. Nobody approves, commands, frees or ends one here."""

from __future__ import annotations

from typing import Any, Final

from django.db.models import QuerySet
from django.utils.decorators import method_decorator
from django.views.decorators.http import conditional_page
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.viewsets import ReadOnlyModelViewSet

from accounts.actor import Actor
from accounts.api.idempotency import idempotent
from accounts.api.permissions import needs
from accounts.requests import actor_of
from billing_cutoffs.api import order_shapes as shapes
from billing_cutoffs.filters.orders import OrderFilter
from billing_cutoffs.lifecycle import HELD
from billing_cutoffs.models import CutoffOrder
from billing_cutoffs.selectors import batch_by_reference, order_by_reference, orders_visible_to
from billing_cutoffs.services import batches
from billing_cutoffs.services.choices import Refused
from outages.api.bodies import IDEMPOTENCY, validated
from outages.api.views import Newest
from standards.errors import NotFound

REFERENCE: Final = "[A-Z]{1,4}-[0-9]{4}-[0-9]{6,9}"


@extend_schema_view(
    list=extend_schema(summary="Cut-off orders of your branches, newest first", tags=["cut-offs"]),
    retrieve=extend_schema(
        summary="One cut-off order with its steps", responses=shapes.OrderDetailSerializer, tags=["cut-offs"]
    ),
)
@method_decorator(conditional_page, name="dispatch")
class CutoffOrderViewSet(ReadOnlyModelViewSet[CutoffOrder]):
    """Answers carry an ``ETag``."""

    permission_classes = [needs("cutoff.read", create="cutoff.draft")]
    serializer_class = shapes.OrderSerializer
    filterset_class = OrderFilter
    pagination_class = Newest
    lookup_field = "reference"
    lookup_value_regex = REFERENCE
    queryset = CutoffOrder.objects.none()

    def get_queryset(self) -> QuerySet[CutoffOrder]:
        return orders_visible_to(actor_of(self.request))

    def get_object(self) -> CutoffOrder:
        return order_by_reference(actor=actor_of(self.request), reference=self.kwargs["reference"])

    def get_serializer_class(self) -> type[BaseSerializer[CutoffOrder]]:
        return shapes.OrderDetailSerializer if self.action == "retrieve" else shapes.OrderSerializer

    @extend_schema(
        summary="Propose accounts for a draft",
        description=(
            "A new draft, or `batch` to extend one of yours. A person completes it and hands it in, another one"
            " approves it. An account is refused by itself: `unknown_account`, `nothing_overdue`, `small_debt`,"
            " `too_early`, `not_graded`, `no_place`, `in_another_order`, `protected`."
        ),
        parameters=[IDEMPOTENCY],
        request=shapes.ProposalSerializer,
        responses={200: shapes.ProposalResultSerializer, 201: shapes.ProposalResultSerializer},
        tags=["cut-offs"],
    )
    @idempotent
    def create(self, request: Request) -> Response:
        actor = actor_of(request)
        facts = validated(shapes.ProposalSerializer(data=request.data, context={"request": request}))
        numbers = [item["account"] for item in facts.pop("items")]
        reference, refused = _extended(actor, facts, numbers) if "batch" in facts else _proposed(actor, facts, numbers)
        made = reference is not None and "batch" not in facts
        return Response(
            _answer(reference, numbers, refused), status=status.HTTP_201_CREATED if made else status.HTTP_200_OK
        )


def _proposed(actor: Actor, facts: dict[str, Any], numbers: list[str]) -> tuple[str | None, tuple[Refused, ...]]:
    branch = facts.pop("branch")
    try:
        made = batches.batch_propose(actor=actor, branch_id=branch.pk, account_numbers=numbers, **facts)
    except batches.NothingToPropose:
        # each account hears why, as it would in a batch that the others fill
        found = batches.batch_preview(actor=actor, branch_id=branch.pk, account_numbers=numbers, level=facts["level"])
        return None, found.refused
    return made.batch.reference, made.refused


def _extended(actor: Actor, facts: dict[str, Any], numbers: list[str]) -> tuple[str | None, tuple[Refused, ...]]:
    """A client extends its own drafts and nobody else's."""
    batch = batch_by_reference(actor=actor, reference=facts["batch"])
    if batch.author_id != actor.user_id:
        raise NotFound(field="batch")
    return batch.reference, batches.orders_add(actor=actor, reference=batch.reference, account_numbers=numbers)


def _answer(reference: str | None, numbers: list[str], refused: tuple[Refused, ...]) -> dict[str, Any]:
    why = {one.account_number: one for one in refused}
    orders = _orders_in(reference, numbers)
    items = [_item(number, why.get(number), orders.get(number)) for number in numbers]
    wrong = sum(item["error"] is not None for item in items)
    return {"batch": reference, "accepted": len(items) - wrong, "refused": wrong, "items": items}


def _orders_in(reference: str | None, numbers: list[str]) -> dict[str, tuple[str, str]]:
    """The order and state of each of these accounts in the draft, in one statement."""
    rows = CutoffOrder.objects.filter(
        batch__reference=reference, case__account__customer__account_number__in=numbers
    ).order_by("pk")
    return {
        number: (order, state)
        for number, order, state in rows.values_list("case__account__customer__account_number", "reference", "state")
    }


def _item(number: str, why: Refused | None, order: tuple[str, str] | None) -> dict[str, Any]:
    if order is not None and (why is None or why.code == "in_another_order"):
        # sent once more, it is in the draft already
        return {
            "account": number,
            "order": order[0],
            "outcome": "held" if order[1] == HELD else "proposed",
            "error": None,
        }
    refused = why or Refused(number, "in_another_order")  # somebody else proposed it a moment ago
    error = {"code": refused.code, "detail": refused.words, "field": "account"}
    return {"account": number, "order": None, "outcome": refused.code, "error": error}
