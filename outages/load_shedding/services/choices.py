"""What may be chosen: the question an event asks, answers computed or by hand, and proposals as rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from outages.lifecycle import IllegalTransition
from outages.load_shedding import lifecycle
from outages.load_shedding.models import Proposal, SheddingEvent
from outages.load_shedding.proposals import Choice, Window
from outages.load_shedding.proposals.case import is_within
from outages.load_shedding.question import Question, question_of_event
from outages.load_shedding.rotation import Span
from outages.load_shedding.services.distribution import mw_of
from standards.errors import Conflict, DomainError, UnknownCode

LONGEST: Final = timedelta(days=7)
BY_HAND: Final = "M"


class BadOrder(DomainError):
    code = "bad_order"
    message = _("An order needs a load above zero and a time of at most %(days)d days that is not over.")


class NothingProposed(Conflict):
    code = "nothing_proposed"
    message = _("There is no such proposal for the order as it stands: have the proposals computed first.")


class BlockLeftOut(DomainError):
    code = "block_left_out"
    message = _("Block %(block)s cannot be shed: %(why)s")


class LimitBroken(DomainError):
    code = "limit_broken"
    message = _("Block %(block)s would be off too long, too often or too soon again.")


def question_for(
    event: SheddingEvent, *, target_mw: float | None = None, until: datetime | None = None, at: datetime | None = None
) -> Question:
    """What the event asks now. Raises ``IllegalTransition`` before the order, ``BadOrder`` when its time is over."""
    if event.target_mw is None or event.state in lifecycle.OVER:
        raise IllegalTransition(action="propose", current=event.state)
    minute = (at or timezone.now()).replace(second=0, microsecond=0)
    question = question_of_event(event, target_mw=target_mw, until=until, at=minute)
    if not question.periods:
        raise BadOrder(days=LONGEST.days, field="ends_at")
    return question


def by_hand(event: SheddingEvent, question: Question, spans: Sequence[Span], at: datetime | None = None) -> Proposal:
    """Turns that a person chose, held to the same limits: no block left out, none too long or too soon."""
    if not spans:
        raise NothingProposed(field="blocks")
    spans = spans_checked(event, question, spans)
    candidates = {one.code: one for one in question.candidates}
    windows = _windows(spans)
    turns = {
        code: tuple(p for p, period in enumerate(question.periods) if any(_covers(one, period.window) for one in mine))
        for code, mine in windows.items()
    }
    shed = tuple(
        sum(candidates[code].kw[p] for code, mine in turns.items() if p in mine) for p in range(len(question.periods))
    )
    short = tuple(max(0, question.limits.target_kw - kw) for kw in shed)
    choice = Choice(BY_HAND, turns, shed, short, is_optimal=False, is_tightest=False)
    return proposal_of(event, question, choice, spans, at)


def spans_checked(
    event: SheddingEvent, question: Question, spans: Sequence[Span], *, standing: Sequence[Span] = ()
) -> list[Span]:
    """The turns, beginning no sooner than the question does, if each block may have them beside what it has already.

    ``standing``: turns of the event that stay as they are. Raises ``UnknownCode``, ``BlockLeftOut``, ``BadOrder``,
    ``LimitBroken``.
    """
    candidates = {one.code: one for one in question.candidates}
    first, last = question.periods[0].begins, question.periods[-1].until
    assert event.starts_at is not None
    checked = [
        replace(span, begins=first) if event.starts_at <= span.begins < first < span.until else span for span in spans
    ]
    for span in checked:
        if span.block not in question.blocks:
            raise UnknownCode(field="blocks", value=span.block)
        if span.block not in candidates:
            raise BlockLeftOut(block=span.block, why=question.explain[span.block], field="blocks")
        if not first <= span.begins < span.until <= last:
            raise BadOrder(days=LONGEST.days, field="blocks")
    stays = _windows(standing)
    for code, mine in _windows(checked).items():
        fixed = (question.periods[p].window for p in sorted(candidates[code].fixed))
        if not is_within(question.limits, [*candidates[code].off, *fixed, *stays.get(code, ())], mine):
            raise LimitBroken(block=code, field="blocks")
    return checked


def _windows(spans: Sequence[Span]) -> dict[str, list[Window]]:
    """The turns of each block, in UTC."""
    windows: dict[str, list[Window]] = {}
    for span in spans:
        windows.setdefault(span.block, []).append((span.begins.astimezone(UTC), span.until.astimezone(UTC)))
    return windows


def spans_of(proposal: Proposal) -> list[Span]:
    """The turns of a stored proposal."""
    moments = datetime.fromisoformat
    return [Span(line["block"], moments(line["from"]), moments(line["until"])) for line in proposal.lines]


def blocks_of(proposal: Proposal) -> set[str]:
    """The blocks of a stored proposal: their number is what the second person types."""
    return {line["block"] for line in proposal.lines}


def _covers(window: Window, period: Window) -> bool:
    return 2 * (min(window[1], period[1]) - max(window[0], period[0])) >= period[1] - period[0]


def proposal_of(
    event: SheddingEvent, question: Question, choice: Choice, spans: Sequence[Span], at: datetime | None
) -> Proposal:
    """A choice as it is stored: for the next distribution of the event's slots."""
    own = [pk for pk in event.slots.values_list("outage_id", flat=True) if pk is not None]
    loads = mw_of(event.plan, spans, at=at or timezone.now(), apart_from=own)
    lines = [
        {"block": span.block, "from": span.begins.isoformat(), "until": span.until.isoformat(), "mw": mw}
        for span, mw in zip(spans, loads, strict=True)
    ]
    return Proposal(
        event=event, letter=choice.letter, generation=event.generation + 1, lines=lines,
        figures=question.figures_of(choice), shortfall_mw=max(choice.shortfall_kw, default=0) / 1000,
        is_optimal=choice.is_optimal, computed_at=timezone.now(),
    )  # fmt: skip
