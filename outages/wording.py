"""What is said: times as people say them, and the one sentence in Chinese and English (ADR 4)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from outages.causes import RANK_CALLED_OFF, RANK_RESTORED, RANK_SAFETY, RANK_SUSPECTED, Cause

# a promised update this late means that we do not know: the sentence says so instead of repeating itself
STALE_AFTER: Final = timedelta(minutes=60)
NEWS_STEP: Final = 5  # minutes: nobody says "by one past ten"

# --- times as people say them -----------------------------------------------------------------------


def rounded_etr(etr: datetime, at: datetime, tz: ZoneInfo) -> datetime:
    """An estimate as it is told: up to the next 15, 30 or 60 minutes by its distance, never earlier than it is."""
    distance = etr - at
    step = 15 if distance <= timedelta(hours=2) else 30 if distance <= timedelta(hours=6) else 60
    return up_to(etr, step, tz)


def up_to(moment: datetime, step: int, tz: ZoneInfo) -> datetime:
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


def is_around(cause: Cause) -> bool:
    """A debt is nobody else's, and a block that the reason names is no place on a map."""
    return bool(cause.place) and cause.kind != "non_payment" and cause.place not in cause.reason_zh


# --- sentences --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Words:
    at: datetime
    tz: ZoneInfo
    quote: datetime | None
    withheld: bool
    residual: Cause | None
    doubted: Cause | None  # a suspected outage beside what is certain
    upcoming: list[Cause]
    called_off: list[Cause]

    def _t(self, moment: datetime, language: str) -> str:
        return spoken_time(moment, language, self.at, self.tz)

    def zh(self, lead: Cause | None) -> str:
        asked, ahead = self._asked(lead), self._ahead(lead)
        first = self._zh_announced(asked, lead) if asked else ""
        last = f"另外提醒您：{self._zh_announced(ahead, lead)}" if ahead else ""
        return "".join((first, self._zh_lead(lead), self._zh_rest(lead), last))

    def en(self, lead: Cause | None) -> str:
        asked, ahead = self._asked(lead), self._ahead(lead)
        first = self._en_announced(asked, lead) if asked else ""
        last = f"Please note: {self._en_announced(ahead, lead)}" if ahead else ""
        parts = (f"{first[:1].upper()}{first[1:]}", self._en_lead(lead), self._en_rest(lead), last)
        return " ".join(part for part in parts if part)

    def _asked(self, lead: Cause | None) -> Cause | None:
        """While nothing is known to be off, the announcement that the caller most likely asks about comes first."""
        return None if lead is not None else self._changed

    def _ahead(self, lead: Cause | None) -> Cause | None:
        """What is warned of in the end; without a warning there is room for what became of an announcement."""
        said = self._asked(lead)
        soon = [cause for cause in self.upcoming if cause.is_near(self.at) and cause is not said]
        if soon or lead is None or lead.rank == RANK_SAFETY:
            return next(iter(soon), None)
        return self._changed

    @property
    def _changed(self) -> Cause | None:
        """An announcement for about now that needs a word: due and not confirmed, moved, or called off."""
        due = [cause for cause in self.upcoming if cause.is_due(self.at)]
        moved = [cause for cause in self.upcoming if cause.has_moved(self.at)]
        return next(iter((*due, *moved, *self.called_off)), None)

    def _says_nothing_is_known(self, lead: Cause | None) -> bool:
        """Unless something is announced for right now."""
        return lead is None and not self.withheld and not (self._changed and self._changed.is_due(self.at))

    @property
    def _cut_is_due(self) -> bool:
        return self._changed is not None and self._changed.kind == "non_payment"

    def _stays_on(self, cause: Cause, lead: Cause | None) -> bool:
        """Nothing is wrong now, and nothing else is announced for the time of what was called off."""
        begins, until = cause.begins or self.at, cause.until or self.at
        clashes = any((c.begins or self.at) < until and (c.until or self.at) > begins for c in self.upcoming)
        return self._says_nothing_is_known(lead) and not clashes

    # Chinese

    def _zh_lead(self, lead: Cause | None) -> str:
        if lead is None:
            if self.withheld:
                return "您这里的供电情况需要由客服人员与您核实后说明。"
            if not self._says_nothing_is_known(lead):
                return "" if self._cut_is_due else "如果您这里到时还没有恢复供电，请再联系我们。"
            return "目前没有影响您这里的停电记录。请先看一下家里的总开关；如果还是没电，我马上为您登记报修。"
        if lead.rank == RANK_SAFETY:
            return "请马上远离断落或冒火的电线和设备，不要触碰任何东西，也不要让别人靠近；我们已通知抢修人员赶往现场。"
        if lead.rank == RANK_SUSPECTED:
            return "您附近有停电报告，我们正在核实，暂时还不能给出恢复时间。"
        if lead.rank == RANK_RESTORED and lead.until is not None:
            return f"您这里的供电已于{self._t(lead.until, 'zh')}恢复。如果现在还是没电，请告诉我。"
        since = f"{self._t(lead.since, 'zh')}起，因" if lead.since else "因"
        where = f"{lead.place}一带" if is_around(lead) else "您这里"
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
        if lead.kind == "non_payment":
            return self._zh_cut(lead)
        if self.quote is not None:
            return f"预计{self._t(self.quote, 'zh')}前恢复供电。"
        return self._zh_unknown(lead)

    def _zh_cut(self, cut: Cause) -> str:
        """What brings back a supply that was cut: the payment, or, once that is done, we."""
        if not cut.is_settled:
            way = "缴清欠费后我们会尽快安排复电。"
        elif self.quote is not None:
            way = f"账户手续已经办妥，预计{self._t(self.quote, 'zh')}前恢复供电。"
        elif cut.until is None:
            way = "账户手续已经办妥，我们正在加紧复电，一有消息会马上告诉您。"
        else:
            way = "账户手续已经办妥，复电比原先说的要晚，我们正在加紧处理，一有消息会马上告诉您。"
        if self.doubted is None:
            return way
        return f"{way}另外，您附近有停电报告，我们正在核实；如果属实，要等它修好才能来电。"

    def _zh_residual(self, lead: Cause, residual: Cause) -> str:
        clears = lead.expected(self.at)
        first = f"线路预计{self._t(rounded_etr(clears, self.at, self.tz), 'zh')}前恢复，但" if clears else "另外，"
        if residual.kind == "non_payment":
            line = "" if clears else self._zh_unknown(lead)
            off = f"{line}{first}您这里还因{residual.reason_zh}停电"
            if not residual.is_settled:
                return f"{off}：要等线路恢复并且缴清欠费才能来电，只缴费不会马上来电。"
            return f"{off}。{self._zh_cut(residual)}"
        if self.quote is not None:
            return f"{first}您这里还受{residual.reason_zh}影响，预计{self._t(self.quote, 'zh')}前恢复供电。"
        return f"{first}您这里还受{residual.reason_zh}影响。{self._zh_unknown(residual)}"

    def _zh_unknown(self, cause: Cause) -> str:
        if self._is_stale(cause):
            return f"我们掌握的情况是{self._age(cause)}分钟前的，正在核实。"
        late = "恢复时间比原先说的要晚，" if cause.is_overdue(self.at) else "恢复时间还在确认，"
        return late + self._zh_news(cause)

    def _zh_news(self, cause: Cause) -> str:
        if cause.next_update_by is not None and cause.next_update_by > self.at:
            return f"{self._t(up_to(cause.next_update_by, NEWS_STEP, self.tz), 'zh')}前会有新消息。"
        return "一有消息我们会马上告诉您。"

    def _zh_announced(self, cause: Cause, lead: Cause | None) -> str:
        """What was announced, and what became of it."""
        if cause.has_moved(self.at):
            was = self._zh_window(cause.was_begins, cause.was_until)
            now = self._zh_window(cause.begins, cause.until)
            return f"原先通知的{was}因{cause.reason_zh}停电，已改为{now}。"
        window = self._zh_window(cause.begins, cause.until)
        if cause.kind == "non_payment":
            now = "，现在随时可能执行" if cause.is_due(self.at) else ""
            return f"如果没有缴清欠费，{window}之间您这里可能因{cause.reason_zh}停电{now}；缴清就不会停。"
        if cause.rank == RANK_CALLED_OFF:
            stays = "，您这里照常供电" if self._stays_on(cause, lead) else ""
            return f"原先通知的{window}因{cause.reason_zh}停电已经取消{stays}。"
        if cause.is_forecast:
            return f"按目前的预告，{window}可能因{cause.reason_zh}停电，还没有最后确定。"
        if cause.is_due(self.at):
            return f"按计划，{window}因{cause.reason_zh}停电，可能刚刚开始，也可能随时开始。"
        return f"{window}将因{cause.reason_zh}停电。"

    def _zh_window(self, begins: datetime | None, until: datetime | None) -> str:
        return f"{self._t(begins or self.at, 'zh')}到{self._t(until or self.at, 'zh')}"

    # English

    def _en_lead(self, lead: Cause | None) -> str:
        if lead is None:
            if self.withheld:
                return "An agent needs to check the supply at your premises with you."
            if not self._says_nothing_is_known(lead):
                return "" if self._cut_is_due else "If your power is not back by then, please call us again."
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
        where = f"around {lead.place}" if is_around(lead) else "at your premises"
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
        if lead.kind == "non_payment":
            return self._en_cut(lead)
        if self.quote is not None:
            return f"We expect it back by {self._t(self.quote, 'en')}."
        return self._en_unknown(lead)

    def _en_cut(self, cut: Cause) -> str:
        if not cut.is_settled:
            way = "We reconnect as soon as the account is paid."
        elif self.quote is not None:
            way = f"The account is settled; we reconnect you by {self._t(self.quote, 'en')}."
        elif cut.until is None:
            way = "The account is settled; we are reconnecting you and will tell you as soon as there is news."
        else:
            way = (
                "The account is settled, and reconnecting you is taking longer than we said;"
                " we are pressing on with it and will tell you as soon as there is news."
            )
        if self.doubted is None:
            return way
        return (
            f"{way} There are also reports of an outage near you, which we are checking;"
            " if they are right, the power returns only once that is repaired."
        )

    def _en_residual(self, lead: Cause, residual: Cause) -> str:
        clears = lead.expected(self.at)
        if clears:
            first = f"The line should be back by {self._t(rounded_etr(clears, self.at, self.tz), 'en')}, but"
        else:
            first = "In addition,"
        if residual.kind == "non_payment":
            line = "" if clears else f"{self._en_unknown(lead)} "
            off = f"{line}{first} your supply is also off because of {residual.reason_en}."
            if not residual.is_settled:
                return (
                    f"{off} Paying alone does not bring it back:"
                    " it returns once the line is back and the account is paid."
                )
            return f"{off} {self._en_cut(residual)}"
        if self.quote is not None:
            return (
                f"{first} you are also affected by {residual.reason_en};"
                f" we expect your power back by {self._t(self.quote, 'en')}."
            )
        return f"{first} you are also affected by {residual.reason_en}. {self._en_unknown(residual)}"

    def _en_unknown(self, cause: Cause) -> str:
        if self._is_stale(cause):
            return f"Our information is {self._age(cause)} minutes old; we are checking."
        if cause.is_overdue(self.at):
            return f"It is taking longer than we said; {self._en_news(cause)}"
        return f"We do not know yet when it will be back; {self._en_news(cause)}"

    def _en_news(self, cause: Cause) -> str:
        if cause.next_update_by is not None and cause.next_update_by > self.at:
            return f"there will be news by {self._t(up_to(cause.next_update_by, NEWS_STEP, self.tz), 'en')}."
        return "we will tell you as soon as there is news."

    def _en_announced(self, cause: Cause, lead: Cause | None) -> str:
        if cause.has_moved(self.at):
            was = self._en_window(cause.was_begins, cause.was_until)
            now = self._en_window(cause.begins, cause.until)
            return f"the outage announced for {was} because of {cause.reason_en} has been moved to {now}."
        window = self._en_window(cause.begins, cause.until)
        if cause.kind == "non_payment":
            now = " This may happen at any moment." if cause.is_due(self.at) else ""
            return (
                f"unless the account is paid, your supply may be cut off between"
                f" {self._t(cause.begins or self.at, 'en')} and {self._t(cause.until or self.at, 'en')}"
                f" because of {cause.reason_en}.{now}"
            )
        if cause.rank == RANK_CALLED_OFF:
            stays = "; your power stays on" if self._stays_on(cause, lead) else ""
            return f"the outage announced for {window} because of {cause.reason_en} has been cancelled{stays}."
        if cause.is_forecast:
            return (
                f"by the present forecast, which is not confirmed yet, the power may be off from {window}"
                f" because of {cause.reason_en}."
            )
        if cause.is_due(self.at):
            return (
                f"from {window} the power is to be off because of {cause.reason_en};"
                " this may just have begun, or may begin at any moment."
            )
        return f"from {window} the power will be off because of {cause.reason_en}."

    def _en_window(self, begins: datetime | None, until: datetime | None) -> str:
        return f"{self._t(begins or self.at, 'en')} until {self._t(until or self.at, 'en')}"

    def _is_stale(self, cause: Cause) -> bool:
        promised = cause.next_update_by or cause.until
        return promised is not None and self.at - promised > STALE_AFTER

    def _age(self, cause: Cause) -> int:
        return max(1, int((self.at - (cause.known_at or self.at)).total_seconds() // 60))
