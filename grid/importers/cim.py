"""CIM XML (IEC 61970/61968, CIM100): connectivity, switches, transformers, loads; catalogue data are passed over.

Files are hostile until proven otherwise: no document type definition, no entities, no network, a limit on
the unpacked size, and a stream whose parts are thrown away as they are read.
"""

from __future__ import annotations

import gzip
import zlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

from django.conf import settings
from django.utils import timezone
from lxml import etree

from grid.importers.network import Device, FlatNetwork, Load
from grid.importers.staging import ImportRefused, Problem, Staging
from grid.models import ElementKind

UNPACKED_LIMIT = 2 * 1024**3
OBJECTS_LIMIT = 10_000_000

_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"

# what conducts between its terminals and can stand in a case of isolation
SERIES: dict[str, ElementKind] = {
    "ACLineSegment": ElementKind.SECTION,
    "SeriesCompensator": ElementKind.SECTION,
    "Breaker": ElementKind.BREAKER,
    "Recloser": ElementKind.RECLOSER,
    "Fuse": ElementKind.FUSE,
    "Switch": ElementKind.SWITCH,
    "LoadBreakSwitch": ElementKind.SWITCH,
    "Disconnector": ElementKind.SWITCH,
    "GroundDisconnector": ElementKind.SWITCH,
    "Sectionaliser": ElementKind.SWITCH,
    "ProtectedSwitch": ElementKind.SWITCH,
    "DisconnectingCircuitBreaker": ElementKind.BREAKER,
    "Jumper": ElementKind.SWITCH,
    "Cut": ElementKind.SWITCH,
}
_CONSUMERS = {"EnergyConsumer", "ConformLoad", "NonConformLoad"}
_SOURCES = {"EnergySource", "ExternalNetworkInjection"}  # generation behind a meter is none
# generation and storage: known, so that what points to them is not called unresolved
_OTHERS = {"PowerElectronicsConnection", "SynchronousMachine", "AsynchronousMachine", "RotatingMachine"}
_KEPT = (
    set(SERIES)
    | _CONSUMERS
    | _SOURCES
    | _OTHERS
    | {
        "ConnectivityNode", "BusbarSection", "Terminal", "PowerTransformer", "PowerTransformerEnd", "TransformerTank",
        "TransformerTankEnd", "SwitchPhase", "Feeder", "Substation", "UsagePoint", "EndDevice", "Meter",
    }
)  # fmt: skip


