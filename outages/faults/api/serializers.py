"""Shapes of faults and trouble reports: what comes in, and what goes out."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from outages.api.bodies import MOST_ITEMS, ActionSerializer, BoundedListField, CodesField, ItemErrorSerializer
from outages.api.serializers import OutageSerializer
from outages.faults.models import (
    CauseCode,
    CrewAssignment,
    CrewState,
    EquipmentCode,
    Fault,
    FaultOrigin,
    RemedyCode,
    ReportChannel,
)
from outages.models import CauseClass, EtrConfidence, EtrSource, OutageLevel


class AssignmentSerializer(serializers.ModelSerializer[CrewAssignment]):
    crew = serializers.CharField(source="crew.code")
    name = serializers.CharField(source="crew.name")

    class Meta:
        model = CrewAssignment
        fields = (
            "crew", "name", "state", "reason", "assigned_at", "en_route_at", "arrived_at", "working_at",
            "field_complete_at", "released_at",
        )  # fmt: skip
        read_only_fields = fields


class FaultSerializer(serializers.ModelSerializer[Fault]):
    """A fault with its outage. ``outage.version`` is what the next action may be based on."""

    reference = serializers.CharField(source="outage.reference", read_only=True)
    element = serializers.CharField(source="element.code", default=None, read_only=True, allow_null=True)
    crews = AssignmentSerializer(source="assignments", many=True, read_only=True)
    outage = OutageSerializer(read_only=True)

    class Meta:
        model = Fault
        fields = (
            "reference", "state", "origin", "element", "equipment_code", "remedy_code", "confirmed_at", "crews",
            "outage",
        )  # fmt: skip
        read_only_fields = fields


class FaultInputSerializer(serializers.Serializer[Any]):
    """A new fault. Name the elements that failed, or single service points."""

    elements = CodesField(help_text="codes of the elements that failed or opened")
    service_points = CodesField(help_text="codes of single service points")
    confirmed = serializers.BooleanField(default=True, help_text="false: only suspected")
    started_at = serializers.DateTimeField(required=False, help_text="off since; now, if it is left out")
    origin = serializers.ChoiceField(choices=FaultOrigin.choices, required=False)
    level = serializers.ChoiceField(choices=OutageLevel.choices, required=False)
    place = serializers.CharField(max_length=200, required=False)
    cause_class = serializers.ChoiceField(choices=CauseClass.choices, required=False)
    cause_code = serializers.ChoiceField(choices=CauseCode.choices, required=False)
    cause_text = serializers.CharField(max_length=500, required=False)
    public_reason_zh = serializers.CharField(max_length=200, required=False)
    public_reason_en = serializers.CharField(max_length=200, required=False)
    etr = serializers.DateTimeField(required=False)
    etr_source = serializers.ChoiceField(choices=EtrSource.choices, required=False)
    etr_reason = serializers.CharField(max_length=200, required=False)
    etr_confidence = serializers.ChoiceField(choices=EtrConfidence.choices, required=False)
    next_update_by = serializers.DateTimeField(required=False)
    note = serializers.CharField(max_length=2000, required=False, default="")
    source_ref = serializers.CharField(
        max_length=128, required=False, default="", help_text="your own id: feeding it twice finds the first fault"
    )


class ConfirmSerializer(ActionSerializer):
    started_at = serializers.DateTimeField(required=False)
    elements = CodesField(help_text="the device, if it lies higher than suspected")
    origin = serializers.ChoiceField(choices=FaultOrigin.choices, required=False)
    cause_class = serializers.ChoiceField(choices=CauseClass.choices, required=False)
    cause_code = serializers.ChoiceField(choices=CauseCode.choices, required=False)
    cause_text = serializers.CharField(max_length=500, required=False)


class SetEtrSerializer(ActionSerializer):
    etr = serializers.DateTimeField(allow_null=True, default=None, help_text="null: not known, see next_update_by")
    etr_source = serializers.ChoiceField(choices=EtrSource.choices)
    etr_reason = serializers.CharField(max_length=200, required=False, default="", allow_blank=True)
    etr_confidence = serializers.ChoiceField(choices=EtrConfidence.choices, required=False, default="")
    next_update_by = serializers.DateTimeField(required=False, default=None)


class AssignSerializer(ActionSerializer):
    crew = serializers.CharField(max_length=32)
    note = serializers.CharField(max_length=500, required=False, default="")


class CrewStateSerializer(ActionSerializer):
    crew = serializers.CharField(max_length=32)
    state = serializers.ChoiceField(choices=CrewState.choices)
    at = serializers.DateTimeField(required=False, default=None)
    reason = serializers.CharField(max_length=200, required=False, default="")


class RestorePartSerializer(ActionSerializer):
    at = serializers.DateTimeField()
    elements = CodesField(help_text="everything below these is back")
    service_points = CodesField(help_text="single customers who are back")
    note = serializers.CharField(max_length=2000, required=False, default="")


class RestoreSerializer(ActionSerializer):
    restored_at = serializers.DateTimeField()
    note = serializers.CharField(max_length=2000, required=False, default="")


class CloseSerializer(ActionSerializer):
    cause_class = serializers.ChoiceField(choices=CauseClass.choices)
    cause_code = serializers.ChoiceField(choices=CauseCode.choices)
    equipment_code = serializers.ChoiceField(choices=EquipmentCode.choices)
    remedy_code = serializers.ChoiceField(choices=RemedyCode.choices)
    cause_text = serializers.CharField(max_length=500, required=False, default="")
    note = serializers.CharField(max_length=2000, required=False, default="")


class DismissSerializer(ActionSerializer):
    reason = serializers.CharField(max_length=500)


class MergeSerializer(ActionSerializer):
    survivor = serializers.CharField(max_length=24, help_text="reference of the fault that goes on")


# --- trouble reports --------------------------------------------------------------------------------


class ReportInputSerializer(serializers.Serializer[Any]):
    """Somebody, or some meter, says that supply is missing. The place is one of service_point, element, or words."""

    external_id = serializers.CharField(
        max_length=128, required=False, default="", help_text="your own id: sent twice, it finds the first report"
    )
    service_point = serializers.CharField(max_length=128, required=False, default="")
    element = serializers.CharField(max_length=128, required=False, default="")
    place = serializers.CharField(max_length=254, required=False, default="", help_text="in words, with the branch")
    branch = serializers.CharField(max_length=64, required=False, default="")
    channel = serializers.ChoiceField(choices=ReportChannel.choices, default=ReportChannel.API)
    caller_name = serializers.CharField(max_length=128, required=False, default="")
    caller_phone = serializers.CharField(max_length=32, required=False, default="")
    wants_callback = serializers.BooleanField(default=False)
    wire_down = serializers.BooleanField(default=False)
    fire = serializers.BooleanField(default=False)
    shock = serializers.BooleanField(default=False)
    flicker = serializers.BooleanField(default=False)
    note = serializers.CharField(max_length=2000, required=False, default="")
    reported_at = serializers.DateTimeField(required=False, default=None)


class ReportResultSerializer(serializers.Serializer[Any]):
    """What became of a report."""

    id = serializers.IntegerField(help_text="of the report")
    external_id = serializers.CharField()
    action = serializers.ChoiceField(
        choices=["joined", "opened", "extended", "unplaced", "repeated"],
        help_text=(
            "it joined an outage, opened a suspicion, turned a neighbour's suspicion into the area's, waits for a"
            " person to find its place, or was there already"
        ),
    )
    outage = serializers.CharField(allow_null=True, help_text="reference of the outage it belongs to")
    still_out = serializers.BooleanField(help_text="these premises had been restored within 12 hours")
    restored_outage = serializers.CharField(allow_null=True)


class BatchInputSerializer(serializers.Serializer[Any]):
    reports = BoundedListField(child=ReportInputSerializer(), min_length=1, max_length=MOST_ITEMS)


class BatchItemSerializer(serializers.Serializer[Any]):
    """One item's answer, in the order sent: ``result`` or ``error``."""

    index = serializers.IntegerField()
    status = serializers.IntegerField(help_text="what a single request would have answered")
    result = ReportResultSerializer(allow_null=True)
    error = ItemErrorSerializer(allow_null=True)


class BatchResultSerializer(serializers.Serializer[Any]):
    accepted = serializers.IntegerField()
    refused = serializers.IntegerField()
    items = BatchItemSerializer(many=True)
