"""From rows to works: rows of one number are the windows of one work; what it would change, and what the checks say.

A fixed number of statements answers for all rows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from django.db import connection
from django.db.models import Prefetch, Q

from grid import topology
from grid.spreadsheets.words import in_every_language
from outages.planned import checks, lifecycle
from outages.planned.findings import Finding, Weight
from outages.planned.intake import places
from outages.planned.intake.problems import FINDING, Problem
from outages.planned.intake.rows import Row, Setting, row_read, start_field
from outages.planned.models import PlannedWork, SheetRow, WindowState, WorkState, WorkWindow
from outages.planned.selectors import subject_of_draft
from outages.planned.spans import Window

Tell = Callable[[int, str], None]


@dataclass
class Work:
    """The rows of one work, as it would be entered or changed."""

    rows: list[Row]
    existing: PlannedWork | None = None
    change: str = SheetRow.Change.NEW

    @property
    def is_good(self) -> bool:
        return not any(row.is_wrong for row in self.rows)

    @property
    def windows(self) -> tuple[Window, ...]:
        return tuple(sorted({row.window for row in self.rows if row.window is not None}))

    @property
    def element_ids(self) -> tuple[int, ...]:
        return tuple(dict.fromkeys(pk for row in self.rows for pk in row.element_ids))

    @property
    def facts(self) -> dict[str, Any]:
        return self.rows[0].facts


@dataclass
class Checked:
    """The rows with what is wrong with them, and the works that they make."""

    rows: list[Row]
    works: list[Work]


def rows_check(
    asked: Iterable[tuple[int, Mapping[str, str]]],
    setting: Setting,
    *,
    tell: Tell | None = None,
    is_warning: bool = True,
) -> Checked:
    """Understand all rows, say what is wrong with each, and put those of one work together.

    With ``is_warning`` those that are right are looked at as a gate would, and what it would ask is said beforehand.
    """
    said = tell or (lambda _percent, _stage: None)
    rows = [Row(number, texts) for number, texts in asked]
    clock = setting.clock
    for row in rows:
        row_read(row, setting, clock)
    said(40, "places")
    places.rows_place(rows, setting)
    places.rows_own(rows, setting)
    works = _works_of(rows)
    for work in works:
        _together(work)
    _twins(works)
    said(60, "comparing")
    _compare(works, setting)
    for work in works:
        _wait(work)
    if is_warning:
        said(75, "checking")
        _look_ahead([work for work in works if work.is_good], setting)
    return Checked(rows, works)


# --- rows of one work -----------------------------------------------------------------------------------


def _works_of(rows: Sequence[Row]) -> list[Work]:
    works: dict[object, Work] = {}
    for row in rows:
        works.setdefault(row.key or row.number, Work([])).rows.append(row)
    return list(works.values())


def _together(work: Work) -> None:
    """Several rows of one number: the windows of one work, or the pieces of one window."""
    if len(work.rows) == 1:
        return
    first = work.rows[0]
    seen: dict[tuple[Window | None, tuple[int, ...]], Row] = {}
    for row in work.rows:
        if row.window is not None and row.pieces:
            same = seen.setdefault((row.window, row.element_ids), row)
            if same is not row:
                row.says("duplicate", "key", row=same.number)
        for name in ("title", "work_class"):
            if row.facts.get(name) != first.facts.get(name):
                row.says("different_facts", name, row=row.number, text=str(row.facts.get(name, "")), is_wrong=False)
    by_window: defaultdict[Window, set[int]] = defaultdict(set)
    for row in work.rows:
        if row.window is not None:
            by_window[row.window].update(row.element_ids)
    if len({frozenset(ids) for ids in by_window.values()}) > 1 and not any(not row.pieces for row in work.rows):
        for row in work.rows[1:]:
            if _pieces_in(by_window, row) != _pieces_in(by_window, first):
                row.says("different_places", "elements" if "elements" in row.texts else "feeder", row=first.number)
    _overlaps(work)


def _pieces_in(by_window: Mapping[Window, set[int]], row: Row) -> set[int]:
    return by_window.get(row.window, set()) if row.window is not None else set()


def _overlaps(work: Work) -> None:
    timed = sorted((row.window, row.number, row) for row in work.rows if row.window is not None)
    longest: tuple[Window, Row] | None = None  # of the windows so far the one that ends last
    for window, _number, row in timed:
        if longest is not None and longest[0][1] > window[0] and longest[0] != window:
            row.says("overlap", start_field(row), row=longest[1].number)
        if longest is None or window[1] > longest[0][1]:
            longest = window, row
    if len(work.windows) > lifecycle.MOST_WINDOWS:
        work.rows[-1].says("too_many_windows", "key", most=lifecycle.MOST_WINDOWS)


def _twins(works: Sequence[Work]) -> None:
    """Without numbers the same place, time and works twice is one row too many."""
    seen: dict[str, Row] = {}
    for work in works:
        twin = work.rows[0].twin
        if twin:
            same = seen.setdefault(twin, work.rows[0])
            if same is not work.rows[0]:
                work.rows[0].says("duplicate", row=same.number)


def _wait(work: Work) -> None:
    wrong = next((row for row in work.rows if row.is_wrong), None)
    if wrong is not None:
        for row in work.rows:
            if not row.is_wrong:
                row.says("waits", "key", row=wrong.number)


# --- against the plan as it stands ------------------------------------------------------------------------


def _compare(works: Sequence[Work], setting: Setting) -> None:
    """New, changed or unchanged by the branch's own number, else by place, time and works."""
    keys = {work.rows[0].key for work in works} - {""}
    known = {work.key: work for work in _existing(setting, Q(key__in=keys))} if keys else {}
    nameless: dict[tuple[Any, ...], PlannedWork] = {}
    if any(not work.rows[0].key for work in works) and setting.period is not None:
        for work in _existing(setting, Q(key="", period=setting.period)):
            nameless[(*_shape(work), work.title)] = work
    for draft in works:
        first = draft.rows[0]
        shape = (frozenset(draft.element_ids), draft.windows, draft.facts.get("title", ""))
        existing = known.get(first.key) if first.key else nameless.get(shape)
        if existing is not None:
            draft.existing = existing
            draft.change = SheetRow.Change.CHANGED if _differs(draft, existing) else SheetRow.Change.UNCHANGED
            _may_change(draft, existing, setting)
        for row in draft.rows:
            row.change, row.work_id = draft.change, existing.pk if existing else None


