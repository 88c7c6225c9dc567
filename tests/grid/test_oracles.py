"""Every reference case of isolation that others computed, on every format that carries its network."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from grid.forest import totals_wrong
from grid.models import GridElement, GridImport, ServicePoint
from tests.factories.grid import SmallCity
from tests.grid.conftest import NETWORKS, needs_networks


@needs_networks
@pytest.mark.django_db
@pytest.mark.parametrize(
    ("oracle", "network"),
    [
        ("ieee123", "cim_xml/IEEE123.xml"),
        ("ieee123", "cim_xml/ieee123apps.xml"),
        ("ieee123", "dss/IEEETestCases/123Bus/IEEE123Master.dss"),
        ("ieee8500u", "cim_xml/ieee8500u_cim100.xml.gz"),
        ("ieee8500u", "dss/IEEETestCases/8500-Node/Master-unbal.dss"),
        ("ckt5", "dss/EPRITestCircuits/ckt5/Master_ckt5.dss"),
    ],
)
def test_every_reference_case_agrees(oracle: str, network: str, tmp_path: Path) -> None:
    if network.endswith(".dss"):
        pytest.importorskip("dss", reason="dss-python is an optional extra")
    cases = json.loads((NETWORKS / f"oracle/oracle_isolation_{oracle}.json").read_text())["cases"]
    asked = tmp_path / "cases.json"
    asked.write_text(json.dumps([{"open": [case["open"]]} for case in cases]))
    answers = StringIO()

    call_command("import_grid", str(NETWORKS / network), stdout=StringIO())
    call_command("isolated_by", str(asked), stdout=answers)

    assert json.loads(answers.getvalue()) == [sorted(load.lower() for load in case["loads"]) for case in cases]
    assert totals_wrong() == []


@needs_networks
@pytest.mark.django_db
@pytest.mark.parametrize(
    ("network", "loads"), [("IEEE13.xml", 16), ("IEEE13_Assets.xml", 15), ("IEEE37.xml", 30), ("IEEE123.xml", 91)]
)
def test_other_networks_import_cleanly(network: str, loads: int) -> None:
    call_command("import_grid", str(NETWORKS / "cim_xml" / network), stdout=StringIO())

    assert ServicePoint.objects.count() == loads
    assert GridImport.objects.get().warnings == []


@needs_networks
@pytest.mark.django_db
def test_meters_of_networks_that_are_not_here_are_warnings() -> None:
    call_command(
        "import_grid",
        str(NETWORKS / "cim_xml/IEEE13.xml"),
        str(NETWORKS / "cim_xml/endDevicesAndUsagePoints.xml"),
        stdout=StringIO(),
        stderr=StringIO(),
    )

    warnings = GridImport.objects.get().warnings
    assert len(warnings) == 224
    assert {w["code"] for w in warnings} == {"unresolved"}


def test_an_unknown_code_is_named(city: SmallCity, tmp_path: Path) -> None:
    asked = tmp_path / "cases.json"
    asked.write_text('[{"open": ["B1"]}, {"open": ["B1", "nowhere"]}]')

    with pytest.raises(CommandError, match="nowhere"):
        call_command("isolated_by", str(asked), stdout=StringIO())


def test_the_command_prints_one_sorted_list_per_case(city: SmallCity, tmp_path: Path) -> None:
    asked = tmp_path / "cases.json"
    asked.write_text('[{"open": ["U22", "T11"]}, {"open": []}]')
    answers = StringIO()

    call_command("isolated_by", str(asked), stdout=answers)

    assert json.loads(answers.getvalue()) == [["SP0001", "SP0002", "SP0006"], []]


def test_a_missing_import_file_is_named(db: None) -> None:
    with pytest.raises(CommandError, match=r"nothing\.csv"):
        call_command("import_grid", "nothing.csv")

    assert not GridElement.objects.exists()
