"""A create that is sent twice happens once: the second request gets the first one's answer.

The row is inserted and committed before the work begins, so two requests at the same moment cannot both find it
missing. A request that died without an answer blocks its key only until ``ABANDONED_AFTER``. Answers of 5xx and 429
are not kept: a failure in a storm must be retryable. What must never happen twice, even when a server dies between
the work and its answer, has a natural key of its own (a meter event's or a call's id) in its table.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any, Final

from django.http import HttpResponse, HttpResponseBase
from django.http.request import RawPostDataException
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.json import WritableJSONRenderer
from accounts.models import IdempotencyKey
from accounts.requests import actor_of
from standards.errors import Conflict, DomainError

HEADER: Final = "Idempotency-Key"
ABANDONED_AFTER: Final = timedelta(minutes=5)  # longer than any request lives
_NOT_KEPT: Final = (408, 429)

View = Callable[..., HttpResponseBase]


class StillRunning(Conflict):
    code = "idempotency_running"
    message = _("The first request with this key is still running.")


class KeyReused(DomainError):
    code = "idempotency_key_reused"
    message = _("This key was used for another request.")


class KeyUnreadable(DomainError):
    code = "idempotency_key_unreadable"
    status = 400
    message = _("The key must have 1 to 255 printable characters.")


def idempotent(view: View) -> View:
    """Decorates a creating method of an API view: ``@idempotent`` above ``def create(self, request, …)``."""

    @wraps(view)
    def answer_once(self: Any, request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
        key = request.headers.get(HEADER)
        if key is None:
            return view(self, request, *args, **kwargs)
        row, is_mine = _claim(request, key)
        if not is_mine:
            return _replay(row)
        try:
            response = view(self, request, *args, **kwargs)
        except Exception as error:
            # the same handler as for any other error, one step earlier, so that its answer can be kept
            response = self.handle_exception(error)
        _keep(row, response)
        return response

    return answer_once


class IdempotentCreateMixin:
    """``class X(IdempotentCreateMixin, ModelViewSet)``: its ``create`` honours the key."""

    @idempotent
    def create(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response: HttpResponseBase = super().create(request, *args, **kwargs)  # type: ignore[misc]
        return response


def _claim(request: Request, key: str) -> tuple[IdempotencyKey, bool]:
    """The row of this key, and whether this request is the one that must do the work."""
    if not 1 <= len(key) <= 255 or not key.isprintable():
        raise KeyUnreadable(field=HEADER)
    actor = actor_of(request)
    asked = {"method": request.method or "", "path": request.path[:255], "body_hash": _body_hash(request)}
    row, created = IdempotencyKey.objects.get_or_create(client=f"{actor.kind}:{actor.user_id}", key=key, defaults=asked)
    if created:
        return row, True
    if any(getattr(row, name) != value for name, value in asked.items()):
        raise KeyReused(field=HEADER)
    if row.status is not None:
        return row, False
    now = timezone.now()
    taken_over = IdempotencyKey.objects.filter(
        pk=row.pk, status__isnull=True, created_at=row.created_at, created_at__lt=now - ABANDONED_AFTER
    ).update(created_at=now)
    if taken_over:
        return row, True
    raise StillRunning(field=HEADER)


def _body_hash(request: Request) -> str:
    try:
        body = request._request.body
    except RawPostDataException:
        body = json.dumps(request.data, sort_keys=True, default=str).encode()
    return hashlib.sha256(body).hexdigest()


def _keep(row: IdempotencyKey, response: HttpResponseBase) -> None:
    if response.status_code >= 500 or response.status_code in _NOT_KEPT:
        IdempotencyKey.objects.filter(pk=row.pk).delete()
        return
    if isinstance(response, Response):
        body = "" if response.data is None else WritableJSONRenderer().render(response.data).decode()
        content_type = response.content_type or "application/json"
    else:
        body = getattr(response, "content", b"").decode()
        content_type = response.headers.get("Content-Type", "application/json")
    IdempotencyKey.objects.filter(pk=row.pk).update(
        status=response.status_code,
        body=body,
        content_type=content_type[:64],
        location=response.headers.get("Location", "")[:255],
    )


def _replay(row: IdempotencyKey) -> HttpResponse:
    response = HttpResponse(row.body, status=row.status or 200, content_type=row.content_type)
    response["Idempotency-Replayed"] = "true"
    if row.location:
        response["Location"] = row.location
    return response