def _existing(setting: Setting, which: Q) -> list[PlannedWork]:
    return list(
        PlannedWork.objects.filter(which, branch=setting.branch)
        .exclude(state=WorkState.CANCELLED)
        .select_related("period", "branch")
        .prefetch_related(
            "elements", Prefetch("windows", WorkWindow.objects.exclude(state=WindowState.CANCELLED), "live_windows")
        )
    )


def _shape(work: PlannedWork) -> tuple[frozenset[int], tuple[Window, ...]]:
    windows = tuple(sorted((window.starts_at, window.ends_at) for window in work.live_windows))  # type: ignore[attr-defined]
    return frozenset(element.pk for element in work.elements.all()), windows


def _differs(draft: Work, existing: PlannedWork) -> bool:
    if _shape(existing) != (frozenset(draft.element_ids), draft.windows):
        return True
    return any(getattr(existing, name) != value for name, value in draft.facts.items())


def _may_change(draft: Work, existing: PlannedWork, setting: Setting) -> None:
    first = draft.rows[0]
    if existing.period_id != (setting.period.pk if setting.period else None):
        plan = existing.period.title if existing.period else "–"
        first.says("other_plan", "key", reference=existing.reference, plan=plan)
    elif draft.change == SheetRow.Change.CHANGED and existing.state not in lifecycle.EDITABLE:
        first.says("not_editable", "key", reference=existing.reference)


def works_missing(setting: Setting, keys: Collection[str]) -> list[PlannedWork]:
    """Drafts of this plan whose number the file no longer has: what a new version of the sheet would take out."""
    if setting.period is None or "key" not in setting.fields or not keys:
        return []
    drafts = PlannedWork.objects.filter(period=setting.period, branch=setting.branch, state=WorkState.DRAFT)
    return list(drafts.exclude(key="").exclude(key__in=keys).order_by("pk"))


# --- who would be off, and what the checks say ------------------------------------------------------------


def _look_ahead(works: Sequence[Work], setting: Setting) -> None:
    found = topology.places_isolated_normally([work.element_ids for work in works]) if works else []
    customers = _customers({place for some in found for place in some})
    subjects = []
    for number, (work, place_ids) in enumerate(zip(works, found, strict=True)):
        total = sum(customers.get(place, 0) for place in place_ids)
        for row in work.rows:
            row.customers = total
        subject = subject_of_draft(
            branch=setting.branch, element_ids=work.element_ids, place_ids=place_ids, windows=work.windows,
            work=work.existing, **work.facts,
        )  # fmt: skip
        subjects.append(replace(subject, number=number))
    for number, findings in checks.findings_of(subjects, at=setting.now).items():
        for finding in findings:
            if finding.weight != Weight.TELLS and not finding.answer:
                first = works[number].rows[0]
                first.problems.append(_warning(finding, first))


def _customers(places_: Collection[int]) -> dict[int, int]:
    with connection.cursor() as db:
        db.execute("SELECT id, own_customers FROM grid_gridelement WHERE id = ANY(%s)", [list(places_)])
        return dict(db.fetchall())


# where a row can answer what a check asks: the first of these of which it speaks
_ANSWERED_IN: Final[Mapping[str, tuple[str, ...]]] = {
    "notice_short": ("temporary_reason", "starts_at", "window"),
    "calendar": ("starts_at", "window"),
    "alternatives": ("live_line", "transfer"),
}


def _warning(finding: Finding, row: Row) -> Problem:
    name = next((name for name in _ANSWERED_IN.get(finding.code, ()) if name in row.texts), "")
    words = in_every_language(lambda: finding.words)
    return Problem(FINDING, name, {"check": finding.code, "words": words}, is_wrong=False)
