from django.urls import path

from grid import views

app_name = "grid"

urlpatterns = [
    path("imports/", views.import_list, name="imports"),
    path("imports/<int:pk>/", views.import_detail, name="import"),
    path("imports/<int:pk>/confirm/", views.import_confirm, name="import-confirm"),
    path("imports/<int:pk>/discard/", views.import_discard, name="import-discard"),
    path("imports/templates/<slug:table>.csv", views.template, name="template"),
]
