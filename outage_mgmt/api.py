"""Every app's REST interface under ``/api/v1/``, with its schema and its offline documentation."""

from django.urls import URLPattern, URLResolver, include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

urlpatterns: list[URLPattern | URLResolver] = [
    path("schema/", SpectacularAPIView.as_view(), name="api-schema"),
    path("docs/", SpectacularSwaggerView.as_view(url_name="api-schema"), name="api-docs"),
    path("", include("outages.api.urls")),
    path("", include("outages.faults.api.urls")),
    path("", include("outages.planned.api.urls")),
    path("", include("outages.load_shedding.api.urls")),
    path("", include("notifications.api.urls")),
    path("", include("billing_cutoffs.api.urls")),
]
