"""CSV files: what they bring, what they change when they come again, and what is refused."""

from __future__ import annotations

import pytest

from grid.forest import totals_wrong
from grid.models import Branch, ContactPoint, Customer, GridElement, GridImport, GridTie, ServicePoint
from outages.models import Outage
from tests.grid.conftest import BRANCHES, CITY, CUSTOMERS, ELEMENTS, SERVICE_POINTS, Importer

NOTHING = {"added": 0, "changed": 0, "removed": 0}


def everything() -> list[list[tuple[object, ...]]]:
    return [
        list(model.objects.order_by("pk").values_list())
        for model in (Branch, GridElement, GridTie, Customer, ContactPoint, ServicePoint)
    ]


def problems(grid_import: GridImport) -> list[tuple[object, ...]]:
    return [(e["file"], e["row"], e["column"], e["code"], e["value"]) for e in grid_import.errors]


def test_four_files_make_a_network_with_its_totals(import_texts: Importer) -> None:
    done = import_texts(CITY)

    assert (done.status, done.errors) == (GridImport.Status.DONE, [])
    source = GridElement.objects.get(code="S1")
    assert (source.customers, source.critical_customers, source.load_kw) == (3, 2, 3.75)
    transformer = GridElement.objects.get(code="T1")
    assert transformer.feeder == GridElement.objects.get(code="F1")
    assert (transformer.own_customers, transformer.lon) == (2, 109.2)
    assert GridTie.objects.count() == 1
    assert totals_wrong() == []


def test_customers_get_initials_and_numbers_that_can_be_called(import_texts: Importer) -> None:
    import_texts(CITY)

    assert dict(Customer.objects.values_list("account_number", "initials")) == {"A1": "cj", "A2": "sxx"}
    assert list(ContactPoint.objects.order_by("value").values_list("value", "reversed_digits", "is_preferred")) == [
        ("+8613800138000", "0008310083168", True),
        ("+8613800138001", "1008310083168", True),
        ("+868565221234", "432122565868", False),
        ("chen@example.com", "", True),
    ]


def test_the_same_files_again_change_nothing(import_texts: Importer) -> None:
    import_texts(CITY)
    before = everything()

    again = import_texts(CITY)

    assert all(counts == NOTHING for counts in again.counts.values())
    assert everything() == before


def test_a_preview_writes_nothing(import_texts: Importer) -> None:
    before = everything()

    preview = import_texts(CITY, apply=False)

    assert preview.status == GridImport.Status.PREVIEW
    assert preview.counts["service_points"] == {"added": 3, "changed": 0, "removed": 0}
    assert preview.sample["elements"]["added"] == ["S1", "F1", "F2", "K1", "T1"]
    assert everything() == before


def test_what_differs_is_changed_and_what_is_missing_is_removed(import_texts: Importer) -> None:
    import_texts(CITY)

    done = import_texts(
        {"s.csv": SERVICE_POINTS.replace("东风路12号", "东风路21号").replace("SP3,M3,A2,F2,建设路1号,2\n", "")}
    )

    assert done.counts == {"service_points": {"added": 0, "changed": 1, "removed": 1}}
    [change] = done.sample["service_points"]["changed"]
    assert change == {"code": "SP1", "fields": {"address": ["东风路12号", "东风路21号"]}}
    assert GridElement.objects.get(code="F2").customers == 0
    assert totals_wrong() == []


def test_another_branch_s_file_removes_nothing_here(import_texts: Importer) -> None:
    import_texts(CITY)

    import_texts({"e.csv": "code,kind,branch,is_source\nS9,substation,010,yes\n"})

    assert GridElement.objects.filter(code__in=["F1", "F2", "T1"]).count() == 3


def test_where_a_switch_stands_now_is_not_undone_by_a_file(import_texts: Importer) -> None:
    import_texts(CITY)
    GridElement.objects.filter(code="F1").update(is_open=True)

    import_texts({"e.csv": ELEMENTS.replace("东风线", "东风一线")})

    assert GridElement.objects.get(code="F1").is_open


def test_a_moved_element_moves_with_its_tree(import_texts: Importer) -> None:
    import_texts(CITY)

    done = import_texts({"e.csv": ELEMENTS.replace("T1,transformer,1号台区,0101,F1", "T1,transformer,1号台区,0101,F2")})

    assert done.counts["connections"] == {"added": 1, "changed": 0, "removed": 1}
    assert GridElement.objects.get(code="T1").parent == GridElement.objects.get(code="F2")
    assert GridElement.objects.get(code="F2").customers == 3
    assert totals_wrong() == []


