"""A branch's own spreadsheet on its way in: the file, its rows as read, and how the branch names its columns."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from grid.models import Branch
from outages.planned.models.plans import PlanPeriod
from outages.planned.models.works import PlannedWork, WorkClass


class SheetState(models.TextChoices):
    QUEUED = "queued", _("queued")
    READING = "reading", _("reading")
    NEEDS_MAPPING = "needs_mapping", _("columns must be named")
    CHECKED = "checked", _("checked")
    IMPORTING = "importing", _("importing")
    IMPORTED = "imported", _("imported")
    FAILED = "failed", _("failed")
    DISCARDED = "discarded", _("discarded")


class PlanSheet(models.Model):
    """One uploaded workbook. The file lies outside the web root; what it says lies in its rows."""

    branch = models.ForeignKey(Branch, models.PROTECT, related_name="plan_sheets", verbose_name=_("branch"))
    period = models.ForeignKey(
        PlanPeriod, models.PROTECT, null=True, blank=True, related_name="sheets", verbose_name=_("plan")
    )
    work_class = models.CharField(_("class"), max_length=12, choices=WorkClass, default=WorkClass.PLANNED)
    # of the form: the same one twice is one upload
    token = models.CharField(max_length=64)
    file_name = models.CharField(_("file"), max_length=200)
    sha256 = models.CharField(max_length=64)
    size = models.BigIntegerField(_("size"))
    state = models.CharField(_("state"), max_length=16, choices=SheetState, default=SheetState.QUEUED)
    progress = models.SmallIntegerField(_("progress (%)"), default=0)
    stage = models.CharField(max_length=32, blank=True)
    sheet_names = models.JSONField(default=list)
    sheet_name = models.CharField(_("sheet"), max_length=200, blank=True)
    header_row = models.IntegerField(null=True, blank=True)  # the last line of the heading, counted from 1
    is_1904 = models.BooleanField(default=False)  # how the workbook counts days
    is_removing = models.BooleanField(default=False)  # the import takes out what the file no longer has
    headers = models.JSONField(default=list)  # merged headings joined, one a column
    mapping = models.JSONField(default=dict)  # {"3": "starts_at"}: column counted from 0 -> field
    counts = models.JSONField(default=dict)
    error = models.JSONField(default=dict)  # {"code": ..., "params": ...} of a file that cannot be read
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+")
    actor_name = models.CharField(_("by"), max_length=150)
    created_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True, blank=True)

    branch_lookup = "branch"

    class Meta:
        verbose_name = _("plan sheet")
        verbose_name_plural = _("plan sheets")
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["branch", "token"], name="plan_sheet_once")]

    def __str__(self) -> str:
        return self.file_name


class SheetRow(models.Model):
    """One row: what stood in the file, what somebody corrected, what it means, and what is wrong with it."""

    class Change(models.TextChoices):
        NEW = "new", _("new")
        CHANGED = "changed", _("changed")
        UNCHANGED = "unchanged", _("unchanged")
        REMOVED = "removed", _("no longer in the file")

    sheet = models.ForeignKey(PlanSheet, models.CASCADE, related_name="rows")
    number = models.IntegerField()  # as the spreadsheet counts; negative for works that are no longer in the file
    cells = models.JSONField(default=list)  # texts as read, one a column
    edits = models.JSONField(default=dict)  # field -> text typed over it
    values = models.JSONField(default=dict)  # field -> what it means
    problems = models.JSONField(default=list)
    key = models.CharField(max_length=64, blank=True)
    change = models.CharField(max_length=10, choices=Change, blank=True)
    is_wrong = models.BooleanField(default=False)
    is_imported = models.BooleanField(default=False)
    work = models.ForeignKey(PlannedWork, models.SET_NULL, null=True, blank=True, related_name="sheet_rows")

    branch_lookup = "sheet__branch"

    class Meta:
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["sheet", "number"], name="sheet_row_once")]
        indexes = [models.Index(fields=["sheet"], name="sheet_row_wrong", condition=Q(is_wrong=True))]


class ColumnMapping(models.Model):
    """How a branch names its columns: asked once, remembered for every later file with the same headings."""

    branch = models.ForeignKey(Branch, models.CASCADE, related_name="+")
    headings = models.CharField(max_length=64)  # SHA-256 of the headings
    mapping = models.JSONField()  # plain heading -> field, or nothing for a column that is ignored
    updated_at = models.DateTimeField(db_default=Now())

    branch_lookup = "branch"

    class Meta:
        constraints = [models.UniqueConstraint(fields=["branch", "headings"], name="column_mapping_once")]
