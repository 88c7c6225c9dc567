"""Non-payment cut-offs in the unified record: private, and about one service point each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.utils.translation import gettext_lazy as _

from outages.kinds import KindHandler
from outages.models import OutageKind
from standards.errors import DomainError

if TYPE_CHECKING:
    from accounts.actor import Actor
    from outages.models import Outage

# the fact that ``services.record`` hands to every change of a cut's record: nobody else changes one
BY_ORDER: Final = "cutoff_order"


class FollowsItsOrder(DomainError):
    code = "follows_its_order"
    status = 409
    message = _("The record of a cut-off follows its order: change the order instead.")


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
    also_by = dict.fromkeys(("schedule", "start", "set_etr", "restore", "cancel"), ("cutoff.propose", "cutoff.approve"))
    steps = (
        ("scheduled", _("notice served")),
        ("active", _("disconnected")),
        ("restored", _("reconnected")),
        ("closed", _("closed")),
    )

    def may(self, outage: Outage, action: str, actor: Actor, facts: dict[str, Any]) -> None:
        if not facts.get(BY_ORDER):
            raise FollowsItsOrder()
