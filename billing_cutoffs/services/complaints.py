"""What a caller says against a cut: it counts for the brake, whoever took it down."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.db.models import Q
from django.utils import timezone

from accounts.actor import Actor
from billing_cutoffs import lifecycle
from billing_cutoffs.models import CutComplaint, CutoffOrder
from outages.events import require_transaction

# who is on again for so long complains about something else
ABOUT_THE_CUT: Final = timedelta(days=1)


def complaint_from_call(*, service_point_id: int, actor: Actor, text: str, ref: str) -> CutComplaint | None:
    """Somebody complains about premises that are cut, or were until yesterday: once for each call (``ref``).

    Inside the caller's transaction. ``None`` where nothing was cut: then it is no complaint about a cut.
    """
    require_transaction()
    is_cut = Q(state__in=(*lifecycle.OFF, lifecycle.COMMANDED)) | Q(on_at__gt=timezone.now() - ABOUT_THE_CUT)
    order = CutoffOrder.objects.select_related("case").filter(is_cut, service_point_id=service_point_id).first()
    if order is None:
        return None
    complaint, _created = CutComplaint.objects.get_or_create(
        source_system="console",
        source_ref=ref,
        defaults={"account_id": order.case.account_id, "text": text[:500], "by_name": actor.name[:150]},
    )
    return complaint
