"""Cut-off letters on paper: those that no message has proved to have arrived, and the copies for the authority."""

from __future__ import annotations

from typing import Literal

import standards
from billing_cutoffs.models import CutoffBatch, DebtNotice, NoticeStage
from grid.models import Importance

IMPORTANT = (Importance.IMPORTANT_1, Importance.IMPORTANT_2)


def letters_of(batch: CutoffBatch, *, only: Literal["by_hand", "authority"]) -> list[DebtNotice]:
    """The letters of a batch that are to be printed, in the order of the premises."""
    letters = DebtNotice.objects.filter(
        order__batch=batch, stage=NoticeStage.LETTER, void_at=None, letter__isnull=False
    ).select_related("letter", "order__service_point", "case__account__customer", "case__branch")
    if only == "authority":
        copy = standards.pack(batch.rule_pack).arrears.authority_copy
        if copy is None or not copy.value:
            return []
        letters = letters.filter(case__account__customer__importance__in=IMPORTANT)
    else:
        letters = letters.filter(served_at=None)
    return list(letters.order_by("order__service_point__address", "pk"))
