"""Files from billing, the bank or the weather service: kept, read and checked, taken in on a person's word.

Checking is the taking in itself, rolled back: what it says is what would happen. Both long steps run in the
background, each alone with its file; whatever a killed worker left is done again from the beginning, and what had
been taken in by then is known already.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any, Final, Protocol
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.actor import Actor
from billing_cutoffs import policies
from billing_cutoffs.intake.items import Outcome
from billing_cutoffs.intake.tables import Asked, ColumnsMissing, OtherRowWrong, Table, items_of, table_of
from billing_cutoffs.models import BillingFile, FeedKind, FeedState
from billing_cutoffs.services import feed, holds
from grid.models import Branch
from grid.spreadsheets.files import MAX_BYTES, FileEmpty, FileRefused, FileTooBig
from grid.spreadsheets.words import in_every_language
from standards.errors import Conflict, DomainError, NotFound

CHUNK: Final = 5000  # items in one transaction
SHOWN: Final = 50  # problems kept on the record; the file handed back has them all
MOST_TRIES: Final = 5
LATER: Final = timedelta(minutes=1)  # after which the sweep looks at what is still waiting
RUNNING: Final = (FeedState.QUEUED, FeedState.READING, FeedState.APPLYING)
_LOCK: Final = 0x4246  # the space of these locks

ACTIONS: Final[Mapping[str, str]] = {
    FeedKind.ARREARS: "feed_arrears",
    FeedKind.PAYMENTS: "feed_payments",
    FeedKind.HOLDS: "set_hold",
    FeedKind.FORECASTS: "feed_arrears",
}


class Receive(Protocol):
    def __call__(self, *, actor: Actor, source_system: str, items: Sequence[Any]) -> list[Outcome]: ...


_RECEIVE: Final[Mapping[str, Receive]] = {
    FeedKind.ARREARS: feed.arrears_receive,
    FeedKind.PAYMENTS: feed.payments_receive,
    FeedKind.HOLDS: holds.holds_receive,
    FeedKind.FORECASTS: feed.forecasts_receive,
}


class FileNotWaiting(Conflict):
    code = "file_not_waiting"
    message = _("This file is not waiting for that any more.")


class NothingRight(Conflict):
    code = "nothing_right"
    message = _("There is no row that could be taken in.")


class FileGivenUp(DomainError):
    code = "file_given_up"
    message = _("Reading was broken off several times. Divide the file, or save it again as .xlsx.")


def path_of(file: BillingFile) -> Path:
    """Outside the web root, under a name of our own."""
    return Path(settings.MEDIA_ROOT) / file.path


def file_upload(*, actor: Actor, branch: Branch, kind: str, name: str, chunks: Iterable[bytes]) -> BillingFile:
    """Keep a file until it is read. Raises ``FileRefused``, ``Forbidden``."""
    policies.require(actor=actor, action=ACTIONS[kind], branch=branch)
    data = bytearray()
    for chunk in chunks:
        data += chunk
        if len(data) > MAX_BYTES:
            raise FileTooBig(field="file", megabytes=MAX_BYTES // 1024**2)
    if not data:
        raise FileEmpty(field="file")
    with transaction.atomic():
        file = BillingFile.objects.create(
            kind=kind,
            branch=branch,
            name=Path(name.replace("\\", "/")).name.replace("\x00", "")[:200] or kind,
            digest=hashlib.sha256(data).hexdigest(),
            actor_id=actor.user_id,
            actor_name=actor.name,
        )
        file.path = f"billing-files/{file.pk}"
        file.save(update_fields=["path"])
        # before the commit: whoever finds the row finds the file
        path_of(file).parent.mkdir(parents=True, exist_ok=True)
        path_of(file).write_bytes(data)
    return file


def same_file_before(file: BillingFile) -> BillingFile | None:
    """The same bytes, handed in earlier: usually a mistake, never harm."""
    return (
        BillingFile.objects.filter(kind=file.kind, digest=file.digest, branch=file.branch_id, pk__lt=file.pk)
        .exclude(state__in=[FeedState.DISCARDED, FeedState.FAILED])
        .order_by("-pk")
        .first()
    )


def file_confirm(*, actor: Actor, file_id: int) -> BillingFile:
    """Take in every row that is right. A second click finds the first one's work."""
    with transaction.atomic():
        file = _held(actor, file_id)
        if file.state in (FeedState.APPLYING, FeedState.DONE):
            return file
        if file.state != FeedState.CHECKED:
            raise FileNotWaiting()
        if not file.good:
            raise NothingRight()
        file.state, file.progress, file.tries = FeedState.APPLYING, 0, 0
        # whoever confirms answers for it, whoever handed it in
        file.actor_id, file.actor_name, file.touched_at = actor.user_id, actor.name, timezone.now()
        file.save(update_fields=["state", "progress", "tries", "actor", "actor_name", "touched_at"])
    return file


