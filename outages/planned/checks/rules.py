"""What can be said of a work by itself: its notice, its days and hours, what was considered before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from grid.models import CalendarDay, DayKind
from outages.planned.checks.question import Question, pack_of
from outages.planned.checks.words import Length, Listing, Moment, NamedDay, RuleValue
from outages.planned.findings import Finding, Subject, Weight
from outages.planned.models import WorkClass
from outages.templatetags.pages import grouped
from standards.schema import Notice, RulePack
from standards.values import DailyWindow

Found = Iterator[tuple[int, Finding]]

A_DAY: Final = timedelta(days=1)

# --- notice -----------------------------------------------------------------------------------------


def window_past(question: Question) -> Found:
    """Nobody plans the past; what was published is judged by its course."""
    for subject in question.subjects:
        start = _first_start(subject)
        if start is not None and subject.published_at is None and start <= question.at:
            yield (
                subject.number,
                Finding(
                    code="window_past",
                    weight=Weight.REFUSES,
                    text=_("The work would begin in the past, %(start)s: give it a time ahead."),
                    params={"start": Moment(start, subject.time_zone)},
                    rule_text=_("A work is planned before it begins."),
                ),
            )


def notice_short(question: Question) -> Found:
    """Customers hear of a planned outage as early as the law wants, or the work says why it cannot wait."""
    for subject in question.subjects:
        finding = _notice(subject, at=question.at)
        if finding is not None:
            yield subject.number, finding


def _notice(subject: Subject, *, at: datetime) -> Finding | None:
    pack, start, told_at = pack_of(subject), _first_start(subject), subject.published_at or at
    if start is None or is_exempt(subject.windows, pack.notice) or (subject.published_at is None and start <= at):
        return None  # a window in the past is refused for that
    local = start.astimezone(ZoneInfo(subject.time_zone))
    if told_at <= pack.notice.planned.before(local):
        return None
    late_rule, late_path = pack.notice.temporary, "notice.temporary"
    if late_rule is None:
        late_rule, late_path = pack.notice.planned, "notice.planned"  # this law knows no shorter notice
    says_why = bool(subject.temporary_reason.strip())
    if subject.work_class != WorkClass.EMERGENCY and told_at > late_rule.before(local):
        return Finding(
            code="notice_short",
            weight=Weight.REFUSES,
            text=_(
                "Customers would hear of it only %(lead)s before; %(needed)s are needed."
                " So late there is only emergency work, named as such."
            ),
            params={"lead": Length(start - told_at), "needed": RuleValue(late_rule)},
            rule_path=late_path,
            rule=late_rule,
        )
    if subject.work_class != WorkClass.PLANNED and says_why:
        return None
    return Finding(
        code="notice_short",
        weight=Weight.ASKS,
        text=_LATE[subject.work_class],
        params={"lead": Length(start - told_at), "needed": RuleValue(pack.notice.planned)},
        rule_path="notice.planned",
        rule=pack.notice.planned,
    )


_LATE: Final[dict[str, Promise]] = {
    WorkClass.PLANNED: _(
        "Customers would hear of it %(lead)s before; planned work needs %(needed)s."
        " Move it, or make it temporary work with a reason and approval."
    ),
    WorkClass.TEMPORARY: _(
        "Customers would hear of it %(lead)s before; planned work needs %(needed)s. Say why it cannot wait."
    ),
    WorkClass.EMERGENCY: _(
        "Customers would hear of it %(lead)s before; planned work needs %(needed)s. Name the emergency."
    ),
}


def is_exempt(windows: Iterable[tuple[datetime, datetime]], notice: Notice) -> bool:
    """Every window is so short that this law wants no notice of it."""
    limit = notice.exempt_below
    return limit is not None and all(ends - starts < limit.delta for starts, ends in windows)


def _first_start(subject: Subject) -> datetime | None:
    return min((starts for starts, _ends in subject.windows), default=None)


# --- the work calendar ------------------------------------------------------------------------------

_DAYS: Final[dict[str, tuple[Weight, str | Promise, str | Promise]]] = {
    DayKind.BLACKOUT: (
        Weight.ASKS,
        _("No planned outages on %(days)s: choose another day, or say why it must be."),
        _("The work calendar keeps days free of planned outages."),
    ),
    DayKind.EXAM: (
        Weight.ASKS,
        _("Examinations on %(days)s: choose another day, or say why it must be."),
        _("On examination days the supply stays on."),
    ),
    DayKind.HOLIDAY: (
        Weight.TELLS,
        _("People are at home on %(days)s."),
        _("Planned outages keep off holidays where they can."),
    ),
}
WORST_FIRST: Final = (DayKind.BLACKOUT, DayKind.EXAM, DayKind.HOLIDAY)


def calendar(question: Question) -> Found:
    """Examinations, holidays, and days that somebody kept free, for the branch or for everybody."""
    for number, days in days_touched(question).items():
        worst = next(kind for kind in WORST_FIRST if any(day.kind == kind for day in days))
        weight, text, rule_text = _DAYS[worst]
        named = [NamedDay(day) for day in days if day.kind == worst]
        yield (
            number,
            Finding(code="calendar", weight=weight, text=text, params={"days": Listing.of(named)}, rule_text=rule_text),
        )


def days_touched(question: Question) -> dict[int, list[CalendarDay]]:
    """The unwelcome days of the calendar on which each work is off, by the branch's own clock."""
    touched = {subject.number: sorted(_local_days(subject)) for subject in question.subjects}
    every = {day for days in touched.values() for day in days}
    if not every:
        return {}
    on_day: defaultdict[date, list[CalendarDay]] = defaultdict(list)
    unwelcome = CalendarDay.objects.filter(day__range=(min(every), max(every)), kind__in=WORST_FIRST)
    for row in unwelcome.select_related("branch").order_by("day", "kind", "pk"):
        on_day[row.day].append(row)
    found = {
        subject.number: [
            row
            for day in touched[subject.number]
            for row in on_day.get(day, ())
            if row.branch is None or row.branch.pos <= subject.branch_pos <= row.branch.last
        ]
        for subject in question.subjects
    }
    return {number: days for number, days in found.items() if days}


