"""The gates: handed in, checked by the branch lead, approved, published. Each asks the checks again.

A plan passes a gate as a whole; a work outside a plan passes alone. Whatever asks for an answer and has none stops
the gate, and the refusal says which work and why.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.models import prefetch_related_objects
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from psycopg2.errors import DeadlockDetected

from accounts.actor import Actor
from outages.models import CauseClass, OutageKind
from outages.planned import checks, lifecycle, policies, selectors
from outages.planned.findings import Finding
from outages.planned.models import PlannedWork, WindowClaim, WindowState, WorkClass
from outages.planned.policies import OwnWork
from outages.planned.services.works import BATCH, steps_append, version_check, works_locked
from outages.services import outage_create
from standards.errors import DomainError

CLAIM_TRIES: Final = 4
LATE: Final = "notice_short"  # the finding whose answer makes a work temporary


@dataclass(frozen=True)
class Stopped:
    """What stops one work at a gate."""

    reference: str
    findings: tuple[Finding, ...]


class ChecksOpen(DomainError):
    """Somebody must answer first; ``stopped`` says what, work by work."""

    code = "checks_open"
    status = 409
    message = _("%(works)d works cannot pass yet; the first is %(reference)s: %(why)s")

    def __init__(self, stopped: Sequence[Stopped]) -> None:
        first = stopped[0]
        super().__init__(field="works", works=len(stopped), reference=first.reference, why=first.findings[0].words)
        self.stopped = tuple(stopped)


class Overlap(DomainError):
    code = "overlap"
    status = 409
    message = _("%(element)s is already planned out then, by %(reference)s.")


class NothingToDecide(DomainError):
    code = "no_works"
    status = 409
    message = _("There is no work in this plan to decide about.")


# --- one work outside a plan --------------------------------------------------------------------------


def work_submit(*, actor: Actor, work_id: int, expected_version: int | None = None) -> PlannedWork:
    """Hand in one work that stands outside a plan (temporary and emergency work)."""
    return _alone(actor, work_id, "submit", expected_version)


def work_withdraw(*, actor: Actor, work_id: int, expected_version: int | None = None) -> PlannedWork:
    """Take a handed-in work back to change it."""
    return _alone(actor, work_id, "withdraw", expected_version)


def work_check(*, actor: Actor, work_id: int, expected_version: int | None = None) -> PlannedWork:
    """The branch lead has looked at it: every finding is answered, and the impact is frozen."""
    return _alone(actor, work_id, "check", expected_version)


def work_approve(*, actor: Actor, work_id: int, expected_version: int | None = None) -> PlannedWork:
    """The approver agrees."""
    return _alone(actor, work_id, "approve", expected_version)


def work_publish(*, actor: Actor, work_id: int, expected_version: int | None = None) -> PlannedWork:
    """Make it public: each window becomes a scheduled outage with its frozen list of places."""
    return _alone(actor, work_id, "publish", expected_version)


def work_return(*, actor: Actor, work_id: int, reason: str, expected_version: int | None = None) -> PlannedWork:
    """Send it back with what must be done."""
    with transaction.atomic(durable=True):
        (work,) = _decided_alone(actor, work_id, "return", expected_version)
        works_return(actor=actor, works=[work], reasons={work.pk: reason})
        return work


def _alone(actor: Actor, work_id: int, action: str, expected_version: int | None) -> PlannedWork:
    with transaction.atomic(durable=True):
        works = _decided_alone(actor, work_id, action, expected_version)
        works_step(actor=actor, works=works, action=action)
        return works[0]


class DecidedWithItsPlan(DomainError):
    code = "decided_with_its_plan"
    status = 409
    message = _("This work is decided with its plan.")


def _decided_alone(actor: Actor, work_id: int, action: str, expected_version: int | None) -> list[PlannedWork]:
    works = works_locked([work_id])
    policies.require(actor=actor, action=action, branch=works[0].branch)
    version_check(works[0], expected_version)
    if works[0].period_id is not None:
        raise DecidedWithItsPlan()
    return works


# --- what a gate does ---------------------------------------------------------------------------------


def works_step(*, actor: Actor, works: Sequence[PlannedWork], action: str) -> None:
    """Bring locked works through one gate: all of them, or none. The caller has asked the policy for the branch."""
    if action in ("check", "approve"):
        prefetch_related_objects(works, "children__branch")
        if any(policies.is_own_work(actor=actor, work=work, action=action) for work in works):
            raise OwnWork()
    if action == "approve":
        _approves_for_every_branch(actor, works)
    for work in works:
        work.state = lifecycle.work_after(action=action, state=work.state)
    now = timezone.now()
    if action != "withdraw":
        gate_pass(works, at=now)
    match action:
        case "submit":
            claims_write(works)
        case "withdraw":
            WindowClaim.objects.filter(window__work__in=works).delete()
        case "check":
            for work in works:
                work.checked_by_id = actor.user_id
        case "approve":
            for work in works:
                work.approved_by_id, work.approved_at = actor.user_id, now
        case "publish":
            for work in works:
                work.published_at = now
                _outages_schedule(actor, work, at=now)
    works_save(works, "checked_by", "approved_by", "approved_at", "published_at", "work_class", "temporary_reason")
    steps_append(actor=actor, verb=action, works=works)


class AnotherBranchToo(DomainError):
    code = "another_branch_too"
    status = 403
    message = _("%(reference)s holds work of %(branch)s: somebody who approves there as well must do this.")


def _approves_for_every_branch(actor: Actor, works: Sequence[PlannedWork]) -> None:
    """A joint outage may hold another branch's work, of which this plan's approver alone does not decide."""
    for work in works:
        for child in work.children.all():
            if not policies.may(actor=actor, action="approve", branch=child.branch):
                raise AnotherBranchToo(reference=work.reference, branch=str(child.branch))


def works_return(*, actor: Actor, works: Sequence[PlannedWork], reasons: Mapping[int, str]) -> None:
    """Send works back, each with its own reason."""
    for work in works:
        reason = reasons.get(work.pk, "").strip()
        if not reason:
            raise DomainError(_("Say what must be done about %(reference)s."), field="reason", reference=work.reference)
        work.state = lifecycle.work_after(action="return", state=work.state)
        work.state_reason = reason[:500]
        work.checked_by_id = None
    works_save(works, "state_reason", "checked_by")
    WindowClaim.objects.filter(window__work__in=works).delete()
    told: defaultdict[str, list[PlannedWork]] = defaultdict(list)
    for work in works:
        told[work.state_reason].append(work)
    for reason, same in told.items():
        steps_append(actor=actor, verb="return", works=same, note=reason)


def works_save(works: Sequence[PlannedWork], *fields: str) -> None:
    """Write the state and these fields of locked works, so that whoever has them on screen notices."""
    now = timezone.now()
    for work in works:
        work.version += 1
        work.updated_at = now
    PlannedWork.objects.bulk_update(works, ["state", "version", "updated_at", *fields], batch_size=BATCH)


def gate_pass(works: Sequence[PlannedWork], *, at: datetime) -> None:
    """Ask every check. Raises ``ChecksOpen`` while something refuses or waits for an answer.

    Late work whose lateness was answered for becomes temporary work with that reason (``domain.md`` 5.2, publish).
    """
    subjects = selectors.subjects_of(works)
    found = checks.findings_of(subjects, at=at)
    stopped = []
    for work, subject in zip(works, subjects, strict=True):
        findings = found.get(subject.number, [])
        standing = tuple(finding for finding in findings if finding.is_open)
        if standing:
            stopped.append(Stopped(work.reference, standing))
        late = next((finding for finding in findings if finding.code == LATE and finding.answer), None)
        if late is not None and work.work_class == WorkClass.PLANNED:
            work.work_class, work.temporary_reason = WorkClass.TEMPORARY, late.answer[:300]
    if stopped:
        raise ChecksOpen(stopped)


# --- claims -------------------------------------------------------------------------------------------

_CLAIMS_SQL = """
INSERT INTO planned_windowclaim (window_id, element_id, during, reason)
SELECT ww.id, pe.gridelement_id, tstzrange(ww.starts_at, ww.ends_at), coalesce(a.reason, '')
FROM planned_workwindow ww
JOIN planned_plannedwork_elements pe ON pe.plannedwork_id = ww.work_id
LEFT JOIN planned_checkanswer a ON a.work_id = ww.work_id AND a.code = 'overlap'
WHERE ww.work_id = ANY(%(works)s) AND ww.state <> ALL(%(over)s)
ORDER BY pe.gridelement_id, ww.starts_at
"""
_CLASH_SQL = """
SELECT e.code, o.reference
FROM planned_workwindow mine
JOIN planned_plannedwork_elements pe ON pe.plannedwork_id = mine.work_id
JOIN planned_windowclaim c ON c.element_id = pe.gridelement_id AND c.reason = ''
     AND c.during && tstzrange(mine.starts_at, mine.ends_at) AND c.window_id <> mine.id
