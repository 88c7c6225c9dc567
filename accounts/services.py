"""Changes to users, roles and tokens, and the record of access. Every one asks the policy and leaves a trace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from ipaddress import ip_network
from typing import Any, Final

import pghistory
from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import get_random_string
from django.utils.translation import gettext_lazy as _
from knox.crypto import create_token_string, hash_token
from rest_framework.request import Request

from accounts.actor import Actor
from accounts.models import (
    AccessEvent,
    AccessOutcome,
    AccessVerb,
    IdempotencyKey,
    Role,
    RoleGrant,
    ServiceToken,
    User,
)
from accounts.policies import SCOPE_CAPABILITIES, require
from accounts.requests import address_of, request_id_of
from grid.models import Branch
from standards.errors import Conflict, DomainError, Forbidden

TOKEN_LIFE_MAX: Final = timedelta(days=365)
TOKENS_ALIVE_MAX: Final = 2  # the old and the new one while a client is being changed over
KEY_MARK: Final = "om_"  # a leaked key can be found by this beginning
IDEMPOTENCY_KEPT: Final = timedelta(hours=48)
_TOUCH_EVERY: Final = timedelta(minutes=1)
_PASSWORD_LETTERS: Final = "abcdefghjkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # noqa: S105


class OwnAccount(Forbidden):
    code = "own_account"
    message = _("Nobody changes his own roles or disables himself; ask another administrator.")


class LastAdministrator(Conflict):
    code = "last_administrator"
    message = _("This is the last administrator.")


class NameTaken(Conflict):
    code = "name_taken"
    message = _("This user name or extension is already in use.")


class RoleOverlaps(Conflict):
    code = "role_overlaps"
    message = _("The user already holds this role there during that time.")


class RoleNotForThis(DomainError):
    code = "role_not_for_this_user"
    message = _("Machine clients have scopes on their tokens, people have roles.")


class PeriodReversed(DomainError):
    code = "period_reversed"
    message = _("The end must be later than the beginning.")


class ScopeUnknown(DomainError):
    code = "unknown_scope"
    message = _("There is no scope “%(scope)s”.")


class ScopeMissing(DomainError):
    code = "scope_missing"
    message = _("A token needs at least one scope.")


class TokenLife(DomainError):
    code = "token_life"
    message = _("A token must expire in the future and within 365 days.")


class TooManyTokens(Conflict):
    code = "too_many_tokens"
    message = _("This client already has two living tokens; revoke one first.")


class NotAClient(DomainError):
    code = "not_a_machine_client"
    message = _("Tokens are for machine clients, not for people.")


class AddressUnreadable(DomainError):
    code = "address_unreadable"
    message = _("“%(address)s” is not a network address.")


# --- the access log ---------------------------------------------------------------------------------


def access_record(
    *,
    actor: Actor,
    verb: str,
    object_type: str = "",
    object_ref: str = "",
    branch_pos: int | None = None,
    reason: str = "",
    outcome: str = AccessOutcome.DONE,
    request: HttpRequest | Request | None = None,
    detail: Mapping[str, object] | None = None,
) -> AccessEvent:
    """Keep who looked at, took out or was refused what; in the caller's transaction, so both stand or fall together."""
    return AccessEvent.objects.create(
        verb=verb,
        outcome=outcome,
        actor_kind=actor.kind,
        actor_name=actor.name[:150],
        user_id=actor.user_id,
        roles=sorted({g.role for g in actor.grants}),
        object_type=object_type[:32],
        object_ref=object_ref[:150],
        branch_pos=branch_pos,
        reason=reason[:254],
        address=address_of(request),
        request_id=request_id_of(request),
        detail=dict(detail or {}),
    )


# --- people -----------------------------------------------------------------------------------------


def user_create(
    *,
    actor: Actor,
    username: str,
    display_name: str = "",
    email: str = "",
    language: str = "",
    extension: str = "",
    is_service: bool = False,
) -> tuple[User, str]:
    """A new person with a first password to hand over, or a new machine client without one."""
    require(actor, "users.manage")
    password = "" if is_service else get_random_string(14, _PASSWORD_LETTERS)
    user = User(
        username=username,
        display_name=display_name,
        email=email,
        language=language,
        extension=extension,
        is_service=is_service,
    )
    if password:
        user.set_password(password)
    else:
        user.set_unusable_password()
    try:
        with transaction.atomic(), pghistory.context(actor=actor.name):
            user.save(force_insert=True)
            access_record(
                actor=actor, verb=AccessVerb.USER_CHANGED, object_type="user", object_ref=username,
                detail={"created": True, "is_service": is_service},
            )  # fmt: skip
    except IntegrityError as taken:
        raise NameTaken(field="username") from taken
    return user, password


