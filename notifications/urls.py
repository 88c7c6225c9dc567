"""Pages about messages."""

from django.urls import path

from notifications import views

app_name = "notifications"

urlpatterns = [
    path("outages/<str:reference>/", views.outage_notices, name="outage_notices"),
]
