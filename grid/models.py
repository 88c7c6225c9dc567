"""What exists: branches, the network, the customers and where they are connected.

Trees are kept as intervals. ``pos`` is a node's place in a depth-first walk and ``last`` the place of its
last descendant, so "everything below x" is ``pos BETWEEN x.pos AND x.last``: one index range of integers,
however deep the network is (see ADR 0002).
"""

from __future__ import annotations

import pghistory
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models.functions import Upper
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _


class AreaClass(models.TextChoices):
    """Decides the arrival promise of a crew."""

    URBAN = "urban", _("urban")
    RURAL = "rural", _("rural")
    REMOTE = "remote", _("remote")


class Branch(models.Model):
    """供电分局: the local unit that owns facts, crews and plans."""

    code = models.CharField(_("code"), max_length=64, unique=True)
    name = models.CharField(_("name"), max_length=128)
    name_en = models.CharField(_("English name"), max_length=128, blank=True)
    parent = models.ForeignKey("self", models.PROTECT, null=True, blank=True, related_name="children")
    pos = models.BigIntegerField(default=0, editable=False)
    last = models.BigIntegerField(default=0, editable=False)
    area_class = models.CharField(_("area class"), max_length=8, choices=AreaClass, default=AreaClass.URBAN)
    time_zone = models.CharField(_("time zone"), max_length=64, default="Asia/Shanghai")
    send_from = models.TimeField(_("messages from"), default="07:00")
    send_until = models.TimeField(_("messages until"), default="22:00")
    rule_pack = models.CharField(_("rule pack"), max_length=64, default="cn-sgcc")
    phone = models.CharField(_("telephone"), max_length=32, blank=True)

    branch_lookup = ""  # the branch of a branch is itself; see accounts.scope

    class Meta:
        ordering = ["pos", "code"]
        verbose_name = _("branch")
        verbose_name_plural = _("branches")
        indexes = [models.Index(fields=["pos"], name="branch_pos")]

    def __str__(self) -> str:
        return self.name


class DayKind(models.TextChoices):
    HOLIDAY = "holiday", _("holiday")
    EXAM = "exam", _("examination day")
    BLACKOUT = "blackout", _("no planned outages")
    WORKING = "working", _("working day")  # 调休上班: a Saturday or Sunday that is worked


@pghistory.track()
class CalendarDay(models.Model):
    """A day that is not like others, for one branch and below, or for all. ``calendar`` says what follows from it."""

    day = models.DateField(_("day"))
    kind = models.CharField(_("kind"), max_length=10, choices=DayKind)
    name = models.CharField(_("name"), max_length=64)
    name_en = models.CharField(_("English name"), max_length=64, blank=True)
    branch = models.ForeignKey(
        Branch, models.CASCADE, null=True, blank=True, related_name="+", verbose_name=_("branch, with all below it")
    )

    branch_lookup = "branch"

    class Meta:
        verbose_name = _("day of the work calendar")
        verbose_name_plural = _("work calendar")
        ordering = ["day", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["day", "kind", "branch"], name="calendar_day_once", nulls_distinct=False)
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.name}"

    @property
    def local_name(self) -> str:
        """The occasion in the reader's language, as far as it has a name there."""
        is_chinese = (get_language() or "").startswith("zh")
        return self.name if is_chinese or not self.name_en else self.name_en


class ElementKind(models.TextChoices):
    SUBSTATION = "substation", _("substation")
    BUSBAR = "busbar", _("busbar")
    FEEDER = "feeder", _("feeder")
    BREAKER = "breaker", _("breaker")
    RECLOSER = "recloser", _("recloser")
    SWITCH = "switch", _("switch")
    FUSE = "fuse", _("fuse")
    SECTION = "section", _("line section")
    NODE = "node", _("connectivity node")
    TRANSFORMER = "transformer", _("transformer")
    LV_CIRCUIT = "lv_circuit", _("low-voltage circuit")


