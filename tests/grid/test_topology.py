"""Isolation, on drawings small enough to check by eye, and against a naive walk on any network."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import example, given
from hypothesis import strategies as st

from grid import topology
from grid.models import GridElement, GridTie
from grid.topology import Network
from tests.factories.grid import SmallCity


def names(city: SmallCity, element_ids: Iterable[int]) -> set[str]:
    by_id = {element.pk: name for name, element in city.elements.items()}
    return {by_id[pk] for pk in element_ids}


def test_opening_an_element_puts_off_what_hangs_on_it(city: SmallCity) -> None:
    assert names(city, topology.isolated_by(city.ids("L11"))) == {"L11", "T11", "L12", "T12"}


def test_service_points_come_sorted(city: SmallCity) -> None:
    assert topology.isolated_service_points(city.ids("B1", "U22")) == ["SP0001", "SP0002", "SP0003", "SP0006"]


def test_opening_the_source_puts_off_everything_that_was_on(city: SmallCity) -> None:
    assert names(city, topology.isolated_by(city.ids("S1"))) == set(city.elements) - {"K"}


def test_an_open_tie_feeds_nothing_and_is_not_isolated_itself(city: SmallCity) -> None:
    assert topology.isolated_by(city.ids("K")) == []


def test_a_closed_tie_feeds_what_lies_beyond_the_fault(city: SmallCity) -> None:
    GridElement.objects.filter(pk=city.id("K")).update(is_open=False)

    assert names(city, topology.isolated_by(city.ids("L11"))) == {"L11", "T11"}
    assert names(city, topology.isolated_by(city.ids("L11", "K"))) == {"L11", "T11", "L12", "T12", "K"}


def test_what_is_off_already_is_not_isolated_again(city: SmallCity) -> None:
    GridElement.objects.filter(pk=city.id("L12")).update(is_open=True)

    assert names(city, topology.isolated_by(city.ids("L11"))) == {"L11", "T11"}
    assert topology.isolated_by(city.ids("T12")) == []


def test_an_island_without_a_source_is_never_isolated_by_an_opening(city: SmallCity) -> None:
    island = GridElement.objects.create(kind="section", code="ISLAND", branch=city.west)
    topology.network_rebuild()

    assert topology.isolated_by([island.pk]) == []
    assert island.pk not in topology.isolated_by(city.ids("S1"))


def test_a_second_source_keeps_its_part_on(city: SmallCity) -> None:
    second = GridElement.objects.create(kind="substation", code="S2", branch=city.west, is_source=True)
    low, high = sorted([second.pk, city.id("L21")])
    GridTie.objects.create(a_id=low, b_id=high)
    topology.network_rebuild()

    isolated = topology.isolated_by(city.ids("S1"))

    assert names(city, isolated) == {"S1", "BUS1", "F1", "B1", "L11", "T11", "L12", "T12"}


def test_nothing_opened_and_unknown_ids_isolate_nothing(city: SmallCity) -> None:
    assert topology.isolated_by([]) == []
    assert topology.isolated_by([10**9]) == []


def test_an_empty_network_answers(db: None) -> None:
    topology.network_rebuild()

    assert topology.isolated_by([1]) == []


def test_a_question_costs_one_statement_once_the_network_is_loaded(city: SmallCity) -> None:
    topology.isolated_by(city.ids("B1"))

    with CaptureQueriesContext(connection) as queries:
        topology.isolated_by(city.ids("B2"))

    assert len(queries) == 1


def test_an_open_tie_could_take_over_what_it_reaches(city: SmallCity) -> None:
    [option] = topology.transfer_options(city.ids("L11"))

    assert option.tie == city.elements["K"]
    assert option.feeder == city.elements["F2"]
    assert (option.customers, option.critical_customers, option.load_kw) == (1, 1, 1.0)


def test_the_faulted_element_itself_cannot_be_taken_over(city: SmallCity) -> None:
    assert topology.transfer_options(city.ids("L12")) == []


def test_no_transfer_from_a_feeder_that_is_off_too(city: SmallCity) -> None:
    assert topology.transfer_options(city.ids("S1")) == []


def test_the_supply_path_leads_from_the_source_to_the_element(city: SmallCity) -> None:
    path = topology.supply_path(city.id("T12"))

    assert [element.code for element in path] == ["S1", "BUS1", "F1", "B1", "L11", "L12", "T12"]


# --- any network at all -------------------------------------------------------------------------------


def naive_supply(n: int, edges: Collection[tuple[int, int]], sources: set[int], opened: set[int]) -> set[int]:
    on: set[int] = set()
    queue = [s for s in sources if s not in opened]
    while queue:
        vertex = queue.pop()
        if vertex in on:
            continue
        on.add(vertex)
        for a, b in edges:
            if vertex in (a, b):
                other = b if vertex == a else a
                if other not in opened:
                    queue.append(other)
    return on


@st.composite
def networks(draw: st.DrawFn) -> tuple[int, list[tuple[int, int]], set[int], set[int], set[int]]:
    n = draw(st.integers(1, 24))
    vertex = st.integers(0, n - 1)
    tree = [(draw(st.integers(0, i - 1)), i) for i in range(1, n) if draw(st.integers(0, 9)) > 0]
    loops = draw(st.lists(st.tuples(vertex, vertex), max_size=8))
    sources = draw(st.sets(vertex, max_size=3))
    already_open = draw(st.sets(vertex, max_size=4))
    opened = draw(st.sets(vertex, min_size=1, max_size=5))
    return n, tree + loops, sources, already_open, opened


@given(networks())
def test_isolation_equals_a_naive_walk(case: tuple[int, list[tuple[int, int]], set[int], set[int], set[int]]) -> None:
    n, edges, sources, already_open, opened = case
    is_source = np.zeros(n, dtype=np.bool_)
    is_source[list(sources)] = True
    ends = np.array(edges, dtype=np.int64).reshape(-1, 2)
    network = Network(
        ids=np.arange(n, dtype=np.int64) * 7 + 3,
        a=ends[:, 0],
        b=ends[:, 1],
        is_source=is_source,
        feeder=np.full(n, -1, dtype=np.int64),
        own=np.ones((3, n), dtype=np.int64),
    )

    isolated = network.state([v * 7 + 3 for v in already_open]).isolated([v * 7 + 3 for v in opened])

    before = naive_supply(n, edges, sources, already_open)
    after = naive_supply(n, edges, sources, already_open | opened)
    assert [(int(pk) - 3) // 7 for pk in isolated] == sorted(before - after)


@given(networks())
@example((6, [(0, 1), (1, 2), (0, 5)], {2, 5}, {0}, {0, 2}))  # a tie that is itself to stay open
def test_closing_a_tie_brings_back_what_was_promised(
    case: tuple[int, list[tuple[int, int]], set[int], set[int], set[int]],
) -> None:
    n, edges, sources, already_open, opened = case
    is_source = np.zeros(n, dtype=np.bool_)
    is_source[list(sources)] = True
    ends = np.array(edges, dtype=np.int64).reshape(-1, 2)
    network = Network(
        ids=np.arange(n, dtype=np.int64),
        a=ends[:, 0],
        b=ends[:, 1],
        is_source=is_source,
        feeder=np.full(n, -1, dtype=np.int64),
        own=np.ones((3, n), dtype=np.int64),
    )

    options = {t.tie: t.customers for t in network.state(already_open).takeovers(opened)}

    before = naive_supply(n, edges, sources, already_open)
    after = naive_supply(n, edges, sources, already_open | opened)
    expected = {}
    for tie in already_open - opened - sources:
        back = naive_supply(n, edges, sources, (already_open | opened) - {tie}) - after
        if tie in back and any((before - after) & back):
            expected[tie] = len(back & (before - after)) + 1
    assert {t: c for t, c in options.items() if t not in sources} == expected
