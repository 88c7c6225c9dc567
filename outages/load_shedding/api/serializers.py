"""Shapes of plans, the published schedule, events and slots: what comes in, and what goes out."""

from __future__ import annotations

from typing import Any, Final

from rest_framework import serializers

from outages.api.bodies import MOST_ITEMS, ActionSerializer, BoundedListField, ItemErrorSerializer
from outages.api.serializers import BranchRefSerializer
from outages.load_shedding.models import (
    Colour,
    Measure,
    SheddingBlock,
    SheddingEvent,
    SheddingPlan,
    SheddingStage,
    Slot,
    StageWindow,
)

MOST_MW: Final = 1_000_000.0  # more than any grid has: a mistyped unit

# --- plans --------------------------------------------------------------------------------------------


class StageSerializer(serializers.ModelSerializer[SheddingStage]):
    class Meta:
        model = SheddingStage
        fields = ("number", "colour", "mw")
        read_only_fields = fields


class BlockSerializer(serializers.ModelSerializer[SheddingBlock]):
    """What is shed together. ``mw_by_hour`` is measured or, if ``is_measured`` is false, estimated."""

    elements = serializers.SerializerMethodField(help_text="codes")

    class Meta:
        model = SheddingBlock
        fields = (
            "code", "name", "name_en", "formerly", "elements", "mw_by_hour", "is_measured", "is_protected",
            "protected_reason", "customers", "critical_customers", "life_support", "load_kw", "switchings",
        )  # fmt: skip
        read_only_fields = fields

    def get_elements(self, block: SheddingBlock) -> list[str]:
        return [member.element.code for member in block.block_elements.all()]


class PlanSerializer(serializers.ModelSerializer[SheddingPlan]):
    """The version in force of a branch's plan."""

    branch = BranchRefSerializer(read_only=True)
    stages = StageSerializer(many=True, read_only=True)
    blocks = BlockSerializer(many=True, read_only=True)

    class Meta:
        model = SheddingPlan
        fields = (
            "branch", "number", "name", "effective_from", "slot_minutes", "margin_minutes", "max_run_minutes",
            "max_day_minutes", "min_rest_minutes", "stages", "blocks",
        )  # fmt: skip
        read_only_fields = fields


# --- the published schedule ---------------------------------------------------------------------------


class ScheduleQuerySerializer(serializers.Serializer[Any]):
    branch = serializers.CharField(required=False, max_length=64, help_text="code; every branch, if it is left out")
    block = serializers.CharField(required=False, max_length=32, help_text="code, or a name that it had before")


class TurnSerializer(serializers.Serializer[Any]):
    block = serializers.CharField()
    begins = serializers.DateTimeField()
    until = serializers.DateTimeField()
    certainty = serializers.ChoiceField(choices=StageWindow.Certainty.choices)
    is_possible = serializers.BooleanField(help_text="the table itself says only perhaps")
    stage = serializers.IntegerField(allow_null=True)


class KnownSerializer(serializers.Serializer[Any]):
    begins = serializers.DateTimeField()
    until = serializers.DateTimeField()
    stage = serializers.IntegerField(help_text="0: nobody is shed")
    certainty = serializers.ChoiceField(choices=StageWindow.Certainty.choices)


class UnknownSerializer(serializers.Serializer[Any]):
    begins = serializers.DateTimeField()
    until = serializers.DateTimeField()


class BlockNameSerializer(serializers.Serializer[Any]):
    code = serializers.CharField()
    name = serializers.CharField()
    name_en = serializers.CharField()
    formerly = serializers.ListField(child=serializers.CharField())


class ScheduleSerializer(serializers.Serializer[Any]):
    """What is published for a branch. The time of ``unknown`` is not the same as a time without shedding."""

    branch = BranchRefSerializer()
    time_zone = serializers.CharField()
    at = serializers.DateTimeField()
    known_until = serializers.DateTimeField(allow_null=True, help_text="null: nothing is known now")
    blocks = BlockNameSerializer(many=True)
    turns = TurnSerializer(many=True)
    known = KnownSerializer(many=True)
    unknown = UnknownSerializer(many=True)


# --- events and slots ---------------------------------------------------------------------------------


class SlotSerializer(serializers.ModelSerializer[Slot]):
    """One block's turn in an event. ``outage`` is its name at ``outages/`` once it is announced."""

    event = serializers.CharField(source="event.reference", read_only=True)
    block = serializers.CharField(source="block.code", read_only=True)
    outage = serializers.CharField(source="outage.reference", default=None, read_only=True, allow_null=True)
    fault = serializers.CharField(
        source="fault.reference", default=None, read_only=True, allow_null=True, help_text="it did not come back on"
    )

    class Meta:
        model = Slot
        fields = (
            "id", "event", "block", "starts_at", "ends_at", "state", "outage", "mw_planned", "mw_off", "is_measured",
            "off_at", "on_at", "skip_reason", "fault", "generation", "version",
        )  # fmt: skip
        read_only_fields = fields


class MeasureSerializer(serializers.ModelSerializer[Measure]):
    class Meta:
        model = Measure
        fields = ("kind", "asked_mw", "relief_mw", "is_measured", "note", "at")
        read_only_fields = fields


