"""Who is behind a request: the same answer for a page, an API call of a session and an API call with a token."""

from __future__ import annotations

from ipaddress import ip_address
from typing import cast

from django.http import HttpRequest
from rest_framework.request import Request

from accounts.actor import Actor
from accounts.models import ServiceToken, User

ANONYMOUS = Actor(kind="user", name="anonymous")


def actor_of(request: HttpRequest | Request) -> Actor:
    """The actor with the roles in force now; read once per request. Without a login it holds nothing."""
    plain = cast(HttpRequest, getattr(request, "_request", request))
    known = plain.__dict__.get("_actor")
    if isinstance(known, Actor):
        return known
    actor = _token_actor(request.auth) if isinstance(request, Request) else None
    if actor is None:
        user = request.user
        actor = user.as_actor() if isinstance(user, User) else _lazy_actor(user)
    plain.__dict__["_actor"] = actor
    return actor


def _lazy_actor(user: object) -> Actor:
    # request.user of a page is a lazy wrapper that only looks like a User
    if getattr(user, "is_authenticated", False):
        return cast(User, user).as_actor()
    return ANONYMOUS


def _token_actor(token: object) -> Actor | None:
    return token.as_actor() if isinstance(token, ServiceToken) else None


def address_of(request: HttpRequest | Request | None) -> str | None:
    """The peer's address. The server in front (uvicorn) puts a trusted proxy's word here; nobody else is believed."""
    if request is None:
        return None
    try:
        return str(ip_address(request.META.get("REMOTE_ADDR", "")))
    except ValueError:
        return None


def request_id_of(request: HttpRequest | Request | None) -> str:
    return "" if request is None else str(request.META.get("HTTP_X_REQUEST_ID", ""))[:64]
