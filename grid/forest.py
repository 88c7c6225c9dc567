"""The network as a forest: who is whose parent, where each subtree lies, and what hangs below (see ADR 0002)."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from django.db import connection, transaction
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import breadth_first_order, connected_components, minimum_spanning_tree

from grid.models import Branch, Customer, ElementKind, GridElement, GridRevision, GridTie, ServicePoint

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]


class Walk(NamedTuple):
    """A depth-first walk over a tree of ``n`` vertices hung under one virtual root, which has place 0."""

    pos: Ints  # place of each vertex, -1 where the walk does not come; the virtual root is vertex n
    last: Ints  # place of its last descendant
    parent: Ints  # its parent; n = the virtual root


def walk_from(order: NDArray[np.int32], predecessors: NDArray[np.int32], *, root: int) -> Walk:
    """Turn a breadth-first tree into preorder intervals, siblings in the order in which they were found."""
    n = root + 1
    parents = predecessors.tolist()
    visited = order.tolist()
    size = [1] * n
    for vertex in reversed(visited[1:]):
        size[parents[vertex]] += size[vertex]
    pos = [-1] * n
    last = [-1] * n
    pos[root] = 0
    last[root] = size[root] - 1
    free = [0] * n  # the next free place below each vertex
    free[root] = 1
    for vertex in visited[1:]:
        parent = parents[vertex]
        place = free[parent]
        free[parent] = place + size[vertex]
        pos[vertex] = place
        free[vertex] = place + 1
        last[vertex] = place + size[vertex] - 1
    parent_of = predecessors.astype(np.int64)
    return Walk(np.array(pos, dtype=np.int64), np.array(last, dtype=np.int64), parent_of)


def symmetric(a: Ints, b: Ints, weight: NDArray[Any], *, n: int) -> csr_array:
    """The adjacency of an undirected graph; each edge must be given once."""
    return csr_array(
        coo_array((np.concatenate((weight, weight)), (np.concatenate((a, b)), np.concatenate((b, a)))), shape=(n, n))
    )


def edges_once(a: Ints, b: Ints) -> tuple[Ints, Ints]:
    """Adjacencies without direction, doubles and self-references."""
    low, high = np.minimum(a, b), np.maximum(a, b)
    pairs = np.unique(np.stack((low, high), axis=1)[low != high], axis=0)
    return pairs[:, 0], pairs[:, 1]


def spanning_forest(
    *, n: int, parent: Ints, tie_a: Ints, tie_b: Ints, is_source: Bools, is_closed: Bools
) -> tuple[Walk, Ints, Ints]:
    """The normal-state forest from the sources, and the adjacencies left over.

    Closed ways come before open ones and the given parents before other ways, so that a tree that came
    with the data stays, and what only an open switch joins hangs below that switch.
    """
    has_parent = np.flatnonzero(parent >= 0)
    given_low = np.minimum(has_parent, parent[has_parent])
    given_high = np.maximum(has_parent, parent[has_parent])
    a, b = edges_once(np.concatenate((given_low, tie_a)), np.concatenate((given_high, tie_b)))
    given = np.isin(a * n + b, given_low * n + given_high)
    closed = is_closed[a] & is_closed[b]
    weight = np.where(closed, np.where(given, 1, 2), np.where(given, 3, 4)) * float(len(a) + 1) + np.arange(len(a))

    root = n
    sources = np.flatnonzero(is_source)
    graph_a = np.concatenate((a, sources))
    graph_b = np.concatenate((b, np.full(len(sources), root)))
    graph_w = np.concatenate((weight, np.linspace(0.25, 0.75, len(sources))))
    tree = minimum_spanning_tree(symmetric(graph_a, graph_b, graph_w, n=n + 1)).tocoo()

    # islands hang under the virtual root by their first vertex without a given parent
    _, island = connected_components(coo_array((tree.data, (tree.row, tree.col)), shape=(n + 1, n + 1)), directed=False)
    rank = np.where(parent >= 0, n, 0) + np.arange(n)
    first = np.lexsort((rank, island[:n]))
    _, starts = np.unique(island[:n][first], return_index=True)
    roots = first[starts]
    roots = roots[island[roots] != island[root]]

    whole = symmetric(
        np.concatenate((tree.row, roots)).astype(np.int64),
        np.concatenate((tree.col, np.full(len(roots), root))).astype(np.int64),
        np.ones(len(tree.row) + len(roots)),
        n=n + 1,
    )
    whole.sort_indices()
    order, predecessors = breadth_first_order(whole, root, directed=True, return_predecessors=True)
    walk = walk_from(order, predecessors, root=root)
    is_tree = (walk.parent[a] == b) | (walk.parent[b] == a)
    return walk, a[~is_tree], b[~is_tree]


# --- writing it -------------------------------------------------------------------------------------

_OWN_TOTALS_SQL = """
SELECT s.element_id, count(*), count(*) FILTER (WHERE c.importance <> 'normal'),
       sum(round(s.average_kw * 1000))::bigint
