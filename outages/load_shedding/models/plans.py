"""有序用电方案: which blocks there are, what they take off, in which turns, and what is never shed."""

from __future__ import annotations

import pghistory
from django.conf import settings
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import ArrayField, DateTimeRangeField, RangeBoundary, RangeOperators
from django.db import models
from django.db.models import F, Func, Q
from django.db.models.functions import Now
from django.utils.translation import get_language, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from grid.models import Branch, GridElement


class PlanState(models.TextChoices):
    DRAFT = "draft", pgettext_lazy("shedding plan", "draft")
    APPROVED = "approved", pgettext_lazy("shedding plan", "approved")
    RETIRED = "retired", pgettext_lazy("shedding plan", "retired")


class Colour(models.TextChoices):
    """预警等级: how large the gap is, from ordinary to extreme."""

    BLUE = "blue", _("blue")
    YELLOW = "yellow", _("yellow")
    ORANGE = "orange", _("orange")
    RED = "red", _("red")


@pghistory.track()
class SheddingPlan(models.Model):
    """The blocks and turns of one branch and all below it, in one version, from a day on.

    Approved, it does not change any more: a new version replaces it. In force is the approved one with the latest
    ``effective_from`` that has come.
    """

    branch = models.ForeignKey(Branch, models.PROTECT, related_name="shedding_plans", verbose_name=_("branch"))
    number = models.PositiveSmallIntegerField(_("version"))
    name = models.CharField(_("name"), max_length=100)
    state = models.CharField(_("state"), max_length=10, choices=PlanState, default=PlanState.DRAFT)
    effective_from = models.DateField(_("in force from"))
    slot_minutes = models.PositiveSmallIntegerField(_("length of a slot (min)"), default=120)
    # of which switching from one block to the next takes so long
    margin_minutes = models.PositiveSmallIntegerField(_("switching margin (min)"), default=15)
    max_run_minutes = models.PositiveSmallIntegerField(_("longest at a stretch (min)"), default=240)
    max_day_minutes = models.PositiveSmallIntegerField(_("longest in a day (min)"), default=480)
    min_rest_minutes = models.PositiveSmallIntegerField(_("shortest rest between two turns (min)"), default=240)
    note = models.CharField(_("note"), max_length=500, blank=True)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+")
    author_name = models.CharField(_("by"), max_length=150, blank=True)
    approved_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+")
    approved_at = models.DateTimeField(_("approved at"), null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    version = models.PositiveIntegerField(default=1)

    branch_lookup = "branch"

    class Meta:
        verbose_name = _("shedding plan")
        verbose_name_plural = _("shedding plans")
        ordering = ["-effective_from", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["branch", "number"], name="shedding_plan_version_once"),
            models.CheckConstraint(
                condition=Q(approved_by__isnull=True) | ~Q(approved_by=F("author")), name="shedding_plan_by_another"
            ),
            models.CheckConstraint(
                condition=~Q(state=PlanState.APPROVED) | Q(approved_at__isnull=False), name="shedding_plan_approved"
            ),
            models.CheckConstraint(
                condition=Q(slot_minutes__gte=15) & Q(margin_minutes__lt=F("slot_minutes")), name="shedding_plan_slot"
            ),
            models.CheckConstraint(
                condition=Q(max_run_minutes__gte=F("slot_minutes")) & Q(max_day_minutes__gte=F("max_run_minutes")),
                name="shedding_plan_limits",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.number}"


class SheddingStage(models.Model):
    """A step of severity: its colour and the load it takes off. Tables of turns are complete for each stage."""

    plan = models.ForeignKey(SheddingPlan, models.CASCADE, related_name="stages")
    number = models.PositiveSmallIntegerField(_("stage"))
    colour = models.CharField(_("warning"), max_length=8, choices=Colour)
    mw = models.FloatField(_("load to shed (MW)"))

    branch_lookup = "plan__branch"

    class Meta:
        verbose_name = _("stage")
        verbose_name_plural = _("stages")
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["plan", "number"], name="shedding_stage_once")]


