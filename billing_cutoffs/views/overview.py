"""Cut-offs at a glance: who waits for power, what stopped, what waits for whom, and how old billing's word is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from django.contrib.auth.decorators import login_required
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from accounts.actor import Actor
from accounts.pages import page_or_fragment
from billing_cutoffs import lifecycle, policies, progress, selectors
from billing_cutoffs.models import CutoffBatch
from billing_cutoffs.views.batches import look_of, reader

LISTED: Final = 100
# the open batches, those that wait longest for a person first
SECTIONS: Final[tuple[tuple[str, str | Promise], ...]] = (
    (lifecycle.STOPPED, gettext_lazy("Stopped")),
    (lifecycle.SUBMITTED, gettext_lazy("Waiting for approval")),
    (lifecycle.RETURNED, gettext_lazy("Sent back to the author")),
    (lifecycle.RUNNING, gettext_lazy("Being carried out")),
    (lifecycle.BATCH_APPROVED, gettext_lazy("Approved, window ahead")),
    (lifecycle.DRAFT, gettext_lazy("Being put together")),
)


@dataclass(frozen=True)
class Row:
    """One open batch, and what it waits for."""

    batch: CutoffBatch
    look: tuple[str, str]
    waits: str
    is_mine: bool  # it waits for this very person
    ready: int
    held: int
    off: int
    total: int


@require_GET
@login_required
@never_cache
def overview(request: HttpRequest) -> HttpResponse:
    """The open batches by what waits for whom; above them whoever paid and is still without power."""
    actor = reader(request)
    now = timezone.now()
    orders = selectors.orders_visible_to(actor).order_by()
    figures = orders.aggregate(
        overdue=Count("pk", filter=Q(state__in=lifecycle.TO_RECONNECT, reconnect_due_at__lt=now)),
        to_reconnect=Count("pk", filter=Q(state__in=lifecycle.TO_RECONNECT)),
        failed=Count("pk", filter=Q(state=lifecycle.FAILED)),
        off=Count("pk", filter=Q(state__in=lifecycle.OFF)),
    )
    open_batches = selectors.batches_visible_to(actor).exclude(state__in=lifecycle.BATCH_OVER)
    rows = list(_rows(actor, list(open_batches.order_by("window_from", "pk")[:LISTED])))
    context = {
        "figures": figures,
        "sections": [
            (name, label, [row for row in rows if row.batch.state == name])
            for name, label in SECTIONS
            if any(row.batch.state == name for row in rows)
        ],
        "billing_as_of": progress.data_age(selectors.accounts_visible_to(actor).order_by()),
        "may_propose": policies.may_somewhere(actor=actor, action="submit"),
    }
    return page_or_fragment(
        request, "billing_cutoffs/overview.html", "billing_cutoffs/partials/_overview.html", context
    )


def _rows(actor: Actor, batches: list[CutoffBatch]) -> Iterable[Row]:
    counts = progress.counts_by_batch(batches)
    letters = progress.letters_of([batch for batch in batches if batch.state == lifecycle.BATCH_APPROVED])
    for batch in batches:
        states = counts[batch.pk]
        waits, is_mine = _waits_for(actor, batch, letters.get(batch.pk, (0, 0)))
        yield Row(
            batch=batch,
            look=look_of(batch),
            waits=waits,
            is_mine=is_mine,
            ready=sum(states[state] for state in progress.READY),
            held=states[lifecycle.HELD],
            off=sum(states[state] for state in lifecycle.OFF),
            total=states.total() - states[lifecycle.CANCELLED],
        )


def _waits_for(actor: Actor, batch: CutoffBatch, letters: tuple[int, int]) -> tuple[str, bool]:
    """For what the batch waits, and whether this person is who can do it."""
    doors = progress.steps_open_to(actor=actor, batch=batch)
    if batch.state == lifecycle.STOPPED:
        return progress.reason_text(batch.state_reason), "resume" in doors
    if batch.state == lifecycle.SUBMITTED or progress.awaits_second(batch):
        if "approve" in doors or "second" in doors:
            return _("Your approval"), True
        return _("A second person's approval"), False
    if batch.state in lifecycle.BATCH_EDITABLE:
        return _("To be handed in by %(name)s") % {"name": batch.author_name}, "submit" in doors
    if batch.state == lifecycle.BATCH_APPROVED:
        served, total = letters
        return _("%(served)d of %(letters)d letters have arrived") % {"served": served, "letters": total}, False
    return "", False
