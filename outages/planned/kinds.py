"""Planned outages in the unified record. The intake, checks and approvals of plans come on top of this."""

from django.utils.translation import gettext_lazy as _

from outages.kinds import KindHandler
from outages.models import OutageKind


class PlannedHandler(KindHandler):
    kind = OutageKind.PLANNED
    prefix = "P"
    label = _("planned outage")
    shape = "◷"
    tone = "info"
    rank = 4
    reason_zh = "计划检修"
    reason_en = "planned work"
    steps = (
        ("scheduled", _("announced")),
        ("active", _("in progress")),
        ("partially_restored", _("partly restored")),
        ("restored", _("restored")),
        ("closed", _("closed")),
    )
