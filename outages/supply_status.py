"""One answer: why is this customer off, and when will it be back? Word for word the same in every channel.

Everything that is true is collected, the strongest cause leads, and the *latest* time among the causes that
block supply is quoted, because power returns only when every cause has cleared (``domain.md`` 5.6).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.db import connection
from django.utils import timezone

from grid.models import ServicePoint
from outages import kinds

RANK_SAFETY: Final = 1
RANK_NON_PAYMENT: Final = 5
RANK_SUSPECTED: Final = 6
RANK_RESTORED: Final = 7
RANK_UPCOMING: Final = 8

RECENTLY_RESTORED: Final = timedelta(hours=12)
UPCOMING: Final = timedelta(days=7)
WARN_OF: Final = timedelta(hours=24)
# a promised update this late means that we do not know: the sentence says so instead of repeating itself
STALE_AFTER: Final = timedelta(minutes=60)
NEWS_STEP: Final = 5  # minutes: nobody says "by one past ten"


@dataclass(frozen=True)
class Cause:
    """One thing that is true about a service point's supply, with the age and owner of the fact."""

    rank: int
    kind: str
    blocks: bool
    outage_id: int | None = None
    reference: str = ""
    status: str = ""
    place: str = ""
    reason_zh: str = ""
    reason_en: str = ""
    since: datetime | None = None
    until: datetime | None = None  # the raw expectation; may have passed
    begins: datetime | None = None
    next_update_by: datetime | None = None
    etr_source: str = ""
    etr_confidence: str = ""
    etr_changes: int = 0
    known_at: datetime | None = None
    owner: str = ""
    owner_en: str = ""
    customers: int = 0

    def expected(self, at: datetime) -> datetime | None:
        """When this cause should clear, or ``None`` if that is not known or has passed."""
        return self.until if self.until is not None and self.until > at else None

    def is_overdue(self, at: datetime) -> bool:
        return self.until is not None and self.until <= at


@dataclass(frozen=True)
class Verdict:
    """The one answer about one service point at one instant."""

    service_point_id: int
    at: datetime
    time_zone: str
    causes: tuple[Cause, ...]  # all that may be shown to this reader, strongest first
    upcoming: tuple[Cause, ...]
    withheld: bool  # something true is not told before the caller is verified
    quote: datetime | None  # rounded, never past
    residual: Cause | None
    disagreement: bool
    sentence_zh: str
    sentence_en: str
    state: str  # off | suspected | restored | on | safety
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def lead(self) -> Cause | None:
        return self.causes[0] if self.causes else None

    @property
    def blocking(self) -> tuple[Cause, ...]:
        return tuple(cause for cause in self.causes if cause.blocks)

    def sentence(self, language: str) -> str:
        return self.sentence_zh if language.startswith("zh") else self.sentence_en


_CAUSES_SQL = """
SELECT asked.point, o.id, o.reference, o.kind, o.status, o.place, o.public_reason_zh, o.public_reason_en, o.started_at,
       o.planned_start, o.planned_end, o.etr, o.etr_source, o.etr_confidence, o.etr_changes, o.etr_set_at,
       o.next_update_by, o.updated_at, o.customers_affected, b.name, b.name_en, i.off_since, i.off_until, i.is_off
FROM unnest(%(points)s::bigint[], %(elements)s::bigint[]) AS asked(point, element)
CROSS JOIN LATERAL (
    SELECT outage_id, max(lower(actual)) AS off_since, max(upper(actual)) AS off_until,
           bool_or(actual IS NOT NULL AND upper(actual) IS NULL) AS is_off
    FROM outages_interruption
    WHERE element_id = asked.element OR service_point_id = asked.point
    GROUP BY outage_id
) i
JOIN outages_outage o ON o.id = i.outage_id
JOIN grid_branch b ON b.id = o.branch_id
WHERE o.status IN ('suspected', 'scheduled', 'active', 'partially_restored')
   OR (o.status IN ('restored', 'closed') AND o.restored_at > %(at)s - interval '12 hours')
"""


