"""OpenDSS circuits, through the optional package dss-python."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from grid.importers.network import Device, FlatNetwork, Load
from grid.importers.staging import ImportRefused, Problem, Staging
from grid.models import ElementKind

_SWITCH_KINDS = {"fuse": ElementKind.FUSE, "recloser": ElementKind.RECLOSER, "relay": ElementKind.BREAKER}


def read(staging: Staging, files: Sequence[tuple[str, Path]]) -> None:
    """Stage the circuit that a master file describes; several files are read one after the other as one circuit."""
    try:
        from dss import DSS  # an optional extra
    except ImportError as missing:
        raise ImportRefused(Problem("dss_missing")) from missing
    engine: Any = DSS
    engine.AllowForms = False
    engine.AllowEditor = False
    engine.AllowChangeDir = False
    engine.Text.Command = "clear"
    for name, path in files:
        staging.progress(10, "reading")
        try:
            engine.Text.Command = f'{"redirect" if name != files[0][0] else "compile"} "{path.resolve()}"'
        except Exception as broken:  # the engine's own exception class cannot be named without importing it above
            raise ImportRefused(Problem("bad_file", file=name, value=str(broken)[:200])) from broken
    if not engine.NumCircuits:
        raise ImportRefused(Problem("no_rows", file=files[0][0]))
    _network(engine.ActiveCircuit).stage(staging, file=files[0][0])
    engine.Text.Command = "clear"


def _each(collection: Any) -> Iterator[Any]:
    more = collection.First
    while more:
        yield collection
        more = collection.Next


def _bus(name: str) -> str:
    return name.partition(".")[0].lower()


def _network(circuit: Any) -> FlatNetwork:
    network = FlatNetwork(name=str(circuit.Name).lower())
    element = circuit.ActiveCktElement
    protective = _protective(circuit)
    for line in _each(circuit.Lines):
        code = f"line.{line.Name.lower()}"
        if not element.Enabled:
            continue
        kind = protective.get(code, ElementKind.SWITCH if line.IsSwitch else ElementKind.SECTION)
        network.devices.append(Device(code, kind, _buses(element), _is_open(element)))
    for transformer in _each(circuit.Transformers):
        if element.Enabled:
            code = f"transformer.{transformer.Name.lower()}"
            network.devices.append(Device(code, ElementKind.TRANSFORMER, _buses(element), _is_open(element)))
    for class_name, prefix in (("Reactor", "reactor"), ("Capacitor", "capacitor"), ("AutoTrans", "autotrans")):
        for name in _names_of(circuit, class_name):
            circuit.SetActiveElement(f"{prefix}.{name}")
            buses = _buses(element)
            if element.Enabled and len(buses) > 1:  # in series; in shunt it conducts nowhere
                kind = ElementKind.TRANSFORMER if prefix == "autotrans" else ElementKind.SECTION
                network.devices.append(Device(f"{prefix}.{name}", kind, buses, _is_open(element)))
    for source in _each(circuit.Vsources):
        if element.Enabled:
            network.sources.append((source.Name.lower(), _buses(element)[:1]))
    for load in _each(circuit.Loads):
        if element.Enabled:
            network.loads.append(Load(load.Name.lower(), _buses(element)[0], max(float(load.kW), 0.0)))
    used = {b for d in network.devices for b in d.nodes} | {load.node for load in network.loads}
    network.nodes = sorted(used | {b for _, buses in network.sources for b in buses})
    network.node_names = {bus: bus for bus in network.nodes}
    return network


def _names_of(circuit: Any, class_name: str) -> list[str]:
    if not circuit.SetActiveClass(class_name):
        return []
    names = circuit.ActiveClass.AllNames or []
    return [name.lower() for name in names if name and name.lower() != "none"]


def _protective(circuit: Any) -> dict[str, ElementKind]:
    """Lines that a fuse, recloser or relay switches are that device."""
    kinds: dict[str, ElementKind] = {}
    for collection, kind in ((circuit.Fuses, "fuse"), (circuit.Reclosers, "recloser"), (circuit.Relays, "relay")):
        for device in _each(collection):
            kinds[str(getattr(device, "SwitchedObj", "") or device.MonitoredObj).lower()] = _SWITCH_KINDS[kind]
    return kinds


def _buses(element: Any) -> list[str]:
    return list(dict.fromkeys(_bus(name) for name in element.BusNames))


def _is_open(element: Any) -> bool:
    """Open when no conductor of one end conducts."""
    phases = range(1, element.NumPhases + 1)
    return any(all(element.IsOpen(t, p) for p in phases) for t in range(1, element.NumTerminals + 1))
