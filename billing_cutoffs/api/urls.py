"""What billing, the meter system and the telephone menu call."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
