"""Who called, what they were told, and what they were promised."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.functions import RandomUUID
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from grid.models import Branch, Customer, ServicePoint
from outages.faults.models import TroubleReport
from outages.models import Outage, OutageKind


class CallReason(models.TextChoices):
    NO_SUPPLY = "no_supply", _("no power")
    STILL_OUT = "still_out", _("still off after restoration")
    WHEN_BACK = "when_back", _("asks when it will be back")
    PLANNED = "planned", _("asks about announced work")
    VOLTAGE = "voltage", _("flicker or low voltage")
    HAZARD = "hazard", _("danger on the line")
    BILLING = "billing", _("bill, payment or cut-off")
    COMPLAINT = "complaint", pgettext_lazy("call", "complaint")
    OTHER = "other", _("something else")


# the reasons that say that supply is missing or bad, and so become a trouble report
REPORTED_REASONS = (CallReason.NO_SUPPLY, CallReason.STILL_OUT, CallReason.VOLTAGE, CallReason.HAZARD)

# the reasons that let us promise to call back
PROMISING_REASONS = (*REPORTED_REASONS, CallReason.WHEN_BACK)


class CallScope(models.TextChoices):
    ONLY_ME = "only_me", _("only me")
    AREA = "area", _("the neighbours too")
    UNKNOWN = "unknown", _("does not know")


class SafetyQuestion(models.TextChoices):
    """The four questions asked first (experience.md, convention 21)."""

    WIRE_DOWN = "wire_down", _("Is a wire down or hanging low?")
    FIRE = "fire", _("Fire, smoke or a smell of burning?")
    SHOCK = "shock", _("Has anybody had a shock?")
    FLICKER = "flicker", _("Do the lights flicker or glow too bright?")


class Call(models.Model):
    """来电: one conversation, from the moment a card is opened until it is logged.

    While it is open, ``draft`` holds what the agent has typed so far, so that nothing is lost with the browser.
    """

    # its name in addresses: says nothing about the caller and cannot be guessed
    key = models.UUIDField(unique=True, db_default=RandomUUID(), editable=False)
    # the switchboard's name of the call: popping it twice finds the first
    call_id = models.CharField(_("call id"), max_length=128, blank=True)
    # of the form that opened the card: a double click opens one card
    start_token = models.CharField(max_length=64, blank=True, editable=False)
    ani = models.CharField(_("caller's number"), max_length=32, blank=True)
    queue = models.CharField(_("queue"), max_length=64, blank=True)
    agent = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="calls", verbose_name=_("agent"))
    branch = models.ForeignKey(
        Branch, models.PROTECT, null=True, blank=True, related_name="calls", verbose_name=_("branch")
    )
    service_point = models.ForeignKey(
        ServicePoint, models.PROTECT, null=True, blank=True, related_name="calls", verbose_name=_("service point")
    )
    customer = models.ForeignKey(
        Customer, models.PROTECT, null=True, blank=True, related_name="calls", verbose_name=_("customer")
    )
    started_at = models.DateTimeField(_("began"), db_default=Now())
    ended_at = models.DateTimeField(_("logged at"), null=True, blank=True)

    reason = models.CharField(_("reason"), max_length=16, choices=CallReason, blank=True)
    scope = models.CharField(_("who is affected"), max_length=8, choices=CallScope, default=CallScope.UNKNOWN)
    language = models.CharField(_("language"), max_length=8, default="zh-hans")
    safety = models.JSONField(_("safety questions"), default=dict, blank=True)
    note = models.TextField(_("internal note"), blank=True)
    callback_wanted = models.BooleanField(_("call back when restored"), default=True)

    report = models.ForeignKey(
        TroubleReport, models.PROTECT, null=True, blank=True, related_name="calls", verbose_name=_("trouble report")
    )
    outage = models.ForeignKey(
        Outage, models.PROTECT, null=True, blank=True, related_name="calls", verbose_name=_("outage")
    )
    # word for word what stood on the agent's screen, and the time it promised
    said_zh = models.TextField(_("what was said (Chinese)"), blank=True)
    said_en = models.TextField(_("what was said (English)"), blank=True)
    said_at = models.DateTimeField(_("said at"), null=True, blank=True)
    told_etr = models.DateTimeField(_("time promised"), null=True, blank=True)
    # it spoke of a debt: kept as evidence, shown to nobody once the call is over
    said_is_private = models.BooleanField(_("speaks of a debt"), default=False)

    draft = models.JSONField(default=dict, blank=True, editable=False)
    draft_at = models.DateTimeField(null=True, blank=True, editable=False)

    branch_lookup = "branch"
    read_capability = "call.log"

    class Meta:
        ordering = ["-started_at", "-id"]
        verbose_name = _("call")
        verbose_name_plural = _("calls")
        constraints = [
            models.UniqueConstraint(fields=["call_id"], condition=~Q(call_id=""), name="call_id_once"),
            models.UniqueConstraint(
                fields=["agent", "start_token"], condition=~Q(start_token=""), name="call_start_once"
            ),
            models.CheckConstraint(condition=Q(ended_at__isnull=True) | ~Q(reason=""), name="call_logged_has_a_reason"),
            models.CheckConstraint(
                condition=Q(ended_at__isnull=True) | Q(ended_at__gte=F("started_at")), name="call_runs_forward"
            ),
        ]
        indexes = [
            # an agent's own list and recent premises
            models.Index(fields=["agent", "-started_at"], name="call_of_agent"),
            # "last calls" of a premises, and what it was promised
            models.Index(
                fields=["service_point", "-started_at"],
                name="call_of_premises",
                condition=Q(service_point__isnull=False),
            ),
            models.Index(fields=["outage", "-started_at"], name="call_of_outage", condition=Q(outage__isnull=False)),
        ]

    def __str__(self) -> str:
        return str(self.key)

    @property
    def is_open(self) -> bool:
        return self.ended_at is None

    @property
    def has_callback(self) -> bool:
        """Whether this caller was promised to hear from us (the promise itself may be an earlier call's)."""
        return self.callback_wanted and self.outage_id is not None and self.reason in PROMISING_REASONS

    @property
    def shown_outage(self) -> Outage | None:
        """The outage as a list or a later call shows it: a cut for a debt is nobody else's business."""
        return self.outage if self.outage is not None and self.outage.kind != OutageKind.NON_PAYMENT else None

    @property
    def dangers(self) -> list[str]:
        """The safety questions that were answered with yes."""
        return [question for question in SafetyQuestion.values if self.safety.get(question) is True]


class IdentityItem(models.TextChoices):
    """What a caller can confirm to show that the account is theirs."""

    HOLDER = "holder", _("name of the account holder")
    ADDRESS = "address", _("full address of the premises")
    NUMBER = "number", _("last digits of the meter or telephone number")
    PAYMENT = "payment", _("amount of the last payment")


class IdentityCheck(models.Model):
    """身份核实: in this call, for these premises, the agent has heard enough to speak of the account.

    It ends with the call, with another choice of premises, or when the agent takes it back.
    """

    call = models.ForeignKey(Call, models.CASCADE, related_name="identity_checks")
    service_point = models.ForeignKey(ServicePoint, models.PROTECT, related_name="+")
    items = ArrayField(models.CharField(max_length=8, choices=IdentityItem), verbose_name=_("confirmed"))
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("by"))
    at = models.DateTimeField(_("at"), db_default=Now())
    withdrawn_at = models.DateTimeField(_("taken back at"), null=True, blank=True)

    branch_lookup = "service_point__branch"
    read_capability = "call.log"

    class Meta:
        ordering = ["pk"]
        verbose_name = _("identity check")
        verbose_name_plural = _("identity checks")
        constraints = [
            models.CheckConstraint(condition=Q(items__len__gte=1), name="identity_has_items"),
            models.UniqueConstraint(
                fields=["call", "service_point"], condition=Q(withdrawn_at__isnull=True), name="identity_stands_once"
            ),
        ]