def supply_status(service_point: ServicePoint, at: datetime | None = None, *, verified: bool = False) -> Verdict:
    """Why is this service point off, and when will it be back?

    ``verified`` says that the caller's identity is established; before that a debt is neither named nor hinted
    at: the answer then promises no time for these premises. One statement, and at most one by each kind.
    """
    return supply_statuses([service_point], at, verified=verified)[0]


def supply_statuses(
    service_points: Sequence[ServicePoint], at: datetime | None = None, *, verified: bool = False
) -> list[Verdict]:
    """The same for several premises of one caller, in as many statements as for one."""
    at = at or timezone.now()
    causes = _from_record(service_points, at)
    disagreeing: set[int] = set()
    for handler in kinds.all_handlers():
        for point_id, contribution in handler.contribute(service_points, at).items():
            causes[point_id].extend(contribution.causes)
            if contribution.disagreement:
                disagreeing.add(point_id)
    return [
        judge(point, causes[point.pk], at=at, verified=verified, disagreement=point.pk in disagreeing)
        for point in service_points
    ]


def _from_record(service_points: Sequence[ServicePoint], at: datetime) -> dict[int, list[Cause]]:
    asked: dict[str, Any] = {
        "points": [point.pk for point in service_points],
        "elements": [point.element_id for point in service_points],
        "at": at,
    }
    found: dict[int, list[Cause]] = {point.pk: [] for point in service_points}
    with connection.cursor() as db:
        db.execute(_CAUSES_SQL, asked)
        names = [column.name for column in db.description]
        rows = [dict(zip(names, row, strict=True)) for row in db.fetchall()]
    for row in rows:
        cause = _cause(row, at)
        if cause is not None:
            found[row["point"]].append(cause)
    return found


def _cause(row: dict[str, Any], at: datetime) -> Cause | None:
    """What one outage means for this place now, if anything."""
    handler = kinds.handler_for(row["kind"])
    owner_zh, owner_en = row["name"], row["name_en"] or row["name"]
    facts: dict[str, Any] = {
        "kind": row["kind"],
        "outage_id": row["id"],
        "reference": row["reference"],
        "status": row["status"],
        "place": row["place"],
        "reason_zh": row["public_reason_zh"] or handler.reason_zh,
        "reason_en": row["public_reason_en"] or handler.reason_en,
        "next_update_by": row["next_update_by"],
        "etr_source": row["etr_source"],
        "etr_confidence": row["etr_confidence"],
        "etr_changes": row["etr_changes"],
        "known_at": row["etr_set_at"] or row["updated_at"],
        "owner": owner_zh,
        "owner_en": owner_en,
        "customers": row["customers_affected"],
    }
    if row["is_off"]:
        until = row["etr"] or row["planned_end"]
        return Cause(rank=handler.rank, blocks=True, since=row["off_since"], until=until, **facts)
    if row["off_until"] is not None:
        if at - row["off_until"] > RECENTLY_RESTORED:
            return None
        return Cause(rank=RANK_RESTORED, blocks=False, since=row["off_since"], until=row["off_until"], **facts)
    if row["status"] == "suspected":
        return Cause(rank=RANK_SUSPECTED, blocks=False, since=None, **facts)
    if row["status"] == "scheduled" and row["planned_end"] > at and row["planned_start"] - at <= UPCOMING:
        return Cause(rank=RANK_UPCOMING, blocks=False, begins=row["planned_start"], until=row["planned_end"], **facts)
    return None


