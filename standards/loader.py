"""Reads the rule packs once, at start-up, and hands them out by name or by remembered version."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from django.conf import settings
from django.utils.translation import gettext_lazy as _
from pydantic import ValidationError

from standards.errors import DomainError
from standards.schema import RulePack

SHIPPED = Path(__file__).resolve().parent / "packs"


class PackError(Exception):
    """A rule pack cannot be used: which file, where in it, and why, in one sentence."""

    def __init__(self, path: Path, where: str, reason: str) -> None:
        place = f" at {where}" if where else ""
        super().__init__(f"The rule pack {path} is not usable{place}: {reason}.")
        self.path, self.where, self.reason = path, where, reason


class UnknownPack(DomainError):
    code = "unknown_rule_pack"
    status = 422
    message = _("There is no rule pack “%(pack)s”.")


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML lets a key stand twice and keeps the last one; in a rule pack that hides a rule."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _value in node.value]
        twice = next((key for i, key in enumerate(keys) if key in keys[:i]), None)
        if twice is not None:
            raise yaml.MarkedYAMLError(problem=f"the key {twice!r} stands twice", problem_mark=node.start_mark)
        return super().construct_mapping(node, deep=deep)


def pack_read(path: Path) -> RulePack:
    """One file as a pack. Raises ``PackError``."""
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeyLoader)  # noqa: S506 - a SafeLoader
    except OSError as broken:
        raise PackError(path, "", broken.strerror or "it cannot be read") from broken
    except UnicodeDecodeError as broken:
        raise PackError(path, "", "it is not UTF-8") from broken
    except yaml.YAMLError as broken:
        mark = getattr(broken, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise PackError(path, where, getattr(broken, "problem", None) or "it is not YAML") from broken
    if not isinstance(raw, dict):
        raise PackError(path, "", "it must be a mapping with name, version, label and the sections")
    try:
        # through JSON, so that strict still understands dates and times as text
        pack = RulePack.model_validate_json(json.dumps(raw, default=str))
    except ValidationError as broken:
        first = broken.errors(include_url=False, include_context=False)[0]
        more = broken.error_count() - 1
        reason = first["msg"][:1].lower() + first["msg"][1:]
        if more:
            reason += f" (and {more} more)"
        raise PackError(path, ".".join(str(part) for part in first["loc"]), reason) from broken
    if path.stem not in (pack.name, pack.key):
        raise PackError(path, "name", f"it says {pack.key!r}, but the file's name says {path.stem!r}")
    return pack


def packs_read(*folders: Path) -> dict[str, RulePack]:
    """Every pack by ``name`` (the version in force, ``name.yaml``) and by ``name@version``. Raises ``PackError``."""
    found: dict[str, RulePack] = {}
    for folder in folders:
        if not folder.is_dir():
            raise PackError(folder, "", "there is no such folder")
        for path in sorted(folder.glob("*.yaml")):
            pack = pack_read(path)
            if found.get(pack.key, pack) != pack:
                raise PackError(path, "version", f"{pack.key} is there already and says something else")
            found[pack.key] = pack
            if path.stem == pack.name:
                found[pack.name] = pack
    return found


@lru_cache(maxsize=1)
def _loaded() -> dict[str, RulePack]:
    own = getattr(settings, "RULE_PACKS_DIR", "")
    return packs_read(SHIPPED, *([Path(own)] if own else []))


def load() -> None:
    """Read and check every pack now. Raises ``PackError``."""
    _loaded.cache_clear()
    _loaded()


def pack(name: str) -> RulePack:
    """The pack in force (``cn-sgcc``) or the one an outage remembers (``cn-sgcc@2026.1``)."""
    found = _loaded().get(name)
    if found is None:
        raise UnknownPack(pack=name)
    return found


def packs() -> list[RulePack]:
    """The packs in force, by name."""
    return [value for key, value in sorted(_loaded().items()) if key == value.name]
