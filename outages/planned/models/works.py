"""A planned work: what is switched off, when, for what, and what was considered before."""

from __future__ import annotations

import pghistory
from django.conf import settings
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import ArrayField, DateTimeRangeField, RangeBoundary, RangeOperators
from django.db import models
from django.db.models import F, Func, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from grid.models import Branch, Customer, GridElement
from outages.models import Outage
from outages.planned.models.plans import PlanPeriod


class WorkClass(models.TextChoices):
    """计划/临时/紧急: how early customers can be told decides the class (``domain.md`` 5.2, publish)."""

    PLANNED = "planned", pgettext_lazy("class", "planned work")
    TEMPORARY = "temporary", _("temporary work")
    EMERGENCY = "emergency", _("emergency work")


class WorkType(models.TextChoices):
    MAINTENANCE = "maintenance", _("maintenance")
    DEFECT = "defect", _("repair of a defect")
    REPLACEMENT = "replacement", _("replacement of equipment")
    CONSTRUCTION = "construction", _("construction")
    CONNECTION = "connection", _("connection of a customer")
    TEST = "test", _("test")
    CLEARING = "clearing", _("clearing of trees")
    CUSTOMER = "customer", _("customer's own work")
    OTHER = "other", _("other")


class WorkState(models.TextChoices):
    """``domain.md`` 5.2; from publication on it follows the work's windows."""

    DRAFT = "draft", _("draft")
    SUBMITTED = "submitted", _("submitted")
    RETURNED = "returned", _("returned")
    CHECKED = "checked", _("checked")
    APPROVED = "approved", _("approved")
    JOINED = "joined", _("part of a joint outage")
    PUBLISHED = "published", _("published")
    NOTIFIED = "notified", _("customers told")
    IN_PROGRESS = "in_progress", _("in progress")
    PARTIALLY_RESTORED = "partially_restored", _("partially restored")
    RESTORED = "restored", _("restored")
    CLOSED = "closed", _("closed")
    CANCELLED = "cancelled", _("cancelled")


class WindowState(models.TextChoices):
    """From publication on a window follows its outage."""

    PLANNED = "planned", _("planned")
    PUBLISHED = "published", _("published")
    NOTIFIED = "notified", _("customers told")
    IN_PROGRESS = "in_progress", _("in progress")
    PARTIALLY_RESTORED = "partially_restored", _("partially restored")
    RESTORED = "restored", _("restored")
    CLOSED = "closed", _("closed")
    CANCELLED = "cancelled", _("cancelled")


class Alternative(models.TextChoices):
    """Was working without an outage considered, and with what result?"""

    UNANSWERED = "", _("not considered yet")
    USED = "used", _("used as far as possible")
    NOT_POSSIBLE = "not_possible", _("not possible")
    NOT_WORTH = "not_worth", _("possible, but not chosen")


class NoticeStage(models.TextChoices):
    """When customers hear of a planned outage. The announcement is compulsory."""

    ANNOUNCED = "announced", _("announcement")
    REMINDER_EARLY = "reminder_early", _("first reminder")
    REMINDER_LATE = "reminder_late", _("last reminder")
    STARTED = "started", _("power is off")
    RESTORED = "restored", _("power is back")


def every_stage() -> list[str]:
    """Unasked, customers hear of every stage."""
    return list(NoticeStage.values)


