"""Who is told, through what, and proof that they were: what is owed is a row, committed before anything is sent."""

from __future__ import annotations

import re
from typing import Final

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from grid.models import Branch, Customer, ServicePoint
from outages.models import Outage


class NoticeKind(models.TextChoices):
    """What is said: that it will be off, that it is off, and what takes either back; or to each customer their own."""

    ANNOUNCED = "announced", _("announced")
    REMINDER_EARLY = "reminder_early", _("first reminder")
    REMINDER_LATE = "reminder_late", _("last reminder")
    MOVED = "moved", _("moved")
    NEW = "new", _("power is off")
    ESTIMATE_SET = "estimate_set", _("estimate given")
    ESTIMATE_CHANGED = "estimate_changed", _("estimate changed")
    PARTLY_RESTORED = "partly_restored", _("partly restored")
    RESTORED = "restored", _("restored")
    CANCELLED = "cancelled", _("cancelled")
    LETTER = "letter", _("letter")


# it will be off, from then until then; "moved" also takes back the window that was announced before
ANNOUNCES = (NoticeKind.ANNOUNCED, NoticeKind.REMINDER_EARLY, NoticeKind.REMINDER_LATE, NoticeKind.MOVED)
SAYS_OFF = (NoticeKind.NEW, NoticeKind.ESTIMATE_SET, NoticeKind.ESTIMATE_CHANGED)
# only for those who were told that they are off, or will be: never told, nothing to take back
TAKES_BACK = (NoticeKind.MOVED, NoticeKind.PARTLY_RESTORED, NoticeKind.RESTORED, NoticeKind.CANCELLED)


class NoticeStatus(models.TextChoices):
    DRAFT = "draft", _("draft")
    APPROVED = "approved", _("approved")
    SENDING = "sending", _("sending")
    PAUSED = "paused", _("paused")
    SUPERSEDED = "superseded", _("superseded")
    DONE = "done", _("done")


class Lane(models.IntegerChoices):
    """Who goes first; taken in turns, so that the last lane still moves."""

    LIFE_SUPPORT = 0, _("life support")
    STARTED = 1, _("power is off")
    RESTORED = 2, _("restored")
    ESTIMATE = 3, _("estimate")
    PLANNED = 4, _("planned")
    BULK = 5, _("bulk")


class Policy(models.TextChoices):
    """What happens to a message of which nobody knows whether it went out."""

    HOLD = "hold", _("a person decides")
    RESEND = "resend", _("send again")


class Channel(models.TextChoices):
    SMS = "sms", _("text message")
    EMAIL = "email", _("e-mail")


class DeliveryState(models.IntegerChoices):
    PENDING = 0, _("waiting")
    LEASED = 1, _("taken")
    SENDING = 2, _("being sent")
    ACCEPTED = 3, _("accepted by the provider")
    DELIVERED = 4, _("delivered")
    UNDELIVERED = 5, _("not delivered")
    FAILED = 6, _("failed")
    UNKNOWN = 7, _("not known")
    SUPERSEDED = 8, _("no longer true")
    EXPIRED = 9, _("too late")
    SUPPRESSED = 10, _("not wanted")
    PAUSED = 11, _("paused")
    MERGED = 12, _("joined with another")


# the customer may have read it: "not known" counts as told
TOLD_STATES = (
    DeliveryState.SENDING,
    DeliveryState.ACCEPTED,
    DeliveryState.DELIVERED,
    DeliveryState.UNDELIVERED,
    DeliveryState.UNKNOWN,
)


def with_states(sql: str, **parts: str) -> str:
    """SQL in which ``:PENDING`` and ``:LIFE_SUPPORT`` stand for the numbers of states and lanes, ``{part}`` for SQL."""
    for name, part in parts.items():
        sql = sql.replace(f"{{{name}}}", part)
    numbers = {**DeliveryState.__members__, "LIFE_SUPPORT": Lane.LIFE_SUPPORT}
    return re.sub(r"(?<!:):([A-Z_]+)\b", lambda match: str(int(numbers[match[1]])), sql)


# of contact ``p``, with ``address_secret()`` as its key
ADDRESS_KEY: Final = """
substring(sha256(convert_to(
    %(key)s || CASE p.kind WHEN 'phone' THEN 'sms:' ELSE 'email:' END || lower(p.value), 'UTF8')) FOR 16)
"""


def address_secret() -> str:
    """What keys the hash of an address, so that nobody finds a number by trying them all."""
    return f"address:{settings.SECRET_KEY}:"


