"""What a check says about a work, and what it needs to know of one: saved, or still being typed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.utils.functional import Promise

from standards.values import Cited


class Weight(StrEnum):
    """What follows from a finding."""

    REFUSES = "refuses"  # nobody can hand this in
    ASKS = "asks"  # somebody must answer before the next gate
    TELLS = "tells"  # worth knowing


@dataclass(frozen=True)
class Subject:
    """A work as the checks see it. ``number`` is its place in the question; ``work_id`` is ``None`` while typed.

    ``place_ids`` are the transformer areas (elements with customers) that lose supply. ``apart_from`` names works
    that are no conflict because they are the same outage: the children of a joint one, or the joint one itself.
    """

    number: int
    branch_id: int
    branch_pos: int
    time_zone: str
    rule_pack: str
    element_ids: tuple[int, ...]
    place_ids: tuple[int, ...]
    windows: tuple[tuple[datetime, datetime], ...]
    work_class: str = "planned"
    temporary_reason: str = ""
    live_line: str = ""
    transfer: str = ""
    transfer_tie_id: int | None = None
    work_id: int | None = None
    reference: str = ""
    apart_from: frozenset[int] = frozenset()
    published_at: datetime | None = None


@dataclass(frozen=True)
class Finding:
    """One thing a check found. ``text`` is a lazy translation with ``params``; ``rule`` is what it rests on."""

    code: str
    weight: Weight
    text: str | Promise
    params: Mapping[str, Any] = field(default_factory=dict)
    rule_path: str = ""  # e.g. "notice.planned"; empty where the rule is this product's own logic
    rule: Cited | None = None
    rule_text: str | Promise = ""  # the rule in words where no pack holds it
    references: tuple[str, ...] = ()  # works and outages it speaks of, for links
    customers: int = 0  # how many are concerned, where that is a number
    answer: str = ""  # what somebody answered

    @property
    def words(self) -> str:
        text = str(self.text)
        return text % self.params if self.params else text

    @property
    def is_open(self) -> bool:
        """Still stands in the way."""
        return self.weight == Weight.REFUSES or (self.weight == Weight.ASKS and not self.answer)
