"""The plan of a branch for a month or a week, and every step that somebody took with it."""

from __future__ import annotations

import pghistory
from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from grid.models import Branch


class PeriodKind(models.TextChoices):
    MONTH = "month", _("month plan")
    WEEK = "week", _("week plan")


class PeriodState(models.TextChoices):
    OPEN = "open", pgettext_lazy("plan", "open")
    SUBMITTED = "submitted", _("submitted")
    ENDORSED = "endorsed", _("endorsed by the branch lead")
    RETURNED = "returned", _("returned")
    APPROVED = "approved", _("approved")
    PUBLISHED = "published", _("published")
    CLOSED = "closed", _("closed")


@pghistory.track()
class PlanPeriod(models.Model):
    """停电计划: one branch's plan for a month or a week, handed in by a deadline and approved as a whole.

    ``state`` is written by ``outages.planned.services.periods`` and nowhere else. Whoever handed it in neither
    endorses nor approves it, and whoever endorsed it does not approve it: the database refuses that too.
    """

    branch = models.ForeignKey(Branch, models.PROTECT, related_name="plan_periods", verbose_name=_("branch"))
    kind = models.CharField(_("kind of plan"), max_length=8, choices=PeriodKind)
    # both days included, on the branch's own calendar
    starts_on = models.DateField(_("from"))
    ends_on = models.DateField(_("to"))
    deadline = models.DateTimeField(_("due by"))
    crew_capacity = models.PositiveSmallIntegerField(_("crews a day"), default=3)
    state = models.CharField(_("state"), max_length=12, choices=PeriodState, default=PeriodState.OPEN)
    # how often it was handed in; each hand-in is a revision
    revision = models.PositiveSmallIntegerField(_("revision"), default=0)
    first_submitted_at = models.DateTimeField(_("first submitted at"), null=True, blank=True)
    submitted_at = models.DateTimeField(_("submitted at"), null=True, blank=True)
    submitted_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+")
    endorsed_at = models.DateTimeField(_("endorsed at"), null=True, blank=True)
    endorsed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+")
    approved_at = models.DateTimeField(_("approved at"), null=True, blank=True)
    approved_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+")
    published_at = models.DateTimeField(_("published at"), null=True, blank=True)
    closed_at = models.DateTimeField(_("closed at"), null=True, blank=True)
    version = models.PositiveIntegerField(default=1)

    branch_lookup = "branch"

    class Meta:
        verbose_name = _("plan")
        verbose_name_plural = _("plans")
        ordering = ["-starts_on", "kind", "branch"]
        constraints = [
            models.UniqueConstraint(fields=["branch", "kind", "starts_on"], name="period_once"),
            models.CheckConstraint(condition=Q(ends_on__gte=F("starts_on")), name="period_runs_forward"),
            models.CheckConstraint(
                condition=Q(endorsed_by__isnull=True)
                | Q(submitted_by__isnull=True)
                | ~Q(endorsed_by=F("submitted_by")),
                name="period_endorsed_by_another",
            ),
            models.CheckConstraint(
                condition=Q(approved_by__isnull=True)
                | (
                    (Q(submitted_by__isnull=True) | ~Q(approved_by=F("submitted_by")))
                    & (Q(endorsed_by__isnull=True) | ~Q(approved_by=F("endorsed_by")))
                ),
                name="period_approved_by_another",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.branch} {self.title}"

    @property
    def title(self) -> str:
        """2026-12, or 2026-W49: how people name a month or a week."""
        if self.kind == PeriodKind.MONTH:
            return f"{self.starts_on:%Y-%m}"
        year, week, _day = self.starts_on.isocalendar()
        return f"{year}-W{week:02d}"


class PlanStep(models.Model):
    """One thing somebody did with a plan or a work: who, when, and why. Never changed."""

    period = models.ForeignKey(PlanPeriod, models.CASCADE, null=True, blank=True, related_name="steps")
    work = models.ForeignKey("planned.PlannedWork", models.CASCADE, null=True, blank=True, related_name="steps")
    verb = models.CharField(max_length=24)
    actor_kind = models.CharField(max_length=8)
    actor_name = models.CharField(_("by"), max_length=150)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+")
    at = models.DateTimeField(db_default=Now())
    note = models.CharField(max_length=500, blank=True)
    facts = models.JSONField(default=dict)

    branch_lookup = "period__branch"

    class Meta:
        verbose_name = _("step")
        verbose_name_plural = _("steps")
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(period__isnull=False) | Q(work__isnull=False), name="plan_step_is_about_something"
            )
        ]
