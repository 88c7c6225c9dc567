"""The checks of a planned work, run while it is typed and again at every gate (``domain.md`` 5.2).

Each check takes the whole question and answers it with a fixed number of statements, so that a month's plan costs as
many as one work does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from outages.planned.checks import budget, people, rules, together
from outages.planned.checks.calmer import CalmerWindow, calmer_windows
from outages.planned.checks.question import Question
from outages.planned.findings import Finding, Subject, Weight
from outages.planned.models import CheckAnswer

__all__ = ["CalmerWindow", "calmer_windows", "findings_of"]

Check = Callable[[Question], Iterable[tuple[int, Finding]]]

# in the order in which a work's findings are read
_CHECKS: Final[tuple[Check, ...]] = (
    rules.window_past,
    rules.notice_short,
    together.overlap,
    people.without_risk_sheet,
    budget.frequent,
    together.tie_out,
    together.backup_out,
    rules.calendar,
    rules.alternatives,
    rules.peak,
    together.merge_candidate,
)
_WEIGHTS: Final = tuple(Weight)


def findings_of(subjects: Sequence[Subject], *, at: datetime) -> dict[int, list[Finding]]:
    """What there is to say about each work, by its number: what refuses first, then what asks, then what tells."""
    found: dict[int, list[Finding]] = {subject.number: [] for subject in subjects}
    if not found:
        return found
    question = Question(subjects, at)
    answers = _answers(subjects)
    for check in _CHECKS:
        for number, finding in check(question):
            work_id = question.by_number[number].work_id
            found[number].append(replace(finding, answer=answers.get((work_id, finding.code), "")))
    return {
        number: sorted(findings, key=lambda finding: _WEIGHTS.index(finding.weight))
        for number, findings in found.items()
    }


def _answers(subjects: Sequence[Subject]) -> dict[tuple[int | None, str], str]:
    saved = [subject.work_id for subject in subjects if subject.work_id is not None]
    rows = CheckAnswer.objects.filter(work__in=saved).values_list("work", "code", "reason")
    return {(work_id, code): reason for work_id, code, reason in rows}
