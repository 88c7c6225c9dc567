"""Addresses of planning under ``/api/v1/``."""

from django.urls import include, path
from rest_framework.routers import SimpleRouter

from outages.planned.api.views import PeriodViewSet, WindowViewSet, WorkViewSet

router = SimpleRouter()
router.register("plan-periods", PeriodViewSet, basename="plan-period")
router.register("planned-works", WorkViewSet, basename="planned-work")
router.register("planned-windows", WindowViewSet, basename="planned-window")

urlpatterns = [path("", include(router.urls))]
