"""A branch's spreadsheet on its way into the plan: kept, read, checked, corrected, imported.

The two long steps run in the background. Each holds an advisory lock while it works, so a task that comes twice does
nothing the second time, and one whose worker was killed is found by the sweep and simply done again: what it had not
finished was rolled back with it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Final

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models import Count, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.actor import Actor
from grid.models import Branch
from grid.services import progress_told
from outages.planned import lifecycle, policies
from outages.planned.intake import columns, drafts, files, reading
from outages.planned.intake.drafts import Checked, Tell, Work
from outages.planned.intake.reading import Table
from outages.planned.intake.rows import Row, Setting, texts_of
from outages.planned.models import (
    ColumnMapping,
    PlannedWork,
    PlanPeriod,
    PlanSheet,
    SheetRow,
    SheetState,
    WorkClass,
    WorkState,
)
from outages.planned.services.works import WorkDraft, steps_append, works_change, works_create, works_locked
from standards.errors import Conflict, DomainError, NotFound

BATCH: Final = 1000
LATER: Final = timedelta(minutes=1)  # after which the sweep looks at what is still waiting
_LOCK: Final = 0x504C  # the space of these locks
RUNNING: Final = (SheetState.QUEUED, SheetState.READING, SheetState.IMPORTING)


class SheetNotWaiting(Conflict):
    code = "sheet_not_waiting"
    message = _("This file is not waiting for that any more.")


class MappingIncomplete(DomainError):
    code = "mapping_incomplete"
    message = _("A place and the time from and to are needed: name at least these columns.")


class NothingToImport(DomainError):
    code = "nothing_to_import"
    status = 409
    message = _("There is no row that could be imported: correct one first.")


# --- the file comes in ----------------------------------------------------------------------------------


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
        _period_check(period, branch)
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
    except IntegrityError:  # the other click was faster
        return PlanSheet.objects.get(branch=branch, token=token)
    path = path_of(sheet)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
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


def _period_check(period: PlanPeriod, branch: Branch) -> None:
    period = PlanPeriod.objects.get(pk=period.pk)  # as it is now, not as somebody saw it
    if period.branch_id != branch.pk:
        raise NotFound(field="plan")
    if period.state not in (lifecycle.OPEN, lifecycle.RETURNED):
        raise SheetNotWaiting(_("This plan has been handed in: take it back before you import into it."), field="plan")


def path_of(sheet: PlanSheet) -> Path:
    """Outside the web root, under a name of our own."""
    return Path(settings.MEDIA_ROOT) / "plan-sheets" / str(sheet.pk)


# --- reading, in the background ---------------------------------------------------------------------------


def sheet_read(*, sheet_id: int) -> dict[str, int]:
    """Find the table, name its columns, check every row. Run again after a crash it begins anew."""
    return _alone(sheet_id, (SheetState.QUEUED, SheetState.READING), _read)


def _read(sheet: PlanSheet, tell: Tell) -> dict[str, int]:
    tell(5, "reading")
    try:
        book = reading.book_of(path_of(sheet).read_bytes())
        table = reading.table_of(book, sheet_name=sheet.sheet_name)
    except files.FileRefused as refused:
        return _failed(sheet, refused.code, refused.params)
    except FileNotFoundError:
        return _failed(sheet, files.FileRefused.code, {})
    sheet.sheet_names = [one.name for one in book.sheets if one.lines]
    sheet.sheet_name, sheet.is_1904 = table.sheet.name, book.is_1904
    sheet.header_row, sheet.headers = table.header_row, list(table.headers)
    mapping = _remembered(sheet) or dict(table.mapping)
    sheet.mapping = {str(column): name for column, name in mapping.items()}
    sheet.rows.all().delete()
    lines = [(line.number, list(line.cells)) for line in table.rows]
    if not columns.is_enough(mapping):
        SheetRow.objects.bulk_create(
            [SheetRow(sheet=sheet, number=number, cells=cells) for number, cells in lines], batch_size=BATCH
        )
        return _ended(sheet, SheetState.NEEDS_MAPPING)
    setting = setting_of(sheet)
    tell(15, "rows")
    checked = drafts.rows_check([(number, texts_of(cells, {}, mapping)) for number, cells in lines], setting, tell=tell)
    tell(85, "saving")
    _rows_written(sheet, lines, checked, setting)
    return _ended(sheet, SheetState.CHECKED)


def _remembered(sheet: PlanSheet) -> dict[int, str]:
    """How this branch named these columns before."""
    known = ColumnMapping.objects.filter(branch=sheet.branch, headings=columns.fingerprint(sheet.headers)).first()
    if known is None:
        return {}
    return {column: known.mapping[h] for column, h in enumerate(sheet.headers) if known.mapping.get(h)}


def _rows_written(sheet: PlanSheet, lines: Sequence[tuple[int, list[str]]], checked: Checked, setting: Setting) -> None:
    kept = [
        _kept(SheetRow(sheet=sheet, number=number, cells=cells), row)
        for (number, cells), row in zip(lines, checked.rows, strict=True)
    ]
    gone = drafts.works_missing(setting, {row.key for row in checked.rows if row.key})
    kept += [
        SheetRow(sheet=sheet, number=-n, key=work.key, change=SheetRow.Change.REMOVED, work=work)
        for n, work in enumerate(gone, start=1)
    ]
    SheetRow.objects.bulk_create(kept, batch_size=BATCH)


def _kept(record: SheetRow, row: Row) -> SheetRow:
    record.values = row.values()
    record.problems = [problem.as_dict() for problem in row.problems]
    record.key = row.key[:64]
    record.change = row.change
    record.is_wrong = row.is_wrong
    record.work_id = row.work_id
    return record


def setting_of(sheet: PlanSheet) -> Setting:
    return Setting(
        branch=sheet.branch,
        period=sheet.period,
        mapping={int(column): name for column, name in sheet.mapping.items()},
        work_class=sheet.work_class,
        is_1904=sheet.is_1904,
    )


# --- naming columns, choosing the sheet -------------------------------------------------------------------


def sheet_map(*, actor: Actor, sheet_id: int, mapping: Mapping[int, str]) -> PlanSheet:
    """Say what the columns mean. It is remembered for every later file of this branch with the same headings."""
    with transaction.atomic():
        sheet = _held(actor, sheet_id, (SheetState.NEEDS_MAPPING, SheetState.CHECKED))
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
                "mapping": {sheet.headers[column]: name for column, name in chosen.items()},
                "updated_at": timezone.now(),
            },
        )  # fmt: skip
        return _queued_again(sheet)


def sheet_choose(*, actor: Actor, sheet_id: int, sheet_name: str) -> PlanSheet:
    """The plan stands on another sheet of the workbook."""
    with transaction.atomic():
        sheet = _held(actor, sheet_id, (SheetState.NEEDS_MAPPING, SheetState.CHECKED))
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


# --- correcting -------------------------------------------------------------------------------------------


def row_edit(*, actor: Actor, sheet_id: int, number: int, field: str, text: str) -> SheetRow:
    """Type over one cell. The row and what depends on it are checked again."""
    with transaction.atomic():
        sheet = _held(actor, sheet_id, (SheetState.CHECKED,))
        record = sheet.rows.select_for_update().filter(number=number, is_imported=False).first()
        if record is None or number < 1:
            raise NotFound(field="row")
        if field not in sheet.mapping.values():
            raise NotFound(field="field")
        record.edits = {**record.edits, field: text.replace("\x00", "").strip()[: reading.MAX_TEXT]}
        _check_again(sheet, [record])
        _counted(sheet)
        record.refresh_from_db()
        return record


def rows_replace(*, actor: Actor, sheet_id: int, field: str, old: str, new: str) -> int:
    """Write ``new`` wherever a cell that is still wrong says ``old``. Returns in how many rows."""
    with transaction.atomic():
        sheet = _held(actor, sheet_id, (SheetState.CHECKED,))
        mapping = setting_of(sheet).mapping
        if field not in mapping.values():
            raise NotFound(field="field")
        wrong = sheet.rows.select_for_update().filter(is_wrong=True, is_imported=False, number__gt=0)
        changed = []
        for record in wrong:
            said = texts_of(record.cells, record.edits, mapping).get(field, "")
            parts = [part.strip() for part in said.split("、")]
            if old in (said, *parts):
                whole = new if said == old else "、".join(new if part == old else part for part in parts)
                record.edits = {**record.edits, field: whole[: reading.MAX_TEXT]}
                changed.append(record)
        _check_again(sheet, changed)
        _counted(sheet)
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
    checked = _asked(by_number, setting)
    twins = {row.twin[:200] for row in checked.rows if row.twin} | {record.values.get("twin", "") for record in changed}
    twins.discard("")
    same = list(others.exclude(number__in=by_number).filter(values__twin__in=twins)) if twins else []
    if same:
        by_number |= {record.number: record for record in same}
        checked = _asked(by_number, setting)
    records = [_kept(by_number[row.number], row) for row in checked.rows]
    SheetRow.objects.bulk_update(
        records, ["edits", "values", "problems", "key", "change", "is_wrong", "work"], batch_size=BATCH
    )


def _asked(records: Mapping[int, SheetRow], setting: Setting) -> Checked:
    return drafts.rows_check(
        [(number, texts_of(one.cells, one.edits, setting.mapping)) for number, one in sorted(records.items())], setting
    )


# --- importing --------------------------------------------------------------------------------------------


def sheet_import_start(*, actor: Actor, sheet_id: int, remove: bool = False) -> PlanSheet:
    """Import every row that is right; what is wrong waits. A second click finds the first one's import."""
    with transaction.atomic():
        sheet = _held(actor, sheet_id, (SheetState.CHECKED, SheetState.IMPORTING, SheetState.IMPORTED))
        if sheet.state != SheetState.CHECKED:
            return sheet
        if sheet.period is not None:
            _period_check(sheet.period, sheet.branch)
        if not sheet.counts.get("ready") and not (remove and sheet.counts.get("removed")):
            raise NothingToImport()
        sheet.state, sheet.progress, sheet.is_removing, sheet.error = SheetState.IMPORTING, 0, remove, {}
        sheet.save(update_fields=["state", "progress", "is_removing", "error"])
        return sheet


