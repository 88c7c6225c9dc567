"""What a draft holds: its blocks with their elements, its stages, its turns; and what is in no block at all."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from accounts.actor import Actor
from grid.models import GridElement
from outages.load_shedding import blocks, policies, rotation
from outages.load_shedding.models import (
    BlockElement,
    KeptOut,
    SheddingBlock,
    SheddingPlan,
    SheddingStage,
    Turn,
)
from outages.load_shedding.services.plans import plan_editable, plan_touch
from standards.errors import DomainError, NotFound, UnknownCode

FACTS = ("name", "name_en", "formerly", "is_protected", "protected_reason", "switchings")


class ElementTaken(DomainError):
    code = "element_taken"
    status = 409
    message = _("%(element)s goes off with block %(block)s already: nobody is shed twice.")


class ElementKeptOut(DomainError):
    code = "element_kept_out"
    message = _("%(element)s would go off with it and is kept out of shedding: %(why)s.")


class BlockWithoutLoad(DomainError):
    code = "block_without_load"
    message = _("Block %(block)s has no load: nothing is relieved by switching it off.")


class BlockExists(DomainError):
    code = "block_exists"
    status = 409
    message = _("There is a block %(block)s in this plan already.")


# --- blocks -------------------------------------------------------------------------------------------


def block_save(
    *,
    actor: Actor,
    plan_id: int,
    code: str,
    element_ids: Collection[int],
    mw_by_hour: Sequence[float] | None = None,
    block_id: int | None = None,
    expected_version: int | None = None,
    **facts: Any,
) -> SheddingBlock:
    """Put elements together as one block, new or changed, and measure what goes off with them.

    ``mw_by_hour`` is what SCADA measured in each hour of a day; without it the load is estimated and so labelled. A
    block that gets another code keeps the old one among its former names.
    """
    with transaction.atomic(durable=True):
        plan = plan_editable(actor, plan_id, expected_version)
        block = _block(plan, block_id)
        if plan.blocks.filter(code=code).exclude(pk=block.pk).exists():
            raise BlockExists(block=code, field="code")
        elements = _elements(plan, element_ids)
        if facts.get("is_protected") and not facts.get("protected_reason"):
            raise DomainError(_("Say why the block is protected."), field="protected_reason")
        _check_apart(plan, block, elements)
        if not facts.get("is_protected"):
            _check_kept_out(elements)
        former = facts.pop("formerly", block.formerly)
        if block.pk and code != block.code:
            former = [*former, block.code]
        block.code, block.formerly = code, list(dict.fromkeys(name for name in former if name != code))
        for name, value in facts.items():
            setattr(block, name, value)
        block.is_measured = mw_by_hour is not None
        block.mw_by_hour = list(mw_by_hour) if mw_by_hour is not None else [0.0] * blocks.HOURS
        _check_hours(block)
        if block.pk:
            block.save(update_fields=["code", "formerly", "is_measured", "mw_by_hour", *facts])
        else:
            block.save(force_insert=True)
        BlockElement.objects.filter(block=block).delete()
        BlockElement.objects.bulk_create(BlockElement(plan=plan, block=block, element=one) for one in elements)
        blocks.places_measure({block.pk: [one.pk for one in elements]})
        block.refresh_from_db()
        if max(block.mw_by_hour) <= 0:
            raise BlockWithoutLoad(block=code, field="elements")
        plan_touch(plan, actor)
        return block


def block_delete(*, actor: Actor, plan_id: int, block_id: int, expected_version: int | None = None) -> None:
    """Take a block out of a draft, with its turns."""
    with transaction.atomic(durable=True):
        plan = plan_editable(actor, plan_id, expected_version)
        block = _block(plan, block_id)
        block.delete()
        plan_touch(plan, actor)


def blocks_measure(*, actor: Actor, plan_id: int, expected_version: int | None = None) -> SheddingPlan:
    """Measure all blocks of a draft again, because the network has changed."""
    with transaction.atomic(durable=True):
        plan = plan_editable(actor, plan_id, expected_version)
        blocks.places_measure(blocks.elements_of(plan))
        return plan_touch(plan, actor)


def _block(plan: SheddingPlan, block_id: int | None) -> SheddingBlock:
    if block_id is None:
        return SheddingBlock(plan=plan)
    block = plan.blocks.filter(pk=block_id).first()
    if block is None:
        raise NotFound(field="block")
    return block


def _elements(plan: SheddingPlan, element_ids: Collection[int]) -> list[GridElement]:
    """The elements, all of the plan's branch or below it."""
    if not element_ids:
        raise DomainError(_("Name at least one element."), field="elements")
    elements = list(GridElement.objects.filter(pk__in=element_ids).select_related("branch").order_by("code"))
    ours = [one for one in elements if plan.branch.pos <= one.branch.pos <= plan.branch.last]
    if len(ours) < len(set(element_ids)):
        missing = next((one.code for one in elements if one not in ours), "?")
        raise UnknownCode(field="elements", value=missing)
    return ours