class SheddingBlock(models.Model):
    """轮停区块: feeders or elements that are shed together. ``formerly`` keeps the names people still know."""

    plan = models.ForeignKey(SheddingPlan, models.CASCADE, related_name="blocks")
    code = models.CharField(_("block"), max_length=32)
    name = models.CharField(_("name"), max_length=100, blank=True)
    name_en = models.CharField(_("English name"), max_length=100, blank=True)
    formerly = ArrayField(models.CharField(max_length=32), default=list, blank=True, verbose_name=_("formerly"))
    # by hour of the day; measured by SCADA or estimated from the customers' average power, and labelled as such
    mw_by_hour = ArrayField(models.FloatField(), size=24, verbose_name=_("load by hour (MW)"))
    is_measured = models.BooleanField(_("measured"), default=False)
    is_protected = models.BooleanField(_("protected"), default=False)
    protected_reason = models.CharField(_("why protected"), max_length=200, blank=True)
    # measured from the network when the plan was last drawn up
    customers = models.IntegerField(_("customers"), default=0)
    critical_customers = models.IntegerField(_("important customers"), default=0)
    life_support = models.IntegerField(_("life support"), default=0)
    load_kw = models.FloatField(_("load (kW)"), default=0.0)
    switchings = models.PositiveSmallIntegerField(_("switching operations"), default=1)

    branch_lookup = "plan__branch"

    class Meta:
        verbose_name = _("block")
        verbose_name_plural = _("blocks")
        ordering = ["code"]
        constraints = [models.UniqueConstraint(fields=["plan", "code"], name="shedding_block_once")]

    def __str__(self) -> str:
        return self.code

    @property
    def local_name(self) -> str:
        is_chinese = (get_language() or "").startswith("zh")
        return (self.name if is_chinese or not self.name_en else self.name_en) or self.code


class BlockElement(models.Model):
    """A feeder or another element of a block. In one plan it belongs to one block."""

    plan = models.ForeignKey(SheddingPlan, models.CASCADE, related_name="+")
    block = models.ForeignKey(SheddingBlock, models.CASCADE, related_name="block_elements")
    element = models.ForeignKey(GridElement, models.PROTECT, related_name="+")

    branch_lookup = "plan__branch"

    class Meta:
        constraints = [models.UniqueConstraint(fields=["plan", "element"], name="shedding_element_in_one_block")]
        indexes = [models.Index(fields=["element"], name="shedding_block_element")]


class BlockPlace(models.Model):
    """A transformer area of a block: measured from the network's normal state, written set by set."""

    block = models.ForeignKey(SheddingBlock, models.CASCADE, related_name="places")
    element = models.ForeignKey(GridElement, models.CASCADE, related_name="+")
    customers = models.IntegerField()
    critical = models.IntegerField()
    life_support = models.IntegerField()
    load_kw = models.FloatField()

    branch_lookup = "block__plan__branch"

    class Meta:
        constraints = [models.UniqueConstraint(fields=["block", "element"], name="block_place_once")]
        # "which block is this customer in": every look-up of a slot
        indexes = [models.Index(fields=["element"], name="block_place_element")]


@pghistory.track()
class KeptOut(models.Model):
    """Never in a block: what is shed automatically by under-frequency relays, and sites that must be supplied."""

    class Why(models.TextChoices):
        UFLS = "ufls", _("under-frequency load shedding (低频减载)")
        PROTECTED = "protected", _("protected site (保供单位)")

    element = models.OneToOneField(GridElement, models.CASCADE, related_name="kept_out")
    why = models.CharField(_("why"), max_length=10, choices=Why)
    note = models.CharField(_("note"), max_length=200, blank=True)

    branch_lookup = "element__branch"

    class Meta:
        verbose_name = _("element kept out of shedding")
        verbose_name_plural = _("elements kept out of shedding")


class Recurrence(models.TextChoices):
    MONTHLY = "monthly", _("by day of the month")
    WEEKLY = "weekly", _("by weekday")
    PERIODIC = "periodic", _("every n days")


