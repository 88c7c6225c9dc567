"""Every address of the site."""

from importlib.util import find_spec

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

from outage_mgmt import health, live

urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", health.metrics, name="metrics"),
    path("live/", live.no_stream, name="live"),
    path("live/since/", live.since, name="live-since"),
    path("i18n/", include("django.conf.urls.i18n")),
    path("admin/", admin.site.urls),
    path("api/v1/", include("outage_mgmt.api")),
]
PLACES = {
    "accounts.urls": "accounts/",
    "grid.urls": "grid/",
    "outages.faults.urls": "faults/",
    "notifications.urls": "notifications/",
    "call_center.urls": "console/",
    "outages.urls": "",
}
urlpatterns += [path(place, include(module)) for module, place in PLACES.items() if find_spec(module)]
urlpatterns += [path("accounts/", include("allauth.urls"))]