def read(staging: Staging, files: Sequence[tuple[str, Path]]) -> None:
    """Stage one or more CIM files as one model; they may refer to each other."""
    model = _Model()
    for number, (name, path) in enumerate(files):
        staging.progress(5 + 30 * number // max(len(files), 1), "reading")
        with path.open("rb") as raw:
            is_packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            stream = cast("IO[bytes]", gzip.GzipFile(fileobj=raw)) if is_packed else cast("IO[bytes]", raw)
            try:
                model.add_stream(name, _Limited(stream, name))
            except (etree.XMLSyntaxError, zlib.error, EOFError, gzip.BadGzipFile) as broken:
                line = getattr(broken, "lineno", None)
                raise ImportRefused(Problem("bad_file", file=name, row=line, value=str(broken)[:200])) from broken
    network = model.as_network()
    staging.warnings.extend(model.warnings)
    network.stage(staging, file=files[0][0] if files else "")


class _Limited:
    """A stream that ends the reading when it grows too long."""

    def __init__(self, stream: IO[bytes], name: str) -> None:
        self._stream = stream
        self._name = name
        self._limit = int(getattr(settings, "IMPORT_UNPACKED_LIMIT", UNPACKED_LIMIT))
        self._left = self._limit

    def read(self, size: int = -1) -> bytes:
        block = self._stream.read(min(size, 1 << 16) if size > 0 else 1 << 16)
        self._left -= len(block)
        if self._left < 0:
            raise ImportRefused(Problem("too_big", file=self._name, value=f"{self._limit // 1024**2} MB"))
        return block


@dataclass
class _Object:
    kind: str
    file: str
    line: int | None
    values: dict[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> str:
        return self.values.get(name, "")

    @property
    def name(self) -> str:
        return self["IdentifiedObject.name"]


def _local(tag: Any) -> str:
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def _identifier(text: str) -> str:
    """One form for ``urn:uuid:X``, ``#_X`` and ``_X``."""
    text = text.strip().rpartition("#")[2]
    return text.removeprefix("urn:uuid:").lstrip("_").lower()


class _Model:
    """The few kinds of objects that matter, by identifier."""

    def __init__(self) -> None:
        self.objects: dict[str, _Object] = {}
        self.warnings: list[Problem] = []

    def add_stream(self, file: str, stream: _Limited) -> None:
        context = etree.iterparse(
            cast("Any", stream),
            events=("start", "end"),
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            dtd_validation=False,
            huge_tree=False,
            remove_comments=True,
            remove_pis=True,
        )
        depth = 0
        root: Any = None
        for event, element in context:
            if event == "start":
                depth += 1
                if depth == 1:
                    root = element
                    if root.getroottree().docinfo.doctype:
                        raise ImportRefused(Problem("has_doctype", file=file))
                    if _local(root.tag) != "RDF":
                        raise ImportRefused(Problem("unknown_file", file=file, row=1))
                continue
            depth -= 1
            if depth == 1:
                self._add(file, element)
                root.clear(keep_tail=False)  # whatever has been read is let go

    def _add(self, file: str, element: Any) -> None:
        kind = _local(element.tag)
        if kind not in _KEPT:
            return
        identifier = _identifier(element.get(f"{_RDF}about") or element.get(f"{_RDF}ID") or "")
        if not identifier:
            self.warnings.append(Problem("missing", file=file, row=element.sourceline, column=f"{kind} rdf:ID"))
            return
        known = self.objects.get(identifier)
        if known is None:
            if len(self.objects) >= OBJECTS_LIMIT:
                raise ImportRefused(Problem("too_big", file=file, value=f"{OBJECTS_LIMIT} objects"))
            known = self.objects[identifier] = _Object(kind, file, element.sourceline)
        for child in element:
            reference = child.get(f"{_RDF}resource")
            value = _identifier(reference) if reference is not None else (child.text or "").strip()
            known.values[_local(child.tag)] = value

    def of(self, *kinds: str) -> dict[str, _Object]:
        return {i: o for i, o in self.objects.items() if o.kind in kinds}

    def as_network(self) -> FlatNetwork:
        nodes = self.of("ConnectivityNode", "BusbarSection")
        terminals: dict[str, list[tuple[int, str]]] = defaultdict(list)
        node_of_terminal: dict[str, str] = {}
        for identifier, terminal in self.of("Terminal").items():
            node, equipment = terminal["Terminal.ConnectivityNode"], terminal["Terminal.ConductingEquipment"]
            if node not in nodes:
                self._unresolved(terminal, "Terminal.ConnectivityNode", node)
                continue
            node_of_terminal[identifier] = node
            sequence = terminal["ACDCTerminal.sequenceNumber"]
            terminals[equipment].append((int(sequence) if sequence.isdigit() else 0, node))
        meeting: dict[str, list[str]] = {e: [n for _, n in sorted(ends)] for e, ends in terminals.items()}

        feeders = [f.name for f in self.of("Feeder").values() if f.name]
        name = (feeders[0] if len(feeders) == 1 else "+".join(sorted(feeders))).lower()[:64]
        network = FlatNetwork(name=name or self._any_name(nodes))
        network.nodes = [self._node_key(i) for i in nodes]
        network.node_names = {self._node_key(i): node.name.lower() for i, node in nodes.items()}

        open_phases = self._open_phases()
        for identifier, device in self.of(*SERIES).items():
            network.devices.append(
                Device(
                    code=f"line.{device.name.lower()}",
                    kind=SERIES[device.kind],
                    nodes=[self._node_key(n) for n in meeting.get(identifier, [])],
                    is_open=device["Switch.normalOpen"].lower() == "true" or open_phases.get(identifier, False),
                )
            )
        network.devices.extend(self._transformers(node_of_terminal, meeting))
        for identifier, source in self.of(*_SOURCES).items():
            network.sources.append((source.name.lower(), [self._node_key(n) for n in meeting.get(identifier, [])]))
        meters = self._meters()
        for identifier, load in self.of(*_CONSUMERS).items():
            at = meeting.get(identifier)
            if not at:
                self._unresolved(load, "Terminal", load.name)
                continue
            network.loads.append(
                Load(
                    code=load.name.lower(),
                    node=self._node_key(at[0]),
                    kw=_kilowatts(load["EnergyConsumer.p"]),
                    meter=meters.get(identifier, ""),
                )
            )
        return network

    def _transformers(self, node_of_terminal: dict[str, str], meeting: dict[str, list[str]]) -> list[Device]:
        """A tank of a bank is a device of its own; a transformer without tanks is one."""
        ends: dict[str, list[str]] = defaultdict(list)
        for end in self.of("TransformerTankEnd").values():
            node = node_of_terminal.get(end["TransformerEnd.Terminal"])
            if node:
                ends[end["TransformerTankEnd.TransformerTank"]].append(node)
        for end in self.of("PowerTransformerEnd").values():
            node = node_of_terminal.get(end["TransformerEnd.Terminal"])
            if node:
                ends[end["PowerTransformerEnd.PowerTransformer"]].append(node)
        tanks = self.of("TransformerTank")
        banks = {tank["TransformerTank.PowerTransformer"] for tank in tanks.values()}
        devices = {i: t for i, t in self.of("PowerTransformer").items() if i not in banks} | tanks
        return [
            Device(
                code=f"transformer.{device.name.lower()}",
                kind=ElementKind.TRANSFORMER,
                nodes=[
                    self._node_key(n)
                    for n in ends.get(i)
                    or meeting.get(i)
                    or meeting.get(device["TransformerTank.PowerTransformer"], [])
                ],
            )
            for i, device in devices.items()
        ]

    def _open_phases(self) -> dict[str, bool]:
        """A switch is open when all of its phases are; a position may be kept per phase only."""
        phases: dict[str, list[bool]] = defaultdict(list)
        for phase in self.of("SwitchPhase").values():
            phases[phase["SwitchPhase.Switch"]].append(phase["SwitchPhase.normalOpen"].lower() == "true")
        return {switch: all(positions) for switch, positions in phases.items()}

    def _meters(self) -> dict[str, str]:
        """The meter at each piece of equipment; what points nowhere is reported, not fatal."""
        device_at: dict[str, str] = {}
        for device in self.of("EndDevice", "Meter").values():
            usage_point = device["EndDevice.UsagePoint"]
            if usage_point in self.objects:
                device_at[usage_point] = device["EndDevice.serialNumber"] or device.name
            else:
                self._unresolved(device, "EndDevice.UsagePoint", usage_point)
        meters: dict[str, str] = {}
        for identifier, equipment in self.objects.items():
            usage_point = equipment["Equipment.UsagePoint"] or equipment["Equipment.UsagePoints"]
            if not usage_point:
                continue
            # equipment that only a file of meters mentions has no name of its own: its network was not given
            if not equipment.name:
                self._unresolved(equipment, "Equipment.UsagePoint", identifier)
            elif usage_point not in self.objects:
                self._unresolved(equipment, "Equipment.UsagePoint", usage_point)
            else:
                meters[identifier] = device_at.get(usage_point) or self.objects[usage_point].name
        for place in self.of("UsagePoint").values():
            equipment_id = place["UsagePoint.Equipments"]
            if equipment_id and equipment_id in self.objects:
                meters.setdefault(equipment_id, place.name)
            elif equipment_id:
                self._unresolved(place, "UsagePoint.Equipments", equipment_id)
        return meters

    def _unresolved(self, where: _Object, column: str, value: str) -> None:
        self.warnings.append(
            Problem("unresolved", file=where.file, row=where.line, column=f"{where.kind} {column}", value=value)
        )

    def _node_key(self, identifier: str) -> str:
        return identifier

    def _any_name(self, nodes: dict[str, _Object]) -> str:
        substations = sorted(s.name for s in self.of("Substation").values() if s.name)
        if substations:
            return substations[0].lower()[:64]
        return f"cim-{timezone.now():%Y%m%d%H%M%S}" if nodes else ""


def _kilowatts(text: str) -> float:
    try:
        watts = float(text or 0)
    except ValueError:
        return 0.0
    return max(watts, 0.0) / 1000 if abs(watts) < 1e12 else 0.0