class Turn(models.Model):
    """轮换表: one row of the rotation table: on such days, from then to then, this block is off in this stage.

    ``ends`` not later than ``starts`` is the next day. ``day`` is 1 to 31 (or ``LAST_DAY``), 1 to 7 from Monday, or
    1 to ``period`` counted from ``counts_from``.
    """

    LAST_DAY = 0

    plan = models.ForeignKey(SheddingPlan, models.CASCADE, related_name="turns")
    stage = models.PositiveSmallIntegerField(_("stage"))
    block = models.ForeignKey(SheddingBlock, models.CASCADE, related_name="turns")
    recurrence = models.CharField(_("repeats"), max_length=8, choices=Recurrence)
    day = models.PositiveSmallIntegerField(_("day"))
    period = models.PositiveSmallIntegerField(_("days of the cycle"), null=True, blank=True)
    counts_from = models.DateField(_("cycle counted from"), null=True, blank=True)
    starts = models.TimeField(_("off from"))
    ends = models.TimeField(_("back by"))
    is_possible = models.BooleanField(_("only possible"), default=False)

    branch_lookup = "plan__branch"

    class Meta:
        verbose_name = _("row of the rotation table")
        verbose_name_plural = _("rotation table")
        ordering = ["stage", "day", "starts"]
        constraints = [
            models.CheckConstraint(
                condition=Q(
                    recurrence=Recurrence.PERIODIC,
                    period__isnull=False,
                    counts_from__isnull=False,
                    day__gte=1,
                    day__lte=F("period"),
                )
                | Q(recurrence=Recurrence.WEEKLY, day__gte=1, day__lte=7)
                | Q(recurrence=Recurrence.MONTHLY, day__lte=31),
                name="turn_day_in_its_cycle",
            )
        ]
        indexes = [models.Index(fields=["plan", "stage"], name="turn_plan_stage")]


class StageWindow(models.Model):
    """发布的轮停: from when until when a stage is published, and how sure that is.

    Rotation table and windows together are the published schedule (``rotation.expand``). After the last window
    nothing is known, which is not the same as "no shedding".
    """

    class Certainty(models.TextChoices):
        FORECAST = "forecast", _("forecast")
        CONFIRMED = "confirmed", pgettext_lazy("schedule", "confirmed")

    plan = models.ForeignKey(SheddingPlan, models.CASCADE, related_name="windows")
    stage = models.PositiveSmallIntegerField(_("stage"))  # 0: published that nobody is shed
    begins = models.DateTimeField(_("from"))
    until = models.DateTimeField(_("until"))
    certainty = models.CharField(_("certainty"), max_length=10, choices=Certainty)
    published_by = models.CharField(max_length=150)
    published_at = models.DateTimeField(db_default=Now())

    branch_lookup = "plan__branch"

    class Meta:
        verbose_name = _("published stage")
        verbose_name_plural = _("published stages")
        ordering = ["begins"]
        constraints = [
            models.CheckConstraint(condition=Q(until__gt=F("begins")), name="stage_window_runs_forward"),
            # at one time one stage is published
            ExclusionConstraint(
                name="stage_windows_apart",
                expressions=[
                    ("plan", RangeOperators.EQUAL),
                    (
                        Func(
                            F("begins"), F("until"), RangeBoundary(),
                            function="tstzrange", output_field=DateTimeRangeField(),
                        ),
                        RangeOperators.OVERLAPS,
                    ),
                ],
            ),
        ]  # fmt: skip


class Agreement(models.Model):
    """错峰协议 / 避峰 / 限电: what a customer takes off on request, before anybody is switched off."""

    class Kind(models.TextChoices):
        SHIFT = "shift", _("peak shifting (错峰)")
        AVOID = "avoid", _("peak avoidance (避峰)")
        LIMIT = "limit", _("limiting (限电)")

    branch = models.ForeignKey(Branch, models.PROTECT, related_name="+", verbose_name=_("branch"))
    kind = models.CharField(_("measure"), max_length=8, choices=Kind)
    customer = models.ForeignKey("grid.Customer", models.PROTECT, related_name="+", verbose_name=_("customer"))
    mw = models.FloatField(_("relief (MW)"))
    notice_minutes = models.PositiveSmallIntegerField(_("notice (min)"), default=60)
    valid_until = models.DateField(_("valid until"), null=True, blank=True)

    branch_lookup = "branch"

    class Meta:
        verbose_name = _("agreement")
        verbose_name_plural = _("agreements")
        constraints = [
            models.UniqueConstraint(fields=["customer", "kind"], name="shedding_agreement_once"),
            models.CheckConstraint(condition=Q(mw__gt=0), name="shedding_agreement_relieves"),
        ]
