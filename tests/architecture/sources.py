"""Our source files, parsed once, for the rules that are checked by reading them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from django.conf import settings

APPS = ["standards", "grid", "accounts", "outages", "notifications", "billing_cutoffs", "call_center", "outage_mgmt"]


@lru_cache(maxsize=1)
def modules() -> dict[str, ast.Module]:
    """Every module of ours (no migrations) by its path from the root."""
    return {
        str(path.relative_to(settings.BASE_DIR)): ast.parse(path.read_text())
        for app in APPS
        for path in sorted((settings.BASE_DIR / app).rglob("*.py"))
        if "migrations" not in path.parts
    }


def calls() -> Iterator[tuple[str, ast.Call]]:
    for path, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                yield path, node


def named(call: ast.Call) -> str:
    """The last name of what is called: ``save`` of ``outage.save()``."""
    if isinstance(call.func, ast.Attribute):
        return call.func.attr
    return call.func.id if isinstance(call.func, ast.Name) else ""


def templates() -> dict[str, str]:
    folder: Path = settings.BASE_DIR / "templates"
    return {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}
