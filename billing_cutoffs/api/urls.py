"""What billing, the meter system and the telephone menu call."""

from django.urls import include, path
from rest_framework.routers import SimpleRouter

from billing_cutoffs.api import feed, orders, results

router = SimpleRouter()
router.register("arrears", feed.ArrearsViewSet, basename="arrears")
router.register("payments", feed.PaymentsViewSet, basename="payment")
router.register("account-holds", feed.AccountHoldsViewSet, basename="account-hold")
router.register("temperature-forecasts", feed.TemperatureForecastsViewSet, basename="temperature-forecast")
router.register("cut-complaints", feed.CutComplaintsViewSet, basename="cut-complaint")
router.register("cutoff-orders", orders.CutoffOrderViewSet, basename="cutoff-order")
router.register("cutoff-results", results.CutoffResultsViewSet, basename="cutoff-result")

urlpatterns = [path("", include(router.urls))]
