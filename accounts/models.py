"""Who may do what, where and until when; and the record of who looked at what.

A role is never held by itself: it is a grant of a role over a subtree of branches for a time. Tokens of machine
clients carry the same three limits (scopes, branch, expiry), so one question answers for both.
"""

from __future__ import annotations

from datetime import datetime

import pghistory
import pgtrigger
from django.contrib.auth.models import AbstractUser
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import ArrayField, DateTimeRangeField, RangeBoundary, RangeOperators
from django.db import models
from django.db.models import F, Func, Q
from django.db.models.functions import Coalesce, Now
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext_lazy as _

from accounts.actor import Actor, Grant
from grid.models import Branch


class Role(models.TextChoices):
    AGENT = "agent", _("agent")
    DISPATCHER = "dispatcher", _("dispatcher")
    PLANNER = "planner", _("branch planner")
    BRANCH_LEAD = "branch_lead", _("branch lead")
    APPROVER = "approver", _("approver")
    BILLING_CLERK = "billing_clerk", _("billing clerk")
    AUDITOR = "auditor", _("auditor")
    ADMINISTRATOR = "administrator", _("administrator")
    SERVICE = "service", _("machine client")


class Theme(models.TextChoices):
    SYSTEM = "system", _("as the device")
    LIGHT = "light", _("light")
    DARK = "dark", _("dark")


@pghistory.track(exclude=["password", "last_login", "session_epoch"])
class User(AbstractUser):
    """A person, or a machine client with tokens instead of a password."""

    first_name = None  # type: ignore[assignment]
    last_name = None  # type: ignore[assignment]
    display_name = models.CharField(_("name"), max_length=64, blank=True)
    language = models.CharField(_("language"), max_length=8, blank=True)
    extension = models.CharField(_("telephone extension"), max_length=16, blank=True)
    shortcuts_enabled = models.BooleanField(_("keyboard shortcuts"), default=True)
    theme = models.CharField(_("appearance"), max_length=8, choices=Theme, default=Theme.SYSTEM)
    is_service = models.BooleanField(_("machine client"), default=False)
    # part of every session's seal: raising it ends all sessions of the user at once
    session_epoch = models.PositiveIntegerField(default=0, editable=False)

    class Meta:
        ordering = ["username"]
        verbose_name = _("user")
        verbose_name_plural = _("users")
        constraints = [
            # a telephone rings at one desk (experience.md, convention 3)
            models.UniqueConstraint(fields=["extension"], condition=~Q(extension=""), name="user_extension_once"),
        ]

    def __str__(self) -> str:
        return self.get_full_name()

    def get_full_name(self) -> str:
        return self.display_name or self.username

    def get_short_name(self) -> str:
        return self.get_full_name()

    def _get_session_auth_hash(self, secret: str | bytes | None = None) -> str:
        seal = f"{self.password}:{self.session_epoch}"
        return salted_hmac("accounts.User.session", seal, secret=secret, algorithm="sha256").hexdigest()

    def as_actor(self) -> Actor:
        """The person with the roles in force now, in one query."""
        now = timezone.now()
        rows = self.role_grants.in_force(at=now).values_list("role", "branch_id", "branch__pos", "branch__last")
        grants = [Grant(role, None if branch is None else pos, last) for role, branch, pos, last in rows]
        if self.is_superuser:
            grants.append(Grant(Role.ADMINISTRATOR))
        if not self.is_active:
            grants = []
        return Actor(kind="user", name=self.display_name or self.username, user_id=self.pk, grants=tuple(grants))


class RoleGrantQuerySet(models.QuerySet["RoleGrant"]):
    def in_force(self, *, at: datetime | None = None) -> RoleGrantQuerySet:
        """Grants that have begun and not ended."""
        moment = at or timezone.now()
        return self.filter(Q(valid_to__isnull=True) | Q(valid_to__gt=moment), valid_from__lte=moment)


