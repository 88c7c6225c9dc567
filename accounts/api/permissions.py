"""One permission class for the whole API: it asks the policy, for people and machine clients alike."""

from __future__ import annotations

from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.policies import CAPABILITIES, actor_may
from accounts.requests import actor_of


def needs(capability: str, **by_action: str) -> type[BasePermission]:
    """``permission_classes = [needs("outage.read", create="outage.write")]``: the default, then by viewset action.

    Asks whether the actor has the capability anywhere; the branch of the one object is the selector's and the
    service's question. Scopes of tokens are mapped to capabilities in ``accounts.policies.SCOPE_CAPABILITIES``.
    """
    unknown = {capability, *by_action.values()} - CAPABILITIES
    if unknown:
        raise LookupError(f"not a capability: {sorted(unknown)}")

    class Needs(BasePermission):
        def has_permission(self, request: Request, view: APIView) -> bool:
            if not request.user or not request.user.is_authenticated:
                return False
            action: Any = getattr(view, "action", None)
            return actor_may(actor_of(request), by_action.get(action, capability))

    return Needs
