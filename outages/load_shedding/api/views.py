"""Load shedding by REST: plans and events to read, warnings, orders and switchings to tell, the schedule for everybody.

No client proposes or confirms: that is done by two people.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.cache import patch_cache_control
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from accounts.actor import Actor
from accounts.api.idempotency import idempotent
from accounts.api.permissions import needs
from accounts.api.throttles import PublicThrottle
from accounts.requests import actor_of
from accounts.scope import ids_by_code
from grid.models import Branch
from outages.api.bodies import IDEMPOTENCY, items_read, refusal, validated, versioned
from outages.api.views import Newest
from outages.load_shedding import ledger, schedule, selectors
from outages.load_shedding.api import serializers as shapes
from outages.load_shedding.models import SheddingEvent, SheddingPlan, Slot
from outages.load_shedding.services import events, slots
from standards.errors import DomainError, NotFound

REFERENCE: Final = "[A-Z]{1,4}-[0-9]{4}-[0-9]{6,9}"
AHEAD: Final = timedelta(days=7)
LEDGER_DAYS: Final = 30
FRESH: Final = 60  # seconds
TAGS: Final = ["load shedding"]


class PlanViewSet(GenericViewSet[SheddingPlan]):
    """The plans in force of your branches, each with its stages and blocks."""

    permission_classes = [needs("outage.read")]
    serializer_class = shapes.PlanSerializer
    queryset = SheddingPlan.objects.none()
    pagination_class = None

    @extend_schema(summary="Plans in force", responses=shapes.PlanSerializer(many=True), tags=TAGS)
    def list(self, request: Request) -> Response:
        plans = selectors.plans_in_full(actor_of(request))
        return Response(shapes.PlanSerializer(schedule.plans_in_force(plans), many=True).data)


class ScheduleView(APIView):
    """What is published, for everybody: no token, as many questions as a person has."""

    authentication_classes = []
    permission_classes = [AllowAny]
    throttle_classes = [PublicThrottle]

    @extend_schema(
        summary="The published schedule of the next seven days",
        description="Nothing is known about the time of `unknown`, which does not mean that nobody is shed.",
        parameters=[shapes.ScheduleQuerySerializer],
        responses=shapes.ScheduleSerializer(many=True),
        auth=[],
        tags=TAGS,
    )
    def get(self, request: Request) -> Response:
        asked = validated(shapes.ScheduleQuerySerializer(data=request.query_params))
        plans = schedule.plans_in_force(selectors.plans_public())
        if "branch" in asked:
            plans = [plan for plan in plans if plan.branch.code == asked["branch"]]
            if not plans:
                raise NotFound(field="branch")
        found = [_published(plan, asked.get("block")) for plan in plans]
        told = [one for one in found if one is not None]
        if "block" in asked and not told:
            raise NotFound(field="block")
        response = Response(shapes.ScheduleSerializer(told, many=True).data)
        patch_cache_control(response, public=True, max_age=FRESH)
        return response


def _published(plan: SheddingPlan, name: str | None) -> dict[str, Any] | None:
    """What is published of a plan, or of one block; ``None`` where the plan has no such block."""
    now = timezone.now()
    blocks = list(selectors.blocks_named(plan, name) if name is not None else plan.blocks.all())
    if not blocks:
        return None
    span = now, now + AHEAD
    return {
        "branch": plan.branch,
        "time_zone": plan.branch.time_zone,
        "at": now,
        "known_until": schedule.runs_out_at(plan, now),
        "blocks": blocks,
        "turns": schedule.published(plan, *span, blocks=[block.code for block in blocks]),
        "known": schedule.known(plan, *span),
        "unknown": [{"begins": begins, "until": until} for begins, until in schedule.unknown(plan, *span)],
    }


@extend_schema_view(list=extend_schema(summary="Shedding events of your branches, newest first", tags=TAGS))
class EventViewSet(ListModelMixin, GenericViewSet[SheddingEvent]):
    """Events: read with ``outage:read``; a warning or an order is told with ``shedding:write``."""

    permission_classes = [needs("shedding.write", list="outage.read", retrieve="outage.read")]
    serializer_class = shapes.EventSerializer
    pagination_class = Newest
    filterset_fields = ["state"]
    lookup_field = "reference"
    lookup_value_regex = REFERENCE
    queryset = SheddingEvent.objects.none()

    def get_queryset(self) -> QuerySet[SheddingEvent]:
        return selectors.events_visible_to(actor_of(self.request))

    @extend_schema(
        summary="One event with its measures, slots and ledger", responses=shapes.EventDetailSerializer, tags=TAGS
    )
    def retrieve(self, request: Request, reference: str) -> Response:
        event = selectors.event_in_full(actor=actor_of(request), reference=reference)
        hours = ledger.hours(plan=event.plan, days=LEDGER_DAYS)
        blocks = {slot.block_id: slot.block.code for slot in event.slots.all()}
        rows = [
            {
                "block": code, "shedding": hours[pk].shedding, "other": hours[pk].other,
                "weighted": hours[pk].weighted, "turns": hours[pk].turns,
            }
            for pk, code in sorted(blocks.items(), key=lambda block: block[1])
        ]  # fmt: skip
        return Response(shapes.EventDetailSerializer(event, context={"ledger": rows}).data)

    @extend_schema(
        summary="A warning was given, or an order",
        description="People choose the blocks, and another person confirms them.",
        parameters=[IDEMPOTENCY],
        request=shapes.EventInputSerializer,
        responses={201: shapes.EventSerializer},
        tags=TAGS,
    )
    @idempotent
    def create(self, request: Request) -> Response:
        actor, asked = actor_of(request), validated(shapes.EventInputSerializer(data=request.data))
        event = _told(actor, asked)
        response = Response(shapes.EventSerializer(event).data, status=status.HTTP_201_CREATED)
        response["Location"] = request.build_absolute_uri(event.reference + "/")
        return response


def _told(actor: Actor, asked: dict[str, Any]) -> SheddingEvent:
    if "event" in asked:
        event = selectors.event_to_write(actor=actor, reference=asked["event"])
        return events.event_order(actor=actor, event_id=event.pk, **asked["order"])
    [branch_id] = ids_by_code(
        actor=actor, model=Branch, codes=[asked["branch"]], field="branch", capability="shedding.write"
    )
    branch = Branch.objects.get(pk=branch_id)
    if "alert" in asked:
        return events.event_alert(actor=actor, branch=branch, **asked["alert"])
    return events.event_order(actor=actor, branch=branch, **asked["order"])


class SlotViewSet(GenericViewSet[Slot]):
    """What SCADA saw: a block is off, a block is on. Said twice, it stands once; said otherwise, it is a conflict."""

    permission_classes = [needs("shedding.write")]
    serializer_class = shapes.SlotSerializer
    queryset = Slot.objects.none()
    lookup_value_regex = "[0-9]{1,18}"

    @extend_schema(summary="The block is off", request=shapes.SwitchSerializer, tags=TAGS)
    @action(detail=True, methods=["post"])
    def off(self, request: Request, pk: str) -> Response:
        return self._switch(request, pk, "off")

    @extend_schema(summary="The block is on again", request=shapes.SwitchSerializer, tags=TAGS)
    @action(detail=True, methods=["post"])
    def on(self, request: Request, pk: str) -> Response:
        return self._switch(request, pk, "on")

    def _switch(self, request: Request, pk: str, verb: str) -> Response:
        actor, facts = actor_of(request), validated(shapes.SwitchSerializer(data=request.data))
        slot = selectors.slot_to_switch(actor=actor, slot_id=int(pk))
        return Response(shapes.SlotSerializer(_switched(actor, slot, verb, **versioned(facts))).data)


class SwitchingViewSet(GenericViewSet[Slot]):
    """The same for many blocks of one event at once, by their codes."""

    permission_classes = [needs("shedding.write")]
    serializer_class = shapes.SwitchingInputSerializer
    queryset = Slot.objects.none()

    @extend_schema(
        summary="Many blocks were switched",
        description="What is refused stops no other; the answers stand in the order sent. At most 1,000 items.",
        parameters=[IDEMPOTENCY],
        request=shapes.SwitchingBatchSerializer,
        responses=shapes.SwitchingResultSerializer,
        tags=TAGS,
    )
    @idempotent
    def create(self, request: Request) -> Response:
        actor = actor_of(request)
        asked = items_read(
            request.data,
            name="switchings",
            batch=shapes.SwitchingBatchSerializer,
            item=shapes.SwitchingInputSerializer,
        )
        named = request.data.get("event") if isinstance(request.data, dict) else None
        reference = shapes.SwitchingBatchSerializer().fields["event"].run_validation(named)
        event = selectors.event_to_write(actor=actor, reference=reference)
        turns = selectors.slots_by_block(event)
        items = [self._item(actor, index, one, turns) for index, one in enumerate(asked)]
        refused = sum(item["error"] is not None for item in items)
        return Response({"accepted": len(items) - refused, "refused": refused, "items": items})

    def _item(
        self, actor: Actor, index: int, asked: dict[str, Any] | DomainError, turns: dict[str, list[Slot]]
    ) -> dict[str, Any]:
        item = {"index": index, "block": "", "status": status.HTTP_200_OK, "result": None, "error": None}
        try:
            if isinstance(asked, DomainError):
                raise asked
            item["block"] = asked["block"]
            slot = _slot_at(turns.get(asked["block"], []), asked["action"], asked["at"])
            slot = _switched(actor, slot, asked["action"], at=asked["at"], mw=asked["mw"])
            item["result"] = shapes.SlotSerializer(slot).data
        except DomainError as error:
            item["status"], item["error"] = error.status, refusal(error)
        return item


def _slot_at(turns: list[Slot], action: str, at: datetime) -> Slot:
    """Of a block's turns, in order of time, the last that may have begun by then. Raises ``NotFound``.

    A block may be switched off ahead of its time; what comes back on is never a turn that is still ahead.
    """
    if not turns:
        raise NotFound(field="block")
    early = slots.EARLY if action == "off" else timedelta(0)
    begun = [slot for slot in turns if slot.starts_at - early <= at]
    return begun[-1] if begun else turns[0]


def _switched(actor: Actor, slot: Slot, verb: str, **facts: Any) -> Slot:
    """Tell what was seen; a load that comes with it was measured."""
    source = f"api:{actor.name}"[:64]
    if verb == "off":
        is_measured = facts["mw"] is not None
        return slots.slot_off(actor=actor, slot_id=slot.pk, is_measured=is_measured, source=source, **facts)
    return slots.slot_on(actor=actor, slot_id=slot.pk, source=source, **facts)