@pghistory.track()
class RoleGrant(models.Model):
    """One role of one user over a subtree of branches (or all of them), from a moment until another."""

    user = models.ForeignKey(User, models.CASCADE, related_name="role_grants", verbose_name=_("user"))
    role = models.CharField(_("role"), max_length=16, choices=Role)
    branch = models.ForeignKey(
        Branch, models.CASCADE, null=True, blank=True, related_name="role_grants", verbose_name=_("branch")
    )
    valid_from = models.DateTimeField(_("valid from"), default=timezone.now)
    valid_to = models.DateTimeField(_("valid until"), null=True, blank=True)

    objects = RoleGrantQuerySet.as_manager()

    class Meta:
        ordering = ["user", "role", "valid_from"]
        verbose_name = _("role")
        verbose_name_plural = _("roles")
        constraints = [
            models.CheckConstraint(
                condition=Q(valid_to__isnull=True) | Q(valid_to__gt=F("valid_from")), name="role_grant_forward"
            ),
            # the same role over the same branch is held once at a time; "all branches" counts as branch 0
            ExclusionConstraint(
                name="role_grant_no_overlap",
                expressions=[
                    ("user", RangeOperators.EQUAL),
                    ("role", RangeOperators.EQUAL),
                    (Coalesce(F("branch_id"), 0, output_field=models.BigIntegerField()), RangeOperators.EQUAL),
                    (
                        Func(
                            F("valid_from"),
                            F("valid_to"),
                            RangeBoundary(),
                            function="tstzrange",
                            output_field=DateTimeRangeField(),
                        ),
                        RangeOperators.OVERLAPS,
                    ),
                ],
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} {self.role} {self.branch_id or '*'}"


class ServiceToken(models.Model):
    """A key of a machine client. Only its SHA-512 digest is kept; the key itself is shown once."""

    user = models.ForeignKey(User, models.CASCADE, related_name="service_tokens", verbose_name=_("machine client"))
    name = models.CharField(_("purpose"), max_length=64)
    prefix = models.CharField(_("begins with"), max_length=10)
    digest = models.CharField(max_length=128, unique=True, editable=False)
    scopes = ArrayField(models.CharField(max_length=32), verbose_name=_("scopes"))
    branch = models.ForeignKey(
        Branch, models.CASCADE, null=True, blank=True, related_name="service_tokens", verbose_name=_("branch")
    )
    addresses = ArrayField(
        models.CharField(max_length=43), default=list, blank=True, verbose_name=_("allowed addresses")
    )
    owner = models.ForeignKey(
        User, models.SET_NULL, null=True, blank=True, related_name="owned_tokens", verbose_name=_("responsible")
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    expires_at = models.DateTimeField(_("expires"))
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True)
    last_used_at = models.DateTimeField(_("last used"), null=True, blank=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        verbose_name = _("token")
        verbose_name_plural = _("tokens")
        constraints = [
            models.CheckConstraint(
                # 366: the day a leap year or a daylight-saving change may add to "365 days"
                condition=Q(expires_at__gt=F("created_at"))
                & Q(expires_at__lte=F("created_at") + models.Value("366 days", output_field=models.DurationField())),
                name="token_expires_within_a_year",
            ),
            models.CheckConstraint(condition=~Q(scopes=[]), name="token_has_a_scope"),
        ]

    def __str__(self) -> str:
        return f"{self.prefix}… {self.name}"

    def is_alive(self, *, at: datetime | None = None) -> bool:
        return self.revoked_at is None and self.expires_at > (at or timezone.now())

    def as_actor(self) -> Actor:
        """The machine client: its branch from the token, its abilities from the token's scopes."""
        grant = Grant(Role.SERVICE) if self.branch is None else Grant(Role.SERVICE, self.branch.pos, self.branch.last)
        return Actor(
            kind="service",
            name=self.user.username,
            user_id=self.user_id,
            grants=(grant,),
            scopes=frozenset(self.scopes),
        )


class AccessVerb(models.TextChoices):
    LOGIN = "login", _("logged in")
    LOGOUT = "logout", _("logged out")
    LOGIN_FAILED = "login_failed", _("login failed")
    LOCKED_OUT = "locked_out", _("locked out")
    DENIED = "denied", _("refused")
    SEARCH = "search", _("searched for people")
    REVEAL = "reveal", _("revealed personal data")
    EXPORT = "export", _("exported")
    USER_CHANGED = "user_changed", _("changed a user")
    ROLE_GRANTED = "role_granted", _("granted a role")
    ROLE_ENDED = "role_ended", _("ended a role")
    TOKEN_CREATED = "token_created", _("created a token")
    TOKEN_REVOKED = "token_revoked", _("revoked a token")


class AccessOutcome(models.TextChoices):
    DONE = "done", _("done")
    REFUSED = "refused", _("refused")


class AccessEvent(models.Model):
    """Who looked at, took out or was refused what. The database refuses to change or delete a row."""

    at = models.DateTimeField(_("time"), db_default=Now(), editable=False)
    verb = models.CharField(_("what"), max_length=16, choices=AccessVerb)
    outcome = models.CharField(_("outcome"), max_length=8, choices=AccessOutcome, default=AccessOutcome.DONE)
    actor_kind = models.CharField(max_length=8)
    actor_name = models.CharField(_("who"), max_length=150)
    # no foreign keys: the trail outlives what it speaks of
    user_id = models.BigIntegerField(null=True, blank=True)
    roles = ArrayField(models.CharField(max_length=16), default=list, blank=True)
    object_type = models.CharField(_("object"), max_length=32, blank=True)
    object_ref = models.CharField(_("reference"), max_length=150, blank=True)
    branch_pos = models.BigIntegerField(null=True, blank=True)
    reason = models.CharField(_("reason"), max_length=254, blank=True)
    address = models.GenericIPAddressField(_("network address"), null=True, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    detail = models.JSONField(_("detail"), default=dict, blank=True)

    class Meta:
        ordering = ["-at", "-id"]
        verbose_name = _("access event")
        verbose_name_plural = _("access log")
        indexes = [
            models.Index(fields=["-at"], name="access_event_at"),
            # "what did this person look at", and the hourly limits of reveals
            models.Index(fields=["user_id", "verb", "-at"], name="access_event_user"),
        ]
        triggers = [pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.actor_name} {self.verb} {self.object_ref}"


class IdempotencyKey(models.Model):
    """The first answer to a create, so that a repeated request gets it again instead of a second object."""

    client = models.CharField(max_length=64)
    key = models.CharField(max_length=255)
    method = models.CharField(max_length=8)
    path = models.CharField(max_length=255)
    body_hash = models.CharField(max_length=64)
    # empty while the first request is still running
    status = models.SmallIntegerField(null=True, blank=True)
    content_type = models.CharField(max_length=64, blank=True)
    location = models.CharField(max_length=255, blank=True)
    body = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["client", "key"], name="idempotency_key_once")]
        # the nightly clean-up reads by age
        indexes = [models.Index(fields=["created_at"], name="idempotency_key_age")]

    def __str__(self) -> str:
        return f"{self.client} {self.key}"
