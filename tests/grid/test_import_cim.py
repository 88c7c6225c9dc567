"""CIM XML: hand-made and hostile files; the reference networks are in test_oracles."""

from __future__ import annotations

import gzip
from pathlib import Path

from django.test import override_settings

from grid.models import GridElement, GridImport, ServicePoint
from grid.topology import isolated_service_points
from tests.grid.conftest import Importer

HEAD = (
    '<?xml version="1.0"?>{doctype}<rdf:RDF xmlns:cim="http://iec.ch/TC57/CIM100#"'
    ' xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">{body}</rdf:RDF>'
)


def one(kind: str, identifier: str, name: str = "", **values: str) -> str:
    parts = [f"<cim:IdentifiedObject.name>{name}</cim:IdentifiedObject.name>"] if name else []
    for key, value in values.items():
        tag = key.replace("__", ".")
        if value.startswith("@"):
            parts.append(f'<cim:{tag} rdf:resource="urn:uuid:{value[1:]}"/>')
        else:
            parts.append(f"<cim:{tag}>{value}</cim:{tag}>")
    return f'<cim:{kind} rdf:about="urn:uuid:{identifier}">{"".join(parts)}</cim:{kind}>'


def terminal(identifier: str, equipment: str, node: str, sequence: int = 1) -> str:
    return one(
        "Terminal", identifier, Terminal__ConductingEquipment=f"@{equipment}", Terminal__ConnectivityNode=f"@{node}",
        ACDCTerminal__sequenceNumber=str(sequence),
    )  # fmt: skip


def feeder(*, switch_open: bool = False) -> str:
    """A source, a switch and a load: S - n1 - sw - n2 - load."""
    position = "true" if switch_open else "false"
    return HEAD.format(
        doctype="",
        body="".join(
            [
                one("Feeder", "F", "Elm Street"),
                one("ConnectivityNode", "N1", "n1"),
                one("ConnectivityNode", "N2", "n2"),
                one("EnergySource", "S", "source"),
                terminal("T1", "S", "N1"),
                one("LoadBreakSwitch", "W", "SW1", Switch__normalOpen="false"),
                one("SwitchPhase", "WA", "sw1_A", SwitchPhase__Switch="@W", SwitchPhase__normalOpen=position),
                terminal("T2", "W", "N1"),
                terminal("T3", "W", "N2", 2),
                one("EnergyConsumer", "L", "House1", EnergyConsumer__p="1500"),
                terminal("T4", "L", "N2"),
                one("PhotovoltaicUnit", "P", "pv"),
            ]
        ),
    )


def test_a_feeder_becomes_elements_and_service_points(import_texts: Importer) -> None:
    done = import_texts({"f.xml": feeder()}, source_format="cim")

    assert (done.status, done.source) == (GridImport.Status.DONE, "elm street")
    switch = GridElement.objects.get(code="line.sw1")
    assert isolated_service_points([switch.pk]) == ["house1"]
    assert ServicePoint.objects.get(code="house1").average_kw == 1.5
    assert switch.branch.code == "elm street"


def test_importing_again_changes_nothing(import_texts: Importer) -> None:
    import_texts({"f.xml": feeder()}, source_format="cim")

    again = import_texts({"f.xml.gz": gzip.compress(feeder().encode())}, source_format="cim")

    assert sum(n for counts in again.counts.values() for n in counts.values()) == 0


def test_a_position_kept_per_phase_counts(import_texts: Importer) -> None:
    import_texts({"f.xml": feeder(switch_open=True)}, source_format="cim")

    switch = GridElement.objects.get(code="line.sw1")
    assert (switch.normally_open, switch.is_open) == (True, True)
    assert isolated_service_points([switch.pk]) == []


def test_meters_that_point_nowhere_are_reported_and_not_fatal(import_texts: Importer) -> None:
    meters = HEAD.format(
        doctype="",
        body='<cim:UsagePoint rdf:ID="_U1"/><cim:EndDevice rdf:ID="_D1"><cim:EndDevice.UsagePoint rdf:resource="#_U9"/>'
        '</cim:EndDevice><cim:EndDevice rdf:ID="_D2"><cim:IdentifiedObject.name>M7</cim:IdentifiedObject.name>'
        '<cim:EndDevice.UsagePoint rdf:resource="#_U1"/></cim:EndDevice><cim:EnergyConsumer rdf:ID="_L">'
        '<cim:Equipment.UsagePoint rdf:resource="#_U1"/></cim:EnergyConsumer>',
    )

    done = import_texts({"f.xml": feeder(), "m.xml": meters}, source_format="cim")

    assert done.status == GridImport.Status.DONE
    assert [w["code"] for w in done.warnings] == ["unresolved"]
    assert ServicePoint.objects.get(code="house1").meter_number == "M7"


def test_entities_are_refused_before_they_grow(import_texts: Importer) -> None:
    lol = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'

    refused = import_texts({"f.xml": HEAD.format(doctype=lol, body=one("Feeder", "F", "&b;"))}, source_format="cim")

    assert (refused.status, refused.errors[0]["code"]) == (GridImport.Status.FAILED, "has_doctype")


def test_an_external_entity_is_not_fetched(import_texts: Importer, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    doctype = f'<!DOCTYPE x [<!ENTITY a SYSTEM "{secret.as_uri()}">]>'

    refused = import_texts({"f.xml": HEAD.format(doctype=doctype, body=one("Feeder", "F", "&a;"))}, source_format="cim")

    assert refused.status == GridImport.Status.FAILED
    assert not GridElement.objects.exists()


@override_settings(IMPORT_UNPACKED_LIMIT=1024**2)
def test_a_bomb_is_not_unpacked(import_texts: Importer) -> None:
    bomb = gzip.compress(HEAD.format(doctype="", body=" " * (5 * 1024**2)).encode())

    refused = import_texts({"f.xml.gz": bomb}, source_format="cim")

    assert [e["code"] for e in refused.errors] == ["too_big"]


def test_broken_xml_names_the_line(import_texts: Importer) -> None:
    refused = import_texts({"f.xml": feeder().replace("</cim:Feeder>", "\n</cim:Fodder>")}, source_format="cim")

    assert (refused.errors[0]["code"], refused.errors[0]["row"]) == ("bad_file", 2)
    assert not GridElement.objects.exists()


def test_an_unknown_branch_is_named(import_texts: Importer) -> None:
    refused = import_texts({"f.xml": feeder()}, source_format="cim", branch_code="nowhere")

    assert (refused.errors[0]["code"], refused.errors[0]["value"]) == ("unknown_branch", "nowhere")
