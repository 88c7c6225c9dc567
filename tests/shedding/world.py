"""What the tests of load shedding say to each other: a plan that is approved, a table of turns, all that there is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import time
from typing import Any

import pytest
from django.db.models import Model
from django.utils import timezone

from accounts.actor import Actor
from grid.models import Branch
from outages.load_shedding.models import (
    BlockElement,
    BlockPlace,
    KeptOut,
    Measure,
    Proposal,
    Reaction,
    SheddingBlock,
    SheddingEvent,
    SheddingPlan,
    SheddingStage,
    SheddingStep,
    Slot,
    StageWindow,
    Turn,
)
from outages.load_shedding.rotation import Row
from outages.load_shedding.services import drafts, plans
from standards.errors import DomainError
from tests.factories import accounts
from tests.factories.grid import SmallCity

# nobody is in two of them: L11 with T11 and T12 (3 customers), T21 (2), U22 with the hospital (1)
BLOCKS: Mapping[str, tuple[str, ...]] = {"A": ("L11",), "B": ("T21",), "C": ("U22",)}
FEEDERS: Mapping[str, tuple[str, ...]] = {"F1": ("F1",), "F2": ("F2",)}
STAGES = ((1, "blue", 0.004), (2, "yellow", 0.01))


def draft(
    city: SmallCity,
    actor: Actor | None = None,
    *,
    blocks: Mapping[str, tuple[str, ...]] = BLOCKS,
    stages: Iterable[tuple[int, str, float]] = STAGES,
    turns: Iterable[Row] = (),
    mw: Mapping[str, float] | None = None,
    branch: Branch | None = None,
    **facts: Any,
) -> SheddingPlan:
    """A draft of Asha's for the whole bureau; ``mw`` gives measured loads by block, the others are estimated."""
    actor = actor or accounts.actor_of(accounts.asha(city.bureau))
    facts = {"name": "有序用电方案", "effective_from": timezone.localdate(), **facts}
    made = plans.plan_create(actor=actor, branch=branch or city.bureau, **facts)
    for code, elements in blocks.items():
        measured = [mw[code]] * 24 if mw and code in mw else None
        drafts.block_save(
            actor=actor, plan_id=made.pk, code=code, element_ids=city.ids(*elements), mw_by_hour=measured,
            name=f"{code}区块", name_en=f"Block {code}",
        )  # fmt: skip
    drafts.stages_set(actor=actor, plan_id=made.pk, stages=stages)
    rows = list(turns)
    if rows:
        drafts.turns_set(actor=actor, plan_id=made.pk, rows=rows)
    return SheddingPlan.objects.select_related("branch").get(pk=made.pk)


def plan(city: SmallCity, actor: Actor | None = None, otto: Actor | None = None, **facts: Any) -> SheddingPlan:
    """The same, approved by Otto and in force today."""
    otto = otto or accounts.actor_of(accounts.user_with("approver", city.bureau, username="otto"))
    made = draft(city, actor, **facts)
    plans.plan_approve(actor=otto, plan_id=made.pk, is_accepted=True)
    return SheddingPlan.objects.select_related("branch").get(pk=made.pk)


def block(of: SheddingPlan, code: str) -> SheddingBlock:
    return of.blocks.get(code=code)


def every_day(block_code: str, starts: str, ends: str, *, stage: int = 1, **facts: Any) -> list[Row]:
    """The block's turn at these hours of every weekday."""
    hours = time.fromisoformat(starts), time.fromisoformat(ends)
    return [Row(stage, block_code, "weekly", day, *hours, **facts) for day in range(1, 8)]


def everything_shed() -> dict[str, list[dict[str, Any]]]:
    """All that a refused action must leave as it was."""
    models: tuple[type[Model], ...] = (
        SheddingPlan,
        SheddingStage,
        SheddingBlock,
        BlockElement,
        BlockPlace,
        KeptOut,
        Turn,
        StageWindow,
        SheddingEvent,
        Measure,
        Proposal,
        Slot,
        Reaction,
        SheddingStep,
    )
    return {model.__name__: list(model._default_manager.order_by("pk").values()) for model in models}


def refused(error: type[DomainError], call: Any, **given: Any) -> DomainError:
    """The call is refused in this way, and nothing has changed."""
    before = everything_shed()
    with pytest.raises(error) as raised:
        call(**given)
    assert everything_shed() == before
    return raised.value
