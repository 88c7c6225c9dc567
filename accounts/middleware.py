"""Who acts, what a refusal looks like on a page, and who must have a second factor first."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import cast

from allauth.mfa.utils import is_mfa_enabled
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.functional import SimpleLazyObject
from django.utils.translation import gettext as _

from accounts.models import AccessOutcome, AccessVerb
from accounts.requests import actor_of
from accounts.services import access_record
from standards.errors import DomainError, Forbidden

logger = logging.getLogger(__name__)

Answer = Callable[[HttpRequest], HttpResponse]


class ActorMiddleware:
    """``request.actor``: who acts, read from the database only when somebody asks."""

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.actor = SimpleLazyObject(lambda: actor_of(request))  # type: ignore[attr-defined]
        return self.get_response(request)


class ReadableAddressMiddleware:
    """An address with a NUL in it is nobody's: no text of ours, and no text PostgreSQL can hold, has one."""

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if "\x00" in request.path or "%00" in request.META.get("QUERY_STRING", ""):
            return HttpResponseBadRequest(_("This address cannot be read."), content_type="text/plain; charset=utf-8")
        return self.get_response(request)


class DomainErrorMiddleware:
    """The one place that turns a domain error into an answer for a page (the API has its own: problem details)."""

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if isinstance(error, PermissionDenied):
            error = Forbidden()
        if isinstance(error, DomainError):
            if error.status == Forbidden.status:
                denial_record(request, error)
            return refusal(request, error)
        if isinstance(error, OperationalError):
            # the database is away or a lock was not given in time: a passing state, not a fault of this request
            logger.warning("the database did not answer: %s", error)
            response = render(request, "errors/busy.html", status=503)
            response["Retry-After"] = "3"
            return response
        return None


def refusal(request: HttpRequest, error: DomainError) -> HttpResponse:
    """A domain error as a page, or as a fragment where htmx asked for one."""
    is_fragment = bool(getattr(request, "htmx", False)) and "HX-History-Restore-Request" not in request.headers
    template = "errors/partials/_domain.html" if is_fragment else "errors/domain.html"
    response = render(
        request,
        template,
        {"message": str(error), "code": error.code, "status": error.status, "back": _back(request)},
        status=error.status,
    )
    response["Vary"] = "HX-Request"
    if is_fragment:
        # beside what is there, not instead of it
        response["HX-Reswap"] = "afterbegin"
    return response


def _back(request: HttpRequest) -> str:
    return request.path if request.method == "POST" else ""


def denial_record(request: HttpRequest, error: Exception) -> None:
    access_record(
        actor=actor_of(request),
        verb=AccessVerb.DENIED,
        outcome=AccessOutcome.REFUSED,
        object_type="page",
        object_ref=request.path,
        reason=str(error),
        request=request,
        detail={"method": request.method or ""},
    )


class SecondFactorMiddleware:
    """Roles named in ``MFA_REQUIRED_ROLES`` set up their second factor before anything else."""

    session_key = "accounts.second_factor"

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if settings.MFA_REQUIRED_ROLES and self._must_set_up(request):
            messages.info(request, _("Your role needs a second factor. Set it up to go on."))
            return HttpResponseRedirect(reverse("mfa_activate_totp"))
        return self.get_response(request)

    def _must_set_up(self, request: HttpRequest) -> bool:
        if not request.user.is_authenticated or request.session.get(self.session_key):
            return False
        match = request.path
        free = (
            reverse("mfa_index"),
            reverse("account_logout"),
            reverse("account_reauthenticate"),
            "/i18n/",
            "/static/",
        )
        if match.startswith(free):
            return False
        required = actor_of(request).has_role(*cast("list[str]", settings.MFA_REQUIRED_ROLES))
        if required and not is_mfa_enabled(request.user):
            return True
        request.session[self.session_key] = True
        return False
