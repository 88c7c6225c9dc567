"""The one place that says whose rows an actor may touch. Deny by default; foreign is the same as missing.

Every branch-owned model names the way to its branch in the class attribute ``branch_lookup`` (``""`` for the branch
itself) and may name the capability that reading it needs in ``read_capability``.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final, TypeVar

from django import forms
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Model, Q, QuerySet
from rest_framework import serializers

from accounts.actor import Actor
from accounts.policies import intervals_of
from standards.errors import UnknownCode

M = TypeVar("M", bound=Model)

# the network's own models stand below and know no capabilities
_READ_CAPABILITY: Final = {
    "grid.branch": "grid.read",
    "grid.gridelement": "grid.read",
    "grid.customer": "customer.read_masked",
    "grid.contactpoint": "customer.read_masked",
    "grid.servicepoint": "customer.read_masked",
}


def read_capability(model: type[Model]) -> str:
    """What reading this model needs; without a word of its own it is part of the outage record."""
    known = _READ_CAPABILITY.get(model._meta.label_lower)
    return known or str(getattr(model, "read_capability", "outage.read"))


def branch_filter(actor: Actor, model: type[Model], capability: str | None = None) -> Q | None:
    """The rows of ``model`` in the actor's branches; ``None`` when nothing needs filtering."""
    lookup = getattr(model, "branch_lookup", None)
    if lookup is None:
        raise ImproperlyConfigured(f"{model._meta.label} declares no branch_lookup, so nobody may see it")
    intervals = intervals_of(actor, capability or read_capability(model))
    if intervals is None:
        return None
    field = f"{lookup}__pos" if lookup else "pos"
    condition = Q(pk__in=[])
    for first, last in intervals:
        condition |= Q(**{f"{field}__range": (first, last)})
    return condition


def branch_condition(actor: Actor, capability: str, *, pos: str) -> tuple[str, dict[str, Any]]:
    """The same rule for plain SQL: a condition on the column ``pos`` of the branch, and its parameters."""
    intervals = intervals_of(actor, capability)
    if intervals is None:
        return "TRUE", {}
    condition = (
        f"EXISTS (SELECT FROM unnest(%(firsts)s::bigint[], %(lasts)s::bigint[]) s(a, z) WHERE {pos} BETWEEN a AND z)"
    )
    return condition, {"firsts": [first for first, _last in intervals], "lasts": [last for _first, last in intervals]}


def visible_to(actor: Actor, queryset: QuerySet[M], capability: str | None = None) -> QuerySet[M]:
    """What of ``queryset`` lies in a branch where the actor has the capability (reading, if none is named)."""
    condition = branch_filter(actor, queryset.model, capability)
    return queryset if condition is None else queryset.filter(condition)


def ids_known(*, actor: Actor, model: type[Model], codes: Collection[str], capability: str) -> dict[str, int]:
    """Those of the public codes that the actor may name, with their ids: one statement however many there are."""
    if not codes:
        return {}
    scoped = visible_to(actor, model._default_manager.all(), capability)
    return dict(scoped.filter(code__in=list(codes)).values_list("code", "pk"))


def ids_by_code(*, actor: Actor, model: type[Model], codes: Collection[str], field: str, capability: str) -> list[int]:
    """The ids behind public codes, in the branches where the actor has the capability. Raises ``UnknownCode``."""
    found = ids_known(actor=actor, model=model, codes=codes, capability=capability)
    for code in codes:
        if code not in found:
            raise UnknownCode(field=field, value=code)
    return [found[code] for code in codes]


class ScopedModelChoiceField(forms.ModelChoiceField):  # type: ignore[type-arg]
    """A form's reference to a branch-owned object; call ``scope_to(actor)`` before use, else it offers nothing.

    A foreign object is refused in the same words as one that does not exist.
    """

    def __init__(self, queryset: QuerySet[Any], *, capability: str | None = None, **kwargs: Any) -> None:
        self.unscoped = queryset
        self.capability = capability
        super().__init__(queryset=queryset.none(), **kwargs)

    def scope_to(self, actor: Actor) -> None:
        self.queryset = visible_to(actor, self.unscoped, self.capability)


class ScopedModelMultipleChoiceField(forms.ModelMultipleChoiceField, ScopedModelChoiceField):  # type: ignore[type-arg]
    """The same for several objects at once."""


class ScopedFormMixin:
    """Gives every scoped field of a form its actor: ``MyForm(data, actor=actor)``."""

    def __init__(self, *args: Any, actor: Actor, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.actor = actor
        for field in self.fields.values():  # type: ignore[attr-defined]
            if isinstance(field, ScopedModelChoiceField):
                field.scope_to(actor)


class ScopedRelatedField(serializers.SlugRelatedField[Any]):
    """A body's reference to a branch-owned object by its public code, within the branches of the request's actor."""

    def __init__(self, *, slug_field: str, capability: str | None = None, **kwargs: Any) -> None:
        self.capability = capability
        super().__init__(slug_field=slug_field, **kwargs)

    def get_queryset(self) -> QuerySet[Any]:
        from accounts.requests import actor_of  # requests reads tokens, tokens read scopes

        queryset = super().get_queryset()
        if not isinstance(queryset, QuerySet):
            raise ImproperlyConfigured(f"{self.field_name} needs a queryset")
        return visible_to(actor_of(self.context["request"]), queryset, self.capability)
