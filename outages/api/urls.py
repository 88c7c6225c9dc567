"""Addresses of the record under ``/api/v1/``."""

from django.urls import include, path
from rest_framework.routers import SimpleRouter

from outages.api.views import EventFeedView, OutageViewSet, SupplyStatusView

router = SimpleRouter()
router.register("outages", OutageViewSet, basename="outage")

urlpatterns = [
    path("events/", EventFeedView.as_view(), name="event-feed"),
    path("supply-status/", SupplyStatusView.as_view(), name="supply-status"),
    path("", include(router.urls)),
]
