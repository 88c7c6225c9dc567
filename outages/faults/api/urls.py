"""Addresses of faults and trouble reports under ``/api/v1/``."""

from django.urls import include, path
from rest_framework.routers import SimpleRouter

from outages.faults.api.views import FaultViewSet, ReportViewSet

router = SimpleRouter()
router.register("faults", FaultViewSet, basename="fault")
router.register("trouble-reports", ReportViewSet, basename="trouble-report")

urlpatterns = [path("", include(router.urls))]
