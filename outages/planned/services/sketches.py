"""A work on its way from the form: kept while it is typed, and one work however often it is sent."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, timedelta
from typing import Final

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.actor import Actor
from grid.models import Branch
from outages.planned.models import PlannedWork, PlanPeriod, WorkSketch
from outages.planned.services.works import WorkDraft, work_change, work_create
from standards.errors import Conflict, DomainError, Forbidden

SENT: Final = "sent"  # what is kept of a form once it has become a work: its fingerprint
KEPT: Final = timedelta(days=30)
LONGEST: Final = 100_000  # characters; a form holds far less


class AlreadySent(DomainError):
    code = "already_sent"
    status = 409
    message = _("This form was sent already and is %(reference)s now: change that work instead.")


def sketch_keep(*, actor: Actor, token: str, about: str, typed: Mapping[str, Sequence[str]]) -> WorkSketch:
    """Keep what has been typed so far; what was sent already is not touched again."""
    if sum(len(value) for values in typed.values() for value in values) > LONGEST:
        raise DomainError(_("That is too long to keep."), field="typed")
    with transaction.atomic():
        sketch = _held(actor, token, about=about)
        if sketch.work_id is None:
            sketch.typed, sketch.at = {name: list(values) for name, values in typed.items()}, timezone.now()
            sketch.save(update_fields=["typed", "at"])
        return sketch


def sketch_discard(*, actor: Actor, token: str) -> None:
    """Throw away what was typed and not sent."""
    WorkSketch.objects.filter(author=actor.user_id, token=token, work__isnull=True).delete()


def sketches_forget(*, older_than: timedelta = KEPT) -> int:
    """Clear away what nobody came back to, and what was sent long ago."""
    deleted, _by_model = WorkSketch.objects.filter(at__lt=timezone.now() - older_than).delete()
    return deleted


def work_enter(
    *, actor: Actor, token: str, branch: Branch, draft: WorkDraft, period: PlanPeriod | None = None
) -> PlannedWork:
    """Enter the work that somebody has typed. The same form sent twice is one work.

    Raises ``AlreadySent`` when something else has been typed into it since: that would be lost.
    """
    with transaction.atomic():
        sketch = _held(actor, token)
        if sketch.work is None:
            _sent(sketch, work_create(actor=actor, branch=branch, draft=draft, period=period), draft)
        assert sketch.work is not None
        if not _is_what_was_sent(sketch, draft):
            raise AlreadySent(reference=sketch.work.reference)
        return sketch.work


def work_revise(
    *, actor: Actor, token: str, work_id: int, draft: WorkDraft, expected_version: int | None = None
) -> PlannedWork:
    """Change a work as somebody has typed it. The same form sent twice is one change."""
    with transaction.atomic():
        sketch = _held(actor, token)
        if sketch.work is None:
            changed = work_change(actor=actor, work_id=work_id, draft=draft, expected_version=expected_version)
            _sent(sketch, changed, draft)
        assert sketch.work is not None
        if not _is_what_was_sent(sketch, draft):
            raise Conflict(field="version")
        return sketch.work


def _held(actor: Actor, token: str, *, about: str = "") -> WorkSketch:
    """The author's row for this form, held until the transaction ends: the second of two clicks waits here."""
    if actor.user_id is None:
        raise Forbidden()
    asked = {"author_id": actor.user_id, "token": token[:64]}
    WorkSketch.objects.get_or_create(**asked, defaults={"about": about[:24]})
    return WorkSketch.objects.select_for_update(of=("self",)).select_related("work").get(**asked)


def _sent(sketch: WorkSketch, work: PlannedWork, draft: WorkDraft) -> None:
    sketch.work, sketch.typed, sketch.at = work, {SENT: [_fingerprint(draft)]}, timezone.now()
    sketch.save(update_fields=["work", "typed", "at"])


def _is_what_was_sent(sketch: WorkSketch, draft: WorkDraft) -> bool:
    return bool(sketch.typed.get(SENT) == [_fingerprint(draft)])


def _fingerprint(draft: WorkDraft) -> str:
    windows = [[moment.astimezone(UTC) for moment in window] for window in draft.windows]
    said = json.dumps([draft.element_ids, windows, sorted(draft.facts.items())], default=str)
    return hashlib.sha256(said.encode()).hexdigest()
