"""What is out: the one record, where and when it was off, and the log that everything else reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.postgres.fields import DateTimeRangeField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from grid.models import Branch, Customer, GridElement, ServicePoint


class OutageKind(models.TextChoices):
    PLANNED = "planned", _("planned outage")
    LOAD_SHEDDING = "load_shedding", _("load shedding")
    FAULT = "fault", _("fault")
    NON_PAYMENT = "non_payment", _("non-payment cut-off")


class OutageStatus(models.TextChoices):
    SUSPECTED = "suspected", _("suspected")
    SCHEDULED = "scheduled", _("scheduled")
    ACTIVE = "active", _("active")
    PARTIALLY_RESTORED = "partially_restored", _("partially restored")
    RESTORED = "restored", _("restored")
    CLOSED = "closed", _("closed")
    CANCELLED = "cancelled", _("cancelled")


OPEN_STATUSES = (OutageStatus.SUSPECTED, OutageStatus.SCHEDULED, OutageStatus.ACTIVE, OutageStatus.PARTIALLY_RESTORED)
OFF_STATUSES = (OutageStatus.ACTIVE, OutageStatus.PARTIALLY_RESTORED)


class OutageLevel(models.TextChoices):
    """停电层级: how high in the network the origin lies."""

    MAIN_GRID = "main_grid", _("main grid")
    DISTRIBUTION = "distribution", _("distribution")
    LOW_VOLTAGE = "low_voltage", _("low voltage")
    SERVICE = "service", _("single service")


class CauseClass(models.TextChoices):
    """Cause classes aligned with IEEE 1782 (own wording); kept apart from the kind of outage."""

    EQUIPMENT = "equipment", _("equipment")
    LIGHTNING = "lightning", _("lightning")
    PLANNED = "planned", _("planned work")
    POWER_SUPPLY = "power_supply", _("power supply")
    PUBLIC = "public", _("third party")
    VEGETATION = "vegetation", _("vegetation")
    WEATHER = "weather", _("weather")
    WILDLIFE = "wildlife", _("wildlife")
    UNKNOWN = "unknown", _("unknown")
    OTHER = "other", _("other")


class EtrSource(models.TextChoices):
    """Who said when it will be back; a later one in this list beats an earlier one."""

    SYSTEM = "system", _("system")
    OPERATOR = "operator", _("operator")
    CREW = "crew", _("crew")


class EtrConfidence(models.TextChoices):
    LOW = "low", _("first estimate")
    MEDIUM = "medium", _("assessed")
    HIGH = "high", _("confirmed on site")


class Outage(models.Model):
    """停电事件: the one record of an event that leaves customers without supply, whatever the kind.

    ``status`` is written by ``outages.services.outage_transition`` and nowhere else. The kept counts are
    derived from the interruptions by ``outages.services.counts_refresh`` and proved by ``verify_counts``.
    """

    reference = models.CharField(_("reference"), max_length=24, unique=True)
    kind = models.CharField(_("kind"), max_length=16, choices=OutageKind)
    status = models.CharField(_("status"), max_length=20, choices=OutageStatus)
    level = models.CharField(_("level"), max_length=16, choices=OutageLevel, default=OutageLevel.DISTRIBUTION)
    branch = models.ForeignKey(Branch, models.PROTECT, related_name="outages", verbose_name=_("branch"))
    feeder = models.ForeignKey(GridElement, models.PROTECT, null=True, blank=True, related_name="+")
    # the elements whose opening or failure causes the outage (one outage may span several feeders)
    elements = models.ManyToManyField(GridElement, related_name="outages", blank=True)
    place = models.CharField(_("place"), max_length=200, blank=True)

    cause_class = models.CharField(_("cause class"), max_length=16, choices=CauseClass, default=CauseClass.UNKNOWN)
    cause_code = models.CharField(_("cause code"), max_length=32, blank=True)
    cause_text = models.CharField(_("cause, in words"), max_length=500, blank=True)
    public_reason_zh = models.CharField(_("public reason (Chinese)"), max_length=200, blank=True)
    public_reason_en = models.CharField(_("public reason (English)"), max_length=200, blank=True)

    planned_start = models.DateTimeField(_("planned start"), null=True, blank=True)
    planned_end = models.DateTimeField(_("planned end"), null=True, blank=True)
    # the window that people were told before it moved: they may still be waiting for it
    moved_from = DateTimeRangeField(_("moved from"), null=True, blank=True)  # type: ignore[misc]
    started_at = models.DateTimeField(_("off since"), null=True, blank=True)
    restored_at = models.DateTimeField(_("restored at"), null=True, blank=True)
    closed_at = models.DateTimeField(_("closed at"), null=True, blank=True)

    etr = models.DateTimeField(_("estimated restoration"), null=True, blank=True)
    etr_source = models.CharField(_("source of the estimate"), max_length=8, choices=EtrSource, blank=True)
    etr_confidence = models.CharField(_("confidence"), max_length=8, choices=EtrConfidence, blank=True)
    etr_reason = models.CharField(_("reason of the estimate"), max_length=200, blank=True)
    etr_set_at = models.DateTimeField(_("estimate given at"), null=True, blank=True)
    etr_changes = models.PositiveSmallIntegerField(_("changes of the estimate"), default=0)
    next_update_by = models.DateTimeField(_("next update by"), null=True, blank=True)

    customers_affected = models.IntegerField(_("customers affected"), default=0)
    customers_out = models.IntegerField(_("customers off now"), default=0)
    critical_out = models.IntegerField(_("critical customers off now"), default=0)
    load_kw = models.FloatField(_("load off now (kW)"), default=0.0)

    is_public = models.BooleanField(_("public"), default=True)
    source_system = models.CharField(_("source system"), max_length=64, blank=True)
    source_ref = models.CharField(_("reference in the source"), max_length=128, blank=True)
    rule_pack = models.CharField(_("rule pack"), max_length=64)
    merged_into = models.ForeignKey("self", models.PROTECT, null=True, blank=True, related_name="merged")
    is_void = models.BooleanField(_("entered in error"), default=False)
    created_at = models.DateTimeField(_("recorded at"), db_default=Now())
    updated_at = models.DateTimeField(_("last change"), db_default=Now())
    version = models.PositiveIntegerField(default=1)

    branch_lookup = "branch"

    class Meta:
        verbose_name = _("outage")
        verbose_name_plural = _("outages")
        ordering = ["-created_at"]
        constraints = [
            # feeding twice finds the first
            models.UniqueConstraint(
                fields=["source_system", "source_ref"],
                condition=Q(status__in=[*OPEN_STATUSES, OutageStatus.RESTORED]) & ~Q(source_ref=""),
                name="outage_source_once_while_open",
            ),
            models.CheckConstraint(
                condition=~Q(kind=OutageKind.NON_PAYMENT) | Q(is_public=False), name="outage_debt_is_never_public"
            ),
            models.CheckConstraint(
                condition=~Q(status__in=OFF_STATUSES) | Q(started_at__isnull=False), name="outage_off_has_a_start"
            ),
            models.CheckConstraint(
                condition=~Q(status__in=[OutageStatus.RESTORED, OutageStatus.CLOSED]) | Q(restored_at__isnull=False),
                name="outage_restored_has_a_time",
            ),
            models.CheckConstraint(
                condition=~Q(status=OutageStatus.SCHEDULED) | Q(planned_start__isnull=False, planned_end__isnull=False),
                name="outage_scheduled_has_a_window",
            ),
            models.CheckConstraint(
                condition=Q(planned_end__isnull=True) | Q(planned_end__gt=F("planned_start")),
                name="outage_window_runs_forward",
            ),
            models.CheckConstraint(
                condition=Q(restored_at__isnull=True) | Q(restored_at__gte=F("started_at")),
                name="outage_restored_after_start",
            ),
        ]
        indexes = [
            # the board and the console read what is open or was restored lately
            models.Index(fields=["branch", "status"], name="outage_open", condition=Q(status__in=OPEN_STATUSES)),
            models.Index(fields=["restored_at"], name="outage_restored_at", condition=Q(restored_at__isnull=False)),
            models.Index(fields=["feeder"], name="outage_feeder"),
        ]

    def __str__(self) -> str:
        return self.reference

    @property
    def is_off(self) -> bool:
        return self.status in OFF_STATUSES


class Interruption(models.Model):
    """停电时段: one place off from one instant to another; every count, index and budget derives from these rows.

    The place is a transformer (or another element customers hang on) or, where they part ways, a single
    service point. ``actual`` with an open end means "off now". The figures are those of the moment the
    row was written, so a later re-import of customers does not rewrite history. A row without ``actual`` is
    what was announced (``planned``) or is only suspected.
    """

    outage = models.ForeignKey(Outage, models.PROTECT, related_name="interruptions")
    element = models.ForeignKey(GridElement, models.PROTECT, null=True, blank=True, related_name="interruptions")
    service_point = models.ForeignKey(ServicePoint, models.PROTECT, null=True, blank=True, related_name="interruptions")
    # the stubs know no nullable range
    planned = DateTimeRangeField(_("planned"), null=True, blank=True)  # type: ignore[misc]
    actual = DateTimeRangeField(_("actual"), null=True, blank=True)  # type: ignore[misc]
    customers = models.IntegerField(default=1)
    critical = models.IntegerField(default=0)
    load_kw = models.FloatField(default=0.0)

    branch_lookup = "outage__branch"

    class Meta:
        verbose_name = _("interruption")
        verbose_name_plural = _("interruptions")
        constraints = [
            models.CheckConstraint(
                condition=Q(element__isnull=False, service_point__isnull=True)
                | Q(element__isnull=True, service_point__isnull=False),
                name="interruption_one_place",
            ),
            models.CheckConstraint(
                condition=(Q(planned__isnull=True) | Q(planned__isempty=False))
                & (Q(actual__isnull=True) | Q(actual__isempty=False)),
                name="interruption_not_empty",
            ),
            # a place has at most one row that has not ended in one outage
            models.UniqueConstraint(
                fields=["outage", "element"],
                condition=Q(actual__endswith__isnull=True, element__isnull=False),
                name="interruption_element_open_once",
            ),
            models.UniqueConstraint(
                fields=["outage", "service_point"],
                condition=Q(actual__endswith__isnull=True, service_point__isnull=False),
                name="interruption_point_open_once",
            ),
        ]
        indexes = [
            # "is this place off, was it, will it be": every verdict
            models.Index(fields=["element", "outage"], name="interruption_element"),
            models.Index(
                fields=["service_point", "outage"],
                name="interruption_point",
                condition=Q(service_point__isnull=False),
            ),
            # the totals strip counts places that are off now, each once
            models.Index(
                fields=["element", "service_point"],
                name="interruption_off_now",
                condition=Q(actual__isnull=False, actual__endswith__isnull=True),
            ),
        ]


if TYPE_CHECKING:
    NumberField = models.Field[int, int]
else:  # Django's fields take no type arguments when running
    NumberField = models.Field


class Xid8Field(NumberField):
    """PostgreSQL's 64-bit transaction number: the order in which changes may be read without gaps."""

    def db_type(self, connection: Any) -> str:
        return "xid8"

    def from_db_value(self, value: str | int | None, *_unused: object) -> int | None:
        return None if value is None else int(value)

    def get_internal_type(self) -> str:
        return "BigIntegerField"


