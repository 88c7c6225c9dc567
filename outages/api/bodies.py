"""Reading what clients send, the same way for every kind: one body, or up to a thousand items, each by itself."""

from __future__ import annotations

from typing import Any, Final

from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.serializers import BaseSerializer, Serializer

from accounts.api.idempotency import HEADER
from accounts.api.problems import flat_errors
from standards.errors import DomainError

MOST_ITEMS: Final = 1000  # of one batch

IDEMPOTENCY: Final = OpenApiParameter(
    HEADER,
    str,
    OpenApiParameter.HEADER,
    description="Any text of up to 255 characters. The same key and body get the first answer again.",
)


class BadItem(DomainError):
    """An item of a batch whose shape is wrong."""

    code = "invalid"
    status = 400


class BoundedListField(serializers.ListField):
    """Counts its items before it looks at any of them: a million wrong ones are one mistake, not a million."""

    def to_internal_value(self, data: Any) -> list[Any]:
        if isinstance(data, list) and self.max_length is not None and len(data) > self.max_length:
            self.fail("max_length", max_length=self.max_length)
        return super().to_internal_value(data)


class CodesField(BoundedListField):
    """Public codes of a list of things; none, if it is left out."""

    child = serializers.CharField(max_length=128)

    def __init__(self, help_text: str) -> None:
        super().__init__(help_text=help_text, required=False, default=list, max_length=1000)


class ActionSerializer(serializers.Serializer[Any]):
    """Every action may say which version it was decided on; another one is a 409 ``conflict``."""

    version = serializers.IntegerField(required=False, min_value=0)


class ItemErrorSerializer(serializers.Serializer[Any]):
    """Why one item of a batch was refused; ``field`` is the place in the item."""

    code = serializers.CharField()
    detail = serializers.CharField()
    field = serializers.CharField(allow_blank=True)


def validated(serializer: BaseSerializer[Any]) -> dict[str, Any]:
    """What the body says, or the framework's own refusal."""
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


def versioned(facts: dict[str, Any]) -> dict[str, Any]:
    """``version`` of the body is what the service compares with the row it has locked."""
    return {("expected_version" if name == "version" else name): value for name, value in facts.items()}


def items_read(
    data: Any, *, name: str, batch: type[Serializer[Any]], item: type[Serializer[Any]]
) -> list[dict[str, Any] | DomainError]:
    """Every item of the list ``name`` read by itself, so that one with a wrong shape stops no other."""
    items = data.get(name) if isinstance(data, dict) else None
    if not isinstance(items, list) or not 0 < len(items) <= MOST_ITEMS:
        validated(batch(data=data))  # says in the usual words what is wrong
    child = item()  # its fields are made once, not once per item
    return [_item_read(child, asked) for asked in items or []]


def _item_read(child: Serializer[Any], item: Any) -> dict[str, Any] | DomainError:
    try:
        return dict(child.run_validation(item))
    except ValidationError as wrong:
        first = next(flat_errors(wrong.detail))
        return BadItem(first["detail"], field=first["field"])


def refusal(error: DomainError) -> dict[str, str]:
    """The ``error`` of one item's answer."""
    return {"code": error.code, "detail": str(error), "field": error.field}
