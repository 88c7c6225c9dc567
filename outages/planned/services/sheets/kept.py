"""What every step with a file needs: held by who may, worked at alone, its rows written and counted."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Count, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.actor import Actor
from grid.models import Branch
from grid.services import progress_told
from grid.spreadsheets import books
from grid.spreadsheets.words import in_every_language
from outages.planned import lifecycle, policies
from outages.planned.intake import columns, drafts, reading
from outages.planned.intake.drafts import Checked, Tell
from outages.planned.intake.reading import Table
from outages.planned.intake.rows import Row, Setting, texts_of
from outages.planned.models import PlanPeriod, PlanSheet, SheetRow, SheetState
from standards.errors import Conflict, DomainError, NotFound

BATCH: Final = 1000
LOCK: Final = 0x504C  # the space of these locks
RUNNING: Final = (SheetState.QUEUED, SheetState.READING, SheetState.IMPORTING)


class SheetNotWaiting(Conflict):
    code = "sheet_not_waiting"
    message = _("This file is not waiting for that any more.")


def period_check(period: PlanPeriod, branch: Branch) -> None:
    """The plan is the branch's, and still takes rows. Raises ``NotFound``, ``SheetNotWaiting``."""
    period = PlanPeriod.objects.get(pk=period.pk)  # as it is now, not as somebody saw it
    if period.branch_id != branch.pk:
        raise NotFound(field="plan")
    if period.state not in lifecycle.WITH_THE_BRANCH:
        raise SheetNotWaiting(_("This plan has been handed in: take it back before you import into it."), field="plan")


def path_of(sheet: PlanSheet) -> Path:
    """Outside the web root, under a name of our own."""
    return Path(settings.MEDIA_ROOT) / "plan-sheets" / str(sheet.pk)


def table_of(sheet: PlanSheet) -> Table:
    """The file's table once more, for handing the workbook back. Raises ``FileRefused``, ``FileNotFoundError``."""
    return reading.table_of(books.book_of(path_of(sheet).read_bytes()), sheet_name=sheet.sheet_name)


def setting_of(sheet: PlanSheet) -> Setting:
    """What the rows of this file are read by."""
    return Setting(
        branch=sheet.branch,
        period=sheet.period,
        mapping={int(column): name for column, name in sheet.mapping.items()},
        work_class=sheet.work_class,
        is_1904=sheet.is_1904,
    )


def editable_in(sheet: PlanSheet) -> list[str]:
    """The fields of a row that can be typed over or added, in the order of the file."""
    of_file = [sheet.mapping[column] for column in sorted(sheet.mapping, key=int)]
    return list(dict.fromkeys([*of_file, *columns.ADDABLE]))


def held(actor: Actor, sheet_id: int, states: Collection[str]) -> PlanSheet:
    """The file's row, held until the transaction ends, by somebody who may edit it and while it waits for that."""
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


# --- long steps ---------------------------------------------------------------------------------------


def alone(sheet_id: int, states: Collection[str], work: Callable[[PlanSheet, Tell], dict[str, int]]) -> dict[str, int]:
    """Do one long step, unless somebody is at it."""
    sheet = PlanSheet.objects.filter(pk=sheet_id).first()
    if sheet is None:
        return {"run": 0}
    with progress_told(sheet) as tell, transaction.atomic(), connection.cursor() as db:
        db.execute("SET LOCAL statement_timeout = '300s'; SET LOCAL idle_in_transaction_session_timeout = '300s'")
        db.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", [LOCK, sheet_id])
        if not db.fetchone()[0]:
            return {"run": 0}
        sheet = PlanSheet.objects.select_related("branch", "period__branch", "actor").get(pk=sheet_id)
        if sheet.state not in states:
            return {"run": 0}
        return work(sheet, tell)


def ended(sheet: PlanSheet, state: str) -> dict[str, int]:
    """Write down how a long step ended; a file that was thrown away meanwhile stays away."""
    now = PlanSheet.objects.select_for_update(no_key=True).filter(pk=sheet.pk).values_list("state", flat=True).get()
    if now == SheetState.DISCARDED:
        return {"run": 0}
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


def failed(sheet: PlanSheet, code: str, params: Mapping[str, object]) -> dict[str, int]:
    """Nothing can be done with this file; ``code`` says why."""
    sheet.error = {"code": code, "params": dict(params)}
    sheet.finished_at = timezone.now()
    return {**ended(sheet, SheetState.FAILED), "failed": 1}


def error_of(refused: DomainError) -> dict[str, Any]:
    """A refusal for whoever opens the page of the file, in every language."""
    return {"code": refused.code, "words": in_every_language(lambda: refused)}


# --- rows ---------------------------------------------------------------------------------------------


def rows_asked(records: Mapping[int, SheetRow], setting: Setting, *, is_final: bool = False) -> Checked:
    """``is_final``: only what keeps a row out, without the warnings that were shown already."""
    asked = [(number, texts_of(one.cells, one.edits, setting.mapping)) for number, one in sorted(records.items())]
    return drafts.rows_check(asked, setting, is_warning=not is_final)


def row_kept(record: SheetRow, row: Row) -> SheetRow:
    """What checking a row has found, on its record; nothing is saved here."""
    record.values = row.values()
    record.problems = [problem.as_dict() for problem in row.problems]
    record.key = row.key[:64]
    record.change = row.change
    record.is_wrong = row.is_wrong
    record.work_id = row.work_id
    return record


# one statement a thousand rows; JSON by CASE WHEN takes Django seconds
_REWRITTEN_SQL: Final = """
UPDATE planned_sheetrow r
SET edits = v.edits, "values" = v."values", problems = v.problems, key = v.key, change = v.change,
    is_wrong = v.is_wrong, work_id = v.work_id
FROM jsonb_to_recordset(%s::jsonb) AS v(
    id bigint, edits jsonb, "values" jsonb, problems jsonb, key text, change text, is_wrong boolean, work_id bigint)
WHERE r.id = v.id
"""
_REWRITTEN: Final = ("id", "edits", "values", "problems", "key", "change", "is_wrong", "work_id")


def rows_rewritten(records: Sequence[SheetRow]) -> None:
    """Save rows that were checked again."""
    with connection.cursor() as db:
        for first in range(0, len(records), BATCH):
            rows = [{name: getattr(one, name) for name in _REWRITTEN} for one in records[first : first + BATCH]]
            db.execute(_REWRITTEN_SQL, [json.dumps(rows)])


def counted(sheet: PlanSheet) -> None:
    """Count the file's rows anew and keep the figures."""
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
