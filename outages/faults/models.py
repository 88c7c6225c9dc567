"""What a fault has that other outages have not: its own life, the reports behind it, the people sent."""

from __future__ import annotations

import pghistory
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from grid.models import Branch, GridElement, ServicePoint
from outages.models import CauseClass, Outage


class FaultState(models.TextChoices):
    """``domain.md`` 5.4; every state lies inside one status of the outage (5.1)."""

    REPORTED = "reported", _("reported")
    PREDICTED = "predicted", _("predicted")
    CONFIRMED = "confirmed", _("confirmed")
    ISOLATED = "isolated", _("made safe")
    PARTIALLY_RESTORED = "partially_restored", _("partially restored")
    RESTORED = "restored", _("restored")
    VERIFIED = "verified", _("verified")
    CLOSED = "closed", _("closed")
    DISMISSED = "dismissed", _("dismissed")
    MERGED = "merged", _("merged")


class FaultOrigin(models.TextChoices):
    """Where the damage is: main-grid, distribution, low-voltage fault, or behind the meter (``domain.md`` 2)."""

    MAIN_GRID = "main_grid", _("main grid")
    DISTRIBUTION = "distribution", _("distribution network")
    LOW_VOLTAGE = "low_voltage", _("low voltage")
    CUSTOMER = "customer", _("customer's own")


class CauseCode(models.TextChoices):
    """What happened, one step finer than the cause class.

    The classes are aligned with IEEE 1782; the codes are our own wording of what utilities' public reports
    name as causes. A utility's local code goes into the words of the cause.
    """

    INSULATION = "insulation", _("insulation failed")
    CONDUCTOR = "conductor", _("conductor or joint broken")
    TRANSFORMER = "transformer", _("transformer failed")
    SWITCHGEAR = "switchgear", _("switchgear or fuse failed")
    OVERLOAD = "overload", _("overload")
    PROTECTION = "protection", _("protection or setting")
    LIGHTNING = "lightning", _("lightning stroke")
    WIND = "wind", _("wind or flying object")
    ICE = "ice", _("ice or snow")
    FLOOD = "flood", _("flood or landslide")
    HEAT = "heat", _("heat")
    TREE_CONTACT = "tree_contact", _("tree touching the line")
    TREE_FALL = "tree_fall", _("tree fallen on the line")
    VEHICLE = "vehicle", _("vehicle hit the equipment")
    DIG_IN = "dig_in", _("cable dug up")
    THEFT = "theft", _("theft or vandalism")
    CRANE = "crane", _("crane or building machine")
    FOREIGN_OBJECT = "foreign_object", _("kite, film or other object")
    BIRD = "bird", _("bird")
    ANIMAL = "animal", _("other animal")
    UPSTREAM = "upstream", _("loss of the feeding station")
    SHORTAGE = "shortage", _("shortage of supply")
    OPERATION = "operation", _("switching mistake")
    WORK_FAULT = "work_fault", _("fault caused by works")
    CUSTOMER_EQUIPMENT = "customer_equipment", _("customer's own equipment")
    NOT_FOUND = "not_found", _("nothing found")


CAUSE_CLASS_OF: dict[str, str] = {
    CauseCode.INSULATION: CauseClass.EQUIPMENT,
    CauseCode.CONDUCTOR: CauseClass.EQUIPMENT,
    CauseCode.TRANSFORMER: CauseClass.EQUIPMENT,
    CauseCode.SWITCHGEAR: CauseClass.EQUIPMENT,
    CauseCode.OVERLOAD: CauseClass.EQUIPMENT,
    CauseCode.PROTECTION: CauseClass.EQUIPMENT,
    CauseCode.LIGHTNING: CauseClass.LIGHTNING,
    CauseCode.WIND: CauseClass.WEATHER,
    CauseCode.ICE: CauseClass.WEATHER,
    CauseCode.FLOOD: CauseClass.WEATHER,
    CauseCode.HEAT: CauseClass.WEATHER,
    CauseCode.TREE_CONTACT: CauseClass.VEGETATION,
    CauseCode.TREE_FALL: CauseClass.VEGETATION,
    CauseCode.VEHICLE: CauseClass.PUBLIC,
    CauseCode.DIG_IN: CauseClass.PUBLIC,
    CauseCode.THEFT: CauseClass.PUBLIC,
    CauseCode.CRANE: CauseClass.PUBLIC,
    CauseCode.FOREIGN_OBJECT: CauseClass.PUBLIC,
    CauseCode.BIRD: CauseClass.WILDLIFE,
    CauseCode.ANIMAL: CauseClass.WILDLIFE,
    CauseCode.UPSTREAM: CauseClass.POWER_SUPPLY,
    CauseCode.SHORTAGE: CauseClass.POWER_SUPPLY,
    CauseCode.OPERATION: CauseClass.OTHER,
    CauseCode.WORK_FAULT: CauseClass.PLANNED,
    CauseCode.CUSTOMER_EQUIPMENT: CauseClass.OTHER,
    CauseCode.NOT_FOUND: CauseClass.UNKNOWN,
}


