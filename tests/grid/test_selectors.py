"""Finding elements the way a dispatcher types them."""

from __future__ import annotations

from grid import selectors
from tests.factories.grid import SmallCity


def test_the_exact_code_comes_first(city: SmallCity) -> None:
    assert selectors.element_find("T1") == city.elements["T11"]
    assert [e.code for e in selectors.elements_search("t11")] == ["T11"]
    assert selectors.elements_search("B1")[0] == city.elements["B1"]


def test_a_part_of_the_name_is_enough(city: SmallCity) -> None:
    assert {e.code for e in selectors.elements_search("T2")} == {"T21", "T22"}
    assert [e.code for e in selectors.elements_search("U22号")] == ["U22"]


def test_nothing_typed_finds_nothing(city: SmallCity) -> None:
    assert selectors.elements_search("  ") == []
    assert selectors.element_find("nowhere at all") is None


def test_a_search_stays_in_the_branch(city: SmallCity) -> None:
    found = selectors.elements_search("T", branch_range=(city.west.pos, city.west.last))

    assert {e.code for e in found} == {"T21", "T22"}


def test_below_an_element_is_its_subtree(city: SmallCity) -> None:
    first, *below = selectors.elements_below(city.elements["L21"])

    assert first == city.elements["L21"]
    assert {e.code for e in below} == {"T21", "U22", "T22"}


def test_neighbours_are_parents_children_and_ties(city: SmallCity) -> None:
    assert {e.code for e in selectors.element_neighbours(city.id("L21"))} == {"B2", "T21", "U22", "K"}


def test_totals_are_those_hanging_directly(city: SmallCity) -> None:
    assert selectors.elements_totals(city.ids("T11", "T22", "L21")) == (3, 1, 123.5)
    assert selectors.elements_totals([]) == (0, 0, 0.0)
