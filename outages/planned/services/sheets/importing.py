"""The right rows go into the plan, all of them or none; what a dead worker left behind is taken up again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final

from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.actor import Actor
from grid.spreadsheets import files
from outages.planned import lifecycle, policies
from outages.planned.intake.drafts import Tell, Work
from outages.planned.models import PlanSheet, SheetRow, SheetState, WorkState
from outages.planned.services.gates import works_save
from outages.planned.services.sheets.kept import (
    LOCK,
    RUNNING,
    alone,
    ended,
    error_of,
    failed,
    held,
    period_check,
    row_kept,
    rows_asked,
    rows_rewritten,
    setting_of,
)
from outages.planned.services.works import (
    NotEditable,
    WorkDraft,
    plans_locked,
    steps_append,
    works_change,
    works_create,
    works_locked,
)
from standards.errors import DomainError


class NothingToImport(DomainError):
    code = "nothing_to_import"
    status = 409
    message = _("There is no row that could be imported: correct one first.")


class ImportDied(DomainError):
    code = "import_died"
    message = _("The import was broken off several times. Try again, or divide the file.")


def sheet_import_start(*, actor: Actor, sheet_id: int, remove: bool = False) -> PlanSheet:
    """Import every row that is right; what is wrong waits. A second click finds the first one's import."""
    with transaction.atomic():
        sheet = held(actor, sheet_id, (SheetState.CHECKED, SheetState.IMPORTING, SheetState.IMPORTED))
        if sheet.state != SheetState.CHECKED:
            return sheet
        if sheet.period is not None:
            period_check(sheet.period, sheet.branch)
        if not sheet.counts.get("ready") and not (remove and sheet.counts.get("removed")):
            raise NothingToImport()
        sheet.state, sheet.progress, sheet.is_removing, sheet.error = SheetState.IMPORTING, 0, remove, {}
        # whoever imports is the author of the works, whoever uploaded the file
        sheet.actor_id, sheet.actor_name = actor.user_id, actor.name
        sheet.save(update_fields=["state", "progress", "is_removing", "error", "actor", "actor_name"])
        return sheet


def sheet_import(*, sheet_id: int) -> dict[str, int]:
    """Write the right rows into the plan: all of them or none."""
    return alone(sheet_id, (SheetState.IMPORTING,), _import)


def _import(sheet: PlanSheet, tell: Tell) -> dict[str, int]:
    tell(5, "checking")
    setting = setting_of(sheet)
    waiting = {
        record.number: record
        for record in sheet.rows.filter(number__gt=0, is_wrong=False, is_imported=False)
        .exclude(change=SheetRow.Change.UNCHANGED)
        .order_by("number")
    }
    checked = rows_asked(waiting, setting, is_final=True)
    good = [work for work in checked.works if work.is_good]
    # with the roles in force now; whatever has no user is a part of this system
    actor = sheet.actor.as_actor() if sheet.actor is not None else Actor.system(sheet.actor_name)
    try:
        with transaction.atomic():
            tell(40, "writing")
            _plans_held(sheet, good)
            written = _works_written(actor, sheet, good)
            removed = _removed(actor, sheet) if sheet.is_removing else 0
    except DomainError as refused:
        # nothing was written; the rows are still there, and so is the reason
        sheet.error = error_of(refused)
        return ended(sheet, SheetState.CHECKED)
    tell(85, "saving")
    rows_rewritten([row_kept(waiting[row.number], row) for row in checked.rows if row.number not in written])
    _rows_imported({waiting[number].pk: work_id for number, work_id in written.items()})
    left = sheet.rows.filter(is_wrong=True, is_imported=False).exists()
    ended(sheet, SheetState.CHECKED if left else SheetState.IMPORTED)
    return {"run": 1, "works": len(set(written.values())), "removed": removed}


def _rows_imported(works: Mapping[int, int]) -> None:
    """The rows of these keys stand in the plan, as these works."""
    with connection.cursor() as db:
        db.execute(
            """UPDATE planned_sheetrow r SET is_imported = true, work_id = v.work
               FROM unnest(%s::bigint[], %s::bigint[]) AS v(id, work) WHERE r.id = v.id""",
            [list(works), list(works.values())],
        )


def _plans_held(sheet: PlanSheet, works: Sequence[Work]) -> None:
    """Nobody hands the plan in while rows go into it. Raises ``NotEditable`` when somebody has."""
    plans = plans_locked(Q(pk=sheet.period_id) | Q(works__in=[work.existing.pk for work in works if work.existing]))
    if sheet.period_id is not None and plans[sheet.period_id].state not in lifecycle.WITH_THE_BRANCH:
        raise NotEditable(field="period")


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
    works = [work for work in works_locked(ids) if work.state == WorkState.DRAFT]  # outside a plan alone is handed in
    for work in works:
        work.state, work.state_reason = WorkState.CANCELLED, str(_("no longer in the branch's sheet"))
    works_save(works, "state_reason")
    steps_append(actor=actor, verb="cancel", works=works, note=f"sheet {sheet.pk}")
    sheet.rows.filter(change=SheetRow.Change.REMOVED, work__in=works).update(is_imported=True)
    return len(works)


# --- tasks that were lost or died ---------------------------------------------------------------------


MOST_TRIES: Final = 15  # of the sweep, for one file
LATER: Final = timedelta(minutes=1)  # after which the sweep looks at what is still waiting


def sheets_left_behind() -> list[tuple[int, str]]:
    """Files that wait although their task should long have come: (id, state). What fails again and again is let go."""
    since = timezone.now() - LATER
    left = []
    for sheet_id in PlanSheet.objects.filter(state__in=RUNNING, created_at__lt=since).values_list("pk", flat=True):
        with transaction.atomic():
            sheet = _idle(sheet_id)
            if sheet is None:
                continue
            tries = sheet.counts.get("tries", 0) + 1
            if tries > MOST_TRIES:
                _given_up(sheet)
                continue
            sheet.counts = {**sheet.counts, "tries": tries}
            sheet.save(update_fields=["counts"])
            left.append((sheet.pk, sheet.state))
    return left


def _idle(sheet_id: int) -> PlanSheet | None:
    """The file, unless a task is at it."""
    with connection.cursor() as db:
        db.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", [LOCK, sheet_id])
        if not db.fetchone()[0]:
            return None
    return PlanSheet.objects.select_for_update(no_key=True).filter(pk=sheet_id, state__in=RUNNING).first()


def _given_up(sheet: PlanSheet) -> None:
    """Nobody waits for ever for a file on which every task has died."""
    if sheet.state == SheetState.IMPORTING:
        sheet.error = error_of(ImportDied())
        ended(sheet, SheetState.CHECKED)
    else:
        failed(sheet, files.FileRefused.code, {})
