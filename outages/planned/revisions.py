"""What is new in a plan since it was handed in the time before: its works field by field, and their windows."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.apps import apps
from django.db.models import Model, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from outages.planned import lifecycle
from outages.planned.models import NoticeStage, PlannedWork, PlanPeriod, WorkWindow
from outages.planned.spans import Window

_COMPARED: Final = (
    "title", "key", "work_class", "temporary_reason", "work_type", "scope", "places", "customers",
    "critical_customers", "crews", "is_fixed", "live_line", "transfer", "customer_work", "notice_plan",
)  # fmt: skip


@dataclass(frozen=True)
class FieldChange:
    """One fact of a work as it was and as it is, in words."""

    label: str
    before: str
    after: str


@dataclass(frozen=True)
class WorkChange:
    """A work that is new, changed or gone since the plan was handed in the time before."""

    kind: str  # new, changed, removed
    reference: str
    title: str
    fields: tuple[FieldChange, ...] = ()


def changes_since_last(period: PlanPeriod) -> list[WorkChange] | None:
    """What differs from the plan as it was handed in the time before; ``None`` where this is the first time."""
    submits = period.steps.filter(verb="submit").order_by("-pk").values_list("at", flat=True)[:2]
    if len(submits) < 2:
        return None
    then = submits[1]
    rows = _events("PlannedWorkEvent").filter(period=period.pk, pgh_created_at__lte=then)
    before = {row["pgh_obj_id"]: row for row in rows.order_by("pgh_obj_id", "-pgh_id").distinct("pgh_obj_id").values()}
    now = {work.pk: work for work in period.works.exclude(state__in=lifecycle.GONE).order_by("pk")}
    windows = _windows_at(list(before), then), _windows_now(list(now))
    changes = []
    for pk, work in now.items():
        row = before.get(pk)
        if row is None or row["state"] in lifecycle.GONE:
            changes.append(WorkChange("new", work.reference, work.title))
        elif fields := _differences(row, work, windows[0].get(pk, []), windows[1].get(pk, [])):
            changes.append(WorkChange("changed", work.reference, work.title, tuple(fields)))
    changes += [
        WorkChange("removed", row["reference"], row["title"])
        for pk, row in before.items()
        if pk not in now and row["state"] not in lifecycle.GONE
    ]
    return changes


def _events(model: str) -> QuerySet[Any]:
    """The history that triggers write: made beside the model, so it is looked up by name."""
    found: type[Model] = apps.get_model("planned", model)
    return found._default_manager.all()


Times = list[Window]


def _windows_at(work_ids: list[int], then: datetime) -> dict[int, Times]:
    """A change writes all windows of a work anew: the newest such writing before ``then`` is how they stood."""
    rows = _events("WorkWindowEvent").filter(work__in=work_ids, pgh_label="insert", pgh_created_at__lte=then)
    written: defaultdict[int, dict[datetime, Times]] = defaultdict(dict)
    for work_id, at, starts, ends in rows.values_list("work", "pgh_created_at", "starts_at", "ends_at"):
        written[work_id].setdefault(at, []).append((starts, ends))
    return {work_id: sorted(batches[max(batches)]) for work_id, batches in written.items()}


def _windows_now(work_ids: list[int]) -> dict[int, Times]:
    found: defaultdict[int, Times] = defaultdict(list)
    rows = WorkWindow.objects.filter(work__in=work_ids).order_by("starts_at")
    for work_id, starts, ends in rows.values_list("work", "starts_at", "ends_at"):
        found[work_id].append((starts, ends))
    return found


def _differences(row: dict[str, Any], work: PlannedWork, before: Times, after: Times) -> list[FieldChange]:
    was = PlannedWork(**{name: row[name] for name in _COMPARED})
    found = [
        FieldChange(str(PlannedWork._meta.get_field(name).verbose_name), _shown(was, name), _shown(work, name))  # type: ignore[union-attr]
        for name in _COMPARED
        if getattr(was, name) != getattr(work, name)
    ]
    if before != after:
        found.append(FieldChange(str(_("windows")), _said(before), _said(after)))
    return found


def _shown(work: PlannedWork, name: str) -> str:
    value = getattr(work, name)
    if isinstance(value, bool):
        return str(_("yes")) if value else str(_("no"))
    if isinstance(value, list):
        return ", ".join(str(NoticeStage(stage).label) for stage in value)
    display = getattr(work, f"get_{name}_display", None)
    return str(display() if display else value) or "–"


def _said(windows: Times) -> str:
    return "; ".join(_from_to(timezone.localtime(starts), timezone.localtime(ends)) for starts, ends in windows)


def _from_to(starts: datetime, ends: datetime) -> str:
    final = f"{ends:%H:%M}" if starts.date() == ends.date() else f"{ends:%m-%d %H:%M}"
    return f"{starts:%m-%d %H:%M}–{final}"
