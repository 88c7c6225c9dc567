"""催费: one stretch of debt of one account, and every notice it led to, with the proof that it arrived."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from billing_cutoffs.models.accounts import BillingAccount
from grid.models import Branch
from notifications.models import Letter


class ArrearsCase(models.Model):
    """欠费案: from the first overdue bill until nothing is overdue. Notices and orders belong to one of these."""

    account = models.ForeignKey(BillingAccount, models.PROTECT, related_name="cases")
    branch = models.ForeignKey(Branch, models.PROTECT, related_name="+")
    oldest_due_on = models.DateField(_("oldest due date"))
    opened_at = models.DateTimeField(_("opened at"), db_default=Now())
    closed_at = models.DateTimeField(_("closed at"), null=True, blank=True)

    branch_lookup = "branch"
    read_capability = "arrears.read"

    class Meta:
        verbose_name = _("arrears case")
        verbose_name_plural = _("arrears cases")
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(fields=["account"], condition=Q(closed_at__isnull=True), name="case_open_once")
        ]


class NoticeStage(models.TextChoices):
    REMINDER = "reminder", _("reminder")
    LETTER = "letter", _("cut-off letter")
    FINAL_WARNING = "final_warning", _("last warning")
    RECONNECTED = "reconnected", _("supply is back")


class ServedHow(models.TextChoices):
    """How it is proved that a notice arrived."""

    SMS = "sms", _("text message, receipt")
    BY_HAND = "by_hand", _("handed over")
    POSTED = "posted", _("registered post")
    AFFIXED = "affixed", _("left at the door, witnessed")


class DebtNotice(models.Model):
    """催费通知: one dated step. Served means provably arrived; a message merely sent proves nothing.

    ``letter`` holds the exact words and their deliveries; what was served by hand says who, when and to whom.
    """

    case = models.ForeignKey(ArrearsCase, models.PROTECT, related_name="notices")
    order = models.ForeignKey(
        "billing_cutoffs.CutoffOrder", models.PROTECT, null=True, blank=True, related_name="notices"
    )
    stage = models.CharField(_("stage"), max_length=16, choices=NoticeStage)
    # the reminder of the grade's path that this is
    after_days = models.PositiveSmallIntegerField(null=True, blank=True)
    amount = models.DecimalField(_("amount named"), max_digits=14, decimal_places=2)
    # the window a letter or warning names
    window_from = models.DateTimeField(null=True, blank=True)
    window_until = models.DateTimeField(null=True, blank=True)
    issued_at = models.DateTimeField(_("issued at"))
    letter = models.OneToOneField(Letter, models.PROTECT, null=True, blank=True, related_name="+")
    served_at = models.DateTimeField(_("arrived at"), null=True, blank=True)
    served_how = models.CharField(_("how"), max_length=8, choices=ServedHow, blank=True)
    served_by = models.CharField(_("served by"), max_length=150, blank=True)
    served_note = models.CharField(_("to whom, witnesses"), max_length=300, blank=True)
    failed_at = models.DateTimeField(_("did not arrive"), null=True, blank=True)
    failure = models.CharField(_("why not"), max_length=64, blank=True)
    # what is no longer true: the window moved, the order ended
    void_at = models.DateTimeField(_("no longer valid"), null=True, blank=True)

    branch_lookup = "case__branch"
    read_capability = "arrears.read"

    class Meta:
        verbose_name = _("notice of a debt")
        verbose_name_plural = _("notices of debts")
        ordering = ["issued_at", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["case", "after_days"], condition=Q(stage=NoticeStage.REMINDER), name="debt_reminder_once"
            ),
            models.UniqueConstraint(
                fields=["order", "stage"],
                condition=Q(order__isnull=False, void_at__isnull=True),
                name="debt_notice_of_order_once",
            ),
            models.CheckConstraint(
                condition=Q(served_at__isnull=True) | ~Q(served_how=""), name="debt_notice_served_somehow"
            ),
            models.CheckConstraint(
                condition=~Q(stage__in=[NoticeStage.LETTER, NoticeStage.FINAL_WARNING])
                | Q(order__isnull=False, window_from__isnull=False, window_until__isnull=False),
                name="debt_notice_names_a_window",
            ),
        ]
        indexes = [
            # what still waits for its receipt
            models.Index(
                fields=["id"],
                name="debt_notice_unsettled",
                condition=Q(served_at__isnull=True, failed_at__isnull=True, void_at__isnull=True),
            ),
        ]