@pghistory.track()
class PlannedWork(models.Model):
    """停电工作: one job that needs a switching-off, in one or several windows.

    ``state`` is written by ``outages.planned.services`` and, once published, follows the windows. The figures of
    what would be off are those of the last measuring (``impact_at``) and frozen when the work is checked.
    """

    reference = models.CharField(_("number"), max_length=24, unique=True)
    branch = models.ForeignKey(Branch, models.PROTECT, related_name="planned_works", verbose_name=_("branch"))
    period = models.ForeignKey(
        PlanPeriod, models.PROTECT, null=True, blank=True, related_name="works", verbose_name=_("plan")
    )
    work_class = models.CharField(_("class"), max_length=12, choices=WorkClass, default=WorkClass.PLANNED)
    # the branch's own number: the same key in a later file is the same work
    key = models.CharField(_("the branch's own number"), max_length=64, blank=True)
    state = models.CharField(_("state"), max_length=20, choices=WorkState, default=WorkState.DRAFT)
    state_reason = models.CharField(_("reason"), max_length=500, blank=True)

    elements = models.ManyToManyField(GridElement, related_name="planned_works", blank=True)
    title = models.CharField(_("works"), max_length=200)
    work_type = models.CharField(_("type of work"), max_length=16, choices=WorkType, default=WorkType.MAINTENANCE)
    scope = models.CharField(_("area, in words"), max_length=300, blank=True)
    reason_zh = models.CharField(_("public reason (Chinese)"), max_length=200, blank=True)
    reason_en = models.CharField(_("public reason (English)"), max_length=200, blank=True)
    work_order = models.CharField(_("work order"), max_length=64, blank=True)
    contact_name = models.CharField(_("contact"), max_length=64, blank=True)
    contact_phone = models.CharField(_("telephone"), max_length=32, blank=True)
    crews = models.PositiveSmallIntegerField(_("crews"), default=1)
    is_fixed = models.BooleanField(_("the date cannot move"), default=False)
    switching_note = models.CharField(_("switching"), max_length=500, blank=True)
    customer_work = models.CharField(_("customer's own work at the same time"), max_length=300, blank=True)
    note = models.CharField(_("note"), max_length=1000, blank=True)
    notice_plan = ArrayField(
        models.CharField(max_length=16, choices=NoticeStage), default=every_stage, verbose_name=_("notices")
    )

    live_line = models.CharField(_("live-line work"), max_length=16, choices=Alternative, blank=True)
    live_line_reason = models.CharField(_("why"), max_length=200, blank=True)
    transfer = models.CharField(_("transfer supply"), max_length=16, choices=Alternative, blank=True)
    transfer_reason = models.CharField(_("why"), max_length=200, blank=True)
    # the tie that the switching closes; it may not be out at the same time
    transfer_tie = models.ForeignKey(GridElement, models.PROTECT, null=True, blank=True, related_name="+")
    # why it is announced later than the law's notice for planned work
    temporary_reason = models.CharField(_("why it cannot wait"), max_length=300, blank=True)

    # a joint outage takes its children's place; each keeps the state it had for the way back
    joint = models.ForeignKey("self", models.PROTECT, null=True, blank=True, related_name="children")
    state_before_joint = models.CharField(max_length=20, blank=True)

    places = models.IntegerField(_("transformer areas"), default=0)
    customers = models.IntegerField(_("customers"), default=0)
    critical_customers = models.IntegerField(_("important customers"), default=0)
    life_support = models.IntegerField(_("life support"), default=0)
    load_kw = models.FloatField(_("load (kW)"), default=0.0)
    impact_at = models.DateTimeField(_("measured at"), null=True, blank=True)

    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+")
    author_name = models.CharField(_("by"), max_length=150, blank=True)
    checked_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+")
    approved_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+")
    approved_at = models.DateTimeField(_("approved at"), null=True, blank=True)
    published_at = models.DateTimeField(_("published at"), null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())
    version = models.PositiveIntegerField(default=1)

    branch_lookup = "branch"

    class Meta:
        verbose_name = _("planned work")
        verbose_name_plural = _("planned works")
        ordering = ["pk"]
        constraints = [
            # uploading the same file twice finds the first
            models.UniqueConstraint(
                fields=["branch", "key"],
                condition=~Q(key="") & ~Q(state=WorkState.CANCELLED),
                name="work_key_once",
            ),
            models.CheckConstraint(
                condition=Q(approved_by__isnull=True) | Q(author__isnull=True) | ~Q(approved_by=F("author")),
                name="work_approved_by_another",
            ),
            models.CheckConstraint(
                condition=Q(checked_by__isnull=True) | Q(author__isnull=True) | ~Q(checked_by=F("author")),
                name="work_checked_by_another",
            ),
            # late work says why, before anybody approves it
            models.CheckConstraint(
                condition=Q(work_class=WorkClass.PLANNED)
                | Q(state__in=[WorkState.DRAFT, WorkState.RETURNED, WorkState.CANCELLED])
                | ~Q(temporary_reason=""),
                name="work_late_says_why",
            ),
            models.CheckConstraint(condition=~Q(pk=F("joint")), name="work_joint_is_another"),
            models.CheckConstraint(
                condition=(Q(state=WorkState.JOINED) & Q(joint__isnull=False)) | ~Q(state=WorkState.JOINED),
                name="work_joined_to_something",
            ),
        ]
        indexes = [
            models.Index(fields=["branch", "state"], name="work_branch_state"),
            models.Index(fields=["period", "state"], name="work_period_state"),
        ]

    def __str__(self) -> str:
        return f"{self.reference} {self.title}"


