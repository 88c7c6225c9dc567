"""Looking things up in Django's admin. The network changes by imports, so most of it is read-only here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin
from django.http import HttpRequest

from grid.forest import network_rebuild
from grid.models import Branch, ContactPoint, Customer, GridElement, GridImport, ServicePoint

if TYPE_CHECKING:
    from django.forms import ModelForm

    _BranchAdmin = admin.ModelAdmin[Branch]
    _ElementAdmin = admin.ModelAdmin[GridElement]
    _CustomerAdmin = admin.ModelAdmin[Customer]
    _PointAdmin = admin.ModelAdmin[ServicePoint]
    _ImportAdmin = admin.ModelAdmin[GridImport]
    _ContactInline = admin.TabularInline[ContactPoint, Customer]
else:
    _BranchAdmin = _ElementAdmin = _CustomerAdmin = _PointAdmin = _ImportAdmin = admin.ModelAdmin
    _ContactInline = admin.TabularInline


@admin.register(Branch)
class BranchAdmin(_BranchAdmin):
    list_display = ["name", "code", "parent", "area_class", "rule_pack"]
    search_fields = ["code", "name", "name_en"]
    raw_id_fields = ["parent"]

    def save_model(self, request: HttpRequest, obj: Branch, form: ModelForm[Branch], change: bool) -> None:
        super().save_model(request, obj, form, change)
        network_rebuild()  # its place among the branches may have moved

    def has_delete_permission(self, request: HttpRequest, obj: Branch | None = None) -> bool:
        return False


class _ReadOnly:
    """What comes from imports is looked at here, not edited."""

    show_full_result_count = False  # counting ten million rows would be the slowest part of the page

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


@admin.register(GridElement)
class GridElementAdmin(_ReadOnly, _ElementAdmin):
    list_display = ["code", "name", "kind", "branch", "customers", "critical_customers", "is_open"]
    list_filter = ["kind", "is_open"]
    list_select_related = ["branch"]
    search_fields = ["code", "name"]
    raw_id_fields = ["parent", "feeder", "branch"]


class ContactPointInline(_ContactInline):
    model = ContactPoint
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Customer | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Customer | None = None) -> bool:
        return False


@admin.register(Customer)
class CustomerAdmin(_ReadOnly, _CustomerAdmin):
    list_display = ["account_number", "name", "customer_class", "importance", "branch"]
    list_filter = ["importance", "customer_class"]
    list_select_related = ["branch"]
    search_fields = ["=account_number", "name", "initials"]
    inlines = [ContactPointInline]


@admin.register(ServicePoint)
class ServicePointAdmin(_ReadOnly, _PointAdmin):
    list_display = ["code", "meter_number", "customer", "element", "address"]
    list_select_related = ["customer", "element"]
    search_fields = ["=code", "=meter_number", "address"]
    raw_id_fields = ["customer", "element", "branch"]


@admin.register(GridImport)
class GridImportAdmin(_ReadOnly, _ImportAdmin):
    list_display = ["id", "source_format", "source", "status", "actor", "started_at", "finished_at"]
    list_filter = ["status", "source_format"]