class GridElement(models.Model):
    """A piece of the network. Power flows between neighbours unless one of them is open.

    The tree (``parent``) is the normal-state spanning tree from the sources; every other adjacency is a
    ``GridTie``. An open element conducts nothing, and what hangs on it is off.
    """

    kind = models.CharField(_("kind"), max_length=16, choices=ElementKind)
    code = models.CharField(_("code"), max_length=128)
    name = models.CharField(_("name"), max_length=200, blank=True)
    branch = models.ForeignKey(Branch, models.PROTECT, related_name="elements")
    parent = models.ForeignKey("self", models.PROTECT, null=True, blank=True, related_name="children")
    feeder = models.ForeignKey("self", models.SET_NULL, null=True, blank=True, related_name="+")
    pos = models.BigIntegerField(default=0, editable=False)
    last = models.BigIntegerField(default=0, editable=False)
    is_source = models.BooleanField(_("source"), default=False)
    normally_open = models.BooleanField(_("normally open"), default=False)
    is_open = models.BooleanField(_("open now"), default=False)
    lon = models.FloatField(_("longitude"), null=True, blank=True)
    lat = models.FloatField(_("latitude"), null=True, blank=True)
    geometry = models.JSONField(_("geometry"), null=True, blank=True)
    # kept totals of what hangs below in the normal state, this element included; a customer, when counted,
    # is a metered service point with an account (IEEE 1366, definition of customer), so that sums add up
    customers = models.IntegerField(_("customers"), default=0, validators=[MinValueValidator(0)])
    critical_customers = models.IntegerField(_("critical customers"), default=0)
    load_kw = models.FloatField(_("load (kW)"), default=0.0)
    # kept totals of the service points that hang directly on this element
    own_customers = models.IntegerField(default=0, editable=False)
    own_critical = models.IntegerField(default=0, editable=False)
    own_load_kw = models.FloatField(default=0.0, editable=False)
    source = models.CharField(_("imported from"), max_length=64, blank=True, editable=False)

    branch_lookup = "branch"

    class Meta:
        verbose_name = _("grid element")
        verbose_name_plural = _("grid elements")
        constraints = [
            models.UniqueConstraint(fields=["code"], name="element_code_unique"),
        ]
        indexes = [
            models.Index(fields=["pos"], name="element_pos"),
            # the few elements that are open now: read with every isolation
            models.Index(fields=["id"], name="element_open_now", condition=models.Q(is_open=True)),
            GinIndex(OpClass(Upper("code"), name="gin_trgm_ops"), name="element_code_trgm"),
            GinIndex(OpClass(Upper("name"), name="gin_trgm_ops"), name="element_name_trgm"),
        ]

    def __str__(self) -> str:
        return self.name or self.code


class GridTie(models.Model):
    """An adjacency that is not parent-child: a loop, or the far side of a tie switch."""

    a = models.ForeignKey(GridElement, models.CASCADE, related_name="ties_from")
    b = models.ForeignKey(GridElement, models.CASCADE, related_name="ties_to")

    class Meta:
        verbose_name = _("tie")
        verbose_name_plural = _("ties")
        constraints = [
            models.UniqueConstraint(fields=["a", "b"], name="tie_once"),
            models.CheckConstraint(condition=models.Q(a__lt=models.F("b")), name="tie_ordered"),
        ]