def _check_apart(plan: SheddingPlan, block: SheddingBlock, elements: Sequence[GridElement]) -> None:
    others: dict[str, list[int]] = {}
    members = BlockElement.objects.filter(plan=plan).exclude(block_id=block.pk).select_related("block")
    for member in members.order_by("block__code"):
        others.setdefault(member.block.code, []).append(member.element_id)
    shared = blocks.sharing([one.pk for one in elements], others)
    for code, places in shared.items():
        named = next((one.code for one in elements if one.pk in places), None)
        element = named or GridElement.objects.filter(pk__in=places).order_by("code").values_list("code", flat=True)[0]
        raise ElementTaken(element=element, block=code, field="elements")


def _check_kept_out(elements: Sequence[GridElement]) -> None:
    for kept in blocks.kept_outside([[one.pk for one in elements]])[0]:
        name = f"{kept.code} {kept.name}".strip()
        raise ElementKeptOut(element=name, why=kept.why, field="elements")


def _check_hours(block: SheddingBlock) -> None:
    if len(block.mw_by_hour) != blocks.HOURS or min(block.mw_by_hour) < 0:
        raise DomainError(_("A measured load has 24 figures, none below zero."), field="mw_by_hour")


# --- stages and turns -----------------------------------------------------------------------------------


def stages_set(
    *, actor: Actor, plan_id: int, stages: Iterable[tuple[int, str, float]], expected_version: int | None = None
) -> SheddingPlan:
    """Say which stages there are: number, colour of the warning, and the load each takes off."""
    wanted = sorted(stages)
    numbers = [number for number, _colour, _mw in wanted]
    if len(set(numbers)) < len(numbers) or not all(1 <= number <= 99 for number in numbers):
        raise DomainError(_("Every stage has a number of its own, from 1 to 99."), field="stages")
    loads = [mw for _number, _colour, mw in wanted]
    if loads != sorted(loads) or not all(mw > 0 for mw in loads):
        raise DomainError(_("Every stage takes off some load, and a higher one no less than the one below."),
                          field="stages")  # fmt: skip
    with transaction.atomic(durable=True):
        plan = plan_editable(actor, plan_id, expected_version)
        plan.stages.all().delete()
        plan.turns.exclude(stage__in=numbers).delete()
        SheddingStage.objects.bulk_create(
            SheddingStage(plan=plan, number=number, colour=colour, mw=mw) for number, colour, mw in wanted
        )
        return plan_touch(plan, actor)


def turns_set(
    *,
    actor: Actor,
    plan_id: int,
    rows: Iterable[rotation.Row],
    stages: Collection[int] | None = None,
    expected_version: int | None = None,
) -> SheddingPlan:
    """Replace the turns of some stages (those of the rows, if none are named) by these rows; the others stay."""
    rows = list(rows)
    replaced = set(stages) if stages is not None else {row.stage for row in rows}
    with transaction.atomic(durable=True):
        plan = plan_editable(actor, plan_id, expected_version)
        known = set(plan.stages.values_list("number", flat=True))
        ids = dict(plan.blocks.values_list("code", "pk"))
        for row in rows:
            if row.stage not in known or row.stage not in replaced:
                raise UnknownCode(field="stage", value=row.stage)
            if row.block not in ids:
                raise UnknownCode(field="block", value=row.block)
        plan.turns.filter(stage__in=replaced).delete()
        Turn.objects.bulk_create((_turn(plan, ids, row) for row in dict.fromkeys(rows)), batch_size=5000)
        return plan_touch(plan, actor)


def _turn(plan: SheddingPlan, ids: Mapping[str, int], row: rotation.Row) -> Turn:
    return Turn(
        plan=plan, stage=row.stage, block_id=ids[row.block], recurrence=row.recurrence, day=row.day, period=row.period,
        counts_from=row.counts_from, starts=row.starts, ends=row.ends, is_possible=row.is_possible,
    )  # fmt: skip


# --- kept out -------------------------------------------------------------------------------------------


def kept_out_set(*, actor: Actor, element_id: int, why: str, note: str = "") -> KeptOut:
    """Keep an element out of all shedding. A block in force that holds it is not changed: its next version must."""
    with transaction.atomic(durable=True):
        element = _element(actor, element_id)
        kept, is_new = KeptOut.objects.get_or_create(element=element, defaults={"why": why, "note": note})
        if not is_new:
            kept.why, kept.note = why, note
            kept.save(update_fields=["why", "note"])
        return kept


def kept_out_remove(*, actor: Actor, element_id: int) -> None:
    """The element may be part of a block again."""
    with transaction.atomic(durable=True):
        KeptOut.objects.filter(element=_element(actor, element_id)).delete()


def _element(actor: Actor, element_id: int) -> GridElement:
    element = GridElement.objects.select_related("branch").filter(pk=element_id).first()
    if element is None:
        raise NotFound(field="element")
    policies.require(actor=actor, action="edit_plan", branch=element.branch)
    return element
