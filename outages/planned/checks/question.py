"""The works that are asked about, as relations for SQL: a month's plan is one question, not two thousand.

They travel as arrays and not as a temporary table: a table would make every preview a writing transaction, and those
hold back the readers of the event log (ADR 6).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, Final

from django.db import connection

from grid.models import ElementKind
from outages.planned.findings import Subject
from outages.planned.lifecycle import STANDING, UNDER_WAY
from outages.planned.models import WindowState
from standards import loader
from standards.schema import RulePack

LIVE_WINDOWS: Final = (WindowState.PLANNED, WindowState.PUBLISHED, WindowState.NOTIFIED, *UNDER_WAY)

# What is asked. A work's key is its id, below zero while it has none; ``apart`` names what is no conflict: the work
# itself and whatever is the same outage.
ASKED: Final = """
asked AS (SELECT * FROM unnest(%(n)s::int[], %(key)s::bigint[]) AS t(n, key)),
asked_place AS (SELECT * FROM unnest(%(place_n)s::int[], %(place)s::bigint[]) AS t(n, place)),
asked_window AS (
    SELECT * FROM unnest(%(window_n)s::int[], %(starts)s::timestamptz[], %(ends)s::timestamptz[]) AS t(n, starts, ends)
),
asked_element AS (
    SELECT t.n, e.id AS element, e.pos, e.last, e.kind, e.feeder_id
    FROM unnest(%(element_n)s::int[], %(element)s::bigint[]) AS t(n, id) JOIN grid_gridelement e ON e.id = t.id
),
apart AS (SELECT * FROM unnest(%(apart_n)s::int[], %(apart_key)s::bigint[]) AS t(n, key))
"""

# What else is planned between ``since`` and ``until``: the other works of the question as they stand in it, and every
# saved work of the wanted states. What is off now lasts until its estimate; without one that is still ahead, a day.
RIVALS: Final = """
saved AS (
    SELECT w.id AS key FROM planned_plannedwork w
    WHERE w.state = ANY(%(states)s) AND NOT EXISTS (SELECT FROM asked WHERE asked.key = w.id)
),
saved_window AS (
    SELECT x.work_id AS key, x.starts_at AS starts,
           CASE WHEN NOT x.state = ANY(%(under_way)s) THEN x.ends_at
                WHEN coalesce(o.etr, x.ends_at) > %(at)s THEN coalesce(o.etr, x.ends_at)
                ELSE %(unknown_until)s END AS ends
    FROM saved JOIN planned_workwindow x ON x.work_id = saved.key
    LEFT JOIN outages_outage o ON o.id = x.outage_id
    WHERE x.state = ANY(%(live_windows)s)
),
rival_window AS (
    SELECT asked.key, w.starts, w.ends FROM asked JOIN asked_window w USING (n)
    WHERE %(are_rivals)s AND w.starts < %(until)s AND w.ends > %(since)s
    UNION ALL
    SELECT key, starts, ends FROM saved_window WHERE starts < %(until)s AND ends > %(since)s
),
rival_place AS (
    SELECT asked.key, p.place FROM asked JOIN asked_place p USING (n) WHERE %(are_rivals)s
    UNION ALL
    SELECT p.work_id, p.element_id FROM saved JOIN planned_workplace p ON p.work_id = saved.key
),
rival_element AS (
    SELECT asked.key, e.element, e.pos, e.last, e.kind, e.feeder_id FROM asked JOIN asked_element e USING (n)
    WHERE %(are_rivals)s
    UNION ALL
    SELECT m.plannedwork_id, e.id, e.pos, e.last, e.kind, e.feeder_id
    FROM saved JOIN planned_plannedwork_elements m ON m.plannedwork_id = saved.key
    JOIN grid_gridelement e ON e.id = m.gridelement_id
)
"""

ENDS_ONLY: Final = (ElementKind.TRANSFORMER, ElementKind.LV_CIRCUIT)  # without one its feeder is on all the same


def feeders_of(relation: str, *, key: str) -> str:
    """For SQL that is given ``ends_only``: the feeders that the elements are on; above all feeders, those below."""
    return f"""
    SELECT {key}, feeder_id AS feeder FROM {relation} WHERE feeder_id IS NOT NULL AND NOT kind = ANY(%(ends_only)s)
    UNION
    SELECT {key}, f.id FROM {relation} r JOIN grid_gridelement f ON f.kind = 'feeder' AND f.pos BETWEEN r.pos AND r.last
    WHERE r.feeder_id IS NULL
    """  # noqa: S608 - only our own relations are put in


UNKNOWN_LASTS: Final = timedelta(days=1)  # an outage that is off now and says nothing of its end that is still ahead


@dataclass(frozen=True)
class Question:
    """Some works, asked about at one moment. ``are_rivals``: whether they count against each other."""

    subjects: Sequence[Subject]
    at: datetime
    are_rivals: bool = True

    @cached_property
    def by_number(self) -> dict[int, Subject]:
        return {subject.number: subject for subject in self.subjects}

    @cached_property
    def by_key(self) -> dict[int, Subject]:
        return {key_of(subject): subject for subject in self.subjects}

    @cached_property
    def first_start(self) -> datetime:
        return min((starts for s in self.subjects for starts, _ends in s.windows), default=self.at)

    @cached_property
    def last_end(self) -> datetime:
        return max((ends for s in self.subjects for _starts, ends in s.windows), default=self.at)

    def rows(
        self, statement: str, *, margin: timedelta = timedelta(), states: Sequence[str] = STANDING, **more: Any
    ) -> list[tuple[Any, ...]]:
        """One statement over the relations of this module; rivals count up to ``margin`` before and after."""
        between = {"since": self.first_start - margin, "until": self.last_end + margin}
        with connection.cursor() as db:
            db.execute(statement, {**self._parameters, **between, "states": list(states), **more})
            rows: list[tuple[Any, ...]] = db.fetchall()
        return rows

    @cached_property
    def _parameters(self) -> dict[str, Any]:
        subjects = self.subjects
        windows = [(s.number, *window) for s in subjects for window in s.windows]
        return {
            "at": self.at,
            "unknown_until": self.at + UNKNOWN_LASTS,
            "are_rivals": self.are_rivals,
            "live_windows": list(LIVE_WINDOWS),
            "under_way": list(UNDER_WAY),
            "n": array(s.number for s in subjects),
            "key": array(key_of(s) for s in subjects),
            "place_n": array(s.number for s in subjects for _place in s.place_ids),
            "place": array(place for s in subjects for place in s.place_ids),
            "window_n": array(n for n, _starts, _ends in windows),
            "starts": _instants(starts for _n, starts, _ends in windows),
            "ends": _instants(ends for _n, _starts, ends in windows),
            "element_n": array(s.number for s in subjects for _element in s.element_ids),
            "element": array(element for s in subjects for element in s.element_ids),
            "apart_n": array(s.number for s in subjects for _key in _apart(s)),
            "apart_key": array(key for s in subjects for key in _apart(s)),
        }


def key_of(subject: Subject) -> int:
    """The work's id; below zero for what is not saved yet."""
    return subject.work_id if subject.work_id is not None else -1 - subject.number


def pack_of(subject: Subject) -> RulePack:
    """The rules of the work's branch."""
    return loader.pack(subject.rule_pack)


def _apart(subject: Subject) -> list[int]:
    return [key_of(subject), *sorted(subject.apart_from)]


def array(values: Iterable[object]) -> str:
    """One text: a hundred thousand numbers are parsed as a value, not as an expression of a hundred thousand nodes."""
    return "{" + ",".join(map(str, values)) + "}"


def _instants(moments: Iterable[datetime]) -> str:
    return array(f'"{moment.astimezone(UTC).isoformat()}"' for moment in moments)
