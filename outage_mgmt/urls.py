"""Every address of the site."""

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
    path("accounts/", include("accounts.urls")),  # ours first: some of allauth's pages are closed here
    path("accounts/", include("allauth.urls")),
    path("grid/", include("grid.urls")),
    path("faults/", include("outages.faults.urls")),
    path("planned/", include("outages.planned.urls")),
    path("shedding/", include("outages.load_shedding.urls")),
    path("notifications/", include("notifications.urls")),
    path("cutoffs/", include("billing_cutoffs.urls")),
    path("console/", include("call_center.urls")),
    path("", include("outages.urls")),
]
