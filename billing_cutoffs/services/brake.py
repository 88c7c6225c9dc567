"""The brake: a batch whose cuts turn out wrong stops by itself, before many more follow."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Count, Exists, F, OuterRef, Q

import standards
from billing_cutoffs.models import CommandState, CutComplaint, CutoffBatch, MeterCommand, Purpose

HOUR: Final = timedelta(hours=1)
# so many commands that failed one after the other mean that the way to the meters is broken
FAILED_IN_A_ROW: Final = 10

# switched off although it should not have been. On again within the hour because somebody paid is what a cut is
# for; on again without a payment is a mistake
_REVERSED: Final = (
    Q(is_wrongful=True)
    | Q(paid_at__lt=F("off_at"))
    | Q(paid_at__isnull=True, reconnect_commanded_at__lte=F("off_at") + HOUR)
)


@dataclass(frozen=True)
class Strain:
    """What the last hour of a batch, or what came after it was last resumed, says about it."""

    executed: int
    wrong: int  # orders reversed or complained about
    complaints: int  # of these
    failed_in_a_row: int
    cause: str  # "wrong", "failing", or '' while it may go on

    @property
    def facts(self) -> dict[str, Any]:
        return asdict(self)


def strain_of(batch: CutoffBatch, now: datetime) -> Strain:
    """How the batch is doing, and whether that pulls the brake."""
    resumed_at = batch.steps.filter(verb="resume").order_by("-pk").values_list("at", flat=True).first()
    since = max(now - HOUR, resumed_at) if resumed_at else now - HOUR
    complained = CutComplaint.objects.filter(account=OuterRef("case__account"), at__gt=since)
    is_executed = Q(off_at__gt=since)
    counts = batch.orders.annotate(is_complained=Exists(complained)).aggregate(
        executed=Count("pk", filter=is_executed),
        wrong=Count("pk", filter=Q(is_complained=True) | is_executed & _REVERSED),
        complaints=Count("pk", filter=Q(is_complained=True)),
    )
    failed = _failed_in_a_row(batch, resumed_at)
    rules = standards.pack(batch.rule_pack).arrears
    is_many = counts["wrong"] >= rules.brake_minimum.value
    is_large = counts["wrong"] * 100 >= rules.brake_share.amount * counts["executed"]
    cause = "wrong" if is_many and is_large else "failing" if failed >= FAILED_IN_A_ROW else ""
    return Strain(**counts, failed_in_a_row=failed, cause=cause)


def _failed_in_a_row(batch: CutoffBatch, resumed_at: datetime | None) -> int:
    """The newest commands that came to an end, up to the first that did not fail."""
    ended = MeterCommand.objects.filter(
        order__batch=batch, purpose=Purpose.DISCONNECT, state__in=[CommandState.DONE, CommandState.FAILED]
    )
    if resumed_at is not None:
        ended = ended.filter(queued_at__gt=resumed_at)
    states = list(ended.order_by("-pk").values_list("state", flat=True)[:FAILED_IN_A_ROW])
    return next((n for n, state in enumerate(states) if state == CommandState.DONE), len(states))
