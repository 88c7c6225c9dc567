"""What is worked out beside a work while somebody types: who would be off, what the rules say, better days."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

import standards
from accounts.actor import Actor
from accounts.policies import actor_may
from accounts.rules import LABELS, text_of
from grid.models import Branch, GridElement
from outages.places import masked
from outages.planned import checks, selectors
from outages.planned.checks import CalmerWindow
from outages.planned.findings import Finding, Subject, Weight
from outages.planned.models import PlannedWork, PlanPeriod
from outages.planned.selectors import DraftImpact
from standards.values import Span

# findings that another day could spare
_OF_THE_DAY: Final = frozenset({"window_past", "notice_short", "overlap", "frequent", "calendar"})


@dataclass(frozen=True)
class FindingRow:
    """One finding with the rule it rests on, in words."""

    finding: Finding
    rule_label: str | Promise
    rule_value: str

    @property
    def sentence(self) -> SafeString:
        """Its words with links to what they name; what they do not name follows."""
        words, names = self.finding.words, self.finding.references
        links = {name: format_html('<a href="{}">{}</a>', _address(name), name) for name in names}
        unnamed = [name for name in names if name not in words]
        pieces = re.split(f"({'|'.join(map(re.escape, names))})", words) if names else [words]
        sentence = format_html_join("", "{}", [(links.get(piece, piece),) for piece in pieces])
        return sentence + format_html_join("", " {}", [(links[name],) for name in unnamed])

    @property
    def citation(self) -> str:
        rule = self.finding.rule
        return rule.citation if rule is not None else ""


def _address(reference: str) -> str:
    return reverse("planned:work" if reference.startswith("W-") else "outages:detail", args=[reference])


@dataclass(frozen=True)
class FindingGroup:
    """The findings from which the same follows."""

    weight: Weight
    title: str | Promise
    shape: str
    tone: str
    rows: tuple[FindingRow, ...]


_GROUPS: Final = (
    (Weight.REFUSES, _("Cannot be handed in"), "p1", "red"),
    (Weight.ASKS, _("Somebody must answer"), "p2", "amber"),
    (Weight.TELLS, _("Worth knowing"), "p3", "quiet"),
)


def groups_of(findings: Iterable[Finding]) -> list[FindingGroup]:
    """Findings by what follows from them, each with its rule."""
    found = list(findings)
    groups = [
        FindingGroup(weight, title, shape, tone, tuple(_row(f) for f in found if f.weight == weight))
        for weight, title, shape, tone in _GROUPS
    ]
    return [group for group in groups if group.rows]


def _row(finding: Finding) -> FindingRow:
    if finding.rule is None:
        return FindingRow(finding, finding.rule_text, "")
    return FindingRow(finding, LABELS.get(finding.rule_path, finding.rule_path), text_of(finding.rule))


@dataclass(frozen=True)
class Lead:
    """How early customers would hear of it, beside what the law wants of planned work."""

    is_enough: bool
    starts_at: datetime
    needed: Span

    @property
    def needed_text(self) -> str:
        return text_of(self.needed)


def lead_of(branch: Branch, windows: Sequence[tuple[datetime, datetime]], *, told_at: datetime) -> Lead | None:
    """How early customers would hear of the first window; nothing while there is none."""
    if not windows:
        return None
    starts_at = min(starts for starts, _ends in windows)
    needed = standards.pack(branch.rule_pack).notice.planned
    return Lead(told_at <= needed.before(starts_at.astimezone(ZoneInfo(branch.time_zone))), starts_at, needed)


@dataclass(frozen=True)
class Sidebar:
    """The panel beside the form of a work."""

    branch: Branch | None
    impact: DraftImpact | None
    important: tuple[tuple[str, str], ...]  # masked name, kind of importance
    lead: Lead | None
    groups: list[FindingGroup]
    calmer: tuple[CalmerWindow, ...]
    open_count: int

    @property
    def cites_lead(self) -> bool:
        """The rule is named once: by the finding where there is one."""
        return not any(row.finding.code == "notice_short" for group in self.groups for row in group.rows)


NOTHING: Final = Sidebar(None, None, (), None, [], (), 0)


def sidebar_of(
    *,
    actor: Actor,
    elements: Sequence[GridElement],
    windows: Sequence[tuple[datetime, datetime]],
    facts: dict[str, object],
    work: PlannedWork | None = None,
    period: PlanPeriod | None = None,
) -> Sidebar:
    """Everything at once; what is not typed yet is left out rather than guessed."""
    ids = [element.pk for element in elements]
    branch = work.branch if work else period.branch if period else selectors.branch_of_elements(ids)
    if not ids or branch is None:
        return NOTHING
    now = timezone.now()
    may_see = actor_may(actor, "customer.read_masked", branch.pos)
    impact = selectors.draft_impact(ids, with_customers=may_see)
    subject = selectors.subject_of_draft(
        branch=branch, element_ids=ids, place_ids=impact.place_ids, windows=windows, work=work, **facts
    )
    findings = checks.findings_of([subject], at=now)[subject.number] if windows else []
    return Sidebar(
        branch=branch,
        impact=impact,
        important=tuple((masked(customer.name), customer.get_importance_display()) for customer in impact.important),
        lead=lead_of(branch, windows, told_at=now),
        groups=groups_of(findings),
        calmer=_calmer(subject, findings, now, work.period if work else period),
        open_count=sum(finding.is_open for finding in findings),
    )


def _calmer(
    subject: Subject, findings: Iterable[Finding], now: datetime, period: PlanPeriod | None
) -> tuple[CalmerWindow, ...]:
    """Up to three better days, within the plan if there is one."""
    if not any(finding.code in _OF_THE_DAY for finding in findings):
        return ()
    wanted = 3
    options = checks.calmer_windows(subject, at=now, count=wanted if period is None else 60)
    if period is not None:
        zone = ZoneInfo(subject.time_zone)
        options = [
            option
            for option in options
            if all(period.starts_on <= s.astimezone(zone).date() <= period.ends_on for s, _e in option.windows)
        ]
    return tuple(options[:wanted])
