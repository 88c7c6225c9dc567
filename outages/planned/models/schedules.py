"""A proposal of the scheduler: better windows for a whole plan, accepted by a person line by line."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from outages.planned.models.plans import PlanPeriod
from outages.planned.models.works import PlannedWork


class ScheduleRun(models.Model):
    """One search for better windows. ``before`` and ``after`` are the same measure of the two plans."""

    class State(models.TextChoices):
        QUEUED = "queued", _("queued")
        RUNNING = "running", _("searching")
        DONE = "done", _("done")
        FAILED = "failed", _("failed")

    period = models.ForeignKey(PlanPeriod, models.CASCADE, related_name="schedule_runs")
    state = models.CharField(_("state"), max_length=8, choices=State, default=State.QUEUED)
    progress = models.SmallIntegerField(_("progress (%)"), default=0)
    actor_name = models.CharField(_("by"), max_length=150)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+")
    started_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True, blank=True)
    crew_capacity = models.PositiveSmallIntegerField(_("crews a day"))
    before = models.JSONField(default=dict)
    after = models.JSONField(default=dict)
    is_optimal = models.BooleanField(default=False)
    message = models.CharField(max_length=200, blank=True)

    branch_lookup = "period__branch"

    class Meta:
        verbose_name = _("schedule proposal")
        verbose_name_plural = _("schedule proposals")
        ordering = ["-id"]
        constraints = [
            # one search at a time for a plan: a second click finds the first
            models.UniqueConstraint(
                fields=["period"], condition=Q(state__in=["queued", "running"]), name="schedule_run_one_at_a_time"
            )
        ]


class ScheduleLine(models.Model):
    """One work of a proposal: its windows as they are and as proposed, and what a person decided.

    Windows are lists of [off, on] in ISO 8601 with their offset.
    """

    class Decision(models.TextChoices):
        OPEN = "open", pgettext_lazy("decision", "open")
        ACCEPTED = "accepted", _("accepted")
        REFUSED = "refused", _("refused")
        STALE = "stale", _("the work has changed meanwhile")

    run = models.ForeignKey(ScheduleRun, models.CASCADE, related_name="lines")
    work = models.ForeignKey(PlannedWork, models.CASCADE, related_name="+")
    before = models.JSONField()
    after = models.JSONField()
    reasons = models.JSONField(default=list)  # codes with their figures, put into words by the page
    work_version = models.PositiveIntegerField()
    decision = models.CharField(max_length=8, choices=Decision, default=Decision.OPEN)
    decided_by = models.CharField(max_length=150, blank=True)
    decided_at = models.DateTimeField(null=True, blank=True)

    branch_lookup = "run__period__branch"

    class Meta:
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["run", "work"], name="schedule_line_once")]