def file_discard(*, actor: Actor, file_id: int) -> BillingFile:
    """Nobody wants this file any more. What was taken in from it stays."""
    with transaction.atomic():
        file = _held(actor, file_id)
        if file.state not in (FeedState.QUEUED, FeedState.CHECKED, FeedState.FAILED):
            raise FileNotWaiting()
        file.state, file.finished_at = FeedState.DISCARDED, timezone.now()
        file.save(update_fields=["state", "finished_at"])
    for path in (path_of(file), _answers_path(file)):
        path.unlink(missing_ok=True)
    return file


def _held(actor: Actor, file_id: int) -> BillingFile:
    file = (
        BillingFile.objects.select_for_update(no_key=True, of=("self",))
        .select_related("branch")
        .filter(pk=file_id)
        .first()
    )
    if file is None:
        raise NotFound()
    policies.require(actor=actor, action=ACTIONS[file.kind], branch=file.branch)
    return file


# --- in the background ----------------------------------------------------------------------------------


def file_check(*, file_id: int) -> dict[str, int]:
    """Read a file and say what would happen if it were taken in. Run again after a crash it begins anew."""
    return _long_step(file_id, (FeedState.QUEUED, FeedState.READING), FeedState.READING, FeedState.CHECKED)


def file_apply(*, file_id: int) -> dict[str, int]:
    """Take in what is right; what is wrong is written down, row by row."""
    return _long_step(file_id, (FeedState.APPLYING,), FeedState.APPLYING, FeedState.DONE)


def files_left_behind() -> list[tuple[int, str]]:
    """Files that wait although their task should long have come: (id, state)."""
    waiting = BillingFile.objects.filter(state__in=RUNNING, touched_at__lt=timezone.now() - LATER)
    return list(waiting.order_by("pk").values_list("pk", "state")[:100])


def _long_step(file_id: int, states: Collection[str], during: str, after: str) -> dict[str, int]:
    with _alone(file_id) as is_ours:
        file = BillingFile.objects.select_related("branch", "actor").filter(pk=file_id, state__in=states).first()
        if not is_ours or file is None:
            return {"run": 0}
        # a file that kills its worker is counted before it does
        if file.tries >= MOST_TRIES:
            return _failed(file, FileGivenUp())
        if not _moved(file, states, state=during, tries=file.tries + 1, progress=0):
            return {"run": 0}
        try:
            table = table_of(path_of(file).read_bytes(), file.kind)
        except (FileRefused, ColumnsMissing) as refused:
            return _failed(file, refused)
        except FileNotFoundError:
            return _failed(file, FileRefused())
        is_final = after == FeedState.DONE
        answers = _answers(file, table, is_final=is_final)
        wrong = answers.problems
        finished = timezone.now() if is_final else None
        _keep(file, answers)
        moved = _moved(
            file, (during,), state=after, progress=100, tries=0, rows=len(table.lines), bad=len(wrong),
            good=len(table.lines) - len(wrong), problems=wrong[:SHOWN], finished_at=finished,
        )  # fmt: skip
        return {"run": int(moved), "rows": len(table.lines), "bad": len(wrong)}


@contextmanager
def _alone(file_id: int) -> Iterator[bool]:
    """Nobody else works at this file; the lock ends with this connection at the latest."""
    with connection.cursor() as db:
        db.execute("SELECT pg_try_advisory_lock(%s, %s)", [_LOCK, file_id])
        is_ours = bool(db.fetchone()[0])
    try:
        yield is_ours
    finally:
        if is_ours:
            with connection.cursor() as db:
                db.execute("SELECT pg_advisory_unlock(%s, %s)", [_LOCK, file_id])


