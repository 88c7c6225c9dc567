"""The pages of debts and cut-offs."""

from django.urls import URLPattern

app_name = "billing_cutoffs"

urlpatterns: list[URLPattern] = []
