"""The cast: Asha dispatches, Ben collects arrears, Mei answers calls, Chen is a customer, Dora must see nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone

from accounts.actor import Actor
from accounts.models import RoleGrant, ServiceToken, User
from grid.models import Branch

PASSWORD = "correct-horse-7"


def user_with(role: str | None, branch: Branch | None = None, *, username: str = "", **kw: Any) -> User:
    """A user who holds ``role`` over ``branch`` (every branch if none is given)."""
    name = username or f"{role or 'nobody'}{User.objects.count() + 1}"
    user, created = User.objects.get_or_create(username=name, defaults={"display_name": name.capitalize(), **kw})
    if created:
        user.set_password(PASSWORD)
        user.save(update_fields=["password"])
    if role is not None and not user.role_grants.filter(role=role, branch=branch).exists():
        RoleGrant.objects.create(user=user, role=role, branch=branch, valid_from=timezone.now() - timedelta(days=1))
    return user


def actor_of(user: User) -> Actor:
    return Actor.for_user(user)


def asha(branch: Branch | None = None) -> User:
    return user_with("dispatcher", branch, username="asha")


def ben(branch: Branch | None = None) -> User:
    return user_with("billing_clerk", branch, username="ben")


def mei(branch: Branch | None = None) -> User:
    return user_with("agent", branch, username="mei")


def dora() -> User:
    """The outsider: a login without any role."""
    return user_with(None, username="dora")


def ada() -> User:
    """The administrator."""
    return user_with("administrator", username="ada")


def client_token(
    *scopes: str, branch: Branch | None = None, username: str = "machine", **kw: Any
) -> tuple[ServiceToken, str]:
    """A machine client's token and the key itself: ``HTTP_AUTHORIZATION=f"Token {key}"``."""
    from accounts.services import token_create

    owner = ada()
    user, _ = User.objects.get_or_create(username=username, defaults={"is_service": True})
    return token_create(
        user=user, name="test", scopes=list(scopes), branch=branch, owner=owner, actor=Actor.system("tests"), **kw
    )