# of message ``d``; a customer whose message was joined with another's of the same address was told by that one
WAS_TOLD: Final = with_states("""
(d.state = ANY(%(told)s) OR d.state = :MERGED AND EXISTS (
    SELECT FROM notifications_delivery r
    WHERE r.day = d.day AND r.notice_id = d.notice_id AND r.channel = d.channel
      AND r.address_key = d.address_key AND r.state = ANY(%(told)s)))
""")


class Notice(models.Model):
    """通知: one thing to say to one audience; the single row that is flipped when it is no longer to be said."""

    origin = models.CharField(_("origin"), max_length=64)
    # whoever may see and stop it; the outage's own, where it is about one
    branch = models.ForeignKey(Branch, models.PROTECT, related_name="+")
    outage = models.ForeignKey(Outage, models.PROTECT, null=True, blank=True, related_name="notices")
    kind = models.CharField(_("kind"), max_length=20, choices=NoticeKind)
    generation = models.PositiveSmallIntegerField(default=1)
    supersedes = models.ForeignKey("self", models.PROTECT, null=True, blank=True, related_name="superseded_by")
    status = models.CharField(_("status"), max_length=12, choices=NoticeStatus, default=NoticeStatus.SENDING)
    lane = models.SmallIntegerField(_("lane"), choices=Lane)
    template_version = models.CharField(max_length=16, default="1")
    # the times it promises: since or from when, or back at; and back by
    says_from = models.DateTimeField(null=True, blank=True)
    says_until = models.DateTimeField(null=True, blank=True)
    # the smallest change of an estimate worth telling: within it the old message stays true
    slack = models.DurationField()
    policy = models.CharField(max_length=8, choices=Policy, default=Policy.HOLD)
    mandatory = models.BooleanField(default=False)
    quiet_exempt = models.BooleanField(default=False)
    expires_at = models.DateTimeField(_("not after"))
    # the partition of all its deliveries
    day = models.DateField()
    author = models.CharField(_("by"), max_length=150)
    approver = models.CharField(_("approved by"), max_length=150, blank=True)
    planned_count = models.IntegerField(_("messages"), null=True, blank=True)
    event_id = models.BigIntegerField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now())

    branch_lookup = "branch"
    read_capability = "delivery.read"

    class Meta:
        verbose_name = _("notice")
        verbose_name_plural = _("notices")
        constraints = [
            # the router may read an event twice; it writes once
            models.UniqueConstraint(fields=["origin", "kind", "generation"], name="notice_once"),
            models.CheckConstraint(
                condition=Q(approver="") | ~Q(approver=F("author")), name="notice_approver_is_another"
            ),
            models.CheckConstraint(
                condition=Q(kind="letter", outage__isnull=True) | ~Q(kind="letter") & Q(outage__isnull=False),
                name="notice_letters_are_about_no_outage",
            ),
        ]
        indexes = [
            # fan-out and the sweep look at the few that are alive
            models.Index(fields=["id"], name="notice_unplanned", condition=Q(planned_count__isnull=True)),
            models.Index(fields=["expires_at"], name="notice_sending", condition=Q(status="sending")),
        ]

    def __str__(self) -> str:
        return f"{self.origin} {self.kind} {self.generation}"


class NoticeChunk(models.Model):
    """One piece of a fan-out, so that it resumes where it was interrupted. Keys are interruptions or customers."""

    notice = models.ForeignKey(Notice, models.CASCADE, related_name="chunks")
    lo = models.BigIntegerField()
    hi = models.BigIntegerField()
    is_done = models.BooleanField(default=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["notice", "lo"], name="notice_chunk_once")]
        indexes = [models.Index(fields=["notice"], name="notice_chunk_open", condition=Q(is_done=False))]


class Letter(models.Model):
    """信函: what is said to one customer alone, kept word for word: the proof of what was said.

    Its deliveries name it; whoever issued it finds it again by ``ref``. Once withdrawn it is not sent any more.
    """

    notice = models.ForeignKey(Notice, models.PROTECT, related_name="letters", db_index=False)
    customer = models.ForeignKey(Customer, models.PROTECT, related_name="letters")
    service_point = models.ForeignKey(ServicePoint, models.PROTECT, null=True, blank=True, related_name="+")
    ref = models.CharField(_("reference"), max_length=64)
    subject = models.CharField(pgettext_lazy("letter", "subject"), max_length=120)
    text = models.TextField(pgettext_lazy("letter", "text"))
    language = models.CharField(_("language"), max_length=8)
    created_at = models.DateTimeField(db_default=Now())
    withdrawn_at = models.DateTimeField(pgettext_lazy("letter", "withdrawn"), null=True, blank=True)

    branch_lookup = "notice__branch"
    read_capability = "delivery.read"

    class Meta:
        verbose_name = _("letter")
        verbose_name_plural = _("letters")
        constraints = [
            # "to one customer": whoever has more to say to somebody says it in one letter
            models.UniqueConstraint(fields=["notice", "customer"], name="letter_once"),
        ]

    def __str__(self) -> str:
        return self.ref