def judge(
    service_point: ServicePoint, causes: list[Cause], *, at: datetime, verified: bool, disagreement: bool = False
) -> Verdict:
    """Weigh what is true. Pure: the twelve fixtures of ``domain.md`` 5.6 call it directly."""
    tz = ZoneInfo(service_point.branch.time_zone)
    debt = [cause for cause in causes if cause.kind == "non_payment"]
    told = [cause for cause in causes if verified or cause.kind != "non_payment"]
    upcoming = sorted((c for c in told if c.rank == RANK_UPCOMING), key=lambda c: c.begins or at)
    current = sorted(
        (c for c in told if c.rank < RANK_UPCOMING),
        key=lambda c: (c.rank, -(c.since or at).timestamp(), c.reference),
    )
    # what was restored is only worth saying when nothing else is wrong
    if any(c.rank < RANK_RESTORED for c in current):
        current = [c for c in current if c.rank != RANK_RESTORED]
    else:
        current = current[:1]
    blocking = [c for c in current if c.blocks]
    withheld = any(c.blocks for c in debt) and not verified
    quote = None if withheld else _quote(blocking, at, tz)
    lead = blocking[0] if blocking and current[0].blocks else (current[0] if current else None)
    residual = _residual(blocking, at)
    words = _Words(at=at, tz=tz, quote=quote, withheld=withheld, residual=residual, upcoming=upcoming, causes=current)
    return Verdict(
        service_point_id=service_point.pk,
        at=at,
        time_zone=service_point.branch.time_zone,
        causes=tuple(current),
        upcoming=tuple(upcoming),
        withheld=withheld,
        quote=quote,
        residual=residual,
        disagreement=disagreement,
        sentence_zh=words.zh(lead),
        sentence_en=words.en(lead),
        state=_state(lead, withheld),
    )


def _state(lead: Cause | None, withheld: bool) -> str:
    if lead is None:
        return "unknown" if withheld else "on"
    if lead.rank == RANK_SAFETY:
        return "safety"
    if lead.blocks:
        return "off"
    return "suspected" if lead.rank == RANK_SUSPECTED else "restored"


def _quote(blocking: list[Cause], at: datetime, tz: ZoneInfo) -> datetime | None:
    """The latest time of all that blocks supply, rounded for the ear; none if one of them is not known."""
    times = [cause.expected(at) for cause in blocking]
    if not times or any(time is None for time in times):
        return None
    return rounded_etr(max(time for time in times if time is not None), at, tz)


def _residual(blocking: list[Cause], at: datetime) -> Cause | None:
    """A cause that will remain when the leading one clears."""
    if len(blocking) < 2:
        return None
    lead_clears = blocking[0].expected(at)
    for other in blocking[1:]:
        clears = other.expected(at)
        if clears is None or lead_clears is None or clears > lead_clears:
            return other
    return None


# --- times as people say them -----------------------------------------------------------------------


def rounded_etr(etr: datetime, at: datetime, tz: ZoneInfo) -> datetime:
    """An estimate as it is told: up to the next 15, 30 or 60 minutes by its distance, never earlier than it is."""
    distance = etr - at
    step = 15 if distance <= timedelta(hours=2) else 30 if distance <= timedelta(hours=6) else 60
    return _up_to(etr, step, tz)


def _up_to(moment: datetime, step: int, tz: ZoneInfo) -> datetime:
    """The next full ``step`` minutes on the local clock."""
    midnight = moment.astimezone(tz).replace(hour=0, minute=0, second=0, microsecond=0)
    minutes = math.ceil((moment - midnight).total_seconds() / 60 / step) * step
    return midnight + timedelta(minutes=minutes)


_ZH_PARTS: Final = ((6, "凌晨"), (9, "早上"), (12, "上午"), (13, "中午"), (18, "下午"), (24, "晚上"))
_EN_HOURS: Final = (
    "twelve", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
)  # fmt: skip


def spoken_time(moment: datetime, language: str, at: datetime, tz: ZoneInfo) -> str:
    """A time as one says it on the telephone: 今天下午3点半, half past three this afternoon."""
    local, today = moment.astimezone(tz), at.astimezone(tz).date()
    days = (local.date() - today).days
    return _spoken_zh(local, days) if language.startswith("zh") else _spoken_en(local, days)


def _spoken_zh(local: datetime, days: int) -> str:
    day = {-1: "昨天", 0: "今天", 1: "明天", 2: "后天"}.get(days) or f"{local.month}月{local.day}日"
    part = next(word for until, word in _ZH_PARTS if local.hour < until)
    hour = local.hour if local.hour <= 12 else local.hour - 12
    minute = {0: "点", 15: "点一刻", 30: "点半"}.get(local.minute) or f"点{local.minute:02d}分"
    return f"{day}{part}{hour}{minute}"


