"""What the rows switch off, and whether they are the branch's own: asked for all rows at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from django.db.models import Q

from grid.models import Branch
from outages.planned.intake import cells, pieces
from outages.planned.intake.columns import PLACES
from outages.planned.intake.pieces import Piece
from outages.planned.intake.rows import Row, Setting, value_in


@dataclass
class _Search:
    """What is known of the names in the file, and the cells that wait for a suggestion."""

    known: Mapping[str, list[Piece]]
    unknown: dict[str, bool] = field(default_factory=dict)  # text -> whether a feeder is wanted
    waiting: list[tuple[Row, str, str]] = field(default_factory=list)

    def piece(self, row: Row, name: str, text: str, feeder: Piece | None) -> Piece | None:
        is_feeder = name == "feeder"
        found = pieces.the_one(self.known[text], text=text, feeder=feeder, is_feeder=is_feeder)
        if len(found) == 1:
            return found[0]
        if found:
            row.says("ambiguous_place", name, text=text, better=[piece.code for piece in found[:6]])
        else:
            self.unknown[text] = self.unknown.get(text, False) or is_feeder
            self.waiting.append((row, name, text))
        return None

    def names(self, row: Row, name: str) -> list[str]:
        """The names in a cell; a name may itself hold a comma, so the whole cell goes before its parts."""
        parts = _names(row, name)
        whole = row.texts.get(name, "")
        return [whole] if len(parts) > 1 and self.known.get(whole) else parts


def rows_place(rows: Sequence[Row], setting: Setting) -> None:
    """What is switched off: the equipment that is named, else the feeder."""
    texts = {row.texts.get(name, "") for row in rows for name in PLACES} - {""}
    parts = {part for text in texts for part in cells.split_names(text)}
    search = _Search(pieces.pieces_named(branch=setting.branch, texts=texts | parts))
    for row in rows:
        feeders = [search.piece(row, "feeder", text, None) for text in search.names(row, "feeder")]
        feeder = feeders[0] if feeders else None
        equipment = [search.piece(row, "elements", text, feeder) for text in search.names(row, "elements")]
        row.pieces = tuple(piece for piece in equipment or feeders if piece is not None)
        if not feeders and not equipment and not any(problem.field in PLACES for problem in row.problems):
            row.says("missing", "elements" if "elements" in row.texts else "feeder")
    near = pieces.nearest(branch=setting.branch, unknown=search.unknown)
    for row, name, text in search.waiting:
        row.says("unknown_place", name, text=text, better=near.get(text, ()))


def _names(row: Row, name: str) -> list[str]:
    return (value_in(row, name, cells.names_in) or []) if row.texts.get(name) else []


def rows_own(rows: Sequence[Row], setting: Setting) -> None:
    """A row that names another branch is not this branch's."""
    said = {row.texts["branch"] for row in rows if row.texts.get("branch")}
    if not said:
        return
    known = Branch.objects.filter(Q(name__in=said) | Q(name_en__in=said) | Q(code__in=said))
    others: set[str] = set()
    own: set[str] = set()
    for branch in known:
        inside = setting.branch.pos <= branch.pos <= setting.branch.last
        above = branch.pos <= setting.branch.pos <= branch.last
        (own if inside or above else others).update({branch.name, branch.name_en, branch.code})
    for row in rows:
        text = row.texts.get("branch", "")
        if text in others - own:
            row.says("other_branch", "branch", text=text)
