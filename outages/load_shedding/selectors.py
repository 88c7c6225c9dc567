"""Reading plans and events; every read for a person starts here."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from zoneinfo import ZoneInfo

from django.db.models import Case, Count, Prefetch, Q, QuerySet, Sum, Value, When
from django.utils import timezone

from accounts.actor import Actor
from accounts.scope import visible_to
from grid.models import Branch, GridElement
from outages.load_shedding import lifecycle, policies
from outages.load_shedding.models import (
    Agreement,
    BlockElement,
    KeptOut,
    PlanState,
    SheddingBlock,
    SheddingEvent,
    SheddingPlan,
    Slot,
    Turn,
)
from outages.load_shedding.rotation import Row
from standards.errors import NotFound


def plans_visible_to(actor: Actor) -> QuerySet[SheddingPlan]:
    """Plans of the actor's branches."""
    return visible_to(actor, SheddingPlan.objects.select_related("branch"))


def events_visible_to(actor: Actor) -> QuerySet[SheddingEvent]:
    """Events of the actor's branches."""
    return visible_to(actor, SheddingEvent.objects.select_related("branch", "plan"))


def slots_visible_to(actor: Actor) -> QuerySet[Slot]:
    """Slots of the actor's branches."""
    return visible_to(actor, Slot.objects.select_related("block", "event__branch", "outage"))


def event_by_reference(*, actor: Actor, reference: str) -> SheddingEvent:
    """One event by its number; foreign and missing are the same ``NotFound``."""
    event = events_visible_to(actor).filter(reference=reference).first()
    if event is None:
        raise NotFound()
    return event


def plan_by_id(*, actor: Actor, plan_id: int) -> SheddingPlan:
    """One version of a plan; foreign and missing are the same ``NotFound``."""
    plan = plans_visible_to(actor).filter(pk=plan_id).first()
    if plan is None:
        raise NotFound()
    return plan


def had_a_hand_in(plan: SheddingPlan, actor: Actor) -> bool:
    """Did the actor draw the version up or change it at any time? Its history knows everybody who did."""
    return actor.user_id is not None and plan.events.filter(author_id=actor.user_id).exists()  # type: ignore[attr-defined]


def kept_out_visible_to(actor: Actor) -> QuerySet[KeptOut]:
    """What is kept out of shedding in the actor's branches."""
    return visible_to(actor, KeptOut.objects.select_related("element__branch").order_by("element__code"))


def agreements_visible_to(actor: Actor) -> QuerySet[Agreement]:
    """The agreements of the branches in which the actor leads or confirms shedding, in the order of asking."""
    mine = Agreement.objects.none()
    for capability in policies.CAPABILITIES["read_agreements"]:
        mine |= visible_to(actor, Agreement.objects.all(), capability)
    turn = Case(*(When(kind=kind, then=Value(n)) for n, kind in enumerate(Agreement.Kind.values)))
    return mine.select_related("customer", "branch").order_by(turn, "-mw", "pk")


def agreements_by_kind(found: QuerySet[Agreement]) -> list[tuple[str, int, float]]:
    """How many there are of each measure, and what they take off together in MW, in the order of asking."""
    rows = found.order_by().values_list("kind").annotate(Count("pk"), Sum("mw"))
    held = {kind: (number, mw) for kind, number, mw in rows}
    return [(str(kind.label), *held.get(kind.value, (0, 0.0))) for kind in Agreement.Kind]


def elements_by_block(plan: SheddingPlan) -> dict[int, list[GridElement]]:
    """The elements of each block of a plan, by the blocks' keys."""
    found: dict[int, list[GridElement]] = {}
    members = BlockElement.objects.filter(plan=plan).select_related("element").order_by("element__code")
    for member in members:
        found.setdefault(member.block_id, []).append(member.element)
    return found