def user_update(*, actor: Actor, user: User, **facts: str) -> User:
    """Change name, e-mail, language or extension of a user."""
    require(actor, "users.manage")
    allowed = {"display_name", "email", "language", "extension"}
    if not set(facts) <= allowed:
        raise ValueError(f"not a field of user_update: {set(facts) - allowed}")
    for name, value in facts.items():
        setattr(user, name, value)
    try:
        with transaction.atomic(), pghistory.context(actor=actor.name):
            user.save(update_fields=sorted(facts))
            access_record(
                actor=actor, verb=AccessVerb.USER_CHANGED, object_type="user", object_ref=user.username,
                detail={"changed": sorted(facts)},
            )  # fmt: skip
    except IntegrityError as taken:
        raise NameTaken(field="extension") from taken
    return user


def profile_update(
    *, actor: Actor, user: User, language: str, shortcuts_enabled: bool, theme: str, display_name: str
) -> User:
    """A person's own settings."""
    if actor.user_id != user.pk:
        raise Forbidden()
    user.language, user.shortcuts_enabled, user.theme = language, shortcuts_enabled, theme
    user.display_name = display_name
    with pghistory.context(actor=actor.name):
        user.save(update_fields=["language", "shortcuts_enabled", "theme", "display_name"])
    return user


def user_set_active(*, actor: Actor, user: User, is_active: bool) -> User:
    """Disable a user, which ends all sessions and stops all tokens at once; or let the user in again."""
    require(actor, "users.manage")
    if user.pk == actor.user_id:
        raise OwnAccount()
    with transaction.atomic(), pghistory.context(actor=actor.name):
        _administrators_lock()
        if not is_active and _is_last_administrator(user):
            raise LastAdministrator()
        user.is_active = is_active
        user.save(update_fields=["is_active"])
        _sessions_end(user)
        access_record(
            actor=actor, verb=AccessVerb.USER_CHANGED, object_type="user", object_ref=user.username,
            detail={"is_active": is_active},
        )  # fmt: skip
    return user


def user_reset_password(*, actor: Actor, user: User) -> str:
    """A new first password to hand over; the old one and all sessions end."""
    require(actor, "users.manage")
    if user.is_service:
        raise RoleNotForThis()
    password = get_random_string(14, _PASSWORD_LETTERS)
    user.set_password(password)
    with transaction.atomic():
        user.save(update_fields=["password"])
        access_record(
            actor=actor, verb=AccessVerb.USER_CHANGED, object_type="user", object_ref=user.username,
            detail={"password_reset": True},
        )  # fmt: skip
    return password


def _sessions_end(user: User) -> None:
    User.objects.filter(pk=user.pk).update(session_epoch=F("session_epoch") + 1)
    user.refresh_from_db(fields=["session_epoch"])


# --- roles ------------------------------------------------------------------------------------------


def role_grant(
    *,
    actor: Actor,
    user: User,
    role: str,
    branch: Branch | None = None,
    valid_from: datetime | None = None,
    valid_to: datetime | None = None,
) -> RoleGrant:
    """Give a role over a branch and all below it (every branch, if none is given), from now or later."""
    require(actor, "users.manage")
    if user.pk == actor.user_id:
        raise OwnAccount()
    if user.is_service or role == Role.SERVICE:
        raise RoleNotForThis(field="role")
    begin = valid_from or timezone.now()
    if valid_to is not None and valid_to <= begin:
        raise PeriodReversed(field="valid_to")
    try:
        with transaction.atomic(), pghistory.context(actor=actor.name):
            grant = RoleGrant.objects.create(user=user, role=role, branch=branch, valid_from=begin, valid_to=valid_to)
            _roles_changed(user)
            access_record(
                actor=actor, verb=AccessVerb.ROLE_GRANTED, object_type="user", object_ref=user.username,
                branch_pos=branch.pos if branch else None, detail={"role": role},
            )  # fmt: skip
    except IntegrityError as overlap:
        raise RoleOverlaps(field="role") from overlap
    return grant


def role_end(*, actor: Actor, grant: RoleGrant) -> RoleGrant:
    """End a role now; one that has not begun yet is ended before it begins."""
    require(actor, "users.manage")
    if grant.user_id == actor.user_id:
        raise OwnAccount()
    with transaction.atomic(), pghistory.context(actor=actor.name):
        _administrators_lock()
        locked = RoleGrant.objects.select_for_update(of=("self",)).select_related("user", "branch").get(pk=grant.pk)
        now = timezone.now()
        if locked.valid_to is not None and locked.valid_to <= now:
            return locked
        if locked.role == Role.ADMINISTRATOR and _is_last_administrator(locked.user):
            raise LastAdministrator()
        locked.valid_to = max(now, locked.valid_from + timedelta(microseconds=1))
        locked.save(update_fields=["valid_to"])
        _roles_changed(locked.user)
        access_record(
            actor=actor, verb=AccessVerb.ROLE_ENDED, object_type="user", object_ref=locked.user.username,
            branch_pos=locked.branch.pos if locked.branch else None, detail={"role": locked.role},
        )  # fmt: skip
    return locked


