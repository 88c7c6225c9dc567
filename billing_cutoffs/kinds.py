"""Non-payment cut-offs in the unified record: private, about one service point each, changed by their order only."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from django.db import connection
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _

from accounts.pages import span
from billing_cutoffs import lifecycle, policies
from billing_cutoffs.models import CutoffOrder
from outages.kinds import BoardFacts, Contribution, KindHandler
from outages.models import OutageKind
from standards.errors import DomainError

if TYPE_CHECKING:
    from accounts.actor import Actor
    from grid.models import ServicePoint
    from outages.models import Outage

# the fact that ``services.record`` hands to every change of a cut's record: nobody else changes one
BY_ORDER: Final = "cutoff_order"


class FollowsItsOrder(DomainError):
    code = "follows_its_order"
    status = 409
    message = _("The record of a cut-off follows its order: change the order instead.")


# what was cut, while its meter has since answered that it has power
_CONNECTED_SQL: Final = """
SELECT DISTINCT o.service_point_id
FROM billing_cutoffs_cutofforder o
JOIN grid_servicepoint s ON s.id = o.service_point_id AND s.meter_number <> ''
CROSS JOIN LATERAL (
    SELECT a.position FROM billing_cutoffs_meteranswer a
    WHERE a.meter_number = s.meter_number AND a.position <> 'unknown' AND a.read_at BETWEEN o.off_at AND %(at)s
    ORDER BY a.read_at DESC, a.id DESC LIMIT 1
) newest
WHERE o.service_point_id = ANY(%(points)s) AND o.state = ANY(%(off)s) AND newest.position = 'connected'
"""


class NonPaymentHandler(KindHandler):
    kind = OutageKind.NON_PAYMENT
    prefix = "C"
    label = _("non-payment cut-off")
    shape = "✂"
    tone = "muted"
    rank = 5
    is_public = False
    contributes_to_its_own = True
    reason_zh = "欠费"
    reason_en = "an unpaid account"
    also_by = dict.fromkeys(("schedule", "start", "set_etr", "restore", "cancel"), ("cutoff.propose", "cutoff.approve"))
    steps = (
        ("scheduled", _("notice served")),
        ("active", _("disconnected")),
        ("paid", _("paid, waits for power")),
        ("restored", _("reconnected")),
        ("closed", _("closed")),
    )
    panel_template = "billing_cutoffs/_panel.html"

    def may(self, outage: Outage, action: str, actor: Actor, facts: dict[str, Any]) -> None:
        if not facts.get(BY_ORDER):
            raise FollowsItsOrder()

    def contribute(self, service_points: Sequence[ServicePoint], at: datetime) -> dict[int, Contribution]:
        """A meter that says it has power although the record says that it was cut."""
        points = [point.pk for point in service_points]
        with connection.cursor() as db:
            db.execute(_CONNECTED_SQL, {"points": points, "off": list(lifecycle.OFF), "at": at})
            return {row[0]: Contribution(disagreement=True) for row in db.fetchall()}

    def on_board(self, now: datetime) -> Q:
        """Who has paid and is still off although it was promised otherwise; other debts are no work of the board."""
        late = CutoffOrder.objects.filter(state__in=lifecycle.TO_RECONNECT, reconnect_due_at__lt=now)
        return Q(pk__in=late.values("outage_id"))

    def board_facts(self, outage_ids: Collection[int]) -> dict[int, BoardFacts]:
        now = timezone.now()
        orders = CutoffOrder.objects.filter(outage__in=outage_ids).only("outage_id", "state", "reconnect_due_at")
        return {order.outage_id: _facts(order, now) for order in orders if order.outage_id is not None}

    def panel(self, outage: Outage, actor: Actor) -> dict[str, Any]:
        """The order behind the record, and whether this person may open it."""
        order = _order_of(outage)
        if order is None or not policies.may(actor=actor, action="read_orders", branch=outage.branch):
            return {"order": None}
        return {"order": order, "batch": order.batch}

    def step(self, outage: Outage) -> str:
        order = _order_of(outage) if outage.is_off else None
        return "paid" if order is not None and order.state in lifecycle.TO_RECONNECT else str(outage.status)


def _order_of(outage: Outage) -> CutoffOrder | None:
    return CutoffOrder.objects.select_related("batch").filter(outage=outage).first()


def _facts(order: CutoffOrder, now: datetime) -> BoardFacts:
    due = order.reconnect_due_at
    if order.state not in lifecycle.TO_RECONNECT or due is None:
        return BoardFacts(stage=order.get_state_display())
    if due < now:
        stage = _t("paid; should have been on again for %(late)s") % {"late": span(now - due)}
        return BoardFacts(stage=stage, late=True, first=True)
    return BoardFacts(stage=_t("paid; on again within %(left)s") % {"left": span(due - now)})
