"""Remote commands: what was asked of a meter, every call, and every answer as it came."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from billing_cutoffs.models.orders import CutoffOrder


class Purpose(models.TextChoices):
    DISCONNECT = "disconnect", _("switch off")
    RECONNECT = "reconnect", _("switch on")


class CommandState(models.TextChoices):
    """Only ``sending`` and ``uncertain`` are in doubt; nothing in doubt is sent again before the meter was asked."""

    QUEUED = "queued", pgettext_lazy("command", "waiting")
    SENDING = "sending", pgettext_lazy("command", "being sent")
    ACCEPTED = "accepted", pgettext_lazy("command", "taken by the meter system")
    UNCERTAIN = "uncertain", pgettext_lazy("command", "not known, the meter is asked")
    DONE = "done", pgettext_lazy("command", "done")
    FAILED = "failed", pgettext_lazy("command", "failed")
    WITHDRAWN = "withdrawn", pgettext_lazy("command", "withdrawn before it was sent")


class MeterCommand(models.Model):
    """远程停复电命令: one thing asked of one meter, with one key however often it is sent."""

    key = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    order = models.ForeignKey(CutoffOrder, models.PROTECT, related_name="commands")
    purpose = models.CharField(max_length=12, choices=Purpose)
    meter_number = models.CharField(_("meter number"), max_length=64)
    state = models.CharField(_("state"), max_length=12, choices=CommandState, default=CommandState.QUEUED)
    queued_at = models.DateTimeField(db_default=Now())
    # nothing is switched after this moment (the notified window, for a cut)
    expires_at = models.DateTimeField()
    next_at = models.DateTimeField(db_default=Now())  # the next try, or the next question
    tries = models.PositiveSmallIntegerField(default=0)  # how often it was sent
    asked = models.PositiveSmallIntegerField(default=0)  # how often the meter was asked since the last try
    lease_token = models.UUIDField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    external_id = models.CharField(max_length=128, blank=True)
    answer = models.CharField(_("answer"), max_length=200, blank=True)
    done_at = models.DateTimeField(null=True, blank=True)

    branch_lookup = "order__branch"
    read_capability = "cutoff.read"

    class Meta:
        verbose_name = _("meter command")
        verbose_name_plural = _("meter commands")
        ordering = ["pk"]
        constraints = [
            # two commands to one meter at once would contradict each other
            models.UniqueConstraint(
                fields=["order"],
                condition=Q(
                    state__in=[
                        CommandState.QUEUED, CommandState.SENDING, CommandState.ACCEPTED, CommandState.UNCERTAIN
                    ]
                ),
                name="command_open_once",
            )
        ]  # fmt: skip
        indexes = [
            models.Index(
                fields=["next_at"],
                name="command_due",
                condition=Q(
                    state__in=[
                        CommandState.QUEUED, CommandState.SENDING, CommandState.ACCEPTED, CommandState.UNCERTAIN
                    ]
                ),
            ),
            models.Index(fields=["order"], name="command_order"),
        ]  # fmt: skip


class CommandAttempt(models.Model):
    """One call of the meter system, written before the call, so that a crash leaves a trace."""

    command = models.ForeignKey(MeterCommand, models.PROTECT, related_name="attempts")
    question = models.BooleanField(default=False)  # asked for the meter's state instead of sending
    token = models.UUIDField()
    started_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True, blank=True)
    result = models.CharField(max_length=16, blank=True)
    answer = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["pk"]
        indexes = [models.Index(fields=["command"], name="command_attempt")]


class SwitchPosition(models.TextChoices):
    CONNECTED = "connected", pgettext_lazy("meter", "switched on")
    DISCONNECTED = "disconnected", pgettext_lazy("meter", "switched off")
    UNKNOWN = "unknown", pgettext_lazy("meter", "not known")


class MeterAnswer(models.Model):
    """表计回执: what the meter system says, as it came: late, twice, in any order. Kept first, applied after."""

    source_system = models.CharField(max_length=64)
    answer_id = models.CharField(max_length=128)
    # the key of our command, if the answer is to one; else the meter's own number says where
    command_key = models.UUIDField(null=True, blank=True)
    meter_number = models.CharField(max_length=64)
    position = models.CharField(max_length=12, choices=SwitchPosition)
    is_failure = models.BooleanField(default=False)  # the command could not be carried out
    detail = models.CharField(max_length=200, blank=True)
    read_at = models.DateTimeField()  # when the meter was in that position
    received_at = models.DateTimeField(db_default=Now())
    applied_at = models.DateTimeField(null=True, blank=True)
    # what became of it: applied, stale, no_order, contradicts, ...
    outcome = models.CharField(max_length=24, blank=True)

    class Meta:
        verbose_name = _("answer of a meter")
        verbose_name_plural = _("answers of meters")
        constraints = [models.UniqueConstraint(fields=["source_system", "answer_id"], name="meter_answer_once")]
        indexes = [
            models.Index(fields=["id"], name="meter_answer_open", condition=Q(applied_at__isnull=True)),
            # what a meter said last: every verdict about premises that were cut asks it
            models.Index(fields=["meter_number", "-read_at"], name="meter_answer_newest"),
        ]


class SimulatedMeter(models.Model):
    """A meter of the simulator (demo and tests): its switch, and how it behaves when it is commanded."""

    meter_number = models.CharField(max_length=64, primary_key=True)
    is_connected = models.BooleanField(default=True)
    # how: see billing_cutoffs.simulator
    behaviour = models.CharField(max_length=12, default="prompt")
    commands = models.PositiveIntegerField(default=0)
    last_key = models.UUIDField(null=True, blank=True)
    answers_at = models.DateTimeField(null=True, blank=True)
    changed_at = models.DateTimeField(null=True, blank=True)