def _spoken_en(local: datetime, days: int) -> str:
    hour, following = _EN_HOURS[local.hour % 12], _EN_HOURS[(local.hour + 1) % 12]
    clock = {
        0: f"{hour} o'clock",
        15: f"a quarter past {hour}",
        30: f"half past {hour}",
        45: f"a quarter to {following}",
    }.get(local.minute) or f"{local.hour % 12 or 12}:{local.minute:02d}"
    part = "in the morning" if local.hour < 12 else "in the afternoon" if local.hour < 18 else "in the evening"
    if days == 0:
        named = {"in the morning": "this morning", "in the afternoon": "this afternoon"}.get(part, "this evening")
        return f"{clock} {named}"
    if days in (1, -1):
        return f"{clock} {'tomorrow' if days == 1 else 'yesterday'} {part.removeprefix('in the ')}"
    return f"{clock} {part} on {local.day} {local:%B}"


# --- sentences --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Words:
    at: datetime
    tz: ZoneInfo
    quote: datetime | None
    withheld: bool
    residual: Cause | None
    upcoming: list[Cause]
    causes: list[Cause]

    def _t(self, moment: datetime, language: str) -> str:
        return spoken_time(moment, language, self.at, self.tz)

    def zh(self, lead: Cause | None) -> str:
        return "".join(part for part in (self._zh_lead(lead), self._zh_rest(lead), self._zh_upcoming()) if part)

    def en(self, lead: Cause | None) -> str:
        return " ".join(part for part in (self._en_lead(lead), self._en_rest(lead), self._en_upcoming()) if part)

    # Chinese

    def _zh_lead(self, lead: Cause | None) -> str:
        if lead is None:
            if self.withheld:
                return "您这里的供电情况需要由客服人员与您核实后说明。"
            return "目前没有影响您这里的停电记录。请先看一下家里的总开关；如果还是没电，我马上为您登记报修。"
        if lead.rank == RANK_SAFETY:
            return "请马上远离断落或冒火的电线和设备，不要触碰任何东西，也不要让别人靠近；我们已通知抢修人员赶往现场。"
        if lead.rank == RANK_SUSPECTED:
            return "您附近有停电报告，我们正在核实，暂时还不能给出恢复时间。"
        if lead.rank == RANK_RESTORED and lead.until is not None:
            return f"您这里的供电已于{self._t(lead.until, 'zh')}恢复。如果现在还是没电，请告诉我。"
        since = f"{self._t(lead.since, 'zh')}起，因" if lead.since else "因"
        where = f"{lead.place}一带" if lead.place and lead.kind != "non_payment" else "您这里"
        return f"{where}{since}{lead.reason_zh}停电。"

    def _zh_rest(self, lead: Cause | None) -> str:
        if lead is None or not (lead.blocks or lead.rank == RANK_SUSPECTED):
            return ""
        if self.withheld:
            return "您这里具体的恢复时间需要由客服人员核实后说明。"
        if lead.rank == RANK_SUSPECTED:
            return self._zh_news(lead)
        if self.residual is not None:
            return self._zh_residual(lead, self.residual)
        if self.quote is not None:
            return f"预计{self._t(self.quote, 'zh')}前恢复供电。"
        return self._zh_unknown(lead)

    def _zh_residual(self, lead: Cause, residual: Cause) -> str:
        clears = lead.expected(self.at)
        first = f"线路预计{self._t(rounded_etr(clears, self.at, self.tz), 'zh')}前恢复，但" if clears else "另外，"
        if residual.kind == "non_payment":
            return f"{first}您这里还因{residual.reason_zh}停电，缴清后才能复电。"
        if self.quote is not None:
            return f"{first}您这里还受{residual.reason_zh}影响，预计{self._t(self.quote, 'zh')}前恢复供电。"
        return f"{first}您这里还受{residual.reason_zh}影响。{self._zh_unknown(residual)}"

    def _zh_unknown(self, cause: Cause) -> str:
        if cause.kind == "non_payment":
            return "缴清欠费后我们会尽快安排复电。"
        if self._is_stale(cause):
            return f"我们掌握的情况是{self._age(cause)}分钟前的，正在核实。"
        late = "恢复时间比原先说的要晚，" if cause.is_overdue(self.at) else "恢复时间还在确认，"
        return late + self._zh_news(cause)

    def _zh_news(self, cause: Cause) -> str:
        if cause.next_update_by is not None and cause.next_update_by > self.at:
            return f"{self._t(_up_to(cause.next_update_by, NEWS_STEP, self.tz), 'zh')}前会有新消息。"
        return "一有消息我们会马上告诉您。"

    def _zh_upcoming(self) -> str:
        soon = next((c for c in self.upcoming if c.begins is not None and c.begins - self.at <= WARN_OF), None)
        if soon is None or soon.begins is None or soon.until is None:
            return ""
        return f"另外提醒您：{self._t(soon.begins, 'zh')}到{self._t(soon.until, 'zh')}将因{soon.reason_zh}停电。"

    # English

    def _en_lead(self, lead: Cause | None) -> str:
        if lead is None:
            if self.withheld:
                return "An agent needs to check the supply at your premises with you."
            return (
                "We know of no outage at your premises. Please look at your main switch first;"
                " if there is still no power, I will report it right away."
            )
        if lead.rank == RANK_SAFETY:
            return (
                "Please keep well away from any fallen or burning line, touch nothing and let nobody come near;"
                " we have sent our crew."
            )
        if lead.rank == RANK_SUSPECTED:
            return "There are reports of an outage near you. We are checking them and cannot give a time yet."
        if lead.rank == RANK_RESTORED and lead.until is not None:
            return (
                f"Your supply was restored at {self._t(lead.until, 'en')}."
                " If you are still without power, please tell me."
            )
        since = f" since {self._t(lead.since, 'en')}" if lead.since else ""
        where = f"around {lead.place}" if lead.place and lead.kind != "non_payment" else "at your premises"
        return f"The power {where} has been off{since} because of {lead.reason_en}."

    def _en_rest(self, lead: Cause | None) -> str:
        if lead is None or not (lead.blocks or lead.rank == RANK_SUSPECTED):
            return ""
        if self.withheld:
            return "An agent needs to check with you when it will be back at your premises."
        if lead.rank == RANK_SUSPECTED:
            return self._en_news(lead)
        if self.residual is not None:
            return self._en_residual(lead, self.residual)
        if self.quote is not None:
            return f"We expect it back by {self._t(self.quote, 'en')}."
        return self._en_unknown(lead)

    def _en_residual(self, lead: Cause, residual: Cause) -> str:
        clears = lead.expected(self.at)
        if clears:
            first = f"The line should be back by {self._t(rounded_etr(clears, self.at, self.tz), 'en')}, but"
        else:
            first = "In addition,"
        if residual.kind == "non_payment":
            return f"{first} your supply is also off because of {residual.reason_en}; it returns once that is paid."
        if self.quote is not None:
            return (
                f"{first} you are also affected by {residual.reason_en};"
                f" we expect your power back by {self._t(self.quote, 'en')}."
            )
        return f"{first} you are also affected by {residual.reason_en}. {self._en_unknown(residual)}"

    def _en_unknown(self, cause: Cause) -> str:
        if cause.kind == "non_payment":
            return "We reconnect as soon as the account is paid."
        if self._is_stale(cause):
            return f"Our information is {self._age(cause)} minutes old; we are checking."
        if cause.is_overdue(self.at):
            return f"It is taking longer than we said; {self._en_news(cause)}"
        return f"We do not know yet when it will be back; {self._en_news(cause)}"

    def _en_news(self, cause: Cause) -> str:
        if cause.next_update_by is not None and cause.next_update_by > self.at:
            return f"there will be news by {self._t(_up_to(cause.next_update_by, NEWS_STEP, self.tz), 'en')}."
        return "we will tell you as soon as there is news."

    def _en_upcoming(self) -> str:
        soon = next((c for c in self.upcoming if c.begins is not None and c.begins - self.at <= WARN_OF), None)
        if soon is None or soon.begins is None or soon.until is None:
            return ""
        return (
            f"Please note: from {self._t(soon.begins, 'en')} until {self._t(soon.until, 'en')} the power"
            f" will be off because of {soon.reason_en}."
        )

    def _is_stale(self, cause: Cause) -> bool:
        promised = cause.next_update_by or cause.until
        return promised is not None and self.at - promised > STALE_AFTER

    def _age(self, cause: Cause) -> int:
        return max(1, int((self.at - (cause.known_at or self.at)).total_seconds() // 60))
