"""分类分级: which debtor is treated how. The utility writes the grades; each has its own path of notices."""

from __future__ import annotations

import pghistory
import pgtrigger
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import get_language, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from grid.models import CustomerClass, Importance
from notifications.models import Channel


class ApprovalLevel(models.TextChoices):
    """Who approves a cut: the head of the branch's own station, or somebody for the whole company."""

    STATION = "station", _("station head")
    COMPANY = "company", _("company manager")


def every_channel() -> list[str]:
    return list(Channel.values)


@pghistory.track()
class Grade(models.Model):
    """客户分级: who falls into it, and what follows. The first grade by ``rank`` whose every condition holds wins."""

    code = models.SlugField(_("code"), max_length=32, unique=True)
    name_zh = models.CharField(_("name"), max_length=64)
    name_en = models.CharField(_("English name"), max_length=64)
    rank = models.PositiveSmallIntegerField(pgettext_lazy("grade", "order"), unique=True)
    is_active = models.BooleanField(_("in use"), default=True)

    min_days = models.PositiveSmallIntegerField(_("days overdue, at least"), default=1)
    min_amount = models.DecimalField(_("amount overdue, at least"), max_digits=14, decimal_places=2, default=0)
    min_late_payments = models.PositiveSmallIntegerField(_("late payments in a year, at least"), default=0)
    # empty: any
    customer_classes = ArrayField(
        models.CharField(max_length=16, choices=CustomerClass), default=list, blank=True, verbose_name=_("classes")
    )
    importances = ArrayField(
        models.CharField(max_length=16, choices=Importance), default=list, blank=True, verbose_name=_("importance")
    )

    channels = ArrayField(
        models.CharField(max_length=8, choices=Channel), default=every_channel, verbose_name=_("channels")
    )
    level = models.CharField(_("approved by"), max_length=8, choices=ApprovalLevel, default=ApprovalLevel.STATION)
    # days after which an account of this grade may be proposed for a cut; the rule pack's days come on top as a floor
    cut_after_days = models.PositiveSmallIntegerField(_("cut after days overdue"), null=True, blank=True)

    class Meta:
        verbose_name = pgettext_lazy("customer", "grade")
        verbose_name_plural = pgettext_lazy("customer", "grades")
        ordering = ["rank"]

    def __str__(self) -> str:
        return self.local_name

    @property
    def class_labels(self) -> list[str]:
        return [str(CustomerClass(value).label) for value in self.customer_classes]

    @property
    def importance_labels(self) -> list[str]:
        return [str(Importance(value).label) for value in self.importances]

    @property
    def local_name(self) -> str:
        return self.name_zh if (get_language() or "").startswith("zh") else self.name_en


@pghistory.track()
class GradeStep(models.Model):
    """One reminder of a grade's path: so many days after the due date, through these channels."""

    grade = models.ForeignKey(Grade, models.CASCADE, related_name="steps")
    after_days = models.PositiveSmallIntegerField(_("days overdue"))
    channels = ArrayField(
        models.CharField(max_length=8, choices=Channel), default=every_channel, verbose_name=_("channels")
    )

    class Meta:
        verbose_name = _("reminder of a grade")
        verbose_name_plural = _("reminders of a grade")
        ordering = ["after_days"]
        constraints = [models.UniqueConstraint(fields=["grade", "after_days"], name="grade_step_once")]


class GradeChange(models.Model):
    """One change of one account's grade with the facts behind it. Append-only."""

    account = models.ForeignKey("billing_cutoffs.BillingAccount", models.CASCADE, related_name="grade_changes")
    before = models.ForeignKey(Grade, models.PROTECT, null=True, blank=True, related_name="+")
    after = models.ForeignKey(Grade, models.PROTECT, null=True, blank=True, related_name="+")
    why = models.JSONField(default=dict)
    at = models.DateTimeField()

    branch_lookup = "account__branch"
    read_capability = "arrears.read"

    class Meta:
        verbose_name = _("change of a grade")
        verbose_name_plural = _("changes of grades")
        indexes = [models.Index(fields=["account", "at"], name="grade_change_account")]
        triggers = [pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete)]


class GradingRun(models.Model):
    """One grading of all accounts: who asked for it, and what came of it. Open until it is done."""

    asked_at = models.DateTimeField(_("asked for at"), db_default=Now())
    by_name = models.CharField(_("by"), max_length=150)
    done_at = models.DateTimeField(_("done at"), null=True, blank=True)
    in_arrears = models.PositiveIntegerField(_("accounts in arrears"), default=0)
    regraded = models.PositiveIntegerField(_("given another grade"), default=0)
    opened = models.PositiveIntegerField(_("cases opened"), default=0)
    closed = models.PositiveIntegerField(_("cases closed"), default=0)

    class Meta:
        verbose_name = _("grading of all accounts")
        verbose_name_plural = _("gradings of all accounts")
        ordering = ["-pk"]
        indexes = [models.Index(fields=["id"], name="grading_run_open", condition=models.Q(done_at__isnull=True))]
