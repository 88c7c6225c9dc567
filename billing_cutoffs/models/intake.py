"""Files on their way in: what billing, the bank or the weather service hands over as CSV or a workbook."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from grid.models import Branch


class FeedKind(models.TextChoices):
    ARREARS = "arrears", _("arrears")
    PAYMENTS = "payments", _("payments")
    HOLDS = "holds", pgettext_lazy("feed", "holds")
    FORECASTS = "forecasts", _("temperature forecasts")


class FeedState(models.TextChoices):
    QUEUED = "queued", pgettext_lazy("file", "waiting")
    READING = "reading", pgettext_lazy("file", "being read")
    CHECKED = "checked", pgettext_lazy("file", "read, waiting for confirmation")
    APPLYING = "applying", pgettext_lazy("file", "being taken in")
    DONE = "done", pgettext_lazy("file", "taken in")
    FAILED = "failed", pgettext_lazy("file", "failed")
    DISCARDED = "discarded", pgettext_lazy("file", "discarded")


class BillingFile(models.Model):
    """One file: read and checked first, row by row, then taken in on a person's word. Its own audit record."""

    kind = models.CharField(_("kind"), max_length=12, choices=FeedKind)
    branch = models.ForeignKey(Branch, models.PROTECT, related_name="+", verbose_name=_("branch"))
    name = models.CharField(_("file"), max_length=200)
    path = models.CharField(max_length=300, blank=True)
    digest = models.CharField(max_length=64)
    state = models.CharField(_("state"), max_length=12, choices=FeedState, default=FeedState.QUEUED)
    progress = models.PositiveSmallIntegerField(default=0)
    tries = models.PositiveSmallIntegerField(default=0)
    rows = models.PositiveIntegerField(_("rows"), default=0)
    good = models.PositiveIntegerField(_("right"), default=0)
    bad = models.PositiveIntegerField(_("wrong"), default=0)
    # the first wrong rows: [{"row", "field", "code", "detail"}]; the file handed back has them all
    problems = models.JSONField(default=list)
    failure = models.CharField(_("reason"), max_length=500, blank=True)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    actor_name = models.CharField(_("by"), max_length=150)
    created_at = models.DateTimeField(db_default=Now())
    touched_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True, blank=True)

    branch_lookup = "branch"
    read_capability = "arrears.read"

    class Meta:
        verbose_name = _("file from billing")
        verbose_name_plural = _("files from billing")
        ordering = ["-pk"]
