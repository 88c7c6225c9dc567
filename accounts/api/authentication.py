"""Machine clients prove who they are by a token in the Authorization header."""

from __future__ import annotations

from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request


class ServiceTokenAuthentication(BaseAuthentication):
    def authenticate(self, request: Request) -> None:
        return None
