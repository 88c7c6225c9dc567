"""Cells typed over, one or many at once; the rows that depend on each other are judged together."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import transaction

from accounts.actor import Actor
from grid.spreadsheets import books
from outages.planned.intake import cells
from outages.planned.intake.rows import texts_of
from outages.planned.models import PlanSheet, SheetRow, SheetState
from outages.planned.services.sheets.kept import (
    counted,
    editable_in,
    held,
    row_kept,
    rows_asked,
    rows_rewritten,
    setting_of,
)
from standards.errors import NotFound


def row_edit(*, actor: Actor, sheet_id: int, number: int, field: str, text: str) -> SheetRow:
    """Type over one cell. The row and what depends on it are checked again."""
    with transaction.atomic():
        sheet = held(actor, sheet_id, (SheetState.CHECKED,))
        record = sheet.rows.select_for_update().filter(number=number, is_imported=False).first()
        if record is None or number < 1:
            raise NotFound(field="row")
        if field not in editable_in(sheet):
            raise NotFound(field="field")
        record.edits = {**record.edits, field: text.replace("\x00", "").strip()[: books.MAX_TEXT]}
        _check_again(sheet, [record])
        counted(sheet)
        record.refresh_from_db()
        return record


def rows_replace(*, actor: Actor, sheet_id: int, field: str, old: str, new: str, number: int | None = None) -> int:
    """Write ``new`` wherever a cell that is still wrong says ``old``, or in one row. Returns in how many rows."""
    with transaction.atomic():
        sheet = held(actor, sheet_id, (SheetState.CHECKED,))
        mapping = setting_of(sheet).mapping
        if field not in mapping.values():
            raise NotFound(field="field")
        wrong = sheet.rows.select_for_update().filter(is_wrong=True, is_imported=False, number__gt=0)
        changed = []
        for record in wrong if number is None else wrong.filter(number=number):
            said = texts_of(record.cells, record.edits, mapping).get(field, "")
            parts = cells.split_names(said)
            if old in (said, *parts):
                whole = new if said == old else "、".join(new if part == old else part for part in parts)
                record.edits = {**record.edits, field: whole.replace("\x00", "").strip()[: books.MAX_TEXT]}
                changed.append(record)
        _check_again(sheet, changed)
        counted(sheet)
        return len(changed)


def _check_again(sheet: PlanSheet, changed: Sequence[SheetRow]) -> None:
    """Rows of the same number, and rows that say the same, are judged together."""
    if not changed:
        return
    setting = setting_of(sheet)
    by_number = {record.number: record for record in changed}
    others = sheet.rows.filter(number__gt=0, is_imported=False).exclude(number__in=by_number)
    texts = {record.number: texts_of(record.cells, record.edits, setting.mapping) for record in changed}
    keys = {record.key for record in changed} | {said.get("key", "") for said in texts.values()}
    by_number |= {record.number: record for record in others.filter(key__in=keys - {""})}
    checked = rows_asked(by_number, setting)
    twins = {row.twin[:200] for row in checked.rows if row.twin} | {record.values.get("twin", "") for record in changed}
    twins.discard("")
    same = list(others.exclude(number__in=by_number).filter(values__twin__in=twins)) if twins else []
    if same:
        by_number |= {record.number: record for record in same}
        checked = rows_asked(by_number, setting)
    rows_rewritten([row_kept(by_number[row.number], row) for row in checked.rows])
