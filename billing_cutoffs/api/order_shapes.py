"""Shapes of cut-off orders, of proposals for them, and of what meters answer."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from accounts.scope import ScopedRelatedField
from billing_cutoffs.models import ApprovalLevel, CutoffOrder, CutoffStep, SwitchPosition
from grid.models import Branch
from outages.api.bodies import BoundedListField, ItemErrorSerializer

MOST_ACCOUNTS = 1000


class HoldFoundSerializer(serializers.Serializer[Any]):
    """Why an order is held, and until when if that is known."""

    code = serializers.CharField()
    until = serializers.DateTimeField(allow_null=True)


class OrderSerializer(serializers.ModelSerializer[CutoffOrder]):
    """One cut-off order. Its state is changed by people, payments and meters, never by a token."""

    batch = serializers.CharField(source="batch.reference")
    branch = serializers.CharField(source="branch.code")
    account = serializers.CharField(source="case.account.customer.account_number")
    service_point = serializers.CharField(source="service_point.code")
    outage = serializers.CharField(source="outage.reference", default=None, allow_null=True)
    window_from = serializers.DateTimeField(source="batch.window_from")
    window_until = serializers.DateTimeField(source="batch.window_until")
    holds = HoldFoundSerializer(many=True)

    class Meta:
        model = CutoffOrder
        fields: tuple[str, ...] = (
            "reference", "batch", "branch", "account", "service_point", "outage", "state", "state_reason", "holds",
            "amount", "method", "window_from", "window_until", "scheduled_at", "commanded_at", "off_at", "paid_at",
            "reconnect_due_at", "on_at", "is_wrongful", "created_at", "updated_at", "version",
        )  # fmt: skip
        read_only_fields = fields


class StepSerializer(serializers.ModelSerializer[CutoffStep]):
    """One step of an order: who, when, from where to where, and why."""

    class Meta:
        model = CutoffStep
        fields = ("verb", "before", "after", "actor_kind", "actor_name", "at", "note")
        read_only_fields = fields


class OrderDetailSerializer(OrderSerializer):
    steps = StepSerializer(many=True)

    class Meta(OrderSerializer.Meta):
        fields: tuple[str, ...] = (*OrderSerializer.Meta.fields, "steps")
        read_only_fields = fields


class ProposedAccountSerializer(serializers.Serializer[Any]):
    account = serializers.CharField(max_length=64, help_text="account number")


class ProposalSerializer(serializers.Serializer[Any]):
    """Accounts for a draft that a person completes and hands in: a new one, or ``batch``, begun by this client."""

    batch = serializers.CharField(max_length=24, required=False, help_text="number of a draft of yours to extend")
    branch = ScopedRelatedField(
        slug_field="code", queryset=Branch.objects.all(), capability="cutoff.draft", required=False,
        help_text="of a new draft: the code of its branch",
    )  # fmt: skip
    window_from = serializers.DateTimeField(required=False)
    window_until = serializers.DateTimeField(required=False)
    level = serializers.ChoiceField(choices=ApprovalLevel.choices, default=ApprovalLevel.STATION)
    note = serializers.CharField(max_length=500, required=False, default="", allow_blank=True)
    items = BoundedListField(child=ProposedAccountSerializer(), min_length=1, max_length=MOST_ACCOUNTS)

    def validate(self, facts: dict[str, Any]) -> dict[str, Any]:
        needed = () if "batch" in facts else ("branch", "window_from", "window_until")
        missing = {name: self.fields[name].error_messages["required"] for name in needed if name not in facts}
        if missing:
            raise serializers.ValidationError(missing)
        return facts


class ProposedSerializer(serializers.Serializer[Any]):
    """What became of one account, in the order sent."""

    account = serializers.CharField()
    outcome = serializers.CharField(help_text="proposed, held (in the draft, and barred for now), or the error's code")
    order = serializers.CharField(allow_null=True)
    error = ItemErrorSerializer(allow_null=True)


class ProposalResultSerializer(serializers.Serializer[Any]):
    batch = serializers.CharField(allow_null=True, help_text="none, if no account could be proposed")
    accepted = serializers.IntegerField()
    refused = serializers.IntegerField()
    items = ProposedSerializer(many=True)


class AnswerShape(serializers.Serializer[Any]):
    """What a meter says, whenever it comes: late, twice, or to nothing that was asked."""

    answer_id = serializers.CharField(max_length=128, help_text="your own id: sent twice, it is kept once")
    meter_number = serializers.CharField(max_length=64)
    command_key = serializers.UUIDField(required=False, help_text="of the command that this answers")
    position = serializers.ChoiceField(choices=SwitchPosition.choices)
    is_failure = serializers.BooleanField(required=False, help_text="the command could not be carried out")
    detail = serializers.CharField(max_length=200, required=False)
    read_at = serializers.DateTimeField(help_text="when the meter was in that position")


class AnswersInputSerializer(serializers.Serializer[Any]):
    """The envelope is read as that of every feed (``FeedInputSerializer``); this is what its items look like."""

    source_system = serializers.CharField(max_length=64, required=False)
    items = AnswerShape(many=True)