def sheet_import(*, sheet_id: int) -> dict[str, int]:
    """Write the right rows into the plan: all of them or none."""
    return _alone(sheet_id, (SheetState.IMPORTING,), _import)


def _import(sheet: PlanSheet, tell: Tell) -> dict[str, int]:
    tell(5, "checking")
    setting = setting_of(sheet)
    waiting = {
        record.number: record
        for record in sheet.rows.filter(number__gt=0, is_wrong=False, is_imported=False)
        .exclude(change=SheetRow.Change.UNCHANGED)
        .order_by("number")
    }
    checked = _asked(waiting, setting)
    good = [work for work in checked.works if work.is_good]
    by_user = Actor("user", sheet.actor_name, sheet.actor_id)
    actor = sheet.actor.as_actor() if sheet.actor is not None else by_user
    try:
        with transaction.atomic():
            tell(40, "writing")
            written = _works_written(actor, sheet, good)
            removed = _removed(actor, sheet) if sheet.is_removing else 0
    except DomainError as refused:
        # nothing was written; the rows are still there, and so is the reason
        sheet.error = {"code": refused.code, "words": str(refused)}
        return _ended(sheet, SheetState.CHECKED)
    tell(85, "saving")
    for row in checked.rows:
        record = _kept(waiting[row.number], row)
        if row.number in written:
            record.is_imported, record.work_id = True, written[row.number]
    SheetRow.objects.bulk_update(
        list(waiting.values()), ["values", "problems", "key", "change", "is_wrong", "work", "is_imported"],
        batch_size=BATCH,
    )  # fmt: skip
    left = sheet.rows.filter(is_wrong=True, is_imported=False).exists()
    _ended(sheet, SheetState.CHECKED if left else SheetState.IMPORTED)
    return {"run": 1, "works": len(set(written.values())), "removed": removed}


