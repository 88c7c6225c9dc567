"""Changes of the network: imports from files, kept by their audit record."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import psycopg2
from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.db import connection, transaction
from django.db.models import Model
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from grid.forest import revision_raise
from grid.importers import cim, csv, dss, generated
from grid.importers.changes import Changes, changes_apply, changes_find, edges_stage
from grid.importers.checks import check_all
from grid.importers.names import contacts_stage, initials_stage
from grid.importers.staging import ERRORS_KEPT, ImportRefused, Problem, Staging
from grid.models import GridImport
from standards.errors import Conflict

Progress = Callable[[int, str], None]

LATER = timedelta(minutes=2)  # after which a task that has not come is called again
LOCK = 0x4749  # the space of the locks that a running import holds

READERS = {"csv": csv.read, "cim": cim.read, "dss": dss.read}
_ENDINGS = {".csv": "csv", ".xml": "cim", ".gz": "cim", ".dss": "dss"}


class ImportNotWaiting(Conflict):
    code = "import_not_waiting"
    message = _("This import is not waiting for a decision.")


def format_guess(file_names: Sequence[str]) -> str | None:
    """The format that all endings agree on."""
    formats = {_ENDINGS.get(Path(name).suffix.lower()) for name in file_names}
    return formats.pop() if len(formats) == 1 else None


def import_create(
    *,
    file_names: Sequence[str],
    source_format: str,
    by: str,
    source: str = "",
    branch_code: str = "",
    is_dry_run: bool = False,
) -> GridImport:
    """Note that somebody wants to import files."""
    return GridImport.objects.create(
        file_names=list(file_names),
        source_format=source_format,
        source=source,
        branch_code=branch_code,
        is_dry_run=is_dry_run,
        actor=by,
    )


def import_run(*, grid_import: GridImport, paths: Sequence[Path], apply: bool) -> Changes | None:
    """Read files, show what they would change, and change it if wanted: all or nothing.

    What went wrong stands in the record's ``errors``; the answer is then nothing.
    """
    grid_import.status = GridImport.Status.APPLYING if apply else GridImport.Status.READING
    grid_import.errors, grid_import.warnings = [], []
    grid_import.save(update_fields=["status", "errors", "warnings"])
    try:
        with progress_told(grid_import) as progress, transaction.atomic():
            return _import_in_transaction(grid_import, paths, apply=apply, progress=progress)
    except ImportRefused as refused:
        _finish(grid_import, GridImport.Status.FAILED, errors=refused.problems)
    except Exception as broken:
        _finish(grid_import, GridImport.Status.FAILED, errors=[Problem("bad_file", value=type(broken).__name__)])
        raise
    return None


def _import_in_transaction(
    grid_import: GridImport, paths: Sequence[Path], *, apply: bool, progress: Progress
) -> Changes:
    bulk_session()
    staging = Staging(source=grid_import.source, branch_code=grid_import.branch_code, progress=progress)
    if apply:
        revision_raise()  # one import at a time: the second waits here
    staging.create()
    READERS[grid_import.source_format](staging, list(zip(grid_import.file_names, paths, strict=True)))
    return staged_import(grid_import, staging, apply=apply)


def staged_import(grid_import: GridImport, staging: Staging, *, apply: bool) -> Changes:
    """Check, compare and, if wanted, write what has been staged."""
    staging.refuse_if_broken()
    columns = staging.present.get("customers", set())
    if columns:
        contacts_stage(has_phone="phone" in columns, has_email="email" in columns)
        if "initials" in columns or "name" in columns:
            initials_stage()
            columns.add("initials")
    edges_stage(staging)
    staging.progress(38, "checking")
    check_all(staging)
    staging.refuse_if_broken()
    staging.progress(44, "comparing")
    changes = changes_find(staging)
    grid_import.source = staging.source
    if apply and not changes.is_empty():
        changes_apply(staging, changes)
    status = GridImport.Status.DONE if apply else GridImport.Status.PREVIEW
    _finish(grid_import, status, changes=changes, warnings=staging.warnings)
    return changes


def grid_generate(*, service_points: int, seed: int, prefix: str, by: str) -> Changes:
    """Make a city of so many service points, or turn the one of this prefix into it."""
    grid_import = import_create(
        file_names=[f"{service_points} / {seed}"], source_format="made", by=by, source=f"generated:{prefix}"
    )
    with progress_told(grid_import) as progress, transaction.atomic():
        bulk_session()
        revision_raise()
        staging = Staging(source=grid_import.source, progress=progress)
        staging.create()
        generated.stage(staging, service_points=service_points, seed=seed, prefix=prefix)
        return staged_import(grid_import, staging, apply=True)


def import_upload(
    *, files: Sequence[UploadedFile[bytes]], source_format: str, by: str, source: str = "", branch_code: str = ""
) -> GridImport:
    """Keep uploaded files outside the web root, under names of our own, until they are read."""
    grid_import = import_create(
        file_names=[Path(file.name or "").name[:100] for file in files],
        source_format=source_format,
        by=by,
        source=source,
        branch_code=branch_code,
        is_dry_run=True,
    )
    folder = _folder_of(grid_import)
    folder.mkdir(parents=True, exist_ok=True)
    for path, file in zip(_paths_of(grid_import), files, strict=True):
        with path.open("wb") as kept:
            for chunk in file.chunks():
                kept.write(chunk)
    return grid_import


def import_confirm(*, import_id: int) -> GridImport:
    """Somebody looked at the preview and wants it made; twice is once."""
    confirmed = GridImport.objects.filter(pk=import_id, status=GridImport.Status.PREVIEW).update(
        status=GridImport.Status.QUEUED, is_dry_run=False, progress=0
    )
    if not confirmed:
        raise ImportNotWaiting
    return GridImport.objects.get(pk=import_id)


def uploaded_import_run(*, import_id: int, apply: bool) -> dict[str, int]:
    """Run an uploaded import once: a task that comes twice finds it no longer queued."""
    with _at_work(import_id) as is_alone:
        claimed = is_alone and GridImport.objects.filter(
            pk=import_id, status=GridImport.Status.QUEUED, is_dry_run=not apply
        ).update(status=GridImport.Status.READING)
        if not claimed:
            return {"run": 0}
        grid_import = GridImport.objects.get(pk=import_id)
        import_run(grid_import=grid_import, paths=_paths_of(grid_import), apply=apply)
    if grid_import.status != GridImport.Status.PREVIEW:
        shutil.rmtree(_folder_of(grid_import), ignore_errors=True)
    return {"run": 1, "errors": len(grid_import.errors)}


@contextmanager
def _at_work(import_id: int) -> Iterator[bool]:
    """Whether nobody else is at it; as long as this process lives, others see that somebody is."""
    with connection.cursor() as db:
        db.execute("SELECT pg_try_advisory_lock(%s, %s)", [LOCK, import_id])
        is_alone = bool(db.fetchone()[0])
    try:
        yield is_alone
    finally:
        if is_alone:
            with connection.cursor() as db:
                db.execute("SELECT pg_advisory_unlock(%s, %s)", [LOCK, import_id])


def imports_left_behind() -> list[tuple[int, bool]]:
    """Uploaded imports that still wait although their task should have come: (id, whether to make the changes).

    Where the worker died nothing was changed: such an import ends, and says so.
    """
    status = GridImport.Status
    uploaded = GridImport.objects.filter(started_at__lt=timezone.now() - LATER)
    for begun in uploaded.filter(status__in=[status.READING, status.APPLYING]):
        with transaction.atomic(), connection.cursor() as db:
            db.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", [LOCK, begun.pk])
            if db.fetchone()[0] and _folder_of(begun).is_dir():
                _finish(begun, status.FAILED, errors=[Problem("import_died")])
                shutil.rmtree(_folder_of(begun), ignore_errors=True)
    waiting = uploaded.filter(status=status.QUEUED).order_by("pk")
    return [(pk, not is_dry_run) for pk, is_dry_run in waiting.values_list("pk", "is_dry_run")]


def _folder_of(grid_import: GridImport) -> Path:
    return Path(settings.MEDIA_ROOT) / "grid-imports" / str(grid_import.pk)


def _paths_of(grid_import: GridImport) -> list[Path]:
    return [_folder_of(grid_import) / str(n) for n in range(len(grid_import.file_names))]


def import_discard(*, grid_import: GridImport) -> None:
    """Somebody looked at the preview and does not want it."""
    discarded = GridImport.objects.filter(pk=grid_import.pk, status=GridImport.Status.PREVIEW).update(
        status=GridImport.Status.DISCARDED, finished_at=timezone.now()
    )
    if not discarded:
        raise ImportNotWaiting
    shutil.rmtree(_folder_of(grid_import), ignore_errors=True)
    grid_import.refresh_from_db()


def bulk_session() -> None:
    """What a transaction over millions of rows may take, for this transaction only."""
    with connection.cursor() as db:
        db.execute(
            "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0;"
            "SET LOCAL lock_timeout = '60s'; SET LOCAL work_mem = '256MB'; SET LOCAL gin_pending_list_limit = '512MB';"
            "SET LOCAL maintenance_work_mem = '512MB'"
        )


def _finish(
    grid_import: GridImport,
    status: GridImport.Status,
    *,
    changes: Changes | None = None,
    errors: Sequence[Problem] = (),
    warnings: Sequence[Problem] = (),
) -> None:
    grid_import.status = status
    grid_import.progress = 100
    grid_import.stage = ""
    grid_import.counts = changes.counts if changes else {}
    grid_import.sample = changes.samples if changes else {}
    grid_import.errors = [problem.as_dict() for problem in errors[:ERRORS_KEPT]]
    grid_import.warnings = [problem.as_dict() for problem in warnings[:ERRORS_KEPT]]
    grid_import.finished_at = None if status == GridImport.Status.PREVIEW else timezone.now()
    grid_import.save(
        update_fields=[
            "status", "progress", "stage", "counts", "sample", "errors", "warnings", "finished_at", "source",
        ]
    )  # fmt: skip


@contextmanager
def progress_told(record: Model) -> Iterator[Progress]:
    """Progress is told on a connection of its own: the work's transaction shows nothing before its end.

    ``record`` has the columns ``progress`` (percent) and ``stage``; the transaction may not lock its row meanwhile.
    """
    side = psycopg2.connect(**{k: v for k, v in connection.get_connection_params().items() if k != "cursor_factory"})
    side.autocommit = True
    last = [-1]

    def tell(percent: int, stage: str) -> None:
        if percent <= last[0]:
            return
        last[0] = percent
        with side.cursor() as db:
            db.execute(
                f"UPDATE {record._meta.db_table} SET progress = %s, stage = %s WHERE id = %s",  # noqa: S608
                [percent, stage, record.pk],
            )

    try:
        yield tell
    finally:
        side.close()