class EquipmentCode(models.TextChoices):
    """What was damaged; asset groups as in the common information model (own wording)."""

    OVERHEAD_LINE = "overhead_line", _("overhead line")
    CABLE = "cable", _("cable")
    POLE = "pole", _("pole or tower")
    TRANSFORMER = "transformer", _("transformer")
    BREAKER = "breaker", _("circuit breaker or recloser")
    SWITCH = "switch", _("switch or ring main unit")
    FUSE = "fuse", _("fuse")
    ARRESTER = "arrester", _("surge arrester or insulator")
    LV_LINE = "lv_line", _("low-voltage line")
    LV_BOX = "lv_box", _("distribution box")
    METER = "meter", _("meter or service line")
    STATION = "station", _("substation equipment")
    CUSTOMER = "customer", _("customer's own equipment")
    NONE = "none", _("no equipment")


class RemedyCode(models.TextChoices):
    """What was done about it."""

    REPLACED = "replaced", _("replaced")
    REPAIRED = "repaired", _("repaired")
    RECLOSED = "reclosed", _("switched on again")
    FUSE_REPLACED = "fuse_replaced", _("fuse replaced")
    TRANSFERRED = "transferred", _("supplied another way")
    TRIMMED = "trimmed", _("tree cut back")
    CLEARED = "cleared", _("object removed")
    PROVISIONAL = "provisional", _("provisional repair")
    CUSTOMER_TOLD = "customer_told", _("left to the customer")
    NONE = "none", _("nothing to do")


class Fault(models.Model):
    """故障停电: the fault behind one outage. ``state`` follows the outage's status (``lifecycle``)."""

    outage = models.OneToOneField(Outage, models.PROTECT, related_name="fault")
    state = models.CharField(_("state"), max_length=20, choices=FaultState)
    origin = models.CharField(_("origin"), max_length=16, choices=FaultOrigin, default=FaultOrigin.DISTRIBUTION)
    element = models.ForeignKey(GridElement, models.PROTECT, null=True, blank=True, related_name="faults")
    equipment_code = models.CharField(_("equipment"), max_length=32, choices=EquipmentCode, blank=True)
    remedy_code = models.CharField(_("remedy"), max_length=32, choices=RemedyCode, blank=True)
    confirmed_at = models.DateTimeField(_("confirmed at"), null=True, blank=True)

    branch_lookup = "outage__branch"

    class Meta:
        verbose_name = _("fault")
        verbose_name_plural = _("faults")
        constraints = [
            # closed faults feed the causes of the statistics, so they are complete
            models.CheckConstraint(
                condition=~Q(state=FaultState.CLOSED) | (~Q(equipment_code="") & ~Q(remedy_code="")),
                name="fault_closed_is_complete",
            ),
        ]

    def __str__(self) -> str:
        return str(self.outage)


class ReportChannel(models.TextChoices):
    AGENT = "agent", _("call-centre agent")
    IVR = "ivr", _("voice menu")
    SMS = "sms", _("text message")
    WEB = "web", _("web page")
    METER = "meter", _("meter")
    API = "api", _("other system")