def _local_days(subject: Subject) -> set[date]:
    zone = ZoneInfo(subject.time_zone)
    days: set[date] = set()
    for starts, ends in subject.windows:
        day = starts.astimezone(zone).date()
        final = (ends - timedelta(microseconds=1)).astimezone(zone).date()  # back at midnight is back the day before
        while day <= final:
            days.add(day)
            day += A_DAY
    return days


# --- the domestic peak ------------------------------------------------------------------------------


def peak(question: Question) -> Found:
    """Homes are without power when everybody cooks."""
    touching = [s for s in question.subjects if any(_touches(w, pack_of(s), s.time_zone) for w in s.windows)]
    if not touching:
        return
    for number, homes in _homes(question, [s.number for s in touching]).items():
        rule = pack_of(question.by_number[number]).planning.peak_hours
        yield (
            number,
            Finding(
                code="peak",
                weight=Weight.TELLS,
                text=ngettext_lazy(
                    "%(customers)s home would be without power in the domestic peak, %(hours)s.",
                    "%(customers)s homes would be without power in the domestic peak, %(hours)s.",
                    homes,
                ),
                params={"customers": grouped(homes), "hours": RuleValue(rule)},
                rule_path="planning.peak_hours",
                rule=rule,
                customers=homes,
            ),
        )


def _touches(window: tuple[datetime, datetime], pack: RulePack, time_zone: str) -> bool:
    starts, ends = window
    zone = ZoneInfo(time_zone)
    day = starts.astimezone(zone).date() - A_DAY  # a peak over midnight began the evening before
    final = min(ends.astimezone(zone).date(), day + 3 * A_DAY)  # three days hold every hour of the clock
    while day <= final:
        begins, over = _peak_on(day, pack.planning.peak_hours, zone)
        if starts < over and begins < ends:
            return True
        day += A_DAY
    return False


def _peak_on(day: date, rule: DailyWindow, zone: ZoneInfo) -> tuple[datetime, datetime]:
    hours = rule.value
    over_on = day if hours.begins <= hours.ends else day + A_DAY
    return _instant(day, hours.begins, zone), _instant(over_on, hours.ends, zone)


def _instant(day: date, clock: time, zone: ZoneInfo) -> datetime:
    # in UTC, because Python compares times of one zone by their clocks, also across a change of the clock
    return datetime.combine(day, clock, tzinfo=zone).astimezone(UTC)


_HOMES_SQL: Final = """
WITH about AS (
    SELECT * FROM unnest(%(place_n)s::int[], %(place)s::bigint[]) AS t(n, place) WHERE n = ANY(%(about)s::int[])
), home AS (
    SELECT s.element_id AS place, count(*) AS homes
    FROM (SELECT DISTINCT place FROM about) p
    JOIN grid_servicepoint s ON s.element_id = p.place
    JOIN grid_customer c ON c.id = s.customer_id AND c.customer_class = 'residential'
    GROUP BY s.element_id
)
SELECT n, sum(homes)::int FROM about JOIN home USING (place) GROUP BY n ORDER BY n
"""


def _homes(question: Question, numbers: list[int]) -> dict[int, int]:
    return dict(question.rows(_HOMES_SQL, about=numbers))


# --- what was considered before ---------------------------------------------------------------------


def alternatives(question: Question) -> Found:
    """Somebody has thought about working without an outage."""
    for subject in question.subjects:
        if subject.live_line and subject.transfer:
            continue
        if not subject.live_line and not subject.transfer:
            text = _("Say whether live-line work and transfer supply were considered, and with what result.")
        elif not subject.live_line:
            text = _("Say whether live-line work was considered, and with what result.")
        else:
            text = _("Say whether transfer supply was considered, and with what result.")
        yield (
            subject.number,
            Finding(
                code="alternatives",
                weight=Weight.ASKS,
                text=text,
                rule_text=_("Power is switched off only where the work cannot be done without."),
            ),
        )