class CurrentXid(models.Func):
    function = "pg_current_xact_id"
    arity = 0
    output_field = Xid8Field()


class OutageEvent(models.Model):
    """One change of one outage: history, audit, trigger of notices and the external feed at once. Append-only."""

    epoch = models.SmallIntegerField(default=1)
    tx = Xid8Field(db_default=CurrentXid(), editable=False)
    outage = models.ForeignKey(Outage, models.PROTECT, related_name="events")
    sequence = models.PositiveIntegerField()
    verb = models.CharField(max_length=32)
    actor_kind = models.CharField(max_length=8)
    actor_name = models.CharField(max_length=150)
    actor_id = models.BigIntegerField(null=True, blank=True)
    source = models.CharField(max_length=64, blank=True)
    at = models.DateTimeField(db_default=Now())
    before = models.JSONField(default=dict)
    after = models.JSONField(default=dict)
    note = models.TextField(blank=True)
    is_public = models.BooleanField(default=False)

    branch_lookup = "outage__branch"

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")
        constraints = [models.UniqueConstraint(fields=["outage", "sequence"], name="event_sequence_once")]
        # the readers' order (see outages.events)
        indexes = [models.Index(fields=["epoch", "tx", "id"], name="event_cursor")]


class SystemState(models.Model):
    """One row about this database. ``epoch`` is raised when it was restored elsewhere, so cursors stay right."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    epoch = models.SmallIntegerField(default=1)

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="system_state_single")]


class ReaderCursor(models.Model):
    """How far one consumer of the event log has read; a slow one never delays another."""

    consumer = models.CharField(max_length=64, primary_key=True)
    epoch = models.SmallIntegerField(default=0)
    tx = models.BigIntegerField(default=0)
    event_id = models.BigIntegerField(default=0)
    moved_at = models.DateTimeField(db_default=Now())


class OutageNumber(models.Model):
    """The running number of a reference, per prefix and year: F-2026-000123."""

    prefix = models.CharField(max_length=4)
    year = models.SmallIntegerField()
    number = models.IntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["prefix", "year"], name="outage_number_once")]


__all__ = [
    "OFF_STATUSES",
    "OPEN_STATUSES",
    "CauseClass",
    "Customer",
    "EtrConfidence",
    "EtrSource",
    "Interruption",
    "Outage",
    "OutageEvent",
    "OutageKind",
    "OutageLevel",
    "OutageNumber",
    "OutageStatus",
    "ReaderCursor",
    "SystemState",
]
