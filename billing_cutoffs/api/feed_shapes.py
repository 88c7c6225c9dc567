"""Shapes of the feeds: what billing, the bank, the weather service and other systems send, and what they hear back.

The items themselves are read by ``billing_cutoffs.intake``, the same for a body and for a file, ten thousand in a
moment; their shapes here are what the description of the interface says about them.
"""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from billing_cutoffs.intake.items import MOST_ITEMS
from billing_cutoffs.models import HoldKind, PaymentStatus
from outages.api.bodies import BoundedListField, ItemErrorSerializer


class MoneyField(serializers.DecimalField):
    """An amount as text with two decimals."""

    def __init__(self, help_text: str, **kwargs: Any) -> None:
        super().__init__(max_digits=14, decimal_places=2, min_value=0, help_text=help_text, **kwargs)


class EnvelopeSerializer(serializers.Serializer[Any]):
    source_system = serializers.CharField(
        max_length=64, required=False, help_text="your name for yourself; left out, it is the name of the client"
    )


class FeedInputSerializer(EnvelopeSerializer):
    """The envelope of every feed. Each item is read by itself; what is wrong with one stops no other."""

    items = BoundedListField(child=serializers.JSONField(allow_null=True), min_length=1, max_length=MOST_ITEMS)


class BillShape(serializers.Serializer[Any]):
    number = serializers.CharField(max_length=64)
    due_on = serializers.DateField()
    open_amount = MoneyField("what is left to pay; text, never a float")


class StatementShape(serializers.Serializer[Any]):
    """How one account stands. It replaces all open bills of the account; an empty list says that nothing is owed."""

    account_number = serializers.CharField(max_length=64)
    as_of = serializers.DateTimeField(help_text="the moment that this is true for; an older one is stale")
    bills = BillShape(many=True)
    service_point = serializers.CharField(
        max_length=128, required=False, help_text="code of the premises; needed where a customer has several"
    )
    late_payments_year = serializers.IntegerField(required=False, min_value=0, max_value=1000)
    has_remote_switch = serializers.BooleanField(required=False)


class ArrearsInputSerializer(EnvelopeSerializer):
    items = StatementShape(many=True)


class PaymentShape(serializers.Serializer[Any]):
    """One payment. Told twice it counts once; its status only moves on."""

    payment_id = serializers.CharField(max_length=128)
    account_number = serializers.CharField(max_length=64)
    amount = MoneyField("more than nothing; text, never a float")
    paid_at = serializers.DateTimeField()
    status = serializers.ChoiceField(choices=PaymentStatus.choices)


class PaymentsInputSerializer(EnvelopeSerializer):
    items = PaymentShape(many=True)


class HoldShape(serializers.Serializer[Any]):
    """What bars a cut, by the reference of its source. The same reference again changes its end, or ends it."""

    ref = serializers.CharField(max_length=128)
    account_number = serializers.CharField(max_length=64)
    kind = serializers.ChoiceField(choices=HoldKind.choices)
    since = serializers.DateTimeField(required=False)
    until = serializers.DateTimeField(required=False)
    ended_at = serializers.DateTimeField(required=False)
    amount = MoneyField("that was promised", required=False)
    reason = serializers.CharField(max_length=500, required=False)
    orders_reconnection = serializers.BooleanField(
        required=False, help_text="agreed instead of payment: what is off comes back"
    )


class HoldsInputSerializer(EnvelopeSerializer):
    items = HoldShape(many=True)


class ForecastShape(serializers.Serializer[Any]):
    """The lowest and highest temperature of a day in a branch and all below it, in °C."""

    branch = serializers.CharField(max_length=64, help_text="code of the branch")
    day = serializers.DateField()
    low = serializers.FloatField(min_value=-90, max_value=60)
    high = serializers.FloatField(min_value=-90, max_value=60)
    issued_at = serializers.DateTimeField(help_text="an older forecast does not replace a newer one")


class ForecastsInputSerializer(EnvelopeSerializer):
    items = ForecastShape(many=True)


class ComplaintShape(serializers.Serializer[Any]):
    """Somebody says that a cut was wrong."""

    account_number = serializers.CharField(max_length=64)
    at = serializers.DateTimeField(required=False)
    text = serializers.CharField(max_length=500, required=False)
    ref = serializers.CharField(max_length=128, required=False, help_text="your own id: sent twice, it is kept once")


class ComplaintsInputSerializer(EnvelopeSerializer):
    items = ComplaintShape(many=True)


class FeedItemSerializer(serializers.Serializer[Any]):
    """What became of one item, in the order sent."""

    key = serializers.CharField(help_text="as you name the item: the account, the payment, the reference")
    outcome = serializers.CharField(help_text="applied, unchanged, already_known, stale_…, or the code of the error")
    error = ItemErrorSerializer(allow_null=True)


class FeedResultSerializer(serializers.Serializer[Any]):
    accepted = serializers.IntegerField()
    refused = serializers.IntegerField()
    items = FeedItemSerializer(many=True)
