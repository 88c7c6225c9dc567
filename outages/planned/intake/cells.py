"""What a cell says: days and times in the many ways people write them, choices, numbers, texts.

A way of writing that could mean two things is never guessed: the message says how to write it.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Final
from zoneinfo import ZoneInfo

from grid.spreadsheets.markup import FIRST_DAY, UNCALCULATED
from outages.planned.intake import choices
from outages.planned.intake.problems import CellProblem

A_DAY: Final = 24 * 60
OVERNIGHT: Final = 12 * 60  # a window without days that ends "before" it starts is over midnight if it is this short


@dataclass(frozen=True)
class Clock:
    """What a date without a year and a time without a zone are read by."""

    zone: ZoneInfo
    first: date  # of the plan; today where there is none
    last: date
    is_1904: bool = False


@dataclass(frozen=True)
class Stamp:
    """A day, a time of day (minutes; 1440 is 24:00), or both."""

    day: date | None = None
    minute: int | None = None
    offset: timedelta | None = None

    def on(self, day: date | None) -> Stamp:
        return self if self.day is not None or day is None else replace(self, day=day)


def narrow(text: str) -> str:
    """Full-width digits and signs as everybody else writes them."""
    return unicodedata.normalize("NFKC", text).strip()


def usable(text: str) -> str:
    """The text of a cell, unless it is a formula nobody calculated or one that failed."""
    if text.startswith(f"{UNCALCULATED}="):
        raise CellProblem("formula", text=text[1:])
    if re.fullmatch(r"#(N/A|REF!|VALUE!|DIV/0!|NAME\?|NULL!|NUM!|SPILL!|CALC!)?", text):
        raise CellProblem("formula_error", text=text)
    return text


# --- days and times ----------------------------------------------------------------------------------

_WEEKDAY: Final = re.compile(
    r"[(\[]?\s*((星期|礼拜|周)[一二三四五六日天]|\b(mon|tues?|wed(nes)?|thu(rs)?|fri|sat(ur)?|sun)(day)?\b\.?,?)"
    r"\s*[)\]]?",
    re.I,
)
_OFFSET: Final = re.compile(r"(?<=:\d\d)\s*(Z|[+-]\d{2}:?\d{2})$")
_HALVES: Final = {
    "凌晨": 0, "早上": 0, "清晨": 0, "上午": 0, "早": 0, "am": 0, "a.m.": 0,
    "中午": 1, "下午": 12, "傍晚": 12, "晚上": 12, "夜间": 12, "晚": 12, "pm": 12, "p.m.": 12,
}  # fmt: skip
_HALF: Final = re.compile("|".join(map(re.escape, sorted(_HALVES, key=len, reverse=True))), re.I)
_TIME: Final = re.compile(
    r"(?P<h>\d{1,2})\s*(?::\s*(?P<m>\d{1,2})(?::\d{1,2}(\.\d+)?)?|[时点時]\s*(?:(?P<half>半)|(?P<cm>\d{1,2})\s*分?)?"
    r"(?:\d{1,2}秒)?(?:整)?)"
)
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH: Final = rf"(?P<month>{'|'.join(_MONTHS)})[a-z]*\.?"
_DAYS: Final = (
    re.compile(r"(?P<y>\d{4})\s*[-/.年]\s*(?P<m>\d{1,2})\s*[-/.月]\s*(?P<d>\d{1,2})\s*[日号]?"),
    re.compile(r"(?P<y>20\d{2})(?P<m>\d{2})(?P<d>\d{2})(?=\D|$)"),
    re.compile(r"(?P<m>\d{1,2})\s*月\s*(?P<d>\d{1,2})\s*[日号]?"),
    re.compile(rf"(?P<d>\d{{1,2}})(?:st|nd|rd|th)?[\s-]*{_MONTH}[\s,-]*(?P<y>\d{{4}})?", re.I),
    re.compile(rf"{_MONTH}\s*(?P<d>\d{{1,2}})(?:st|nd|rd|th)?(?!:)\b,?\s*(?P<y>\d{{4}})?", re.I),
    re.compile(r"(?P<a>\d{1,2})[-/.](?P<b>\d{1,2})[-/.](?P<y>\d{4})(?!\d)"),
    re.compile(r"(?P<two>\d{2}[-/.]\d{1,2}[-/.]\d{1,2})(?!\d)"),
    re.compile(r"(?P<m>\d{1,2})[-/.](?P<d>\d{1,2})(?![\d:])"),
    re.compile(r"(?P<d>\d{1,2})\s*[日号]"),
)
_SERIALS: Final = (30_000, 80_000)  # 1982 to 2119, counted from 1900


def stamp(text: str, clock: Clock) -> Stamp:
    """The day, the time, or both that a cell says. Raises ``CellProblem``."""
    said = usable(text)
    rest = _WEEKDAY.sub(" ", narrow(said)).strip().rstrip(",;。.")
    if re.fullmatch(r"\d+(\.\d+)?", rest):
        return _number(rest, clock, said)
    offset, rest = _offset(rest)
    rest = re.sub(r"(?<=\d)T(?=\d)", " ", rest)
    day, rest = _day(rest, clock, said)
    minute, rest = _minute(rest, said)
    if rest.strip(" ,") or (day is None and minute is None):
        raise CellProblem("bad_date", text=said)
    return Stamp(day, minute, offset)


def _number(digits: str, clock: Clock, said: str) -> Stamp:
    """Excel's count of days, a part of a day, or digits without separators."""
    value = float(digits)
    if digits.isdigit() and len(digits) in (8, 12, 14):
        if len(digits) == 8:
            return Stamp(_date(int(digits[:4]), int(digits[4:6]), int(digits[6:]), said))
        day = _date(int(digits[:4]), int(digits[4:6]), int(digits[6:8]), said)
        return Stamp(day, _clock_time(int(digits[8:10]), int(digits[10:12]), said))
    least, most = (_SERIALS[0] - 1462, _SERIALS[1] - 1462) if clock.is_1904 else _SERIALS
    if least <= value < most:
        minutes = round(value * A_DAY)
        day = FIRST_DAY[clock.is_1904] + timedelta(days=minutes // A_DAY)
        return Stamp(day, minutes % A_DAY if "." in digits else None)
    if "." in digits and value < 1:
        return Stamp(None, round(value * A_DAY))
    if digits.isdigit() and len(digits) in (3, 4):
        return Stamp(None, _clock_time(int(digits[:-2]), int(digits[-2:]), said))
    if digits.isdigit() and value <= 24:
        return Stamp(None, int(value) * 60)
    raise CellProblem("bad_date", text=said)


def _offset(text: str) -> tuple[timedelta | None, str]:
    found = _OFFSET.search(text)
    if not found:
        return None, text
    sign = -1 if found[1].startswith("-") else 1
    digits = re.sub(r"\D", "", found[1]) or "0000"
    return sign * timedelta(hours=int(digits[:2]), minutes=int(digits[2:])), text[: found.start()]


def _day(text: str, clock: Clock, said: str) -> tuple[date | None, str]:
    for pattern in _DAYS:
        found = pattern.search(text)
        if found:
            return _day_of(found.groupdict(), clock, said), text[: found.start()] + " " + text[found.end() :]
    return None, text


def _day_of(said: dict[str, str | None], clock: Clock, text: str) -> date:
    part = {name: int(value) for name, value in said.items() if value and value.isdigit()}
    if said.get("two"):
        raise CellProblem("ambiguous_date", text=text)
    if said.get("month"):
        part["m"] = _MONTHS.index(str(said["month"]).lower()) + 1
    if "a" in part:
        first, second = part["a"], part["b"]
        if first <= 12 and second <= 12 and first != second:
            raise CellProblem("ambiguous_date", text=text)
        part |= {"m": min(first, second), "d": max(first, second)}
    if "m" not in part:
        return _in_plan(part["d"], clock, text)
    if "y" not in part:
        return _nearest_year(part["m"], part["d"], clock, text)
    return _date(part["y"], part["m"], part["d"], text)


def _date(year: int, month: int, day: int, text: str) -> date:
    try:
        return date(year, month, day)
    except ValueError as none:
        raise CellProblem("no_such_day", text=text) from none


def _in_plan(day: int, clock: Clock, text: str) -> date:
    """A day of the month, where the plan lies within one."""
    if (clock.first.year, clock.first.month) != (clock.last.year, clock.last.month):
        raise CellProblem("bad_date", text=text)
    return _date(clock.first.year, clock.first.month, day, text)


def _nearest_year(month: int, day: int, clock: Clock, text: str) -> date:
    """The year in which the day lies in the plan, or else closest to its beginning."""
    days = []
    for year in range(clock.first.year - 1, clock.last.year + 2):
        try:
            days.append(date(year, month, day))
        except ValueError:  # the 29th of February of another year
            continue
    if not days:
        raise CellProblem("no_such_day", text=text)
    return min(days, key=lambda found: (not clock.first <= found <= clock.last, abs(found - clock.first)))


def _minute(text: str, said: str) -> tuple[int | None, str]:
    half = _HALF.search(text)
    if half:
        text = text[: half.start()] + " " + text[half.end() :]
    found = _TIME.search(text)
    if not found:
        bare = re.fullmatch(r"\s*(\d{1,2})\s*", text) if half else None
        if bare is None:
            return None, text if half is None else said
        return _halved(int(bare[1]), 0, half, said), ""
    minutes = 30 if found["half"] else int(found["m"] or found["cm"] or 0)
    rest = text[: found.start()] + " " + text[found.end() :]
    return _halved(int(found["h"]), minutes, half, said), rest


def _halved(hour: int, minutes: int, half: re.Match[str] | None, said: str) -> int:
    shift = _HALVES[half[0].lower()] if half else None
    if shift == 12 and hour < 12:
        hour += 12
    elif shift == 12 and hour == 12 and half and half[0] in ("晚上", "夜间", "晚"):
        hour = 24
    elif shift == 1 and hour < 3:
        hour += 12  # 中午1点
    elif shift == 0 and hour == 12 and half and half[0].lower() in ("am", "a.m.", "凌晨"):
        hour = 0
    return _clock_time(hour, minutes, said)


def _clock_time(hour: int, minutes: int, said: str) -> int:
    if minutes > 59 or hour > 24 or (hour == 24 and minutes):
        raise CellProblem("no_such_time", text=said)
    return hour * 60 + minutes


# --- a window in one cell ----------------------------------------------------------------------------

_BETWEEN: Final = re.compile(r"\s*(?:至|到|~|—+|–|→|--|\bto\b|\buntil\b)\s*", re.I)
_DASH: Final = re.compile(
    r"(?<=[\d时点分半])\s*-\s*(?=(?:次日|翌日|第二天|上午|下午|晚上)?\s*(?:\d{1,2}\s*[:时点]|\d{1,4}\s*[-/年月]))"
)
_NEXT_DAY: Final = re.compile(r"次日|翌日|第二天|明日|next day", re.I)


def window(text: str, clock: Clock) -> tuple[Stamp, Stamp | None]:
    """From and to in one cell; only the beginning where that is all it says."""
    said = narrow(usable(text)).replace("\n", " ")
    parts = [part for part in _BETWEEN.split(said, maxsplit=1) if part.strip()]
    if len(parts) == 1:
        parts = _split_at_dash(said)
    if len(parts) == 1:
        return stamp(said, clock), None
    start = stamp(parts[0], clock)
    return start, ending(parts[1], clock, start)


def ending(text: str, clock: Clock, start: Stamp | None) -> Stamp:
    """The same for the time at which power is back: 次日6:00 is a day after the beginning."""
    said = usable(text)
    end = stamp(_NEXT_DAY.sub("", said), clock)
    if _NEXT_DAY.search(said) and end.day is None and start is not None and start.day is not None:
        return replace(end, day=start.day + timedelta(days=1))
    return end


def _split_at_dash(said: str) -> list[str]:
    found = [match for match in _DASH.finditer(said) if re.search(r"\d\s*[:时点]", said[: match.start()])]
    if not found:
        return [said]
    return [said[: found[0].start()], said[found[0].end() :]]


# --- from the branch's clock to an instant -----------------------------------------------------------


def instant(when: Stamp, clock: Clock) -> datetime:
    """The moment at which the branch's clock says so. Raises ``CellProblem`` where it says so never, or twice."""
    if when.day is None:
        raise CellProblem("no_day", text=clock_words(when))
    naive = datetime.combine(when.day, time(0)) + timedelta(minutes=when.minute or 0)
    if when.offset is not None:
        return naive.replace(tzinfo=timezone(when.offset)).astimezone(UTC)
    earlier, later = (naive.replace(tzinfo=clock.zone, fold=fold) for fold in (0, 1))
    if earlier.utcoffset() != later.utcoffset():
        words = f"{naive:%Y-%m-%d %H:%M}"
        if earlier.astimezone(UTC).astimezone(clock.zone).replace(tzinfo=None) != naive:
            raise CellProblem("clock_gap", text=words)
        raise CellProblem("clock_twice", text=words, first=f"{words}{earlier:%z}", second=f"{words}{later:%z}")
    return earlier.astimezone(UTC)


def clock_words(when: Stamp) -> str:
    """What is known of a day and a time, as it should be written."""
    minute = when.minute or 0
    clock = "" if when.minute is None else f"{minute // 60:02d}:{minute % 60:02d}"
    return " ".join(part for part in (when.day.isoformat() if when.day else "", clock) if part)


# --- choices, numbers, texts --------------------------------------------------------------------------


def choice(field: str, text: str) -> str:
    """The value that a word stands for; nothing for an empty cell. Raises ``CellProblem``."""
    said = usable(text)
    value = choices.value_of(field, said) if said else ""
    if value is None:
        raise CellProblem("bad_choice", text=text, choices=field)
    return value


def yes_no(field: str, text: str) -> bool:
    """An empty cell is no. Raises ``CellProblem``."""
    return choice(field, text) == choices.YES


def whole_number(text: str, *, least: int, most: int) -> int:
    """Raises ``CellProblem``."""
    digits = re.sub(r"\s*(个|组|人|队|支)?班?组?$", "", narrow(usable(text)))
    if not re.fullmatch(r"\d{1,6}(\.0+)?", digits) or not least <= int(float(digits)) <= most:
        raise CellProblem("bad_number", text=text, least=least, most=most)
    return int(float(digits))


def duration(text: str) -> int:
    """Hours as minutes: 8, 8.5, 8小时, 08:30. Raises ``CellProblem``."""
    said = narrow(usable(text)).lower()
    clock = re.fullmatch(r"(\d{1,3}):(\d{2})", said)
    if clock and int(clock[2]) < 60:
        return int(clock[1]) * 60 + int(clock[2])
    hours = re.fullmatch(r"(\d{1,3}(?:\.\d+)?)\s*(?:个?小时|h|hours?|hrs?)?", said)
    if not hours or float(hours[1]) <= 0:
        raise CellProblem("bad_hours", text=text)
    return round(float(hours[1]) * 60)


def names_in(text: str) -> list[str]:
    """The pieces that one cell names."""
    return split_names(usable(text))


def split_names(text: str) -> list[str]:
    """The same without asking whether the text can be used."""
    return [name.strip() for name in re.split(r"[、，,;；\n]+", text) if name.strip()]
