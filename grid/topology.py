"""What is off when something opens, what could feed it instead, and the way the power comes.

Elements are the vertices of a graph and an adjacency is parent-child or a tie. An open element conducts
nothing, and what hangs on it is off. The network's shape is loaded once per revision and process; for each
set of open elements the *operating forest* from the sources is worked out once. A question then touches only
the subtrees below the opened elements: they fall into pieces, each held together by its own branches, and a
piece stays on if a closed way leads from it, over other pieces or at once, to a part that is still fed.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from django.db import connection
from scipy.sparse.csgraph import breadth_first_order

from grid.forest import edges_once, network_rebuild, read_columns, symmetric, walk_from
from grid.models import GridElement, GridRevision, GridTie, ServicePoint

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]

__all__ = [
    "TransferOption",
    "isolated_by",
    "isolated_service_points",
    "network_rebuild",
    "places_isolated_normally",
    "supply_path",
    "transfer_options",
]

STATES_KEPT = 8  # switching changes the set of open elements one by one; a few alternate while tests and what-ifs run


@dataclass(frozen=True)
class TransferOption:
    """转供电: an open tie that could take over a part of what is off, and how much that is."""

    tie: GridElement
    feeder: GridElement | None  # the one that would feed it
    customers: int
    critical_customers: int
    load_kw: float
    elements: int


# --- questions --------------------------------------------------------------------------------------


def isolated_by(element_ids: Collection[int]) -> list[int]:
    """The elements that lose supply when these open: these included, those already off not."""
    state = current_state()
    return [int(pk) for pk in state.isolated(element_ids)]


def places_isolated_normally(groups: Sequence[Collection[int]]) -> list[list[int]]:
    """For each group of elements, the elements with customers that lose supply when the group opens.

    Told from the network as it is switched *normally*: what is planned for next week does not depend on what is
    open today. One state of the network answers for all groups.
    """
    state = _state_of(_NORMAL_SQL)
    answers: dict[frozenset[int], list[int]] = {}
    for group in map(frozenset, groups):
        if group not in answers:
            answers[group] = state.customer_places(group).tolist()
    return [answers[frozenset(group)] for group in groups]


def isolated_service_points(element_ids: Collection[int]) -> list[str]:
    """The codes of the service points that lose supply when these elements open, sorted."""
    with connection.cursor() as db:
        db.execute(
            f'SELECT code FROM {ServicePoint._meta.db_table} WHERE element_id = ANY(%s) ORDER BY code COLLATE "C"',  # noqa: S608
            [isolated_by(element_ids)],
        )
        return [code for (code,) in db.fetchall()]


def transfer_options(element_ids: Collection[int]) -> list[TransferOption]:
    """The open ties that could take over parts of what these elements would put off, the largest first."""
    takeovers = current_state().takeovers(element_ids)
    elements = GridElement.objects.select_related("branch").in_bulk(
        {t.tie for t in takeovers} | {t.feeder for t in takeovers if t.feeder is not None}
    )
    options = [
        TransferOption(
            tie=elements[t.tie],
            feeder=elements.get(t.feeder) if t.feeder is not None else None,
            customers=t.customers,
            critical_customers=t.critical,
            load_kw=t.load_w / 1000,
            elements=t.elements,
        )
        for t in takeovers
    ]
    return sorted(options, key=lambda o: (-o.customers, -o.elements, o.tie.code))


def supply_path(element_id: int) -> list[GridElement]:
    """The normal way of the power to an element, source first."""
    return list(
        GridElement.objects.raw(
            f"""
            WITH RECURSIVE up AS (
                SELECT id, parent_id, 0 AS step FROM {GridElement._meta.db_table} WHERE id = %s
                UNION ALL
                SELECT e.id, e.parent_id, up.step + 1
                FROM up JOIN {GridElement._meta.db_table} e ON e.id = up.parent_id
            )
            SELECT e.* FROM up JOIN {GridElement._meta.db_table} e USING (id) ORDER BY up.step DESC
            """,  # noqa: S608 - only the table's name
            [element_id],
        )
    )


# --- the network and its operating states -------------------------------------------------------------


class Takeover(NamedTuple):
    tie: int
    feeder: int | None
    customers: int
    critical: int
    load_w: int
    elements: int


class Network:
    """The shape of the network at one revision; immutable."""

    def __init__(self, *, ids: Ints, a: Ints, b: Ints, is_source: Bools, feeder: Ints, own: Ints) -> None:
        """``a`` and ``b`` are the ends of each adjacency as indexes into ``ids``, which are sorted."""
        self.ids = ids
        self.a, self.b = edges_once(a, b)
        self.is_source = is_source
        self.feeder = feeder  # the feeder's id, -1 for none
        self.own = own  # customers, critical customers, watts hanging directly on each element
        self._states: OrderedDict[bytes, OperatingState] = OrderedDict()
        self._lock = threading.Lock()

    @classmethod
    def load(cls) -> Network:
        element, tie = GridElement._meta.db_table, GridTie._meta.db_table
        ids, parent, is_source, feeder, *own = read_columns(
            "SELECT id, coalesce(parent_id, -1), is_source::int, coalesce(feeder_id, -1), own_customers, own_critical,"  # noqa: S608
            f" round(own_load_kw * 1000)::bigint FROM {element} ORDER BY id",
            7,
        )
        tie_a, tie_b = read_columns(f"SELECT a_id, b_id FROM {tie}", 2)  # noqa: S608
        child = np.flatnonzero(parent >= 0)
        return cls(
            ids=ids,
            a=np.concatenate((child, np.searchsorted(ids, tie_a))),
            b=np.concatenate((np.searchsorted(ids, parent[child]), np.searchsorted(ids, tie_b))),
            is_source=is_source == 1,
            feeder=feeder,
            own=np.stack(own),
        )

    def indexes(self, element_ids: Iterable[int]) -> Ints:
        """Places of known ids; unknown ones are left out."""
        wanted = np.unique(np.fromiter(element_ids, dtype=np.int64))
        if not len(self.ids):
            return wanted[:0]
        found = np.minimum(np.searchsorted(self.ids, wanted), len(self.ids) - 1)
        return np.asarray(found[self.ids[found] == wanted], dtype=np.int64)

    def state(self, open_ids: Iterable[int]) -> OperatingState:
        """The operating state with these elements open, remembered for the next question."""
        is_open = np.zeros(len(self.ids), dtype=np.bool_)
        opened = self.indexes(open_ids)
        is_open[opened] = True
        key = opened.tobytes()
        with self._lock:
            state = self._states.get(key)
            if state is None:
                state = self._states[key] = OperatingState(self, is_open)
                if len(self._states) > STATES_KEPT:
                    self._states.popitem(last=False)
            else:
                self._states.move_to_end(key)
            return state


class OperatingState:
    """Who feeds whom while a set of elements is open. Places are those of a depth-first walk; 0 is the virtual root."""

    def __init__(self, network: Network, is_open: Bools) -> None:
        self.network = network
        self.is_open = is_open
        n = len(network.ids)
        closed = ~is_open[network.a] & ~is_open[network.b]
        a, b = network.a[closed], network.b[closed]
        sources = np.flatnonzero(network.is_source & ~is_open)
        graph = symmetric(
            np.concatenate((a, sources)),
            np.concatenate((b, np.full(len(sources), n))),
            np.ones(len(a) + len(sources), dtype=np.int8),
            n=n + 1,
        )
        order, predecessors = breadth_first_order(graph, n, directed=True, return_predecessors=True)
        walk = walk_from(order, predecessors, root=n)
        self.pos = walk.pos  # -1: without supply
        reached = np.flatnonzero(walk.pos >= 0)
        self.vertex_at = np.empty(len(reached), dtype=np.int64)
        self.vertex_at[walk.pos[reached]] = reached
        self.last_at = walk.last[self.vertex_at]
        is_loop = (walk.parent[a] != b) & (walk.parent[b] != a) & (walk.pos[a] >= 0)
        ends = np.concatenate((walk.pos[a[is_loop]], walk.pos[b[is_loop]]))
        other = np.concatenate((walk.pos[b[is_loop]], walk.pos[a[is_loop]]))
        by_end = np.argsort(ends, kind="stable")
        self.loop_from, self.loop_to = ends[by_end], other[by_end]

    def isolated(self, element_ids: Iterable[int]) -> Ints:
        """Ids of the elements that lose supply, sorted."""
        pieces = self._pieces(element_ids)
        return np.sort(self.network.ids[self.vertex_at[pieces.places(~pieces.fed)]]) if pieces else _NOTHING

    def customer_places(self, element_ids: Iterable[int]) -> Ints:
        """Ids of those of the isolated elements on which customers hang, sorted."""
        pieces = self._pieces(element_ids)
        if not pieces:
            return _NOTHING
        vertices = self.vertex_at[pieces.places(~pieces.fed)]
        return np.sort(self.network.ids[vertices[self.network.own[0, vertices] > 0]])

    def takeovers(self, element_ids: Iterable[int]) -> list[Takeover]:
        """For every open element between a dead piece and a live part: what closing it would bring back."""
        opened = np.fromiter(element_ids, dtype=np.int64)
        pieces = self._pieces(opened)
        if not pieces:
            return []
        network = self.network
        # adjacencies of elements that are open now: (the open one, its neighbour)
        open_a, open_b = self.is_open[network.a], self.is_open[network.b]
        tie = np.concatenate((network.a[open_a], network.b[open_b]))
        neighbour = np.concatenate((network.b[open_a], network.a[open_b]))
        near = self.pos[neighbour]
        # a neighbour that had supply before; what is to be opened stays open
        keep = (near >= 0) & ~np.isin(network.ids[tie], opened)
        tie, near = tie[keep], near[keep]
        piece = pieces.piece_at(near)
        is_dead = piece >= 0
        is_dead[is_dead] = ~pieces.fed[piece[is_dead]]
        live = {int(t): int(p) for t, p in zip(tie[~is_dead], near[~is_dead], strict=True)}
        found: list[Takeover] = []
        dead_of: dict[int, set[int]] = {}
        for t, p in zip(tie[is_dead].tolist(), piece[is_dead].tolist(), strict=True):
            if t in live and not pieces.is_opened[p]:
                dead_of.setdefault(t, set()).add(p)
        for t, starts in dead_of.items():
            won = pieces.reached_from(starts)
            vertices = self.vertex_at[pieces.places(won)]
            own = network.own[:, vertices].sum(axis=1) + network.own[:, t]
            feeder = int(network.feeder[self.vertex_at[live[t]]]) if live[t] else -1
            found.append(
                Takeover(
                    tie=int(network.ids[t]),
                    feeder=feeder if feeder >= 0 else None,
                    customers=int(own[0]),
                    critical=int(own[1]),
                    load_w=int(own[2]),
                    elements=len(vertices) + 1,
                )
            )
        return found

    def _pieces(self, element_ids: Iterable[int]) -> Pieces | None:
        places = self.pos[self.network.indexes(element_ids)]
        places = np.sort(places[places >= 0])
        return Pieces(self, places.tolist()) if len(places) else None


class Pieces:
    """What the subtrees below some opened elements fall into: those elements, and the parts between them."""

    def __init__(self, state: OperatingState, opened: list[int]) -> None:
        last_at = state.last_at
        starts: list[int] = []  # each stretch of places ...
        owner: list[int] = []  # ... and the piece that it belongs to; -1 = outside
        self.is_opened: list[bool] = []
        stack: list[tuple[int, int]] = []  # (last place, piece) of the pieces around the current place

        def leave(until: int) -> None:
            while stack and stack[-1][0] < until:
                end, _piece = stack.pop()
                starts.append(end + 1)
                owner.append(stack[-1][1] if stack else -1)

        def enter(place: int, end: int, *, is_opened: bool) -> None:
            leave(place)
            piece = len(self.is_opened)
            self.is_opened.append(is_opened)
            starts.append(place)
            owner.append(piece)
            stack.append((end, piece))

        for place, end, is_opened in _with_children(opened, last_at):
            enter(place, end, is_opened=is_opened)
        leave(len(last_at) + 1)

        begin = np.array(starts, dtype=np.int64)
        belongs = np.array(owner, dtype=np.int64)
        # a stretch that begins where another one does is empty: the later, inner one counts
        is_real = np.append(begin[1:] != begin[:-1], True)
        self._begin, self._owner = begin[is_real], belongs[is_real]
        self._end = np.append(self._begin[1:], len(last_at))
        self._connect(state)

    def _connect(self, state: OperatingState) -> None:
        """Which pieces a closed way joins to each other or to a part that is still fed."""
        inside = self._owner >= 0
        low = np.searchsorted(state.loop_from, self._begin[inside])
        high = np.searchsorted(state.loop_from, self._end[inside])
        loops = _ranges(low, high)
        here = self.piece_at(state.loop_from[loops])
        there = self.piece_at(state.loop_to[loops])
        cut = np.array(self.is_opened, dtype=np.bool_)
        usable = ~cut[here] & ~((there >= 0) & cut[there])
        here, there = here[usable], there[usable]
        self._neighbours: dict[int, set[int]] = {}
        for one, two in zip(here[there >= 0].tolist(), there[there >= 0].tolist(), strict=True):
            if one != two:
                self._neighbours.setdefault(one, set()).add(two)
                self._neighbours.setdefault(two, set()).add(one)
        self.fed = self.reached_from(set(here[there < 0].tolist()))

    def reached_from(self, pieces: Collection[int]) -> Bools:
        """The pieces that get supply when these have it."""
        reached = np.zeros(len(self.is_opened), dtype=np.bool_)
        queue = list(pieces)
        while queue:
            piece = queue.pop()
            if not reached[piece]:
                reached[piece] = True
                queue.extend(self._neighbours.get(piece, ()))
        return reached

    def piece_at(self, places: Ints) -> Ints:
        """The piece at each place, -1 outside."""
        stretch = np.searchsorted(self._begin, places, side="right") - 1
        return np.where(stretch >= 0, self._owner[np.maximum(stretch, 0)], -1)

    def places(self, wanted: Bools) -> Ints:
        """Every place of the wanted pieces."""
        is_wanted = self._owner >= 0
        is_wanted[is_wanted] = wanted[self._owner[is_wanted]]
        return _ranges(self._begin[is_wanted], self._end[is_wanted])


_NOTHING: Ints = np.empty(0, dtype=np.int64)


def _with_children(opened: list[int], last_at: Ints) -> list[tuple[int, int, bool]]:
    """The intervals of the opened places and of each of their children, outer before inner, by place."""
    intervals: dict[int, tuple[int, bool]] = {}
    for place in opened:
        end = int(last_at[place])
        intervals[place] = (end, True)
        child = place + 1
        while child <= end:
            child_end = int(last_at[child])
            intervals.setdefault(child, (child_end, False))
            child = child_end + 1
    return [(place, end, is_opened) for place, (end, is_opened) in sorted(intervals.items())]


def _ranges(low: Ints, high: Ints) -> Ints:
    """The numbers of all half-open ranges, one after the other."""
    lengths = high - low
    low, lengths = low[lengths > 0], lengths[lengths > 0]
    if not len(low):
        return _NOTHING
    steps = np.ones(int(lengths.sum()), dtype=np.int64)
    steps[0] = low[0]
    steps[np.cumsum(lengths)[:-1]] = low[1:] - (low[:-1] + lengths[:-1] - 1)
    return np.cumsum(steps)


# --- the cache ----------------------------------------------------------------------------------------

_cache: dict[str, tuple[int, Network]] = {}
_cache_lock = threading.Lock()

# one cheap statement: a primary key and the partial index of what is open now
_NOW_SQL = f"""
SELECT (SELECT number FROM {GridRevision._meta.db_table} WHERE id = 1),
       ARRAY(SELECT id FROM {GridElement._meta.db_table} WHERE is_open)
"""  # noqa: S608 - only tables' names


_NORMAL_SQL = f"""
SELECT (SELECT number FROM {GridRevision._meta.db_table} WHERE id = 1),
       ARRAY(SELECT id FROM {GridElement._meta.db_table} WHERE normally_open)
"""  # noqa: S608


def current_state() -> OperatingState:
    """The network as it is switched now."""
    return _state_of(_NOW_SQL)


def _state_of(sql: str) -> OperatingState:
    """The network with the elements open that ``sql`` names beside the revision."""
    with connection.cursor() as db:
        db.execute(sql)
        revision, open_ids = db.fetchone()
    database = str(connection.settings_dict["NAME"])
    with _cache_lock:
        kept = _cache.get(database)
        if kept is None or revision is None or kept[0] != revision:
            kept = (revision or 0, Network.load())
            if revision is not None:
                _cache[database] = kept
    return kept[1].state(open_ids)
