"""停电工单: batches of cuts, one order for each service point, and every step of both."""

from __future__ import annotations

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from billing_cutoffs.models.dunning import ArrearsCase
from billing_cutoffs.models.grading import ApprovalLevel
from grid.models import Branch, GridElement, ServicePoint
from outages.models import Outage


class BatchState(models.TextChoices):
    DRAFT = "draft", pgettext_lazy("batch", "being put together")
    SUBMITTED = "submitted", pgettext_lazy("batch", "waiting for approval")
    RETURNED = "returned", pgettext_lazy("batch", "returned")
    APPROVED = "approved", pgettext_lazy("batch", "approved")
    RUNNING = "running", pgettext_lazy("batch", "being carried out")
    STOPPED = "stopped", pgettext_lazy("batch", "stopped")
    DONE = "done", pgettext_lazy("batch", "done")
    UNDONE = "undone", pgettext_lazy("batch", "taken back")


class CutoffBatch(models.Model):
    """停电批次: the cuts of one branch in one window, approved together by somebody who did not propose them.

    ``state`` is written by ``billing_cutoffs.services``.
    """

    reference = models.CharField(_("number"), max_length=24, unique=True)
    branch = models.ForeignKey(Branch, models.PROTECT, related_name="cutoff_batches", verbose_name=_("branch"))
    level = models.CharField(_("approved by"), max_length=8, choices=ApprovalLevel, default=ApprovalLevel.STATION)
    state = models.CharField(_("state"), max_length=12, choices=BatchState, default=BatchState.DRAFT)
    state_reason = models.CharField(_("reason"), max_length=500, blank=True)
    window_from = models.DateTimeField(_("cut from"))
    window_until = models.DateTimeField(_("cut until"))
    rate_per_hour = models.PositiveIntegerField(_("cuts an hour, at most"))
    rate_per_feeder_hour = models.PositiveIntegerField(_("cuts an hour and feeder, at most"))
    rule_pack = models.CharField(_("rule pack"), max_length=64)
    note = models.CharField(_("note"), max_length=500, blank=True)
    # what the guards read when they last ran: {"statements": iso, "payments": iso, "forecast": iso, "checked": iso}
    data_age = models.JSONField(default=dict)

    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+")
    author_name = models.CharField(_("by"), max_length=150)
    submitted_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+")
    submitted_at = models.DateTimeField(_("handed in at"), null=True, blank=True)
    approved_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+")
    approved_at = models.DateTimeField(_("approved at"), null=True, blank=True)
    # four eyes above a number of orders: a further approver
    seconded_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+")
    seconded_at = models.DateTimeField(_("second approval at"), null=True, blank=True)
    approved_count = models.PositiveIntegerField(_("cuts approved"), null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())
    version = models.PositiveIntegerField(default=1)

    branch_lookup = "branch"
    read_capability = "cutoff.read"

    class Meta:
        verbose_name = _("cut-off batch")
        verbose_name_plural = _("cut-off batches")
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(condition=Q(window_until__gt=F("window_from")), name="batch_window_runs_forward"),
            models.CheckConstraint(
                condition=Q(approved_by__isnull=True)
                | (~Q(approved_by=F("author")) & ~Q(approved_by=F("submitted_by"))),
                name="batch_approved_by_another",
            ),
            models.CheckConstraint(
                condition=Q(seconded_by__isnull=True)
                | (~Q(seconded_by=F("author")) & ~Q(seconded_by=F("submitted_by")) & ~Q(seconded_by=F("approved_by"))),
                name="batch_seconded_by_a_third",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=[BatchState.APPROVED, BatchState.RUNNING]) | Q(approved_at__isnull=False),
                name="batch_runs_only_approved",
            ),
        ]
        indexes = [models.Index(fields=["branch", "state"], name="batch_branch_state")]

    def __str__(self) -> str:
        return self.reference


