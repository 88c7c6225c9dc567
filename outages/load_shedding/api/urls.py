"""What SCADA, the shedding desk's tools and the public read and call."""

from django.urls import include, path
from rest_framework.routers import SimpleRouter

from outages.load_shedding.api.views import EventViewSet, PlanViewSet, ScheduleView, SlotViewSet, SwitchingViewSet

router = SimpleRouter()
router.register("shedding-plans", PlanViewSet, basename="shedding-plan")
router.register("shedding-events", EventViewSet, basename="shedding-event")
router.register("shedding-slots", SlotViewSet, basename="shedding-slot")
router.register("shedding-switchings", SwitchingViewSet, basename="shedding-switching")

urlpatterns = [
    path("shedding-schedule/", ScheduleView.as_view(), name="shedding-schedule-list"),
    path("", include(router.urls)),
]