def _works_written(actor: Actor, sheet: PlanSheet, works: Sequence[Work]) -> dict[int, int]:
    """Enter what is new and change what is changed; returns the work of each row."""
    fresh = [work for work in works if work.existing is None]
    changed = [work for work in works if work.existing is not None and work.change == SheetRow.Change.CHANGED]
    found: dict[int, int] = {}
    if fresh:
        entered = works_create(
            actor=actor, branch=sheet.branch, period=sheet.period, source=f"sheet {sheet.pk}",
            drafts=[_draft(work) for work in fresh],
        )  # fmt: skip
        found |= {row.number: record.pk for work, record in zip(fresh, entered, strict=True) for row in work.rows}
    if changed:
        policies.require(actor=actor, action="edit", branch=sheet.branch)
        locked = {work.pk: work for work in works_locked([work.existing.pk for work in changed if work.existing])}
        works_change(
            actor=actor,
            changes=[(locked[work.existing.pk], _draft(work)) for work in changed if work.existing is not None],
        )
        found |= {row.number: work.existing.pk for work in changed if work.existing for row in work.rows}
    return found


def _draft(work: Work) -> WorkDraft:
    return WorkDraft(work.element_ids, work.windows, {**work.facts, "key": work.rows[0].key})


def _removed(actor: Actor, sheet: PlanSheet) -> int:
    """Take out the drafts that the file no longer has; what was handed in meanwhile stays."""
    gone = sheet.rows.filter(change=SheetRow.Change.REMOVED, is_imported=False, work__state=WorkState.DRAFT)
    ids = [pk for pk in gone.values_list("work", flat=True) if pk is not None]
    if not ids:
        return 0
    policies.require(actor=actor, action="edit", branch=sheet.branch)
    works = works_locked(ids)
    for work in works:
        work.state, work.state_reason = WorkState.CANCELLED, str(_("no longer in the branch's sheet"))
        work.version += 1
    PlannedWork.objects.bulk_update(works, ["state", "state_reason", "version"], batch_size=BATCH)
    steps_append(actor=actor, verb="cancel", works=works, note=f"sheet {sheet.pk}")
    gone.update(is_imported=True)
    return len(works)


