"""What a cell of a rotation table says. What could mean two things is not guessed."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Mapping
from datetime import date, time
from typing import Final

from outages.load_shedding.intake.problems import CellProblem
from outages.load_shedding.rotation import LAST_DAY

MIDNIGHT: Final = time(0)

_APART: Final = re.compile(r"[,;、/\s]+")
_RANGE: Final = re.compile(r"\s*(?:-|–|—|~|至|到|\bto\b)\s*")
_CLOCK: Final = re.compile(r"(?:.*[\sT])?(\d{1,2})(?:[:时点](\d{1,2})?(?::00)?分?)?")
_DATE: Final = re.compile(r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?(?: 00:00)?")
_ORDINAL: Final = re.compile(r"(\d+)(?:st|nd|rd|th|日|号)$")
_LAST: Final = frozenset({"last", "lastday", "最后一天", "月末", "末日", "月底"})
_EVERY: Final = frozenset({"every", "everyday", "daily", "每天", "每日", "*"})
_WEEKDAYS: Final[Mapping[str, int]] = {
    word: number
    for number, words in enumerate(
        (
            ("mon", "monday", "周一", "星期一", "一"), ("tue", "tues", "tuesday", "周二", "星期二", "二"),
            ("wed", "wednesday", "周三", "星期三", "三"), ("thu", "thurs", "thursday", "周四", "星期四", "四"),
            ("fri", "friday", "周五", "星期五", "五"), ("sat", "saturday", "周六", "星期六", "六"),
            ("sun", "sunday", "周日", "星期日", "星期天", "周天", "日", "天"),
        ), start=1,
    )
    for word in words
}  # fmt: skip
_ON: Final = frozenset({"x", "1", "√", "✓", "✔", "●", "■", "off", "yes", "是", "停"})
_OFF: Final = frozenset({"", "0", "-", "–", "no", "on", "否", "供"})
_PERHAPS: Final = frozenset({"?", "maybe", "possible", "可能"})


def narrow(text: str) -> str:
    """Full-width digits and signs as everybody else writes them."""
    return unicodedata.normalize("NFKC", text).strip()


def clock(text: str) -> tuple[time, bool]:
    """A time of day, and whether it was written as 24:00."""
    found = _CLOCK.fullmatch(narrow(text))
    hour, minute = (int(found[1]), int(found[2] or 0)) if found else (-1, 0)
    if (hour, minute) == (24, 0):
        return MIDNIGHT, True
    if not 0 <= hour <= 23 or minute > 59:
        raise CellProblem("bad_time", text=text)
    return time(hour, minute), False


def hours(starts: str, ends: str) -> tuple[time, time]:
    """From when until when; an end that is not later is on the next day."""
    (first, is_end), (last, is_midnight) = clock(starts), clock(ends)
    if first == last and not (is_midnight and not is_end):
        raise CellProblem("no_length")
    return first, last


def span(text: str) -> tuple[time, time]:
    """08:00-10:30 in one cell."""
    parts = _RANGE.split(narrow(text))
    if len(parts) != 2:
        raise CellProblem("bad_span", text=text)
    return hours(*parts)


def day(text: str) -> date:
    found = _DATE.fullmatch(narrow(text))
    try:
        return date(*map(int, found.groups())) if found else _no_date(text)
    except ValueError:
        return _no_date(text)


def _no_date(text: str) -> date:
    raise CellProblem("bad_date", text=text)


def length(text: str) -> int:
    """A number of days."""
    plain = narrow(text)
    if not (plain.isascii() and plain.isdigit() and 1 <= int(plain) <= 366):
        raise CellProblem("bad_number", text=text)
    return int(plain)


def month_days(text: str) -> list[int]:
    """1, 17; 1-4; 3rd; the last one."""
    return _days(text, 31, dict.fromkeys(_LAST, LAST_DAY), range(1, 32))


def weekdays(text: str) -> list[int]:
    return _days(text, 7, _WEEKDAYS, range(1, 8))


def cycle_days(text: str, period: int) -> list[int]:
    return _days(text, period, {}, range(1, period + 1))


def _days(text: str, most: int, words: Mapping[str, int], every: Collection[int]) -> list[int]:
    plain = narrow(text).lower()
    if plain.replace(" ", "") in _EVERY:
        return list(every)
    found: list[int] = []
    for part in filter(None, _APART.split(_RANGE.sub("-", plain))):
        numbers = [words.get(piece, _number(piece)) for piece in part.split("-")]
        # the last day of the month ends no range: how many days that spans would depend on the month
        is_range = len(numbers) == 2 and 1 <= numbers[0] <= numbers[1]
        if not (is_range or len(numbers) == 1) or not all(0 <= number <= most for number in numbers):
            raise CellProblem("bad_day", text=text, most=most)
        found += range(numbers[0], numbers[-1] + 1)
    if not found:
        raise CellProblem("bad_day", text=text, most=most)
    return found


def _number(text: str) -> int:
    """The number, or -1 for what is none; a written 0 is none either."""
    digits = _ORDINAL.sub(r"\1", text)
    return (int(digits) or -1) if digits.isascii() and digits.isdigit() and len(digits) < 4 else -1


def stages(text: str) -> list[int]:
    """2; 1-8; 1, 2."""
    try:
        return _days(text, 99, {}, ())
    except CellProblem as bad:
        raise CellProblem("bad_stage", text=text) from bad


def pieces(text: str, known: Collection[str]) -> list[str]:
    """The names in a cell; one that is known as it stands is not taken apart."""
    plain = narrow(text)
    return [plain] if plain in known else [piece for piece in _APART.split(plain) if piece]


def mark(text: str) -> tuple[bool, bool]:
    """Is the block off, and only perhaps?"""
    plain = narrow(text).lower()
    if plain in _PERHAPS:
        return True, True
    if plain in _ON or plain in _OFF:
        return plain in _ON, False
    raise CellProblem("bad_mark", text=text)
