"""Django's own permissions for the administrator role, so that Django's admin asks the same policy."""

from __future__ import annotations

from typing import Final

from django.contrib.auth.backends import BaseBackend
from django.db.models import Model

from accounts.models import User
from accounts.policies import actor_may

# the administrator keeps the network and the accounts, and has no customer data
_MODELS: Final = {
    "grid.branch": ("view", "add", "change"),
    "grid.gridelement": ("view",),
    "grid.gridtie": ("view",),
    "grid.gridimport": ("view", "add", "change"),
    "accounts.user": ("view",),
    "accounts.rolegrant": ("view",),
    "accounts.servicetoken": ("view",),
    "axes.accessattempt": ("view", "delete"),
    "axes.accesslog": ("view",),
    "mfa.authenticator": ("view", "delete"),
}
PERMISSIONS: Final = frozenset(
    f"{label.split('.')[0]}.{verb}_{label.split('.')[1]}" for label, verbs in _MODELS.items() for verb in verbs
)


class RoleBackend(BaseBackend):
    def has_perm(self, user_obj: object, perm: str, obj: Model | None = None) -> bool:
        if not isinstance(user_obj, User) or not user_obj.is_active or perm not in PERMISSIONS:
            return False
        return actor_may(user_obj.as_actor(), "users.manage")

    def has_module_perms(self, user_obj: object, app_label: str) -> bool:
        apps = {perm.partition(".")[0] for perm in PERMISSIONS}
        return (
            isinstance(user_obj, User) and app_label in apps and self.has_perm(user_obj, f"{next(iter(PERMISSIONS))}")
        )
