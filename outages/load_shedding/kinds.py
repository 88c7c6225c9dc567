"""Load shedding in the unified record. Blocks, events and slots come on top of this."""

from django.utils.translation import gettext_lazy as _

from outages.kinds import KindHandler
from outages.models import OutageKind


class LoadSheddingHandler(KindHandler):
    kind = OutageKind.LOAD_SHEDDING
    prefix = "S"
    label = _("load shedding")
    shape = "▤"
    tone = "shedding"
    rank = 3
    reason_zh = "有序用电"
    reason_en = "load shedding"
    steps = (
        ("scheduled", _("slot confirmed")),
        ("active", _("off")),
        ("restored", _("on again")),
        ("closed", _("reconciled")),
    )