class OrderState(models.TextChoices):
    """``domain.md`` 5.5, for one service point."""

    ELIGIBLE = "eligible", pgettext_lazy("order", "proposed")
    APPROVED = "approved", pgettext_lazy("order", "approved")
    NOTICED = "noticed", pgettext_lazy("order", "letter arrived")
    WARNED = "warned", pgettext_lazy("order", "last warning given")
    COMMANDED = "commanded", pgettext_lazy("order", "switching off")
    DISCONNECTED = "disconnected", pgettext_lazy("order", "off")
    PAID = "paid", pgettext_lazy("order", "paid, to be switched on")
    RECONNECT_COMMANDED = "reconnect_commanded", pgettext_lazy("order", "switching on")
    RECONNECT_FAILED = "reconnect_failed", pgettext_lazy("order", "could not be switched on")
    RECONNECTED = "reconnected", pgettext_lazy("order", "on again")
    HELD = "held", pgettext_lazy("order", "held")
    FAILED = "failed", pgettext_lazy("order", "could not be switched off")
    CANCELLED = "cancelled", pgettext_lazy("order", "ended without a cut")


class Method(models.TextChoices):
    REMOTE = "remote", _("from afar")
    FIELD = "field", _("by a person on site")


class ReconnectMode(models.TextChoices):
    AUTOMATIC = "automatic", _("at once")
    SAFE = "safe", _("after the customer says that it is safe")


class CutoffOrder(models.Model):
    """停电工单: one service point to be cut, or cut, or on its way back. From then on it is one ``Outage``.

    ``state`` is written by ``billing_cutoffs.services.orders`` and nowhere else. ``holds`` says why it is held now:
    ``[{"code", "until", "detail"}]``, the guards' own findings (``protections``), refreshed whenever they run.
    """

    reference = models.CharField(_("number"), max_length=24, unique=True)
    batch = models.ForeignKey(CutoffBatch, models.PROTECT, related_name="orders")
    case = models.ForeignKey(ArrearsCase, models.PROTECT, related_name="orders")
    branch = models.ForeignKey(Branch, models.PROTECT, related_name="+")
    service_point = models.ForeignKey(ServicePoint, models.PROTECT, related_name="cutoff_orders")
    feeder = models.ForeignKey(GridElement, models.PROTECT, null=True, blank=True, related_name="+")
    state = models.CharField(_("state"), max_length=20, choices=OrderState, default=OrderState.ELIGIBLE)
    state_before_hold = models.CharField(max_length=20, blank=True)
    state_reason = models.CharField(_("reason"), max_length=500, blank=True)
    holds = models.JSONField(default=list)
    # a person's own hold on this line; it ends by another person's hand
    held_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+")
    hold_reason = models.CharField(_("why it is held"), max_length=500, blank=True)
    amount = models.DecimalField(_("overdue when proposed"), max_digits=14, decimal_places=2)
    method = models.CharField(_("how"), max_length=8, choices=Method)
    # its turn inside the batch's window: drawn at random within the rates
    scheduled_at = models.DateTimeField(_("turn"), null=True, blank=True)
    outage = models.OneToOneField(Outage, models.PROTECT, null=True, blank=True, related_name="cutoff_order")
    commanded_at = models.DateTimeField(_("ordered off at"), null=True, blank=True)
    off_at = models.DateTimeField(_("off since"), null=True, blank=True)
    paid_at = models.DateTimeField(_("paid at"), null=True, blank=True)
    is_wrongful = models.BooleanField(_("should not have been off"), default=False)
    reconnect_mode = models.CharField(max_length=12, choices=ReconnectMode, default=ReconnectMode.AUTOMATIC)
    reconnect_due_at = models.DateTimeField(_("on again by"), null=True, blank=True)
    is_safe_at = models.DateTimeField(_("customer said it is safe"), null=True, blank=True)
    reconnect_commanded_at = models.DateTimeField(_("ordered on at"), null=True, blank=True)
    on_at = models.DateTimeField(_("on again at"), null=True, blank=True)
    warned_owner_at = models.DateTimeField(null=True, blank=True)
    escalated_at = models.DateTimeField(_("escalated at"), null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())
    version = models.PositiveIntegerField(default=1)

    branch_lookup = "branch"
    read_capability = "cutoff.read"

    class Meta:
        verbose_name = _("cut-off order")
        verbose_name_plural = _("cut-off orders")
        ordering = ["pk"]
        constraints = [
            # one premises is in one open order at most
            models.UniqueConstraint(
                fields=["service_point"],
                condition=~Q(state__in=[OrderState.RECONNECTED, OrderState.CANCELLED]),
                name="order_open_once",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=[OrderState.COMMANDED, OrderState.DISCONNECTED]) | Q(commanded_at__isnull=False),
                name="order_off_was_commanded",
            ),
            models.CheckConstraint(
                condition=~Q(
                    state__in=[
                        OrderState.DISCONNECTED,
                        OrderState.PAID,
                        OrderState.RECONNECT_COMMANDED,
                        OrderState.RECONNECT_FAILED,
                    ]
                )
                | Q(off_at__isnull=False, outage__isnull=False),
                name="order_off_stands_in_the_record",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=[OrderState.PAID, OrderState.RECONNECT_COMMANDED, OrderState.RECONNECT_FAILED])
                | Q(reconnect_due_at__isnull=False),
                name="order_paid_has_a_deadline",
            ),
        ]
        indexes = [
            models.Index(fields=["batch", "state"], name="order_batch_state"),
            models.Index(fields=["service_point"], name="order_point"),
            # whoever must be switched on again, the most urgent first
            models.Index(
                fields=["reconnect_due_at"],
                name="order_reconnect_due",
                condition=Q(state__in=[OrderState.PAID, OrderState.RECONNECT_COMMANDED, OrderState.RECONNECT_FAILED]),
            ),
            models.Index(
                fields=["scheduled_at"],
                name="order_turn",
                condition=Q(state__in=[OrderState.NOTICED, OrderState.WARNED]),
            ),
        ]

    def __str__(self) -> str:
        return self.reference


