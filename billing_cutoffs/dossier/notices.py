"""What was said to a debtor, in which words, and what proves that it arrived."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.db.models import Q
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy, pgettext_lazy

from billing_cutoffs.models import DebtNotice
from notifications.letters import LetterProof, LetterState, letters_proof

_FAILURES: Final[dict[str, Promise]] = {
    "no_address": gettext_lazy("no telephone and no e-mail address is known"),
    "no_receipt": gettext_lazy("no receipt came back"),
    "withdrawn": gettext_lazy("taken back before it was sent"),
    "expired": gettext_lazy("it could not be sent in time"),
}


@dataclass(frozen=True)
class NoticeShown:
    """One notice, its words and what became of it."""

    notice: DebtNotice
    proof: LetterProof | None

    @property
    def state(self) -> str:
        notice = self.notice
        if notice.served_at is not None:
            return "served"
        if notice.void_at is not None:
            return "void"
        if notice.failed_at is not None:
            return "failed"
        is_sent = self.proof is not None and self.proof.state == LetterState.SENT
        return "sent" if is_sent else "waiting"

    @property
    def look(self) -> tuple[str, str]:
        return _LOOKS[self.state]

    @property
    def words(self) -> str:
        return str(_STATES[self.state])

    @property
    def why_not(self) -> str:
        failure = self.notice.failure
        return str(_FAILURES.get(failure, failure))

    @property
    def is_to_be_served(self) -> bool:
        """Somebody may still hand it over."""
        return self.notice.served_at is None and self.notice.void_at is None

    @property
    def how(self) -> str:
        """How it was served, by whom and to whom: the proof in words."""
        notice = self.notice
        parts = [notice.get_served_how_display() if notice.served_how else "", notice.served_by, notice.served_note]
        return " · ".join(part for part in parts if part)


_STATES: Final[dict[str, Promise]] = {
    "served": pgettext_lazy("notice", "arrived"),
    "void": pgettext_lazy("notice", "no longer valid"),
    "failed": pgettext_lazy("notice", "not delivered: serve by hand"),
    "sent": pgettext_lazy("notice", "sent, no receipt yet"),
    "waiting": pgettext_lazy("notice", "on its way"),
}
_LOOKS: Final = {
    "served": ("restored", "green"),
    "void": ("cancelled", "quiet"),
    "failed": ("p2", "amber"),
    "sent": ("planned", "quiet"),
    "waiting": ("planned", "quiet"),
}


def notices_of(which: Q, *, most: int | None = None) -> list[NoticeShown]:
    """Notices with their words and deliveries, the newest first: two statements for any number."""
    rows = (
        DebtNotice.objects.filter(which)
        .select_related("order", "letter", "case__branch")
        .order_by("-issued_at", "-pk")[:most]
    )
    notices = list(rows)
    proofs = letters_proof(letter_ids=[n.letter_id for n in notices if n.letter_id is not None])
    return [NoticeShown(n, proofs.get(n.letter_id) if n.letter_id is not None else None) for n in notices]
