"""Turns chosen by hand: what may be ticked, and the running sum of each period against the order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from functools import cached_property
from typing import Any, Final

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from outages.load_shedding.models import Proposal, SheddingBlock
from outages.load_shedding.proposals import LETTERS, Choice
from outages.load_shedding.proposals.case import is_within
from outages.load_shedding.question import Question
from outages.load_shedding.rotation import Span
from outages.templatetags.pages import grouped

BY_HAND: Final = "M"


@dataclass(frozen=True)
class HandLine:
    """A block that may be ticked, or the reason why not."""

    block: SheddingBlock
    hours: float
    turns: int
    why_not: str | Promise
    cells: tuple[tuple[str, float, bool, bool], ...]  # key, MW, ticked, stands already
    is_beyond_limits: bool


def key_of(question: Question, code: str, p: int) -> str:
    """A block's turn by the end of its period: periods that pass move up the others, and cut the first."""
    return f"{code}:{question.periods[p].until.astimezone(UTC):%Y%m%d%H%M}"


@dataclass(frozen=True)
class Hand:
    """Turns ticked one by one, with the sum of each period against what is ordered."""

    question: Question
    turns: Mapping[str, tuple[int, ...]]

    @classmethod
    def of(cls, question: Question, keys: Sequence[str]) -> Hand:
        """From what was ticked; what cannot be ticked is left out, whoever sends it."""
        turns: dict[str, tuple[int, ...]] = {}
        ticked = set(keys)
        for one in question.candidates:
            could = [p for p, kw in enumerate(one.kw) if kw and p not in one.barred]
            mine = {p for p in could if key_of(question, one.code, p) in ticked} | one.fixed
            if mine:
                turns[one.code] = tuple(sorted(mine))
        return cls(question, turns)

    @cached_property
    def keys(self) -> list[str]:
        return [key_of(self.question, code, p) for code, periods in self.turns.items() for p in periods]

    @cached_property
    def choice(self) -> Choice:
        asked = self.question
        shed = [
            sum(one.kw[p] for one in asked.candidates if p in self.turns.get(one.code, ()))
            for p in range(len(asked.periods))
        ]
        short = tuple(max(0, asked.limits.target_kw - kw) for kw in shed)
        return Choice(BY_HAND, dict(self.turns), tuple(shed), short, is_optimal=False, is_tightest=False)

    @cached_property
    def spans(self) -> list[Span]:
        return self.question.spans_of(self.choice)

    @cached_property
    def figures(self) -> dict[str, Any]:
        return self.question.figures_of(self.choice)

    @property
    def sums(self) -> list[dict[str, Any]]:
        """Each period with what is ticked for it, beside the order."""
        target = self.question.limits.target_kw
        most = max(target, *self.choice.shed_kw, 1)
        return [
            {
                "begins": period.begins, "until": period.until, "mw": kw / 1000, "target": target / 1000,
                "over": (kw - target) / 1000, "filled": round(100 * kw / most, 2),
                "mark": round(100 * target / most, 2),
            }
            for period, kw in zip(self.question.periods, self.choice.shed_kw, strict=True)
        ]  # fmt: skip

    @property
    def lines(self) -> list[HandLine]:
        """All blocks: those that may be shed, the least burdened first, then those that may not."""
        could = {one.code: one for one in self.question.candidates}
        lines = []
        for code, block in self.question.blocks.items():
            one, hours = could.get(code), self.question.hours[code]
            mine = self.turns.get(code, ())
            cells = () if one is None else tuple(
                (key_of(self.question, code, p) if kw and p not in one.barred else "", kw / 1000, p in mine,
                 p in one.fixed)
                for p, kw in enumerate(one.kw)
            )  # fmt: skip
            why_not = "" if one is not None else self.question.explain.get(code, "")
            is_beyond = one is not None and bool(mine) and not self._is_within(code, mine)
            lines.append(HandLine(block, hours.weighted, hours.turns, why_not, cells, is_beyond))
        return sorted(lines, key=lambda line: (bool(line.why_not), line.hours, line.block.code))

    @property
    def beyond_limits(self) -> list[str]:
        return [line.block.code for line in self.lines if line.is_beyond_limits]

    def _is_within(self, code: str, turns: Sequence[int]) -> bool:
        one = next(one for one in self.question.candidates if one.code == code)
        periods = self.question.periods
        standing = [*one.off, *(periods[p].window for p in sorted(one.fixed))]
        return is_within(self.question.limits, standing, [periods[p].window for p in turns if p not in one.fixed])


