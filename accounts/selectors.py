"""Reading users, tokens and the access log."""

from __future__ import annotations

from django.db.models import Prefetch, QuerySet
from django.utils import timezone
from knox.crypto import hash_token

from accounts.actor import Actor
from accounts.models import AccessEvent, RoleGrant, ServiceToken, User
from accounts.policies import may_read_access_log, may_read_users
from standards.errors import Forbidden, NotFound


def token_by_key(key: str) -> ServiceToken | None:
    """The living token with this key, of a client that is still active."""
    if not key:
        return None
    return (
        ServiceToken.objects.select_related("user", "branch")
        .filter(digest=hash_token(key), revoked_at__isnull=True, expires_at__gt=timezone.now(), user__is_active=True)
        .first()
    )


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
