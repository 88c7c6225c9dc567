"""Reading users, tokens and the access log."""

from __future__ import annotations

import time

from django.conf import settings
from django.db.models import Prefetch, QuerySet
from django.utils import timezone
from knox.crypto import hash_token

from accounts.actor import Actor
from accounts.models import AccessEvent, RoleGrant, ServiceToken, User
from accounts.policies import may_read_access_log, may_read_users
from standards.errors import Forbidden, NotFound

_remembered: dict[str, tuple[float, ServiceToken]] = {}
_REMEMBERED_MOST = 1_000  # machine clients are few; a flood of wrong keys is never remembered


def token_by_key(key: str) -> ServiceToken | None:
    """The living token with this key, of a client that is still active.

    A good key is remembered for ``TOKEN_REMEMBERED_S`` by each process, so that a busy client does not ask the
    database on every call: a revoked token stops within that time (30 s are promised).
    """
    if not key:
        return None
    digest = hash_token(key)
    now = time.time()
    until, token = _remembered.get(digest, (0.0, None))
    if token is not None and now < until and token.expires_at > timezone.now():
        return token
    token = (
        ServiceToken.objects.select_related("user", "branch")
        .filter(digest=digest, revoked_at__isnull=True, expires_at__gt=timezone.now(), user__is_active=True)
        .first()
    )
    if len(_remembered) >= _REMEMBERED_MOST:
        _remembered.clear()
    _remembered.pop(digest, None)
    if token is not None and settings.TOKEN_REMEMBERED_S:
        _remembered[digest] = (now + settings.TOKEN_REMEMBERED_S, token)
    return token


def users_visible_to(actor: Actor) -> QuerySet[User]:
    """All people and machine clients with their roles, for whoever may see them."""
    if not may_read_users(actor):
        raise Forbidden()
    grants = RoleGrant.objects.select_related("branch").order_by("role", "valid_from")
    return User.objects.prefetch_related(Prefetch("role_grants", grants)).order_by("is_service", "username")


def user_get(*, actor: Actor, user_id: int) -> User:
    user = users_visible_to(actor).filter(pk=user_id).first()
    if user is None:
        raise NotFound()
    return user


def tokens_visible_to(actor: Actor) -> QuerySet[ServiceToken]:
    if not may_read_users(actor):
        raise Forbidden()
    return ServiceToken.objects.select_related("user", "branch", "owner")


def access_events_visible_to(actor: Actor) -> QuerySet[AccessEvent]:
    if not may_read_access_log(actor):
        raise Forbidden()
    return AccessEvent.objects.all()