JOIN planned_workwindow theirs ON theirs.id = c.window_id
JOIN planned_plannedwork o ON o.id = theirs.work_id
JOIN grid_gridelement e ON e.id = c.element_id
WHERE mine.work_id = ANY(%(works)s) ORDER BY mine.work_id, e.code LIMIT 1
"""


def claims_write(works: Collection[PlannedWork]) -> None:
    """Claim the works' elements for their windows. The database refuses the second claim: ``Overlap`` names both."""
    asked: dict[str, Any] = {"works": [work.pk for work in works], "over": list(lifecycle.OVER)}
    WindowClaim.objects.filter(window__work__in=asked["works"]).delete()
    for attempt in range(CLAIM_TRIES):
        try:
            with transaction.atomic(), connection.cursor() as db:
                db.execute(_CLAIMS_SQL, asked)
            return
        except IntegrityError as clash:
            with connection.cursor() as db:
                db.execute(_CLASH_SQL, asked)
                row = db.fetchone()
            element, reference = row or ("", _("another work of this plan"))
            raise Overlap(field="windows", element=element, reference=reference) from clash
        except OperationalError as met:
            # two that claim the same piece at once wait for each other; the one that is sent away asks again
            if not isinstance(met.__cause__, DeadlockDetected) or attempt == CLAIM_TRIES - 1:
                raise


# --- publishing ---------------------------------------------------------------------------------------


def _outages_schedule(actor: Actor, work: PlannedWork, *, at: datetime) -> None:
    """Each window becomes one outage; its places are those that were measured, so notices go to a frozen list."""
    elements = list(work.elements.order_by("pos").values_list("pk", flat=True))
    places = list(work.work_places.values_list("element", flat=True))
    words: dict[str, Any] = {"place": work.scope[:200]} if work.scope else {}
    for window in work.windows.exclude(state=WindowState.CANCELLED).order_by("starts_at"):
        outage = outage_create(
            kind=OutageKind.PLANNED, action="schedule", actor=actor, element_ids=elements, place_ids=places,
            planned_start=window.starts_at, planned_end=window.ends_at, window=window,
            cause_class=CauseClass.PLANNED, cause_text=work.title, public_reason_zh=work.reason_zh,
            public_reason_en=work.reason_en, **words,
        )  # fmt: skip
        window.outage = outage
        window.state = lifecycle.window_after(action="schedule", state=window.state)
        window.announced_start, window.announced_end = window.starts_at, window.ends_at
        window.published_at = at
        window.save(update_fields=["outage", "state", "announced_start", "announced_end", "published_at"])
