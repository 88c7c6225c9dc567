"""What billing tells us: accounts with their open bills, payments, what bars a cut, and the weather. We never bill."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from billing_cutoffs.models.grading import Grade
from grid.models import Branch, Customer, ServicePoint


class BillingAccount(models.Model):
    """用电户的电费状况: one customer's account as billing last stated it, less what was paid since.

    Kept by ``billing_cutoffs.services.feed``: ``overdue``, ``oldest_due_on`` and ``bills_overdue`` follow from the
    open bills and the payments after ``statement_at`` (``account_debts`` proves it). Amounts are in the utility's
    own currency, with two decimals.
    """

    customer = models.OneToOneField(Customer, models.PROTECT, primary_key=True, related_name="billing_account")
    branch = models.ForeignKey(Branch, models.PROTECT, related_name="+")
    # the premises the debt is for; empty where billing does not say and the customer has several
    service_point = models.ForeignKey(ServicePoint, models.PROTECT, null=True, blank=True, related_name="+")
    source_system = models.CharField(_("source system"), max_length=64)
    statement_at = models.DateTimeField(_("as billing stood at"))
    overdue = models.DecimalField(_("overdue"), max_digits=14, decimal_places=2, default=0)
    oldest_due_on = models.DateField(_("oldest due date"), null=True, blank=True)
    bills_overdue = models.PositiveSmallIntegerField(_("bills overdue"), default=0)
    # payment history, as billing counts it
    late_payments_year = models.PositiveSmallIntegerField(_("paid late in twelve months"), default=0)
    has_remote_switch = models.BooleanField(_("meter can be switched from afar"), default=False)
    grade = models.ForeignKey(Grade, models.PROTECT, null=True, blank=True, related_name="accounts")
    # the facts that led to the grade, for whoever asks why
    grade_why = models.JSONField(default=dict)
    graded_at = models.DateTimeField(_("graded at"), null=True, blank=True)

    branch_lookup = "branch"
    read_capability = "arrears.read"

    class Meta:
        verbose_name = _("billing account")
        verbose_name_plural = _("billing accounts")
        constraints = [
            models.CheckConstraint(condition=Q(overdue__gte=0), name="account_owes_or_not"),
            models.CheckConstraint(
                condition=Q(overdue=0, oldest_due_on__isnull=True) | Q(overdue__gt=0, oldest_due_on__isnull=False),
                name="account_debt_has_a_date",
            ),
        ]
        indexes = [
            # the list of debtors, worst first; the many who owe nothing are not in it
            models.Index(fields=["branch", "oldest_due_on"], name="account_debtors", condition=Q(overdue__gt=0)),
            models.Index(fields=["grade"], name="account_grade", condition=Q(grade__isnull=False)),
        ]

    def __str__(self) -> str:
        return str(self.customer_id)


class Bill(models.Model):
    """电费账单: one bill of an account that is not wholly paid, as billing stated it."""

    account = models.ForeignKey(BillingAccount, models.CASCADE, related_name="bills")
    number = models.CharField(_("bill"), max_length=64)
    due_on = models.DateField(_("due on"))
    open_amount = models.DecimalField(_("open"), max_digits=14, decimal_places=2)

    branch_lookup = "account__branch"
    read_capability = "arrears.read"

    class Meta:
        verbose_name = _("bill")
        verbose_name_plural = _("bills")
        ordering = ["due_on", "number"]
        constraints = [
            models.UniqueConstraint(fields=["account", "number"], name="bill_once"),
            models.CheckConstraint(condition=Q(open_amount__gt=0), name="bill_is_open"),
        ]
        # bills become overdue while the clock runs: the nightly turn looks at those due before today
        indexes = [models.Index(fields=["due_on"], name="bill_due")]


class PaymentStatus(models.TextChoices):
    """A payment only moves on: promised by the bank, booked, and perhaps taken back."""

    IN_FLIGHT = "in_flight", _("on its way")
    SETTLED = "settled", _("paid in")
    RETURNED = "returned", _("taken back")


class Payment(models.Model):
    """缴费: one payment as the collecting system names it; told twice, it counts once."""

    source_system = models.CharField(_("source system"), max_length=64)
    payment_id = models.CharField(_("payment"), max_length=128)
    # kept as it came: a payment for an account we do not know waits here for it
    account_number = models.CharField(_("account number"), max_length=64)
    account = models.ForeignKey(BillingAccount, models.PROTECT, null=True, blank=True, related_name="payments")
    amount = models.DecimalField(_("amount"), max_digits=14, decimal_places=2)
    status = models.CharField(_("status"), max_length=12, choices=PaymentStatus)
    paid_at = models.DateTimeField(_("paid at"))
    received_at = models.DateTimeField(_("known here since"), db_default=Now())
    settled_at = models.DateTimeField(_("booked here at"), null=True, blank=True)

    branch_lookup = "account__branch"
    read_capability = "arrears.read"

    class Meta:
        verbose_name = _("payment")
        verbose_name_plural = _("payments")
        ordering = ["-paid_at", "-pk"]
        constraints = [
            models.UniqueConstraint(fields=["source_system", "payment_id"], name="payment_once"),
            models.CheckConstraint(condition=Q(amount__gt=0), name="payment_is_positive"),
        ]
        indexes = [
            models.Index(fields=["account", "paid_at"], name="payment_account"),
            models.Index(fields=["account_number"], name="payment_unmatched", condition=Q(account__isnull=True)),
        ]


class HoldKind(models.TextChoices):
    """What bars a cut beside what the record itself knows (life support, calendar, weather, outages)."""

    MEDICAL = "medical", _("medical need")
    KEEP_POWER = "keep_power", _("supply to be kept (保电)")
    DISPUTE = "dispute", pgettext_lazy("hold", "disputed bill")
    PROMISE = "promise", _("promise to pay")
    OTHER = "other", pgettext_lazy("hold", "other reason")


class AccountHold(models.Model):
    """保留: a stated reason not to cut one account, from when until when. Ending it early takes a second person."""

    account = models.ForeignKey(BillingAccount, models.PROTECT, related_name="holds")
    kind = models.CharField(_("kind"), max_length=12, choices=HoldKind)
    reason = models.CharField(_("reason"), max_length=500, blank=True)
    amount = models.DecimalField(_("promised"), max_digits=14, decimal_places=2, null=True, blank=True)
    # an agreement to pay by instalments: what is off comes back although the debt stands
    orders_reconnection = models.BooleanField(_("agreed instead of payment"), default=False)
    since = models.DateTimeField(_("from"), db_default=Now())
    until = models.DateTimeField(_("until"), null=True, blank=True)
    source_system = models.CharField(_("source system"), max_length=64, blank=True)
    source_ref = models.CharField(_("reference in the source"), max_length=128, blank=True)
    set_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+")
    set_by_name = models.CharField(_("by"), max_length=150)
    set_at = models.DateTimeField(db_default=Now())
    released_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+")
    released_by_name = models.CharField(_("ended by"), max_length=150, blank=True)
    released_at = models.DateTimeField(_("ended at"), null=True, blank=True)
    release_reason = models.CharField(_("why it ended"), max_length=500, blank=True)

    branch_lookup = "account__branch"
    read_capability = "arrears.read"

    class Meta:
        verbose_name = pgettext_lazy("account", "hold")
        verbose_name_plural = pgettext_lazy("account", "holds")
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["source_system", "source_ref"], condition=~Q(source_ref=""), name="hold_source_once"
            ),
            models.CheckConstraint(
                condition=Q(released_by__isnull=True) | Q(set_by__isnull=True) | ~Q(released_by=F("set_by")),
                name="hold_released_by_another",
            ),
            models.CheckConstraint(condition=Q(until__isnull=True) | Q(until__gt=F("since")), name="hold_runs_forward"),
        ]
        indexes = [models.Index(fields=["account"], name="hold_standing", condition=Q(released_at__isnull=True))]


class TemperatureForecast(models.Model):
    """气温预报: the lowest and highest temperature expected for one day of one branch and all below it, in °C."""

    branch = models.ForeignKey(Branch, models.CASCADE, related_name="+")
    day = models.DateField(_("day"))
    low = models.FloatField(_("lowest (°C)"))
    high = models.FloatField(_("highest (°C)"))
    issued_at = models.DateTimeField(_("issued at"))
    source_system = models.CharField(_("source system"), max_length=64, blank=True)

    branch_lookup = "branch"
    read_capability = "cutoff.read"

    class Meta:
        verbose_name = _("temperature forecast")
        verbose_name_plural = _("temperature forecasts")
        constraints = [
            models.UniqueConstraint(fields=["branch", "day"], name="forecast_once"),
            models.CheckConstraint(condition=Q(high__gte=F("low")), name="forecast_low_below_high"),
        ]


class CutComplaint(models.Model):
    """投诉: somebody says a cut was wrong. Many in a short time stop the batches (the brake)."""

    account = models.ForeignKey(BillingAccount, models.PROTECT, related_name="complaints")
    at = models.DateTimeField(_("at"), db_default=Now())
    text = models.CharField(_("what is said"), max_length=500, blank=True)
    source_system = models.CharField(max_length=64, blank=True)
    source_ref = models.CharField(max_length=128, blank=True)
    by_name = models.CharField(_("by"), max_length=150)

    branch_lookup = "account__branch"
    read_capability = "cutoff.read"

    class Meta:
        verbose_name = _("complaint about a cut")
        verbose_name_plural = _("complaints about cuts")
        constraints = [
            models.UniqueConstraint(
                fields=["source_system", "source_ref"], condition=~Q(source_ref=""), name="complaint_once"
            )
        ]
        indexes = [models.Index(fields=["at"], name="complaint_at")]
