"""The rows of load shedding: plans with their blocks and turns, events with their slots."""

from outages.load_shedding.models.events import (
    EventState,
    Measure,
    Proposal,
    Reaction,
    SheddingEvent,
    SheddingStep,
    Slot,
    SlotState,
)
from outages.load_shedding.models.plans import (
    Agreement,
    BlockElement,
    BlockPlace,
    Colour,
    KeptOut,
    PlanState,
    Recurrence,
    SheddingBlock,
    SheddingPlan,
    SheddingStage,
    StageWindow,
    Turn,
)

__all__ = [
    "Agreement",
    "BlockElement",
    "BlockPlace",
    "Colour",
    "EventState",
    "KeptOut",
    "Measure",
    "PlanState",
    "Proposal",
    "Reaction",
    "Recurrence",
    "SheddingBlock",
    "SheddingEvent",
    "SheddingPlan",
    "SheddingStage",
    "SheddingStep",
    "Slot",
    "SlotState",
    "StageWindow",
    "Turn",
]