@pghistory.track()
class WorkWindow(models.Model):
    """One switching-off of a work, from off to on. Published, it is one outage; actual times stand there.

    A generator car that is plugged in and out again is one work with two windows: customers are off only at both
    ends. ``announced_start`` and ``announced_end`` are what was first published: moves are measured against them.
    """

    work = models.ForeignKey(PlannedWork, models.CASCADE, related_name="windows")
    starts_at = models.DateTimeField(_("off from"))
    ends_at = models.DateTimeField(_("back by"))
    state = models.CharField(_("state"), max_length=20, choices=WindowState, default=WindowState.PLANNED)
    outage = models.OneToOneField(Outage, models.PROTECT, null=True, blank=True, related_name="work_window")
    announced_start = models.DateTimeField(null=True, blank=True)
    announced_end = models.DateTimeField(null=True, blank=True)
    published_at = models.DateTimeField(null=True, blank=True)
    notified_at = models.DateTimeField(_("customers told at"), null=True, blank=True)
    moves = models.PositiveSmallIntegerField(_("times moved"), default=0)
    extensions = models.PositiveSmallIntegerField(_("times extended"), default=0)
    # the planned end for which the owner was asked whether it will be late, and what the owner said
    asked_for = models.DateTimeField(null=True, blank=True)
    on_time_for = models.DateTimeField(null=True, blank=True)

    branch_lookup = "work__branch"

    class Meta:
        verbose_name = _("window")
        verbose_name_plural = _("windows")
        ordering = ["starts_at", "pk"]
        constraints = [
            models.CheckConstraint(condition=Q(ends_at__gt=F("starts_at")), name="window_runs_forward"),
            models.CheckConstraint(
                condition=Q(state__in=[WindowState.PLANNED, WindowState.CANCELLED]) | Q(outage__isnull=False),
                name="window_published_has_an_outage",
            ),
            # the windows of one work do not overlap
            ExclusionConstraint(
                name="window_apart",
                expressions=[
                    ("work", RangeOperators.EQUAL),
                    (
                        Func(
                            F("starts_at"),
                            F("ends_at"),
                            RangeBoundary(),
                            function="tstzrange",
                            output_field=DateTimeRangeField(),
                        ),
                        RangeOperators.OVERLAPS,
                    ),
                ],
                condition=~Q(state=WindowState.CANCELLED),
            ),
        ]
        indexes = [models.Index(fields=["starts_at", "ends_at"], name="window_when")]

    def __str__(self) -> str:
        return f"{self.starts_at:%Y-%m-%d %H:%M}–{self.ends_at:%H:%M}"


class WindowClaim(models.Model):
    """A window's claim on a piece of the network: two claims on one piece never overlap unless answered for.

    The last word about double planning, whatever races the checks lost. ``reason`` lifts a claim out of the rule.
    """

    window = models.ForeignKey(WorkWindow, models.CASCADE, related_name="claims")
    element = models.ForeignKey(GridElement, models.CASCADE, related_name="+")
    during = DateTimeRangeField()
    reason = models.CharField(max_length=500, blank=True)

    branch_lookup = "window__work__branch"

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["window", "element"], name="claim_once"),
            models.CheckConstraint(condition=Q(during__isempty=False), name="claim_not_empty"),
            ExclusionConstraint(
                name="claim_no_overlap",
                expressions=[("element", RangeOperators.EQUAL), ("during", RangeOperators.OVERLAPS)],
                condition=Q(reason=""),
            ),
        ]


class WorkPlace(models.Model):
    """A transformer area that a work takes off: measured from the network, written set by set."""

    work = models.ForeignKey(PlannedWork, models.CASCADE, related_name="work_places")
    element = models.ForeignKey(GridElement, models.CASCADE, related_name="+")
    customers = models.IntegerField()
    critical = models.IntegerField()
    life_support = models.IntegerField()
    load_kw = models.FloatField()

    branch_lookup = "work__branch"

    class Meta:
        constraints = [models.UniqueConstraint(fields=["work", "element"], name="work_place_once")]
        # "what else is planned here": every check of a later work
        indexes = [models.Index(fields=["element", "work"], name="work_place_element")]


@pghistory.track()
class RiskSheet(models.Model):
    """风险告知书: what an important or life-support customer was told and does meanwhile."""

    work = models.ForeignKey(PlannedWork, models.CASCADE, related_name="risk_sheets")
    customer = models.ForeignKey(Customer, models.PROTECT, related_name="+")
    own_generator = models.BooleanField(_("has a generator of its own"), default=False)
    measures = models.CharField(_("what is done meanwhile"), max_length=500)
    agreed_with = models.CharField(_("agreed with"), max_length=64)
    agreed_at = models.DateTimeField(_("agreed at"))
    actor_name = models.CharField(_("by"), max_length=150)

    branch_lookup = "work__branch"

    class Meta:
        verbose_name = _("risk sheet")
        verbose_name_plural = _("risk sheets")
        constraints = [models.UniqueConstraint(fields=["work", "customer"], name="risk_sheet_once")]


class CheckAnswer(models.Model):
    """What somebody answered to a finding: it stays true although the finding does."""

    work = models.ForeignKey(PlannedWork, models.CASCADE, related_name="answers")
    code = models.CharField(max_length=24)
    reason = models.CharField(_("answer"), max_length=500)
    actor_name = models.CharField(_("by"), max_length=150)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+")
    at = models.DateTimeField(db_default=Now())

    branch_lookup = "work__branch"

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["work", "code"], name="check_answer_once"),
            models.CheckConstraint(condition=~Q(reason=""), name="check_answer_says_something"),
        ]
