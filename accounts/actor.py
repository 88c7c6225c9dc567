"""Who does something: a person, a machine client, or the system itself. Always an argument, never ambient."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from accounts.models import User


@dataclass(frozen=True)
class Grant:
    """A role over a subtree of branches; ``pos``/``last`` of ``None`` mean every branch."""

    role: str
    pos: int | None = None
    last: int | None = None

    def covers(self, branch_pos: int) -> bool:
        return self.pos is None or (self.last is not None and self.pos <= branch_pos <= self.last)


@dataclass(frozen=True)
class Actor:
    kind: Literal["user", "service", "system"]
    name: str
    user_id: int | None = None
    grants: tuple[Grant, ...] = ()
    scopes: frozenset[str] = field(default_factory=frozenset)

    @classmethod
    def system(cls, name: str) -> Actor:
        """A part of this system, named as it should stand in the history: ``Actor.system("router")``."""
        return cls(kind="system", name=name)

    @classmethod
    def for_user(cls, user: User) -> Actor:
        """The person (or machine client) with the roles in force now."""
        return user.as_actor()

    def has_role(self, *roles: str, branch_pos: int | None = None) -> bool:
        """Holds one of the roles, over the branch at ``branch_pos`` if one is given. The system may everything."""
        if self.kind == "system":
            return True
        return any(g.role in roles and (branch_pos is None or g.covers(branch_pos)) for g in self.grants)