class GridRevision(models.Model):
    """One row, raised by every change of the network's shape; cached graphs carry the number they were built from."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    number = models.BigIntegerField(default=0)

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="grid_revision_single")]


class CustomerClass(models.TextChoices):
    RESIDENTIAL = "residential", _("residential")
    COMMERCIAL = "commercial", _("commercial")
    INDUSTRIAL = "industrial", _("industrial")
    AGRICULTURAL = "agricultural", _("agricultural")
    PUBLIC = "public", _("public service")


class Importance(models.TextChoices):
    NORMAL = "normal", _("normal")
    IMPORTANT_1 = "important_1", _("important, level 1")
    IMPORTANT_2 = "important_2", _("important, level 2")
    LIFE_SUPPORT = "life_support", _("life support")


class Customer(models.Model):
    """The account holder, who may have many service points."""

    account_number = models.CharField(_("account number"), max_length=64, unique=True)
    name = models.CharField(_("name"), max_length=128)
    initials = models.CharField(_("pinyin initials"), max_length=64, blank=True)
    customer_class = models.CharField(
        _("class"), max_length=16, choices=CustomerClass, default=CustomerClass.RESIDENTIAL
    )
    importance = models.CharField(_("importance"), max_length=16, choices=Importance, default=Importance.NORMAL)
    language = models.CharField(_("language"), max_length=8, default="zh-hans")
    branch = models.ForeignKey(Branch, models.PROTECT, related_name="customers")
    source = models.CharField(_("imported from"), max_length=64, blank=True, editable=False)

    branch_lookup = "branch"

    class Meta:
        verbose_name = _("customer")
        verbose_name_plural = _("customers")
        indexes = [
            models.Index(fields=["initials"], name="customer_initials", opclasses=["varchar_pattern_ops"]),
            GinIndex(OpClass("name", name="gin_trgm_ops"), name="customer_name_trgm"),
        ]

    def __str__(self) -> str:
        return self.name


class ContactKind(models.TextChoices):
    PHONE = "phone", _("telephone")
    EMAIL = "email", _("e-mail")


class ContactPoint(models.Model):
    """Where a customer can be reached. A phone is kept in E.164."""

    customer = models.ForeignKey(Customer, models.CASCADE, related_name="contacts")
    kind = models.CharField(_("kind"), max_length=8, choices=ContactKind)
    value = models.CharField(_("address"), max_length=254)
    reversed_digits = models.CharField(max_length=32, blank=True, editable=False)
    is_preferred = models.BooleanField(_("preferred"), default=True)
    opted_out = models.BooleanField(_("opted out"), default=False)

    branch_lookup = "customer__branch"

    class Meta:
        verbose_name = _("contact point")
        verbose_name_plural = _("contact points")
        constraints = [models.UniqueConstraint(fields=["customer", "kind", "value"], name="contact_once")]
        indexes = [
            models.Index(fields=["value"], name="contact_value"),
            # "ends with 8000" is a prefix of the reversed digits
            models.Index(fields=["reversed_digits"], name="contact_tail", opclasses=["varchar_pattern_ops"]),
        ]


class ServicePoint(models.Model):
    """用电点: where one meter is connected; it follows the supply of the element it hangs on."""

    code = models.CharField(_("code"), max_length=128, unique=True)
    meter_number = models.CharField(_("meter number"), max_length=64, blank=True)
    customer = models.ForeignKey(Customer, models.PROTECT, related_name="service_points")
    element = models.ForeignKey(GridElement, models.PROTECT, related_name="service_points")
    branch = models.ForeignKey(Branch, models.PROTECT, related_name="service_points")
    address = models.CharField(_("address"), max_length=254, blank=True)
    lon = models.FloatField(_("longitude"), null=True, blank=True)
    lat = models.FloatField(_("latitude"), null=True, blank=True)
    contracted_kw = models.FloatField(_("contracted power (kW)"), default=0.0)
    average_kw = models.FloatField(_("average power (kW)"), default=0.0)
    source = models.CharField(_("imported from"), max_length=64, blank=True, editable=False)

    branch_lookup = "branch"

    class Meta:
        verbose_name = _("service point")
        verbose_name_plural = _("service points")
        indexes = [
            models.Index(fields=["meter_number"], name="service_point_meter"),
            GinIndex(OpClass("address", name="gin_trgm_ops"), name="service_point_address_trgm"),
        ]

    def __str__(self) -> str:
        return self.address or self.code


class GridImport(models.Model):
    """One import of network or customers: its preview, its progress, its outcome. The audit record of a bulk change."""

    class Status(models.TextChoices):
        QUEUED = "queued", _("queued")
        READING = "reading", _("reading")
        PREVIEW = "preview", _("waiting for confirmation")
        APPLYING = "applying", _("applying")
        DONE = "done", _("done")
        FAILED = "failed", _("failed")
        DISCARDED = "discarded", _("discarded")

    source_format = models.CharField(_("format"), max_length=8)
    source = models.CharField(_("imported from"), max_length=64, blank=True)
    branch_code = models.CharField(_("branch"), max_length=64, blank=True)
    is_dry_run = models.BooleanField(_("preview only"), default=False)
    file_names = models.JSONField(_("files"), default=list)
    status = models.CharField(_("status"), max_length=12, choices=Status, default=Status.QUEUED)
    progress = models.SmallIntegerField(_("progress (%)"), default=0)
    stage = models.CharField(_("stage"), max_length=64, blank=True)
    counts = models.JSONField(_("added, changed, removed"), default=dict)
    sample = models.JSONField(_("examples of the changes"), default=dict)
    errors = models.JSONField(_("errors"), default=list)
    warnings = models.JSONField(_("warnings"), default=list)
    actor = models.CharField(_("by"), max_length=150, blank=True)
    started_at = models.DateTimeField(_("started"), auto_now_add=True)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)

    class Meta:
        ordering = ["-started_at"]
        verbose_name = _("grid import")
        verbose_name_plural = _("grid imports")
