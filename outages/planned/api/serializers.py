"""Shapes of plans, works and published windows: what comes in, and what goes out."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.rules import text_of
from outages.api.bodies import MOST_ITEMS, ActionSerializer, BoundedListField, CodesField, ItemErrorSerializer
from outages.api.serializers import BranchRefSerializer, OutageSerializer
from outages.planned.findings import Finding, Weight
from outages.planned.lifecycle import MOST_WINDOWS
from outages.planned.models import (
    Alternative,
    NoticeStage,
    PeriodKind,
    PlannedWork,
    PlanPeriod,
    WorkClass,
    WorkType,
    WorkWindow,
)
from outages.planned.models.works import every_stage
from outages.planned.services import WindowsOverlap

_LARGEST_KEY: Final = 2**63 - 1


class TellField(serializers.BooleanField):
    """The decision that a change after publication forces: the service says whether it may be left out."""

    def __init__(self) -> None:
        super().__init__(
            default=False, help_text="true: whoever was told the old time is told; nothing changes silently"
        )


# --- plans ------------------------------------------------------------------------------------------


class PeriodSerializer(serializers.ModelSerializer[PlanPeriod]):
    """A branch's plan for a month or a week. Both days are included, on the branch's own calendar."""

    branch = BranchRefSerializer(read_only=True)
    title = serializers.CharField(read_only=True, help_text="2026-12, or 2026-W49")
    works = serializers.IntegerField(source="works_count", read_only=True)
    customers = serializers.IntegerField(
        source="customers_sum", read_only=True, help_text="of all its works; whoever is off twice counts twice"
    )

    class Meta:
        model = PlanPeriod
        fields = (
            "id", "branch", "kind", "title", "starts_on", "ends_on", "deadline", "crew_capacity", "state", "revision",
            "works", "customers", "first_submitted_at", "submitted_at", "endorsed_at", "approved_at", "published_at",
            "closed_at", "version",
        )  # fmt: skip
        read_only_fields = fields


class PeriodInputSerializer(serializers.Serializer[Any]):
    """The plan in which ``day`` lies; one that is open already is found."""

    branch = serializers.CharField(max_length=64, help_text="code")
    kind = serializers.ChoiceField(choices=PeriodKind.choices)
    day = serializers.DateField()


# --- works: out -------------------------------------------------------------------------------------


class StepBackSerializer(serializers.Serializer[Any]):
    """Supply came back for a part, or for the rest."""

    at = serializers.DateTimeField()
    places = serializers.IntegerField(help_text="transformer areas and single service points")
    customers = serializers.IntegerField()


class WindowSerializer(serializers.ModelSerializer[WorkWindow]):
    """One switching-off: as planned now, as first announced, and as it went, step by step."""

    outage = serializers.CharField(
        source="outage.reference", default=None, read_only=True, allow_null=True,
        help_text="once published: its name at `planned-windows/` and at `outages/`",
    )  # fmt: skip
    started_at = serializers.DateTimeField(source="outage.started_at", default=None, read_only=True, allow_null=True)
    restored_at = serializers.DateTimeField(source="outage.restored_at", default=None, read_only=True, allow_null=True)
    steps_back = serializers.SerializerMethodField()

    class Meta:
        model = WorkWindow
        fields = (
            "state", "starts_at", "ends_at", "announced_start", "announced_end", "started_at", "restored_at",
            "steps_back", "published_at", "notified_at", "moves", "extensions", "outage",
        )  # fmt: skip
        read_only_fields = fields

    @extend_schema_field(StepBackSerializer(many=True))
    def get_steps_back(self, window: WorkWindow) -> Any:
        """Read for all windows of the answer at once, by the view."""
        return StepBackSerializer(self.context["steps_back"].get(window.outage_id, ()), many=True).data


class FindingSerializer(serializers.Serializer[Finding]):
    """What a check says about a work. ``is_open``: somebody must answer, or change the work, before the next gate."""

    code = serializers.CharField()
    weight = serializers.ChoiceField(choices=[weight.value for weight in Weight])
    detail = serializers.CharField(source="words")
    rule = serializers.CharField(source="rule_path", help_text="of the branch's rule pack; empty: of this product")
    rule_text = serializers.SerializerMethodField()
    references = serializers.ListField(child=serializers.CharField(), help_text="works and outages it speaks of")
    customers = serializers.IntegerField()
    answer = serializers.CharField()
    is_open = serializers.BooleanField()

    def get_rule_text(self, finding: Finding) -> str:
        return text_of(finding.rule) if finding.rule is not None else str(finding.rule_text)


class StoppedSerializer(serializers.Serializer[Any]):
    """What stops one work at a gate: the members of ``works`` in a refusal ``checks_open``."""

    reference = serializers.CharField()
    findings = FindingSerializer(many=True)


class WorkSerializer(serializers.ModelSerializer[PlannedWork]):
    """A work with its windows. ``version`` is what the next change may be based on."""

    branch = BranchRefSerializer(read_only=True)
    period = serializers.IntegerField(source="period_id", read_only=True, allow_null=True, help_text="id of its plan")
    elements = serializers.SerializerMethodField()
    windows = WindowSerializer(many=True, read_only=True)
    transfer_tie = serializers.CharField(source="transfer_tie.code", default=None, read_only=True, allow_null=True)
    joint = serializers.CharField(
        source="joint.reference", default=None, read_only=True, allow_null=True,
        help_text="the joint outage that takes its place",
    )  # fmt: skip

    class Meta:
        model = PlannedWork
        fields = (
            "reference", "branch", "period", "key", "state", "state_reason", "work_class", "temporary_reason", "title",
            "work_type", "scope", "reason_zh", "reason_en", "elements", "windows", "work_order", "contact_name",
            "contact_phone", "crews", "is_fixed", "switching_note", "customer_work", "note", "notice_plan",
            "live_line", "live_line_reason", "transfer", "transfer_reason", "transfer_tie", "joint", "places",
            "customers", "critical_customers", "life_support", "load_kw", "impact_at", "approved_at", "published_at",
            "created_at", "updated_at", "version",
        )  # fmt: skip
        read_only_fields = fields

    def get_elements(self, work: PlannedWork) -> list[str]:
        return [element.code for element in work.elements.all()]


class WorkDetailSerializer(WorkSerializer):
    """The same with what the checks say now; nothing more is said once it is published."""

    findings = serializers.SerializerMethodField()

    class Meta:
        model = PlannedWork
        fields = (*WorkSerializer.Meta.fields, "findings")
        read_only_fields = fields

    @extend_schema_field(FindingSerializer(many=True))
    def get_findings(self, work: PlannedWork) -> Any:
        return FindingSerializer(self.context["findings"], many=True).data


# --- works: in --------------------------------------------------------------------------------------


class WindowInputSerializer(serializers.Serializer[Any]):
    starts_at = serializers.DateTimeField(help_text="off from")
    ends_at = serializers.DateTimeField(help_text="back by")

    def validate(self, window: dict[str, Any]) -> dict[str, Any]:
        runs_forward(window, "starts_at", "ends_at")
        return window


class WorkFactsSerializer(serializers.Serializer[Any]):
    """The facts of a work. Left out, they are empty or what is said beside them."""

    elements = CodesField(help_text="codes of what is switched off")
    windows = BoundedListField(child=WindowInputSerializer(), min_length=1, max_length=MOST_WINDOWS)
    key = serializers.CharField(
        max_length=64, required=False, default="", allow_blank=True,
        help_text="the branch's own number: handing it in twice finds the first work",
    )  # fmt: skip
    work_class = serializers.ChoiceField(
        choices=WorkClass.choices, default=WorkClass.PLANNED, help_text="outside a plan `temporary` or `emergency`"
    )
    temporary_reason = serializers.CharField(
        max_length=300, required=False, default="", allow_blank=True, help_text="why it cannot wait"
    )
    title = serializers.CharField(max_length=200)
    work_type = serializers.ChoiceField(choices=WorkType.choices, default=WorkType.MAINTENANCE)
    scope = serializers.CharField(
        max_length=300, required=False, default="", allow_blank=True, help_text="the area, as customers call it"
    )
    reason_zh = serializers.CharField(
        max_length=200, required=False, default="", allow_blank=True, help_text="public; from the type of work if empty"
    )
    reason_en = serializers.CharField(max_length=200, required=False, default="", allow_blank=True)
    work_order = serializers.CharField(max_length=64, required=False, default="", allow_blank=True)
    contact_name = serializers.CharField(max_length=64, required=False, default="", allow_blank=True)
    contact_phone = serializers.CharField(max_length=32, required=False, default="", allow_blank=True)
    crews = serializers.IntegerField(min_value=1, max_value=99, default=1)
    is_fixed = serializers.BooleanField(default=False, help_text="the date cannot move")
    switching_note = serializers.CharField(max_length=500, required=False, default="", allow_blank=True)
    customer_work = serializers.CharField(
        max_length=300, required=False, default="", allow_blank=True, help_text="a customer's own work meanwhile"
    )
    note = serializers.CharField(max_length=1000, required=False, default="", allow_blank=True)
    notice_plan = BoundedListField(
        child=serializers.ChoiceField(choices=NoticeStage.choices), max_length=len(NoticeStage), default=every_stage,
        help_text="when customers hear of it; the announcement is always made",
    )  # fmt: skip
    live_line = serializers.ChoiceField(choices=Alternative.choices, default=Alternative.UNANSWERED)
    live_line_reason = serializers.CharField(max_length=200, required=False, default="", allow_blank=True)
    transfer = serializers.ChoiceField(choices=Alternative.choices, default=Alternative.UNANSWERED)
    transfer_reason = serializers.CharField(max_length=200, required=False, default="", allow_blank=True)
    transfer_tie = serializers.CharField(
        max_length=128, required=False, default=None, allow_null=True, help_text="code of the tie that is closed"
    )

    def validate_windows(self, windows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        ordered = sorted(windows, key=lambda window: window["starts_at"])
        if any(later["starts_at"] < earlier["ends_at"] for earlier, later in pairwise(ordered)):
            raise serializers.ValidationError(WindowsOverlap.message)
        return windows


class WorkInputSerializer(WorkFactsSerializer):
    """A new work, for a branch and in one of its plans; temporary and emergency work may stand outside one."""

    branch = serializers.CharField(max_length=64, help_text="code")
    period = serializers.IntegerField(
        min_value=1, max_value=_LARGEST_KEY, required=False, default=None, allow_null=True, help_text="id of the plan"
    )

    def validate(self, facts: dict[str, Any]) -> dict[str, Any]:
        says_why_it_is_late(facts, is_in_plan=facts["period"] is not None)
        return facts


class WorkChangeSerializer(WorkFactsSerializer):
    """A work as it shall be (PUT), or what of it shall be otherwise (PATCH). It stays in its branch and plan."""

    version = serializers.IntegerField(min_value=0, help_text="that was changed; another one is a 409 `conflict`")

    def validate(self, facts: dict[str, Any]) -> dict[str, Any]:
        if "version" not in facts:  # a PATCH may leave out everything else
            raise serializers.ValidationError({"version": self.fields["version"].error_messages["required"]})
        return facts


def runs_forward(facts: dict[str, Any], first: str, last: str) -> None:
    if facts[last] <= facts[first]:
        raise serializers.ValidationError({last: _("The end must be later than the start.")})


def says_why_it_is_late(facts: dict[str, Any], *, is_in_plan: bool) -> None:
    """Planned work is announced in the law's time with its plan; whatever is later says why."""
    if facts["work_class"] == WorkClass.PLANNED:
        if not is_in_plan:
            words = _("Planned work belongs to a plan; outside one it is temporary or emergency work.")
            raise serializers.ValidationError({"work_class": words})
    elif not facts["temporary_reason"]:
        raise serializers.ValidationError({"temporary_reason": _("Say why it cannot wait.")})


