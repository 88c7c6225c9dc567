"""A network of buses and devices, as electrical models describe it, made into elements and service points."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from grid.importers.staging import ImportRefused, Problem, Staging, copy_rows
from grid.models import Branch, ElementKind


@dataclass(frozen=True)
class Device:
    code: str
    kind: ElementKind
    nodes: list[str]
    is_open: bool = False


@dataclass(frozen=True)
class Load:
    code: str
    node: str
    kw: float
    meter: str = ""


@dataclass
class FlatNetwork:
    """Buses are vertices of their own, so that a bus with many ends stays one place."""

    name: str
    nodes: list[str] = field(default_factory=list)  # keys, unique in the source
    node_names: dict[str, str] = field(default_factory=dict)
    devices: list[Device] = field(default_factory=list)
    sources: list[tuple[str, list[str]]] = field(default_factory=list)
    loads: list[Load] = field(default_factory=list)

    def stage(self, staging: Staging, *, file: str) -> None:
        """Fill the staging; device and load codes stay the source's own, buses are named under their network."""
        if not self.devices and not self.loads:
            # meters alone, for instance: nothing to add, and no reason to take anything away
            if not staging.warnings:
                raise ImportRefused(Problem("no_rows", file=file))
            return
        staging.source = staging.source or self.name
        node_codes = self._node_codes()
        branch = self._branch(staging, file)
        staging.copy_rows(
            "elements",
            file=file,
            columns=["code", "kind", "name", "branch", "is_source", "normally_open"],
            rows=self._elements(branch, node_codes),
        )
        copy_rows("raw_edges", ["a", "b"], self._edges(node_codes))
        staging.copy_rows(
            "customers",
            file=file,
            columns=["account_number", "name", "branch"],
            rows=((self._account(load), load.code, branch) for load in self.loads),
        )
        staging.copy_rows(
            "service_points",
            file=file,
            columns=["code", "meter_number", "account_number", "element", "address", "average_kw", "contracted_kw"],
            rows=(
                (load.code, load.meter, self._account(load), node_codes[load.node], "", load.kw, load.kw)
                for load in self.loads
            ),
        )

    def _branch(self, staging: Staging, file: str) -> str:
        if staging.branch_code:
            known = (
                Branch.objects.filter(code=staging.branch_code).first()
                or Branch.objects.filter(name=staging.branch_code).first()
            )
            if known is None:
                raise ImportRefused(Problem("unknown_branch", value=staging.branch_code))
            return known.code
        if not Branch.objects.filter(code=self.name).exists():
            staging.copy_rows("branches", file=file, columns=["code", "name"], rows=[(self.name, self.name)])
        return self.name

    def _account(self, load: Load) -> str:
        return f"{self.name}:{load.code}"[:64]

    def _node_codes(self) -> dict[str, str]:
        codes: dict[str, str] = {}
        taken: set[str] = set()
        for key in self.nodes:
            code = f"{self.name}/{self.node_names.get(key) or key}"[:128]
            if code in taken:
                code = f"{self.name}/{key}"[:128]
            taken.add(code)
            codes[key] = code
        return codes

    def _source_code(self, name: str) -> str:
        return f"{self.name}/vsource.{name}"[:128]

    def _elements(self, branch: str, node_codes: dict[str, str]) -> Iterator[tuple[str, str, str, str, str, str]]:
        for name, _nodes in self.sources:
            # the source stands for the head of the feeder, so everything it feeds has one
            yield self._source_code(name), ElementKind.FEEDER, self.name, branch, "yes", "no"
        for key, code in node_codes.items():
            yield code, ElementKind.NODE, self.node_names.get(key) or key, branch, "no", "no"
        for device in self.devices:
            yield device.code, device.kind, device.code, branch, "no", "yes" if device.is_open else "no"

    def _edges(self, node_codes: dict[str, str]) -> Iterator[tuple[str, str]]:
        for name, nodes in self.sources:
            for node in nodes:
                yield self._source_code(name), node_codes[node]
        for device in self.devices:
            for node in dict.fromkeys(device.nodes):
                yield device.code, node_codes[node]
