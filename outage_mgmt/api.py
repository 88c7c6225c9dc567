"""Every app's REST interface under ``/api/v1/``, with its schema and its offline documentation."""

from importlib.util import find_spec

from django.urls import URLPattern, URLResolver, include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

APPS = ["standards", "grid", "accounts", "outages", "outages.faults", "notifications", "call_center"]

urlpatterns: list[URLPattern | URLResolver] = [
    path("schema/", SpectacularAPIView.as_view(), name="api-schema"),
    path("docs/", SpectacularSwaggerView.as_view(url_name="api-schema"), name="api-docs"),
]
urlpatterns += [
    path("", include(f"{app}.api.urls")) for app in APPS if find_spec(f"{app}.api") and find_spec(f"{app}.api.urls")
]
