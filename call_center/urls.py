"""Addresses of the console. No address ever holds a telephone number; ``pop`` leaves at once."""

from django.urls import path

from call_center import views

app_name = "call_center"
urlpatterns = [
    path("", views.console, name="console"),
    path("search/", views.find, name="search"),
    path("pop/", views.pop, name="pop"),
    path("call/start/", views.start, name="start"),
    path("call/<uuid:key>/", views.call, name="call"),
    path("call/<uuid:key>/card/", views.card, name="card"),
    path("call/<uuid:key>/premises/", views.choose, name="choose"),
    path("call/<uuid:key>/draft/", views.draft, name="draft"),
    path("call/<uuid:key>/log/", views.log, name="log"),
    path("calls/", views.calls, name="calls"),
    path("callbacks/", views.callbacks, name="callbacks"),
    path("callbacks/<int:callback_id>/", views.callback_record, name="callback_record"),
    path("pins/", views.pin, name="pin"),
]