def sheet_discard(*, actor: Actor, sheet_id: int) -> PlanSheet:
    """Somebody does not want this file any more; what was imported from it stays."""
    with transaction.atomic():
        sheet = _held(
            actor, sheet_id, (SheetState.CHECKED, SheetState.NEEDS_MAPPING, SheetState.FAILED, SheetState.QUEUED)
        )
        sheet.state, sheet.finished_at = SheetState.DISCARDED, timezone.now()
        sheet.save(update_fields=["state", "finished_at"])
    with suppress(FileNotFoundError):
        path_of(sheet).unlink()
    return sheet


# --- shared -----------------------------------------------------------------------------------------------


def sheets_left_behind() -> list[tuple[int, str]]:
    """Files that wait although their task should long have come: (id, state)."""
    since = timezone.now() - LATER
    waiting = PlanSheet.objects.filter(state__in=RUNNING, created_at__lt=since)
    return list(waiting.values_list("pk", "state"))


def _alone(sheet_id: int, states: Collection[str], work: Callable[[PlanSheet, Tell], dict[str, int]]) -> dict[str, int]:
    """Do one long step, unless somebody is at it."""
    sheet = PlanSheet.objects.filter(pk=sheet_id).first()
    if sheet is None:
        return {"run": 0}
    with progress_told(sheet) as tell, transaction.atomic(), connection.cursor() as db:
        db.execute("SET LOCAL statement_timeout = '300s'; SET LOCAL idle_in_transaction_session_timeout = '300s'")
        db.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", [_LOCK, sheet_id])
        if not db.fetchone()[0]:
            return {"run": 0}
        sheet = PlanSheet.objects.select_related("branch", "period__branch", "actor").get(pk=sheet_id)
        if sheet.state not in states:
            return {"run": 0}
        return work(sheet, tell)


