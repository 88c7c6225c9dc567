"""Looking things up in the admin. Nothing here writes: the record changes through its services only."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from accounts.requests import actor_of
from accounts.scope import visible_to
from outages.models import Interruption, Outage, OutageEvent
from outages.selectors import events_visible_to, outages_visible_to


class ReadOnlyAdmin(admin.ModelAdmin[Any]):
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(Outage)
class OutageAdmin(ReadOnlyAdmin):
    list_display = ("reference", "kind", "status", "branch", "started_at", "restored_at", "customers_out")
    list_filter = ("kind", "status")
    search_fields = ("reference",)
    list_select_related = ("branch",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Outage]:
        return outages_visible_to(actor_of(request))


@admin.register(OutageEvent)
class OutageEventAdmin(ReadOnlyAdmin):
    list_display = ("outage", "sequence", "verb", "actor_name", "at")
    search_fields = ("outage__reference",)
    list_select_related = ("outage",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[OutageEvent]:
        return events_visible_to(actor_of(request))


@admin.register(Interruption)
class InterruptionAdmin(ReadOnlyAdmin):
    list_display = ("outage", "element", "service_point", "planned", "actual", "customers")
    search_fields = ("outage__reference",)
    list_select_related = ("outage", "element", "service_point")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Interruption]:
        return visible_to(actor_of(request), super().get_queryset(request))