FROM grid_servicepoint s JOIN grid_customer c ON c.id = s.customer_id GROUP BY s.element_id
"""


def revision_raise() -> int:
    """Tell every process that its cached graph is old. Holds the row until the end of the transaction.

    The number comes from the clock, so that one that was rolled back is never issued again.
    """
    with connection.cursor() as db:
        db.execute(
            f"""
            INSERT INTO {GridRevision._meta.db_table} AS r (id, number)
            VALUES (1, (extract(epoch FROM clock_timestamp()) * 1e6)::bigint)
            ON CONFLICT (id) DO UPDATE SET number = greatest(r.number + 1, excluded.number) RETURNING number
            """  # noqa: S608 - only a table's name
        )
        return int(db.fetchone()[0])


def network_rebuild() -> None:
    """Work out the normal-state trees, feeders and kept totals again, and tell every process."""
    with transaction.atomic():
        revision_raise()
        _branches_rebuild()
        _elements_rebuild()


def _branches_rebuild() -> None:
    rows = list(Branch.objects.order_by("code").values_list("pk", "parent_id", "pos", "last"))
    children: dict[int | None, list[int]] = {}
    for pk, parent_id, _pos, _last in rows:
        children.setdefault(parent_id, []).append(pk)
    places: dict[int, list[int]] = {}
    stack: list[tuple[int, bool]] = [(pk, False) for pk in reversed(children.get(None, []))]
    counter = 0
    while stack:
        pk, leaving = stack.pop()
        if leaving:
            places[pk][1] = counter
            continue
        counter += 1
        places[pk] = [counter, counter]
        stack.append((pk, True))
        stack.extend((child, False) for child in reversed(children.get(pk, [])))
    changed = [
        Branch(pk=pk, pos=places[pk][0], last=places[pk][1])
        for pk, _parent, pos, last in rows
        if pk in places and [pos, last] != places[pk]
    ]
    Branch.objects.bulk_update(changed, ["pos", "last"], batch_size=1000)


def _elements_rebuild() -> None:
    element, tie = GridElement._meta.db_table, GridTie._meta.db_table
    ids, parent_id, is_source, normally_open, is_feeder = read_columns(
        f"SELECT id, coalesce(parent_id, -1), is_source::int, normally_open::int, (kind = %s)::int FROM {element}"  # noqa: S608
        " ORDER BY id",
        5,
        [ElementKind.FEEDER],
    )
    n = len(ids)
    if n == 0:
        return
    tie_a, tie_b = (np.searchsorted(ids, column) for column in read_columns(f"SELECT a_id, b_id FROM {tie}", 2))  # noqa: S608
    parent = np.where(parent_id >= 0, np.searchsorted(ids, parent_id), -1)
    walk, rest_a, rest_b = spanning_forest(
        n=n,
        parent=parent,
        tie_a=tie_a.astype(np.int64),
        tie_b=tie_b.astype(np.int64),
        is_source=is_source == 1,
        is_closed=normally_open == 0,
    )
    own = np.zeros((3, n), dtype=np.int64)
    own_at, *own_columns = read_columns(_OWN_TOTALS_SQL, 4)
    for row, column in zip(own, own_columns, strict=True):
        row[np.searchsorted(ids, own_at)] = column
    total = below(walk, own)
    new_parent = np.where(walk.parent[:n] == n, -1, ids[np.minimum(walk.parent[:n], n - 1)])
    feeder = _nearest(walk, is_feeder == 1)
    new_feeder = np.where(feeder >= 0, ids[np.maximum(feeder, 0)], -1)

    with connection.cursor() as db:
        db.execute(
            "CREATE TEMP TABLE new_shape (id bigint, parent bigint, feeder bigint, pos bigint, last bigint,"
            " c int, k int, w bigint, oc int, ok int, ow bigint) ON COMMIT DROP"
        )
        copy_columns("new_shape", [ids, new_parent, new_feeder, walk.pos[:n], walk.last[:n], *total, *own])
        db.execute("ANALYZE new_shape")
        db.execute(
            f"""
            UPDATE {element} e SET parent_id = nullif(s.parent, -1), feeder_id = nullif(s.feeder, -1), pos = s.pos,
                last = s.last, customers = s.c, critical_customers = s.k, load_kw = s.w / 1000.0,
                own_customers = s.oc, own_critical = s.ok, own_load_kw = s.ow / 1000.0
            FROM new_shape s WHERE e.id = s.id AND (
                coalesce(e.parent_id, -1), coalesce(e.feeder_id, -1), e.pos, e.last, e.customers, e.critical_customers,
                round(e.load_kw * 1000), e.own_customers, e.own_critical, round(e.own_load_kw * 1000)
            ) IS DISTINCT FROM (s.parent, s.feeder, s.pos, s.last, s.c, s.k, s.w, s.oc, s.ok, s.ow)
            """  # noqa: S608
        )
        db.execute("DROP TABLE new_shape")
        db.execute("CREATE TEMP TABLE new_tie (a bigint, b bigint) ON COMMIT DROP")
        copy_columns("new_tie", [ids[rest_a], ids[rest_b]])
        db.execute(
            f"DELETE FROM {tie} t WHERE NOT EXISTS (SELECT FROM new_tie n WHERE n.a = t.a_id AND n.b = t.b_id)"  # noqa: S608
        )
        db.execute(f"INSERT INTO {tie} (a_id, b_id) SELECT a, b FROM new_tie ON CONFLICT DO NOTHING")  # noqa: S608
        db.execute("DROP TABLE new_tie")


def below(walk: Walk, own: Ints) -> Ints:
    """Sum rows of ``own`` figures over each vertex's subtree."""
    n = own.shape[1]
    by_place = np.zeros((own.shape[0], n + 2), dtype=np.int64)
    by_place[:, walk.pos[:n] + 1] = own
    sums = np.cumsum(by_place, axis=1)
    return np.asarray(sums[:, walk.last[:n] + 1] - sums[:, walk.pos[:n]], dtype=np.int64)


