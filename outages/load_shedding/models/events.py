"""An event of load shedding: the order, the proposals, what was decided, the slots and what they brought."""

from __future__ import annotations

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from grid.models import Branch, Customer
from outages.load_shedding.models.plans import Agreement, Colour, SheddingBlock, SheddingPlan
from outages.models import Outage


class EventState(models.TextChoices):
    """``domain.md`` 5.3."""

    ALERT = "alert", pgettext_lazy("shedding", "warning given")
    ORDERED = "ordered", pgettext_lazy("shedding", "ordered")
    PROPOSED = "proposed", pgettext_lazy("shedding", "waiting for the second person")
    CONFIRMED = "confirmed", pgettext_lazy("shedding", "confirmed")
    SHEDDING = "shedding", pgettext_lazy("shedding", "running")
    RESTORING = "restoring", pgettext_lazy("shedding", "switching back on")
    ENDED = "ended", pgettext_lazy("shedding", "ended")
    RECONCILED = "reconciled", pgettext_lazy("shedding", "reconciled")
    CANCELLED = "cancelled", pgettext_lazy("shedding", "called off")


class SheddingEvent(models.Model):
    """有序用电事件: so many MW less, from then to then, on somebody's order."""

    reference = models.CharField(_("number"), max_length=24, unique=True)
    branch = models.ForeignKey(Branch, models.PROTECT, related_name="shedding_events", verbose_name=_("branch"))
    plan = models.ForeignKey(SheddingPlan, models.PROTECT, related_name="shedding_events", verbose_name=_("plan"))
    state = models.CharField(_("state"), max_length=12, choices=EventState)
    state_reason = models.CharField(_("reason"), max_length=500, blank=True)
    colour = models.CharField(_("warning"), max_length=8, choices=Colour)
    stage = models.PositiveSmallIntegerField(_("stage"), null=True, blank=True)
    is_emergency = models.BooleanField(_("emergency"), default=False)
    target_mw = models.FloatField(_("load to shed (MW)"), null=True, blank=True)
    starts_at = models.DateTimeField(_("from"), null=True, blank=True)
    ends_at = models.DateTimeField(_("until"), null=True, blank=True)
    order_number = models.CharField(_("order number"), max_length=64, blank=True)
    authority = models.CharField(_("ordered by"), max_length=100, blank=True)
    reason = models.CharField(_("reason"), max_length=500, blank=True)
    chosen = models.CharField(_("proposal"), max_length=1, blank=True)  # A, B, C, or M by hand
    # raised with every new distribution of slots (a change of stage, of the end)
    generation = models.PositiveSmallIntegerField(default=0)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+")
    author_name = models.CharField(_("by"), max_length=150)
    confirmed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+")
    confirmed_at = models.DateTimeField(_("confirmed at"), null=True, blank=True)
    # nothing is announced or switched before this moment: so long it can be taken back with one key
    undo_until = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())
    version = models.PositiveIntegerField(default=1)

    branch_lookup = "branch"

    class Meta:
        verbose_name = _("shedding event")
        verbose_name_plural = _("shedding events")
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(confirmed_by__isnull=True) | ~Q(confirmed_by=F("author")),
                name="shedding_confirmed_by_another",
            ),
            models.CheckConstraint(
                condition=Q(ends_at__isnull=True) | Q(ends_at__gt=F("starts_at")), name="shedding_event_runs_forward"
            ),
            models.CheckConstraint(condition=Q(target_mw__isnull=True) | Q(target_mw__gt=0), name="shedding_target"),
        ]
        indexes = [models.Index(fields=["branch", "state"], name="shedding_event_state")]

    def __str__(self) -> str:
        return self.reference


class Measure(models.Model):
    """One measure of the event, in the legal order: shift, avoid, limit, and only then disconnection."""

    event = models.ForeignKey(SheddingEvent, models.CASCADE, related_name="measures")
    kind = models.CharField(_("measure"), max_length=8, choices=Agreement.Kind)
    customer = models.ForeignKey(Customer, models.PROTECT, null=True, blank=True, related_name="+")
    asked_mw = models.FloatField(_("asked for (MW)"))
    relief_mw = models.FloatField(_("relief (MW)"), null=True, blank=True)
    is_measured = models.BooleanField(_("measured"), default=False)
    note = models.CharField(_("note"), max_length=300, blank=True)
    by_name = models.CharField(max_length=150)
    at = models.DateTimeField(db_default=Now())

    branch_lookup = "event__branch"

    class Meta:
        ordering = ["pk"]


class Proposal(models.Model):
    """A fair, B fewest customers, C fastest: computed for one order, with what it cannot meet."""

    event = models.ForeignKey(SheddingEvent, models.CASCADE, related_name="proposals")
    letter = models.CharField(max_length=1)
    generation = models.PositiveSmallIntegerField()
    # [{"block": code, "from": iso, "until": iso, "mw": 1.2}]
    lines = models.JSONField(default=list)
    figures = models.JSONField(default=dict)
    shortfall_mw = models.FloatField(default=0.0)
    is_optimal = models.BooleanField(default=True)
    computed_at = models.DateTimeField(db_default=Now())

    branch_lookup = "event__branch"

    class Meta:
        constraints = [models.UniqueConstraint(fields=["event", "letter", "generation"], name="shedding_proposal_once")]


