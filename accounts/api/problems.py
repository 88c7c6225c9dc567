"""Every refusal of the API as problem details (RFC 9457), with a stable ``code`` beside the translated text."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.core.exceptions import ValidationError as ModelValidationError
from django.core.signals import got_request_exception
from django.db import OperationalError
from django.http import Http404
from django.utils.translation import gettext as _
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from accounts.middleware import denial_record
from standards.errors import DomainError, NotFound

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"


def problem_response(error: Exception, context: dict[str, Any]) -> Response:
    """What ``REST_FRAMEWORK["EXCEPTION_HANDLER"]`` calls for everything that a view raises."""
    set_rollback()
    request = context.get("request")
    response = _answer(error, request)
    path = getattr(request, "path", "")
    if path:
        response.data["instance"] = path
    if response.status_code == HTTPStatus.FORBIDDEN and request is not None:
        denial_record(request, error)
    return response


def problem(
    *, status: int, code: str, detail: str, errors: list[dict[str, str]] | None = None, **extra: object
) -> Response:
    """One problem document; use it where a refusal is answered without an exception."""
    body: dict[str, object] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
        **extra,
    }
    if errors:
        body["errors"] = errors
    return Response(body, status=status, content_type=MEDIA_TYPE)


def _answer(error: Exception, request: Any) -> Response:
    if isinstance(error, DomainError):
        fields = [{"field": error.field, "code": error.code, "detail": str(error)}] if error.field else None
        return problem(status=error.status, code=error.code, detail=str(error), errors=fields)
    if isinstance(error, Http404):
        return _answer(NotFound(), request)
    if isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    if isinstance(error, RequestDataTooBig):
        return problem(status=413, code="too_large", detail=_("The request is too large."))
    if isinstance(error, ModelValidationError):
        error = exceptions.ValidationError(getattr(error, "message_dict", None) or error.messages)
    if isinstance(error, exceptions.ValidationError):
        found = list(flat_errors(error.detail))
        return problem(status=400, code="invalid", detail=_("Some of the fields are not right."), errors=found)
    if isinstance(error, exceptions.NotFound):
        return _answer(NotFound(), request)
    if isinstance(error, exceptions.APIException):
        return _of_framework(error)
    if isinstance(error, OperationalError):
        logger.warning("the database did not answer: %s", error)
        return _with_headers(
            problem(status=503, code="busy", detail=_("The system is busy. Try again in a moment.")),
            {"Retry-After": "3"},
        )
    logger.error("an API view failed", exc_info=error)
    got_request_exception.send(sender=None, request=request)
    return problem(status=500, code="internal", detail=_("Something went wrong on our side. It has been recorded."))


def _of_framework(error: exceptions.APIException) -> Response:
    headers = {}
    if getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = error.auth_header  # type: ignore[attr-defined]
    wait = getattr(error, "wait", None)
    if wait is not None:
        headers["Retry-After"] = f"{wait:.0f}"
    codes = error.get_codes()
    code = codes if isinstance(codes, str) else error.default_code
    detail = str(error.detail) if isinstance(error.detail, str) else str(error.default_detail)
    return _with_headers(problem(status=error.status_code, code=code, detail=detail), headers)


def _with_headers(response: Response, headers: dict[str, str]) -> Response:
    for name, value in headers.items():
        response[name] = value
    return response


def flat_errors(detail: Any, path: str = "") -> Iterator[dict[str, str]]:
    """Nested errors as a flat list; ``items.2.code`` is the place in the body."""
    if isinstance(detail, dict):
        for key, value in detail.items():
            here = path if key == "non_field_errors" else f"{path}.{key}".lstrip(".")
            yield from flat_errors(value, here)
    elif isinstance(detail, list):
        for index, value in enumerate(detail):
            nested = isinstance(value, dict | list)
            yield from flat_errors(value, f"{path}.{index}".lstrip(".") if nested else path)
    else:
        yield {"field": path, "code": getattr(detail, "code", "invalid"), "detail": str(detail)}
