"""One kind of error for everything a person or a machine client did that cannot be done."""

from __future__ import annotations

from typing import ClassVar

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class DomainError(Exception):
    """A refusal with a stable ``code``, a message in the reader's language and an HTTP status.

    Nothing has been written when it is raised: services raise before they write, or inside the
    transaction that is rolled back.
    """

    code: ClassVar[str] = "invalid"
    status: ClassVar[int] = 422
    message: ClassVar[str | Promise] = _("This cannot be done.")

    def __init__(self, message: str | Promise | None = None, *, field: str = "", **params: object) -> None:
        self.detail = message if message is not None else self.message
        self.field = field
        self.params = params
        super().__init__(self.detail)

    def __str__(self) -> str:
        text = str(self.detail)
        return text % self.params if self.params else text


class NotFound(DomainError):
    code = "not_found"
    status = 404
    message = _("There is nothing here by that name, or it belongs to another branch.")


class UnknownCode(DomainError):
    """A code of the request that names nothing here, or nothing the asker may see."""

    code = "unknown_code"
    message = _("“%(value)s” is not in the list.")


class Forbidden(DomainError):
    code = "forbidden"
    status = 403
    message = _("Your role does not allow this.")


class Conflict(DomainError):
    code = "conflict"
    status = 409
    message = _("Somebody else changed this in the meantime.")
