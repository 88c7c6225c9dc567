"""Logins, logouts and lock-outs, as Django and django-axes announce them, into the access log."""

from __future__ import annotations

from typing import Any

from axes.signals import user_locked_out
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.http import HttpRequest

from accounts.actor import Actor
from accounts.models import AccessOutcome, AccessVerb, User
from accounts.services import access_record


def connect() -> None:
    user_logged_in.connect(_logged_in, dispatch_uid="accounts.logged_in")
    user_logged_out.connect(_logged_out, dispatch_uid="accounts.logged_out")
    user_login_failed.connect(_login_failed, dispatch_uid="accounts.login_failed")
    user_locked_out.connect(_locked_out, dispatch_uid="accounts.locked_out")


def _logged_in(sender: object, request: HttpRequest | None, user: User, **_kw: Any) -> None:
    access_record(actor=user.as_actor(), verb=AccessVerb.LOGIN, request=request)


def _logged_out(sender: object, request: HttpRequest | None, user: User | None, **_kw: Any) -> None:
    if user is not None:
        access_record(actor=user.as_actor(), verb=AccessVerb.LOGOUT, request=request)


def _login_failed(sender: object, credentials: dict[str, Any], request: HttpRequest | None = None, **_kw: Any) -> None:
    access_record(
        actor=_stranger(credentials.get("username")),
        verb=AccessVerb.LOGIN_FAILED,
        outcome=AccessOutcome.REFUSED,
        request=request,
    )


def _locked_out(sender: object, request: HttpRequest | None, username: str | None, **_kw: Any) -> None:
    access_record(actor=_stranger(username), verb=AccessVerb.LOCKED_OUT, outcome=AccessOutcome.REFUSED, request=request)


def _stranger(username: object) -> Actor:
    # NUL is the one character PostgreSQL's text cannot hold
    return Actor(kind="user", name=str(username or "?").replace("\x00", ""))
