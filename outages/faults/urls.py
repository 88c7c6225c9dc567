from django.urls import path

from outages.faults.views import entry, steps

app_name = "faults"

urlpatterns = [
    path("", entry.dispatch, name="dispatch"),
    path("new/", entry.new, name="new"),
    path("new/place/", entry.place, name="place"),
    path("<str:reference>/reports/", steps.reports, name="reports"),
    path("<str:reference>/crews/<int:assignment_id>/", steps.crew_state, name="crew-state"),
    path("<str:reference>/<slug:name>/", steps.step, name="step"),
]
