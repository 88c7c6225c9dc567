"""What SCADA, the shedding desk's tools and the public read and call."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