def plan_in_force(branch: Branch, at: datetime | None = None) -> SheddingPlan | None:
    """The approved plan whose day has come, of the branch or the nearest one above it."""
    day = (at or timezone.now()).astimezone(ZoneInfo(branch.time_zone)).date()
    return (
        SheddingPlan.objects.filter(
            branch__pos__lte=branch.pos,
            branch__last__gte=branch.pos,
            state=PlanState.APPROVED,
            effective_from__lte=day,
        )
        .order_by("-branch__pos", "-effective_from", "-number")
        .select_related("branch")
        .first()
    )


def rows_of(
    plan: SheddingPlan | int, stages: Collection[int] | None = None, blocks: Collection[str] | None = None
) -> list[Row]:
    """A plan's rotation table (of some stages, of some blocks), its blocks by their codes."""
    turns = Turn.objects.filter(plan=plan)
    if stages is not None:
        turns = turns.filter(stage__in=stages)
    if blocks is not None:
        turns = turns.filter(block__code__in=blocks)
    fields = ("stage", "block__code", "recurrence", "day", "starts", "ends", "period", "counts_from", "is_possible")
    return [Row(*turn) for turn in turns.values_list(*fields)]


def plans_public() -> QuerySet[SheddingPlan]:
    """Versions of which everybody may read what is published."""
    return SheddingPlan.objects.filter(state=PlanState.APPROVED).select_related("branch")


def blocks_named(plan: SheddingPlan, name: str) -> QuerySet[SheddingBlock]:
    """The block with this code, and those that people still know by it; the one whose code it is comes first."""
    found = plan.blocks.filter(Q(code=name) | Q(formerly__contains=[name]))
    return found.order_by(Case(When(code=name, then=Value(0)), default=Value(1)), "code")


def block_public(*, plan: SheddingPlan, name: str) -> SheddingBlock:
    """A block by its code or by a name that people still know."""
    block = blocks_named(plan, name).first()
    if block is None:
        raise NotFound()
    return block


def slots_public(block: SheddingBlock, at: datetime) -> QuerySet[Slot]:
    """The turns of a block, in all versions of its plan, that were decided and can no longer be undone."""
    told = Q(event__undo_until__isnull=True) | Q(event__undo_until__lte=at)
    slots = Slot.objects.filter(told, block__code=block.code, block__plan__branch=block.plan.branch_id)
    return slots.exclude(event__state__in=lifecycle.UNDECIDED).select_related("event")


# --- for machines -------------------------------------------------------------------------------------


def plans_in_full(actor: Actor) -> QuerySet[SheddingPlan]:
    """Approved plans of the actor's branches with stages, blocks and their elements."""
    approved = plans_visible_to(actor).filter(state=PlanState.APPROVED)
    return approved.prefetch_related("stages", "blocks__block_elements__element")


def event_in_full(*, actor: Actor, reference: str) -> SheddingEvent:
    """One event with its measures and slots."""
    slots = Slot.objects.select_related("event", "block", "outage", "fault")
    event = (
        events_visible_to(actor)
        .prefetch_related("measures", Prefetch("slots", queryset=slots))
        .filter(reference=reference)
        .first()
    )
    if event is None:
        raise NotFound()
    return event


def event_to_write(*, actor: Actor, reference: str) -> SheddingEvent:
    """One event of the branches where the actor sheds."""
    event = visible_to(actor, SheddingEvent.objects.all(), "shedding.write").filter(reference=reference).first()
    if event is None:
        raise NotFound(field="event")
    return event


def slot_to_switch(*, actor: Actor, slot_id: int) -> Slot:
    """One slot of the branches where the actor sheds."""
    slot = visible_to(actor, Slot.objects.all(), "shedding.write").filter(pk=slot_id).first()
    if slot is None:
        raise NotFound()
    return slot


def slots_by_block(event: SheddingEvent) -> dict[str, list[Slot]]:
    """The turns of an event that stand, in order of time, by the codes of their blocks."""
    standing = Slot.objects.filter(event=event).exclude(state__in=[lifecycle.SKIPPED, lifecycle.DROPPED])
    found: dict[str, list[Slot]] = {}
    for slot in standing.select_related("block").order_by("starts_at", "pk"):
        found.setdefault(slot.block.code, []).append(slot)
    return found
