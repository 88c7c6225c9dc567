"""What the page of a search for better windows shows: the measure before and after, and each move with its reasons."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any, Final

from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from accounts.actor import Actor
from accounts.pages import day as day_in_words
from outages.planned import dossier, policies
from outages.planned.models import PlannedWork, ScheduleLine, ScheduleRun
from outages.planned.services import schedules
from outages.planned.spans import Window
from outages.templatetags.pages import grouped

RULES: Final[dict[str, str | Promise]] = {
    "crews": gettext_lazy("Crews missing, summed over the days"),
    "backup": gettext_lazy("Feeders that back each other up are off together"),
    "forbidden": gettext_lazy("On a day without planned outages"),
    "outside": gettext_lazy("Outside the days of the plan"),
    "early": gettext_lazy("Too soon to tell customers in time"),
}
_MENDED: Final[dict[str, str | Promise]] = {
    "crews": gettext_lazy("enough crews on %(day)s"),
    "backup": gettext_lazy("no longer off together with %(with)s, whose feeder backs it up"),
    "forbidden": gettext_lazy("no longer on a day without planned outages"),
    "outside": gettext_lazy("within the days of the plan"),
    "early": gettext_lazy("late enough to tell customers in time"),
}
_FAILURES: Final[dict[str, str | Promise]] = {
    schedules.DIED: gettext_lazy("The search was broken off before it ended. Start it again."),
    schedules.BROKEN: gettext_lazy("The search failed, and nothing has changed. The reason is in the log."),
}
_NAMED: Final = 3  # works that a sentence names


@dataclass(frozen=True)
class Figure:
    """One part of the measure, before and after; ``broken`` says in words what is broken."""

    label: str
    before: int
    after: int
    broken_before: tuple[str, ...] = ()
    broken_after: tuple[str, ...] = ()

    @property
    def change(self) -> int:
        return self.after - self.before

    @property
    def gain(self) -> int:
        return max(0, self.before - self.after)

    @property
    def loss(self) -> int:
        return max(0, self.after - self.before)


@dataclass(frozen=True)
class Move:
    """One line of a proposal."""

    line: ScheduleLine
    work: PlannedWork
    before: tuple[Window, ...]
    after: tuple[Window, ...]
    reasons: tuple[str, ...]
    decision: str

    @property
    def label(self) -> str:
        return str(ScheduleLine.Decision(self.decision).label)


def context_of(run: ScheduleRun, actor: Actor) -> dict[str, Any]:
    """Progress, the reason of a failure, or what was found: whatever the run's state asks for."""
    moves = moves_of(run)
    may_edit = policies.may(actor=actor, action="edit", branch=run.period.branch)
    return {
        "run": run,
        "period": run.period,
        "is_running": run.state in schedules.UNFINISHED,
        "failure": _FAILURES.get(run.message, _FAILURES[schedules.BROKEN]) if run.state == run.State.FAILED else "",
        "figures": figures_of(run) if run.state == run.State.DONE else [],
        "moves": moves,
        "waiting": sum(move.decision == ScheduleLine.Decision.OPEN for move in moves),
        "may_edit": may_edit,
        "may_decide": may_edit and dossier.is_editable(run.period),
    }


# --- lines ------------------------------------------------------------------------------------------


def moves_of(run: ScheduleRun) -> list[Move]:
    """Every line, by its new time; a line whose work has changed meanwhile already says so."""
    moves = [
        Move(
            line=line,
            work=line.work,
            before=tuple(schedules.windows_of(line.before)),
            after=tuple(schedules.windows_of(line.after)),
            reasons=tuple(_reason(kept) for kept in line.reasons),
            decision=_decision(line),
        )
        for line in run.lines.select_related("work")
    ]
    return sorted(moves, key=lambda move: (move.after[0][0], move.line.pk))


def _decision(line: ScheduleLine) -> str:
    if line.decision == ScheduleLine.Decision.OPEN and not schedules.is_fresh(line, line.work):
        return ScheduleLine.Decision.STALE
    return line.decision


def _reason(kept: dict[str, Any]) -> str:
    """One reason of a move in words."""
    words = {"with": _names(kept["with"]) if kept.get("with") else ""}
    match kept["code"]:
        case "mends":
            day = day_in_words(_noon(kept["day"])) if kept["day"] else ""
            return str(_MENDED[kept["rule"]]) % {**words, "day": day}
        case "hours":
            said = (
                _("with %(with)s: %(hours)s customer-hours less")
                if words["with"]
                else _("%(hours)s customer-hours less")
            )
            return said % {**words, "hours": grouped(kept["hours"])}
        case "cuts" if words["with"]:
            said = ngettext(
                "with %(with)s one outage instead of two for %(n)s customer",
                "with %(with)s one outage instead of two for %(n)s customers",
                kept["customers"],
            )
        case "cuts":
            said = ngettext(
                "%(n)s customer is not cut again so soon",
                "%(n)s customers are not cut again so soon",
                kept["customers"],
            )
        case "holiday":
            said = ngettext(
                "%(n)s customer has power on a holiday", "%(n)s customers have power on a holiday", kept["customers"]
            )
        case _:
            return _("goes with %(with)s") % words if words["with"] else _("makes room for other works")
    return said % {**words, "n": grouped(kept["customers"])}


def _names(references: Sequence[str]) -> str:
    more = len(references) - _NAMED
    return ", ".join(references[:_NAMED]) + (f" +{more}" if more > 0 else "")


def _noon(day: str) -> datetime:
    """A moment of that day in the site's zone, for whoever words days."""
    return timezone.make_aware(datetime.combine(date.fromisoformat(day), time(12)))


# --- the measure ------------------------------------------------------------------------------------


def figures_of(run: ScheduleRun) -> list[Figure]:
    """Every rule that is broken before or after, then what customers bear."""
    before, after = _broken(run.before, run), _broken(run.after, run)
    counts = [
        {rule: sum(one["by"] for one in kept["broken"] if one["rule"] == rule) for rule in RULES}
        for kept in (run.before, run.after)
    ]
    rules = [
        Figure(str(label), counts[0][rule], counts[1][rule], tuple(before[rule]), tuple(after[rule]))
        for rule, label in RULES.items()
        if counts[0][rule] or counts[1][rule]
    ]
    return [
        *(rules or [Figure(_("Rules broken"), 0, 0)]),
        Figure(_("Customer-hours off"), _hours(run.before), _hours(run.after)),
        Figure(_("Customers cut again"), run.before["customers_again"], run.after["customers_again"]),
        Figure(_("Customers off on holidays"), run.before["holiday_customers"], run.after["holiday_customers"]),
    ]


def _hours(kept: dict[str, Any]) -> int:
    minutes: int = kept["customer_minutes"]
    return round(minutes / 60)


def _broken(kept: dict[str, Any], run: ScheduleRun) -> defaultdict[str, list[str]]:
    said: defaultdict[str, list[str]] = defaultdict(list)
    for one in kept["broken"]:
        said[one["rule"]].append(_sentence(one, run.crew_capacity))
    return said


def _sentence(one: dict[str, Any], capacity: int) -> str:
    references: Iterable[str] = one["references"]
    if one["rule"] != "crews":
        return " – ".join(references)
    said = ngettext("%(day)s: %(needed)d crew needed", "%(day)s: %(needed)d crews needed", capacity + one["by"])
    return said % {"day": day_in_words(_noon(one["day"])), "needed": capacity + one["by"]}