class PlannedCancelSerializer(ActionSerializer):
    reason = serializers.CharField(max_length=500)
    tell = TellField()


# --- many works -------------------------------------------------------------------------------------


class WorkBatchInputSerializer(serializers.Serializer[Any]):
    works = BoundedListField(child=WorkInputSerializer(), min_length=1, max_length=MOST_ITEMS)


class WorkResultSerializer(serializers.Serializer[Any]):
    """The work that one item has become, or that had its number already."""

    reference = serializers.CharField()
    key = serializers.CharField(allow_blank=True)
    state = serializers.CharField()
    version = serializers.IntegerField()
    action = serializers.ChoiceField(choices=["created", "repeated"])


class WorkBatchItemSerializer(serializers.Serializer[Any]):
    """One item's answer, in the order sent: ``result`` or ``error``."""

    index = serializers.IntegerField()
    status = serializers.IntegerField(help_text="what a single request would have answered")
    result = WorkResultSerializer(allow_null=True)
    error = ItemErrorSerializer(allow_null=True)


class WorkBatchResultSerializer(serializers.Serializer[Any]):
    accepted = serializers.IntegerField()
    refused = serializers.IntegerField()
    items = WorkBatchItemSerializer(many=True)


# --- published windows ------------------------------------------------------------------------------