def test_gbk_is_read_too(import_texts: Importer) -> None:
    import_texts({name: text.encode("gbk") for name, text in CITY.items()})

    assert Customer.objects.get(account_number="A1").name == "陈静"


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("b.csv", BRANCHES + "0102,城西,0199\n", [("b.csv", 4, "parent", "unknown_branch", "0199")]),
        ("b.csv", "code,name,parent\n1,a,2\n2,b,1\n", [("b.csv", 2, "parent", "cycle", "1")]),
        ("e.csv", ELEMENTS + "T2,transformer,,0101,F9,,,,,\n", [("e.csv", 7, "parent", "unknown_element", "F9")]),
        ("e.csv", ELEMENTS + "T1,transformer,,0101,F1,,,,,\n", [("e.csv", 7, "code", "duplicate", "T1")]),
        ("e.csv", ELEMENTS + "T2,tree,,0101,F1,,,,,\n", [("e.csv", 7, "kind", "bad_choice", "tree")]),
        ("e.csv", ELEMENTS + "T2,fuse,,0101,F1,,perhaps,,,\n", [("e.csv", 7, "is_source", "bad_boolean", "perhaps")]),
        ("e.csv", ELEMENTS + "T2,fuse,,0101,F1,,,,east,\n", [("e.csv", 7, "lon", "bad_coordinate", "east")]),
        ("e.csv", ELEMENTS + "T2,fuse,,0101,F1,T8,,,,\n", [("e.csv", 7, "ties", "unknown_element", "T8")]),
        ("c.csv", CUSTOMERS + "A3,王伟,,0101,12,\n", [("c.csv", 4, "phone", "bad_phone", "12")]),
        ("c.csv", CUSTOMERS + "A3,王伟,,0101,,here\n", [("c.csv", 4, "email", "bad_email", "here")]),
        ("c.csv", CUSTOMERS + "A3,,,0101,,\n", [("c.csv", 4, "name", "missing", "")]),
        ("s.csv", SERVICE_POINTS + "SP4,M4,A9,T1,,1\n", [("s.csv", 5, "account_number", "unknown_account", "A9")]),
        ("s.csv", SERVICE_POINTS + "SP4,M4,A1,T9,,1\n", [("s.csv", 5, "element", "unknown_element", "T9")]),
        ("s.csv", SERVICE_POINTS + "SP4,M4,A1,T1,,-1\n", [("s.csv", 5, "average_kw", "bad_number", "-1")]),
        ("s.csv", SERVICE_POINTS + "SP4,M4,A1,T1,,NaN\n", [("s.csv", 5, "average_kw", "bad_number", "NaN")]),
        ("b.csv", "code,nom\n", [("b.csv", 1, "", "unknown_file", "")]),
        ("b.csv", "code,name,colour\n", [("b.csv", 1, "colour", "unknown_column", "colour")]),
        ("b.csv", b"code,name\n1,\xff\xff\xff\n", [("b.csv", None, "", "bad_encoding", "")]),
    ],
)
def test_a_wrong_value_is_named_by_file_row_and_column(
    import_texts: Importer, name: str, text: str | bytes, expected: list[tuple[object, ...]]
) -> None:
    before = everything()

    refused = import_texts({**CITY, name: text})

    # a missing branches file makes its own problems; those of the broken file are what matters
    assert refused.status == GridImport.Status.FAILED
    assert [p for p in problems(refused) if p[0] == name] == expected
    assert everything() == before


def test_a_row_with_too_many_cells_is_named(import_texts: Importer) -> None:
    refused = import_texts({**CITY, "b.csv": BRANCHES + "0102,城西,010,more\n"})

    [(file, row, _column, code, value)] = problems(refused)
    assert (file, row, code) == ("b.csv", 4, "bad_row")
    assert "extra data" in str(value)


def test_a_code_of_another_network_is_not_taken_over(import_texts: Importer) -> None:
    import_texts(CITY)
    before = everything()

    refused = import_texts({"e.csv": ELEMENTS.replace("城东变", "城西变")}, source="other")

    assert {p[3] for p in problems(refused)} == {"code_taken"}
    assert everything() == before


def test_what_history_names_is_not_removed(import_texts: Importer) -> None:
    import_texts(CITY)
    outage = Outage.objects.create(
        reference="F-2026-000001",
        kind="fault",
        status="suspected",
        level="distribution",
        branch=Branch.objects.get(code="0101"),
        feeder=GridElement.objects.get(code="F2"),
    )
    before = everything()

    refused = import_texts(
        {
            "e.csv": "".join(line for line in ELEMENTS.splitlines(True) if not line.startswith(("F2", "K1"))),
            "s.csv": SERVICE_POINTS.replace(",F2,", ",T1,"),
        }
    )

    assert [(e["code"], e["value"]) for e in refused.errors] == [("in_use", "F2")]
    assert everything() == before
    assert Outage.objects.get() == outage
