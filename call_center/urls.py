"""Addresses of the console. No address ever holds a telephone number; ``pop`` leaves at once."""

from django.urls import path

from call_center.views import calls, debts

app_name = "call_center"
urlpatterns = [
    path("", calls.console, name="console"),
    path("search/", calls.find, name="search"),
    path("pop/", calls.pop, name="pop"),
    path("call/start/", calls.start, name="start"),
    path("call/<uuid:key>/", calls.call, name="call"),
    path("call/<uuid:key>/card/", calls.card, name="card"),
    path("call/<uuid:key>/premises/", calls.choose, name="choose"),
    path("call/<uuid:key>/draft/", calls.draft, name="draft"),
    path("call/<uuid:key>/log/", calls.log, name="log"),
    path("call/<uuid:key>/identity/", debts.identity, name="identity"),
    path("call/<uuid:key>/identity/withdraw/", debts.identity_withdraw, name="identity_withdraw"),
    path("call/<uuid:key>/hold/", debts.hold, name="hold"),
    path("call/<uuid:key>/complaint/", debts.complaint, name="complaint"),
    path("call/<uuid:key>/safe/", debts.safe, name="safe"),
    path("calls/", calls.calls, name="calls"),
    path("callbacks/", calls.callbacks, name="callbacks"),
    path("callbacks/<int:callback_id>/", calls.callback_record, name="callback_record"),
    path("pins/", calls.pin, name="pin"),
]
