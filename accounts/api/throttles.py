"""How often somebody without a login may ask, counted by the peer's address in the cache.

When the cache is away nobody is counted: what stands behind these limits is public, or not worth guessing.
"""

from __future__ import annotations

import hashlib
from typing import Any

from django.http import HttpRequest
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle

from accounts.requests import address_of


class PublicThrottle(SimpleRateThrottle):
    """Reading what is published."""

    scope = "public"
    rate = "120/min"

    def get_cache_key(self, request: Request | HttpRequest, view: Any) -> str:
        return f"throttle:{self.scope}:{address_of(request)}"


class LookupThrottle(PublicThrottle):
    """Asking for something of one's own."""

    scope = "lookup"
    rate = "20/min"


class SecretThrottle(SimpleRateThrottle):
    """Guessing what only the holder of one number knows, from wherever."""

    scope = "secret"
    rate = "5/hour"

    def __init__(self, number: str) -> None:
        super().__init__()
        self.number = hashlib.sha256(number.encode()).hexdigest()

    def get_cache_key(self, request: Request | HttpRequest, view: Any) -> str:
        return f"throttle:{self.scope}:{self.number}"