class CallbackState(models.TextChoices):
    WAITING = "waiting", _("waiting")
    DONE = "done", _("done")
    GIVEN_UP = "given_up", _("given up")


class CallbackResult(models.TextChoices):
    """The answers an agent, or later a machine, brings back from a callback (experience.md 4.3)."""

    RESTORED = "restored", _("power is back")
    STILL_OUT = "still_out", _("still off")
    BUSY = "busy", _("busy")
    NO_ANSWER = "no_answer", _("no answer")
    WRONG_NUMBER = "wrong_number", _("wrong number")


class Callback(models.Model):
    """回拨: a caller was promised to hear from us when the power is back. Due once their own place is restored."""

    call = models.OneToOneField(Call, models.PROTECT, related_name="callback")
    outage = models.ForeignKey(Outage, models.PROTECT, related_name="callbacks", verbose_name=_("outage"))
    service_point = models.ForeignKey(
        ServicePoint, models.PROTECT, related_name="callbacks", verbose_name=_("service point")
    )
    phone = models.CharField(_("telephone"), max_length=32, blank=True)
    state = models.CharField(_("state"), max_length=8, choices=CallbackState, default=CallbackState.WAITING)
    result = models.CharField(_("result"), max_length=12, choices=CallbackResult, blank=True)
    tries = models.PositiveSmallIntegerField(_("tries"), default=0)
    created_at = models.DateTimeField(_("promised at"), db_default=Now())
    tried_at = models.DateTimeField(_("last try"), null=True, blank=True)
    tried_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("by")
    )

    branch_lookup = "service_point__branch"
    read_capability = "call.log"

    class Meta:
        ordering = ["created_at", "id"]
        verbose_name = _("callback")
        verbose_name_plural = _("callbacks")
        constraints = [
            # one promise per premises and outage, however often they call
            models.UniqueConstraint(
                fields=["outage", "service_point"], condition=Q(state="waiting"), name="callback_once_waiting"
            ),
        ]
        indexes = [
            models.Index(fields=["created_at"], name="callback_waiting", condition=Q(state="waiting")),
        ]

    def __str__(self) -> str:
        return f"{self.outage_id} {self.service_point_id}"


class Pin(models.Model):
    """A premises or an outage an agent keeps at hand."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="console_pins")
    service_point = models.ForeignKey(ServicePoint, models.CASCADE, null=True, blank=True, related_name="+")
    outage = models.ForeignKey(Outage, models.CASCADE, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-created_at", "-id"]
        verbose_name = _("pin")
        verbose_name_plural = _("pins")
        constraints = [
            models.CheckConstraint(
                condition=Q(service_point__isnull=False, outage__isnull=True)
                | Q(service_point__isnull=True, outage__isnull=False),
                name="pin_one_thing",
            ),
            models.UniqueConstraint(
                fields=["user", "service_point"], condition=Q(service_point__isnull=False), name="pin_premises_once"
            ),
            models.UniqueConstraint(
                fields=["user", "outage"], condition=Q(outage__isnull=False), name="pin_outage_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} {self.service_point_id or self.outage_id}"
