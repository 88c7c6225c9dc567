"""Machine clients prove who they are by a token in the Authorization header, and nowhere else."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from django.utils.translation import gettext_lazy as _
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from accounts import selectors, services
from accounts.models import ServiceToken, User
from accounts.requests import address_of

_WORDS = (b"token", b"bearer")


class ServiceTokenAuthentication(BaseAuthentication):
    """``Authorization: Token <key>``. A wrong, expired, revoked or misplaced key gets the same 401."""

    def authenticate(self, request: Request) -> tuple[User, ServiceToken] | None:
        parts = get_authorization_header(request).split()
        if not parts or parts[0].lower() not in _WORDS:
            return None
        try:
            key = parts[1].decode("ascii") if len(parts) == 2 else ""
        except UnicodeDecodeError:
            key = ""
        token = selectors.token_by_key(key)
        if token is None or not _comes_from(token, address_of(request)):
            raise AuthenticationFailed(_("This token is not valid here."), code="invalid_token")
        services.token_touch(token=token)
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return 'Token realm="api"'


def _comes_from(token: ServiceToken, address: str | None) -> bool:
    if not token.addresses:
        return True
    return address is not None and any(
        ip_address(address) in ip_network(allowed, strict=False) for allowed in token.addresses
    )


class ServiceTokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = ServiceTokenAuthentication
    name = "serviceToken"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "`Token <key>` of a machine client. Scopes and branch belong to the token.",
        }