def _roles_changed(user: User) -> None:
    # Django's own admin site lets nobody in without is_staff; what may be done there is asked of the policy
    user.is_staff = user.is_superuser or _administrators().filter(user=user).exists()
    user.save(update_fields=["is_staff"])
    _sessions_end(user)


def _administrators() -> Any:
    """Grants of the role that are in force or still to come."""
    return RoleGrant.objects.filter(
        Q(valid_to__isnull=True) | Q(valid_to__gt=timezone.now()), role=Role.ADMINISTRATOR, user__is_active=True
    )


def _administrators_lock() -> None:
    # two administrators who disable each other at the same moment must not leave the site without one
    list(
        RoleGrant.objects.select_for_update()
        .filter(role=Role.ADMINISTRATOR)
        .order_by("pk")
        .values_list("pk", flat=True)
    )


def _is_last_administrator(user: User) -> bool:
    now = timezone.now()
    others = _administrators().filter(valid_from__lte=now).exclude(user=user)
    holds = _administrators().filter(user=user).exists() or user.is_superuser
    superusers = User.objects.filter(is_superuser=True, is_active=True).exclude(pk=user.pk)
    return bool(holds and not others.exists() and not superusers.exists())


# --- machine clients --------------------------------------------------------------------------------


def token_create(
    *,
    actor: Actor,
    user: User,
    name: str,
    scopes: Sequence[str],
    branch: Branch | None = None,
    addresses: Sequence[str] = (),
    owner: User | None = None,
    expires_at: datetime | None = None,
) -> tuple[ServiceToken, str]:
    """A new token of a machine client. The key is returned once and kept nowhere."""
    require(actor, "users.manage")
    if not user.is_service:
        raise NotAClient(field="user")
    if not scopes:
        raise ScopeMissing(field="scopes")
    for scope in scopes:
        if scope not in SCOPE_CAPABILITIES:
            raise ScopeUnknown(field="scopes", scope=scope)
    for address in addresses:
        _address_check(address)
    now = timezone.now()
    ends = expires_at or now + TOKEN_LIFE_MAX
    if not now < ends <= now + TOKEN_LIFE_MAX:
        raise TokenLife(field="expires_at")
    key = KEY_MARK + create_token_string()
    with transaction.atomic(), pghistory.context(actor=actor.name):
        User.objects.select_for_update().get(pk=user.pk)  # two requests must not both find one living token
        alive = user.service_tokens.filter(revoked_at__isnull=True, expires_at__gt=now).count()
        if alive >= TOKENS_ALIVE_MAX:
            raise TooManyTokens()
        token = ServiceToken.objects.create(
            user=user,
            name=name,
            prefix=key[:10],
            digest=hash_token(key),
            scopes=sorted(set(scopes)),
            branch=branch,
            addresses=list(addresses),
            owner=owner,
            created_at=now,
            expires_at=ends,
        )
        access_record(
            actor=actor, verb=AccessVerb.TOKEN_CREATED, object_type="token", object_ref=token.prefix,
            branch_pos=branch.pos if branch else None, detail={"client": user.username, "scopes": token.scopes},
        )  # fmt: skip
    return token, key


def _address_check(address: str) -> None:
    try:
        ip_network(address, strict=False)
    except ValueError as unreadable:
        raise AddressUnreadable(field="addresses", address=address) from unreadable


def token_revoke(*, actor: Actor, token: ServiceToken) -> ServiceToken:
    """Stop a token. The next request that carries it is refused."""
    require(actor, "users.manage")
    with transaction.atomic(), pghistory.context(actor=actor.name):
        changed = ServiceToken.objects.filter(pk=token.pk, revoked_at__isnull=True).update(revoked_at=timezone.now())
        if changed:
            access_record(
                actor=actor, verb=AccessVerb.TOKEN_REVOKED, object_type="token", object_ref=token.prefix,
                detail={"client": token.user.username},
            )  # fmt: skip
    token.refresh_from_db(fields=["revoked_at"])
    return token


def token_touch(*, token: ServiceToken) -> None:
    """Remember that the token is in use, at most once a minute: a busy client must not write on every call."""
    now = timezone.now()
    stale = now - _TOUCH_EVERY
    if token.last_used_at is None or token.last_used_at < stale:
        ServiceToken.objects.filter(Q(last_used_at__isnull=True) | Q(last_used_at__lt=stale), pk=token.pk).update(
            last_used_at=now
        )
        token.last_used_at = now  # the token may be remembered, see token_by_key


# --- idempotency ------------------------------------------------------------------------------------


def idempotency_keys_forget(*, older_than: timedelta = IDEMPOTENCY_KEPT) -> int:
    """Answers that nobody will ask for again."""
    deleted, _by_model = IdempotencyKey.objects.filter(created_at__lt=timezone.now() - older_than).delete()
    return deleted
