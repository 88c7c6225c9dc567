"""Complaints about cuts, as other systems hear them. Many in a short time stop the batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.actor import Actor
from billing_cutoffs.intake.items import DuplicateItem, Outcome, Refusals
from billing_cutoffs.intake.shapes import ComplaintTold, complaint_reader
from billing_cutoffs.models import CutComplaint
from billing_cutoffs.services.feed.kept import UnknownAccount, accounts_known


def complaints_receive(*, actor: Actor, source_system: str, items: Sequence[Any]) -> list[Outcome]:
    """Somebody says that a cut was wrong. Outcomes: applied, already_known, or why an item is refused."""
    source = source_system[:64]
    answers = Refusals(items, lambda item: str(item.get("ref") or item.get("account_number") or ""))
    told = answers.read(items, complaint_reader(timezone.now()))
    with transaction.atomic():
        numbers = {one.account_number for one in told.values()}
        accounts = accounts_known(actor=actor, action="feed_arrears", numbers=numbers)
        refs = [one.ref for one in told.values() if one.ref]
        known = set(
            CutComplaint.objects.filter(source_system=source, source_ref__in=refs).values_list("source_ref", flat=True)
        )
        fresh: dict[int, ComplaintTold] = {}
        taken: set[str] = set()
        for at, one in told.items():
            if one.account_number not in accounts:
                answers.refuse(at, UnknownAccount(field="account_number"))
            elif one.ref in taken:
                answers.refuse(at, DuplicateItem(field="ref"))
            elif one.ref in known:
                answers.settle(at, "already_known")
            else:
                fresh[at] = one
                taken |= {one.ref} - {""}
        CutComplaint.objects.bulk_create(
            [
                CutComplaint(
                    account_id=accounts[one.account_number], at=one.at, text=one.text, source_system=source,
                    source_ref=one.ref, by_name=actor.name[:150],
                )
                for one in fresh.values()
            ],
            ignore_conflicts=True,
        )  # fmt: skip
        for at in fresh:
            answers.settle(at, "applied")
    return answers.in_order()