class EventSerializer(serializers.ModelSerializer[SheddingEvent]):
    """A shedding event: the order and how far it has come."""

    branch = BranchRefSerializer(read_only=True)
    plan = serializers.IntegerField(source="plan.number", read_only=True, help_text="version")

    class Meta:
        model = SheddingEvent
        fields = (
            "reference", "branch", "plan", "state", "state_reason", "colour", "stage", "is_emergency", "target_mw",
            "starts_at", "ends_at", "order_number", "authority", "reason", "chosen", "generation", "confirmed_at",
            "ended_at", "created_at", "updated_at", "version",
        )  # fmt: skip
        read_only_fields = fields


class BlockHoursSerializer(serializers.Serializer[Any]):
    """Hours off of a block's average customer in the last 30 days."""

    block = serializers.CharField()
    shedding = serializers.FloatField()
    other = serializers.FloatField(help_text="planned work and faults")
    weighted = serializers.FloatField(help_text="both, by which blocks are compared")
    turns = serializers.IntegerField()


class EventDetailSerializer(EventSerializer):
    """The same with its measures, its slots, and how its blocks stand in the fairness ledger."""

    measures = MeasureSerializer(many=True, read_only=True)
    slots = SlotSerializer(many=True, read_only=True)
    ledger = serializers.SerializerMethodField()

    class Meta:
        model = SheddingEvent
        fields = (*EventSerializer.Meta.fields, "measures", "slots", "ledger")
        read_only_fields = fields

    def get_ledger(self, event: SheddingEvent) -> list[dict[str, Any]]:
        return list(BlockHoursSerializer(self.context["ledger"], many=True).data)


class AlertInputSerializer(serializers.Serializer[Any]):
    """A warning: measures are asked for first."""

    colour = serializers.ChoiceField(choices=Colour.choices)
    authority = serializers.CharField(max_length=100, help_text="whose warning it is")
    reason = serializers.CharField(max_length=500, required=False, default="", allow_blank=True)
    is_emergency = serializers.BooleanField(default=False)


class OrderInputSerializer(serializers.Serializer[Any]):
    """An order to shed so many MW, or a stage of the plan. Blocks are proposed and confirmed by people."""

    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()
    order_number = serializers.CharField(max_length=64)
    authority = serializers.CharField(max_length=100)
    target_mw = serializers.FloatField(
        required=False, default=None, allow_null=True, min_value=0, max_value=MOST_MW, help_text="that of the stage"
    )
    stage = serializers.IntegerField(required=False, default=None, allow_null=True, min_value=1, max_value=32767)
    colour = serializers.ChoiceField(choices=Colour.choices, required=False, default="", allow_blank=True)
    reason = serializers.CharField(max_length=500, required=False, default="", allow_blank=True)
    is_emergency = serializers.BooleanField(default=False)


class EventInputSerializer(serializers.Serializer[Any]):
    """Either a warning or an order; an order may follow an event's warning."""

    branch = serializers.CharField(max_length=64, required=False, help_text="code; or `event`")
    event = serializers.CharField(max_length=24, required=False, help_text="reference of the warning it follows")
    alert = AlertInputSerializer(required=False)
    order = OrderInputSerializer(required=False)

    def validate(self, asked: dict[str, Any]) -> dict[str, Any]:
        if ("alert" in asked) == ("order" in asked):
            raise serializers.ValidationError({"order": "exactly one of alert and order"})
        if ("branch" in asked) == ("event" in asked) or ("event" in asked and "alert" in asked):
            raise serializers.ValidationError({"branch": "a branch, or for an order the event that it follows"})
        return asked


class SwitchSerializer(ActionSerializer):
    """It was switched: when, and what it relieved as measured. The same again changes nothing."""

    at = serializers.DateTimeField(required=False, default=None, allow_null=True, help_text="now, if left out")
    mw = serializers.FloatField(
        required=False, default=None, allow_null=True, min_value=0, max_value=MOST_MW, help_text="measured"
    )


class SwitchingInputSerializer(serializers.Serializer[Any]):
    """One block of the event was switched."""

    block = serializers.CharField(max_length=32, help_text="code")
    action = serializers.ChoiceField(choices=["off", "on"])
    at = serializers.DateTimeField(help_text="by it the slot is found, if the block has several")
    mw = serializers.FloatField(
        required=False, default=None, allow_null=True, min_value=0, max_value=MOST_MW, help_text="measured"
    )


class SwitchingBatchSerializer(serializers.Serializer[Any]):
    event = serializers.CharField(max_length=24, help_text="reference")
    switchings = BoundedListField(child=SwitchingInputSerializer(), min_length=1, max_length=MOST_ITEMS)


class SwitchingItemSerializer(serializers.Serializer[Any]):
    """One item's answer, in the order sent: ``result`` or ``error``."""

    index = serializers.IntegerField()
    block = serializers.CharField()
    status = serializers.IntegerField(help_text="what a single request would have answered")
    result = SlotSerializer(allow_null=True)
    error = ItemErrorSerializer(allow_null=True)


class SwitchingResultSerializer(serializers.Serializer[Any]):
    accepted = serializers.IntegerField()
    refused = serializers.IntegerField()
    items = SwitchingItemSerializer(many=True)
