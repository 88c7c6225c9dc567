"""A measurement and how it is shown."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Result:
    """``ratio`` is ours over the bare limit, for times and for rates alike; ``at_most`` says which side is good."""

    name: str
    what: str
    ours: str
    bare: str
    ratio: float
    budget: float
    at_most: bool
    note: str = ""

    @property
    def kept(self) -> bool:
        return self.ratio <= self.budget if self.at_most else self.ratio >= self.budget

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"kept": self.kept}

    def cells(self) -> list[str]:
        sign = "<=" if self.at_most else ">="
        verdict = "kept" if self.kept else "MISSED"
        return [self.what, self.ours, self.bare, f"{self.ratio:.2f}", f"{sign} {self.budget:g}", verdict, self.note]


HEADING = ["work", "ours", "bare limit", "ratio", "budget", "", "note"]


def table(results: list[Result], about: dict[str, Any]) -> str:
    rows = [HEADING, *(result.cells() for result in results)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADING))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "-" * max(len(line) for line in lines))
    return "\n".join([*lines, "", machine_line(about)])


def page(results: list[Result], about: dict[str, Any]) -> str:
    """The table for the documentation."""
    rows = ["| " + " | ".join(result.cells()) + " |" for result in results]
    head = ["| " + " | ".join(HEADING) + " |", "|" + "---|" * len(HEADING)]
    intro = (
        "# Measured\n\nEach figure against its bare limit in the same run, so that the ratio travels to other "
        "machines; `make bench N=...` measures again and `make bench ARGS=--write` replaces this page.\n"
    )
    return "\n".join([intro, *head, *rows, "", machine_line(about), ""])


def machine_line(about: dict[str, Any]) -> str:
    return (
        f"{about['service_points']:,} service points; {about['cores']} cores ({about['processor']}), "
        f"{about['memory_gib']} GiB, client and servers on the same machine; PostgreSQL {about['postgresql']}, "
        f"Python {about['python']}, Django {about['django']}; {about['at']}."
    )
