"""What a text names: pieces of the branch's own network by code or name, and the nearest where there is none.

A piece of another branch is as unknown as one that does not exist.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from django.db import connection, transaction

from grid.models import Branch, ElementKind

NEAREST: Final = 3
MOST_UNKNOWN: Final = 200  # a file with more unknown names is another branch's
_LIKE: Final = "0.2"  # lower than usual: one wrong character in a Chinese name of four leaves no more than this


@dataclass(frozen=True)
class Piece:
    """A piece of the branch's network, as far as a name must be told from others."""

    id: int
    code: str
    name: str
    kind: str
    feeder_id: int | None

    @property
    def label(self) -> str:
        return f"{self.code} {self.name}" if self.name else self.code


def plain(text: str) -> str:
    """A name without what people write differently: width, case, spaces, brackets, the voltage in front."""
    squeezed = re.sub(r"[\s()\[\]【】]", "", unicodedata.normalize("NFKC", text)).upper()
    return squeezed.removeprefix("10KV")


# the same in SQL; a piece is found by code, by name, and by both in either order
_NAMED_SQL: Final = r"""
WITH own AS MATERIALIZED (
    SELECT e.id, e.code, e.name, e.kind, e.feeder_id,
           regexp_replace(upper(regexp_replace(normalize(e.code, NFKC), '[\s()\[\]【】]', '', 'g')), '^10KV', '') AS c,
           regexp_replace(upper(regexp_replace(normalize(e.name, NFKC), '[\s()\[\]【】]', '', 'g')), '^10KV', '') AS n
    FROM grid_gridelement e JOIN grid_branch b ON b.id = e.branch_id
    WHERE b.pos BETWEEN %(first)s AND %(last)s
), named AS (
    SELECT c AS key, id FROM own
    UNION SELECT n, id FROM own WHERE n <> ''
    UNION SELECT c || n, id FROM own WHERE n <> ''
    UNION SELECT n || c, id FROM own WHERE n <> ''
)
SELECT asked.key, own.id, own.code, own.name, own.kind, own.feeder_id
FROM unnest(%(keys)s::text[]) AS asked(key) JOIN named USING (key) JOIN own USING (id)
ORDER BY own.code
"""


def pieces_named(*, branch: Branch, texts: Collection[str]) -> dict[str, list[Piece]]:
    """The branch's pieces that each text may mean, in one statement however many there are."""
    keys = {plain(text) for text in texts} - {""}
    found: defaultdict[str, list[Piece]] = defaultdict(list)
    if keys:
        with connection.cursor() as db:
            db.execute(_NAMED_SQL, {"first": branch.pos, "last": branch.last, "keys": sorted(keys)})
            for key, *piece in db.fetchall():
                found[key].append(Piece(*piece))
    return {text: found.get(plain(text), []) for text in texts}


def the_one(pieces: Collection[Piece], *, text: str, feeder: Piece | None, is_feeder: bool) -> list[Piece]:
    """Of several pieces of one name those that are meant: one, if it can be told."""
    left = list(pieces)
    if is_feeder:
        left = [piece for piece in left if piece.kind == ElementKind.FEEDER] or left
    elif feeder is not None:
        left = [piece for piece in left if feeder.id in (piece.id, piece.feeder_id)] or left
    if len(left) > 1:
        key = plain(text)
        left = [piece for piece in left if plain(piece.code) == key] or left
    if len(left) > 1:
        left = [piece for piece in left if piece.kind == ElementKind.FEEDER] or left
    return left


_NEAREST_SQL: Final = """
SELECT asked.key, near.code
FROM unnest(%(keys)s::text[], %(feeders)s::bool[]) AS asked(key, is_feeder)
CROSS JOIN LATERAL (
    SELECT e.code, greatest(similarity(upper(e.code), asked.key), similarity(upper(e.name), asked.key)) AS likeness
    FROM grid_gridelement e JOIN grid_branch b ON b.id = e.branch_id
    WHERE b.pos BETWEEN %(first)s AND %(last)s AND (upper(e.code) %% asked.key OR upper(e.name) %% asked.key)
    ORDER BY (e.kind = 'feeder' AND asked.is_feeder) DESC, likeness DESC, e.code LIMIT %(nearest)s
) near
"""


def nearest(*, branch: Branch, unknown: Mapping[str, bool]) -> dict[str, tuple[str, ...]]:
    """Codes of the pieces most like each unknown text (``True``: a feeder is wanted), in one statement for all."""
    asked = {plain(text): is_feeder for text, is_feeder in list(unknown.items())[:MOST_UNKNOWN] if plain(text)}
    found: defaultdict[str, list[str]] = defaultdict(list)
    if asked:
        with transaction.atomic(), connection.cursor() as db:
            db.execute("SELECT set_config('pg_trgm.similarity_threshold', %s, true)", [_LIKE])
            db.execute(
                _NEAREST_SQL,
                {
                    "keys": list(asked), "feeders": list(asked.values()), "nearest": NEAREST,
                    "first": branch.pos, "last": branch.last,
                },
            )  # fmt: skip
            for key, code in db.fetchall():
                found[key].append(code)
    return {text: tuple(found.get(plain(text), ())) for text in unknown}
