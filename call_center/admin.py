"""Calls are read here, never written: what was said was said."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from call_center.models import Call


@admin.register(Call)
class CallAdmin(admin.ModelAdmin[Call]):
    list_display = ("key", "started_at", "agent", "branch", "reason", "shown_outage", "callback_wanted")
    list_filter = ("reason", "branch")
    date_hierarchy = "started_at"
    list_select_related = ("agent", "branch", "outage")
    # the administrator has no customer data (reliability.md 6.1): the caller and the note stay out
    fields = ("key", "started_at", "ended_at", "agent", "branch", "reason", "scope", "shown_outage", "said")

    @admin.display(description=_("Said"))
    def said(self, call: Call) -> str:
        return "" if call.said_is_private else f"{call.said_zh} {call.said_en}"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Call | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Call | None = None) -> bool:
        return False
