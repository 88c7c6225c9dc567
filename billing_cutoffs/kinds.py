"""Non-payment cut-offs in the unified record: private, and about one service point each."""

from django.utils.translation import gettext_lazy as _

from outages.kinds import KindHandler
from outages.models import OutageKind


class NonPaymentHandler(KindHandler):
    kind = OutageKind.NON_PAYMENT
    prefix = "C"
    label = _("non-payment cut-off")
    shape = "✂"
    tone = "muted"
    rank = 5
    is_public = False
    reason_zh = "欠费"
    reason_en = "an unpaid account"
    steps = (
        ("scheduled", _("notice served")),
        ("active", _("disconnected")),
        ("restored", _("reconnected")),
        ("closed", _("closed")),
    )