class TroubleReport(models.Model):
    """报修: somebody or some meter says that supply is missing at a place."""

    outage = models.ForeignKey(Outage, models.PROTECT, null=True, blank=True, related_name="reports")
    restored_outage = models.ForeignKey(Outage, models.PROTECT, null=True, blank=True, related_name="still_out_reports")
    branch = models.ForeignKey(Branch, models.PROTECT, related_name="trouble_reports", verbose_name=_("branch"))
    service_point = models.ForeignKey(ServicePoint, models.PROTECT, null=True, blank=True, related_name="reports")
    element = models.ForeignKey(GridElement, models.PROTECT, null=True, blank=True, related_name="reports")
    place = models.CharField(_("place, in words"), max_length=254, blank=True)

    channel = models.CharField(_("channel"), max_length=8, choices=ReportChannel, default=ReportChannel.AGENT)
    source = models.CharField(_("source system"), max_length=64, blank=True)
    external_id = models.CharField(_("id in the source"), max_length=128, blank=True)
    caller_name = models.CharField(_("caller"), max_length=128, blank=True)
    caller_phone = models.CharField(_("telephone"), max_length=32, blank=True)
    wants_callback = models.BooleanField(_("call back"), default=False)
    wire_down = models.BooleanField(_("wire down"), default=False)
    fire = models.BooleanField(_("fire or smell of burning"), default=False)
    shock = models.BooleanField(_("electric shock"), default=False)
    flicker = models.BooleanField(_("flicker"), default=False)
    is_hazard = models.GeneratedField(
        expression=models.ExpressionWrapper(
            Q(wire_down=True) | Q(fire=True) | Q(shock=True), output_field=models.BooleanField()
        ),
        output_field=models.BooleanField(),
        db_persist=True,
    )
    still_out = models.BooleanField(_("still off after restoration"), default=False)
    note = models.TextField(_("note"), blank=True)
    reported_at = models.DateTimeField(_("reported at"), db_default=Now())
    actor_kind = models.CharField(max_length=8)
    actor_name = models.CharField(_("taken by"), max_length=150)

    branch_lookup = "branch"

    class Meta:
        verbose_name = _("trouble report")
        verbose_name_plural = _("trouble reports")
        ordering = ["-reported_at", "-id"]
        constraints = [
            # a source that sends twice finds the first
            models.UniqueConstraint(
                fields=["source", "external_id"], condition=~Q(external_id=""), name="report_external_id_once"
            ),
            models.CheckConstraint(
                condition=Q(service_point__isnull=False) | Q(element__isnull=False) | ~Q(place=""),
                name="report_has_a_place",
            ),
        ]
        indexes = [
            # the calls of one outage, newest first
            models.Index(fields=["outage", "-reported_at"], name="report_outage"),
            # dangers on the board and in the verdict
            models.Index(fields=["outage"], name="report_hazard", condition=Q(is_hazard=True)),
            # calls in the last ten minutes
            models.Index(fields=["reported_at"], name="report_at"),
            # place in words only: a person must find out where that is
            models.Index(fields=["branch"], name="report_unplaced", condition=Q(outage__isnull=True)),
        ]

    def __str__(self) -> str:
        return f"{self.get_channel_display()} {self.pk}"


@pghistory.track()
class Crew(models.Model):
    """抢修班组: the people sent."""

    code = models.CharField(_("code"), max_length=32, unique=True)
    name = models.CharField(_("name"), max_length=64)
    branch = models.ForeignKey(Branch, models.PROTECT, related_name="crews", verbose_name=_("branch"))
    skills = ArrayField(models.CharField(max_length=32), default=list, blank=True, verbose_name=_("skills"))
    phone = models.CharField(_("telephone"), max_length=32, blank=True)
    is_active = models.BooleanField(_("in service"), default=True)

    branch_lookup = "branch"

    class Meta:
        ordering = ["code"]
        verbose_name = _("crew")
        verbose_name_plural = _("crews")

    def __str__(self) -> str:
        return f"{self.code} {self.name}"


class CrewState(models.TextChoices):
    AWAITING = "awaiting", _("waiting for a crew")
    ASSIGNED = "assigned", _("assigned")
    EN_ROUTE = "en_route", _("on the way")
    ARRIVED = "arrived", _("arrived")
    WORKING = "working", _("working")
    FIELD_COMPLETE = "field_complete", _("work done")
    RELEASED = "released", _("released")


class CrewAssignment(models.Model):
    """派工: one crew on one fault, from being sent to being released; an incident may have several."""

    fault = models.ForeignKey(Fault, models.PROTECT, related_name="assignments")
    crew = models.ForeignKey(Crew, models.PROTECT, related_name="assignments")
    state = models.CharField(_("state"), max_length=16, choices=CrewState, default=CrewState.ASSIGNED)
    reason = models.CharField(_("reason"), max_length=200, blank=True)
    assigned_at = models.DateTimeField(_("assigned"), db_default=Now())
    en_route_at = models.DateTimeField(_("on the way"), null=True, blank=True)
    arrived_at = models.DateTimeField(_("arrived"), null=True, blank=True)
    working_at = models.DateTimeField(_("working"), null=True, blank=True)
    field_complete_at = models.DateTimeField(_("work done"), null=True, blank=True)
    released_at = models.DateTimeField(_("released"), null=True, blank=True)

    branch_lookup = "fault__outage__branch"

    class Meta:
        ordering = ["assigned_at", "id"]
        verbose_name = _("assignment")
        verbose_name_plural = _("assignments")
        constraints = [
            models.UniqueConstraint(
                fields=["fault", "crew"], condition=~Q(state=CrewState.RELEASED), name="assignment_once_at_a_time"
            ),
            models.CheckConstraint(
                condition=Q(released_at__isnull=True) | Q(released_at__gte=F("assigned_at")),
                name="assignment_runs_forward",
            ),
        ]
        indexes = [models.Index(fields=["crew"], name="assignment_open", condition=~Q(state=CrewState.RELEASED))]

    def __str__(self) -> str:
        return f"{self.crew_id} {self.state}"
