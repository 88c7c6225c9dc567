"""A work that is still being typed: kept while it is, and remembered as sent, so that a form is one work."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from outages.planned.models.works import PlannedWork


class WorkSketch(models.Model):
    """What somebody has typed into the form of a work so far. Its author's alone until it is sent."""

    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    # of the form: the same one sent twice is one work
    token = models.CharField(max_length=64)
    about = models.CharField(max_length=24, blank=True)  # the reference of the work that is being changed
    typed = models.JSONField(default=dict)  # name -> values
    work = models.ForeignKey(PlannedWork, models.CASCADE, null=True, related_name="+")  # what it became
    at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["author", "token"], name="work_sketch_once")]
        indexes = [models.Index(fields=["author", "about"], name="work_sketch_unsent", condition=Q(work__isnull=True))]

    def __str__(self) -> str:
        return self.token
