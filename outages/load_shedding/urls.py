"""The pages of load shedding."""

from django.urls import URLPattern

app_name = "load_shedding"

urlpatterns: list[URLPattern] = []