# --- side by side ---------------------------------------------------------------------------------------

LETTER_WORDS: Final[Mapping[str, str | Promise]] = {
    "A": _("A fair"),
    "B": _("B fewest customers"),
    "C": _("C fewest switchings"),
    BY_HAND: _("By hand"),
}


@dataclass(frozen=True)
class Column:
    letter: str
    figures: Mapping[str, Any]

    @property
    def letter_words(self) -> str:
        return str(LETTER_WORDS[self.letter])


def _range(values: Sequence[float]) -> str:
    """One load where all periods have the same, else from the least to the most."""
    least, most = min(values, default=0.0), max(values, default=0.0)
    return f"{most:.2f}" if f"{least:.2f}" == f"{most:.2f}" else f"{least:.2f}–{most:.2f}"


# label, how it reads, what it is compared by (the least is best); nothing where it is not compared
_COMPARED: Final[tuple[tuple[str | Promise, Callable[[Any], str], Callable[[Any], float] | None], ...]] = (
    (_("Load shed (MW)"), lambda f: _range(f["mw"]), None),
    (_("Short of the order (MW)"), lambda f: f"{max(f['shortfall_mw'], default=0):.2f}",
     lambda f: max(f["shortfall_mw"], default=0)),
    (_("Blocks"), lambda f: grouped(f["blocks"]), lambda f: f["blocks"]),
    (_("Customers"), lambda f: grouped(f["customers"]), lambda f: f["customers"]),
    (_("Customer-hours"), lambda f: grouped(f["customer_hours"]), lambda f: f["customer_hours"]),
    (_("Important customers"), lambda f: grouped(f["critical"]), lambda f: f["critical"]),
    (_("Life support"), lambda f: grouped(f["life_support"]), lambda f: f["life_support"]),
    (_("Switching operations"), lambda f: grouped(f["operations"]), lambda f: f["operations"]),
    (_("Longest off of those shed (h)"), lambda f: f"{f['worst_hours']:.1f}", lambda f: f["worst_hours"]),
    (_("From best-off to worst-off (h), before → after"), lambda f: " → ".join(f"{h:.1f}" for h in f["spread"]),
     lambda f: f["spread"][1]),
    (_("Gini, before → after"), lambda f: " → ".join(f"{g:.3f}" for g in f["gini"]), lambda f: f["gini"][1]),
)  # fmt: skip


def compare(rows: Mapping[str, Proposal], hand: Hand | None) -> dict[str, Any]:
    """The proposals, and what was ticked, by the same figures; the best of each line stands out."""
    columns = [Column(letter, rows[letter].figures) for letter in LETTERS if letter in rows]
    if hand is not None:
        columns.append(Column(BY_HAND, hand.figures))
    compared = []
    for label, words, measure in _COMPARED:
        values = [measure(one.figures) for one in columns] if measure else []
        is_told = len(set(values)) > 1
        cells = [
            (words(one.figures), is_told and values[n] == min(values), label is _SHORT and values[n] > 0)
            for n, one in enumerate(columns)
        ]
        compared.append((label, cells))
    not_proved = [one.letter for one in rows.values() if one.letter in LETTERS and not one.is_optimal]
    return {"columns": columns, "compared": compared, "not_proved": not_proved}


_SHORT: Final = _COMPARED[1][0]
