"""A file comes in: kept, read and checked in the background, its columns named."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.actor import Actor
from grid.models import Branch
from grid.spreadsheets import books, files
from outages.planned import policies
from outages.planned.intake import columns, drafts, reading
from outages.planned.intake.drafts import Checked, Tell
from outages.planned.intake.rows import Setting, texts_of
from outages.planned.models import ColumnMapping, PlanPeriod, PlanSheet, SheetRow, SheetState, WorkClass
from outages.planned.services.sheets.kept import (
    BATCH,
    SheetNotWaiting,
    alone,
    editable_in,
    ended,
    failed,
    held,
    path_of,
    period_check,
    row_kept,
    setting_of,
)
from standards.errors import DomainError, NotFound


class MappingIncomplete(DomainError):
    code = "mapping_incomplete"
    message = _("A place and the time from and to are needed: name at least these columns.")


def sheet_upload(
    *,
    actor: Actor,
    branch: Branch,
    chunks: Iterable[bytes],
    file_name: str,
    token: str,
    period: PlanPeriod | None = None,
    work_class: str = WorkClass.PLANNED,
) -> PlanSheet:
    """Keep an uploaded file until it is read. The same form sent twice is one upload. Raises ``DomainError``."""
    policies.require(actor=actor, action="edit", branch=branch)
    known = PlanSheet.objects.filter(branch=branch, token=token).first()
    if known is not None:
        return known
    if period is not None:
        period_check(period, branch)
    data = _joined(chunks)
    try:
        with transaction.atomic():
            sheet = PlanSheet.objects.create(
                branch=branch,
                period=period,
                work_class=WorkClass.PLANNED if period else work_class,
                token=token[:64],
                file_name=Path(file_name.replace("\\", "/")).name.replace("\x00", "")[:200] or "plan",
                sha256=hashlib.sha256(data).hexdigest(),
                size=len(data),
                actor_id=actor.user_id,
                actor_name=actor.name,
            )
            # before the commit: whoever finds the row, a second click's task too, finds the file
            path = path_of(sheet)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    except IntegrityError:  # the other click was faster
        return PlanSheet.objects.get(branch=branch, token=token)
    return sheet


def _joined(chunks: Iterable[bytes]) -> bytes:
    data = bytearray()
    for chunk in chunks:
        data += chunk
        if len(data) > files.MAX_BYTES:
            raise files.FileTooBig(field="file", megabytes=files.MAX_BYTES // 1024**2)
    if not data:
        raise files.FileEmpty(field="file")
    return bytes(data)


# --- reading, in the background -----------------------------------------------------------------------


def sheet_read(*, sheet_id: int) -> dict[str, int]:
    """Find the table, name its columns, check every row. Run again after a crash it begins anew."""
    return alone(sheet_id, (SheetState.QUEUED, SheetState.READING), _read)


def _read(sheet: PlanSheet, tell: Tell) -> dict[str, int]:
    tell(5, "reading")
    try:
        book = books.book_of(path_of(sheet).read_bytes())
        table = reading.table_of(book, sheet_name=sheet.sheet_name)
    except files.FileRefused as refused:
        return failed(sheet, refused.code, refused.params)
    except FileNotFoundError:
        return failed(sheet, files.FileRefused.code, {})
    edits = _edits_kept(sheet) if sheet.sheet_name == table.sheet.name else {}
    sheet.sheet_names = [one.name for one in book.sheets if one.lines]
    sheet.sheet_name, sheet.is_1904 = table.sheet.name, book.is_1904
    sheet.header_row, sheet.headers = table.header_row, list(table.headers)
    mapping = _remembered(sheet) or dict(table.mapping)
    sheet.mapping = {str(column): name for column, name in mapping.items()}
    sheet.rows.all().delete()
    allowed = editable_in(sheet)
    records = [
        SheetRow(
            sheet=sheet, number=line.number, cells=list(line.cells),
            edits={name: text for name, text in edits.get(line.number, {}).items() if name in allowed},
        )
        for line in table.rows
    ]  # fmt: skip
    if not columns.is_enough(mapping):
        SheetRow.objects.bulk_create(records, batch_size=BATCH)
        return ended(sheet, SheetState.NEEDS_MAPPING)
    setting = setting_of(sheet)
    tell(15, "rows")
    asked = [(record.number, texts_of(record.cells, record.edits, mapping)) for record in records]
    checked = drafts.rows_check(asked, setting, tell=tell)
    tell(85, "saving")
    _rows_written(sheet, records, checked, setting)
    return ended(sheet, SheetState.CHECKED)


def _remembered(sheet: PlanSheet) -> dict[int, str]:
    """How this branch named these columns before."""
    known = ColumnMapping.objects.filter(branch=sheet.branch, headings=columns.fingerprint(sheet.headers)).first()
    return columns.as_remembered(sheet.headers, known.mapping) if known else {}


def _edits_kept(sheet: PlanSheet) -> dict[int, dict[str, str]]:
    """What was typed over the rows before their columns were named anew."""
    return dict(sheet.rows.exclude(edits={}).values_list("number", "edits"))


def _rows_written(sheet: PlanSheet, records: Sequence[SheetRow], checked: Checked, setting: Setting) -> None:
    kept = [row_kept(record, row) for record, row in zip(records, checked.rows, strict=True)]
    gone = drafts.works_missing(setting, {row.key for row in checked.rows if row.key})
    kept += [
        SheetRow(sheet=sheet, number=-n, key=work.key, change=SheetRow.Change.REMOVED, work=work)
        for n, work in enumerate(gone, start=1)
    ]
    SheetRow.objects.bulk_create(kept, batch_size=BATCH)


# --- naming columns, choosing the sheet, throwing it away ---------------------------------------------


def sheet_map(*, actor: Actor, sheet_id: int, mapping: Mapping[int, str]) -> PlanSheet:
    """Say what the columns mean. It is remembered for every later file of this branch with the same headings."""
    with transaction.atomic():
        sheet = held(actor, sheet_id, (SheetState.NEEDS_MAPPING, SheetState.CHECKED))
        chosen = {
            column: name
            for column, name in sorted(mapping.items())
            if name in columns.BY_NAME and 0 <= column < len(sheet.headers)
        }
        if not columns.is_enough(chosen):
            raise MappingIncomplete(field="mapping")
        ColumnMapping.objects.update_or_create(
            branch=sheet.branch, headings=columns.fingerprint(sheet.headers),
            defaults={
                "mapping": columns.to_remember(sheet.headers, chosen),
                "updated_at": timezone.now(),
            },
        )  # fmt: skip
        return _queued_again(sheet)


def sheet_choose(*, actor: Actor, sheet_id: int, sheet_name: str) -> PlanSheet:
    """The plan stands on another sheet of the workbook."""
    with transaction.atomic():
        sheet = held(actor, sheet_id, (SheetState.NEEDS_MAPPING, SheetState.CHECKED))
        if sheet_name not in sheet.sheet_names:
            raise NotFound(field="sheet_name")
        sheet.sheet_name = sheet_name
        return _queued_again(sheet)


def _queued_again(sheet: PlanSheet) -> PlanSheet:
    if sheet.rows.filter(is_imported=True).exists():
        raise SheetNotWaiting(
            _("Rows of this file are in the plan already: upload it again to read it in another way.")
        )
    sheet.state, sheet.progress, sheet.counts = SheetState.QUEUED, 0, {}
    sheet.save(update_fields=["state", "progress", "counts", "sheet_name"])
    return sheet


def sheet_discard(*, actor: Actor, sheet_id: int) -> PlanSheet:
    """Somebody does not want this file any more; what was imported from it stays."""
    with transaction.atomic():
        sheet = held(
            actor, sheet_id, (SheetState.CHECKED, SheetState.NEEDS_MAPPING, SheetState.FAILED, SheetState.QUEUED)
        )
        sheet.state, sheet.finished_at = SheetState.DISCARDED, timezone.now()
        sheet.save(update_fields=["state", "finished_at"])
    with suppress(FileNotFoundError):
        path_of(sheet).unlink()
    return sheet