def _failed(sheet: PlanSheet, code: str, params: Mapping[str, object]) -> dict[str, int]:
    sheet.error = {"code": code, "params": dict(params)}
    sheet.finished_at = timezone.now()
    _ended(sheet, SheetState.FAILED)
    return {"run": 1, "failed": 1}


def _ended(sheet: PlanSheet, state: str) -> dict[str, int]:
    sheet.state, sheet.progress, sheet.stage = state, 100, ""
    if state == SheetState.IMPORTED:
        sheet.finished_at = timezone.now()
    sheet.counts = counts_of(sheet)
    sheet.save(
        update_fields=[
            "state", "progress", "stage", "sheet_names", "sheet_name", "is_1904", "header_row", "headers", "mapping",
            "counts", "error", "finished_at",
        ]
    )  # fmt: skip
    return {"run": 1, **{name: sheet.counts[name] for name in ("all", "wrong")}}


def _counted(sheet: PlanSheet) -> None:
    sheet.counts = counts_of(sheet)
    sheet.save(update_fields=["counts"])


def counts_of(sheet: PlanSheet) -> dict[str, int]:
    """The figures over the table, in one statement."""
    in_file, right = Q(number__gt=0), Q(number__gt=0, is_wrong=False, is_imported=False)
    change = SheetRow.Change
    return sheet.rows.aggregate(
        all=Count("pk", filter=in_file),
        ready=Count("pk", filter=right & ~Q(change=change.UNCHANGED)),
        wrong=Count("pk", filter=in_file & Q(is_wrong=True)),
        warnings=Count("pk", filter=in_file & Q(is_wrong=False) & ~Q(problems=[])),
        new=Count("pk", filter=right & Q(change=change.NEW)),
        changed=Count("pk", filter=right & Q(change=change.CHANGED)),
        unchanged=Count("pk", filter=in_file & Q(change=change.UNCHANGED)),
        removed=Count("pk", filter=Q(change=change.REMOVED, is_imported=False)),
        imported=Count("pk", filter=in_file & Q(is_imported=True)),
    )


def _held(actor: Actor, sheet_id: int, states: Collection[str]) -> PlanSheet:
    sheet = (
        PlanSheet.objects.select_for_update(no_key=True, of=("self",))
        .select_related("branch", "period__branch")
        .filter(pk=sheet_id)
        .first()
    )
    if sheet is None:
        raise NotFound(field="sheet")
    policies.require(actor=actor, action="edit", branch=sheet.branch)
    if sheet.state not in states:
        raise SheetNotWaiting()
    return sheet


def table_of(sheet: PlanSheet) -> Table:
    """The file's table once more, for handing the workbook back. Raises ``FileRefused``, ``FileNotFoundError``."""
    return reading.table_of(reading.book_of(path_of(sheet).read_bytes()), sheet_name=sheet.sheet_name)


__all__ = [
    "MappingIncomplete", "NothingToImport", "SheetNotWaiting", "counts_of", "path_of", "row_edit",
    "rows_replace", "setting_of", "sheet_choose", "sheet_discard", "sheet_import", "sheet_import_start", "sheet_map",
    "sheet_read", "sheet_upload", "sheets_left_behind", "table_of",
]  # fmt: skip
