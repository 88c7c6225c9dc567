"""Works that a machine hands in, many at once: each with its own outcome, what is refused stops no other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from django.db import transaction

from accounts.actor import Actor
from grid.models import Branch, GridElement
from outages.planned.models import PlannedWork, PlanPeriod, WorkState
from outages.planned.services.works import KeyTaken, WorkDraft, windows_check, works_create
from outages.services import NoPlace
from standards.errors import DomainError, NotFound


@dataclass(frozen=True)
class WorkRequest:
    """A work for a branch, in one of its plans or (``None``) outside one."""

    branch_id: int
    period_id: int | None
    draft: WorkDraft


@dataclass(frozen=True)
class WorkOutcome:
    """What became of a request: a new work, the one that has its number already, or a refusal."""

    work: PlannedWork | None = None
    is_new: bool = False
    error: DomainError | None = None


def works_create_batch(*, actor: Actor, requests: Sequence[WorkRequest], source: str) -> list[WorkOutcome]:
    """Enter many works, each with its own outcome. A number of the branch that is known finds the work that has it.

    Statements grow with the branches and plans that are named, not with the works.
    """
    places: defaultdict[tuple[int, int | None], list[int]] = defaultdict(list)
    for index, request in enumerate(requests):
        places[request.branch_id, request.period_id].append(index)
    branches = Branch.objects.in_bulk({branch_id for branch_id, _period in places})
    periods = PlanPeriod.objects.in_bulk({period_id for _branch, period_id in places if period_id is not None})
    outcomes: dict[int, WorkOutcome] = {}
    for (branch_id, period_id), indexes in places.items():
        drafts = [requests[index].draft for index in indexes]
        period = None if period_id is None else periods[period_id]
        outcomes |= zip(indexes, _of_one_place(actor, branches[branch_id], period, drafts, source), strict=True)
    return [outcomes[index] for index in range(len(requests))]


def _of_one_place(
    actor: Actor, branch: Branch, period: PlanPeriod | None, drafts: Sequence[WorkDraft], source: str
) -> list[WorkOutcome]:
    refusals = _refusals(branch, period, drafts)
    good = [draft for draft, refusal in zip(drafts, refusals, strict=True) if refusal is None]
    try:
        entered = iter(_entered(actor, branch, period, good, source))
    except DomainError as refused:  # nobody may enter anything there
        entered = iter([WorkOutcome(error=refused)] * len(good))
    return [next(entered) if refusal is None else WorkOutcome(error=refusal) for refusal in refusals]


def _refusals(branch: Branch, period: PlanPeriod | None, drafts: Sequence[WorkDraft]) -> list[DomainError | None]:
    """What is wrong with each draft by itself."""
    named = {pk for draft in drafts for pk in draft.element_ids}
    inside = GridElement.objects.filter(pk__in=named, branch__pos__range=(branch.pos, branch.last))
    own = set(inside.values_list("pk", flat=True))
    return [_refusal(draft, branch, period, own) for draft in drafts]


def _refusal(draft: WorkDraft, branch: Branch, period: PlanPeriod | None, own: Collection[int]) -> DomainError | None:
    if not draft.element_ids:
        return NoPlace(field="elements")
    if any(pk not in own for pk in draft.element_ids):
        return NotFound(field="elements")
    try:
        windows_check(draft.windows, period=period, branch=branch)
    except DomainError as refused:
        return refused
    return None


def _entered(
    actor: Actor, branch: Branch, period: PlanPeriod | None, drafts: Sequence[WorkDraft], source: str
) -> list[WorkOutcome]:
    try:
        return _enter(actor, branch, period, drafts, source)
    except KeyTaken:  # the same numbers came in twice at one moment: now the first are there to be found
        return _enter(actor, branch, period, drafts, source)


def _enter(
    actor: Actor, branch: Branch, period: PlanPeriod | None, drafts: Sequence[WorkDraft], source: str
) -> list[WorkOutcome]:
    numbers = [str(draft.facts.get("key", "")) for draft in drafts]
    with transaction.atomic(durable=True):
        there = PlannedWork.objects.filter(branch=branch, key__in={number for number in numbers if number})
        known = {work.key: work for work in there.exclude(state=WorkState.CANCELLED)}
        fresh = [
            index
            for index, number in enumerate(numbers)
            if not number or (number not in known and numbers.index(number) == index)
        ]
        wanted = [drafts[index] for index in fresh]
        works = works_create(actor=actor, branch=branch, period=period, drafts=wanted, source=source) if fresh else []
        entered = dict(zip(fresh, works, strict=True))
        known |= {work.key: work for work in entered.values()}
    return [
        WorkOutcome(work=entered.get(index, known.get(number)), is_new=index in entered)
        for index, number in enumerate(numbers)
    ]