class SlotState(models.TextChoices):
    PLANNED = "planned", pgettext_lazy("slot", "ahead")
    OFF = "off", pgettext_lazy("slot", "off")
    STUCK = "stuck", pgettext_lazy("slot", "not restored")
    ON = "on", pgettext_lazy("slot", "on again")
    SKIPPED = "skipped", pgettext_lazy("slot", "skipped")
    DROPPED = "dropped", pgettext_lazy("slot", "no longer needed")


class Slot(models.Model):
    """轮停时段: one block's turn. Confirmed, it is an ``Outage`` of its own; ``planned`` and ``actual`` stand there."""

    event = models.ForeignKey(SheddingEvent, models.PROTECT, related_name="slots")
    block = models.ForeignKey(SheddingBlock, models.PROTECT, related_name="slots")
    starts_at = models.DateTimeField(_("off from"))
    ends_at = models.DateTimeField(_("back by"))
    state = models.CharField(_("state"), max_length=8, choices=SlotState, default=SlotState.PLANNED)
    outage = models.OneToOneField(Outage, models.PROTECT, null=True, blank=True, related_name="shedding_slot")
    generation = models.PositiveSmallIntegerField(default=1)
    mw_planned = models.FloatField(_("planned (MW)"))
    mw_off = models.FloatField(_("shed (MW)"), null=True, blank=True)
    is_measured = models.BooleanField(_("measured"), default=False)
    off_at = models.DateTimeField(_("off at"), null=True, blank=True)
    on_at = models.DateTimeField(_("on at"), null=True, blank=True)
    skip_reason = models.CharField(_("why skipped"), max_length=300, blank=True)
    # what would not come back on is a fault of its own
    fault = models.ForeignKey(Outage, models.PROTECT, null=True, blank=True, related_name="+")
    version = models.PositiveIntegerField(default=1)

    branch_lookup = "event__branch"

    class Meta:
        verbose_name = _("slot")
        verbose_name_plural = _("slots")
        ordering = ["starts_at", "pk"]
        constraints = [
            models.CheckConstraint(condition=Q(ends_at__gt=F("starts_at")), name="slot_runs_forward"),
            models.CheckConstraint(
                condition=~Q(state__in=[SlotState.OFF, SlotState.STUCK, SlotState.ON]) | Q(off_at__isnull=False),
                name="slot_off_has_a_time",
            ),
            models.CheckConstraint(
                condition=~Q(state=SlotState.SKIPPED) | ~Q(skip_reason=""), name="slot_skipped_says_why"
            ),
            models.UniqueConstraint(
                fields=["event", "block", "starts_at"],
                condition=~Q(state__in=[SlotState.DROPPED]),
                name="slot_once",
            ),
        ]
        indexes = [
            models.Index(fields=["block", "starts_at"], name="slot_block"),
            models.Index(fields=["starts_at"], name="slot_ahead", condition=Q(state=SlotState.PLANNED)),
        ]


class Reaction(models.Model):
    """反应: a call, a complaint or a fault during the event, counted for its block while it runs."""

    class Kind(models.TextChoices):
        CALL = "call", _("call")
        COMPLAINT = "complaint", _("complaint")
        FAULT = "fault", _("fault")

    event = models.ForeignKey(SheddingEvent, models.CASCADE, related_name="reactions")
    block = models.ForeignKey(SheddingBlock, models.PROTECT, null=True, blank=True, related_name="+")
    kind = models.CharField(max_length=10, choices=Kind)
    source = models.CharField(max_length=64)  # what it came from: a call's key, a fault's reference
    at = models.DateTimeField(db_default=Now())

    branch_lookup = "event__branch"

    class Meta:
        constraints = [models.UniqueConstraint(fields=["event", "kind", "source"], name="reaction_once")]


class SheddingStep(models.Model):
    """One step of an event or a slot: who, when, from where to where, on which facts. Append-only."""

    event = models.ForeignKey(SheddingEvent, models.PROTECT, related_name="steps")
    slot = models.ForeignKey(Slot, models.PROTECT, null=True, blank=True, related_name="steps")
    verb = models.CharField(max_length=24)
    before = models.CharField(max_length=12, blank=True)
    after = models.CharField(max_length=12, blank=True)
    actor_kind = models.CharField(max_length=8)
    actor_name = models.CharField(max_length=150)
    actor_id = models.BigIntegerField(null=True, blank=True)
    at = models.DateTimeField(db_default=Now())
    note = models.CharField(max_length=500, blank=True)
    facts = models.JSONField(default=dict)

    branch_lookup = "event__branch"

    class Meta:
        ordering = ["pk"]
        triggers = [pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete)]