def _nearest(walk: Walk, is_wanted: Bools) -> Ints:
    """The nearest wanted vertex at or above each vertex, -1 where there is none."""
    n = len(is_wanted)
    found = [-1] * (n + 1)
    wanted = is_wanted.tolist()
    parents = walk.parent.tolist()
    for vertex in np.argsort(walk.pos[:n]).tolist():
        found[vertex] = vertex if wanted[vertex] else found[parents[vertex]]
    return np.array(found[:n], dtype=np.int64)


def read_columns(sql: str, width: int, params: Sequence[str | int] = ()) -> list[Ints]:
    """Whole-number columns of a query, without a Python object per row for longer than a batch."""
    batches: list[Ints] = []
    with connection.cursor() as db:
        db.execute(sql, list(params))
        while rows := db.fetchmany(50_000):
            batches.append(np.array(rows, dtype=np.int64))
    table = np.concatenate(batches) if batches else np.empty((0, width), dtype=np.int64)
    return [np.ascontiguousarray(table[:, i]) for i in range(width)]


def copy_columns(table: str, columns: list[Ints]) -> None:
    """COPY columns of whole numbers into a table."""
    block = np.stack(columns, axis=1)
    with connection.cursor() as db:
        for start in range(0, len(block), 100_000):
            lines = "\n".join("\t".join(map(str, row)) for row in block[start : start + 100_000].tolist())
            db.copy_expert(f"COPY {table} FROM STDIN", io.StringIO(lines + "\n"))


# --- proving it -------------------------------------------------------------------------------------

_WRONG_SQL = """
WITH own AS (
    SELECT e.id, count(s.id) AS c, count(s.id) FILTER (WHERE k.importance <> 'normal') AS k,
           coalesce(sum(round(s.average_kw * 1000)), 0) AS w
    FROM {element} e LEFT JOIN {point} s ON s.element_id = e.id LEFT JOIN {customer} k ON k.id = s.customer_id
    GROUP BY e.id
), place AS (
    SELECT e.pos, sum(own.c) OVER w AS c, sum(own.k) OVER w AS k, sum(own.w) OVER w AS w
    FROM {element} e JOIN own USING (id) WINDOW w AS (ORDER BY e.pos)
), kept AS (
    SELECT e.*, own.c AS oc, own.k AS ok, own.w AS ow,
           high.c - coalesce(low.c, 0) AS c, high.k - coalesce(low.k, 0) AS k, high.w - coalesce(low.w, 0) AS w
    FROM {element} e JOIN own USING (id) JOIN place high ON high.pos = e.last LEFT JOIN place low ON low.pos = e.pos - 1
)
SELECT code, 'own totals' FROM kept
WHERE (own_customers, own_critical, round(own_load_kw * 1000)) IS DISTINCT FROM (oc, ok, ow)
UNION ALL
SELECT code, 'totals below' FROM kept
WHERE (customers, critical_customers, round(load_kw * 1000)) IS DISTINCT FROM (c, k, w)
UNION ALL
SELECT c.code, 'outside its parent' FROM {element} c JOIN {element} p ON p.id = c.parent_id
WHERE NOT (c.pos > p.pos AND c.last <= p.last)
UNION ALL
SELECT e.code, 'no place of its own' FROM {element} e
LEFT JOIN place high ON high.pos = e.last WHERE e.pos < 1 OR e.last < e.pos OR high.pos IS NULL
UNION ALL
SELECT min(e.code), 'place taken twice' FROM {element} e GROUP BY e.pos HAVING count(*) > 1
ORDER BY 1, 2
"""


def totals_wrong() -> list[tuple[str, str]]:
    """Elements whose kept figures differ from what the service points and parents say: none, normally."""
    with connection.cursor() as db:
        db.execute(
            _WRONG_SQL.format(
                element=GridElement._meta.db_table, point=ServicePoint._meta.db_table, customer=Customer._meta.db_table
            )
        )
        return [(code, what) for code, what in db.fetchall()]
