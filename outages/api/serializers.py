"""Shapes that leave the house. Input has serializers of its own, at the kinds."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from outages.models import EtrSource, Outage, OutageEvent, OutageKind, OutageStatus


class BranchRefSerializer(serializers.Serializer[Any]):
    code = serializers.CharField()
    name = serializers.CharField()


class OutageSerializer(serializers.ModelSerializer[Outage]):
    """One outage of the record. Times are ISO 8601 with offset; ``customers_*`` count service points."""

    branch = BranchRefSerializer(read_only=True)
    feeder = serializers.CharField(source="feeder.code", default=None, read_only=True, allow_null=True)
    merged_into = serializers.CharField(source="merged_into.reference", default=None, read_only=True, allow_null=True)

    class Meta:
        model = Outage
        fields = (
            "reference", "kind", "status", "level", "branch", "feeder", "place", "cause_class", "cause_code",
            "cause_text", "public_reason_zh", "public_reason_en", "planned_start", "planned_end", "started_at",
            "restored_at", "closed_at", "etr", "etr_source", "etr_confidence", "etr_reason", "etr_set_at",
            "etr_changes", "next_update_by", "customers_affected", "customers_out", "critical_out", "load_kw",
            "is_public", "is_void", "merged_into", "source_system", "source_ref", "rule_pack", "created_at",
            "updated_at", "version",
        )  # fmt: skip
        read_only_fields = fields


class OutageEventSerializer(serializers.ModelSerializer[OutageEvent]):
    """One line of an outage's history."""

    actor = serializers.CharField(source="actor_name")

    class Meta:
        model = OutageEvent
        fields = ("sequence", "verb", "actor_kind", "actor", "source", "at", "before", "after", "note", "is_public")
        read_only_fields = fields


class FeedEventSerializer(serializers.Serializer[Any]):
    """One event of the feed; ``cursor`` is where to go on behind it."""

    cursor = serializers.CharField()
    reference = serializers.CharField()
    kind = serializers.ChoiceField(choices=OutageKind.choices)
    status = serializers.ChoiceField(choices=OutageStatus.choices, help_text="of the outage now, not at the event")
    sequence = serializers.IntegerField()
    verb = serializers.CharField()
    at = serializers.DateTimeField()
    source = serializers.CharField()  # type: ignore[assignment]  # the field of the record, not DRF's option
    before = serializers.DictField()
    after = serializers.DictField()
    note = serializers.CharField()
    is_public = serializers.BooleanField()


class FeedSerializer(serializers.Serializer[Any]):
    events = FeedEventSerializer(many=True)
    next = serializers.CharField(help_text="pass as `after` next time; unchanged if nothing is new")
    more = serializers.BooleanField(help_text="there is more to read at once")


class FeedQuerySerializer(serializers.Serializer[Any]):
    after = serializers.CharField(required=False, default="", allow_blank=True)
    limit = serializers.IntegerField(required=False, default=200, min_value=1, max_value=1000)


class CauseSerializer(serializers.Serializer[Any]):
    """One thing that is true about the supply of these premises."""

    rank = serializers.IntegerField()
    kind = serializers.ChoiceField(choices=OutageKind.choices)
    blocks = serializers.BooleanField()
    reference = serializers.CharField()
    status = serializers.CharField()
    since = serializers.DateTimeField(allow_null=True)
    begins = serializers.DateTimeField(allow_null=True)
    until = serializers.DateTimeField(allow_null=True)
    was_begins = serializers.DateTimeField(
        allow_null=True, help_text="the window announced before it moved to `begins` and `until`"
    )
    was_until = serializers.DateTimeField(allow_null=True)
    is_forecast = serializers.BooleanField(help_text="announced, and not decided yet")
    next_update_by = serializers.DateTimeField(allow_null=True)
    etr_source = serializers.ChoiceField(choices=EtrSource.choices, allow_blank=True)
    etr_confidence = serializers.CharField(allow_blank=True)
    etr_changes = serializers.IntegerField()
    known_at = serializers.DateTimeField(allow_null=True)
    owner = serializers.CharField()


class SentenceSerializer(serializers.Serializer[Any]):
    zh = serializers.CharField(source="sentence_zh")
    en = serializers.CharField(source="sentence_en")


class VerdictSerializer(serializers.Serializer[Any]):
    """The one answer about one service point, word for word what the agent reads out."""

    service_point = serializers.CharField()
    state = serializers.ChoiceField(choices=["off", "suspected", "restored", "on", "safety", "unknown"])
    say = SentenceSerializer(source="verdict")
    quote = serializers.DateTimeField(source="verdict.quote", allow_null=True)
    disagreement = serializers.BooleanField(source="verdict.disagreement")
    causes = CauseSerializer(source="verdict.causes", many=True)
    upcoming = CauseSerializer(source="verdict.upcoming", many=True)
    called_off = CauseSerializer(
        source="verdict.called_off", many=True, help_text="announced for about now, and cancelled"
    )


class SupplyStatusSerializer(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    match = serializers.ChoiceField(choices=["one", "many"])
    results = VerdictSerializer(many=True)


class SupplyStatusQuerySerializer(serializers.Serializer[Any]):
    """Exactly one key, matched exactly."""

    account = serializers.CharField(required=False, max_length=64)
    phone = serializers.CharField(required=False, max_length=32)
    meter = serializers.CharField(required=False, max_length=64)
    service_point = serializers.CharField(required=False, max_length=128)
