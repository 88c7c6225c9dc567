"""REST addresses of messages."""

from django.urls import path

from notifications.api.views import ReceiptView

urlpatterns = [
    path("receipts/<slug:account>/", ReceiptView.as_view(), name="api-receipts"),
]