def _moved(file: BillingFile, states: Collection[str], **facts: Any) -> bool:
    """A file that was thrown away meanwhile stays away."""
    return bool(BillingFile.objects.filter(pk=file.pk, state__in=states).update(touched_at=timezone.now(), **facts))


def _failed(file: BillingFile, why: DomainError) -> dict[str, int]:
    """Nothing can be done with this file; the first and only problem says why."""
    facts = {"state": FeedState.FAILED, "failure": why.code, "problems": [_problem(0, why)]}
    _moved(file, RUNNING, finished_at=timezone.now(), **facts)
    return {"run": 1, "failed": 1}


@dataclass(frozen=True)
class Answers:
    """What became of a file, or would: how often which outcome, and every problem in the order of the rows."""

    outcomes: Mapping[str, int]
    problems: list[dict[str, Any]]


def _answers(file: BillingFile, table: Table, *, is_final: bool) -> Answers:
    # with the roles in force now; whatever has no user is a part of this system
    actor = file.actor.as_actor() if file.actor is not None else Actor.system(file.actor_name)
    asked = items_of(table, file.kind, ZoneInfo(file.branch.time_zone))
    good = [one for one in asked if one.error is None]
    problems = [problem for one in asked if one.error is not None for problem in _problems(one, one.error)]
    outcomes: Counter[str] = Counter()
    done = 0
    for source, of_source in _by_source(file, good).items():
        for chunk in _chunks(of_source):
            with transaction.atomic():
                received = _RECEIVE[file.kind](actor=actor, source_system=source, items=[one.item for one in chunk])
                transaction.set_rollback(not is_final)
            for one, outcome in zip(chunk, received, strict=True):
                if outcome.error is not None:
                    problems += _problems(one, outcome.error)
                else:
                    outcomes[outcome.outcome] += 1
            done += len(chunk)
            _moved(file, RUNNING, progress=10 + 85 * done // len(good))
    return Answers(outcomes, sorted(problems, key=lambda problem: int(problem["row"])))


def _by_source(file: BillingFile, asked: Sequence[Asked]) -> dict[str, list[Asked]]:
    """Who told it first: a payment that the interface brings too must have one name, or it would count twice."""
    found: dict[str, list[Asked]] = {}
    for one in asked:
        found.setdefault(str(one.item.get("source_system") or f"file:{file.kind}"), []).append(one)
    return found


def _chunks(asked: Sequence[Asked]) -> Iterator[list[Asked]]:
    rest = iter(asked)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk


def _problems(asked: Asked, error: DomainError) -> list[dict[str, Any]]:
    """The row where the mistake stands, and those that cannot be taken in without it."""
    wrong = asked.row_of(error)
    said = [_problem(wrong, error)]
    return said + [_problem(row, OtherRowWrong(row=wrong)) for row in asked.rows if row != wrong]


def _problem(row: int, error: DomainError) -> dict[str, Any]:
    field = error.field.rpartition(".")[2]
    return {"row": row, "field": field, "code": error.code, "detail": in_every_language(lambda: error)}


# --- handing back ---------------------------------------------------------------------------------------


def _answers_path(file: BillingFile) -> Path:
    return path_of(file).with_suffix(".json")


def _keep(file: BillingFile, answers: Answers) -> None:
    kept = {"outcomes": dict(answers.outcomes), "problems": answers.problems}
    _answers_path(file).write_text(json.dumps(kept, ensure_ascii=False), encoding="utf-8")


def answers_of(file: BillingFile) -> Answers:
    """What became of the file, or would. Nothing where it has not been read."""
    try:
        kept = json.loads(_answers_path(file).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Answers({}, [])
    return Answers(kept["outcomes"], kept["problems"])


def table_kept(file: BillingFile) -> Table:
    """The file's table once more, for handing it back. Raises ``NotFound`` where nothing can be read of it."""
    try:
        return table_of(path_of(file).read_bytes(), file.kind)
    except (FileRefused, ColumnsMissing, FileNotFoundError) as gone:
        raise NotFound() from gone
