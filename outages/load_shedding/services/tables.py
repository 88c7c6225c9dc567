"""Rotation tables from files: looked at first, then taken as a whole or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from accounts.actor import Actor
from grid.spreadsheets.books import book_of
from grid.spreadsheets.files import MAX_BYTES, FileTooBig
from outages.load_shedding import policies
from outages.load_shedding.intake.coverage import Coverage, coverage_of
from outages.load_shedding.intake.reading import Setting, Understood, understood
from outages.load_shedding.models import SheddingPlan
from outages.load_shedding.services.drafts import turns_set
from standards.errors import DomainError, NotFound

_DIGITS: Final = frozenset("0123456789abcdef")


class TableWrong(DomainError):
    code = "table_wrong"
    message = _("The table is not taken: something in it is wrong, and a table is taken whole or not at all.")


@dataclass(frozen=True)
class Checked:
    """What a file says, and what its turns leave open or give twice."""

    found: Understood
    coverage: Coverage


def table_keep(*, actor: Actor, plan: SheddingPlan, chunks: Iterable[bytes]) -> str:
    """Put a file aside until somebody has looked at what it says; an earlier one of the same plan is forgotten.

    Returns what it is called by: the digest of its content, so that what is taken is what was looked at.
    """
    policies.require(actor=actor, action="edit_plan", branch=plan.branch)
    data = bytearray()
    for chunk in chunks:
        data += chunk
        if len(data) > MAX_BYTES:
            raise FileTooBig(megabytes=MAX_BYTES // 1024**2, field="file")
    digest = hashlib.sha256(data).hexdigest()
    table_forget(plan)
    path = _path(plan, digest)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return digest


def table_check(*, plan: SheddingPlan, digest: str, stage: int) -> Checked:
    """What the kept file says for this plan; ``stage`` is that of a table that names none. Raises ``FileRefused``."""
    found = understood(book_of(_kept(plan, digest)), _setting(plan, stage))
    return Checked(found, coverage_of(found.rows if not found.problems else ()))


def table_take(
    *, actor: Actor, plan: SheddingPlan, digest: str, stage: int, expected_version: int | None = None
) -> Checked:
    """The table's turns replace those of the stages in it. Raises ``TableWrong`` if a single row is wrong."""
    checked = table_check(plan=plan, digest=digest, stage=stage)
    if checked.found.problems:
        raise TableWrong()
    turns_set(actor=actor, plan_id=plan.pk, rows=checked.found.rows, expected_version=expected_version)
    table_forget(plan)
    return checked


def table_forget(plan: SheddingPlan) -> None:
    """Throw away what was put aside for this plan."""
    for path in _folder().glob(f"{plan.pk}-*"):
        path.unlink(missing_ok=True)


def _setting(plan: SheddingPlan, stage: int) -> Setting:
    blocks = list(plan.blocks.values_list("code", "formerly"))
    names = {former: code for code, formerly in blocks for former in formerly}
    names |= {code: code for code, _formerly in blocks}
    return Setting(names, frozenset(plan.stages.values_list("number", flat=True)), stage)


def _folder() -> Path:
    return Path(settings.MEDIA_ROOT) / "shedding-tables"


def _path(plan: SheddingPlan, digest: str) -> Path:
    return _folder() / f"{plan.pk}-{digest}"


def _kept(plan: SheddingPlan, digest: str) -> bytes:
    path = _path(plan, digest)
    if not set(digest) <= _DIGITS or not path.exists():
        raise NotFound(field="file")
    return path.read_bytes()