class Clearance(models.Model):
    """核实: a person looked into what the guards could not decide (a shared meter), and answers for this order."""

    order = models.ForeignKey(CutoffOrder, models.CASCADE, related_name="clearances")
    code = models.CharField(max_length=32)
    reason = models.CharField(_("what was found"), max_length=500)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    by_name = models.CharField(max_length=150)
    at = models.DateTimeField(db_default=Now())

    branch_lookup = "order__branch"
    read_capability = "cutoff.read"

    class Meta:
        verbose_name = _("clearance")
        verbose_name_plural = _("clearances")
        constraints = [models.UniqueConstraint(fields=["order", "code"], name="clearance_once")]


class CutoffStep(models.Model):
    """One step of a batch or an order: who, when, from where to where, and the facts it was decided on. Append-only."""

    batch = models.ForeignKey(CutoffBatch, models.PROTECT, related_name="steps")
    order = models.ForeignKey(CutoffOrder, models.PROTECT, null=True, blank=True, related_name="steps")
    verb = models.CharField(max_length=24)
    before = models.CharField(max_length=20, blank=True)
    after = models.CharField(max_length=20, blank=True)
    actor_kind = models.CharField(max_length=8)
    actor_name = models.CharField(max_length=150)
    actor_id = models.BigIntegerField(null=True, blank=True)
    at = models.DateTimeField(db_default=Now())
    note = models.CharField(max_length=500, blank=True)
    facts = models.JSONField(default=dict)

    branch_lookup = "batch__branch"
    read_capability = "cutoff.read"

    class Meta:
        verbose_name = _("step of a cut-off")
        verbose_name_plural = _("steps of cut-offs")
        ordering = ["pk"]
        triggers = [pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete)]
        indexes = [models.Index(fields=["order"], name="cutoff_step_order", condition=Q(order__isnull=False))]