class Delivery(models.Model):
    """送达记录: one message owed to one customer through one channel, exactly once.

    Partitioned by the notice's day; made and written by SQL only. It holds no address: that is read from the
    customer's contact when it is sent. ``address_key`` is a keyed hash of the address, so that one address is
    written to once per notice; letters are each their own, whoever shares the address.
    """

    pk = models.CompositePrimaryKey("day", "id")
    day = models.DateField()
    id = models.BigIntegerField()
    notice = models.ForeignKey(Notice, models.DO_NOTHING, related_name="+", db_index=False)
    # no constraints on these: a million rows would pay for each
    customer_id = models.BigIntegerField()
    branch_id = models.BigIntegerField()
    service_point_id = models.BigIntegerField(null=True)
    letter_id = models.BigIntegerField(null=True)
    channel = models.CharField(max_length=8, choices=Channel)
    lane = models.SmallIntegerField(choices=Lane)
    address_key = models.BinaryField(max_length=16)
    state = models.SmallIntegerField(choices=DeliveryState, default=DeliveryState.PENDING)
    not_before = models.DateTimeField(db_default=Now())
    attempts = models.SmallIntegerField(default=0)
    lease_token = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    account = models.CharField(max_length=32, blank=True, default="")
    provider_id = models.CharField(max_length=128, blank=True, default="")
    error_code = models.CharField(max_length=64, blank=True, default="")
    accepted_at = models.DateTimeField(null=True)
    done_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("delivery")
        verbose_name_plural = _("deliveries")


class Attempt(models.Model):
    """发送尝试: one call of a provider, written before the call, so that a crash leaves a trace."""

    pk = models.CompositePrimaryKey("day", "id")
    day = models.DateField()
    id = models.BigIntegerField()
    token = models.UUIDField()
    account = models.CharField(max_length=32)
    # a foreign key to a composite key is not possible
    delivery_ids = ArrayField(models.BigIntegerField())
    started_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True)
    error_class = models.CharField(max_length=16, blank=True, default="")
    answer = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        verbose_name = _("attempt")
        verbose_name_plural = _("attempts")


class Receipt(models.Model):
    """回执: what a provider said later. It repeats, comes early, and in any order: stored first, applied after."""

    account = models.CharField(max_length=32)
    provider_id = models.CharField(max_length=128)
    client_ref = models.CharField(max_length=64, blank=True)
    status = models.CharField(max_length=64)
    occurred_at = models.DateTimeField(null=True, blank=True)
    received_at = models.DateTimeField(db_default=Now())
    applied_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("receipt")
        verbose_name_plural = _("receipts")
        constraints = [models.UniqueConstraint(fields=["account", "provider_id", "status"], name="receipt_once")]
        indexes = [models.Index(fields=["id"], name="receipt_open", condition=Q(applied_at__isnull=True))]


class ProviderAccount(models.Model):
    """One contract with a provider: its limits, and whether it is usable now. Shared by all senders."""

    name = models.CharField(_("name"), max_length=32, primary_key=True)
    channel = models.CharField(_("channel"), max_length=8, choices=Channel)
    rate = models.FloatField(_("messages a second"), default=50.0)
    burst = models.FloatField(_("burst"), default=200.0)
    circuit_open_until = models.DateTimeField(_("not used until"), null=True, blank=True)
    circuit_reason = models.CharField(_("because of"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("provider account")
        verbose_name_plural = _("provider accounts")

    def __str__(self) -> str:
        return self.name


class RateBucket(models.Model):
    """The tokens left for one account; one UPDATE per claim, whatever the number of senders."""

    account = models.OneToOneField(ProviderAccount, models.CASCADE, primary_key=True, related_name="bucket")
    tokens = models.FloatField(default=0.0)
    refilled_at = models.DateTimeField(db_default=Now())
    # after a 429 the rate is halved until then
    slowed_until = models.DateTimeField(null=True, blank=True)


class Suppression(models.Model):
    """An address that is not written to: dead, or its owner said stop."""

    class Reason(models.TextChoices):
        OPT_OUT = "opt_out", _("opted out")
        BAD_ADDRESS = "bad_address", _("address does not exist")

    address_key = models.BinaryField(max_length=16)
    channel = models.CharField(max_length=8, choices=Channel)
    reason = models.CharField(max_length=16, choices=Reason)
    until = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name = _("suppressed address")
        verbose_name_plural = _("suppressed addresses")
        constraints = [models.UniqueConstraint(fields=["address_key", "channel"], name="suppression_once")]