class PublishedWindowSerializer(WindowSerializer):
    """A published window with its outage. ``outage.version`` is what the next action may be based on."""

    work = serializers.CharField(source="work.reference", read_only=True)
    outage = OutageSerializer(read_only=True)  # type: ignore[assignment]

    class Meta:
        model = WorkWindow
        fields = ("work", *WindowSerializer.Meta.fields)
        read_only_fields = fields


class WindowStartSerializer(ActionSerializer):
    started_at = serializers.DateTimeField(help_text="when the switch was really opened")
    note = serializers.CharField(max_length=500, required=False, default="", allow_blank=True)


class WindowExtendSerializer(ActionSerializer):
    planned_end = serializers.DateTimeField(help_text="the new end; customers are told this time")
    reason = serializers.CharField(max_length=500)


class WindowRestorePartSerializer(ActionSerializer):
    at = serializers.DateTimeField()
    elements = CodesField(help_text="everything below these is back")
    service_points = CodesField(help_text="single customers who are back")
    note = serializers.CharField(max_length=500, required=False, default="", allow_blank=True)


class WindowRestoreSerializer(ActionSerializer):
    restored_at = serializers.DateTimeField()
    note = serializers.CharField(max_length=500, required=False, default="", allow_blank=True)


class WindowCloseSerializer(ActionSerializer):
    remedy = serializers.CharField(max_length=500, help_text="what was done")
    note = serializers.CharField(max_length=500, required=False, default="", allow_blank=True)


class WindowMoveSerializer(ActionSerializer):
    planned_start = serializers.DateTimeField()
    planned_end = serializers.DateTimeField()
    reason = serializers.CharField(max_length=500)
    tell = TellField()

    def validate(self, facts: dict[str, Any]) -> dict[str, Any]:
        runs_forward(facts, "planned_start", "planned_end")
        return facts
